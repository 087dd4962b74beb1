//! An info dictionary in the making: the blocks that came, from which peers, and the peers that are asked for
//! the rest.
//!
//! Invariant: each block has arrived, is requested, is to be requested again, or was never requested.

use std::collections::BTreeSet;

use crate::digest::{Digest, Sha1};
use crate::job::PeerKey;
use crate::moment::Moment;
use crate::sorted::SortedMap;
use crate::wire::ut_metadata::METADATA_BLOCK;

/// Bytes in a block but the last.
const BLOCK: u32 = METADATA_BLOCK as u32;

/// A dictionary of a length that a peer claimed.
#[derive(Debug)]
pub(super) struct Attempt {
    size: u32,
    held: u32,
    blocks: SortedMap<u32, (PeerKey, Box<[u8]>)>,
    asked: SortedMap<u32, Vec<(PeerKey, Moment)>>,
    /// Blocks that were asked for in vain.
    again: BTreeSet<u32>,
    /// The first block that was never asked for.
    next: u32,
}

impl Attempt {
    pub(super) fn new(size: u32) -> Self {
        let (blocks, asked, again) = (SortedMap::new(), SortedMap::new(), BTreeSet::new());
        Attempt { size, held: 0, blocks, asked, again, next: 0 }
    }

    pub(super) fn size(&self) -> u32 {
        self.size
    }

    /// Bytes that are there.
    pub(super) fn held(&self) -> u32 {
        self.held
    }

    pub(super) fn is_complete(&self) -> bool {
        self.held == self.size
    }

    fn count(&self) -> u32 {
        self.size.div_ceil(BLOCK)
    }

    /// The block to ask this peer for, if there is one; it counts as asked from now on. A block that
    /// others are asked for already is named only where `may_share` says so of them.
    pub(super) fn next(
        &mut self,
        key: PeerKey,
        now: Moment,
        may_share: impl Fn(&[(PeerKey, Moment)]) -> bool,
    ) -> Option<u32> {
        let taken = |block| self.blocks.contains_key(&block) || self.asked.contains_key(&block);
        while self.next < self.count() && taken(self.next) {
            self.next += 1;
        }
        let block = match self.again.pop_first() {
            Some(block) => block,
            None if self.next < self.count() => {
                self.next += 1;
                self.next - 1
            }
            None => {
                let free = |askers: &[(PeerKey, Moment)]| {
                    askers.iter().all(|(asker, _)| *asker != key) && may_share(askers)
                };
                *self.asked.iter().find(|(_, askers)| free(askers))?.0
            }
        };
        self.asked.get_or_default(block).push((key, now));
        Some(block)
    }

    /// Takes a block that was requested. False if its length is wrong.
    pub(super) fn receive(&mut self, block: u32, from: PeerKey, bytes: &[u8]) -> bool {
        let begin = u64::from(block) * u64::from(BLOCK);
        let length = u64::from(self.size).saturating_sub(begin).min(u64::from(BLOCK));
        if bytes.len() as u64 != length {
            self.unask(block, from);
            return false;
        }
        self.asked.remove(&block);
        self.again.remove(&block);
        if !self.blocks.contains_key(&block) {
            self.blocks.insert(block, (from, bytes.into()));
            self.held += bytes.len() as u32;
        }
        true
    }

    /// A peer will not deliver this block.
    pub(super) fn unask(&mut self, block: u32, key: PeerKey) {
        let Some(askers) = self.asked.get_mut(&block) else { return };
        askers.retain(|(asker, _)| *asker != key);
        if askers.is_empty() {
            self.asked.remove(&block);
            self.again.insert(block);
        }
    }

    /// Takes over what a peer was asked for in another attempt and may yet answer.
    pub(super) fn adopt(&mut self, key: PeerKey, asked: &SortedMap<u32, Moment>) {
        for (&block, &when) in asked.iter().filter(|(block, _)| !self.blocks.contains_key(block)) {
            self.asked.get_or_default(block).push((key, when));
        }
    }

    /// The peers that delivered the blocks so far, each once.
    pub(super) fn givers(&self) -> Vec<PeerKey> {
        let givers: BTreeSet<PeerKey> = self.blocks.values().map(|(giver, _)| *giver).collect();
        givers.into_iter().collect()
    }

    /// A fresh attempt with the blocks that this peer delivered, which are removed from this one.
    pub(super) fn of_giver(&mut self, key: PeerKey) -> Attempt {
        let theirs: Vec<u32> =
            self.blocks.iter().filter(|(_, (giver, _))| *giver == key).map(|(&block, _)| block).collect();
        let mut own = Attempt::new(self.size);
        for block in theirs {
            if let Some(kept) = self.blocks.remove(&block) {
                own.held += kept.1.len() as u32;
                self.held -= kept.1.len() as u32;
                own.blocks.insert(block, kept);
            }
        }
        own
    }

    /// The whole dictionary if it has this hash; otherwise itself again.
    pub(super) fn verify(self, wanted: &Digest) -> Result<Vec<u8>, Attempt> {
        let mut hash = Sha1::new();
        self.blocks.values().for_each(|(_, bytes)| hash.update(bytes));
        if hash.finish() != *wanted {
            return Err(self);
        }
        let mut whole = Vec::with_capacity(self.size as usize);
        self.blocks.into_values().for_each(|(_, bytes)| whole.extend_from_slice(&bytes));
        Ok(whole)
    }
}
