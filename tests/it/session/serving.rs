//! The peer's requests: which are served, rejected or dropped.

use super::*;

#[test]
fn requests_are_served_when_they_should_be() {
    for fast in [false, true] {
        let mut world = OneSession::with(fast, some_pieces(&[0, 1]), 1);
        let rejected = |blocks: &[BlockRef]| {
            blocks.iter().filter(|_| fast).map(|b| Message::Reject(*b)).collect::<Vec<_>>()
        };
        world.said();
        world.hears(Message::Interested);
        world.hears(Message::Request(request(0, 0)));
        assert_eq!(world.said(), rejected(&[request(0, 0)]), "choked");
        world.order(Order::Choke(false));
        world.said();
        for block in [request(0, 0), request(0, 1), request(0, 1), request(1, 2)] {
            world.hears(Message::Request(block));
        }
        assert_eq!((world.session.uploads(), world.said()), (3, vec![]));
        world.hears(Message::Request(request(2, 0)));
        assert_eq!(world.said(), rejected(&[request(2, 0)]), "not ours");
        world.hears(Message::Cancel(request(0, 1)));
        world.hears(Message::Cancel(request(0, 7)));
        assert_eq!(world.said(), rejected(&[request(0, 1)]));
        assert_eq!(world.session.next_upload(), Some(request(0, 0)));
        world.order(Order::Choke(true));
        let mut want = vec![Message::Choke];
        want.extend(rejected(&[request(1, 2)]));
        assert_eq!(world.said(), want);
        assert_eq!(world.session.uploads(), 0);
        // What was verified meanwhile can be had as well.
        world.session.announce(&[2]);
        world.order(Order::Choke(false));
        world.hears(Message::Request(request(2, 0)));
        assert_eq!(world.session.next_upload(), Some(request(2, 0)));
    }
}

#[test]
fn requests_without_end_are_a_violation() {
    for fast in [false, true] {
        // While choked.
        let mut world = OneSession::with(fast, Bitfield::full(PIECES), 1);
        world.hears(Message::Have(0));
        let blocks = |nth: u32| BlockRef { piece: 9, begin: nth, length: 100 };
        let nth = (0..50_000).position(|nth| world.hear(Message::Request(blocks(nth))).is_err());
        assert!((1_000..5_000).contains(&nth.unwrap()));
        // Past the end of the queue.
        let mut world = OneSession::with(fast, Bitfield::full(PIECES), 1);
        world.order(Order::Choke(false));
        let nth = (0..50_000).position(|nth| {
            let heard = world.hear(Message::Request(blocks(nth)));
            heard == Err(Violation::RequestFlood)
        });
        assert!((1_000..10_000).contains(&nth.unwrap()));
        assert_eq!(world.session.uploads(), UploadQueue::BOUND);
    }
}
