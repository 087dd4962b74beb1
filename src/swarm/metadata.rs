//! Fetching the info dictionary that a magnet link only names (BEP 9): which block to request from which
//! peer, and which peers to believe.
//!
//! Every peer that says it has it is asked at once, each for as many blocks as it may owe, so that a
//! dictionary of usual size arrives one round trip after the first good peer said so. Peers that agree on its
//! length fill one `Attempt` together. Only the hash tells whether it is right. If it is wrong and one peer
//! alone filled it, that peer lied. If several did, it is not known which: from then on each peer of that
//! length fills an attempt of its own, which shows the liars. So each lie costs its author the connection,
//! and an honest peer gets its turn among any number of liars.
//!
//! Never does: believe anything that was not hashed. Invariants: memory grows only with bytes that have
//! arrived, and is at most `MAX_METADATA` (or less, if [set](Metadata::at_most)) and `MAX_SLACK` in all; no peer
//! is asked for more than `MAX_REQUESTS` blocks at once.

mod attempt;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use self::attempt::Attempt;
use crate::budget::MAX_METADATA;
use crate::id::InfoHash;
use crate::job::PeerKey;
use crate::moment::Moment;
use crate::sorted::SortedMap;
use crate::violation::{DisconnectReason, Violation};

/// What may be held besides, of attempts that turn out to be lies.
const MAX_SLACK: usize = 8 << 20;
/// Blocks asked of one peer at once. Others queue 64 or more before they reject.
const MAX_REQUESTS: usize = 32;
/// How long a block may be owed before others are asked for it, too.
const HEDGE_AFTER: Duration = Duration::from_secs(1);
/// How many unproven peers may be asked for the same block, at first.
const MAX_UNPROVEN: usize = 4;
/// How long a peer may owe blocks and deliver none.
const BLOCK_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a peer that rejected is left alone, and how many rejections in a row are enough.
const REJECTION_PAUSE: Duration = Duration::from_secs(4);
const MAX_REJECTIONS: u32 = 32;
/// How long a peer may be connected without having anything to give.
const MAX_IDLE: Duration = Duration::from_secs(90);
/// Attempts of single peers that are filled at once, and how long one may take while others wait.
const MAX_ALONE: usize = 4;
const MAX_TURN: Duration = Duration::from_secs(20);
/// Unrequested blocks that are tolerated.
const MAX_UNREQUESTED: u32 = 64;

/// Which blocks belong together: the length of the dictionary, and a peer if it fills the attempt alone.
type AttemptKey = (u32, Option<PeerKey>);

/// A connected peer.
#[derive(Debug)]
struct Peer {
    since: Moment,
    /// It exchanges metadata.
    speaks: bool,
    /// Length of the dictionary as the peer has it; nothing while it has none.
    size: Option<u32>,
    /// Blocks it was asked for and has not sent, and when.
    asked: SortedMap<u32, Moment>,
    /// When it last delivered.
    heard: Moment,
    /// It has delivered before.
    proven: bool,
    /// How much it may be asked for at once.
    depth: usize,
    /// It is not asked before.
    rests: Moment,
    rejections: u32,
    unasked: u32,
}

/// The dictionary so far, and the peers that have it.
#[derive(Debug)]
pub struct Metadata {
    info_hash: InfoHash,
    /// The longest dictionary that is fetched, in bytes.
    most: u32,
    peers: SortedMap<PeerKey, Peer>,
    attempts: SortedMap<AttemptKey, Attempt>,
    /// Lengths of which several peers together made something false.
    doubted: BTreeSet<u32>,
    /// Peers that fill an attempt alone, since when, and peers that wait for that.
    alone: Vec<(PeerKey, Moment)>,
    waiting: VecDeque<PeerKey>,
    asks: Vec<(PeerKey, u32)>,
    disconnects: Vec<(PeerKey, DisconnectReason)>,
    verified: Option<Vec<u8>>,
}

impl Metadata {
    /// Nothing is known yet.
    pub fn new(info_hash: InfoHash) -> Self {
        Metadata {
            info_hash,
            most: MAX_METADATA,
            peers: SortedMap::new(),
            attempts: SortedMap::new(),
            doubted: BTreeSet::new(),
            alone: Vec::new(),
            waiting: VecDeque::new(),
            asks: Vec::new(),
            disconnects: Vec::new(),
            verified: None,
        }
    }

    /// No dictionary longer than `most` bytes is fetched, nor one longer than [`MAX_METADATA`].
    #[must_use]
    pub fn at_most(self, most: u32) -> Self {
        Metadata { most: most.min(MAX_METADATA), ..self }
    }

    /// A peer has connected.
    pub fn join(&mut self, key: PeerKey, now: Moment) {
        let peer = Peer {
            since: now,
            speaks: false,
            size: None,
            asked: SortedMap::new(),
            heard: now,
            proven: false,
            depth: MAX_REQUESTS,
            rests: now,
            rejections: 0,
            unasked: 0,
        };
        self.peers.insert(key, peer);
    }

    /// Whether the peer is delivering blocks of the dictionary.
    pub fn is_giving(&self, key: PeerKey) -> bool {
        self.peers.get(&key).is_some_and(|peer| peer.proven && !peer.asked.is_empty())
    }

    /// A peer's handshake says whether it exchanges metadata at all, and of which length its
    /// dictionary is where it has one. A later handshake may add to that, or leave it as it is.
    pub fn claim(&mut self, key: PeerKey, speaks: Option<bool>, size: Option<u64>, now: Moment) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.speaks = speaks.unwrap_or(peer.speaks);
        if !peer.speaks {
            return self.dismiss(key, DisconnectReason::NoMetadata);
        }
        let Some(size) = size else { return };
        match u32::try_from(size).ok().filter(|&size| (1..=self.most).contains(&size)) {
            None => self.dismiss(key, DisconnectReason::NoMetadata),
            Some(size) if peer.size.is_some_and(|before| before != size) => {
                self.dismiss(key, DisconnectReason::Violation(Violation::FalseMetadata));
            }
            Some(size) => {
                peer.size = Some(size);
                if self.doubted.contains(&size) && !self.is_solo(key) {
                    self.waiting.push_back(key);
                }
                self.on_time(now);
            }
        }
    }

    /// A peer has gone; what it owed is asked of others.
    pub fn leave(&mut self, key: PeerKey, now: Moment) {
        self.forget(key);
        self.on_time(now);
    }

    /// A block came.
    pub fn on_data(&mut self, key: PeerKey, block: u32, bytes: &[u8], now: Moment) {
        self.take_in(key, block, bytes, now);
        self.on_time(now);
    }

    fn take_in(&mut self, key: PeerKey, block: u32, bytes: &[u8], now: Moment) {
        let at = self.attempt_of(key);
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if peer.asked.remove(&block).is_none() {
            peer.unasked += 1;
            if peer.unasked > MAX_UNREQUESTED {
                self.dismiss(key, DisconnectReason::Violation(Violation::UnrequestedBlock));
            }
            return;
        }
        (peer.heard, peer.proven, peer.rejections) = (now, true, 0);
        let Some(attempt) = at.and_then(|at| self.attempts.get_mut(&at)) else { return };
        if !attempt.receive(block, key, bytes) {
            return self.dismiss(key, DisconnectReason::Violation(Violation::FalseMetadata));
        }
        match at {
            Some(at) if attempt.is_complete() => self.judge(at),
            _ => self.keep_within_bounds(),
        }
    }

    /// A peer will not send a block it was asked for: it has too much to do, or never had any.
    pub fn on_reject(&mut self, key: PeerKey, block: u32, now: Moment) {
        let at = self.attempt_of(key);
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if peer.asked.remove(&block).is_none() {
            return;
        }
        peer.rejections += 1;
        peer.depth = (peer.depth / 2).max(1);
        peer.rests = now + REJECTION_PAUSE;
        let enough = peer.rejections >= MAX_REJECTIONS;
        if let Some(attempt) = at.and_then(|at| self.attempts.get_mut(&at)) {
            attempt.unask(block, key);
        }
        if enough {
            self.dismiss(key, DisconnectReason::NoMetadata);
        }
        self.on_time(now);
    }

    /// Time has passed: peers that were silent for too long go, and every other is asked for what it may be.
    pub fn on_time(&mut self, now: Moment) {
        if self.verified.is_some() {
            return;
        }
        let silent = |peer: &Peer| match peer.asked.values().min() {
            Some(&oldest) => now - oldest.max(peer.heard) >= BLOCK_TIMEOUT,
            None => peer.size.is_none() && now - peer.since >= MAX_IDLE,
        };
        let gone: Vec<_> = self.peers.iter().filter(|(_, peer)| silent(peer)).map(|(&key, _)| key).collect();
        for key in gone {
            let empty = self.peers.get(&key).is_some_and(|peer| peer.size.is_none());
            self.dismiss(key, if empty { DisconnectReason::NoMetadata } else { DisconnectReason::Silent });
        }
        self.take_turns(now);
        self.ask(now);
    }

    /// When to call [`on_time`](Self::on_time), should nothing else happen.
    pub fn deadline(&self, now: Moment) -> Option<Moment> {
        let of = |peer: &Peer| {
            let owed = peer.asked.values().min().map(|&oldest| oldest.max(peer.heard) + BLOCK_TIMEOUT);
            let hedge = peer.asked.values().map(|&asked| asked + HEDGE_AFTER).filter(|&due| due > now).min();
            let rest = (peer.size.is_some() && peer.rests > now).then_some(peer.rests);
            let idle = peer.size.is_none().then(|| peer.since + MAX_IDLE);
            [owed, hedge, rest, idle].into_iter().flatten().min()
        };
        let turn = self.alone.iter().map(|(_, since)| *since + MAX_TURN).min();
        let turn = turn.filter(|_| !self.waiting.is_empty());
        self.peers.values().filter_map(of).chain(turn).min()
    }

    /// Takes the requests to send: to which peer, for which block.
    pub fn asks(&mut self) -> Vec<(PeerKey, u32)> {
        std::mem::take(&mut self.asks)
    }

    /// Takes the peers to disconnect, and why. They are forgotten already.
    pub fn disconnects(&mut self) -> Vec<(PeerKey, DisconnectReason)> {
        std::mem::take(&mut self.disconnects)
    }

    /// Takes the dictionary, once it is there and has the hash it should.
    pub fn verified(&mut self) -> Option<Vec<u8>> {
        self.verified.take()
    }

    /// How many bytes are there and how long it is, as far as is known: of the attempt that is
    /// furthest.
    pub fn progress(&self) -> (u32, u32) {
        let known = self.attempts.values().map(|attempt| (attempt.held(), attempt.size()));
        known.max().unwrap_or_default()
    }

    /// Which attempt a peer's blocks belong to.
    fn attempt_of(&self, key: PeerKey) -> Option<AttemptKey> {
        let size = self.peers.get(&key)?.size?;
        Some((size, self.doubted.contains(&size).then_some(key)))
    }

    fn is_solo(&self, key: PeerKey) -> bool {
        self.alone.iter().any(|(solo, _)| *solo == key) || self.waiting.contains(&key)
    }

    fn dismiss(&mut self, key: PeerKey, why: DisconnectReason) {
        self.forget(key);
        self.disconnects.push((key, why));
    }

    fn forget(&mut self, key: PeerKey) {
        let at = self.attempt_of(key);
        let Some(peer) = self.peers.remove(&key) else { return };
        if let Some(attempt) = at.and_then(|at| self.attempts.get_mut(&at)) {
            peer.asked.keys().for_each(|&block| attempt.unask(block, key));
        }
        self.asks.retain(|(of, _)| *of != key);
        self.waiting.retain(|solo| *solo != key);
        self.alone.retain(|(solo, _)| *solo != key);
        if let Some((size, Some(_))) = at {
            self.attempts.remove(&(size, Some(key)));
        }
    }

    /// A dictionary is complete: it is right, or a peer lied.
    fn judge(&mut self, at: AttemptKey) {
        let Some(attempt) = self.attempts.remove(&at) else { return };
        let givers = attempt.givers();
        match (attempt.verify(self.info_hash.as_bytes()), &givers[..]) {
            (Ok(bytes), _) => {
                self.verified = Some(bytes);
                self.attempts.clear();
                self.asks.clear();
            }
            (Err(_), &[liar]) => {
                self.dismiss(liar, DisconnectReason::Violation(Violation::FalseMetadata));
                if at.1.is_none() {
                    let mut fresh = Attempt::new(at.0);
                    self.of_size(at.0).for_each(|(key, peer)| fresh.adopt(key, &peer.asked));
                    self.attempts.insert(at, fresh);
                }
            }
            (Err(mut attempt), _) => {
                self.doubted.insert(at.0);
                let mut solos: Vec<PeerKey> = self.of_size(at.0).map(|(key, _)| key).collect();
                // Its contributors first: one of them is a liar.
                solos.sort_by_key(|key| !givers.contains(key));
                for key in solos {
                    let mut own = attempt.of_giver(key);
                    self.peers.get(&key).into_iter().for_each(|peer| own.adopt(key, &peer.asked));
                    self.attempts.insert((at.0, Some(key)), own);
                    self.waiting.push_back(key);
                }
            }
        }
    }

    /// The peers whose dictionary has this length.
    fn of_size(&self, size: u32) -> impl Iterator<Item = (PeerKey, &Peer)> {
        self.peers.iter().filter(move |(_, peer)| peer.size == Some(size)).map(|(&key, peer)| (key, peer))
    }

    /// Lets as many peers fill an attempt alone as there is room for, in the order they came; a slow one
    /// makes way while others wait.
    fn take_turns(&mut self, now: Moment) {
        if !self.waiting.is_empty() {
            let over: Vec<_> = self
                .alone
                .iter()
                .filter(|(_, since)| now - *since >= MAX_TURN)
                .map(|(key, _)| *key)
                .collect();
            for key in over {
                self.alone.retain(|(solo, _)| *solo != key);
                self.waiting.push_back(key);
            }
        }
        let size = |key: &PeerKey| self.peers.get(key).and_then(|peer| peer.size).unwrap_or(0);
        let mut planned: u64 = self.alone.iter().map(|(key, _)| u64::from(size(key))).sum();
        while let Some(next) = self.waiting.front().filter(|_| self.alone.len() < MAX_ALONE) {
            planned += u64::from(size(next));
            if planned > u64::from(self.most) && !self.alone.is_empty() {
                return;
            }
            if let Some(next) = self.waiting.pop_front() {
                self.alone.push((next, now));
            }
        }
    }

    /// Asks every peer for as much as it may be asked for.
    fn ask(&mut self, now: Moment) {
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in keys {
            let Some(at) = self.attempt_of(key) else { continue };
            if at.1.is_some() && !self.alone.iter().any(|(solo, _)| *solo == key) {
                continue;
            }
            let attempt = self.attempts.get_or_insert_with(at, || Attempt::new(at.0));
            let ready = |peer: &&Peer| peer.asked.len() < peer.depth && peer.rests <= now;
            while self.peers.get(&key).filter(ready).is_some() {
                let peers = &self.peers;
                // A peer that was asked long ago is no longer counted on; the more there are of those, the
                // more are tried. Of the others none must be known to deliver.
                let may_share = |askers: &[(PeerKey, Moment)]| {
                    let fresh = || askers.iter().filter(|(_, asked)| now - *asked < HEDGE_AFTER);
                    let proven =
                        |(key, _): &(PeerKey, Moment)| peers.get(key).is_some_and(|peer| peer.proven);
                    let overdue = askers.len() - fresh().count();
                    fresh().count() < MAX_UNPROVEN + overdue && !fresh().any(proven)
                };
                let Some(block) = attempt.next(key, now, may_share) else { break };
                if let Some(peer) = self.peers.get_mut(&key) {
                    peer.asked.insert(block, now);
                }
                self.asks.push((key, block));
            }
        }
    }

    /// Drops attempts while more is held than may be: those that the fewest believe in.
    fn keep_within_bounds(&mut self) {
        let held = |attempts: &SortedMap<AttemptKey, Attempt>| -> usize {
            attempts.values().map(|attempt| attempt.held() as usize).sum()
        };
        while held(&self.attempts) > self.most as usize + MAX_SLACK.min(self.most as usize) {
            let believers = |&(size, solo): &AttemptKey| match solo {
                Some(_) => 1,
                None => self.of_size(size).count(),
            };
            let weakest =
                self.attempts.keys().copied().min_by_key(|at| (believers(at), std::cmp::Reverse(at.0)));
            let Some(at) = weakest else { return };
            self.attempts.remove(&at);
            let is_theirs = |key: &PeerKey| at.1.is_none_or(|solo| solo == *key);
            let theirs: Vec<PeerKey> = self.of_size(at.0).map(|(key, _)| key).filter(is_theirs).collect();
            theirs.into_iter().for_each(|key| self.dismiss(key, DisconnectReason::Crowded));
        }
    }
}

#[cfg(test)]
mod tests;
