//! Allowed-fast pieces (BEP 6), in both directions.

use bitwren::internals::peer::allowed_fast;

use super::*;

#[test]
fn allowed_fast_pieces_are_fetched_while_choked() {
    let mut world = OneSession::new(true);
    world.hears(Message::HaveAll);
    world.said();
    assert_eq!(world.reports().len(), 1);
    world.hears(Message::AllowedFast(6));
    world.hears(Message::AllowedFast(6));
    assert!(matches!(world.reports()[..], [Report::AllowedFast(6), Report::WantsBlocks(_)]));
    let (given, _) = world.lease(&open(5), 0..BLOCKS);
    assert!(world.reports().contains(&Report::Returned(given)));
    let (_, claim) = world.lease(&open(6), 0..BLOCKS);
    assert_eq!(world.requested().len(), 8);
    // A choke does not touch them.
    world.hears(Message::Unchoke);
    let (lost, _) = world.lease(&open(7), 0..BLOCKS);
    world.reports();
    world.hears(Message::Choke);
    assert!(world.reports().starts_with(&[Report::Choking(true), Report::Returned(lost)]));
    assert_eq!(world.session.outstanding() as u32, claim.requested().len() as u32);
    for block in 0..BLOCKS {
        world.now = world.now + Duration::from_millis(1);
        assert_eq!(world.block(6, block), BlockOutcome::Ours);
    }
    // Verified: nothing is allowed that we still lack, so there is no more hunger.
    world.reports();
    world.session.announce(&[6]);
    world.hears(Message::Suggest(6));
    assert_eq!(world.reports(), [Report::Suggested(6)]);
}

/// A peer with little gets what of its allowed-fast set we have, and may request it while choked.
#[test]
fn a_newcomer_is_given_a_few_pieces() {
    let set = allowed_fast::set(10, PIECES, InfoHash::from_bytes([0xAA; 20]), [80, 4, 4, 200].into());
    let lacking = set[1];
    let mut have = Bitfield::full(PIECES);
    have.remove(lacking);
    let mut world = OneSession::with(true, have, 1);
    world.said();
    world.hears(Message::HaveNone);
    let given: Vec<u32> = world
        .said()
        .into_iter()
        .map(|message| match message {
            Message::AllowedFast(piece) => piece,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(given, set.iter().copied().filter(|piece| *piece != lacking).collect::<Vec<_>>());
    world.hears(Message::Request(request(given[0], 0)));
    assert_eq!((world.session.uploads(), world.said()), (1, vec![]));
    // A choke after an unchoke leaves them in the queue.
    world.order(Order::Choke(false));
    world.order(Order::Choke(true));
    assert_eq!(world.session.next_upload(), Some(request(given[0], 0)));
    // There is an end to the gifts.
    let served = (0..1000)
        .filter(|nth| {
            world.hears(Message::Request(BlockRef { piece: given[1], begin: *nth, length: 10 }));
            world.session.next_upload().is_some()
        })
        .count();
    assert!((100..300).contains(&served), "{served}");

    let mut world = OneSession::with(true, Bitfield::full(PIECES), 1);
    world.said();
    world.hears(Message::Bitfield(some_pieces(&(0..10).collect::<Vec<_>>()).as_bytes().to_vec()));
    assert_eq!(world.said(), [], "it has enough");
}
