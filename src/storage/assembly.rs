//! Pieces being assembled: blocks go to disk as they come, SHA-1 follows.
//!
//! No piece is ever held in memory. For an open piece there is a running SHA-1, a bit for each block and the
//! list of contributors. A block that extends the hashed front of its piece is hashed from memory; a block
//! that came out of order is read back once the front reaches it, which the page cache serves. It never
//! decides what to fetch and never blames a peer: it says whose blocks were in a piece.
//!
//! Invariants: a verified piece is never written again; a block is written at most once until its piece has a
//! verdict; a piece is good only if the bytes that were hashed are the bytes on disk.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::files::Files;
use super::store::Store;
use crate::bitfield::Bitfield;
use crate::digest::Sha1;
use crate::error::{Error, ErrorKind, Result};
use crate::job::{PeerKey, Verdict};
use crate::pieces::{BLOCK, Pieces};

/// How much is read back at once; it stays in the processor's cache.
const SCRATCH: usize = 128 * 1024;

/// The open pieces of one torrent.
pub struct Assembly<S = Files> {
    files: Arc<S>,
    pieces: Pieces,
    verified: Bitfield,
    open: HashMap<u32, Open>,
    /// Empty until something came out of order.
    scratch: Vec<u8>,
}

/// One piece, some of whose blocks are on disk.
struct Open {
    hash: Sha1,
    /// Bytes hashed: all before are on disk.
    front: u32,
    /// The blocks on disk, one bit each.
    present: Box<[u64]>,
    missing: u32,
    contributors: Vec<PeerKey>,
}

impl<S: Store> Assembly<S> {
    /// Nothing open yet; `verified` are the pieces known to be right. Should it not fit the
    /// torrent, no piece is.
    pub fn new(files: Arc<S>, verified: Bitfield) -> Self {
        let pieces = files.metainfo().pieces();
        let fits = verified.len() == pieces.count();
        let verified = if fits { verified } else { Bitfield::empty(pieces.count()) };
        Assembly { files, pieces, verified, open: HashMap::new(), scratch: Vec::new() }
    }

    /// The pieces known to be right.
    pub fn verified(&self) -> &Bitfield {
        &self.verified
    }

    /// The files the blocks go to.
    pub fn files(&self) -> &Arc<S> {
        &self.files
    }

    /// How many pieces are open.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Takes one or more whole consecutive blocks of a piece, from byte `begin` of the piece on.
    /// Gives the verdict with the last block. Blocks that are there already are not written again,
    /// and blocks of a verified piece are ignored.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] where these are not whole blocks of a piece. Otherwise what
    /// [`Files::write_at`] and [`Files::read_at`] say. After an error of writing none of this data
    /// counts as there, after one of reading back all of it does, and either way the piece is as
    /// good as before: call again with the same data once the disk works, or drop the data and
    /// call again when it was fetched anew. The call that succeeds gives the verdict that is due.
    pub fn accept(&mut self, piece: u32, begin: u32, data: &[u8], from: PeerKey) -> Result<Option<Verdict>> {
        let Some(end) = self.whole_blocks(piece, begin, data.len()) else {
            return Err(Error::new(
                ErrorKind::Argument,
                format!("{} bytes at {begin} of piece {piece} are not whole blocks of it", data.len()),
            ));
        };
        if self.verified.has(piece) {
            // A late block of a lease that had ended: others have delivered it meanwhile.
            return Ok(None);
        }
        let blocks = self.pieces.blocks(piece);
        let open = self.open.entry(piece).or_insert_with(|| Open::new(blocks));
        let offset = self.pieces.offset(piece);
        if let Err(error) = open.write(self.files.as_ref(), offset, begin..end, data, from) {
            if open.missing == blocks {
                self.open.remove(&piece);
            }
            return Err(error);
        }
        let length = self.pieces.length(piece);
        open.advance(self.files.as_ref(), offset, length, &mut self.scratch)?;
        if open.front < length {
            return Ok(None);
        }
        Ok(self.open.remove(&piece).map(|open| self.judge(piece, open)))
    }

    /// A piece known to be right is so no longer: its blocks are taken again.
    pub fn lose(&mut self, piece: u32) {
        self.verified.remove(piece);
    }

    /// Forgets an open piece; its blocks have to be fetched again. True if it was open.
    pub fn abandon(&mut self, piece: u32) -> bool {
        self.open.remove(&piece).is_some()
    }

    fn judge(&mut self, piece: u32, open: Open) -> Verdict {
        let good = open.hash.finish() == *self.files.metainfo().piece_hash(piece);
        if good {
            self.verified.insert(piece);
        }
        Verdict { piece, good, contributors: open.contributors }
    }

    /// Where in the piece the data ends, if it is whole blocks of a piece.
    fn whole_blocks(&self, piece: u32, begin: u32, length: usize) -> Option<u32> {
        if !self.pieces.contains(piece) || begin % BLOCK != 0 || length == 0 {
            return None;
        }
        let end = begin.checked_add(u32::try_from(length).ok()?)?;
        let piece = self.pieces.length(piece);
        (end == piece || end < piece && end % BLOCK == 0).then_some(end)
    }
}

impl Open {
    fn new(blocks: u32) -> Self {
        Open {
            hash: Sha1::new(),
            front: 0,
            present: vec![0; blocks.div_ceil(64) as usize].into(),
            missing: blocks,
            contributors: Vec::new(),
        }
    }

    fn has(&self, block: u32) -> bool {
        self.present.get(block as usize / 64).is_some_and(|word| word & (1 << (block % 64)) != 0)
    }

    /// The end of the run of blocks from `block` on that are all there, or all not, before `stop`.
    fn run(&self, block: u32, stop: u32) -> u32 {
        let here = self.has(block);
        (block + 1..stop).find(|&next| self.has(next) != here).unwrap_or(stop)
    }

    /// Writes those blocks that are not there. Once all of them are written they count, and are
    /// hashed if they continue the front.
    fn write(
        &mut self,
        files: &impl Store,
        offset: u64,
        range: Range<u32>,
        data: &[u8],
        from: PeerKey,
    ) -> Result<()> {
        let (first, stop) = (range.start / BLOCK, range.end.div_ceil(BLOCK));
        let all_new = !self.has(first) && self.run(first, stop) == stop;
        let mut at = first;
        while at < stop {
            let next = self.run(at, stop);
            if !self.has(at) {
                let (from, to) = (at * BLOCK, (next * BLOCK).min(range.end));
                let data = &data[(from - range.start) as usize..(to - range.start) as usize];
                files.write_at(offset + u64::from(from), data)?;
            }
            at = next;
        }
        let before = self.missing;
        for block in first..stop {
            if !self.has(block) {
                self.present[block as usize / 64] |= 1 << (block % 64);
                self.missing -= 1;
            }
        }
        if self.missing < before && !self.contributors.contains(&from) {
            self.contributors.push(from);
        }
        if all_new && range.start == self.front {
            self.hash.update(data);
            self.front = range.end;
        }
        Ok(())
    }

    /// Reads back and hashes what lies on disk beyond the front without a gap.
    fn advance(&mut self, files: &impl Store, offset: u64, length: u32, scratch: &mut Vec<u8>) -> Result<()> {
        while self.front < length {
            let block = self.front / BLOCK;
            if !self.has(block) {
                return Ok(());
            }
            let most = (block + SCRATCH as u32 / BLOCK).min(length.div_ceil(BLOCK));
            let end = (self.run(block, most) * BLOCK).min(length);
            scratch.resize(SCRATCH, 0);
            let buffer = &mut scratch[..(end - self.front) as usize];
            files.read_at(offset + u64::from(self.front), buffer)?;
            self.hash.update(buffer);
            self.front = end;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
