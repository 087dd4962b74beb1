//! Conversations in which both sides speak the Extension Protocol: what is said first, what is
//! obeyed, what is lent, and what nobody gets away with.

use std::sync::Arc;
use std::time::Duration;

use bitwren::Metainfo;
use bitwren::Violation;
use bitwren::internals::bencode::Encoder;
use bitwren::internals::bitfield::Bitfield;
use bitwren::internals::orders::{Order, Report};
use bitwren::internals::peer::session::ExtensionSetup;
use bitwren::internals::wire::extended::{self, ExtendedHandshake, Extensions};
use bitwren::internals::wire::message::Message;
use bitwren::internals::wire::pex::{Flags, PexMessage};
use bitwren::internals::wire::ut_metadata::{METADATA_BLOCK, MetadataMessage};

use super::{OneSession, PIECES, open, pieces, request, secs, some_pieces};

/// By which the peer wants messages.
const THEIR_METADATA: u8 = 33;
const THEIR_PEX: u8 = 44;

/// A torrent whose info dictionary takes some blocks of metadata.
fn metainfo(filling: usize) -> Arc<Metainfo> {
    let mut encoder = Encoder::new();
    encoder.dict(|torrent| {
        torrent.dict("info", |info| {
            info.bytes("name", b"lent");
            info.int("length", 5);
            info.int("piece length", 16_384);
            info.bytes("pieces", [7; 20]);
            info.bytes("x-filling", vec![b'f'; filling]);
        });
    });
    Arc::new(Metainfo::from_bytes(&encoder.finish()).unwrap())
}

fn ours() -> ExtendedHandshake {
    ExtendedHandshake { m: Extensions::OURS, port: Some(6881), ..Default::default() }
}

fn world_with(handshake: ExtendedHandshake, filling: usize, have: Bitfield) -> OneSession {
    let extension_setup = ExtensionSetup { handshake, metainfo: Some(metainfo(filling)) };
    OneSession::with_extensions(true, have, 500, Some(extension_setup))
}

/// The peer has introduced itself, and everything said and reported so far is forgotten.
fn world(filling: usize) -> OneSession {
    let mut world = world_with(ours(), filling, Bitfield::empty(PIECES));
    world.hears(shake(ExtendedHandshake {
        m: Extensions { ut_metadata: Some(THEIR_METADATA), ut_pex: Some(THEIR_PEX), ..Default::default() },
        ..Default::default()
    }));
    world.said();
    world.reports();
    world
}

fn extended(id: u8, payload: impl Into<Vec<u8>>) -> Message {
    Message::Extended { id, payload: payload.into() }
}

fn shake(handshake: ExtendedHandshake) -> Message {
    extended(extended::HANDSHAKE, handshake.encode())
}

fn metadata(message: MetadataMessage<'_>) -> Message {
    extended(extended::UT_METADATA, message.encode())
}

fn exchange() -> PexMessage {
    PexMessage { added: vec![("192.0.2.1:6881".parse().unwrap(), Flags(Flags::SEED))], dropped: vec![] }
}

/// The blocks of metadata that were sent, and those that were rejected; nothing else was said.
fn lent(world: &mut OneSession) -> (Vec<u32>, Vec<u32>) {
    let (mut sent, mut rejected) = (Vec::new(), Vec::new());
    for message in world.said() {
        let Message::Extended { id: THEIR_METADATA, payload } = message else { panic!("{message:?}") };
        match MetadataMessage::decode(&payload).unwrap() {
            MetadataMessage::Data { piece, .. } => sent.push(piece),
            MetadataMessage::Reject(piece) => rejected.push(piece),
            other => panic!("{other:?}"),
        }
    }
    (sent, rejected)
}

#[test]
fn we_introduce_ourselves_first() {
    let mut world = world_with(ours(), 0, some_pieces(&[3]));
    let said = world.said();
    assert_eq!(said[0], shake(ours()));
    assert!(matches!(&said[1..], [Message::Bitfield(_)]), "{said:?}");
    let mut silent = OneSession::new(true);
    silent.hears(shake(ours()));
    assert_eq!((silent.said(), silent.reports()), (vec![Message::HaveNone], vec![]));
}

#[test]
fn who_the_peer_is_is_reported() {
    let mut world = world(0);
    let theirs = ExtendedHandshake {
        client: Some("other 1.0".into()),
        port: Some(7000),
        upload_only: Some(true),
        ..Default::default()
    };
    world.hears(shake(theirs.clone()));
    assert_eq!(world.reports(), [Report::ExtensionHandshake(Box::new(theirs))]);
    // By its own message too, as libtorrent has it.
    world.hears(extended(extended::UPLOAD_ONLY, [0]));
    let news = ExtendedHandshake { upload_only: Some(false), ..Default::default() };
    assert_eq!(world.reports(), [Report::ExtensionHandshake(Box::new(news))]);
}

#[test]
fn no_more_is_requested_than_the_peer_queues() {
    let outstanding = |reqq: Option<u32>| {
        let mut world = world_with(ours(), 0, Bitfield::empty(PIECES));
        world.hears(shake(ExtendedHandshake { reqq, ..Default::default() }));
        world.hears(Message::HaveAll);
        world.hears(Message::Unchoke);
        world.order(Order::Interested(true));
        world.said();
        for piece in 0..PIECES - 1 {
            world.lease(&open(piece), 0..16);
        }
        // Every request is answered a moment later, so that the pipeline grows as far as it may.
        let mut most = world.session.outstanding();
        let mut asked: std::collections::VecDeque<_> = world.requested().into();
        while let Some((piece, block)) = asked.pop_front() {
            world.pass(Duration::from_micros(20)).unwrap();
            world.block(piece, block);
            most = most.max(world.session.outstanding());
            asked.extend(world.requested());
        }
        most
    };
    assert_eq!(outstanding(Some(5)), 5);
    assert_eq!(outstanding(Some(0)), 1, "some is asked for all the same");
    assert!(outstanding(None) > 100);
}

#[test]
fn metadata_is_lent_block_by_block() {
    let mut world = world(2 * METADATA_BLOCK);
    let info = metainfo(2 * METADATA_BLOCK).info_bytes().to_vec();
    for piece in [2, 0, 1] {
        world.hears(metadata(MetadataMessage::Request(piece)));
    }
    let mut got = vec![0; info.len()];
    for message in world.said() {
        let Message::Extended { id: THEIR_METADATA, payload } = message else { panic!("{message:?}") };
        let MetadataMessage::Data { piece, total_size, bytes } = MetadataMessage::decode(&payload).unwrap()
        else {
            panic!("{payload:?}")
        };
        assert_eq!(total_size, Some(info.len() as u64));
        let start = piece as usize * METADATA_BLOCK;
        got[start..start + bytes.len()].copy_from_slice(bytes);
    }
    assert!(got == info);
    // Past the end there is nothing.
    for beyond in [3, 4, u32::MAX] {
        world.hears(metadata(MetadataMessage::Request(beyond)));
    }
    assert_eq!(lent(&mut world), (vec![], vec![3, 4, u32::MAX]));
}

#[test]
fn much_metadata_goes_out_at_a_measured_pace() {
    let blocks = 100;
    let mut world = world((blocks - 1) * METADATA_BLOCK);
    for piece in 0..blocks as u32 {
        world.hears(metadata(MetadataMessage::Request(piece)));
    }
    let first = lent(&mut world).0.len();
    assert_eq!(first, 16);
    world.pass(Duration::from_millis(200)).unwrap();
    assert_eq!(lent(&mut world).0.len(), 10);
    // Nothing is added while much is unsent…
    world.session.outgoing().resize(1 << 20, 0);
    world.pass(secs(5)).unwrap();
    assert!(std::mem::take(world.session.outgoing()).iter().all(|&byte| byte == 0));
    // …and all of it comes in the end.
    let mut rest = Vec::new();
    for _ in 0..50 {
        world.pass(Duration::from_millis(100)).unwrap();
        rest.extend(lent(&mut world).0);
    }
    assert_eq!(rest, (26..blocks as u32).collect::<Vec<_>>());
    assert!(world.session.deadline() > world.now + secs(50), "then it is quiet");
}

#[test]
fn who_asks_for_metadata_without_end_is_stopped() {
    let mut world = world(0);
    let mut sent = 0;
    for _ in 0..1000 {
        let heard = world.hear(metadata(MetadataMessage::Request(0)));
        sent += lent(&mut world).0.len();
        if heard.is_err() {
            assert_eq!(heard, Err(Violation::RequestFlood));
            break;
        }
        world.pass(Duration::from_millis(20)).unwrap();
    }
    assert!(world.hear(metadata(MetadataMessage::Request(0))).is_err());
    assert_eq!(sent, 68, "four times the block there is, and a margin");
}

#[test]
fn a_peer_that_takes_no_metadata_is_sent_none() {
    let mut world = world_with(ours(), 0, Bitfield::empty(PIECES));
    world.said();
    world.hears(metadata(MetadataMessage::Request(0)));
    assert_eq!(world.said(), []);
    // Ids change, and 0 turns an extension off.
    let named = |id| Extensions { ut_metadata: Some(id), ..Default::default() };
    for (id, want) in [(9, Some(9)), (0, None), (12, Some(12))] {
        world.hears(shake(ExtendedHandshake { m: named(id), ..Default::default() }));
        world.hears(metadata(MetadataMessage::Request(0)));
        let said = world.said();
        let used = said.first().map(|message| match message {
            Message::Extended { id, .. } => *id,
            other => panic!("{other:?}"),
        });
        assert_eq!(used, want);
        world.pass(secs(1)).unwrap();
    }
}

#[test]
fn unrequested_metadata_is_stray() {
    let mut world = world(0);
    let data = MetadataMessage::Data { piece: 0, total_size: Some(5), bytes: b"bytes" };
    let violation = (0..100).find_map(|_| world.hear(metadata(data)).err());
    assert_eq!(violation, Some(Violation::UnrequestedBlock));
}

#[test]
fn exchanges_are_told_and_listened_to_once_a_minute() {
    let mut world = world(0);
    world.order(Order::Exchange(Arc::new(exchange())));
    assert_eq!(world.said(), [extended(THEIR_PEX, exchange().encode())]);
    // An hour of one a minute, some of them early.
    for minute in 0..60 {
        world.hears(extended(extended::UT_PEX, exchange().encode()));
        assert_eq!(world.reports(), [Report::Exchanged(Box::new(exchange()))], "minute {minute}");
        world.pass(secs(if minute % 2 == 0 { 55 } else { 65 })).unwrap();
    }
    // A flood is ignored, and then stopped.
    let mut heard = 0;
    let violation = (0..100).find_map(|_| {
        let end = world.hear(extended(extended::UT_PEX, exchange().encode())).err();
        heard += world.reports().len();
        end
    });
    assert_eq!((heard, violation), (3, Some(Violation::Flood)));
}

#[test]
fn a_private_torrent_neither_tells_nor_listens() {
    let m = Extensions { ut_pex: None, ..Extensions::OURS };
    let mut world = world_with(ExtendedHandshake { m, ..ours() }, 0, Bitfield::empty(PIECES));
    world.hears(shake(ours()));
    world.said();
    world.reports();
    world.hears(extended(extended::UT_PEX, exchange().encode()));
    world.order(Order::Exchange(Arc::new(exchange())));
    assert_eq!((world.said(), world.reports()), (vec![], vec![]));
}

#[test]
fn a_piece_the_peer_lost_is_not_asked_of_it() {
    let mut world = world(0);
    world.hears(Message::HaveAll);
    world.hears(Message::Unchoke);
    world.order(Order::Interested(true));
    world.said();
    let (lost, _) = world.lease(&open(4), 0..16);
    let (kept, _) = world.lease(&open(5), 0..16);
    world.said();
    world.reports();
    world.hears(extended(extended::LT_DONTHAVE, extended::dont_have(4)));
    let reports = world.reports();
    assert!(reports.starts_with(&[Report::Lost(4), Report::Returned(lost)]), "{reports:?}");
    assert!(!reports.contains(&Report::Returned(kept)));
    assert!(!world.session.has().has(4) && world.session.has().has(5));
    // Work on it that was handed out before that was known.
    let (late, _) = world.lease(&open(4), 0..16);
    let of_4 = |said: &Message| matches!(said, Message::Request(block) if block.piece == 4);
    assert!(!world.said().iter().any(of_4));
    assert!(world.reports().contains(&Report::Returned(late)));
    // What it rejects of it, or sends all the same, is no violation.
    world.hears(Message::Reject(request(4, 0)));
    world.block(4, 1);
    // Said again, or of what it never had, it is nothing; past the end it is wrong.
    world.hears(extended(extended::LT_DONTHAVE, extended::dont_have(4)));
    assert!(!world.reports().contains(&Report::Lost(4)));
    let beyond = extended(extended::LT_DONTHAVE, extended::dont_have(pieces().count()));
    assert_eq!(world.hear(beyond), Err(Violation::IndexOutOfRange));
}

#[test]
fn a_piece_that_we_lost_is_told_and_what_was_asked_of_it_is_rejected() {
    let mut world = world_with(ours(), 0, Bitfield::full(PIECES));
    let m = Extensions { lt_donthave: Some(7), ..Default::default() };
    world.hears(shake(ExtendedHandshake { m, ..Default::default() }));
    world.order(Order::Choke(false));
    [(4, 0), (5, 0), (4, 1)]
        .into_iter()
        .for_each(|(piece, at)| world.hears(Message::Request(request(piece, at))));
    world.said();
    assert!(world.session.withdraw(4));
    let lost = extended(7, extended::dont_have(4));
    let reject = |at| Message::Reject(request(4, at));
    assert_eq!(world.said(), [reject(0), reject(1), lost]);
    assert_eq!(world.session.next_upload(), Some(request(5, 0)));
    // It is no news a second time; a request that comes yet is rejected, and so is one that was under way.
    assert!(world.session.withdraw(4));
    world.hears(Message::Request(request(4, 2)));
    world.session.refuse(request(5, 0));
    assert_eq!(world.said(), [reject(2), Message::Reject(request(5, 0))]);
    // Once it is there again that is told as of any other.
    world.session.announce(&[4]);
    assert_eq!(world.said(), [Message::Have(4)]);
}

#[test]
fn a_peer_that_cannot_be_told_of_a_lost_piece_is_disconnected_unless_it_has_it() {
    let mut world = world_with(ours(), 0, Bitfield::full(PIECES));
    world.hears(Message::HaveNone);
    world.hears(Message::Have(3));
    assert!(world.session.withdraw(3));
    assert!(!world.session.withdraw(4));
}

#[test]
fn that_we_want_nothing_more_is_told_in_the_peers_way() {
    let mut with = world(0);
    let m = Extensions { upload_only: Some(3), ..Default::default() };
    with.hears(shake(ExtendedHandshake { m, ..Default::default() }));
    with.order(Order::UploadOnly(true));
    assert_eq!(with.said(), [extended(3, [1])]);
    let mut without = world(0);
    without.order(Order::UploadOnly(true));
    let news = ExtendedHandshake { upload_only: Some(true), ..Default::default() };
    assert_eq!(without.said(), [shake(news)]);
    let mut silent = OneSession::new(true);
    silent.said();
    silent.order(Order::UploadOnly(true));
    assert_eq!(silent.said(), []);
}

#[test]
fn what_is_malformed_is_a_violation_and_what_is_unknown_is_not() {
    let deep = [vec![b'l'; 3000], vec![b'e'; 3000]].concat();
    let junk: [&[u8]; 6] = [b"", b"x", b"i5e", b"le", b"d1:m", &deep];
    for id in [extended::HANDSHAKE, extended::UT_METADATA, extended::UT_PEX] {
        for junk in junk {
            assert_eq!(world(0).hear(extended(id, junk)), Err(Violation::MalformedMessage), "{id}");
        }
        let long = format!("d1:x{}:{}e", 60_000, "x".repeat(60_000));
        assert_eq!(world(0).hear(extended(id, long)), Err(Violation::MalformedMessage), "{id}");
    }
    assert_eq!(world(0).hear(extended(extended::LT_DONTHAVE, [0; 3])), Err(Violation::MalformedMessage));
    let mut world = world(0);
    for id in 5..=255 {
        junk.into_iter().for_each(|junk| world.hears(extended(id, junk)));
    }
    assert_eq!((world.said(), world.reports()), (vec![], vec![]));
}

#[test]
fn a_flood_of_handshakes_is_not_listened_to() {
    let mut world = world(0);
    let mut reports = 0;
    let violation = (0..20_000).find_map(|_| {
        let end = world.hear(shake(ours())).err();
        reports += world.reports().len();
        end
    });
    assert_eq!(violation, Some(Violation::Flood));
    assert!(reports <= 16, "{reports}");
}

/// Whatever comes after whatever: nothing panics, and what is said and reported stays bounded.
#[test]
fn no_bytes_do_harm() {
    let mut dice = bitwren::internals::random::Random::seeded(3);
    let words: [&[u8]; 12] = [
        b"d",
        b"e",
        b"l",
        b"i-1e",
        b"1:m",
        b"d2:xxi5ee",
        b"8:msg_type",
        b"5:piece",
        b"i0e",
        b"5:added",
        b"6:abcdef",
        b"9999999999:",
    ];
    for _ in 0..300 {
        let mut world = world(METADATA_BLOCK);
        for _ in 0..40 {
            let mut payload = Vec::new();
            for _ in 0..dice.below(12) {
                match dice.below(5) {
                    0 => payload.push(dice.below(256) as u8),
                    _ => payload.extend_from_slice(words[dice.below(12) as usize]),
                }
            }
            if world.hear(extended(dice.below(6) as u8, payload)).is_err() {
                break;
            }
            assert!(world.reports().len() <= 1 && world.said().len() <= 1);
        }
    }
}
