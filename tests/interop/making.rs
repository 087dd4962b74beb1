//! `create`: for the same choices the same info-hash as that of mktorrent, libtorrent and
//! transmission-create.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::foreign::libtorrent;
use crate::network::{TestNetwork, recipe};
use crate::report::Report;
use crate::support::child::{bitwren, run};

/// Some programs want one; it is not in the info-hash.
const TRACKER: &str = "http://t.example/announce";

pub fn all(network: &TestNetwork, report: &Report) {
    for kind in ["single", "multi"] {
        for private in [false, true] {
            let line = format!("create {kind}, {}", if private { "private" } else { "public" });
            if report.wants(&line) {
                report.transfer(&line, || show(network, kind, private));
            }
        }
    }
}

fn show(network: &TestNetwork, kind: &str, private: bool) -> Result<Duration, String> {
    let begun = Instant::now();
    // transmission leaves out empty files.
    let torrent = recipe(kind, &format!("created {private}"), false).make();
    let data = network.scratch.dir("created");
    torrent.write_to(&data);
    let path = data.join(&torrent.name);
    for power in [15, 18, 20, 22] {
        let length = 1u32 << power;
        let made = |who: &str, command: &mut Command, file: &Path| {
            run(command).expect(0);
            let hash = run(libtorrent::command().arg("hash").arg(file)).expect(0).stdout;
            (who.to_owned(), hash)
        };
        let file = |who: &str| data.join(format!("{who}-{kind}-{private}-{power}.torrent"));
        let mut all = Vec::new();
        let out = file("bitwren");
        let mut ours = bitwren(&data, &["create", "-q", "-l", &length.to_string(), "-o"]);
        ours.arg(&out).args(private.then_some("--private"));
        all.push(made("bitwren", ours.arg(&path), &out));
        let out = file("mktorrent");
        let mut theirs = Command::new("mktorrent");
        theirs.args(["-l", &power.to_string(), "-a", TRACKER, "-o"]).arg(&out);
        all.push(made("mktorrent", theirs.args(private.then_some("-p")).arg(&path), &out));
        let out = file("libtorrent");
        let mut theirs = libtorrent::command();
        theirs.arg("make").arg(&out).args([&length.to_string(), ""]).arg(&path);
        all.push(made("libtorrent", theirs.args(private.then_some("private")), &out));
        // It writes `private` into public torrents too, as 0: those have an info-hash of its own.
        if private {
            let out = file("transmission");
            let mut theirs = Command::new("transmission-create");
            theirs.args(["-p", "-t", TRACKER, "-s", &(length >> 10).to_string(), "-o"]).arg(&out);
            all.push(made("transmission", theirs.arg(&path), &out));
        }
        if all.iter().any(|(_, hash)| *hash != all[0].1) {
            return Err(format!("pieces of {length}: {all:?}"));
        }
    }
    Ok(begun.elapsed())
}
