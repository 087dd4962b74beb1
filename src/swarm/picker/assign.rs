//! The choice: which blocks a peer that wants some is given next.
//!
//! In this order, until its demand is covered:
//! 1. unassigned blocks of open pieces: a piece that is begun is finished first;
//! 2. blocks that a snubbed peer was asked for: it is relieved at once;
//! 3. a fresh piece, the rarest first;
//! 4. a part of what another peer has yet to request, so that both are done at the same time: four huge
//!    pieces keep eight peers busy;
//! 5. endgame: blocks that another peer has requested and would deliver later, those it would deliver last, a
//!    bounded number;
//! 6. blocks that several were asked for and that have not come (`overdue`).
//!
//! A slow peer, one that needs longer than [`MAX_SECONDS`] for a whole piece, is given no more of a piece than it
//! delivers in that time. It first helps with a claim that its holder cannot finish soon, and begins a piece only
//! while few are open. A peer on parole is given whole pieces alone, and blocks of shared ones only if no better peer has them.
//!
//! Invariant: every pass over the waiting peers either assigns a block or ends.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use super::open_piece::{Choice, Lease, Open};
use super::peer::{Held, PeerState, Queue};
use super::ranking::{Backlog, Ranking};
use super::{Picker, Priorities};
use crate::job::{Claim, LeaseId, OpenPiece, PeerKey, PieceJob};
use crate::pieces::BLOCK;

/// Seconds within which a peer should be done with what it takes.
const MAX_SECONDS: u64 = 10;

/// Seconds that a piece lent to one peer alone may take before others help.
const MAX_SOLO_SECONDS: u64 = 20;

/// Jobs answering one demand, at most.
const MAX_JOBS: u32 = 64;

/// Blocks of second claims answering one demand, at most.
const MAX_ENDGAME_BLOCKS: u32 = 16;

/// Completed pieces before the rarest come first: the first few should come quickly, from any peer, to have
/// something to give in return.
const RANDOM_FIRST_PIECES: u32 = 4;

/// Blocks that a peer was given just now.
#[derive(Clone, Copy, Default)]
struct Given {
    jobs: u32,
    /// Blocks of second claims among them.
    doubled: u32,
}

impl Picker {
    /// Jobs for all peers that want blocks and can have some now. To be called after any change; costs
    /// nothing if nothing changed.
    ///
    /// A peer that gets a job wants no blocks until it says so again; the others are remembered.
    pub fn assign(&mut self) -> Vec<(PeerKey, PieceJob)> {
        let mut assigned = Vec::new();
        loop {
            let dirty = std::mem::take(&mut self.dirty);
            if dirty {
                self.full = false;
                self.refused_new_piece.clear();
            }
            let asking = std::mem::take(&mut self.asking);
            let turn = if dirty { self.waiting.clone() } else { asking.clone() };
            for peer in asking {
                if let Some(state) = self.peers.get_mut(&peer) {
                    state.asks = false;
                }
            }
            let before = assigned.len();
            for peer in turn {
                if self.serve(peer, &mut assigned) {
                    self.waiting.retain(|&other| other != peer);
                    if let Some(state) = self.peers.get_mut(&peer) {
                        state.demand = 0;
                    }
                }
            }
            // A piece that was begun can be shared with the peers that waited.
            if assigned.len() == before || !self.dirty {
                return assigned;
            }
        }
    }

    /// Answers the demand of one peer. False if there is nothing for it.
    fn serve(&mut self, peer: PeerKey, assigned: &mut Vec<(PeerKey, PieceJob)>) -> bool {
        let Some(state) = self.peers.get(&peer) else { return false };
        if state.demand == 0 || !state.serves_any() || self.useful(state) == 0 {
            return false;
        }
        let (snubbed, mut left) = (state.snubbed, state.demand);
        if snubbed {
            if state.owes() {
                return false;
            }
            left = 1;
        }
        let mut given = Given::default();
        while given.jobs < MAX_JOBS && left > 0 {
            let Some(choice) = self.choose(peer, left, given) else { break };
            let blocks = choice.blocks.len() as u32;
            left = left.saturating_sub(blocks);
            given.doubled += if choice.second { blocks } else { 0 };
            let Some(job) = self.lease(peer, choice) else { break };
            given.jobs += 1;
            assigned.push((peer, job));
        }
        given.jobs > 0
    }

    /// The next job of a peer that could be asked for `left` more blocks, after those it was given just
    /// now.
    fn choose(&mut self, peer: PeerKey, left: u32, given: Given) -> Option<Choice> {
        let state = self.peers.get(&peer)?;
        let (assigned, rated) = (given.jobs > 0, state.rate.is_some());
        let snubbed = state.snubbed;
        let slow = snubbed || state.needs_longer(u64::from(self.pieces.piece_length()), MAX_SECONDS);
        let ration = match state.rate {
            _ if snubbed => 1,
            Some(rate) if slow => left.max((rate * MAX_SECONDS / u64::from(BLOCK)) as u32),
            _ => u32::MAX,
        };
        let lets_wait = self.lets_wait(state);
        let relieves = self.snubs > 0 && !snubbed;
        let mut choice = self.free_part(peer, ration);
        if choice.is_none() && relieves {
            choice = self.relieve(peer, left.min(MAX_ENDGAME_BLOCKS));
        }
        if choice.is_none() && slow && !assigned && !lets_wait {
            choice = self.split(peer, ration, true);
        }
        if choice.is_none() {
            choice = self.new_piece(peer, slow, ration);
        }
        if choice.is_none() && !assigned && !lets_wait {
            choice = self.split(peer, ration, false);
        }
        // Where no rate says when to leave off, one at a time.
        let may_double = !assigned || rated && (1..MAX_ENDGAME_BLOCKS).contains(&given.doubled);
        if choice.is_none() && may_double && !snubbed && !lets_wait {
            let most = left.min(MAX_ENDGAME_BLOCKS - given.doubled);
            choice = self.double(peer, most).or_else(|| self.take_over(peer, most));
        }
        choice
    }

    /// Unassigned blocks of an open piece, the one that is most complete.
    fn free_part(&mut self, peer: PeerKey, ration: u32) -> Option<Choice> {
        loop {
            let state = self.peers.get(&peer)?;
            let mut unassigned = self
                .unassigned
                .iter()
                .filter_map(|&piece| Some((piece, self.open.get(&piece)?)))
                .filter(|&(piece, open)| self.may_join(peer, state, piece, open));
            let (piece, _) = match self.sequential {
                true => unassigned.next()?,
                false => unassigned.max_by_key(|(_, open)| open.received())?,
            };
            match self.open.get_mut(&piece)?.free() {
                Some(run) => return Some(Choice { piece, blocks: front(run, ration), second: false }),
                None => self.unassigned.remove(&piece),
            };
        }
    }

    /// Begins a fresh piece.
    fn new_piece(&mut self, peer: PeerKey, slow: bool, ration: u32) -> Option<Choice> {
        let piece = self.next_fresh(peer, slow)?;
        let others_have_it = u32::from(self.rarity.count(piece)) + self.apart > 1;
        if slow && others_have_it {
            self.full = self.full || self.is_crowded();
            if self.full {
                self.refused_new_piece.push_back(peer);
                return None;
            }
        }
        let state = self.peers.get(&peer)?;
        let alone = self.retry.contains(&piece) || state.parole;
        let whole = 0..self.pieces.blocks(piece);
        let blocks = if alone && !state.snubbed { whole.clone() } else { front(whole.clone(), ration) };
        self.rarity.set_fresh(piece, false);
        self.open.insert(
            piece,
            Open::new(OpenPiece::new(piece, whole.end), LeaseId(self.next_lease), alone.then_some(peer)),
        );
        if blocks.end < whole.end {
            self.unassigned.insert(piece);
        }
        self.dirty = true;
        Some(Choice { piece, blocks, second: false })
    }

    /// The fresh piece to begin with this peer.
    fn next_fresh(&mut self, peer: PeerKey, slow: bool) -> Option<u32> {
        let Picker { peers, rarity, retry, random, priorities, .. } = self;
        let state = peers.get(&peer)?;
        if state.no_fresh_piece || rarity.fresh() == 0 {
            return None;
        }
        // A piece that was bad is not given to a suspect while a better peer has it.
        let allows = |piece: u32| {
            !(state.refused.contains(&piece)
                || state.parole
                    && retry.contains(&piece)
                    && peers.values().any(|other| other.is_trusted_source(piece)))
        };
        let can_begin = |&piece: &u32| rarity.is_fresh(piece) && state.holding.has(piece) && allows(piece);
        if state.choking && self.sequential {
            // Pieces allowed while choked lie anywhere: one is taken only if it is next.
            let next = rarity.first(&state.holding, allows)?;
            return Some(next).filter(|next| state.allowed_fast.contains(next));
        }
        if state.choking {
            let allowed = state.allowed_fast.iter().copied().filter(can_begin);
            return allowed.min_by_key(|&piece| rarity.count(piece));
        }
        if !state.parole && !slow {
            if let Some(piece) = retry.iter().copied().find(can_begin) {
                return Some(piece);
            }
        }
        let holding = &state.holding;
        let (sequential, few) = (self.sequential, self.have.count() < RANDOM_FIRST_PIECES);
        let mut begin = |allows: &dyn Fn(u32) -> bool| {
            if sequential {
                return rarity.first(holding, allows);
            }
            if few {
                return rarity.any(holding, allows, random);
            }
            rarity.rarest(holding, allows, random).map(|rarest| {
                let is_equal = |piece: &u32| {
                    let fits = rarity.is_fresh(*piece) && holding.has(*piece) && allows(*piece);
                    fits && rarity.count(*piece) <= rarity.count(rarest)
                };
                state.suggested.iter().copied().find(is_equal).unwrap_or(rarest)
            })
        };
        let found = match priorities {
            None => begin(&allows),
            Some(Priorities { high, low }) => {
                let first = (high.count() > 0).then(|| begin(&|piece| high.has(piece) && allows(piece)));
                let usual = |piece: u32| !high.has(piece) && !low.has(piece) && allows(piece);
                first.flatten().or_else(|| begin(&usual)).or_else(|| begin(&allows))
            }
        };
        if found.is_none() && !state.parole && state.refused.is_empty() {
            self.peers.get_mut(&peer)?.no_fresh_piece = true;
        }
        found
    }

    /// Cuts a part off the claim that would be done last, so that both are done at once. With
    /// `long`, only off one that its holder could not finish soon.
    fn split(&mut self, peer: PeerKey, ration: u32, long: bool) -> Option<Choice> {
        if self.all_taken {
            return None;
        }
        self.rank();
        let mut ranking = self.ranking.take()?;
        let mut not_for_it = Vec::new();
        let choice = self.cut_last(peer, ration, long, &mut ranking, &mut not_for_it);
        ranking.backlogs.extend(not_for_it);
        self.ranking = Some(ranking);
        choice
    }

    /// As above; leases that this peer alone cannot take are put aside.
    fn cut_last(
        &self,
        peer: PeerKey,
        ration: u32,
        long: bool,
        ranking: &mut Ranking,
        not_for_it: &mut Vec<Backlog>,
    ) -> Option<Choice> {
        let state = self.peers.get(&peer)?;
        let own = state.queue();
        loop {
            let Backlog { millis, ref lease } = *ranking.backlogs.peek()?;
            self.look();
            let (piece, blocks) = (lease.piece(), lease.divisible(ranking.rate_epoch));
            let open =
                self.open.get(&piece).filter(|open| open.leases.iter().any(|held| held.id == lease.id));
            let (Some(open), Some(holder), 1..) = (open, self.peers.get(&lease.peer), blocks) else {
                ranking.backlogs.pop();
                continue;
            };
            let queue = holder.queue_to(lease.id);
            let now = ranking.millis(queue);
            if now < millis {
                ranking.backlogs.peek_mut()?.millis = now;
                continue;
            }
            // All others would be done even sooner.
            if queue.is_sooner(own) || long && now <= MAX_SECONDS * 1000 {
                return None;
            }
            let spared = lease.peer == peer || long && queue.rate.is_none();
            if spared || !self.may_join(peer, state, piece, open) {
                not_for_it.extend(ranking.backlogs.pop());
                continue;
            }
            // Nothing is left only where the holder was quicker, or had been lent what had arrived; then it
            // does not come up again.
            let part = lease.claim.cut(queue.share(own).clamp(1, blocks).min(ration));
            if let Some(blocks) = part.filter(|blocks| !open.piece.has_all(blocks.clone())) {
                return Some(Choice { piece, blocks, second: false });
            }
        }
    }

    /// A second claim on up to `most` blocks that a snubbed peer was asked for, the oldest of its leases
    /// first.
    fn relieve(&mut self, peer: PeerKey, most: u32) -> Option<Choice> {
        self.rank();
        let state = self.peers.get(&peer)?;
        let snubbed = self.holders(peer).take_while(|holder| holder.snubbed);
        for holder in snubbed.filter(|holder| !holder.fully_duplicated.get()) {
            let choice = holder.leases.iter().find_map(|held| {
                let (open, blocks) = self.rescuable(peer, state, held)?;
                open.last_run(&blocks, most).map(|blocks| doubled(held, blocks))
            });
            if choice.is_some() {
                return choice;
            }
            holder.note_what_is_covered();
        }
        None
    }

    /// A second claim on up to `most` blocks of the slowest holder that is delivering, those that it would
    /// deliver last.
    ///
    /// One that is not clearly slower is doubled only when everything is requested, and then for the peer's
    /// share of what is outstanding.
    fn double(&mut self, peer: PeerKey, most: u32) -> Option<Choice> {
        let all_requested = self.is_all_requested();
        self.rank();
        let state = self.peers.get(&peer)?;
        let mut own = None;
        for holder in self.holders(peer).skip_while(|holder| holder.snubbed) {
            let rates = state.rate.zip(holder.rate);
            let clearly_slower = rates.is_some_and(|(asker, holder)| holder.saturating_mul(2) < asker);
            if !all_requested && !clearly_slower {
                // Peers after it are no slower, as far as is known.
                match holder.rate {
                    Some(_) => break,
                    None => continue,
                }
            }
            if holder.fully_duplicated.get() {
                continue;
            }
            let own = *own.get_or_insert_with(|| state.queue());
            let choice = self.double_last(peer, state, own, holder, most);
            if choice.is_some() {
                return choice;
            }
            holder.note_what_is_covered();
        }
        None
    }

    /// All others by their place in the ranking: the snubbed first, the slowest of each first.
    fn holders(&self, peer: PeerKey) -> impl Iterator<Item = &PeerState> {
        let slowest = self.ranking.iter().flat_map(|ranking| &ranking.slowest);
        let holders = slowest.filter_map(|&at| self.peers.nth(at));
        holders.filter(move |&(&key, _)| key != peer).map(|(_, holder)| holder)
    }

    /// A second claim on what the holder would deliver last, where the peer, with `own` to deliver before,
    /// would not be later.
    fn double_last(
        &self,
        peer: PeerKey,
        state: &PeerState,
        own: Queue,
        holder: &PeerState,
        most: u32,
    ) -> Option<Choice> {
        let mut queue = holder.queue();
        for held in holder.leases.iter().rev() {
            // Blocks before these come sooner still.
            if queue.is_sooner(own) {
                break;
            }
            queue.blocks = queue.blocks.saturating_sub(held.lease.owed());
            let Some((open, blocks)) = self.rescuable(peer, state, held) else { continue };
            // Another lease may hold the blocks after the last of them.
            let to_last = held.lease.claim.range().start..blocks.last()? + 1;
            let queue = Queue { blocks: queue.blocks + open.piece.lacks(to_last), ..queue };
            if queue.is_sooner(own) {
                break;
            }
            return open.last_run(&blocks, most.min(queue.share(own))).map(|blocks| doubled(held, blocks));
        }
        None
    }

    /// The blocks under this lease that the peer could be asked for as well, if there are any.
    fn rescuable(&self, peer: PeerKey, state: &PeerState, held: &Held) -> Option<(&Open, Vec<u32>)> {
        if held.fully_duplicated.get() {
            return None;
        }
        let lease = &held.lease;
        self.look();
        let open = self.open.get(&lease.piece())?;
        let blocks = open.rescuable(lease);
        if blocks.is_empty() {
            held.fully_duplicated.set(lease.spare() == 0);
            return None;
        }
        self.may_join(peer, state, lease.piece(), open).then_some((open, blocks))
    }

    /// Leases what was chosen.
    fn lease(&mut self, peer: PeerKey, choice: Choice) -> Option<PieceJob> {
        let open = self.open.get_mut(&choice.piece)?;
        if open.solo.is_some_and(|owner| owner != peer) {
            open.solo = None;
        }
        let id = LeaseId(self.next_lease);
        self.next_lease += 1;
        let claim = Arc::new(Claim::new(open.piece.clone(), choice.blocks));
        self.all_taken &= choice.second;
        let lease = Lease { id, peer, claim: claim.clone(), second: choice.second };
        open.leases.push(lease.clone());
        let state = self.peers.get_mut(&peer)?;
        state.fully_duplicated.set(false);
        state.leases.push(Held { lease: lease.clone(), fully_duplicated: Cell::new(false) });
        if let Some(ranking) = &mut self.ranking {
            ranking.add(&lease, state.queue());
        }
        Some(PieceJob { lease: id, claim })
    }

    /// Whether the peer may have a part in an open piece.
    pub(super) fn may_join(&self, peer: PeerKey, state: &PeerState, piece: u32, open: &Open) -> bool {
        if !state.serves(piece) || !self.is_missing(piece) {
            return false;
        }
        let left_to_others = state.parole && self.peers.values().any(|other| other.is_trusted_source(piece));
        open.solo == Some(peer) || (!self.is_lent_alone(state, piece, open) && !left_to_others)
    }

    /// Whether the piece is assigned to one peer alone, which is getting on with it. Suspects stay away
    /// however slow it is: together they would never show which of them lies.
    fn is_lent_alone(&self, asker: &PeerState, piece: u32, open: &Open) -> bool {
        let left = u64::from(open.piece.missing()) * u64::from(BLOCK);
        open.solo.and_then(|owner| self.peers.get(&owner)).is_some_and(|owner| {
            let slow = owner.needs_longer(left, MAX_SOLO_SECONDS);
            owner.serves(piece) && !owner.snubbed && (asker.parole || !slow)
        })
    }

    /// Whether every wanted block that a peer has is requested.
    fn is_all_requested(&mut self) -> bool {
        let nowhere = if self.apart > 0 { 0 } else { self.rarity.unavailable() };
        if self.rarity.fresh() != nowhere {
            return false;
        }
        let Picker { unassigned, open, .. } = self;
        unassigned.retain(|piece| open.get_mut(piece).is_some_and(|open| open.free().is_some()));
        self.all_taken = self.all_taken || !self.peers.values().any(PeerState::has_backlog);
        self.all_taken && self.unassigned.iter().all(|&piece| !self.wanted.has(piece))
    }

    /// Whether there are enough open pieces for all peers at work.
    fn is_crowded(&self) -> bool {
        let at_work = self
            .peers
            .values()
            .filter(|peer| !peer.leases.is_empty() || peer.demand > 0 && peer.serves_any());
        let open = self.open.values().filter(|open| !open.leases.is_empty());
        open.count() > 2 * at_work.count() + 4
    }

    /// Counts for the tests what is looked at.
    pub(super) fn look(&self) {
        #[cfg(test)]
        self.looks.set(self.looks.get() + 1);
    }

    /// Finds out which peers are slowest, if that is not known.
    fn rank(&mut self) {
        self.ranking.get_or_insert_with(|| Ranking::of(&self.peers, self.rate_epoch));
    }
}

/// A second claim on blocks of this lease.
fn doubled(held: &Held, blocks: Range<u32>) -> Choice {
    Choice { piece: held.lease.piece(), blocks, second: true }
}

/// The first `most` blocks of a range, at least one.
fn front(range: Range<u32>, most: u32) -> Range<u32> {
    range.start..range.end.min(range.start.saturating_add(most.max(1)))
}
