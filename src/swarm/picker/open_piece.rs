//! One piece that is being downloaded: which peers hold which of its blocks.
//!
//! The blocks themselves are noted elsewhere, by the threads that receive them ([`OpenPiece`]); here are only
//! the leases.
//!
//! ```text
//! blocks    0         1         2
//!           0123456789012345678901234
//! received  ####__#__________________
//! lease 1   [======....)                 = taken to request, . left to request
//! lease 2                    [==.)
//! free                  ^^^^^    ^^^^^
//! ```
//!
//! Invariant: no block that has not arrived is inside two live leases of one peer, nor inside more than two
//! unless all but the last were old when that was given.

use std::ops::Range;
use std::sync::Arc;

use crate::job::{Claim, LeaseId, OpenPiece, PeerKey};

/// What to lease.
pub(super) struct Choice {
    pub(super) piece: u32,
    pub(super) blocks: Range<u32>,
    pub(super) second: bool,
}

/// A claim that a peer holds.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    pub(super) id: LeaseId,
    pub(super) peer: PeerKey,
    pub(super) claim: Arc<Claim>,
    /// It covers blocks that another peer had been asked for: never split, never extended.
    pub(super) second: bool,
}

impl Lease {
    /// The piece it is on.
    pub(super) fn piece(&self) -> u32 {
        self.claim.piece().index()
    }

    /// Whether all of its blocks have arrived, from any peer.
    pub(super) fn has_arrived(&self) -> bool {
        self.claim.piece().has_all(self.claim.range())
    }

    /// How many of its blocks have yet to arrive, from any peer.
    pub(super) fn owed(&self) -> u32 {
        self.claim.piece().lacks(self.claim.range())
    }

    /// Blocks that another peer could be asked for as well: those requested, or all of a second lease, which
    /// is short and never split.
    pub(super) fn asked(&self) -> Range<u32> {
        if self.second { self.claim.range() } else { self.claim.requested() }
    }

    /// Blocks that the holder has yet to request, and that no other peer was asked for.
    pub(super) fn spare(&self) -> u32 {
        if self.second { 0 } else { self.claim.unrequested() }
    }

    /// Blocks that can be cut off. A lease that is not older than `rate_epoch` keeps one that is missing, or two
    /// peers that wait for work could take the last one from each other without end.
    pub(super) fn divisible(&self, rate_epoch: LeaseId) -> u32 {
        let spare = self.spare();
        if self.id < rate_epoch || !self.claim.requested().is_empty() {
            return spare;
        }
        let piece = self.claim.piece();
        let arrived = self.claim.range().take_while(|&block| piece.has(block)).count() as u32;
        spare.saturating_sub(arrived + 1)
    }
}

/// A piece that is being downloaded.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) piece: Arc<OpenPiece>,
    pub(super) leases: Vec<Lease>,
    /// The one peer that is to deliver all of it.
    pub(super) solo: Option<PeerKey>,
    /// No lease of it is older than this one.
    pub(super) begun: LeaseId,
    /// Every block below this has arrived.
    arrived: u32,
}

impl Open {
    /// A piece without leases.
    pub(super) fn new(piece: OpenPiece, begun: LeaseId, solo: Option<PeerKey>) -> Self {
        Open { piece: Arc::new(piece), leases: Vec::new(), solo, begun, arrived: 0 }
    }

    /// How many blocks have arrived.
    pub(super) fn received(&self) -> u32 {
        self.piece.blocks() - self.piece.missing()
    }

    /// The first run of unassigned blocks. It begins and ends with one that is missing.
    pub(super) fn free(&mut self) -> Option<Range<u32>> {
        let blocks = self.piece.blocks();
        while self.arrived < blocks && self.piece.has(self.arrived) {
            self.arrived += 1;
        }
        let mut held: Vec<Range<u32>> = self.leases.iter().map(|lease| lease.claim.range()).collect();
        held.retain(|range| range.end > self.arrived && !range.is_empty());
        held.sort_unstable_by_key(|range| range.start);
        let mut from = self.arrived;
        for range in held.into_iter().chain(std::iter::once(blocks..blocks)) {
            let mut gap = from..range.start;
            if let Some(first) = gap.find(|&block| !self.piece.has(block)) {
                let last = gap.rfind(|&block| !self.piece.has(block)).unwrap_or(first);
                return Some(first..last + 1);
            }
            from = from.max(range.end);
        }
        None
    }

    /// Missing blocks that were requested of the holder of this lease and that no other lease covers,
    /// ascending.
    pub(super) fn rescuable(&self, lease: &Lease) -> Vec<u32> {
        let part = lease.asked();
        if part.end <= self.arrived || self.piece.has_all(part.clone()) {
            return Vec::new();
        }
        let others: Vec<Range<u32>> = self
            .leases
            .iter()
            .filter(|other| other.id != lease.id)
            .map(|other| other.claim.range())
            .filter(|other| other.start < part.end && part.start < other.end)
            .collect();
        (part.start.max(self.arrived)..part.end)
            .filter(|&block| !self.piece.has(block) && !others.iter().any(|other| other.contains(&block)))
            .collect()
    }

    /// The last run among `blocks` (as [`Open::rescuable`] gives them), at most `most` of them,
    /// with nothing between but what has arrived.
    pub(super) fn last_run(&self, blocks: &[u32], most: u32) -> Option<Range<u32>> {
        let last = *blocks.last()?;
        let mut first = last;
        for &block in blocks.iter().rev().take(most as usize).skip(1) {
            if !(block + 1..first).all(|between| self.piece.has(between)) {
                break;
            }
            first = block;
        }
        Some(first..last + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A piece from rows of characters: `#` for arrived, and a row for each lease, `=` for blocks
    /// taken and `.` for blocks to take.
    fn open(received: &str, leases: &[&str]) -> Open {
        let mut open = Open::new(OpenPiece::new(0, received.len() as u32), LeaseId(0), None);
        for (id, row) in leases.iter().enumerate() {
            let start = row.find(['=', '.']).unwrap() as u32;
            let claim = Claim::new(open.piece.clone(), start..row.trim_end().len() as u32);
            row.matches('=').for_each(|_| assert!(claim.take().is_some()));
            open.leases.push(Lease {
                id: LeaseId(id as u64),
                peer: PeerKey(id as u32),
                claim: Arc::new(claim),
                second: false,
            });
        }
        for (block, _) in received.match_indices('#') {
            assert!(open.piece.receive(block as u32));
        }
        open
    }

    #[test]
    fn free_runs_lie_between_the_leases() {
        for (received, leases, want) in [
            ("______", &[] as &[&str], Some(0..6)),
            ("##__#_", &[], Some(2..6)),
            ("##__##", &[], Some(2..4)),
            ("______", &["==.   ", "     ="], Some(3..5)),
            ("___#__", &["==.   ", "     ="], Some(4..5)),
            ("______", &["    ..", "..    "], Some(2..4)),
            ("__##__", &["    ..", "..    "], None),
            ("######", &[], None),
            ("______", &["======", " =    "], None),
        ] {
            assert_eq!(open(received, leases).free(), want, "{received} {leases:?}");
        }
    }

    #[test]
    fn only_requested_blocks_held_once_are_rescued() {
        let piece = open("#__#______", &["=======...", "  =       "]);
        assert_eq!(piece.rescuable(&piece.leases[0]), [1, 4, 5, 6]);
        assert_eq!(piece.rescuable(&piece.leases[1]), [0u32; 0]);
        assert_eq!(piece.last_run(&[1, 4, 5, 6], 2), Some(5..7));
        assert_eq!(piece.last_run(&[1, 4, 5, 6], 9), Some(4..7), "block 2 is in between");
        assert_eq!(piece.last_run(&[2, 4], 9), Some(2..5), "block 3 has arrived");
        assert_eq!(piece.last_run(&[], 9), None);
    }
}
