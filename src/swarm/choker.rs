//! Which peers to unchoke, and how many at once.
//!
//! While we download: those that give us most, and some optimistically (BEP 3). Every ten seconds the peers
//! are ranked by what they gave over the last rounds; the best get all slots but one in five. The others go
//! for thirty seconds each to peers drawn at random, those that came in the last minute thrice as likely, so
//! that newcomers can show what they give. A peer that snubs us is unchoked optimistically or not at all.
//!
//! Once we have everything: all in turn. A turn is [`QUOTA_PIECES`] pieces, a minute at least and three at
//! most, and ends early for one that takes nothing; then the peer that waited longest comes.
//!
//! Between rounds a free slot goes at once to an interested peer, and no peer loses one; no peer loses one
//! within ten seconds of getting it, so that choking never flutters. Peers that have nothing to ask for
//! (upload-only, BEP 21) get none.
//!
//! Pure: byte counts and the time come in, changes go out.
//!
//! Invariant: after a decision no more interested peers are unchoked than there are slots.

mod slots;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use self::slots::Slots;
use crate::job::PeerKey;
use crate::moment::Moment;
use crate::random::Random;
use crate::rate::RateMeter;
use crate::sorted::SortedMap;

/// Time between two rankings, and the least time a slot is kept.
const ROUND: Duration = Duration::from_secs(10);

/// How long a peer drawn at random keeps its slot.
const OPTIMISTIC_TIME: Duration = Duration::from_secs(30);

/// One in this many slots is optimistic, given at random.
const OPTIMISTIC_PART: usize = 5;

/// For how long a peer is new.
const NEW_FOR: Duration = Duration::from_secs(60);

/// Pieces in a turn while seeding.
pub const QUOTA_PIECES: u64 = 20;

/// A turn while seeding is not shorter, however much was taken.
const MIN_TURN: Duration = Duration::from_secs(60);

/// And not longer, however little was taken.
const MAX_TURN: Duration = Duration::from_secs(180);

/// How long a served peer may take nothing before its turn is over.
const IDLE_TURN: Duration = Duration::from_secs(20);

/// A connected peer as the choker sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerView {
    /// The peer.
    pub key: PeerKey,
    /// Whether it wants something we have.
    pub interested: bool,
    /// Whether it is known to want nothing: it has everything, or says that it is a partial seed
    /// (BEP 21).
    pub upload_only: bool,
    /// Whether we choke it now.
    pub choked: bool,
    /// Whether it owes us blocks and stopped delivering.
    pub snubbed: bool,
    /// Payload bytes it has sent us; never less than before.
    pub received: u64,
    /// Payload bytes we have sent it; never less than before.
    pub sent: u64,
    /// Since when it is connected.
    pub since: Moment,
}

impl PeerView {
    fn may_be_served(&self) -> bool {
        self.interested && !self.upload_only
    }
}

/// The record of a peer from one decision to the next.
#[derive(Debug)]
struct Record {
    download_rate: RateMeter,
    upload_rate: RateMeter,
    /// When it got its slot, or lost it.
    changed: Moment,
    /// Bytes it had been sent when it got its slot.
    sent_before: u64,
    /// When it was seen to take something last, or got its slot.
    took: Moment,
}

impl Record {
    fn new(peer: &PeerView, now: Moment) -> Self {
        Record {
            download_rate: RateMeter::new(peer.received, now, INERTIA),
            upload_rate: RateMeter::new(peer.sent, now, INERTIA),
            changed: if peer.choked { peer.since } else { now },
            sent_before: peer.sent,
            took: now,
        }
    }

    /// Whether it has had its slot for too short a time to lose it.
    fn is_fresh(&self, now: Moment) -> bool {
        now - self.changed < ROUND
    }

    /// Whether its turn is over, while seeding.
    fn had_its_turn(&self, peer: &PeerView, quota: u64, now: Moment) -> bool {
        let turn = now - self.changed;
        let enough = peer.sent.saturating_sub(self.sent_before) >= quota;
        (enough && turn >= MIN_TURN) || turn >= MAX_TURN || now - self.took >= IDLE_TURN
    }
}

/// Inertia of the rates that decide which peers are unchoked: rounds are long.
const INERTIA: u8 = 1;

/// Decides which peers to choke and which to unchoke.
#[derive(Debug)]
pub struct Choker {
    next_round: Moment,
    slots: Slots,
    /// Bytes in a turn while seeding.
    quota: u64,
    records: SortedMap<PeerKey, Record>,
    /// The peers drawn at random, and until when they keep their slots.
    optimistic: SortedMap<PeerKey, Moment>,
}

impl Choker {
    /// A choker that has decided nothing yet. `slots` is how many peers are served at once;
    /// nothing has their number follow the upload rate. `piece_length` is in bytes.
    pub fn new(slots: Option<usize>, piece_length: u32) -> Self {
        Choker {
            next_round: Moment::START,
            slots: Slots::new(slots),
            quota: QUOTA_PIECES * u64::from(piece_length),
            records: SortedMap::new(),
            optimistic: SortedMap::new(),
        }
    }

    /// The changes to make, as peer and whether to choke it. To be called with all connected peers
    /// whenever the interest of one changed, one came or went, and at [`Choker::deadline`].
    ///
    /// `seeding` has all served in turn instead of those that give most.
    pub fn decide(
        &mut self,
        peers: &[PeerView],
        seeding: bool,
        now: Moment,
        random: &mut Random,
    ) -> Vec<(PeerKey, bool)> {
        let present: BTreeSet<PeerKey> = peers.iter().map(|peer| peer.key).collect();
        self.records.retain(|key, _| present.contains(key));
        self.optimistic.retain(|key, until| present.contains(key) && now < *until);
        for peer in peers {
            self.records.get_or_insert_with(peer.key, || Record::new(peer, now));
        }
        let is_round = now >= self.next_round;
        if is_round {
            self.next_round = now + ROUND;
            self.measure(peers, now);
        }
        let candidates: Vec<&PeerView> = peers.iter().filter(|peer| peer.may_be_served()).collect();
        let served = match (is_round, seeding) {
            (true, true) => self.in_turn(candidates, now),
            (true, false) => self.by_merit(&candidates, now, random),
            (false, _) => self.fill(candidates, seeding),
        };
        self.changes(peers, &served, is_round, now)
    }

    /// When [`Choker::decide`] is to be called next, should nothing change before.
    pub fn deadline(&self) -> Moment {
        self.next_round
    }

    /// This many peers are served at once from now on; nothing has their number follow the upload rate.
    pub fn set_slots(&mut self, slots: Option<usize>) {
        self.slots = Slots::new(slots);
    }

    /// Whether a peer keeps its slot by luck, and not for what it gives.
    pub fn is_optimistic(&self, peer: PeerKey) -> bool {
        self.optimistic.contains_key(&peer)
    }

    /// How many interested peers are served at once at most.
    pub fn slots(&self) -> usize {
        self.slots.count()
    }

    fn measure(&mut self, peers: &[PeerView], now: Moment) {
        let (mut total, mut served, mut waiting, mut slowest) = (0u64, 0, 0, u64::MAX);
        for peer in peers {
            let Some(record) = self.records.get_mut(&peer.key) else { continue };
            record.download_rate.measure(peer.received, now);
            record.upload_rate.measure(peer.sent, now);
            let upload_rate = record.upload_rate.latest();
            if upload_rate > 0 {
                record.took = now;
            }
            total = total.saturating_add(upload_rate);
            match (peer.may_be_served(), peer.choked) {
                (true, true) => waiting += 1,
                (true, false) => {
                    served += 1;
                    slowest = slowest.min(upload_rate);
                }
                (false, _) => {}
            }
        }
        self.slots.round(total, slowest, served, waiting);
    }

    /// Seeding: a peer whose turn is not over stays, then come those that waited longest.
    fn in_turn(&mut self, mut candidates: Vec<&PeerView>, now: Moment) -> BTreeSet<PeerKey> {
        self.optimistic.clear();
        candidates.sort_by_key(|peer| {
            let Some(record) = self.records.get(&peer.key) else { return (3, now, peer.key) };
            let class = match peer.choked {
                true => 1,
                false if !record.is_fresh(now) && record.had_its_turn(peer, self.quota, now) => 2,
                false => 0,
            };
            (class, record.changed, peer.key)
        });
        candidates.iter().take(self.slots()).map(|peer| peer.key).collect()
    }

    /// Downloading: those that give most, and some at random.
    fn by_merit(&mut self, candidates: &[&PeerView], now: Moment, random: &mut Random) -> BTreeSet<PeerKey> {
        let slots = self.slots();
        let optimistic_slots = if slots > 1 { (slots / OPTIMISTIC_PART).max(1) } else { 0 };
        let fresh = |peer: &PeerView| {
            let record = self.records.get(&peer.key);
            !peer.choked
                && !self.optimistic.contains_key(&peer.key)
                && record.is_some_and(|record| record.is_fresh(now))
        };
        let mut served: BTreeSet<PeerKey> =
            candidates.iter().filter(|peer| fresh(peer)).take(slots).map(|peer| peer.key).collect();
        let mut ranked: Vec<&&PeerView> =
            candidates.iter().filter(|peer| !peer.snubbed && !served.contains(&peer.key)).collect();
        ranked.sort_by_key(|peer| {
            let record = self.records.get(&peer.key);
            let (download_rate, changed) =
                record.map_or((0, now), |record| (record.download_rate.rate(), record.changed));
            (Reverse(download_rate), peer.choked, changed, peer.key)
        });
        let regular = (slots - optimistic_slots).saturating_sub(served.len());
        served.extend(ranked.iter().take(regular).map(|peer| peer.key));
        // One that has come to earn its slot leaves the lot to another.
        self.optimistic.retain(|key, _| !served.contains(key));
        let mut rest: Vec<&&PeerView> =
            candidates.iter().filter(|peer| !served.contains(&peer.key)).collect();
        self.optimistic.retain(|key, _| rest.iter().any(|peer| peer.key == *key));
        let optimistic_slots = optimistic_slots.min(slots - served.len());
        rest.retain(|peer| !self.optimistic.contains_key(&peer.key));
        // No peer is drawn twice in a row while others wait.
        if rest.iter().filter(|peer| peer.choked).count() >= optimistic_slots {
            rest.retain(|peer| peer.choked);
        }
        while self.optimistic.len() < optimistic_slots && !rest.is_empty() {
            let drawn = rest.swap_remove(draw(&rest, now, random));
            self.optimistic.insert(drawn.key, now + OPTIMISTIC_TIME);
        }
        while self.optimistic.len() > optimistic_slots {
            self.optimistic.pop_last();
        }
        served.extend(self.optimistic.keys());
        served
    }

    /// Between rounds: those that are served stay so, and free slots are filled.
    fn fill(&mut self, mut candidates: Vec<&PeerView>, seeding: bool) -> BTreeSet<PeerKey> {
        candidates.retain(|peer| seeding || !peer.choked || !peer.snubbed);
        candidates.sort_by_key(|peer| {
            let record = self.records.get(&peer.key);
            let download_rate = record.filter(|_| !seeding).map_or(0, |record| record.download_rate.rate());
            (peer.choked, Reverse(download_rate), record.map(|record| record.changed), peer.key)
        });
        candidates.iter().take(self.slots()).map(|peer| peer.key).collect()
    }

    fn changes(
        &mut self,
        peers: &[PeerView],
        served: &BTreeSet<PeerKey>,
        is_round: bool,
        now: Moment,
    ) -> Vec<(PeerKey, bool)> {
        let mut changes = Vec::new();
        for peer in peers {
            let Some(record) = self.records.get_mut(&peer.key) else { continue };
            let change = if served.contains(&peer.key) {
                peer.choked
            } else {
                // One that wants nothing for the moment costs nothing: it may soon want something.
                let leave = !peer.interested && (!is_round || record.is_fresh(now));
                !peer.choked && (peer.upload_only || !leave)
            };
            if change {
                (record.changed, record.took, record.sent_before) = (now, now, peer.sent);
                changes.push((peer.key, !peer.choked));
            }
        }
        changes
    }
}

/// Draws the place of one peer at random.
fn draw(peers: &[&&PeerView], now: Moment, random: &mut Random) -> usize {
    let tickets = |peer: &PeerView| if now - peer.since < NEW_FOR { 3 } else { 1 };
    let mut drawn = random.below(peers.iter().map(|peer| tickets(peer)).sum());
    let at = peers.iter().position(|peer| match drawn.checked_sub(tickets(peer)) {
        Some(left) => {
            drawn = left;
            false
        }
        None => true,
    });
    at.unwrap_or(0)
}
