//! The embedded tracker as clients see it, the well-behaved and the others.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use bitwren::PeerId;
use bitwren::internals::moment::Moment;
use bitwren::internals::random::Random;
use bitwren::internals::tracker::Event;
use bitwren::internals::tracker::http::read_announced;
use bitwren::internals::tracker::registry::{Entry, Limits, PEER_BYTES, Registry};
use bitwren::{Config, ErrorKind, InfoHash, TrackerServer, TrackerServerConfig, scrape};

use crate::support::alone::alone;
use crate::support::proc;

const LONG: Duration = Duration::from_secs(20);
const HASH: &str = "%AA%AA%AA%AA%AA%AA%AA%AA%AA%AA%AA%AA%AA%AA%AA%AA%AA%AA%AA%AA";

fn start(set: impl FnOnce(TrackerServerConfig) -> TrackerServerConfig) -> TrackerServer {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let config = TrackerServerConfig::default().http([any]).udp([any]).rate(0);
    TrackerServer::start(set(config)).unwrap()
}

/// Sends these bytes and returns status line and body of the answer.
fn ask(address: SocketAddr, request: &[u8]) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    (head.lines().next().unwrap_or_default().to_owned(), answer[end..].to_vec())
}

fn get(address: SocketAddr, target: &str) -> (String, Vec<u8>) {
    ask(address, format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
}

fn announce(address: SocketAddr, more: &str) -> Vec<u8> {
    let (status, body) =
        get(address, &format!("/announce?info_hash={HASH}&peer_id=aaaaaaaaaaaaaaaaaaaa{more}"));
    assert_eq!(status, "HTTP/1.1 200 OK");
    body
}

#[test]
fn compact_and_dictionary_answers() {
    let server = start(|config| config);
    let http = server.http_addresses()[0];
    announce(http, "&port=1&left=5&event=started");
    let compact = announce(http, "&port=2&left=0&event=started&compact=1");
    assert_eq!(read_announced(&compact).unwrap().peers, ["127.0.0.1:1".parse().unwrap()]);
    let long = announce(http, "&port=3&left=5&compact=0&no_peer_id=0");
    assert_eq!(read_announced(&long).unwrap().peers.len(), 2);
    assert!(long.windows(29).any(|part| part == b"7:peer id20:aaaaaaaaaaaaaaaaa"));
    assert_eq!(read_announced(&announce(http, "&port=3&left=5&numwant=0")).unwrap().peers.len(), 0);
    let left = announce(http, "&port=1&event=stopped&left=5");
    assert_eq!(read_announced(&left).unwrap().leechers, Some(1));
}

#[test]
fn malformed_requests_get_a_reason_or_a_status() {
    let server = start(|config| config);
    let http = server.http_addresses()[0];
    for (more, why) in
        [("", "port"), ("&port=0", "port"), ("&port=x", "port"), ("&port=1&info_hash=a", "info_hash")]
    {
        let failure = read_announced(&announce(http, more)).unwrap_err();
        assert!(failure.why.contains(why), "{failure:?}");
    }
    for (request, status) in [
        (&b"POST /announce HTTP/1.1\r\n\r\n"[..], "HTTP/1.1 405 Method Not Allowed"),
        (b"nonsense\r\n\r\n", "HTTP/1.1 400 Bad Request"),
        (b"\x16\x03\x01\x02\x00\n\n", "HTTP/1.1 400 Bad Request"),
        (b"GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 404 Not Found"),
    ] {
        assert_eq!(ask(http, request).0, status);
    }
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(4096 - 17));
    assert_eq!(ask(http, long.as_bytes()).0, "HTTP/1.1 431 Request Header Fields Too Large");
}

/// Reads one answer off a connection that stays.
fn read_answer(stream: &mut BufReader<TcpStream>) -> (String, Vec<u8>) {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            return (head, body);
        }
        head += &line;
    }
}

#[test]
fn a_connection_stays_for_further_requests_and_they_may_come_at_once() {
    let server = start(|config| config);
    let http = server.http_addresses()[0];
    let stream = TcpStream::connect(http).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut stream = BufReader::new(stream);
    let ask = |port: u16| {
        let query = format!("info_hash={HASH}&peer_id=aaaaaaaaaaaaaaaaaaaa&port={port}&left=1");
        format!("GET /announce?{query} HTTP/1.1\r\nHost: x\r\n\r\n")
    };
    for port in 1..=3 {
        stream.get_mut().write_all(ask(port).as_bytes()).unwrap();
        let (head, body) = read_answer(&mut stream);
        assert!(head.contains("Connection: keep-alive\r\n"), "{head}");
        assert_eq!(read_announced(&body).unwrap().leechers, Some(port.into()));
    }
    let both = ask(4) + &ask(5).replace("Host: x", "Connection: close");
    stream.get_mut().write_all(both.as_bytes()).unwrap();
    assert_eq!(read_announced(&read_answer(&mut stream).1).unwrap().leechers, Some(4));
    let (head, body) = read_answer(&mut stream);
    assert!(head.contains("Connection: close\r\n"), "{head}");
    assert_eq!(read_announced(&body).unwrap().leechers, Some(5));
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn clients_that_say_nothing_or_say_it_slowly_do_not_hold_up_the_others() {
    let server = start(|config| config);
    let http = server.http_addresses()[0];
    // Twice as many as there are places, and half of them have begun to ask.
    let mut silent: Vec<_> = (0..256).map(|_| TcpStream::connect(http).unwrap()).collect();
    for slow in silent.iter_mut().step_by(2) {
        // Those whose place was needed since are gone.
        let _ = slow.write_all(b"GET /ann");
    }
    // Were they waited for, each of these would take until a deadline.
    for port in 1..=200 {
        announce(http, &format!("&port={port}"));
    }
    let stats = server.stats();
    assert_eq!((stats.torrents, stats.leechers, stats.announces), (1, 200, 200));
    assert!(stats.connections <= 128 && stats.hung_up >= 128, "{stats:?}");
}

#[test]
fn one_address_gets_no_more_than_its_rate() {
    let server = start(|config| config.rate(1));
    let http = server.http_addresses()[0];
    let statuses: Vec<_> = (0..20).map(|_| get(http, "/scrape").0).collect();
    assert!(statuses.contains(&"HTTP/1.1 200 OK".to_owned()));
    assert!(statuses.contains(&"HTTP/1.1 429 Too Many Requests".to_owned()));
}

#[test]
fn only_listed_torrents_are_tracked() {
    let listed = InfoHash::from_bytes([0xAA; 20]);
    let server = start(|config| config.allowed(vec![listed]));
    let http = server.http_addresses()[0];
    assert!(read_announced(&announce(http, "&port=1")).is_ok());
    let other =
        get(http, &format!("/announce?info_hash={}&peer_id={}&port=1", "b".repeat(20), "a".repeat(20))).1;
    assert_eq!(read_announced(&other).unwrap_err().why, "this torrent is not tracked here");
    let url = format!("http://{http}/announce");
    let known = scrape(&url, &[InfoHash::from_bytes([0xBB; 20]), listed], LONG, &Config::default()).unwrap();
    assert_eq!(known.iter().map(|entry| entry.info_hash).collect::<Vec<_>>(), [listed]);
}

#[test]
fn udp_without_a_connection_id_is_refused_and_short_packets_are_not_answered() {
    let server = start(|config| config);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server.udp_addresses()[0]).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    for packet in [&[][..], &[0; 15], b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: tracker\r\n\r\n"] {
        socket.send(packet).unwrap();
    }
    // The texts are long enough to be requests, and their connection ids are none; one is longer than what
    // it is answered with.
    let mut reply = [0; 100];
    let len = socket.recv(&mut reply).unwrap();
    assert_eq!(&reply[..4], [0, 0, 0, 3]);
    assert_eq!(&reply[8..len], b"unknown connection id");
}

#[test]
fn it_stops_even_while_clients_hang_on_and_frees_its_ports() {
    let server = start(|config| config);
    let (http, udp) = (server.http_addresses()[0], server.udp_addresses()[0]);
    let _silent: Vec<_> = (0..5).map(|_| TcpStream::connect(http).unwrap()).collect();
    server.stop();
    UdpSocket::bind(udp).unwrap();
    let error = scrape(
        &format!("http://{http}/announce"),
        &[InfoHash::from_bytes([1; 20])],
        LONG,
        &Config::default(),
    )
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tracker);
}

#[test]
fn what_cannot_be_listened_on_is_an_error() {
    let error = TrackerServer::start(TrackerServerConfig::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Argument);
    let server = start(|config| config);
    let config = TrackerServerConfig::default().udp(server.udp_addresses().to_vec());
    let error = TrackerServer::start(config).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.to_string().contains("cannot listen on UDP 127.0.0.1:"), "{error}");
}

#[test]
fn a_page_is_served_beside_the_tracker() {
    let server = start(|config| config);
    let http = server.http_addresses()[0];
    assert_eq!(get(http, "/a%20b.torrent").0, "HTTP/1.1 404 Not Found");
    let long: Vec<u8> = (0..100_000u32).map(|i| i as u8).collect();
    server.publish("/a b.torrent", "application/x-bittorrent", long.clone());
    assert_eq!(get(http, "/a%20b.torrent"), ("HTTP/1.1 200 OK".to_owned(), long));
    assert_eq!(get(http, "/x/a%20b.torrent").0, "HTTP/1.1 404 Not Found");
    announce(http, "&port=1&left=5");
}

#[test]
fn announces_that_were_taken_can_be_watched() {
    let (watch, seen) = std::sync::mpsc::sync_channel(1);
    let server = start(|config| config.watch(watch).allowed(vec![InfoHash::from_bytes([0xaa; 20])]));
    let http = server.http_addresses()[0];
    get(http, "/announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=aaaaaaaaaaaaaaaaaaaa&port=1&left=5");
    announce(http, "&port=2&left=0&event=completed");
    // There is room for one.
    announce(http, "&port=3&left=0&event=completed");
    let first = seen.recv_timeout(LONG).unwrap();
    assert_eq!(
        (first.info_hash, first.address),
        (InfoHash::from_bytes([0xaa; 20]), "127.0.0.1:2".parse().unwrap())
    );
    assert!(first.seed && first.event == bitwren::internals::tracker::Event::Completed);
    assert!(seen.try_recv().is_err());
}

/// Kibibytes of this process that are in memory.
fn resident() -> usize {
    proc::number("/proc/self", "VmRSS").unwrap() as usize
}

/// Filled to the brim and beyond, the books take what they say. In a process of its own, as
/// other tests would be measured along.
#[test]
fn a_full_tracker_stays_within_its_memory() {
    alone(module_path!(), "a_full_tracker_stays_within_its_memory", fill_a_tracker);
}

fn fill_a_tracker() {
    let (torrents, per_torrent, peers) = (100, 2_000, 100_000);
    let limits = Limits {
        interval: Duration::from_secs(1800),
        swarms: torrents,
        peers_per_swarm: per_torrent,
        peers,
        num_want: 0,
        rate: 50,
        allowed: None,
    };
    let before = resident();
    let mut registry = Registry::new(limits, Random::seeded(1));
    for n in 0..400_000u32 {
        // Three of four over IPv6, and twice as many torrents and peers as there is room for.
        let ip = if n % 4 == 0 {
            Ipv4Addr::from(n).into()
        } else {
            IpAddr::from(Ipv6Addr::from(u128::from(n) << 64))
        };
        registry.admits(ip, Moment::START);
        let torrent = (n / 100 % (2 * torrents as u32)) as u8;
        let entry = Entry {
            info_hash: InfoHash::from_bytes([torrent; 20]),
            peer_id: PeerId::from_bytes([1; 20]),
            address: SocketAddr::new(ip, 6881),
            seed: false,
            event: Event::Started,
            num_want: None,
        };
        let taken = registry.announce(&entry, Moment::START);
        assert_eq!(taken.is_err(), usize::from(torrent) >= torrents);
    }
    assert_eq!(registry.census(), (torrents, 0, peers));
    let took = (resident() - before) * 1024;
    // Slots of rates and the swarms themselves are the rest.
    let most = PEER_BYTES * peers + (1 << 20);
    assert!(took <= most, "{took} bytes, which is {} a peer", took / peers);
    assert!(took >= 32 * peers, "{took} bytes are too few to be true");
}
