//! Against proxies on loopback that do as told.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use super::*;
use crate::config::Config;
use crate::engine::net::egress::Egress;

const LONG: Duration = Duration::from_secs(20);

/// A proxy that does this with each connection, and the way through it with what is told of it.
fn route(scheme: &str, act: impl Fn(&mut TcpStream) + Send + 'static) -> (Arc<Egress>, Receiver<EventKind>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("{scheme}://me:pw@{}", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().flatten().for_each(|mut stream| act(&mut stream)));
    through(&url)
}

fn through(url: &str) -> (Arc<Egress>, Receiver<EventKind>) {
    let egress = Egress::of(&Config::default().proxy(Proxy::parse(url).unwrap()));
    let (sender, told) = channel();
    egress.proxy().unwrap().tell_to(move |event| _ = sender.send(event.clone()));
    (egress, told)
}

#[test]
fn a_host_is_reached_by_its_name_and_what_follows_the_answer_is_its_own() {
    let (egress, told) = route("socks5", |stream| {
        let mut asked = [0; 30];
        stream.read_exact(&mut asked[..4]).unwrap();
        stream.write_all(b"\x05\0").unwrap();
        stream.read_exact(&mut asked[..16]).unwrap();
        assert_eq!(&asked[..16], b"\x05\x01\0\x03\x09a.example\0\x50");
        stream.write_all(b"\x05\0\0\x01\x01\x02\x03\x04\0\x50hello").unwrap();
    });
    let mut stream = egress.connect_by_name("a.example", 80, LONG).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert_eq!((said.as_str(), told.try_recv().is_err()), ("hello", true));
}

#[test]
fn a_proxy_that_drips_or_says_nothing_is_left_in_time() {
    for scheme in ["socks5", "http"] {
        let begins = [&b""[..], b"HTTP/1.1 200 OK\r\nX: ", b"\x05\0\x05\0\0\x03\xff"];
        for (begin, goes_on) in begins.into_iter().zip([false, true, false]) {
            let (egress, _told) = route(scheme, move |stream| {
                let _ = stream.write_all(begin);
                while goes_on && stream.write_all(b"x").is_ok() {
                    std::thread::yield_now();
                }
                let _ = stream.read_to_end(&mut Vec::new());
            });
            let error = egress.connect("192.0.2.1:80".parse().unwrap(), Duration::from_millis(100));
            assert!(error.is_err(), "{scheme}");
        }
    }
}

#[test]
fn that_a_proxy_is_gone_is_told_once_and_nothing_goes_another_way() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let direct = listener.local_addr().unwrap();
    // A port that was free a moment ago.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (egress, told) = through(&format!("socks5://{gone}"));
    for _ in 0..3 {
        assert_eq!(egress.connect(direct, LONG).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(matches!(told.recv().unwrap(), EventKind::ProxyLost { .. }));
    assert!(told.try_recv().is_err() && egress.proxy().unwrap().trouble().is_some());
    let back = TcpListener::bind(gone).unwrap();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = back.accept().unwrap();
        stream.read_exact(&mut [0; 3]).unwrap();
        stream.write_all(b"\x05\0\x05\x05\0\x01").unwrap();
    });
    assert!(egress.connect(direct, LONG).is_err(), "the host refuses");
    serving.join().unwrap();
    assert!(matches!(told.recv().unwrap(), EventKind::ProxyFound { .. }));
}

#[test]
fn what_a_proxy_cannot_carry_has_no_socket_and_no_name_is_looked_up() {
    let (egress, _told) = through("http://127.0.0.1:1");
    assert_eq!(egress.udp([127, 0, 0, 1].into(), 0).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(egress.listen(0).unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(egress.look_up("localhost", 1, LONG).is_err());
    assert!(egress.look_up("127.0.0.1", 1, LONG).is_ok());
}
