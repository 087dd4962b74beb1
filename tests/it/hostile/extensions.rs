//! Lies by the Extension Protocol (BEP 9, 10, 11, 54), against the real binary on real sockets: messages
//! that are none, floods of those that are, peers that nobody is, and metadata that is not.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::support::bencode::{Value, bytes, dict, int};
use crate::support::child::PATIENCE;
use crate::support::content::{BLOCK, Recipe, Torrent, noise};
use crate::support::extension::*;
use crate::support::hostile::{SOON, assert_named, completed, dropped, get, row, starved};
use crate::support::latch::Latch;
use crate::support::peer::*;
use crate::support::scratch::Scratch;

const MALFORMED: &str = "malformed message";

/// Says this once both have introduced themselves, and is dropped for it.
#[track_caller]
fn says(why: &str, what: Vec<u8>) {
    dropped(why, move |talk| {
        answer(talk)?;
        talk.raw(&what)
    });
}

/// Says it without end.
#[track_caller]
fn floods(why: &str, what: &[u8]) {
    let flood = what.repeat(500);
    dropped(why, move |talk| {
        answer(talk)?;
        loop {
            talk.raw(&flood)?;
        }
    });
}

/// Says it, and nothing comes of it.
#[track_caller]
fn ignored(what: Vec<u8>) {
    starved(move |talk, latch| {
        answer(talk)?;
        talk.raw(&what)?;
        latch.open();
        talk.listen()
    });
}

#[test]
fn extension_messages_that_are_no_bencode() {
    for id in [HANDSHAKE, METADATA, PEX] {
        says(MALFORMED, message(id, b"d1:m"));
    }
}

#[test]
fn extension_messages_that_are_no_dictionaries() {
    for id in [HANDSHAKE, METADATA, PEX] {
        says(MALFORMED, message(id, b"li1ei2ee"));
    }
}

#[test]
fn extension_messages_nested_without_end() {
    says(MALFORMED, message(PEX, [vec![b'l'; 8_000], vec![b'e'; 8_000]].concat()));
}

#[test]
fn huge_extension_messages() {
    says("oversized frame", message(HANDSHAKE, vec![b'x'; 70_000]));
    says(MALFORMED, message(HANDSHAKE, vec![b'x'; 60_000]));
}

#[test]
fn a_handshake_full_of_nonsense() {
    let m = dict([("ut_metadata", Value::Int(-1)), ("ut_pex", int(300)), ("\x1b[2J", int(1))]);
    let nonsense = dict([
        ("m", m),
        ("metadata_size", Value::Int(i64::MAX)),
        ("p", int(99_999)),
        ("reqq", Value::Int(-5)),
        ("v", bytes("\x1b[2Jnobody\0\r\n".repeat(500))),
        ("yourip", bytes([1, 2, 3])),
    ]);
    ignored(message(HANDSHAKE, nonsense.encode()));
}

#[test]
fn a_peer_that_queues_no_requests() {
    ignored(message(HANDSHAKE, dict([("reqq", int(0))]).encode()));
}

#[test]
fn messages_of_extensions_that_were_not_offered() {
    floods("message flood", &message(77, b"whatever"));
}

#[test]
fn a_flood_of_extended_handshakes() {
    floods("message flood", &shake(Vec::new()));
}

#[test]
fn pieces_lost_that_are_not() {
    says("piece index out of range", message(DONT_HAVE, 21u32.to_be_bytes()));
}

#[test]
fn a_flood_of_pieces_lost_and_found() {
    floods("message flood", &message(DONT_HAVE, 3u32.to_be_bytes()));
}

// Peer exchange.

/// Addresses as BEP 11 has them.
fn exchange(addresses: impl IntoIterator<Item = [u8; 6]>) -> Vec<u8> {
    let added: Vec<u8> = addresses.into_iter().flatten().collect();
    let flags = vec![2; added.len() / 6];
    message(PEX, dict([("added", bytes(added)), ("added.f", bytes(flags))]).encode())
}

#[test]
fn a_flood_of_peer_exchanges() {
    floods("message flood", &exchange([[127, 9, 9, 9, 0, 9]]));
}

#[test]
fn a_peer_exchange_of_thousands() {
    let many = (0..2_500u32).map(|n| [127, 3, (n >> 8) as u8, n as u8, 0, 1]);
    ignored(exchange(many));
}

#[test]
fn a_peer_exchange_of_more_than_is_read() {
    says(MALFORMED, exchange((0..5_000u32).map(|n| [127, 3, (n >> 8) as u8, n as u8, 0, 1])));
}

#[test]
fn a_peer_exchange_of_addresses_that_are_none() {
    let mut nobody = vec![[0; 6], [255; 6], [224, 0, 0, 1, 0, 80], [127, 0, 0, 1, 0, 0]];
    nobody.extend([[240, 1, 2, 3, 4, 5]; 20]);
    ignored(exchange(nobody));
}

#[test]
fn a_peer_exchange_whose_lists_do_not_fit() {
    let lists = dict([("added", bytes([127, 0, 0, 1, 0])), ("added.f", bytes("xx")), ("dropped", int(5))]);
    ignored(message(PEX, lists.encode()));
}

// Metadata of ours.

#[test]
fn a_flood_of_requests_for_metadata() {
    floods("request flood", &no_block(METADATA, 0, 0));
}

#[test]
fn requests_for_metadata_that_is_not() {
    floods("request flood", &no_block(METADATA, 0, u32::MAX));
}

#[test]
fn unrequested_metadata() {
    floods("unrequested blocks", &block(METADATA, 0, 500, &[7; 500]));
}

#[test]
fn metadata_messages_without_a_piece() {
    says(MALFORMED, message(METADATA, b"d8:msg_typei0ee"));
}

// Metadata for a magnet link.

/// Three blocks of metadata.
fn torrent() -> Arc<Torrent> {
    Arc::new(Recipe::single("magnetic.bin", 2_000_000).piece_length(1024).make())
}

/// The honest one gives nothing before the liar was dropped for this reason; then the link leads to
/// everything.
#[track_caller]
fn banned(why: &str, lie: impl Fn(&mut Talk) -> io::Result<()> + Send + Sync + 'static) {
    let (torrent, scratch) = (torrent(), Scratch::new("magnet"));
    let liar = Peer::start(&torrent, move |talk| lie(talk).and_then(|()| talk.listen()));
    let gate = Latch::new();
    let opened = gate.clone();
    let honest = Peer::start(&torrent, move |talk| {
        opened.wait(PATIENCE);
        lend(talk, info(&talk.torrent).len() as u64, lend_rightly)
    });
    let link = PathBuf::from(format!("magnet:?xt=urn:btih:{}", torrent.hex()));
    let begun = Instant::now();
    let child = get(&scratch, &link, &["--no-tracker"], &[liar.address, honest.address]);
    let told = |line: &str| line.contains(&liar.address.to_string()) && line.contains("peer_gone");
    child.wait_for_line(SOON, told);
    let took = begun.elapsed();
    gate.open();
    let ended = completed(child, &scratch, &torrent);
    assert_named(&ended, &liar.address.to_string(), why);
    // Once found out it is not called again, not even for data (`--peer` names it).
    if why != "has no metadata" {
        assert_eq!(liar.connections(), 1, "{ended:#?}");
    }
    row(&format!("dropped: {why}"), took, &ended);
}

const FALSE: &str = "false metadata";

/// Lends rightly but for what `bend` does to a block.
fn bent(bend: fn(u32, &mut Vec<u8>)) -> impl Fn(&mut Talk) -> io::Result<()> {
    move |talk| {
        let whole = info(&talk.torrent).to_vec();
        lend(talk, whole.len() as u64, |talk, id, piece| {
            let begin = (piece * BLOCK) as usize;
            let mut bytes = whole[begin.min(whole.len())..(begin + BLOCK as usize).min(whole.len())].to_vec();
            bend(piece, &mut bytes);
            talk.raw(&block(id, piece, whole.len() as u64, &bytes))
        })
    }
}

#[test]
fn metadata_with_one_bit_wrong() {
    banned(FALSE, bent(|piece, bytes| bytes[0] ^= u8::from(piece == 1)));
}

#[test]
fn metadata_in_blocks_too_short() {
    banned(FALSE, bent(|_, bytes| bytes.truncate(100)));
}

#[test]
fn metadata_in_blocks_too_long() {
    banned(MALFORMED, bent(|_, bytes| bytes.resize(BLOCK as usize + 1, 0)));
}

#[test]
fn metadata_of_another_length() {
    banned(FALSE, |talk| {
        let length = info(&talk.torrent).len() as u64 + 1;
        lend(talk, length, move |talk, id, piece| {
            let part = (length - u64::from(piece * BLOCK)).min(BLOCK.into()) as usize;
            talk.raw(&block(id, piece, length, &vec![b'x'; part]))
        })
    });
}

#[test]
fn metadata_whose_length_changes() {
    banned(FALSE, |talk| {
        lend(talk, 5_000, |talk, _, _| talk.raw(&shake(vec![("metadata_size", int(6_000))])))
    });
}

#[test]
fn metadata_longer_than_any() {
    for size in [(128 << 20) + 1, u64::from(u32::MAX) + 1, i64::MAX as u64] {
        banned("has no metadata", move |talk| lend(talk, size, |_, _, _| Ok(())));
    }
}

#[test]
fn metadata_in_unrequested_blocks() {
    banned("unrequested blocks", |talk| {
        lend(talk, 50_000, |talk, id, _| {
            loop {
                talk.raw(&block(id, 99, 50_000, &noise(1, 5_000)))?;
            }
        })
    });
}

#[test]
fn metadata_refused_without_end() {
    // It is left once it has said no to 32 requests in a row, of which there are three every 4 s; the
    // honest one need not wait for that.
    let (torrent, scratch) = (torrent(), Scratch::new("refused"));
    let refused = Latch::new();
    let (tells, waits) = (refused.clone(), refused);
    let liar = Peer::start(&torrent, move |talk| {
        lend(talk, info(&talk.torrent).len() as u64, |talk, id, piece| {
            tells.open();
            talk.raw(&no_block(id, 2, piece))
        })
    });
    let honest = Peer::start(&torrent, move |talk| {
        waits.wait(PATIENCE);
        lend(talk, info(&talk.torrent).len() as u64, lend_rightly)
    });
    let link = PathBuf::from(torrent.hex());
    let begun = Instant::now();
    let child = get(&scratch, &link, &["--no-tracker"], &[liar.address, honest.address]);
    let ended = completed(child, &scratch, &torrent);
    row("starved", begun.elapsed(), &ended);
}

#[test]
fn pieces_instead_of_metadata() {
    banned("unrequested blocks", |talk| {
        answer(talk)?;
        talk.send_payload(Block { piece: 0, begin: 0, length: BLOCK }, &noise(2, BLOCK as usize))
    });
}

#[test]
fn a_flood_instead_of_metadata() {
    let flood = [shake(vec![("metadata_size", int(5_000))]), vec![0; 4], frame(HAVE, &[0; 4])].concat();
    let flood = flood.repeat(300);
    banned("message flood", move |talk| {
        answer(talk)?;
        loop {
            talk.raw(&flood)?;
        }
    });
}
