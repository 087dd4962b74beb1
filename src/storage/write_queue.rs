//! Received blocks, one after the other: each is written as it comes; one that cannot be written is held
//! until it is tried again, and later ones are dropped meanwhile.
//!
//! So a full disk costs one buffer and never fills the pool. Decides nothing about peers, and not when to try
//! again. Invariant: every block that was handed over is written or held, or its piece is reported as
//! dropped; none is lost in silence.

use super::assembly::Assembly;
use super::files::Files;
use super::names::StoredAs;
use super::store::Store;
use crate::error::{Error, Result};
use crate::job::{PeerKey, Verdict};
use crate::pieces::BLOCK;
use crate::wire::frame::Blocks;

/// Blocks of one torrent on their way to the disk, in buffers of the kind `B`.
pub struct WriteQueue<B, S = Files> {
    assembly: Box<Assembly<S>>,
    /// The run that could not be written.
    held: Option<Write<B>>,
}

/// A run of blocks to be written.
#[derive(Debug)]
pub struct Write<B> {
    /// The peer that delivered it.
    pub from: PeerKey,
    /// The run.
    pub blocks: Blocks<B>,
    /// Which blocks of the run to write, the first in the lowest bit; a run is at most eight.
    pub won: u8,
}

/// The result of writing a block.
#[derive(Debug)]
pub enum WriteEvent {
    /// A piece is complete, for better or worse.
    Verdict(Verdict),
    /// A write failed; that run is held for [`WriteQueue::retry`].
    Failed(Error),
    /// A block of this piece came after one that could not be written; the piece was forgotten.
    Dropped(u32),
    /// What could not be written has been.
    Recovered,
    /// A file lies elsewhere than the torrent says.
    StoredAs(StoredAs),
}

impl<B: AsRef<[u8]>, S: Store> WriteQueue<B, S> {
    /// Nothing has come yet.
    pub fn new(assembly: Box<Assembly<S>>) -> Self {
        WriteQueue { assembly, held: None }
    }

    /// Takes a run, and tells what comes of it.
    pub fn accept(&mut self, write: Write<B>, tell: &mut dyn FnMut(WriteEvent)) {
        if self.held.is_some() {
            self.assembly.abandon(write.blocks.piece);
            tell(WriteEvent::Dropped(write.blocks.piece));
        } else {
            self.write_or_hold(write, tell);
        }
    }

    /// These pieces are to be fetched again: another program changed what was verified.
    pub fn lose(&mut self, pieces: &[u32]) {
        pieces.iter().for_each(|&piece| self.assembly.lose(piece));
    }

    /// Tries again what could not be written.
    pub fn retry(&mut self, tell: &mut dyn FnMut(WriteEvent)) {
        if self.held.take().is_some_and(|write| self.write_or_hold(write, tell)) {
            tell(WriteEvent::Recovered);
        }
    }

    fn write_or_hold(&mut self, mut write: Write<B>, tell: &mut dyn FnMut(WriteEvent)) -> bool {
        let done = self.write(&mut write, tell);
        self.assembly
            .files()
            .take_renamed()
            .into_iter()
            .for_each(|renamed| tell(WriteEvent::StoredAs(renamed)));
        if let Err(error) = done {
            self.held = Some(write);
            tell(WriteEvent::Failed(error));
            return false;
        }
        true
    }

    /// Writes each stretch of blocks that were won, and strikes it off.
    fn write(&mut self, write: &mut Write<B>, tell: &mut dyn FnMut(WriteEvent)) -> Result<()> {
        let Blocks { piece, begin, length, ref data, .. } = write.blocks;
        let mut at = 0;
        while at < length {
            let mut end = at;
            while end < length && write.won >> (end / BLOCK) & 1 == 1 {
                end = (end + BLOCK).min(length);
            }
            if at < end {
                let bytes = data.as_ref().get(at as usize..end as usize).unwrap_or_default();
                if let Some(verdict) = self.assembly.accept(piece, begin + at, bytes, write.from)? {
                    tell(WriteEvent::Verdict(verdict));
                }
                (at / BLOCK..end.div_ceil(BLOCK)).for_each(|block| write.won &= !(1 << block));
            }
            at = end.max(at + BLOCK);
        }
        Ok(())
    }
}
