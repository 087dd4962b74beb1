//! Peers that do nothing an overloaded one might not do, and deliver nothing: silence, chokes, stalls,
//! resets. They are starved: the honest seeder starts once the other has done its worst, and what the
//! other holds is taken over without waiting for it.
//!
//! When such a one is given up for good is bounded by the session's own clock and shown in virtual
//! time (`tests/it/session.rs`): 10 to 60 s without a block and its leases go to others, 120 s and it is
//! left; 150 s of silence; 10 s for the handshake, all of it.

use std::time::Duration;

use crate::support::child::PATIENCE;
use crate::support::hostile::starved;
use crate::support::peer::*;

#[test]
fn a_handshake_cut_short_by_a_reset() {
    starved(|talk, latch| {
        talk.raw(b"\x13BitTorrent pro")?;
        latch.open();
        talk.leave_unread()
    });
}

#[test]
fn no_handshake_at_all() {
    starved(|talk, latch| {
        latch.open();
        talk.listen()
    });
}

#[test]
fn silence_after_the_handshake() {
    starved(|talk, latch| {
        talk.answer([0; 8])?;
        latch.open();
        talk.listen()
    });
}

#[test]
fn it_never_unchokes() {
    starved(|talk, latch| {
        talk.answer([0; 8])?;
        let bitfield = talk.torrent.full_bitfield();
        talk.send(BITFIELD, &bitfield)?;
        talk.wait_for(INTERESTED)?;
        latch.open();
        talk.listen()
    });
}

#[test]
fn it_takes_requests_and_delivers_nothing() {
    starved(|talk, latch| {
        talk.answer([0; 8])?;
        talk.open_up()?;
        talk.next_request()?;
        latch.open();
        talk.listen()
    });
}

#[test]
fn it_chokes_after_each_block() {
    starved(|talk, latch| {
        talk.answer([0; 8])?;
        talk.open_up()?;
        for _ in 0..10 {
            let block = talk.next_request()?;
            talk.send_block(block)?;
            talk.send(CHOKE, &[])?;
            talk.send(UNCHOKE, &[])?;
        }
        talk.next_request()?;
        talk.send(CHOKE, &[])?;
        latch.open();
        talk.listen()
    });
}

#[test]
fn it_stalls_between_blocks() {
    starved(|talk, latch| {
        talk.answer([0; 8])?;
        talk.open_up()?;
        for _ in 0..3 {
            let block = talk.next_request()?;
            talk.send_block(block)?;
        }
        talk.next_request()?;
        latch.open();
        talk.listen()
    });
}

#[test]
fn a_byte_every_20_ms() {
    starved(|talk, latch| {
        talk.answer([0; 8])?;
        talk.open_up()?;
        let block = talk.next_request()?;
        let bytes = talk.torrent.block(block.piece, block.begin, block.length).unwrap().to_vec();
        talk.raw(&(block.length + 9).to_be_bytes())?;
        talk.raw(&[PIECE])?;
        talk.raw(&block.body()[..8])?;
        for (nth, byte) in bytes.iter().enumerate() {
            talk.raw(&[*byte])?;
            std::thread::sleep(Duration::from_millis(20));
            if nth == 20 {
                latch.open();
            }
        }
        talk.listen()
    });
}

#[test]
fn it_never_reads() {
    starved(|talk, latch| {
        talk.answer([0; 8])?;
        talk.open_up()?;
        talk.send(INTERESTED, &[])?;
        latch.open();
        std::thread::sleep(PATIENCE);
        Ok(())
    });
}

#[test]
fn it_has_everything_but_what_is_asked_for() {
    starved(|talk, latch| {
        talk.answer(FAST)?;
        talk.send(HAVE_ALL, &[])?;
        talk.send(UNCHOKE, &[])?;
        talk.next_request()?;
        // It takes back all that it said, and says it again.
        for _ in 0..100 {
            talk.send(HAVE_NONE, &[])?;
            talk.send(CHOKE, &[])?;
            talk.send(HAVE_ALL, &[])?;
            talk.send(UNCHOKE, &[])?;
        }
        latch.open();
        talk.listen()
    });
}

#[test]
fn it_says_goodbye_to_one_half_only() {
    starved(|talk, latch| {
        talk.answer([0; 8])?;
        talk.open_up()?;
        talk.next_request()?;
        talk.end_writing();
        latch.open();
        talk.listen()
    });
}

#[test]
fn it_stalls_inside_a_block() {
    starved(|talk, latch| {
        talk.answer([0; 8])?;
        talk.open_up()?;
        let block = talk.next_request()?;
        talk.raw(&(block.length + 9).to_be_bytes())?;
        talk.raw(&[PIECE])?;
        talk.raw(&block.body()[..8])?;
        let torrent = talk.torrent.clone();
        talk.raw(torrent.block(block.piece, block.begin, block.length / 2).unwrap())?;
        latch.open();
        talk.listen()
    });
}

#[test]
fn it_rejects_every_request() {
    starved(|talk, latch| {
        talk.answer(FAST)?;
        talk.open_up()?;
        for turn in 0.. {
            let block = talk.next_request()?;
            talk.send(REJECT, &block.body())?;
            if turn == 5 {
                latch.open();
            }
        }
        Ok(())
    });
}

#[test]
fn it_resets_in_the_middle_of_a_block() {
    starved(|talk, latch| {
        talk.answer([0; 8])?;
        talk.open_up()?;
        let block = talk.next_request()?;
        talk.raw(&(block.length + 9).to_be_bytes())?;
        talk.raw(&[PIECE])?;
        latch.open();
        talk.leave_unread()
    });
}

#[test]
fn it_hangs_up_after_every_block() {
    starved(|talk, latch| {
        talk.answer([0; 8])?;
        talk.open_up()?;
        let block = talk.next_request()?;
        talk.send_block(block)?;
        latch.open();
        talk.close();
        Ok(())
    });
}
