//! Mappers against routers, in virtual time: what real routers do, and what no router should.

use std::collections::BTreeMap;

use super::super::Protocol;
use super::super::igd::tests::DESCRIPTION;
use super::*;
mod router;

use self::router::*;

const BOTH: [(u8, u16, u16); 2] = [(6, 6881, 6881), (17, 6881, 6881)];

#[test]
fn each_way_alone_maps_within_a_second_keeps_it_and_removes_it() {
    for (method, router) in [
        (PortMapMethod::Pcp, Router { pcp: true, nat_pmp: true, upnp: true, ..Router::default() }),
        (PortMapMethod::NatPmp, Router { nat_pmp: true, upnp: true, ..Router::default() }),
        (PortMapMethod::Upnp, Router { upnp: true, ..Router::default() }),
        (PortMapMethod::Upnp, Router { upnp: true, swallows: true, ..Router::default() }),
    ] {
        let mut world = MappedHost::new(router);
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
        let mut world = MappedHost::new(router);
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
        let mut world = MappedHost::new(router);
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
    let mut permanent = MappedHost::new(Router { permanent_only: true, ..upnp() });
    permanent.run(100);
    assert_eq!(permanent.only_mapping().lease, Duration::ZERO);
    permanent.run(10_000);
    assert_eq!(permanent.leads(), BOTH);
    permanent.stop();
    assert_eq!(permanent.leads(), []);

    for code in [718, 501] {
        let mut conflict = MappedHost::new(Router { errors: [code, code].into(), ..upnp() });
        conflict.run(1);
        let mapping = conflict.only_mapping();
        assert!((40_000..50_010).contains(&mapping.tcp) && mapping.udp == Some(mapping.tcp), "{mapping:?}");
    }

    let mut short = MappedHost::new(Router { max_lease: Some(30), ..upnp() });
    for second in 1..600 {
        short.run(second);
        assert_eq!(short.leads(), BOTH, "at {second} s");
    }
    assert_eq!(short.only_mapping().lease, Duration::from_secs(30));

    let mut double = MappedHost::new(Router { private: true, ..upnp() });
    double.run(1);
    let mapping = double.only_mapping();
    assert_eq!((mapping.external_ip, mapping.outer_nat), (None, Some([192, 168, 100, 2].into())));

    let mut disconnected = MappedHost::new(Router { disconnected: true, ..upnp() });
    disconnected.run(11);
    assert_eq!(disconnected.failed[0].1, "the gateway maps no port by UPnP: it is not connected");

    let mut refused = MappedHost::new(Router { errors: vec![606; 100].into(), ..upnp() });
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
        let mut world = MappedHost::new(router);
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
    let mut world = MappedHost::new(Router { pcp: true, ..Router::default() });
    world.run(100);
    let announce = |epoch: u8| {
        let mut packet = [0; 24];
        (packet[0], packet[1], packet[11]) = (2, 0x80, epoch);
        packet
    };
    let asked_by = |world: &mut MappedHost, packet: &[u8]| {
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
    let mut world = MappedHost::new(Router { swallows: true, ..Router::default() });
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
    let mut world = MappedHost::new(Router { pcp: true, ..Router::default() });
    world.has_network = false;
    world.run(40);
    assert_eq!(world.failed[0].1, "there is none");
    world.has_network = true;
    world.run(200);
    assert_eq!((world.failed.len(), world.mapped.len()), (1, 1));
}

#[test]
fn a_mapping_that_cannot_be_renewed_is_told_to_have_gone_when_its_lease_is_over() {
    let mut world = MappedHost::new(Router { upnp: true, ..Router::default() });
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
    let mut world = MappedHost::new(Router { pcp: true, upnp: true, refuses: 2, ..Router::default() });
    world.run(1);
    assert_eq!(world.only_mapping().method, PortMapMethod::Upnp);
    let mut alone = MappedHost::new(Router { pcp: true, nat_pmp: true, refuses: 2, ..Router::default() });
    alone.run(11);
    assert_eq!(alone.failed[0].1, "the gateway maps no port by NAT-PMP: it is set to refuse mappings");
}

/// The mapper is stopped at any moment of its life: nothing stays behind that it knows of.
#[test]
fn whenever_it_is_stopped_it_removes_what_it_made() {
    for router in 0..3 {
        for millis in [0, 1, 250, 499, 500, 501, 1000, 50_000, 300_000, 301_000] {
            let mut world = MappedHost::new(Router {
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
    let mut world = MappedHost::new(Router { nat_pmp: true, ..Router::default() });
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
    let mut world = MappedHost::new(Router::default());
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
