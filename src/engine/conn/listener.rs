//! The listener: one thread that accepts for all torrents, and a thread for each handshake until
//! it is known which torrent it is for.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use super::dial;
use crate::config::Config;
use crate::engine::context::{ClientShared, TorrentContext};
use crate::engine::inbox::{TorrentMessage, TorrentSender};
use crate::engine::net::accept::Acceptor;
use crate::engine::net::egress::{Egress, Purpose};
use crate::engine::net::handshake::Asked;
use crate::engine::runtime::events::EventSender;
use crate::engine::runtime::threads;
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventKind;
use crate::id::InfoHash;
use crate::lock::lock;
use crate::peer::encryption::{TorrentMark, torrent_mark};
use crate::peer::message_limits::MessageLimit;
use crate::violation::DisconnectReason;

/// Ports tried after the one asked for.
const MORE_PORTS: u16 = 9;
/// Failed incoming handshakes that are reported: at once, and one more after each interval.
const MAX_REPORTED: u32 = 16;
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// The torrents that accept incoming connections, indexed by info-hash and by the hash that an encrypted
/// handshake sends instead: finding one is one look-up.
#[derive(Default)]
pub(crate) struct Registry(Mutex<Torrents>);

#[derive(Default)]
struct Torrents {
    by_info_hash: HashMap<InfoHash, Arc<TorrentContext>>,
    /// By the hash that an encrypted handshake sends.
    by_mark: HashMap<TorrentMark, InfoHash>,
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, Torrents> {
        lock(&self.0)
    }

    /// Accepts connections for this torrent from now on.
    pub(crate) fn add(&self, torrent: Arc<TorrentContext>) {
        let mut torrents = self.lock();
        torrents.by_mark.insert(torrent_mark(torrent.info_hash), torrent.info_hash);
        torrents.by_info_hash.insert(torrent.info_hash, torrent);
    }

    /// Accepts no more connections for it.
    pub(crate) fn remove(&self, info_hash: InfoHash) {
        let mut torrents = self.lock();
        torrents.by_mark.remove(&torrent_mark(info_hash));
        torrents.by_info_hash.remove(&info_hash);
    }

    /// The torrent that accepts connections, if there is just one.
    fn only(&self) -> Option<InfoHash> {
        let torrents = &self.lock().by_info_hash;
        if torrents.len() == 1 { torrents.keys().next().copied() } else { None }
    }

    /// Sends an event for each of the torrents.
    pub(crate) fn tell(&self, events: &EventSender, what: &EventKind) {
        let torrents: Vec<InfoHash> = self.lock().by_info_hash.keys().copied().collect();
        torrents.into_iter().for_each(|torrent| events.tell(torrent, what.clone()));
    }

    /// Ends the connections of all of them.
    pub(crate) fn cut_off(&self) {
        let torrents: Vec<TorrentSender> =
            self.lock().by_info_hash.values().map(|torrent| torrent.inbox.clone()).collect();
        // A torrent that has ended has no connections.
        torrents.into_iter().for_each(|torrent| _ = torrent.send(TorrentMessage::CutOff));
    }

    fn get(&self, asked: Asked) -> Option<Arc<TorrentContext>> {
        let torrents = self.lock();
        let info_hash = match &asked {
            Asked::InfoHash(info_hash) => info_hash,
            Asked::Mark(mark) => torrents.by_mark.get(mark)?,
        };
        torrents.by_info_hash.get(info_hash).cloned()
    }
}

/// Opens the listening socket: every address (IPv6 and IPv4 in one where the system has both), or
/// the one that was asked for. Nothing where the device that was chosen is not there, or
/// where a proxy is used, which carries no connections that come in.
///
/// # Errors
/// [`ErrorKind::Network`] where no port can be had, [`ErrorKind::Argument`] where the address is not
/// one of this machine.
pub(crate) fn bind(config: &Config, egress: &Egress) -> Result<Option<TcpListener>> {
    if egress.is_device_absent() || egress.proxy(Purpose::Peers).is_some() {
        return Ok(None);
    }
    let last = if config.port_required || config.port == 0 {
        config.port
    } else {
        config.port.saturating_add(MORE_PORTS)
    };
    let mut failed = None;
    for port in config.port..=last {
        match egress.listen(port) {
            Ok(listener) => return Ok(Some(listener)),
            Err(error) => match config.bind {
                Some(address) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                    // No other port would do.
                    return Err(Error::not_our_address(address));
                }
                // No other port would do here either: the socket does not support an option that was asked for.
                _ if error.kind() == io::ErrorKind::InvalidInput => {
                    return Err(Error::new(ErrorKind::Argument, error.to_string()));
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

/// Reports incoming connections whose handshake failed before it named a torrent: only if there is just one
/// torrent, and at a bounded rate.
struct Strangers {
    events: EventSender,
    measure: Mutex<MessageLimit>,
}

impl Strangers {
    fn tell(&self, addr: SocketAddr, why: DisconnectReason, client: &ClientShared, registry: &Registry) {
        let (DisconnectReason::Violation(_) | DisconnectReason::EncryptionMismatch, Some(torrent)) =
            (why, registry.only())
        else {
            return;
        };
        let now = client.clock.now();
        let mut measure = lock(&self.measure);
        if MessageLimit::add(&mut measure, now) {
            self.events.tell(torrent, EventKind::PeerGone { peer: addr, id: None, uploaded: 0, why });
        }
    }
}

/// Accepts connections while there is a listening socket.
pub(crate) struct Listener {
    client: Arc<ClientShared>,
    registry: Arc<Registry>,
    strangers: Arc<Strangers>,
    running: Mutex<Option<(Arc<Acceptor>, JoinHandle<()>)>>,
}

impl Listener {
    pub(crate) fn new(client: Arc<ClientShared>, registry: Arc<Registry>, events: EventSender) -> Listener {
        let measure = Mutex::new(MessageLimit::new(MAX_REPORTED, REPORT_INTERVAL));
        let strangers = Arc::new(Strangers { events, measure });
        Listener { client, registry, strangers, running: Mutex::default() }
    }

    /// Accepts from this socket from now on.
    ///
    /// # Errors
    /// [`ErrorKind::Resources`].
    pub(crate) fn accept_from(&self, socket: TcpListener) -> Result<()> {
        let acceptor = Acceptor::new(socket).map_err(|cause| {
            Error::new(ErrorKind::Resources, "no descriptor for the listening socket").because(cause)
        })?;
        let acceptor = Arc::new(acceptor);
        let (client, registry) = (self.client.clone(), self.registry.clone());
        let (strangers, accepting) = (self.strangers.clone(), acceptor.clone());
        let thread = threads::spawn("listen", move || {
            while let Some((stream, addr)) = accepting.next(|| ()) {
                // It is no Unix socket.
                let Some(addr) = addr else { continue };
                if client.filter.refuses(addr.ip()) {
                    continue;
                }
                greet(stream, addr, &client, &registry, &strangers);
            }
        })?;
        *lock(&self.running) = Some((acceptor, thread));
        Ok(())
    }

    /// Listens at the same port with a new socket, for a device that is there again.
    ///
    /// # Errors
    /// [`ErrorKind::Network`] and [`ErrorKind::Resources`].
    pub(crate) fn reopen(&self) -> Result<()> {
        self.stop();
        let port = self.client.port;
        let socket = self.client.egress.listen(port).map_err(|cause| {
            let what = format!("cannot listen on port {port}; peers cannot connect to this client");
            Error::new(ErrorKind::Network, what).because(cause)
        })?;
        self.accept_from(socket)
    }

    /// Stops accepting.
    pub(crate) fn stop(&self) {
        let running = lock(&self.running).take();
        if let Some((acceptor, thread)) = running {
            acceptor.close();
            let _ = thread.join();
        }
    }
}

/// Starts a thread for the handshake; without a free place for it the connection is dropped.
fn greet(
    stream: TcpStream,
    addr: SocketAddr,
    client: &Arc<ClientShared>,
    registry: &Arc<Registry>,
    strangers: &Arc<Strangers>,
) {
    let Some(place) = client.handshakes.enter(stream, addr.ip(), client.clock.now()) else { return };
    let (shared, registry, strangers) = (client.clone(), registry.clone(), strangers.clone());
    let greeting = move || {
        let policy = shared.encryption;
        let (shaken, torrent) = match dial::welcome(place.stream(), policy, |asked| registry.get(asked)) {
            Ok(welcome) => welcome,
            Err(why) => return strangers.tell(addr, why, &shared, &registry),
        };
        drop((shared, registry, strangers));
        let Some(stream) = place.leave() else { return };
        if let Ok(fresh) = dial::fresh(stream, addr, true, shaken) {
            // The torrent may have ended meanwhile.
            let _ = torrent.inbox.send(TorrentMessage::Join(Box::new(fresh)));
        }
    };
    // If no thread can be started, dropping these frees the place and closes the connection.
    let _ = threads::spawn("handshake", greeting);
}
