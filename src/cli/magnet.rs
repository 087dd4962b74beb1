//! `magnet`: the magnet links of torrents.

use super::exit::{Code, Failure};
use super::get::check_stdin;
use super::job::Verdict;
use super::json::Object;
use super::parse::Line;
use super::reporter::{Reporter, say};
use super::transfer::load_all;

/// Runs the command.
pub fn run(line: Line) -> Result<Code, Failure> {
    let Line { settings, words, .. } = line;
    check_stdin(&words)?;
    let reporter = Reporter::new(&settings, words.len());
    let mut verdict = Verdict::default();
    for one in load_all(words, &settings, &reporter, &mut verdict)? {
        let metainfo = one.metainfo;
        let bare = settings.changes.no_trackers;
        let link = if bare { metainfo.bare_magnet_link() } else { metainfo.magnet_link() };
        if settings.json {
            let hash = metainfo.info_hash().to_string();
            let line = Object::line("magnet").text("torrent", &hash).text("name", metainfo.name());
            say(&line.text("magnet", &link).end())?;
        } else {
            say(&link)?;
        }
    }
    Ok(verdict.code())
}
