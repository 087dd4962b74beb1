//! `create`: makes a torrent of a file or a directory.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bitwren::Metainfo;

use super::exit::{Code, Failure};
use super::json::Object;
use super::parse::Line;
use super::screen::{Screen, Tone};
use super::settings::{Settings, Verbosity};
use super::{deposit, making, reporter, units};

/// Runs the command.
pub fn run(line: Line) -> Result<Code, Failure> {
    let Line { settings, words, .. } = line;
    let path = PathBuf::from(words.into_iter().next().unwrap_or_default());
    let name = settings.name.clone().map_or_else(|| making::name(&path), Ok)?;
    let output = match &settings.output {
        Some(output) if output == Path::new("-") => None,
        Some(output) => Some(output.clone()),
        None => Some(PathBuf::from(format!("{name}.torrent"))),
    };
    if output.is_none() && settings.json {
        return Err(Failure::usage("--json and --output - both want standard output; give a file"));
    }
    if let Some(output) = output.as_deref().filter(|output| !settings.overwrite && output.exists()) {
        return Err(deposit::exists(output));
    }
    let screen = Screen::new();
    let quiet = settings.json || settings.verbosity == Verbosity::Quiet;
    let found = making::find(&path, &name, output.as_deref(), &settings, &screen, quiet)?;
    let mut torrent = making::make(name, &found, settings.piece_length, &screen, quiet)?;
    torrent.tiers.clone_from(&settings.tiers);
    torrent.web_seeds.clone_from(&settings.web_seeds);
    torrent.private = settings.private;
    torrent.source.clone_from(&settings.source);
    torrent.comment.clone_from(&settings.comment);
    torrent.created_by = Some(format!("bitwren/{}", env!("CARGO_PKG_VERSION")));
    torrent.creation_date = settings.date.then(date).transpose()?;
    let bytes = torrent.encode()?;
    let metainfo = Metainfo::from_bytes(&bytes)?;
    match &output {
        Some(output) => deposit::write(output, &bytes, settings.overwrite)?,
        None => {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&bytes)?;
            stdout.flush()?;
        }
    }
    for warning in metainfo.warnings().iter().filter(|_| !quiet) {
        screen.line(Tone::Warning, &format!("who downloads it will find that {warning}"));
    }
    told(&settings, &screen, &metainfo, output.as_deref())?;
    Ok(Code::OK)
}

/// The present time, or the one that reproducible builds ask for.
fn date() -> Result<i64, Failure> {
    match std::env::var_os("SOURCE_DATE_EPOCH").filter(|value| !value.is_empty()) {
        Some(epoch) => epoch.to_str().and_then(|epoch| epoch.parse().ok()).ok_or_else(|| {
            Failure::usage(format_args!("SOURCE_DATE_EPOCH: {epoch:?} is not a number of seconds since 1970"))
        }),
        None => {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            Ok(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
        }
    }
}

fn told(settings: &Settings, screen: &Screen, metainfo: &Metainfo, output: Option<&Path>) -> io::Result<()> {
    let pieces = metainfo.pieces();
    let path = output.map_or_else(|| "-".into(), Path::to_string_lossy);
    if settings.json {
        return reporter::say(
            &Object::line("create")
                .text("path", &path)
                .text("name", metainfo.name())
                .text("torrent", &metainfo.info_hash().to_string())
                .text("magnet", &metainfo.magnet_link())
                .number("size", pieces.total())
                .number("files", metainfo.files().len() as u64)
                .number("pieces", pieces.count().into())
                .number("piece_length", pieces.piece_length().into())
                .end(),
        );
    }
    if settings.verbosity > Verbosity::Quiet {
        let line = format!(
            "{path}: {} in {}, {} of {}",
            units::size(pieces.total()),
            units::count(metainfo.files().len() as u64, "file"),
            units::count(pieces.count().into(), "piece"),
            units::size(pieces.piece_length().into())
        );
        screen.line(Tone::Good, &line);
    }
    match output {
        Some(_) => reporter::say(&metainfo.magnet_link()),
        None => {
            screen.line(Tone::Plain, &metainfo.magnet_link());
            Ok(())
        }
    }
}
