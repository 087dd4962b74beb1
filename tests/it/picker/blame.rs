//! Which peer is blamed for a piece that fails its hash.

use super::*;

#[test]
fn one_contributor_of_a_bad_piece_is_convicted() {
    let mut driver = Driver::new(4, 2);
    let (a, b) = (driver.seed(0), driver.seed(1));
    let piece = driver.begins(a).unwrap();
    let blame = driver.delivers(a, piece, false);
    assert_eq!((blame.culprits, blame.suspects), (vec![a], vec![]));
    assert_eq!(driver.begins(a), None, "it gets nothing more");
    let mut got: Vec<u32> = (0..4).filter_map(|_| driver.begins(b)).collect();
    got.sort_unstable();
    assert_eq!(got, [0, 1, 2, 3]);
}

#[test]
fn several_contributors_go_on_parole_until_one_good_piece() {
    let mut driver = Driver::new(12, 16);
    let (a, b, c) = (driver.seed(0), driver.seed(1), driver.seed(2));
    let bad = driver.begins(a).unwrap();
    let blame = driver.judge(bad, false, &[a, b]);
    assert_eq!((blame.culprits, blame.suspects), (vec![], vec![a, b]));

    // The bad piece is not for a suspect while someone better has it, and is that one's alone.
    let of_a = driver.begins(a).unwrap();
    assert_ne!(of_a, bad);
    assert_eq!(driver.begins(c), Some(bad));

    // No other peer shares either piece, however many blocks it wants; nor may a suspect share what others began.
    while driver.begins(c).is_some() {}
    assert_eq!(driver.rows(of_a), [".".repeat(16)]);
    assert_eq!(driver.rows(bad), [".".repeat(16)]);
    assert_eq!(driver.begins(b), None);

    // A good piece with others ends nothing; a good piece alone ends it.
    driver.judge(of_a, true, &[a, c]);
    driver.picker.wants_blocks(a, 1);
    assert!(driver.assign().iter().all(|(peer, _)| *peer != a));
    driver.judge(bad, true, &[a]);
    assert!(driver.assign().iter().any(|(peer, _)| *peer == a), "it may share again");
}

#[test]
fn suspects_get_the_bad_piece_if_no_better_peer_has_it() {
    let mut driver = Driver::new(1, 16);
    let (a, b) = (driver.seed(0), driver.seed(1));
    driver.begins(a);
    driver.judge(0, false, &[a, b]);
    assert_eq!(driver.begins(a), Some(0));
    assert_eq!(driver.begins(b), None);
    // Now it is certain.
    assert_eq!(driver.delivers(a, 0, false).culprits, [a]);
    assert_eq!(driver.assign().len(), 1, "b waited");
    assert_eq!(driver.delivers(b, 0, true), Blame::default());
    assert!(driver.picker.is_finished());
}

#[test]
fn three_bad_pieces_and_no_good_one_convict() {
    let mut driver = Driver::new(12, 2);
    let (a, b) = (driver.seed(0), driver.seed(1));
    assert_eq!(driver.delivers(b, 9, true), Blame::default());
    assert_eq!(driver.judge(0, false, &[a, b]).suspects, [a, b]);
    assert_eq!(driver.judge(1, false, &[a, b]).suspects, [a, b]);
    let blame = driver.judge(2, false, &[a, b]);
    assert_eq!((blame.culprits, blame.suspects), (vec![a], vec![b]));
}

#[test]
fn bad_pieces_under_way_together_are_one_suspicion() {
    let mut driver = Driver::new(12, 2);
    let (a, b) = (driver.seed(0), driver.seed(1));
    assert_eq!(driver.judge(11, true, &[b]), Blame::default());
    let mut under_way = driver.ask(a, 6);
    assert_eq!(under_way.len(), 3);
    for (piece, _) in under_way.drain(..) {
        assert_eq!(driver.judge(piece, false, &[a, b]).suspects, [a, b]);
    }
    // What is begun after that counts again.
    let (next, last) = (driver.begins(a).unwrap(), driver.begins(a).unwrap());
    assert_eq!(driver.judge(next, false, &[a, b]).culprits, []);
    assert_eq!(driver.judge(last, false, &[a, b]).culprits, []);
    let piece = driver.begins(a).unwrap();
    assert_eq!(driver.judge(piece, false, &[a, b]).culprits, [a]);
}

/// Found in the simulated world: a liar that had a part in every piece had everyone honest banned.
#[test]
fn if_several_have_no_good_piece_none_is_convicted() {
    let mut driver = Driver::new(12, 2);
    let (a, b, c) = (driver.seed(0), driver.seed(1), driver.seed(2));
    for piece in 0..6 {
        assert_eq!(driver.judge(piece, false, &[a, b, c]).suspects, [a, b, c]);
    }
    driver.judge(6, true, &[b]);
    assert_eq!(driver.judge(7, false, &[a, b, c]).suspects, [a, b, c]);
    driver.judge(8, true, &[c]);
    assert_eq!(driver.judge(9, false, &[a, b, c]).culprits, [a]);
}

/// Found in the simulated world: slow suspects shared every piece, and so never cleared themselves.
#[test]
fn suspects_leave_one_another_alone_however_slow_they_are() {
    let mut driver = Driver::new(1, 64);
    let (a, b) = (driver.seed(0), driver.seed(1));
    driver.picker.rate(a, 10_000);
    driver.picker.rate(b, 10_000);
    driver.judge(0, false, &[a, b]);
    assert_eq!(driver.ask(a, 4), [(0, 0..64)]);
    assert_eq!(driver.ask(b, 4), []);
    // One that is trusted may help: the end is not held up.
    let c = driver.seed(2);
    assert_eq!(driver.ask(c, 4).len(), 1);
}
