//! The piece picker under any sequence of events, as workers and the disk may tell them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bitwren::internals::bitfield::Bitfield;
use bitwren::internals::job::{LeaseId, OpenPiece, PeerKey, PieceJob, Verdict};
use bitwren::internals::pieces::{BLOCK, Pieces};
use bitwren::internals::random::Random;
use bitwren::internals::swarm::picker::Picker;

use super::Script;

const PIECES: u32 = 10;
const PEERS: u32 = 5;

/// What a peer is, as the picker was told.
#[derive(Default)]
struct Peer {
    has: BTreeSet<u32>,
    choking: bool,
    allowed: BTreeSet<u32>,
    demand: u32,
    /// Told to be a culprit: it must get nothing more.
    barred: bool,
}

struct Scenario {
    picker: Picker,
    pieces: Pieces,
    wanted: BTreeSet<u32>,
    peers: BTreeMap<PeerKey, Peer>,
    leases: BTreeMap<LeaseId, (PeerKey, PieceJob)>,
    /// Pieces of which there is a job, or blocks.
    open: BTreeMap<u32, Arc<OpenPiece>>,
    /// Who delivered blocks of a piece that is open.
    contributors: BTreeMap<u32, Vec<PeerKey>>,
    newest: Option<LeaseId>,
}

pub fn picker(data: &[u8]) {
    let mut script = Script::new(data);
    let blocks = 1 + script.below(4);
    let length = u64::from(blocks * BLOCK);
    let pieces = Pieces::new(u64::from(PIECES) * length - 5, length).expect("sizes that can be");
    let (have, sequential, seed) = (set(script.word()), script.bit(), u64::from(script.byte()));
    let wanted = (0..PIECES).collect();
    let picker = Picker::new(pieces, bits(&have), Bitfield::full(PIECES), sequential, Random::seeded(seed));
    let (peers, leases, open) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let contributors = BTreeMap::new();
    let mut world = Scenario { picker, pieces, wanted, peers, leases, open, contributors, newest: None };
    while !script.is_over() {
        world.step(&mut script);
        world.check();
    }
    world.finish();
}

fn set(mask: u32) -> BTreeSet<u32> {
    (0..PIECES).filter(|piece| mask >> piece & 1 == 1).collect()
}

fn bits(set: &BTreeSet<u32>) -> Bitfield {
    let mut bits = Bitfield::empty(PIECES);
    set.iter().for_each(|&piece| assert!(bits.insert(piece)));
    bits
}

impl Scenario {
    fn step(&mut self, script: &mut Script<'_>) {
        let key = PeerKey(script.below(PEERS));
        let piece = script.below(PIECES + 1);
        match script.below(17) {
            0 => {
                self.picker.join(key);
                self.peers.entry(key).or_insert_with(|| Peer { choking: true, ..Peer::default() });
            }
            1 => {
                self.picker.leave(key);
                self.peers.remove(&key);
                self.leases.retain(|_, (holder, _)| *holder != key);
            }
            2 => {
                let has = if script.bit() { set(script.word()) } else { (0..PIECES).collect() };
                self.picker.has(key, bits(&has));
                self.peers.entry(key).and_modify(|peer| peer.has = has);
                self.give_back(key, |peer, piece| !peer.has.contains(&piece));
            }
            3 => {
                self.picker.gains(key, piece);
                if let Some(peer) = self.peers.get_mut(&key).filter(|_| piece < PIECES) {
                    peer.has.insert(piece);
                }
            }
            4 => {
                self.picker.loses(key, piece);
                self.peers.entry(key).and_modify(|peer| _ = peer.has.remove(&piece));
                self.give_back(key, |peer, piece| !peer.has.contains(&piece));
            }
            5 | 6 => {
                let choking = script.below(4) == 0;
                self.picker.choking(key, choking);
                self.peers.entry(key).and_modify(|peer| peer.choking = choking);
                self.give_back(key, |peer, piece| peer.choking && !peer.allowed.contains(&piece));
            }
            7 => {
                self.picker.allowed_fast(key, piece);
                self.peers.entry(key).and_modify(|peer| _ = peer.allowed.insert(piece));
            }
            8 => self.picker.suggested(key, piece),
            9 => self.picker.snubbed(key, script.bit()),
            10 => self.picker.rate(key, u64::from(script.word() >> (script.byte() % 32))),
            11 | 12 => {
                let blocks = script.below(9);
                self.picker.wants_blocks(key, blocks);
                self.peers.entry(key).and_modify(|peer| peer.demand = blocks);
                self.assign();
            }
            13 => self.deliver(key, script.below(8)),
            14 => self.judge(piece, script.below(4) != 0),
            15 => match script.below(3) {
                0 => {
                    self.wanted = set(script.word());
                    self.picker.set_wanted(bits(&self.wanted));
                }
                1 => {
                    self.picker.lost_blocks(piece);
                    self.close(piece);
                }
                _ => self.give_back(key, |_, _| true),
            },
            _ => self.assign(),
        }
    }

    /// A worker returns its leases on these pieces.
    fn give_back(&mut self, key: PeerKey, which: impl Fn(&Peer, u32) -> bool) {
        let Some(peer) = self.peers.get(&key) else { return };
        let returned: Vec<LeaseId> = self
            .leases
            .iter()
            .filter(|(_, (holder, job))| *holder == key && which(peer, job.claim.piece().index()))
            .map(|(&lease, _)| lease)
            .collect();
        for lease in returned {
            self.leases.remove(&lease);
            self.picker.returned(key, lease);
            // More than once does no harm, nor does the word of one who does not hold it.
            self.picker.returned(key, lease);
            self.picker.returned(PeerKey(99), lease);
        }
    }

    fn assign(&mut self) {
        let mut fed = BTreeSet::new();
        for (key, job) in self.picker.assign() {
            fed.insert(key);
            let peer = self.peers.get_mut(&key).expect("a job for somebody who is there");
            let (piece, range) = (job.claim.piece().index(), job.claim.range());
            assert!(peer.demand > 0 && !peer.barred, "a job for one who shall have none");
            assert!(peer.has.contains(&piece), "a job for what the peer lacks");
            assert!(!peer.choking || peer.allowed.contains(&piece), "a job for one who chokes us");
            assert!(self.wanted.contains(&piece) && !self.picker.have().has(piece), "nobody wants that");
            assert!(range.start < range.end && range.end <= self.pieces.blocks(piece));
            assert!(range.clone().any(|block| !job.claim.piece().has(block)), "there is nothing to do");
            assert!(self.newest < Some(job.lease), "a lease is given twice");
            self.newest = Some(job.lease);
            self.open.insert(piece, job.claim.piece().clone());
            self.leases.insert(job.lease, (key, job));
        }
        for key in fed {
            self.peers.entry(key).and_modify(|peer| peer.demand = 0);
        }
    }

    /// A peer delivers up to so many blocks of its oldest lease.
    fn deliver(&mut self, key: PeerKey, blocks: u32) {
        let Some((_, job)) = self.leases.values().find(|(holder, _)| *holder == key) else { return };
        for _ in 0..blocks {
            let Some(block) = job.claim.take() else { return };
            if job.claim.piece().receive(block) {
                let contributors = self.contributors.entry(job.claim.piece().index()).or_default();
                if !contributors.contains(&key) {
                    contributors.push(key);
                }
            }
        }
    }

    /// A piece that is whole is hashed.
    fn judge(&mut self, piece: u32, good: bool) {
        if self.open.get(&piece).is_none_or(|open| open.missing() > 0) {
            return;
        }
        let contributors = self.contributors.remove(&piece).unwrap_or_default();
        let verdict = Verdict { piece, good, contributors: contributors.clone() };
        let blame = self.picker.verdict(&verdict);
        assert!(!good || blame.culprits.is_empty() && blame.suspects.is_empty());
        assert!(
            blame.culprits.iter().all(|peer| contributors.contains(peer) && !blame.suspects.contains(peer))
        );
        for culprit in blame.culprits {
            self.peers.entry(culprit).and_modify(|peer| peer.barred = true);
        }
        self.close(piece);
        assert_eq!(self.picker.have().has(piece), good);
    }

    fn close(&mut self, piece: u32) {
        self.open.remove(&piece);
        self.contributors.remove(&piece);
        self.leases.retain(|_, (_, job)| job.claim.piece().index() != piece);
    }

    fn check(&self) {
        let mut holders: BTreeMap<(u32, u32), Vec<PeerKey>> = BTreeMap::new();
        for (key, job) in self.leases.values() {
            let piece = job.claim.piece();
            for block in job.claim.range().filter(|&block| !piece.has(block)) {
                holders.entry((piece.index(), block)).or_default().push(*key);
            }
        }
        for (block, holders) in holders {
            assert!(holders.len() <= 2 && holders.first() != holders.get(1), "{block:?} is with {holders:?}");
        }
        let missing = self.wanted.iter().filter(|&&piece| !self.picker.have().has(piece));
        assert_eq!(self.picker.is_finished(), missing.clone().count() == 0);
        for (&key, peer) in &self.peers {
            assert_eq!(self.picker.held_by(key) as usize, peer.has.len());
            assert_eq!(self.picker.interesting(key), missing.clone().any(|piece| peer.has.contains(piece)));
            assert_eq!(self.picker.is_seed(key), peer.has.len() as u32 == PIECES);
        }
    }

    /// Whatever came before, one peer that has everything brings the torrent to its end.
    fn finish(&mut self) {
        for key in (0..PEERS).map(PeerKey) {
            self.picker.leave(key);
        }
        (self.peers, self.leases) = (BTreeMap::new(), BTreeMap::new());
        let seed = PeerKey(77);
        self.picker.join(seed);
        self.picker.has(seed, Bitfield::full(PIECES));
        self.picker.choking(seed, false);
        let has = (0..PIECES).collect();
        self.peers.insert(seed, Peer { has, ..Peer::default() });
        for _ in 0..100 {
            self.picker.wants_blocks(seed, 8);
            self.peers.entry(seed).and_modify(|peer| peer.demand = 8);
            self.assign();
            for (_, job) in self.leases.values() {
                while let Some(block) = job.claim.take() {
                    job.claim.piece().receive(block);
                }
            }
            (0..PIECES).for_each(|piece| self.judge(piece, true));
            self.check();
            if self.picker.is_finished() {
                return;
            }
        }
        panic!("the last pieces are never asked for");
    }
}
