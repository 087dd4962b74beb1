//! Bytes that a read brings beyond its payload, on the guess that blocks follow on: the headers of those
//! blocks, while their payload lies in the run's buffer already, right behind one another.
//!
//! A guess costs nothing if it is right, and one copy of its bytes if it is wrong. So it grows with every
//! right guess, and begins anew after a wrong one.

use std::io::IoSliceMut;

use super::{BEHIND, PIECE_HEADER};
use crate::budget::RUN;
use crate::pieces::{BLOCK, BlockRef};

/// Blocks to read beyond the one that is wanted, at most: the rest of a run.
const MAX_AHEAD: usize = RUN as usize - 1;
/// What a block takes of the stream.
const FRAME: usize = PIECE_HEADER + BLOCK as usize;

/// Headers of blocks that were read ahead, and how much of the stream that is.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    headers: [[u8; PIECE_HEADER]; MAX_AHEAD],
    /// Headers used already.
    used: usize,
    /// Bytes of the stream that were read ahead and not used.
    bytes: usize,
}

/// Parts of one read, the last of them for what comes behind all blocks.
pub(super) type Parts<'a> = [IoSliceMut<'a>; 2 * MAX_AHEAD + 2];

impl Ahead {
    /// How many blocks to read beyond `block`, into `room` bytes: as many as `trust` allows and as
    /// there are whole ones up to the end of a piece of `piece_length` bytes.
    pub(super) fn guess(block: BlockRef, piece_length: u32, room: usize, trust: u32) -> usize {
        if block.length != BLOCK {
            return 0;
        }
        let left = piece_length.saturating_sub(block.begin.saturating_add(BLOCK)) / BLOCK;
        (left as usize).min(room / BLOCK as usize).min(trust as usize).min(MAX_AHEAD)
    }

    /// What to trust in after a guess that was right.
    pub(super) fn more(trust: u32) -> u32 {
        (2 * trust + 1).min(MAX_AHEAD as u32)
    }

    /// Whether nothing is there that was read ahead.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Where one read puts the rest of a payload, then `guess` blocks into `room`, then what is behind
    /// them; and how much it asks for.
    pub(super) fn parts<'a>(
        &'a mut self,
        rest: &'a mut [u8],
        room: &'a mut [u8],
        behind: &'a mut [u8],
        guess: usize,
    ) -> (Parts<'a>, usize) {
        let asked = rest.len() + guess * FRAME + BEHIND;
        let mut parts: Parts<'a> = std::array::from_fn(|_| IoSliceMut::new(&mut []));
        let mut slots = parts.iter_mut();
        let blocks = self.headers.iter_mut().zip(room.chunks_exact_mut(BLOCK as usize)).take(guess);
        let pairs = blocks.flat_map(|(header, payload)| [header.as_mut_slice(), payload]);
        for part in std::iter::once(rest).chain(pairs).chain([&mut behind[..BEHIND]]) {
            if let Some(slot) = slots.next() {
                *slot = IoSliceMut::new(part);
            }
        }
        (parts, asked)
    }

    /// A read into [`parts`](Ahead::parts) brought `bytes` beyond the payload it was for. Returns how
    /// many of them are behind all blocks.
    pub(super) fn brought(&mut self, bytes: usize, guess: usize) -> usize {
        self.used = 0;
        self.bytes = bytes.min(guess * FRAME);
        bytes - self.bytes
    }

    /// The header of the next block, or what there is of it.
    pub(super) fn header(&self) -> &[u8] {
        let header = self.headers.get(self.used).map_or(&[][..], |header| header);
        header.get(..self.bytes).unwrap_or(header)
    }

    /// Uses a header, which must be whole, and the payload behind it. Returns how much of that there
    /// is.
    pub(super) fn block(&mut self) -> usize {
        let payload = (self.bytes - PIECE_HEADER).min(BLOCK as usize);
        self.used += 1;
        self.bytes -= PIECE_HEADER + payload;
        payload
    }

    /// The stream as it was before the bytes `behind`; the payload lies in `room`.
    pub(super) fn put_back(&mut self, room: &[u8], behind: &[u8]) -> Vec<u8> {
        let mut stream = Vec::with_capacity(self.bytes + behind.len());
        for payload in room.chunks(BLOCK as usize) {
            if self.bytes == 0 {
                break;
            }
            stream.extend_from_slice(self.header());
            if self.bytes < PIECE_HEADER {
                self.bytes = 0;
            } else {
                let length = self.block();
                stream.extend_from_slice(payload.get(..length).unwrap_or_default());
            }
        }
        stream.extend_from_slice(behind);
        stream
    }
}
