//! The DHT as torrents and connections see it: a handle on its thread. Nothing here waits.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use crossbeam_channel::Sender;

use crate::engine::inbox::TorrentSender;
use crate::event::DhtStatus;
use crate::id::{InfoHash, TorrentKey};
use crate::lock::lock;

/// Commands to the thread. Only as many wait as torrents have sent.
pub(super) enum ToDht {
    Watch(TorrentKey, InfoHash, TorrentSender),
    PortChanged,
    Hurry(TorrentKey),
    Forget(TorrentKey),
    ExternalIp(IpAddr),
    /// The addresses of a name; none if it could not be looked up.
    Nodes(Vec<SocketAddr>),
    /// All names were looked up.
    NamesLookedUp,
    /// The network is back.
    Retry,
    Close,
}

/// A handle; clones reach the same thread.
#[derive(Clone)]
pub(crate) struct DhtHandle {
    pub(super) commands: Sender<ToDht>,
    /// Nodes that peers name; what finds the queue full is lost.
    pub(super) named_nodes: Sender<SocketAddr>,
    pub(super) status: Arc<Mutex<DhtStatus>>,
}

impl DhtHandle {
    /// Looks for peers of a torrent from now on and announces it. Never to be called for a private one.
    pub(crate) fn watch(&self, key: TorrentKey, info_hash: InfoHash, torrent: TorrentSender) {
        let _ = self.commands.send(ToDht::Watch(key, info_hash, torrent));
    }

    /// Peers are to connect to another port: all torrents are announced again soon.
    pub(crate) fn port_changed(&self) {
        let _ = self.commands.send(ToDht::PortChanged);
    }

    /// More peers are wanted soon. Cheap, and may be said often.
    pub(crate) fn want_peers(&self, key: TorrentKey) {
        let _ = self.commands.send(ToDht::Hurry(key));
    }

    /// Stops looking.
    pub(crate) fn forget(&self, key: TorrentKey) {
        let _ = self.commands.send(ToDht::Forget(key));
    }

    /// A peer says that it has a node there (BEP 5, `port`).
    pub(crate) fn node(&self, addr: SocketAddr) {
        let _ = self.named_nodes.try_send(addr);
    }

    /// A tracker or a peer says that this is our address.
    pub(crate) fn external_ip(&self, ip: IpAddr) {
        let _ = self.commands.send(ToDht::ExternalIp(ip));
    }

    /// The network is back: nodes are looked for at once, where few are known.
    pub(crate) fn retry(&self) {
        let _ = self.commands.send(ToDht::Retry);
    }

    /// What there is to show.
    pub(crate) fn status(&self) -> DhtStatus {
        *lock(&self.status)
    }
}
