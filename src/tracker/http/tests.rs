use super::*;
use crate::id::PeerId;
use crate::tracker::{Event, Totals};

const VECTORS: &str = include_str!("../../../testdata/vectors/tracker_bodies.tsv");

fn vectors(kind: &str) -> impl Iterator<Item = (Vec<u8>, &'static str, &'static str)> {
    VECTORS.lines().filter_map(move |line| {
        let mut fields = line.strip_prefix(kind)?.strip_prefix('\t')?.split('\t');
        let hex = fields.next().unwrap();
        let body =
            (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
        Some((body, fields.next().unwrap(), fields.next().unwrap()))
    })
}

fn announce() -> Announce {
    Announce {
        info_hash: InfoHash::from_hex("2c6b6858d61da9543d4231a71db4b1c9264b0685").unwrap(),
        peer_id: PeerId::from_bytes(*b"-BW0100-0123456789ab"),
        port: 6881,
        totals: Totals { uploaded: 1, downloaded: 2, left: u64::MAX },
        event: Event::Started,
        num_want: 50,
        key: 0xAB,
        tracker_id: None,
    }
}

#[test]
fn answers_of_others_are_read_as_they_read_them() {
    let mut count = 0;
    for (body, want, source) in vectors("announce") {
        count += 1;
        let got = read_announced(&body);
        if want == "bad" {
            assert!(got.unwrap_err().why.contains("not bencoded"), "{source}");
            continue;
        }
        if let Some(reason) = want.strip_prefix("fail=") {
            assert_eq!(got.unwrap_err().why, reason, "{source}");
            continue;
        }
        let got = got.unwrap();
        for field in want.split(';') {
            let (name, value) = field.split_once('=').unwrap();
            let seconds = |duration: Option<Duration>| duration.unwrap().as_secs().to_string();
            let got = match name {
                "peers" => got.peers.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(","),
                "names" => got.names.len().to_string(),
                "interval" => seconds(got.interval),
                "min_interval" => seconds(got.min_interval),
                "complete" => got.seeders.unwrap().to_string(),
                "incomplete" => got.leechers.unwrap().to_string(),
                "downloaded" => got.downloaded.unwrap().to_string(),
                "external_ip" => got.external_ip.unwrap().to_string(),
                "warning" => got.warning.clone().unwrap(),
                _ => panic!("unknown field {name}"),
            };
            assert_eq!(got, value, "{name} in {source}");
        }
    }
    assert_eq!(count, 20);
}

#[test]
fn scrapes_of_others_are_read() {
    let mut count = 0;
    for (body, want, source) in vectors("scrape") {
        count += 1;
        let want: Vec<(InfoHash, Vec<u32>)> = want
            .split(';')
            .map(|entry| entry.split_once('=').unwrap())
            .map(|(hash, n)| {
                (InfoHash::from_hex(hash).unwrap(), n.split(',').map(|n| n.parse().unwrap()).collect())
            })
            .collect();
        let mut hashes: Vec<InfoHash> = want.iter().map(|&(hash, _)| hash).collect();
        hashes.push(InfoHash::from_bytes([9; 20]));
        let got = read_scraped(&body, &hashes).unwrap();
        let got: Vec<_> =
            got.iter().map(|e| (e.info_hash, vec![e.seeders, e.leechers, e.downloaded])).collect();
        assert_eq!(got, want, "{source}");
    }
    assert_eq!(count, 3);
    assert_eq!(read_scraped(b"d5:filesdee", &[InfoHash::from_bytes([1; 20])]), Ok(Vec::new()));
    assert_eq!(read_scraped(b"de", &[InfoHash::from_bytes([1; 20])]), Ok(Vec::new()));
}

#[test]
fn the_announce_url_has_every_parameter() {
    let url = TrackerUrl::parse("http://tracker/announce?passkey=%aBc").unwrap();
    assert_eq!(
        announce_url(&url, &announce()),
        "http://tracker/announce?passkey=%aBc&info_hash=%2CkhX%D6%1D%A9T%3DB1%A7%1D%B4%B1%C9%26K%06%85\
         &peer_id=-BW0100-0123456789ab&port=6881&uploaded=1&downloaded=2&left=18446744073709551615\
         &compact=1&no_peer_id=1&numwant=50&key=000000AB&event=started"
    );
    let regular = Announce { event: Event::None, tracker_id: Some(b"a&b\0".to_vec()), ..announce() };
    let text = announce_url(&url, &regular);
    assert!(text.ends_with("&key=000000AB&trackerid=a%26b%00"), "{text}");
}

#[test]
fn the_scrape_url_repeats_the_info_hash() {
    let url = TrackerUrl::parse("http://tracker/scrape?k").unwrap();
    let hashes = [InfoHash::from_bytes(*b"aaaaaaaaaaaaaaaaaaaa"), InfoHash::from_bytes([255; 20])];
    let want = format!("http://tracker/scrape?k&info_hash={}&info_hash={}", "a".repeat(20), "%FF".repeat(20));
    assert_eq!(scrape_url(&url, &hashes), want);
}

#[test]
fn hostile_bodies_are_one_clear_line() {
    let deep = b"l".repeat(100_000);
    for body in [
        &b""[..],
        b"<html>\r\n<b>404</b>",
        b"i1e",
        b"de de",
        b"d5:peers999999999999999999:e",
        b"d8:intervali1e",
        b"\xFF\xFE",
        &deep,
    ] {
        let why = read_announced(body).unwrap_err().why;
        assert!(why.len() < 400 && !why.contains(['\n', '\r']), "{why}");
        assert!(why.starts_with("the tracker's answer is"), "{why}");
    }
    assert!(read_announced(b"d5:peers0:e\r\n").is_ok(), "white space after the end is common");
}

#[test]
fn wrong_types_and_numbers_out_of_range_are_left_out() {
    let answer =
        read_announced(b"d8:completei-5e10:incompletei99999999999e8:intervali-1e5:peersi1e6:peers6dee");
    let want = Answer { seeders: Some(0), leechers: Some(u32::MAX), ..Answer::default() };
    assert_eq!(answer, Ok(want));
    let answer = read_announced(b"d11:external ip3:abc8:interval4:abcd15:warning messagei3e10:tracker idlee");
    assert_eq!(answer, Ok(Answer::default()));
}

#[test]
fn each_peer_counts_once_and_only_where_it_can_be() {
    let body =
        [&b"d5:peers24:"[..], &[1, 2, 3, 4, 0, 1].repeat(2), &[1, 2, 3, 4, 0, 0], &[0; 6], b"e"].concat();
    assert_eq!(read_announced(&body).unwrap().peers, ["1.2.3.4:1".parse().unwrap()]);
    let body = b"d5:peersld2:ip3:::14:porti5eed2:ip14:::ffff:1.2.3.44:porti6eed2:ip7:1.2.3.44:porti6eeee";
    let peers = ["[::1]:5".parse().unwrap(), "1.2.3.4:6".parse().unwrap()];
    assert_eq!(read_announced(body).unwrap().peers, peers);
}

#[test]
fn peers_by_host_name_are_kept_each_once_up_to_a_bound() {
    let entry = |host: &str, port: u32| format!("d2:ip{}:{host}4:porti{port}ee", host.len());
    let list = [
        entry("One.example", 1),
        entry("one.example", 1),
        entry("one.example", 2),
        entry("", 1),
        entry("a b", 1),
        entry("http://x", 1),
        entry("two.example", 0),
        entry("two.example", 65_536),
        entry(&"x".repeat(256), 1),
    ];
    let read = |list: String| read_announced(format!("d5:peersl{list}ee").as_bytes()).unwrap().names;
    assert_eq!(read(list.concat()), [("one.example".to_owned(), 1), ("one.example".to_owned(), 2)]);
    let many = (0..1000).map(|n| entry(&format!("n{n}.example"), 1)).collect::<String>();
    assert_eq!(read(many).len(), MAX_NAMES);
}

#[test]
fn a_failure_may_say_when_to_come_back() {
    for (field, want) in [
        (&b"8:retry ini5e"[..], Some(Retry::After(Duration::from_secs(300)))),
        (b"8:retry in1:5", Some(Retry::After(Duration::from_secs(300)))),
        (b"8:retry in5:never", Some(Retry::Never)),
        (b"8:retry ini-5e", None),
        (b"8:intervali3600e", Some(Retry::After(Duration::from_secs(3600)))),
        (b"8:intervali900e12:min intervali1800e", Some(Retry::After(Duration::from_secs(1800)))),
        (b"8:intervali900e8:retry ini5e", Some(Retry::After(Duration::from_secs(900)))),
        (b"8:intervali60e8:retry ini5e", Some(Retry::After(Duration::from_secs(300)))),
        (b"8:intervali900e8:retry in5:never", Some(Retry::Never)),
        (b"8:intervali-1e8:retry in1:x", None),
        (b"", None),
    ] {
        let body = [&b"d14:failure reason4:busy"[..], field, b"e"].concat();
        let failure = read_announced(&body).unwrap_err();
        assert_eq!((failure.why.as_str(), failure.retry), ("busy", want));
        assert_eq!(failure_of(&body), Some(failure));
    }
    assert_eq!(failure_of(b"<html>"), None);
    assert_eq!(failure_of(b"de"), None);
    assert_eq!(read_announced(b"d14:failure reason0:e").unwrap_err().why, "a failure without a reason");
}
