//! Trackers: their answers over HTTP and UDP are read within bounds, and our own tracker answers anything
//! that comes, with what our own client reads.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bitwren::ScrapeEntry;
use bitwren::internals::digest::sha1;
use bitwren::internals::moment::Moment;
use bitwren::internals::random::Random;
use bitwren::internals::tracker::exchange::{Connection, Exchange, Question, Reply, RetrySchedule, Step};
use bitwren::internals::tracker::registry::{Found, Limits, Registry};
use bitwren::internals::tracker::reply::{Ids, reply};
use bitwren::internals::tracker::request::{self, Form};
use bitwren::internals::tracker::url::{TrackerUrl, escape, unescape};
use bitwren::internals::tracker::{Announce, Answer, Event, MAX_PEERS, MAX_TEXT, Totals, compact, http, udp};
use bitwren::internals::wire::http_head::{self, Head};
use bitwren::{InfoHash, PeerId};

use super::{Script, is_one_line};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7));

/// The body of an answer over HTTP.
pub fn http_answer(body: &[u8]) {
    let hashes = [[7; 20], body.last_chunk().copied().unwrap_or([8; 20])].map(InfoHash::from_bytes);
    match http::read_announced(body) {
        Err(failure) => assert_told(&failure.why),
        Ok(answer) => {
            assert_bounded(&answer);
            assert!(http::failure_of(body).is_none());
            // Our own tracker writes what our client reads.
            let id = PeerId::from_bytes([1; 20]);
            let peers: Vec<_> = answer.peers.iter().map(|&address| (id, address)).collect();
            let found = Found { seeders: 1, leechers: 2, downloaded: 3, peers };
            for form in [Form::Compact, Form::Dictionaries, Form::WithoutIds] {
                let written = request::write_announced(&found, form, Duration::from_secs(60), V4);
                let again = http::read_announced(&written).expect("what was written is read");
                assert_eq!(set(&again.peers), set(&answer.peers));
                assert_eq!((again.seeders, again.leechers, again.downloaded), (Some(1), Some(2), Some(3)));
                assert_eq!((again.external_ip, again.interval), (Some(V4), Some(Duration::from_secs(60))));
            }
        }
    }
    match http::read_scraped(body, &hashes) {
        Err(failure) => assert_told(&failure.why),
        Ok(entries) => {
            assert!(entries.len() <= hashes.len());
            let written = request::write_scraped(&entries);
            let names: Vec<InfoHash> = entries.iter().map(|entry| entry.info_hash).collect();
            let again = http::read_scraped(&written, &names).expect("what was written is read");
            assert_eq!(again, entries);
        }
    }
}

fn set(peers: &[SocketAddr]) -> HashSet<SocketAddr> {
    peers.iter().copied().collect()
}

fn assert_told(text: &str) {
    assert!(!text.is_empty() && is_one_line(text), "{text:?}");
    // A message, and for a body that is none what is wrong with it.
    assert!(text.chars().count() <= MAX_TEXT + 300, "{text:?}");
}

fn assert_bounded(answer: &Answer) {
    assert!(answer.peers.len() <= MAX_PEERS);
    assert_eq!(set(&answer.peers).len(), answer.peers.len(), "each once");
    assert!(answer.peers.iter().all(compact::is_usable));
    if let Some(warning) = &answer.warning {
        assert!(is_one_line(warning) && warning.chars().count() <= MAX_TEXT + 1, "{warning:?}");
    }
    assert!(answer.tracker_id.as_ref().is_none_or(|id| id.len() <= 512));
    assert!(answer.interval.unwrap_or_default() <= Duration::from_secs(u32::MAX.into()));
}

/// What a UDP tracker sends: read alone, and in the course of a whole exchange with packets that come too
/// late, too short, twice, or from another transaction.
pub fn udp_packet(data: &[u8]) {
    let mut script = Script::new(data);
    let v6 = script.bit();
    let hashes = [InfoHash::from_bytes([1; 20]), InfoHash::from_bytes([2; 20])];
    let question = match script.bit() {
        true => Question::Scrape(hashes.to_vec()),
        false => Question::Announce(announce(&mut script), "/announce".to_owned()),
    };
    let mut now = Moment::from_secs(1);
    let kept = script.bit().then_some(Connection { id: 5, since: now });
    let retry_schedule = RetrySchedule { first: Duration::from_secs(2), doublings: 3, retries: 5 };
    let mut exchange = Exchange::new(question, v6, retry_schedule, kept);
    let (mut secret, mut sent) = (0, 0);
    while !script.is_over() {
        let next = secret + 1;
        match exchange.poll(now, || {
            secret = next;
            next
        }) {
            Step::Send(packet) => {
                sent += 1;
                assert!(packet.len() >= 16);
                assert_eq!(udp::reply_head(&packet[8..]).map(|(_, transaction)| transaction), Some(secret));
            }
            Step::Wait(until) => {
                assert!(until > now);
                if script.bit() {
                    now = until;
                }
            }
            Step::GaveUp => break,
        }
        let mut packet = script.bytes().to_vec();
        if packet.len() >= 8 && script.bit() {
            packet[..3].fill(0);
            packet[3] &= 3;
            packet[4..8].copy_from_slice(&secret.to_be_bytes());
        }
        assert_read(&packet, &hashes);
        match exchange.received(now, &packet) {
            Some(Err(failure)) => return assert_told(&failure.why),
            Some(Ok(Reply::Announced(answer))) => return assert_bounded(&answer),
            Some(Ok(Reply::Scraped(entries))) => return assert!(entries.len() <= hashes.len()),
            None => {}
        }
        assert!(sent <= 1000);
    }
}

fn assert_read(packet: &[u8], hashes: &[InfoHash]) {
    for v6 in [false, true] {
        let size = if v6 { compact::V6 } else { compact::V4 };
        match udp::read_announced(packet, v6) {
            None => assert!(packet.len() < 20),
            Some(answer) => {
                assert_bounded(&answer);
                assert!(answer.peers.len() * size <= packet.len() - 20);
                assert!(answer.peers.iter().all(|peer| peer.is_ipv6() == v6));
            }
        }
    }
    assert_eq!(udp::read_connected(packet).is_some(), packet.len() >= 16);
    assert_eq!(udp::read_scraped(packet, hashes).is_some(), packet.len() >= 8);
    assert_told(&udp::read_error(packet));
}

fn announce(script: &mut Script<'_>) -> Announce {
    let event = [Event::None, Event::Completed, Event::Started, Event::Stopped][script.below(4) as usize];
    Announce {
        info_hash: InfoHash::from_bytes(script.array()),
        peer_id: PeerId::from_bytes(script.array()),
        port: (script.word() as u16).max(1),
        totals: Totals { uploaded: script.long(), downloaded: script.long(), left: script.long() },
        event,
        num_want: script.word(),
        key: script.word(),
        tracker_id: script.bit().then(|| script.bytes().to_vec()),
    }
}

fn registry() -> Registry {
    let limits = Limits {
        interval: Duration::from_secs(900),
        swarms: 3,
        peers_per_swarm: 5,
        peers: 12,
        num_want: 10,
        rate: 0,
        allowed: None,
    };
    Registry::new(limits, Random::seeded(1))
}

/// Requests to our tracker over HTTP, one after the other on one connection, in whatever pieces they come.
pub fn http_server(data: &[u8]) {
    announced_as_read(data);
    let mut books = registry();
    let (mut rest, mut now) = (data, Moment::START);
    for from in [V4, V6].into_iter().cycle() {
        let whole = http_head::read_head(rest, http_head::MAX_HEAD);
        for cut in [rest.len() / 2, rest.len().saturating_sub(1), rest.len().saturating_sub(3)] {
            match http_head::read_head(&rest[..cut], http_head::MAX_HEAD) {
                Head::Partial => {}
                read => assert_eq!(read, whole, "cut at {cut} it is another request"),
            }
        }
        let Head::Whole(head) = whole else { return };
        assert!(head.len > 0 && head.len <= http_head::MAX_HEAD.min(rest.len()));
        answer(&mut books, head.target.query, from, now);
        rest = &rest[head.len..];
        now = now + Duration::from_secs(100);
    }
}

fn answer(books: &mut Registry, query: &[u8], from: IpAddr, now: Moment) {
    match request::read_announce(query, from) {
        Err(why) => {
            let told = http::read_announced(&request::write_failure(why)).expect_err("it is a failure");
            assert_eq!(told.why, why);
        }
        Ok((entry, form)) => {
            assert!(entry.address.port() != 0 && entry.address.ip() == from);
            let Ok(found) = books.announce(&entry, now) else { return };
            assert!(found.peers.len() <= 10);
            assert!(entry.event == Event::Stopped || found.peers.iter().all(|peer| peer.1 != entry.address));
            let body = request::write_announced(&found, form, books.interval(), from);
            let read = http::read_announced(&body).expect("our own client reads it");
            let given: Vec<SocketAddr> = found.peers.iter().map(|peer| peer.1).collect();
            assert_eq!(set(&read.peers), set(&given));
            assert_eq!((read.seeders, read.leechers), (Some(found.seeders), Some(found.leechers)));
        }
    }
    let hashes = request::read_scrape(query);
    assert!(hashes.len() <= request::MAX_SCRAPE);
    let entries: Vec<ScrapeEntry> = hashes.iter().filter_map(|&hash| books.scrape(hash)).collect();
    let read =
        http::read_scraped(&request::write_scraped(&entries), &hashes).expect("our own client reads it");
    assert!(entries.iter().all(|entry| read.contains(entry)));
    let (swarms, seeders, leechers) = books.census();
    assert!(swarms <= 3 && seeders + leechers <= 12);
}

/// What our client asks over HTTP is what our tracker understands.
fn announced_as_read(data: &[u8]) {
    let announce = announce(&mut Script::new(data));
    let tracker = TrackerUrl::parse("http://tracker.example:8080/x/announce?key=%20").expect("it is one");
    let url = http::announce_url(&tracker, &announce);
    let path = url.strip_prefix("http://tracker.example:8080").expect("the URL begins as the tracker's");
    let head = format!("GET {path} HTTP/1.1\r\n\r\n");
    let whole = http_head::read_head(head.as_bytes(), http_head::MAX_HEAD);
    let Head::Whole(read) = whole else { return assert!(head.len() > 1000) };
    let (entry, _) = request::read_announce(read.target.query, V4).expect("our tracker understands");
    assert_eq!((entry.info_hash, entry.peer_id), (announce.info_hash, announce.peer_id));
    assert_eq!((entry.address, entry.event), (SocketAddr::new(V4, announce.port), announce.event));
    assert_eq!((entry.seed, entry.num_want), (announce.totals.left == 0, Some(announce.num_want)));
    let scrape = http::scrape_url(&tracker.scrape().expect("it has one"), &[announce.info_hash]);
    let query = scrape.split_once('?').expect("it has a query").1;
    assert_eq!(request::read_scrape(query.as_bytes()), [announce.info_hash]);
}

/// Packets to our tracker over UDP, from several addresses, some with a connection id and some without.
pub fn udp_server(data: &[u8]) {
    let mut script = Script::new(data);
    // Any secret that stays the same is found out by the fuzzer, which sees what ids are compared with.
    let ids = Ids::new(sha1(data));
    let (mut books, mut now) = (registry(), Moment::from_secs(1));
    let mut given = HashSet::new();
    let places = [V4, IpAddr::V4(Ipv4Addr::new(192, 0, 2, 8)), V6].map(|ip| SocketAddr::new(ip, 6881));
    while !script.is_over() {
        let from = places[script.below(3) as usize];
        now = now + Duration::from_secs(u64::from(script.byte()));
        let v6 = from.is_ipv6();
        let connect = reply(&udp::connect_request(1), from, &ids, &mut books, now, |_| ());
        let id = connect.as_deref().and_then(udp::read_connected).expect("it is connected");
        let kind = script.below(4);
        let packet = match kind {
            0 => script.bytes().to_vec(),
            1 => udp::announce_request(id, 2, &announce(&mut script), "/x"),
            2 => udp::scrape_request(
                id,
                2,
                &[InfoHash::from_bytes(script.array()), InfoHash::from_bytes(script.array())],
            ),
            _ => [&id.to_be_bytes()[..], script.bytes()].concat(),
        };
        given.insert(id.to_be_bytes());
        let mut taken = 0;
        let answer = reply(&packet, from, &ids, &mut books, now, |_| taken += 1);
        let known = given.iter().any(|id| packet.starts_with(id));
        assert!(known || taken == 0, "taken without a connection id");
        let (swarms, seeders, leechers) = books.census();
        assert!(swarms <= 3 && seeders + leechers <= 12);
        let Some(answer) = answer else { continue };
        let (action, transaction) = udp::reply_head(&answer).expect("an answer has a head");
        assert_eq!(transaction.to_be_bytes(), packet[12..16], "the transaction comes back");
        assert!(answer.len() <= 1500);
        if !known {
            assert!(answer.len() <= packet.len(), "a stranger gets more than he sent");
        }
        match (kind, action) {
            (1, udp::ANNOUNCE) => {
                let read = udp::read_announced(&answer, v6).expect("our own client reads it");
                assert!(read.peers.len() <= 10);
            }
            (2, udp::SCRAPE) => {
                assert_eq!(udp::read_scraped(&answer, &[InfoHash::from_bytes([0; 20]); 2]).unwrap().len(), 2)
            }
            (1, udp::ERROR) => assert_told(&udp::read_error(&answer)),
            (1 | 2, _) => panic!("asked for {kind}, answered by {action}"),
            _ => {}
        }
    }
}

/// URLs of trackers.
pub fn url(data: &[u8]) {
    let mut escaped = String::new();
    escape(data, &mut escaped);
    assert!(escaped.is_ascii());
    assert_eq!(unescape(escaped.as_bytes()), data);
    let text = String::from_utf8_lossy(data);
    let Ok(url) = TrackerUrl::parse(&text) else { return };
    assert!(!url.host().is_empty() && url.port() != 0);
    assert!(!url.as_str().contains(|c: char| c.is_whitespace() || c.is_control()));
    assert!(url.path_and_query().is_ascii() && url.as_str().ends_with(url.path_and_query()));
    let with = url.with_query("a=b");
    assert!(with.ends_with("a=b") && with.starts_with(url.as_str()));
    assert!(url.is_same(&url));
    if let Some(scrape) = url.scrape() {
        assert_eq!((scrape.host(), scrape.port()), (url.host(), url.port()));
        assert_eq!(scrape.scrape().as_ref().map(TrackerUrl::as_str), Some(scrape.as_str()));
    }
    // Escapes may have made it longer than what is read.
    match TrackerUrl::parse(url.as_str()) {
        Ok(again) => assert!(again.is_same(&url) && again.as_str() == url.as_str()),
        Err(error) => assert!(url.as_str().len() > 4096, "{error}"),
    }
}
