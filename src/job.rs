//! Where the minds meet: the plain values that `swarm`, `peer` and `storage` pass one another.
//!
//! A piece that is being downloaded is an [`OpenPiece`], shared by everyone who works on it. A
//! worker holds a [`Claim`] on a range of its blocks: it takes blocks from the front, and whoever
//! splits the claim cuts from the back, without a lock and without a message. So one piece can be
//! shared by many peers, no block is asked for twice by accident, and the first to deliver a block
//! wins it ([`OpenPiece::receive`]) however many were asked.
//!
//! Invariant: no claim ends in silence. It ends with the verdict on its piece, or with
//! [`Report::Returned`], exactly once.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::bitfield::Bitfield;
use crate::wire::extended::ExtendedHandshake;
use crate::wire::pex::PexMessage;

/// One peer connection among all the client ever had; never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerKey(pub u32);

/// One lease of a claim to a worker; never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseId(pub u64);

/// A piece being downloaded: which of its blocks have arrived, from anyone.
#[derive(Debug)]
pub struct OpenPiece {
    index: u32,
    blocks: u32,
    missing: AtomicU32,
    received: Box<[AtomicU64]>,
}

impl OpenPiece {
    /// Piece `index` of `blocks` blocks, none of which has arrived.
    pub fn new(index: u32, blocks: u32) -> Self {
        let words = blocks.div_ceil(64) as usize;
        OpenPiece {
            index,
            blocks,
            missing: AtomicU32::new(blocks),
            received: std::iter::repeat_with(AtomicU64::default).take(words).collect(),
        }
    }

    /// Index of the piece.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Number of its blocks.
    pub fn blocks(&self) -> u32 {
        self.blocks
    }

    /// Notes that `block` arrived. True for the first to say so, who alone hands it to storage.
    pub fn receive(&self, block: u32) -> bool {
        debug_assert!(block < self.blocks);
        let bit = 1 << (block % 64);
        let first = self.received[block as usize / 64].fetch_or(bit, Ordering::AcqRel) & bit == 0;
        if first {
            self.missing.fetch_sub(1, Ordering::AcqRel);
        }
        first
    }

    /// Whether `block` has arrived.
    pub fn has(&self, block: u32) -> bool {
        debug_assert!(block < self.blocks);
        self.received[block as usize / 64].load(Ordering::Acquire) & (1 << (block % 64)) != 0
    }

    /// Whether all of these blocks have arrived; true of none.
    pub fn has_all(&self, blocks: Range<u32>) -> bool {
        self.absent(blocks).all(|absent| absent == 0)
    }

    /// How many of these blocks have yet to arrive.
    pub fn lacks(&self, blocks: Range<u32>) -> u32 {
        self.absent(blocks).map(u64::count_ones).sum()
    }

    /// The words that hold these blocks, with a bit for each of them that has not arrived.
    fn absent(&self, blocks: Range<u32>) -> impl Iterator<Item = u64> {
        debug_assert!(blocks.end <= self.blocks);
        let mut from = blocks.start;
        std::iter::from_fn(move || {
            if from >= blocks.end {
                return None;
            }
            let till = blocks.end.min((from / 64 + 1) * 64);
            let mask = u64::MAX >> (64 - (till - from)) << (from % 64);
            let word = self.received[from as usize / 64].load(Ordering::Acquire);
            from = till;
            Some(!word & mask)
        })
    }

    /// How many blocks have yet to arrive.
    pub fn missing(&self) -> u32 {
        self.missing.load(Ordering::Acquire)
    }
}

/// A range of blocks of an open piece that one worker may request.
///
/// Blocks before the front have been requested by the holder; those from the front to the end are
/// his to request; [`Claim::cut`] takes from the end.
#[derive(Debug)]
pub struct Claim {
    piece: Arc<OpenPiece>,
    first: u32,
    /// The front in the upper half, the end in the lower.
    range: AtomicU64,
}

impl Claim {
    /// A claim on `blocks` of `piece`.
    pub fn new(piece: Arc<OpenPiece>, blocks: Range<u32>) -> Self {
        debug_assert!(blocks.start < blocks.end && blocks.end <= piece.blocks());
        Claim { piece, first: blocks.start, range: AtomicU64::new(pack(blocks.start, blocks.end)) }
    }

    /// The piece.
    pub fn piece(&self) -> &Arc<OpenPiece> {
        &self.piece
    }

    /// The holder takes the next block to request, skipping those that have arrived meanwhile.
    pub fn take(&self) -> Option<u32> {
        loop {
            let taken = self.range.fetch_update(Ordering::AcqRel, Ordering::Acquire, |range| {
                let (front, end) = unpack(range);
                (front < end).then(|| pack(front + 1, end))
            });
            let (front, _) = unpack(taken.ok()?);
            if !self.piece.has(front) {
                return Some(front);
            }
        }
    }

    /// Takes the last `blocks` blocks away from the holder, or all that he has not requested where
    /// those are fewer. Nothing where none is left.
    pub fn cut(&self, blocks: u32) -> Option<Range<u32>> {
        let before = self.range.fetch_update(Ordering::AcqRel, Ordering::Acquire, |range| {
            let (front, end) = unpack(range);
            (front < end && blocks > 0).then(|| pack(front, end - blocks.min(end - front)))
        });
        let (front, end) = unpack(before.ok()?);
        Some(end - blocks.min(end - front)..end)
    }

    /// The whole range as it now stands: requested and not.
    pub fn range(&self) -> Range<u32> {
        let (_, end) = unpack(self.range.load(Ordering::Acquire));
        self.first..end
    }

    /// The blocks the holder has taken to request them; some may have arrived.
    pub fn requested(&self) -> Range<u32> {
        let (front, _) = unpack(self.range.load(Ordering::Acquire));
        self.first..front
    }

    /// How many blocks the holder has not yet taken.
    pub fn unrequested(&self) -> u32 {
        let (front, end) = unpack(self.range.load(Ordering::Acquire));
        end - front
    }
}

fn pack(front: u32, end: u32) -> u64 {
    u64::from(front) << 32 | u64::from(end)
}

fn unpack(range: u64) -> (u32, u32) {
    ((range >> 32) as u32, range as u32)
}

/// A claim leased to a worker.
#[derive(Debug, Clone)]
pub struct PieceJob {
    /// Name of the lease.
    pub lease: LeaseId,
    /// What may be requested.
    pub claim: Arc<Claim>,
}

/// What the foreman tells a worker.
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
    /// Tell the peer whom else we are connected to (BEP 11).
    Exchange(Arc<PexMessage>),
    /// Tell the peer whether we want anything more (BEP 21).
    UploadOnly(bool),
    /// Pieces were verified: look into the journal, and tell the peer.
    Journal,
    /// Hang up, for this reason.
    Close(Goodbye),
}

/// What a worker tells the foreman.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The peer has exactly these pieces (`bitfield`, `have all`, `have none`).
    Has(Bitfield),
    /// The peer has one more piece.
    Have(u32),
    /// The peer no longer has this piece (BEP 54); leases on it are returned.
    Lost(u32),
    /// The peer said something of itself (BEP 10). Later ones tell what changed.
    Introduced(Box<ExtendedHandshake>),
    /// The peer told whom it is connected to (BEP 11).
    Exchanged(Box<PexMessage>),
    /// The worker could request about this many more blocks; sent again only after an
    /// [`Order::Take`], a [`Report::Returned`] or a change of what the peer has or allows.
    Hungry(u32),
    /// The lease ends; what was requested of it and has not arrived is free for others.
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
    /// The peer did something wrong.
    Misdeed(Misdeed),
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Goodbye {
    /// It could not be reached.
    Unreachable,
    /// It hung up, or the network did.
    Lost,
    /// It said nothing, or did not read, for too long.
    Silent,
    /// Both sides have everything.
    BothSeeds,
    /// It is ourselves.
    Ourselves,
    /// It is connected already.
    Duplicate,
    /// It asked for another torrent.
    WrongTorrent,
    /// There is no room for it.
    Crowded,
    /// It did this.
    Misdeed(Misdeed),
    /// It cannot tell what the torrent is made of, and that was all we wanted of it (BEP 9).
    NoMetadata,
    /// The torrent was paused or removed, or the client ends.
    Shutdown,
}

/// What a peer does wrong. Data, not an error: the torrent goes on without that peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Misdeed {
    /// The handshake is not BitTorrent's.
    BadHandshake,
    /// A frame longer than anything it could rightly hold.
    OversizedFrame,
    /// A message whose length does not fit its kind.
    MalformedMessage,
    /// A bitfield of the wrong length or with spare bits set.
    BadBitfield,
    /// A piece index past the last piece.
    IndexOutOfRange,
    /// A request outside its piece, or for more than 128 KiB.
    BadRequest,
    /// Requests without end while choked or past the queue's bound.
    RequestFlood,
    /// Blocks that nobody asked it for, again and again.
    UnrequestedBlock,
    /// A message of the Fast Extension although it was not agreed on (BEP 6).
    FastNotAgreed,
    /// A rejection of something that was not requested.
    BadReject,
    /// It delivered a piece that does not have its hash.
    CorruptPiece,
    /// It promised pieces, took requests, and delivered nothing.
    NeverDelivers,
    /// Messages that change nothing, in a flood.
    Flood,
    /// Metadata that does not have its hash, or not the length that it said (BEP 9).
    FalseMetadata,
}

impl fmt::Display for Misdeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Misdeed::BadHandshake => "bad handshake",
            Misdeed::OversizedFrame => "oversized frame",
            Misdeed::MalformedMessage => "malformed message",
            Misdeed::BadBitfield => "bad bitfield",
            Misdeed::IndexOutOfRange => "piece index out of range",
            Misdeed::BadRequest => "bad request",
            Misdeed::RequestFlood => "request flood",
            Misdeed::UnrequestedBlock => "unrequested blocks",
            Misdeed::FastNotAgreed => "fast extension not agreed on",
            Misdeed::BadReject => "rejection of nothing",
            Misdeed::CorruptPiece => "corrupt piece",
            Misdeed::NeverDelivers => "never delivers",
            Misdeed::Flood => "message flood",
            Misdeed::FalseMetadata => "false metadata",
        })
    }
}

impl fmt::Display for Goodbye {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Goodbye::Unreachable => "unreachable",
            Goodbye::Lost => "connection lost",
            Goodbye::Silent => "silent for too long",
            Goodbye::BothSeeds => "both have everything",
            Goodbye::Ourselves => "it is ourselves",
            Goodbye::Duplicate => "connected already",
            Goodbye::WrongTorrent => "another torrent",
            Goodbye::Crowded => "no room",
            Goodbye::Misdeed(misdeed) => return misdeed.fmt(f),
            Goodbye::NoMetadata => "has no metadata",
            Goodbye::Shutdown => "shutting down",
        })
    }
}

/// What storage found when the last block of a piece was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Index of the piece.
    pub piece: u32,
    /// Whether its hash is right.
    pub good: bool,
    /// Everyone who delivered a block of it, each once, in order of the first block delivered.
    pub contributors: Vec<PeerKey>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_taken_from_the_front_and_cut_from_the_back() {
        let claim = Claim::new(Arc::new(OpenPiece::new(5, 100)), 10..20);
        assert_eq!((claim.take(), claim.take()), (Some(10), Some(11)));
        assert_eq!(claim.cut(3), Some(17..20));
        assert_eq!((claim.requested(), claim.range(), claim.unrequested()), (10..12, 10..17, 5));
        assert_eq!(claim.cut(100), Some(12..17));
        assert_eq!((claim.cut(1), claim.take()), (None, None));
    }

    #[test]
    fn what_has_not_arrived_is_counted_across_words() {
        let piece = OpenPiece::new(0, 200);
        for block in [0, 63, 64, 127, 130, 199] {
            piece.receive(block);
        }
        for range in [0..200, 0..64, 63..65, 64..128, 1..63, 100..199, 5..5, 199..200] {
            let lacking = range.clone().filter(|&block| !piece.has(block)).count() as u32;
            assert_eq!(piece.lacks(range.clone()), lacking, "{range:?}");
            assert_eq!(piece.has_all(range), lacking == 0);
        }
    }

    #[test]
    fn a_block_is_won_once_and_never_taken_afterwards() {
        let piece = Arc::new(OpenPiece::new(0, 65));
        let claim = Claim::new(piece.clone(), 62..65);
        assert!(piece.receive(62) && piece.receive(64) && !piece.receive(64));
        assert_eq!((claim.take(), claim.take()), (Some(63), None));
        assert_eq!(piece.missing(), 63);
        assert!(piece.has(62) && !piece.has(63));
    }

    /// Takers and cutters at once: every block goes to exactly one of them.
    #[test]
    fn racing_takers_and_cutters_share_without_overlap() {
        let piece = Arc::new(OpenPiece::new(0, 10_000));
        let claim = Arc::new(Claim::new(piece.clone(), 0..10_000));
        std::thread::scope(|scope| {
            let (a, b) = (claim.clone(), claim.clone());
            let (p, q) = (piece.clone(), piece.clone());
            scope.spawn(move || {
                while let Some(block) = a.take() {
                    assert!(p.receive(block));
                }
            });
            scope.spawn(move || {
                while let Some(range) = b.cut(7) {
                    range.for_each(|block| assert!(q.receive(block)));
                }
            });
        });
        assert_eq!(piece.missing(), 0);
    }
}
