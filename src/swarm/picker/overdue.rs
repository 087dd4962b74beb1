//! Blocks that have not come although several peers were asked for them: a peer that waits for work, and
//! could have sent such a block since, is asked as well: for as much as it could have sent several times
//! over.
//!
//! The picker knows no time. It is told when about a second has passed ([`Picker::turn`]), and a lease that
//! has seen a whole one is old. So a block changes hands again once a second at most, however many wait.
//!
//! Invariant: a block gets another lease only if all the live ones it is in are old, and none of them is of
//! that peer.

use std::ops::Range;

use super::Picker;
use super::open_piece::{Choice, Lease, Open};
use super::peer::PeerState;
use crate::job::{LeaseId, PeerKey};
use crate::pieces::BLOCK;

/// How often a peer could have sent what it takes over within the second that the others had at least.
const SEVERAL: u64 = 2;

/// Which leases are old, and in which pieces they may be.
#[derive(Debug)]
pub(super) struct Overdue {
    /// Leases before this one are old.
    before: LeaseId,
    /// Those before this one will be at the next turn.
    next: LeaseId,
    /// Pieces with blocks that may be overdue; nothing while that is to be found out.
    pieces: Option<Vec<u32>>,
}

impl Overdue {
    pub(super) fn new() -> Self {
        Overdue { before: LeaseId(0), next: LeaseId(0), pieces: None }
    }
}

impl Picker {
    /// About a second has passed since this was said last.
    pub fn turn(&mut self) {
        let Overdue { before, next, pieces } = &mut self.overdue;
        (*before, *next, *pieces) = (*next, LeaseId(self.next_lease), None);
        self.dirty |= !self.open.is_empty();
        for state in self.peers.values_mut() {
            state.was_quiet = std::mem::take(&mut state.quiet);
        }
    }

    /// Nothing came from the peer since the last turn; to be told before the next.
    pub fn quiet(&mut self, peer: PeerKey) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.quiet = true;
        }
    }

    /// Whether the peer sends nothing although it was asked long enough ago: it gets none of the blocks that
    /// others were asked for.
    pub(super) fn lets_wait(&self, state: &PeerState) -> bool {
        let is_old = |lease: &Lease| lease.id < self.overdue.before && !lease.has_arrived();
        state.was_quiet && state.leases.iter().any(|held| is_old(&held.lease))
    }

    /// A further claim on up to `most` blocks that are overdue.
    pub(super) fn take_over(&mut self, peer: PeerKey, most: u32) -> Option<Choice> {
        let before = self.overdue.before;
        let pieces = match self.overdue.pieces.take() {
            Some(pieces) => pieces,
            None => {
                let overdue = |(&piece, open): (&u32, &Open)| open.overdue(None, before, 1).map(|_| piece);
                self.open.iter().filter_map(overdue).collect()
            }
        };
        let choice = self.take_over_one_of(&pieces, peer, most);
        self.overdue.pieces = Some(pieces);
        choice
    }

    fn take_over_one_of(&self, pieces: &[u32], peer: PeerKey, most: u32) -> Option<Choice> {
        if pieces.is_empty() {
            return None;
        }
        let state = self.peers.get(&peer)?;
        // A peer that had little to send shows no better rate than that: one block at a time is little.
        let block = u64::from(BLOCK);
        let able = match state.rate {
            Some(rate) if rate < block / SEVERAL => 0,
            Some(rate) => (rate / (SEVERAL * block)).max(1),
            None => 1,
        };
        let able = u32::try_from(able).unwrap_or(u32::MAX).saturating_sub(state.queue().blocks);
        if able == 0 {
            return None;
        }
        pieces.iter().find_map(|&piece| {
            self.look();
            let open = self.open.get(&piece).filter(|open| self.may_join(peer, state, piece, open))?;
            let blocks = open.overdue(Some(peer), self.overdue.before, most.min(able))?;
            if state.rate.is_none() && self.has_proven_taker(peer, piece, open) {
                return None;
            }
            Some(Choice { piece, blocks, second: true })
        })
    }

    /// Whether another peer that waits for work, and is known to deliver, could take over blocks of the
    /// piece: it goes before one of unknown rate.
    fn has_proven_taker(&self, peer: PeerKey, piece: u32, open: &Open) -> bool {
        let is_taker = |other: PeerKey, state: &PeerState| {
            state.rate.is_some_and(|rate| rate >= SEVERAL * u64::from(BLOCK))
                && state.demand > 0
                && state.serves_any()
                && !state.snubbed
                && self.may_join(other, state, piece, open)
                && open.overdue(Some(other), self.overdue.before, 1).is_some()
        };
        let others = self.waiting.iter().filter(|&&other| other != peer);
        others.into_iter().any(|&other| self.peers.get(&other).is_some_and(|state| is_taker(other, state)))
    }
}

impl Open {
    /// The first run of at most `most` missing blocks that two peers at least were asked for, all of them
    /// before the lease `before`, and `peer` was not. Arrived blocks may lie between.
    fn overdue(&self, peer: Option<PeerKey>, before: LeaseId, most: u32) -> Option<Range<u32>> {
        // Two old ones at least.
        self.leases.iter().filter(|lease| lease.id < before).nth(1)?;
        let is_overdue = |block: u32| {
            let held = || self.leases.iter().filter(|lease| lease.claim.range().contains(&block));
            let asked = |lease: &Lease| {
                lease.id < before && Some(lease.peer) != peer && lease.asked().contains(&block)
            };
            held().count() > 1 && held().all(asked)
        };
        let missing = || (0..self.piece.blocks()).filter(|&block| !self.piece.has(block));
        let first = missing().find(|&block| is_overdue(block))?;
        let run = missing().skip_while(|&block| block < first).take_while(|&block| is_overdue(block));
        let last = run.take(most as usize).last()?;
        Some(first..last + 1)
    }
}
