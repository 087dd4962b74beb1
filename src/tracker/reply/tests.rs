use std::time::Duration;

use super::*;
use crate::random::Random;
use crate::tracker::registry::Limits;
use crate::tracker::{Announce, Totals};

const FROM: &str = "1.2.3.4:5678";

fn registry() -> Registry {
    let limits = Limits {
        interval: Duration::from_secs(900),
        swarms: 10,
        peers_per_swarm: 1000,
        peers: 1000,
        num_want: 1000,
        rate: 0,
        allowed: None,
    };
    Registry::new(limits, Random::seeded(1))
}

fn announce(port: u16) -> Announce {
    Announce {
        info_hash: InfoHash::from_bytes([1; 20]),
        peer_id: PeerId::from_bytes([2; 20]),
        port,
        totals: Totals { left: 1, ..Totals::default() },
        event: Event::Started,
        num_want: u32::MAX,
        key: 0,
        tracker_id: None,
    }
}

fn id_of(ids: &Ids, from: &str, now: Moment) -> u64 {
    let reply =
        reply(&udp::connect_request(9), from.parse().unwrap(), ids, &mut registry(), now, |_| ()).unwrap();
    assert_eq!(udp::reply_head(&reply), Some((udp::CONNECT, 9)));
    udp::read_connected(&reply).unwrap()
}

#[test]
fn connection_ids_are_good_for_one_address_and_a_minute_or_two() {
    let ids = Ids::new([7; 20]);
    let id = id_of(&ids, FROM, Moment::from_secs(60));
    let (here, there) = ("1.2.3.4".parse().unwrap(), "1.2.3.5".parse().unwrap());
    for (secs, good) in [(60, true), (119, true), (120, true), (179, true), (180, false), (59, false)] {
        assert_eq!(ids.knows(id, here, Moment::from_secs(secs)), good, "{secs}");
    }
    assert!(!ids.knows(id, there, Moment::from_secs(60)));
    assert!(!ids.knows(id ^ 1, here, Moment::from_secs(60)));
    assert!(
        !Ids::new([8; 20]).knows(id, here, Moment::from_secs(60)),
        "each tracker has a secret of its own"
    );
}

#[test]
fn only_a_peer_that_connected_is_entered() {
    let (ids, mut registry, now) = (Ids::new([7; 20]), registry(), Moment::START);
    let from: SocketAddr = FROM.parse().unwrap();
    let forged =
        reply(&udp::announce_request(7, 8, &announce(1), ""), from, &ids, &mut registry, now, |_| ())
            .unwrap();
    assert_eq!(udp::reply_head(&forged), Some((udp::ERROR, 8)));
    assert_eq!(registry.scrape(InfoHash::from_bytes([1; 20])), None);
    let id = id_of(&ids, FROM, now);
    let good =
        reply(&udp::announce_request(id, 8, &announce(1), "/x"), from, &ids, &mut registry, now, |_| ())
            .unwrap();
    let answer = udp::read_announced(&good, false).unwrap();
    assert_eq!((answer.interval, answer.leechers), (Some(Duration::from_secs(900)), Some(1)));
    let zero = reply(&udp::announce_request(id, 8, &announce(0), ""), from, &ids, &mut registry, now, |_| ())
        .unwrap();
    assert_eq!(udp::reply_head(&zero), Some((udp::ERROR, 8)));
}

#[test]
fn an_answer_fits_a_packet_and_has_the_askers_family() {
    let (ids, mut registry, now) = (Ids::new([7; 20]), registry(), Moment::START);
    for (from, size, most) in [("1.2.3.4:1", compact::V4, 210), ("[2001:db8::1]:1", compact::V6, 70)] {
        let id = id_of(&ids, from, now);
        let mut last = Vec::new();
        for port in 1..=300 {
            let request = udp::announce_request(id, 8, &Announce { num_want: 1000, ..announce(port) }, "");
            last = reply(&request, from.parse().unwrap(), &ids, &mut registry, now, |_| ()).unwrap();
        }
        assert_eq!(last.len(), 20 + most * size);
        assert!(last.len() <= 1280);
    }
}

#[test]
fn short_and_strange_packets_do_no_harm() {
    let (ids, mut registry, now) = (Ids::new([7; 20]), registry(), Moment::START);
    let from: SocketAddr = FROM.parse().unwrap();
    let id = id_of(&ids, FROM, now);
    let whole = udp::announce_request(id, 8, &announce(1), "");
    for len in 0..98 {
        let reply = reply(&whole[..len], from, &ids, &mut registry, now, |_| ());
        match len {
            0..16 => assert_eq!(reply, None),
            _ => assert_eq!(reply.and_then(|r| udp::reply_head(&r)), Some((udp::ERROR, 8)), "{len}"),
        }
    }
    let mut strange = whole;
    strange[11] = 9;
    assert_eq!(
        udp::reply_head(&reply(&strange, from, &ids, &mut registry, now, |_| ()).unwrap()),
        Some((udp::ERROR, 8))
    );
    let mut other = udp::connect_request(1);
    other[0] = 1;
    assert_eq!(reply(&other, from, &ids, &mut registry, now, |_| ()), None);
    let scrape = udp::scrape_request(id, 3, &[InfoHash::from_bytes([5; 20])]);
    let answer = reply(&scrape, from, &ids, &mut registry, now, |_| ()).unwrap();
    let entry = udp::read_scraped(&answer, &[InfoHash::from_bytes([5; 20])]).unwrap()[0];
    assert_eq!((entry.seeders, entry.leechers, entry.downloaded), (0, 0, 0));
}

/// A refusal of 29 bytes once answered 16: a host that forged the address of another would have had it sent
/// more bytes than it sent itself.
#[test]
fn an_unproven_address_gets_no_more_bytes_than_it_sent() {
    let (ids, mut registry, now) = (Ids::new([7; 20]), registry(), Moment::START);
    let from: SocketAddr = FROM.parse().unwrap();
    let forged = udp::announce_request(7, 8, &announce(1), "");
    for len in 16..=forged.len() {
        let reply = reply(&forged[..len], from, &ids, &mut registry, now, |_| ());
        assert!(reply.is_none_or(|reply| reply.len() <= len), "{len}");
    }
}
