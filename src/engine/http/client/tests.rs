//! The HTTP client against servers on loopback that do everything wrong.

use std::io::{Read, Write};
#[cfg(feature = "sys")]
use std::net::IpAddr;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::*;
#[cfg(feature = "sys")]
use crate::config::Config;
use crate::error::ErrorKind;

/// A server that does not exist. A port that was free a moment ago may be in use by another process.
const NO_SERVER: &str = "http://127.0.99.1:1/";

/// A server that reads a request's head and then does as told, for each connection.
pub(in crate::engine::http) fn server(act: impl Fn(TcpStream, String) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            act(stream, String::from_utf8(head).unwrap());
        }
    });
    url
}

/// A server that answers everything with these bytes and closes.
fn saying(answer: &'static [u8]) -> String {
    server(move |mut stream, _| drop(stream.write_all(answer)))
}

fn bounds() -> Bounds {
    Bounds { deadline: Duration::from_secs(20), silence: None, body: 1000, to: None }
}

fn brief() -> Bounds {
    Bounds { deadline: Duration::from_millis(400), ..bounds() }
}

/// As [`super::get`], from whichever address the system takes.
fn get(url: &str, bounds: Bounds) -> Result<Response> {
    super::get(url, &Arc::default(), bounds)
}

/// And from this one.
#[cfg(feature = "sys")]
fn get_from(bind: IpAddr, url: &str) -> Result<Response> {
    super::get(url, &Egress::of(&Config::default().bind(bind)), bounds())
}

#[test]
fn the_url_goes_out_as_it_is() {
    let url = server(|mut stream, head| {
        let body = head.split(' ').nth(1).unwrap().to_owned();
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    });
    let all: String = (0..=255).map(|byte| format!("%{byte:02x}%{byte:02X}")).collect();
    for path in ["/", "/announce?a=%zz&b=+&c=~._-", &format!("/a?info_hash={all}"), "/x%2Fy/../z?q=a?b/c"] {
        let response = get(&format!("{url}{path}"), Bounds { body: 10_000, ..bounds() }).unwrap();
        assert_eq!(String::from_utf8(response.body).unwrap(), path);
    }
    // No path: the query must survive all the same.
    let response = get(&format!("{url}?a=b"), bounds()).unwrap();
    assert_eq!(response.body, b"/?a=b");
}

#[test]
fn bodies_are_capped_after_decompression_too() {
    let endless = server(|mut stream, _| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let claims = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\nxxxx");
    // 100,000 zeros in 121 bytes.
    let bomb = saying(include_bytes!("../../../../testdata/vectors/tracker_bomb.http"));
    for url in [&endless, &bomb] {
        let error = get(url, bounds()).unwrap_err();
        assert!(error.to_string().contains("larger than 1000 bytes"), "{error}");
    }
    let error = get(&claims, bounds()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    let whole = get(&bomb, Bounds { body: 100_000, ..bounds() }).unwrap();
    assert_eq!(whole.body, vec![b'0'; 100_000]);
}

#[test]
fn a_slow_server_is_cut_off_by_the_deadline_for_the_whole() {
    let drip = |before: &'static [u8], again: &'static [u8]| {
        server(move |mut stream, _| {
            let _ = stream.write_all(before);
            while stream.write_all(again).is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        })
    };
    for url in [
        drip(b"", b"H"),
        drip(b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        drip(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", b"x"),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ] {
        let error = get(&url, brief()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Network), "{error}");
    }
    let silent = server(|stream, _| std::mem::forget(stream));
    assert_eq!(get(&silent, brief()).unwrap_err().kind(), ErrorKind::Timeout);
    let quiet = Bounds { silence: Some(Duration::from_millis(100)), ..bounds() };
    let error = get(&silent, quiet).unwrap_err();
    assert_eq!(error.to_string(), "nothing was sent for too long");
}

#[test]
fn what_is_not_http_or_breaks_off_is_one_line() {
    let long = server(|mut stream, _| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(b"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n").is_ok() {}
    });
    for url in [
        saying(b""),
        saying(b"\x00\x01\x02rubbish\r\n\r\n"),
        saying(b"HTTP/1.1 999999 X\r\n\r\n"),
        saying(b"HTTP/1.1 200 OK\r\nContent-Le"),
        saying(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ntoo short"),
        saying(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx"),
        saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n"),
        saying(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nxxxxx"),
        long,
    ] {
        let error = get(&url, bounds()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Network), "{error}: {:?}", error.kind());
        assert!(!error.to_string().contains('\n'), "{error}");
    }
    let extra = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more");
    assert_eq!(get(&extra, bounds()).unwrap().body, b"ok");
}

#[test]
fn redirects_are_followed_but_not_for_ever() {
    let url = server(|mut stream, head| {
        let target = head.split(' ').nth(1).unwrap();
        let _ = match target.strip_prefix("/hop/").and_then(|n| n.parse::<u32>().ok()) {
            Some(0) => write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhome"),
            Some(n) => {
                let to = n - 1;
                write!(stream, "HTTP/1.1 302 Found\r\nLocation: /hop/{to}\r\nContent-Length: 0\r\n\r\n")
            }
            None => write!(stream, "HTTP/1.1 301 Moved\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n"),
        };
    });
    assert_eq!(get(&format!("{url}/hop/5"), bounds()).unwrap().body, b"home");
    for loops in ["/hop/6", "/loop"] {
        let error = get(&format!("{url}{loops}"), bounds()).unwrap_err();
        assert_eq!(error.to_string(), "too many redirects");
    }
    let nowhere = saying(b"HTTP/1.1 302 Found\r\nLocation: gopher://x/\r\nContent-Length: 0\r\n\r\n");
    assert!(get(&nowhere, bounds()).is_err());
}

#[test]
fn a_status_is_no_error_and_its_body_is_read() {
    let url = saying(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nde");
    let response = get(&url, bounds()).unwrap();
    assert_eq!((response.status, response.body.as_slice()), (403, &b"de"[..]));
    assert_eq!(describe(403), "HTTP status 403 Forbidden");
    assert_eq!(describe(799), "HTTP status 799");
}

#[cfg(not(feature = "https"))]
#[test]
fn without_https_the_error_says_so() {
    let url = saying(b"").replace("http:", "https:");
    let error = get(&url, bounds()).unwrap_err();
    assert_eq!(error.to_string(), "https is not part of this build");
}

#[cfg(feature = "https")]
#[test]
fn a_server_that_does_not_speak_tls_is_one_line() {
    let url = saying(b"HTTP/1.1 200 OK\r\n\r\n").replace("http:", "https:");
    let error = get(&url, brief()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Network | ErrorKind::Timeout), "{error}");
}

#[cfg(feature = "sys")]
#[test]
fn a_chosen_address_is_what_servers_see_after_redirects_too() {
    let url = server(|mut stream, head| {
        let body = stream.peer_addr().unwrap().ip().to_string();
        let _ = match head.starts_with("GET /elsewhere ") {
            true => write!(stream, "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"),
            false => write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
        };
    });
    for last in 11..31 {
        for path in ["/", "/elsewhere"] {
            let seen = get_from([127, 0, 0, last].into(), &format!("{url}{path}")).unwrap().body;
            assert_eq!(String::from_utf8(seen).unwrap(), format!("127.0.0.{last}"));
        }
    }
    let seen = get_from([0; 4].into(), &url).unwrap().body;
    assert_eq!(seen, b"127.0.0.1", "any address will do");
    for elsewhere in ["192.0.2.1", "::1"] {
        let error = get_from(elsewhere.parse().unwrap(), &url).map(|response| response.body).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Network | ErrorKind::Dns), "{error}");
    }
    assert_eq!(get(NO_SERVER, bounds()).unwrap_err().to_string(), "Connection refused (os error 111)");
}
