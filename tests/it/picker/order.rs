//! Which piece comes next: rarest first, sequential, suggested, allowed fast, wanted, begun.

use super::*;

#[test]
fn a_piece_a_peer_lost_is_rarer_and_not_asked_of_it() {
    let mut driver = Driver::new(10, 1);
    past_the_first_four(&mut driver);
    let seed = driver.seed(0);
    driver.peer(1, "#####_____");
    assert!(driver.picker.is_seed(seed));
    (0..6).for_each(|piece| driver.picker.loses(seed, piece));
    // Lost twice, out of range, or never had: nothing.
    [0, 10, u32::MAX].into_iter().for_each(|piece| driver.picker.loses(seed, piece));
    driver.picker.loses(PeerKey(9), 0);
    assert!(!driver.picker.is_seed(seed) && !driver.picker.interesting(seed));
    assert_eq!((driver.picker.held_by(seed), driver.picker.seeds()), (4, 0));
    driver.picker.gains(seed, 5);
    assert!(driver.picker.interesting(seed));
    driver.picker.loses(PeerKey(1), 4);
    assert_eq!(driver.picker.held_by(PeerKey(1)), 4);
    (0..10).for_each(|piece| driver.picker.gains(seed, piece));
    assert!(driver.picker.is_seed(seed));
    driver.picker.leave(seed);
    assert_eq!(driver.picker.seeds(), 0);
}

#[test]
fn the_rarest_pieces_come_first() {
    let mut driver = Driver::new(10, 1);
    past_the_first_four(&mut driver);
    let seed = driver.seed(0);
    driver.peer(1, "###_##____");
    driver.peer(2, "#_#_#_____");
    driver.peer(3, "#_#_______");
    // counts     313021
    let order: Vec<u32> = std::iter::from_fn(|| driver.begins(seed)).collect();
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
            let mut driver = Driver::with(30, 1, false, seed);
            past_the_first_four(&mut driver);
            let peer = driver.seed(0);
            std::iter::from_fn(|| driver.begins(peer)).collect()
        })
        .collect();
    assert!(orders[0] != orders[1] && orders[1] != orders[2]);
    assert!(orders.iter().all(|order| order.len() == 26));
}

#[test]
fn rarity_follows_peers_that_come_and_go() {
    let mut driver = Driver::new(8, 1);
    past_the_first_four(&mut driver);
    let seed = driver.seed(0);
    let (a, b) = (driver.peer(1, "###_____"), driver.peer(2, "#_##____"));
    driver.picker.gains(b, 1);
    // Counts are 2221.
    driver.picker.leave(a);
    driver.picker.gains(seed, 3);
    driver.picker.gains(b, 3);
    driver.picker.leave(b);
    let c = driver.peer(3, "__##____");
    driver.picker.gains(c, 0);
    assert_eq!(driver.begins(seed), Some(1));
}

#[test]
fn the_first_four_pieces_are_random_rather_than_rare() {
    let firsts: BTreeSet<u32> = (0..40)
        .map(|seed| {
            let mut driver = Driver::with(50, 1, false, seed);
            let peer = driver.seed(0);
            driver.peer(1, &("_".to_owned() + &"#".repeat(49)));
            driver.begins(peer).unwrap()
        })
        .collect();
    assert!(firsts.len() > 10, "piece 0 is rarest, yet any may be first: {firsts:?}");
}

#[test]
fn sequential_is_in_order_whatever_is_rare() {
    let mut driver = Driver::with(6, 1, true, 3);
    let (a, b) = (driver.seed(0), driver.peer(1, "__####"));
    driver.picker.suggested(a, 5);
    assert_eq!(driver.begins(a), Some(0));
    assert_eq!(driver.begins(b), Some(2));
    assert_eq!(driver.begins(a), Some(1));
    assert_eq!(driver.begins(a), Some(3));
    // A piece that was bad is next again.
    driver.delivers(b, 2, false);
    assert_eq!(driver.begins(a), Some(2));
}

/// A film would wait for what lies anywhere: in order means from the first piece on, choked or not.
#[test]
fn sequential_takes_what_may_be_had_while_choked_only_where_it_is_next() {
    let mut driver = Driver::with(6, 1, true, 3);
    let a = driver.seed(0);
    driver.picker.choking(a, true);
    driver.picker.allowed_fast(a, 4);
    driver.picker.allowed_fast(a, 1);
    assert_eq!(driver.begins(a), None);
    driver.picker.allowed_fast(a, 0);
    assert_eq!((driver.begins(a), driver.begins(a), driver.begins(a)), (Some(0), Some(1), None));
}

#[test]
fn a_verified_piece_that_is_lost_is_fetched_again() {
    let mut driver = Driver::new(3, 1);
    let (a, b) = (driver.seed(0), driver.peer(1, "_#_"));
    for _ in 0..3 {
        let piece = driver.begins(a).unwrap();
        driver.delivers(a, piece, true);
    }
    assert!(driver.picker.is_finished() && !driver.picker.interesting(b));
    driver.picker.wants_blocks(a, 1);
    driver.picker.lose(1);
    assert_eq!((driver.picker.is_finished(), driver.picker.have().count()), (false, 2));
    assert!(driver.picker.interesting(a) && driver.picker.interesting(b));
    // What is lost already, or past the end, is nothing new.
    [1, 3].into_iter().for_each(|piece| driver.picker.lose(piece));
    assert_eq!(driver.assign()[0].1.claim.piece().index(), 1, "the peer that waits is fed");
    driver.delivers(a, 1, true);
    assert!(driver.picker.is_finished() && !driver.picker.interesting(b));
}

#[test]
fn a_lost_piece_that_is_not_wanted_is_not_fetched_and_may_turn_out_right() {
    let mut driver = Driver::new(2, 1);
    let a = driver.seed(0);
    for _ in 0..2 {
        let piece = driver.begins(a).unwrap();
        driver.delivers(a, piece, true);
    }
    driver.picker.set_wanted(set("_#"));
    driver.picker.lose(0);
    assert!(driver.picker.is_finished() && !driver.picker.interesting(a));
    assert_eq!((driver.picker.have().has(0), driver.assign().len()), (false, 0));
    [0, 2].into_iter().for_each(|piece| driver.picker.regain(piece));
    driver.picker.set_wanted(set("##"));
    assert!(driver.picker.is_finished() && driver.picker.have().is_full());
    // One that is being fetched meanwhile is there all the same.
    driver.picker.lose(0);
    assert_eq!(driver.begins(a), Some(0));
    driver.picker.regain(0);
    assert!(driver.picker.is_finished() && driver.begins(a).is_none());
}

#[test]
fn only_what_is_wanted_is_fetched() {
    let mut driver = Driver::new(6, 1);
    let (a, b) = (driver.seed(0), driver.peer(1, "###___"));
    driver.picker.set_wanted(set("___#_#"));
    assert!(driver.picker.interesting(a) && !driver.picker.interesting(b));
    assert_eq!(driver.begins(b), None);
    let mut got = [driver.begins(a).unwrap(), driver.begins(a).unwrap()];
    got.sort_unstable();
    assert_eq!((got, driver.begins(a)), ([3, 5], None));
    assert!(!driver.picker.is_finished());
    got.into_iter().for_each(|piece| assert_eq!(driver.delivers(a, piece, true), Blame::default()));
    assert!(driver.picker.is_finished() && !driver.picker.interesting(a));
    driver.picker.set_wanted(set("_#_#_#"));
    assert!(!driver.picker.is_finished() && driver.picker.interesting(b));
    assert_eq!(driver.assign()[0].1.claim.piece().index(), 1, "whoever waited is fed");
}

#[test]
fn a_suggestion_counts_among_equals_only() {
    let mut driver = Driver::new(60, 1);
    past_the_first_four(&mut driver);
    let seed = driver.seed(0);
    driver.peer(1, &("_".to_owned() + &"#".repeat(59)));
    driver.picker.suggested(seed, 33);
    driver.picker.suggested(seed, 1_000_000);
    assert_eq!(driver.begins(seed), Some(0), "rarer than what was suggested");
    assert_eq!(driver.begins(seed), Some(33));
}

#[test]
fn a_choking_peer_is_asked_for_allowed_pieces_only() {
    let mut driver = Driver::new(6, 1);
    let peer = driver.peer(0, "_#####");
    driver.picker.choking(peer, true);
    assert_eq!(driver.begins(peer), None);
    driver.picker.allowed_fast(peer, 0);
    driver.picker.allowed_fast(peer, 4);
    driver.picker.allowed_fast(peer, 77);
    assert_eq!(driver.assign()[0].1.claim.piece().index(), 4, "it waited for that");
    assert_eq!(driver.begins(peer), None);
    driver.picker.choking(peer, false);
    assert_eq!(driver.assign().len(), 1);
}

#[test]
fn small_pieces_come_several_at_once_and_huge_ones_alone() {
    let mut driver = Driver::new(100, 4);
    let peer = driver.seed(0);
    let jobs = driver.ask(peer, 30);
    assert_eq!(jobs.len(), 8, "8 pieces of 4 blocks for 30 blocks");
    assert!(jobs.iter().all(|(_, blocks)| *blocks == (0..4)));
    let mut driver = Driver::new(4, 1024);
    let peer = driver.seed(0);
    assert_eq!(driver.ask(peer, 30).len(), 1);
}

#[test]
fn what_is_begun_is_finished_first() {
    let mut driver = Driver::new(20, 8);
    let (a, b) = (driver.seed(0), driver.seed(1));
    let (first, second) = (driver.begins(a).unwrap(), driver.begins(a).unwrap());
    for (job, block) in driver.takes(a, 8 + 6) {
        // Two blocks come of the first piece, six of the second.
        if job.claim.piece().index() == second || block < 2 {
            assert!(job.claim.piece().receive(block));
        }
    }
    driver.picker.leave(a);
    assert_eq!(driver.ask(b, 1), [(second, 6..8)]);
    assert_eq!(driver.ask(b, 1), [(first, 2..8)]);
    assert!(![first, second].contains(&driver.begins(b).unwrap()));
}
