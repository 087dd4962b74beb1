//! Those who call a seed to do it harm, against the real binary on real sockets: whatever they say,
//! and however many they are, others are served.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::child::{Child, Ended, PATIENCE, bitwren};
use crate::support::content::{BLOCK, Torrent, noise};
use crate::support::hostile::{MEMORY, SOON, row, torrent};
use crate::support::leecher;
use crate::support::peer::*;
use crate::support::scratch::Scratch;

/// Descriptors of a seed with every one of its 100 places taken, and 32 more that still shake hands.
const DESCRIPTORS: usize = 160;

/// A seed that is ready.
pub struct Seed {
    child: Child,
    pub address: SocketAddr,
    pub torrent: Arc<Torrent>,
    _scratch: Scratch,
}

impl Seed {
    pub fn start() -> Seed {
        let (torrent, scratch) = (torrent(), Scratch::new("seed"));
        // An address of its own: whichever port is free there stays free until the seed takes it.
        let ip = next_address();
        let address = std::net::TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap();
        let file = scratch.file("precious.torrent", &torrent.metainfo);
        torrent.write_to(&scratch.dir("seeded"));
        let mut command = bitwren(scratch.path(), &["seed", "--json", "--verbose", "--no-tracker"]);
        let (ip, port) = (ip.to_string(), address.port().to_string());
        command.arg("-d").arg(scratch.dir("seeded")).args(["--bind", &ip, "--port", &port]);
        let child = Child::spawn(command.arg(file));
        // It serves no peer while it checks its data.
        child.wait_for_line(PATIENCE, |line| line.contains("finished"));
        Seed { child, address, torrent, _scratch: scratch }
    }

    /// Waits until the seed has told that someone is gone for this reason.
    fn names(&self, why: &str) {
        let why = format!(r#""why":"{why}""#);
        self.child.wait_for_line(PATIENCE, |line| line.contains("peer_gone") && line.contains(&why));
    }

    pub fn call(&self) -> Talk {
        leecher::call(&self.torrent, self.address, PATIENCE).unwrap()
    }

    /// Others get everything: as soon as there is a place for them.
    #[track_caller]
    pub fn serves_others(&self) {
        let end = Instant::now() + SOON;
        let got = loop {
            match leecher::fetch(&self.torrent, self.address, PATIENCE) {
                Ok(got) => break got,
                Err(error) if Instant::now() > end => panic!("{error}\n{}", self.child.said()),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        assert_eq!(got, self.torrent.data);
    }

    #[track_caller]
    pub fn end(self) -> Ended {
        self.child.signal("INT");
        let ended = self.child.wait_end(PATIENCE).expect_one_of(&[0, 7]);
        assert!(ended.peak < MEMORY, "{} KiB resident", ended.peak / 1024);
        assert!(ended.descriptors < DESCRIPTORS, "{} descriptors", ended.descriptors);
        ended
    }
}

/// Says this to a seed, which hangs up; others are served before and after.
#[track_caller]
fn turned_away(openings: &[Vec<u8>]) {
    let seed = Seed::start();
    seed.serves_others();
    let mut longest = Duration::ZERO;
    for opening in openings {
        let begun = Instant::now();
        let mut stranger = seed.call();
        // It may hang up on us while we are still talking; then that is the end of it.
        if stranger.raw(opening).is_ok() {
            let _ = stranger.listen();
        }
        assert!(begun.elapsed() < SOON, "it was listened to");
        longest = longest.max(begun.elapsed());
    }
    seed.serves_others();
    row("hung up on", longest, &seed.end());
}

/// After a handshake as it should be.
fn shaken(then: &[u8]) -> Vec<u8> {
    [&handshake([0; 8], &torrent().info_hash, b"-TT0001-aaaaaaaaaaaa")[..], then].concat()
}

fn request(piece: u32, begin: u32, length: u32) -> Vec<u8> {
    frame(REQUEST, &Block { piece, begin, length }.body())
}

#[test]
fn a_stranger_of_another_protocol() {
    turned_away(&[noise(3, 200), b"GET / HTTP/1.1\r\nHost: you\r\n\r\n".repeat(10)]);
}

/// Of those who were called it was told, and of those who called it was not.
#[test]
fn a_stranger_without_a_handshake_is_named() {
    let seed = Seed::start();
    // Noise may be an encrypted handshake until its pad is longer than any.
    let sayings =
        [(b"HEAD / HTTP/1.1\r\n\r\n".to_vec(), "bad handshake"), (noise(3, 700), "bad encrypted handshake")];
    for (says, why) in sayings {
        let mut stranger = seed.call();
        stranger.raw(&says).unwrap();
        let _ = stranger.listen();
        seed.names(why);
    }
    seed.end();
}

#[test]
fn a_stranger_that_wants_another_torrent() {
    turned_away(&[handshake([0; 8], &[9; 20], b"-TT0001-bbbbbbbbbbbb")]);
}

#[test]
fn a_stranger_with_frames_of_any_length() {
    let lengths = (17..32).map(|bit| 1u32 << bit).chain([65_538, u32::MAX]);
    turned_away(&lengths.map(|length| shaken(&length.to_be_bytes())).collect::<Vec<_>>());
}

#[test]
fn a_stranger_with_impossible_pieces() {
    turned_away(&[shaken(&frame(HAVE, &u32::MAX.to_be_bytes())), shaken(&frame(BITFIELD, &[0xff; 3]))]);
}

#[test]
fn a_stranger_with_impossible_requests() {
    turned_away(&[
        shaken(&[frame(INTERESTED, &[]), request(0, 0, u32::MAX)].concat()),
        shaken(&[frame(INTERESTED, &[]), request(u32::MAX, 0, BLOCK)].concat()),
        shaken(&[frame(INTERESTED, &[]), request(0, u32::MAX, BLOCK)].concat()),
    ]);
}

#[test]
fn a_stranger_that_asks_without_end() {
    turned_away(&[shaken(&[frame(INTERESTED, &[]), request(0, 0, BLOCK).repeat(100_000)].concat())]);
}

#[test]
fn a_crowd_that_asks_for_everything_and_never_reads() {
    let seed = Seed::start();
    let blocks = (0..20).flat_map(|piece| (0..4).map(move |block| (piece, block * BLOCK)));
    let everything: Vec<u8> = blocks.flat_map(|(piece, begin)| request(piece, begin, BLOCK)).collect();
    let begun = Instant::now();
    let crowd: Vec<Talk> = (0..60)
        .map(|_| {
            let mut idler = seed.call();
            // Where it is one too many it is hung up on.
            let hello = idler.send_handshake([0; 8]).and_then(|()| idler.send(INTERESTED, &[]));
            let _ = hello.and_then(|()| idler.raw(&everything));
            idler
        })
        .collect();
    // They may hold every place there is; once they are gone, and that is noticed, others get it.
    drop(crowd);
    seed.serves_others();
    row("others served", begun.elapsed(), &seed.end());
}

/// Places for those who still shake hands are few. One who took ten seconds for each byte once held
/// his for eleven minutes.
#[test]
fn a_crowd_that_shakes_hands_a_byte_at_a_time() {
    let seed = Seed::start();
    let begun = Instant::now();
    let crowd: Vec<_> = (0..40)
        .map(|_| {
            let mut slow = seed.call();
            std::thread::spawn(move || {
                let hello = handshake([0; 8], &slow.torrent.info_hash, b"-TT0001-cccccccccccc");
                for byte in hello {
                    slow.raw(&[byte])?;
                    std::thread::sleep(Duration::from_secs(1));
                }
                slow.listen()
            })
        })
        .collect();
    seed.serves_others();
    row("hung up on, others served", begun.elapsed(), &seed.end());
    crowd.into_iter().for_each(|slow| _ = slow.join().unwrap());
}
