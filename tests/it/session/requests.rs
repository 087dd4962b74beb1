//! Requests: the pipeline is kept full, the cap holds, and what others delivered is cancelled.

use std::collections::VecDeque;

use super::*;

#[test]
fn a_hungry_session_is_fed_and_keeps_its_pipeline_full() {
    let mut world = OneSession::new(false);
    world.hears(Message::Bitfield(Bitfield::full(PIECES).as_bytes().to_vec()));
    assert_eq!(world.reports(), [Report::Has(Bitfield::full(PIECES))]);
    world.hears(Message::Unchoke);
    let [Report::Choking(false), Report::WantsBlocks(n)] = world.reports()[..] else { panic!("not hungry") };
    assert!((8..=16).contains(&n), "{n}");
    // Not again until something changes.
    world.hears(Message::KeepAlive);
    assert_eq!(world.reports(), []);
    world.said();

    let (one, two) = (open(0), open(5));
    world.lease(&one, 0..BLOCKS);
    assert_eq!(world.requested(), (0..8).map(|block| (0, block)).collect::<Vec<_>>());
    assert_eq!(world.reports(), []);
    world.lease(&two, 4..8);
    // In the order of the leases; one more for each while the pipeline grows.
    let mut asked: VecDeque<_> = (0..8).map(|block| (0, block)).collect();
    let (mut order, mut hungry) = (asked.clone(), 0);
    while let Some((piece, block)) = asked.pop_front() {
        world.now = world.now + Duration::from_millis(1);
        assert_eq!(world.block(piece, block), BlockOutcome::Ours);
        let more = world.requested();
        assert!(more.len() <= 2);
        asked.extend(&more);
        order.extend(&more);
        hungry += world.reports().iter().filter(|report| matches!(report, Report::WantsBlocks(_))).count();
    }
    let all = (0..BLOCKS).map(|block| (0, block)).chain((4..8).map(|block| (5, block)));
    assert_eq!(order, all.collect::<VecDeque<_>>());
    // Once when it ran low, and once when nothing was left to come.
    assert_eq!((one.missing(), two.missing(), hungry), (0, BLOCKS - 4, 2));
    // Both leases ended without a word.
    world.session.end();
    assert_eq!(world.reports(), []);
}

/// Leases come in bursts: only after the last of them is it said how much more there could be.
#[test]
fn hunger_is_reported_once_for_a_burst_of_leases() {
    let mut world = OneSession::with_seed(false);
    for piece in 0..5 {
        world.give(&open(piece), 0..1);
    }
    assert_eq!((world.requested().len(), world.reports()), (5, vec![]));
    world.pass(Duration::ZERO).unwrap();
    assert!(matches!(world.reports()[..], [Report::WantsBlocks(_)]));
    world.pass(secs(5)).unwrap();
    assert_eq!(world.reports(), []);
}

#[test]
fn the_cap_holds() {
    for cap in [1, 5, 30] {
        let mut world = OneSession::with(false, Bitfield::empty(PIECES), cap);
        world.hears(Message::Bitfield(Bitfield::full(PIECES).as_bytes().to_vec()));
        world.hears(Message::Unchoke);
        let mut asked = VecDeque::new();
        for piece in 0..30 {
            world.lease(&open(piece), 0..BLOCKS);
        }
        for _ in 0..400 {
            asked.extend(world.requested());
            assert_eq!(asked.len(), world.session.outstanding());
            assert!(asked.len() <= cap as usize);
            world.now = world.now + Duration::from_millis(1);
            let (piece, block) = asked.pop_front().expect("a request");
            world.block(piece, block);
        }
        asked.extend(world.requested());
        assert_eq!(asked.len(), cap as usize, "the cap is reached");
    }
}

#[test]
fn unrequested_blocks_are_let_pass_for_a_while() {
    let mut world = OneSession::with_seed(false);
    world.lease(&open(0), 0..4);
    for odd in [
        request(9, 0),
        BlockRef { begin: 1, ..request(0, 0) },
        BlockRef { length: 5, ..request(0, 0) },
        BlockRef { piece: u32::MAX, begin: u32::MAX, length: 1 },
    ] {
        assert_eq!(world.session.on_block(odd, world.now), Ok(BlockOutcome::Unrequested));
    }
    assert_eq!(world.block(0, 0), BlockOutcome::Ours);
    // The same again is one of them.
    assert_eq!(world.block(0, 0), BlockOutcome::Unrequested);
    let nth = (0..1000)
        .position(|_| world.session.on_block(request(9, 0), world.now) == Err(Violation::UnrequestedBlock));
    // What came as asked makes up for a sixteenth of one.
    assert_eq!(nth, Some(59));
}

/// One for one they would make up for each other, and half of what comes would be of no use.
#[test]
fn blocks_sent_twice_are_a_violation() {
    let mut world = OneSession::with_seed(false);
    let twice =
        (0..20).flat_map(|piece| (0..4).map(move |block| (piece, block))).position(|(piece, block)| {
            if block == 0 {
                world.lease(&open(piece), 0..4);
            }
            assert_eq!(world.block(piece, block), BlockOutcome::Ours);
            world.session.on_block(request(piece, block), world.now).is_err()
        });
    assert_eq!(twice, Some(68));
}

#[test]
fn what_others_delivered_is_cancelled() {
    for fast in [false, true] {
        let mut world = OneSession::with_seed(fast);
        let piece = open(3);
        world.lease(&piece, 0..8);
        assert_eq!(world.requested().len(), 8);
        assert!([1, 2, 7].map(|block| piece.receive(block)).iter().all(|first| *first));
        world.now = world.now + Duration::from_millis(20);
        assert_eq!(world.block(3, 0), BlockOutcome::Ours);
        assert_eq!(world.said(), [1, 2, 7].map(|block| Message::Cancel(request(3, block))));
        assert_eq!(world.session.outstanding(), 4);
        // It may have been on its way, or be rejected: all as it should be.
        assert_eq!(world.block(3, 1), BlockOutcome::Duplicate);
        if fast {
            world.hears(Message::Reject(request(3, 2)));
        }
        // The piece is verified: the rest is cancelled at once.
        (3..7).for_each(|block| assert!(piece.receive(block)));
        world.session.announce(&[3]);
        assert_eq!(world.said(), [3, 4, 5, 6].map(|block| Message::Cancel(request(3, block))));
        world.session.end();
        assert!(!world.reports().iter().any(|report| matches!(report, Report::Returned(_))));
    }
}

/// Found in the simulated world: a lease of which one block was rejected and another delivered the
/// rest was returned only when the pause after the rejection was over.
#[test]
fn a_spent_lease_is_returned_as_soon_as_others_delivered_the_rest() {
    let mut world = OneSession::with_seed(true);
    let piece = open(0);
    let (lease, _) = world.lease(&piece, 0..2);
    world.reports();
    world.hears(Message::Reject(pieces().block(0, 0)));
    assert!(!world.reports().contains(&Report::Returned(lease)));
    assert!(piece.receive(1));
    world.now = world.now + Duration::from_millis(5);
    world.session.on_time(world.now).unwrap();
    assert!(world.reports().contains(&Report::Returned(lease)));
}
