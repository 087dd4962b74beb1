//! `get`: downloads torrents, or lists their files.

use std::ffi::OsString;
use std::io::{self, Write};

use bitwren::{Allocation, Existing};

use super::exit::{Code, Failure};
use super::job::{Seeding, Verdict};
use super::json::Object;
use super::parse::Line;
use super::reporter::Reporter;
use super::signals::Signals;
use super::source::{self, Named};
use super::text::printable;
use super::transfer::{Loaded, Transfer, load_all};
use super::units;

/// Runs the command.
pub fn run(line: Line, signals: &Signals) -> Result<Code, Failure> {
    let Line { settings, words, .. } = line;
    check_stdin(&words)?;
    let reporter = Reporter::new(&settings, words.len());
    let mut verdict = Verdict::default();
    let loaded = load_all(words, &settings, &reporter, &mut verdict)?;
    if settings.list {
        if loaded.iter().any(|one| matches!(one.named, Named::Magnet(_))) {
            return Err(Failure::new(
                Code::MAGNET,
                "magnet links cannot be listed yet; use the .torrent file",
            ));
        }
        list(&loaded, settings.json)?;
        return Ok(verdict.code());
    }
    if loaded.is_empty() {
        return Ok(verdict.code());
    }
    let seeding = Seeding::new(settings.seed, &settings);
    let transfer = Transfer::start(loaded, &settings, seeding, reporter, verdict, signals, |config| {
        let allocation = if settings.allocate { Allocation::Full } else { Allocation::Sparse };
        let existing = if settings.overwrite { Existing::Overwrite } else { Existing::Check };
        config.sequential(settings.sequential).allocation(allocation).existing(existing)
    })?;
    transfer.run()
}

/// Standard input can be read once.
pub fn check_stdin(words: &[OsString]) -> Result<(), Failure> {
    match words.iter().filter(|word| *word == "-").count() {
        0 | 1 => Ok(()),
        _ => Err(Failure::usage("- is given twice; standard input holds one torrent")),
    }
}

fn list(loaded: &[Loaded], json: bool) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for one in loaded {
        let Named::Torrent(metainfo) = &one.named else { continue };
        if !json && loaded.len() > 1 {
            writeln!(out, "{}:", printable(metainfo.name()))?;
        }
        for (number, (index, path)) in (1u64..).zip(source::stored(metainfo)) {
            let length = metainfo.files().get(index as usize).map_or(0, |file| file.length);
            if one.select.as_ref().is_some_and(|select| select.binary_search(&index).is_err()) {
                continue;
            }
            if json {
                let hash = metainfo.info_hash().to_string();
                let line = Object::line("list").text("torrent", &hash).number("index", number);
                writeln!(out, "{}", line.text("path", &path).number("size", length).end())?;
            } else {
                writeln!(out, "{number:>5}  {:>10}  {}", units::size(length), printable(&path))?;
            }
        }
    }
    out.flush()
}
