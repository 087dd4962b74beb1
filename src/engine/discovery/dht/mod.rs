//! The DHT of a client: one thread that owns both nodes, IPv4 and IPv6, and a reader for each socket.
//!
//! The nodes are pure ([`crate::dht`]); here are their sockets ([`sockets`]), whose turn it is to be
//! looked up ([`rota`]), how the network is found ([`routers`]) and where it is remembered
//! ([`store`]). Everyone else has a [`DhtHandle`] and never waits: what a torrent wants is noted, and
//! peers come to its foreman as [`ToForeman::Found`].
//!
//! The thread waits in one place: for packets, for wishes, or for the next deadline of a node, which
//! with an idle table is minutes away. Packets come on a queue of their own that drops what does not
//! fit, so that a flood neither fills memory nor keeps a torrent's wish from being heard.
//!
//! A private torrent is never watched (BEP 27); its foreman does not ask.

mod bootstrap;
mod store;
mod thread;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::config::Config;
use crate::engine::inbox::ForemanSender;
use crate::engine::runtime::clock::Clock;
use crate::engine::runtime::threads;
use crate::engine::udp::sockets::Sockets;
use crate::error::Result;
use crate::event::DhtStatus;
use crate::id::InfoHash;
use crate::id::TorrentKey;
use crate::random::Random;

/// Packets that may wait for the thread.
const HEARD: usize = 128;
/// What may be lost.
pub(crate) enum Heard {
    /// A packet, and whose.
    Packet(SocketAddr, Box<[u8]>),
    /// A peer says that it has a node there (BEP 5, `port`).
    Node(SocketAddr),
}

/// What the thread is told. Only as much waits as torrents have to say.
enum ToDht {
    Watch(TorrentKey, InfoHash, u16, ForemanSender),
    Hurry(TorrentKey),
    Forget(TorrentKey),
    ExternalIp(IpAddr),
    /// Nodes that a name stands for; none where it could not be looked up.
    Nodes(Vec<SocketAddr>),
    /// All names were looked up.
    Asked,
    Close,
}

/// The DHT as torrents and connections see it. Nothing here waits.
#[derive(Clone)]
pub(crate) struct DhtHandle {
    told: Sender<ToDht>,
    heard: Sender<Heard>,
    port: u16,
    status: Arc<Mutex<DhtStatus>>,
}

impl DhtHandle {
    /// Looks for peers of a torrent from now on and announces it with the TCP port `port`. Never to
    /// be called for a private one.
    pub(crate) fn watch(&self, key: TorrentKey, info_hash: InfoHash, port: u16, foreman: ForemanSender) {
        let _ = self.told.send(ToDht::Watch(key, info_hash, port, foreman));
    }

    /// More peers are wanted soon. Cheap, and may be said often.
    pub(crate) fn want_peers(&self, key: TorrentKey) {
        let _ = self.told.send(ToDht::Hurry(key));
    }

    /// Looks no more.
    pub(crate) fn forget(&self, key: TorrentKey) {
        let _ = self.told.send(ToDht::Forget(key));
    }

    /// A peer has a node there.
    pub(crate) fn node(&self, addr: SocketAddr) {
        let _ = self.heard.try_send(Heard::Node(addr));
    }

    /// Somebody, a tracker or a peer, says that this is our address.
    pub(crate) fn external_ip(&self, ip: IpAddr) {
        let _ = self.told.send(ToDht::ExternalIp(ip));
    }

    /// Our UDP port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What there is to show.
    pub(crate) fn status(&self) -> DhtStatus {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The running DHT, as the client holds it.
pub(crate) struct Dht {
    handle: DhtHandle,
    sockets: Arc<Sockets>,
    /// Hangs up when the thread has ended.
    done: Receiver<()>,
}

impl Dht {
    /// Opens the sockets, at the TCP port where that is free, and starts.
    ///
    /// # Errors
    /// As [`Sockets::open`].
    pub(crate) fn start(config: &Config, tcp_port: u16, clock: Clock, random: Random) -> Result<Dht> {
        let (told, inbox) = unbounded();
        let (heard, packets) = bounded(HEARD);
        let sockets = Arc::new(Sockets::open(config.bind, tcp_port, &heard)?);
        let status = DhtStatus { port: sockets.port(), ..DhtStatus::default() };
        let status = Arc::new(Mutex::new(status));
        let setup = thread::Setup {
            names: config.dht_nodes.clone(),
            state: config.dht_state.clone(),
            read_only: config.dht_read_only,
            sockets: sockets.clone(),
            clock,
            random,
            status: status.clone(),
            home: told.clone(),
        };
        let (end, done) = bounded::<()>(0);
        let working = move || {
            thread::Work::new(setup).run(&inbox, &packets);
            drop(end);
        };
        let handle = DhtHandle { told, heard, port: sockets.port(), status };
        match threads::spawn("dht", working) {
            Ok(_) => Ok(Dht { handle, sockets, done }),
            Err(error) => {
                sockets.stop();
                Err(error)
            }
        }
    }

    pub(crate) fn handle(&self) -> DhtHandle {
        self.handle.clone()
    }

    /// Begins to end: the table is saved meanwhile.
    pub(crate) fn close(&self) {
        let _ = self.handle.told.send(ToDht::Close);
    }

    /// Ends; what takes longer than `patience` to save the table is left behind.
    pub(crate) fn stop(self, patience: Duration) {
        self.close();
        self.sockets.stop();
        // Nothing is ever sent: that the thread has ended is the answer.
        let _ = self.done.recv_timeout(patience);
    }
}
