//! One gateway asked for mappings by PCP or NAT-PMP, whose packets differ and whose ways do not: ask for TCP
//! and UDP, again while no answer comes, and again for the same external port where two were given.
//!
//! It never asks for ports that are not listened at. Invariant: an answer counts only where it repeats what
//! was asked for (the nonce of PCP, protocol and internal port), and at most `MAX_ROUNDS` times other
//! ports are asked for.

use std::net::IpAddr;
use std::time::Duration;

use super::{Granted, LEASE, Ports, Progress, Protocol, is_usable, natpmp, pcp};
use crate::moment::Moment;

/// How long to wait for an answer before asking again, doubled each time (RFC 6886, 3.1).
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// How often it is asked, the last of them without a wait of more than 8 seconds behind it.
const MAX_TRIES: u32 = 6;
/// How often the mappings are ended and asked for again, where TCP and UDP got different external ports.
const MAX_ROUNDS: u32 = 3;
/// How long to wait for the answer to an end of a mapping.
const CLOSING_WAIT: Duration = Duration::from_millis(100);

/// The two protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// RFC 6887.
    Pcp,
    /// RFC 6886.
    NatPmp,
}

/// What only the engine can give.
#[derive(Debug, Clone, Copy)]
pub struct Sources {
    /// Twelve bytes that cannot be guessed.
    pub nonce: fn() -> pcp::Nonce,
    /// An external port to ask for where the first is taken; it may be guessed.
    pub port: u16,
}

/// One gateway asked in one dialect.
#[derive(Debug)]
pub struct Exchange {
    dialect: Dialect,
    client: IpAddr,
    sources: Sources,
    asks: Vec<Ask>,
    /// The external address, where it is known.
    ip: Option<IpAddr>,
    /// Whether NAT-PMP has told it since it was last asked.
    has_ip: bool,
    tries: u32,
    next: Option<Moment>,
    rounds: u32,
    closing: bool,
    progress: Progress,
}

#[derive(Debug)]
struct Ask {
    protocol: Protocol,
    internal: u16,
    suggested: u16,
    nonce: pcp::Nonce,
    state: State,
    /// Whether the gateway may have this mapping, as it was asked for it.
    may_exist: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Asked,
    Granted { external: u16, lifetime: u32 },
    Refused,
    Ended,
}

/// A packet of the gateway, in either dialect.
enum Answer {
    Grant {
        ask: usize,
        external: u16,
        lifetime: u32,
        ip: Option<IpAddr>,
    },
    Refused {
        ask: Option<usize>,
        why: &'static str,
    },
    Address(IpAddr),
    NoAddress,
    /// The gateway does not speak this dialect.
    Unknown,
}

impl Exchange {
    /// Begins to ask. `suggested` is the external port to ask for first.
    pub fn new(
        dialect: Dialect,
        client: IpAddr,
        ports: Ports,
        suggested: u16,
        sources: Sources,
        now: Moment,
    ) -> Self {
        let ask = |(protocol, internal): (Protocol, u16)| {
            let nonce = (sources.nonce)();
            Ask { protocol, internal, suggested, nonce, state: State::Asked, may_exist: false }
        };
        Exchange {
            dialect,
            client,
            sources,
            asks: ports.iter().map(ask).collect(),
            ip: None,
            has_ip: dialect == Dialect::Pcp,
            tries: 0,
            next: Some(now),
            rounds: 0,
            closing: false,
            progress: Progress::Asking,
        }
    }

    /// Whether it is about IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.client.is_ipv4()
    }

    /// How far it has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// When [`Exchange::poll`] is to be called next.
    pub fn deadline(&self) -> Option<Moment> {
        self.next
    }

    /// Asks for the mapping that was granted once more, for it to last.
    pub fn renew(&mut self, now: Moment) {
        for ask in &mut self.asks {
            if let State::Granted { external, .. } = ask.state {
                ask.suggested = external;
                ask.state = State::Asked;
            }
        }
        self.has_ip = self.dialect == Dialect::Pcp;
        (self.tries, self.rounds, self.next) = (0, 0, Some(now));
        self.progress = Progress::Asking;
    }

    /// Ends all mappings that the gateway may have; whether there are any.
    pub fn close(&mut self, now: Moment) -> bool {
        for ask in &mut self.asks {
            ask.state = if ask.may_exist { State::Asked } else { State::Ended };
        }
        self.closing = true;
        (self.tries, self.next) = (0, Some(now));
        self.progress = Progress::Asking;
        !self.is_closed()
    }

    /// Whether all mappings have been ended.
    pub fn is_closed(&self) -> bool {
        self.asks.iter().all(|ask| ask.state != State::Asked)
    }

    /// The packets that are due.
    pub fn poll(&mut self, now: Moment) -> Vec<Vec<u8>> {
        if self.progress != Progress::Asking || self.next.is_none_or(|next| now < next) {
            return Vec::new();
        }
        if self.tries >= MAX_TRIES {
            self.next = None;
            self.progress = Progress::Silent;
            return Vec::new();
        }
        let wait = if self.closing { CLOSING_WAIT } else { FIRST_WAIT * (1 << self.tries) };
        self.next = Some(now + wait);
        self.tries += 1;
        let mut out = Vec::new();
        let lifetime = if self.closing { 0 } else { LEASE.as_secs() as u32 };
        for at in 0..self.asks.len() {
            if self.asks[at].state == State::Asked {
                self.asks[at].may_exist = true;
                out.push(self.packet(at, lifetime));
            }
        }
        if !self.has_ip && !self.closing {
            out.push(natpmp::ADDRESS_REQUEST.to_vec());
        }
        self.settle(now, &mut out);
        out
    }

    /// A packet of the gateway. Returns what is to be sent.
    pub fn on_packet(&mut self, packet: &[u8], now: Moment) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        match self.read(packet) {
            Some(Answer::Grant { ask, external, lifetime, ip }) => {
                let ask = &mut self.asks[ask];
                if lifetime == 0 {
                    // The answer to an end that was asked for; while closing, of all there is.
                    if self.closing {
                        (ask.state, ask.may_exist) = (State::Ended, false);
                    }
                } else if ask.state == State::Asked && !self.closing {
                    ask.state = State::Granted { external, lifetime };
                    self.ip = ip.or(self.ip);
                }
            }
            Some(Answer::Refused { ask, why }) => {
                let refused =
                    self.asks.iter_mut().enumerate().filter(|(at, _)| ask.is_none_or(|one| one == *at));
                let mut is_news = false;
                for (_, ask) in refused.filter(|(_, ask)| ask.state == State::Asked) {
                    (ask.state, is_news) = (State::Refused, true);
                    ask.may_exist = false;
                }
                // A gateway that gives no TCP is of no use, whatever else it gives.
                let tcp = self.asks.first().is_some_and(|ask| ask.state == State::Refused);
                if is_news && tcp && !self.closing {
                    self.next = None;
                    self.progress = Progress::Refused(why.to_owned());
                }
            }
            Some(Answer::Address(ip)) => {
                (self.ip, self.has_ip) = (Some(ip), true);
            }
            Some(Answer::NoAddress) => self.has_ip = true,
            Some(Answer::Unknown) if self.progress == Progress::Asking && !self.closing => {
                self.next = None;
                self.progress = Progress::Refused(pcp::reason(1).to_owned());
            }
            Some(Answer::Unknown) | None => {}
        }
        self.settle(now, &mut out);
        out
    }

    /// Sees whether all answers are there, and whether they will do.
    fn settle(&mut self, now: Moment, out: &mut Vec<Vec<u8>>) {
        let is_open = self.progress == Progress::Asking && !self.closing;
        // An address is worth one more wait, and no more.
        let has_ip = self.has_ip || self.tries > 1;
        if !is_open || !has_ip || self.asks.iter().any(|ask| ask.state == State::Asked) {
            return;
        }
        let external = |protocol| {
            self.asks.iter().filter(|ask| ask.protocol == protocol).find_map(|ask| match ask.state {
                State::Granted { external, lifetime } => Some((external, lifetime)),
                _ => None,
            })
        };
        let Some((tcp, lifetime)) = external(Protocol::Tcp) else { return };
        let udp = external(Protocol::Udp);
        if udp.is_some_and(|(udp, _)| udp != tcp) && self.rounds < MAX_ROUNDS {
            self.ask_for_the_same(tcp, out);
            self.next = Some(now);
            out.extend(self.poll(now));
            return;
        }
        self.next = None;
        let lease = udp.map_or(lifetime, |(_, other)| other.min(lifetime));
        self.progress = Progress::Granted(Granted {
            tcp,
            udp: udp.map(|(udp, _)| udp),
            ip: self.ip,
            lease: Duration::from_secs(lease.into()),
        });
    }

    /// TCP and UDP got different external ports: ends what differs, and asks for the port of TCP, or at last
    /// for another one for both.
    fn ask_for_the_same(&mut self, tcp: u16, out: &mut Vec<Vec<u8>>) {
        self.rounds += 1;
        self.tries = 0;
        let both = self.rounds == MAX_ROUNDS;
        let suggested = if both { self.sources.port } else { tcp };
        for at in 0..self.asks.len() {
            if both || self.asks[at].protocol == Protocol::Udp {
                out.push(self.packet(at, 0));
                let nonce = (self.sources.nonce)();
                let ask = &mut self.asks[at];
                (ask.suggested, ask.nonce, ask.state) = (suggested, nonce, State::Asked);
            }
        }
    }

    fn packet(&self, at: usize, lifetime: u32) -> Vec<u8> {
        let Ask { protocol, internal, suggested, nonce, .. } = self.asks[at];
        let suggested = if lifetime == 0 { 0 } else { suggested };
        match self.dialect {
            Dialect::Pcp => {
                pcp::MapRequest { nonce, client: self.client, protocol, internal, suggested, lifetime }
                    .encode()
            }
            Dialect::NatPmp => natpmp::MapRequest { protocol, internal, suggested, lifetime }.encode(),
        }
    }

    fn read(&self, packet: &[u8]) -> Option<Answer> {
        let ask_for = |protocol, internal| {
            self.asks.iter().position(|ask| ask.protocol == protocol && ask.internal == internal)
        };
        match self.dialect {
            Dialect::Pcp => match pcp::Answer::decode(packet) {
                Some(pcp::Answer::Map { nonce, protocol, internal, result, .. }) => {
                    let ask = ask_for(protocol, internal).filter(|&ask| self.asks[ask].nonce == nonce)?;
                    match result {
                        Ok(grant) if grant.lifetime == 0 || is_usable(grant.external, internal) => {
                            let pcp::Grant { external, ip, lifetime } = grant;
                            Some(Answer::Grant { ask, external, lifetime, ip: Some(ip) })
                        }
                        Ok(_) => Some(Answer::Refused { ask: Some(ask), why: UNUSABLE }),
                        Err(result) => Some(Answer::Refused { ask: Some(ask), why: pcp::reason(result) }),
                    }
                }
                Some(pcp::Answer::Refused(1)) => Some(Answer::Unknown),
                Some(pcp::Answer::Refused(result)) => {
                    Some(Answer::Refused { ask: None, why: pcp::reason(result) })
                }
                Some(pcp::Answer::Announce { .. }) => None,
                // A gateway that knows NAT-PMP alone answers in that.
                None => match packet {
                    [natpmp::VERSION, opcode, 0, 1, ..] if opcode & 0x80 != 0 => Some(Answer::Unknown),
                    _ => None,
                },
            },
            Dialect::NatPmp => match natpmp::Answer::decode(packet)? {
                natpmp::Answer::Map { protocol, internal, external, lifetime, .. } => {
                    let ask = ask_for(protocol, internal)?;
                    if lifetime == 0 || is_usable(external, internal) {
                        Some(Answer::Grant { ask, external, lifetime, ip: None })
                    } else {
                        Some(Answer::Refused { ask: Some(ask), why: UNUSABLE })
                    }
                }
                natpmp::Answer::Address { ip, .. } => Some(Answer::Address(ip.into())),
                // The answer to a packet of PCP, which this gateway does not know.
                natpmp::Answer::Refused { result: 1, .. } => None,
                natpmp::Answer::Refused { protocol: None, .. } => Some(Answer::NoAddress),
                natpmp::Answer::Refused { protocol: Some(protocol), result } => {
                    let ask = self.asks.iter().position(|ask| ask.protocol == protocol)?;
                    Some(Answer::Refused { ask: Some(ask), why: natpmp::reason(result) })
                }
            },
        }
    }
}

const UNUSABLE: &str = "it gives an external port below 1024";

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY_IP: [u8; 4] = [198, 17, 0, 1];
    const SOURCES: Sources = Sources { nonce: || [7; 12], port: 45_000 };

    fn exchange(dialect: Dialect) -> Exchange {
        let ports = Ports { tcp: 6881, udp: Some(6881) };
        Exchange::new(dialect, [192, 168, 77, 10].into(), ports, 6881, SOURCES, Moment::START)
    }

    /// What a gateway answers to a request of NAT-PMP with this external port.
    fn granted(request: &[u8], external: u16, lifetime: u32) -> Vec<u8> {
        let mut answer = vec![0, 0x80 | request[1], 0, 0, 0, 0, 0, 9, request[4], request[5]];
        answer.extend(external.to_be_bytes());
        answer.extend(lifetime.to_be_bytes());
        answer
    }

    fn address() -> Vec<u8> {
        [&[0, 128, 0, 0, 0, 0, 0, 9][..], &GATEWAY_IP].concat()
    }

    #[test]
    fn it_asks_again_in_growing_intervals_and_then_no_more() {
        let mut silent = exchange(Dialect::Pcp);
        let mut asked = Vec::new();
        while let Some(next) = silent.deadline() {
            if !silent.poll(next).is_empty() {
                asked.push(next.as_micros() / 1000);
            }
        }
        assert_eq!(asked, [0, 250, 750, 1750, 3750, 7750]);
        assert_eq!(*silent.progress(), Progress::Silent);
    }

    #[test]
    fn only_what_is_missing_is_asked_for_again() {
        let mut exchange = exchange(Dialect::NatPmp);
        let asked = exchange.poll(Moment::START);
        assert_eq!(asked.len(), 3, "TCP, UDP and the address");
        exchange.on_packet(&granted(&asked[0], 6881, 600), Moment::START);
        exchange.on_packet(&address(), Moment::START);
        let later = Moment::from_millis(250);
        let again = exchange.poll(later);
        assert_eq!(again, [asked[1].clone()]);
        exchange.on_packet(&granted(&again[0], 6881, 60), later);
        let lease = Duration::from_secs(60);
        let expected = Granted { tcp: 6881, udp: Some(6881), ip: Some(GATEWAY_IP.into()), lease };
        assert_eq!(*exchange.progress(), Progress::Granted(expected), "the shorter lease counts");
    }

    /// A gateway that gives TCP and UDP different external ports is asked for the same, in the end for
    /// another, and then taken as it is.
    #[test]
    fn different_ports_are_asked_for_again() {
        let mut exchange = exchange(Dialect::NatPmp);
        let mut asked = exchange.poll(Moment::START);
        exchange.on_packet(&address(), Moment::START);
        let mut suggested = Vec::new();
        while *exchange.progress() == Progress::Asking {
            let mut next = Vec::new();
            for request in asked.iter().filter(|request| request.len() == 12 && request[8..] != [0; 4]) {
                suggested.push((request[1], u16::from_be_bytes([request[6], request[7]])));
                let external = 5000 + u16::from(request[1]);
                next.extend(exchange.on_packet(&granted(request, external, 600), Moment::START));
            }
            asked = next;
            assert!(suggested.len() < 20, "without end");
        }
        let expected = [(2, 6881), (1, 6881), (1, 5002), (1, 5002), (2, 45_000), (1, 45_000)];
        assert_eq!(suggested, expected);
        assert!(matches!(exchange.progress(), Progress::Granted(Granted { tcp: 5002, udp: Some(5001), .. })));
    }

    #[test]
    fn an_answer_that_does_not_belong_to_a_request_is_nothing() {
        let mut exchange = exchange(Dialect::Pcp);
        let asked = exchange.poll(Moment::START);
        let answer = |request: &[u8], external: u16| {
            let mut answer = request.to_vec();
            answer[1] |= 0x80;
            answer[8..24].fill(0);
            answer[42..44].copy_from_slice(&external.to_be_bytes());
            answer
        };
        let good = answer(&asked[0], 6881);
        for (at, what) in [(24, "nonce"), (36, "protocol"), (40, "internal port"), (0, "version")] {
            let mut bad = good.clone();
            bad[at] ^= 0x55;
            exchange.on_packet(&bad, Moment::START);
            assert!(exchange.asks.iter().all(|ask| ask.state == State::Asked), "another {what}");
        }
        exchange.on_packet(&good, Moment::START);
        exchange.on_packet(&answer(&asked[1], 80), Moment::START);
        assert!(matches!(exchange.progress(), Progress::Granted(Granted { tcp: 6881, udp: None, .. })));
    }
}
