//! The embedded tracker: announces and scrapes over HTTP and UDP for a swarm of one's own, for
//! demos, tests and small networks.
//!
//! HTTP has as many threads as connections and a few to spare ([`HttpServer`]), UDP one for each address.
//! All share one [`Registry`]; no request holds its lock while waiting for the network.
//! Nothing is written to disk, and nothing survives the end.

mod http;
mod udp;

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use self::http::TrackerRoutes;
use crate::engine::http::response::Response;
use crate::engine::http::server::HttpServer;
use crate::engine::runtime::clock::Clock;
use crate::engine::udp::reader::UdpReader;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{InfoHash, PeerId};
use crate::lock::lock;
use crate::moment::Moment;
use crate::random::{Random, entropy};
use crate::setters::setters;
use crate::tracker::Event;
use crate::tracker::registry::{Entry, Limits, Registry};
use crate::tracker::reply::Ids;
use crate::tracker::url::unescape;

/// Longest that each reader of UDP is waited for at the end.
const MAX_END: Duration = Duration::from_millis(100);

/// Settings of a [`TrackerServer`].
#[derive(Debug, Clone)]
pub struct TrackerServerConfig {
    http: Vec<SocketAddr>,
    udp: Vec<SocketAddr>,
    interval: Duration,
    allowed: Option<Vec<InfoHash>>,
    max_torrents: usize,
    max_peers_per_torrent: usize,
    max_peers: usize,
    rate: u32,
    watch: Option<SyncSender<Announced>>,
}

setters!(TrackerServerConfig {
    /// Addresses to serve HTTP on; port 0 lets the system choose. The path is `/announce`. Default: none.
    http: impl IntoIterator<Item = SocketAddr> => http.into_iter().collect();
    /// Addresses to serve UDP on (BEP 15); port 0 lets the system choose. Default: none.
    udp: impl IntoIterator<Item = SocketAddr> => udp.into_iter().collect();
    /// What peers are told to wait between announces; they are forgotten after two of them. Default: 30
    /// minutes.
    interval: Duration;
    /// The only torrents that are tracked. Default: all.
    allowed: impl Into<Option<Vec<InfoHash>>> => allowed.into();
    /// Most torrents. Default: 10,000.
    max_torrents: usize;
    /// Most peers of one torrent and one family of addresses. Default: 5,000.
    max_peers_per_torrent: usize;
    /// Most peers of all torrents together; each takes at most 160 bytes, and about 100 mostly. Default:
    /// 100,000.
    max_peers: usize;
    /// Requests a second from one address, or one /64 of IPv6, and twice as many at once; 0 is no
    /// limit. Default: 50.
    rate: u32;
    /// Is told of every announce that was taken; what finds it full is lost. Default: none.
    watch: impl Into<Option<SyncSender<Announced>>> => watch.into();
});

impl TrackerServerConfig {
    /// Checks that the settings make a tracker; [`TrackerServer::start`] does so first.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] if there is no address to listen on.
    pub fn validate(&self) -> Result<()> {
        match self.http.is_empty() && self.udp.is_empty() {
            true => Err(Error::new(ErrorKind::Argument, "a tracker needs an address to listen on")),
            false => Ok(()),
        }
    }
}

/// An announce that an embedded tracker took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Announced {
    /// The torrent.
    pub info_hash: InfoHash,
    /// The id that the peer calls itself.
    pub peer_id: PeerId,
    /// Where it can be reached.
    pub address: SocketAddr,
    /// Whether it has everything.
    pub seed: bool,
    /// What it says has happened.
    pub event: Event,
}

impl Announced {
    /// A regular announce of a peer that has not everything.
    pub fn new(info_hash: InfoHash, peer_id: PeerId, address: SocketAddr) -> Self {
        Announced { info_hash, peer_id, address, seed: false, event: Event::None }
    }
}

impl Default for TrackerServerConfig {
    fn default() -> Self {
        TrackerServerConfig {
            http: Vec::new(),
            udp: Vec::new(),
            interval: Duration::from_secs(30 * 60),
            allowed: None,
            max_torrents: 10_000,
            max_peers_per_torrent: 5_000,
            max_peers: 100_000,
            rate: 50,
            watch: None,
        }
    }
}

/// A tracker that runs until it is stopped or dropped.
///
/// ```
/// use bitwren::{TrackerServer, TrackerServerConfig};
///
/// let config = TrackerServerConfig::default().http(["127.0.0.1:0".parse()?]).udp(["127.0.0.1:0".parse()?]);
/// let tracker = TrackerServer::start(config)?;
/// println!("http://{}/announce", tracker.http_addresses()[0]);
/// println!("udp://{}/announce", tracker.udp_addresses()[0]);
/// tracker.stop();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TrackerServer {
    shared: Arc<Shared>,
    server: HttpServer<TrackerRoutes>,
    http: Vec<SocketAddr>,
    udp: Vec<SocketAddr>,
    readers: Vec<UdpReader>,
}

/// What a tracker has to do, and has done since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct TrackerStats {
    /// Torrents with at least one peer, or one that left a completed download behind.
    pub torrents: usize,
    /// Peers with everything, once for each torrent and address.
    pub seeders: usize,
    /// Peers without.
    pub leechers: usize,
    /// HTTP connections open now.
    pub connections: usize,
    /// Announces asked for.
    pub announces: u64,
    /// Scrapes asked for.
    pub scrapes: u64,
    /// Requests turned away because their address makes too many.
    pub limited: u64,
    /// Connections closed before their time because others needed their place.
    pub hung_up: u64,
}

/// What was done.
#[derive(Debug, Default)]
struct Counters {
    announces: AtomicU64,
    scrapes: AtomicU64,
    limited: AtomicU64,
}

/// What is served besides announces and scrapes.
#[derive(Debug, Clone)]
struct Page {
    media_type: &'static str,
    body: Arc<[u8]>,
}

/// What all threads of a tracker share.
#[derive(Debug)]
struct Shared {
    registry: Mutex<Registry>,
    /// What is served besides, by its path.
    pages: Mutex<HashMap<Vec<u8>, Page>>,
    watch: Option<SyncSender<Announced>>,
    counters: Counters,
    clock: Clock,
}

impl Shared {
    fn registry(&self) -> MutexGuard<'_, Registry> {
        // A panic elsewhere cannot leave it worse than out of date.
        lock(&self.registry)
    }

    /// What is served under a path that was not unescaped yet.
    fn page(&self, path: &[u8]) -> Option<Response> {
        let page = lock(&self.pages).get(&unescape(path)).cloned();
        page.map(|page| Response::whole(200, page.media_type, page.body))
    }

    /// Tells the embedder that watches of an announce that was taken.
    fn tell(&self, entry: &Entry) {
        if let Some(watch) = &self.watch {
            let Entry { info_hash, peer_id, address, seed, event, .. } = *entry;
            // The tracker waits for no reader.
            let _ = watch.try_send(Announced { info_hash, peer_id, address, seed, event });
        }
    }

    /// Counts one more.
    fn count(&self, counter: impl FnOnce(&Counters) -> &AtomicU64) {
        counter(&self.counters).fetch_add(1, Ordering::Relaxed);
    }

    fn now(&self) -> Moment {
        self.clock.now()
    }
}

impl TrackerServer {
    /// Starts a tracker; when this returns, it listens.
    ///
    /// # Errors
    /// As [`TrackerServerConfig::validate`]; [`ErrorKind::Network`] where one cannot be listened on, [`ErrorKind::Resources`] where there are no threads to be had.
    pub fn start(config: TrackerServerConfig) -> Result<TrackerServer> {
        config.validate()?;
        let limits = Limits {
            interval: config.interval,
            swarms: config.max_torrents,
            peers_per_swarm: config.max_peers_per_torrent,
            peers: config.max_peers,
            num_want: 200,
            rate: config.rate,
            allowed: config.allowed.map(|hashes| hashes.into_iter().collect()),
        };
        let registry = Mutex::new(Registry::new(limits, Random::from_system()));
        let shared = Arc::new(Shared {
            registry,
            pages: Mutex::default(),
            watch: config.watch,
            counters: Counters::default(),
            clock: Clock::start(),
        });
        let routes = TrackerRoutes(shared.clone());
        let server = HttpServer::start("tracker-http", routes, http::LIMITS, shared.clock);
        // From here on the drop stops everything that was started, should a later step fail.
        let mut server =
            TrackerServer { shared, server, http: Vec::new(), udp: Vec::new(), readers: Vec::new() };
        for address in config.http {
            let listener = TcpListener::bind(address).map_err(|error| no_listening("TCP", address, error))?;
            server.http.push(listener.local_addr().map_err(|error| no_listening("TCP", address, error))?);
            server.server.listen(listener)?;
        }
        let ids = Ids::new(entropy());
        for address in config.udp {
            let socket = UdpSocket::bind(address).map_err(|error| no_listening("UDP", address, error))?;
            server.udp.push(socket.local_addr().map_err(|error| no_listening("UDP", address, error))?);
            let (socket, shared, ids) = (Arc::new(socket), server.shared.clone(), ids.clone());
            let own = socket.clone();
            let reader = UdpReader::start("tracker-udp", socket, move |datagram, from| {
                udp::answer(datagram, from, &own, &ids, &shared);
            })?;
            server.readers.push(reader);
        }
        Ok(server)
    }

    /// Where HTTP is served, in the order of the settings.
    pub fn http_addresses(&self) -> &[SocketAddr] {
        &self.http
    }

    /// Where UDP is served, in the order of the settings.
    pub fn udp_addresses(&self) -> &[SocketAddr] {
        &self.udp
    }

    /// Serves `body` over HTTP from now on for requests of `path`, which begins with `/` and is not escaped.
    /// It replaces what was served there, and precedes `announce` and `scrape`.
    pub fn publish(&self, path: &str, media_type: &'static str, body: impl Into<Arc<[u8]>>) {
        let page = Page { media_type, body: body.into() };
        let mut pages = lock(&self.shared.pages);
        pages.insert(path.as_bytes().to_vec(), page);
    }

    /// The state of the tracker and what it has done.
    pub fn stats(&self) -> TrackerStats {
        let (torrents, seeders, leechers) = self.shared.registry().census();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.shared.counters;
        TrackerStats {
            torrents,
            seeders,
            leechers,
            connections: self.server.connections(),
            announces: read(&counters.announces),
            scrapes: read(&counters.scrapes),
            limited: read(&counters.limited),
            hung_up: self.server.displaced(),
        }
    }

    /// Ends it; when this returns, nothing listens.
    pub fn stop(self) {}
}

impl Drop for TrackerServer {
    fn drop(&mut self) {
        self.readers.drain(..).for_each(|mut reader| reader.stop(MAX_END));
    }
}

fn no_listening(kind: &str, address: SocketAddr, error: std::io::Error) -> Error {
    use std::io::ErrorKind as Io;
    if error.kind() == Io::AddrNotAvailable {
        return Error::not_our_address(address.ip());
    }
    let hint = match error.kind() {
        Io::AddrInUse => "; choose another port with --port",
        Io::PermissionDenied => "; ports below 1024 need root",
        _ => "",
    };
    Error::new(ErrorKind::Network, format!("cannot listen on {kind} {address}{hint}")).because(error)
}
