//! `verify`: checks data against a torrent. It never changes the data.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use bitwren::internals::storage::fd_cache::FdCache;
use bitwren::internals::storage::files::Files;
use bitwren::internals::storage::layout::Layout;
use bitwren::internals::storage::names::StoredAs;
use bitwren::internals::storage::renaming;
use bitwren::internals::storage::verify::{Checked, Condition, Hashed, by_file, check};
use bitwren::internals::storage::{leftovers, links};
use bitwren::{Config, TorrentConfig};

use crate::cli::args::parse::{Invocation, quoted};
use crate::cli::args::settings::{OutputSettings, StorageSettings};
use crate::cli::exit::ExitStatus;
use crate::cli::exit::{Code, Failure};
use crate::cli::output::json::json_line;
use crate::cli::output::meter::Meter;
use crate::cli::output::screen::Verbosity;
use crate::cli::output::screen::{Screen, Tone};
use crate::cli::output::streams::say;
use crate::cli::output::text::printable;
use crate::cli::output::units;
use crate::cli::run::client_config;
use crate::cli::run::precheck::{check_renaming, check_stdin};
use crate::cli::run::reporter::Reporter;
use crate::cli::run::signals::Signals;
use crate::cli::run::source;

/// The most files that are open.
const MAX_OPEN_FILES: usize = 128;

/// The most files stored under other names, and missing links, that are reported.
const MAX_REPORTED: usize = 20;

/// Runs the command.
pub fn run(invocation: Invocation, signals: &Signals) -> Result<Code, Failure> {
    let Invocation { settings, operands, .. } = invocation;
    let network = client_config::of_network(&settings.transfer);
    let (out, storage) = (settings.output, settings.transfer.storage);
    let clean = settings.verify.clean;
    check_stdin(&operands)?;
    if let [torrent, .., word] = &operands[..] {
        if Path::new(word).is_dir() && !Path::new(torrent).is_dir() {
            let (torrent, word) = (torrent.to_string_lossy(), word.to_string_lossy());
            return Err(Failure::usage(format_args!(
                "{word} is a directory; if the data is in it: bitwren verify -d {} {}",
                quoted(&word),
                quoted(&torrent)
            )));
        }
    }
    let reporter = Reporter::new(out, operands.len());
    let mut exit_status = ExitStatus::default();
    check_renaming(&storage, operands.len())?;
    for word in &operands {
        match verify((word, &network), &storage, out, clean, operands.len() > 1, signals) {
            Ok(Code::OK) => {}
            Ok(code) => exit_status.failed(code),
            // The reader of standard output has gone: the rest need not be hashed.
            Err(failure @ Failure { why: None, .. }) => return Err(failure),
            Err(Failure { code, why: Some(why) }) => {
                exit_status.failed(code);
                reporter.failure(code, &why)?;
            }
        }
    }
    Ok(exit_status.code())
}

/// Checks the data of one torrent; with `several`, its summary begins with its name.
fn verify(
    (word, network): (&OsStr, &Config),
    storage: &StorageSettings,
    out: OutputSettings,
    clean: bool,
    several: bool,
    signals: &Signals,
) -> Result<Code, Failure> {
    let metainfo = source::load(word, network)?;
    let select = source::selected(&metainfo, &storage.select)?;
    let screen = Screen::new();
    let began = Instant::now();
    let config = TorrentConfig::default().dir(storage.dir.clone()).state_dir(storage.state_dir.clone());
    let names = renaming::known(&metainfo, &config.rename(storage.rename.clone()))?;
    let layout = Layout::new(metainfo, select.as_deref())?.with_names(names)?;
    let files = Files::open_to_look(&storage.dir, layout, Arc::new(FdCache::new(MAX_OPEN_FILES)))?;
    if out.is_chatty() {
        for StoredAs { file, path, why } in files.take_renamed().into_iter().take(MAX_REPORTED) {
            let given = files
                .layout()
                .files()
                .get(file as usize)
                .map(|file| file.path().to_string_lossy().into_owned());
            let (given, path) = (given.unwrap_or_default(), path.display());
            screen.line(Tone::Warning, &format!("{given} is stored as {path}: {why}"));
        }
    }
    if out.is_chatty() {
        // Links are no data: peers neither request nor serve them.
        let missing = links::links(&files).into_iter().filter(|link| !link.is_there(&storage.dir));
        for link in missing.take(MAX_REPORTED) {
            let (path, leads) = (link.path.display(), link.leads.display());
            screen.line(Tone::Warning, &format!("{path}: the symbolic link to {leads} is missing"));
        }
    }
    let wanted = files.layout().wanted();
    let meter = Meter::new(screen, wanted.count(), !out.is_chatty());
    signals.at_status(meter.status(out.json));
    let hashed = check(&files, wanted, 0, &|done| meter.at(done), &AtomicBool::new(false));
    screen.clear();
    let hashed = hashed?;
    let checked = by_file(&files, &hashed)?;
    let Hashed { right, untold } = &hashed;
    let whole =
        checked.iter().all(|file| file.condition == Condition::Right) && right.count() == wanted.count();
    // Only the state knows names that the user chose, so it is kept.
    let removed = if clean && whole && !files.has_chosen_names() {
        leftovers::remove(&files, storage.state_dir.as_deref())?
    } else {
        Vec::new()
    };
    let bad = wanted.iter().filter(|&piece| !right.has(piece) && !untold.has(piece));
    if out.json {
        json(&files, &checked)?;
        let line = json_line("verify")
            .text("torrent", &files.layout().metainfo().info_hash().to_string())
            .number("have", right.count().into())
            .number("of", wanted.count().into())
            .text("bad", &ranges(bad))
            .flag("good", whole)
            .number("cannot_be_told", untold.count().into())
            .text("untold", &ranges(untold.iter()));
        let removed: Vec<_> = removed.iter().map(|path| path.to_string_lossy()).collect();
        let line = match clean {
            true => line.texts("removed", removed.iter().map(|path| &**path)),
            false => line,
        };
        say(&line.seconds("took", began.elapsed()).end())?;
    } else {
        people(out, &checked)?;
        if out.is_verbose() {
            list("wrong pieces", &ranges(bad))?;
            list("pieces that extend into missing data and cannot be checked", &ranges(untold.iter()))?;
        }
        if out.verbosity > Verbosity::Quiet {
            for path in &removed {
                say(&format!("removed {}", printable(&path.to_string_lossy())))?;
            }
        }
        let name = if several { files.layout().metainfo().name() } else { "" };
        summary(out, name, &checked, &hashed, wanted.count(), began)?;
    }
    if clean && !whole && out.verbosity > Verbosity::Quiet {
        screen.line(
            Tone::Warning,
            "nothing is removed because not all data is correct; --select says which files to check",
        );
    }
    Ok(if whole { Code::OK } else { Code::CHECKSUM })
}

/// Names some pieces, if there are any.
fn list(what: &str, which: &str) -> io::Result<()> {
    if which.is_empty() { Ok(()) } else { say(&format!("{what}, counted from 0: {which}")) }
}

/// Ascending numbers in short: `0-4,7`.
fn ranges(numbers: impl Iterator<Item = u32>) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if number - *last == 1 => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let shown = ranges.into_iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    shown.collect::<Vec<_>>().join(",")
}

fn people(out: OutputSettings, checked: &[Checked]) -> io::Result<()> {
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    for file in checked {
        let said = match file.condition {
            // Correct files have lines only with -v.
            Condition::Right if out.verbosity < Verbosity::Verbose && checked.len() > 1 => continue,
            Condition::Right if out.verbosity == Verbosity::Quiet => continue,
            Condition::Right => "correct".to_owned(),
            Condition::Missing => "missing".to_owned(),
            Condition::WrongLength { found } => format!("wrong length: {found} bytes"),
            Condition::Damaged { pieces, of } => {
                format!("damaged: {pieces} of {}", units::count(of.into(), "piece"))
            }
            Condition::Untold { pieces, of } => format!(
                "cannot be checked: data is missing for {pieces} of {}",
                units::count(of.into(), "piece")
            ),
        };
        writeln!(stdout, "{}: {said}", printable(&file.path.to_string_lossy()))?;
    }
    stdout.flush()
}

fn summary(
    out: OutputSettings,
    name: &str,
    checked: &[Checked],
    hashed: &Hashed,
    of: u32,
    began: Instant,
) -> io::Result<()> {
    if out.verbosity == Verbosity::Quiet {
        return Ok(());
    }
    let right = checked.iter().filter(|file| file.condition == Condition::Right).count();
    let files = units::count(checked.len() as u64, "file");
    let pieces = units::count(of.into(), "piece");
    let took = units::took(began.elapsed());
    let untold = match hashed.untold.count() {
        0 => String::new(),
        some => format!(", {some} cannot be checked"),
    };
    let have = hashed.right.count();
    let name = if name.is_empty() { String::new() } else { format!("{}: ", printable(name)) };
    let line =
        format!("{name}{right} of {files} and {have} of {pieces} are correct{untold}, checked in {took}");
    say(&line)
}

fn json(files: &Files, checked: &[Checked]) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let metainfo = files.layout().metainfo();
    let stored: Vec<u32> = source::stored(metainfo).into_iter().map(|(index, _)| index).collect();
    for file in checked {
        let number = stored.binary_search(&file.file).map_or(0, |at| at as u64 + 1);
        let known = metainfo.files().get(file.file as usize);
        let (condition, pieces) = match file.condition {
            Condition::Right => ("right", 0),
            Condition::Missing => ("missing", 0),
            Condition::WrongLength { .. } => ("wrong_length", 0),
            Condition::Damaged { pieces, .. } => ("damaged", pieces),
            Condition::Untold { .. } => ("cannot_be_told", 0),
        };
        let line = json_line("verified_file")
            .text("torrent", &metainfo.info_hash().to_string())
            .number("index", number)
            .text("path", &known.map(|known| known.path().to_string_lossy().into_owned()).unwrap_or_default())
            .number("size", known.map_or(0, |known| known.length))
            .text("condition", condition)
            .number("bad_pieces", pieces.into());
        let line = match file.condition {
            Condition::Untold { pieces, .. } => line.number("cannot_be_told", pieces.into()),
            _ => line,
        };
        writeln!(out, "{}", line.end())?;
    }
    out.flush()
}
