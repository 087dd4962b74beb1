//! `magnet`: the magnet links of torrents.

use bitwren::Magnet;

use super::get::check_stdin;
use crate::cli::args::parse::Line;
use crate::cli::exit::{Code, Failure};
use crate::cli::output::json::Object;
use crate::cli::run::job::Verdict;
use crate::cli::run::reporter::{Reporter, say};
use crate::cli::run::source::Named;
use crate::cli::run::transfer::load_all;

/// Runs the command.
pub fn run(line: Line) -> Result<Code, Failure> {
    let Line { settings, words, .. } = line;
    check_stdin(&words)?;
    let reporter = Reporter::new(&settings, words.len());
    let mut verdict = Verdict::default();
    for one in load_all(words, &settings, &reporter, &mut verdict)? {
        let mut magnet = match &one.named {
            Named::Torrent(metainfo) => metainfo.magnet(),
            Named::Magnet(magnet) => magnet.clone(),
        };
        if settings.changes.no_trackers {
            magnet = Magnet { name: magnet.name, ..Magnet::new(magnet.info_hash) };
        }
        let link = magnet.to_string();
        if settings.json {
            let hash = magnet.info_hash.to_string();
            let line = Object::line("magnet").text("torrent", &hash).text("name", &one.named.name());
            say(&line.text("magnet", &link).end())?;
        } else {
            say(&link)?;
        }
    }
    Ok(verdict.code())
}
