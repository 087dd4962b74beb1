//! Every message that crosses between threads, and what the threads of one torrent share.
//!
//! Blocking sends run downstream only: reader and worker, disk, foreman. The disk's queue has no
//! bound of its own because each block in it holds a buffer of the bounded pool.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender};

use super::announce::Office;
use super::blocks::{Block, BlockPool};
use super::check::Checker;
use super::clock::Clock;
use super::dht::DhtHandle;
use super::external::External;
use super::handshakes::Handshakes;
use super::journal::Journal;
use super::ledger::Ledger;
use super::limiter::Limits;
use super::lsd::Lsd;
use super::mailbox;
use super::patience::Ending;
use super::torrent::Turns;
use crate::bitfield::Bitfield;
use crate::budget::Budget;
use crate::error::Error;
use crate::event::PeerSnapshot;
use crate::id::PeerId;
use crate::job::{Goodbye, Order, PeerKey, Report, Verdict};
use crate::metainfo::Metainfo;
use crate::pieces::Pieces;
use crate::storage::assembly::Assembly;
use crate::storage::files::Files;
use crate::storage::names::StoredAs;
use crate::storage::receiving::Write;
use crate::storage::resume::Uncommitted;
use crate::swarm::peers::Source;
use crate::swarm::shares::Shares;
use crate::transport::{Closer, Connection};
use crate::wire::handshake::Handshake;

/// One torrent among all the client ever had; never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TorrentKey(pub(crate) u32);

/// How a foreman is told something.
pub(crate) type ForemanSender = mailbox::Sender<ToForeman>;
/// Where it reads that.
pub(crate) type ForemanInbox = mailbox::Inbox<ToForeman>;

/// Messages that may wait for a foreman; then workers and the disk wait for it. The room is taken from
/// the start, also by a torrent that nobody asks for.
const INBOX: usize = 64;

/// A foreman's inbox.
pub(crate) fn inbox() -> (ForemanSender, ForemanInbox) {
    mailbox::bounded(INBOX)
}

/// What the foreman is told. What is large and rare is boxed: every place in its inbox costs as much
/// as the largest message, busy or not, and a box may seed hundreds of quiet torrents.
pub(crate) enum ToForeman {
    /// A conversation reports.
    Report(PeerKey, Report),
    /// A dial or an incoming connection got through the handshake and asks to be let in.
    Arrived(Box<Arrival>),
    /// A dial came to nothing.
    DialFailed(SocketAddr, Goodbye),
    /// A connection that was let in has ended.
    Gone(PeerKey, Goodbye),
    /// The check of existing data has ended.
    Checked(Box<Result<super::check::Outcome, Error>>),
    /// A piece is complete, for better or worse.
    Verdict(Verdict),
    /// A write failed; the disk holds that block and waits for [`ToDisk::Retry`].
    WriteFailed(Error),
    /// A block of this piece came after one that could not be written; the piece was forgotten.
    Dropped(u32),
    /// The block that could not be written has been.
    WriteRecovered,
    /// A file had to be put elsewhere than the torrent says.
    StoredAs(StoredAs),
    /// What a peer asked for could not be read.
    ReadFailed(Error),
    /// The resume state was saved, or not.
    Saved(Result<(), Uncommitted>),
    /// Somebody names peers: who holds the handle, or who looks for them, as the DHT does.
    Found(Source, Vec<SocketAddr>),
    /// While the metadata of a magnet link is fetched: what comes of it.
    Metadata(Box<super::metadata::News>),
    /// The torrent may download from now on: another has finished.
    YourTurn,
    /// Someone holding the torrent's handle wants something.
    Command(Command),
}

/// What a torrent's handle can want.
pub(crate) enum Command {
    Pause,
    Resume,
    Remove,
    SetLimits {
        down: u64,
        up: u64,
    },
    /// Who is connected; answered unless the foreman ends.
    Peers(Sender<Vec<PeerSnapshot>>),
}

/// A connection that got through the handshake.
pub(crate) struct Arrival {
    pub(crate) addr: SocketAddr,
    pub(crate) incoming: bool,
    /// It was connected before there was a torrent: metadata was asked for over it.
    pub(crate) parked: bool,
    pub(crate) handshake: Handshake,
    pub(crate) orders: Sender<Order>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) closer: Closer,
    /// Where the answer goes. Dropped unanswered where the foreman is gone.
    pub(crate) admit: Sender<Result<Welcome, Goodbye>>,
}

/// What a connection that is let in gets to know.
pub(crate) struct Welcome {
    pub(crate) key: PeerKey,
    pub(crate) have: Bitfield,
    /// Where the journal stood when `have` was true.
    pub(crate) cursor: usize,
    /// Nothing more is wanted, and that is no secret.
    pub(crate) upload_only: bool,
}

/// Payload bytes of one connection.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) received: AtomicU64,
    pub(crate) sent: AtomicU64,
}

/// What the disk thread is told.
pub(crate) enum ToDisk {
    /// A torrent begins to receive.
    Open(TorrentKey, Box<Assembly>, ForemanSender),
    /// Blocks that were won and are to be written.
    Write { torrent: TorrentKey, write: Write<Block> },
    /// Try again what failed. Sent when no worker is left whose blocks could still be under way.
    Retry(TorrentKey),
    /// The torrent receives nothing more. Answered, by dropping the sender, when all before is done.
    Close(TorrentKey, Sender<()>),
}

/// Payload bytes of a torrent in this session.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) downloaded: AtomicU64,
    pub(crate) uploaded: AtomicU64,
    pub(crate) wasted: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, bytes: u64) {
        counter.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn read(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}

/// What all threads of the client share.
pub(crate) struct ClientShared {
    pub(crate) clock: Clock,
    pub(crate) ending: Ending,
    pub(crate) budget: Budget,
    /// What the torrents take of it.
    pub(crate) ledger: Ledger,
    pub(crate) pool: Arc<BlockPool>,
    pub(crate) disk: Sender<ToDisk>,
    pub(crate) peer_id: PeerId,
    pub(crate) port: u16,
    pub(crate) bind: Option<IpAddr>,
    /// Whether peers are exchanged (BEP 11).
    pub(crate) pex: bool,
    /// What the world sees us as.
    pub(crate) external: External,
    /// Connections let in, and calls under way, of all torrents: each has its share.
    pub(crate) connected: Places,
    pub(crate) calling: Places,
    /// Connections that came in and still shake hands.
    pub(crate) handshakes: Arc<Handshakes>,
    pub(crate) turns: Turns,
    /// Minds the trackers of all torrents.
    pub(crate) office: Office,
    /// Checks the data of all torrents, one after the other.
    pub(crate) checker: Checker,
    /// Where the DHT is on.
    pub(crate) dht: Option<DhtHandle>,
    pub(crate) next_peer: AtomicU32,
    /// Who looks on the local network, if anyone is to.
    pub(crate) lsd: Option<Lsd>,
    pub(crate) down: Arc<super::limiter::Limiter>,
    pub(crate) up: Arc<super::limiter::Limiter>,
}

/// What all threads of one torrent share once its data was checked.
pub(crate) struct TorrentShared {
    pub(crate) client: Arc<ClientShared>,
    pub(crate) key: TorrentKey,
    pub(crate) metainfo: Arc<Metainfo>,
    pub(crate) pieces: Pieces,
    pub(crate) files: Arc<Files>,
    pub(crate) foreman: ForemanSender,
    pub(crate) counters: Arc<Counters>,
    pub(crate) journal: Journal,
    pub(crate) down: Limits,
    pub(crate) up: Limits,
}

impl TorrentShared {
    /// The DHT, where there is one and this torrent may use it (BEP 27).
    pub(crate) fn dht(&self) -> Option<&DhtHandle> {
        self.client.dht.as_ref().filter(|_| !self.metainfo.is_private())
    }
}

/// Places that torrents share.
pub(crate) struct Places(Mutex<Shares<TorrentKey>>);

impl Places {
    pub(crate) fn new(most: u32) -> Self {
        Places(Mutex::new(Shares::new(most)))
    }

    /// Looks at the shares, or changes them.
    pub(crate) fn with<T>(&self, body: impl FnOnce(&mut Shares<TorrentKey>) -> T) -> T {
        body(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A connection fresh from the handshake, before anyone let it in.
pub(crate) struct Fresh {
    pub(crate) addr: SocketAddr,
    pub(crate) incoming: bool,
    pub(crate) handshake: Handshake,
    pub(crate) connection: Connection,
}

/// What is known of a connection once hands are shaken.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    pub(crate) addr: SocketAddr,
    pub(crate) incoming: bool,
    pub(crate) handshake: Handshake,
    /// It is one of those that were there before the torrent: the peer was told that we have nothing.
    pub(crate) parked: bool,
}

impl Fresh {
    pub(crate) fn known(&self) -> Known {
        Known { addr: self.addr, incoming: self.incoming, handshake: self.handshake, parked: false }
    }
}

/// Both ends of a worker's order queue.
pub(crate) type Orders = (Sender<Order>, Receiver<Order>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_foremans_inbox_is_small() {
        assert!(size_of::<ToForeman>() <= 96, "{} bytes", size_of::<ToForeman>());
    }
}
