//! Returned leases, lost blocks and verdicts: the picker's accounts stay right.

use super::*;

#[test]
fn a_returned_lease_frees_just_what_is_missing() {
    let mut driver = Driver::new(1, 10);
    let (a, b) = (driver.seed(0), driver.seed(1));
    assert_eq!(driver.ask(a, 10), [(0, 0..10)]);
    for (job, block) in driver.takes(a, 4) {
        assert!(block == 2 || job.claim.piece().receive(block));
    }
    assert_eq!(driver.rows(0), ["====......"]);
    let lease = driver.lease(a);
    driver.returns(b, lease);
    assert!(driver.assign().is_empty(), "not its lease to return");
    driver.returns(a, lease);
    assert_eq!(driver.ask(b, 10), [(0, 2..10)]);
    driver.returns(a, lease);
    assert_eq!(driver.rows(0), ["__........"], "a lease ends once");
    assert_eq!(driver.takes(b, 9).len(), 7, "block 3 has arrived");
}

#[test]
fn a_piece_of_which_nothing_came_is_not_begun() {
    let mut driver = Driver::new(3, 4);
    let (a, b) = (driver.seed(0), driver.peer(1, "#__"));
    while driver.begins(a).is_some() {}
    driver.picker.leave(a);
    assert_eq!(driver.begins(b), Some(0));
    let c = driver.seed(2);
    assert_eq!(driver.ask(c, 8).len(), 2);
}

#[test]
fn a_peer_that_rejects_what_it_has_is_not_asked_again_at_once() {
    let mut driver = Driver::new(1, 4);
    let a = driver.seed(0);
    driver.begins(a);
    driver.returns(a, driver.lease(a));
    assert_eq!(driver.ask(a, 4), []);
    driver.picker.rate(a, 0);
    assert_eq!(driver.assign().len(), 1, "a second later");
}

#[test]
fn verdicts_keep_the_books() {
    let mut driver = Driver::new(3, 2);
    let (a, b) = (driver.seed(0), driver.peer(1, "##_"));
    assert!(driver.picker.is_seed(a) && !driver.picker.is_seed(b) && driver.picker.seeds() == 1);
    assert_eq!(driver.judge(99, false, &[a]), Blame::default(), "no such piece");
    driver.judge(0, true, &[a]);
    driver.judge(0, true, &[a]);
    assert_eq!(driver.judge(0, false, &[PeerKey(77)]).culprits, [PeerKey(77)], "known or not");
    assert!(driver.picker.have().has(0), "what is verified stays verified");
    assert!(driver.picker.interesting(b));
    driver.judge(1, true, &[a, b]);
    assert!(!driver.picker.interesting(b) && driver.picker.interesting(a));
    driver.picker.gains(b, 2);
    assert!(driver.picker.interesting(b) && driver.picker.is_seed(b) && driver.picker.seeds() == 2);
    driver.judge(2, true, &[b]);
    assert!(driver.picker.is_finished() && driver.picker.have().is_full());
    driver.picker.leave(a);
    assert!(!driver.picker.is_seed(a) && driver.picker.seeds() == 1);
}

#[test]
fn lost_blocks_are_fetched_again() {
    let mut driver = Driver::new(2, 4);
    let (a, b) = (driver.seed(0), driver.seed(1));
    let piece = driver.begins(a).unwrap();
    let stale = driver.jobs[0].1.clone();
    (0..3).for_each(|block| assert!(stale.claim.piece().receive(block)));
    driver.picker.lost_blocks(piece);
    driver.picker.lost_blocks(99);
    driver.picker.returned(a, stale.lease);
    let mut jobs = driver.ask(b, 8);
    jobs.sort_unstable_by_key(|(piece, _)| *piece);
    assert_eq!(jobs, [(0, 0..4), (1, 0..4)]);
}

#[test]
fn nonsense_changes_nothing() {
    let mut driver = Driver::new(5, 2);
    let (a, ghost) = (driver.seed(0), PeerKey(99));
    driver.picker.has(ghost, set("#####"));
    driver.picker.has(a, set("##"));
    driver.picker.gains(ghost, 1);
    driver.picker.gains(a, u32::MAX);
    driver.picker.choking(ghost, true);
    driver.picker.snubbed(ghost, true);
    driver.picker.rate(ghost, 1);
    driver.picker.wants_blocks(ghost, u32::MAX);
    driver.picker.returned(ghost, LeaseId(0));
    driver.picker.leave(ghost);
    driver.picker.set_wanted(set("#"));
    assert!(driver.assign().is_empty());
    assert_eq!(driver.ask(a, u32::MAX).len(), 5);
    driver.picker.rate(a, u64::MAX);
    driver.picker.wants_blocks(a, 0);
    assert!(driver.assign().is_empty());
}
