//! `get`: downloads torrents, lists their files, or saves the .torrent of a magnet link.

use std::fs;
use std::io::{self, Write};

use bitwren::{Allocation, Existing, Metainfo, TorrentConfig};

use crate::cli::args::parse::Invocation;
use crate::cli::args::settings::Seeding;
use crate::cli::args::settings::Settings;
use crate::cli::exit::ExitStatus;
use crate::cli::exit::{Code, Failure};
use crate::cli::files::atomic_write;
use crate::cli::files::atomic_write::Deposit;
use crate::cli::output::json::Object;
use crate::cli::output::screen::Verbosity;
use crate::cli::output::screen::{Screen, Tone};
use crate::cli::output::streams::say;
use crate::cli::output::text::printable;
use crate::cli::output::units;
use crate::cli::run::hidden_names;
use crate::cli::run::precheck::{check_renaming, check_stdin};
use crate::cli::run::reporter::Reporter;
use crate::cli::run::signals::Signals;
use crate::cli::run::source;
use crate::cli::run::source::TorrentSource;
use crate::cli::run::transfer::{Loaded, Transfer, load_all};

/// Runs the command.
pub fn run(invocation: Invocation, signals: &Signals) -> Result<Code, Failure> {
    let Invocation { settings, operands, .. } = invocation;
    check_stdin(&operands)?;
    let deposit = check_output(&settings, operands.len())?;
    let reporter = Reporter::of_a_run(&settings, operands.len());
    let mut exit_status = ExitStatus::default();
    check_renaming(&settings, operands.len())?;
    let mut loaded = load_all(operands, &settings, &reporter, &mut exit_status)?;
    if settings.list || settings.metadata_only {
        return look(loaded, &settings, deposit, reporter, exit_status, signals);
    }
    refuse_hidden(&mut loaded, &settings, &reporter, &mut exit_status)?;
    if loaded.is_empty() {
        return Ok(exit_status.code());
    }
    let seeding = Seeding::new(settings.seed, &settings);
    let transfer = Transfer::start(loaded, &settings, seeding, reporter, exit_status, signals, |config| {
        let allocation = if settings.allocate { Allocation::Full } else { Allocation::Sparse };
        let existing = if settings.overwrite { Existing::Overwrite } else { Existing::Check };
        config.sequential(settings.sequential).allocation(allocation).existing(existing)
    })?;
    transfer.run()
}

/// Leaves out, and tells, torrents that must not be made where they would be. Those of magnet links are
/// looked at when it is known what is in them.
fn refuse_hidden(
    loaded: &mut Vec<Loaded>,
    settings: &Settings,
    reporter: &Reporter,
    exit_status: &mut ExitStatus,
) -> io::Result<()> {
    let mut told = Ok(());
    loaded.retain(|one| {
        let TorrentSource::Torrent(metainfo) = &one.named else { return true };
        let Err(error) = hidden_names::check(metainfo, settings) else { return true };
        let code = Code::of(error.kind());
        exit_status.failed(code);
        let again = reporter.failure(code, &format!("{}: {error}", metainfo.name()));
        told = std::mem::replace(&mut told, Ok(())).and(again);
        false
    });
    told
}

/// Lists the files, or saves the .torrent: of a magnet link, once its metadata was fetched.
fn look(
    loaded: Vec<Loaded>,
    settings: &Settings,
    mut deposit: Option<Deposit>,
    reporter: Reporter,
    mut exit_status: ExitStatus,
    signals: &Signals,
) -> Result<Code, Failure> {
    let several = loaded.len() > 1;
    let (whole, links): (Vec<Loaded>, Vec<Loaded>) =
        loaded.into_iter().partition(|one| matches!(one.named, TorrentSource::Torrent(_)));
    for one in &whole {
        let TorrentSource::Torrent(metainfo) = &one.named else { continue };
        if let Err(Failure { code, why: Some(why) }) =
            show(metainfo, one.select.as_deref(), settings, &mut deposit, several)
        {
            exit_status.failed(code);
            reporter.failure(code, &why)?;
        }
    }
    if links.is_empty() {
        return Ok(exit_status.code());
    }
    let (mut settings, seeding) = (settings.clone(), Seeding::default());
    let wants = settings.clone();
    // Nothing of the torrent is made.
    settings.allow_hidden = true;
    // Standard output is for what was asked for.
    settings.json &= !settings.output.as_deref().is_some_and(atomic_write::is_stdout);
    let only = |config: TorrentConfig| config.metadata_only(true);
    let transfer = Transfer::start(links, &settings, seeding, reporter, exit_status, signals, only)?;
    let harvest = move |metainfo: &Metainfo, select: Option<&[u32]>| {
        show(metainfo, select, &wants, &mut deposit, several)
    };
    transfer.only_metadata(Box::new(harvest)).run()
}

/// Does for one torrent what was asked for instead of a download.
fn show(
    metainfo: &Metainfo,
    select: Option<&[u32]>,
    settings: &Settings,
    deposit: &mut Option<Deposit>,
    several: bool,
) -> Result<(), Failure> {
    if settings.list {
        list(metainfo, select, several, settings.json)?;
    }
    if settings.metadata_only { save(metainfo, settings, deposit.take()) } else { Ok(()) }
}

/// Writes the .torrent where it was made sure that it can be, or else under its name in the directory.
fn save(metainfo: &Metainfo, settings: &Settings, deposit: Option<Deposit>) -> Result<(), Failure> {
    let dir = settings.output.as_deref().unwrap_or(&settings.dir);
    let named = || Deposit::prepare(dir, &atomic_write::torrent_name(metainfo.name()), settings.overwrite);
    let deposit = deposit.map_or_else(named, Ok)?;
    let (path, to_stdout) = (deposit.shown().to_owned(), deposit.is_stdout());
    deposit.write(&metainfo.to_bytes())?;
    if to_stdout {
        return Ok(());
    }
    if settings.json {
        let line = Object::line("saved").text("torrent", &metainfo.info_hash().to_string());
        say(&line.text("name", metainfo.name()).text("path", &path.to_string_lossy()).end())?;
    } else if settings.verbosity > Verbosity::Quiet {
        Screen::new().line(Tone::Good, &format!("{}: saved as {}", metainfo.name(), path.display()));
    }
    Ok(())
}

/// Makes sure that what comes of it can be written, before anything is fetched. Gives the place of the
/// .torrent, where that is known: it makes sense for one, and only where there is to be one.
fn check_output(settings: &Settings, operands: usize) -> Result<Option<Deposit>, Failure> {
    if settings.metadata_only && settings.output.is_none() {
        atomic_write::check_can_make(&settings.dir)?;
        let made = fs::create_dir_all(&settings.dir);
        made.map_err(|error| Failure::file(Code::MAKE_DIR, "make", &settings.dir, &error))?;
        atomic_write::check_directory(&settings.dir)?;
        return Ok(None);
    }
    let Some(output) = &settings.output else {
        if settings.list {
            return Ok(None);
        }
        atomic_write::check_can_make(&settings.dir)?;
        let state = settings.state_dir.as_deref().filter(|_| settings.resume);
        return state.map_or(Ok(()), atomic_write::check_can_make).map(|()| None);
    };
    if !settings.metadata_only {
        return Err(Failure::usage("--output needs --metadata-only; --dir sets where the data goes"));
    }
    if operands > 1 && !atomic_write::is_directory(output) {
        return Err(Failure::usage("--output is for one torrent; for several give a directory"));
    }
    if atomic_write::is_stdout(output) && (settings.json || settings.list) {
        return Err(Failure::usage("--output - cannot be combined with --json or --list; give a file"));
    }
    if atomic_write::is_directory(output) {
        return atomic_write::check_directory(output).map(|()| None);
    }
    Deposit::prepare(output, "", settings.overwrite).map(Some)
}

fn list(metainfo: &Metainfo, select: Option<&[u32]>, several: bool, json: bool) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    if !json && several {
        writeln!(out, "{}:", printable(metainfo.name()))?;
    }
    for (number, (index, path)) in (1u64..).zip(source::stored(metainfo)) {
        let length = metainfo.files().get(index as usize).map_or(0, |file| file.length);
        if select.is_some_and(|select| select.binary_search(&index).is_err()) {
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
    out.flush()
}
