//! Orders of the torrent to the thread of a connection, and the reports of that thread to the torrent.

use std::sync::Arc;

use crate::bitfield::Bitfield;
use crate::job::{LeaseId, PieceJob};
use crate::violation::DisconnectReason;
use crate::wire::extended::ExtendedHandshake;
use crate::wire::pex::PexMessage;

/// What a peer is told of our pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OurPieces {
    /// Those that we have; what the have log says from then on follows.
    pub have: Bitfield,
    /// Whether nothing more is wanted, and that is no secret (BEP 21).
    pub upload_only: bool,
}

/// An order of the torrent to a connection.
#[derive(Debug, Clone)]
pub enum Order {
    /// Download this, after what you have.
    Take(PieceJob),
    /// Say `interested` or `not interested`, if that is news to the peer.
    Interested(bool),
    /// Choke (`true`) or unchoke the peer, if that is news to it.
    Choke(bool),
    /// Tell the peer that we have these pieces, which were hidden from it so far (BEP 16).
    Show(Arc<[u32]>),
    /// Tell the peer which other peers we are connected to (BEP 11).
    Exchange(Arc<PexMessage>),
    /// Tell the peer whether we want anything more (BEP 21).
    UploadOnly(bool),
    /// Ask the peer for this block of the metadata (BEP 9).
    AskMetadata(u32),
    /// It is known what the torrent is made of: go on with its pieces.
    Learn {
        /// What the peer is told of ours.
        ours: Box<OurPieces>,
        /// Where the have log stood when that was true.
        cursor: usize,
    },
    /// Hang up, for this reason.
    Close(DisconnectReason),
}

/// A report of a connection to the torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The peer has exactly these pieces (`bitfield`, `have all`, `have none`).
    Has(Bitfield),
    /// The peer has one more piece.
    Have(u32),
    /// The peer no longer has this piece (BEP 54); leases on it are returned.
    Lost(u32),
    /// The peer said something of itself (BEP 10). Later ones tell what changed.
    ExtensionHandshake(Box<ExtendedHandshake>),
    /// The peer told which peers it is connected to (BEP 11).
    Exchanged(Box<PexMessage>),
    /// The connection could request about this many more blocks; sent again only after an [`Order::Take`], a
    /// [`Report::Returned`] or a change of the pieces that the peer has or allows.
    WantsBlocks(u32),
    /// The lease ends; blocks of it that were requested and have not arrived are free for others.
    Returned(LeaseId),
    /// The peer stopped delivering (true), or delivers again.
    Snubbed(bool),
    /// The peer chokes us (true) or not.
    Choking(bool),
    /// The peer is interested in what we have, or no longer.
    Interested(bool),
    /// The peer allows this piece although it chokes us (BEP 6).
    AllowedFast(u32),
    /// The peer recommends this piece (BEP 6).
    Suggested(u32),
    /// A block of the metadata came (BEP 9).
    MetadataBlock(u32, Box<[u8]>),
    /// The peer will not give this block of the metadata.
    MetadataRejected(u32),
}
