use super::*;
use crate::tracker::http;

const HASH: &str = "%01%02%03%04%05%06%07%08%09%0A%0b%0c%0d%0e%0f%10%11%12%13%14";
const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(1, 2, 3, 4));

#[test]
fn an_announce_is_read() {
    let query = format!(
        "info_hash={HASH}&peer_id=-XX0001-abcdefghijkl&port=6881&uploaded=0&left=0&numwant=-1&event=started&compact=0"
    );
    let (entry, form) = read_announce(query.as_bytes(), FROM).unwrap();
    assert_eq!(*entry.info_hash.as_bytes(), std::array::from_fn(|n| n as u8 + 1));
    assert_eq!(entry.peer_id, PeerId::from_bytes(*b"-XX0001-abcdefghijkl"));
    assert_eq!(entry.address, "1.2.3.4:6881".parse().unwrap());
    assert_eq!(
        (entry.seed, entry.event, entry.num_want, form),
        (true, Event::Started, None, Form::Dictionaries)
    );
    let mapped = "::ffff:9.9.9.9".parse().unwrap();
    let (entry, form) = read_announce(query.replace("&compact=0", "").as_bytes(), mapped).unwrap();
    assert_eq!((entry.address, form), ("9.9.9.9:6881".parse().unwrap(), Form::Compact));
    for (from, to) in
        [("port=6881", "port=0"), ("port=6881", "port=65536"), ("%01", ""), ("-XX", "-X"), ("port", "p")]
    {
        let bad = query.replacen(from, to, 1);
        assert!(read_announce(bad.as_bytes(), FROM).is_err(), "{bad}");
    }
    assert!(read_announce(b"", FROM).is_err());
    assert!(read_announce(b"&&=&info_hash&=%", FROM).is_err());
}

#[test]
fn a_scrape_is_read_and_bounded() {
    let query = vec![format!("info_hash={HASH}"); 100].join("&");
    assert_eq!(read_scrape(query.as_bytes()).len(), MAX_SCRAPE);
    assert!(read_scrape(b"info_hash=short&x").is_empty());
}

/// Answers written here are read by the client's code.
#[test]
fn answers_are_what_clients_read() {
    let peers = vec![
        (PeerId::from_bytes([1; 20]), "1.1.1.1:1".parse().unwrap()),
        (PeerId::from_bytes([2; 20]), "[2001:db8::1]:2".parse().unwrap()),
    ];
    let found = Found { seeders: 3, leechers: 4, downloaded: 5, peers };
    for form in [Form::Compact, Form::Dictionaries, Form::WithoutIds] {
        let body = write_announced(&found, form, Duration::from_secs(900), FROM);
        assert_eq!(body.windows(7).any(|seven| seven == b"peer id"), form == Form::Dictionaries);
        let answer = http::read_announced(&body).unwrap();
        assert_eq!(answer.peers, found.peers.iter().map(|&(_, address)| address).collect::<Vec<_>>());
        assert_eq!(answer.interval, Some(Duration::from_secs(900)));
        assert_eq!((answer.seeders, answer.leechers, answer.downloaded), (Some(3), Some(4), Some(5)));
        assert_eq!(answer.external_ip, Some(FROM));
    }
    let failure = http::read_announced(&write_failure("no such torrent")).unwrap_err();
    assert_eq!(failure.why, "no such torrent");
    let entries: Vec<_> = [9u8, 3, 5]
        .map(|n| ScrapeEntry {
            info_hash: InfoHash::from_bytes([n; 20]),
            seeders: n.into(),
            leechers: 1,
            downloaded: 2,
        })
        .to_vec();
    let hashes: Vec<_> = entries.iter().map(|entry| entry.info_hash).collect();
    assert_eq!(http::read_scraped(&write_scraped(&entries), &hashes), Ok(entries));
}
