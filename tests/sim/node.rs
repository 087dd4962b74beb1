//! A node: the real torrent, its conversations, its assembly and its tiers, and around them the threads
//! of the engine as far as they carry messages and time.
//!
//! Each thread is an inbox and a time to wake. It wakes a moment after something was sent to it, as a
//! thread does that has to wait for the processor, and then takes in all there is: so orders, reports
//! and blocks cross on their way here as they do there.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bitwren::internals::bitfield::Bitfield;
use bitwren::internals::have_log::HaveLog;
use bitwren::internals::host::active_queue::Lane;
use bitwren::internals::job::PeerKey;
use bitwren::internals::moment::Moment;
use bitwren::internals::pieces::BLOCK;
use bitwren::internals::random::Random;
use bitwren::internals::storage::write_queue::{Write, WriteEvent, WriteQueue};
use bitwren::internals::torrent::{Input, Rechecked, Setup, Torrent};
use bitwren::internals::tracker::tiers::Tiers;
use bitwren::internals::wire::frame::Buffers;
use bitwren::internals::wire::handshake::Handshake;
use bitwren::{AddressFilter, Magnet, Metainfo, PeerId, Pieces, TorrentConfig};

use super::changes::Recheck;
use super::checks::Ledger;
use super::disk::Disk;
use super::host::{Client, NodeHost};
use super::net::{Event, Net, Thread, Who};
use super::plan::{Hang, NodePlan};
use super::promises::Since;
use super::watched::Watched;
use super::worker::Worker;

/// How much longer than it should a process needs that is starved of the processor.
const STARVED: u64 = 400;
/// And how much longer than that now and then.
const LONG_NAP: u64 = 20;
/// How often the state is saved.
pub const SAVE_EVERY: Duration = Duration::from_secs(15);
/// How long an end may take, whatever hangs: the last of the deadlines.
const MAX_SHUTDOWN: Duration = Duration::from_millis(3_500);

/// What all nodes of a world know.
pub struct Common {
    pub metainfo: Arc<Metainfo>,
    pub pieces: Pieces,
    pub tiers: Vec<Vec<String>>,
    pub pex: bool,
    /// Nodes that tell no lies, and sent no bytes that another program had changed.
    pub honest: Vec<Cell<bool>>,
    pub ids: Vec<PeerId>,
}

impl Common {
    /// The link that leads to the torrent.
    pub fn magnet(&self) -> Magnet {
        format!("magnet:?xt=urn:btih:{}", self.metainfo.info_hash()).parse().unwrap()
    }
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
    pub was_starved: bool,
    pub disk_slower: u64,
    /// A fault has the threads of its connections hang.
    pub hangs: Option<Hang>,
    /// Addresses that it has nothing to do with.
    pub filter: Arc<AddressFilter>,
    pub completed: bool,
    /// What it shares with other nodes.
    pub client: Rc<RefCell<Client>>,
    /// Bytes sent and received, as its state says.
    pub saved_bytes: (u64, u64),
    /// The metadata that it kept.
    pub metadata: Option<Vec<u8>>,
}

/// What the torrent's thread is told.
#[derive(Debug)]
pub enum Message {
    Input(Input),
    /// Files were found changed.
    FilesChanged(Vec<u32>),
    /// Changed files were hashed again.
    Rechecked(Rechecked),
    /// A connection has passed the handshake and asks to be let in.
    Join {
        link: usize,
        end: usize,
        incoming: bool,
        handshake: Handshake,
    },
}

/// A connection that was let in.
pub struct Admitted {
    pub node: usize,
    pub ip: IpAddr,
    /// Where it can be dialed: we did, or it has said so.
    pub listens: Option<SocketAddr>,
    /// What the torrent was told of it, and decided.
    pub interested: bool,
    pub upload_only: bool,
    pub snubbed: bool,
    pub choked: bool,
    pub choking: bool,
    /// It had everything when the connection ended.
    pub had_all: bool,
    pub wanted: bool,
    /// It asked for work, and was given none since.
    pub wants_blocks: bool,
    /// Since when it has everything, as we do.
    pub useless: Due,
    /// It was told to end.
    pub leaving: bool,
    pub since: Since,
}

/// What the disk is told.
#[derive(Debug)]
pub enum ToDisk {
    Write(Write<Buffer>),
    Retry,
    Lost(Vec<u32>),
    Close,
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
    pub inbox: VecDeque<Message>,
    pub due: Due,
    pub torrent: Torrent,
    pub host: NodeHost,
    /// The addresses that the torrent was told to have nothing to do with.
    pub filter: Arc<AddressFilter>,
    pub admitted: BTreeMap<PeerKey, Admitted>,
    /// While it is online, and how often it began to announce.
    pub tiers: Option<Tiers>,
    pub announcing: u32,
    pub announce_due: Due,
    pub online: bool,
    /// Its user has paused it.
    pub paused: bool,
    /// By when it is to have ended, and after what pause it starts again.
    pub ends_by: Due,
    pub restart: Option<Duration>,
    pub next_port: u16,
    pub workers: BTreeMap<PeerKey, Worker>,
    pub write_queue: Option<WriteQueue<Buffer, Disk>>,
    pub to_disk: VecDeque<ToDisk>,
    pub disk_due: Due,
    pub pool: Rc<Pool>,
    pub log: HaveLog,
    /// Changed files that are being hashed again.
    pub rechecking: BTreeSet<u32>,
    pub rechecks: VecDeque<Recheck>,
    /// Since when something is verified that no save has taken in.
    pub unsaved: Due,
    /// Its files are closed and hashed again.
    pub verifying: bool,
    /// Saves under way, and what they write.
    pub saving: VecDeque<(Bitfield, (u64, u64))>,
    pub ledger: Ledger,
    pub watched: Watched,
}

impl Node {
    pub fn is_honest(&self) -> bool {
        self.plan.twist.is_none()
    }

    pub fn who(&self) -> Who {
        Who { node: self.at, life: self.lives }
    }

    /// Starts; the torrent asks for its slot and then has the data checked.
    pub fn start(&mut self, common: &Common, net: &mut Net) {
        if self.life.is_some() {
            return;
        }
        self.lives += 1;
        let mut dice = Random::seeded(net.dice.next_u64());
        let seeds_ratio = self.plan.seeds_ratio.map(|percent| percent as f64 / 100.0);
        let config = TorrentConfig::default()
            .max_peers(self.plan.max_peers)
            .upload_slots(self.plan.slots.map(|slots| slots as u32))
            .sequential(self.plan.sequential)
            .super_seed(self.plan.super_seed)
            .seed_time(self.plan.seeds_for)
            .seed_ratio(seeds_ratio);
        let setup = Setup {
            config,
            peer_id: common.ids[self.at],
            port: self.addr.port(),
            pex: common.pex,
            filter: self.filter.clone(),
            has_queue: self.client.borrow().slots.is_limited(Lane::Download),
            has_seed_queue: false,
            max_connections: self.plan.max_peers,
            max_metadata: 1 << 20,
            save_every: SAVE_EVERY,
            random: Random::seeded(dice.next_u64()),
        };
        let life = Life {
            dice,
            inbox: VecDeque::from([Message::Input(Input::Start)]),
            due: None,
            torrent: match self.plan.magnet {
                true => Torrent::of_magnet(setup, common.magnet(), net.now),
                false => Torrent::new(setup, common.metainfo.clone()),
            },
            host: NodeHost::new(self.client.clone(), self.at),
            filter: self.filter.clone(),
            admitted: BTreeMap::new(),
            tiers: None,
            announcing: 0,
            announce_due: None,
            online: false,
            paused: false,
            ends_by: None,
            restart: None,
            next_port: 10_000,
            workers: BTreeMap::new(),
            write_queue: None,
            to_disk: VecDeque::new(),
            disk_due: None,
            pool: Rc::default(),
            log: HaveLog::default(),
            rechecking: BTreeSet::new(),
            rechecks: VecDeque::new(),
            watched: Watched::new(common.pieces.count()),
            unsaved: None,
            verifying: false,
            saving: VecDeque::new(),
            ledger: Ledger::new(Bitfield::empty(common.pieces.count())),
        };
        net.tell(|| format!("node {} starts", self.plan.name));
        self.life = Some(Box::new(life));
        self.wake(Thread::Torrent, Duration::ZERO, net);
    }

    /// The user has it end, and start again after a pause.
    pub fn remove(&mut self, restart: Option<Duration>, net: &mut Net) {
        let Some(life) = self.life.as_mut().filter(|life| life.ends_by.is_none()) else { return };
        life.restart = restart;
        self.ends(net);
        self.tell(Input::Remove, net);
    }

    /// The end begins: whatever hangs, it is over by the last of its deadlines, and as much later as its
    /// thread wakes late for each.
    pub fn ends(&mut self, net: &mut Net) {
        let (late, who) = (self.slowest_nap() * 8, self.who());
        let life = self.life.iter_mut().filter(|life| life.ends_by.is_none());
        life.for_each(|life| {
            let by = net.now + MAX_SHUTDOWN + late;
            life.ends_by = Some(by);
            net.at(by + Duration::from_micros(1), Event::IsToHaveEnded(who));
            life.watched.ends_since = Some(net.now);
        });
    }

    /// Is gone, as a killed program is: the system resets its connections, unless the machine itself
    /// is gone.
    pub fn die(&mut self, silently: bool, net: &mut Net) {
        let Some(mut life) = self.life.take() else { return };
        net.tell(|| format!("node {} is gone", self.plan.name));
        let next = life.host.end();
        next.into_iter().for_each(|next| net.after(Duration::ZERO, Event::Granted(next)));
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
        let most =
            self.plan.sluggish * if self.starved { STARVED } else { 1 } * if long { LONG_NAP } else { 1 };
        Duration::from_micros(5 + net.dice.below(most))
    }

    /// The longest that a thread may have waited for the processor.
    pub fn slowest_nap(&self) -> Duration {
        let starved = if self.was_starved { STARVED } else { 1 };
        Duration::from_micros(5 + self.plan.sluggish * starved * LONG_NAP)
    }

    /// Has a thread wake within the time given and what it takes to get the processor.
    pub fn wake(&mut self, thread: Thread, within: Duration, net: &mut Net) {
        let when = net.now + within + self.nap(net);
        let who = self.who();
        let Some(life) = &mut self.life else { return };
        let due = match thread {
            Thread::Torrent => &mut life.due,
            Thread::Announcer => &mut life.announce_due,
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
            Thread::Torrent => Some(&mut life.due),
            Thread::Announcer => Some(&mut life.announce_due),
            Thread::Disk => Some(&mut life.disk_due),
            Thread::Worker(key) => life.workers.get_mut(&key).map(|worker| &mut worker.due),
            Thread::Reader(key) => life.workers.get_mut(&key).map(|worker| &mut worker.read_due),
            Thread::Uploader(key) => life.workers.get_mut(&key).map(|worker| &mut worker.upload_due),
        };
        let Some(due) = due.filter(|due| **due == Some(now)) else { return };
        *due = None;
        net.stats.steps += 1;
        match thread {
            Thread::Torrent => self.torrent(common, net),
            Thread::Announcer => self.announce(net),
            Thread::Disk => self.disk(net),
            Thread::Worker(key) => self.worker(key, common, net),
            Thread::Reader(key) => self.read(key, common, net),
            Thread::Uploader(key) => self.upload(key, common, net),
        }
        self.check();
    }

    /// Tells the torrent's thread something.
    pub fn tell(&mut self, input: Input, net: &mut Net) {
        self.send(Message::Input(input), net);
    }

    pub fn send(&mut self, message: Message, net: &mut Net) {
        if let Some(life) = &mut self.life {
            life.inbox.push_back(message);
            self.wake(Thread::Torrent, Duration::ZERO, net);
        }
    }

    /// The disk thread: one job at a time, each as long as the disk takes.
    fn disk(&mut self, net: &mut Net) {
        let Some(life) = &mut self.life else { return };
        let mut news = Vec::new();
        let (mut takes, mut closed) = (Duration::ZERO, false);
        let told = |news: &mut Vec<WriteEvent>, new| news.push(new);
        match life.to_disk.pop_front() {
            Some(ToDisk::Write(write)) => {
                let rate = (self.plan.disk / self.disk_slower).max(1);
                takes = Duration::from_micros(u64::from(write.blocks.length) * 1_000_000 / rate);
                let (piece, won) = (write.blocks.piece, write.won != 0);
                let state = self.disk.state();
                // A block may come twice where a failing disk had a piece begin anew.
                let is_lost = state.changed.has(piece) && state.errors == 0;
                let is_new = won && is_lost && !life.ledger.proved.has(piece);
                let writes = state.writes;
                drop(state);
                // After the end of the torrent's writing nothing is written any more.
                if let Some(queue) = &mut life.write_queue {
                    queue.accept(write, &mut |new| told(&mut news, new));
                    let done = self.disk.state().writes > writes || !news.is_empty();
                    assert!(done || !is_new, "blocks of piece {piece} have come, and are not written");
                }
            }
            Some(ToDisk::Retry) => {
                if let Some(queue) = &mut life.write_queue {
                    queue.retry(&mut |new| told(&mut news, new));
                }
            }
            Some(ToDisk::Lost(pieces)) => {
                if let Some(queue) = &mut life.write_queue {
                    queue.lose(&pieces);
                }
            }
            Some(ToDisk::Close) => {
                life.write_queue = None;
                closed = true;
            }
            None => {}
        }
        for new in &news {
            if let WriteEvent::Verdict(verdict) = new {
                let right = self.disk.is_right(verdict.piece);
                assert_eq!(verdict.good, right, "the verdict on piece {} is wrong", verdict.piece);
                if verdict.good {
                    assert!(life.ledger.prove(verdict.piece), "verified twice");
                    let mut state = self.disk.state();
                    state.verified.insert(verdict.piece);
                    state.changed.remove(verdict.piece);
                }
            }
        }
        let more = !life.to_disk.is_empty();
        for new in news {
            net.tell(|| format!("node {}: disk: {new:?}", self.plan.name));
            self.tell(Input::Disk(new), net);
        }
        if closed {
            self.tell(Input::DiskClosed, net);
        }
        if more {
            self.wake(Thread::Disk, takes, net);
        }
        self.read_again(net);
    }

    /// Writes down what was verified when the save began.
    pub fn saved(&mut self, net: &mut Net) {
        let Some(life) = &mut self.life else { return };
        let Some((claims, bytes)) = life.saving.pop_front() else { return };
        self.disk.commit(&claims);
        self.saved_bytes = bytes;
        net.tell(|| format!("node {} has saved {} pieces", self.plan.name, claims.count()));
        self.look(None, net);
        self.tell(Input::Saved(Ok(())), net);
    }
}
