//! Peers that deliver late, nothing or the wrong blocks, and time-outs.

use super::*;

#[test]
fn a_stalled_peer_loses_its_leases_and_is_tried_gently() {
    let mut world = OneSession::with_seed(false);
    let (one, two) = (open(0), open(1));
    let (first, _) = world.lease(&one, 0..BLOCKS);
    let (second, _) = world.lease(&two, 0..BLOCKS);
    world.said();
    world.reports();
    world.pass(Duration::from_millis(9_900)).unwrap();
    assert_eq!(world.reports(), []);
    world.pass(Duration::from_millis(200)).unwrap();
    assert_eq!(world.reports(), [Report::Snubbed(true), Report::Returned(first), Report::Returned(second)]);
    // It still has eight requests of ours, so it gets no others, even if it is given work.
    let (third, _) = world.lease(&two, 0..BLOCKS);
    assert_eq!((world.said(), world.reports()), (vec![], vec![]));
    // It wakes up: what it sends counts, and it is worked with again.
    world.pass(secs(30)).unwrap();
    assert_eq!(world.block(0, 0), BlockOutcome::Ours);
    assert_eq!(world.reports()[0], Report::Snubbed(false));
    for block in 1..8 {
        world.now = world.now + Duration::from_millis(1);
        world.block(0, block);
    }
    let asked = world.requested();
    assert!(asked.starts_with(&[(1, 0), (1, 1)]), "{asked:?}");
    world.session.end();
    assert!(world.reports().contains(&Report::Returned(third)));
}

/// Some of what it owed never came. What it is asked for much later has its own time to arrive, half as long again
/// as its last block took: it once was late at the very moment it was asked.
#[test]
fn one_that_stalled_once_is_not_late_with_what_it_is_asked_for_anew() {
    let mut world = OneSession::with_seed(false);
    world.lease(&open(0), 0..2);
    world.pass(secs(11)).unwrap();
    assert_eq!(world.block(0, 0), BlockOutcome::Ours);
    world.pass(secs(30)).unwrap();
    world.said();
    world.reports();
    let (lease, _) = world.lease(&open(1), 0..1);
    assert_eq!(world.requested(), [(1, 0)]);
    world.pass(Duration::from_millis(16_400)).unwrap();
    assert!(!world.reports().contains(&Report::Snubbed(true)));
    world.pass(Duration::from_millis(200)).unwrap();
    assert_eq!(world.reports(), [Report::Snubbed(true), Report::Returned(lease)]);
}

/// A peer that needs longer for a block than a stall takes is late once, however many requests it has in its queue.
#[test]
fn a_peer_that_is_slow_and_steady_stalls_once() {
    for cap in [1, 2, 500] {
        let mut world = OneSession::with(false, Bitfield::empty(PIECES), cap);
        world.hears(Message::Bitfield(Bitfield::full(PIECES).as_bytes().to_vec()));
        world.hears(Message::Unchoke);
        world.lease(&open(0), 0..BLOCKS);
        world.reports();
        let (mut queue, mut stalls, mut next) = (std::collections::VecDeque::new(), 0, 1);
        for _ in 0..40 {
            let asked = world.said().into_iter().filter_map(|said| match said {
                Message::Request(block) => Some(block),
                _ => None,
            });
            queue.extend(asked);
            world.pass(secs(16)).unwrap();
            let block = queue.pop_front().expect("it is asked for one block at least");
            assert_eq!(world.session.on_block(block, world.now).unwrap(), BlockOutcome::Ours);
            let reports = world.reports();
            stalls += reports.iter().filter(|report| **report == Report::Snubbed(true)).count();
            if reports.iter().any(|report| matches!(report, Report::WantsBlocks(_))) {
                world.lease(&open(next), 0..BLOCKS);
                next += 1;
            }
        }
        assert_eq!(stalls, 1, "with {cap} requests at most");
    }
}

/// Where others delivered all that a stalled peer owed, it is probed with one request.
#[test]
fn a_stalled_peer_is_probed_with_one_request() {
    let mut world = OneSession::with_seed(false);
    let piece = open(0);
    world.lease(&piece, 0..8);
    world.said();
    world.reports();
    world.pass(secs(11)).unwrap();
    world.reports();
    (0..8).for_each(|block| assert!(piece.receive(block)));
    world.session.announce(&[0]);
    let cancels = world.said().into_iter().filter(|said| matches!(said, Message::Cancel(_)));
    assert_eq!(cancels.count(), 8);
    assert_eq!(world.reports(), [Report::WantsBlocks(1)]);
    let (probe, _) = world.lease(&open(1), 0..BLOCKS);
    assert_eq!(world.requested(), [(1, 0)]);
    world.pass(secs(11)).unwrap();
    assert_eq!(world.reports(), [Report::Returned(probe)]);
}

#[test]
fn one_that_never_delivers_is_left_and_one_that_once_did_too() {
    for (delivers, reason) in
        [(false, DisconnectReason::Violation(Violation::NeverDelivers)), (true, DisconnectReason::Silent)]
    {
        let mut world = OneSession::with_seed(false);
        world.lease(&open(0), 0..BLOCKS);
        if delivers {
            world.block(0, 0);
        }
        let start = world.now;
        let why = loop {
            if let Err(why) = world.pass(secs(1)) {
                break why;
            }
            world.hears(Message::KeepAlive);
        };
        assert_eq!((why, world.now - start), (reason, secs(120)));
    }
}

/// It was called again and again, and nothing told why nothing came of it.
#[test]
fn one_that_answers_with_other_blocks_than_asked_is_named_when_it_stalls() {
    for (strays, named) in [(3, false), (4, true)] {
        let mut world = OneSession::with_seed(false);
        world.lease(&open(0), 0..BLOCKS);
        (0..strays).for_each(|block| assert_eq!(world.block(1, block), BlockOutcome::Unrequested));
        let wrong = Err(DisconnectReason::Violation(Violation::UnrequestedBlock));
        assert_eq!(world.pass(secs(11)), if named { wrong } else { Ok(()) });
    }
    // Who has sent something as asked is slow, not wrong.
    let mut world = OneSession::with_seed(false);
    world.lease(&open(0), 0..BLOCKS);
    (0..4).for_each(|block| assert_eq!(world.block(1, block), BlockOutcome::Unrequested));
    assert_eq!(world.block(0, 0), BlockOutcome::Ours);
    assert_eq!(world.pass(secs(11)), Ok(()));
}

/// Found in the simulated world: a peer that lost its power right after it unchoked us was banned.
#[test]
fn one_that_vanished_before_it_delivered_did_nothing_wrong() {
    let mut world = OneSession::with_seed(false);
    world.lease(&open(0), 0..BLOCKS);
    world.pass(secs(5)).unwrap();
    world.hears(Message::Have(3));
    let why = (0..120).find_map(|_| world.pass(secs(1)).err());
    assert_eq!((why, world.now), (Some(DisconnectReason::Silent), Moment::from_secs(1120)));
}

#[test]
fn our_own_slowness_is_not_held_against_the_peer() {
    let mut world = OneSession::with_seed(false);
    world.lease(&open(0), 0..BLOCKS);
    world.reports();
    for _ in 0..600 {
        world.pass(secs(1)).unwrap();
        world.session.excuse(world.now);
    }
    assert_eq!(world.reports(), []);
    world.pass(Duration::from_millis(10_100)).unwrap();
    assert_eq!(world.reports()[0], Report::Snubbed(true));
}

#[test]
fn silence_is_filled_and_ends_the_conversation() {
    let mut world = OneSession::new(false);
    world.pass(secs(99)).unwrap();
    assert_eq!(world.said(), []);
    world.pass(secs(2)).unwrap();
    assert_eq!(world.said(), [Message::KeepAlive]);
    assert_eq!(world.pass(secs(100)), Err(DisconnectReason::Silent));
    assert_eq!(world.now, Moment::from_secs(1150));
    // With keep-alives it goes on for ever, at one of ours every 100 s.
    let mut world = OneSession::new(false);
    for _ in 0..100 {
        world.pass(secs(120)).unwrap();
        world.hears(Message::KeepAlive);
    }
    assert_eq!(world.said().len(), 120);
}
