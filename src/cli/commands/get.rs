//! `get`: downloads torrents, lists their files, or saves the .torrent of a magnet link.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use bitwren::{Allocation, Existing, Metainfo, TorrentConfig};

use crate::cli::args::parse::Invocation;
use crate::cli::args::settings::{
    GetSettings, OutputSettings, Seeding, Settings, StorageSettings, TransferSettings, WriteSettings,
};
use crate::cli::exit::{Code, ExitStatus, Failure};
use crate::cli::files::atomic_write;
use crate::cli::files::atomic_write::OutputFile;
use crate::cli::output::json::json_line;
use crate::cli::output::screen::{Screen, Tone};
use crate::cli::output::streams::say;
use crate::cli::output::text::printable;
use crate::cli::output::units;
use crate::cli::run::client_config;
use crate::cli::run::hidden_names;
use crate::cli::run::load::{Loaded, load_all};
use crate::cli::run::precheck::{check_renaming, check_stdin};
use crate::cli::run::reporter::Reporter;
use crate::cli::run::signals::Signals;
use crate::cli::run::source;
use crate::cli::run::source::TorrentSource;
use crate::cli::run::transfer::{Goal, Transfer};

/// What is done with a torrent instead of a download: its files are listed, its `.torrent` is saved.
struct Inspection {
    output: OutputSettings,
    write: WriteSettings,
    dir: PathBuf,
    list: bool,
    save: bool,
    /// The file to save, if it is known before the metadata.
    file: Option<OutputFile>,
    /// Whether the lists of several torrents have to be told apart.
    several: bool,
}

/// Runs the command.
pub fn run(invocation: Invocation, signals: &Signals) -> Result<Code, Failure> {
    let Invocation { settings, operands, .. } = invocation;
    let Settings { output, transfer, write, get, .. } = settings;
    check_stdin(&operands)?;
    let file = check_output(&transfer.storage, &write, &get, output.json, operands.len())?;
    let reporter = Reporter::of_a_run(output, &transfer, operands.len());
    let mut exit_status = ExitStatus::default();
    check_renaming(&transfer.storage, operands.len())?;
    let storage = &transfer.storage;
    let options = &client_config::of_network(&transfer);
    reporter.proxied(&transfer.egress)?;
    let mut loaded = load_all(operands, &storage.select, options, &reporter, &mut exit_status)?;
    if get.list || get.metadata_only {
        let (list, save, several) = (get.list, get.metadata_only, loaded.len() > 1);
        let dir = storage.dir.clone();
        let inspection = Inspection { output, write, dir, list, save, file, several };
        return inspect(loaded, inspection, transfer, reporter, exit_status, signals);
    }
    if !transfer.allow_hidden {
        refuse_hidden(&mut loaded, storage, &reporter, &mut exit_status)?;
    }
    if loaded.is_empty() {
        return Ok(exit_status.code());
    }
    let goal = Goal::Data(Seeding::new(get.seed, transfer.seed_limits));
    let run = Transfer::start(loaded, &transfer, goal, reporter, exit_status, signals, |config| {
        let allocation = if get.allocate { Allocation::Full } else { Allocation::Sparse };
        let existing = if write.overwrite { Existing::Overwrite } else { Existing::Check };
        config.sequential(get.sequential).allocation(allocation).existing(existing)
    })?;
    run.run()
}

/// Leaves out, and reports, torrents that would create hidden names in a home directory. Those of magnet
/// links are checked once their metadata is known.
fn refuse_hidden(
    loaded: &mut Vec<Loaded>,
    storage: &StorageSettings,
    reporter: &Reporter,
    exit_status: &mut ExitStatus,
) -> io::Result<()> {
    let mut reported = Ok(());
    loaded.retain(|one| {
        let TorrentSource::Torrent(metainfo) = &one.source else { return true };
        let Err(error) = hidden_names::check(metainfo, storage) else { return true };
        let code = Code::of(error.kind());
        exit_status.failed(code);
        let again = reporter.failure(code, &format!("{}: {error}", metainfo.name()));
        reported = std::mem::replace(&mut reported, Ok(())).and(again);
        false
    });
    reported
}

/// Lists files or saves `.torrent` files; for a magnet link, once its metadata has been fetched.
fn inspect(
    loaded: Vec<Loaded>,
    mut inspection: Inspection,
    mut transfer: TransferSettings,
    reporter: Reporter,
    mut exit_status: ExitStatus,
    signals: &Signals,
) -> Result<Code, Failure> {
    let (whole, links): (Vec<Loaded>, Vec<Loaded>) =
        loaded.into_iter().partition(|one| matches!(one.source, TorrentSource::Torrent(_)));
    for one in &whole {
        let TorrentSource::Torrent(metainfo) = &one.source else { continue };
        if let Err(Failure { code, why: Some(why) }) = inspection.of(metainfo, one.select.as_deref()) {
            exit_status.failed(code);
            reporter.failure(code, &why)?;
        }
    }
    if links.is_empty() {
        return Ok(exit_status.code());
    }
    // No file of the torrent is created.
    transfer.allow_hidden = true;
    // Standard output is for the .torrent.
    let reporter = if inspection.writes_to_stdout() { reporter.without_json() } else { reporter };
    let only = |config: TorrentConfig| config.metadata_only(true);
    let sink = move |metainfo: &Metainfo, select: Option<&[u32]>| inspection.of(metainfo, select);
    let goal = Goal::Metadata(Box::new(sink));
    Transfer::start(links, &transfer, goal, reporter, exit_status, signals, only)?.run()
}

impl Inspection {
    fn writes_to_stdout(&self) -> bool {
        self.write.output.as_deref().is_some_and(atomic_write::is_stdout)
    }

    /// Does for one torrent what was asked for.
    fn of(&mut self, metainfo: &Metainfo, select: Option<&[u32]>) -> Result<(), Failure> {
        if self.list {
            list(metainfo, select, self.several, self.output.json)?;
        }
        if self.save { self.save(metainfo) } else { Ok(()) }
    }

    /// Writes the `.torrent` to the prepared file, or else under its name in the directory.
    fn save(&mut self, metainfo: &Metainfo) -> Result<(), Failure> {
        let dir = self.write.output.as_deref().unwrap_or(&self.dir);
        let named =
            || OutputFile::prepare(dir, &atomic_write::torrent_name(metainfo.name()), self.write.overwrite);
        let file = self.file.take().map_or_else(named, Ok)?;
        let (path, to_stdout) = (file.shown().to_owned(), file.is_stdout());
        file.write(&metainfo.to_bytes())?;
        if to_stdout {
            return Ok(());
        }
        if self.output.json {
            let line = json_line("saved").text("torrent", &metainfo.info_hash().to_string());
            say(&line.text("name", metainfo.name()).text("path", &path.to_string_lossy()).end())?;
        } else if self.output.is_chatty() {
            Screen::new().line(Tone::Good, &format!("{}: saved as {}", metainfo.name(), path.display()));
        }
        Ok(())
    }
}

/// Makes sure, before anything is fetched, that the result can be written. Returns the file of the
/// `.torrent` if its name is known already.
fn check_output(
    storage: &StorageSettings,
    write: &WriteSettings,
    get: &GetSettings,
    json: bool,
    operands: usize,
) -> Result<Option<OutputFile>, Failure> {
    let dir = &storage.dir;
    let Some(output) = &write.output else {
        if get.metadata_only {
            atomic_write::check_can_make(dir)?;
            let made = fs::create_dir_all(dir);
            made.map_err(|error| Failure::file(Code::MAKE_DIR, "make", dir, &error))?;
            atomic_write::check_directory(dir)?;
        } else if !get.list {
            atomic_write::check_can_make(dir)?;
            let state = storage.state_dir.as_deref().filter(|_| storage.resume);
            state.map_or(Ok(()), atomic_write::check_can_make)?;
        }
        return Ok(None);
    };
    if !get.metadata_only {
        return Err(Failure::usage("--output needs --metadata-only; --dir sets where the data goes"));
    }
    if operands > 1 && !atomic_write::is_directory(output) {
        return Err(Failure::usage("--output is for one torrent; for several give a directory"));
    }
    if atomic_write::is_stdout(output) && (json || get.list) {
        return Err(Failure::usage("--output - cannot be combined with --json or --list; give a file"));
    }
    if atomic_write::is_directory(output) {
        return atomic_write::check_directory(output).map(|()| None);
    }
    OutputFile::prepare(output, "", write.overwrite).map(Some)
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
            let line = json_line("list").text("torrent", &hash).number("index", number);
            writeln!(out, "{}", line.text("path", &path).number("size", length).end())?;
        } else {
            writeln!(out, "{number:>5}  {:>10}  {}", units::size(length), printable(&path))?;
        }
    }
    out.flush()
}
