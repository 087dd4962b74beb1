use super::*;

const VECTORS: &str = include_str!("../../../testdata/vectors/tracker.tsv");

/// The fields of every vector of a kind.
fn vectors(kind: &str) -> Vec<Vec<&'static str>> {
    let lines = VECTORS.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let found: Vec<_> = lines.filter(|fields| fields[0] == kind).map(|fields| fields[1..].to_vec()).collect();
    assert!(!found.is_empty(), "no vectors of {kind}");
    found
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_scrape_url_follows_bep_48() {
    for v in vectors("scrape") {
        let scrape = TrackerUrl::parse(v[0]).unwrap().scrape();
        assert_eq!(scrape.as_ref().map_or("-", TrackerUrl::as_str), v[1], "{}", v[0]);
    }
    let already = TrackerUrl::parse("http://a/x/scrape?k=1").unwrap();
    assert_eq!(already.scrape(), Some(already));
    assert_eq!(TrackerUrl::parse("http://announce.example.org").unwrap().scrape(), None);
}

#[test]
fn escaping_agrees_with_others() {
    for v in vectors("escape") {
        let mut out = String::new();
        escape(v[0].as_bytes(), &mut out);
        assert_eq!(out, v[1]);
    }
    for v in vectors("fix") {
        let text = v[0].replace("\\n", "\n");
        assert!(TrackerUrl::parse(&text).unwrap().as_str().eq_ignore_ascii_case(v[1]), "{}", v[0]);
    }
    for v in vectors("unescape") {
        assert_eq!(hex(&unescape(v[0].as_bytes())), v[1], "{}", v[0]);
    }
}

#[test]
fn binary_values_come_back_as_they_were() {
    let all: Vec<u8> = (0..=255).collect();
    let mut text = String::new();
    escape(&all, &mut text);
    assert!(text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._~%".contains(&c)));
    assert_eq!(unescape(text.as_bytes()), all);
    for v in vectors("info-hash") {
        let hash = crate::id::InfoHash::from_hex(v[0]).unwrap();
        let mut text = String::new();
        escape(hash.as_bytes(), &mut text);
        assert_eq!(unescape(text.as_bytes()), *hash.as_bytes());
    }
}

#[test]
fn only_http_https_and_udp_with_a_port_are_trackers() {
    for v in vectors("valid") {
        assert_eq!(TrackerUrl::parse(v[0]).unwrap().as_str(), v[0]);
    }
    for v in vectors("invalid") {
        assert_eq!(TrackerUrl::parse(v[0]).unwrap_err().kind(), ErrorKind::Argument, "{}", v[0]);
    }
    for v in vectors("no-port") {
        assert!(TrackerUrl::parse(v[0]).unwrap_err().to_string().contains("port"), "{}", v[0]);
    }
    let long = format!("http://a/{}", "x".repeat(MAX_URL));
    for bad in [
        "",
        "http://",
        "http:///a",
        "http://a:0/",
        "http://a:65536/",
        "http://a:+1/",
        "http://[::1/",
        "http://[::1]x/",
        "udp://a b:1/",
        "wss://tracker/",
        "http://a:b:c/",
        "http://::1/",
        &long,
    ] {
        assert!(TrackerUrl::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn hosts_and_ports_are_found() {
    for (text, host, port, path) in [
        ("HTTP://Example.org", "Example.org", 80, ""),
        ("https://user:secret@example.org/x?y#z", "example.org", 443, "/x?y"),
        ("udp://[2001:db8::1]:6969/announce", "2001:db8::1", 6969, "/announce"),
        (" http://1.2.3.4:8080?a=b ", "1.2.3.4", 8080, "?a=b"),
        ("http://example.org:/a", "example.org", 80, "/a"),
    ] {
        let url = TrackerUrl::parse(text).unwrap();
        assert_eq!((url.host(), url.port(), url.path_and_query()), (host, port, path), "{text}");
    }
    for v in vectors("same") {
        assert!(TrackerUrl::parse(v[0]).unwrap().is_same(&TrackerUrl::parse(v[1]).unwrap()));
    }
    let a = TrackerUrl::parse("http://a/announce").unwrap();
    assert!(!a.is_same(&TrackerUrl::parse("http://a/announce?k").unwrap()));
    assert!(!a.is_same(&TrackerUrl::parse("https://a/announce").unwrap()));
}

#[test]
fn a_query_that_is_there_stays_in_front() {
    for (text, want) in [
        ("http://a/announce", "http://a/announce?x=1"),
        ("http://a/announce?", "http://a/announce?x=1"),
        ("http://a/announce?key=%aB+c", "http://a/announce?key=%aB+c&x=1"),
        ("http://a/announce?key=1&", "http://a/announce?key=1&x=1"),
        ("http://a", "http://a?x=1"),
    ] {
        assert_eq!(TrackerUrl::parse(text).unwrap().with_query("x=1"), want);
    }
}
