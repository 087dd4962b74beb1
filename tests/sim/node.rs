//! A node: the real minds (session, picker, choker, peer list, exchange, tiers, assembly) and the
//! single-threaded twin of the engine's threads around them.
//!
//! Each thread is an inbox and a time to wake. It wakes a moment after something was sent to it, as a
//! thread does that has to wait for the processor, and then takes in all there is: so orders, reports
//! and blocks cross on their way here as they do there.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bitwren::DisconnectReason;
use bitwren::Metainfo;
use bitwren::PeerId;
use bitwren::internals::bitfield::Bitfield;
use bitwren::internals::job::PeerKey;
use bitwren::internals::moment::Moment;
use bitwren::internals::orders::Report;
use bitwren::internals::pieces::{BLOCK, Pieces};
use bitwren::internals::random::Random;
use bitwren::internals::storage::assembly::Assembly;
use bitwren::internals::storage::write_queue::{News, Write, WriteQueue};
use bitwren::internals::swarm::choker::Choker;
use bitwren::internals::swarm::peers::{PeerList, Source};
use bitwren::internals::swarm::pex::Exchange;
use bitwren::internals::swarm::picker::Picker;
use bitwren::internals::swarm::superseed::{Manner, SuperSeed};
use bitwren::internals::tracker::tiers::{Policy, Tiers};
use bitwren::internals::tracker::{Answer, Failure};
use bitwren::internals::wire::frame::Buffers;
use bitwren::internals::wire::handshake::Handshake;
use bitwren::{Error, ErrorKind};

use super::checks::Ledger;
use super::disk::Disk;
use super::foreman::{Peer, Trouble};
use super::net::{Event, Net, Thread, Who};
use super::plan::NodePlan;
use super::worker::Worker;

/// How much longer than it should a process needs that is starved of the processor.
const STARVED: u64 = 400;

/// What all nodes of a world know.
pub struct Common {
    pub metainfo: Arc<Metainfo>,
    pub pieces: Pieces,
    pub tiers: Vec<Vec<String>>,
    pub pex: bool,
    pub honest: Vec<bool>,
    pub ids: Vec<PeerId>,
}

/// A node over all its lives.
pub struct Node {
    pub plan: NodePlan,
    pub at: usize,
    pub addr: SocketAddr,
    pub disk: Arc<Disk>,
    pub lives: u32,
    pub life: Option<Box<Life>>,
    /// A fault has its threads wait long for the processor, or its disk write so many times slower.
    pub starved: bool,
    pub disk_slower: u64,
    pub completed: bool,
}

/// What the foreman is told.
#[derive(Debug)]
pub enum ToForeman {
    Report(PeerKey, Report),
    Arrived { link: usize, end: usize, incoming: bool, handshake: Handshake },
    DialFailed(SocketAddr, DisconnectReason),
    Gone(PeerKey, DisconnectReason),
    Disk(News),
    ReadFailed(Error),
    Saved,
    Tracker(usize, Result<Answer, Failure>),
}

/// What the disk is told.
#[derive(Debug)]
pub enum ToDisk {
    Write(Write<Buffer>),
    Retry,
}

/// The buffers of a node, by the rule of the engine's pool: some small ones for all and one for each
/// connection, and a few large ones.
#[derive(Debug, Default)]
pub struct Pool {
    small: Cell<usize>,
    large: Cell<usize>,
    pub connections: Cell<usize>,
}

/// Buffers that all connections share.
const COMMON_SMALL: usize = 32;
const COMMON_LARGE: usize = 12;
const LARGE: usize = 8 * BLOCK as usize;

impl Pool {
    pub fn has_room(&self) -> bool {
        self.small.get() < COMMON_SMALL + self.connections.get()
    }

    /// A connection that has ended may leave its last buffer with the disk.
    pub fn check(&self, ended: usize) {
        let most = COMMON_SMALL + self.connections.get() + ended;
        assert!(self.small.get() <= most && self.large.get() <= COMMON_LARGE, "{self:?} of {most}");
    }
}

/// A buffer of the pool.
#[derive(Debug)]
pub struct Buffer(Box<[u8]>, Rc<Pool>);

impl Buffer {
    fn shelf(&self) -> &Cell<usize> {
        if self.0.len() == LARGE { &self.1.large } else { &self.1.small }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl AsMut<[u8]> for Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.shelf().set(self.shelf().get() - 1);
    }
}

/// Takes buffers from a pool.
pub struct Tap(pub Rc<Pool>);

impl Buffers for Tap {
    type Buffer = Buffer;

    fn take(&mut self, large: bool) -> Buffer {
        let length = if large && self.0.large.get() < COMMON_LARGE { LARGE } else { BLOCK as usize };
        let buffer = Buffer(vec![0; length].into(), self.0.clone());
        buffer.shelf().set(buffer.shelf().get() + 1);
        buffer
    }
}

/// When a thread wakes next, if it is to.
pub type Due = Option<Moment>;

/// A node from one start to the end.
pub struct Life {
    pub dice: Random,
    pub inbox: VecDeque<ToForeman>,
    pub due: Due,
    pub picker: Picker,
    pub peers: PeerList,
    pub choker: Choker,
    pub exchange: Option<Exchange>,
    pub super_seed: Option<SuperSeed>,
    pub tiers: Tiers,
    pub rethink: bool,
    pub connected: BTreeMap<PeerKey, Peer>,
    pub calling: u32,
    pub next_key: u32,
    pub next_port: u16,
    pub workers: BTreeMap<PeerKey, Worker>,
    pub receiving: WriteQueue<Buffer, Disk>,
    pub to_disk: VecDeque<ToDisk>,
    pub disk_due: Due,
    pub pool: Rc<Pool>,
    pub journal: Vec<u32>,
    pub located: bool,
    pub finished: bool,
    pub failed: bool,
    pub trouble: Option<Trouble>,
    pub next_tick: Option<Moment>,
    pub measured: Moment,
    pub saved: Moment,
    pub dirty: bool,
    pub save_now: bool,
    pub saving: Option<Bitfield>,
    pub ledger: Ledger,
}

impl Node {
    pub fn is_honest(&self) -> bool {
        self.plan.twist.is_none()
    }

    pub fn who(&self) -> Who {
        Who { node: self.at, life: self.lives }
    }

    /// Starts: what the disk has is found out, trackers are asked.
    pub fn start(&mut self, common: &Common, net: &mut Net) {
        if self.life.is_some() {
            return;
        }
        self.lives += 1;
        let mut dice = Random::seeded(net.dice.next_u64());
        let have = self.disk.survey();
        let count = common.pieces.count();
        net.tell(|| format!("node {} starts with {} of {count} pieces", self.plan.name, have.count()));
        let mut draw = || Random::seeded(dice.next_u64());
        let wanted = Bitfield::full(count);
        let picker = Picker::new(common.pieces, have.clone(), wanted, self.plan.sequential, draw());
        let mut peers = PeerList::new(false, draw());
        let (tiers, refused) = Tiers::new(&common.tiers, Policy::default(), draw());
        assert!(refused.is_empty());
        let finished = picker.is_finished();
        peers.seeding(finished);
        let hides = self.plan.super_seed && finished;
        let super_seed = hides.then(|| SuperSeed::new(common.pieces, Manner::Thrift, &mut draw()));
        let assembly = Box::new(Assembly::new(self.disk.clone(), have.clone()));
        let life = Life {
            inbox: VecDeque::new(),
            due: None,
            picker,
            peers,
            choker: Choker::new(self.plan.slots, common.pieces.piece_length()),
            exchange: common.pex.then(Exchange::new),
            super_seed,
            tiers,
            rethink: false,
            connected: BTreeMap::new(),
            calling: 0,
            next_key: 1,
            next_port: 10_000,
            workers: BTreeMap::new(),
            receiving: WriteQueue::new(assembly),
            to_disk: VecDeque::new(),
            disk_due: None,
            pool: Rc::default(),
            journal: Vec::new(),
            located: false,
            finished,
            failed: false,
            trouble: None,
            next_tick: Some(net.now + Duration::from_secs(1)),
            measured: net.now,
            saved: net.now,
            dirty: false,
            save_now: false,
            saving: None,
            ledger: Ledger::new(have),
            dice,
        };
        self.completed |= finished;
        self.life = Some(Box::new(life));
        self.wake(Thread::Foreman, Duration::ZERO, net);
    }

    /// Ends without a word, as a killed program does: the system resets its connections, unless the
    /// machine itself is gone.
    pub fn die(&mut self, silently: bool, net: &mut Net) {
        if self.life.take().is_none() {
            return;
        }
        net.tell(|| format!("node {} dies", self.plan.name));
        for link in net.open_links(Some(self.at)) {
            if silently {
                net.links[link].open = false;
            } else {
                net.reset(link);
            }
        }
    }

    /// How long a thread waits for the processor.
    pub fn nap(&self, net: &mut Net) -> Duration {
        let long = net.dice.below(100) == 0;
        let most = self.plan.sluggish * if self.starved { STARVED } else { 1 } * if long { 20 } else { 1 };
        Duration::from_micros(5 + net.dice.below(most))
    }

    /// Has a thread wake within the time given and what it takes to get the processor.
    pub fn wake(&mut self, thread: Thread, within: Duration, net: &mut Net) {
        let when = net.now + within + self.nap(net);
        let who = self.who();
        let Some(life) = &mut self.life else { return };
        let due = match thread {
            Thread::Foreman => &mut life.due,
            Thread::Disk => &mut life.disk_due,
            Thread::Worker(key) => match life.workers.get_mut(&key) {
                Some(worker) => &mut worker.due,
                None => return,
            },
            Thread::Reader(key) => match life.workers.get_mut(&key) {
                Some(worker) => &mut worker.read_due,
                None => return,
            },
            Thread::Uploader(key) => match life.workers.get_mut(&key) {
                Some(worker) => &mut worker.upload_due,
                None => return,
            },
        };
        if due.is_none_or(|due| when < due) {
            *due = Some(when);
            net.at(when, Event::Wake(who, thread));
        }
    }

    /// A thread wakes, if this is still when it is to.
    pub fn woken(&mut self, thread: Thread, common: &Common, net: &mut Net) {
        let now = net.now;
        let Some(life) = &mut self.life else { return };
        let due = match thread {
            Thread::Foreman => Some(&mut life.due),
            Thread::Disk => Some(&mut life.disk_due),
            Thread::Worker(key) => life.workers.get_mut(&key).map(|worker| &mut worker.due),
            Thread::Reader(key) => life.workers.get_mut(&key).map(|worker| &mut worker.read_due),
            Thread::Uploader(key) => life.workers.get_mut(&key).map(|worker| &mut worker.upload_due),
        };
        let Some(due) = due.filter(|due| **due == Some(now)) else { return };
        *due = None;
        net.stats.steps += 1;
        match thread {
            Thread::Foreman => self.foreman(common, net),
            Thread::Disk => self.disk(net),
            Thread::Worker(key) => self.worker(key, common, net),
            Thread::Reader(key) => self.read(key, common, net),
            Thread::Uploader(key) => self.upload(key, common, net),
        }
        self.check(common, net);
    }

    pub fn tell_foreman(&mut self, message: ToForeman, net: &mut Net) {
        if let Some(life) = &mut self.life {
            life.inbox.push_back(message);
            self.wake(Thread::Foreman, Duration::ZERO, net);
        }
    }

    /// The disk thread: one job at a time, each as long as the disk takes.
    fn disk(&mut self, net: &mut Net) {
        let Some(life) = &mut self.life else { return };
        let mut news = Vec::new();
        let mut takes = Duration::ZERO;
        let told = |news: &mut Vec<News>, new| news.push(new);
        match life.to_disk.pop_front() {
            Some(ToDisk::Write(write)) => {
                let rate = (self.plan.disk / self.disk_slower).max(1);
                takes = Duration::from_micros(u64::from(write.blocks.length) * 1_000_000 / rate);
                life.receiving.accept(write, &mut |new| told(&mut news, new));
            }
            Some(ToDisk::Retry) => life.receiving.retry(&mut |new| told(&mut news, new)),
            None => {}
        }
        for new in &news {
            if let News::Verdict(verdict) = new {
                let right = self.disk.is_right(verdict.piece);
                assert_eq!(verdict.good, right, "the verdict on piece {} is wrong", verdict.piece);
                if verdict.good {
                    assert!(life.ledger.proved.insert(verdict.piece), "verified twice");
                    self.disk.state().verified.insert(verdict.piece);
                }
            }
        }
        let more = !life.to_disk.is_empty();
        for new in news {
            net.tell(|| format!("node {}: disk: {new:?}", self.plan.name));
            self.tell_foreman(ToForeman::Disk(new), net);
        }
        if more {
            self.wake(Thread::Disk, takes, net);
        }
        self.read_again(net);
    }

    /// Writes down what was verified when the save began.
    pub fn saved(&mut self, net: &mut Net) {
        let Some(life) = &mut self.life else { return };
        let Some(claims) = life.saving.take() else { return };
        self.disk.commit(&claims);
        net.tell(|| format!("node {} has saved {} pieces", self.plan.name, claims.count()));
        self.tell_foreman(ToForeman::Saved, net);
    }

    /// Fails for good; someone starts it again after a while.
    pub fn fail(&mut self, error: &Error, net: &mut Net) {
        let Some(life) = &mut self.life else { return };
        if std::mem::replace(&mut life.failed, true) {
            return;
        }
        assert!(self.disk.state().errors > 0, "node {} fails for nothing: {error}", self.plan.name);
        assert_ne!(error.kind(), ErrorKind::DiskFull);
        net.tell(|| format!("node {} fails: {error}", self.plan.name));
        let wait = Duration::from_millis(3_000 + net.dice.below(60_000));
        let at = self.at;
        self.die(false, net);
        net.after(wait, Event::Start(at));
    }

    /// Names peers to it.
    pub fn found(life: &mut Life, addrs: &[SocketAddr], now: Moment) {
        for &addr in addrs {
            life.peers.add(addr, Source::Tracker, now);
        }
    }
}
