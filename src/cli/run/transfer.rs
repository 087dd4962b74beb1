//! A run of torrents: what `get` and `seed` have in common.
//!
//! One thread owns the run and waits in one place: the inbox, until the next time to report. It never
//! decides what to download; it decides when the run ends.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bitwren::{Client, Event, EventKind, Metainfo, TorrentConfig};

use super::blocklist::{self, Lists};
use super::hook::Hook;
use super::inbox::{Inbox, Wake};
use super::job::{Job, Stage};
use super::load::Loaded;
use super::reporter::Reporter;
use super::signals::Signals;
use super::source::TorrentSource;
use super::{client_config, given_peers, leftovers, silence, source};
use crate::cli::args::settings::{Seeding, TransferSettings};
use crate::cli::exit::{Code, ExitStatus, Failure};
use crate::cli::output::screen::Tone;
use crate::cli::output::streams;

/// How long a torrent that was told to end may take to confirm it.
const STOP_TIMEOUT: Duration = Duration::from_secs(4);
/// How long the last events of a client that was shut down may take to arrive.
const LAST_EVENTS: Duration = Duration::from_millis(100);

/// What only a transfer listens to: lists that were read again.
type Reread = Result<Lists, Failure>;

/// What a run is for.
pub enum Goal {
    /// The data of the torrents, and seeding at the end if it is wanted.
    Data(Seeding),
    /// Only the metadata of magnet links.
    Metadata(MetadataSink),
}

/// Takes the metadata of a magnet link, and which of its files are selected.
pub type MetadataSink = Box<dyn FnMut(&Metainfo, Option<&[u32]>) -> Result<(), Failure>>;

/// How a run ended.
enum End {
    /// Every torrent has ended.
    Over,
    Interrupted,
    OutOfTime,
    /// Standard output failed.
    Output(io::Error),
}

/// A run.
pub struct Transfer {
    client: Client,
    jobs: Vec<Job>,
    goal: Goal,
    reporter: Reporter,
    exit_status: ExitStatus,
    inbox: Inbox<Reread>,
    signals: Signals,
    on_complete: Option<OsString>,
    hooks: Vec<(String, Hook)>,
    deadline: Option<Instant>,
    /// The value of `--select`, for magnet links.
    patterns: Vec<String>,
    state_dir: Option<PathBuf>,
    /// Whether only a signal ends the run, so that one is no failure.
    endless: bool,
}

impl Transfer {
    /// Starts the client and adds the torrents. `adapt` has the last word on their settings.
    pub fn start(
        loaded: Vec<Loaded>,
        settings: &TransferSettings,
        goal: Goal,
        reporter: Reporter,
        exit_status: ExitStatus,
        signals: &Signals,
        adapt: impl Fn(TorrentConfig) -> TorrentConfig,
    ) -> Result<Transfer, Failure> {
        let seeding = goal.seeding();
        let mut given = given_peers::GivenPeers::of(&settings.sources.peers);
        // With a device, names are looked up where it is watched.
        let is_free = settings.egress.device.is_none() && settings.egress.proxy_of_peers().is_none();
        if is_free
            && !loaded.iter().all(|one| given_peers::has_others(&one.source, &settings.sources, seeding))
        {
            given.look_up()?;
        }
        let filter = settings.filter.clone();
        let lists = blocklist::read_all(&filter)?;
        let inbox = Inbox::new();
        // A signal ends the run in good order from when the client listens.
        inbox.end_at(signals);
        let client = Client::start(client_config::of_client(
            settings,
            lists.filter.clone(),
            loaded.len(),
            goal.is_metadata(),
        ))?;
        streams::detach().map_err(Failure::no_thread)?;
        inbox.report_at(signals);
        if !filter.blocklists.is_empty() {
            inbox.reload_at(signals, "blocklist", move || blocklist::read_again(&filter))?;
        }
        inbox.hand_on_events(client.events(), reporter.wants_pieces())?;
        if settings.egress.proxy_of_peers().is_none() {
            reporter.listening(client.port(), settings.listen.port).map_err(cut_off)?;
        }
        reporter.blocklists(&lists.read).map_err(cut_off)?;
        for peer in given.addresses.iter().filter(|peer| lists.filter.blocks(peer.ip())) {
            let what = "is blocked by --blocklist or --allow and not connected to; --allow permits it";
            reporter.warning(format!("--peer {peer} {what}")).map_err(cut_off)?;
        }
        let mut transfer = Transfer {
            client,
            jobs: Vec::new(),
            on_complete: settings.on_complete.clone().filter(|_| !goal.is_metadata()),
            goal,
            reporter,
            exit_status,
            inbox,
            signals: signals.clone(),
            hooks: Vec::new(),
            deadline: settings.max_time.and_then(|time| Instant::now().checked_add(time)),
            patterns: settings.storage.select.clone(),
            state_dir: settings.storage.state_dir.clone(),
            endless: false,
        };
        for one in loaded {
            let warning = silence::without_sources(&one.source, &settings.sources);
            let source = one.source.clone();
            let config = adapt(client_config::of_torrent(settings, &one, given.clone(), seeding));
            transfer.add(one, config, settings.storage.dir.clone()).map_err(cut_off)?;
            if let Some(warning) = warning {
                transfer.reporter.without_sources(&source, &warning).map_err(cut_off)?;
            }
        }
        Ok(transfer)
    }

    fn add(&mut self, one: Loaded, config: TorrentConfig, dir: PathBuf) -> io::Result<()> {
        let added = match &one.source {
            TorrentSource::Torrent(metainfo) => self.client.add(metainfo.clone(), config),
            TorrentSource::Magnet(magnet) => self.client.add_magnet(magnet.clone(), config),
        };
        match added {
            Ok(torrent) => {
                let mut job = Job::new(torrent, one.given, one.source, dir);
                if let TorrentSource::Torrent(metainfo) = &job.source {
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

    /// The run has no end of its own: a signal ends it, and that is no failure.
    pub fn until_signalled(mut self) -> Self {
        self.endless = true;
        self
    }

    /// Runs until everything is done or something ends it.
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
                // If a full disk is what took the time, that is the reason.
                let code = self.jobs.iter().find_map(|job| job.waiting).unwrap_or(Code::TIME_OUT);
                self.reporter.failure(code, "--max-time has passed")?;
                self.exit_status.failed(code);
            }
            End::Output(_) => {}
        }
        let Transfer { client, mut jobs, goal, reporter, inbox, on_complete, mut hooks, .. } = self;
        reporter.screen.clear();
        let refused = client.refused_connections();
        client.shutdown();
        let closed = match end {
            End::Output(error) => Err(error),
            _ => reporter.refused(refused).and(close(
                &jobs,
                &goal,
                &inbox,
                &reporter,
                self.state_dir.as_deref(),
            )),
        };
        for job in &mut jobs {
            hooks.extend(hook(on_complete.as_ref(), job));
        }
        for (name, hook) in hooks {
            let (exit, warning) = hook.wait();
            // A failing hook makes a download no less complete.
            let _ = reporter.hook(&name, exit, warning);
        }
        let limit = if interrupted { streams::DRAIN_IN_HURRY } else { streams::DRAIN };
        closed.and(streams::drain(limit)).map_err(cut_off)?;
        Ok(self.exit_status.code())
    }

    /// Waits until every torrent has ended or something ends the run.
    fn wait(&mut self) -> io::Result<End> {
        let interval = self.reporter.interval();
        let mut next = interval.map(|interval| Instant::now() + interval);
        let mut stop_by = None;
        while self.jobs.iter().any(|job| job.stage != Stage::Ended) {
            if self.jobs.iter().all(|job| job.stage != Stage::Running) {
                let until = *stop_by.get_or_insert_with(|| Instant::now() + STOP_TIMEOUT);
                if Instant::now() >= until {
                    break;
                }
            }
            let wake = self.inbox.wait(next.into_iter().chain(self.deadline).chain(stop_by).min());
            match wake {
                Some(Wake::Event(event)) => self.on_event(&event)?,
                Some(Wake::Dropped(events)) => self.reporter.dropped(events)?,
                Some(Wake::Status) => self.reporter.status(&self.jobs)?,
                Some(Wake::Other(reread)) => self.on_reread(reread)?,
                Some(Wake::Ended) => break,
                Some(Wake::Interrupted) | None => {}
            }
            if self.inbox.is_interrupted() {
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
                if let Some(status) = self.client.port_map() {
                    self.reporter.port_map(status)?;
                }
            }
        }
        Ok(End::Over)
    }

    /// The lists of blocked addresses were read again.
    fn on_reread(&mut self, reread: Reread) -> io::Result<()> {
        match reread {
            Ok(lists) => {
                self.client.set_filter(lists.filter);
                self.reporter.blocklists_again(&lists.read)
            }
            Err(failure) => {
                let why = failure.why.unwrap_or_default();
                self.reporter.warning(format!("{why}; what was blocked before stays blocked"))
            }
        }
    }

    fn on_event(&mut self, event: &Event) -> io::Result<()> {
        if self.reporter.network(&event.what)? {
            return Ok(());
        }
        let Some(job) = self.jobs.iter_mut().find(|job| job.torrent.info_hash() == event.torrent) else {
            return Ok(());
        };
        if let EventKind::PeerConnected { peer, incoming, .. } = event.what {
            job.met(peer, incoming);
        }
        let news = job.is_new(&event.what);
        self.reporter.event(job, event, news)?;
        match &event.what {
            EventKind::Metadata { .. } => return self.on_metadata(event),
            EventKind::Finished { took } if job.finished.is_none() => {
                job.finished = Some(*took);
                if self.goal.seeding().wanted {
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
            // The torrent ends by itself, perhaps before the others do.
            EventKind::SeedingDone { .. } => job.stage = Stage::Ending,
            EventKind::Stopped => {
                // Without seeding, the command runs once the files are closed.
                self.hooks.extend(hook(self.on_complete.as_ref(), job));
                job.stage = Stage::Ended;
            }
            _ => {}
        }
        Ok(())
    }

    /// The metadata of a magnet link is known.
    fn on_metadata(&mut self, event: &Event) -> io::Result<()> {
        let Some(job) = self.jobs.iter_mut().find(|job| job.torrent.info_hash() == event.torrent) else {
            return Ok(());
        };
        let (Some(metainfo), TorrentSource::Magnet(magnet)) = (job.torrent.metainfo(), &job.source) else {
            return Ok(());
        };
        // A selection that matches nothing has failed the torrent, which reports it.
        let select = source::chosen(&metainfo, &self.patterns, magnet).unwrap_or_default();
        job.learn(&metainfo, select.as_deref());
        let Goal::Metadata(sink) = &mut self.goal else { return self.reporter.added(job) };
        job.finished = Some(Duration::ZERO);
        self.reporter.screen.clear();
        streams::drain(streams::DRAIN_IN_HURRY)?;
        // The sink waits for its reader, and there is nothing to save: a signal ends the run at once.
        if let Err(failure) = self.signals.at_once(|| sink(&metainfo, select.as_deref())) {
            self.exit_status.failed(failure.code);
            self.reporter.failure(failure.code, failure.why.as_deref().unwrap_or_default())?;
        }
        Ok(())
    }
}

/// Reports what is left to report once the client has ended.
fn close(
    jobs: &[Job],
    goal: &Goal,
    inbox: &Inbox<Reread>,
    reporter: &Reporter,
    state_dir: Option<&Path>,
) -> io::Result<()> {
    while let Some(wake) = inbox.wait(Some(Instant::now() + LAST_EVENTS)) {
        match wake {
            Wake::Event(event) => {
                if let Some(job) = jobs.iter().find(|job| job.torrent.info_hash() == event.torrent) {
                    reporter.event(job, &event, false)?;
                }
            }
            Wake::Ended => break,
            _ => {}
        }
    }
    // If only the metadata was wanted, everything has been reported.
    if goal.is_metadata() {
        return Ok(());
    }
    let seeded = goal.seeding().wanted;
    jobs.iter().try_for_each(|job| {
        // What was seeded will be seeded again: nothing of it is a leftover.
        let left = if seeded { Vec::new() } else { leftovers::of(job, state_dir) };
        reporter.ended(job, seeded, &left)
    })
}

impl Goal {
    fn seeding(&self) -> Seeding {
        match self {
            Goal::Data(seeding) => *seeding,
            Goal::Metadata(_) => Seeding::default(),
        }
    }

    fn is_metadata(&self) -> bool {
        matches!(self, Goal::Metadata(_))
    }
}

/// Standard output failed before the end. A reader that is gone counts as an interrupt.
fn cut_off(error: io::Error) -> Failure {
    let failure = Failure::from(error);
    if failure.why.is_some() { failure } else { Failure::reported(Code::INTERRUPTED) }
}

/// Starts the command for a torrent that is complete, once.
fn hook(command: Option<&OsString>, job: &mut Job) -> Option<(String, Hook)> {
    let command = command.filter(|_| job.finished.is_some() && !job.hooked)?;
    job.hooked = true;
    Some((job.name.clone(), Hook::start(command.clone(), job.facts())?))
}
