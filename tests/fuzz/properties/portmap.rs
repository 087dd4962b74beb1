//! Port mapping: what a gateway says is read within bounds, leads to no other host, and never to a mapping
//! that cannot be.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bitwren::internals::moment::Moment;
use bitwren::internals::portmap::http::{self, AnswerReader, Failure};
use bitwren::internals::portmap::mapper::{Action, Input, PortMapper, Setup};
use bitwren::internals::portmap::ssdp::Location;
use bitwren::internals::portmap::{Network, Ports, igd, natpmp, pcp, ssdp, xml};
use bitwren::internals::random::Random;

use super::{Script, is_one_line};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 77, 10));
const GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 77, 1));

/// Packets of PCP.
pub fn pcp(packet: &[u8]) {
    match pcp::Answer::decode(packet) {
        Some(pcp::Answer::Map { result: Ok(grant), .. }) => {
            assert!(grant.external != 0 || grant.lifetime == 0)
        }
        Some(pcp::Answer::Map { result: Err(result), .. } | pcp::Answer::Refused(result)) => {
            assert!(result != 0 && is_one_line(pcp::reason(result)));
        }
        Some(pcp::Answer::Announce { .. }) => assert!(packet.len() >= 24),
        None => {}
    }
}

/// Packets of NAT-PMP.
pub fn natpmp(packet: &[u8]) {
    match natpmp::Answer::decode(packet) {
        Some(natpmp::Answer::Map { external, lifetime, .. }) => assert!(external != 0 || lifetime == 0),
        Some(natpmp::Answer::Refused { result, .. }) => {
            assert!(result != 0 && is_one_line(natpmp::reason(result)));
        }
        Some(natpmp::Answer::Address { .. }) => assert!(packet.len() >= 12),
        None => {}
    }
}

/// Answers to a search, and locations.
pub fn ssdp(datagram: &[u8]) {
    let text = String::from_utf8_lossy(datagram);
    let base = Location::parse("http://192.168.77.1:5000/a/b.xml").expect("a location");
    let found = [ssdp::decode(datagram), Location::parse(&text), base.join(&text)];
    for location in found.into_iter().flatten() {
        assert!(location.addr.port() != 0 && location.path.starts_with('/'));
        // Nothing of it ends a line of a request.
        let request = http::get(&location);
        assert_eq!(request.iter().filter(|&&byte| byte == b'\n').count(), 4);
        let host = if location.addr.is_ipv6() { "[::1]" } else { "127.0.0.1" };
        let again = Location::parse(&format!("http://{host}:{}{}", location.addr.port(), location.path));
        assert_eq!(again.map(|again| again.path), Some(location.path));
    }
}

/// Descriptions of gateways and the bodies of their answers.
pub fn igd(body: &[u8]) {
    let text = String::from_utf8_lossy(body);
    assert!(xml::tokens(&text).count() <= text.len());
    let at = Location::parse("http://192.168.77.1:5000/a/b.xml").expect("a location");
    let services = igd::services(&text, &at);
    assert!(services.len() <= 8 && services.iter().all(|service| service.control.addr.ip() == GATEWAY));
    for status in [200, 500] {
        let answer = http::Answer { status, body: text.clone().into_owned() };
        if let Err(code) = igd::outcome(&answer) {
            assert!(is_one_line(&igd::reason(code)));
        }
    }
    let _ = (igd::external_ip(&text), igd::entry(&text), igd::pinhole(&text), igd::is_connected(&text));
}

/// Answers over HTTP, which are the same however they arrive.
pub fn gateway_http(bytes: &[u8]) {
    let (size, bytes) =
        bytes.split_first().map_or((1, bytes), |(&size, rest)| (usize::from(size).max(1), rest));
    let read = |size: usize| {
        let mut reader = AnswerReader::default();
        for piece in bytes.chunks(size) {
            match reader.push(piece) {
                Ok(None) => {}
                Ok(Some(answer)) => return Ok(answer),
                Err(failure) => return Err(failure),
            }
        }
        reader.close()
    };
    let (whole, pieces) = (read(usize::MAX), read(size));
    if bytes.len() <= http::MAX_ANSWER {
        assert_eq!(whole, pieces);
    }
    if let Ok(answer) = whole {
        assert!(answer.body.len() <= 3 * http::MAX_ANSWER);
    }
}

/// A mapper to which a gateway says anything at any time.
pub fn portmap(script: &[u8]) {
    let mut script = Script::new(script);
    let udp = script.bit().then_some(6881);
    let setup = Setup { ipv6: false, ports: Ports { tcp: 6881, udp }, nonce: || [7; 12] };
    let mut mapper = PortMapper::new(setup, Random::seeded(script.long()));
    let mut now = Moment::START;
    let mut last_packet = Vec::new();
    let mut drain = |mapper: &mut PortMapper, now| {
        for steps in 0.. {
            assert!(steps < 500, "without end");
            match mapper.poll_action() {
                None => break,
                Some(Action::FindNetwork) => {
                    mapper.handle(Input::Network(Ok(Network { local: LOCAL, gateway: GATEWAY })), now);
                }
                Some(Action::ToGateway(packet)) => last_packet = packet,
                Some(Action::Request(to, _)) => assert_eq!(to.ip(), GATEWAY),
                Some(Action::Search(to, _)) => assert!(to.ip() == GATEWAY || to.ip().is_multicast()),
                Some(Action::Mapped(mapping)) => {
                    assert!(mapping.tcp >= 1024 && mapping.udp != Some(0));
                    assert!(mapping.external_ip.is_none_or(igd::is_public));
                    assert!(udp.is_some() || mapping.udp.is_none());
                }
                Some(Action::Failed(why)) => assert!(is_one_line(&why) && why.len() < 200),
                Some(Action::HangUp | Action::EndSearch) => {}
            }
        }
        last_packet.clone()
    };
    let mut asked = drain(&mut mapper, now);
    while !script.is_over() {
        now = now + Duration::from_millis(u64::from(script.byte()) * 100);
        match script.below(9) {
            0 => mapper.handle(Input::Tick, now),
            1 => mapper.handle(Input::FromGateway(script.bytes()), now),
            // The answer to what was asked, but for some bytes.
            2 => {
                if let Some(opcode) = asked.get_mut(1) {
                    *opcode |= 0x80;
                }
                for _ in 0..script.below(4) {
                    let (at, byte) = (usize::from(script.byte()), script.byte());
                    asked.get_mut(at).into_iter().for_each(|one| *one = byte);
                }
                mapper.handle(Input::FromGateway(&asked), now);
            }
            3 => mapper.handle(Input::GatewayRefused, now),
            4 => mapper.handle(Input::Announced(script.bytes()), now),
            5 => {
                let path = String::from_utf8_lossy(script.bytes()).into_owned();
                let text = format!("HTTP/1.1 200 OK\r\nLOCATION: http://192.168.77.1{path}\r\n\r\n");
                mapper.handle(Input::SearchAnswer(GATEWAY, text.as_bytes()), now);
            }
            6 => mapper.handle(Input::SearchAnswer(LOCAL, script.bytes()), now),
            7 => {
                let status = if script.bit() { 200 } else { 500 };
                let body = String::from_utf8_lossy(script.bytes()).into_owned();
                mapper.handle(Input::Answered(Ok(http::Answer { status, body })), now);
            }
            _ => {
                let failure = [Failure::Refused, Failure::Slow, Failure::TooLong, Failure::Malformed];
                mapper.handle(Input::Answered(Err(failure[script.below(4) as usize])), now);
            }
        }
        asked = drain(&mut mapper, now);
    }
    mapper.handle(Input::Stop, now);
    drain(&mut mapper, now);
    while let Some(deadline) = mapper.deadline() {
        assert!(deadline.since(now) <= Duration::from_secs(1), "an end without end");
        now = now.max(deadline);
        mapper.handle(Input::Tick, now);
        drain(&mut mapper, now);
        if deadline.since(now).is_zero() && mapper.is_over() {
            break;
        }
    }
    assert!(mapper.is_over());
}
