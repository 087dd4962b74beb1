//! Conversations that begin before it is known what the torrent is made of: metadata is asked for meanwhile, and
//! what was said of pieces counts once they are known.

use bitwren::internals::bitfield::Bitfield;
use bitwren::internals::orders::{Order, Report};
use bitwren::internals::peer::session::{ExtensionSetup, Learned};
use bitwren::internals::pieces::Pieces;
use bitwren::internals::wire::extended::{self, ExtendedHandshake, Extensions};
use bitwren::internals::wire::message::Message;
use bitwren::internals::wire::pex::PexMessage;
use bitwren::internals::wire::ut_metadata::MetadataMessage;
use bitwren::{DisconnectReason, Violation};

use super::{OneSession, PIECES, open, pieces, request, secs, some_pieces};

const THEIR_METADATA: u8 = 33;

fn extension_setup(m: Extensions) -> ExtensionSetup {
    ExtensionSetup { handshake: ExtendedHandshake { m, ..Default::default() }, metainfo: None }
}

fn early_extensions() -> Extensions {
    Extensions {
        ut_metadata: Some(extended::UT_METADATA),
        ut_pex: Some(extended::UT_PEX),
        ..Default::default()
    }
}

/// One in which nothing is known and the peer has introduced itself.
fn world(fast: bool) -> OneSession {
    let mut world =
        OneSession::of(None, fast, Bitfield::default(), 500, Some(extension_setup(early_extensions())));
    let m = Extensions { ut_metadata: Some(THEIR_METADATA), ..Default::default() };
    let handshake = ExtendedHandshake { m, ..Default::default() };
    world.hears(Message::Extended { id: extended::HANDSHAKE, payload: handshake.encode() });
    world.said();
    world.reports();
    world
}

fn ut_metadata(message: MetadataMessage<'_>) -> Message {
    Message::Extended { id: extended::UT_METADATA, payload: message.encode() }
}

impl OneSession {
    fn learn_of(&mut self, pieces: Pieces, have: Bitfield) -> Result<(), DisconnectReason> {
        let extension_setup = Some(extension_setup(Extensions::OURS));
        self.session.learn(Learned { pieces, have, extension_setup }, self.now)
    }

    fn learns(&mut self, have: &[u32]) -> Result<(), DisconnectReason> {
        self.learn_of(pieces(), some_pieces(have))
    }
}

#[test]
fn metadata_is_asked_for_and_what_comes_is_reported() {
    let mut world = world(true);
    world.order(Order::AskMetadata(3));
    let asked = MetadataMessage::Request(3).encode();
    assert_eq!(world.said(), [Message::Extended { id: THEIR_METADATA, payload: asked }]);
    world.hears(ut_metadata(MetadataMessage::Data { piece: 3, total_size: None, bytes: b"block" }));
    world.hears(ut_metadata(MetadataMessage::Reject(4)));
    let blocks = [Report::MetadataBlock(3, b"block"[..].into()), Report::MetadataRejected(4)];
    assert_eq!(world.reports(), blocks);
    world.hears(ut_metadata(MetadataMessage::Request(0)));
    let no = Message::Extended { id: THEIR_METADATA, payload: MetadataMessage::Reject(0).encode() };
    assert_eq!(world.said(), [no], "there is none to give");
    // A peer that does not exchange metadata is asked for none.
    let off = ExtendedHandshake {
        m: Extensions { ut_metadata: Some(0), ..Default::default() },
        ..Default::default()
    };
    world.hears(Message::Extended { id: extended::HANDSHAKE, payload: off.encode() });
    world.order(Order::AskMetadata(3));
    assert_eq!(world.said(), []);
}

#[test]
fn what_a_peer_said_of_its_pieces_counts_once_they_are_known() {
    type Said = Vec<Message>;
    let bits = |pieces: &[u32]| Message::Bitfield(some_pieces(pieces).as_bytes().to_vec());
    let full = Bitfield::full(PIECES);
    let cases: [(bool, Said, Bitfield); 5] = [
        (false, vec![bits(&[0, 39])], some_pieces(&[0, 39])),
        (false, vec![bits(&[1]), Message::Have(7)], some_pieces(&[1, 7])),
        (false, vec![Message::Have(3), Message::Have(39)], some_pieces(&[3, 39])),
        (true, vec![Message::HaveAll], full.clone()),
        (true, vec![Message::HaveNone, Message::Have(2)], some_pieces(&[2])),
    ];
    for (fast, said, has) in cases {
        let mut world = world(fast);
        said.into_iter().for_each(|message| world.hears(message));
        world.hears(Message::Unchoke);
        assert_eq!(
            world.reports(),
            [Report::Choking(false)],
            "pieces are not reported before they are known"
        );
        world.learns(&[]).unwrap();
        let reports = world.reports();
        assert_eq!(reports[0], Report::Has(has));
        assert!(matches!(reports[1..], [Report::WantsBlocks(_)]), "{reports:?}");
    }
}

#[test]
fn a_conversation_goes_on_as_if_the_pieces_had_been_known() {
    let mut world = world(true);
    for message in [Message::HaveAll, Message::AllowedFast(5), Message::Suggest(6), Message::Unchoke] {
        world.hears(message);
    }
    world.learns(&[]).unwrap();
    let reports = world.reports();
    assert!(reports.contains(&Report::AllowedFast(5)), "{reports:?}");
    world.said();
    let (lease, _) = world.lease(&open(0), 0..2);
    assert_eq!(world.requested(), [(0, 0), (0, 1)]);
    world.session.on_block(request(0, 0), world.now).unwrap();
    world.hears(Message::Choke);
    assert!(world.reports().contains(&Report::Returned(lease)));
    // Messages are held to the pieces from now on.
    assert_eq!(world.hear(Message::Have(PIECES)), Err(Violation::IndexOutOfRange));
}

#[test]
fn a_peer_is_told_of_pieces_that_are_there_already() {
    let mut world = world(true);
    world.hears(Message::Bitfield(some_pieces(&[4]).as_bytes().to_vec()));
    world.learns(&[1, 4]).unwrap();
    let said = world.said();
    assert!(matches!(said[0], Message::Extended { id: extended::HANDSHAKE, .. }), "who we are now: {said:?}");
    assert_eq!(said[1], Message::Have(1));
    world.order(Order::Choke(false));
    world.hears(Message::Request(request(1, 0)));
    assert_eq!(world.session.next_upload(), Some(request(1, 0)));
    // What it has itself it hears a moment later.
    world.said();
    world.pass(secs(1)).unwrap();
    world.hears(Message::KeepAlive);
    assert!(world.said().contains(&Message::Have(4)));

    // Of many it is told with one message.
    let many = Pieces::new(5_000, 1).unwrap();
    let mut world = self::world(false);
    world.learn_of(many, Bitfield::full(5_000)).unwrap();
    assert_eq!(world.said()[1..], [Message::Bitfield(Bitfield::full(5_000).as_bytes().to_vec())]);
}

#[test]
fn what_a_peer_said_wrongly_is_a_violation_once_that_can_be_seen() {
    let bits = |bytes: &[u8]| Message::Bitfield(bytes.to_vec());
    let cases = [
        (bits(&[0; 4]), Violation::BadBitfield),
        (bits(&[0; 6]), Violation::BadBitfield),
        (bits(&[0; 700_000]), Violation::BadBitfield),
        (Message::Have(PIECES), Violation::IndexOutOfRange),
        (Message::Have(u32::MAX), Violation::IndexOutOfRange),
        (Message::AllowedFast(PIECES), Violation::IndexOutOfRange),
    ];
    for (said, violation) in cases {
        let mut world = world(true);
        world.hears(said);
        assert_eq!(world.learns(&[]), Err(DisconnectReason::Violation(violation)));
    }
    // What is wrong whatever the torrent is made of is so at once.
    assert_eq!(world(false).hear(Message::HaveAll), Err(Violation::FastNotAgreed));
    let mut world = world(true);
    world.hears(bits(&[0; 5]));
    assert_eq!(world.hear(bits(&[0; 6])), Err(Violation::BadBitfield), "one of them is wrong");
}

#[test]
fn nothing_is_served_or_taken_before_the_pieces_are_known() {
    let mut world = world(true);
    world.hears(Message::Interested);
    world.hears(Message::Request(request(0, 0)));
    assert_eq!(world.said(), [Message::Reject(request(0, 0))]);
    assert_eq!((world.session.next_upload(), world.reports()), (None, vec![Report::Interested(true)]));
    world.session.announce(&[0]);
    assert_eq!(world.said(), []);
    assert_eq!(world.session.on_block(request(0, 0), world.now), Err(Violation::UnrequestedBlock));
}

#[test]
fn a_flood_before_the_pieces_are_known_is_a_flood() {
    let mut world = world(false);
    let flood = (0..20_000).map(|_| world.hear(Message::Have(9))).find_map(Result::err);
    assert_eq!(flood, Some(Violation::Flood));
    let mut world = self::world(true);
    let flood = (0..20_000).map(|_| world.hear(Message::Request(request(0, 0)))).find_map(Result::err);
    assert_eq!(flood, Some(Violation::Flood));
}

/// A magnet link may turn out to be of a private torrent, whose peers are not exchanged (BEP 27).
#[test]
fn an_extension_that_is_not_offered_any_more_is_turned_off() {
    let mut world = world(true);
    let exchange = || Message::Extended { id: extended::UT_PEX, payload: PexMessage::default().encode() };
    world.hears(exchange());
    assert!(matches!(world.reports()[..], [Report::Exchanged(_)]));
    let m = Extensions { ut_pex: None, ..Extensions::OURS };
    let learned = Learned {
        pieces: pieces(),
        have: Bitfield::empty(PIECES),
        extension_setup: Some(extension_setup(m)),
    };
    world.session.learn(learned, world.now).unwrap();
    let [Message::Extended { id: extended::HANDSHAKE, payload }] = &world.said()[..] else {
        panic!("no handshake");
    };
    let told = ExtendedHandshake::decode(payload).unwrap();
    assert_eq!((told.m.ut_pex, told.m.lt_donthave), (Some(0), Extensions::OURS.lt_donthave));
    world.hears(exchange());
    assert_eq!(world.reports(), []);
}

/// Blocks that were under way when the metadata was there are no fault of the peer's.
#[test]
fn late_metadata_is_put_up_with() {
    let mut world = world(true);
    world.learns(&[]).unwrap();
    world.reports();
    let late = ut_metadata(MetadataMessage::Data { piece: 0, total_size: None, bytes: b"late" });
    for _ in 0..32 {
        world.hears(late.clone());
    }
    assert_eq!(world.reports(), []);
    assert_eq!(
        (0..99).map(|_| world.hear(late.clone())).find_map(Result::err),
        Some(Violation::UnrequestedBlock)
    );
}
