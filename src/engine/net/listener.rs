//! The listener: one thread that accepts for all torrents, and a thread for each handshake until
//! it is known which torrent it is for.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::dial;
use crate::config::Config;
use crate::engine::conn::worker;
use crate::engine::context::ClientShared;
use crate::engine::door::Door;
use crate::engine::runtime::events::EventSender;
use crate::engine::runtime::threads;
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventKind;
use crate::id::InfoHash;
use crate::peer::flood::Flood;
use crate::violation::DisconnectReason;

/// How long the call that wakes the listener has.
const WAKING: Duration = Duration::from_millis(200);
/// Ports tried after the one asked for.
const MORE_PORTS: u16 = 9;
/// Strangers without a handshake that are told of: so many at once, and one more each time.
const TOLD: u32 = 16;
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// The torrents that connections may come in for.
#[derive(Default)]
pub(crate) struct Registry(Mutex<HashMap<InfoHash, Door>>);

impl Registry {
    fn lock(&self) -> MutexGuard<'_, HashMap<InfoHash, Door>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connections for this torrent are let in from now on.
    pub(crate) fn add(&self, door: Door) {
        self.lock().insert(door.info_hash(), door);
    }

    /// And from now on no more.
    pub(crate) fn remove(&self, info_hash: InfoHash) {
        self.lock().remove(&info_hash);
    }

    /// The torrent that connections may come in for, where there is just one.
    fn only(&self) -> Option<InfoHash> {
        let doors = self.lock();
        if doors.len() == 1 { doors.keys().next().copied() } else { None }
    }

    fn get(&self, info_hash: InfoHash) -> Option<Door> {
        self.lock().get(&info_hash).cloned()
    }
}

/// Opens the listening socket: every address (IPv6 and IPv4 in one where the system has both), or
/// the one that was asked for.
///
/// # Errors
/// [`ErrorKind::Network`] where no port can be had, [`ErrorKind::Argument`] where the address is not
/// one of this machine.
pub(crate) fn bind(config: &Config) -> Result<TcpListener> {
    let last = if config.port_required || config.port == 0 {
        config.port
    } else {
        config.port.saturating_add(MORE_PORTS)
    };
    let mut failed = None;
    for port in config.port..=last {
        match bind_at(config.bind, port) {
            Ok(listener) => return Ok(listener),
            Err(error) => match config.bind {
                Some(address) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                    // No other port would do.
                    return Err(Error::not_our_address(address));
                }
                _ => failed = Some(error),
            },
        }
    }
    let ports = if last > config.port {
        format!("ports {} to {last}", config.port)
    } else {
        format!("port {}", config.port)
    };
    let error =
        Error::new(ErrorKind::Network, format!("cannot listen on {ports}; choose another port with --port"));
    Err(match failed {
        Some(cause) => error.because(cause),
        None => error,
    })
}

fn bind_at(addr: Option<IpAddr>, port: u16) -> io::Result<TcpListener> {
    match addr {
        Some(addr) => TcpListener::bind((addr, port)),
        None => TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))
            .or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))),
    }
}

/// Tells of those whose handshake is none: they named no torrent, so that it is told where there is only one,
/// and not more often than anyone can read.
struct Strangers {
    teller: EventSender,
    measure: Mutex<Flood>,
}

impl Strangers {
    fn tell(&self, addr: SocketAddr, why: DisconnectReason, client: &ClientShared, registry: &Registry) {
        let (DisconnectReason::Violation(_), Some(torrent)) = (why, registry.only()) else { return };
        let now = client.clock.now();
        let mut measure = self.measure.lock().unwrap_or_else(PoisonError::into_inner);
        if Flood::drop(&mut measure, now) {
            self.teller.tell(torrent, EventKind::PeerGone { peer: addr, id: None, uploaded: 0, why });
        }
    }
}

/// A running listener.
pub(crate) struct Listener {
    addr: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Starts to accept.
    ///
    /// # Errors
    /// [`ErrorKind::Network`] and [`ErrorKind::Resources`].
    pub(crate) fn start(
        listener: TcpListener,
        client: Arc<ClientShared>,
        registry: Arc<Registry>,
        teller: EventSender,
    ) -> Result<Listener> {
        let addr = listener.local_addr().map_err(|cause| {
            Error::new(ErrorKind::Network, "the listening socket has no address").because(cause)
        })?;
        let ended = Arc::new(AtomicBool::new(false));
        let flag = ended.clone();
        let measure = Mutex::new(Flood::of(TOLD, TOLD_EVERY, client.clock.now()));
        let strangers = Arc::new(Strangers { teller, measure });
        let thread =
            threads::spawn("listen", move || accept(&listener, &client, &registry, &strangers, &flag))?;
        Ok(Listener { addr, ended, thread: Some(thread) })
    }

    /// Stops accepting.
    pub(crate) fn stop(&mut self) {
        self.ended.store(true, Ordering::Release);
        let mut own = self.addr;
        if own.ip().is_unspecified() {
            own.set_ip(if own.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
        }
        // The accept returns for a connection of our own. Should even that fail, the thread is
        // left behind: it owns nothing that anyone waits for.
        let woken = TcpStream::connect_timeout(&own, WAKING).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ = thread.join();
        }
    }
}

fn accept(
    listener: &TcpListener,
    client: &Arc<ClientShared>,
    registry: &Arc<Registry>,
    strangers: &Arc<Strangers>,
    ended: &AtomicBool,
) {
    for stream in listener.incoming() {
        if ended.load(Ordering::Acquire) {
            return;
        }
        match stream {
            Ok(stream) => greet(stream, client, registry, strangers),
            // Out of descriptors or memory: the connection stays in the backlog; give others time
            // to end instead of spinning.
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// Shakes hands on a thread of its own; a connection for which there is no place is dropped.
fn greet(
    stream: TcpStream,
    client: &Arc<ClientShared>,
    registry: &Arc<Registry>,
    strangers: &Arc<Strangers>,
) {
    let Ok(addr) = stream.peer_addr() else { return };
    // An IPv4 peer on a socket for both comes as a mapped address.
    let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
    let Some(place) = client.handshakes.enter(stream, addr.ip(), client.clock.now()) else { return };
    let (shared, registry, strangers) = (client.clone(), registry.clone(), strangers.clone());
    let greeting = move || {
        let (handshake, door) = match dial::welcome(place.stream(), |info_hash| registry.get(info_hash)) {
            Ok(welcome) => welcome,
            Err(why) => return strangers.tell(addr, why, &shared, &registry),
        };
        drop((shared, registry, strangers));
        let Some(stream) = place.leave() else { return };
        if let Ok(fresh) = dial::fresh(stream, addr, true, handshake) {
            door.converse(fresh);
        }
    };
    // Without a thread to be had the place is given back and the connection closed with it.
    let _ = threads::spawn(&worker::thread_name(addr), greeting);
}
