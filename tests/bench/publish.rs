//! Puts the last results where the README shows them: the short table between its two markers, the
//! plot and the full tables beside this file.

use std::path::Path;

const BEGIN: &str = "<!-- bench: make bench-publish writes from here -->\n";
const END: &str = "<!-- to here -->\n";

pub fn publish(results: &Path) -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &Path| {
        std::fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}; make bench first", path.display()))
    };
    let readme = root.join("README.md");
    let text = replaced(&read(&readme)?, &read(&results.join("summary.md"))?)
        .ok_or_else(|| format!("the README has no {} … {}", BEGIN.trim(), END.trim()))?;
    for name in ["results.svg", "results.md"] {
        let from = read(&results.join(name))?;
        std::fs::write(root.join("tests/bench").join(name), from).map_err(|error| error.to_string())?;
    }
    std::fs::write(&readme, text).map_err(|error| error.to_string())
}

fn replaced(readme: &str, summary: &str) -> Option<String> {
    let (before, rest) = readme.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    let plot = "![Time, CPU and memory of each client in each scenario](tests/bench/results.svg)";
    let more = "[All figures, with their spread](tests/bench/results.md)";
    Some(format!("{before}{BEGIN}\n{plot}\n\n{summary}\n{more}.\n\n{END}{after}"))
}
