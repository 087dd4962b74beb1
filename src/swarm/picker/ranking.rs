//! Which peers are slowest: the order in which holders lose blocks that were requested from them, and blocks
//! that they have yet to request.
//!
//! Found out anew when rates, snubs or the peers themselves have changed, about once a second, so that the
//! many choices between need not look at every peer.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::open_piece::Lease;
use super::peer::{PeerState, Queue};
use crate::job::{LeaseId, PeerKey};
use crate::pieces::BLOCK;
use crate::sorted::SortedMap;

/// The peers by their rates.
#[derive(Debug)]
pub(super) struct Ranking {
    /// First those that are snubbed, then the others; the slowest of each first. By their places in the map,
    /// which hold as long as no peer joins or leaves.
    pub(super) slowest: Vec<usize>,
    /// Leases of which a part could be cut off, the one that will be done last on top. They may be shorter
    /// by now, or over: blocks are taken, and come, without a word.
    pub(super) backlogs: BinaryHeap<Backlog>,
    /// No lease is divisible to the last block that is not older than this one.
    pub(super) rate_epoch: LeaseId,
    /// The mean of the rates that are known, for peers whose rate is not.
    usual: u64,
}

impl Ranking {
    /// As things stand.
    pub(super) fn of(peers: &SortedMap<PeerKey, PeerState>, rate_epoch: LeaseId) -> Self {
        let known = peers.values().filter_map(|peer| peer.rate);
        let (sum, count) = known.fold((0u64, 0), |(sum, count), rate| (sum.saturating_add(rate), count + 1));
        let usual = sum.checked_div(count).unwrap_or(0);
        let ranks = peers.values().map(|peer| (!peer.snubbed, peer.rate.unwrap_or(usual)));
        let mut ranks: Vec<((bool, u64), usize)> = ranks.zip(0..).collect();
        ranks.sort_unstable();
        let slowest = ranks.into_iter().map(|(_, at)| at).collect();
        let mut ranking = Ranking { slowest, backlogs: BinaryHeap::new(), rate_epoch, usual };
        for peer in peers.values() {
            let mut queue = Queue { blocks: 0, rate: peer.rate };
            for held in &peer.leases {
                queue.blocks += held.lease.owed();
                ranking.add(&held.lease, queue);
            }
        }
        ranking
    }

    /// Notes a lease at the end of this queue, if anything can be cut off it.
    pub(super) fn add(&mut self, lease: &Lease, queue: Queue) {
        if lease.divisible(self.rate_epoch) > 0 {
            self.backlogs.push(Backlog { millis: self.millis(queue), lease: lease.clone() });
        }
    }

    /// How long a queue takes at its rate, or the usual one.
    pub(super) fn millis(&self, queue: Queue) -> u64 {
        u64::from(queue.blocks) * u64::from(BLOCK) * 1000 / queue.rate.unwrap_or(self.usual).max(1)
    }
}

/// A lease, and how long its holder needs until it is done with it; ordered by that.
#[derive(Debug)]
pub(super) struct Backlog {
    /// Its value when last looked at; it only ever shrinks.
    pub(super) millis: u64,
    pub(super) lease: Lease,
}

impl Ord for Backlog {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.millis, self.lease.id).cmp(&(other.millis, other.lease.id))
    }
}

impl PartialOrd for Backlog {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Backlog {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Backlog {}
