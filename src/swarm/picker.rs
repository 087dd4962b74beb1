//! Which blocks to request from which peer: the state, and everything that changes it. The choice itself is
//! made in `assign`, and which peer is to blame for a bad piece in `blame`.
//!
//! A piece is *fresh* (wanted, missing, not begun: its place is in `rarity`), *open* (begun: its leases are
//! in `open`), or verified. Sessions say how many more blocks they could request; this demand is remembered
//! and answered when a block can be assigned, so that no session asks twice. Arrived blocks are read straight
//! off the open pieces; the picker is told of whole pieces only.
//!
//! Never does: time, threads, messages. Counts and indices that come from peers are checked here.
//!
//! Invariant: a block that has not arrived is in at most two live leases, or in more if all that it was in
//! were old when it was leased again (`overdue`), never two of one peer. A lease is live until its piece gets
//! its verdict, is lost, or the lease is returned, whichever is first; then it is forgotten.

mod assign;
mod blame;
mod open_piece;
mod overdue;
mod peer;
mod ranking;
mod rarity;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::bitfield::Bitfield;
use crate::job::{LeaseId, PeerKey};
use crate::pieces::{BLOCK, Pieces};
use crate::random::Random;
use crate::sorted::SortedMap;

use open_piece::{Lease, Open};
use overdue::Overdue;
use peer::{Held, Holding, PeerState, remember, word};
use ranking::Ranking;
use rarity::Rarity;

pub use blame::Blame;

/// Which pieces come before and after all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priorities {
    /// Before.
    pub high: Bitfield,
    /// After.
    pub low: Bitfield,
}

/// The piece picker of one torrent.
#[derive(Debug)]
pub struct Picker {
    pieces: Pieces,
    have: Bitfield,
    wanted: Bitfield,
    /// How many pieces are wanted and not verified.
    missing: u32,
    sequential: bool,
    /// Pieces that come before and after the others, if any do.
    priorities: Option<Priorities>,
    random: Random,
    rarity: Rarity,
    peers: SortedMap<PeerKey, PeerState>,
    open: BTreeMap<u32, Open>,
    /// Open pieces that may have unassigned blocks; some may turn out to have none.
    unassigned: BTreeSet<u32>,
    /// Pieces that were bad and are to be fetched again from one peer.
    retry: BTreeSet<u32>,
    next_lease: u64,
    /// Leases from this one on were given since rates were last told.
    rate_epoch: LeaseId,
    /// Blocks that were requested long enough ago.
    overdue: Overdue,
    /// Peers whose demand is unanswered, the longest waiting first.
    waiting: Vec<PeerKey>,
    /// Peers for which something has changed, each once; some may want no blocks.
    asking: Vec<PeerKey>,
    /// Something changed that could answer some of the waiting peers.
    dirty: bool,
    /// Every block that a peer has is assigned, as was found at the last search. Stays so until unassigned
    /// blocks are leased again.
    all_taken: bool,
    /// Enough pieces are open, as was found when one was last asked for.
    full: bool,
    /// Peers that were refused a new piece because enough are open, the earliest first.
    refused_new_piece: VecDeque<PeerKey>,
    /// The slowest peers and those whose work could be shared; none while that is to be found out anew.
    ranking: Option<Ranking>,
    /// How many peers are snubbed.
    snubs: u32,
    /// How many peers have everything and are counted apart.
    apart: u32,
    /// Leases looked at to share or to double them.
    #[cfg(test)]
    looks: std::cell::Cell<u64>,
}

impl Picker {
    /// A picker for a torrent of which `have` is verified and `wanted` is asked for. `sequential`
    /// has the pieces begun in their order rather than the rarest first.
    ///
    /// Both sets are over the pieces of the torrent; one that is not counts as empty.
    pub fn new(pieces: Pieces, have: Bitfield, wanted: Bitfield, sequential: bool, random: Random) -> Self {
        let ours =
            |set: Bitfield| if set.len() == pieces.count() { set } else { Bitfield::empty(pieces.count()) };
        let (have, wanted) = (ours(have), ours(wanted));
        let mut fresh = wanted.clone();
        have.iter().for_each(|piece| {
            fresh.remove(piece);
        });
        Picker {
            pieces,
            missing: fresh.count(),
            rarity: Rarity::new(fresh),
            have,
            wanted,
            sequential,
            priorities: None,
            random,
            peers: SortedMap::new(),
            open: BTreeMap::new(),
            unassigned: BTreeSet::new(),
            retry: BTreeSet::new(),
            next_lease: 0,
            rate_epoch: LeaseId(0),
            overdue: Overdue::new(),
            waiting: Vec::new(),
            asking: Vec::new(),
            dirty: false,
            all_taken: false,
            full: false,
            refused_new_piece: VecDeque::new(),
            ranking: None,
            snubs: 0,
            apart: 0,
            #[cfg(test)]
            looks: Default::default(),
        }
    }

    /// A peer is connected. It chokes us and has nothing until it says otherwise.
    pub fn join(&mut self, peer: PeerKey) {
        self.peers.get_or_insert_with(peer, PeerState::new);
        self.ranking = None;
    }

    /// A peer is gone: its leases end, and what it had is less available.
    pub fn leave(&mut self, peer: PeerKey) {
        let Some(gone) = self.peers.remove(&peer) else { return };
        self.uncount(&gone.holding);
        self.snubs -= u32::from(gone.snubbed);
        self.waiting.retain(|&other| other != peer);
        self.ranking = None;
        for held in &gone.leases {
            self.release(&held.lease);
        }
        self.dirty = true;
    }

    /// The peer has exactly this ([`Report::Has`](crate::orders::Report::Has)).
    pub fn has(&mut self, peer: PeerKey, set: Bitfield) {
        if set.len() != self.pieces.count() {
            return;
        }
        let useful = self.count_useful(&set);
        let Some(state) = self.peers.get_mut(&peer) else { return };
        state.useful = useful;
        state.no_fresh_piece = false;
        let new = if set.is_full() { Holding::Everything } else { Holding::Pieces(set) };
        match &new {
            Holding::Everything => self.apart += 1,
            Holding::Pieces(set) => set.iter().for_each(|piece| self.rarity.more(piece)),
        }
        let old = std::mem::replace(&mut state.holding, new);
        self.uncount(&old);
        self.asks(peer);
    }

    /// The peer has one more piece ([`Report::Have`](crate::orders::Report::Have)).
    pub fn gains(&mut self, peer: PeerKey, piece: u32) {
        let missing = self.is_missing(piece);
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let Holding::Pieces(set) = &mut state.holding else { return };
        if set.is_empty() {
            *set = Bitfield::empty(self.pieces.count());
        }
        if set.insert(piece) {
            self.rarity.more(piece);
            state.useful += u32::from(missing);
            state.no_fresh_piece = false;
            if missing {
                self.asks(peer);
            }
        }
    }

    /// The peer has one piece less ([`Report::Lost`](crate::orders::Report::Lost)). It returns its leases
    /// on it by itself.
    pub fn loses(&mut self, peer: PeerKey, piece: u32) {
        let (missing, count) = (self.is_missing(piece), self.pieces.count());
        let Some(state) = self.peers.get_mut(&peer) else { return };
        if !self.pieces.contains(piece) || !state.holding.has(piece) {
            return;
        }
        if let Holding::Pieces(set) = &mut state.holding {
            set.remove(piece);
            self.rarity.less(piece);
            state.useful -= u32::from(missing);
        } else {
            let mut set = Bitfield::full(count);
            set.remove(piece);
            self.has(peer, set);
        }
    }

    /// The peer chokes us (true), or no longer. It returns its leases by itself.
    pub fn choking(&mut self, peer: PeerKey, choking: bool) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        if std::mem::replace(&mut state.choking, choking) && !choking {
            // Its rate before it choked us says little about its rate now.
            state.rate = None;
            self.ranking = None;
            state.refused.clear();
            state.no_fresh_piece = false;
            self.asks(peer);
        }
    }

    /// The peer serves this piece even while it chokes us (BEP 6).
    pub fn allowed_fast(&mut self, peer: PeerKey, piece: u32) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        if self.pieces.contains(piece) {
            remember(&mut state.allowed_fast, piece);
            self.asks(peer);
        }
    }

    /// The peer recommends this piece (BEP 6): it is taken first among equals.
    pub fn suggested(&mut self, peer: PeerKey, piece: u32) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        if self.pieces.contains(piece) {
            remember(&mut state.suggested, piece);
        }
    }

    /// The peer stopped delivering (true), or delivers again. What it has not requested yet is
    /// taken from it at once; what it has is asked of others as well.
    pub fn snubbed(&mut self, peer: PeerKey, snubbed: bool) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        if std::mem::replace(&mut state.snubbed, snubbed) == snubbed {
            return;
        }
        self.ranking = None;
        if !snubbed {
            self.snubs -= 1;
            self.asks(peer);
            return;
        }
        self.snubs += 1;
        self.dirty = true;
        let cut = |held: &&Held| held.lease.claim.cut(u32::MAX).is_some();
        let pieces: Vec<u32> = state.leases.iter().filter(cut).map(|held| held.lease.piece()).collect();
        for piece in pieces {
            self.unassign(piece);
        }
    }

    /// What the peer delivers at present, in bytes a second; to be told about once a second, of all peers
    /// before the next [`assign`](Self::assign).
    ///
    /// A rate falls by half at most each time, so that one bad second does not make a peer slow, and does not
    /// fall while the peer has nothing to deliver.
    pub fn rate(&mut self, peer: PeerKey, bytes_per_second: u64) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        state.rate = match state.rate {
            Some(old) if !state.owes() => Some(old.max(bytes_per_second)),
            Some(old) => Some(bytes_per_second.max(old / 2)),
            None => Some(bytes_per_second).filter(|&rate| rate > 0),
        };
        let forgiven = !state.refused.is_empty();
        state.refused.clear();
        self.rate_epoch = LeaseId(self.next_lease);
        // Sessions take blocks without a message; here it is found which peers that left behind.
        self.dirty |= !state.leases.is_empty();
        self.ranking = None;
        if forgiven {
            self.asks(peer);
        }
    }

    /// The peer could be asked for about this many more blocks. Remembered until it is answered.
    pub fn wants_blocks(&mut self, peer: PeerKey, blocks: u32) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        if state.demand == 0 && blocks > 0 {
            self.waiting.push(peer);
        } else if state.demand > 0 && blocks == 0 {
            self.waiting.retain(|&other| other != peer);
        }
        state.demand = blocks;
        self.asks(peer);
    }

    /// A lease ends before its piece is whole; its missing blocks are free for others.
    pub fn returned(&mut self, peer: PeerKey, lease: LeaseId) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let Some(at) = state.leases.iter().position(|held| held.lease.id == lease) else { return };
        let lease = state.leases.remove(at).lease;
        if !state.choking {
            // It rejects what it has: not again at once.
            remember(&mut state.refused, lease.piece());
        }
        self.release(&lease);
        self.dirty = true;
    }

    /// Storage lost what there was of an unfinished piece: its leases end, and all of it is missing
    /// again. Workers keep their claims; what they deliver on them counts for nothing.
    pub fn lost_blocks(&mut self, piece: u32) {
        if self.close(piece) {
            self.refresh(piece);
        }
    }

    /// The data of a verified piece is lost. If it is wanted it is to be fetched again.
    pub fn lose(&mut self, piece: u32) {
        if !self.have.remove(piece) || !self.wanted.has(piece) {
            return;
        }
        self.missing += 1;
        for peer in self.peers.values_mut() {
            if let Holding::Pieces(set) = &peer.holding {
                peer.useful += u32::from(set.has(piece));
            }
        }
        self.refresh(piece);
    }

    /// A piece was hashed on the disk, and is right.
    pub fn regain(&mut self, piece: u32) {
        if self.pieces.contains(piece) {
            self.close(piece);
            self.verified(piece);
        }
    }

    /// Changes the wanted pieces. An open piece that is no longer wanted stays open, but none of its other
    /// blocks are requested.
    pub fn set_wanted(&mut self, wanted: Bitfield) {
        if wanted.len() != self.pieces.count() {
            return;
        }
        self.wanted = wanted;
        self.missing = 0;
        for piece in 0..self.pieces.count() {
            let missing = self.is_missing(piece);
            self.missing += u32::from(missing);
            self.rarity.set_fresh(piece, missing && !self.open.contains_key(&piece));
        }
        let mut peers = std::mem::take(&mut self.peers);
        for state in peers.values_mut() {
            if let Holding::Pieces(set) = &state.holding {
                state.useful = self.count_useful(set);
            }
            state.no_fresh_piece = false;
        }
        self.peers = peers;
        self.unassigned.extend(self.open.keys());
        self.dirty = true;
    }

    /// Begins pieces in this order of priority from now on. Those that are begun are finished first.
    pub fn set_priorities(&mut self, priorities: Option<Priorities>) {
        let count = self.pieces.count();
        self.priorities = priorities.filter(|sets| (sets.high.len(), sets.low.len()) == (count, count));
    }

    /// Whether pieces are begun in their order from now on.
    pub fn set_sequential(&mut self, sequential: bool) {
        self.sequential = sequential;
    }

    /// Whether the piece is begun and not verified.
    pub fn is_open(&self, piece: u32) -> bool {
        self.open.contains_key(&piece)
    }

    /// Whether the peer has something that is wanted and missing.
    pub fn interesting(&self, peer: PeerKey) -> bool {
        self.peers.get(&peer).is_some_and(|state| self.useful(state) > 0)
    }

    /// Whether the peer has everything.
    pub fn is_seed(&self, peer: PeerKey) -> bool {
        self.peers.get(&peer).is_some_and(|state| self.has_all(state))
    }

    /// How many pieces the peer has.
    pub fn held_by(&self, peer: PeerKey) -> u32 {
        match self.peers.get(&peer).map(|state| &state.holding) {
            Some(Holding::Everything) => self.pieces.count(),
            Some(Holding::Pieces(set)) => set.count(),
            None => 0,
        }
    }

    /// How many of the peers have everything.
    pub fn seeds(&self) -> u32 {
        self.peers.values().filter(|state| self.has_all(state)).count() as u32
    }

    /// Bytes that have come of pieces that are not whole.
    pub fn unchecked_bytes(&self) -> u64 {
        let bytes = |(&piece, open): (&u32, &Open)| {
            u64::from(open.received() * BLOCK).min(u64::from(self.pieces.length(piece)))
        };
        self.open.iter().map(bytes).sum()
    }

    /// How many of the peers have the piece.
    pub fn availability(&self, piece: u32) -> u16 {
        let apart = u16::try_from(self.apart).unwrap_or(u16::MAX);
        if self.pieces.contains(piece) { self.rarity.count(piece).saturating_add(apart) } else { 0 }
    }

    /// The verified pieces.
    pub fn have(&self) -> &Bitfield {
        &self.have
    }

    /// Whether everything wanted is verified.
    pub fn is_finished(&self) -> bool {
        self.missing == 0
    }

    /// Something has changed for this peer: it is looked after next time.
    fn asks(&mut self, peer: PeerKey) {
        if let Some(state) = self.peers.get_mut(&peer) {
            if !std::mem::replace(&mut state.asks, true) {
                self.asking.push(peer);
            }
        }
    }

    fn is_missing(&self, piece: u32) -> bool {
        self.wanted.has(piece) && !self.have.has(piece)
    }

    fn has_all(&self, state: &PeerState) -> bool {
        match &state.holding {
            Holding::Everything => true,
            Holding::Pieces(set) => !set.is_empty() && set.is_full(),
        }
    }

    fn useful(&self, state: &PeerState) -> u32 {
        if state.holding.is_apart() { self.missing } else { state.useful }
    }

    fn count_useful(&self, set: &Bitfield) -> u32 {
        let words = set.len().div_ceil(64);
        (0..words)
            .map(|at| (word(set, at) & word(&self.wanted, at) & !word(&self.have, at)).count_ones())
            .sum()
    }

    /// Takes what a peer had out of the counts.
    fn uncount(&mut self, holding: &Holding) {
        match holding {
            Holding::Everything => self.apart -= 1,
            Holding::Pieces(set) => set.iter().for_each(|piece| self.rarity.less(piece)),
        }
    }

    /// A lease ended that its holder no longer has: what it held is free, and a piece of which
    /// nothing has come is not begun after all.
    fn release(&mut self, lease: &Lease) {
        let piece = lease.piece();
        let Some(open) = self.open.get_mut(&piece) else { return };
        open.leases.retain(|held| held.id != lease.id);
        if open.leases.is_empty() && open.received() == 0 {
            self.close(piece);
            self.refresh(piece);
        } else {
            self.unassign(piece);
        }
    }

    /// A lease of an open piece ended: some of its blocks may be unassigned now, or in one lease alone.
    fn unassign(&mut self, piece: u32) {
        let Some(open) = self.open.get(&piece) else { return };
        self.unassigned.insert(piece);
        for lease in &open.leases {
            let Some(holder) = self.peers.get(&lease.peer) else { continue };
            if let Some(held) = holder.leases.iter().find(|held| held.lease.id == lease.id) {
                held.fully_duplicated.set(false);
                holder.fully_duplicated.set(false);
            }
        }
    }

    /// Forgets an open piece and ends its leases. False if it was not open.
    fn close(&mut self, piece: u32) -> bool {
        let Some(open) = self.open.remove(&piece) else { return false };
        self.unassigned.remove(&piece);
        for lease in open.leases {
            if let Some(state) = self.peers.get_mut(&lease.peer) {
                state.leases.retain(|held| held.lease.id != lease.id);
            }
        }
        self.full = false;
        // There is room for one new piece; the second is asked in case the first has none.
        for _ in 0..2 {
            self.refused_new_piece.pop_front().into_iter().for_each(|peer| self.asks(peer));
        }
        true
    }

    /// Makes a piece that is not open fresh, if it is wanted and missing.
    fn refresh(&mut self, piece: u32) {
        if self.is_missing(piece) {
            self.rarity.set_fresh(piece, true);
            self.peers.values_mut().for_each(|state| state.no_fresh_piece = false);
            self.dirty = true;
        }
    }
}
