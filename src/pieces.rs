//! All size arithmetic of a torrent: how bytes fall into pieces and pieces into blocks.
//!
//! Nothing else in the house multiplies an index by a length. Every index that comes off the
//! network is checked here before it is used; the functions that take one already checked say so
//! and panic on anything else only in debug builds.

use std::ops::Range;

use crate::bitfield::Bitfield;
use crate::error::{Error, ErrorKind, Result};

/// The unit of request and transfer: 16 KiB (BEP 3 in practice).
pub const BLOCK: u32 = 16 * 1024;

/// The longest piece accepted, in bytes: 2 GiB. Offsets in a piece and their ends fit in 32 bits then, as the
/// protocol has them.
pub const MAX_PIECE_LENGTH: u32 = 1 << 31;

/// A range of bytes inside one piece, as `request`, `piece`, `cancel` and `reject` name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockRef {
    /// Index of the piece.
    pub piece: u32,
    /// Offset of the first byte inside the piece.
    pub begin: u32,
    /// Number of bytes.
    pub length: u32,
}

/// How the bytes of one torrent fall into pieces and blocks.
///
/// ```
/// let pieces = bitwren::Pieces::new(100_000, 32_768)?;
/// assert_eq!((pieces.count(), pieces.length(3), pieces.range(3)), (4, 1_696, 98_304..100_000));
/// # Ok::<(), bitwren::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pieces {
    total: u64,
    piece_length: u32,
    count: u32,
}

impl Pieces {
    /// No pieces: those of a torrent of which nothing is known.
    pub const NONE: Pieces = Pieces { total: 0, piece_length: 1, count: 0 };

    /// The pieces of `total` bytes, each `piece_length` long but the last, which may be shorter.
    ///
    /// # Errors
    /// [`ErrorKind::Torrent`] where the piece length is 0 or over [`MAX_PIECE_LENGTH`], or there
    /// would be more than 2³² − 1 pieces.
    pub fn new(total: u64, piece_length: u64) -> Result<Self> {
        if piece_length == 0 || piece_length > u64::from(MAX_PIECE_LENGTH) {
            return Err(Error::new(
                ErrorKind::Torrent,
                format!("the piece length is {piece_length}; it must be 1 to {MAX_PIECE_LENGTH} bytes"),
            ));
        }
        let count = u32::try_from(total.div_ceil(piece_length)).map_err(|_| {
            Error::new(
                ErrorKind::Torrent,
                format!("{total} bytes in pieces of {piece_length} are too many pieces"),
            )
        })?;
        Ok(Pieces { total, piece_length: piece_length as u32, count })
    }

    /// Bytes in these pieces together.
    pub(crate) fn bytes_of(&self, pieces: impl Iterator<Item = u32>) -> u64 {
        pieces.map(|piece| u64::from(self.length(piece))).sum()
    }

    /// Bytes in all pieces together.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Bytes in every piece but the last.
    pub fn piece_length(&self) -> u32 {
        self.piece_length
    }

    /// Number of pieces.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether `piece` is the index of a piece.
    pub fn contains(&self, piece: u32) -> bool {
        piece < self.count
    }

    /// Offset of the first byte of a checked piece in the torrent.
    pub fn offset(&self, piece: u32) -> u64 {
        debug_assert!(self.contains(piece));
        u64::from(piece) * u64::from(self.piece_length)
    }

    /// Bytes in a checked piece.
    pub fn length(&self, piece: u32) -> u32 {
        debug_assert!(self.contains(piece));
        (self.total.saturating_sub(self.offset(piece))).min(u64::from(self.piece_length)) as u32
    }

    /// Where the bytes of a checked piece lie in the torrent.
    pub fn range(&self, piece: u32) -> Range<u64> {
        let start = self.offset(piece);
        start..start + u64::from(self.length(piece))
    }

    /// Bytes in these pieces together.
    pub(crate) fn bytes_in(&self, pieces: &Bitfield) -> u64 {
        let whole = u64::from(pieces.count()) * u64::from(self.piece_length);
        match self.count.checked_sub(1) {
            Some(last) if pieces.has(last) => whole - u64::from(self.piece_length - self.length(last)),
            _ => whole,
        }
    }

    /// Blocks in a checked piece: 1 to 131,072.
    pub fn blocks(&self, piece: u32) -> u32 {
        self.length(piece).div_ceil(BLOCK)
    }

    /// Block `block` of a checked piece, as it is requested.
    pub fn block(&self, piece: u32, block: u32) -> BlockRef {
        debug_assert!(block < self.blocks(piece));
        let begin = block * BLOCK;
        BlockRef { piece, begin, length: (self.length(piece) - begin).min(BLOCK) }
    }

    /// The index inside its piece of a whole block as we would request it, else nothing: out of
    /// range, not on a block's boundary, or of another length.
    pub fn block_index(&self, block: BlockRef) -> Option<u32> {
        if !self.contains(block.piece) || block.begin % BLOCK != 0 {
            return None;
        }
        let index = block.begin / BLOCK;
        (index < self.blocks(block.piece) && self.block(block.piece, index) == block).then_some(index)
    }

    /// Whether a request from a peer lies inside its piece, is not empty, and is at most
    /// `longest` bytes.
    pub fn is_valid_request(&self, block: BlockRef, longest: u32) -> bool {
        self.contains(block.piece)
            && block.length > 0
            && block.length <= longest
            && u64::from(block.begin) + u64::from(block.length) <= u64::from(self.length(block.piece))
    }

    /// The pieces that hold any of the bytes `range` of the torrent.
    pub fn covering(&self, range: Range<u64>) -> Range<u32> {
        if range.is_empty() {
            return 0..0;
        }
        let length = u64::from(self.piece_length);
        let first = (range.start / length).min(u64::from(self.count)) as u32;
        let last = (range.end.min(self.total)).div_ceil(length) as u32;
        first..last.max(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_piece_and_the_last_block_are_short() {
        let pieces = Pieces::new(100_000, 32_768).unwrap();
        assert_eq!(pieces.count(), 4);
        assert_eq!((pieces.length(0), pieces.length(3)), (32_768, 1_696));
        assert_eq!((pieces.blocks(0), pieces.blocks(3)), (2, 1));
        assert_eq!(pieces.block(3, 0), BlockRef { piece: 3, begin: 0, length: 1_696 });
        assert_eq!(pieces.offset(3), 98_304);
    }

    #[test]
    fn bytes_are_counted_with_the_short_last_piece() {
        let pieces = Pieces::new(100_000, 32_768).unwrap();
        assert_eq!((pieces.range(1), pieces.range(3)), (32_768..65_536, 98_304..100_000));
        let mut some = Bitfield::empty(4);
        for (piece, bytes) in [(1, 32_768), (3, 34_464), (0, 67_232), (2, 100_000)] {
            some.insert(piece);
            assert_eq!(pieces.bytes_in(&some), bytes);
        }
        assert_eq!(pieces.bytes_in(&Bitfield::empty(4)), 0);
        assert_eq!(Pieces::new(0, 1).unwrap().bytes_in(&Bitfield::empty(0)), 0);
    }

    #[test]
    fn only_blocks_that_we_would_request_have_an_index() {
        let pieces = Pieces::new(100_000, 32_768).unwrap();
        let at = |piece, begin, length| pieces.block_index(BlockRef { piece, begin, length });
        assert_eq!(at(0, 16_384, 16_384), Some(1));
        assert_eq!(at(3, 0, 1_696), Some(0));
        for (piece, begin, length) in [
            (4, 0, 1),
            (0, 1, 16_384),
            (0, 32_768, 16_384),
            (3, 0, 16_384),
            (0, 0, 0),
            (u32::MAX, u32::MAX, u32::MAX),
        ] {
            assert_eq!(at(piece, begin, length), None);
        }
    }

    #[test]
    fn requests_are_held_to_their_piece() {
        let pieces = Pieces::new(100_000, 32_768).unwrap();
        let ok = |piece, begin, length| pieces.is_valid_request(BlockRef { piece, begin, length }, BLOCK);
        assert!(ok(0, 5, 16_384) && ok(3, 1_695, 1));
        assert!(!ok(3, 1_695, 2) && !ok(0, 0, 0) && !ok(0, 0, BLOCK + 1) && !ok(4, 0, 1));
        assert!(!ok(0, u32::MAX, 2));
    }

    #[test]
    fn the_longest_piece_is_reckoned_to_its_last_byte() {
        let length = u64::from(MAX_PIECE_LENGTH);
        let pieces = Pieces::new(length * 3 + 1, length).unwrap();
        assert_eq!((pieces.count(), pieces.length(2), pieces.blocks(2)), (4, MAX_PIECE_LENGTH, 131_072));
        let last = pieces.block(2, 131_071);
        assert_eq!(last, BlockRef { piece: 2, begin: MAX_PIECE_LENGTH - BLOCK, length: BLOCK });
        assert_eq!(pieces.block_index(last), Some(131_071));
        assert!(pieces.is_valid_request(last, BLOCK));
        assert!(!pieces.is_valid_request(BlockRef { begin: last.begin + 1, ..last }, BLOCK));
        for begin in [MAX_PIECE_LENGTH, u32::MAX - BLOCK + 1] {
            let past = BlockRef { begin, ..last };
            assert!(pieces.block_index(past).is_none() && !pieces.is_valid_request(past, BLOCK));
        }
        assert_eq!(pieces.covering(pieces.offset(2)..pieces.offset(3)), 2..3);
        let most = Pieces::new(length * u64::from(u32::MAX), length).unwrap();
        assert_eq!(most.offset(most.count() - 1) + length, length * u64::from(u32::MAX));
        assert!(Pieces::new(i64::MAX as u64, length).is_err());
    }

    #[test]
    fn nonsense_sizes_are_refused() {
        assert!(Pieces::new(1, 0).is_err());
        assert!(Pieces::new(1, u64::from(MAX_PIECE_LENGTH) + 1).is_err());
        assert!(Pieces::new(u64::MAX, 1).is_err());
        assert_eq!(Pieces::new(0, 1).unwrap().count(), 0);
    }

    #[test]
    fn a_byte_range_is_covered_by_its_pieces() {
        let pieces = Pieces::new(100, 10).unwrap();
        assert_eq!(pieces.covering(0..1), 0..1);
        assert_eq!(pieces.covering(9..11), 0..2);
        assert_eq!(pieces.covering(90..1000), 9..10);
        assert_eq!(pieces.covering(5..5), 0..0);
    }
}
