//! Mappers against routers, in virtual time: what real routers do, and what no router should.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;

use super::super::Protocol;
use super::super::igd::tests::DESCRIPTION;
use super::*;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 77, 10));
const GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 77, 1));
const EXTERNAL: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 17, 0, 1));
const LOCAL_V6: &str = "2001:db8::10";
const GATEWAY_V6: &str = "fe80::1";

/// A router, as far as it matters here.
#[derive(Default)]
struct Router {
    pcp: bool,
    nat_pmp: bool,
    upnp: bool,
    /// Whether port 5351 is open, so that nothing tells that no one listens there.
    swallows: bool,
    /// By protocol and external port: where it leads to, and until when.
    mappings: BTreeMap<(u8, u16), (u16, Moment)>,
    /// External ports of UDP that are taken.
    taken_udp: Vec<u16>,
    /// Errors of UPnP that the next additions are answered with.
    errors: VecDeque<u32>,
    /// Whether every lease is answered with error 725.
    permanent_only: bool,
    /// Longest lease it gives without saying so.
    max_lease: Option<u64>,
    private: bool,
    disconnected: bool,
    /// Results of PCP and NAT-PMP that all requests are answered with.
    refuses: u8,
    http_port: u16,
    started: Moment,
    searches: usize,
    requests: Vec<String>,
}

enum Delivered {
    FromGateway(Vec<u8>),
    Refused,
    Search(Vec<u8>),
    Answered(Result<Answer, Failure>),
}

fn between<'a>(text: &'a str, name: &str) -> &'a str {
    text.split_once(&format!("<{name}>"))
        .and_then(|(_, rest)| rest.split_once('<'))
        .map_or("", |(inside, _)| inside)
}

impl Router {
    fn external(&self) -> IpAddr {
        if self.private { [192, 168, 100, 2].into() } else { EXTERNAL }
    }

    /// Grants a mapping, or removes it; the external port and lifetime.
    fn map(&mut self, protocol: u8, internal: u16, suggested: u16, lifetime: u32, now: Moment) -> (u16, u32) {
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

    fn on_packet(&mut self, packet: &[u8], now: Moment) -> Option<Delivered> {
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

    fn on_search(&mut self) -> Option<Delivered> {
        self.searches += 1;
        let text =
            format!("HTTP/1.1 200 OK\r\nLOCATION: http://192.168.77.1:{}/d.xml\r\n\r\n", self.http_port);
        self.upnp.then(|| Delivered::Search(text.into_bytes()))
    }

    fn on_request(&mut self, to: SocketAddr, request: &[u8], now: Moment) -> Result<Answer, Failure> {
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

struct World {
    mapper: PortMapper,
    router: Router,
    now: Moment,
    mapped: Vec<(Moment, PortMapping)>,
    failed: Vec<(Moment, String)>,
    /// Moments at which the mapper was woken by time alone.
    wakes: Vec<Moment>,
    has_network: bool,
    is_cut_off: bool,
}

fn setup(ipv6: bool) -> Setup {
    Setup { ipv6, ports: Ports { tcp: 6881, udp: Some(6881) }, nonce: || [7; 12] }
}

impl World {
    fn new(router: Router) -> World {
        World {
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
    fn settle(&mut self) {
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
    fn run(&mut self, until: u64) {
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

    fn stop(&mut self) {
        self.mapper.handle(Input::Stop, self.now);
        self.settle();
    }

    /// Lives until all is over.
    fn end(&mut self) {
        let begun = self.now;
        while let Some(deadline) = self.mapper.deadline() {
            self.now = deadline;
            self.mapper.handle(Input::Tick, deadline);
            self.settle();
        }
        assert!(self.mapper.is_over() && self.now - begun <= CLOSING_TIME);
    }

    fn only_mapping(&self) -> PortMapping {
        assert_eq!((self.mapped.len(), self.failed.len()), (1, 0), "{:?} {:?}", self.mapped, self.failed);
        self.mapped[0].1
    }

    fn leads(&self) -> Vec<(u8, u16, u16)> {
        let live = self.router.mappings.iter().filter(|(_, (_, until))| *until > self.now);
        live.map(|((protocol, external), (internal, _))| (*protocol, *external, *internal)).collect()
    }
}

const BOTH: [(u8, u16, u16); 2] = [(6, 6881, 6881), (17, 6881, 6881)];

#[test]
fn each_way_alone_maps_within_a_second_keeps_it_and_removes_it() {
    for (method, router) in [
        (PortMapMethod::Pcp, Router { pcp: true, nat_pmp: true, upnp: true, ..Router::default() }),
        (PortMapMethod::NatPmp, Router { nat_pmp: true, upnp: true, ..Router::default() }),
        (PortMapMethod::Upnp, Router { upnp: true, ..Router::default() }),
        (PortMapMethod::Upnp, Router { upnp: true, swallows: true, ..Router::default() }),
    ] {
        let mut world = World::new(router);
        world.run(1);
        let mapping = world.only_mapping();
        assert_eq!((mapping.method, mapping.external_ip), (method, Some(EXTERNAL)));
        assert_eq!((mapping.tcp, mapping.udp, mapping.outer_nat), (6881, Some(6881), None));
        for second in 2..3600 {
            world.run(second);
            assert_eq!(world.leads(), BOTH, "{method} at {second} s");
        }
        assert_eq!(world.mapped.len(), 1, "it is told once");
        world.stop();
        assert_eq!(world.leads(), [], "{method}");
        assert!(world.mapper.is_over() && world.mapper.deadline().is_none());
    }
}

#[test]
fn while_mapped_nothing_wakes_but_renewals() {
    for router in [Router { pcp: true, ..Router::default() }, Router { upnp: true, ..Router::default() }] {
        let mut world = World::new(router);
        world.run(10);
        world.wakes.clear();
        world.run(10 + 3600);
        assert!(world.wakes.len() <= 73, "{} wakes an hour", world.wakes.len());
    }
}

#[test]
fn the_same_external_port_is_had_for_tcp_and_udp() {
    for router in [
        Router { pcp: true, taken_udp: vec![6881], ..Router::default() },
        Router { nat_pmp: true, taken_udp: vec![6881, 6882], ..Router::default() },
        Router { upnp: true, taken_udp: vec![6881], ..Router::default() },
    ] {
        let mut world = World::new(router);
        world.run(2);
        let mapping = world.only_mapping();
        assert_eq!(Some(mapping.tcp), mapping.udp);
        assert_ne!(mapping.tcp, 6881);
        assert_eq!(world.leads(), [(6, mapping.tcp, 6881), (17, mapping.tcp, 6881)]);
        world.run(4000);
        assert_eq!(world.leads(), [(6, mapping.tcp, 6881), (17, mapping.tcp, 6881)]);
        world.stop();
        assert_eq!(world.leads(), []);
    }
}

#[test]
fn the_oddities_of_upnp_routers_are_met() {
    let upnp = || Router { upnp: true, ..Router::default() };
    let mut permanent = World::new(Router { permanent_only: true, ..upnp() });
    permanent.run(100);
    assert_eq!(permanent.only_mapping().lease, Duration::ZERO);
    permanent.run(10_000);
    assert_eq!(permanent.leads(), BOTH);
    permanent.stop();
    assert_eq!(permanent.leads(), []);

    for code in [718, 501] {
        let mut conflict = World::new(Router { errors: [code, code].into(), ..upnp() });
        conflict.run(1);
        let mapping = conflict.only_mapping();
        assert!((40_000..50_010).contains(&mapping.tcp) && mapping.udp == Some(mapping.tcp), "{mapping:?}");
    }

    let mut short = World::new(Router { max_lease: Some(30), ..upnp() });
    for second in 1..600 {
        short.run(second);
        assert_eq!(short.leads(), BOTH, "at {second} s");
    }
    assert_eq!(short.only_mapping().lease, Duration::from_secs(30));

    let mut double = World::new(Router { private: true, ..upnp() });
    double.run(1);
    let mapping = double.only_mapping();
    assert_eq!((mapping.external_ip, mapping.outer_nat), (None, Some([192, 168, 100, 2].into())));

    let mut disconnected = World::new(Router { disconnected: true, ..upnp() });
    disconnected.run(11);
    assert_eq!(disconnected.failed[0].1, "the gateway maps no port by UPnP: it is not connected");

    let mut refused = World::new(Router { errors: vec![606; 100].into(), ..upnp() });
    refused.run(11);
    assert!(
        refused.failed[0].1.contains("it does not authorise mappings (error 606)"),
        "{:?}",
        refused.failed
    );
}

#[test]
fn a_router_that_lost_its_mappings_is_asked_again_within_a_minute() {
    for router in [
        Router { pcp: true, ..Router::default() },
        Router { nat_pmp: true, ..Router::default() },
        Router { upnp: true, ..Router::default() },
    ] {
        let mut world = World::new(router);
        world.run(100);
        world.router.mappings.clear();
        world.run(160);
        assert_eq!(world.leads(), BOTH);
        assert_eq!(world.mapped.len(), 1, "it is the same as before");
        // Now it is another program on another port, that takes its time to start.
        (world.is_cut_off, world.router.http_port, world.router.started) = (true, 5001, world.now);
        world.router.mappings.clear();
        world.run(163);
        world.is_cut_off = false;
        world.run(223);
        assert_eq!(world.leads(), BOTH);
        assert!(world.failed.is_empty());
    }
}

#[test]
fn a_restart_that_is_announced_is_followed_at_once() {
    let mut world = World::new(Router { pcp: true, ..Router::default() });
    world.run(100);
    let announce = |epoch: u8| {
        let mut packet = [0; 24];
        (packet[0], packet[1], packet[11]) = (2, 0x80, epoch);
        packet
    };
    let asked_by = |world: &mut World, packet: &[u8]| {
        world.router.mappings.clear();
        world.mapper.handle(Input::Announced(packet), world.now);
        world.settle();
        !world.leads().is_empty()
    };
    assert!(!asked_by(&mut world, b"nonsense"));
    assert!(asked_by(&mut world, &announce(0)));
    world.run(110);
    assert!(asked_by(&mut world, &announce(110)), "some tell the time of the machine, which goes on");
    // Announces without end are not followed without end.
    assert!(!(0..100).any(|_| asked_by(&mut world, &announce(0))));
}

#[test]
fn a_silent_network_costs_one_line_and_ever_rarer_attempts() {
    let mut world = World::new(Router { swallows: true, ..Router::default() });
    world.run(11);
    assert_eq!(world.failed.len(), 1);
    assert!(world.failed[0].1.starts_with("the gateway answers neither PCP, NAT-PMP nor UPnP"));
    assert!(world.failed[0].0 <= Moment::from_secs(10));
    world.run(24 * 3600);
    assert_eq!((world.failed.len(), world.mapped.len()), (1, 0));
    let late = world.wakes.iter().filter(|at| **at > Moment::from_secs(12 * 3600)).count();
    assert!(late < 13 * 30, "{late} wakes in half a day");
    // Then it learns.
    world.router.upnp = true;
    world.run(26 * 3600);
    assert_eq!(world.mapped.len(), 1);
}

#[test]
fn a_network_that_is_late_is_found() {
    let mut world = World::new(Router { pcp: true, ..Router::default() });
    world.has_network = false;
    world.run(40);
    assert_eq!(world.failed[0].1, "there is none");
    world.has_network = true;
    world.run(200);
    assert_eq!((world.failed.len(), world.mapped.len()), (1, 1));
}

#[test]
fn a_mapping_that_cannot_be_renewed_is_told_to_have_gone_when_its_lease_is_over() {
    let mut world = World::new(Router { upnp: true, ..Router::default() });
    world.run(100);
    world.is_cut_off = true;
    world.run(500);
    assert!(world.failed.is_empty(), "its lease holds");
    world.run(1000);
    assert_eq!(world.failed.len(), 1);
    assert!(world.failed[0].0 >= Moment::from_secs(600));
    world.is_cut_off = false;
    world.run(8000);
    assert_eq!(world.mapped.len(), 2);
}

#[test]
fn a_refusal_of_one_way_leads_to_the_next_at_once() {
    let mut world = World::new(Router { pcp: true, upnp: true, refuses: 2, ..Router::default() });
    world.run(1);
    assert_eq!(world.only_mapping().method, PortMapMethod::Upnp);
    let mut alone = World::new(Router { pcp: true, nat_pmp: true, refuses: 2, ..Router::default() });
    alone.run(11);
    assert_eq!(alone.failed[0].1, "the gateway maps no port by NAT-PMP: it is set to refuse mappings");
}

/// The mapper is stopped at any moment of its life: nothing stays behind that it knows of.
#[test]
fn whenever_it_is_stopped_it_removes_what_it_made() {
    for router in 0..3 {
        for millis in [0, 1, 250, 499, 500, 501, 1000, 50_000, 300_000, 301_000] {
            let mut world = World::new(Router {
                pcp: router == 0,
                nat_pmp: router == 1,
                upnp: router == 2,
                swallows: true,
                ..Router::default()
            });
            world.settle();
            let until = Moment::from_millis(millis);
            while let Some(deadline) = world.mapper.deadline().filter(|deadline| *deadline <= until) {
                world.now = deadline;
                world.mapper.handle(Input::Tick, deadline);
                world.settle();
            }
            world.stop();
            world.end();
            assert_eq!(world.leads(), [], "{router} at {millis}");
        }
    }
}

#[test]
fn a_gateway_that_does_not_answer_the_end_is_not_waited_for() {
    let mut world = World::new(Router { nat_pmp: true, ..Router::default() });
    world.run(5);
    world.is_cut_off = true;
    world.stop();
    assert!(!world.mapper.is_over());
    world.end();
}

/// A gateway over IPv6 is asked by PCP, and by UPnP for pinholes.
#[test]
fn over_ipv6_pinholes_are_opened_renewed_and_closed() {
    let mut mapper = PortMapper::new(setup(true), Random::seeded(1));
    let (local, gateway): (IpAddr, IpAddr) = (LOCAL_V6.parse().unwrap(), GATEWAY_V6.parse().unwrap());
    let mut now = Moment::START;
    let (mut open, mut next_id, mut mapped, mut renewed) = (BTreeMap::new(), 1, Vec::new(), 0);
    let mut has_stopped = false;
    while !mapper.is_over() {
        while let Some(action) = mapper.poll_action() {
            match action {
                Action::FindNetwork => mapper.handle(Input::Network(Ok(Network { local, gateway })), now),
                Action::ToGateway(packet) => assert_eq!(packet[0], 2, "NAT-PMP is of IPv4 alone"),
                Action::Search(..) => {
                    let answer = b"HTTP/1.1 200 OK\r\nLocation: http://[fe80::1%25lan]:5000/d.xml\r\n\r\n";
                    mapper.handle(Input::SearchAnswer(gateway, answer), now);
                }
                Action::Request(to, request) => {
                    assert_eq!(to, SocketAddr::new(gateway, 5000));
                    let text = String::from_utf8(request).unwrap();
                    let id: u16 = between(&text, "UniqueID").parse().unwrap_or(0);
                    let body = if text.starts_with("GET") {
                        DESCRIPTION.to_owned()
                    } else if text.contains("#AddPinhole\"") {
                        assert_eq!(between(&text, "InternalClient"), LOCAL_V6);
                        open.insert(next_id, between(&text, "Protocol").to_owned());
                        next_id += 1;
                        format!("<UniqueID>{}</UniqueID>", next_id - 1)
                    } else if text.contains("#UpdatePinhole\"") {
                        renewed += 1;
                        assert!(open.contains_key(&id));
                        String::new()
                    } else {
                        assert!(text.contains("#DeletePinhole\"") && open.remove(&id).is_some());
                        String::new()
                    };
                    mapper.handle(Input::Answered(Ok(Answer { status: 200, body })), now);
                }
                Action::Mapped(mapping) => mapped.push(mapping),
                Action::Failed(why) => panic!("{why}"),
                Action::HangUp | Action::EndSearch => {}
            }
        }
        match mapper.deadline() {
            Some(deadline) if deadline < Moment::from_secs(120) => {
                now = deadline;
                mapper.handle(Input::Tick, now);
            }
            _ if !has_stopped => {
                assert_eq!(open.values().collect::<Vec<_>>(), ["6", "17"]);
                has_stopped = true;
                mapper.handle(Input::Stop, now);
            }
            _ => {}
        }
    }
    assert!(open.is_empty() && renewed == 4, "{renewed}");
    assert_eq!((mapped.len(), mapped[0].external_ip, mapped[0].tcp), (1, Some(local), 6881));
}

/// Whatever a hostile gateway says, and in whatever order: no panic, no request to another host, nothing told
/// that the world must not hear, and an end.
#[test]
fn any_answers_in_any_order_are_survived() {
    for seed in 0..300 {
        let mut random = Random::seeded(seed);
        let mut mapper = PortMapper::new(setup(false), Random::seeded(seed));
        let mut now = Moment::START;
        let mut requests = 0;
        for _ in 0..400 {
            while let Some(action) = mapper.poll_action() {
                match action {
                    Action::FindNetwork => {
                        let network = Network { local: LOCAL, gateway: GATEWAY };
                        mapper.handle(Input::Network(Ok(network)), now);
                    }
                    Action::Request(to, request) => {
                        assert_eq!(to.ip(), GATEWAY);
                        assert!(request.len() < 4096);
                        requests += 1;
                    }
                    Action::Mapped(mapping) => {
                        assert!(mapping.tcp != 0 && mapping.external_ip.is_none_or(igd::is_public));
                    }
                    Action::Failed(why) => assert!(why.len() < 200 && !why.contains('\n')),
                    _ => {}
                }
            }
            let mut bytes: Vec<u8> = (0..random.below(70)).map(|_| random.next_u64() as u8).collect();
            if let [version, opcode, ..] = bytes.as_mut_slice()
                && random.below(4) > 0
            {
                (*version, *opcode) = ([0, 2][random.below(2) as usize], 0x80 + random.below(4) as u8);
            }
            let body = [DESCRIPTION, "<UniqueID>7</UniqueID>", "<errorCode>718</errorCode>", "<a>", ""];
            let body = body[random.below(5) as usize].to_owned();
            let status = [200, 200, 500][random.below(3) as usize];
            let failure = [Failure::Refused, Failure::Slow, Failure::TooLong][random.below(3) as usize];
            let location =
                ["192.168.77.1:5000/", "127.0.0.1/", "192.168.77.1:80/x", ""][random.below(4) as usize];
            let search = format!("HTTP/1.1 200 OK\r\nLOCATION: http://{location}\r\n\r\n");
            let input = match random.below(9) {
                0 | 1 => Input::Tick,
                2 => Input::FromGateway(&bytes),
                3 => Input::GatewayRefused,
                4 => Input::Announced(&bytes),
                5 => Input::SearchAnswer([GATEWAY, EXTERNAL][random.below(2) as usize], search.as_bytes()),
                6 | 7 => Input::Answered(Ok(Answer { status, body })),
                _ => Input::Answered(Err(failure)),
            };
            now = now + Duration::from_millis(random.below(2000));
            mapper.handle(input, now);
        }
        assert!(requests < 1000);
        mapper.handle(Input::Stop, now);
        for _ in 0..20 {
            while mapper.poll_action().is_some() {}
            if let Some(deadline) = mapper.deadline() {
                now = now.max(deadline);
                mapper.handle(Input::Tick, now);
            }
        }
        assert!(mapper.is_over(), "seed {seed}");
    }
}

#[test]
fn ten_thousand_answers_to_a_search_are_four() {
    let mut world = World::new(Router::default());
    world.settle();
    for port in 1..10_000 {
        let text = format!("HTTP/1.1 200 OK\r\nLOCATION: http://192.168.77.1:{port}/\r\n\r\n");
        world.mapper.handle(Input::SearchAnswer(GATEWAY, text.as_bytes()), world.now);
    }
    let mut requests = 0;
    while !matches!(world.mapper.stage, Stage::Waiting { .. }) {
        while let Some(action) = world.mapper.poll_action() {
            if let Action::Request(..) = action {
                requests += 1;
                world.mapper.handle(Input::Answered(Err(Failure::Malformed)), world.now);
            }
        }
        world.now = world.mapper.deadline().unwrap();
        world.mapper.handle(Input::Tick, world.now);
    }
    assert_eq!(requests, 4);
}

/// Protocol numbers are those of IP.
#[test]
fn protocols_are_numbered_as_ip_has_them() {
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        assert_eq!(Protocol::from_number(protocol.number()), Some(protocol));
    }
    assert_eq!(Protocol::from_number(1), None);
}
