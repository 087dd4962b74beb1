use super::*;
use crate::random::Random;

const VECTORS: &str = include_str!("../../../testdata/vectors/magnets.tsv");
const HASH: &str = "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";

fn vectors(kind: &str) -> Vec<Vec<&'static str>> {
    let lines = VECTORS.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    lines.filter(|fields| fields[0] == kind).map(|fields| fields[1..].to_vec()).collect()
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap()).collect()
}

/// What a link says of a field, written as the vectors write it.
fn field(magnet: &Magnet, key: &str) -> String {
    let places = |places: &[(String, u16)]| {
        let place = |(host, port): &(String, u16)| match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        places.iter().map(place).collect::<Vec<_>>().join(",")
    };
    match key {
        "v1" => magnet.info_hash.to_string(),
        "name" => magnet.name.clone().unwrap_or_default(),
        "trackers" => magnet.trackers.join(","),
        "web_seeds" => magnet.web_seeds.join(","),
        "peers" => places(&magnet.peers),
        "dht_nodes" => places(&magnet.nodes),
        "select_only" => {
            let indices = magnet.select.iter().cloned().flatten();
            indices.map(|index| index.to_string()).collect::<Vec<_>>().join(",")
        }
        other => panic!("no field {other}"),
    }
}

#[test]
fn links_are_read_as_other_clients_read_them() {
    let vectors = vectors("parse");
    assert!(vectors.len() > 75);
    for v in vectors {
        let bytes = unhex(v[1]);
        let text = String::from_utf8_lossy(&bytes);
        let read = Magnet::parse(&text);
        match v[0] {
            "valid" => {
                let read = read.unwrap_or_else(|error| panic!("{text}: {error}"));
                for (key, value) in v[2].split(';').filter_map(|field| field.split_once('=')) {
                    assert_eq!(field(&read, key), value, "{key} of {text}");
                }
                assert_eq!(Magnet::parse(&read.to_string()).unwrap(), read, "{text}");
            }
            "v2" => assert_eq!(read.unwrap_err().kind(), ErrorKind::V2Only, "{text}"),
            _ => assert_eq!(read.unwrap_err().kind(), ErrorKind::Magnet, "{text}"),
        }
    }
}

#[test]
fn links_are_written_as_other_clients_write_them() {
    let vectors = vectors("print");
    assert!(vectors.len() > 7);
    for v in vectors {
        let magnet = Magnet::parse(v[1]).unwrap();
        for (key, value) in v[0].split(';').filter_map(|field| field.split_once('=')) {
            assert_eq!(field(&magnet, key), value, "{}", v[1]);
        }
        assert_eq!(magnet.to_string(), v[1]);
    }
}

#[test]
fn names_are_safe_and_plus_is_a_space_only_there() {
    let read = |rest: &str| Magnet::parse(&format!("magnet:?xt=urn:btih:{HASH}&{rest}")).unwrap();
    assert_eq!(read("dn=..%2F..%2Fetc+passwd").name.unwrap(), ".._.._etc passwd");
    assert_eq!(read("dn=a%2Bb%00%1B[2J").name.unwrap(), "a+b__[2J");
    assert_eq!(read("dn=&dn=second").name.unwrap(), "second");
    assert_eq!(read("amp;dn=copied").name.unwrap(), "copied");
    assert_eq!(read("tr=http://t/a+b%20c").trackers, ["http://t/a+b%20c"]);
    assert_eq!(read("tr=http://t/a+b").trackers, ["http://t/a+b"]);
    assert_eq!(read("tr=no-url&tr=http:///nohost&ws=magnet://x").trackers, [""; 0]);
}

#[test]
fn a_selection_is_within_the_torrent() {
    let read = |so: &str| Magnet::parse(&format!("magnet:?xt=urn:btih:{HASH}&so={so}")).unwrap();
    assert_eq!(read("1,3-5,4-6").selected(5), Some(vec![1, 3, 4]));
    assert_eq!(read("7").selected(5), Some(vec![]));
    assert_eq!(read("").selected(5), None);
    assert_eq!(read("0-999999,+1,2").select, [0..=999_999]);
    assert_eq!(read("0-1000000,4294967295,99999999999").selected(5), None);
}

#[test]
fn of_several_torrents_the_first_counts_and_nonsense_is_passed_over() {
    let second = "0".repeat(40);
    let both = format!("magnet:?xt=urn:btih:zz&xt.1=urn:btih:{HASH}&xt.2=urn:btih:{second}");
    assert_eq!(Magnet::parse(&both).unwrap().info_hash.to_string(), HASH);
    let v2 = "12".repeat(32);
    let half = format!("magnet:?xt=urn:btmh:1220{v2}&xt=urn:btih:zz");
    assert_eq!(Magnet::parse(&half).unwrap_err().kind(), ErrorKind::Magnet);
}

#[test]
fn a_link_is_bounded() {
    let link = |rest: &str| Magnet::parse(&format!("magnet:?xt=urn:btih:{HASH}{rest}"));
    assert!(link(&"&x=1".repeat(20_000)).is_err());
    let many: String = (0..2000).map(|n| format!("&tr=http://{n}&x.pe=h{n}:1")).collect();
    let many = link(&many).unwrap();
    assert_eq!((many.trackers.len(), many.peers.len()), (MAX_ADDRESSES, MAX_ADDRESSES));
}

#[test]
fn whatever_is_read_can_be_written_and_read() {
    let mut random = Random::seeded(7);
    let words = [
        "magnet:?",
        "xt=urn:btih:",
        HASH,
        "&",
        "=",
        "%",
        "%2",
        "tr",
        ".1",
        "=http://a",
        "x.pe=[::1]:2",
        "so=",
        "1-",
        "2,",
        "dn=",
        "é",
        "+",
        "\u{202e}",
        "ws=ftp://b",
        "dht=h:9",
        "MFRGCYTBMJQWEYLCMFRGCYTBMJQWEYLC",
    ];
    for _ in 0..20_000 {
        let mut text =
            if random.below(4) == 0 { String::new() } else { format!("magnet:?xt=urn:btih:{HASH}&") };
        for _ in 0..random.below(12) {
            text.push_str(words[random.below(words.len() as u64) as usize]);
        }
        if let Ok(read) = Magnet::parse(&text) {
            assert_eq!(Magnet::parse(&read.to_string()).unwrap(), read, "{text}");
        }
    }
}

#[test]
fn the_info_dictionary_makes_the_torrent() {
    let torrent = build::Torrent::new("a", build::Content::File { length: 1 }, 16384, vec![0; 20])
        .web_seeds(["http://w/"])
        .tiers([vec!["http://a".to_owned(), "udp://b".to_owned()]]);
    let metainfo = Metainfo::from_bytes(&torrent.encode().unwrap()).unwrap();
    let mut magnet = Magnet::parse(&metainfo.magnet_link()).unwrap();
    magnet.nodes.push(("n".to_owned(), 7));
    let made = magnet.with_info(metainfo.info_bytes()).unwrap();
    assert_eq!(made.info_hash(), metainfo.info_hash());
    assert_eq!(made.tiers(), [["http://a"], ["udp://b"]]);
    assert_eq!((made.web_seeds(), made.nodes()), (metainfo.web_seeds(), &[("n".to_owned(), 7)][..]));
    let again = Metainfo::from_bytes(&made.to_bytes()).unwrap();
    assert_eq!((again.info_bytes(), again.tiers()), (made.info_bytes(), made.tiers()));

    let mut wrong = metainfo.info_bytes().to_vec();
    wrong[5] ^= 1;
    assert_eq!(magnet.with_info(&wrong).unwrap_err().kind(), ErrorKind::Checksum);
    // A dictionary with something after it would be another torrent when it is read back.
    let longer = [metainfo.info_bytes(), b"4:nope0:"].concat();
    let magnet = Magnet::new(InfoHash::from_bytes(sha1(&longer)));
    assert_eq!(magnet.with_info(&longer).unwrap_err().kind(), ErrorKind::Checksum);
    let rubbish = Magnet::new(InfoHash::from_bytes(sha1(b"le")));
    assert_eq!(rubbish.with_info(b"le").unwrap_err().kind(), ErrorKind::Torrent);
}

/// Host names were written as they had been read, so that non-ASCII letters and percent signs were lost.
#[test]
fn a_host_of_any_letters_is_escaped_and_read_again() {
    for host in ["dbȿ.example", "a%b", "2001:db8::1", "fe80::1%eth0"] {
        let magnet =
            Magnet { peers: vec![(host.to_owned(), 1)], ..Magnet::new(InfoHash::from_bytes([0xcd; 20])) };
        let link = magnet.to_string();
        assert!(link.is_ascii(), "{link}");
        assert_eq!(Magnet::parse(&link).unwrap(), magnet);
    }
}
