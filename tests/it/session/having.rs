//! Bitfields and `have` messages, in both directions.

use super::*;

#[test]
fn it_begins_with_what_we_have() {
    let first = |fast, have: &Bitfield| OneSession::with(fast, have.clone(), 1).said();
    let (none, some, all) = (Bitfield::empty(PIECES), some_pieces(&[0, 9]), Bitfield::full(PIECES));
    let bits = |set: &Bitfield| vec![Message::Bitfield(set.as_bytes().to_vec())];
    assert_eq!(first(true, &none), [Message::HaveNone]);
    assert_eq!(first(true, &all), [Message::HaveAll]);
    assert_eq!(first(true, &some), bits(&some));
    assert_eq!(first(false, &none), []);
    assert_eq!(first(false, &all), bits(&all));
    assert_eq!(first(false, &some), bits(&some));
}

#[test]
fn what_the_peer_has_may_be_told_late_and_again() {
    let bits = |pieces: &[u32]| Message::Bitfield(some_pieces(pieces).as_bytes().to_vec());
    let mut world = OneSession::new(true);
    // Some clients say other things before it.
    for first in
        [Message::KeepAlive, Message::Extended { id: 0, payload: vec![] }, Message::Port(1), Message::Unchoke]
    {
        world.hears(first);
    }
    let told = |world: &mut OneSession, message| {
        world.hears(message);
        world
            .reports()
            .into_iter()
            .filter_map(|report| if let Report::Has(set) = report { Some(set) } else { None })
            .next_back()
    };
    assert_eq!(told(&mut world, bits(&[3])), Some(some_pieces(&[3])));
    // aria2 sends it again instead of many `have`s. It only ever adds.
    for nothing_new in [bits(&[3]), bits(&[]), Message::HaveNone] {
        assert_eq!(told(&mut world, nothing_new), None);
    }
    assert_eq!(told(&mut world, bits(&[4])), Some(some_pieces(&[3, 4])));
    assert!(told(&mut world, Message::HaveAll).is_some_and(|all| all.is_full()));
    let mut world = OneSession::new(false);
    world.hears(Message::Have(7));
    assert_eq!(told(&mut world, bits(&[3])), Some(some_pieces(&[3, 7])));
    for wrong in [vec![], vec![0; 4], vec![0; 6]] {
        assert_eq!(OneSession::new(false).hear(Message::Bitfield(wrong)), Err(Violation::BadBitfield));
    }
}

/// From the recorded frames: a bitfield of 81 06 sets spare bits in a torrent of ten pieces.
#[test]
fn spare_bits_in_a_bitfield_are_a_violation() {
    let pieces = Pieces::new(10, 1).unwrap();
    let setup = Setup {
        pieces: Some(pieces),
        info_hash: InfoHash::from_bytes([0; 20]),
        peer_ip: IpAddr::from([127, 0, 0, 1]),
        fast: false,
        extension_setup: None,
        have: Bitfield::empty(10),
        request_cap: 1,
    };
    let mut session = Session::new(setup, Moment::START);
    let heard = session.on_message(Message::Bitfield(vec![0x81, 0x06]), Moment::START);
    assert_eq!(heard, Err(Violation::BadBitfield));
}

#[test]
fn haves_go_first_to_peers_that_lack_the_piece() {
    let mut world = OneSession::new(false);
    world.hears(Message::Bitfield(some_pieces(&[1, 2]).as_bytes().to_vec()));
    world.session.announce(&[0, 1]);
    world.session.announce(&[2, 3, 3]);
    assert_eq!(world.said(), [Message::Have(0), Message::Have(3)]);
    world.pass(secs(1)).unwrap();
    world.wake();
    assert_eq!(world.said(), [Message::Have(1), Message::Have(2)]);
}

/// A seed is told of our pieces, in one write a second at most.
#[test]
fn a_seed_hears_of_many_pieces_at_once() {
    let mut world = OneSession::with_seed(false);
    world.session.announce(&[0, 1]);
    world.session.announce(&[2]);
    assert_eq!(world.said(), []);
    world.pass(secs(1)).unwrap();
    world.wake();
    assert_eq!(world.said(), [0, 1, 2].map(Message::Have));
    world.session.announce(&[3]);
    assert_eq!(world.said(), []);
    // It may part with us once it knows that we want nothing more.
    world.order(Order::UploadOnly(true));
    assert_eq!(world.said(), [Message::Have(3)]);
}
