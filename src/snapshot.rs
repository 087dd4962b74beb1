//! Snapshots of a torrent: what it is doing, how far it is, its peers, files and pieces.
//!
//! Plain values; nothing here measures. [`Progress`] is cheap and is read without waiting for the torrent; the
//! others are asked of its thread.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Priority;
use crate::crypto::Encryption;
use crate::error::ErrorKind;
use crate::id::PeerId;

/// Where the address of a peer was learned; the most reliable first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum PeerSource {
    /// The user named it.
    Given,
    /// A tracker named it.
    Tracker,
    /// Local service discovery (BEP 14).
    Lsd,
    /// It connected to us.
    Incoming,
    /// The distributed hash table (BEP 5).
    Dht,
    /// Another peer named it (BEP 11).
    Pex,
}

/// How many connected peers were learned from which source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct PeersBySource {
    /// Named by the user.
    pub given: u32,
    /// Named by a tracker.
    pub tracker: u32,
    /// Found on the local network.
    pub lsd: u32,
    /// Connected to us.
    pub incoming: u32,
    /// Found in the DHT.
    pub dht: u32,
    /// Named by other peers.
    pub pex: u32,
}

impl PeersBySource {
    /// Counts one more peer.
    pub(crate) fn count(&mut self, source: PeerSource) {
        *match source {
            PeerSource::Given => &mut self.given,
            PeerSource::Tracker => &mut self.tracker,
            PeerSource::Lsd => &mut self.lsd,
            PeerSource::Incoming => &mut self.incoming,
            PeerSource::Dht => &mut self.dht,
            PeerSource::Pex => &mut self.pex,
        } += 1;
    }
}

/// Why a torrent cannot continue, or what it waits for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Failure {
    /// What kind of failure.
    pub kind: ErrorKind,
    /// What, where, and what to do, in one line.
    pub why: Arc<str>,
}

/// What a torrent is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Phase {
    /// The metadata of a magnet link is being fetched from peers (BEP 9).
    FetchingMetadata,
    /// Waiting for an active slot.
    Queued,
    /// Existing data is being hashed, or files are closed to be opened anew.
    #[default]
    Checking,
    /// The files are being moved to another directory.
    Moving,
    /// Pieces are being downloaded.
    Downloading,
    /// Everything wanted is complete and is being uploaded to others.
    Seeding,
    /// Paused by the user.
    Paused,
    /// Storage failed; waiting for it to work again.
    Stalled,
    /// The torrent cannot continue.
    Failed,
    /// Removed, or the client has ended.
    Stopped,
}

/// A snapshot of a torrent's transfer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
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
    /// Payload bytes received in all sessions before, as far as the resume state knows.
    pub downloaded_before: u64,
    /// Payload bytes received in duplicate or in corrupt pieces.
    pub wasted: u64,
    /// Bytes of pieces that failed their hash check this session; part of `wasted`.
    pub corrupt: u64,
    /// Bytes in unfinished pieces, as of the last second.
    pub unchecked: u64,
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
    /// Connected peers that send to us, as of the last second.
    pub sending: u32,
    /// Connected peers that we send to, as of the last second.
    pub receiving: u32,
    /// The connected peers by where their addresses were learned.
    pub sources: PeersBySource,
    /// Peers known, connected or not.
    pub known: u32,
    /// How often an address that a tracker, the DHT, a peer or another source named was refused because
    /// [`Config::filter`](crate::Config::filter) blocks it.
    pub blocked: u64,
    /// Bytes of metadata received, while [`Phase::FetchingMetadata`].
    pub metadata: u32,
    /// Bytes of metadata in all; 0 while no peer has said.
    pub metadata_total: u32,
    /// Pieces checked so far while [`Phase::Checking`].
    pub checked: u32,
    /// Bytes moved so far while [`Phase::Moving`].
    pub moved: u64,
    /// Time since the download began in this session.
    pub elapsed: Duration,
    /// Time spent with everything wanted complete.
    pub seeding_for: Duration,
    /// Whether the resume state on disk lists everything that is verified.
    pub saved: bool,
    /// Time since payload was last sent or received this session; `None` if none was.
    pub idle: Option<Duration>,
    /// Why it failed, or which failure of storage it waits out.
    pub error: Option<Failure>,
    /// Why the last announce failed, until a tracker answers; `None` as well where no announce ended yet.
    pub tracker_error: Option<Arc<str>>,
    /// The warning in the last answer of a tracker.
    pub tracker_warning: Option<Arc<str>>,
}

/// One connected peer; a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PeerSnapshot {
    /// Its address; for an incoming connection with the port that it connected from.
    pub addr: SocketAddr,
    /// Its id, which begins with a code for its client (BEP 20).
    pub id: PeerId,
    /// Name and version of its client (BEP 10): printable, at most 64 characters.
    pub client: Option<String>,
    /// Whether the peer connected to this client.
    pub incoming: bool,
    /// Where its address was learned.
    pub source: PeerSource,
    /// How much of the connection is encrypted.
    pub encryption: Encryption,
    /// How many pieces it has.
    pub pieces: u32,
    /// Payload bytes per second received from it.
    pub down_rate: u64,
    /// Payload bytes per second sent to it.
    pub up_rate: u64,
    /// Payload bytes received from it over this connection.
    pub downloaded: u64,
    /// Payload bytes sent to it over this connection.
    pub uploaded: u64,
    /// Whether the peer wants pieces of ours.
    pub interested: bool,
    /// Whether the peer chokes us: it sends nothing now.
    pub choking: bool,
    /// Whether we want pieces of the peer.
    pub interesting: bool,
    /// Whether we choke the peer.
    pub choked: bool,
    /// Whether the peer owes blocks and stopped delivering.
    pub snubbed: bool,
    /// Whether the peer was unchoked at random, to find out what it gives.
    pub optimistic: bool,
    /// Whether the peer says that it only uploads (BEP 21).
    pub upload_only: bool,
}

impl PeerSnapshot {
    /// A snapshot of an outgoing connection on which nothing happened yet, for tests of code that reads
    /// snapshots.
    pub fn new(addr: SocketAddr, id: PeerId) -> Self {
        PeerSnapshot {
            addr,
            id,
            client: None,
            incoming: false,
            source: PeerSource::Given,
            encryption: Encryption::None,
            pieces: 0,
            down_rate: 0,
            up_rate: 0,
            downloaded: 0,
            uploaded: 0,
            interested: false,
            choking: true,
            interesting: false,
            choked: true,
            snubbed: false,
            optimistic: false,
            upload_only: false,
        }
    }
}

/// What a tracker is doing for a torrent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TrackerState {
    /// It is not announced to: the torrent is paused, another tracker of its tier answers, or it asked not to be.
    Inactive,
    /// The next announce has a time.
    Waiting,
    /// The next announce is due.
    Queued,
    /// It is being announced to.
    Active,
}

/// What came of the last announce to a tracker.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct LastAnnounce {
    /// How long ago it ended.
    pub ago: Duration,
    /// Whether the tracker answered as asked.
    pub succeeded: bool,
    /// Whether the tracker did not answer at all.
    pub timed_out: bool,
    /// `Success`, or why it failed, in one line.
    pub result: Arc<str>,
    /// Peers in the answer.
    pub peers: u32,
}

impl LastAnnounce {
    pub(crate) fn succeeded(peers: u32) -> LastAnnounce {
        let ago = Duration::ZERO;
        LastAnnounce { ago, succeeded: true, timed_out: false, result: "Success".into(), peers }
    }

    pub(crate) fn failed(why: &str, timed_out: bool) -> LastAnnounce {
        LastAnnounce { ago: Duration::ZERO, succeeded: false, timed_out, result: why.into(), peers: 0 }
    }
}

/// One tracker of a torrent; a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TrackerSnapshot {
    /// Its URL.
    pub url: String,
    /// Its tier, counted from 0.
    pub tier: u32,
    /// What it is doing.
    pub state: TrackerState,
    /// Until the next announce; `None` while one is under way, and where none is planned.
    pub next: Option<Duration>,
    /// What came of the last announce since the torrent was started or resumed.
    pub last: Option<LastAnnounce>,
    /// Peers that have everything, as the tracker last said.
    pub seeders: Option<u32>,
    /// Peers that do not.
    pub leechers: Option<u32>,
    /// How often the download was completed.
    pub downloads: Option<u32>,
}

impl TrackerSnapshot {
    /// A tracker that is not announced to.
    pub(crate) fn inactive(url: &str, tier: u32) -> TrackerSnapshot {
        TrackerSnapshot {
            url: url.to_owned(),
            tier,
            state: TrackerState::Inactive,
            next: None,
            last: None,
            seeders: None,
            leechers: None,
            downloads: None,
        }
    }
}

/// The pieces of a torrent; a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PiecesSnapshot {
    /// Pieces in all.
    pub count: u32,
    /// One bit for each piece, as in BEP 3: whether it is verified. The first is the highest bit of the first
    /// byte.
    pub have: Vec<u8>,
    /// How many of the connected peers have each piece.
    pub availability: Vec<u16>,
    /// Bytes in pieces that are wanted, missing, and at hand with a connected peer.
    pub desired_available: u64,
}

impl PiecesSnapshot {
    /// Whether a piece is verified.
    pub fn has(&self, piece: u32) -> bool {
        self.have.get(piece as usize / 8).is_some_and(|byte| byte & (0x80 >> (piece % 8)) != 0)
    }
}

/// One file of a torrent; a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct FileSnapshot {
    /// Its length in bytes.
    pub length: u64,
    /// Bytes of it in verified pieces.
    pub completed: u64,
    /// Whether it is downloaded.
    pub wanted: bool,
    /// Its priority if it is.
    pub priority: Priority,
}

impl Progress {
    /// Bytes that are wanted and not verified.
    pub fn left(&self) -> u64 {
        self.wanted.saturating_sub(self.verified)
    }

    /// Whether it is known what the torrent is made of: at once, or once a magnet link's metadata has come.
    pub fn has_metadata(&self) -> bool {
        self.pieces_total > 0
    }

    /// Time until everything wanted is complete at the present rate; `None` while nothing arrives.
    pub fn eta(&self) -> Option<Duration> {
        (self.down_rate > 0).then(|| Duration::from_secs(self.left().div_ceil(self.down_rate)))
    }

    /// Payload bytes sent, in this session and before, divided by the bytes wanted.
    pub fn ratio(&self) -> f64 {
        let sent = self.uploaded.saturating_add(self.uploaded_before);
        if self.wanted == 0 { 0.0 } else { sent as f64 / self.wanted as f64 }
    }

    /// Whether everything wanted is complete.
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Seeding) || (self.wanted > 0 && self.verified >= self.wanted)
    }
}
