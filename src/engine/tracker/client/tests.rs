//! Announces to the embedded tracker: what one side writes the other reads, over HTTP and UDP,
//! IPv4 and IPv6.

use std::io::{Read, Write};
use std::net::SocketAddr;

use super::*;
use crate::id::PeerId;
use crate::tracker::{Event, Totals};
use crate::tracker_server::{TrackerServer, TrackerServerConfig};

const TIMING: Timing = Timing {
    http: Duration::from_secs(20),
    retry_schedule: RetrySchedule { first: Duration::from_secs(5), doublings: 1, retries: 1 },
    grace: Duration::from_millis(200),
};

fn tracker(allowed: Option<Vec<InfoHash>>) -> TrackerServer {
    let both: Vec<SocketAddr> = vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()];
    let config = TrackerServerConfig::default().http(both.clone()).udp(both).rate(0).allowed(allowed);
    TrackerServer::start(config).unwrap()
}

fn bound_to(ip: &str) -> Arc<Egress> {
    Egress::of(&Config::default().bind(ip.parse::<std::net::IpAddr>().unwrap()))
}

fn announce(port: u16, left: u64, event: Event) -> Announce {
    Announce {
        // Bytes that break a URL if they are not escaped.
        info_hash: InfoHash::from_bytes(*b"\x00\xFF &=%+?#/;\r\n\"ab\x80c~d"),
        peer_id: PeerId::from_bytes(*b"-BW0100-\x00\x01\x02\xFD\xFE\xFF&&&%41"),
        port,
        totals: Totals { uploaded: 1, downloaded: 2, left },
        event,
        num_want: 50,
        key: 7,
        tracker_id: Some(b"\xFF&".to_vec()),
    }
}

/// All answers to an announce.
fn all(
    client: &Arc<TrackerClient>,
    url: &TrackerUrl,
    announce: Announce,
    timing: Timing,
) -> Vec<std::result::Result<Answer, Failure>> {
    let (told, heard) = unbounded();
    client.announce(url, announce, timing, move |said| told.send(said).unwrap());
    heard.iter().collect()
}

/// The first answer.
fn first(
    client: &Arc<TrackerClient>,
    url: &TrackerUrl,
    announce: Announce,
) -> std::result::Result<Answer, Failure> {
    all(client, url, announce, TIMING).remove(0)
}

fn url(text: String) -> TrackerUrl {
    TrackerUrl::parse(&text).unwrap()
}

#[test]
fn peers_meet_through_the_embedded_tracker_whatever_they_speak() {
    let server = tracker(None);
    let client = TrackerClient::new(Clock::start(), Arc::default());
    let http = server.http_addresses().iter().map(|at| format!("http://{at}/announce?passkey=x"));
    let udp = server.udp_addresses().iter().map(|at| format!("udp://{at}/announce"));
    let mut ports = Vec::new();
    for (n, text) in http.chain(udp).enumerate() {
        let v6 = text.contains("[::1]");
        let port = 1000 + n as u16;
        let answer = first(&client, &url(text.clone()), announce(port, 5, Event::Started)).unwrap();
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
    first(&client, &udp, announce(1002, 0, Event::Completed)).unwrap();
    first(&client, &udp, announce(1000, 5, Event::Stopped)).unwrap();
    let hash = announce(0, 0, Event::None).info_hash;
    let want = ScrapeEntry { info_hash: hash, seeders: 1, leechers: 2, downloaded: 1 };
    for text in [
        format!("http://{}/announce", server.http_addresses()[1]),
        format!("http://{}/x/scrape", server.http_addresses()[0]),
        format!("udp://{}", server.udp_addresses()[1]),
    ] {
        assert_eq!(
            scrape(&text, &[hash], Duration::from_secs(20), &Config::default()).unwrap(),
            [want],
            "{text}"
        );
    }
    server.stop();
}

/// A name with addresses of both families is asked over both, and the peers of both are returned.
#[test]
fn a_udp_tracker_of_both_families_is_asked_over_both() {
    let server = tracker(None);
    let v4 = server.udp_addresses()[0];
    // The same port in both families, or else this machine has none free.
    let config = TrackerServerConfig::default().udp([SocketAddr::new("::1".parse().unwrap(), v4.port())]);
    let Ok(other) = TrackerServer::start(config) else { return };
    let client = TrackerClient::new(Clock::start(), Arc::default());
    let at = |address: SocketAddr| url(format!("udp://{address}/"));
    first(&client, &at(v4), announce(1, 5, Event::Started)).unwrap();
    first(&client, &at(other.udp_addresses()[0]), announce(2, 5, Event::Started)).unwrap();
    let named = url(format!("udp://localhost:{}/", v4.port()));
    let said = all(&client, &named, announce(3, 5, Event::Started), TIMING);
    let peers: Vec<SocketAddr> = said.into_iter().flat_map(|said| said.unwrap().peers).collect();
    let has = |text: &str| peers.contains(&text.parse().unwrap());
    let both = std::net::ToSocketAddrs::to_socket_addrs("localhost:1").unwrap().any(|at| at.is_ipv6());
    assert!(has("127.0.0.1:1"), "{peers:?}");
    assert_eq!(has("[::1]:2"), both, "{peers:?}");
    // Bound to a family, only that one is asked.
    let bound = TrackerClient::new(Clock::start(), bound_to("127.0.0.1"));
    let said = all(&bound, &named, announce(3, 5, Event::None), TIMING);
    assert!(said.len() == 1 && said[0].as_ref().unwrap().peers.iter().all(SocketAddr::is_ipv4), "{said:?}");
}

/// An HTTP server at an address and port that answers everything with this body, or hangs up at once.
fn http_server(at: (&str, u16), body: Option<&'static str>) -> Option<u16> {
    let listener = std::net::TcpListener::bind(at).ok()?;
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let Some(body) = body else { continue };
            let _ = stream.read(&mut [0; 4096]);
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        }
    });
    Some(port)
}

/// Only IPv4 was announced over HTTP, or only IPv6: peers of the other family never learned of us.
#[test]
fn an_http_tracker_of_both_families_is_asked_over_both() {
    let both = std::net::ToSocketAddrs::to_socket_addrs("localhost:1").unwrap().any(|at| at.is_ipv6());
    let port = http_server(("127.0.0.1", 0), Some("d5:peers6:\x01\x01\x01\x01\x00\x04e")).unwrap();
    // The same port in both families, or else this machine has none free.
    if !both || http_server(("::1", port), Some("d5:peers6:\x01\x01\x01\x01\x00\x06e")).is_none() {
        return;
    }
    let client = TrackerClient::new(Clock::start(), Arc::default());
    let named = url(format!("http://localhost:{port}/announce"));
    let ports = |said: Vec<std::result::Result<Answer, Failure>>| {
        let peers = said.into_iter().flat_map(|said| said.unwrap().peers);
        let mut ports: Vec<u16> = peers.map(|peer| peer.port()).collect();
        ports.sort_unstable();
        ports
    };
    assert_eq!(ports(all(&client, &named, announce(3, 5, Event::Started), TIMING)), [4, 6]);
    let bound = TrackerClient::new(Clock::start(), bound_to("::1"));
    assert_eq!(ports(all(&bound, &named, announce(3, 5, Event::Started), TIMING)), [6]);
}

#[test]
fn a_tracker_of_several_addresses_is_asked_at_each_until_one_answers() {
    // The first does not listen, the second hangs up.
    let answers = |mut port: u16| {
        while http_server(("127.0.77.3", port), Some("de")).is_none() {
            port = http_server(("127.0.77.2", 0), None)?;
        }
        Some(port)
    };
    let port = answers(http_server(("127.0.77.2", 0), None).unwrap()).unwrap();
    let family =
        ["127.0.77.1", "127.0.77.2", "127.0.77.3"].map(|ip| SocketAddr::new(ip.parse().unwrap(), port));
    let client = TrackerClient::new(Clock::start(), Arc::default());
    let target = format!("http://tracker.test:{port}/announce");
    for _ in 0..2 {
        let asked = client.get(&target, &family, TIMING.http, &form::read_announced);
        assert_eq!(asked.address(), Some(family[2]), "{asked:?}");
    }
    let asked = client.get(&target, &family[..2], TIMING.http, &form::read_announced);
    assert_eq!(asked.address(), None, "{asked:?}");
}

#[test]
fn a_udp_tracker_of_several_addresses_is_asked_at_each_until_one_answers() {
    let server = tracker(None);
    let alive = server.udp_addresses()[0];
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let closed: SocketAddr = "127.0.77.9:9".parse().unwrap();
    let family = [silent.local_addr().unwrap(), closed, alive];
    let client = TrackerClient::new(Clock::start(), Arc::default());
    let question = Question::Announce(announce(1, 5, Event::Started), String::new());
    let retry_schedule = RetrySchedule { first: Duration::from_secs(1), doublings: 1, retries: 1 };
    let bounds = UdpBounds { retry_schedule, deadline: Duration::from_secs(60) };
    let asked = client.udp.ask(&family, &question, bounds, || false);
    assert_eq!(asked.address(), Some(alive), "{asked:?}");
    // One that is silent has all the time there is, unless another family has answered.
    let asked = client.udp.ask(&family[..1], &question, bounds, || true);
    assert_eq!(asked.address(), None, "{asked:?}");
}

#[test]
fn the_trackers_reason_comes_through() {
    let server = tracker(Some(vec![InfoHash::from_bytes([1; 20])]));
    let client = TrackerClient::new(Clock::start(), Arc::default());
    for text in [
        format!("http://{}/announce", server.http_addresses()[0]),
        format!("udp://{}/announce", server.udp_addresses()[0]),
    ] {
        let failure = first(&client, &url(text), announce(1, 5, Event::Started)).unwrap_err();
        assert_eq!(failure.why, "this torrent is not tracked here");
    }
    let lost = url(format!("http://{}/elsewhere", server.http_addresses()[0]));
    let failure = first(&client, &lost, announce(1, 5, Event::Started)).unwrap_err();
    assert_eq!(failure.why, "HTTP status 404 Not Found");
}

/// They stayed open for as long as no announce was due: up to 64 of them, between announces half an hour
/// apart.
#[test]
fn sockets_that_are_kept_are_closed_in_time() {
    let server = tracker(None);
    let clock = Clock::start();
    let client = TrackerClient::new(clock, Arc::default());
    let udp = url(format!("udp://{}/", server.udp_addresses()[0]));
    assert_eq!(client.tidy(clock.now()), None);
    first(&client, &udp, announce(1, 5, Event::Started)).unwrap();
    let due = client.tidy(clock.now()).expect("one is kept");
    assert!(due > clock.now() && due < clock.now() + Duration::from_secs(61));
    assert_eq!(client.tidy(due), None);
    assert_eq!(client.tidy(clock.now()), None, "it is closed");
}
