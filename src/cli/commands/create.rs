//! `create`: makes a torrent of a file or a directory.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bitwren::Metainfo;

use crate::cli::args::parse::Invocation;
use crate::cli::args::settings::{OutputSettings, Settings};
use crate::cli::exit::{Code, Failure};
use crate::cli::files::atomic_write::OutputFile;
use crate::cli::files::walk::Why;
use crate::cli::files::{atomic_write, hash_torrent};
use crate::cli::output::json::json_line;
use crate::cli::output::screen::Verbosity;
use crate::cli::output::screen::{Screen, Tone};
use crate::cli::output::streams::say;
use crate::cli::output::units;
use crate::cli::run::signals::Signals;

/// Runs the command.
pub fn run(invocation: Invocation, signals: &Signals) -> Result<Code, Failure> {
    let Invocation { settings, operands, .. } = invocation;
    let Settings { output: out, files, write, fields, create, .. } = settings;
    let path = PathBuf::from(operands.into_iter().next().unwrap_or_default());
    let name = create.name.clone().map_or_else(|| hash_torrent::name(&path), Ok)?;
    let usual = atomic_write::torrent_name(&name);
    let output = write.output.as_deref().unwrap_or(Path::new(&usual));
    if out.json && atomic_write::is_stdout(output) {
        return Err(Failure::usage("--json and --output - both use standard output; give a file"));
    }
    let file = OutputFile::prepare(output, &usual, write.overwrite)?;
    let screen = Screen::new();
    let quiet = !out.is_chatty();
    let found = hash_torrent::find(&path, &name, file.file(), &files, out, &screen)?;
    if !quiet && found.left_out.iter().any(|(_, why)| *why == Why::Link) {
        screen.line(Tone::Warning, "--follow-symlinks takes what symbolic links lead to");
    }
    let torrent = hash_torrent::draft(name, &found, create.piece_length)?
        .tiers(fields.tiers)
        .web_seeds(fields.web_seeds)
        .private(create.private)
        .source(fields.source)
        .comment(fields.comment)
        .creation_date(create.date.then(date).transpose()?);
    // Every problem but those of hashing is found before the hashing.
    let draft = Metainfo::from_vec(torrent.encode()?)?;
    for warning in draft.warnings().iter().filter(|_| !quiet) {
        screen.line(Tone::Warning, &format!("warning for downloaders: {warning}"));
    }
    drop(draft);
    let torrent = hash_torrent::hash(torrent, &found, &screen, quiet, |meter| {
        signals.at_status(meter.status(out.json))
    })?;
    let bytes = torrent.encode()?;
    let metainfo = Metainfo::from_bytes(&bytes)?;
    let (shown, to_stdout) = (file.shown().to_owned(), file.is_stdout());
    file.write(&bytes)?;
    report(out, &screen, &metainfo, &shown, to_stdout)?;
    Ok(Code::OK)
}

/// The current time, or SOURCE_DATE_EPOCH, which reproducible builds set.
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

fn report(
    out: OutputSettings,
    screen: &Screen,
    metainfo: &Metainfo,
    path: &Path,
    to_stdout: bool,
) -> io::Result<()> {
    let pieces = metainfo.pieces();
    let path = path.to_string_lossy();
    if out.json {
        return say(&json_line("create")
            .text("path", &path)
            .text("name", metainfo.name())
            .text("torrent", &metainfo.info_hash().to_string())
            .text("magnet", &metainfo.magnet_link())
            .number("size", pieces.total())
            .number("files", metainfo.files().len() as u64)
            .number("pieces", pieces.count().into())
            .number("piece_length", pieces.piece_length().into())
            .end());
    }
    if out.verbosity > Verbosity::Quiet {
        let line = format!(
            "{path}: {} in {}, {} of {}",
            units::size(pieces.total()),
            units::count(metainfo.files().len() as u64, "file"),
            units::count(pieces.count().into(), "piece"),
            units::size(pieces.piece_length().into())
        );
        screen.line(Tone::Good, &line);
    }
    if to_stdout {
        screen.line(Tone::Plain, &metainfo.magnet_link());
        return Ok(());
    }
    say(&metainfo.magnet_link())
}
