//! Who is unchoked when: whole swarms around one choker, in virtual time, drawn as diagrams.
//!
//! A row is a peer and a column is ten seconds, as it stands just before the next round: `#` served,
//! `.` interested and choked, `o` served without interest, ` ` neither.

use std::time::Duration;

use bitwren::internals::job::PeerKey;
use bitwren::internals::moment::Moment;
use bitwren::internals::random::Random;
use bitwren::internals::swarm::choker::{Choker, PeerView};

const PIECE: u32 = 64 * 1024;
const KIB: u64 = 1024;

/// A simulated peer.
#[derive(Clone, Copy)]
struct Peer {
    /// Bytes a second it gives, and would take while served.
    gives: u64,
    takes: u64,
    /// The second it comes, and the second it goes.
    from: u64,
    until: u64,
    interested: fn(u64) -> bool,
    snubs: fn(u64) -> bool,
    upload_only: bool,
}

impl Peer {
    fn gives(kib: u64) -> Peer {
        Peer {
            gives: kib * KIB,
            takes: 100 * KIB,
            from: 0,
            until: u64::MAX,
            interested: |_| true,
            snubs: |_| false,
            upload_only: false,
        }
    }

    fn takes(kib: u64) -> Peer {
        Peer { takes: kib * KIB, ..Peer::gives(0) }
    }
}

struct SimulatedSlots {
    choker: Choker,
    seeding: bool,
    random: Random,
    peers: Vec<Peer>,
    views: Vec<PeerView>,
    /// When each changed last, for the rule against fluttering.
    changed: Vec<Option<u64>>,
    /// Bytes a second that can be sent to all together.
    line: u64,
}

impl SimulatedSlots {
    fn new(slots: Option<usize>, seeding: bool, peers: &[Peer]) -> SimulatedSlots {
        let view = |key: usize| PeerView {
            key: PeerKey(key as u32),
            interested: false,
            upload_only: peers[key].upload_only,
            choked: true,
            snubbed: false,
            received: 0,
            sent: 0,
            since: Moment::from_secs(peers[key].from),
        };
        SimulatedSlots {
            choker: Choker::new(slots, PIECE),
            seeding,
            random: Random::seeded(7),
            peers: peers.to_vec(),
            views: (0..peers.len()).map(view).collect(),
            changed: vec![None; peers.len()],
            line: u64::MAX,
        }
    }

    fn here(&self, at: usize, second: u64) -> bool {
        (self.peers[at].from..self.peers[at].until).contains(&second)
    }

    /// One second passes: bytes move, then it is decided if there is a reason to.
    fn second(&mut self, second: u64) {
        let now = Moment::from_secs(second);
        let mut reason = now >= self.choker.deadline();
        let served: Vec<usize> = (0..self.peers.len())
            .filter(|&at| self.here(at, second) && !self.views[at].choked && self.views[at].interested)
            .collect();
        for at in 0..self.peers.len() {
            let peer = self.peers[at];
            reason |= second == peer.from || second == peer.until;
            let here = self.here(at, second);
            let view = &mut self.views[at];
            let interested = (peer.interested)(second);
            reason |= interested != view.interested;
            (view.interested, view.snubbed) = (interested, (peer.snubs)(second));
            if here && second > peer.from {
                view.received += if view.snubbed { 0 } else { peer.gives };
            }
            if served.contains(&at) {
                view.sent += peer.takes.min(self.line / served.len() as u64);
            }
        }
        if !reason {
            return;
        }
        let here: Vec<PeerView> =
            (0..self.peers.len()).filter(|&at| self.here(at, second)).map(|at| self.views[at]).collect();
        for (PeerKey(key), choke) in self.choker.decide(&here, self.seeding, now, &mut self.random) {
            let at = key as usize;
            assert_ne!(self.views[at].choked, choke, "that is no change");
            assert!(
                !choke || self.changed[at].is_none_or(|changed| second >= changed + 10),
                "peer {at} is choked at {second} s within ten seconds"
            );
            self.views[at].choked = choke;
            self.changed[at] = Some(second);
        }
        let served = (0..self.peers.len())
            .filter(|&at| self.here(at, second) && self.views[at].interested && !self.views[at].choked);
        assert!(served.count() <= self.choker.slots());
    }

    /// The diagram of so many columns.
    fn draw(&mut self, columns: u64) -> Vec<String> {
        let mut rows = vec![String::new(); self.peers.len()];
        for second in 0..columns * 10 {
            self.second(second);
            if second % 10 == 9 {
                for (at, row) in rows.iter_mut().enumerate() {
                    let view = &self.views[at];
                    row.push(match (self.here(at, second), view.interested, view.choked) {
                        (false, ..) | (_, false, true) => ' ',
                        (_, true, true) => '.',
                        (_, true, false) => '#',
                        (_, false, false) => 'o',
                    });
                }
            }
        }
        rows
    }
}

#[track_caller]
fn assert_drawn(rows: &[String], wanted: &[&str]) {
    assert_eq!(rows, wanted, "\n{}\n", rows.join("\n"));
}

#[test]
fn those_that_give_most_are_served_and_one_by_luck() {
    let peers: Vec<Peer> = (0..8).map(|nth| Peer::gives(nth * 50)).collect();
    let rows = SimulatedSlots::new(Some(4), false, &peers).draw(24);
    assert_drawn(
        &rows,
        &[
            "#..###.........###......",
            "#...........###......###",
            "#........###......###...",
            "........................",
            "###...###...............",
            ".#######################",
            ".#######################",
            ".#######################",
        ],
    );
}

#[test]
fn all_are_served_while_there_is_room() {
    let mut peers = [Peer::gives(0), Peer::gives(5), Peer::gives(9)];
    peers[1].from = 15;
    peers[2].until = 40;
    assert_drawn(&SimulatedSlots::new(Some(4), false, &peers).draw(6), &["######", " #####", "####  "]);
    assert_drawn(&SimulatedSlots::new(Some(4), true, &peers).draw(6), &["######", " #####", "####  "]);
}

#[test]
fn a_better_peer_takes_the_place_of_a_worse_one() {
    let mut peers = vec![Peer::gives(10), Peer::gives(20), Peer::gives(30)];
    peers.push(Peer { from: 35, ..Peer::gives(100) });
    let rows = SimulatedSlots::new(Some(3), false, &peers).draw(14);
    assert_drawn(&rows, &["####...###...#", "#######...###.", "##############", "   .##########"]);
}

#[test]
fn a_peer_that_snubs_us_keeps_its_slot_by_luck_alone() {
    let snubbing = Peer { snubs: |second| second >= 33, ..Peer::gives(500) };
    let peers = [snubbing, Peer::gives(10), Peer::gives(20), Peer::gives(30), Peer::gives(0)];
    let rows = SimulatedSlots::new(Some(4), false, &peers).draw(30);
    assert_drawn(
        &rows,
        &[
            "####...###...###...###...###..",
            "#...##########################",
            "##############################",
            "##############################",
            ".######...###...###...###...##",
        ],
    );
}

#[test]
fn when_all_snub_us_luck_goes_around() {
    let peers = [Peer { snubs: |_| true, ..Peer::gives(0) }; 4];
    let rows = SimulatedSlots::new(Some(4), false, &peers).draw(16);
    assert_drawn(&rows, &["...###.........#", "###......###....", "............###.", "......###......."]);
}

#[test]
fn seeding_goes_round_in_turns() {
    // Twenty pieces are 1280 KiB: a minute for those that take 100 KiB/s, three for those at 5.
    let peers = [100, 100, 100, 5, 5, 5].map(Peer::takes);
    let rows = SimulatedSlots::new(Some(2), true, &peers).draw(66);
    assert_drawn(
        &rows,
        &[
            "######........................######........................######",
            "######..............................######........................",
            "......######..............................######..................",
            "......##################..................##################......",
            "............##################..................##################",
            "........................##################........................",
        ],
    );
}

#[test]
fn who_takes_nothing_makes_way() {
    let peers = [Peer::takes(0), Peer::takes(100), Peer::takes(100)];
    let rows = SimulatedSlots::new(Some(1), true, &peers).draw(18);
    assert_drawn(&rows, &["##............##..", "..######........##", "........######...."]);
}

#[test]
fn a_change_of_mind_every_few_seconds_does_not_flutter() {
    let fickle = Peer { interested: |second| second / 3 % 2 == 0, ..Peer::gives(10) };
    let rows = SimulatedSlots::new(Some(3), false, &[fickle, fickle, Peer::gives(50)]).draw(10);
    assert_drawn(&rows, &["o#oo#oo#oo", "o#oo#oo#oo", "##########"]);
}

#[test]
fn peers_that_only_upload_get_no_slot() {
    let partial_seed = Peer { upload_only: true, ..Peer::gives(1000) };
    let peers = [partial_seed, Peer::gives(0)];
    assert_drawn(&SimulatedSlots::new(Some(4), false, &peers).draw(3), &["...", "###"]);
    let mut world = SimulatedSlots::new(Some(4), true, &[Peer::takes(50), Peer::takes(50)]);
    world.draw(1);
    world.views[0].upload_only = true;
    (10..20).for_each(|second| world.second(second));
    assert!(world.views[0].choked && !world.views[1].choked);
}

#[test]
fn newcomers_are_luckier() {
    let now = Moment::from_secs(1000);
    let mut random = Random::seeded(5);
    let view = |key: u32, since| PeerView {
        key: PeerKey(key),
        interested: true,
        upload_only: false,
        choked: true,
        snubbed: true,
        received: 0,
        sent: 0,
        since,
    };
    let lucky = (0..1000).filter(|_| {
        let peers = [view(0, now), view(1, Moment::START), view(2, Moment::START)];
        let changes = Choker::new(Some(2), PIECE).decide(&peers, false, now, &mut random);
        assert_eq!(changes.len(), 1);
        changes == [(PeerKey(0), false)]
    });
    // Three of five tickets.
    assert!((550..650).contains(&lucky.count()));
}

#[test]
fn slots_follow_what_they_carry() {
    // Forty peers take 100 KiB/s each: a line of 1500 KiB/s carries fifteen of them, a fast one all.
    let mut world = SimulatedSlots::new(None, true, &[Peer::takes(100); 40]);
    world.line = 1500 * KIB;
    world.draw(10);
    assert_eq!(world.choker.slots(), 15);
    let mut world = SimulatedSlots::new(None, true, &[Peer::takes(100); 40]);
    let rows = world.draw(12);
    assert!(rows.iter().all(|row| row.ends_with('#')), "{rows:?}");
    // Of 20 KiB/s few get something worth having.
    let mut world = SimulatedSlots::new(None, true, &[Peer::takes(100); 40]);
    world.line = 20 * KIB;
    world.draw(12);
    assert!((4..=6).contains(&world.choker.slots()), "{}", world.choker.slots());
}

#[test]
fn everyone_has_a_turn_however_many_there_are() {
    let peers = [Peer::takes(30); 50];
    let mut world = SimulatedSlots::new(Some(5), true, &peers);
    let rows = world.draw(20 * 6);
    assert!(rows.iter().all(|row| row.contains('#')));
    let sent: Vec<u64> = world.views.iter().map(|view| view.sent).collect();
    let (least, most) = (sent.iter().min().unwrap(), sent.iter().max().unwrap());
    assert!(*most <= 2 * *least, "{least} and {most}");
}

#[test]
fn it_wakes_no_thread_more_often_than_every_ten_seconds() {
    let mut world = SimulatedSlots::new(Some(4), true, &[Peer::takes(50)]);
    for second in 0..100 {
        world.second(second);
        let next = world.choker.deadline().since(Moment::from_secs(second));
        assert!(next > Duration::ZERO && next <= Duration::from_secs(10));
    }
}
