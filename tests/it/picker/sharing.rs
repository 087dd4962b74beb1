//! Several peers on one piece, and the endgame.

use super::*;

#[test]
fn four_huge_pieces_keep_eight_peers_busy() {
    let mut driver = Driver::new(4, 32);
    for key in 0..8 {
        let peer = driver.seed(key);
        assert_eq!(driver.ask(peer, 4).len(), 1);
        driver.takes(peer, 4);
    }
    for piece in 0..4 {
        // The first peer has requested 4 of the half that is left to it.
        assert_eq!(
            driver.rows(piece),
            [
                "====............________________", //
                "________________====............",
            ]
        );
    }
}

#[test]
fn a_split_follows_the_rates() {
    let mut driver = Driver::new(1, 44);
    let (slow, quick) = (driver.seed(0), driver.seed(1));
    driver.rates(&[(slow, 100_000), (quick, 300_000)]);
    driver.ask(slow, 4);
    driver.takes(slow, 4);
    driver.ask(quick, 4);
    assert_eq!(
        driver.rows(0),
        [
            "====......._________________________________", //
            "___________.................................",
        ]
    );
}

#[test]
fn the_claim_that_would_take_longest_is_split() {
    let mut driver = Driver::new(2, 40);
    let (slow, quick, third) = (driver.seed(0), driver.seed(1), driver.seed(2));
    driver.rates(&[(slow, 100_000), (quick, 1_000_000), (third, 1_000_000)]);
    let of_slow = driver.begins(slow).unwrap();
    driver.takes(slow, 20);
    driver.begins(quick);
    driver.takes(quick, 4);
    // 20 blocks at 100 kB/s take longer than 36 at 1 MB/s.
    assert_eq!(driver.begins(third), Some(of_slow));
}

#[test]
fn the_endgame_is_bounded_and_asks_no_peer_twice() {
    let mut driver = Driver::new(1, 40);
    let (a, b, c) = (driver.seed(0), driver.seed(1), driver.seed(2));
    driver.ask(a, 40);
    driver.takes(a, 40);
    // Half of what is outstanding, but 16 blocks at most, and no more than was asked for.
    assert_eq!(driver.ask(b, 100), [(0, 24..40)]);
    assert_eq!(driver.ask(c, 5), [(0, 19..24)]);
    assert_eq!(driver.ask(a, 5), [], "all of it is its own already");
    // However often they ask, no block goes to more than two.
    while !driver.ask(b, 4).is_empty() || !driver.ask(c, 4).is_empty() {}
    for block in 0..40 {
        let holds = |(_, job): &&(PeerKey, PieceJob)| job.claim.range().contains(&block);
        let holders: Vec<_> = driver.jobs.iter().filter(holds).map(|(peer, _)| peer).collect();
        assert_eq!(holders.len(), 2, "block {block}");
        assert_ne!(holders[0], holders[1]);
    }
}

#[test]
fn the_endgame_leaves_the_quicker_alone_until_all_is_requested() {
    let mut driver = Driver::new(3, 4);
    let (a, b, c) = (driver.peer(0, "#__"), driver.peer(1, "#__"), driver.peer(2, "###"));
    driver.rates(&[(a, 500_000), (b, 400_000), (c, 100_000)]);
    driver.begins(a);
    driver.takes(a, 4);
    assert_eq!(driver.ask(b, 4), [], "pieces 1 and 2 are not begun");
    driver.ask(c, 8);
    driver.takes(c, 8);
    driver.picker.rate(a, 500_000);
    driver.assign();
    // By the time that a has sent the first two, b has the other two.
    assert_eq!(driver.rows(0), ["====", "__.."], "now everything is requested");
}
