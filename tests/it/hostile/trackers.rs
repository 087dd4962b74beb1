//! Trackers that answer garbage, too much, too slowly or not at all. A peer is known besides; the
//! download from it completes, memory stays bounded, and neither the download nor the exit waits for a
//! tracker: the honest seeder serves nothing before the tracker was asked, and the deadline for all of it
//! is far shorter than any tracker here would take.

use std::io::{self, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use crate::support::bencode::{bytes, dict, int};
use crate::support::child::{Child, bitwren};
use crate::support::content::{Dice, Recipe, noise};
use crate::support::hostile::{assert_modest, row};
use crate::support::http::{Server, endless_body, endless_headers, ok};
use crate::support::latch::Latch;
use crate::support::scratch::Scratch;
use crate::support::seeder::{Manner, Seeder};

/// For everything from start to exit; a tracker's own time-outs are longer.
const BUDGET: Duration = Duration::from_secs(20);

/// Downloads a torrent with these trackers from an honest seeder that starts when `asked` opens.
#[track_caller]
fn completes(trackers: &[String], asked: Latch) {
    let mut recipe = Recipe::single("tracked.bin", 500_000);
    for url in trackers {
        recipe = recipe.tracker(url);
    }
    let torrent = Arc::new(recipe.make());
    let scratch = Scratch::new("tracker");
    let honest = Seeder::start(&torrent, Manner { gate: Some(asked.clone()), ..Manner::default() });
    let file = scratch.file("tracked.torrent", &torrent.metainfo);
    let options = ["get", "--json", "--verbose", "--no-dht", "--no-lsd", "--no-portmap", "--port", "0"];
    let mut command = bitwren(scratch.path(), &options);
    command.args(["--peer", &honest.address().to_string(), "-d"]).arg(scratch.dir("got")).arg(file);
    let child = Child::spawn(&mut command);
    assert!(asked.wait(BUDGET), "the tracker was never asked\n{}", child.said());
    let ended = child.wait_end(BUDGET).expect(0);
    torrent.assert_complete(&scratch.path().join("got"));
    assert_modest(&ended);
    // What the client says of the tracker, as far as it waited for that.
    let failed = ended.stdout.lines().rev().find(|line| line.contains(r#""event":"tracker_failed""#));
    let why =
        failed.and_then(|line| line.split(r#""why":""#).nth(1)).and_then(|why| why.split("\",\"").next());
    let shown = |why: &str| why.chars().filter(|c| *c != '|').take(60).collect::<String>();
    row(&why.map_or("not waited for".to_owned(), |why| format!("told: {}", shown(why))), ended.took, &ended);
}

/// The same with an HTTP tracker that answers whatever `answer` writes.
#[track_caller]
fn completes_with(answer: impl Fn(&str, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static) {
    let asked = Latch::new();
    let opener = asked.clone();
    let server = Server::start(move |request, stream| {
        opener.open();
        answer(request, stream)
    });
    completes(&[server.url("/announce")], asked);
}

#[test]
fn garbage() {
    completes_with(|_, stream| ok(stream, &noise(1, 3000)));
}

#[test]
fn garbage_instead_of_http() {
    completes_with(|_, stream| stream.write_all(&noise(2, 30_000)));
}

#[test]
fn nothing_before_it_hangs_up() {
    completes_with(|_, _| Ok(()));
}

#[test]
fn a_body_shorter_than_promised() {
    completes_with(|_, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nd8:interval")
    });
}

#[test]
fn a_gigabyte() {
    completes_with(|_, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1 << 30)?;
        let chunk = vec![b'd'; 1 << 20];
        (0..1024).try_for_each(|_| stream.write_all(&chunk))
    });
}

#[test]
fn a_body_without_end() {
    completes_with(|_, stream| endless_body(stream, 0x1_0000));
}

#[test]
fn headers_without_end() {
    completes_with(|_, stream| endless_headers(stream));
}

#[test]
fn a_gigabyte_packed_into_seven_megabytes() {
    let bomb = gzip_bomb(1 << 30);
    completes_with(move |_, stream| {
        let length = bomb.len();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n")?;
        stream.write_all(&bomb)
    });
}

#[test]
fn a_redirect_loop() {
    completes_with(|request, stream| {
        let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
        write!(
            stream,
            "HTTP/1.1 302 Found\r\nLocation: {path}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
    });
}

#[test]
fn redirects_that_grow() {
    completes_with(|request, stream| {
        let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
        write!(
            stream,
            "HTTP/1.1 301 Moved\r\nLocation: {path}{path}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
    });
}

#[test]
fn a_byte_a_second() {
    completes_with(|_, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")?;
        loop {
            stream.write_all(b"d")?;
            std::thread::sleep(Duration::from_secs(1));
        }
    });
}

#[test]
fn headers_a_byte_a_second() {
    completes_with(|_, stream| {
        loop {
            stream.write_all(b"H")?;
            std::thread::sleep(Duration::from_secs(1));
        }
    });
}

#[test]
fn silence() {
    completes_with(|_, stream| stream.read_to_end(&mut Vec::new()).map(drop));
}

#[test]
fn a_million_open_lists() {
    completes_with(|_, stream| ok(stream, &vec![b'l'; 1_000_000]));
}

#[test]
fn absurd_numbers() {
    completes_with(|_, stream| {
        let mut answer = b"d8:intervali-9223372036854775808e12:min intervali99999999999999999999e".to_vec();
        answer.extend(b"5:peers9999999999:");
        ok(stream, &answer)
    });
}

#[test]
fn a_hundred_thousand_dead_peers() {
    completes_with(|_, stream| {
        // On addresses of this machine without a listener.
        let mut dice = Dice::new(11);
        let peers: Vec<u8> = (0..100_000)
            .flat_map(|_| [127, 1, dice.below(256) as u8, dice.below(256) as u8, 0, 1 + dice.below(9) as u8])
            .collect();
        ok(stream, &dict([("interval", int(1800)), ("peers", bytes(peers))]).encode())
    });
}

#[test]
fn nonsense_peers() {
    completes_with(|_, stream| {
        let mut peers =
            vec![0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 224, 0, 0, 1, 0, 80, 127, 0, 0, 1, 0, 0];
        peers.extend([1, 2, 3]);
        ok(stream, &dict([("interval", int(0)), ("peers", bytes(peers))]).encode())
    });
}

#[test]
fn a_failure_that_would_scribble_on_the_terminal() {
    completes_with(|_, stream| {
        let reason = "\x1b[2J\x1b]0;owned\x07 go away\r\nfor\0good \u{202e}".repeat(2000);
        ok(stream, &dict([("failure reason", bytes(reason))]).encode())
    });
}

#[test]
fn no_tracker_there() {
    completes(&["http://127.0.99.1:1/announce".into()], Latch::opened());
}

#[test]
fn names_that_do_not_resolve() {
    completes(
        &["http://tracker.invalid/announce".into(), "udp://tracker.invalid:80/announce".into()],
        Latch::opened(),
    );
}

#[test]
fn addresses_that_are_none() {
    let urls = [
        "",
        "http://",
        "http://[::1",
        "gopher://x/y",
        "udp://127.0.0.1",
        "udp://127.0.0.1:0",
        "http://127.0.0.1:99999/",
        "\u{7f}\0",
    ];
    completes(&urls.map(str::to_owned), Latch::opened());
}

/// A UDP tracker that answers each datagram with whatever `answer` makes of it.
#[track_caller]
fn completes_with_udp(answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("udp://{}/announce", socket.local_addr().unwrap());
    let asked = Latch::new();
    let opener = asked.clone();
    std::thread::spawn(move || {
        let mut datagram = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut datagram) {
            opener.open();
            if let Some(reply) = answer(&datagram[..length]) {
                let _ = socket.send_to(&reply, from);
            }
        }
    });
    completes(&[url], asked);
}

#[test]
fn a_udp_tracker_that_never_answers() {
    completes_with_udp(|_| None);
}

#[test]
fn a_udp_tracker_of_garbage() {
    completes_with_udp(|asked| Some(noise(asked.len() as u64, 1 + asked.len() % 90)));
}

#[test]
fn a_udp_tracker_that_answers_half() {
    // The transaction is right, the rest is missing.
    completes_with_udp(|asked| Some([&[0, 0, 0, 0], asked.get(12..16)?].concat()));
}

#[test]
fn a_udp_tracker_that_answers_other_questions() {
    completes_with_udp(|asked| Some([asked.get(8..12)?, &[1, 2, 3, 4], &[7; 8]].concat()));
}

#[test]
fn a_udp_tracker_of_errors_that_would_scribble_on_the_terminal() {
    let error = "\x1b[2J\x1b]0;owned\x07\r\n".repeat(50);
    completes_with_udp(move |asked| Some([&[0, 0, 0, 3], asked.get(12..16)?, error.as_bytes()].concat()));
}

#[test]
fn a_udp_tracker_of_the_largest_packets() {
    let mut dice = Dice::new(5);
    let peers: Vec<u8> =
        (0..10_000).flat_map(|_| [127, 1, dice.below(256) as u8, dice.below(256) as u8, 0, 9]).collect();
    completes_with_udp(move |asked| match asked.get(8..12)? {
        [0, 0, 0, 0] => Some([&[0, 0, 0, 0], asked.get(12..16)?, &[7; 8]].concat()),
        _ => Some([&[0, 0, 0, 1], asked.get(12..16)?, &[0xff; 12], &peers[..]].concat()),
    });
}

#[test]
fn a_udp_tracker_that_connects_and_dies() {
    completes_with_udp(|asked| {
        let connecting = asked.get(8..12)? == [0; 4];
        connecting.then_some([&[0, 0, 0, 0], asked.get(12..16)?, &[7; 8]].concat())
    });
}

#[test]
fn all_of_them_at_once() {
    let slow = Server::start(|_, stream| stream.read_to_end(&mut Vec::new()).map(drop));
    let dead = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let asked = Latch::new();
    let opener = asked.clone();
    let garbage = Server::start(move |_, stream| {
        opener.open();
        ok(stream, b"<html>")
    });
    let urls = [
        slow.url("/a"),
        format!("udp://{}/b", dead.local_addr().unwrap()),
        "http://tracker.invalid/c".to_owned(),
        garbage.url("/d"),
    ];
    completes(&urls, asked);
}

/// gzip of `length` zeros: one literal, then the longest match there is, over and over.
fn gzip_bomb(length: usize) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let (mut bits, mut count) = (0u64, 0);
    let mut put = |value: u64, width: u32, out: &mut Vec<u8>| {
        bits |= value << count;
        count += width;
        while count >= 8 {
            out.push(bits as u8);
            bits >>= 8;
            count -= 8;
        }
    };
    // One last block with the fixed codes; Huffman codes go in from their highest bit.
    put(0b011, 3, &mut out);
    put(0b0000_1100, 8, &mut out); // literal 0: 00110000
    for _ in 0..length / 258 {
        put(0b1010_0011, 8, &mut out); // length 258: 11000101
        put(0, 5, &mut out); // distance 1
    }
    put(0, 7, &mut out);
    put(0, 7, &mut out);
    out
}

/// It is what it says it is.
#[test]
fn the_bomb_is_a_bomb() {
    let scratch = Scratch::new("bomb");
    let file = scratch.file("bomb.gz", gzip_bomb(258 * 1000));
    let unpacked = std::process::Command::new("gzip")
        .args(["-dc"])
        .stdin(std::fs::File::open(file).unwrap())
        .output()
        .unwrap();
    assert!(unpacked.stdout.len() >= 258 * 1000 && unpacked.stdout.iter().all(|byte| *byte == 0));
}
