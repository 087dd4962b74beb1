//! Fetching from servers on loopback that redirect, set cookies and compress.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;

const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

/// A server that answers each request by what it asked for, its path and its cookies. `{}` in the answer is the
/// server's own address.
fn server(answer: impl Fn(&str, &str) -> Vec<u8> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            let path = head.split(' ').nth(1).unwrap_or_default();
            let cookie = head.lines().find_map(|line| {
                line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("cookie"))
            });
            let _ = stream.write_all(&answer(path, cookie.map_or("", |(_, value)| value)));
        }
    });
    url
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
    assert_eq!(fetch_torrent(&format!("{url}/a b.torrent"), None).unwrap(), torrent(b"de"));
    let kind = |url: &str| fetch_torrent(url, None).unwrap_err().kind();
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
        assert_eq!(fetch_torrent(&format!("{url}/{path}"), None).unwrap(), magnet(), "{path}");
    }
    for path in ["bad", "else"] {
        let error = fetch_torrent(&format!("{url}/{path}"), None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Magnet);
    }
    assert_eq!(fetch_torrent(&format!("{url}/v2"), None).unwrap_err().kind(), ErrorKind::V2Only);
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
    assert_eq!(fetch_torrent(&format!("{url}/get"), None).unwrap(), torrent(b"de"));
    assert_eq!(fetch_torrent(&format!("{url}/away"), None).unwrap(), torrent(b""));
    // And for that fetch alone.
    assert_eq!(fetch_torrent(&format!("{url}/get?2"), None).unwrap_err().kind(), ErrorKind::Network);
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
        let error = fetch_torrent(&format!("{url}/{path}"), None).unwrap_err();
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
        assert_eq!(fetch_torrent(&url, None).unwrap(), torrent(b"d8:announce1:xe"), "{name}");
    }
    let url = server(|_, _| ok("Content-Encoding: x-gzip\r\n", b"no gzip at all"));
    assert_eq!(fetch_torrent(&url, None).unwrap_err().kind(), ErrorKind::Network);
    assert!(super::super::encoding::gunzip(PACKED.to_vec(), 15).is_ok());
    assert!(super::super::encoding::gunzip(PACKED.to_vec(), 14).is_err());
}
