//! Fetching from servers on loopback that redirect, set cookies and compress.

use std::io::Write;

use super::*;
use crate::engine::http::client::tests::server as serve;

const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

/// A server whose answer to each request depends on its path and its cookies. `{}` in the answer is the
/// server's own address.
fn server(answer: impl Fn(&str, &str) -> Vec<u8> + Send + 'static) -> String {
    serve(move |mut stream, head| {
        let path = head.split(' ').nth(1).unwrap_or_default();
        let cookie = head
            .lines()
            .find_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("cookie")));
        let _ = stream.write_all(&answer(path, cookie.map_or("", |(_, value)| value)));
    })
}

fn ok(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn to(location: &str, more: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\n{more}Content-Length: 0\r\n\r\n").into_bytes()
}

fn torrent(bytes: &[u8]) -> Fetched {
    Fetched::Torrent(bytes.to_vec())
}

fn magnet() -> Fetched {
    Fetched::Magnet(Magnet::parse(&format!("magnet:?xt=urn:btih:{HASH}&tr=udp://t:1")).unwrap())
}

#[test]
fn torrents_are_fetched_and_failures_have_their_kinds() {
    let url = server(|path, _| match path {
        "/a%20b.torrent" => ok("", b"de"),
        "/broken" => b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".to_vec(),
        _ => b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n".to_vec(),
    });
    assert_eq!(fetch_torrent(&format!("{url}/a b.torrent"), &Config::default()).unwrap(), torrent(b"de"));
    let kind = |url: &str| fetch_torrent(url, &Config::default()).unwrap_err().kind();
    assert_eq!(kind(&format!("{url}/other")), ErrorKind::NotFound);
    assert_eq!(kind(&format!("{url}/broken")), ErrorKind::Network);
    for bad in ["udp://a:1/x", "ftp://a/x", "file.torrent", "http://", "http://[/"] {
        assert_eq!(kind(bad), ErrorKind::Argument, "{bad}");
    }
    assert_eq!(kind("http://name.invalid/x"), ErrorKind::Dns);
    // A server that is not there. A port that was free a moment ago may be anyone's.
    assert_eq!(kind("http://127.0.99.1:1/"), ErrorKind::Network);
}

#[test]
fn a_magnet_link_is_followed_as_a_target_and_as_a_body() {
    let link = format!("magnet:?xt=urn:btih:{HASH}&tr=udp://t:1");
    let body = format!("\u{feff}\r\n MAGNET:?xt=urn:btih:{HASH}&tr=udp://t:1\n");
    let url = server(move |path, _| match path {
        "/target" => to(&link, ""),
        "/body" => ok("", body.as_bytes()),
        "/v2" => to(&format!("magnet:?xt=urn:btmh:1220{}", "ab".repeat(32)), ""),
        "/bad" => to("magnet:?dn=x", ""),
        "/far" => to("../target", ""),
        _ => ok("", b"magnet:?"),
    });
    for path in ["target", "body", "far"] {
        assert_eq!(fetch_torrent(&format!("{url}/{path}"), &Config::default()).unwrap(), magnet(), "{path}");
    }
    for path in ["bad", "else"] {
        let error = fetch_torrent(&format!("{url}/{path}"), &Config::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Magnet);
    }
    assert_eq!(
        fetch_torrent(&format!("{url}/v2"), &Config::default()).unwrap_err().kind(),
        ErrorKind::V2Only
    );
}

#[test]
fn a_cookie_set_on_the_way_is_kept_for_its_host() {
    let other = server(|_, cookies| ok("", cookies.as_bytes())).replace("127.0.0.1", "localhost");
    let url = server(move |path, cookies| match (path, cookies) {
        ("/get", "") => to("/login", "Set-Cookie: step=1; Path=/\r\n"),
        ("/login", "step=1") => to("get?2", "Set-Cookie: session=x y; HttpOnly\r\nSet-Cookie: a=b\r\n"),
        ("/get?2", "step=1; session=x y; a=b") => ok("", b"de"),
        ("/away", "") => to(&other, "Set-Cookie: secret=1\r\n"),
        _ => b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n".to_vec(),
    });
    assert_eq!(fetch_torrent(&format!("{url}/get"), &Config::default()).unwrap(), torrent(b"de"));
    assert_eq!(fetch_torrent(&format!("{url}/away"), &Config::default()).unwrap(), torrent(b""));
    // And for that fetch alone.
    assert_eq!(
        fetch_torrent(&format!("{url}/get?2"), &Config::default()).unwrap_err().kind(),
        ErrorKind::Network
    );
}

#[test]
fn a_redirect_to_what_is_not_on_the_web_is_told_and_never_followed() {
    let url = server(|path, _| match path {
        "/file" => to("file:///etc/passwd", ""),
        "/ftp" => to("ftp://a.example/x.torrent", ""),
        _ => to(path, ""),
    });
    for (path, said) in
        [("file", "file:///etc/passwd"), ("ftp", "ftp://a.example"), ("loop", "too many redirects")]
    {
        let error = fetch_torrent(&format!("{url}/{path}"), &Config::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network);
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn gzip_is_known_by_all_its_names_and_bounded() {
    // `printf %s d8:announce1:xe | gzip -n`
    const PACKED: &[u8] = &[
        31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 75, 177, 176, 74, 204, 203, 203, 47, 205, 75, 78, 53, 180, 170, 72,
        5, 0, 45, 161, 71, 28, 15, 0, 0, 0,
    ];
    for name in ["gzip", "GZIP", "x-gzip", "X-Gzip"] {
        let url = server(move |_, _| ok(&format!("Content-Encoding: {name}\r\n"), PACKED));
        assert_eq!(fetch_torrent(&url, &Config::default()).unwrap(), torrent(b"d8:announce1:xe"), "{name}");
    }
    let url = server(|_, _| ok("Content-Encoding: x-gzip\r\n", b"no gzip at all"));
    assert_eq!(fetch_torrent(&url, &Config::default()).unwrap_err().kind(), ErrorKind::Network);
    assert!(super::super::encoding::gunzip(PACKED.to_vec(), 15).is_ok());
    assert!(super::super::encoding::gunzip(PACKED.to_vec(), 14).is_err());
}

/// The unpacked size of a `.torrent` is bounded by the memory limit, whatever length the server gives.
#[test]
fn a_torrent_is_no_longer_than_memory_allows() {
    let longest = Budget::of(Budget::LEAST).metadata as usize;
    let url = server(move |path, _| match path {
        "/fits" => ok("", &vec![b'd'; longest]),
        "/long" => ok("", &vec![b'd'; longest + 1]),
        "/unsaid" => [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &vec![b'd'; longest + 1]].concat(),
        _ => {
            let name = path.trim_start_matches('/');
            ok(&format!("Content-Encoding: {name}\r\n"), &packed(longest + 1))
        }
    });
    let fetch =
        |path: &str, memory| fetch_torrent(&format!("{url}/{path}"), &Config::default().max_memory(memory));
    assert_eq!(fetch("fits", Budget::LEAST).unwrap(), torrent(&vec![b'd'; longest]));
    for path in ["long", "unsaid", "gzip", "x-gzip"] {
        let error = fetch(path, Budget::LEAST).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Torrent, "{path}: {error}");
        let said = error.to_string();
        assert!(said.contains(path) && said.contains("all that --max-memory 4096 KiB leaves"), "{said}");
        assert!(matches!(fetch(path, 0).unwrap(), Fetched::Torrent(bytes) if bytes.len() == longest + 1));
    }
}

/// `length` bytes `d`, as gzip has them: blocks that repeat the byte before them, 258 times a symbol.
fn packed(length: usize) -> Vec<u8> {
    let mut bits = Bits::default();
    // One block of fixed codes (RFC 1951, 3.2.6): a literal, then matches of distance 1.
    bits.put(1, 1);
    bits.put(1, 2);
    bits.code(0x30 + u16::from(b'd'), 8);
    let (runs, rest) = ((length - 1) / 258, (length - 1) % 258);
    for _ in 0..runs {
        bits.code(0b1100_0101, 8);
        bits.code(0, 5);
    }
    (0..rest).for_each(|_| bits.code(0x30 + u16::from(b'd'), 8));
    bits.code(0, 7);
    let mut crc = u32::MAX;
    for _ in 0..length {
        crc ^= u32::from(b'd');
        (0..8).for_each(|_| crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 });
    }
    let head = [31, 139, 8, 0, 0, 0, 0, 0, 2, 3];
    [&head[..], &bits.bytes, &(!crc).to_le_bytes(), &(length as u32).to_le_bytes()].concat()
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    /// Adds bits, the lowest first.
    fn put(&mut self, value: u16, count: u32) {
        for bit in 0..count {
            if self.used % 8 == 0 {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |= ((value >> bit & 1) as u8) << (self.used % 8);
            self.used += 1;
        }
    }

    /// Adds a code, the highest bit first.
    fn code(&mut self, value: u16, count: u32) {
        self.put(value.reverse_bits() >> (16 - count), count);
    }
}
