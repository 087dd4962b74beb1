//! Reads the torrents of a command line.

use std::ffi::OsString;

use bitwren::Config;

use super::reporter::Reporter;
use super::source;
use super::source::TorrentSource;
use crate::cli::exit::{ExitStatus, Failure};
use crate::cli::output::screen::Tone;

/// A torrent, or a link, that was read.
pub struct Loaded {
    /// The operand that names it.
    pub given: OsString,
    pub source: TorrentSource,
    /// The selected files, by index; `None` if all are, or if they are not known yet.
    pub select: Option<Vec<u32>>,
}

/// Reads the torrents that the operands name. Those that cannot be
/// read are reported and left out.
///
/// # Errors
/// Those of standard output.
pub fn load_all(
    operands: Vec<OsString>,
    select: &[String],
    network: &Config,
    reporter: &Reporter,
    exit_status: &mut ExitStatus,
) -> Result<Vec<Loaded>, Failure> {
    let mut loaded: Vec<Loaded> = Vec::new();
    for given in operands {
        let read = source::read_source(&given, network).and_then(|source| {
            let select = match &source {
                TorrentSource::Torrent(metainfo) => source::selected(metainfo, select)?,
                TorrentSource::Magnet(_) => None,
            };
            Ok(Loaded { given, source, select })
        });
        match read {
            Ok(new) if loaded.iter().any(|old| old.source.info_hash() == new.source.info_hash()) => {
                reporter.milestone(Tone::Warning, format!("{} is given twice", new.source.name()));
            }
            Ok(new) => loaded.push(new),
            Err(failure) => {
                exit_status.failed(failure.code);
                reporter.failure(failure.code, failure.why.as_deref().unwrap_or_default())?;
            }
        }
    }
    Ok(loaded)
}
