//! Super-seeding in simulated swarms: how much the first seed has to send until the others can do
//! without it, whatever they are like.

use std::collections::BTreeSet;

use bitwren::internals::bitfield::Bitfield;
use bitwren::internals::job::PeerKey;
use bitwren::internals::moment::Moment;
use bitwren::internals::pieces::Pieces;
use bitwren::internals::random::Random;
use bitwren::internals::swarm::superseed::{AHEAD, Manner, PATIENCE, SuperSeed};

const PIECE: u64 = 64 * 1024;

fn pieces(count: u64) -> Pieces {
    Pieces::new(count * PIECE - 1000, PIECE).unwrap()
}

/// A simulated leecher.
#[derive(Clone)]
struct Leecher {
    has: Bitfield,
    shown: Vec<u32>,
    sent: u64,
    /// Pieces a second it sends to others.
    speed: u64,
    /// Whether it tells us of pieces that we showed it.
    tells_all: bool,
    from: u64,
    until: u64,
}

/// A swarm of which we are the first seed, second by second.
struct Swarm {
    pieces: Pieces,
    decider: SuperSeed,
    random: Random,
    leechers: Vec<Leecher>,
    /// Pieces we send to each in a second.
    speed: u64,
    uploaded: u64,
}

impl Swarm {
    fn new(count: u64, leechers: usize) -> Swarm {
        Swarm::in_manner(Manner::Thrift, count, leechers)
    }

    fn in_manner(manner: Manner, count: u64, leechers: usize) -> Swarm {
        let pieces = pieces(count);
        let mut random = Random::seeded(11);
        let leecher = Leecher {
            has: Bitfield::empty(pieces.count()),
            shown: Vec::new(),
            sent: 0,
            speed: 4,
            tells_all: true,
            from: 0,
            until: u64::MAX,
        };
        Swarm {
            pieces,
            decider: SuperSeed::new(pieces, manner, &mut random),
            random,
            leechers: vec![leecher; leechers],
            speed: 1,
            uploaded: 0,
        }
    }

    fn here(&self, second: u64) -> Vec<usize> {
        (0..self.leechers.len())
            .filter(|&at| (self.leechers[at].from..self.leechers[at].until).contains(&second))
            .collect()
    }

    fn gains(&mut self, at: usize, piece: u32, now: Moment) {
        let leecher = &mut self.leechers[at];
        if leecher.has.insert(piece) && (leecher.tells_all || !leecher.shown.contains(&piece)) {
            self.decider.gains(PeerKey(at as u32), piece, now);
        }
    }

    /// One second passes. False once another has everything.
    fn second(&mut self, second: u64) -> bool {
        let now = Moment::from_secs(second);
        for at in 0..self.leechers.len() {
            let key = PeerKey(at as u32);
            if second == self.leechers[at].from {
                self.decider.join(key, now);
                let has = self.leechers[at].has.clone();
                self.decider.has(key, &has, now);
            }
            if second == self.leechers[at].until {
                self.decider.leave(key);
            }
        }
        let here = self.here(second);
        for (PeerKey(key), piece) in self.decider.show(now) {
            let leecher = &mut self.leechers[key as usize];
            assert!(here.contains(&(key as usize)), "it is not there");
            assert!(!leecher.has.has(piece), "it has that");
            assert!(!leecher.shown.contains(&piece), "it was shown that");
            leecher.shown.push(piece);
        }
        // They fetch from us what they were shown and have not found elsewhere.
        for &at in &here {
            for _ in 0..self.speed {
                let leecher = &self.leechers[at];
                let wants = leecher.shown.iter().copied().find(|&piece| !leecher.has.has(piece));
                let Some(piece) = wants else { break };
                let length = u64::from(self.pieces.length(piece));
                self.uploaded += length;
                self.leechers[at].sent += length;
                self.decider.sent(PeerKey(at as u32), self.leechers[at].sent, now);
                self.gains(at, piece, now);
            }
        }
        // And from one another.
        let before: Vec<Bitfield> = self.leechers.iter().map(|leecher| leecher.has.clone()).collect();
        for &giver in &here {
            for _ in 0..self.leechers[giver].speed {
                let taker = here[self.random.below(here.len() as u64) as usize];
                let has = &self.leechers[taker].has;
                let useful = before[giver].iter().find(|&piece| !has.has(piece));
                if let (Some(piece), true) = (useful, taker != giver) {
                    self.gains(taker, piece, now);
                }
            }
        }
        !self.decider.is_over()
    }

    /// Copies uploaded and seconds passed until there is another seed.
    fn run(mut self) -> (f64, u64) {
        for second in 0..20_000 {
            if !self.second(second) {
                return (self.uploaded as f64 / self.pieces.total() as f64, second);
            }
        }
        panic!("nobody ever had everything");
    }
}

#[test]
fn a_swarm_gets_a_whole_copy_for_hardly_more() {
    for leechers in [2, 3, 5, 10, 30] {
        let (copies, seconds) = Swarm::new(300, leechers).run();
        assert!((1.0..1.1).contains(&copies), "{leechers} leechers: {copies} copies in {seconds} s");
    }
}

#[test]
fn those_that_do_not_tell_are_counted() {
    let mut swarm = Swarm::new(300, 6);
    swarm.leechers.iter_mut().for_each(|leecher| leecher.tells_all = false);
    let (copies, seconds) = swarm.run();
    assert!((1.0..1.1).contains(&copies), "{copies} copies in {seconds} s");
}

#[test]
fn a_leecher_alone_is_served_at_full_speed() {
    let mut swarm = Swarm::new(300, 1);
    swarm.speed = AHEAD / PIECE;
    let (copies, seconds) = swarm.run();
    assert_eq!(copies, 1.0);
    assert!(seconds <= 300 / (AHEAD / PIECE) + 1, "{seconds} s");
}

#[test]
fn one_that_keeps_all_to_itself_waits_for_each_piece() {
    let mut swarm = Swarm::new(300, 5);
    swarm.leechers[0].speed = 0;
    let mut shown = 0;
    for second in 0..200 {
        if !swarm.second(second) {
            break;
        }
        shown = swarm.leechers[0].shown.len() as u64;
        assert!(shown <= 1 + second / PATIENCE.as_secs(), "{shown} after {second} s");
    }
    assert!(shown > 0);
}

#[test]
fn a_swarm_of_takers_is_served_all_the_same() {
    let mut swarm = Swarm::new(20, 3);
    swarm.leechers.iter_mut().for_each(|leecher| leecher.speed = 0);
    let (_, seconds) = swarm.run();
    assert!(seconds <= 20 * (PATIENCE.as_secs() + 1), "{seconds} s");
}

#[test]
fn what_leaves_is_shown_again() {
    let mut swarm = Swarm::new(100, 4);
    swarm.leechers[0].until = 30;
    swarm.leechers[0].speed = 0;
    swarm.leechers[3].from = 25;
    let (copies, seconds) = swarm.run();
    assert!((1.0..1.2).contains(&copies), "{copies} copies in {seconds} s");
}

#[test]
fn no_two_are_shown_the_same_while_there_are_others() {
    let mut random = Random::seeded(3);
    let mut decider = SuperSeed::new(pieces(10), Manner::Thrift, &mut random);
    for key in 0..10 {
        decider.join(PeerKey(key), Moment::START);
        decider.has(PeerKey(key), &Bitfield::empty(10), Moment::START);
    }
    let shown: BTreeSet<u32> = decider.show(Moment::START).into_iter().map(|(_, piece)| piece).collect();
    assert_eq!(shown.len(), 10);
    assert_eq!(decider.show(Moment::START), []);
}

#[test]
fn silence_at_the_beginning_is_nothing_after_a_moment() {
    let mut decider = SuperSeed::new(pieces(10), Manner::Thrift, &mut Random::seeded(3));
    decider.join(PeerKey(1), Moment::START);
    assert_eq!(decider.show(Moment::START), [], "it may yet say what it has");
    let due = decider.deadline().unwrap();
    assert_eq!(decider.show(due).len(), 10);
}

#[test]
fn one_that_lost_interest_has_what_it_was_shown() {
    // It got parts of its piece from others, and does not tell of what it was shown.
    let mut decider = SuperSeed::new(pieces(1), Manner::Thrift, &mut Random::seeded(3));
    decider.join(PeerKey(1), Moment::START);
    decider.has(PeerKey(1), &Bitfield::empty(1), Moment::START);
    assert_eq!(decider.show(Moment::START), [(PeerKey(1), 0)]);
    decider.interested(PeerKey(1), true);
    decider.interested(PeerKey(1), false);
    decider.show(Moment::from_secs(1));
    assert!(!decider.is_over(), "that may have crossed with what it was shown");
    let due = decider.deadline().unwrap();
    assert!(due <= Moment::from_secs(3));
    decider.show(due);
    assert!(decider.is_over());
}

#[test]
fn another_seed_ends_it() {
    let mut decider = SuperSeed::new(pieces(10), Manner::Thrift, &mut Random::seeded(3));
    decider.join(PeerKey(1), Moment::START);
    decider.has(PeerKey(1), &Bitfield::full(10), Moment::START);
    assert!(decider.is_over());
    assert_eq!((decider.show(Moment::from_secs(100)), decider.deadline()), (vec![], None));
}

#[test]
fn spreading_sends_one_copy_as_fast_as_the_line_takes_it() {
    // These leechers do not ask for what is rarest first: many more of them would be slow among themselves.
    for leechers in [2, 5, 10] {
        // Each takes four pieces a second, so nobody could do with less than this.
        let mut swarm = Swarm::in_manner(Manner::Spread, 2400, leechers);
        swarm.speed = 4;
        swarm.leechers.iter_mut().for_each(|leecher| leecher.speed = 40);
        let least = 2400 / (4 * leechers as u64);
        let (copies, seconds) = swarm.run();
        assert!((0.99..1.01).contains(&copies), "{leechers} leechers: {copies} copies in {seconds} s");
        assert!(seconds <= least + least / 5 + 3, "{leechers} leechers: {seconds} s instead of {least}");
    }
}

#[test]
fn spreading_ends_with_the_last_piece_out_there_though_no_peer_has_them_all() {
    let mut decider = SuperSeed::new(pieces(4), Manner::Spread, &mut Random::seeded(3));
    for key in 0..2 {
        decider.join(PeerKey(key), Moment::START);
        decider.has(PeerKey(key), &Bitfield::empty(4), Moment::START);
    }
    let shown = decider.show(Moment::START);
    let pieces: BTreeSet<u32> = shown.iter().map(|(_, piece)| *piece).collect();
    assert_eq!((shown.len(), pieces.len()), (4, 4), "two each, none twice");
    for (key, piece) in &shown[..3] {
        decider.gains(*key, *piece, Moment::from_secs(1));
    }
    assert!(!decider.is_over());
    // The holder of one leaves, and its pieces are out there no more.
    decider.leave(PeerKey(0));
    decider.gains(shown[3].0, shown[3].1, Moment::from_secs(1));
    assert!(!decider.is_over());
    for (_, piece) in decider.show(Moment::from_secs(2)) {
        decider.gains(PeerKey(1), piece, Moment::from_secs(3));
    }
    assert!(decider.is_over());
}

#[test]
fn a_slow_or_selfish_one_does_not_hold_up_the_spreading() {
    let mut swarm = Swarm::in_manner(Manner::Spread, 600, 6);
    swarm.speed = 4;
    swarm.leechers.iter_mut().for_each(|leecher| leecher.speed = 40);
    swarm.leechers[0].speed = 0;
    let (copies, seconds) = swarm.run();
    assert!((0.95..1.05).contains(&copies), "{copies} copies in {seconds} s");
    assert!(seconds <= 2 * 600 / (4 * 6) + PATIENCE.as_secs(), "{seconds} s");
}

#[test]
fn pieces_shown_to_one_that_takes_nothing_are_soon_for_everyone() {
    let mut decider = SuperSeed::new(pieces(50), Manner::Spread, &mut Random::seeded(3));
    for key in 0..2 {
        decider.join(PeerKey(key), Moment::START);
        decider.has(PeerKey(key), &Bitfield::empty(50), Moment::START);
    }
    // The first dawdles; the other has what it is shown a tenth of a second later, and passes it on
    // to somebody whom we do not know.
    let (mut copies, mut at) = (0, 0);
    while !decider.is_over() {
        let shown = decider.show(Moment::from_millis(at));
        at += 100;
        let now = Moment::from_millis(at);
        assert!(decider.is_spreading(now));
        for (_, piece) in shown.iter().filter(|(key, _)| *key == PeerKey(1)) {
            decider.gains(PeerKey(1), *piece, now);
            decider.join(PeerKey(2), now);
            decider.gains(PeerKey(2), *piece, now);
            decider.leave(PeerKey(2));
            copies += 1;
        }
        assert!(at < 5000, "{copies} of 50 are out there");
    }
    assert_eq!(copies, 48);
}
