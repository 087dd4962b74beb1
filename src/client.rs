//! The door: a [`Client`] runs torrents, a [`Torrent`] is a handle on one, [`Events`] tells what
//! happens.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};

use crate::budget::Budget;
use crate::config::{Config, TorrentConfig};
use crate::engine::context::ClientShared;
use crate::engine::discovery::dht::{Dht, MAX_DATAGRAMS_WAITING};
use crate::engine::discovery::lsd::Lsd;
use crate::engine::discovery::named_peers;
use crate::engine::discovery::named_peers::{Looking, News};
use crate::engine::disk::checker::Checker;
use crate::engine::disk::writer;
use crate::engine::inbox::{TorrentMessage, TorrentSender};
use crate::engine::metadata::{self, MagnetSetup};
use crate::engine::net::handshakes::Handshakes;
use crate::engine::net::listener;
use crate::engine::net::listener::{Listener, Registry};
use crate::engine::runtime::block_pool::BlockPool;
use crate::engine::runtime::clock::Clock;
use crate::engine::runtime::events;
use crate::engine::runtime::events::EventSender;
use crate::engine::runtime::ledger::Ledger;
use crate::engine::runtime::quotas::ConnectionQuota;
use crate::engine::runtime::rate_limit::Limiter;
use crate::engine::runtime::shutdown::Ending;
use crate::engine::runtime::threads::Waited;
use crate::engine::torrent::active_queue::ActiveQueue;
use crate::engine::torrent::{self, Setup, Started, TorrentStatus};
use crate::engine::tracker::Office;
use crate::engine::udp::port::UdpPort;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{DhtStatus, Event, EventKind, PeerSnapshot, Progress};
use crate::host::external_ip::ExternalIpVotes;
use crate::id::TorrentKey;
use crate::id::{InfoHash, PeerId};
use crate::metainfo::{Magnet, Metainfo};
use crate::random::Random;
use crate::storage::fd_cache::FdCache;
use crate::swarm::peers::Source;
use crate::torrent::Input;

/// A running client: one listener, one disk writer, any number of torrents.
///
/// Dropping it is [`Client::shutdown`].
pub struct Client {
    config: Config,
    shared: Arc<ClientShared>,
    registry: Arc<Registry>,
    fds: Arc<FdCache>,
    teller: EventSender,
    events: Receiver<Event>,
    dropped: Arc<AtomicU64>,
    random: Mutex<Random>,
    next_torrent: AtomicU32,
    running: Mutex<HashMap<InfoHash, Running>>,
    listener: Listener,
    /// Where the DHT is on, its only protocol so far.
    udp: Option<Arc<UdpPort>>,
    dht: Option<Dht>,
}

struct Running {
    inbox: TorrentSender,
    status: Arc<TorrentStatus>,
    thread: Waited,
    /// While peers are looked up.
    _looking: Option<Looking>,
}

impl Client {
    /// Starts a client: it listens from now on.
    ///
    /// # Errors
    /// [`ErrorKind::Network`] where no port can be had, [`ErrorKind::Resources`] where no thread
    /// can, [`ErrorKind::Argument`] for a setting out of its range, and for [`Config::lsd`] without
    /// the feature `sys`.
    pub fn start(mut config: Config) -> Result<Client> {
        check_range("max_peers", u64::from(config.max_peers), 1, 10_000)?;
        check_range("max_half_open", u64::from(config.max_half_open), 1, 1_000)?;
        check_range("max_open_files", config.max_open_files as u64, 4, 100_000)?;
        if config.max_memory != 0 {
            check_range("max_memory", config.max_memory, Budget::LEAST, u64::MAX)?;
        }
        let budget = Budget::of(config.max_memory);
        config.max_peers = config.max_peers.min(budget.connections);
        config.max_half_open = config.max_half_open.min(budget.connections.div_ceil(2));
        let mut random = config.random_seed.map_or_else(Random::from_system, Random::seeded);
        let clock = Clock::start();
        let socket = listener::bind(&config)?;
        let port = socket.local_addr().map_or(config.port, |addr| addr.port());
        let to_disk = writer::start()?;
        let (udp, dht) = match config.dht {
            true => {
                let (sender, datagrams) = bounded(MAX_DATAGRAMS_WAITING);
                let udp = Arc::new(UdpPort::open(config.bind, port, &sender)?);
                let random = Random::seeded(random.next_u64());
                (Some(udp.clone()), Some(Dht::start(&config, udp, datagrams, clock, random)?))
            }
            false => (None, None),
        };
        let shared = Arc::new(ClientShared {
            clock,
            ending: Ending::default(),
            pool: BlockPool::new(&budget),
            disk: to_disk,
            peer_id: PeerId::ours(&mut random),
            port,
            bind: config.bind,
            pex: config.pex,
            ledger: Ledger::new(budget, config.max_peers),
            budget,
            external: ExternalIpVotes::default(),
            connected: ConnectionQuota::new(config.max_peers),
            calling: ConnectionQuota::new(config.max_half_open),
            handshakes: Handshakes::new(config.max_half_open),
            active: ActiveQueue::new(config.max_active),
            office: Office::start(clock, config.bind)?,
            checker: Checker::start()?,
            dht: dht.as_ref().map(Dht::handle),
            next_peer: AtomicU32::new(0),
            lsd: config.lsd.then(|| Lsd::start(&config, port, clock)).transpose()?,
            down: Limiter::new(config.down_limit, clock),
            up: Limiter::new(config.up_limit, clock),
        });
        let registry = Arc::new(Registry::default());
        let (teller, events, dropped) = events::queue();
        let listener = Listener::start(socket, shared.clone(), registry.clone(), teller.clone())?;
        Ok(Client {
            fds: Arc::new(FdCache::new(config.max_open_files)),
            config,
            shared,
            registry,
            teller,
            events,
            dropped,
            random: Mutex::new(random),
            next_torrent: AtomicU32::new(0),
            running: Mutex::default(),
            listener,
            udp,
            dht,
        })
    }

    /// Adds a torrent and starts it when its turn comes ([`Config::max_active`]): existing data is
    /// checked, then it downloads or seeds. Events tell what becomes of it.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`] where this client runs the torrent already, [`ErrorKind::Argument`]
    /// for a setting out of its range, [`ErrorKind::Resources`] where no thread can be had.
    pub fn add(&self, metainfo: Arc<Metainfo>, config: TorrentConfig) -> Result<Torrent> {
        let config = self.checked(config)?;
        torrent::check_selection(&metainfo, &config)?;
        let known = Arc::new(OnceLock::from(metainfo.clone()));
        let name = (metainfo.info_hash(), metainfo.name());
        self.start_torrent(name, config, known, |setup| torrent::start(setup, metainfo.clone()))
    }

    /// Adds a torrent of which only a magnet link is known, or an info-hash: the rest is asked of
    /// peers (BEP 9), which are found through its trackers, the link, [`TorrentConfig::peers`] and
    /// whatever else the client looks with. [`EventKind::Metadata`](crate::EventKind::Metadata) tells
    /// when it is there; from then on it is as [`Client::add`] has it. It is kept beside the resume
    /// state, so that another start needs nobody.
    ///
    /// # Errors
    /// As for [`Client::add`]. That the files selected are not there can only be told later, as
    /// [`EventKind::Failed`](crate::EventKind::Failed).
    pub fn add_magnet(&self, magnet: Magnet, config: TorrentConfig) -> Result<Torrent> {
        let mut config = self.checked(config)?;
        for (host, port) in magnet.peers.iter().cloned() {
            match host.parse() {
                Ok(ip) => config.peers.push(SocketAddr::new(ip, port)),
                Err(_) => config.peer_names.push((host, port)),
            }
        }
        let known = Arc::new(OnceLock::new());
        let (metainfo, hash) = (known.clone(), magnet.info_hash);
        let name = magnet.name.clone().unwrap_or_else(|| hash.to_string());
        self.start_torrent((hash, &name), config, known, |setup| {
            metadata::start(MagnetSetup { magnet, setup, metainfo })
        })
    }

    /// The settings of a torrent, made whole by those of the client.
    fn checked(&self, mut config: TorrentConfig) -> Result<TorrentConfig> {
        check_range("max_peers", u64::from(config.max_peers), 1, 10_000)?;
        check_range("upload_slots", u64::from(config.upload_slots.unwrap_or(1)), 1, 1_000)?;
        config.seed_ratio = config.seed_ratio.or(self.config.seed_ratio);
        config.seed_time = config.seed_time.or(self.config.seed_time);
        config.seed_idle = config.seed_idle.or(self.config.seed_idle);
        if let Some(ratio) = config.seed_ratio.filter(|ratio| ratio.is_nan() || *ratio < 0.0) {
            let context = format!("seed_ratio is {ratio}; it must be 0 or more");
            return Err(Error::new(ErrorKind::Argument, context));
        }
        Ok(config)
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
        let seed = self.random.lock().unwrap_or_else(PoisonError::into_inner).next_u64();
        let started = start(Setup {
            key: TorrentKey(self.next_torrent.fetch_add(1, Ordering::Relaxed)),
            config,
            client: self.shared.clone(),
            registry: self.registry.clone(),
            teller: self.teller.clone(),
            fds: self.fds.clone(),
            hash_threads: self.config.hash_threads,
            save_every: self.config.save_every,
            random: Random::seeded(seed),
        })?;
        let (inbox, status) = (started.inbox.clone(), started.status.clone());
        let _looking = self.look_up(info_hash, names, &started);
        running.insert(info_hash, Running { inbox, status, thread: started.thread, _looking });
        Ok(Torrent { info_hash, metainfo: known, inbox: started.inbox, status: started.status })
    }

    /// Has the peers of a torrent looked up that are known by name.
    fn look_up(&self, torrent: InfoHash, names: Vec<(String, u16)>, started: &Started) -> Option<Looking> {
        if names.is_empty() {
            return None;
        }
        let (inbox, status, teller) = (started.inbox.clone(), started.status.clone(), self.teller.clone());
        let tell = move |news: News<'_>| {
            let is_wanted = !status.has_ended();
            match news {
                News::Found(found) => {
                    is_wanted && inbox.send(Input::Found(Source::Given, found).into()).is_ok()
                }
                News::Failed(host, error) => {
                    let what = format!("the peer {host} cannot be looked up: {error}; trying again");
                    teller.tell(torrent, EventKind::Note { what });
                    is_wanted
                }
            }
        };
        let looking = named_peers::look_up(names, tell);
        looking
            .inspect_err(|error| self.teller.tell(torrent, EventKind::Note { what: error.to_string() }))
            .ok()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<InfoHash, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The events of all torrents. They are handed out once: two readers share them.
    pub fn events(&self) -> Events {
        Events { receiver: self.events.clone(), dropped: self.dropped.clone() }
    }

    /// What it calls itself to peers and trackers.
    pub fn peer_id(&self) -> PeerId {
        self.shared.peer_id
    }

    /// The port that is listened on.
    pub fn port(&self) -> u16 {
        self.shared.port
    }

    /// How the client stands in the DHT; nothing where it is off.
    pub fn dht(&self) -> Option<DhtStatus> {
        self.dht.as_ref().map(|dht| dht.handle().status())
    }

    /// Changes the limits of all torrents together, in bytes a second; 0 is no limit.
    pub fn set_limits(&self, down: u64, up: u64) {
        self.shared.down.set_rate(down);
        self.shared.up.set_rate(up);
    }

    /// Ends every torrent: state saved, `stopped` announced. Less than a second, whatever hangs: a tracker
    /// or a disk that takes longer is left to itself, and what the state does not claim then is hashed
    /// again the next time.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let clock = self.shared.clock;
        let over = self.shared.ending.begin(clock.now());
        let running = std::mem::take(&mut *self.running());
        // Whose queue is full is told again once everyone has been; one that has ended minds nothing.
        let told = |torrent: &&Running| {
            !torrent.inbox.try_send(Input::Remove.into()).is_err_and(|error| error.is_full())
        };
        for torrent in running.values().filter(|torrent| !told(torrent)) {
            let _ = torrent.inbox.send_timeout(Input::Remove.into(), over - clock.now());
        }
        if let Some(lsd) = &self.shared.lsd {
            lsd.stop();
        }
        self.listener.stop();
        let dht = self.dht.take().inspect(Dht::close);
        for torrent in running.into_values() {
            torrent.thread.join_within(over - clock.now());
        }
        if let Some(dht) = dht {
            dht.stop(over - clock.now());
        }
        if let Some(udp) = &self.udp {
            udp.stop();
        }
        // The disk thread ends with the last sender; a worker left behind may still hold one, so
        // nobody waits for it: every torrent has closed its files by now.
    }
}

fn check_range(name: &str, value: u64, least: u64, most: u64) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Argument, format!("{name} is {value}; it must be {least} to {most}")))
}

/// A handle on one torrent of a client; clones are the same torrent. Using it after the torrent
/// ended does nothing.
#[derive(Clone)]
pub struct Torrent {
    info_hash: InfoHash,
    metainfo: Arc<OnceLock<Arc<Metainfo>>>,
    inbox: TorrentSender,
    status: Arc<TorrentStatus>,
}

impl Torrent {
    /// Its info-hash.
    pub fn info_hash(&self) -> InfoHash {
        self.info_hash
    }

    /// What it is made of; of a magnet link nothing until that was fetched.
    pub fn metainfo(&self) -> Option<Arc<Metainfo>> {
        self.metainfo.get().cloned()
    }

    /// Where it stands.
    pub fn progress(&self) -> Progress {
        self.status.progress()
    }

    /// Who is connected: asked of the torrent's thread, which answers at once. Empty where it has
    /// ended, or is too busy to answer within a second.
    pub fn peers(&self) -> Vec<PeerSnapshot> {
        let (answer, answered) = bounded(1);
        self.send(TorrentMessage::Peers(answer));
        answered.recv_timeout(Duration::from_secs(1)).unwrap_or_default()
    }

    /// Stops it for now: peers are left, state is saved.
    pub fn pause(&self) {
        self.send(Input::Pause.into());
    }

    /// Goes on after a pause.
    pub fn resume(&self) {
        self.send(Input::Resume.into());
    }

    /// Ends it: state saved, `stopped` announced. [`EventKind::Stopped`](crate::EventKind::Stopped)
    /// tells when it is done.
    pub fn remove(&self) {
        self.send(Input::Remove.into());
    }

    /// A peer to try.
    pub fn add_peer(&self, peer: SocketAddr) {
        self.send(Input::Found(Source::Given, vec![peer]).into());
    }

    /// Changes its limits, in bytes a second; 0 is no limit.
    pub fn set_limits(&self, down: u64, up: u64) {
        self.send(TorrentMessage::SetLimits { down, up });
    }

    fn send(&self, message: TorrentMessage) {
        // A torrent that has ended takes no messages.
        let _ = self.inbox.send(message);
    }
}

/// The events of a client.
pub struct Events {
    receiver: Receiver<Event>,
    dropped: Arc<AtomicU64>,
}

impl Events {
    /// The next event, waiting up to `timeout`; nothing when that passed, or the client has ended
    /// and all events were read.
    pub fn next_within(&self, timeout: Duration) -> Option<Event> {
        self.receiver.recv_timeout(timeout).ok()
    }

    /// How many events were dropped because nobody read them.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
