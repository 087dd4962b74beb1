//! The life of a mapping of one address family: which protocol is tried when, when the mapping is renewed, and how
//! long the pause is after a failure.
//!
//! PCP is tried first, NAT-PMP if that fails or is silent, then UPnP; the first that grants a mapping wins, and a
//! later mapping by another is removed. A gateway that announces that it has lost its mappings is
//! asked again at once. Invariants: one mapping at a time; an attempt takes at most ten seconds for all
//! protocols together; between attempts the only deadline is that of the next.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::attempt::{Asked, Attempt, Way};
use super::exchange::{Dialect, Exchange, Sources};
use super::http::{Answer, Failure};
use super::upnp::{Order, Upnp};
use super::{Granted, Network, Ports, Progress, igd, pcp, renewal_interval};
use crate::event::{PortMapMethod, PortMapping};
use crate::moment::Moment;
use crate::random::Random;

/// The pause after the first failed attempt, doubled with each, and the longest.
const FIRST_RETRY: Duration = Duration::from_secs(15);
const MAX_RETRY: Duration = Duration::from_secs(3600);
/// How long removing a mapping may take.
pub const CLOSING_TIME: Duration = Duration::from_millis(400);
/// Shortest time between two attempts or renewals that are made because a gateway announces itself.
const MIN_ANNOUNCE_INTERVAL: Duration = Duration::from_secs(5);
/// The external ports asked for after a conflict: the first, and how many.
const FIRST_RANDOM_PORT: u16 = 40_000;
const RANDOM_PORTS: u64 = 10_000;

/// What happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// A deadline has passed.
    Tick,
    /// The gateway, as [`Action::FindNetwork`] asked for it, or why there is none.
    Network(Result<Network, String>),
    /// A datagram from port 5351 of the gateway.
    FromGateway(&'a [u8]),
    /// Port 5351 of the gateway is closed (ICMP).
    GatewayRefused,
    /// A multicast announcement of the gateway.
    Announced(&'a [u8]),
    /// A datagram to the socket of the search.
    SearchAnswer(IpAddr, &'a [u8]),
    /// The answer to [`Action::Request`].
    Answered(Result<Answer, Failure>),
    /// Stop: remove the mapping and end.
    Stop,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Find the gateway of the family, and open sockets to it; old ones are of no use any more.
    FindNetwork,
    /// Send this to port 5351 of the gateway.
    ToGateway(Vec<u8>),
    /// Send this by the socket of the search.
    Search(SocketAddr, Vec<u8>),
    /// Connect there, send this and read the answer; a request under way is dropped.
    Request(SocketAddr, Vec<u8>),
    /// Drop the request under way.
    HangUp,
    /// Close the socket of the search.
    EndSearch,
    /// There is a mapping, or it has changed.
    Mapped(PortMapping),
    /// There is no mapping any more, or an attempt failed; why. Not repeated.
    Failed(String),
}

/// The settings of a mapper.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// Whether of IPv6.
    pub ipv6: bool,
    /// The local ports to map.
    pub ports: Ports,
    /// Makes the nonces, which must not be guessable.
    pub nonce: fn() -> pcp::Nonce,
}

/// The mapping of one address family.
#[derive(Debug)]
pub struct PortMapper {
    setup: Setup,
    random: Random,
    network: Option<Network>,
    stage: Stage,
    /// The mapping that was reported, and when its lease ends.
    told: Option<(PortMapping, Moment)>,
    /// Whether a failure was reported since the last mapping.
    has_failed: bool,
    /// Attempts that failed since the last mapping.
    failures: u32,
    /// When an announcement of the gateway last caused a renewal.
    announced: Option<Moment>,
    actions: VecDeque<Action>,
}

#[derive(Debug)]
enum Stage {
    /// Waits for the network.
    Finding,
    Asking(Box<Attempt>),
    Mapped {
        way: Box<Way>,
        /// When it is renewed; `None` while that is under way.
        renew: Option<Moment>,
    },
    Waiting {
        until: Moment,
    },
    Closing {
        way: Box<Way>,
        until: Moment,
    },
    Over,
}

impl PortMapper {
    /// A mapper that first asks for the network. `random` need not be secure.
    pub fn new(setup: Setup, random: Random) -> Self {
        PortMapper {
            setup,
            random,
            network: None,
            stage: Stage::Finding,
            told: None,
            has_failed: false,
            failures: 0,
            announced: None,
            actions: VecDeque::from([Action::FindNetwork]),
        }
    }

    /// The next action.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Input::Tick`] is due.
    pub fn deadline(&self) -> Option<Moment> {
        let stage = match &self.stage {
            Stage::Finding | Stage::Over => None,
            Stage::Asking(attempt) => attempt.deadline(),
            Stage::Mapped { way, renew } => match renew {
                Some(renew) => Some(*renew),
                None => way.deadline(),
            },
            Stage::Waiting { until } => Some(*until),
            Stage::Closing { way, until } => way.deadline().into_iter().chain([*until]).min(),
        };
        let is_kept = matches!(self.stage, Stage::Finding | Stage::Asking(_) | Stage::Waiting { .. });
        let expiry = self.told.filter(|_| is_kept).map(|(_, until)| until);
        stage.into_iter().chain(expiry).min()
    }

    /// Whether all has ended.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Whether answers to a search count.
    pub fn is_searching(&self) -> bool {
        matches!(&self.stage, Stage::Asking(attempt) if attempt.upnp.is_some())
    }

    /// Handles an input.
    pub fn handle(&mut self, input: Input<'_>, now: Moment) {
        match input {
            Input::Tick => {}
            Input::Network(network) => self.on_network(network, now),
            Input::FromGateway(packet) => self.on_packet(packet, now),
            Input::GatewayRefused => {
                if let Stage::Asking(attempt) = &mut self.stage {
                    attempt.is_refused = true;
                } else if let Stage::Mapped { way, renew: None } = &self.stage
                    && matches!(**way, Way::Exchange(..))
                {
                    self.ask_again();
                }
            }
            Input::Announced(packet) => self.on_announced(packet, now),
            Input::SearchAnswer(from, datagram) => {
                if let Stage::Asking(attempt) = &mut self.stage
                    && let Some(upnp) = &mut attempt.upnp
                {
                    let mut orders = Vec::new();
                    upnp.on_datagram(from, datagram, &mut orders, now);
                    self.carry_out(orders);
                }
            }
            Input::Answered(answer) => self.with_upnp(|upnp, orders| upnp.on_answer(answer, now, orders)),
            Input::Stop => return self.stop(now),
        }
        self.advance(now);
    }

    fn on_network(&mut self, network: Result<Network, String>, now: Moment) {
        if !matches!(self.stage, Stage::Finding) {
            return;
        }
        let network = match network {
            Ok(network) => network,
            Err(why) => return self.fail(why, now),
        };
        self.network = Some(network);
        let suggested = self.suggested();
        let pcp =
            Exchange::new(Dialect::Pcp, network.local, self.setup.ports, suggested, self.sources(), now);
        let attempt = Attempt::new(pcp, now);
        self.stage = Stage::Asking(Box::new(attempt));
    }

    /// The external port to ask for: that of the last mapping, or else the local one.
    fn suggested(&self) -> u16 {
        self.told.map_or(self.setup.ports.tcp, |(mapping, _)| mapping.tcp)
    }

    fn sources(&mut self) -> Sources {
        Sources { nonce: self.setup.nonce, port: self.random_port() }
    }

    fn random_port(&mut self) -> u16 {
        FIRST_RANDOM_PORT + self.random.below(RANDOM_PORTS) as u16
    }

    fn on_packet(&mut self, packet: &[u8], now: Moment) {
        let mut out = Vec::new();
        match &mut self.stage {
            Stage::Asking(attempt) => {
                out.extend(attempt.pcp.on_packet(packet, now));
                out.extend(attempt.nat_pmp.iter_mut().flat_map(|one| one.on_packet(packet, now)));
            }
            Stage::Mapped { way, .. } | Stage::Closing { way, .. } => {
                if let Way::Exchange(_, exchange) = &mut **way {
                    out.extend(exchange.on_packet(packet, now));
                }
            }
            _ => {}
        }
        self.actions.extend(out.into_iter().map(Action::ToGateway));
    }

    /// A gateway that announces itself has restarted and may have lost its mappings; one that was silent may
    /// answer now.
    fn on_announced(&mut self, packet: &[u8], now: Moment) {
        let is_known =
            pcp::Answer::decode(packet).is_some() || super::natpmp::Answer::decode(packet).is_some();
        let is_due = self.announced.is_none_or(|last| now - last >= MIN_ANNOUNCE_INTERVAL);
        if !is_known || !is_due {
            return;
        }
        // Its epoch time is not looked at: some gateways send the uptime of the machine, which goes on.
        let due = match &mut self.stage {
            Stage::Mapped { renew: Some(renew), .. } => renew,
            Stage::Waiting { until } => until,
            _ => return,
        };
        (*due, self.announced) = (now, Some(now));
    }

    /// Runs a step of the UPnP attempt, if there is one.
    fn with_upnp(&mut self, act: impl FnOnce(&mut Upnp, &mut Vec<Order>)) {
        let upnp = match &mut self.stage {
            Stage::Asking(attempt) => attempt.upnp.as_mut(),
            Stage::Mapped { way, .. } | Stage::Closing { way, .. } => match &mut **way {
                Way::Upnp(upnp) => Some(upnp),
                Way::Exchange(..) => None,
            },
            _ => None,
        };
        if let Some(upnp) = upnp {
            let mut orders = Vec::new();
            act(upnp, &mut orders);
            self.carry_out(orders);
        }
    }

    fn carry_out(&mut self, orders: Vec<Order>) {
        self.actions.extend(orders.into_iter().map(|order| match order {
            Order::Search(to, datagram) => Action::Search(to, datagram),
            Order::Request(to, request) => Action::Request(to, request),
            Order::HangUp => Action::HangUp,
        }));
    }

    /// Does what is due.
    fn advance(&mut self, now: Moment) {
        self.expire(now);
        match &mut self.stage {
            Stage::Asking(_) => self.advance_attempt(now),
            Stage::Mapped { .. } => self.advance_mapped(now),
            Stage::Waiting { until } if *until <= now => self.ask_again(),
            Stage::Closing { way, until } => {
                let mut orders = Vec::new();
                let is_closed = match &mut **way {
                    Way::Exchange(_, exchange) => {
                        self.actions.extend(exchange.poll(now).into_iter().map(Action::ToGateway));
                        exchange.is_closed()
                    }
                    Way::Upnp(upnp) => {
                        upnp.poll(now, &mut orders);
                        upnp.is_closed()
                    }
                };
                if is_closed || *until <= now {
                    self.stage = Stage::Over;
                }
                self.carry_out(orders);
            }
            _ => {}
        }
    }

    /// Reports a mapping as gone when its lease is over.
    fn expire(&mut self, now: Moment) {
        let is_renewed = matches!(self.stage, Stage::Mapped { .. } | Stage::Closing { .. } | Stage::Over);
        if !is_renewed && self.told.is_some_and(|(_, until)| until <= now) {
            self.told = None;
            self.has_failed = true;
            self.actions.push_back(Action::Failed("the gateway does not renew the mapping".to_owned()));
        }
    }

    fn advance_attempt(&mut self, now: Moment) {
        let (random_port, suggested, sources) = (self.random_port(), self.suggested(), self.sources());
        let (Stage::Asking(attempt), Some(network)) = (&mut self.stage, self.network) else { return };
        let asked = Asked { network, ports: self.setup.ports, suggested, sources, random_port };
        let (packets, orders) = attempt.poll(&asked, now);
        let (winner, has_failed) = (attempt.winner(), attempt.has_failed(now));
        self.actions.extend(packets.into_iter().map(Action::ToGateway));
        self.carry_out(orders);
        if let Some((method, granted)) = winner {
            self.win(method, granted, now);
        } else if has_failed {
            self.give_up(now);
        }
    }

    /// One protocol was granted a mapping; the attempts of the others end.
    fn win(&mut self, method: PortMapMethod, granted: Granted, now: Moment) {
        let Stage::Asking(attempt) = std::mem::replace(&mut self.stage, Stage::Finding) else { return };
        let Attempt { pcp, nat_pmp, upnp, .. } = *attempt;
        let mut ways: Vec<Way> = vec![Way::Exchange(PortMapMethod::Pcp, pcp)];
        ways.extend(nat_pmp.map(|one| Way::Exchange(PortMapMethod::NatPmp, one)));
        ways.extend(upnp.map(Way::Upnp));
        let Some(at) = ways.iter().position(|way| way.method() == method) else { return };
        let winner = ways.swap_remove(at);
        for way in ways {
            match way {
                // A mapping that may yet be granted is removed: one request, as its lease ends it too.
                Way::Exchange(_, mut exchange) => {
                    exchange.close(now);
                    self.actions.extend(exchange.poll(now).into_iter().map(Action::ToGateway));
                }
                Way::Upnp(_) => self.actions.push_back(Action::HangUp),
            }
        }
        self.actions.push_back(Action::EndSearch);
        self.stage =
            Stage::Mapped { way: Box::new(winner), renew: Some(now + renewal_interval(granted.lease)) };
        self.tell(method, granted, now);
    }

    fn tell(&mut self, method: PortMapMethod, granted: Granted, now: Moment) {
        let Granted { tcp, udp, ip, lease } = granted;
        let public = ip.filter(|ip| igd::is_public(*ip));
        let outer_nat = ip.filter(|ip| !igd::is_public(*ip) && !ip.is_unspecified() && !ip.is_multicast());
        let mapping = PortMapping { method, external_ip: public, tcp, udp, lease, outer_nat };
        let is_known = self.told.is_some_and(|(told, _)| PortMapping { lease, ..told } == mapping);
        let until = now + if lease.is_zero() { Duration::MAX } else { lease };
        self.told = Some((mapping, until));
        (self.failures, self.has_failed) = (0, false);
        if !is_known {
            self.actions.push_back(Action::Mapped(mapping));
        }
    }

    fn advance_mapped(&mut self, now: Moment) {
        let Stage::Mapped { way, renew } = &mut self.stage else { return };
        let mut orders = Vec::new();
        let is_due = renew.is_some_and(|renew| renew <= now);
        if is_due {
            *renew = None;
        }
        match &mut **way {
            Way::Exchange(_, exchange) => {
                if is_due {
                    exchange.renew(now);
                }
                self.actions.extend(exchange.poll(now).into_iter().map(Action::ToGateway));
            }
            Way::Upnp(upnp) => {
                if is_due {
                    upnp.renew(now, &mut orders);
                }
                upnp.poll(now, &mut orders);
            }
        }
        let (method, progress, is_under_way) = (way.method(), way.progress().clone(), renew.is_none());
        let mut is_lost = false;
        match progress {
            Progress::Granted(granted) if is_under_way => {
                *renew = Some(now + renewal_interval(granted.lease));
                self.tell(method, granted, now);
            }
            Progress::Silent | Progress::Refused(_) => is_lost = true,
            _ => {}
        }
        self.carry_out(orders);
        if is_lost {
            self.ask_again();
        }
    }

    /// Starts an attempt with the search for the gateway.
    fn ask_again(&mut self) {
        self.stage = Stage::Finding;
        self.actions.extend([Action::HangUp, Action::EndSearch, Action::FindNetwork]);
    }

    /// All protocols have failed.
    fn give_up(&mut self, now: Moment) {
        let Stage::Asking(attempt) = &self.stage else { return };
        let why = attempt.why();
        self.fail(why, now);
    }

    fn fail(&mut self, why: String, now: Moment) {
        let wait = FIRST_RETRY.saturating_mul(1 << self.failures.min(16)).min(MAX_RETRY);
        self.failures += 1;
        self.stage = Stage::Waiting { until: now + wait };
        self.actions.extend([Action::HangUp, Action::EndSearch]);
        // While the lease of the last mapping runs there is nothing to report.
        if self.told.is_none() && !self.has_failed {
            self.has_failed = true;
            self.actions.push_back(Action::Failed(why));
        }
    }

    /// Removes every mapping that the gateway may hold.
    fn stop(&mut self, now: Moment) {
        let mut ways = Vec::new();
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Asking(attempt) => {
                let Attempt { pcp, nat_pmp, upnp, .. } = *attempt;
                ways.push(Way::Exchange(PortMapMethod::Pcp, pcp));
                ways.extend(nat_pmp.map(|one| Way::Exchange(PortMapMethod::NatPmp, one)));
                ways.extend(upnp.filter(Upnp::may_hold).map(Way::Upnp));
            }
            Stage::Mapped { way, .. } => ways.push(*way),
            _ => {}
        }
        for mut way in ways {
            let mut orders = Vec::new();
            let is_closing = match &mut way {
                Way::Exchange(_, exchange) => {
                    let is_closing = exchange.close(now);
                    self.actions.extend(exchange.poll(now).into_iter().map(Action::ToGateway));
                    is_closing
                }
                Way::Upnp(upnp) => {
                    orders.push(Order::HangUp);
                    upnp.close(now, &mut orders);
                    !upnp.is_closed()
                }
            };
            self.carry_out(orders);
            // The last of several protocols matters most: its mapping may be permanent.
            if is_closing {
                self.stage = Stage::Closing { way: Box::new(way), until: now + CLOSING_TIME };
            }
        }
    }
}

#[cfg(test)]
mod tests;
