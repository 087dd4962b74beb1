//! The picker's state of one peer: what it has, what it allows, how fast and how honest it is.
//!
//! Plain state; the decisions that follow from it are made elsewhere.

use std::cell::Cell;

use super::open_piece::Lease;
use crate::bitfield::Bitfield;
use crate::job::LeaseId;

/// Allowed-fast pieces and suggestions remembered of one peer; no honest peer needs more.
const MAX_REMEMBERED: usize = 32;

/// The pieces that a peer has.
#[derive(Debug)]
pub(super) enum Holding {
    /// Everything, from the start: counted apart, and no bitfield is kept.
    Everything,
    /// These pieces, each counted; a universe of 0 stands for none at all.
    Pieces(Bitfield),
}

impl Holding {
    /// Whether the peer has the piece.
    pub(super) fn has(&self, piece: u32) -> bool {
        match self {
            Holding::Everything => true,
            Holding::Pieces(set) => set.has(piece),
        }
    }

    /// Whether its pieces are not counted one by one.
    pub(super) fn is_apart(&self) -> bool {
        matches!(self, Holding::Everything)
    }

    /// Pieces `64 * at` and on, the first in the highest bit.
    pub(super) fn word(&self, at: u32) -> u64 {
        match self {
            Holding::Everything => u64::MAX,
            Holding::Pieces(set) => word(set, at),
        }
    }
}

/// Indices `64 * at` and on of a set, the first in the highest bit.
pub(super) fn word(set: &Bitfield, at: u32) -> u64 {
    let bytes = set.as_bytes().get(at as usize * 8..).unwrap_or_default();
    match bytes.first_chunk() {
        Some(&eight) => u64::from_be_bytes(eight),
        None => {
            bytes.iter().zip((0..8).rev()).fold(0, |word, (&byte, at)| word | u64::from(byte) << (at * 8))
        }
    }
}

/// A lease in the hands of its holder.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) lease: Lease,
    /// All of it is requested, and none of it could be asked of another peer, as was found at the last
    /// search. Stays so until a lease of another peer on the piece is cut or ends.
    pub(super) fully_duplicated: Cell<bool>,
}

/// One peer as the picker sees it.
#[derive(Debug)]
pub(super) struct PeerState {
    pub(super) holding: Holding,
    /// How many wanted and missing pieces it has; not kept for one that has everything.
    pub(super) useful: u32,
    /// It has no fresh piece, as was found when one was last looked for.
    pub(super) no_fresh_piece: bool,
    pub(super) choking: bool,
    pub(super) snubbed: bool,
    /// Nothing came from it since the last turn, or the turn before, as far as was told.
    pub(super) quiet: bool,
    pub(super) was_quiet: bool,
    /// Bytes a second; nothing until it has delivered.
    pub(super) rate: Option<u64>,
    /// Blocks it could be asked for; 0 if it wants none.
    pub(super) demand: u32,
    /// Something has changed for it since it was last looked after.
    pub(super) asks: bool,
    /// Live leases it holds, in the order it was given them and works on them.
    pub(super) leases: Vec<Held>,
    /// Every one of them is fully duplicated, as was found at the last search.
    pub(super) fully_duplicated: Cell<bool>,
    pub(super) allowed_fast: Vec<u32>,
    pub(super) suggested: Vec<u32>,
    /// Pieces it returned lately although it does not choke us.
    pub(super) refused: Vec<u32>,
    /// Good pieces it contributed to.
    pub(super) good: u32,
    /// Bad pieces it contributed to, those that were under way together counted as one.
    pub(super) bad: u32,
    /// Bad pieces begun with leases before this one are counted already.
    pub(super) blamed: LeaseId,
    /// It contributed to a bad piece with others, and has not delivered a good one alone since.
    pub(super) parole: bool,
    /// It is a proven culprit: it gets nothing more.
    pub(super) barred: bool,
}

impl PeerState {
    /// A peer of which nothing is known.
    pub(super) fn new() -> Self {
        PeerState {
            holding: Holding::Pieces(Bitfield::default()),
            useful: 0,
            no_fresh_piece: false,
            choking: true,
            snubbed: false,
            quiet: false,
            was_quiet: false,
            rate: None,
            demand: 0,
            asks: false,
            leases: Vec::new(),
            fully_duplicated: Cell::new(false),
            allowed_fast: Vec::new(),
            suggested: Vec::new(),
            refused: Vec::new(),
            good: 0,
            bad: 0,
            blamed: LeaseId(0),
            parole: false,
            barred: false,
        }
    }

    /// Whether the piece can be asked of it now.
    pub(super) fn serves(&self, piece: u32) -> bool {
        self.holding.has(piece)
            && !self.barred
            && (!self.choking || self.allowed_fast.contains(&piece))
            && !self.refused.contains(&piece)
    }

    /// Whether it can be asked for anything at all.
    pub(super) fn serves_any(&self) -> bool {
        !self.barred && (!self.choking || !self.allowed_fast.is_empty())
    }

    /// Whether it is a good source of the piece: trusted, and delivering.
    pub(super) fn is_trusted_source(&self, piece: u32) -> bool {
        self.serves(piece) && !self.parole && !self.snubbed
    }

    /// The blocks it was given that have yet to arrive.
    pub(super) fn queue(&self) -> Queue {
        Queue { blocks: self.leases.iter().map(|held| held.lease.owed()).sum(), rate: self.rate }
    }

    /// The same up to the end of this lease of its own.
    pub(super) fn queue_to(&self, lease: LeaseId) -> Queue {
        let so_far = self.leases.iter().take_while(|held| held.lease.id <= lease);
        Queue { blocks: so_far.map(|held| held.lease.owed()).sum(), rate: self.rate }
    }

    /// Notes whether none of its blocks could be asked of another peer, after all leases were looked at.
    pub(super) fn note_what_is_covered(&self) {
        self.fully_duplicated.set(self.leases.iter().all(|held| held.fully_duplicated.get()));
    }

    /// Whether it has yet to request some of the blocks it was given.
    pub(super) fn has_backlog(&self) -> bool {
        self.leases.iter().rev().any(|held| held.lease.spare() > 0)
    }

    /// Whether it was asked for a block that has not arrived.
    pub(super) fn owes(&self) -> bool {
        self.leases.iter().any(|held| !held.lease.has_arrived())
    }

    /// Whether it is known to need longer than `seconds` for `bytes` bytes.
    pub(super) fn needs_longer(&self, bytes: u64, seconds: u64) -> bool {
        self.rate.is_some_and(|rate| rate.saturating_mul(seconds) < bytes)
    }
}

/// Remembers a piece in one of the short lists, the oldest making room.
pub(super) fn remember(list: &mut Vec<u32>, piece: u32) {
    if !list.contains(&piece) {
        if list.len() == MAX_REMEMBERED {
            list.remove(0);
        }
        list.push(piece);
    }
}

/// Blocks that a peer has to send, and bytes a second at which it does, if that is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Queue {
    pub(super) blocks: u32,
    pub(super) rate: Option<u64>,
}

impl Queue {
    /// How many blocks to take off its end and put behind those of `other`, so that both are done at once; as
    /// for two equal peers while one of the rates is not known. At least one if it has any.
    pub(super) fn share(self, other: Queue) -> u32 {
        let (mine, others) = self.rate.zip(other.rate).unwrap_or((1, 1));
        let (mine, others) = (u128::from(mine.max(1)), u128::from(others.max(1)));
        let ahead = (u128::from(self.blocks) * others).saturating_sub(u128::from(other.blocks) * mine);
        ((ahead / (mine + others)) as u32).max(1).min(self.blocks)
    }

    /// Whether all of it would be sent before `other` had sent one block more, as far as that is known.
    pub(super) fn is_sooner(self, other: Queue) -> bool {
        self.rate.zip(other.rate).is_some_and(|(mine, others)| {
            u128::from(self.blocks) * u128::from(others) < (u128::from(other.blocks) + 1) * u128::from(mine)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_run_over_the_end_as_zeros() {
        let mut set = Bitfield::empty(70);
        [0, 63, 64, 69].into_iter().for_each(|piece| assert!(set.insert(piece)));
        assert_eq!(word(&set, 0), 1 << 63 | 1);
        assert_eq!(word(&set, 1), 1 << 63 | 1 << 58);
        assert_eq!(word(&set, 2), 0);
    }

    #[test]
    fn shares_follow_the_rates_and_what_both_have_to_do() {
        let queue = |blocks, rate| Queue { blocks, rate };
        assert_eq!(queue(100, Some(10)).share(queue(0, Some(30))), 75);
        assert_eq!(queue(100, Some(10)).share(queue(20, Some(30))), 70, "30 / 10 = (20 + 70) / 30");
        assert_eq!(queue(100, Some(10)).share(queue(0, None)), 50);
        assert_eq!(queue(1, Some(1000)).share(queue(9, Some(1))), 1);
        assert_eq!(queue(0, Some(1)).share(queue(0, Some(1))), 0);
        let idle = queue(0, Some(10));
        assert!(queue(3, Some(31)).is_sooner(idle) && !queue(3, Some(30)).is_sooner(idle));
        let busy = queue(2, Some(10));
        assert!(queue(8, Some(30)).is_sooner(busy) && !queue(9, Some(30)).is_sooner(busy));
        assert!(!queue(1, None).is_sooner(busy), "who knows");
    }
}
