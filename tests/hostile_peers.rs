//! Peers that lie, stall, flood and hang up, against the real binary on real sockets. Whatever one of
//! them does, the download from an honest peer completes with every byte right, memory stays bounded,
//! and the process ends by itself.
//!
//! Two kinds of wrong: what no honest program does gets a peer *dropped*, and the honest seeder serves
//! nothing before that has happened; what an overloaded one might do (silence, chokes, stalls) gets it
//! *starved*: the honest seeder starts once the other has done it, and what the other holds is taken over.

mod support;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use support::child::{Child, Ended, PATIENCE, bitwren};
use support::content::{BLOCK, Dice, Recipe, Torrent, noise};
use support::latch::Latch;
use support::leecher;
use support::peer::*;
use support::scratch::Scratch;
use support::seeder::{Manner, Seeder};

/// The most memory a download may have resident whatever a peer does to it, in an unoptimised build.
const MEMORY: u64 = 48 << 20;

/// How soon a peer is to be dropped for what it does; well before the scripts give up by themselves.
const SOON: Duration = Duration::from_secs(30);

/// 21 pieces, so that a bitfield has spare bits; the last is short.
fn torrent() -> Arc<Torrent> {
    Arc::new(Recipe::single("precious.bin", 20 * 4 * BLOCK as usize + 1234).make())
}

fn get(scratch: &Scratch, torrent: &Torrent, peers: &[&str]) -> Child {
    let file = scratch.file("precious.torrent", &torrent.metainfo);
    let mut command = bitwren(
        scratch.path(),
        &["get", "--json", "--verbose", "--no-dht", "--no-lsd", "--no-portmap", "--no-tracker"],
    );
    command.arg("-d").arg(scratch.dir("got")).args(["--port", "0"]);
    for peer in peers {
        command.args(["--peer", peer]);
    }
    Child::spawn(command.arg(file))
}

/// It completed, every byte right, in bounded memory.
#[track_caller]
fn completed(child: Child, scratch: &Scratch, torrent: &Torrent) -> Ended {
    let ended = child.wait_end(PATIENCE).expect(0);
    torrent.assert_complete(&scratch.path().join("got"));
    assert!(ended.peak < MEMORY, "{} KiB resident", ended.peak / 1024);
    ended
}

/// The script's connection is hung up on; only then does the honest seeder serve.
#[track_caller]
fn dropped(script: impl Fn(&mut Talk) -> io::Result<()> + Send + Sync + 'static) -> Ended {
    let torrent = torrent();
    let scratch = Scratch::new("liar");
    // However the script ends, it has been hung up on when it can read no more.
    let liar = Peer::start(&torrent, move |talk| script(talk).and_then(|()| talk.listen()));
    let gate = Latch::new();
    let honest = Seeder::start(&torrent, Manner { gate: Some(gate.clone()), ..Manner::default() });
    let child = get(&scratch, &torrent, &[&liar.address.to_string(), &honest.address().to_string()]);
    assert!(liar.wait_over(SOON), "the liar was never dropped\n{}", child.said());
    gate.open();
    completed(child, &scratch, &torrent)
}

/// The script tells, by opening the latch, when it has done its worst; the honest seeder starts then,
/// and the download completes although the script goes on as it likes.
#[track_caller]
fn starved(script: impl Fn(&mut Talk, &Latch) -> io::Result<()> + Send + Sync + 'static) -> Ended {
    let torrent = torrent();
    let scratch = Scratch::new("sloth");
    let gate = Latch::new();
    let opener = gate.clone();
    let sloth = Peer::start(&torrent, move |talk| script(talk, &opener));
    let honest = Seeder::start(&torrent, Manner { gate: Some(gate.clone()), ..Manner::default() });
    let child = get(&scratch, &torrent, &[&sloth.address.to_string(), &honest.address().to_string()]);
    assert!(gate.wait(PATIENCE), "it never came to it: {:?}\n{}", sloth.endings(), child.said());
    completed(child, &scratch, &torrent)
}

// Handshakes.

#[test]
fn a_handshake_of_garbage() {
    dropped(|talk| talk.raw(&noise(7, 100)));
}

#[test]
fn a_handshake_for_another_torrent() {
    dropped(|talk| talk.raw(&handshake([0; 8], &[0xaa; 20], b"-XX0000-aaaaaaaaaaaa")));
}

#[test]
fn ourselves() {
    dropped(|talk| {
        talk.read_handshake()?;
        talk.own_id = talk.peer_id;
        talk.send_handshake([0; 8])
    });
}

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

// Frames and messages.

#[test]
fn a_length_of_two_to_the_31() {
    dropped(|talk| {
        talk.answer([0; 8])?;
        talk.raw(&(1u32 << 31).to_be_bytes())?;
        talk.raw(&noise(1, 100_000))
    });
}

#[test]
fn blocks_of_nearly_four_gigabytes() {
    dropped(|talk| {
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
        dropped(move |talk| {
            talk.answer([0; 8])?;
            talk.send(id, body)
        });
    }
}

#[test]
fn messages_of_kinds_not_agreed_on() {
    dropped(|talk| {
        talk.answer([0; 8])?;
        talk.send(HAVE_ALL, &[])
    });
}

// What it claims to have.

#[test]
fn a_bitfield_too_long() {
    dropped(|talk| {
        talk.answer([0; 8])?;
        talk.send(BITFIELD, &[0xff; 4])
    });
}

#[test]
fn a_bitfield_too_short() {
    dropped(|talk| {
        talk.answer([0; 8])?;
        talk.send(BITFIELD, &[0xff; 2])
    });
}

#[test]
fn a_bitfield_of_a_million_bytes() {
    dropped(|talk| {
        talk.answer([0; 8])?;
        talk.send(BITFIELD, &vec![0; 1_000_000])
    });
}

#[test]
fn spare_bits_in_a_bitfield() {
    dropped(|talk| {
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
    let child = get(&scratch, &torrent, &[&only.address.to_string()]);
    completed(child, &scratch, &torrent);
}

#[test]
fn a_flood_of_bitfields() {
    dropped(|talk| {
        talk.answer([0; 8])?;
        let flood = frame(BITFIELD, &[0; 3]).repeat(1000);
        loop {
            talk.raw(&flood)?;
        }
    });
}

#[test]
fn a_have_out_of_range() {
    for index in [21u32, u32::MAX] {
        dropped(move |talk| {
            talk.answer([0; 8])?;
            talk.send(HAVE, &index.to_be_bytes())
        });
    }
}

#[test]
fn a_flood_of_the_same_have() {
    dropped(|talk| {
        talk.answer([0; 8])?;
        let flood = frame(HAVE, &[0, 0, 0, 3]).repeat(1000);
        loop {
            talk.raw(&flood)?;
        }
    });
}

#[test]
fn a_flood_of_chokes_and_unchokes() {
    dropped(|talk| {
        talk.answer([0; 8])?;
        let flood = [frame(UNCHOKE, &[]), frame(CHOKE, &[])].concat().repeat(1000);
        loop {
            talk.raw(&flood)?;
        }
    });
}

// Blocks.

#[test]
fn blocks_that_nobody_asked_for() {
    dropped(|talk| {
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
fn answers_wrongly(wrong: impl Fn(Block) -> (Block, usize) + Send + Sync + 'static) {
    dropped(move |talk| {
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
    answers_wrongly(|block| (Block { begin: block.begin + 1, ..block }, BLOCK as usize));
}

#[test]
fn blocks_of_the_wrong_length() {
    for wrong in [0, 1, BLOCK as usize - 1, BLOCK as usize + 1, 2 * BLOCK as usize] {
        answers_wrongly(move |block| (block, wrong));
    }
}

#[test]
fn blocks_of_pieces_that_are_not() {
    answers_wrongly(|block| (Block { piece: u32::MAX, begin: u32::MAX - 5, ..block }, BLOCK as usize));
}

#[test]
fn corrupt_blocks() {
    let ended = dropped(|talk| {
        talk.answer([0; 8])?;
        talk.open_up()?;
        loop {
            let block = talk.next_request()?;
            talk.send_payload(block, &vec![0xee; block.length as usize])?;
        }
    });
    // Not only dropped: named.
    assert!(ended.stdout.contains("corrupt piece"), "{ended:#?}");
}

#[test]
fn one_corrupt_byte_among_right_ones() {
    let ended = dropped(|talk| {
        talk.answer([0; 8])?;
        talk.open_up()?;
        loop {
            let block = talk.next_request()?;
            let mut bytes = talk.torrent.block(block.piece, block.begin, block.length).unwrap().to_vec();
            if block.begin == 0 {
                bytes[4321 % block.length as usize] ^= 1;
            }
            talk.send_payload(block, &bytes)?;
        }
    });
    assert!(ended.stdout.contains("corrupt piece"), "{ended:#?}");
}

// Delivery that does not come.

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

// Requests to us while we download.

#[test]
fn requests_out_of_range() {
    let block = |piece, begin, length| Block { piece, begin, length };
    for wrong in [
        block(21, 0, BLOCK),
        block(0, u32::MAX, BLOCK),
        block(0, 0, u32::MAX),
        block(20, 0, BLOCK),
        block(0, 0, 0),
    ] {
        dropped(move |talk| {
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
fn a_flood_of_requests_from_one_who_never_reads() {
    dropped(|talk| {
        talk.answer([0; 8])?;
        talk.open_up()?;
        talk.send(INTERESTED, &[])?;
        let flood = frame(REQUEST, &Block { piece: 0, begin: 0, length: BLOCK }.body()).repeat(1000);
        loop {
            talk.raw(&flood)?;
        }
    });
}

// Those who call us while we seed.

/// A seed that is ready, and the address it listens at.
fn seed(scratch: &Scratch, torrent: &Torrent) -> (Child, std::net::SocketAddr) {
    // An address of its own: whichever port is free there stays free until the seed takes it.
    let ip = next_address();
    let address = std::net::TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap();
    let file = scratch.file("precious.torrent", &torrent.metainfo);
    torrent.write_to(&scratch.dir("seeded"));
    let mut command =
        bitwren(scratch.path(), &["seed", "--json", "--no-dht", "--no-lsd", "--no-portmap", "--no-tracker"]);
    command.arg("-d").arg(scratch.dir("seeded")).args([
        "--bind",
        &ip.to_string(),
        "--port",
        &address.port().to_string(),
    ]);
    let child = Child::spawn(command.arg(file));
    // While it checks what it has it serves nobody.
    child.wait_for_line(PATIENCE, |line| line.contains("finished"));
    (child, address)
}

#[test]
fn whatever_strangers_say_others_are_served() {
    let torrent = torrent();
    let scratch = Scratch::new("seed");
    let (child, address) = seed(&scratch, &torrent);
    let hello = handshake([0; 8], &torrent.info_hash, b"-TT0001-aaaaaaaaaaaa");
    let request = |piece, begin, length| frame(REQUEST, &Block { piece, begin, length }.body());
    let openings = [
        noise(3, 200),
        handshake([0; 8], &[9; 20], b"-TT0001-bbbbbbbbbbbb"),
        [&hello[..], &(1u32 << 31).to_be_bytes()].concat(),
        [&hello[..], &frame(HAVE, &u32::MAX.to_be_bytes())].concat(),
        [&hello[..], &frame(BITFIELD, &[0xff; 3])].concat(),
        [&hello[..], &frame(INTERESTED, &[]), &request(0, 0, u32::MAX)].concat(),
        [&hello[..], &frame(INTERESTED, &[]), &request(u32::MAX, 0, BLOCK)].concat(),
        [&hello[..], &frame(INTERESTED, &[]), &request(0, 0, BLOCK).repeat(100_000)].concat(),
    ];
    assert_eq!(
        leecher::fetch(&torrent, address, PATIENCE).unwrap_or_else(|e| panic!("{e}\n{}", child.said())),
        torrent.data
    );
    for opening in openings {
        let mut stranger = leecher::call(&torrent, address, PATIENCE).unwrap();
        // It may hang up on us while we are still talking; then that is the end of it.
        if stranger.raw(&opening).is_ok() {
            let _ = stranger.listen();
        }
    }
    assert_eq!(
        leecher::fetch(&torrent, address, PATIENCE).unwrap_or_else(|e| panic!("{e}\n{}", child.said())),
        torrent.data
    );
    child.signal("INT");
    let ended = child.wait_end(PATIENCE).expect_one_of(&[0, 7]);
    assert!(ended.peak < MEMORY, "{} KiB resident", ended.peak / 1024);
}

#[test]
fn a_crowd_that_never_reads_is_no_burden() {
    let torrent = torrent();
    let scratch = Scratch::new("crowd");
    let (child, address) = seed(&scratch, &torrent);
    let everything: Vec<u8> = (0..20)
        .flat_map(|piece| (0..4).map(move |block| Block { piece, begin: block * BLOCK, length: BLOCK }))
        .flat_map(|block| frame(REQUEST, &block.body()))
        .collect();
    let crowd: Vec<Talk> = (0..60)
        .map(|_| {
            let mut idler = leecher::call(&torrent, address, PATIENCE).unwrap();
            // Where it is one too many it is hung up on.
            let hello = idler.send_handshake([0; 8]).and_then(|()| idler.send(INTERESTED, &[]));
            let _ = hello.and_then(|()| idler.raw(&everything));
            idler
        })
        .collect();
    // They may hold every place there is; once they are gone, and that is noticed, others get it.
    drop(crowd);
    let end = Instant::now() + SOON;
    let got = loop {
        match leecher::fetch(&torrent, address, PATIENCE) {
            Ok(got) => break got,
            Err(error) if Instant::now() > end => panic!("{error}\n{}", child.said()),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    assert_eq!(got, torrent.data);
    child.signal("INT");
    let ended = child.wait_end(PATIENCE).expect_one_of(&[0, 7]);
    assert!(ended.peak < MEMORY, "{} KiB resident", ended.peak / 1024);
}
