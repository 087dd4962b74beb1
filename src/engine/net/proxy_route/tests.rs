//! Against proxies on loopback that do as told.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use super::*;
use crate::config::Config;
use crate::engine::net::egress::{Egress, Purpose};

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
    route_of(&egress).tell_to(move |event| _ = sender.send(event.clone()));
    (egress, told)
}

fn route_of(egress: &Egress) -> &Arc<ProxyRoute> {
    egress.proxy(Purpose::Peers).unwrap()
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
    let mut stream = route_of(&egress).connect(("a.example", 80), LONG).unwrap();
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
    assert!(told.try_recv().is_err() && route_of(&egress).troubles().count() == 1);
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
    for purpose in [Purpose::Peers, Purpose::Trackers] {
        let error = egress.udp(purpose, [127, 0, 0, 1].into(), 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
    assert_eq!(egress.listen(0).unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(egress.look_up("localhost", 1, LONG).is_err());
    assert!(egress.look_up("127.0.0.1", 1, LONG).is_ok());
    let stands = egress.look_up_peer("localhost", 1, LONG).unwrap();
    assert!(stands.len() == 1 && !stands[0].ip().is_loopback());
    assert_eq!(egress.name_of(stands[0].ip()), "localhost");
}

#[test]
fn each_purpose_has_its_own_proxy_and_the_same_one_is_one_way() {
    let proxy = |url: &str| Proxy::parse(url).unwrap();
    let (one, two) = (proxy("socks5://127.0.0.1:1"), proxy("http://127.0.0.1:1"));
    let same = Egress::of(&Config::default().proxy(one.clone()));
    assert_eq!(same.proxies().len(), 1);
    let both = Egress::of(&Config::default().proxy(one.clone()).proxy_trackers(two.clone()));
    assert_eq!(both.proxies().iter().map(|route| route.proxy()).collect::<Vec<_>>(), [&one, &two]);
    let trackers = Egress::of(&Config::default().proxy(one).proxy_peers(None));
    assert!(trackers.listen(0).is_ok() && trackers.udp(Purpose::Peers, [127, 0, 0, 1].into(), 0).is_ok());
    assert!(trackers.udp(Purpose::Trackers, [127, 0, 0, 1].into(), 0).is_err());
    assert!(trackers.look_up_peer("127.0.0.1", 1, LONG).unwrap()[0].ip().is_loopback());
    let peers = Egress::of(&Config::default().proxy_peers(two));
    assert!(peers.listen(0).is_err() && peers.udp(Purpose::Trackers, [127, 0, 0, 1].into(), 0).is_ok());
    assert!(peers.proxy_of_request(false, "a.example").is_none());
}

#[test]
fn a_proxy_of_the_environment_carries_requests_of_its_scheme_but_to_the_hosts_excepted() {
    let variables = |name: &str| match name {
        "http_proxy" => Some("h:1".to_owned()),
        "no_proxy" => Some("lan".to_owned()),
        _ => None,
    };
    let web = crate::web_proxies::WebProxies::from_variables(variables).unwrap();
    let egress = Egress::of(&Config::default().web_proxies(web.clone()));
    assert!(egress.proxy_of_request(false, "a.example").is_some());
    assert!(egress.proxy_of_request(true, "a.example").is_none());
    assert!(egress.proxy_of_request(false, "a.lan").is_none());
    assert!(egress.listen(0).is_ok() && egress.udp(Purpose::Trackers, [127, 0, 0, 1].into(), 0).is_ok());
    let chosen = Proxy::parse("socks5://127.0.0.1:1").unwrap();
    let egress = Egress::of(&Config::default().web_proxies(web).proxy_trackers(chosen.clone()));
    assert_eq!(egress.proxy_of_request(false, "a.lan").unwrap().proxy(), &chosen);
}

#[test]
fn a_relay_that_is_not_where_it_says_is_at_the_proxy() {
    let at = |proxy: &str, said: &str| relay_address(proxy.parse().unwrap(), said.parse().ok()).to_string();
    for said in
        ["none", "0.0.0.0", "::", "127.0.0.1", "::1", "10.0.0.1", "224.0.0.1", "255.255.255.255", "fe80::1"]
    {
        assert_eq!(at("1.2.3.4", said), "1.2.3.4", "{said}");
    }
    assert_eq!(at("1.2.3.4", "5.6.7.8"), "5.6.7.8", "it may be another host (RFC 1928, section 6)");
    assert_eq!(at("10.0.0.1", "10.0.0.2"), "10.0.0.2");
    assert_eq!(at("10.0.0.1", "127.0.0.1"), "10.0.0.1", "another host here");
    assert_eq!(at("127.0.0.1", "127.0.0.2"), "127.0.0.2");
    assert_eq!(at("2001:db8::1", "::ffff:1.2.3.4"), "1.2.3.4");
}

/// A proxy with a relay on loopback.
#[test]
fn a_relay_is_asked_for_and_that_there_is_none_is_told_once() {
    let refused = |stream: &mut TcpStream| {
        stream.read_exact(&mut [0; 4]).unwrap();
        stream.write_all(b"\x05\0").unwrap();
        stream.read_exact(&mut [0; 10]).unwrap();
        stream.write_all(b"\x05\x07\0\x01\0\0\0\0\0\0").unwrap();
    };
    let (egress, told) = route("socks5", refused);
    let relay = route_of(&egress).relay().unwrap();
    for _ in 0..2 {
        let error = relay.wait_until_up(Instant::now() + LONG).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
    let EventKind::Note { what } = told.recv().unwrap() else { panic!("something else was told") };
    assert!(what.contains("the proxy carries no UDP"), "{what}");
    assert!(told.try_recv().is_err() && route_of(&egress).troubles().count() == 1);
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port().to_be_bytes();
    let (egress, _told) = route("socks5", move |stream| {
        stream.read_exact(&mut [0; 4]).unwrap();
        stream.write_all(b"\x05\0").unwrap();
        stream.read_exact(&mut [0; 10]).unwrap();
        stream.write_all(&[b"\x05\0\0\x01\0\0\0\0", &port[..]].concat()).unwrap();
        let _ = stream.read(&mut [0]);
    });
    let relay = route_of(&egress).relay().unwrap();
    relay.send("a.example", 80, b"hello");
    let mut buffer = [0; 100];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"\0\0\0\x03\x09a.example\0\x50hello");
    let (sender, heard) = channel();
    let _hearing = relay.hear(move |bytes, _| _ = sender.send(bytes.to_vec()));
    // Others may say what they like.
    let stranger = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.send_to(b"\0\0\0\x01\x01\x02\x03\x04\0\x50forged", from).unwrap();
    socket.send_to(b"\0\0\0\x01\x01\x02\x03\x04\0\x50answer", from).unwrap();
    assert_eq!(heard.recv().unwrap(), b"answer");
    assert!(heard.try_recv().is_err());
}
