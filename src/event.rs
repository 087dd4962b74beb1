//! What the client tells its embedder: milestones as events, everything that moves as a snapshot.
//!
//! Events are few and come on a bounded queue; when nobody reads it, the oldest are dropped and
//! counted. Progress is polled ([`Progress`]), so that a slow reader costs nothing.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::ErrorKind;
use crate::id::{InfoHash, PeerId};
use crate::violation::{DisconnectReason, Violation};

/// Something that happened, and to which torrent.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The torrent.
    pub torrent: InfoHash,
    /// What happened.
    pub what: EventKind,
}

/// What happened to a torrent.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum EventKind {
    /// The metadata of a magnet link is there and right: from now on it is a torrent like any other.
    Metadata {
        /// The torrent's name.
        name: String,
        /// Length of the info dictionary in bytes.
        bytes: u32,
        /// Whether it was kept from an earlier run, so that nobody had to be asked.
        kept: bool,
    },
    /// Others download; this torrent waits for its turn.
    Queued,
    /// Existing data is being hashed.
    Checking,
    /// Existing data was checked: so many pieces of so many are there.
    Checked {
        /// Pieces that are there and right.
        have: u32,
        /// Pieces in all.
        of: u32,
    },
    /// Something was not done quite as asked, or a file that is there was not used.
    Note {
        /// What, in one line.
        what: String,
    },
    /// A file lies elsewhere than the torrent says.
    StoredAs {
        /// Its index in the torrent.
        index: u32,
        /// Where it lies below the download directory. May hold characters that act on a terminal.
        path: PathBuf,
        /// Why, in a few words.
        why: String,
    },
    /// Another program changed a file that was right, and it was hashed again.
    FileChanged {
        /// Its index in the torrent.
        index: u32,
        /// It is not there any more.
        gone: bool,
        /// Pieces of it that are not right any more: they are not offered any more.
        lost: u32,
        /// Pieces of it that were right before.
        of: u32,
        /// Whether they are downloaded again. What was complete is not: the change may be what the user wants.
        again: bool,
    },
    /// Downloading began.
    Started,
    /// A piece was verified.
    Piece {
        /// Its index.
        index: u32,
    },
    /// A file is whole.
    FileDone {
        /// Its index in the torrent.
        index: u32,
    },
    /// Everything wanted is there and verified.
    Finished {
        /// How long the download ran in this session.
        took: Duration,
    },
    /// A piece did not have its hash.
    PieceFailed {
        /// Its index.
        index: u32,
        /// How many peers had delivered blocks of it.
        contributors: u32,
    },
    /// A connection to a peer was made.
    PeerConnected {
        /// Where it is.
        peer: SocketAddr,
        /// Whether it came to us.
        incoming: bool,
    },
    /// A connection to a peer ended, or none came about: it is of another torrent, it is ourselves, or it
    /// called us and said something else than a handshake. The last is told where there is one torrent only,
    /// and not of all where they are many.
    PeerGone {
        /// Where it was.
        peer: SocketAddr,
        /// The id it called itself by; nothing where no connection came about.
        id: Option<PeerId>,
        /// Bytes of data that went to it over this connection.
        uploaded: u64,
        /// Why.
        why: DisconnectReason,
    },
    /// A peer will not be talked to again.
    PeerBanned {
        /// Where it is.
        peer: SocketAddr,
        /// What it did.
        misdeed: Violation,
    },
    /// A tracker answered.
    TrackerAnswered {
        /// Its URL.
        url: String,
        /// Peers in the answer.
        peers: u32,
        /// Until the next announce.
        interval: Duration,
        /// A warning it gave.
        warning: Option<String>,
    },
    /// A tracker failed.
    TrackerFailed {
        /// Its URL.
        url: String,
        /// Why, in one line.
        why: String,
        /// Until it is tried again; nothing where it is not.
        retry: Option<Duration>,
    },
    /// A tracker has not answered yet; it is still waited for.
    TrackerSilent {
        /// Its URL.
        url: String,
        /// How long it has been waited for.
        waited: Duration,
    },
    /// Storage failed and the torrent waits; it goes on by itself when it can.
    StorageFailed {
        /// What kind of failure.
        kind: ErrorKind,
        /// What, where, and what to do, in one line.
        why: String,
    },
    /// Storage works again.
    StorageRecovered,
    /// Paused by the user.
    Paused,
    /// Resumed by the user.
    Resumed,
    /// The torrent cannot go on: its last event but [`EventKind::Stopped`].
    Failed {
        /// What kind of failure.
        kind: ErrorKind,
        /// What, where, and what to do, in one line.
        why: String,
    },
    /// It was seeded enough: it ends.
    SeedingDone {
        /// Which limit was reached.
        why: SeedLimit,
    },
    /// The torrent was removed, has ended by itself, or the client ended; its last event.
    Stopped,
}

impl EventKind {
    /// What there is to tell of a call that came to nothing: that whoever is there is never called
    /// again, and why. Of the rest there may be thousands, and it will be tried again.
    pub(crate) fn of_a_stranger(peer: SocketAddr, why: DisconnectReason) -> Option<EventKind> {
        match why {
            DisconnectReason::Violation(misdeed) => Some(EventKind::PeerBanned { peer, misdeed }),
            DisconnectReason::Ourselves | DisconnectReason::WrongTorrent => {
                Some(EventKind::PeerGone { peer, id: None, uploaded: 0, why })
            }
            _ => None,
        }
    }
}

/// A limit of seeding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SeedLimit {
    /// Enough was sent for what was wanted.
    Ratio,
    /// Enough time has passed.
    Time,
    /// Nobody has taken anything for long enough.
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

/// What a torrent is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Phase {
    /// A magnet link: peers are asked what the torrent is made of (BEP 9).
    FetchingMetadata,
    /// Waiting for others to finish before it starts.
    Queued,
    /// Existing data is being hashed.
    #[default]
    Checking,
    /// Pieces are being fetched.
    Downloading,
    /// Everything wanted is there; others are served.
    Seeding,
    /// Stopped by the user for now.
    Paused,
    /// Storage failed; waiting for it to work again.
    Stalled,
    /// It cannot go on.
    Failed,
    /// Removed, or the client has ended.
    Stopped,
}

/// Where a torrent stands; a snapshot.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Bytes in all pieces.
    pub total: u64,
    /// Bytes in the pieces that were asked for (all, unless files were selected).
    pub wanted: u64,
    /// Bytes of the wanted pieces that are verified.
    pub verified: u64,
    /// Pieces verified.
    pub pieces: u32,
    /// Pieces in all.
    pub pieces_total: u32,
    /// Payload bytes received this session, useful or not.
    pub downloaded: u64,
    /// Payload bytes sent this session.
    pub uploaded: u64,
    /// Payload bytes sent in all sessions before, as far as the resume state knows.
    pub uploaded_before: u64,
    /// Payload bytes received that were of no use: duplicates and corrupt pieces.
    pub wasted: u64,
    /// Download rate in bytes a second, averaged over a few seconds.
    pub down_rate: u64,
    /// Upload rate in bytes a second, averaged over a few seconds.
    pub up_rate: u64,
    /// Peers connected.
    pub peers: u32,
    /// Connected peers that have everything.
    pub seeds: u32,
    /// Connected peers that let us download.
    pub unchoked: u32,
    /// Peers known, connected or not.
    pub known: u32,
    /// Bytes of the metadata that are there and how many there will be, 0 while nobody said; of
    /// interest while [`Phase::FetchingMetadata`].
    pub metadata: u32,
    /// See `metadata`.
    pub metadata_total: u32,
    /// Pieces checked so far while [`Phase::Checking`].
    pub checked: u32,
    /// Time since the download began in this session.
    pub elapsed: Duration,
    /// Time spent with everything there.
    pub seeding_for: Duration,
    /// Whether a resume state on disk says all that is verified.
    pub saved: bool,
}

/// How the client stands in the DHT; a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct DhtStatus {
    /// UDP port that is listened on.
    pub port: u16,
    /// Nodes known that have answered, over IPv4.
    pub nodes: u32,
    /// The same over IPv6.
    pub nodes6: u32,
    /// Lookups under way.
    pub lookups: u32,
    /// Whether a torrent looks for peers in it.
    pub awake: bool,
    /// Addresses at which the DHT was last entered: those that were given, and those that names have.
    pub routers: u32,
    /// Names that could not be looked up then.
    pub unresolved: u32,
    /// Datagrams at the UDP port that were no message of the DHT, and were dropped.
    pub unknown_datagrams: u64,
}

/// One connected peer; a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerSnapshot {
    /// Where it is; the port is the one it connects from where it came to us.
    pub addr: SocketAddr,
    /// The id it calls itself by; it begins with the name of its client (BEP 20).
    pub id: PeerId,
    /// What it says its program is, with the version (BEP 10): printable, at most 64 characters.
    pub client: Option<String>,
    /// Whether it came to us.
    pub incoming: bool,
    /// How many pieces it has.
    pub pieces: u32,
    /// Bytes a second that come from it.
    pub down_rate: u64,
    /// Bytes a second that go to it.
    pub up_rate: u64,
    /// Bytes of data that went to it over this connection.
    pub uploaded: u64,
}

impl Progress {
    /// Time until everything wanted is there at the present rate; nothing while nothing moves.
    pub fn eta(&self) -> Option<Duration> {
        let left = self.wanted.saturating_sub(self.verified);
        (self.down_rate > 0).then(|| Duration::from_secs(left.div_ceil(self.down_rate)))
    }

    /// Payload bytes sent, in this session and before, over the bytes wanted.
    pub fn ratio(&self) -> f64 {
        let sent = self.uploaded.saturating_add(self.uploaded_before);
        if self.wanted == 0 { 0.0 } else { sent as f64 / self.wanted as f64 }
    }

    /// Whether everything wanted is there.
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Seeding) || (self.wanted > 0 && self.verified >= self.wanted)
    }
}
