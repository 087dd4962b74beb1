//! The DHT's thread: it feeds both nodes with datagrams, and carries out their decisions.
//!
//! Nothing is sent before the first torrent is watched: a client of private torrents only is no node.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, select};

use super::bootstrap::Bootstrap;
use super::handle::ToDht;
use super::store;
use crate::dht::schedule::LookupSchedule;
use crate::dht::{self, Family, Node};
use crate::engine::inbox::{TorrentMessage, TorrentSender};
use crate::engine::net::told_ports::ToldPorts;
use crate::engine::runtime::clock::Clock;
use crate::engine::udp::port::{Datagram, UdpPort};
use crate::event::DhtStatus;
use crate::id::InfoHash;
use crate::id::TorrentKey;
use crate::lock::lock;
use crate::moment::Moment;
use crate::random::Random;
use crate::sorted::SortedMap;
use crate::swarm::peers::Source;
use crate::torrent::Input;

/// Datagrams taken in before what follows from them is done.
const MAX_DATAGRAMS_PER_TURN: usize = 64;
/// How often the table is saved, besides at the end.
const SAVE_INTERVAL: Duration = Duration::from_secs(30 * 60);
/// Peers that wait for a torrent whose inbox is full.
const MAX_UNDELIVERED: usize = 200;
/// When to try again to deliver them.
const DELIVERY_RETRY: Duration = Duration::from_millis(50);
/// How long to wait if nothing is due.
const IDLE_WAIT: Duration = Duration::from_secs(24 * 3600);

/// The settings of the thread.
pub(super) struct Setup {
    pub(crate) names: Vec<String>,
    pub(crate) state: Option<PathBuf>,
    pub(crate) read_only: bool,
    pub(crate) port: Arc<UdpPort>,
    /// The port that torrents are announced with.
    pub(crate) told_ports: Arc<ToldPorts>,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) status: Arc<Mutex<DhtStatus>>,
    /// For the thread that looks names up.
    pub(super) own_inbox: Sender<ToDht>,
}

/// The queues that the thread waits for.
pub(super) struct Queues {
    pub(super) commands: Receiver<ToDht>,
    pub(super) datagrams: Receiver<Datagram>,
    pub(super) named_nodes: Receiver<SocketAddr>,
}

/// A torrent that is watched.
struct Watch {
    info_hash: InfoHash,
    torrent: TorrentSender,
    undelivered: Vec<SocketAddr>,
}

pub(super) struct DhtThread {
    setup: Setup,
    nodes: Vec<Node>,
    watches: SortedMap<TorrentKey, Watch>,
    schedule: LookupSchedule,
    /// Lookups under way: on how many nodes.
    lookups: SortedMap<InfoHash, usize>,
    /// Nothing before the first torrent.
    bootstrap: Option<Bootstrap>,
    next_save: Moment,
    next_delivery: Option<Moment>,
}

impl DhtThread {
    pub(crate) fn new(mut setup: Setup) -> Self {
        let now = setup.clock.now();
        let port = setup.port.number();
        let saved = setup.state.as_deref().and_then(store::load).unwrap_or_default();
        let (v4, v6) = setup.port.families();
        let families = [(v4, Family::V4), (v6, Family::V6)].into_iter().filter(|(has, _)| *has);
        let mut nodes = Vec::new();
        for (_, family) in families {
            let node = dht::Setup { family, read_only: setup.read_only, id: saved.id(family, port) };
            let mut node = Node::new(node, Random::seeded(setup.random.next_u64()), now);
            node.load(saved.nodes(family));
            nodes.push(node);
        }
        DhtThread {
            setup,
            nodes,
            watches: SortedMap::new(),
            schedule: LookupSchedule::default(),
            lookups: SortedMap::new(),
            bootstrap: None,
            next_save: now + SAVE_INTERVAL,
            next_delivery: None,
        }
    }

    /// Runs until it is told to end.
    pub(super) fn run(mut self, queues: &Queues) {
        let Queues { commands, datagrams, named_nodes } = queues;
        loop {
            // Rounded up to the next millisecond, so that the wait never ends early.
            let due = self.deadline().map(|due| due.since(self.setup.clock.now()) + Duration::from_millis(1));
            select! {
                recv(commands) -> command => match command {
                    Ok(ToDht::Close) | Err(_) => break,
                    Ok(command) => self.take_in(command),
                },
                recv(datagrams) -> datagram => match datagram {
                    Ok(datagram) => {
                        let more = datagrams.try_iter().take(MAX_DATAGRAMS_PER_TURN);
                        [datagram].into_iter().chain(more).for_each(|datagram| self.on_datagram(&datagram));
                    }
                    // The port was closed.
                    Err(_) => break,
                },
                recv(named_nodes) -> addr => match addr {
                    Ok(addr) => self.on_named_node(addr),
                    // No handle is left.
                    Err(_) => break,
                },
                default(due.unwrap_or(IDLE_WAIT)) => {}
            }
            self.follow_up();
        }
        self.save();
    }

    /// When something is due by itself.
    fn deadline(&self) -> Option<Moment> {
        let bootstrap = self.bootstrap.as_ref()?;
        let nodes = self.nodes.iter().map(Node::deadline);
        let turn = self.schedule.deadline().filter(|_| self.is_ready());
        let others = [turn, bootstrap.deadline(self.good()), self.next_delivery, Some(self.next_save)];
        nodes.chain(others.into_iter().flatten()).min()
    }

    /// Whether any node is known that could be asked.
    fn is_ready(&self) -> bool {
        self.nodes.iter().any(|node| node.stats().known > 0)
    }

    fn good(&self) -> usize {
        self.nodes.iter().map(|node| node.stats().good).max().unwrap_or(0)
    }

    fn take_in(&mut self, command: ToDht) {
        let now = self.setup.clock.now();
        match command {
            ToDht::Watch(key, info_hash, torrent) => {
                self.wake(now);
                self.schedule.watch(key, info_hash, now);
                self.watches.insert(key, Watch { info_hash, torrent, undelivered: Vec::new() });
            }
            ToDht::PortChanged => self.watches.iter().for_each(|(key, _)| self.schedule.hurry(*key)),
            ToDht::Hurry(key) => self.schedule.hurry(key),
            ToDht::Forget(key) => {
                self.schedule.forget(key);
                self.watches.remove(&key);
            }
            ToDht::ExternalIp(ip) => {
                let its = |node: &&mut Node| node.family() == Family::of(ip);
                self.nodes.iter_mut().filter(its).for_each(|node| node.on_external_ip(ip, now));
            }
            ToDht::Nodes(nodes) => {
                self.bootstrap.iter_mut().for_each(|bootstrap| bootstrap.found(nodes.len()));
                self.ping(&nodes, now);
            }
            ToDht::Retry => self.bootstrap.iter_mut().for_each(|bootstrap| bootstrap.retry(now)),
            ToDht::NamesLookedUp => self.bootstrap.iter_mut().for_each(Bootstrap::asked),
            ToDht::Close => {}
        }
    }

    /// The first torrent is there: from now on we are a node.
    fn wake(&mut self, now: Moment) {
        if self.bootstrap.is_none() {
            let saved = self.nodes.iter().map(|node| node.stats().known).max().unwrap_or(0);
            let names = std::mem::take(&mut self.setup.names);
            self.bootstrap = Some(Bootstrap::new(names, self.setup.port.egress(), saved, now));
            self.nodes.iter_mut().for_each(|node| node.bootstrap(&[], now));
        }
    }

    fn ping(&mut self, addrs: &[SocketAddr], now: Moment) {
        for node in &mut self.nodes {
            let its: Vec<SocketAddr> =
                addrs.iter().copied().filter(|addr| Family::of(addr.ip()) == node.family()).collect();
            if !its.is_empty() {
                node.bootstrap(&its, now);
            }
        }
    }

    fn on_datagram(&mut self, datagram: &Datagram) {
        let now = self.setup.clock.now();
        if let Some(node) = self.node_for(datagram.from) {
            node.on_packet(datagram.from, &datagram.bytes, now);
        }
    }

    fn on_named_node(&mut self, addr: SocketAddr) {
        let now = self.setup.clock.now();
        if let Some(node) = self.node_for(addr) {
            node.ping(addr, now);
        }
    }

    /// Our node in the address family of `addr`; nothing while no torrent is watched.
    fn node_for(&mut self, addr: SocketAddr) -> Option<&mut Node> {
        let is_awake = self.bootstrap.is_some();
        self.nodes.iter_mut().find(|node| is_awake && node.family() == Family::of(addr.ip()))
    }

    /// The consequences of inputs and of the time.
    fn follow_up(&mut self) {
        let now = self.setup.clock.now();
        let good = self.good();
        let Some(bootstrap) = &mut self.bootstrap else { return };
        let asked = bootstrap.ask(good, &self.setup.own_inbox, now);
        self.ping(&asked, now);
        self.nodes.iter_mut().for_each(|node| node.on_time(now));
        self.take_turns(now);
        self.hand_out(now);
        self.deliver(now);
        for node in &mut self.nodes {
            node.outgoing().for_each(|(to, packet)| self.setup.port.send(to, &packet));
        }
        if self.next_save <= now {
            self.next_save = now + SAVE_INTERVAL;
            self.save();
        }
        self.show();
    }

    /// Begins the lookups whose turn it is.
    fn take_turns(&mut self, now: Moment) {
        self.schedule.on_time(now);
        while self.is_ready() {
            let Some(info_hash) = self.schedule.next(now) else { return };
            let is_watched = self.watches.values().any(|watch| watch.info_hash == info_hash);
            let port = self.setup.told_ports.of_peers().filter(|_| is_watched);
            let ready = self.nodes.iter_mut().filter(|node| node.stats().known > 0);
            let begun = ready.map(|node| node.lookup(info_hash, port, now)).count();
            self.lookups.insert(info_hash, begun);
        }
    }

    /// Takes the results of the lookups.
    fn hand_out(&mut self, now: Moment) {
        let found: Vec<dht::Found> = self.nodes.iter_mut().flat_map(|node| node.found()).collect();
        for found in found {
            self.schedule.found(found.info_hash, found.peers.len());
            for key in self.schedule.keys(found.info_hash) {
                if let Some(watch) = self.watches.get_mut(&key) {
                    let room = MAX_UNDELIVERED.saturating_sub(watch.undelivered.len());
                    watch.undelivered.extend(found.peers.iter().copied().take(room));
                }
            }
            if found.done {
                let left = self.lookups.get(&found.info_hash).map_or(0, |left| left.saturating_sub(1));
                self.lookups.insert(found.info_hash, left);
                if left == 0 {
                    self.lookups.remove(&found.info_hash);
                    self.schedule.done(found.info_hash, now);
                }
            }
        }
    }

    /// Sends torrents the peers that were found. One whose inbox is full gets them a little later; it is not
    /// waited for.
    fn deliver(&mut self, now: Moment) {
        self.next_delivery = None;
        for watch in self.watches.values_mut().filter(|watch| !watch.undelivered.is_empty()) {
            let peers = std::mem::take(&mut watch.undelivered);
            if let Err(TrySendError::Full(TorrentMessage::Input(Input::Found(_, peers)))) =
                watch.torrent.try_send(Input::Found(Source::Dht, peers).into())
            {
                watch.undelivered = peers;
                self.next_delivery = Some(now + DELIVERY_RETRY);
            }
        }
    }

    fn show(&self) {
        let port = &self.setup.port;
        let unknown_datagrams = port.unknown();
        let mut status = DhtStatus { port: port.number(), unknown_datagrams, ..DhtStatus::default() };
        for node in &self.nodes {
            let good = node.stats().good as u32;
            match node.family() {
                Family::V4 => status.nodes = good,
                Family::V6 => status.nodes6 = good,
            }
        }
        status.lookups = self.lookups.len() as u32;
        status.awake = self.bootstrap.is_some();
        (status.routers, status.unresolved) = self.bootstrap.as_ref().map_or((0, 0), Bootstrap::last);
        *lock(&self.setup.status) = status;
    }

    /// Saves the table, if there is one. A failure only costs the next run a few seconds.
    fn save(&self) {
        let Some(path) = self.setup.state.as_ref().filter(|_| self.good() > 0) else { return };
        let _ = store::save(path, &self.nodes, self.setup.port.number());
    }
}
