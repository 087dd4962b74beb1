use super::*;
use crate::digest::sha1;
use crate::random::Random;
use crate::wire::ut_metadata::METADATA_BLOCK;

/// How a simulated peer treats us.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Manner {
    /// Answers after a round trip.
    Honest(Duration),
    /// Says nothing.
    Silent,
    /// Delivers this block falsified, the rest rightly.
    Lies(u32),
    /// Claims a length that is greater by this much, and delivers noise of it.
    OtherSize(u32),
    /// Blocks of a wrong length.
    Short,
    /// Rejects everything; or all requests beyond this many at once.
    Rejects,
    RejectsBeyond(usize),
    /// Has nothing yet.
    Empty,
    /// Sends unrequested blocks without end.
    Floods,
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The peers and their packets under way.
struct World {
    dictionary: Vec<u8>,
    metadata: Metadata,
    now: Moment,
    peers: Vec<(Manner, Option<DisconnectReason>)>,
    /// Answers on their way: when, from which peer, to which block.
    wire: Vec<(Moment, usize, u32)>,
    asked: usize,
}

impl World {
    fn new(length: usize) -> World {
        let mut random = Random::seeded(length as u64);
        let dictionary: Vec<u8> = (0..length).map(|_| random.next_u64() as u8).collect();
        let metadata = Metadata::new(InfoHash::from_bytes(sha1(&dictionary)));
        World { dictionary, metadata, now: Moment::START, peers: Vec::new(), wire: Vec::new(), asked: 0 }
    }

    fn add(&mut self, manner: Manner) -> usize {
        let key = PeerKey(self.peers.len() as u32);
        self.peers.push((manner, None));
        self.metadata.join(key, self.now);
        let size = match manner {
            Manner::Empty => None,
            Manner::OtherSize(more) => Some(self.dictionary.len() as u64 + u64::from(more)),
            _ => Some(self.dictionary.len() as u64),
        };
        self.metadata.claim(key, Some(true), size, self.now);
        self.follow_up();
        self.peers.len() - 1
    }

    fn follow_up(&mut self) {
        for (key, why) in self.metadata.disconnects() {
            self.peers[key.0 as usize].1 = Some(why);
        }
        for (key, block) in self.metadata.asks() {
            self.asked += 1;
            let peer = key.0 as usize;
            assert!(self.peers[peer].1.is_none(), "asks one that has gone");
            let rtt = match self.peers[peer].0 {
                Manner::Honest(rtt) => rtt,
                Manner::Silent | Manner::Empty => continue,
                _ => ms(20),
            };
            self.wire.push((self.now + rtt, peer, block));
            assert!(self.wire.iter().filter(|(_, of, _)| *of == peer).count() <= MAX_REQUESTS);
        }
    }

    /// The bytes a peer has for a block.
    fn block(&self, manner: Manner, block: u32) -> Vec<u8> {
        let more = if let Manner::OtherSize(more) = manner { more as usize } else { 0 };
        let whole = self.dictionary.len() + more;
        let begin = (block as usize * METADATA_BLOCK).min(whole);
        let end = (begin + METADATA_BLOCK).min(whole);
        match manner {
            Manner::OtherSize(_) => vec![7; end - begin],
            Manner::Short => self.dictionary[begin..end - 1].to_vec(),
            Manner::Lies(falsified) if falsified == block => vec![0; end - begin],
            _ => self.dictionary[begin..end].to_vec(),
        }
    }

    /// Lets time pass until the dictionary is there or `patience` is over.
    fn run(&mut self, patience: Duration) -> Option<Vec<u8>> {
        let end = self.now + patience;
        loop {
            if let Some(bytes) = self.metadata.verified() {
                assert_eq!(bytes, self.dictionary);
                return Some(bytes);
            }
            let arrival = self.wire.iter().map(|(at, ..)| *at).min();
            let next = [arrival, self.metadata.deadline(self.now)].into_iter().flatten().min()?;
            assert!(next > self.now || arrival == Some(next), "a deadline that has passed already");
            if next > end {
                self.now = end;
                return None;
            }
            self.now = next;
            let due: Vec<_> = self.wire.iter().filter(|(at, ..)| *at <= next).copied().collect();
            self.wire.retain(|(at, ..)| *at > next);
            for (_, peer, block) in due {
                let (manner, gone) = self.peers[peer];
                let key = PeerKey(peer as u32);
                let outstanding = self.wire.iter().filter(|(_, of, _)| *of == peer).count();
                match manner {
                    _ if gone.is_some() => continue,
                    Manner::Rejects => self.metadata.on_reject(key, block, self.now),
                    Manner::RejectsBeyond(most) if outstanding >= most => {
                        self.metadata.on_reject(key, block, self.now);
                    }
                    Manner::Floods => {
                        let bytes = self.block(manner, block);
                        (0..100).for_each(|_| self.metadata.on_data(key, block, &bytes, self.now));
                    }
                    _ => {
                        let bytes = self.block(manner, block);
                        self.metadata.on_data(key, block, &bytes, self.now);
                    }
                }
                self.follow_up();
            }
            self.metadata.on_time(self.now);
            self.follow_up();
            let held: usize = self.metadata.attempts.values().map(|attempt| attempt.held() as usize).sum();
            assert!(held <= MAX_METADATA as usize + MAX_SLACK);
        }
    }

    #[track_caller]
    fn resolves_within(&mut self, patience: Duration) {
        if self.run(patience).is_none() {
            panic!("not there at {:?}; peers {:?}", self.now, self.peers);
        }
    }

    fn elapsed(&self) -> Duration {
        self.now - Moment::START
    }
}

const LIE: Option<DisconnectReason> = Some(DisconnectReason::Violation(Violation::FalseMetadata));

#[test]
fn one_round_trip_after_the_claim_it_is_there() {
    for length in [1, METADATA_BLOCK - 1, METADATA_BLOCK, METADATA_BLOCK + 1, MAX_REQUESTS * METADATA_BLOCK] {
        let mut world = World::new(length);
        world.add(Manner::Honest(ms(80)));
        world.resolves_within(ms(80));
        assert_eq!(world.asked, length.div_ceil(METADATA_BLOCK));
    }
}

#[test]
fn a_silent_first_peer_does_not_hold_up_the_first_good_one() {
    let mut world = World::new(20 * METADATA_BLOCK);
    for _ in 0..MAX_UNPROVEN - 1 {
        world.add(Manner::Silent);
    }
    world.add(Manner::Honest(ms(50)));
    world.resolves_within(ms(50));
    // Nor do as many as one likes, but for the moments it takes to see that they are silent.
    let mut world = World::new(20 * METADATA_BLOCK);
    for _ in 0..40 {
        world.add(Manner::Silent);
    }
    world.add(Manner::Honest(ms(50)));
    world.resolves_within(3 * HEDGE_AFTER + ms(60));
}

#[test]
fn several_share_a_large_one() {
    let blocks = 600;
    let mut world = World::new(blocks * METADATA_BLOCK - 5);
    for _ in 0..4 {
        world.add(Manner::Honest(ms(100)));
    }
    // 128 blocks a round trip.
    world.resolves_within(ms(800));
    assert!(world.asked < blocks + MAX_UNPROVEN * MAX_REQUESTS + 4 * MAX_REQUESTS, "{} asked", world.asked);
}

#[test]
fn who_is_silent_or_empty_for_too_long_goes() {
    let mut world = World::new(1000);
    world.add(Manner::Silent);
    world.add(Manner::Empty);
    assert_eq!(world.run(Duration::from_secs(300)), None);
    assert_eq!(world.peers[0].1, Some(DisconnectReason::Silent));
    assert_eq!(world.peers[1].1, Some(DisconnectReason::NoMetadata));
    assert_eq!(world.metadata.deadline(world.now), None, "no peer is left to wait for");
}

#[test]
fn an_empty_peer_that_has_it_later_is_asked() {
    let mut world = World::new(1000);
    let late = world.add(Manner::Empty);
    assert_eq!(world.run(ms(500)), None);
    world.peers[late].0 = Manner::Honest(ms(10));
    world.metadata.claim(PeerKey(late as u32), Some(true), Some(1000), world.now);
    world.follow_up();
    world.resolves_within(ms(10));
}

#[test]
fn claims_that_cannot_be_are_turned_away() {
    let mut metadata = Metadata::new(InfoHash::from_bytes([0; 20]));
    let now = Moment::START;
    for (key, speaks, size) in [
        (0, false, Some(1)),
        (1, true, Some(0)),
        (2, true, Some(u64::from(MAX_METADATA) + 1)),
        (3, true, Some(u64::MAX)),
    ] {
        metadata.join(PeerKey(key), now);
        metadata.claim(PeerKey(key), Some(speaks), size, now);
        assert_eq!(metadata.disconnects(), [(PeerKey(key), DisconnectReason::NoMetadata)]);
    }
    metadata.join(PeerKey(4), now);
    metadata.claim(PeerKey(4), Some(true), Some(5), now);
    metadata.claim(PeerKey(4), Some(true), None, now);
    metadata.claim(PeerKey(4), Some(true), Some(5), now);
    assert_eq!(metadata.disconnects(), []);
    metadata.claim(PeerKey(4), Some(true), Some(6), now);
    assert_eq!(metadata.disconnects(), [(PeerKey(4), DisconnectReason::Violation(Violation::FalseMetadata))]);
    assert!(metadata.asks().is_empty(), "what was to be asked of it is not");
}

#[test]
fn a_lone_liar_is_found_out_and_the_next_is_believed() {
    let mut world = World::new(3 * METADATA_BLOCK);
    world.add(Manner::Lies(1));
    assert_eq!(world.run(ms(100)), None);
    assert_eq!(world.peers[0].1, LIE);
    world.add(Manner::Honest(ms(20)));
    world.resolves_within(ms(20));
}

#[test]
fn among_honest_peers_the_liar_is_found_and_no_other() {
    for liars in [1, 3, 20] {
        let mut world = World::new(40 * METADATA_BLOCK);
        for liar in 0..liars {
            world.add(Manner::Lies(liar % 40));
        }
        world.add(Manner::Honest(ms(30)));
        world.add(Manner::Honest(ms(300)));
        world.resolves_within(Duration::from_secs(20));
        for (manner, gone) in &world.peers {
            assert!(!matches!(manner, Manner::Honest(_)) || gone.is_none(), "{:?}", world.peers);
            assert!(gone.is_none() || *gone == LIE, "{:?}", world.peers);
        }
    }
}

#[test]
fn liars_that_never_finish_do_not_keep_their_turn() {
    let mut world = World::new(4 * METADATA_BLOCK);
    // They make the length doubted, and then say nothing more.
    world.add(Manner::Lies(0));
    world.add(Manner::Lies(1));
    for _ in 0..6 {
        world.add(Manner::Silent);
    }
    assert_eq!(world.run(ms(200)), None);
    world.add(Manner::Honest(ms(100)));
    world.resolves_within(MAX_TURN * 3);
}

#[test]
fn another_length_neither_mixes_nor_blocks() {
    let mut world = World::new(10 * METADATA_BLOCK);
    for more in [1, METADATA_BLOCK as u32, 1 << 20, MAX_METADATA - 11 * METADATA_BLOCK as u32] {
        world.add(Manner::OtherSize(more));
    }
    world.add(Manner::Honest(ms(60)));
    world.resolves_within(ms(60));
    assert_eq!(world.peers[0].1, LIE);
}

#[test]
fn what_is_held_is_bounded_whatever_is_claimed() {
    // Five that would deliver 120 MiB each, and a late one that has the real dictionary.
    let mut world = World::new(1000);
    for at in 0..5 {
        world.add(Manner::OtherSize((120 << 20) + at));
    }
    assert_eq!(world.run(Duration::from_secs(2)), None);
    let peak = world.metadata.attempts.values().map(|attempt| attempt.held()).sum::<u32>();
    assert!(peak > 1 << 20, "the test fills something: {peak}");
    world.add(Manner::Honest(ms(60)));
    world.resolves_within(ms(60));
}

#[test]
fn rejections_are_survived() {
    let mut world = World::new(100 * METADATA_BLOCK);
    world.add(Manner::RejectsBeyond(5));
    world.resolves_within(Duration::from_secs(200));
    let mut world = World::new(2 * METADATA_BLOCK);
    world.add(Manner::Rejects);
    assert_eq!(world.run(Duration::from_secs(300)), None);
    assert_eq!(world.peers[0].1, Some(DisconnectReason::NoMetadata));
    world.add(Manner::Honest(ms(30)));
    world.resolves_within(ms(30));
}

#[test]
fn what_is_not_right_in_form_is_a_misdeed() {
    let mut world = World::new(2 * METADATA_BLOCK);
    world.add(Manner::Short);
    world.add(Manner::Floods);
    world.run(ms(100));
    assert_eq!(world.peers[0].1, LIE);
    let flood = Some(DisconnectReason::Violation(Violation::UnrequestedBlock));
    assert!(world.peers[1].1 == flood || world.metadata.verified.is_some());
    let mut metadata = Metadata::new(InfoHash::from_bytes([0; 20]));
    metadata.join(PeerKey(1), Moment::START);
    (0..100).for_each(|block| metadata.on_data(PeerKey(1), block, &[1], Moment::START));
    assert_eq!(
        metadata.disconnects(),
        [(PeerKey(1), DisconnectReason::Violation(Violation::UnrequestedBlock))]
    );
}

#[test]
fn who_leaves_owes_nothing() {
    let mut world = World::new(50 * METADATA_BLOCK);
    let leaver = world.add(Manner::Silent);
    world.metadata.leave(PeerKey(leaver as u32), world.now);
    world.add(Manner::Honest(ms(40)));
    world.resolves_within(ms(80));
    assert_eq!(world.asked, MAX_REQUESTS + 50);
}

#[test]
fn in_a_crowd_of_every_kind_the_honest_one_is_heard() {
    for seed in 0..60 {
        let mut random = Random::seeded(seed);
        let mut world = World::new(1 + random.below(50 * METADATA_BLOCK as u64) as usize);
        let honest = random.below(12);
        for at in 0..12 {
            let lie = random.below(50) as u32;
            let manner = match random.below(8) {
                _ if at == honest => Manner::Honest(ms(1 + random.below(400))),
                0 => Manner::Silent,
                1 | 2 => Manner::Lies(lie),
                3 => Manner::OtherSize(1 + lie),
                4 => Manner::Short,
                5 => Manner::Rejects,
                6 => Manner::Floods,
                _ => Manner::Empty,
            };
            world.add(manner);
        }
        world.resolves_within(Duration::from_secs(120));
        assert_eq!(world.peers[honest as usize].1, None, "seed {seed}");
        assert!(world.elapsed() < Duration::from_secs(120));
    }
}
