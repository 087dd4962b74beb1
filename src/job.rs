//! Where the minds meet: the plain values that `swarm`, `peer` and `storage` pass one another.
//!
//! A piece that is being downloaded is an [`OpenPiece`], shared by all sessions that download it. A session
//! holds a [`Claim`] on a range of its blocks: it takes blocks from the front, and the picker splits the
//! claim from the back, without a lock and without a message. So one piece can be shared by many peers, no
//! block is requested twice by accident, and the first to deliver a block wins it ([`OpenPiece::receive`])
//! however many were asked.
//!
//! Invariant: no claim ends in silence. It ends with the verdict on its piece, or with
//! [`Report::Returned`](crate::orders::Report::Returned), exactly once.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// One peer connection among all the client ever had; never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerKey(pub u32);

/// One lease of a claim to a worker; never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseId(pub u64);

/// A piece being downloaded: which of its blocks have arrived, from any peer.
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

    /// Notes that `block` arrived. True for the first to say so, which alone hands it to storage.
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
/// left to request; [`Claim::cut`] takes from the end.
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

    /// Takes the last `blocks` blocks away from the holder, or all that it has not requested where
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

/// What storage found when the last block of a piece was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Index of the piece.
    pub piece: u32,
    /// Whether its hash is right.
    pub good: bool,
    /// The peers that delivered a block of it, each once, in order of the first block delivered.
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
