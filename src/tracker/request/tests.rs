use super::*;
use crate::tracker::http;

const HASH: &str = "%01%02%03%04%05%06%07%08%09%0A%0b%0c%0d%0e%0f%10%11%12%13%14";
const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(1, 2, 3, 4));

#[test]
fn heads_are_taken_apart_and_bounded() {
    let whole = |head: &'static [u8]| match read_head(head) {
        Head::Whole(Request { target: Target { path, query }, keep, len }) => (path, query, keep, len),
        other => panic!("{other:?}"),
    };
    let parts =
        |path: &'static str, query: &'static str, keep, len| (path.as_bytes(), query.as_bytes(), keep, len);
    assert_eq!(whole(b"GET /announce?a=b HTTP/1.1\r\nHost: x\r\n\r\n"), parts("/announce", "a=b", true, 39));
    assert_eq!(whole(b"GET / HTTP/1.0\n\n"), parts("/", "", false, 16));
    assert_eq!(whole(b"GET http://a:1/scrape?x?y HTTP/1.1\r\n\r\nrest"), parts("/scrape", "x?y", true, 38));
    assert_eq!(whole(b"GET http://a HTTP/1.1\r\n\r\n"), parts("", "", true, 25));
    for (version, line, keep) in [
        ("1.1", "Connection: close", false),
        ("1.1", "connection:TE,  Close ", false),
        ("1.1", "X-Connection: close", true),
        ("1.0", "CONNECTION: Keep-Alive", true),
        ("1.0", "Accept: */*", false),
    ] {
        let head = format!("GET / HTTP/{version}\r\n{line}\r\n\r\nConnection: what comes after\r\n");
        let Head::Whole(request) = read_head(head.as_bytes()) else { panic!("{head}") };
        assert_eq!(request.keep, keep, "{head}");
    }
    assert_eq!(read_head(b""), Head::Partial);
    assert_eq!(read_head(b"GET / HTTP/1.1\r\nHost: x\r\n"), Head::Partial);
    assert_eq!(read_head(b"POST / HTTP/1.1\r\n\r\n"), Head::Refused(405));
    for bad in [
        &b"\r\n\r\n"[..],
        b"GET /\r\n\r\n",
        b"GET / a HTTP/1.1\r\n\r\n",
        b"GET / SPDY\r\n\r\n",
        b"\xFF\xFF\n\n",
    ] {
        assert_eq!(read_head(bad), Head::Refused(400));
    }
    assert_eq!(read_head(&[b'a'; MAX_HEAD]), Head::Refused(431));
    assert_eq!(read_head(&[b'a'; MAX_HEAD - 1]), Head::Partial);
    let long = [&[b'a'; MAX_HEAD][..], b"\r\n\r\n"].concat();
    assert_eq!(read_head(&long), Head::Refused(431));
}

/// The second request, by its other way of ending lines, was once read as a part of the first.
#[test]
fn requests_that_come_at_once_are_those_that_come_one_by_one() {
    let requests =
        ["GET /a HTTP/1.1\n\n", "GET /b HTTP/1.1\r\n\r\n", "GET /c HTTP/1.1\r\n\n", "GET /d HTTP/1.1\n\r\n"];
    for (first, second) in
        requests.iter().flat_map(|first| requests.iter().map(move |second| (first, second)))
    {
        let alone = read_head(first.as_bytes());
        assert!(matches!(alone, Head::Whole(request) if request.len == first.len()), "{first:?}");
        assert_eq!(read_head(format!("{first}{second}").as_bytes()), alone, "{first:?} and {second:?}");
    }
}

/// A proxy that shares connections between clients may pass these on; none of them may be read as two
/// requests.
#[test]
fn a_head_that_a_proxy_could_read_in_another_way_is_refused() {
    let read = |field: &str| match read_head(format!("GET / HTTP/1.1\r\n{field}\r\n\r\n").as_bytes()) {
        Head::Refused(status) => status,
        Head::Whole(_) => 200,
        Head::Partial => 0,
    };
    for field in [
        "Content-Length: 43",
        "content-length:1",
        "Content-Length: 0, 5",
        "Content-Length: +0",
        "Transfer-Encoding: chunked",
        "TRANSFER-ENCODING: identity",
        "Transfer-Encoding : chunked",
        "Expect: 100-continue",
        "X: 1\r\n folded: 2",
        "no colon",
        ": no name",
        "X: a\rContent-Length: 5",
        "X: \0",
    ] {
        assert_eq!(read(field), 400, "{field:?}");
    }
    for field in ["Content-Length: 0", "User-Agent: a (b; c) \u{e9}", "Accept:", "X-Forwarded-For:\t1.2.3.4"]
    {
        assert_eq!(read(field), 200, "{field:?}");
    }
    assert_eq!(read_head(b"GET /a\rb HTTP/1.1\r\n\r\n"), Head::Refused(400));
}

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

/// What is written here is what the other side reads.
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
