//! The inputs of a torrent.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::change::{Change, Setting};
use crate::bitfield::Bitfield;
use crate::crypto::Encryption;
use crate::error::Error;
use crate::filter::AddressFilter;
use crate::id::PeerId;
use crate::job::PeerKey;
use crate::moment::Moment;
use crate::orders::Report;
use crate::storage::names::StoredAs;
use crate::storage::resume::Uncommitted;
use crate::storage::write_queue;
use crate::swarm::duplicates::PeerConnection;
use crate::swarm::peers::Source;
use crate::tracker::report::TrackerEvent;
use crate::violation::DisconnectReason;

/// One event or command. Large and rare ones are boxed: in a driver's inbox every place costs as much as the
/// largest input.
#[derive(Debug)]
pub enum Input {
    /// The first input: the torrent asks for its active slot, or for its metadata.
    Start,
    /// All that has happened was told: decide what follows from it. Also when the deadline has passed.
    Settle,
    /// A connection has passed the handshake and asks to be let in. Answered by exactly one
    /// [`Accept`](super::Action::Accept) or [`Refuse`](super::Action::Refuse).
    Joined(Join),
    /// A [`Dial`](super::Action::Dial) came to nothing.
    DialFailed(SocketAddr, DisconnectReason),
    /// A connection that was let in reports.
    Report(PeerKey, Report),
    /// A connection that was let in has ended.
    Gone(PeerKey, DisconnectReason),
    /// Answers [`LoadMetadata`](super::Action::LoadMetadata): the info dictionary that was kept, if any.
    MetadataLoaded(Option<Vec<u8>>),
    /// Answers [`Check`](super::Action::Check).
    Checked(Box<Result<Opened, Error>>),
    /// The result of writing received blocks.
    Disk(write_queue::WriteEvent),
    /// Data that a peer requested could not be read.
    ReadFailed(Error),
    /// Another program changed files that are not being hashed again already.
    FilesChanged(Vec<ChangedFile>),
    /// Answers [`Recheck`](super::Action::Recheck).
    Rechecked(Box<Result<Rechecked, Error>>),
    /// Answers [`Save`](super::Action::Save).
    Saved(Result<(), Uncommitted>),
    /// Answers [`RemoveState`](super::Action::RemoveState).
    StateRemoved(Result<(), Error>),
    /// The result of an announce.
    Tracker(TrackerEvent),
    /// Addresses of peers: from the user, or from a source such as the DHT.
    Found(Source, Vec<SocketAddr>),
    /// These addresses are blocked from now on. Connections stay.
    Filter(Arc<AddressFilter>),
    /// An active slot has come free, and is this torrent's.
    SlotGranted,
    /// Whether the numbers of torrents that download and that seed at a time are limited.
    Queues {
        /// Those that download.
        downloads: bool,
        /// Those that seed.
        seeds: bool,
    },
    /// The user changes a setting.
    Set(Setting),
    /// The user pauses the torrent.
    Pause,
    /// The user resumes it.
    Resume,
    /// The user has the data hashed again, wants other files, or says that the data is elsewhere.
    Change(Box<Change>),
    /// Answers [`MoveFiles`](super::Action::MoveFiles): where the files are now.
    Moved(Result<PathBuf, Error>),
    /// The user asks for an announce and for peers.
    Reannounce,
    /// The user removes it, or the client ends.
    Remove,
    /// Answers [`CloseDisk`](super::Action::CloseDisk): no verdict comes after it.
    DiskClosed,
    /// Answers [`Offline`](super::Action::Offline): trackers were told, or are not waited for any longer.
    TrackersStopped,
}

/// A file that another program changed.
#[derive(Debug)]
pub struct ChangedFile {
    /// Its index in the torrent, or the number after the last for the part file.
    pub file: u32,
    /// The pieces that reach into it.
    pub pieces: Bitfield,
}

/// The result of hashing changed files again.
#[derive(Debug)]
pub struct Rechecked {
    /// The files, and whether each is gone.
    pub files: Vec<(u32, bool)>,
    /// The pieces that were hashed.
    pub pieces: Bitfield,
    /// Those of them that are right.
    pub right: Bitfield,
}

/// A connection that asks to be let in.
#[derive(Debug, Clone, Copy)]
pub struct Join {
    /// The peer's end of it.
    pub addr: SocketAddr,
    /// Whether the peer dialed us.
    pub incoming: bool,
    /// Whether the peer speaks the Extension Protocol (BEP 10).
    pub extended: bool,
    /// How much of it is encrypted.
    pub encryption: Encryption,
    /// The id that the peer gives.
    pub id: PeerId,
}

impl Join {
    /// The connection, which is there since `now`.
    pub(super) fn connection(&self, now: Moment) -> PeerConnection {
        PeerConnection { addr: self.addr, incoming: self.incoming, id: self.id, since: now }
    }
}

/// What there is to begin with once the existing data was checked.
#[derive(Debug)]
pub struct Opened {
    /// The pieces that are there.
    pub have: Bitfield,
    /// The pieces that are asked for.
    pub wanted: Bitfield,
    /// Whether some of them were hashed just now, and no state says so yet.
    pub proved: bool,
    /// Whether a resume state is kept.
    pub keeps_state: bool,
    /// Payload bytes sent in all sessions before.
    pub uploaded: u64,
    /// Payload bytes received in all sessions before.
    pub downloaded: u64,
    /// What could not be done as asked, each a line.
    pub notes: Vec<String>,
    /// Files that lie elsewhere than the torrent says.
    pub renamed: Vec<StoredAs>,
    /// Whether every byte lies in a file of the torrent, and none in the part file alone.
    pub holds_every_file: bool,
    /// Whether files have names that nothing but the state would find again.
    pub has_chosen_names: bool,
}

impl Opened {
    /// Whether everything wanted is there.
    pub fn is_complete(&self) -> bool {
        self.wanted.iter().all(|piece| self.have.has(piece))
    }
}
