//! The actions that a torrent has its driver carry out.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::change::Change;
use crate::bitfield::Bitfield;
use crate::event::EventKind;
use crate::job::PeerKey;
use crate::metainfo::Metainfo;
use crate::orders::{Order, OurPieces};
use crate::swarm::duplicates::PeerConnection;
use crate::violation::DisconnectReason;

/// One thing to do. To be carried out in the order polled; none of them is waited for.
#[derive(Debug)]
pub enum Action {
    /// Let the connection in that asks for it.
    Accept {
        /// Its name from now on.
        key: PeerKey,
        /// What its peer is told of our pieces, to which those [`Verified`](Action::Verified) later are added;
        /// nothing while it is not known what the torrent is made of.
        ours: Option<OurPieces>,
    },
    /// A connection that was let in before that was known learns of the pieces.
    Learn {
        /// Its name.
        key: PeerKey,
        /// What its peer is told of ours.
        ours: OurPieces,
    },
    /// Close the connection that asks to be let in.
    Refuse(DisconnectReason),
    /// Give a connection an order. A connection whose order queue is full is given up: it ends.
    Order(PeerKey, Order),
    /// Wake a connection: the log of verified and lost pieces has new entries for its peer.
    Wake(PeerKey),
    /// Close a connection at once, in any state.
    HangUp(PeerKey),
    /// A connection is off the books; it gets no requests or orders from now on.
    Forget(PeerKey),
    /// Dial a peer, which wants its connections encrypted or not, as far as is known. Ends in
    /// [`Joined`](super::Input::Joined) or [`DialFailed`](super::Input::DialFailed).
    Dial(SocketAddr, Option<bool>),
    /// A piece was verified: connections read it from the have log.
    Verified(u32),
    /// A piece is right no longer: connections read it from the have log.
    Lost(u32),
    /// Hash these pieces, of files that another program changed, again; answered by
    /// [`Rechecked`](super::Input::Rechecked).
    Recheck {
        /// The files, and whether each was whole, so that nothing is written to it meanwhile.
        files: Vec<(u32, bool)>,
        /// The pieces that were right.
        pieces: Bitfield,
    },
    /// Blocks of these pieces are to come again.
    Refetch(Vec<u32>),
    /// Check whether files that were sent from within this time were changed, and report by
    /// [`FilesChanged`](super::Input::FilesChanged) those that were.
    LookForChanges {
        /// Before now.
        within: Duration,
    },
    /// Load the metadata that was kept; answered by [`MetadataLoaded`](super::Input::MetadataLoaded).
    LoadMetadata,
    /// The metadata is there: what the torrent is made of, and the files that are wanted of it.
    MetadataKnown {
        /// The torrent's metainfo.
        metainfo: Arc<Metainfo>,
        /// The files, or all.
        select: Option<Vec<u32>>,
    },
    /// Keep the metadata for the next start.
    SaveMetadata,
    /// Check the existing data; answered by [`Checked`](super::Input::Checked).
    Check {
        /// Whether all of it is hashed, whatever the resume state says.
        hash_all: bool,
    },
    /// Close the files: no connection is left, and the disk writes nothing more.
    CloseFiles,
    /// Move the files, which are closed, to this directory; answered by [`Moved`](super::Input::Moved).
    MoveFiles(PathBuf),
    /// The files are opened with these settings from now on.
    Configure(Change),
    /// That check is no longer needed.
    CancelCheck,
    /// Blocks are to come; these pieces are there.
    ExpectBlocks(Bitfield),
    /// Try again to write the block that could not be written.
    RetryWrite,
    /// No more blocks come; answered by [`DiskClosed`](super::Input::DiskClosed) when all were dealt with.
    CloseDisk,
    /// Everything wanted is complete: the torrent no longer writes.
    SettleFiles,
    /// Save the resume state; answered by [`Saved`](super::Input::Saved).
    Save {
        /// The pieces that are verified.
        have: Bitfield,
        /// Payload bytes sent in all sessions.
        uploaded: u64,
        /// Payload bytes received in all sessions.
        downloaded: u64,
    },
    /// Remove the resume state; answered by [`StateRemoved`](super::Input::StateRemoved).
    RemoveState,
    /// Let connections in, announce, and look for peers (not beyond trackers where the torrent is private).
    Online,
    /// Undo that and announce `stopped`, within this time at most; answered by
    /// [`TrackersStopped`](super::Input::TrackersStopped), at once where nothing was announced.
    Offline {
        /// How long trackers may take.
        within: Duration,
    },
    /// Announce that the download is complete.
    AnnounceCompleted,
    /// Ask trackers and the DHT for more peers, as soon as they permit.
    WantPeers,
    /// Announce and look for peers, for the user asks for it.
    Reannounce,
    /// Give the active slot back, or the wish for one up.
    ReleaseSlot,
    /// Our address as the world sees it, for the DHT.
    ExternalIp(IpAddr),
    /// Tell the embedder.
    Event(EventKind),
    /// The torrent has ended and takes no more input.
    Ended,
}

/// The actions that were not polled yet, in order. Its room is kept from one input to the next.
#[derive(Debug, Default)]
pub(super) struct Actions(VecDeque<Action>);

impl Actions {
    pub(super) fn push(&mut self, action: Action) {
        self.0.push_back(action);
    }

    pub(super) fn tell(&mut self, what: EventKind) {
        self.0.push_back(Action::Event(what));
    }

    pub(super) fn note(&mut self, what: String) {
        self.tell(EventKind::Note { what });
    }

    /// A connection that was let in has ended: the embedder is told, and the driver forgets it.
    pub(super) fn gone(
        &mut self,
        key: PeerKey,
        connection: PeerConnection,
        uploaded: u64,
        why: DisconnectReason,
    ) {
        let (peer, id) = (connection.addr, Some(connection.id));
        if let DisconnectReason::Violation(violation) = why {
            self.tell(EventKind::PeerBanned { peer, violation });
        }
        self.tell(EventKind::PeerGone { peer, id, uploaded, why });
        self.push(Action::Forget(key));
    }

    pub(super) fn next(&mut self) -> Option<Action> {
        self.0.pop_front()
    }
}
