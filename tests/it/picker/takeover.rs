//! What slow, snubbed and stalled peers hold is taken over by others.

use super::*;

/// A lease once was cut so that all that was cut off had arrived before: a job with nothing to do.
#[test]
fn arrived_blocks_are_cut_off_for_no_peer() {
    let mut driver = Driver::new(1, 4);
    let [first, second, third, fourth] = [0, 1, 2, 3].map(|key| driver.seed(key));
    assert_eq!(driver.ask(first, 4), [(0, 0..4)]);
    let taken = driver.takes(first, 3);
    assert!(taken[2].0.claim.piece().receive(2));
    let lease = driver.lease(first);
    driver.returns(first, lease);
    assert_eq!(driver.ask(second, 4), [(0, 0..4)]);
    assert_eq!(driver.ask(third, 4), [(0, 3..4)]);
    assert_eq!(driver.ask(fourth, 4), [(0, 1..2)]);
}

/// One that had everything is counted with the others from then on.
/// The same of a claim that has been there for long, of a peer of whom nothing else is known.
#[test]
fn blocks_that_arrive_meanwhile_are_cut_off_for_no_peer() {
    let mut driver = Driver::new(1, 8);
    let [holder, waiting, third] = [0, 1, 2].map(|key| driver.seed(key));
    driver.ask(holder, 8);
    driver.rates(&[(third, 1)]);
    let open = driver.jobs[0].1.claim.piece().clone();
    (0..8).for_each(|block| assert!(open.receive(block)));
    assert_eq!(driver.ask(waiting, 8), []);
}

/// One that dribbles and one that has stopped hold the last block between them, and a good one waits.
#[test]
fn what_two_bad_peers_were_asked_for_is_taken_over_within_two_turns() {
    let mut driver = Driver::new(1, 4);
    let (dribbler, stopped, good) = (driver.seed(0), driver.seed(1), driver.seed(2));
    driver.rates(&[(dribbler, 1_000), (stopped, 900_000), (good, 1_000_000)]);
    driver.picker.turn();
    assert_eq!(driver.ask(dribbler, 4), [(0, 0..4)]);
    assert_eq!(driver.takes(dribbler, 4).len(), 4);
    assert_eq!(driver.ask(stopped, 8).into_iter().map(|(_, blocks)| blocks.len()).sum::<usize>(), 4);
    assert_eq!(driver.ask(good, 8), [], "both have only just been asked");
    for turn in 0..2 {
        assert_eq!(driver.assign().len(), 0, "turn {turn}");
        driver.picker.turn();
    }
    let fed = driver.assign();
    assert_eq!(fed.iter().map(|(peer, job)| (*peer, job.claim.range())).collect::<Vec<_>>(), [(good, 0..4)]);
    assert_eq!(driver.rows(0), ["====", "....", "...."]);
    // Should it stop as well, the next one has its turn when it had the time, and not before.
    let other = driver.seed(3);
    driver.rates(&[(other, 1_000_000)]);
    driver.picker.turn();
    assert_eq!(driver.ask(other, 8), []);
    driver.picker.turn();
    assert_eq!(driver.assign().len(), 1);
}

/// A peer that would need long itself is no help. Of one that is not known to be quick one block is asked.
#[test]
fn only_a_peer_that_could_have_sent_a_block_since_takes_it_over() {
    for (rate, blocks) in [(None, 1), (Some(5_000), 0), (Some(40_000), 1), (Some(100_000), 3)] {
        let mut driver = Driver::new(1, 4);
        let (a, b, c) = (driver.seed(0), driver.seed(1), driver.seed(2));
        driver.rates(&[(a, 1_000), (b, 20_000)]);
        driver.ask(a, 4);
        driver.takes(a, 4);
        driver.ask(b, 8);
        driver.takes(b, 4);
        rate.into_iter().for_each(|rate| driver.picker.rate(c, rate));
        driver.picker.wants_blocks(c, 8);
        driver.picker.turn();
        driver.assign();
        driver.picker.turn();
        let fed: u32 = driver.assign().iter().map(|(_, job)| job.claim.range().len() as u32).sum();
        assert_eq!(fed, blocks, "{rate:?}");
    }
}

#[test]
fn a_slow_holder_is_taken_over() {
    let mut driver = Driver::new(1, 8);
    let (slow, quick) = (driver.seed(0), driver.seed(1));
    driver.rates(&[(slow, 200_000), (quick, 2_000_000)]);
    driver.ask(slow, 3);
    driver.takes(slow, 3);
    // First most of what it had not requested.
    driver.ask(quick, 16);
    assert_eq!(
        driver.rows(0),
        [
            "===_____", //
            "___.....",
        ]
    );
    // Then what it has, the last first: all that the quick one, busy with five, could have sooner.
    for _ in 0..9 {
        driver.takes(quick, 16);
        driver.ask(quick, 16);
    }
    driver.takes(quick, 16);
    assert_eq!(
        driver.rows(0),
        [
            "===_____", //
            "========",
        ]
    );
}

/// Claims of one block each, the last of which would come long after an idle peer could have sent it,
/// though that is no quicker.
#[test]
fn the_last_of_many_short_claims_go_to_peers_without_work() {
    for requested in [60, 100] {
        let mut driver = Driver::new(100, 1);
        let (busy, idle) = (driver.seed(0), driver.seed(1));
        let rates = [(busy, 101_000), (idle, 100_000)];
        driver.rates(&rates);
        let mut pieces: Vec<u32> = Vec::new();
        while pieces.len() < 100 {
            pieces.extend(driver.ask(busy, 100).into_iter().map(|(piece, _)| piece));
        }
        driver.takes(busy, requested);
        driver.rates(&rates);
        let mut relieved: Vec<u32> = Vec::new();
        loop {
            let more = driver.ask(idle, 20);
            driver.takes(idle, 100);
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
    let mut driver = Driver::new(9, 8);
    let (snub, other) = (driver.seed(0), driver.seed(1));
    let piece = driver.ask(snub, 8)[0].0;
    driver.takes(snub, 3);
    driver.picker.snubbed(snub, true);
    assert_eq!(driver.rows(piece), ["===_____"]);
    assert_eq!(driver.ask(snub, 8), [], "it owes three blocks");
    assert_eq!(driver.ask(other, 8)[..2], [(piece, 3..8), (piece, 0..3)]);
    driver.returns(snub, driver.lease(snub));
    driver.picker.rate(snub, 0);
    let fed = driver.assign();
    assert_eq!(fed.len(), 1);
    assert_eq!(fed[0].1.claim.range().len(), 1);
    assert_eq!(driver.ask(snub, 8), []);
}

#[test]
fn a_slow_peer_takes_rations_of_what_is_long_anyway() {
    let mut driver = Driver::new(20, 256);
    let (quick, slow) = (driver.seed(0), driver.seed(1));
    // 4 MiB take more than four minutes at 16 KiB/s.
    driver.rates(&[(quick, 100_000), (slow, 16_384)]);
    let piece = driver.begins(quick).unwrap();
    driver.takes(quick, 16);
    let jobs = driver.ask(slow, 2);
    assert_eq!(jobs.len(), 1);
    assert_eq!((jobs[0].0, jobs[0].1.len()), (piece, 10), "ten seconds' worth of the same piece");
}

#[test]
fn slow_peers_do_not_open_pieces_without_bound() {
    let mut driver = Driver::new(400, 64);
    let peers: Vec<PeerKey> = (0..10).map(|key| driver.seed(key)).collect();
    let mut taken = 0;
    for _ in 0..100 {
        for &peer in &peers {
            driver.picker.rate(peer, 20_000);
            driver.ask(peer, 2);
            taken += driver.takes(peer, 1000).len();
        }
    }
    let open: BTreeSet<u32> = driver.jobs.iter().map(|(_, job)| job.claim.piece().index()).collect();
    assert!(taken >= 1000 && open.len() <= 2 * peers.len() + 5, "{} pieces for {taken} blocks", open.len());
}

#[test]
fn a_piece_lent_alone_is_taken_over_when_its_holder_stalls() {
    let mut driver = Driver::new(1, 16);
    let (a, b) = (driver.seed(0), driver.seed(1));
    driver.begins(a);
    driver.judge(0, false, &[a, PeerKey(9)]);
    assert_eq!(driver.ask(b, 1), [(0, 0..16)]);
    driver.takes(b, 1);
    assert_eq!(driver.ask(a, 4), []);
    driver.picker.snubbed(b, true);
    assert_eq!(driver.assign().len(), 1, "even by one on parole, where there is nobody else");
}
