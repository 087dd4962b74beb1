//! Peers that say what no honest program says, against the real binary on real sockets: each is
//! dropped, for a reason that is told, before the honest seeder serves a byte. Those that only do not
//! deliver are in `sloths`, those that call us in `strangers`.

use crate::support::content::{BLOCK, Dice, noise};
use crate::support::hostile::{completed, dropped, get, row, torrent};
use crate::support::peer::*;
use crate::support::scratch::Scratch;

// Handshakes.

#[test]
fn a_handshake_of_garbage() {
    dropped("bad handshake", |talk| talk.raw(&noise(7, 100)));
}

#[test]
fn a_handshake_for_another_torrent() {
    dropped("another torrent", |talk| talk.raw(&handshake([0; 8], &[0xaa; 20], b"-XX0000-aaaaaaaaaaaa")));
}

#[test]
fn a_peer_that_is_ourselves() {
    dropped("it is ourselves", |talk| {
        talk.read_handshake()?;
        talk.own_id = talk.peer_id;
        talk.send_handshake([0; 8])
    });
}

// Frames and messages.

#[test]
fn a_length_of_two_to_the_31() {
    dropped("oversized frame", |talk| {
        talk.answer([0; 8])?;
        talk.raw(&(1u32 << 31).to_be_bytes())?;
        talk.raw(&noise(1, 100_000))
    });
}

/// Whatever a frame calls itself, what could hold nothing right is not waited for.
#[test]
fn lengths_from_64_kib_to_four_gigabytes() {
    for length in [65_538, 1 << 20, 1 << 24, i32::MAX as u32, u32::MAX] {
        dropped("oversized frame", move |talk| {
            talk.answer([0; 8])?;
            talk.raw(&length.to_be_bytes())?;
            talk.raw(&[99])?;
            talk.raw(&noise(1, 50_000))
        });
    }
}

#[test]
fn blocks_of_nearly_four_gigabytes() {
    dropped("oversized frame", |talk| {
        talk.answer([0; 8])?;
        talk.open_up()?;
        let block = talk.next_request()?;
        talk.raw(&u32::MAX.to_be_bytes())?;
        talk.raw(&[PIECE])?;
        talk.raw(&block.body()[..8])?;
        talk.raw(&noise(1, 100_000))
    });
}

#[test]
fn messages_of_the_wrong_length() {
    for (id, body) in
        [(HAVE, &[0, 0, 0][..]), (UNCHOKE, &[1]), (REQUEST, &[0; 11]), (PIECE, &[0; 7]), (CANCEL, &[0; 13])]
    {
        dropped("malformed message", move |talk| {
            talk.answer([0; 8])?;
            talk.send(id, body)
        });
    }
}

#[test]
fn messages_of_kinds_not_agreed_on() {
    dropped("fast extension not agreed on", |talk| {
        talk.answer([0; 8])?;
        talk.send(HAVE_ALL, &[])
    });
}

// What it claims to have.

#[test]
fn a_bitfield_too_long() {
    dropped("bad bitfield", |talk| {
        talk.answer([0; 8])?;
        talk.send(BITFIELD, &[0xff; 4])
    });
}

#[test]
fn a_bitfield_too_short() {
    dropped("bad bitfield", |talk| {
        talk.answer([0; 8])?;
        talk.send(BITFIELD, &[0xff; 2])
    });
}

#[test]
fn a_bitfield_of_a_million_bytes() {
    dropped("oversized frame", |talk| {
        talk.answer([0; 8])?;
        talk.send(BITFIELD, &vec![0; 1_000_000])
    });
}

#[test]
fn spare_bits_in_a_bitfield() {
    dropped("bad bitfield", |talk| {
        talk.answer([0; 8])?;
        talk.send(BITFIELD, &[0xff; 3])
    });
}

/// aria2 does that, instead of many `have`s: no reason to lose a peer.
#[test]
fn a_bitfield_late_and_again() {
    let torrent = torrent();
    let scratch = Scratch::new("late");
    let only = Peer::start(&torrent, |talk| {
        talk.answer([0; 8])?;
        talk.send(HAVE, &[0, 0, 0, 1])?;
        talk.send(BITFIELD, &[0, 0, 0])?;
        talk.open_up()?;
        talk.open_up()?;
        talk.serve()
    });
    let file = scratch.file("precious.torrent", &torrent.metainfo);
    let child = get(&scratch, &file, &["--no-tracker"], &[only.address]);
    let ended = completed(child, &scratch, &torrent);
    row("put up with", ended.took, &ended);
}

#[test]
fn a_flood_of_bitfields() {
    floods(&frame(BITFIELD, &[0; 3]), [0; 8]);
}

#[test]
fn a_have_out_of_range() {
    for index in [21u32, u32::MAX] {
        dropped("piece index out of range", move |talk| {
            talk.answer([0; 8])?;
            talk.send(HAVE, &index.to_be_bytes())
        });
    }
}

/// The same thing over and over, without a look at what comes back.
#[track_caller]
fn floods(message: &[u8], reserved: [u8; 8]) {
    let flood = message.repeat(1000);
    dropped("message flood", move |talk| {
        talk.answer(reserved)?;
        loop {
            talk.raw(&flood)?;
        }
    });
}

#[test]
fn a_flood_of_the_same_have() {
    floods(&frame(HAVE, &[0, 0, 0, 3]), [0; 8]);
}

#[test]
fn a_flood_of_chokes_and_unchokes() {
    floods(&[frame(UNCHOKE, &[]), frame(CHOKE, &[])].concat(), [0; 8]);
}

#[test]
fn a_flood_of_keep_alives() {
    floods(&[0; 4], [0; 8]);
}

#[test]
fn a_flood_of_unknown_messages() {
    floods(&frame(99, b"what?"), [0; 8]);
}

#[test]
fn a_flood_of_dht_ports() {
    floods(&frame(9, &[0, 1]), [0; 8]);
}

// The Fast Extension.

#[test]
fn suggestions_out_of_range() {
    dropped("piece index out of range", |talk| {
        talk.answer(FAST)?;
        talk.send(SUGGEST, &21u32.to_be_bytes())
    });
}

#[test]
fn allowed_fast_pieces_out_of_range() {
    dropped("piece index out of range", |talk| {
        talk.answer(FAST)?;
        talk.send(ALLOWED_FAST, &u32::MAX.to_be_bytes())
    });
}

#[test]
fn a_flood_of_suggestions_and_allowed_fast_pieces() {
    floods(&[frame(SUGGEST, &[0, 0, 0, 3]), frame(ALLOWED_FAST, &[0, 0, 0, 3])].concat(), FAST);
}

#[test]
fn everything_and_nothing_by_turns() {
    floods(&[frame(HAVE_ALL, &[]), frame(HAVE_NONE, &[])].concat(), FAST);
}

#[test]
fn rejections_without_requests() {
    dropped("rejection of nothing", |talk| {
        talk.answer(FAST)?;
        loop {
            talk.send(REJECT, &Block { piece: 1, begin: 0, length: BLOCK }.body())?;
        }
    });
}

// Blocks.

#[test]
fn unrequested_blocks() {
    dropped("unrequested blocks", |talk| {
        talk.answer([0; 8])?;
        talk.send(BITFIELD, &talk.torrent.full_bitfield())?;
        // Choked, nothing can have been asked for.
        let mut dice = Dice::new(5);
        loop {
            let piece = dice.below(20) as u32;
            talk.send_block(Block { piece, begin: 0, length: BLOCK })?;
        }
    });
}

/// Answers the first request, again and again, with what `wrong` makes of it.
#[track_caller]
fn answers_wrongly(why: &str, wrong: impl Fn(Block) -> (Block, usize) + Send + Sync + 'static) {
    dropped(why, move |talk| {
        talk.answer([0; 8])?;
        talk.open_up()?;
        let (block, length) = wrong(talk.next_request()?);
        let bytes = vec![1; length];
        loop {
            talk.send_payload(block, &bytes)?;
        }
    });
}

#[test]
fn blocks_at_the_wrong_offset() {
    answers_wrongly("unrequested blocks", |block| {
        (Block { begin: block.begin + 1, ..block }, BLOCK as usize)
    });
}

#[test]
fn blocks_of_the_wrong_length() {
    for (length, why) in [
        (0, "malformed message"),
        (1, "unrequested blocks"),
        (BLOCK as usize - 1, "unrequested blocks"),
        (BLOCK as usize + 1, "oversized frame"),
        (2 * BLOCK as usize, "oversized frame"),
    ] {
        answers_wrongly(why, move |block| (block, length));
    }
}

#[test]
fn blocks_of_pieces_that_are_not() {
    answers_wrongly("unrequested blocks", |block| {
        (Block { piece: u32::MAX, begin: u32::MAX - 5, ..block }, BLOCK as usize)
    });
}

#[test]
fn another_block_for_each_that_was_asked_for() {
    dropped("unrequested blocks", |talk| {
        talk.answer([0; 8])?;
        talk.open_up()?;
        loop {
            let block = talk.next_request()?;
            talk.send_payload(Block { begin: block.begin + 1, ..block }, &[1; BLOCK as usize])?;
        }
    });
}

#[test]
fn each_block_twice() {
    dropped("unrequested blocks", |talk| {
        talk.answer([0; 8])?;
        talk.open_up()?;
        loop {
            let block = talk.next_request()?;
            talk.send_block(block)?;
            talk.send_block(block)?;
        }
    });
}

/// Serves what is asked for, but for what `spoil` does to it.
fn spoils(spoil: impl Fn(Block, &mut [u8]) + Send + Sync + 'static) {
    dropped("corrupt piece", move |talk| {
        talk.answer([0; 8])?;
        talk.open_up()?;
        loop {
            let block = talk.next_request()?;
            let mut bytes = talk.torrent.block(block.piece, block.begin, block.length).unwrap().to_vec();
            spoil(block, &mut bytes);
            talk.send_payload(block, &bytes)?;
        }
    });
}

#[test]
fn corrupt_blocks_once() {
    let once = std::sync::atomic::AtomicBool::new(true);
    spoils(move |_, bytes| {
        if once.swap(false, std::sync::atomic::Ordering::Relaxed) {
            bytes.fill(0xee);
        }
    });
}

#[test]
fn only_the_last_byte_of_each_piece_wrong() {
    spoils(|block, bytes| {
        if block.begin == 3 * BLOCK {
            *bytes.last_mut().unwrap() ^= 1;
        }
    });
}

#[test]
fn corrupt_blocks_always() {
    spoils(|_, bytes| bytes.fill(0xee));
}

#[test]
fn one_corrupt_byte_among_right_ones() {
    spoils(|block, bytes| {
        if block.begin == 0 {
            bytes[4321 % block.length as usize] ^= 1;
        }
    });
}

// Requests to us while we download.

#[test]
fn requests_out_of_range() {
    let block = |piece, begin, length| Block { piece, begin, length };
    for (wrong, why) in [
        (block(21, 0, BLOCK), "piece index out of range"),
        (block(0, u32::MAX, BLOCK), "bad request"),
        (block(20, 0, BLOCK), "bad request"),
        (block(0, 0, 0), "bad request"),
    ] {
        dropped(why, move |talk| {
            talk.answer([0; 8])?;
            talk.open_up()?;
            talk.send(INTERESTED, &[])?;
            loop {
                talk.send(REQUEST, &wrong.body())?;
            }
        });
    }
}

#[test]
fn a_request_for_four_gigabytes() {
    dropped("bad request", |talk| {
        talk.answer([0; 8])?;
        talk.open_up()?;
        loop {
            talk.send(REQUEST, &Block { piece: 0, begin: 0, length: u32::MAX }.body())?;
        }
    });
}

#[test]
fn a_flood_of_cancels() {
    floods(&frame(CANCEL, &Block { piece: 0, begin: 0, length: BLOCK }.body()), [0; 8]);
}

#[test]
fn a_flood_of_requests_from_a_peer_that_never_reads() {
    dropped("request flood", |talk| {
        talk.answer([0; 8])?;
        talk.open_up()?;
        talk.send(INTERESTED, &[])?;
        let flood = frame(REQUEST, &Block { piece: 0, begin: 0, length: BLOCK }.body()).repeat(1000);
        loop {
            talk.raw(&flood)?;
        }
    });
}
