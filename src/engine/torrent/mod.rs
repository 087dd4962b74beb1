//! The foreman: the thread of one torrent that owns every decision about it.
//!
//! It owns the pure minds of `swarm` (picker, peer list, choker) without a lock, waits in one
//! place, and never waits for a worker: orders are tried, and a worker whose queue is full is given
//! up. What it does stands in the files beside this one: [`opening`] (what there is to begin with),
//! [`admission`] (who is connected), [`choking`] (who is served), [`transfer`] (what they do),
//! [`introductions`] (who they are, and whom they know), [`discovery`] (who else looks for peers),
//! [`seeding`] (when it is enough), [`trouble`] (when storage fails) and [`closing`] (saving and ending).
//!
//! Life: check the data that is there, then download or seed until removed. A pause or a failing
//! disk empties the torrent of peers and keeps everything else.

mod admission;
mod choking;
mod closing;
pub(crate) mod discovery;
mod files_done;
mod introductions;
mod opening;
mod seeding;
pub(crate) mod trackers;
mod transfer;
mod trouble;
mod turn;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use self::admission::Peer;
use self::closing::Saving;
use self::files_done::FilesDone;
use self::trouble::Trouble;
pub(crate) use self::turn::ActiveQueue;
use self::turn::Turn;
use super::calls::Calls;
use super::conn::parked::Parked;
use super::context::{ClientShared, TorrentShared};
use super::disk::checker::Check;
use super::door::Door;
use super::inbox;
use super::inbox::{Command, ForemanInbox, ForemanSender, ToForeman};
use super::net::listener::Registry;
use super::runtime::counters::Counters;
use super::runtime::events::EventSender;
use super::runtime::ledger::Share;
use super::runtime::rate_limit::{Limiter, Limits};
use super::runtime::shutdown::FAREWELL;
use super::runtime::threads;
use super::runtime::threads::Waited;
pub(crate) use super::torrent_status::TorrentStatus;
use super::tracker::Announcer;
use crate::bitfield::Bitfield;
use crate::config::TorrentConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{EventKind, Phase};
use crate::id::TorrentKey;
use crate::job::PeerKey;
use crate::metainfo::Metainfo;
use crate::moment::Moment;
use crate::random::Random;
use crate::storage::fd_cache::FdCache;
use crate::swarm::choker::Choker;
use crate::swarm::peers::{PeerList, Source};
use crate::swarm::pex::Exchange;
use crate::swarm::picker::Picker;
use crate::swarm::superseed::SuperSeed;

/// Messages taken in before what follows from them is done.
const BATCH: usize = 256;
/// Addresses kept for a torrent whose data is not checked yet.
const MOST_EARLY: usize = 1_000;
/// How often rates are measured while bytes move.
const TICK: Duration = Duration::from_secs(1);
/// How often while the first copy is spread: by what was sent it is known who has what.
const SPREAD_TICK: Duration = Duration::from_millis(100);
/// How often to look at connected peers while none moves a byte.
const IDLE_TICK: Duration = Duration::from_secs(10);

/// What a torrent is started with, besides what it is made of, which may not be known yet.
pub(crate) struct Setup {
    pub(crate) key: TorrentKey,
    pub(crate) config: TorrentConfig,
    pub(crate) client: Arc<ClientShared>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) teller: EventSender,
    pub(crate) fds: Arc<FdCache>,
    pub(crate) hash_threads: usize,
    pub(crate) save_every: Duration,
    pub(crate) random: Random,
}

/// A started torrent, as the client holds it.
pub(crate) struct Started {
    pub(crate) foreman: ForemanSender,
    pub(crate) standing: Arc<TorrentStatus>,
    pub(crate) thread: Waited,
}

/// What a torrent takes over from the time when its metadata was fetched.
#[derive(Default)]
pub(crate) struct Handed {
    /// Everyone known, and what is held against whom.
    pub(crate) peers: Option<PeerList>,
    /// Connections to take over, and the addresses that stand for each.
    pub(crate) parked: Vec<(Vec<SocketAddr>, Parked)>,
    pub(crate) announcer: Option<Announcer>,
    pub(crate) paused: bool,
}

/// Starts the foreman.
///
/// # Errors
/// As [`threads::spawn`].
pub(crate) fn start(setup: Setup, metainfo: Arc<Metainfo>) -> Result<Started> {
    let (sender, inbox) = inbox::inbox();
    let counters = Arc::new(Counters::default());
    let standing = Arc::new(TorrentStatus::new(counters.clone()));
    standing.describe(&metainfo);
    let (foreman, shown) = (sender.clone(), standing.clone());
    let (client, key) = (setup.client.clone(), setup.key);
    let mut body = Foreman::new(setup, metainfo, sender, inbox, counters, standing, Handed::default());
    // Here and not on its own thread: turns go in the order in which torrents are added.
    body.ask_turn();
    let thread =
        threads::spawn_waited("foreman", move || body.run()).inspect_err(|_| client.turns.done(key))?;
    Ok(Started { foreman, standing: shown, thread })
}

/// Runs a torrent whose metadata has been fetched, on the thread that did so, to its end.
pub(crate) fn go_on(
    setup: Setup,
    metainfo: Arc<Metainfo>,
    sender: ForemanSender,
    inbox: ForemanInbox,
    counters: Arc<Counters>,
    standing: Arc<TorrentStatus>,
    handed: Handed,
) {
    let mut body = Foreman::new(setup, metainfo, sender, inbox, counters, standing, handed);
    body.ask_turn();
    body.run();
}

struct Foreman {
    setup: Setup,
    metainfo: Arc<Metainfo>,
    random: Random,
    sender: ForemanSender,
    inbox: ForemanInbox,
    counters: Arc<Counters>,
    standing: Arc<TorrentStatus>,
    down: Limits,
    up: Limits,
    turn: Turn,
    /// The data was looked at, or is being.
    begun: bool,
    check: Option<Check>,
    /// What there is once the data was checked.
    active: Option<Active>,
    /// Peers known before that.
    early: Vec<(Source, SocketAddr)>,
    /// The peer list of the magnet link, where it was one.
    handed: Option<PeerList>,
    /// The connections that it had.
    parked: Vec<(Vec<SocketAddr>, Parked)>,
    /// What has announced before that, for a magnet link.
    announcer: Option<Announcer>,
    /// What the torrent would be doing were it not paused or in trouble.
    finished: bool,
    paused: bool,
    trouble: Option<Trouble>,
    failed: bool,
    removed: bool,
    next_tick: Option<Moment>,
    limits: seeding::Limits,
}

/// The working state of a torrent whose data was checked.
struct Active {
    shared: Arc<TorrentShared>,
    picker: Picker,
    peers: PeerList,
    choker: Choker,
    super_seed: Option<SuperSeed>,
    /// Someone came, went, or changed his interest: choking is to be thought over.
    rethink: bool,
    connected: HashMap<PeerKey, Peer>,
    /// Nothing where peers are not exchanged.
    exchange: Option<Exchange>,
    calls: Calls,
    /// What it takes of the client's memory, and so how many connections it may have.
    share: Share,
    announcer: Option<Announcer>,
    files_done: FilesDone,
    saving: Saving,
    started: Moment,
    /// When the peers' rates were measured last.
    measured: Moment,
    /// Bytes sent when that was last written down, and when.
    counted: u64,
    counted_at: Moment,
    /// The pieces asked for, their bytes, and the bytes of those that are verified.
    wanted: Bitfield,
    wanted_bytes: u64,
    verified_bytes: u64,
}

impl Foreman {
    fn new(
        mut setup: Setup,
        metainfo: Arc<Metainfo>,
        sender: ForemanSender,
        inbox: ForemanInbox,
        counters: Arc<Counters>,
        standing: Arc<TorrentStatus>,
        handed: Handed,
    ) -> Foreman {
        let clock = setup.client.clock;
        let down = Limits::new(Limiter::new(setup.config.down_limit, clock), setup.client.down.clone());
        let up = Limits::new(Limiter::new(setup.config.up_limit, clock), setup.client.up.clone());
        let limits = seeding::Limits::new(&setup.config);
        let given = std::mem::take(&mut setup.config.peers);
        Foreman {
            random: setup.random.clone(),
            early: given.into_iter().map(|addr| (Source::Given, addr)).collect(),
            handed: handed.peers,
            parked: if handed.paused { Vec::new() } else { handed.parked },
            announcer: handed.announcer,
            setup,
            metainfo,
            sender,
            inbox,
            counters,
            standing,
            down,
            up,
            turn: Turn::None,
            begun: false,
            check: None,
            active: None,
            finished: false,
            paused: handed.paused,
            trouble: None,
            failed: false,
            removed: false,
            next_tick: None,
            limits,
        }
    }

    fn now(&self) -> Moment {
        self.setup.client.clock.now()
    }

    fn tell(&self, what: EventKind) {
        self.setup.teller.tell(self.metainfo.info_hash(), what);
    }

    /// From its turn and the check to the end.
    fn run(mut self) {
        self.follow_up();
        while !self.removed {
            self.wait();
            self.follow_up();
        }
        self.end();
    }

    /// Waits for one message or the next deadline, and takes in what else is there.
    fn wait(&mut self) {
        let timeout = match self.deadline() {
            Some(deadline) => deadline.since(self.now()),
            None => Duration::from_secs(24 * 3600),
        };
        if let Ok(message) = self.inbox.recv_timeout(timeout) {
            self.take_in(message);
            for _ in 0..BATCH {
                let Ok(message) = self.inbox.try_recv() else { break };
                self.take_in(message);
            }
        }
    }

    fn take_in(&mut self, message: ToForeman) {
        match message {
            ToForeman::Report(key, report) => self.on_report(key, report),
            ToForeman::Arrived(arrival) => self.on_arrival(*arrival),
            ToForeman::DialFailed(addr, why) => self.on_dial_failed(addr, why),
            ToForeman::Gone(key, why) => self.on_gone(key, why),
            ToForeman::Checked(outcome) => self.on_checked(*outcome),
            ToForeman::Verdict(verdict) => self.on_verdict(&verdict),
            ToForeman::WriteFailed(error) => self.on_write_failed(&error),
            ToForeman::Dropped(piece) => self.on_dropped(piece),
            ToForeman::WriteRecovered => self.on_recovered(),
            ToForeman::StoredAs(renamed) => self.on_stored_as(renamed),
            ToForeman::ReadFailed(error) => self.on_read_failed(&error),
            ToForeman::Saved(outcome) => self.on_saved(outcome),
            ToForeman::Tracker(event) => self.on_tracker(event),
            ToForeman::Found(source, addrs) => self.on_found(source, addrs),
            // A late word about what is long there; who is not answered hangs up.
            ToForeman::Metadata(_) => {}
            ToForeman::YourTurn => self.on_turn(),
            ToForeman::Command(command) => self.on_command(command),
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Pause if !self.paused => {
                self.paused = true;
                self.rest();
                self.tell(EventKind::Paused);
            }
            Command::Resume if self.paused => {
                self.paused = false;
                self.tell(EventKind::Resumed);
                self.work();
            }
            Command::Pause | Command::Resume => {}
            Command::Remove => self.removed = true,
            Command::SetLimits { down, up } => {
                self.down.torrent().set_rate(down);
                self.up.torrent().set_rate(up);
            }
            // Whoever asked may have given up waiting.
            Command::Peers(answer) => _ = answer.try_send(self.peers()),
        }
    }

    /// What follows from what was taken in: work handed out, peers dialled, state saved and shown.
    fn follow_up(&mut self) {
        self.mind_turn();
        let now = self.now();
        self.feed();
        if self.is_working() {
            self.dial(now);
            self.choke_when_due(now);
            self.exchange_when_due(now);
        }
        self.retry_when_due(now);
        self.save_when_due(now);
        self.tick_when_due(now);
        // Rates and time decide what is handed out, too.
        self.feed();
        // What peers were sent by now decides what they are shown next.
        if self.is_working() {
            self.show_pieces(now);
        }
        self.stop_when_enough(now);
        self.show(now);
    }

    /// Whether peers are welcome.
    fn is_working(&self) -> bool {
        self.active.is_some() && !self.paused && !self.failed && !self.is_queued() && self.trouble.is_none()
    }

    fn phase(&self) -> Phase {
        if self.removed {
            Phase::Stopped
        } else if self.failed {
            Phase::Failed
        } else if self.paused {
            Phase::Paused
        } else if self.is_queued() {
            Phase::Queued
        } else if self.active.is_none() {
            Phase::Checking
        } else if self.trouble.is_some() {
            Phase::Stalled
        } else if self.finished {
            Phase::Seeding
        } else {
            Phase::Downloading
        }
    }

    fn deadline(&self) -> Option<Moment> {
        let active = self.active.as_ref()?;
        let mut due = vec![
            self.turn_due(),
            self.seeding_due(),
            self.next_tick,
            self.trouble.as_ref().map(Trouble::next_try),
            active.saving.due(),
        ];
        if self.is_working() {
            due.push(active.choke_due());
            due.push(self.dial_due(active));
            due.push(active.exchange.as_ref().and_then(Exchange::deadline));
        }
        due.into_iter().flatten().min()
    }

    /// Begins to work, or goes on: incoming connections are let in, trackers are told.
    fn work(&mut self) {
        if !self.is_working() {
            return;
        }
        self.discover();
        let now = self.now();
        let Some(active) = &mut self.active else { return };
        self.setup.registry.add(Door::Torrent(active.shared.clone()));
        self.setup.client.connected.with(|places| places.want(self.setup.key, active.connected.len() as u32));
        self.next_tick = Some(now + TICK);
        // The first announce may be on its way before the next snapshot: a seed is none with bytes left.
        self.standing.set_left(active.left());
        for (_, parked) in self.parked.drain(..) {
            parked.begin(active.shared.clone());
        }
        self.announce();
    }

    /// Everyone leaves and trackers are told; the data stays open.
    fn rest(&mut self) {
        self.parked.clear();
        self.hide();
        self.setup.registry.remove(self.metainfo.info_hash());
        self.setup.client.connected.with(|places| places.rest(self.setup.key));
        self.setup.client.calling.with(|places| places.rest(self.setup.key));
        let mut announcer = self.announcer.take();
        if let Some(active) = &mut self.active {
            active.dismiss_all(crate::violation::DisconnectReason::Shutdown);
            active.saving.wanted_now();
            announcer = active.announcer.take().or(announcer);
        }
        if let Some(announcer) = announcer {
            // Its own thread waits for the trackers; nobody waits for it.
            let _ = threads::spawn("stopped-announce", move || announcer.stop(FAREWELL));
        }
    }

    /// Somebody named addresses; those named before the data was checked are kept until then.
    fn on_found(&mut self, source: Source, addrs: Vec<SocketAddr>) {
        let now = self.now();
        let named = addrs.into_iter().map(|addr| (source, addr));
        match &mut self.active {
            Some(active) => named.for_each(|(source, addr)| _ = active.peers.add(addr, source, now)),
            None => self.early.extend(named.take(MOST_EARLY.saturating_sub(self.early.len()))),
        }
    }
}

/// Whether the files that are wanted are those of the torrent.
///
/// # Errors
/// [`ErrorKind::Argument`] where one is not.
pub(crate) fn check_selection(metainfo: &Metainfo, config: &TorrentConfig) -> Result<()> {
    let files = metainfo.files().len() as u64;
    match config.select.iter().flatten().find(|file| u64::from(**file) >= files) {
        None => Ok(()),
        Some(beyond) => {
            let context = format!("there is no file {beyond}; the torrent has {files}");
            Err(Error::new(ErrorKind::Argument, context))
        }
    }
}
