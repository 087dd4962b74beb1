//! Whole downloads in virtual time: the picker among simulated peers that are quick, slow, choking,
//! rejecting, stalling, lying, coming and going. After every answer of the picker its promises are
//! checked; a failure names its seed.

use std::collections::{BTreeMap, VecDeque};

use bitwren::internals::bitfield::Bitfield;
use bitwren::internals::job::{LeaseId, PeerKey, PieceJob, Verdict};
use bitwren::internals::pieces::{BLOCK, Pieces};
use bitwren::internals::random::Random;
use bitwren::internals::swarm::picker::Picker;

/// Virtual milliseconds in a step.
const STEP: u64 = 10;

/// A simulated peer with the worker that talks to it.
struct Peer {
    has: Bitfield,
    /// Blocks a second.
    speed: f64,
    /// One block in so many is corrupt; 0 for an honest one.
    lies: u64,
    choking: bool,
    allowed: Vec<u32>,
    stalled: bool,
    snubbed: bool,
    /// Steps since a block came although some are owed.
    silence: u64,
    credit: f64,
    jobs: VecDeque<PieceJob>,
    owed: VecDeque<(PieceJob, u32)>,
    told_demand: bool,
    delivered: u64,
}

impl Peer {
    fn depth(&self) -> usize {
        (self.speed / 4.0) as usize + 2
    }
}

struct SimulatedDownload {
    picker: Picker,
    pieces: Pieces,
    random: Random,
    peers: BTreeMap<PeerKey, Peer>,
    next_key: u32,
    /// In which turn each lease was given.
    leases: BTreeMap<LeaseId, u32>,
    turns: u32,
    /// Who delivered blocks of each piece, in order, and whether one was corrupt.
    stored: BTreeMap<u32, (Vec<PeerKey>, bool)>,
    now: u64,
    received: u64,
    wasted: u64,
    culprits: Vec<PeerKey>,
}

impl SimulatedDownload {
    fn new(count: u32, blocks: u32, seed: u64) -> Self {
        let length = u64::from(blocks * BLOCK);
        // The last piece is short.
        let total = u64::from(count) * length - u64::from(blocks / 2 * BLOCK) - 5;
        let pieces = Pieces::new(total, length).unwrap();
        let (have, wanted) = (Bitfield::empty(count), Bitfield::full(count));
        SimulatedDownload {
            picker: Picker::new(pieces, have, wanted, seed % 5 == 4, Random::seeded(seed)),
            pieces,
            random: Random::seeded(!seed),
            peers: BTreeMap::new(),
            next_key: 0,
            leases: BTreeMap::new(),
            turns: 0,
            stored: BTreeMap::new(),
            now: 0,
            received: 0,
            wasted: 0,
            culprits: Vec::new(),
        }
    }

    /// A peer joins that delivers so many blocks a second, and has pieces with a chance in percent.
    fn join(&mut self, speed: f64, percent: u64) -> PeerKey {
        let key = PeerKey(self.next_key);
        self.next_key += 1;
        let mut has = Bitfield::empty(self.pieces.count());
        for piece in 0..self.pieces.count() {
            if self.random.below(100) < percent {
                has.insert(piece);
            }
        }
        self.picker.join(key);
        self.picker.has(key, has.clone());
        self.picker.choking(key, false);
        let peer = Peer {
            has,
            speed,
            lies: 0,
            choking: false,
            allowed: Vec::new(),
            stalled: false,
            snubbed: false,
            silence: 0,
            credit: 0.0,
            jobs: VecDeque::new(),
            owed: VecDeque::new(),
            told_demand: false,
            delivered: 0,
        };
        self.peers.insert(key, peer);
        key
    }

    fn leave(&mut self, key: PeerKey) {
        self.peers.remove(&key);
        self.picker.leave(key);
    }

    /// The worker gives one lease back, or all.
    fn gives_back(&mut self, key: PeerKey, all: bool) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        while let Some(job) = peer.jobs.pop_front() {
            peer.owed.retain(|(owed, _)| owed.lease != job.lease);
            self.picker.returned(key, job.lease);
            if !all {
                break;
            }
        }
        peer.told_demand = false;
    }

    fn chokes(&mut self, key: PeerKey, choking: bool) {
        let piece = self.random.below(u64::from(self.pieces.count())) as u32;
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if peer.choking == choking {
            return;
        }
        peer.choking = choking;
        self.picker.choking(key, choking);
        if choking {
            peer.allowed.push(piece);
            self.gives_back(key, true);
            self.picker.allowed_fast(key, piece);
        }
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.told_demand = false;
        }
    }

    /// Time goes on: blocks come, pipelines are filled, demand is told and answered.
    fn step(&mut self) {
        self.now += STEP;
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        for &key in &keys {
            self.deliver(key);
            self.request(key);
        }
        if self.now % 1000 == 0 {
            for (&key, peer) in &mut self.peers {
                if peer.delivered == 0 {
                    self.picker.quiet(key);
                }
                self.picker.rate(key, std::mem::take(&mut peer.delivered));
            }
            self.picker.turn();
            self.turns += 1;
        }
        self.assign();
        keys.into_iter().for_each(|key| self.request(key));
    }

    fn deliver(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let mut judged = Vec::new();
        if peer.stalled && !peer.owed.is_empty() {
            peer.silence += STEP;
            if peer.silence >= 3000 && !peer.snubbed {
                peer.snubbed = true;
                self.picker.snubbed(key, true);
            }
        } else if !peer.stalled {
            peer.credit = (peer.credit + peer.speed * STEP as f64 / 1000.0).min(peer.speed.max(1.0));
            while peer.credit >= 1.0 {
                let Some((job, block)) = peer.owed.pop_front() else { break };
                peer.credit -= 1.0;
                peer.silence = 0;
                peer.delivered += u64::from(BLOCK);
                if std::mem::take(&mut peer.snubbed) {
                    self.picker.snubbed(key, false);
                }
                self.received += 1;
                let piece = job.claim.piece();
                if !piece.receive(block) {
                    self.wasted += 1;
                    continue;
                }
                let (contributors, bad) = self.stored.entry(piece.index()).or_default();
                if !contributors.contains(&key) {
                    contributors.push(key);
                }
                *bad |= peer.lies > 0 && self.random.below(peer.lies) == 0;
                if piece.missing() == 0 {
                    judged.push(piece.index());
                }
            }
        }
        for piece in judged {
            self.judge(piece);
        }
    }

    fn judge(&mut self, piece: u32) {
        let (contributors, bad) = self.stored.remove(&piece).unwrap();
        let several = contributors.len() > 1;
        let blame = self.picker.verdict(&Verdict { piece, good: !bad, contributors });
        assert!(bad || blame == Default::default());
        assert!(!several || !bad || !blame.suspects.is_empty() || !blame.culprits.is_empty());
        assert_eq!(self.picker.have().has(piece), !bad);
        for peer in self.peers.values_mut() {
            peer.jobs.retain(|job| job.claim.piece().index() != piece);
            // Requests for blocks that have come are cancelled.
            peer.owed.retain(|(job, _)| job.claim.piece().index() != piece);
            peer.told_demand = false;
        }
        for culprit in blame.culprits {
            self.culprits.push(culprit);
            self.leave(culprit);
        }
    }

    fn request(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        // Requests for blocks that came from another are cancelled.
        peer.owed.retain(|(job, block)| !job.claim.piece().has(*block));
        let depth = peer.depth();
        for job in &peer.jobs {
            while peer.owed.len() < depth {
                let Some(block) = job.claim.take() else { break };
                peer.owed.push_back((job.clone(), block));
            }
        }
        let ahead: usize = peer.jobs.iter().map(|job| job.claim.unrequested() as usize).sum();
        if peer.owed.len() + ahead < depth && !peer.told_demand {
            peer.told_demand = true;
            self.picker.wants_blocks(key, (depth - peer.owed.len() - ahead) as u32);
        }
    }

    fn assign(&mut self) {
        let fed = self.picker.assign();
        // Only a new lease can put a block with one too many: what arrives, is cut or returned only frees.
        let any = !fed.is_empty();
        for (key, job) in fed {
            let peer = self.peers.get_mut(&key).expect("a job for someone who left");
            let piece = job.claim.piece().index();
            assert!(self.leases.insert(job.lease, self.turns).is_none(), "a lease given twice");
            assert!(peer.has.has(piece) && !self.picker.have().has(piece));
            assert!(!peer.choking || peer.allowed.contains(&piece), "it chokes");
            assert!(!peer.snubbed || job.claim.range().len() == 1, "it is snubbed");
            assert!(!job.claim.range().is_empty());
            peer.jobs.push_back(job);
            peer.told_demand = false;
        }
        if any {
            self.check();
        }
    }

    /// No missing block is with more than two peers except where the others had time enough, nor twice with
    /// one; all claims of a piece are on the same open piece.
    fn check(&self) {
        let mut held: BTreeMap<(u32, u32), Vec<(LeaseId, PeerKey)>> = BTreeMap::new();
        let mut open = BTreeMap::new();
        for (&key, peer) in &self.peers {
            for job in &peer.jobs {
                let piece = job.claim.piece();
                let same = open.entry(piece.index()).or_insert_with(|| piece.clone());
                assert!(std::sync::Arc::ptr_eq(same, piece));
                for block in job.claim.range().filter(|&block| !piece.has(block)) {
                    held.entry((piece.index(), block)).or_default().push((job.lease, key));
                }
            }
        }
        for (block, mut holders) in held {
            let mut keys: Vec<PeerKey> = holders.iter().map(|(_, key)| *key).collect();
            keys.sort_unstable();
            assert!(keys.windows(2).all(|two| two[0] != two[1]), "{block:?} is twice with one of {keys:?}");
            holders.sort_unstable();
            // Beyond two only once those there are had a whole second.
            let turns: Vec<u32> = holders.iter().map(|(lease, _)| self.leases[lease]).collect();
            let late = turns.windows(2).skip(1).all(|two| two[1] >= two[0] + 2);
            assert!(late, "{block:?} is with {holders:?}, given in turns {turns:?}");
        }
    }

    /// Runs to the end and tells how many virtual seconds it took.
    fn finish(&mut self, within: u64) -> f64 {
        while !self.picker.is_finished() {
            assert!(
                self.now < within * 1000,
                "{} of {} pieces",
                self.picker.have().count(),
                self.pieces.count()
            );
            self.step();
        }
        self.now as f64 / 1000.0
    }
}

/// Anything can happen, and every block arrives all the same.
#[test]
fn every_download_completes_whatever_the_peers_do() {
    for seed in 0..40 {
        let result = std::panic::catch_unwind(|| {
            let mut script = Random::seeded(seed);
            let (count, blocks) = [(40, 1), (30, 4), (25, 16), (4, 128), (1, 300)][seed as usize % 5];
            let mut world = SimulatedDownload::new(count, blocks, seed);
            // One stays to the end; it may choke, stall and reject as the others do.
            let faithful = world.join(10.0 + script.below(60) as f64, 100);
            for _ in 0..script.below(12) {
                world.join(0.2 + script.below(100) as f64, 20 + script.below(100));
            }
            while !world.picker.is_finished() {
                assert!(world.now < 3_000_000, "stuck at {}", world.picker.have().count());
                let any = |script: &mut Random, world: &SimulatedDownload| {
                    let at = script.below(world.peers.len() as u64) as usize;
                    *world.peers.keys().nth(at).unwrap()
                };
                let someone = any(&mut script, &world);
                match script.below(400) {
                    0 if someone != faithful => world.leave(someone),
                    1 if world.peers.len() < 30 => {
                        let key = world.join(0.2 + script.below(100) as f64, script.below(120));
                        world.peers.get_mut(&key).unwrap().lies = [0, 0, 0, 7][script.below(4) as usize];
                    }
                    2..=3 => world.chokes(someone, true),
                    4..=8 => world.chokes(someone, false),
                    9 => world.gives_back(someone, false),
                    10 => world.peers.get_mut(&someone).unwrap().stalled = true,
                    11..=14 => world.peers.get_mut(&someone).unwrap().stalled = false,
                    15..=20 => {
                        let piece = script.below(u64::from(count)) as u32;
                        world.peers.get_mut(&someone).unwrap().has.insert(piece);
                        world.picker.gains(someone, piece);
                    }
                    21 => {
                        let piece = script.below(u64::from(count)) as u32;
                        if world
                            .peers
                            .values()
                            .any(|peer| peer.jobs.iter().any(|job| job.claim.piece().index() == piece))
                        {
                            world.picker.lost_blocks(piece);
                            world.stored.remove(&piece);
                            for peer in world.peers.values_mut() {
                                peer.jobs.retain(|job| job.claim.piece().index() != piece);
                                peer.owed.retain(|(job, _)| job.claim.piece().index() != piece);
                                peer.told_demand = false;
                            }
                        }
                    }
                    _ => {}
                }
                world.assign();
                world.step();
            }
            assert!(!world.culprits.contains(&faithful), "the honest are not banned");
        });
        assert!(result.is_ok(), "seed {seed}");
    }
}

/// Four pieces of 16 MiB from eight peers of 4 MB/s: two seconds at best.
#[test]
fn a_few_huge_pieces_use_every_peer() {
    let mut world = SimulatedDownload::new(4, 1024, 1);
    (0..8).for_each(|_| _ = world.join(250.0, 100));
    let ideal = 3.5 * 1024.0 / (8.0 * 250.0);
    let took = world.finish(10);
    assert!(took < ideal * 1.1, "{took} s, {ideal} at best");
    assert!(world.wasted * 50 < world.received, "{} of {} for nothing", world.wasted, world.received);
}

/// Two quick peers with half of it each, and a slow one with everything.
#[test]
fn a_slow_peer_does_not_hold_up_the_end() {
    let mut world = SimulatedDownload::new(64, 64, 3);
    let halves = [world.join(2500.0, 0), world.join(2500.0, 0)];
    for piece in 0..64 {
        let half = halves[piece as usize / 32];
        world.peers.get_mut(&half).unwrap().has.insert(piece);
        world.picker.gains(half, piece);
    }
    world.join(10.0, 100);
    let ideal = 63.5 * 64.0 / 5010.0;
    let took = world.finish(10);
    assert!(took < ideal * 1.25, "{took} s, {ideal} at best");
    assert!(world.wasted * 50 < world.received, "{} of {} for nothing", world.wasted, world.received);
}

/// A hundred peers of 64 KiB/s and pieces that each would need more than a minute for.
#[test]
fn a_crowd_of_slow_peers_adds_up() {
    let mut world = SimulatedDownload::new(40, 256, 2);
    (0..100).for_each(|_| _ = world.join(4.0, 100));
    let ideal = 39.5 * 256.0 / 400.0;
    let took = world.finish(100);
    assert!(took < ideal * 1.15, "{took} s, {ideal} at best");
    assert!(world.wasted * 50 < world.received, "{} of {} for nothing", world.wasted, world.received);
}

/// One of many dies without a word when nearly everything is there.
#[test]
fn a_dead_peer_does_not_hold_up_the_end() {
    let mut world = SimulatedDownload::new(32, 16, 6);
    let dead = world.join(100.0, 100);
    (0..3).for_each(|_| _ = world.join(100.0, 100));
    while world.picker.have().count() < 26 {
        world.step();
    }
    world.peers.get_mut(&dead).unwrap().stalled = true;
    let left = world.now as f64 / 1000.0;
    let took = world.finish(20) - left;
    assert!(took < 2.0, "{took} s for the last six pieces: nobody waited until it was snubbed");
}

/// One of four corrupts every block: it is found. Or one in forty: it may get away with it where
/// it was in company and lied no more. In either case nobody else is blamed.
#[test]
fn a_liar_is_found_and_no_other_peer() {
    let mut found = 0;
    for seed in 0..20 {
        let mut world = SimulatedDownload::new(60, 16, seed);
        let liar = world.join(300.0, 100);
        (0..3).for_each(|_| _ = world.join(100.0 + 50.0 * (seed % 10) as f64, 100));
        world.peers.get_mut(&liar).unwrap().lies = if seed % 2 == 0 { 1 } else { 40 };
        world.finish(60);
        assert!(seed % 2 != 0 || world.culprits == [liar], "seed {seed}: {:?}", world.culprits);
        assert!(world.culprits.iter().all(|culprit| *culprit == liar), "seed {seed}: {:?}", world.culprits);
        found += world.culprits.len();
    }
    assert!(found > 15, "{found} of 20");
}
