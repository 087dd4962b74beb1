use super::*;
use crate::id::PeerId;
use crate::tracker::{Event, Totals};

const VECTORS: &str = include_str!("../../../testdata/vectors/tracker.tsv");

fn packet(name: &str) -> Vec<u8> {
    let lines = VECTORS.lines().filter_map(|line| line.strip_prefix("packet "));
    let mut fields =
        lines.map(|line| line.split('\t')).find(|fields| fields.clone().next() == Some(name)).unwrap();
    let hex = fields.nth(1).unwrap();
    (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn announce() -> Announce {
    Announce {
        info_hash: InfoHash::from_bytes(*b"bittorrent-infohash-"),
        peer_id: PeerId::from_bytes(*b"bittorrent-peer-id--"),
        port: 6889,
        totals: Totals {
            downloaded: 9223372036854775806,
            left: 9223372036854775805,
            uploaded: 9223372036854775804,
        },
        event: Event::Started,
        num_want: 50,
        key: 1000000007,
        tracker_id: None,
    }
}

#[test]
fn requests_are_the_bytes_others_send() {
    assert_eq!(connect_request(1000000009), packet("connect request"));
    assert_eq!(announce_request(u64::MAX, 1000000009, &announce(), ""), packet("announce request"));
    assert_eq!(announce_request(u64::MAX, 1000000009, &announce(), "/"), packet("announce request"));
}

#[test]
fn answers_of_others_are_read() {
    assert_eq!(reply_head(&packet("connect response")), Some((CONNECT, 1000000009)));
    assert_eq!(read_connected(&packet("connect response")), Some(12345));
    let answer = read_announced(&packet("announce response"), false).unwrap();
    assert_eq!(answer.interval, Some(Duration::from_secs(1800)));
    assert_eq!((answer.leechers, answer.seeders), (Some(100), Some(256)));
    let peers = ["192.168.0.1:6990".parse().unwrap(), "192.168.0.2:6991".parse().unwrap()];
    assert_eq!(answer.peers, peers);
    assert_eq!(reply_head(&packet("error response")), Some((ERROR, 1000000009)));
    assert_eq!(read_error(&packet("error response")), "error");
}

#[test]
fn the_path_goes_along_in_parts_of_255_bytes() {
    let path = format!("/announce?passkey={}", "k".repeat(300));
    let packet = announce_request(1, 2, &announce(), &path);
    assert_eq!(&packet[98..100], &[2, 255]);
    assert_eq!(&packet[100..355], &path.as_bytes()[..255]);
    assert_eq!(&packet[355..357], &[2, (path.len() - 255) as u8]);
    assert_eq!(&packet[357..], &path.as_bytes()[255..]);
}

#[test]
fn an_ipv6_socket_reads_18_byte_peers_and_short_packets_are_refused() {
    let mut packet = packet("announce response");
    packet.truncate(20);
    compact::write("[2001:db8::1]:6881".parse().unwrap(), &mut packet);
    compact::write("[2001:db8::2]:0".parse().unwrap(), &mut packet);
    let answer = read_announced(&packet, true).unwrap();
    assert_eq!(answer.peers, ["[2001:db8::1]:6881".parse().unwrap()]);
    for short in 0..20 {
        assert_eq!(read_announced(&packet[..short], true), None);
    }
    for short in 0..16 {
        assert_eq!(read_connected(&packet[..short]), None);
    }
    assert_eq!(reply_head(&packet[..7]), None);
    assert_eq!(read_error(&packet[..8]), "an error without a reason");
}

#[test]
fn at_most_4096_peers_are_taken_from_one_answer() {
    let mut packet = packet("announce response");
    for n in 0..10_000u32 {
        packet.extend_from_slice(&(n + 0x0100_0000).to_be_bytes());
        packet.extend_from_slice(&[1, 1]);
    }
    assert_eq!(read_announced(&packet, false).unwrap().peers.len(), MAX_PEERS);
}

#[test]
fn a_scrape_asks_for_74_at_most_and_reads_what_is_there() {
    let hashes: Vec<_> = (0..80).map(|n| InfoHash::from_bytes([n; 20])).collect();
    assert_eq!(scrape_request(1, 2, &hashes).len(), 16 + 74 * 20);
    let mut packet = vec![0, 0, 0, 2, 0, 0, 0, 9];
    for n in [1u32, 2, 3, 4, 5] {
        packet.extend_from_slice(&n.to_be_bytes());
    }
    let entries = read_scraped(&packet, &hashes[..2]).unwrap();
    assert_eq!(entries, [ScrapeEntry { info_hash: hashes[0], seeders: 1, downloaded: 2, leechers: 3 }]);
}
