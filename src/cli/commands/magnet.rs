//! `magnet`: the magnet links of torrents.

use bitwren::Magnet;

use crate::cli::args::parse::Invocation;
use crate::cli::exit::ExitStatus;
use crate::cli::exit::{Code, Failure};
use crate::cli::output::json::json_line;
use crate::cli::output::streams::say;
use crate::cli::run::client_config;
use crate::cli::run::load::load_all;
use crate::cli::run::precheck::check_stdin;
use crate::cli::run::reporter::Reporter;
use crate::cli::run::source::TorrentSource;

/// Runs the command.
pub fn run(invocation: Invocation) -> Result<Code, Failure> {
    let Invocation { settings, operands, .. } = invocation;
    check_stdin(&operands)?;
    let reporter = Reporter::new(settings.output, operands.len());
    let mut exit_status = ExitStatus::default();
    for one in
        load_all(operands, &[], &client_config::of_network(&settings.transfer), &reporter, &mut exit_status)?
    {
        let mut magnet = match &one.source {
            TorrentSource::Torrent(metainfo) => metainfo.magnet(),
            TorrentSource::Magnet(magnet) => magnet.clone(),
        };
        if settings.magnet.no_trackers {
            let name = magnet.name.take();
            magnet = Magnet::new(magnet.info_hash);
            magnet.name = name;
        }
        let link = magnet.to_string();
        if settings.output.json {
            let hash = magnet.info_hash.to_string();
            let line = json_line("magnet").text("torrent", &hash).text("name", &one.source.name());
            say(&line.text("magnet", &link).end())?;
        } else {
            say(&link)?;
        }
    }
    Ok(exit_status.code())
}
