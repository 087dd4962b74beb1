//! The picker through its public face, one behaviour a test, in rows of characters where that shows
//! more: one row for each peer, one character for each block, `=` for blocks it has taken to
//! request and `.` for those that are its to request.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use bitwren::internals::bitfield::Bitfield;
use bitwren::internals::job::{LeaseId, PeerKey, PieceJob, Verdict};
use bitwren::internals::pieces::{BLOCK, Pieces};
use bitwren::internals::random::Random;
use bitwren::internals::swarm::picker::{Blame, Picker};

/// A picker and the jobs it gave.
struct Desk {
    picker: Picker,
    pieces: Pieces,
    jobs: Vec<(PeerKey, PieceJob)>,
}

impl Desk {
    fn new(count: u32, blocks: u32) -> Self {
        Self::with(count, blocks, false, 1)
    }

    fn with(count: u32, blocks: u32, sequential: bool, seed: u64) -> Self {
        let length = u64::from(blocks * BLOCK);
        let pieces = Pieces::new(u64::from(count) * length, length).unwrap();
        let (have, wanted) = (Bitfield::empty(count), Bitfield::full(count));
        let picker = Picker::new(pieces, have, wanted, sequential, Random::seeded(seed));
        Desk { picker, pieces, jobs: Vec::new() }
    }

    /// An unchoked peer with these pieces, `#` for one it has.
    fn peer(&mut self, key: u32, row: &str) -> PeerKey {
        let key = PeerKey(key);
        self.picker.join(key);
        self.picker.has(key, set(row));
        self.picker.choking(key, false);
        key
    }

    /// An unchoked peer with everything.
    fn seed(&mut self, key: u32) -> PeerKey {
        self.peer(key, &"#".repeat(self.pieces.count() as usize))
    }

    fn rates(&mut self, rates: &[(PeerKey, u64)]) {
        rates.iter().for_each(|&(peer, rate)| self.picker.rate(peer, rate));
    }

    fn feed(&mut self) -> Vec<(PeerKey, PieceJob)> {
        let fed = self.picker.feed();
        self.jobs.extend(fed.iter().cloned());
        fed
    }

    /// Jobs for one hungry peer, as piece and blocks.
    fn ask(&mut self, peer: PeerKey, blocks: u32) -> Vec<(u32, Range<u32>)> {
        self.picker.hungry(peer, blocks);
        let fed = self.feed();
        let of_it = fed.iter().filter(|(fed, _)| *fed == peer);
        of_it.map(|(_, job)| (job.claim.piece().index(), job.claim.range())).collect()
    }

    /// The piece a peer is given when it asks for one block.
    fn begins(&mut self, peer: PeerKey) -> Option<u32> {
        self.ask(peer, 1).first().map(|(piece, _)| *piece)
    }

    /// The peer takes so many blocks of its jobs to request them; those that there were.
    fn takes(&mut self, peer: PeerKey, blocks: usize) -> Vec<(PieceJob, u32)> {
        let jobs = self.jobs.iter().filter(|(holder, _)| *holder == peer);
        let taken =
            jobs.flat_map(|(_, job)| std::iter::from_fn(move || Some((job.clone(), job.claim.take()?))));
        taken.take(blocks).collect()
    }

    /// A piece is hashed that one peer delivered.
    fn delivers(&mut self, peer: PeerKey, piece: u32, good: bool) -> Blame {
        self.judge(piece, good, &[peer])
    }

    fn judge(&mut self, piece: u32, good: bool, contributors: &[PeerKey]) -> Blame {
        self.jobs.retain(|(_, job)| job.claim.piece().index() != piece);
        self.picker.verdict(&Verdict { piece, good, contributors: contributors.to_vec() })
    }

    /// The lease a peer got first of those it holds.
    fn lease(&self, peer: PeerKey) -> LeaseId {
        self.jobs.iter().find(|(holder, _)| *holder == peer).unwrap().1.lease
    }

    fn returns(&mut self, peer: PeerKey, lease: LeaseId) {
        self.jobs.retain(|(holder, job)| job.lease != lease || *holder != peer);
        self.picker.returned(peer, lease);
    }

    /// A row for each peer that holds blocks of the piece.
    fn rows(&self, piece: u32) -> Vec<String> {
        let mut rows = BTreeMap::new();
        for (peer, job) in self.jobs.iter().filter(|(_, job)| job.claim.piece().index() == piece) {
            let row = rows.entry(*peer).or_insert_with(|| vec!['_'; self.pieces.blocks(piece) as usize]);
            for block in job.claim.range() {
                row[block as usize] = if job.claim.requested().contains(&block) { '=' } else { '.' };
            }
        }
        rows.into_values().map(|row| row.into_iter().collect()).collect()
    }
}

fn set(row: &str) -> Bitfield {
    let mut set = Bitfield::empty(row.len() as u32);
    row.match_indices('#').for_each(|(piece, _)| assert!(set.insert(piece as u32)));
    set
}

/// Four verified pieces at the end of the torrent put the random first pieces behind us.
fn past_the_first_four(desk: &mut Desk) {
    let count = desk.pieces.count();
    (count - 4..count).for_each(|piece| assert_eq!(desk.judge(piece, true, &[]), Blame::default()));
}

/// A lease once was cut so that all that was cut off had arrived before: a job with nothing to do.
#[test]
fn what_has_arrived_is_cut_off_for_nobody() {
    let mut desk = Desk::new(1, 4);
    let [first, second, third, fourth] = [0, 1, 2, 3].map(|key| desk.seed(key));
    assert_eq!(desk.ask(first, 4), [(0, 0..4)]);
    let taken = desk.takes(first, 3);
    assert!(taken[2].0.claim.piece().receive(2));
    let lease = desk.lease(first);
    desk.returns(first, lease);
    assert_eq!(desk.ask(second, 4), [(0, 0..4)]);
    assert_eq!(desk.ask(third, 4), [(0, 3..4)]);
    assert_eq!(desk.ask(fourth, 4), [(0, 1..2)]);
}

/// One that had everything is counted with the others from then on.
/// The same of a claim that has been there for long, of a peer of whom nothing else is known.
#[test]
fn what_has_arrived_meanwhile_is_cut_off_for_nobody() {
    let mut desk = Desk::new(1, 8);
    let [holder, waiting, third] = [0, 1, 2].map(|key| desk.seed(key));
    desk.ask(holder, 8);
    desk.rates(&[(third, 1)]);
    let open = desk.jobs[0].1.claim.piece().clone();
    (0..8).for_each(|block| assert!(open.receive(block)));
    assert_eq!(desk.ask(waiting, 8), []);
}

#[test]
fn a_piece_a_peer_lost_is_rarer_and_not_asked_of_it() {
    let mut desk = Desk::new(10, 1);
    past_the_first_four(&mut desk);
    let seed = desk.seed(0);
    desk.peer(1, "#####_____");
    assert!(desk.picker.is_seed(seed));
    (0..6).for_each(|piece| desk.picker.loses(seed, piece));
    // Lost twice, out of range, or never had: nothing.
    [0, 10, u32::MAX].into_iter().for_each(|piece| desk.picker.loses(seed, piece));
    desk.picker.loses(PeerKey(9), 0);
    assert!(!desk.picker.is_seed(seed) && !desk.picker.interesting(seed));
    assert_eq!((desk.picker.held_by(seed), desk.picker.seeds()), (4, 0));
    desk.picker.gains(seed, 5);
    assert!(desk.picker.interesting(seed));
    desk.picker.loses(PeerKey(1), 4);
    assert_eq!(desk.picker.held_by(PeerKey(1)), 4);
    (0..10).for_each(|piece| desk.picker.gains(seed, piece));
    assert!(desk.picker.is_seed(seed));
    desk.picker.leave(seed);
    assert_eq!(desk.picker.seeds(), 0);
}

#[test]
fn the_rarest_pieces_come_first() {
    let mut desk = Desk::new(10, 1);
    past_the_first_four(&mut desk);
    let seed = desk.seed(0);
    desk.peer(1, "###_##____");
    desk.peer(2, "#_#_#_____");
    desk.peer(3, "#_#_______");
    // counts     313021
    let order: Vec<u32> = std::iter::from_fn(|| desk.begins(seed)).collect();
    assert_eq!(order[0], 3);
    assert!(order[1..3].contains(&1) && order[1..3].contains(&5), "{order:?}");
    assert_eq!(order[3], 4);
    assert!(order[4..].contains(&0) && order[4..].contains(&2));
    assert_eq!(order.len(), 6);
}

#[test]
fn equally_rare_pieces_come_in_random_order() {
    let orders: Vec<Vec<u32>> = (0..3)
        .map(|seed| {
            let mut desk = Desk::with(30, 1, false, seed);
            past_the_first_four(&mut desk);
            let peer = desk.seed(0);
            std::iter::from_fn(|| desk.begins(peer)).collect()
        })
        .collect();
    assert!(orders[0] != orders[1] && orders[1] != orders[2]);
    assert!(orders.iter().all(|order| order.len() == 26));
}

#[test]
fn rarity_follows_who_comes_and_goes() {
    let mut desk = Desk::new(8, 1);
    past_the_first_four(&mut desk);
    let seed = desk.seed(0);
    let (a, b) = (desk.peer(1, "###_____"), desk.peer(2, "#_##____"));
    desk.picker.gains(b, 1);
    // Counts are 2221.
    desk.picker.leave(a);
    desk.picker.gains(seed, 3);
    desk.picker.gains(b, 3);
    desk.picker.leave(b);
    let c = desk.peer(3, "__##____");
    desk.picker.gains(c, 0);
    assert_eq!(desk.begins(seed), Some(1));
}

#[test]
fn the_first_four_pieces_are_random_rather_than_rare() {
    let firsts: BTreeSet<u32> = (0..40)
        .map(|seed| {
            let mut desk = Desk::with(50, 1, false, seed);
            let peer = desk.seed(0);
            desk.peer(1, &("_".to_owned() + &"#".repeat(49)));
            desk.begins(peer).unwrap()
        })
        .collect();
    assert!(firsts.len() > 10, "piece 0 is rarest, yet any may be first: {firsts:?}");
}

#[test]
fn sequential_is_in_order_whatever_is_rare() {
    let mut desk = Desk::with(6, 1, true, 3);
    let (a, b) = (desk.seed(0), desk.peer(1, "__####"));
    desk.picker.suggested(a, 5);
    assert_eq!(desk.begins(a), Some(0));
    assert_eq!(desk.begins(b), Some(2));
    assert_eq!(desk.begins(a), Some(1));
    assert_eq!(desk.begins(a), Some(3));
    // A piece that was bad is next again.
    desk.delivers(b, 2, false);
    assert_eq!(desk.begins(a), Some(2));
}

/// A film would wait for what lies anywhere: in order means from the first piece on, choked or not.
#[test]
fn sequential_takes_what_may_be_had_while_choked_only_where_it_is_next() {
    let mut desk = Desk::with(6, 1, true, 3);
    let a = desk.seed(0);
    desk.picker.choking(a, true);
    desk.picker.allowed_fast(a, 4);
    desk.picker.allowed_fast(a, 1);
    assert_eq!(desk.begins(a), None);
    desk.picker.allowed_fast(a, 0);
    assert_eq!((desk.begins(a), desk.begins(a), desk.begins(a)), (Some(0), Some(1), None));
}

/// One that dribbles and one that has stopped hold the last block between them, and a good one waits.
#[test]
fn what_two_bad_peers_were_asked_for_is_taken_over_within_two_turns() {
    let mut desk = Desk::new(1, 4);
    let (dribbler, stopped, good) = (desk.seed(0), desk.seed(1), desk.seed(2));
    desk.rates(&[(dribbler, 1_000), (stopped, 900_000), (good, 1_000_000)]);
    desk.picker.turn();
    assert_eq!(desk.ask(dribbler, 4), [(0, 0..4)]);
    assert_eq!(desk.takes(dribbler, 4).len(), 4);
    assert_eq!(desk.ask(stopped, 8).into_iter().map(|(_, blocks)| blocks.len()).sum::<usize>(), 4);
    assert_eq!(desk.ask(good, 8), [], "both have only just been asked");
    for turn in 0..2 {
        assert_eq!(desk.feed().len(), 0, "turn {turn}");
        desk.picker.turn();
    }
    let fed = desk.feed();
    assert_eq!(fed.iter().map(|(peer, job)| (*peer, job.claim.range())).collect::<Vec<_>>(), [(good, 0..4)]);
    assert_eq!(desk.rows(0), ["====", "....", "...."]);
    // Should it stop as well, the next one has its turn when it had the time, and not before.
    let other = desk.seed(3);
    desk.rates(&[(other, 1_000_000)]);
    desk.picker.turn();
    assert_eq!(desk.ask(other, 8), []);
    desk.picker.turn();
    assert_eq!(desk.feed().len(), 1);
}

/// A peer that would need long itself is no help. Of one that is not known to be quick one block is asked.
#[test]
fn only_who_could_have_sent_a_block_since_takes_it_over() {
    for (rate, blocks) in [(None, 1), (Some(5_000), 0), (Some(40_000), 1), (Some(100_000), 3)] {
        let mut desk = Desk::new(1, 4);
        let (a, b, c) = (desk.seed(0), desk.seed(1), desk.seed(2));
        desk.rates(&[(a, 1_000), (b, 20_000)]);
        desk.ask(a, 4);
        desk.takes(a, 4);
        desk.ask(b, 8);
        desk.takes(b, 4);
        rate.into_iter().for_each(|rate| desk.picker.rate(c, rate));
        desk.picker.hungry(c, 8);
        desk.picker.turn();
        desk.feed();
        desk.picker.turn();
        let fed: u32 = desk.feed().iter().map(|(_, job)| job.claim.range().len() as u32).sum();
        assert_eq!(fed, blocks, "{rate:?}");
    }
}

#[test]
fn only_what_is_wanted_is_fetched() {
    let mut desk = Desk::new(6, 1);
    let (a, b) = (desk.seed(0), desk.peer(1, "###___"));
    desk.picker.set_wanted(set("___#_#"));
    assert!(desk.picker.interesting(a) && !desk.picker.interesting(b));
    assert_eq!(desk.begins(b), None);
    let mut got = [desk.begins(a).unwrap(), desk.begins(a).unwrap()];
    got.sort_unstable();
    assert_eq!((got, desk.begins(a)), ([3, 5], None));
    assert!(!desk.picker.is_finished());
    got.into_iter().for_each(|piece| assert_eq!(desk.delivers(a, piece, true), Blame::default()));
    assert!(desk.picker.is_finished() && !desk.picker.interesting(a));
    desk.picker.set_wanted(set("_#_#_#"));
    assert!(!desk.picker.is_finished() && desk.picker.interesting(b));
    assert_eq!(desk.feed()[0].1.claim.piece().index(), 1, "whoever waited is fed");
}

#[test]
fn a_suggestion_counts_among_equals_only() {
    let mut desk = Desk::new(60, 1);
    past_the_first_four(&mut desk);
    let seed = desk.seed(0);
    desk.peer(1, &("_".to_owned() + &"#".repeat(59)));
    desk.picker.suggested(seed, 33);
    desk.picker.suggested(seed, 1_000_000);
    assert_eq!(desk.begins(seed), Some(0), "rarer than what was suggested");
    assert_eq!(desk.begins(seed), Some(33));
}

#[test]
fn a_choking_peer_is_asked_for_allowed_pieces_only() {
    let mut desk = Desk::new(6, 1);
    let peer = desk.peer(0, "_#####");
    desk.picker.choking(peer, true);
    assert_eq!(desk.begins(peer), None);
    desk.picker.allowed_fast(peer, 0);
    desk.picker.allowed_fast(peer, 4);
    desk.picker.allowed_fast(peer, 77);
    assert_eq!(desk.feed()[0].1.claim.piece().index(), 4, "it waited for that");
    assert_eq!(desk.begins(peer), None);
    desk.picker.choking(peer, false);
    assert_eq!(desk.feed().len(), 1);
}

#[test]
fn small_pieces_come_several_at_once_and_huge_ones_alone() {
    let mut desk = Desk::new(100, 4);
    let peer = desk.seed(0);
    let jobs = desk.ask(peer, 30);
    assert_eq!(jobs.len(), 8, "8 pieces of 4 blocks for 30 blocks");
    assert!(jobs.iter().all(|(_, blocks)| *blocks == (0..4)));
    let mut desk = Desk::new(4, 1024);
    let peer = desk.seed(0);
    assert_eq!(desk.ask(peer, 30).len(), 1);
}

#[test]
fn what_is_begun_is_finished_first() {
    let mut desk = Desk::new(20, 8);
    let (a, b) = (desk.seed(0), desk.seed(1));
    let (first, second) = (desk.begins(a).unwrap(), desk.begins(a).unwrap());
    for (job, block) in desk.takes(a, 8 + 6) {
        // Two blocks come of the first piece, six of the second.
        if job.claim.piece().index() == second || block < 2 {
            assert!(job.claim.piece().receive(block));
        }
    }
    desk.picker.leave(a);
    assert_eq!(desk.ask(b, 1), [(second, 6..8)]);
    assert_eq!(desk.ask(b, 1), [(first, 2..8)]);
    assert!(![first, second].contains(&desk.begins(b).unwrap()));
}

#[test]
fn a_returned_lease_frees_just_what_is_missing() {
    let mut desk = Desk::new(1, 10);
    let (a, b) = (desk.seed(0), desk.seed(1));
    assert_eq!(desk.ask(a, 10), [(0, 0..10)]);
    for (job, block) in desk.takes(a, 4) {
        assert!(block == 2 || job.claim.piece().receive(block));
    }
    assert_eq!(desk.rows(0), ["====......"]);
    let lease = desk.lease(a);
    desk.returns(b, lease);
    assert!(desk.feed().is_empty(), "not its lease to return");
    desk.returns(a, lease);
    assert_eq!(desk.ask(b, 10), [(0, 2..10)]);
    desk.returns(a, lease);
    assert_eq!(desk.rows(0), ["__........"], "a lease ends once");
    assert_eq!(desk.takes(b, 9).len(), 7, "block 3 has arrived");
}

#[test]
fn a_piece_of_which_nothing_came_is_not_begun() {
    let mut desk = Desk::new(3, 4);
    let (a, b) = (desk.seed(0), desk.peer(1, "#__"));
    while desk.begins(a).is_some() {}
    desk.picker.leave(a);
    assert_eq!(desk.begins(b), Some(0));
    let c = desk.seed(2);
    assert_eq!(desk.ask(c, 8).len(), 2);
}

#[test]
fn a_peer_that_rejects_what_it_has_is_not_asked_again_at_once() {
    let mut desk = Desk::new(1, 4);
    let a = desk.seed(0);
    desk.begins(a);
    desk.returns(a, desk.lease(a));
    assert_eq!(desk.ask(a, 4), []);
    desk.picker.rate(a, 0);
    assert_eq!(desk.feed().len(), 1, "a second later");
}

#[test]
fn four_huge_pieces_keep_eight_peers_busy() {
    let mut desk = Desk::new(4, 32);
    for key in 0..8 {
        let peer = desk.seed(key);
        assert_eq!(desk.ask(peer, 4).len(), 1);
        desk.takes(peer, 4);
    }
    for piece in 0..4 {
        // Whoever began has requested 4 of the half that is left to it.
        assert_eq!(
            desk.rows(piece),
            [
                "====............________________", //
                "________________====............",
            ]
        );
    }
}

#[test]
fn a_split_follows_the_rates() {
    let mut desk = Desk::new(1, 44);
    let (slow, quick) = (desk.seed(0), desk.seed(1));
    desk.rates(&[(slow, 100_000), (quick, 300_000)]);
    desk.ask(slow, 4);
    desk.takes(slow, 4);
    desk.ask(quick, 4);
    assert_eq!(
        desk.rows(0),
        [
            "====......._________________________________", //
            "___________.................................",
        ]
    );
}

#[test]
fn the_claim_that_would_take_longest_is_split() {
    let mut desk = Desk::new(2, 40);
    let (slow, quick, third) = (desk.seed(0), desk.seed(1), desk.seed(2));
    desk.rates(&[(slow, 100_000), (quick, 1_000_000), (third, 1_000_000)]);
    let of_slow = desk.begins(slow).unwrap();
    desk.takes(slow, 20);
    desk.begins(quick);
    desk.takes(quick, 4);
    // 20 blocks at 100 kB/s take longer than 36 at 1 MB/s.
    assert_eq!(desk.begins(third), Some(of_slow));
}

#[test]
fn the_endgame_is_bounded_and_asks_nobody_twice() {
    let mut desk = Desk::new(1, 40);
    let (a, b, c) = (desk.seed(0), desk.seed(1), desk.seed(2));
    desk.ask(a, 40);
    desk.takes(a, 40);
    // Half of what is outstanding, but 16 blocks at most, and no more than was asked for.
    assert_eq!(desk.ask(b, 100), [(0, 24..40)]);
    assert_eq!(desk.ask(c, 5), [(0, 19..24)]);
    assert_eq!(desk.ask(a, 5), [], "all of it is its own already");
    // However often they ask, no block goes to more than two.
    while !desk.ask(b, 4).is_empty() || !desk.ask(c, 4).is_empty() {}
    for block in 0..40 {
        let holds = |(_, job): &&(PeerKey, PieceJob)| job.claim.range().contains(&block);
        let holders: Vec<_> = desk.jobs.iter().filter(holds).map(|(peer, _)| peer).collect();
        assert_eq!(holders.len(), 2, "block {block}");
        assert_ne!(holders[0], holders[1]);
    }
}

#[test]
fn the_endgame_leaves_the_quicker_alone_until_all_is_requested() {
    let mut desk = Desk::new(3, 4);
    let (a, b, c) = (desk.peer(0, "#__"), desk.peer(1, "#__"), desk.peer(2, "###"));
    desk.rates(&[(a, 500_000), (b, 400_000), (c, 100_000)]);
    desk.begins(a);
    desk.takes(a, 4);
    assert_eq!(desk.ask(b, 4), [], "pieces 1 and 2 are not begun");
    desk.ask(c, 8);
    desk.takes(c, 8);
    desk.picker.rate(a, 500_000);
    desk.feed();
    // By the time that a has sent the first two, b has the other two.
    assert_eq!(desk.rows(0), ["====", "__.."], "now everything is requested");
}

#[test]
fn a_slow_holder_is_taken_over() {
    let mut desk = Desk::new(1, 8);
    let (slow, quick) = (desk.seed(0), desk.seed(1));
    desk.rates(&[(slow, 200_000), (quick, 2_000_000)]);
    desk.ask(slow, 3);
    desk.takes(slow, 3);
    // First most of what it had not requested.
    desk.ask(quick, 16);
    assert_eq!(
        desk.rows(0),
        [
            "===_____", //
            "___.....",
        ]
    );
    // Then what it has, the last first: all that the quick one, busy with five, could have sooner.
    for _ in 0..9 {
        desk.takes(quick, 16);
        desk.ask(quick, 16);
    }
    desk.takes(quick, 16);
    assert_eq!(
        desk.rows(0),
        [
            "===_____", //
            "========",
        ]
    );
}

/// Claims of one block each, the last of which would come long after an idle peer could have sent it,
/// though that is no quicker.
#[test]
fn of_many_short_claims_the_last_go_to_whoever_has_nothing_to_do() {
    for requested in [60, 100] {
        let mut desk = Desk::new(100, 1);
        let (busy, idle) = (desk.seed(0), desk.seed(1));
        let rates = [(busy, 101_000), (idle, 100_000)];
        desk.rates(&rates);
        let mut pieces: Vec<u32> = Vec::new();
        while pieces.len() < 100 {
            pieces.extend(desk.ask(busy, 100).into_iter().map(|(piece, _)| piece));
        }
        desk.takes(busy, requested);
        desk.rates(&rates);
        let mut relieved: Vec<u32> = Vec::new();
        loop {
            let more = desk.ask(idle, 20);
            desk.takes(idle, 100);
            if more.is_empty() {
                break;
            }
            relieved.extend(more.into_iter().map(|(piece, _)| piece));
        }
        pieces.reverse();
        assert_eq!(relieved.len(), 50, "{requested} requested");
        assert_eq!(relieved, pieces[..50], "{requested} requested: the last first");
    }
}

#[test]
fn a_snubbed_peer_is_relieved_at_once_and_given_one_block_at_a_time() {
    let mut desk = Desk::new(9, 8);
    let (snub, other) = (desk.seed(0), desk.seed(1));
    let piece = desk.ask(snub, 8)[0].0;
    desk.takes(snub, 3);
    desk.picker.snubbed(snub, true);
    assert_eq!(desk.rows(piece), ["===_____"]);
    assert_eq!(desk.ask(snub, 8), [], "it owes three blocks");
    assert_eq!(desk.ask(other, 8)[..2], [(piece, 3..8), (piece, 0..3)]);
    desk.returns(snub, desk.lease(snub));
    desk.picker.rate(snub, 0);
    let fed = desk.feed();
    assert_eq!(fed.len(), 1);
    assert_eq!(fed[0].1.claim.range().len(), 1);
    assert_eq!(desk.ask(snub, 8), []);
}

#[test]
fn a_slow_peer_takes_rations_of_what_is_long_anyway() {
    let mut desk = Desk::new(20, 256);
    let (quick, slow) = (desk.seed(0), desk.seed(1));
    // 4 MiB take more than four minutes at 16 KiB/s.
    desk.rates(&[(quick, 100_000), (slow, 16_384)]);
    let piece = desk.begins(quick).unwrap();
    desk.takes(quick, 16);
    let jobs = desk.ask(slow, 2);
    assert_eq!(jobs.len(), 1);
    assert_eq!((jobs[0].0, jobs[0].1.len()), (piece, 10), "ten seconds' worth of the same piece");
}

#[test]
fn slow_peers_do_not_open_pieces_without_bound() {
    let mut desk = Desk::new(400, 64);
    let peers: Vec<PeerKey> = (0..10).map(|key| desk.seed(key)).collect();
    let mut taken = 0;
    for _ in 0..100 {
        for &peer in &peers {
            desk.picker.rate(peer, 20_000);
            desk.ask(peer, 2);
            taken += desk.takes(peer, 1000).len();
        }
    }
    let open: BTreeSet<u32> = desk.jobs.iter().map(|(_, job)| job.claim.piece().index()).collect();
    assert!(taken >= 1000 && open.len() <= 2 * peers.len() + 5, "{} pieces for {taken} blocks", open.len());
}

#[test]
fn one_contributor_of_a_bad_piece_is_convicted() {
    let mut desk = Desk::new(4, 2);
    let (a, b) = (desk.seed(0), desk.seed(1));
    let piece = desk.begins(a).unwrap();
    let blame = desk.delivers(a, piece, false);
    assert_eq!((blame.culprits, blame.suspects), (vec![a], vec![]));
    assert_eq!(desk.begins(a), None, "it gets nothing more");
    let mut got: Vec<u32> = (0..4).filter_map(|_| desk.begins(b)).collect();
    got.sort_unstable();
    assert_eq!(got, [0, 1, 2, 3]);
}

#[test]
fn several_contributors_go_on_parole_until_one_good_piece() {
    let mut desk = Desk::new(12, 16);
    let (a, b, c) = (desk.seed(0), desk.seed(1), desk.seed(2));
    let bad = desk.begins(a).unwrap();
    let blame = desk.judge(bad, false, &[a, b]);
    assert_eq!((blame.culprits, blame.suspects), (vec![], vec![a, b]));

    // The bad piece is not for a suspect while someone better has it, and is that one's alone.
    let of_a = desk.begins(a).unwrap();
    assert_ne!(of_a, bad);
    assert_eq!(desk.begins(c), Some(bad));

    // Nobody shares either piece, however hungry; nor may a suspect share what others began.
    while desk.begins(c).is_some() {}
    assert_eq!(desk.rows(of_a), [".".repeat(16)]);
    assert_eq!(desk.rows(bad), [".".repeat(16)]);
    assert_eq!(desk.begins(b), None);

    // A good piece with others ends nothing; a good piece alone ends it.
    desk.judge(of_a, true, &[a, c]);
    desk.picker.hungry(a, 1);
    assert!(desk.feed().iter().all(|(peer, _)| *peer != a));
    desk.judge(bad, true, &[a]);
    assert!(desk.feed().iter().any(|(peer, _)| *peer == a), "it may share again");
}

#[test]
fn suspects_get_the_bad_piece_when_nobody_better_has_it() {
    let mut desk = Desk::new(1, 16);
    let (a, b) = (desk.seed(0), desk.seed(1));
    desk.begins(a);
    desk.judge(0, false, &[a, b]);
    assert_eq!(desk.begins(a), Some(0));
    assert_eq!(desk.begins(b), None);
    // Now it is certain.
    assert_eq!(desk.delivers(a, 0, false).culprits, [a]);
    assert_eq!(desk.feed().len(), 1, "b waited");
    assert_eq!(desk.delivers(b, 0, true), Blame::default());
    assert!(desk.picker.is_finished());
}

#[test]
fn a_piece_lent_alone_is_taken_over_when_its_holder_stalls() {
    let mut desk = Desk::new(1, 16);
    let (a, b) = (desk.seed(0), desk.seed(1));
    desk.begins(a);
    desk.judge(0, false, &[a, PeerKey(9)]);
    assert_eq!(desk.ask(b, 1), [(0, 0..16)]);
    desk.takes(b, 1);
    assert_eq!(desk.ask(a, 4), []);
    desk.picker.snubbed(b, true);
    assert_eq!(desk.feed().len(), 1, "even by one on parole, where there is nobody else");
}

#[test]
fn three_bad_pieces_and_no_good_one_convict() {
    let mut desk = Desk::new(12, 2);
    let (a, b) = (desk.seed(0), desk.seed(1));
    assert_eq!(desk.delivers(b, 9, true), Blame::default());
    assert_eq!(desk.judge(0, false, &[a, b]).suspects, [a, b]);
    assert_eq!(desk.judge(1, false, &[a, b]).suspects, [a, b]);
    let blame = desk.judge(2, false, &[a, b]);
    assert_eq!((blame.culprits, blame.suspects), (vec![a], vec![b]));
}

#[test]
fn bad_pieces_under_way_together_are_one_suspicion() {
    let mut desk = Desk::new(12, 2);
    let (a, b) = (desk.seed(0), desk.seed(1));
    assert_eq!(desk.judge(11, true, &[b]), Blame::default());
    let mut under_way = desk.ask(a, 6);
    assert_eq!(under_way.len(), 3);
    for (piece, _) in under_way.drain(..) {
        assert_eq!(desk.judge(piece, false, &[a, b]).suspects, [a, b]);
    }
    // What is begun after that counts again.
    let (next, last) = (desk.begins(a).unwrap(), desk.begins(a).unwrap());
    assert_eq!(desk.judge(next, false, &[a, b]).culprits, []);
    assert_eq!(desk.judge(last, false, &[a, b]).culprits, []);
    let piece = desk.begins(a).unwrap();
    assert_eq!(desk.judge(piece, false, &[a, b]).culprits, [a]);
}

/// Found in the simulated world: a liar that had a part in every piece had everyone honest banned.
#[test]
fn where_several_have_no_good_piece_nobody_is_convicted() {
    let mut desk = Desk::new(12, 2);
    let (a, b, c) = (desk.seed(0), desk.seed(1), desk.seed(2));
    for piece in 0..6 {
        assert_eq!(desk.judge(piece, false, &[a, b, c]).suspects, [a, b, c]);
    }
    desk.judge(6, true, &[b]);
    assert_eq!(desk.judge(7, false, &[a, b, c]).suspects, [a, b, c]);
    desk.judge(8, true, &[c]);
    assert_eq!(desk.judge(9, false, &[a, b, c]).culprits, [a]);
}

/// Found in the simulated world: slow suspects shared every piece, and so never cleared themselves.
#[test]
fn suspects_leave_one_another_alone_however_slow_they_are() {
    let mut desk = Desk::new(1, 64);
    let (a, b) = (desk.seed(0), desk.seed(1));
    desk.picker.rate(a, 10_000);
    desk.picker.rate(b, 10_000);
    desk.judge(0, false, &[a, b]);
    assert_eq!(desk.ask(a, 4), [(0, 0..64)]);
    assert_eq!(desk.ask(b, 4), []);
    // One that is trusted may help: the end is not held up.
    let c = desk.seed(2);
    assert_eq!(desk.ask(c, 4).len(), 1);
}

#[test]
fn verdicts_keep_the_books() {
    let mut desk = Desk::new(3, 2);
    let (a, b) = (desk.seed(0), desk.peer(1, "##_"));
    assert!(desk.picker.is_seed(a) && !desk.picker.is_seed(b) && desk.picker.seeds() == 1);
    assert_eq!(desk.judge(99, false, &[a]), Blame::default(), "no such piece");
    desk.judge(0, true, &[a]);
    desk.judge(0, true, &[a]);
    assert_eq!(desk.judge(0, false, &[PeerKey(77)]).culprits, [PeerKey(77)], "known or not");
    assert!(desk.picker.have().has(0), "what is verified stays verified");
    assert!(desk.picker.interesting(b));
    desk.judge(1, true, &[a, b]);
    assert!(!desk.picker.interesting(b) && desk.picker.interesting(a));
    desk.picker.gains(b, 2);
    assert!(desk.picker.interesting(b) && desk.picker.is_seed(b) && desk.picker.seeds() == 2);
    desk.judge(2, true, &[b]);
    assert!(desk.picker.is_finished() && desk.picker.have().is_full());
    desk.picker.leave(a);
    assert!(!desk.picker.is_seed(a) && desk.picker.seeds() == 1);
}

#[test]
fn lost_blocks_are_fetched_again() {
    let mut desk = Desk::new(2, 4);
    let (a, b) = (desk.seed(0), desk.seed(1));
    let piece = desk.begins(a).unwrap();
    let stale = desk.jobs[0].1.clone();
    (0..3).for_each(|block| assert!(stale.claim.piece().receive(block)));
    desk.picker.lost_blocks(piece);
    desk.picker.lost_blocks(99);
    desk.picker.returned(a, stale.lease);
    let mut jobs = desk.ask(b, 8);
    jobs.sort_unstable_by_key(|(piece, _)| *piece);
    assert_eq!(jobs, [(0, 0..4), (1, 0..4)]);
}

#[test]
fn nonsense_changes_nothing() {
    let mut desk = Desk::new(5, 2);
    let (a, ghost) = (desk.seed(0), PeerKey(99));
    desk.picker.has(ghost, set("#####"));
    desk.picker.has(a, set("##"));
    desk.picker.gains(ghost, 1);
    desk.picker.gains(a, u32::MAX);
    desk.picker.choking(ghost, true);
    desk.picker.snubbed(ghost, true);
    desk.picker.rate(ghost, 1);
    desk.picker.hungry(ghost, u32::MAX);
    desk.picker.returned(ghost, LeaseId(0));
    desk.picker.leave(ghost);
    desk.picker.set_wanted(set("#"));
    assert!(desk.feed().is_empty());
    assert_eq!(desk.ask(a, u32::MAX).len(), 5);
    desk.picker.rate(a, u64::MAX);
    desk.picker.hungry(a, 0);
    assert!(desk.feed().is_empty());
}
