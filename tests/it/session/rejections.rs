//! The Fast Extension's `reject` (BEP 6): what becomes of a lease, and of a peer that rejects everything.

use super::*;

#[test]
fn a_rejection_returns_the_lease_once_the_rest_is_there() {
    let mut world = OneSession::with_seed(true);
    let piece = open(1);
    let (lease, claim) = world.lease(&piece, 0..12);
    assert_eq!(world.requested().len(), 8);
    world.hears(Message::Reject(request(1, 3)));
    for block in [0, 1, 2, 4, 5, 6, 7] {
        assert!(!world.reports().contains(&Report::Returned(lease)));
        world.block(1, block);
    }
    // It asked for nothing more of that lease, and asks for work again.
    assert_eq!(world.said(), []);
    assert!(matches!(world.reports()[..], [Report::Returned(l), Report::WantsBlocks(_)] if l == lease));
    assert_eq!((claim.unrequested(), piece.missing()), (4, BLOCKS - 7));
}

/// A peer that rejects whatever it is asked is asked ever more slowly, and dropped in the end.
#[test]
fn a_peer_that_rejects_everything_is_not_asked_in_a_tight_circle() {
    let mut world = OneSession::with_seed(true);
    let (mut rejected, mut asked) = (0, 0);
    let start = world.now;
    let mut heard = start;
    let violation = 'talk: loop {
        assert!(asked < 5_000);
        if world.reports().iter().any(|report| matches!(report, Report::WantsBlocks(_))) || asked == 0 {
            asked += 1;
            let piece = open(asked % PIECES);
            let blocks = piece.blocks();
            world.lease(&piece, 0..blocks);
        }
        for (piece, block) in world.requested() {
            rejected += 1;
            if let Err(violation) = world.hear(Message::Reject(request(piece, block))) {
                break 'talk violation;
            }
        }
        // Nothing changes before the session's deadline. The peer says something every second.
        let due = world.session.deadline().max(world.now + Duration::from_millis(1));
        world.pass(due.min(heard + secs(1)) - world.now).unwrap();
        if world.now == heard + secs(1) {
            world.hears(Message::KeepAlive);
            heard = world.now;
        }
    };
    assert_eq!(violation, Violation::NeverDelivers);
    assert!(world.now - start > secs(60), "{:?} for {rejected}", world.now - start);
}

#[test]
fn rejecting_what_was_never_asked_for_is_a_violation() {
    let mut world = OneSession::with_seed(true);
    let nth = (0..1000).position(|_| world.hear(Message::Reject(request(0, 0))) == Err(Violation::BadReject));
    assert_eq!(nth, Some(64));
}

/// Found in the simulated world: rejections of what a choke had ended were taken for those of the same
/// blocks requested anew.
#[test]
fn a_late_rejection_does_not_end_what_was_asked_since() {
    let mut world = OneSession::with_seed(true);
    world.lease(&open(0), 0..4);
    assert_eq!(world.requested().len(), 4);
    world.hears(Message::Choke);
    world.hears(Message::Unchoke);
    let piece = open(0);
    let (anew, _) = world.lease(&piece, 0..4);
    assert_eq!(world.requested().len(), 4);
    world.reports();
    (0..4).for_each(|block| world.hears(Message::Reject(pieces().block(0, block))));
    assert_eq!(world.session.outstanding(), 4);
    assert_eq!(world.session.leases().collect::<Vec<_>>(), [anew]);
    assert!((0..4).all(|block| world.block(0, block) == BlockOutcome::Ours));
    assert!(!world.reports().contains(&Report::Returned(anew)));
}
