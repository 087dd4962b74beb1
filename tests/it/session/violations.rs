//! Messages that are out of range or not agreed on, messages that change nothing, and floods.

use super::*;

#[test]
fn nonsense_has_a_name() {
    let far = BlockRef { piece: 0x3030_3030, begin: 0, length: BLOCK };
    for message in [
        Message::Have(PIECES),
        Message::Suggest(PIECES),
        Message::AllowedFast(far.piece),
        Message::Request(far),
        Message::Cancel(far),
    ] {
        assert_eq!(
            OneSession::new(true).hear(message.clone()),
            Err(Violation::IndexOutOfRange),
            "{message:?}"
        );
    }
    for fast in [
        Message::Suggest(0),
        Message::HaveAll,
        Message::HaveNone,
        Message::Reject(far),
        Message::AllowedFast(0),
    ] {
        assert_eq!(OneSession::new(false).hear(fast.clone()), Err(Violation::FastNotAgreed), "{fast:?}");
    }
    for (begin, length) in
        [(0, 0), (0, 128 * 1024 + 1), (BLOCKS * BLOCK, 1), (u32::MAX, u32::MAX), (1, u32::MAX)]
    {
        let block = BlockRef { piece: 0, begin, length };
        let mut world = OneSession::with(true, Bitfield::full(PIECES), 1);
        assert_eq!(world.hear(Message::Request(block)), Err(Violation::BadRequest), "{block:?}");
    }
}

#[test]
fn what_changes_nothing_is_not_passed_on() {
    let mut world = OneSession::new(true);
    for message in [
        Message::Have(1),
        Message::Have(1),
        Message::Choke,
        Message::Interested,
        Message::Interested,
        Message::NotInterested,
        Message::NotInterested,
        Message::Suggest(4),
        Message::Unknown(99),
    ] {
        world.hears(message);
    }
    assert_eq!(
        world.reports(),
        [Report::Have(1), Report::Interested(true), Report::Interested(false), Report::Suggested(4)]
    );
    world.said();
    for order in [true, true, false, false].map(Order::Interested) {
        world.order(order);
    }
    for order in [true, false, false, true, true].map(Order::Choke) {
        world.order(order);
    }
    use Message::{Choke, Interested, NotInterested, Unchoke};
    assert_eq!(world.said(), [Interested, NotInterested, Unchoke, Choke]);
}

#[test]
fn useless_talk_without_end_is_a_flood() {
    for message in
        [Message::Have(0), Message::KeepAlive, Message::Unknown(200), Message::Cancel(request(0, 0))]
    {
        let mut world = OneSession::new(true);
        let burst = (0..20_000).position(|_| world.hear(message.clone()) == Err(Violation::Flood));
        assert!((9_000..11_000).contains(&burst.unwrap()), "{message:?}");
    }
    // Choking and unchoking changes something each time, and is of no use.
    let mut world = OneSession::new(true);
    let toggled = (0..20_000).position(|nth| {
        let message = if nth % 2 == 0 { Message::Unchoke } else { Message::Choke };
        world.hear(message) == Err(Violation::Flood)
    });
    assert!(toggled.is_some());
}
