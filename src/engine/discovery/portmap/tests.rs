//! The thread against gateways on loopback, good ones and hostile ones, over real sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};

use crossbeam_channel::{Receiver, unbounded};

use super::*;
use crate::config::Config;
use crate::event::PortMapMethod;
use crate::portmap::Network;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Far above what anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A gateway's sockets: PCP and NAT-PMP, the search, and HTTP.
struct Gateway {
    control: UdpSocket,
    search: UdpSocket,
    http: TcpListener,
}

impl Gateway {
    fn new() -> Gateway {
        let udp = || UdpSocket::bind((HERE, 0)).unwrap();
        Gateway { control: udp(), search: udp(), http: TcpListener::bind((HERE, 0)).unwrap() }
    }

    fn found(&self) -> Found {
        let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
        let network = Network { local: HERE, gateway: HERE };
        Found { network, scope: 0, port: port(&self.control), search_port: port(&self.search) }
    }

    fn web(&self) -> SocketAddr {
        self.http.local_addr().unwrap()
    }
}

/// Starts to map 6881, and tells every state that it comes to.
fn start(found: Found) -> (PortMap, Receiver<PortMapStatus>) {
    let egress = Egress::of(&Config::default().bind(Some(HERE)));
    let (sender, states) = unbounded();
    let find: Find = Box::new(move |_| Ok(found));
    let changed = move |status: &PortMapStatus| _ = sender.send(status.clone());
    let ports = (6881, Some(6881));
    let mapping = PortMap::start_with(egress, ports, Clock::start(), Random::seeded(1), find, changed);
    (mapping.unwrap(), states)
}

/// Answers PCP as asked, and every request by what `change` makes of the answer. The lifetimes that were asked
/// for are sent on.
fn speak_pcp(control: UdpSocket, change: impl Fn(&mut Vec<u8>) + Send + 'static) -> Receiver<(u8, u32)> {
    let (sender, asked) = unbounded();
    std::thread::spawn(move || {
        let mut packet = [0; 64];
        while let Ok((60, from)) = control.recv_from(&mut packet) {
            let lifetime = u32::from_be_bytes(packet[4..8].try_into().unwrap());
            if sender.send((packet[36], lifetime)).is_err() {
                return;
            }
            let mut answer = packet[..60].to_vec();
            answer[1] |= 0x80;
            answer[8..24].fill(0);
            answer[11] = 9;
            answer[44..].copy_from_slice(&Ipv4Addr::new(198, 17, 0, 1).to_ipv6_mapped().octets());
            change(&mut answer);
            control.send_to(&answer, from).unwrap();
        }
    });
    asked
}

/// Answers every search with these locations.
fn answer_searches(search: UdpSocket, locations: Vec<String>) {
    std::thread::spawn(move || {
        let mut packet = [0; 1024];
        while let Ok((_, from)) = search.recv_from(&mut packet) {
            for location in &locations {
                let answer = format!("HTTP/1.1 200 OK\r\nLOCATION: {location}\r\n\r\n");
                if search.send_to(answer.as_bytes(), from).is_err() {
                    return;
                }
            }
        }
    });
}

/// Serves each connection with `serve`, which is given the head of the request and its body.
fn serve_http(http: TcpListener, serve: impl Fn(&str, &str, TcpStream) + Send + 'static) {
    std::thread::spawn(move || {
        for stream in http.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                    break;
                }
                if let Some(value) = line.strip_prefix("Content-Length: ") {
                    length = value.trim().parse().unwrap();
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            let _ = reader.read_exact(&mut body);
            serve(&head, std::str::from_utf8(&body).unwrap(), reader.into_inner());
        }
    });
}

fn reply(mut stream: TcpStream, status: u16, body: &str) {
    let length = body.len();
    let _ = write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}");
}

const DESCRIPTION: &str = "<root><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1\
                           </serviceType><controlURL>/ctl</controlURL></service></root>";

#[test]
fn a_gateway_with_pcp_maps_and_is_told_the_end() {
    let gateway = Gateway::new();
    let found = gateway.found();
    let asked = speak_pcp(gateway.control, |_| {});
    let (mapping, states) = start(found);
    let mapped = states.recv_timeout(PATIENCE).unwrap().mapping.unwrap();
    assert_eq!((mapped.method, mapped.tcp, mapped.udp), (PortMapMethod::Pcp, 6881, Some(6881)));
    assert_eq!(mapped.external_ip, Some([198, 17, 0, 1].into()));
    assert_eq!(mapping.status().mapping, Some(mapped));
    mapping.stop(PATIENCE);
    let mut asked: Vec<(u8, u32)> = asked.try_iter().collect();
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked, [(6, 0), (6, 600), (17, 0), (17, 600)], "each is asked for, and each is ended");
}

#[test]
fn a_gateway_with_upnp_alone_maps_and_is_told_the_end() {
    let gateway = Gateway::new();
    let (mut found, web) = (gateway.found(), gateway.web());
    // Where nothing listens the system says so, and no time is lost.
    found.port = UdpSocket::bind((HERE, 0)).unwrap().local_addr().unwrap().port();
    answer_searches(gateway.search, vec![format!("http://{web}/desc.xml")]);
    let (sender, actions) = unbounded();
    serve_http(gateway.http, move |head, body, stream| {
        if head.starts_with("GET /desc.xml ") {
            return reply(stream, 200, DESCRIPTION);
        }
        assert!(head.starts_with("POST /ctl "), "{head}");
        let action = head.split('#').nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
        let protocol = if body.contains(">TCP<") { "TCP" } else { "UDP" };
        if action.ends_with("PortMapping") {
            sender.send(format!("{action} {protocol}")).unwrap();
        }
        match action.as_str() {
            "GetExternalIPAddress" => {
                reply(stream, 200, "<NewExternalIPAddress>198.17.0.1</NewExternalIPAddress>");
            }
            "GetSpecificPortMappingEntry" => reply(stream, 500, "<errorCode>401</errorCode>"),
            _ => reply(stream, 200, ""),
        }
    });
    let (mapping, states) = start(found);
    let mapped = states.recv_timeout(PATIENCE).unwrap().mapping.unwrap();
    assert_eq!((mapped.method, mapped.tcp, mapped.udp), (PortMapMethod::Upnp, 6881, Some(6881)));
    mapping.stop(PATIENCE);
    let actions: Vec<String> = actions.try_iter().collect();
    let expected =
        ["AddPortMapping TCP", "AddPortMapping UDP", "DeletePortMapping UDP", "DeletePortMapping TCP"];
    assert_eq!(actions, expected);
}

/// What is said of a gateway that answers searches with these locations and requests with `serve`.
fn fails(
    locations: Vec<String>,
    gateway: Gateway,
    serve: impl Fn(&str, &str, TcpStream) + Send + 'static,
) -> String {
    let mut found = gateway.found();
    found.port = UdpSocket::bind((HERE, 0)).unwrap().local_addr().unwrap().port();
    answer_searches(gateway.search, locations);
    serve_http(gateway.http, serve);
    let (mapping, states) = start(found);
    let status = states.recv_timeout(PATIENCE).unwrap();
    assert_eq!(status.mapping, None);
    mapping.stop(PATIENCE);
    assert!(states.try_recv().is_err(), "one failure is one report");
    status.failed.unwrap()
}

#[test]
fn a_gateway_that_points_elsewhere_leads_nowhere() {
    let trap = TcpListener::bind((HERE, 0)).unwrap();
    trap.set_nonblocking(true).unwrap();
    let elsewhere = format!("http://127.0.0.2:{}/x", trap.local_addr().unwrap().port());
    let trap_here = format!("http://{}/x", trap.local_addr().unwrap());

    let gateway = Gateway::new();
    let why = fails(vec![elsewhere.clone()], gateway, |_, _, _| panic!("it was asked"));
    assert!(why.ends_with("its answer to the search names another host"), "{why}");

    let gateway = Gateway::new();
    let here = vec![format!("http://{}/desc.xml", gateway.web())];
    let moved = trap_here.clone();
    let why = fails(here, gateway, move |_, _, mut stream| {
        let _ = write!(stream, "HTTP/1.1 302 Found\r\nLocation: {moved}\r\nContent-Length: 0\r\n\r\n");
    });
    assert!(why.ends_with("its description is answered with status 302"), "{why}");

    let gateway = Gateway::new();
    let here = vec![format!("http://{}/desc.xml", gateway.web())];
    let description = DESCRIPTION.replace("/ctl", &elsewhere);
    let why = fails(here, gateway, move |_, _, stream| reply(stream, 200, &description));
    assert!(why.ends_with("its description names no service that is of use"), "{why}");
    assert!(trap.accept().is_err(), "another host was asked");
}

#[test]
fn an_answer_without_end_is_cut_off() {
    for start_of_answer in ["HTTP/1.1 200 OK\r\n\r\n<root>", "HTTP/1.1 200 OK\r\nX: "] {
        let gateway = Gateway::new();
        let here = vec![format!("http://{}/desc.xml", gateway.web())];
        let why = fails(here, gateway, move |_, _, mut stream| {
            // It ends when the other side has gone.
            let mut sent = stream.write(start_of_answer.as_bytes());
            while sent.is_ok() {
                sent = stream.write(&[b' '; 4096]);
            }
        });
        assert!(why.ends_with("its answer is longer than 64 KiB"), "{why}");
    }
}

#[test]
fn an_answer_that_does_not_come_is_not_waited_for_beyond_its_time() {
    let gateway = Gateway::new();
    let here = vec![format!("http://{}/desc.xml", gateway.web())];
    let (keep, kept) = unbounded();
    let why = fails(here, gateway, move |_, _, stream| keep.send(stream).unwrap());
    assert!(why.ends_with("it takes too long to answer"), "{why}");
    drop(kept);
}

#[test]
fn packets_that_answer_nothing_are_as_if_none_had_come() {
    let changes: [fn(&mut Vec<u8>); 5] = [
        |answer| answer[24] ^= 1,
        |answer| answer[36] = 1,
        |answer| answer[42..44].fill(0),
        |answer| answer.truncate(59),
        |answer| answer[0] = 1,
    ];
    let gateways: Vec<_> = changes
        .into_iter()
        .map(|change| {
            let gateway = Gateway::new();
            let found = gateway.found();
            let asked = speak_pcp(gateway.control, change);
            (start(found), asked)
        })
        .collect();
    for ((mapping, states), _asked) in gateways {
        let status = states.recv_timeout(PATIENCE).unwrap();
        assert_eq!(status.mapping, None);
        assert!(status.failed.unwrap().starts_with("the gateway answers neither"));
        mapping.stop(PATIENCE);
    }
}

#[test]
fn an_answer_from_another_address_is_not_heard() {
    let gateway = Gateway::new();
    let found = gateway.found();
    let stranger = UdpSocket::bind(("127.0.0.2", 0)).unwrap();
    std::thread::spawn(move || {
        let mut packet = [0; 64];
        while let Ok((60, from)) = gateway.control.recv_from(&mut packet) {
            let mut answer = packet[..60].to_vec();
            answer[1] |= 0x80;
            answer[8..24].fill(0);
            let _ = stranger.send_to(&answer, from);
        }
    });
    let (mapping, states) = start(found);
    assert_eq!(states.recv_timeout(PATIENCE).unwrap().mapping, None);
    mapping.stop(PATIENCE);
}

#[test]
fn the_end_does_not_wait_for_a_gateway_that_is_silent() {
    let gateway = Gateway::new();
    let (mapping, _states) = start(gateway.found());
    // The first request has come: it asks, and gets no answer.
    gateway.control.recv_from(&mut [0; 64]).unwrap();
    mapping.close();
    assert!(mapping.thread.join_within(PATIENCE));
}
