//! Scrapes of trackers that misbehave: one clear line within the deadline, never a hang.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use bitwren::{Config, ErrorKind, InfoHash, ScrapeEntry, scrape};

const HASH: InfoHash = InfoHash::from_bytes([0xAB; 20]);
const BRIEF: Duration = Duration::from_millis(400);
const LONG: Duration = Duration::from_secs(20);

/// An HTTP tracker that does as told with each connection once the request is read.
fn http(act: impl Fn(&mut TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/announce", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            act(&mut stream);
        }
    });
    url
}

fn saying(status: &'static str, body: &'static [u8]) -> String {
    http(move |stream| {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
        let _ = stream.write_all(&[head.as_bytes(), body].concat());
    })
}

/// A UDP tracker: each packet that comes is answered by those that `answer` makes of it.
fn udp(answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let url = format!("udp://{}/announce", socket.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut packet = [0; 2048];
        while let Ok((len, from)) = socket.recv_from(&mut packet) {
            for reply in answer(&packet[..len]) {
                let _ = socket.send_to(&reply, from);
            }
        }
    });
    url
}

/// What a tracker would answer that has one seeder, two leechers and three downloads of everything.
fn right(packet: &[u8]) -> Vec<u8> {
    let head = &packet[8..16];
    match packet[11] {
        0 => [head, &[9; 8]].concat(),
        _ => [head, &[0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 2].repeat((packet.len() - 16) / 20)].concat(),
    }
}

/// What a tracker answers here about a torrent.
fn known(info_hash: InfoHash) -> ScrapeEntry {
    let mut entry = ScrapeEntry::new(info_hash);
    (entry.seeders, entry.leechers, entry.downloaded) = (1, 2, 3);
    entry
}

fn failure(url: &str, timeout: Duration) -> String {
    let error = scrape(url, &[HASH], timeout, &Config::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tracker, "{error}");
    let line = error.to_string();
    assert!(line.starts_with(&format!("cannot scrape {url}: ")) && !line.contains('\n'), "{line}");
    line
}

#[test]
fn http_trackers_that_answer_nonsense_are_one_line() {
    for (url, why) in [
        (saying("200 OK", b"<html>\n<body>Hello"), "not bencoded"),
        (saying("200 OK", b""), "is empty"),
        (saying("200 OK", b"d5:files"), "not bencoded"),
        (saying("200 OK", b"d14:failure reason9:not\ntodaye"), ": not today"),
        (saying("503 Busy", b"d14:failure reason4:busye"), ": busy"),
        (saying("503 Busy", b"<html>"), "HTTP status 503 Service Unavailable"),
        (http(|_| {}), "closed"),
        (http(|stream| drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nde"))), "closed"),
        (
            http(|stream| {
                drop(stream.write_all(b"HTTP/1.1 302 F\r\nLocation: /announce\r\nContent-Length: 0\r\n\r\n"))
            }),
            "redirects",
        ),
    ] {
        let line = failure(&url, LONG);
        assert!(line.contains(why), "{why}: {line}");
    }
}

#[test]
fn http_trackers_that_never_end_are_cut_off() {
    let endless = http(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nd5:files");
        while stream.write_all(&[b'x'; 65536]).is_ok() {}
    });
    assert!(failure(&endless, LONG).contains("larger than 1048576 bytes"));
    let dripping = http(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
        while stream.write_all(b"d").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    assert!(failure(&dripping, BRIEF).contains("in time"));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/announce", silent.local_addr().unwrap());
    assert!(failure(&url, BRIEF).contains("in time"));
}

#[test]
fn a_udp_tracker_is_scraped_74_at_a_time() {
    let url = udp(|packet| vec![right(packet)]);
    let hashes: Vec<_> = (0..200).map(|n| InfoHash::from_bytes([n; 20])).collect();
    let entries = scrape(&url, &hashes, LONG, &Config::default()).unwrap();
    assert_eq!(entries.iter().map(|entry| entry.info_hash).collect::<Vec<_>>(), hashes);
    assert!(entries.iter().all(|&entry| entry == known(entry.info_hash)));
}

#[test]
fn udp_packets_that_are_no_answer_are_ignored_and_the_right_one_still_counts() {
    let url = udp(|packet| {
        let right = right(packet);
        let mut other_transaction = right.clone();
        other_transaction[7] ^= 1;
        let mut other_action = right.clone();
        other_action[3] = 1;
        let short = right[..7].to_vec();
        vec![Vec::new(), short, other_transaction, other_action, vec![0; 2000], right]
    });
    assert_eq!(scrape(&url, &[HASH], LONG, &Config::default()).unwrap(), [known(HASH)]);
}

#[test]
fn an_answer_from_elsewhere_is_not_taken() {
    let elsewhere = UdpSocket::bind("127.0.0.1:0").unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let url = format!("udp://{}", socket.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut packet = [0; 2048];
        while let Ok((len, from)) = socket.recv_from(&mut packet) {
            let _ = elsewhere.send_to(&right(&packet[..len]), from);
        }
    });
    assert!(failure(&url, BRIEF).ends_with("no answer"));
}

#[test]
fn a_lost_packet_is_sent_again() {
    let heard = std::sync::atomic::AtomicU32::new(0);
    let url = udp(move |packet| {
        let odd = heard.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 2 == 1;
        if odd { vec![right(packet)] } else { Vec::new() }
    });
    assert_eq!(scrape(&url, &[HASH], Duration::from_secs(4), &Config::default()).unwrap(), [known(HASH)]);
}

#[test]
fn udp_errors_and_silence_are_one_line() {
    let error = udp(|packet| vec![[&[0, 0, 0, 3], &packet[12..16], b"go\naway"].concat()]);
    assert!(failure(&error, LONG).ends_with(": go away"));
    let short = udp(|packet| vec![right(packet)[..8].to_vec()]);
    assert!(failure(&short, BRIEF).ends_with("no answer"));
    let silent = udp(|_| Vec::new());
    assert!(failure(&silent, BRIEF).ends_with("no answer"));
    // No listener: the system says so at once.
    assert!(failure("udp://127.0.99.1:1", LONG).contains("refused"));
}

#[test]
fn what_cannot_be_scraped_is_an_argument_error() {
    for url in ["wss://a/announce", "udp://a/announce", "http://a/foo", "nonsense", "http:///announce"] {
        let error = scrape(url, &[HASH], BRIEF, &Config::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Argument, "{error}");
        assert!(error.to_string().starts_with(&format!("cannot scrape {url}: ")));
    }
}
