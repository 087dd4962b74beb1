//! A choke ends what was requested.

use super::*;

#[test]
fn a_choke_returns_what_was_leased() {
    for fast in [false, true] {
        let mut world = OneSession::with_seed(fast);
        let piece = open(2);
        let (lease, _) = world.lease(&piece, 0..BLOCKS);
        assert_eq!(world.requested().len(), 8);
        assert_eq!(world.block(2, 0), BlockOutcome::Ours);
        world.said();
        world.reports();
        world.hears(Message::Choke);
        assert_eq!(world.reports(), [Report::Choking(true), Report::Returned(lease)]);
        assert_eq!(world.session.outstanding(), 0);
        // On its way when the peer choked: it counts if it is the first.
        assert_eq!(world.block(2, 1), BlockOutcome::Ours);
        assert!(piece.receive(2));
        assert_eq!(world.block(2, 2), BlockOutcome::Duplicate);
        if fast {
            (3..8).for_each(|block| world.hears(Message::Reject(request(2, block))));
        }
        assert_eq!((world.said(), world.reports()), (vec![], vec![]));
        // A lease that crossed the choke comes back at once.
        let (late, _) = world.lease(&piece, 3..BLOCKS);
        assert_eq!(world.reports(), [Report::Returned(late)]);
        world.hears(Message::Unchoke);
        assert!(matches!(world.reports()[..], [Report::Choking(false), Report::WantsBlocks(_)]));
        world.lease(&piece, 3..BLOCKS);
        assert_eq!(world.requested()[0], (2, 3));
    }
}

/// What a stalled peer owed is forgotten with a choke: it starts afresh, with one request.
#[test]
fn a_choke_ends_the_wait_for_what_a_stalled_peer_owed() {
    let mut world = OneSession::with_seed(false);
    world.lease(&open(0), 0..8);
    world.pass(secs(11)).unwrap();
    world.hears(Message::Choke);
    world.said();
    world.reports();
    world.hears(Message::Unchoke);
    assert_eq!(world.reports(), [Report::Choking(false), Report::WantsBlocks(1)]);
    world.lease(&open(1), 0..BLOCKS);
    assert_eq!(world.requested(), [(1, 0)]);
    assert_eq!(world.block(1, 0), BlockOutcome::Ours);
    assert_eq!(world.reports()[0], Report::Snubbed(false));
    assert_eq!(world.requested().len(), 4);
}
