//! Announces to the embedded tracker: what one side writes the other reads, over HTTP and UDP,
//! IPv4 and IPv6.

use std::net::SocketAddr;

use super::*;
use crate::engine::tracker_server::{TrackerServer, TrackerServerConfig};
use crate::id::PeerId;
use crate::tracker::{Event, Totals};

const TIMING: Timing = Timing {
    http: Duration::from_secs(20),
    patience: Patience { first: Duration::from_secs(5), doublings: 1, retries: 1 },
    grace: Duration::from_millis(200),
};

fn tracker(allowed: Option<Vec<InfoHash>>) -> TrackerServer {
    let both: Vec<SocketAddr> = vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()];
    TrackerServer::start(TrackerServerConfig {
        http: both.clone(),
        udp: both,
        rate: 0,
        allowed,
        ..TrackerServerConfig::default()
    })
    .unwrap()
}

fn announce(port: u16, left: u64, event: Event) -> Announce {
    Announce {
        // Bytes that break what is not escaped.
        info_hash: InfoHash(*b"\x00\xFF &=%+?#/;\r\n\"ab\x80c~d"),
        peer_id: PeerId(*b"-BW0100-\x00\x01\x02\xFD\xFE\xFF&&&%41"),
        port,
        totals: Totals { uploaded: 1, downloaded: 2, left },
        event,
        num_want: 50,
        key: 7,
        tracker_id: Some(b"\xFF&".to_vec()),
    }
}

fn url(text: String) -> TrackerUrl {
    TrackerUrl::parse(&text).unwrap()
}

#[test]
fn peers_meet_through_the_embedded_tracker_whatever_they_speak() {
    let server = tracker(None);
    let courier = Courier::new(Clock::start(), None);
    let http = server.http_addresses().iter().map(|at| format!("http://{at}/announce?passkey=x"));
    let udp = server.udp_addresses().iter().map(|at| format!("udp://{at}/announce"));
    let mut ports = Vec::new();
    for (n, text) in http.chain(udp).enumerate() {
        let v6 = text.contains("[::1]");
        let port = 1000 + n as u16;
        let answer =
            courier.announce(&url(text.clone()), announce(port, 5, Event::Started), &TIMING).unwrap();
        assert_eq!(answer.interval, Some(Duration::from_secs(1800)), "{text}");
        assert_eq!((answer.seeders, answer.leechers), (Some(0), Some(n as u32 + 1)), "{text}");
        // Over HTTP peers of both families are given, over UDP those of the asker's.
        let mut given: Vec<_> = answer.peers.iter().map(SocketAddr::port).collect();
        given.sort_unstable();
        let same: Vec<u16> = ports.iter().filter(|&&(_, six)| six == v6).map(|&(port, _)| port).collect();
        let all: Vec<u16> = ports.iter().map(|&(port, _)| port).collect();
        assert_eq!(given, if text.starts_with("udp") { same } else { all }, "{text}");
        ports.push((port, v6));
    }
    let udp = url(format!("udp://{}/", server.udp_addresses()[0]));
    courier.announce(&udp, announce(1002, 0, Event::Completed), &TIMING).unwrap();
    courier.announce(&udp, announce(1000, 5, Event::Stopped), &TIMING).unwrap();
    let hash = announce(0, 0, Event::None).info_hash;
    let want = ScrapeEntry { info_hash: hash, seeders: 1, leechers: 2, downloaded: 1 };
    for text in [
        format!("http://{}/announce", server.http_addresses()[1]),
        format!("http://{}/x/scrape", server.http_addresses()[0]),
        format!("udp://{}", server.udp_addresses()[1]),
    ] {
        assert_eq!(scrape(&text, &[hash], Duration::from_secs(20)).unwrap(), [want], "{text}");
    }
    server.stop();
}

/// A name with addresses of both families is asked over both, and the peers are put together.
#[test]
fn a_udp_tracker_of_both_families_is_asked_over_both() {
    let server = tracker(None);
    let v4 = server.udp_addresses()[0];
    // The same port in both families, or else this machine has none free.
    let config = TrackerServerConfig {
        udp: vec![SocketAddr::new("::1".parse().unwrap(), v4.port())],
        ..TrackerServerConfig::default()
    };
    let Ok(other) = TrackerServer::start(config) else { return };
    let courier = Courier::new(Clock::start(), None);
    let at = |address: SocketAddr| url(format!("udp://{address}/"));
    courier.announce(&at(v4), announce(1, 5, Event::Started), &TIMING).unwrap();
    courier.announce(&at(other.udp_addresses()[0]), announce(2, 5, Event::Started), &TIMING).unwrap();
    let patient = Timing { grace: Duration::from_secs(20), ..TIMING };
    let named = url(format!("udp://localhost:{}/", v4.port()));
    let answer = courier.announce(&named, announce(3, 5, Event::Started), &patient).unwrap();
    let has = |text: &str| answer.peers.contains(&text.parse().unwrap());
    let both = std::net::ToSocketAddrs::to_socket_addrs("localhost:1").unwrap().any(|at| at.is_ipv6());
    assert!(has("127.0.0.1:1"), "{answer:?}");
    assert_eq!(has("[::1]:2"), both, "{answer:?}");
    // Bound to a family, only that one is asked.
    let bound = Courier::new(Clock::start(), Some("127.0.0.1".parse().unwrap()));
    let answer = bound.announce(&named, announce(3, 5, Event::None), &patient).unwrap();
    assert!(answer.peers.iter().all(SocketAddr::is_ipv4), "{answer:?}");
}

#[test]
fn the_trackers_reason_comes_through() {
    let server = tracker(Some(vec![InfoHash([1; 20])]));
    let courier = Courier::new(Clock::start(), None);
    for text in [
        format!("http://{}/announce", server.http_addresses()[0]),
        format!("udp://{}/announce", server.udp_addresses()[0]),
    ] {
        let failure = courier.announce(&url(text), announce(1, 5, Event::Started), &TIMING).unwrap_err();
        assert_eq!(failure.why, "this torrent is not tracked here");
    }
    let lost = url(format!("http://{}/elsewhere", server.http_addresses()[0]));
    let failure = courier.announce(&lost, announce(1, 5, Event::Started), &TIMING).unwrap_err();
    assert_eq!(failure.why, "HTTP status 404 Not Found");
}

/// They stayed open for as long as nobody asked: up to 64 of them, between announces half an hour apart.
#[test]
fn sockets_that_are_kept_are_closed_in_time() {
    let server = tracker(None);
    let clock = Clock::start();
    let courier = Courier::new(clock, None);
    let udp = url(format!("udp://{}/", server.udp_addresses()[0]));
    assert_eq!(courier.tidy(clock.now()), None);
    courier.announce(&udp, announce(1, 5, Event::Started), &TIMING).unwrap();
    let due = courier.tidy(clock.now()).expect("one is kept");
    assert!(due > clock.now() && due < clock.now() + Duration::from_secs(61));
    assert_eq!(courier.tidy(due), None);
    assert_eq!(courier.tidy(clock.now()), None, "it is closed");
}
