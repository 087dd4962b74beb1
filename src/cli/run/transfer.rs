//! Running torrents: what `get` and `seed` have in common.
//!
//! One thread owns the run and waits in one place, for events of the client, a signal, or the next
//! time to tell something. It never decides what to download; it decides when it is enough.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use bitwren::DHT_ROUTERS;
use bitwren::{
    Client, Config, Error, ErrorKind, Event, EventKind, Events, FileSelector, Metainfo, TorrentConfig,
};

use super::given_peers;
use super::given_peers::Given;
use super::hook::Hook;
use super::job::{Job, Stage};
use super::leftovers;
use super::reporter::Reporter;
use super::signals::Signals;
use super::source;
use super::source::{TorrentSource, Way};
use super::{hidden_names, silence, state_home};
use crate::cli::args::settings::Seeding;
use crate::cli::args::settings::Settings;
use crate::cli::exit::ExitStatus;
use crate::cli::exit::{Code, Failure};
use crate::cli::output::screen::Tone;
use crate::cli::output::screen::Verbosity;
use crate::cli::output::streams;

/// How long a torrent that was told to end may take to say that it did.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long the last events may take to come through.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// Events that wait to be told; what waits beyond that waits in the client's own queue, which drops the
/// oldest.
const QUEUE: usize = 256;

/// Something to act on.
enum Wake {
    Event(Event),
    Interrupted,
    /// A line about where the run stands is asked for.
    Status,
    /// So many events of the client were dropped.
    Dropped(u64),
    /// The client has ended and there are no more events.
    Ended,
}

/// How a run ended.
enum End {
    /// Every torrent is over.
    Over,
    Interrupted,
    OutOfTime,
    /// Standard output failed.
    Output(io::Error),
}

/// A torrent that was read, or the link that names one.
pub struct Loaded {
    pub given: OsString,
    pub named: TorrentSource,
    pub select: Option<Vec<u32>>,
}

/// Reads the torrents; those that cannot be read are told and left out.
pub fn load_all(
    operands: Vec<OsString>,
    settings: &Settings,
    reporter: &Reporter,
    exit_status: &mut ExitStatus,
) -> Result<Vec<Loaded>, Failure> {
    let mut loaded: Vec<Loaded> = Vec::new();
    for given in operands {
        let read = source::name(&given, Way::of(settings)).and_then(|named| {
            let select = match &named {
                TorrentSource::Torrent(metainfo) => source::selected(metainfo, &settings.select)?,
                TorrentSource::Magnet(_) => None,
            };
            Ok(Loaded { given, named, select })
        });
        match read {
            Ok(new) if loaded.iter().any(|old| old.named.info_hash() == new.named.info_hash()) => {
                reporter.milestone(Tone::Warning, format!("{} is given twice", new.named.name()));
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

/// A run.
pub struct Transfer {
    client: Client,
    jobs: Vec<Job>,
    seeding: Seeding,
    reporter: Reporter,
    exit_status: ExitStatus,
    inbox: Receiver<Wake>,
    /// A signal asked for the end.
    interrupted: Arc<AtomicBool>,
    signals: Signals,
    on_complete: Option<OsString>,
    hooks: Vec<(String, Hook)>,
    deadline: Option<Instant>,
    /// The patterns of `--select`, for magnet links.
    patterns: Vec<String>,
    state_dir: Option<PathBuf>,
    /// What is done with the metadata of a magnet link where that is all that is wanted.
    harvest: Option<Harvest>,
    /// Whether a signal is the only end there is, so that it is as good as any.
    endless: bool,
}

/// Takes the metadata of a magnet link, and which files of it are wanted.
pub type Harvest = Box<dyn FnMut(&Metainfo, Option<&[u32]>) -> Result<(), Failure>>;

impl Transfer {
    /// Starts the client and adds the torrents. `adapt` has the last word on their settings.
    pub fn start(
        loaded: Vec<Loaded>,
        settings: &Settings,
        seeding: Seeding,
        reporter: Reporter,
        exit_status: ExitStatus,
        signals: &Signals,
        adapt: impl Fn(TorrentConfig) -> TorrentConfig,
    ) -> Result<Transfer, Failure> {
        let mut given = Given::of(&settings.peers);
        if !loaded.iter().all(|one| given_peers::has_others(&one.named, settings, seeding)) {
            given.look_up()?;
        }
        let (sender, inbox) = sync_channel(QUEUE);
        let interrupted = Arc::new(AtomicBool::new(false));
        let (interrupt, noted) = (sender.clone(), interrupted.clone());
        signals.at_first(move || {
            // Where the queue is full the run looks at the flag after the next event.
            noted.store(true, Ordering::Relaxed);
            let _ = interrupt.try_send(Wake::Interrupted);
        });
        // From when it listens on, a signal finds a run to end.
        let client = Client::start(client_config(settings, loaded.len()))?;
        streams::detach().map_err(Failure::no_thread)?;
        let status = sender.clone();
        signals.at_status(move || drop(status.try_send(Wake::Status)));
        pump(client.events(), sender, settings.json && settings.verbosity == Verbosity::Verbose)?;
        reporter.listening(client.port(), settings.port).map_err(cut_off)?;
        let mut transfer = Transfer {
            client,
            jobs: Vec::new(),
            seeding,
            reporter,
            exit_status,
            inbox,
            interrupted,
            signals: signals.clone(),
            on_complete: settings.on_complete.clone(),
            hooks: Vec::new(),
            deadline: settings.max_time.and_then(|time| Instant::now().checked_add(time)),
            patterns: settings.select.clone(),
            state_dir: settings.state_dir.clone(),
            harvest: None,
            endless: false,
        };
        for one in loaded {
            let alone = silence::nobody_to_ask(&one.named, settings);
            let named = one.named.clone();
            let config = adapt(torrent_config(settings, &one, given.clone(), seeding));
            transfer.add(one, config, settings.dir.clone()).map_err(cut_off)?;
            if let Some(warning) = alone {
                transfer.reporter.alone(&named, &warning).map_err(cut_off)?;
            }
        }
        Ok(transfer)
    }

    fn add(&mut self, one: Loaded, config: TorrentConfig, dir: PathBuf) -> io::Result<()> {
        let added = match &one.named {
            TorrentSource::Torrent(metainfo) => self.client.add(metainfo.clone(), config),
            TorrentSource::Magnet(magnet) => self.client.add_magnet(magnet.clone(), config),
        };
        match added {
            Ok(torrent) => {
                let mut job = Job::new(torrent, one.given, one.named, dir);
                if let TorrentSource::Torrent(metainfo) = &job.named {
                    let metainfo = metainfo.clone();
                    job.learn(&metainfo, one.select.as_deref());
                    self.reporter.added(&job)?;
                } else {
                    self.reporter.asking(&job)?;
                }
                self.jobs.push(job);
                Ok(())
            }
            Err(error) => {
                let failure = Failure::from(error);
                self.exit_status.failed(failure.code);
                self.reporter.failure(failure.code, failure.why.as_deref().unwrap_or_default())
            }
        }
    }

    /// Only the metadata of magnet links is wanted, for this.
    pub fn only_metadata(mut self, harvest: Harvest) -> Self {
        (self.harvest, self.on_complete) = (Some(harvest), None);
        self
    }

    /// The run has no end of its own: a signal ends it, and that is no failure.
    pub fn until_signalled(mut self) -> Self {
        self.endless = true;
        self
    }

    /// Runs to the end, whichever comes.
    pub fn run(mut self) -> Result<Code, Failure> {
        let end = self.wait().unwrap_or_else(End::Output);
        let interrupted = matches!(end, End::Interrupted);
        match &end {
            End::Over => {}
            End::Interrupted => {
                self.reporter.milestone(Tone::Plain, "stopping; a second signal quits at once".to_owned());
                if !self.endless {
                    self.exit_status.failed(Code::INTERRUPTED);
                }
            }
            End::OutOfTime if self.jobs.iter().all(|job| job.finished.is_some()) => {}
            End::OutOfTime => {
                // Where a full disk is what took the time, that is the answer.
                let code = self.jobs.iter().find_map(|job| job.waiting).unwrap_or(Code::TIME_OUT);
                self.reporter.failure(code, "--max-time has passed")?;
                self.exit_status.failed(code);
            }
            End::Output(_) => {}
        }
        self.reporter.screen.clear();
        self.client.shutdown();
        let told = match end {
            // Nobody is listening any more.
            End::Output(error) => Err(error),
            _ => {
                let (seeded, state_dir) = (self.seeding.wanted, self.state_dir.as_deref());
                close(&self.jobs, &self.inbox, &self.reporter, seeded, self.harvest.is_some(), state_dir)
            }
        };
        for job in &mut self.jobs {
            self.hooks.extend(hook(self.on_complete.as_ref(), job));
        }
        for (name, hook) in self.hooks {
            let (exit, warning) = hook.wait();
            // A download is no less complete for what its hook did.
            let _ = self.reporter.hook(&name, exit, warning);
        }
        let patience = if interrupted { streams::DRAIN_IN_HURRY } else { streams::DRAIN };
        told.and(streams::drain(patience)).map_err(cut_off)?;
        Ok(self.exit_status.code())
    }

    /// Waits until every torrent is over or something ends the run.
    fn wait(&mut self) -> Result<End, io::Error> {
        let interval = self.reporter.interval();
        let mut next = interval.map(|interval| Instant::now() + interval);
        let mut patience = None;
        while self.jobs.iter().any(|job| job.stage != Stage::Ended) {
            if self.jobs.iter().all(|job| job.stage != Stage::Running) {
                let until = *patience.get_or_insert_with(|| Instant::now() + PATIENCE);
                if Instant::now() >= until {
                    break;
                }
            }
            let wake = next.into_iter().chain(self.deadline).chain(patience).min();
            match self.receive(wake) {
                Ok(Wake::Event(event)) => self.on_event(&event)?,
                Ok(Wake::Interrupted) => {}
                Ok(Wake::Dropped(events)) => self.reporter.dropped(events)?,
                Ok(Wake::Status) => self.reporter.status(&self.jobs)?,
                Ok(Wake::Ended) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.interrupted.load(Ordering::Relaxed) {
                return Ok(End::Interrupted);
            }
            let now = Instant::now();
            if self.deadline.is_some_and(|deadline| now >= deadline) {
                return Ok(End::OutOfTime);
            }
            if let (Some(interval), true) = (interval, next.is_some_and(|next| now >= next)) {
                next = Some(now + interval);
                streams::check()?;
                self.reporter.tick(&self.jobs, now)?;
                if let Some(status) = self.client.dht() {
                    self.reporter.dht(status, now)?;
                }
            }
        }
        Ok(End::Over)
    }

    fn receive(&self, until: Option<Instant>) -> Result<Wake, RecvTimeoutError> {
        match until {
            Some(until) => self.inbox.recv_timeout(until.saturating_duration_since(Instant::now())),
            None => self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn on_event(&mut self, event: &Event) -> io::Result<()> {
        let Some(job) = self.jobs.iter_mut().find(|job| job.torrent.info_hash() == event.torrent) else {
            return Ok(());
        };
        if let EventKind::PeerConnected { peer, incoming } = event.what {
            job.met(peer, incoming);
        }
        let news = job.is_news(&event.what);
        self.reporter.event(job, event, news)?;
        match &event.what {
            EventKind::Metadata { .. } => {
                let (Some(metainfo), TorrentSource::Magnet(magnet)) = (job.torrent.metainfo(), &job.named)
                else {
                    return Ok(());
                };
                // What it cannot be is told by the torrent, which has failed.
                let select = source::chosen(&metainfo, &self.patterns, magnet).unwrap_or_default();
                job.learn(&metainfo, select.as_deref());
                let Some(harvest) = &mut self.harvest else { return self.reporter.added(job) };
                job.finished = Some(Duration::ZERO);
                self.reporter.screen.clear();
                streams::drain(streams::DRAIN_IN_HURRY)?;
                // It waits for its reader, and there is nothing to save: a signal ends it at once.
                let harvested = self.signals.at_once(|| harvest(&metainfo, select.as_deref()));
                if let Err(failure) = harvested {
                    self.exit_status.failed(failure.code);
                    self.reporter.failure(failure.code, failure.why.as_deref().unwrap_or_default())?;
                }
            }
            EventKind::Finished { took } if job.finished.is_none() => {
                job.finished = Some(*took);
                if self.seeding.wanted {
                    self.hooks.extend(hook(self.on_complete.as_ref(), job));
                } else {
                    job.end();
                }
            }
            EventKind::StorageFailed { kind, .. } => job.waiting = Some(Code::of(*kind)),
            EventKind::StorageRecovered => job.waiting = None,
            EventKind::Failed { kind, .. } => {
                self.exit_status.failed(Code::of(*kind));
                job.failed = true;
                job.end();
            }
            // It ends by itself; it may be over before the other torrents are.
            EventKind::SeedingDone { .. } => job.stage = Stage::Ending,
            EventKind::Stopped => {
                // Where nothing is seeded the files are let go of before the command runs.
                self.hooks.extend(hook(self.on_complete.as_ref(), job));
                job.stage = Stage::Ended;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Standard output failed before the end: where nobody reads it any more that is as good as an
/// interrupt.
fn cut_off(error: io::Error) -> Failure {
    let failure = Failure::from(error);
    if failure.why.is_some() { failure } else { Failure::told(Code::INTERRUPTED) }
}

/// Starts the command for a torrent that is complete, once.
fn hook(command: Option<&OsString>, job: &mut Job) -> Option<(String, Hook)> {
    let command = command.filter(|_| job.finished.is_some() && !job.hooked)?;
    job.hooked = true;
    Some((job.name.clone(), Hook::start(command.clone(), job.facts())?))
}

/// Tells what is left to tell once the client has ended.
fn close(
    jobs: &[Job],
    inbox: &Receiver<Wake>,
    reporter: &Reporter,
    seeded: bool,
    only_metadata: bool,
    state_dir: Option<&Path>,
) -> io::Result<()> {
    loop {
        let event = match inbox.recv_timeout(LAST_WORDS) {
            Ok(Wake::Event(event)) => event,
            Ok(Wake::Ended) | Err(_) => break,
            Ok(_) => continue,
        };
        if let Some(job) = jobs.iter().find(|job| job.torrent.info_hash() == event.torrent) {
            reporter.event(job, &event, false)?;
        }
    }
    // Who wanted the metadata alone has it, or has been told why not.
    let jobs = jobs.iter().filter(|_| !only_metadata);
    jobs.into_iter().try_for_each(|job| {
        // What was seeded is to be seeded again.
        let left = if seeded { Vec::new() } else { leftovers::of(job, state_dir) };
        reporter.ended(job, seeded, &left)
    })
}

/// Hands the events of the client on to the run, on a thread that ends with the program.
fn pump(events: Events, to: SyncSender<Wake>, pieces: bool) -> Result<(), Failure> {
    let hand_on = move || {
        let mut dropped = 0;
        loop {
            let event = events.recv();
            let more = events.dropped() - dropped;
            if more > 0 && to.send(Wake::Dropped(more)).is_err() {
                return;
            }
            dropped += more;
            match event {
                // There may be millions of them.
                Ok(Event { what: EventKind::Piece { .. }, .. }) if !pieces => {}
                Ok(event) => {
                    if to.send(Wake::Event(event)).is_err() {
                        return;
                    }
                }
                Err(_) => {
                    let _ = to.send(Wake::Ended);
                    return;
                }
            }
        }
    };
    let thread = std::thread::Builder::new().name("events".into()).stack_size(64 << 10).spawn(hand_on);
    thread.map(drop).map_err(Failure::no_thread)
}

fn client_config(settings: &Settings, torrents: usize) -> Config {
    let several = if torrents > 1 { 2 } else { 1 };
    let config = Config::default()
        .bind(settings.bind)
        .pex(settings.pex)
        .max_peers((settings.max_peers * several).min(10_000))
        .max_memory(settings.max_memory)
        .max_active(settings.jobs)
        .lsd(settings.lsd)
        .down_limit(settings.down)
        .up_limit(settings.up)
        .dht(settings.dht)
        .dht_nodes(settings.dht_nodes.iter().map(String::as_str).chain(DHT_ROUTERS))
        .dht_state(state_home::dht_nodes(settings))
        .dht_read_only(settings.metadata_only);
    match settings.port {
        Some(port) => config.port(port).port_required(true),
        None => config,
    }
}

/// What settles the files to download once the metadata of a magnet link is there.
fn file_selector(settings: &Settings, one: &Loaded) -> Option<FileSelector> {
    let TorrentSource::Magnet(magnet) = &one.named else { return None };
    let (settings, magnet) = (settings.clone(), magnet.clone());
    Some(FileSelector::new(move |metainfo| {
        hidden_names::check(metainfo, &settings)?;
        let chosen = source::chosen(metainfo, &settings.select, &magnet);
        chosen.map_err(|failure| Error::new(ErrorKind::Argument, failure.why.unwrap_or_default()))
    }))
}

fn torrent_config(settings: &Settings, one: &Loaded, given: Given, seeding: Seeding) -> TorrentConfig {
    let config = TorrentConfig::default()
        .dir(settings.dir.clone())
        .state_dir(settings.state_dir.clone())
        .resume(settings.resume)
        .select(one.select.clone())
        .rename(settings.rename.clone())
        .max_peers(settings.max_peers)
        .peers(given.addresses)
        .peer_names(given.names)
        .trackers(settings.trackers.clone())
        .use_trackers(settings.use_trackers)
        .upload_slots(settings.upload_slots)
        .seed(seeding.wanted)
        .file_selector(file_selector(settings, one));
    // Where nothing is seeded the run ends a torrent that is complete; that is no limit.
    if !seeding.wanted {
        return config;
    }
    config.seed_ratio(seeding.ratio).seed_time(seeding.time).seed_idle(seeding.idle)
}
