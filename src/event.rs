//! Reports of a client: milestones as [`Event`]s, and the state of the DHT and of port mapping as snapshots.
//!
//! Plain values; nothing here sends or measures. Events are few and go through a bounded queue: when it is
//! full, the oldest are dropped and counted. What changes constantly is polled
//! ([`snapshot`](crate::snapshot)), so that a slow reader costs nothing.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::crypto::Encryption;
use crate::error::ErrorKind;
use crate::id::{InfoHash, PeerId};
use crate::violation::{DisconnectReason, Violation};

/// Something that happened, and to which torrent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Event {
    /// The torrent.
    pub torrent: InfoHash,
    /// What happened.
    pub what: EventKind,
}

/// What happened to a torrent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// The metadata of a magnet link has arrived and matches its info-hash.
    Metadata {
        /// The torrent's name.
        name: String,
        /// Length of the info dictionary in bytes.
        bytes: u32,
        /// Whether it was stored by an earlier run, so that no peer had to be asked.
        kept: bool,
    },
    /// The torrent waits for an active slot ([`Config::max_active`](crate::Config::max_active)).
    Queued,
    /// Existing data is being hashed.
    Checking,
    /// Existing data was checked.
    Checked {
        /// Pieces that are complete and correct.
        have: u32,
        /// Pieces in all.
        of: u32,
    },
    /// Something was not done exactly as asked, or an existing file was not used.
    Note {
        /// What, in one line.
        what: String,
    },
    /// A file is stored under another path than the torrent gives.
    StoredAs {
        /// Its index in the torrent.
        index: u32,
        /// Its path below the download directory. May contain terminal control characters.
        path: PathBuf,
        /// Why, in a few words.
        why: String,
    },
    /// Another program changed a file that was correct; it was hashed again.
    FileChanged {
        /// Its index in the torrent.
        index: u32,
        /// Whether the file no longer exists.
        gone: bool,
        /// Pieces of it that are no longer correct and no longer offered.
        lost: u32,
        /// Pieces of it that were correct before.
        of: u32,
        /// Whether they are downloaded again. A complete file is not: the change may be intended.
        again: bool,
    },
    /// The download began.
    Started,
    /// A piece was verified.
    Piece {
        /// Its index.
        index: u32,
    },
    /// A file is complete.
    FileDone {
        /// Its index in the torrent.
        index: u32,
    },
    /// Everything wanted is verified.
    Finished {
        /// How long the download ran in this session.
        took: Duration,
    },
    /// A piece failed its hash check.
    PieceFailed {
        /// Its index.
        index: u32,
        /// How many peers delivered blocks of it.
        contributors: u32,
    },
    /// A connection to a peer was established.
    PeerConnected {
        /// Its address.
        peer: SocketAddr,
        /// Whether the peer connected to this client.
        incoming: bool,
        /// How much of the connection is encrypted.
        encryption: Encryption,
    },
    /// A connection to a peer ended, or failed in the handshake: the peer has another torrent, is this
    /// client itself, or connected and sent no handshake. The last is reported only while one torrent
    /// runs, and not for every peer if there are many.
    PeerGone {
        /// Its address.
        peer: SocketAddr,
        /// Its id; `None` if the handshake failed.
        id: Option<PeerId>,
        /// Payload bytes sent to it over this connection.
        uploaded: u64,
        /// Why.
        why: DisconnectReason,
    },
    /// A peer was banned.
    PeerBanned {
        /// Its address.
        peer: SocketAddr,
        /// The violation.
        violation: Violation,
    },
    /// A tracker answered.
    TrackerAnswered {
        /// Its URL.
        url: String,
        /// Peers in the answer.
        peers: u32,
        /// Time until the next announce.
        interval: Duration,
        /// The warning in its answer, if there is one.
        warning: Option<String>,
    },
    /// A tracker failed.
    TrackerFailed {
        /// Its URL.
        url: String,
        /// Why, in one line.
        why: String,
        /// Time until the next attempt; `None` if there is none.
        retry: Option<Duration>,
    },
    /// A tracker has not answered yet; the announce is still under way.
    TrackerSilent {
        /// Its URL.
        url: String,
        /// Time since the announce began.
        waited: Duration,
    },
    /// Storage failed. The torrent waits and continues by itself when storage works again.
    StorageFailed {
        /// What kind of failure.
        kind: ErrorKind,
        /// What, where, and what to do, in one line.
        why: String,
    },
    /// Storage works again.
    StorageRecovered,
    /// Nothing goes out any more: the network device of [`Config::device`](crate::Config::device) is down or
    /// gone. Each torrent is told, and continues by itself when the device is back.
    DeviceLost {
        /// The name of the device.
        device: String,
        /// What is wrong with it, in one line.
        why: String,
    },
    /// The network device is back.
    DeviceFound {
        /// The name of the device.
        device: String,
    },
    /// The proxy of [`Config::proxy`](crate::Config::proxy) cannot be reached or refuses the login. Nothing goes
    /// another way. Each torrent is told, and continues by itself when the proxy works again.
    ProxyLost {
        /// The proxy, without its login.
        proxy: String,
        /// What is wrong with it, in one line.
        why: String,
    },
    /// The proxy works again.
    ProxyFound {
        /// The proxy, without its login.
        proxy: String,
    },
    /// The files were moved.
    Moved {
        /// The directory that they are in now.
        dir: PathBuf,
    },
    /// The files were not moved; they are where they were.
    NotMoved {
        /// Why, in one line.
        why: String,
    },
    /// Paused by the user.
    Paused,
    /// Resumed by the user.
    Resumed,
    /// The torrent cannot continue. Only [`EventKind::Stopped`] follows, unless it is told to begin anew
    /// ([`Torrent::verify`](crate::Torrent::verify)).
    Failed {
        /// What kind of failure.
        kind: ErrorKind,
        /// What, where, and what to do, in one line.
        why: String,
    },
    /// A seed limit was reached; the torrent stops.
    SeedingDone {
        /// Which limit was reached.
        why: SeedLimit,
    },
    /// The torrent was removed, ended by itself, or its client ended; its last event.
    Stopped,
}

impl EventKind {
    /// The event for a failed connection attempt whose address is never tried again. Other failures may
    /// be thousands, are retried, and have no event.
    pub(crate) fn of_a_stranger(peer: SocketAddr, why: DisconnectReason) -> Option<EventKind> {
        match why {
            DisconnectReason::Violation(violation) => Some(EventKind::PeerBanned { peer, violation }),
            DisconnectReason::Ourselves | DisconnectReason::WrongTorrent => {
                Some(EventKind::PeerGone { peer, id: None, uploaded: 0, why })
            }
            _ => None,
        }
    }
}

/// A limit that ended seeding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SeedLimit {
    /// [`TorrentConfig::seed_ratio`](crate::TorrentConfig::seed_ratio).
    Ratio,
    /// [`TorrentConfig::seed_time`](crate::TorrentConfig::seed_time).
    Time,
    /// [`TorrentConfig::seed_idle`](crate::TorrentConfig::seed_idle).
    Idle,
}

impl fmt::Display for SeedLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SeedLimit::Ratio => "ratio",
            SeedLimit::Time => "time",
            SeedLimit::Idle => "idle",
        })
    }
}

/// A snapshot of the client's DHT node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct DhtStatus {
    /// UDP port of the node.
    pub port: u16,
    /// Known nodes that have answered, over IPv4.
    pub nodes: u32,
    /// Known nodes that have answered, over IPv6.
    pub nodes6: u32,
    /// Lookups under way.
    pub lookups: u32,
    /// Whether a torrent uses it to find peers.
    pub awake: bool,
    /// Addresses used in the last bootstrap: those given, and those that names resolved to.
    pub routers: u32,
    /// Names that could not be resolved in the last bootstrap.
    pub unresolved: u32,
    /// Datagrams at the UDP port that were no message of the DHT, and were dropped.
    pub unknown_datagrams: u64,
}

/// How a gateway was asked for a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PortMapMethod {
    /// The Port Control Protocol (RFC 6887).
    Pcp,
    /// The NAT Port Mapping Protocol (RFC 6886).
    NatPmp,
    /// UPnP, version 1 or 2 of its gateways.
    Upnp,
}

impl fmt::Display for PortMapMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PortMapMethod::Pcp => "PCP",
            PortMapMethod::NatPmp => "NAT-PMP",
            PortMapMethod::Upnp => "UPnP",
        })
    }
}

/// Ports at which the gateway lets connections from the Internet in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PortMapping {
    /// How the gateway was asked.
    pub method: PortMapMethod,
    /// The external address, where the gateway tells one that the Internet knows.
    pub external_ip: Option<IpAddr>,
    /// The external TCP port.
    pub tcp: u16,
    /// The external UDP port, where the DHT is on and the gateway gives one.
    pub udp: Option<u16>,
    /// How long it lasts without being renewed; zero if the gateway gives none but permanent mappings.
    pub lease: Duration,
    /// What the gateway calls its external address although the Internet does not know it: another router
    /// is in front of it, which has to let the same ports in.
    pub outer_nat: Option<IpAddr>,
}

impl PortMapping {
    /// A mapping without an address and without a lease, for tests of code that reads snapshots.
    pub fn new(method: PortMapMethod, tcp: u16, udp: Option<u16>) -> Self {
        PortMapping { method, external_ip: None, tcp, udp, lease: Duration::ZERO, outer_nat: None }
    }
}

/// The state of port mapping; a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PortMapStatus {
    /// The mapping over IPv4.
    pub mapping: Option<PortMapping>,
    /// The pinhole in the firewall over IPv6.
    pub pinhole: Option<PortMapping>,
    /// Why there is neither, in one line; `None` while the gateway is being asked for the first time.
    pub failed: Option<String>,
}
