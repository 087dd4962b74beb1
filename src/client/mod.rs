//! The public API: a [`Client`] runs torrents, a [`Torrent`] is a handle on one, [`Events`] receives
//! what happens.
//!
//! It starts and stops the threads of the engine and hands commands on; it decides nothing about a
//! transfer. Invariant: dropping the client ends everything it started within a second.

pub mod events;
mod link;
mod torrent;

pub use events::{Events, RecvError, RecvTimeoutError, TryRecvError};
pub use torrent::Torrent;

use self::link::Concerned;
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use crossbeam_channel::bounded;

use crate::budget::Budget;
use crate::config::{Config, TorrentConfig};
use crate::engine::conn::listener;
use crate::engine::conn::listener::{Listener, Registry};
use crate::engine::context::ClientShared;
use crate::engine::discovery::dht::handle::DhtHandle;
use crate::engine::discovery::dht::{Dht, MAX_DATAGRAMS_WAITING};
use crate::engine::discovery::lsd::Lsd;
use crate::engine::discovery::named_peers;
use crate::engine::discovery::named_peers::{Looking, LookupEvent};
use crate::engine::discovery::portmap::PortMap;
use crate::engine::disk::checker::Checker;
use crate::engine::disk::writer;
use crate::engine::inbox::TorrentSender;
use crate::engine::inbox::active_queue::ActiveQueue;
use crate::engine::net::device::DeviceWatch;
use crate::engine::net::egress::{Egress, Purpose};
use crate::engine::net::handshakes::Handshakes;
use crate::engine::net::told_ports::ToldPorts;
use crate::engine::runtime;
use crate::engine::runtime::block_pool::BlockPool;
use crate::engine::runtime::clock::Clock;
use crate::engine::runtime::events::EventSender;
use crate::engine::runtime::ledger::Ledger;
use crate::engine::runtime::quotas::ConnectionQuota;
use crate::engine::runtime::rate_limit::Limiter;
use crate::engine::runtime::shared_filter::SharedFilter;
use crate::engine::runtime::shutdown::Shutdown;
use crate::engine::runtime::threads::Waited;
use crate::engine::torrent::setup::Setup;
use crate::engine::torrent::start::{self, Started};
use crate::engine::torrent::status::TorrentStatus;
use crate::engine::tracker::AnnounceThread;
use crate::engine::udp::port::UdpPort;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{DhtStatus, EventKind, PortMapStatus};
use crate::filter::AddressFilter;
use crate::host::active_queue::QueueMove;
use crate::host::external_ip::ExternalIpVotes;
use crate::id::TorrentKey;
use crate::id::{InfoHash, PeerId, own_peer_id};
use crate::lock::lock;
use crate::metainfo::{Magnet, Metainfo};
use crate::proxy::ProxyKind;
use crate::random::Random;
use crate::storage::fd_cache::FdCache;
use crate::swarm::peers::Source;
use crate::torrent::{Input, check_selection};

/// A running client: one listener, one disk writer, any number of torrents.
///
/// Dropping it is the same as [`Client::shutdown`].
pub struct Client {
    config: Config,
    shared: Arc<ClientShared>,
    registry: Arc<Registry>,
    fds: Arc<FdCache>,
    event_sender: EventSender,
    events: Events,
    random: Mutex<Random>,
    next_torrent: AtomicU32,
    running: Mutex<HashMap<InfoHash, Running>>,
    listener: Arc<Listener>,
    /// Where everything is bound to a device: what watches it.
    device: Option<DeviceWatch>,
    /// Where the DHT is on, its only protocol so far.
    udp: Option<Arc<UdpPort>>,
    dht: Option<Dht>,
    portmap: Option<PortMap>,
}

struct Running {
    key: TorrentKey,
    inbox: TorrentSender,
    status: Arc<TorrentStatus>,
    thread: Waited,
    /// Stops resolving the names of peers when dropped.
    _looking: Option<Looking>,
}

impl Client {
    /// Starts a client, which listens from now on.
    ///
    /// # Errors
    /// As [`Config::validate`]; [`ErrorKind::Network`] if no port is free, [`ErrorKind::Resources`] if
    /// no thread can be started.
    pub fn start(mut config: Config) -> Result<Client> {
        config.validate()?;
        if let Some(proxy) = &config.proxy_peers {
            // What a proxy cannot carry is off, and no node of the DHT can reach one behind it.
            (config.lsd, config.portmap, config.dht_read_only) = (false, false, true);
            config.dht &= proxy.kind() == ProxyKind::Socks5;
        }
        let budget = Budget::of(config.max_memory);
        config.max_peers = config.max_peers.min(budget.connections);
        config.max_half_open = config.max_half_open.min(budget.connections.div_ceil(2));
        let mut random = config.random_seed.map_or_else(Random::from_system, Random::seeded);
        let clock = Clock::start();
        let egress = Egress::of(&config);
        let bound = config.device.as_deref().and_then(link::number_of);
        let socket = listener::bind(&config, &egress)?;
        let port = socket.as_ref().and_then(|socket| socket.local_addr().ok()).map(|addr| addr.port());
        // Without its device, or behind a proxy, a client has no socket that could be asked.
        let port = port.unwrap_or(if config.port == 0 { Config::DEFAULT_PORT } else { config.port });
        let to_disk = writer::start()?;
        let filter = Arc::new(SharedFilter::new(config.filter.clone()));
        let told_ports = |udp| match config.proxy_peers {
            Some(_) => ToldPorts::unreachable(port),
            None => ToldPorts::new(port, udp),
        };
        let (told_ports, node) = match config.dht {
            true => {
                let (sender, datagrams) = bounded(MAX_DATAGRAMS_WAITING);
                let udp = Arc::new(UdpPort::open(egress.clone(), port, &sender, filter.clone())?);
                let random = Random::seeded(random.next_u64());
                let told_ports = Arc::new(told_ports(Some(udp.number())));
                let dht = Dht::start(&config, udp.clone(), told_ports.clone(), datagrams, clock, random)?;
                (told_ports, Some((udp, dht)))
            }
            false => (Arc::new(told_ports(None)), None),
        };
        let (udp, dht) = node.unzip();
        let connected = Arc::new(ConnectionQuota::new(config.max_peers));
        let shared = Arc::new(ClientShared {
            clock,
            shutdown: Shutdown::default(),
            pool: BlockPool::new(&budget),
            disk: to_disk,
            peer_id: own_peer_id(&mut random),
            port,
            told_ports,
            egress: egress.clone(),
            pex: config.pex,
            filter,
            encryption: config.encryption,
            ledger: Ledger::new(budget, config.max_peers, connected.clone()),
            budget,
            external: ExternalIpVotes::default(),
            connected,
            calling: ConnectionQuota::new(config.max_half_open),
            handshakes: Handshakes::new(config.max_half_open),
            active: ActiveQueue::new(config.max_active),
            announces: AnnounceThread::start(clock, egress.clone())?,
            checker: Checker::start()?,
            dht: dht.as_ref().map(Dht::handle),
            next_peer: AtomicU32::new(0),
            lsd: config.lsd.then(|| Lsd::start(egress.clone(), port, clock)).transpose()?,
            down: Limiter::new(config.down_limit, clock),
            up: Limiter::new(config.up_limit, clock),
        });
        let is_reachable = !config.bind.is_some_and(|ip| ip.is_loopback());
        let portmap = (config.portmap && is_reachable).then(|| {
            let ports = (port, udp.as_ref().map(|udp: &Arc<UdpPort>| udp.number()));
            let random = Random::seeded(random.next_u64());
            let shared = shared.clone();
            PortMap::start(egress, ports, clock, random, move |status| tell_ports(&shared, status))
        });
        let portmap = portmap.transpose()?;
        let registry = Arc::new(Registry::default());
        let (event_sender, receiver, dropped) = runtime::events::queue();
        let listener = Arc::new(Listener::new(shared.clone(), registry.clone(), event_sender.clone()));
        if let Some(socket) = socket {
            listener.accept_from(socket)?;
        }
        for proxy in shared.egress.proxies() {
            let (registry, event_sender) = (registry.clone(), event_sender.clone());
            proxy.tell_to(move |event| registry.tell(&event_sender, event));
            let dht = shared.dht.clone();
            proxy.on_relay(move || dht.iter().for_each(DhtHandle::retry));
        }
        let device = match &config.device {
            Some(device) => {
                let concerned = Concerned {
                    client: shared.clone(),
                    listener: listener.clone(),
                    registry: registry.clone(),
                    udp: udp.clone(),
                    event_sender: event_sender.clone(),
                };
                Some(link::watch(device.clone(), bound, concerned)?)
            }
            None => None,
        };
        Ok(Client {
            fds: Arc::new(FdCache::new(config.max_open_files)),
            config,
            shared,
            registry,
            event_sender,
            events: Events::new(receiver, dropped),
            random: Mutex::new(random),
            next_torrent: AtomicU32::new(0),
            running: Mutex::default(),
            listener,
            device,
            udp,
            dht,
            portmap,
        })
    }

    /// Adds a torrent and starts it when it gets an active slot ([`Config::max_active`]): existing data
    /// is checked, then the torrent downloads or seeds. Events report what happens.
    ///
    /// # Errors
    /// As [`TorrentConfig::validate`]; [`ErrorKind::Argument`] if a selected file does not exist,
    /// [`ErrorKind::Exists`] if this client runs the torrent already, [`ErrorKind::Resources`] if no
    /// thread can be started.
    pub fn add(&self, metainfo: Arc<Metainfo>, config: TorrentConfig) -> Result<Torrent> {
        config.validate()?;
        let config = config.with_limits_of(&self.config);
        check_selection(&metainfo, &config)?;
        let known = Arc::new(OnceLock::from(metainfo.clone()));
        let name = (metainfo.info_hash(), metainfo.name());
        self.start_torrent(name, config, known, |setup| start::start(setup, metainfo.clone()))
    }

    /// Adds a torrent by its magnet link or info-hash. The metadata is fetched from peers (BEP 9), which
    /// are found through the trackers and peers of the link, [`TorrentConfig::peers`], and the DHT,
    /// local discovery and peer exchange where they are on. [`EventKind::Metadata`] reports that it has
    /// arrived; from then on the torrent runs as with [`Client::add`]. The metadata is stored beside the
    /// resume state, so that the next start needs no peer for it.
    ///
    /// # Errors
    /// As [`Client::add`], except that a selected file that does not exist is reported later, as
    /// [`EventKind::Failed`].
    pub fn add_magnet(&self, magnet: Magnet, config: TorrentConfig) -> Result<Torrent> {
        config.validate()?;
        let mut config = config.with_limits_of(&self.config);
        for (host, port) in magnet.peers.iter().cloned() {
            match host.parse() {
                Ok(ip) => config.peers.push(SocketAddr::new(ip, port)),
                Err(_) => config.peer_names.push((host, port)),
            }
        }
        let known = Arc::new(OnceLock::new());
        let (metainfo, hash) = (known.clone(), magnet.info_hash);
        let name = magnet.name.clone().unwrap_or_else(|| hash.to_string());
        self.start_torrent((hash, &name), config, known, |setup| start::start_magnet(setup, magnet, metainfo))
    }

    /// Starts a torrent that is not running yet.
    fn start_torrent(
        &self,
        (info_hash, name): (InfoHash, &str),
        mut config: TorrentConfig,
        known: Arc<OnceLock<Arc<Metainfo>>>,
        start: impl FnOnce(Setup) -> Result<Started>,
    ) -> Result<Torrent> {
        let mut running = self.running();
        running.retain(|_, torrent| !torrent.thread.is_finished() && !torrent.status.has_ended());
        if running.contains_key(&info_hash) {
            return Err(Error::new(ErrorKind::Exists, format!("{name} was added already")));
        }
        let names = std::mem::take(&mut config.peer_names);
        let seed = lock(&self.random).next_u64();
        let key = TorrentKey(self.next_torrent.fetch_add(1, Ordering::Relaxed));
        let started = start(Setup {
            key,
            config,
            client: self.shared.clone(),
            registry: self.registry.clone(),
            events: self.event_sender.clone(),
            fds: self.fds.clone(),
            hash_threads: self.config.hash_threads,
            save_every: self.config.save_every,
            random: Random::seeded(seed),
        })?;
        let (inbox, status) = (started.inbox.clone(), started.status.clone());
        let _looking = self.look_up(info_hash, names, &started);
        running.insert(info_hash, Running { key, inbox, status, thread: started.thread, _looking });
        Ok(Torrent { info_hash, metainfo: known, inbox: started.inbox, status: started.status })
    }

    /// Resolves the peers of a torrent that are given by host name.
    fn look_up(&self, torrent: InfoHash, names: Vec<(String, u16)>, started: &Started) -> Option<Looking> {
        if names.is_empty() {
            return None;
        }
        let (inbox, status, event_sender) =
            (started.inbox.clone(), started.status.clone(), self.event_sender.clone());
        let is_proxied = self.shared.egress.proxy(Purpose::Peers).is_some();
        let tell = move |news: LookupEvent<'_>| {
            let is_wanted = !status.has_ended();
            match news {
                LookupEvent::Found(host, found) => {
                    if let (true, Some(address)) = (is_proxied, found.first()) {
                        let what = format!("the proxy looks up {host}, which is shown as {address}");
                        event_sender.tell(torrent, EventKind::Note { what });
                    }
                    is_wanted && inbox.send(Input::Found(Source::Given, found).into()).is_ok()
                }
                LookupEvent::Failed(host, error) => {
                    let what = format!("the peer {host} cannot be looked up: {error}; trying again");
                    event_sender.tell(torrent, EventKind::Note { what });
                    is_wanted
                }
            }
        };
        let looking = named_peers::look_up(names, self.shared.egress.clone(), tell);
        looking
            .inspect_err(|error| self.event_sender.tell(torrent, EventKind::Note { what: error.to_string() }))
            .ok()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<InfoHash, Running>> {
        lock(&self.running)
    }

    /// The events of all torrents. Each event is delivered once: two `Events` of one client split the
    /// stream.
    pub fn events(&self) -> Events {
        self.events.clone()
    }

    /// The id that peers and trackers see.
    pub fn peer_id(&self) -> PeerId {
        self.shared.peer_id
    }

    /// The TCP port that the client listens on.
    pub fn port(&self) -> u16 {
        self.shared.port
    }

    /// A snapshot of the DHT node; `None` if the DHT is off.
    pub fn dht(&self) -> Option<DhtStatus> {
        self.dht.as_ref().map(|dht| dht.handle().status())
    }

    /// The state of port mapping; `None` if it is off.
    pub fn port_map(&self) -> Option<PortMapStatus> {
        self.portmap.as_ref().map(PortMap::status)
    }

    /// Changes the rate limits of all torrents together, in bytes per second; 0 is no limit.
    pub fn set_limits(&self, down: u64, up: u64) {
        self.shared.down.set_rate(down);
        self.shared.up.set_rate(up);
    }

    /// Changes how many connections all torrents may have together ([`Config::max_peers`]), 1 to 10,000; memory
    /// may allow fewer. Those beyond it end.
    pub fn set_max_peers(&self, max_peers: u32) {
        self.shared.ledger.set_most(max_peers.clamp(1, 10_000).min(self.shared.budget.connections));
    }

    /// Changes how many torrents download at a time ([`Config::max_active`]), and how many seed; 0 is no limit.
    /// Those that are active stay so; the others wait in the order of the queue. One that moves nothing for a
    /// while, a minute or while seeding ten, goes on but no longer counts.
    pub fn set_max_active(&self, downloads: u32, seeds: u32) {
        // Held until all were told, as the filter.
        let running = self.running();
        self.shared.active.set_most(downloads, seeds);
        for torrent in running.values() {
            let queues = Input::Queues { downloads: downloads != 0, seeds: seeds != 0 };
            // Fails only if the torrent has ended.
            let _ = torrent.inbox.send(queues.into());
        }
    }

    /// The torrents in the order of the queue: that in which they were added, until it is changed.
    pub fn queue(&self) -> Vec<InfoHash> {
        let hashes: HashMap<TorrentKey, InfoHash> =
            self.running().iter().map(|(hash, torrent)| (torrent.key, *hash)).collect();
        self.shared.active.order().iter().filter_map(|key| hashes.get(key).copied()).collect()
    }

    /// Moves torrents in the queue. They keep their order among themselves; torrents that are active stay so.
    pub fn move_in_queue(&self, torrents: &[InfoHash], to: QueueMove) {
        let running = self.running();
        let keys: Vec<TorrentKey> =
            torrents.iter().filter_map(|hash| running.get(hash)).map(|torrent| torrent.key).collect();
        self.shared.active.shift(&keys, to);
    }

    /// Moves a torrent to a place in the queue, counted from 0; a place past the last is the last.
    pub fn set_queue_position(&self, torrent: InfoHash, position: usize) {
        if let Some(torrent) = self.running().get(&torrent) {
            self.shared.active.place(torrent.key, position);
        }
    }

    /// Changes what is blocked ([`Config::filter`]). Peers that are connected stay connected.
    pub fn set_filter(&self, filter: impl Into<Arc<AddressFilter>>) {
        let filter = filter.into();
        // Held until all were told: a torrent that is added meanwhile has the old filter and hears of the
        // new one, or has the new one.
        let running = self.running();
        self.shared.filter.set(filter.clone());
        for torrent in running.values() {
            // Fails only if the torrent has ended.
            let _ = torrent.inbox.send(Input::Filter(filter.clone()).into());
        }
    }

    /// How many connections were closed because they came from a blocked address.
    pub fn refused_connections(&self) -> u64 {
        self.shared.filter.refused()
    }

    /// Ends every torrent: saves its state and announces `stopped`. Takes less than a second, whatever
    /// hangs: a slower tracker or disk is left behind, and pieces that the saved state does not list are
    /// hashed again at the next start.
    pub fn shutdown(self) {
        drop(self);
    }
}

/// Tells trackers, the DHT and peers the ports that the gateway maps.
fn tell_ports(shared: &ClientShared, status: &PortMapStatus) {
    let mapped = status.mapping.or(status.pinhole);
    if shared.told_ports.map(mapped.map(|mapping| (mapping.tcp, mapping.udp))) {
        shared.announces.port_changed();
        shared.dht.iter().for_each(DhtHandle::port_changed);
    }
    // As a tracker may tell it.
    for ip in [status.mapping, status.pinhole].into_iter().flatten().filter_map(|mapping| mapping.external_ip)
    {
        shared.dht.iter().for_each(|dht| dht.external_ip(ip));
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (peer_id, port) = (self.peer_id(), self.port());
        f.debug_struct("Client").field("peer_id", &peer_id).field("port", &port).finish_non_exhaustive()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let clock = self.shared.clock;
        let over = self.shared.shutdown.begin(clock.now());
        let running = std::mem::take(&mut *self.running());
        // A torrent whose queue is full is told again after all others; one that has ended needs nothing.
        let told = |torrent: &&Running| {
            !torrent.inbox.try_send(Input::Remove.into()).is_err_and(|error| error.is_full())
        };
        for torrent in running.values().filter(|torrent| !told(torrent)) {
            let _ = torrent.inbox.send_timeout(Input::Remove.into(), over - clock.now());
        }
        if let Some(lsd) = &self.shared.lsd {
            lsd.stop();
        }
        self.device = None;
        self.listener.stop();
        let portmap = self.portmap.take().inspect(PortMap::close);
        let dht = self.dht.take().inspect(Dht::close);
        for torrent in running.into_values() {
            torrent.thread.join_within(over - clock.now());
        }
        if let Some(portmap) = portmap {
            portmap.stop(over - clock.now());
        }
        if let Some(dht) = dht {
            dht.stop(over - clock.now());
        }
        if let Some(udp) = &self.udp {
            udp.stop();
        }
        self.shared.egress.close_relays();
        // The disk thread ends with its last sender. A worker that is left behind may hold one, so it is
        // not joined; every torrent has closed its files by now.
    }
}
