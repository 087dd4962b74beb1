//! The announcer against small trackers on loopback that answer as told, or not at all.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use std::time::Duration;

use crossbeam_channel::{Receiver, TrySendError, bounded, unbounded};

use super::client::Timing;
use super::thread::{Command, MAX_REQUESTS, Message};
use super::*;
use crate::engine::net::told_ports::ToldPorts;
use crate::engine::runtime::clock::Clock;
use crate::id::{InfoHash, PeerId};
use crate::random::Random;
use crate::tracker::exchange::RetrySchedule;
use crate::tracker::report::TrackerEvent;
use crate::tracker::tiers::Policy;

/// Longest a test waits for something that is to come.
const LONG: Duration = Duration::from_secs(20);

/// An HTTP tracker: hands each request's target to the test and gives `body`.
fn http_tracker(body: &'static [u8]) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/announce", listener.local_addr().unwrap());
    let (seen, requests) = unbounded();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            if seen.send(read_target(&mut stream)).is_err() {
                return;
            }
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(&[head.as_bytes(), body].concat());
        }
    });
    (url, requests)
}

fn read_target(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap().split(' ').nth(1).unwrap_or_default().to_owned()
}

/// A tracker that takes connections and never answers.
fn dead_tracker() -> (String, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    (format!("http://{}/announce", listener.local_addr().unwrap()), listener)
}

fn setup(tiers: Vec<Vec<String>>) -> AnnounceSetup {
    AnnounceSetup {
        tiers,
        info_hash: InfoHash::from_bytes([1; 20]),
        peer_id: PeerId::from_bytes([2; 20]),
        ports: Arc::new(ToldPorts::new(6881, None)),
        key: 7,
        totals: Box::new(Totals::default),
        random: Random::seeded(1),
        tell: Box::new(|_| Ok(())),
    }
}

fn timing() -> Timing {
    let retry_schedule = RetrySchedule { first: Duration::from_millis(200), doublings: 2, retries: 2 };
    Timing { http: Duration::from_secs(2), retry_schedule, grace: Duration::from_millis(100) }
}

fn policy() -> Policy {
    let ms = Duration::from_millis;
    Policy {
        alongside: ms(50),
        retry_first: ms(100),
        interval_least: ms(100),
        early: ms(100),
        ..Policy::default()
    }
}

/// An announcer, and the events that the torrent gets.
struct Announcing {
    announcer: Announcer,
    told: Receiver<TrackerEvent>,
}

impl Announcing {
    fn told(&self) -> &Receiver<TrackerEvent> {
        &self.told
    }

    fn stop(self, budget: Duration) {
        self.announcer.stop(budget);
    }
}

impl std::ops::Deref for Announcing {
    type Target = Announcer;

    fn deref(&self) -> &Announcer {
        &self.announcer
    }
}

fn start_with(
    thread: &AnnounceThread,
    mut setup: AnnounceSetup,
    policy: Policy,
    timing: Timing,
) -> Announcing {
    let (tell, told) = unbounded();
    setup.tell = Box::new(move |event| {
        let _ = tell.send(event);
        Ok(())
    });
    Announcing { announcer: Announcer::start_with(thread, setup, policy, timing), told }
}

/// An announcer with a thread of its own.
fn start(setup: AnnounceSetup) -> (Announcing, AnnounceThread) {
    let thread = thread();
    (start_with(&thread, setup, policy(), timing()), thread)
}

/// Otherwise a busy torrent would never hear of the peers that its tracker named.
#[test]
fn what_a_torrent_has_no_room_for_is_told_later_in_order() {
    let (url, _requests) = http_tracker(PEERS);
    let (thread, (tell, told)) = (thread(), bounded(1));
    let mut setup = setup(vec![vec![url]]);
    setup.tell = Box::new(move |event| {
        tell.try_send(event).map_err(|error| match error {
            TrySendError::Full(event) | TrySendError::Disconnected(event) => event,
        })
    });
    let _announcer = Announcer::start_with(&thread, setup, policy(), timing());
    assert!(matches!(told.recv_timeout(LONG), Ok(TrackerEvent::ExternalIp(_))));
    assert!(matches!(told.recv_timeout(LONG), Ok(TrackerEvent::Peers(_))));
    assert!(matches!(told.recv_timeout(LONG), Ok(TrackerEvent::Answered { .. })));
}

fn thread() -> AnnounceThread {
    AnnounceThread::start(Clock::start(), Arc::default()).unwrap()
}

const PEERS: &[u8] = b"d8:intervali1800e5:peers6:\x01\x02\x03\x04\x1a\xe111:external ip4:\x09\x08\x07\x06e";

#[test]
fn the_first_announce_brings_peers_and_stop_says_stopped() {
    let (url, requests) = http_tracker(PEERS);
    let (announcer, _thread) = start(setup(vec![vec![url.clone()]]));
    let told = announcer.told();
    assert_eq!(told.recv_timeout(LONG), Ok(TrackerEvent::ExternalIp("9.8.7.6".parse().unwrap())));
    assert_eq!(told.recv_timeout(LONG), Ok(TrackerEvent::Peers(vec!["1.2.3.4:6881".parse().unwrap()])));
    let answered =
        TrackerEvent::Answered { url, peers: 1, interval: Duration::from_secs(1800), warning: None };
    assert_eq!(told.recv_timeout(LONG), Ok(answered));
    announcer.stop(LONG);
    let said: Vec<_> = requests.try_iter().collect();
    assert!(said[0].contains("&event=started") && said[0].contains("&numwant=100&key=00000007"), "{said:?}");
    assert!(said[1].ends_with("&event=stopped") && said[1].contains("&numwant=0&"), "{said:?}");
    assert_eq!(said.len(), 2);
}

#[test]
fn counters_are_those_of_the_moment_of_sending() {
    let (url, requests) = http_tracker(b"d8:intervali1800e12:min intervali0e5:peers0:e");
    let left = Arc::new(AtomicU64::new(500));
    let now = left.clone();
    let totals = move || Totals { uploaded: 1, downloaded: 2, left: now.load(Ordering::SeqCst) };
    let (announcer, _thread) = start(AnnounceSetup { totals: Box::new(totals), ..setup(vec![vec![url]]) });
    announcer.told().recv_timeout(LONG).unwrap();
    left.store(300, Ordering::SeqCst);
    announcer.want_peers();
    announcer.told().recv_timeout(LONG).unwrap();
    left.store(0, Ordering::SeqCst);
    announcer.completed();
    announcer.told().recv_timeout(LONG).unwrap();
    let said: Vec<_> = requests.try_iter().collect();
    for (said, want) in said.iter().zip(["&left=500&", "&left=300&", "&left=0&"]) {
        assert!(said.contains("&uploaded=1&downloaded=2&") && said.contains(want), "{said}");
    }
    assert!(said[0].ends_with("event=started") && said[2].ends_with("event=completed"));
    assert!(!said[1].contains("event="));
}

/// A torrent that completes and stops at once has both to announce in one moment.
#[test]
fn completed_is_said_before_stopped_however_soon_the_end_comes() {
    let (url, requests) = http_tracker(PEERS);
    let (announcer, _thread) = start(setup(vec![vec![url]]));
    while !matches!(announcer.told().recv_timeout(LONG).unwrap(), TrackerEvent::Answered { .. }) {}
    announcer.completed();
    announcer.stop(LONG);
    let events: Vec<_> =
        requests.try_iter().map(|said| said.rsplit_once('=').unwrap().1.to_owned()).collect();
    assert_eq!(events, ["started", "completed", "stopped"]);
}

/// Eight trackers that never answer, UDP ones too, and one that does, last in the list.
#[test]
fn dead_trackers_delay_no_other_and_not_the_end() {
    let dead: Vec<_> = (0..4).map(|_| dead_tracker()).collect();
    let mute: Vec<_> = (0..4).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let (url, requests) = http_tracker(PEERS);
    let mut tiers: Vec<Vec<String>> = dead.iter().map(|(url, _)| vec![url.clone()]).collect();
    tiers.extend(mute.iter().map(|udp| vec![format!("udp://{}/", udp.local_addr().unwrap())]));
    tiers.push(vec![url]);
    // Time-outs far beyond the test's: what waited for one of them would never end.
    let slow = Duration::from_secs(3600);
    let timing = Timing {
        http: slow,
        retry_schedule: RetrySchedule { first: slow, ..timing().retry_schedule },
        grace: slow,
    };
    let thread = thread();
    let announcer = start_with(&thread, setup(tiers), policy(), timing);
    assert!(requests.recv_timeout(LONG).unwrap().contains("event=started"));
    while !matches!(announcer.told().recv_timeout(LONG).unwrap(), TrackerEvent::Answered { .. }) {}
    let before = Instant::now();
    announcer.stop(slow);
    assert!(before.elapsed() < LONG, "only who was told waits for an answer, and it has answered");
    assert!(requests.recv_timeout(LONG).unwrap().contains("event=stopped"));
}

#[test]
fn a_tracker_that_dies_before_the_end_costs_the_budget_and_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/announce", listener.local_addr().unwrap());
    let first = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read_target(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nde").unwrap();
        listener
    });
    let (announcer, _thread) = start(setup(vec![vec![url]]));
    announcer.told().recv_timeout(LONG).unwrap();
    let listener = first.join().unwrap();
    let before = Instant::now();
    announcer.stop(Duration::from_millis(300));
    assert!(before.elapsed() < LONG);
    drop(listener);
}

#[test]
fn in_a_tier_the_next_is_asked_when_one_is_dead() {
    let (dead, _listener) = dead_tracker();
    let (url, requests) = http_tracker(PEERS);
    let (announcer, _thread) = start(setup(vec![vec![dead, url]]));
    assert!(requests.recv_timeout(LONG).unwrap().contains("event=started"));
    announcer.stop(Duration::from_secs(5));
}

#[test]
fn failures_are_told_with_their_reason_and_tried_again() {
    let (url, requests) = http_tracker(b"d14:failure reason9:not todaye");
    let (announcer, _thread) = start(setup(vec![vec!["wss://a/".into()], vec![url.clone()]]));
    let Ok(TrackerEvent::Failed { url: refused, why, retry }) = announcer.told().recv_timeout(LONG) else {
        panic!()
    };
    assert_eq!((refused.as_str(), retry), ("wss://a/", None));
    assert!(why.contains("scheme"), "{why}");
    for _ in 0..2 {
        let Ok(TrackerEvent::Failed { url: failed, why, .. }) = announcer.told().recv_timeout(LONG) else {
            panic!()
        };
        assert_eq!(failed, url);
        assert_eq!(why, "not today");
        assert!(requests.recv_timeout(LONG).unwrap().contains("event=started"));
    }
}

#[test]
fn more_trackers_than_requests_are_all_asked_in_the_end() {
    let (url, requests) = http_tracker(b"de");
    let tiers = (0..MAX_REQUESTS + 20).map(|n| vec![format!("{url}?n={n}")]).collect();
    let (announcer, _thread) = start(setup(tiers));
    let mut seen: Vec<_> = (0..MAX_REQUESTS + 20).map(|_| requests.recv_timeout(LONG).unwrap()).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), MAX_REQUESTS + 20);
    drop(announcer);
}

#[test]
fn a_udp_tracker_is_told_all_the_same() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let url = format!("udp://{}/announce", socket.local_addr().unwrap());
    let (announcer, _thread) = start(setup(vec![vec![url]]));
    let mut packet = [0; 200];
    let mut events = Vec::new();
    let mut stopping = None;
    while events.len() < 2 {
        socket.set_read_timeout(Some(LONG)).unwrap();
        let (len, from) = socket.recv_from(&mut packet).unwrap();
        let transaction = packet[12..16].to_vec();
        let reply = match len {
            16 => [&[0; 4], &transaction[..], &[5; 8]].concat(),
            _ => [&[0, 0, 0, 1], &transaction[..], &[0, 0, 1, 0], &[0; 8], &[1, 2, 3, 4, 5, 6]].concat(),
        };
        if len > 16 {
            events.push(packet[83]);
        }
        socket.send_to(&reply, from).unwrap();
        if stopping.is_none() && events.len() == 1 {
            while !matches!(
                announcer.told().recv_timeout(LONG).unwrap(),
                TrackerEvent::Answered { peers: 1, .. }
            ) {}
            let (thread, trackers, done) =
                (announcer.thread.clone(), announcer.trackers, announcer.done.clone());
            stopping = Some(std::thread::spawn(move || {
                thread.send(Message::Command(trackers, Command::Stop(LONG))).unwrap();
                done.recv().unwrap_err();
            }));
        }
    }
    stopping.unwrap().join().unwrap();
    assert_eq!(events, [2, 3], "started, then stopped, over the same connection id");
}

/// It was a minute and three quarters until anything was told of it.
#[test]
fn that_a_tracker_does_not_answer_yet_is_told_long_before_it_counts_as_dead() {
    let mute = UdpSocket::bind("127.0.0.1:0").unwrap();
    let url = format!("udp://{}/", mute.local_addr().unwrap());
    let retry_schedule = RetrySchedule { first: Duration::from_millis(100), doublings: 0, retries: 1000 };
    let thread = thread();
    let timing = Timing { retry_schedule, ..timing() };
    let announcer = start_with(&thread, setup(vec![vec![url.clone()]]), policy(), timing);
    let told = announcer.told().recv_timeout(LONG);
    assert!(
        matches!(&told, Ok(TrackerEvent::Silent { url: of, waited }) if *of == url && !waited.is_zero()),
        "{told:?}"
    );
    drop(mute);
    let told = announcer.told().recv_timeout(LONG);
    assert!(matches!(&told, Ok(TrackerEvent::Failed { url: of, .. }) if *of == url), "told once: {told:?}");
}

/// A server too busy to give a reason says when to come back in a header.
#[test]
fn a_busy_server_is_left_alone_for_as_long_as_it_asks() {
    for (status, header, want) in [
        ("429 Too Many Requests", "Retry-After: 1200", 1200),
        ("503 Service Unavailable", "Retry-After: Sun, 06 Nov 1994 08:59:37 GMT", 600),
        ("503 Service Unavailable", "Retry-After: 999999999999", 7200),
    ] {
        let answer = format!("HTTP/1.1 {status}\r\n{header}\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
        let answer = format!("{answer}Content-Length: 4\r\n\r\nbusy");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/announce", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                read_target(&mut stream);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        let (announcer, _thread) = start(setup(vec![vec![url]]));
        let Ok(TrackerEvent::Failed { why, retry, .. }) = announcer.told().recv_timeout(LONG) else {
            panic!()
        };
        assert_eq!((why, retry), (format!("HTTP status {status}"), Some(Duration::from_secs(want))));
    }
}

/// They were counted and left out.
#[test]
fn peers_that_a_tracker_names_are_looked_up_and_none_that_cannot_be_is_waited_for() {
    let (url, _requests) = http_tracker(
        b"d5:peersld2:ip12:none.invalid4:porti1eed2:ip9:LOCALHOST4:porti7eed2:ip7:1.2.3.44:porti9eed\
        2:ip4:a/b@4:porti9eeee",
    );
    let (announcer, _thread) = start(setup(vec![vec![url]]));
    let told = announcer.told();
    assert_eq!(told.recv_timeout(LONG), Ok(TrackerEvent::Peers(vec!["1.2.3.4:9".parse().unwrap()])));
    assert!(matches!(told.recv_timeout(LONG), Ok(TrackerEvent::Answered { peers: 1, .. })));
    let Ok(TrackerEvent::Peers(found)) = told.recv_timeout(LONG) else { panic!("nothing was looked up") };
    assert!(found.iter().all(|peer| peer.ip().is_loopback() && peer.port() == 7), "{found:?}");
}

/// One dead tracker that all torrents have, and one alive: the living is reached by all.
#[test]
fn torrents_share_a_thread_and_a_dead_tracker_delays_none_of_them() {
    let (dead, _listener) = dead_tracker();
    let (url, requests) = http_tracker(PEERS);
    let thread = thread();
    let slow = Timing { http: LONG, ..timing() };
    let open = |n: u8| {
        let tiers = vec![vec![dead.clone()], vec![url.clone()]];
        let setup = AnnounceSetup { info_hash: InfoHash::from_bytes([n; 20]), ..setup(tiers) };
        start_with(&thread, setup, policy(), slow)
    };
    let announcers: Vec<Announcing> = (0..100).map(open).collect();
    let mut told: Vec<String> = announcers.iter().map(|_| requests.recv_timeout(LONG).unwrap()).collect();
    told.sort();
    told.dedup();
    assert_eq!(told.len(), announcers.len());
    // Those whose answer is still on its way send no `stopped`.
    for announcer in &announcers {
        announcer.told().iter().find(|told| matches!(told, TrackerEvent::Answered { .. })).unwrap();
    }
    let mut left = announcers.into_iter();
    left.next().unwrap().stop(LONG);
    assert!(requests.recv_timeout(LONG).unwrap().ends_with("&event=stopped"));
    drop(left);
}
