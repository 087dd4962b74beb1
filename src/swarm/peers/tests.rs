//! The peer list in virtual time.

use super::pauses::MAX_PAUSE;
use super::*;
use crate::violation::{DisconnectReason, Violation};
use crate::wire::pex::Flags;

fn list() -> PeerList {
    PeerList::new(false, Random::seeded(1))
}

fn at(addr: &str) -> SocketAddr {
    addr.parse().unwrap()
}

fn secs(secs: u64) -> Moment {
    Moment::from_secs(secs)
}

/// An address of many, all different.
fn nth(n: u32) -> SocketAddr {
    SocketAddr::from(((n + (20 << 24)).to_be_bytes(), 6881))
}

#[test]
fn an_address_is_known_once_in_whatever_form() {
    let mut list = list();
    assert!(list.add(at("192.0.2.1:6881"), Source::Pex, secs(0)));
    assert!(!list.add(at("[::ffff:192.0.2.1]:6881"), Source::Tracker, secs(0)));
    assert!(!list.add(at("192.0.2.1:0"), Source::Tracker, secs(0)));
    assert_eq!(list.counts().known, 1);
    assert_eq!(list.entries[&at("192.0.2.1:6881")].source, Source::Tracker, "the better word counts");
}

#[test]
fn private_torrents_hear_of_peers_from_their_tracker_only() {
    let mut list = PeerList::new(true, Random::seeded(1));
    for (n, source) in [Source::Pex, Source::Dht, Source::Lsd].into_iter().enumerate() {
        assert!(!list.add(nth(n as u32), source, secs(0)));
    }
    assert!(list.add(nth(1), Source::Tracker, secs(0)) && list.add(nth(2), Source::Given, secs(0)));
}

fn filter(ranges: &str) -> Arc<AddressFilter> {
    Arc::new(ranges.parse().unwrap())
}

#[test]
fn a_blocked_address_is_not_dialed_from_any_source() {
    let mut list = list();
    list.set_filter(filter("192.0.2.0/24"));
    let by = IpAddr::from([198, 51, 100, 1]);
    let sources = [Source::Given, Source::Tracker, Source::Lsd, Source::Incoming, Source::Dht, Source::Pex];
    for source in sources {
        for addr in ["192.0.2.1:6881", "[::ffff:192.0.2.1]:6881"] {
            assert!(!list.add(at(addr), source, secs(0)), "{addr} by {source:?}");
        }
    }
    assert!(!list.heard(at("192.0.2.2:6881"), Flags(0), by, secs(0)));
    assert!(list.add(at("192.0.3.0:6881"), Source::Pex, secs(0)));
    assert_eq!((list.counts().known, list.counts().blocked), (1, 13));
    assert_eq!(list.next_dial(secs(0)), Some(at("192.0.3.0:6881")));
    assert_eq!((list.next_dial(secs(9999)), list.deadline(secs(0))), (None, None));
}

#[test]
fn what_stands_for_a_name_is_dialed_where_the_user_or_a_tracker_named_it_and_is_in_no_list() {
    let mut list = list();
    list.set_filter(filter("0.0.0.0/0"));
    for source in [Source::Lsd, Source::Incoming, Source::Dht, Source::Pex] {
        assert!(!list.add(at("240.0.0.1:6881"), source, secs(0)), "{source:?}");
    }
    assert!(!list.add(at("240.1.0.0:6881"), Source::Given, secs(0)), "it stands for no name");
    assert!(list.add(at("240.0.0.1:6881"), Source::Given, secs(0)));
    assert!(list.add(at("240.0.0.2:6881"), Source::Tracker, secs(0)));
    assert_eq!(list.next_dial(secs(0)), Some(at("240.0.0.1:6881")));
}

#[test]
fn what_comes_to_be_blocked_stays_connected_and_is_not_dialed_again() {
    let mut list = list();
    let (waits, dialed, here, other) = (nth(1), nth(2), nth(3), nth(4));
    list.add(here, Source::Tracker, secs(0));
    list.next_dial(secs(0));
    list.connected(here, secs(0));
    list.add(dialed, Source::Tracker, secs(0));
    list.next_dial(secs(0));
    list.add(waits, Source::Tracker, secs(0));
    list.add(other, Source::Pex, secs(0));
    list.set_filter(filter("20.0.0.0-20.0.0.3"));
    assert_eq!((list.counts().known, list.counts().connected, list.counts().blocked), (3, 1, 1));
    list.ended(dialed, DisconnectReason::Unreachable, secs(1));
    list.ended(here, DisconnectReason::Lost, secs(1));
    assert_eq!(std::iter::from_fn(|| list.next_dial(secs(9999))).collect::<Vec<_>>(), [other]);
    // An address that is no longer blocked is known again once it is named.
    list.set_filter(Arc::default());
    assert!(list.add(waits, Source::Tracker, secs(1)));
}

#[test]
fn a_blocked_address_takes_no_place() {
    let mut list = list();
    let by = IpAddr::from([192, 0, 2, 9]);
    for n in 0..75 {
        assert!(list.heard(nth(n), Flags(0), by, secs(0)));
    }
    let failed = list.next_dial(secs(0)).unwrap();
    list.ended(failed, DisconnectReason::Unreachable, secs(0));
    list.set_filter(filter("20.1.0.0/16"));
    assert!(!list.heard(nth(1 << 16), Flags(0), by, secs(1)));
    assert_eq!(list.counts().known, 75);
    assert!(list.heard(nth(1 << 17), Flags(0), by, secs(1)), "one that failed makes way for it");
}

#[test]
fn a_flood_from_one_source_pushes_out_no_other() {
    let mut list = list();
    assert!(list.add(nth(1), Source::Tracker, secs(0)));
    let kept = (10..1_000).filter(|&n| list.add(nth(n), Source::Pex, secs(0))).count();
    assert_eq!(kept, 300);
    assert!(list.add(nth(2), Source::Tracker, secs(0)));
    let sources = [Source::Given, Source::Tracker, Source::Lsd, Source::Incoming];
    for (block, source) in sources.into_iter().chain([Source::Dht]).enumerate() {
        (0..1000).for_each(|n| {
            list.add(nth(200_000 + block as u32 * 10_000 + n), source, secs(0));
        });
    }
    assert_eq!(list.counts().known, 1800);
    // One that failed makes room for a new one of its source.
    let dialed = std::iter::from_fn(|| list.next_dial(secs(0))).last().unwrap();
    assert_eq!(list.entries[&dialed].source, Source::Pex);
    list.ended(dialed, DisconnectReason::Unreachable, secs(0));
    assert!(
        list.add(nth(1_000_000), Source::Pex, secs(0)) && !list.add(nth(1_000_001), Source::Pex, secs(0))
    );
}

#[test]
fn the_best_is_dialed_first_and_none_twice() {
    let mut list = list();
    let (pex, tracker, good) = (nth(1), nth(2), nth(3));
    list.add(pex, Source::Pex, secs(0));
    list.add(good, Source::Pex, secs(0));
    list.connected(good, secs(0));
    list.delivered(good);
    list.ended(good, DisconnectReason::Lost, secs(0));
    list.add(tracker, Source::Tracker, secs(0));
    let order: Vec<_> = std::iter::from_fn(|| list.next_dial(secs(10))).collect();
    assert_eq!(order, [good, tracker, pex]);
    assert_eq!((list.counts().dialing, list.deadline(secs(10))), (3, None));
}

#[test]
fn an_unreachable_address_is_tried_less_and_less_and_then_no_more() {
    let mut list = list();
    (0..20).for_each(|n| assert!(list.add(nth(n), Source::Tracker, secs(0))));
    let others: Vec<_> = (0..19).map(|_| list.next_dial(secs(0)).unwrap()).collect();
    let mut now = secs(0);
    let mut pauses = Vec::new();
    while let Some(addr) = list.next_dial(now) {
        list.ended(addr, DisconnectReason::Unreachable, now);
        let Some(due) = list.deadline(now) else { break };
        pauses.push((due - now).as_secs());
        now = due;
    }
    assert_eq!(pauses, [30, 60, 120, 240, 480]);
    // Among few it is kept.
    others[..10].iter().for_each(|&addr| list.ended(addr, DisconnectReason::WrongTorrent, now));
    for _ in 0..20 {
        now = list.deadline(now).unwrap_or(now);
        let addr = list.next_dial(now).unwrap_or(others[10]);
        list.ended(addr, DisconnectReason::Unreachable, now);
    }
    assert_eq!(list.counts().known, 9);
    assert_eq!(list.deadline(now), Some(now + MAX_PAUSE));
}

#[test]
fn how_it_ended_decides_when_it_is_called_again() {
    for (why, delivered, pause) in [
        (DisconnectReason::Unreachable, false, Some(30)),
        (DisconnectReason::Lost, false, Some(30)),
        (DisconnectReason::Lost, true, Some(10)),
        (DisconnectReason::Silent, true, Some(10)),
        (DisconnectReason::Crowded, false, Some(60)),
        (DisconnectReason::Duplicate, false, Some(600)),
        (DisconnectReason::Shutdown, false, Some(0)),
        (DisconnectReason::Ourselves, false, None),
        (DisconnectReason::WrongTorrent, false, None),
        (DisconnectReason::Violation(Violation::CorruptPiece), true, None),
    ] {
        let mut list = list();
        list.add(nth(1), Source::Tracker, secs(0));
        let addr = list.next_dial(secs(100)).unwrap();
        list.connected(addr, secs(100));
        assert_eq!((list.counts().connected, list.counts().dialing), (1, 0));
        if delivered {
            list.delivered(addr);
        }
        list.ended(addr, why, secs(100));
        assert_eq!(list.deadline(secs(100)), pause.map(|pause| secs(100 + pause)), "{why}");
        assert_eq!(list.add(addr, Source::Given, secs(100)) || pause.is_some(), pause.is_some());
        assert_eq!(list.counts().connected, 0);
    }
}

#[test]
fn a_peer_that_the_user_named_is_called_again_soon() {
    let mut list = list();
    list.add(nth(1), Source::Given, secs(0));
    let mut now = secs(0);
    let pauses: Vec<u64> = (0..7)
        .map(|_| {
            let addr = list.next_dial(now).unwrap();
            list.ended(addr, DisconnectReason::Lost, now);
            let due = list.deadline(now).unwrap();
            let pause = (due - now).as_secs();
            now = due;
            pause
        })
        .collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64]);
}

#[test]
fn seeds_are_called_only_while_we_lack_something() {
    let mut list = list();
    list.add(nth(1), Source::Tracker, secs(0));
    list.seeding(true);
    let addr = list.next_dial(secs(0)).unwrap();
    list.ended(addr, DisconnectReason::BothSeeds, secs(0));
    assert_eq!((list.deadline(secs(5)), list.next_dial(secs(9999))), (None, None));
    list.seeding(false);
    assert_eq!(list.next_dial(secs(9999)), Some(addr));
}

/// It hung up on us first, so that all we see is a lost connection; and others may name it again.
#[test]
fn one_that_had_everything_when_it_hung_up_is_not_called_by_a_seed_whatever_names_it() {
    let mut list = list();
    list.heard(nth(1), Flags(0), "192.0.2.9".parse().unwrap(), secs(0));
    let addr = list.next_dial(secs(0)).unwrap();
    list.connected(addr, secs(0));
    list.wants_nothing(addr);
    list.ended(addr, DisconnectReason::Lost, secs(0));
    list.add(addr, Source::Tracker, secs(1));
    list.seeding(true);
    assert_eq!(list.next_dial(secs(9999)), None);
    list.seeding(false);
    assert_eq!(list.next_dial(secs(9999)), Some(addr));
}

#[test]
fn a_caller_is_called_back_by_its_port_once_it_is_gone() {
    let mut list = list();
    let (from, listens) = (at("198.51.100.7:40000"), at("198.51.100.7:6881"));
    list.add(listens, Source::Pex, secs(0));
    assert!(list.accepted(from, secs(0)));
    list.listening_port(from, 6881, secs(0));
    assert_eq!(list.next_dial(secs(0)), None, "it is connected already");
    assert_eq!(list.counts(), Counts { known: 1, dialing: 0, connected: 1, banned: 0, blocked: 0 });
    list.ended(from, DisconnectReason::Lost, secs(0));
    assert_eq!(list.deadline(secs(0)), Some(secs(30)));
    // Without a port nothing remains of a caller.
    assert!(list.accepted(at("198.51.100.8:40000"), secs(0)));
    list.ended(at("198.51.100.8:40000"), DisconnectReason::Lost, secs(0));
    assert_eq!(list.counts(), Counts { known: 1, ..Counts::default() });
}

#[test]
fn two_calls_crossing_leave_the_one_that_stands() {
    let mut list = list();
    let (from, listens) = (at("198.51.100.7:40000"), at("198.51.100.7:6881"));
    list.add(listens, Source::Tracker, secs(0));
    assert_eq!(list.next_dial(secs(0)), Some(listens));
    assert!(list.accepted(from, secs(0)));
    list.listening_port(from, 6881, secs(0));
    list.ended(listens, DisconnectReason::Duplicate, secs(1));
    assert_eq!(list.deadline(secs(1)), None, "it is still connected");
    list.ended(from, DisconnectReason::Lost, secs(2));
    assert_eq!(list.deadline(secs(2)), Some(secs(32)));
}

#[test]
fn bans_are_by_port_then_by_host_but_never_of_this_machine() {
    let corrupt = Violation::CorruptPiece;
    let mut list = list();
    for host in ["203.0.113.5", "127.0.0.1"] {
        let peer = |port: u16| SocketAddr::new(host.parse().unwrap(), port);
        list.add(peer(3), Source::Tracker, secs(0));
        list.ban(peer(1), corrupt);
        list.ban(peer(1), corrupt);
        assert!(list.is_banned(peer(1)) && !list.is_banned(peer(2)));
        list.ban(peer(2), corrupt);
        let whole_host = host != "127.0.0.1";
        assert_eq!(list.is_banned(peer(3)), whole_host);
        assert_eq!(list.accepted(peer(4), secs(0)), !whole_host);
        assert!(!list.add(peer(2), Source::Given, secs(0)));
    }
    assert_eq!(list.counts().known, 1, "the entry of the banned host is gone");

    // A caller whose port says nothing takes its host with it; one that listens does not.
    let (caller, listener) = (at("203.0.113.6:40000"), at("203.0.113.7:40000"));
    assert!(list.accepted(caller, secs(0)) && list.accepted(listener, secs(0)));
    list.listening_port(listener, 6881, secs(0));
    list.ended(caller, DisconnectReason::Violation(corrupt), secs(0));
    list.ended(listener, DisconnectReason::Violation(corrupt), secs(0));
    assert!(list.is_banned(at("203.0.113.6:1")) && list.is_banned(at("[::ffff:203.0.113.6]:1")));
    assert!(list.is_banned(at("203.0.113.7:6881")) && !list.is_banned(at("203.0.113.7:1")));
}

#[test]
fn bans_are_bounded() {
    let mut list = list();
    (0..10_000).for_each(|n| list.ban(nth(n), Violation::Flood));
    assert_eq!(list.counts().banned, 4096);
    assert!(list.is_banned(nth(9_999)));
}

#[test]
fn canonical_priority_orders_the_calls_once_we_know_where_we_are() {
    let ours = at("198.51.100.1:6881");
    let mut list = list();
    (0..100).for_each(|n| _ = list.add(nth(n * 70_001), Source::Tracker, secs(0)));
    assert_eq!(list.priority(nth(0)), None);
    list.located(at("0.0.0.0:6881"));
    assert_eq!(list.priority(nth(0)), None, "that is nowhere");
    list.located(ours);
    // Those learned later are ranked among them, and those of another family by luck.
    (100..200).for_each(|n| _ = list.add(nth(n * 70_001), Source::Tracker, secs(0)));
    let called: Vec<SocketAddr> = std::iter::from_fn(|| list.next_dial(secs(0))).collect();
    let priorities: Vec<u32> = called.iter().map(|addr| priority(ours, *addr).unwrap()).collect();
    assert_eq!(priorities.len(), 200);
    assert!(priorities.is_sorted_by(|a, b| a >= b));
    assert!(list.add(at("[2001:db8::1]:6881"), Source::Tracker, secs(0)));
    assert!(list.next_dial(secs(0)).is_some());
}

#[test]
fn what_was_of_use_comes_before_priority() {
    let ours = at("198.51.100.1:6881");
    let mut list = list();
    list.located(ours);
    (0..50).for_each(|n| _ = list.add(nth(n * 70_001), Source::Tracker, secs(0)));
    let order: Vec<SocketAddr> = std::iter::from_fn(|| list.next_dial(secs(0))).collect();
    let last = *order.last().unwrap();
    list.connected(last, secs(0));
    list.delivered(last);
    order.iter().for_each(|addr| list.ended(*addr, DisconnectReason::Lost, secs(1)));
    assert_eq!(list.next_dial(secs(100)), Some(last));
}

#[test]
fn the_least_ranked_idle_one_makes_way_and_only_for_a_better() {
    let ours = at("198.51.100.1:6881");
    let mut ranked: Vec<SocketAddr> = (0..40).map(|n| nth(n * 70_001)).collect();
    ranked.sort_by_key(|addr| priority(ours, *addr));
    let mut list = list();
    let idle = || ranked[10..30].iter().rev().copied();
    assert_eq!(list.outranked(ranked[39], idle()), None, "where are we?");
    list.located(ours);
    assert_eq!(list.outranked(ranked[39], idle()), Some(ranked[10]));
    assert_eq!(list.outranked(ranked[11], idle()), Some(ranked[10]));
    assert_eq!(list.outranked(ranked[10], idle()), None);
    assert_eq!(list.outranked(ranked[5], idle()), None);
    assert_eq!(list.outranked(at("[2001:db8::1]:1"), idle()), None, "of another family");
    assert_eq!(list.outranked(ranked[39], std::iter::empty()), None);
}

const SOURCES: [Source; 6] =
    [Source::Given, Source::Tracker, Source::Lsd, Source::Incoming, Source::Dht, Source::Pex];

#[test]
fn a_flood_from_any_source_leaves_every_other_its_addresses_and_its_room() {
    for flood in SOURCES {
        for before in [true, false] {
            let mut list = list();
            let honest: Vec<_> = SOURCES.into_iter().filter(|source| *source != flood).collect();
            // 20 addresses of each other source, before the flood or after it.
            let name = |list: &mut PeerList| {
                for (at, source) in honest.iter().enumerate() {
                    for n in 0..20 {
                        assert!(list.add(nth(at as u32 * 100 + n), *source, secs(1)), "{flood:?} {source:?}");
                    }
                }
            };
            if before {
                name(&mut list);
            }
            // More than three times the largest room.
            for n in 0..2_000 {
                list.add(nth(1_000_000 + n), flood, secs(1));
            }
            if !before {
                name(&mut list);
            }
            for source in SOURCES {
                let kept = list.entries.values().filter(|entry| entry.source == source).count();
                let want = if source == flood { flood.room() } else { 20 };
                assert_eq!(kept, want, "{source:?} under a flood of {flood:?}");
            }
        }
    }
}

/// A tracker named a thousand and 600 were kept: a torrent that wanted more connections did not get them.
#[test]
fn trackers_may_name_as_many_as_there_are_to_be_connections() {
    for (wanted, kept) in [(100, 600), (1000, 1000), (10_000, MAX_FROM_TRACKERS)] {
        let mut list = list().for_connections(wanted);
        let added = (0..5000).filter(|&n| list.add(nth(n), Source::Tracker, secs(0))).count();
        assert_eq!((added, list.counts().known as usize), (kept, kept));
        assert!(list.add(nth(9000), Source::Lsd, secs(0)));
    }
}

#[test]
fn a_flood_does_not_take_over_what_a_better_source_named() {
    for (at, better) in SOURCES.into_iter().enumerate() {
        for worse in &SOURCES[at + 1..] {
            let mut list = list();
            list.add(nth(1), better, secs(0));
            list.add(nth(1), *worse, secs(0));
            assert_eq!(list.entries[&nth(1)].source, better);
        }
    }
}

#[test]
fn all_sources_together_stay_within_the_bound() {
    let mut list = list();
    for (at, source) in SOURCES.into_iter().enumerate() {
        (0..1000).for_each(|n| _ = list.add(nth(at as u32 * 10_000 + n), source, secs(0)));
    }
    assert_eq!(list.counts().known, SOURCES.map(Source::room).iter().sum::<usize>() as u32);
    assert!(list.counts().known <= 2000);
}

#[test]
fn callers_by_the_thousand_that_name_ports_fill_only_their_own_room() {
    let mut list = list();
    list.add(nth(1), Source::Tracker, secs(0));
    for n in 0..5000 {
        let from = nth(100 + n);
        assert!(list.accepted(from, secs(0)));
        list.listening_port(from, 7000, secs(0));
        list.ended(from, DisconnectReason::Lost, secs(0));
    }
    assert!(list.counts().known <= 1 + Source::Incoming.room() as u32);
    assert_eq!(list.counts().connected, 0);
    assert_eq!(list.next_dial(secs(0)), Some(nth(1)));
}

/// An attacker that names addresses may name every service of an honest host: their answers say nothing about
/// the peer on it.
#[test]
fn what_a_called_address_says_instead_of_a_handshake_costs_that_address_alone() {
    for why in [Violation::BadHandshake, Violation::OversizedFrame].map(DisconnectReason::Violation) {
        let mut list = list();
        let honest = |port| at(&format!("198.51.100.2:{port}"));
        for port in [22, 80, 443] {
            assert!(list.heard(honest(port), Flags(0), at("198.51.100.9:1").ip(), secs(0)));
            assert_eq!(list.next_dial(secs(0)), Some(honest(port)));
            list.ended(honest(port), why, secs(0));
            assert!(list.is_banned(honest(port)) && !list.add(honest(port), Source::Tracker, secs(0)));
        }
        assert!(list.add(honest(6881), Source::Tracker, secs(1)), "its peer may be called");
        assert!(list.accepted(honest(40_000), secs(1)), "and may call");
    }
}

#[test]
fn two_peers_that_did_a_handshake_and_then_wrong_ban_their_host() {
    let mut list = list();
    for port in [1, 2] {
        let liar = at(&format!("198.51.100.2:{port}"));
        list.add(liar, Source::Tracker, secs(0));
        assert_eq!(list.next_dial(secs(0)), Some(liar));
        list.connected(liar, secs(0));
        list.ended(liar, DisconnectReason::Violation(Violation::CorruptPiece), secs(0));
    }
    assert!(!list.accepted(at("198.51.100.2:40000"), secs(0)));
}

#[test]
fn a_torrent_holds_the_same_against_its_peers_as_its_magnet_link() {
    let mut list = list();
    let (service, caller, good) = (at("198.51.100.2:22"), at("198.51.100.3:40000"), at("198.51.100.2:6881"));
    list.heard(service, Flags(0), at("198.51.100.9:1").ip(), secs(0));
    list.next_dial(secs(0));
    list.ended(service, DisconnectReason::Violation(Violation::BadHandshake), secs(0));
    assert!(list.accepted(caller, secs(0)));
    list.ended(caller, DisconnectReason::Violation(Violation::FalseMetadata), secs(0));
    list.add(good, Source::Dht, secs(0));
    assert_eq!(list.next_dial(secs(0)), Some(good));
    list.ended(good, DisconnectReason::NoMetadata, secs(0));
    list.forget_failures(secs(1));
    assert!(list.is_banned(service) && list.is_banned(at("198.51.100.3:1")));
    assert_eq!((list.next_dial(secs(1)), list.counts().connected), (Some(good), 0));
    assert_eq!(list.become_private(), [], "it is not connected");
    assert_eq!(list.next_dial(secs(2)), None, "the DHT named it");
}

#[test]
fn a_torrent_that_turns_out_private_names_the_connections_that_it_may_not_keep() {
    let mut list = list();
    let named =
        [(nth(1), Source::Tracker), (nth(2), Source::Dht), (nth(3), Source::Given), (nth(4), Source::Lsd)];
    for (addr, source) in named {
        list.add(addr, source, secs(0));
    }
    while let Some(addr) = list.next_dial(secs(0)) {
        list.connected(addr, secs(0));
    }
    assert!(list.accepted(nth(5), secs(0)), "it calls by the tracker's word");
    assert_eq!(list.become_private(), [nth(2), nth(4)]);
    list.ended(nth(2), DisconnectReason::Shutdown, secs(1));
    assert!(!list.add(nth(2), Source::Dht, secs(1)) && list.next_dial(secs(1)).is_none());
}

/// Where a peer named one port after the other, each was kept as connected for good.
#[test]
fn only_the_first_port_that_a_caller_names_counts() {
    let mut list = list();
    let from = at("198.51.100.7:40000");
    assert!(list.accepted(from, secs(0)));
    (7000..7100).for_each(|port| list.listening_port(from, port, secs(0)));
    list.ended(from, DisconnectReason::Lost, secs(1));
    assert_eq!(list.counts().known, 1);
    assert_eq!(list.next_dial(secs(9999)), Some(at("198.51.100.7:7000")));
}

#[test]
fn callers_of_one_host_leave_room_for_those_of_others() {
    let mut list = list();
    for n in 0..300 {
        let from = at(&format!("198.51.100.7:{}", 40_000 + n));
        assert!(list.accepted(from, secs(0)));
        list.listening_port(from, 7000 + n, secs(0));
        list.ended(from, DisconnectReason::Lost, secs(0));
    }
    assert_eq!(list.counts().known, 8);
    let honest = at("198.51.100.8:40000");
    assert!(list.accepted(honest, secs(0)));
    list.listening_port(honest, 6881, secs(0));
    list.ended(honest, DisconnectReason::Lost, secs(0));
    let called: Vec<SocketAddr> = std::iter::from_fn(|| list.next_dial(secs(60))).collect();
    assert!(called.contains(&at("198.51.100.8:6881")));
}

#[test]
fn a_second_connection_waits_only_as_long_as_the_first_one_lasts() {
    let mut list = list();
    let (first, second) = (at("198.51.100.7:40000"), at("198.51.100.7:6881"));
    list.add(second, Source::Tracker, secs(0));
    assert!(list.accepted(first, secs(0)));
    assert_eq!(list.next_dial(secs(0)), Some(second));
    list.ended(second, DisconnectReason::Duplicate, secs(0));
    assert_eq!(list.deadline(secs(1)), Some(secs(600)));
    list.ended(first, DisconnectReason::Lost, secs(5));
    assert_eq!(list.next_dial(secs(5)), Some(second));
}

#[test]
fn how_a_peer_wants_to_be_reached_is_remembered() {
    let mut list = list();
    let (by, plain, wants, caller) =
        (at("198.51.100.9:1").ip(), at("11.0.0.1:1"), at("11.0.0.2:1"), at("11.0.0.3:999"));
    list.heard(plain, Flags(0), by, secs(0));
    list.heard(wants, Flags(Flags::ENCRYPTION), by, secs(0));
    assert_eq!((list.wants_encryption(plain), list.wants_encryption(wants)), (None, Some(true)));
    assert_eq!(list.wants_encryption(caller), None);
    // How it was reached counts for more than what another peer says of it.
    for (reached, known) in
        [(Encryption::None, false), (Encryption::Rc4, true), (Encryption::Handshake, true)]
    {
        list.encrypts(wants, reached);
        assert_eq!(list.wants_encryption(wants), Some(known));
    }
    list.connected(plain, secs(0));
    list.prefers_encryption(plain);
    assert_eq!(list.wants_encryption(plain), Some(true));
    // What a caller says is for the port that it listens at.
    let listens = at("11.0.0.3:6881");
    assert!(list.accepted(caller, secs(0)));
    list.prefers_encryption(caller);
    list.listening_port(caller, 6881, secs(0));
    list.prefers_encryption(caller);
    assert_eq!((list.wants_encryption(caller), list.wants_encryption(listens)), (None, Some(true)));
}
