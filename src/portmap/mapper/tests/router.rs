//! A router in virtual time, and a mapper behind it.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;

use super::super::super::igd::tests::DESCRIPTION;
use super::super::*;

pub(super) const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 77, 10));
pub(super) const GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 77, 1));
pub(super) const EXTERNAL: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 17, 0, 1));
pub(super) const LOCAL_V6: &str = "2001:db8::10";
pub(super) const GATEWAY_V6: &str = "fe80::1";

/// A router, as far as it matters here.
#[derive(Default)]
pub(super) struct Router {
    pub(super) pcp: bool,
    pub(super) nat_pmp: bool,
    pub(super) upnp: bool,
    /// Whether port 5351 is open, so that nothing tells that no one listens there.
    pub(super) swallows: bool,
    /// By protocol and external port: where it leads to, and until when.
    pub(super) mappings: BTreeMap<(u8, u16), (u16, Moment)>,
    /// External ports of UDP that are taken.
    pub(super) taken_udp: Vec<u16>,
    /// Errors of UPnP that the next additions are answered with.
    pub(super) errors: VecDeque<u32>,
    /// Whether every lease is answered with error 725.
    pub(super) permanent_only: bool,
    /// Longest lease it gives without saying so.
    pub(super) max_lease: Option<u64>,
    pub(super) private: bool,
    pub(super) disconnected: bool,
    /// Results of PCP and NAT-PMP that all requests are answered with.
    pub(super) refuses: u8,
    pub(super) http_port: u16,
    pub(super) started: Moment,
    pub(super) searches: usize,
    pub(super) requests: Vec<String>,
}

pub(super) enum Delivered {
    FromGateway(Vec<u8>),
    Refused,
    Search(Vec<u8>),
    Answered(Result<Answer, Failure>),
}

pub(super) fn between<'a>(text: &'a str, name: &str) -> &'a str {
    text.split_once(&format!("<{name}>"))
        .and_then(|(_, rest)| rest.split_once('<'))
        .map_or("", |(inside, _)| inside)
}

impl Router {
    pub(super) fn external(&self) -> IpAddr {
        if self.private { [192, 168, 100, 2].into() } else { EXTERNAL }
    }

    /// Grants a mapping, or removes it; the external port and lifetime.
    pub(super) fn map(
        &mut self,
        protocol: u8,
        internal: u16,
        suggested: u16,
        lifetime: u32,
        now: Moment,
    ) -> (u16, u32) {
        let known = self.mappings.iter().find(|((one, _), (to, _))| (*one, *to) == (protocol, internal));
        let known = known.map(|((_, external), _)| *external);
        if lifetime == 0 {
            known.into_iter().for_each(|external| _ = self.mappings.remove(&(protocol, external)));
            return (0, 0);
        }
        let mut external = known.unwrap_or(suggested);
        while protocol == 17 && self.taken_udp.contains(&external) {
            external += 1;
        }
        self.mappings.insert((protocol, external), (internal, now + Duration::from_secs(lifetime.into())));
        (external, lifetime)
    }

    pub(super) fn on_packet(&mut self, packet: &[u8], now: Moment) -> Option<Delivered> {
        let epoch = ((now - self.started).as_secs() as u32).to_be_bytes();
        let half = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
        match packet[0] {
            2 if self.pcp => {
                let lifetime = u32::from_be_bytes(packet[4..8].try_into().unwrap());
                let (external, lifetime) = match self.refuses {
                    0 => self.map(packet[36], half(40), half(42), lifetime, now),
                    _ => (0, 30),
                };
                let mut answer = vec![2, 0x81, 0, self.refuses];
                answer.extend(lifetime.to_be_bytes());
                answer.extend(epoch);
                answer.extend([0; 12]);
                answer.extend(&packet[24..42]);
                answer.extend(external.to_be_bytes());
                answer.extend(Ipv4Addr::new(198, 17, 0, 1).to_ipv6_mapped().octets());
                Some(Delivered::FromGateway(answer))
            }
            0 if self.nat_pmp && packet.len() == 2 => {
                let IpAddr::V4(ip) = self.external() else { unreachable!() };
                Some(Delivered::FromGateway([&[0, 128, 0, 0][..], &epoch, &ip.octets()].concat()))
            }
            0 if self.nat_pmp => {
                let protocol = if packet[1] == 2 { 6 } else { 17 };
                let lifetime = u32::from_be_bytes(packet[8..12].try_into().unwrap());
                let (external, lifetime) = self.map(protocol, half(4), half(6), lifetime, now);
                let mut answer = vec![0, 0x80 | packet[1], 0, self.refuses];
                answer.extend(epoch);
                answer.extend(&packet[4..6]);
                answer.extend(external.to_be_bytes());
                answer.extend(lifetime.to_be_bytes());
                Some(Delivered::FromGateway(answer))
            }
            2 if self.nat_pmp => Some(Delivered::FromGateway([&[0, 0x81, 0, 1][..], &epoch].concat())),
            _ if self.swallows || self.pcp || self.nat_pmp => None,
            _ => Some(Delivered::Refused),
        }
    }

    pub(super) fn on_search(&mut self) -> Option<Delivered> {
        self.searches += 1;
        let text =
            format!("HTTP/1.1 200 OK\r\nLOCATION: http://192.168.77.1:{}/d.xml\r\n\r\n", self.http_port);
        self.upnp.then(|| Delivered::Search(text.into_bytes()))
    }

    pub(super) fn on_request(
        &mut self,
        to: SocketAddr,
        request: &[u8],
        now: Moment,
    ) -> Result<Answer, Failure> {
        assert_eq!(to.ip(), GATEWAY, "another host is asked");
        if to.port() != self.http_port || !self.upnp {
            return Err(Failure::Refused);
        }
        let text = String::from_utf8(request.to_vec()).unwrap();
        let ok = |body: String| Ok(Answer { status: 200, body });
        let fault = |code: u32| Ok(Answer { status: 500, body: format!("<errorCode>{code}</errorCode>") });
        if text.starts_with("GET ") {
            return ok(DESCRIPTION.to_owned());
        }
        let action = text.split_once('#').unwrap().1.split_once('"').unwrap().0.to_owned();
        self.requests.push(action.clone());
        let protocol = if between(&text, "NewProtocol") == "TCP" { 6 } else { 17 };
        let external: u16 = between(&text, "NewExternalPort").parse().unwrap_or(0);
        self.mappings.retain(|_, (_, until)| *until > now);
        match action.as_str() {
            "GetStatusInfo" if self.disconnected => {
                ok("<NewConnectionStatus>Disconnected</NewConnectionStatus>".to_owned())
            }
            "GetStatusInfo" => fault(401),
            "GetExternalIPAddress" => {
                ok(format!("<NewExternalIPAddress>{}</NewExternalIPAddress>", self.external()))
            }
            "AddPortMapping" => {
                let lease: u64 = between(&text, "NewLeaseDuration").parse().unwrap();
                if let Some(error) = self.errors.pop_front() {
                    return fault(error);
                }
                if self.permanent_only && lease != 0 {
                    return fault(725);
                }
                if protocol == 17 && self.taken_udp.contains(&external) {
                    return fault(718);
                }
                let lease = self.max_lease.map_or(lease, |most| most.min(lease));
                let until = now + if lease == 0 { Duration::MAX } else { Duration::from_secs(lease) };
                let internal = between(&text, "NewInternalPort").parse().unwrap();
                assert_eq!(between(&text, "NewInternalClient"), LOCAL.to_string());
                self.mappings.insert((protocol, external), (internal, until));
                ok(String::new())
            }
            "DeletePortMapping" => match self.mappings.remove(&(protocol, external)) {
                Some(_) => ok(String::new()),
                None => fault(714),
            },
            "GetSpecificPortMappingEntry" => match self.mappings.get(&(protocol, external)) {
                Some((internal, until)) => {
                    let left = if until.as_micros() == u64::MAX { 0 } else { (*until - now).as_secs() };
                    ok(format!(
                        "<NewInternalPort>{internal}</NewInternalPort><NewInternalClient>{LOCAL}\
                         </NewInternalClient><NewLeaseDuration>{left}</NewLeaseDuration>"
                    ))
                }
                None => fault(714),
            },
            other => panic!("{other}"),
        }
    }
}

pub(super) struct MappedHost {
    pub(super) mapper: PortMapper,
    pub(super) router: Router,
    pub(super) now: Moment,
    pub(super) mapped: Vec<(Moment, PortMapping)>,
    pub(super) failed: Vec<(Moment, String)>,
    /// Moments at which the mapper was woken by time alone.
    pub(super) wakes: Vec<Moment>,
    pub(super) has_network: bool,
    pub(super) is_cut_off: bool,
}

pub(super) fn setup(ipv6: bool) -> Setup {
    Setup { ipv6, ports: Ports { tcp: 6881, udp: Some(6881) }, nonce: || [7; 12] }
}

impl MappedHost {
    pub(super) fn new(router: Router) -> MappedHost {
        MappedHost {
            mapper: PortMapper::new(setup(false), Random::seeded(1)),
            router: Router { http_port: 5000, ..router },
            now: Moment::START,
            mapped: Vec::new(),
            failed: Vec::new(),
            wakes: Vec::new(),
            has_network: true,
            is_cut_off: false,
        }
    }

    /// Carries out what the mapper wants now.
    pub(super) fn settle(&mut self) {
        let mut steps = 0;
        while let Some(action) = self.mapper.poll_action() {
            steps += 1;
            assert!(steps < 500, "without end");
            let delivered = match action {
                Action::FindNetwork => {
                    let network = Network { local: LOCAL, gateway: GATEWAY };
                    let network =
                        if self.has_network { Ok(network) } else { Err("there is none".to_owned()) };
                    self.mapper.handle(Input::Network(network), self.now);
                    None
                }
                Action::ToGateway(_) | Action::Search(..) if self.is_cut_off => None,
                Action::Request(..) if self.is_cut_off => Some(Delivered::Answered(Err(Failure::Slow))),
                Action::ToGateway(packet) => self.router.on_packet(&packet, self.now),
                Action::Search(to, _) => {
                    assert!(to.ip() == GATEWAY || to.ip().is_multicast());
                    self.router.on_search()
                }
                Action::Request(to, request) => {
                    Some(Delivered::Answered(self.router.on_request(to, &request, self.now)))
                }
                Action::HangUp | Action::EndSearch => None,
                Action::Mapped(mapping) => {
                    self.mapped.push((self.now, mapping));
                    None
                }
                Action::Failed(why) => {
                    self.failed.push((self.now, why));
                    None
                }
            };
            match delivered {
                None => {}
                Some(Delivered::FromGateway(packet)) => {
                    self.mapper.handle(Input::FromGateway(&packet), self.now);
                }
                Some(Delivered::Refused) => self.mapper.handle(Input::GatewayRefused, self.now),
                Some(Delivered::Search(answer)) => {
                    self.mapper.handle(Input::SearchAnswer(GATEWAY, &answer), self.now);
                }
                Some(Delivered::Answered(answer)) => self.mapper.handle(Input::Answered(answer), self.now),
            }
        }
    }

    /// Lives until a second.
    pub(super) fn run(&mut self, until: u64) {
        let until = Moment::from_secs(until);
        self.settle();
        while let Some(deadline) = self.mapper.deadline().filter(|deadline| *deadline <= until) {
            assert!(deadline >= self.now || self.wakes.len() < 10_000, "it wakes without end");
            self.now = self.now.max(deadline);
            self.wakes.push(self.now);
            self.mapper.handle(Input::Tick, self.now);
            self.settle();
        }
        self.now = until;
    }

    pub(super) fn stop(&mut self) {
        self.mapper.handle(Input::Stop, self.now);
        self.settle();
    }

    /// Lives until all is over.
    pub(super) fn end(&mut self) {
        let begun = self.now;
        while let Some(deadline) = self.mapper.deadline() {
            self.now = deadline;
            self.mapper.handle(Input::Tick, deadline);
            self.settle();
        }
        assert!(self.mapper.is_over() && self.now - begun <= CLOSING_TIME);
    }

    pub(super) fn only_mapping(&self) -> PortMapping {
        assert_eq!((self.mapped.len(), self.failed.len()), (1, 0), "{:?} {:?}", self.mapped, self.failed);
        self.mapped[0].1
    }

    pub(super) fn leads(&self) -> Vec<(u8, u16, u16)> {
        let live = self.router.mappings.iter().filter(|(_, (_, until))| *until > self.now);
        live.map(|((protocol, external), (internal, _))| (*protocol, *external, *internal)).collect()
    }
}
