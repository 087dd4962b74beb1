//! Worlds that once went wrong, and small ones that show one thing each.

use std::time::Duration;

use bitwren::EncryptionPolicy::{self, Allow, Off, Prefer, Require};
use bitwren::internals::moment::Moment;
use bitwren::internals::swarm::peers::Source;

use super::disk::Change;
use super::net::Stats;
use super::path::Weather;
use super::plan::{Fault, Hang, NodePlan, Plan, Twist, What};
use super::shaking::CutsOff;
use super::trial;

const KIB: u64 = 1024;

/// A node with nothing, on a usual line.
fn leecher(name: u32) -> NodePlan {
    NodePlan {
        name,
        has: 0,
        joins: Moment::from_millis(100 + 10 * u64::from(name)),
        up: 1000 * KIB,
        latency: 10_000,
        max_peers: 20,
        slots: None,
        sluggish: 200,
        disk: 20_000 * KIB,
        firewalled: false,
        encryption: EncryptionPolicy::Allow,
        cuts_off: None,
        plain: false,
        magnet: false,
        sequential: false,
        super_seed: false,
        seeds_for: None,
        seeds_ratio: None,
        client: name,
        twist: None,
    }
}

/// A seed and so many leechers, and nothing goes wrong.
fn peaceful(leechers: u32) -> Plan {
    let seed = NodePlan { has: 100, ..leecher(0) };
    Plan {
        seed: 7,
        piece_length: 64 * 1024,
        total: 1000 * KIB + 77,
        files: 1,
        trackers: 1,
        pex: true,
        max_active: 0,
        max_connections: 10_000,
        weather: Weather::CLEAR,
        nodes: std::iter::once(seed).chain((1..=leechers).map(leecher)).collect(),
        faults: Vec::new(),
    }
}

fn fault(at: u64, lasts: u64, what: What) -> Fault {
    Fault { at: Moment::from_millis(at), lasts: Duration::from_millis(lasts), what }
}

/// A world that goes well; how many virtual seconds it took.
fn holds(plan: &Plan) -> u64 {
    counts(plan).virtual_secs
}

/// A world that goes well; what happened in it.
fn counts(plan: &Plan) -> Stats {
    trial::holds(plan).unwrap_or_else(|why| panic!("{why}")).result.unwrap()
}

#[test]
fn in_a_peaceful_world_everyone_has_it_soon() {
    assert!(holds(&peaceful(9)) < 20);
}

/// Many packets are lost or late, and the paths are narrow: it is slower, and no peer is banned for it.
#[test]
fn links_that_lose_and_reorder_only_cost_time() {
    for seed in 0..8 {
        let mut plan = peaceful(6);
        let weather = Weather { delay: 200_000, rate: 300 * KIB, queue: 64 * KIB, ..Weather::CLEAR };
        plan.weather = Weather { loss: 300, reorder: 1_000, duplicate: 500, ..weather };
        plan.seed = seed;
        let took = holds(&plan);
        assert!((5..120).contains(&took), "{took} s");
    }
}

/// The only seed loses its power just after it unchoked a peer: it is not banned for that.
#[test]
fn a_power_cut_before_the_first_block_is_no_violation() {
    for at in 0..40 {
        let mut plan = peaceful(1);
        plan.nodes[0].latency = 190_000;
        plan.faults.push(fault(700 + 50 * at, 200_000, What::Crash(0, true)));
        holds(&plan);
    }
}

/// The only leecher cannot be called, and the seed comes late: the tracker is asked again within a
/// minute, not after its half hour.
#[test]
fn who_is_all_alone_keeps_asking_for_peers() {
    let mut plan = peaceful(1);
    plan.nodes[0].joins = Moment::from_secs(300);
    plan.nodes[1].firewalled = true;
    assert!(holds(&plan) < 400);
}

/// Pieces so large, and peers so slow, that everyone has a part in each, the liar too: it alone is
/// banned, and the others can bring the rest.
#[test]
fn a_liar_among_slow_seeds_gets_no_other_peer_banned() {
    for seed in 0..20 {
        let slow = |name| NodePlan { has: 100, up: 8 * KIB, ..leecher(name) };
        let mut plan = peaceful(0);
        (plan.seed, plan.piece_length) = (seed, 256 * 1024);
        plan.nodes = (0..5).map(slow).chain([leecher(5)]).collect();
        plan.nodes[1].twist = Some(Twist::Corrupts(1 + seed % 3));
        holds(&plan);
    }
}

/// Peers that dribble and peers that stop hold the last blocks between them: the good one, which has
/// nothing to do, is asked too, long before anyone counts as stalling.
#[test]
fn what_bad_peers_hold_between_them_does_not_wait_for_a_stall() {
    for seed in 0..10 {
        let bad = |name, up, twist| NodePlan { has: 100, up, twist, ..leecher(name) };
        let mut plan = peaceful(1);
        plan.seed = seed;
        for name in 2..5 {
            plan.nodes.push(bad(name, KIB, None));
            plan.nodes.push(bad(name + 3, 500 * KIB, Some(Twist::StallsMidBlock(10))));
        }
        let took = holds(&plan);
        assert!(took < 9, "{took} s");
    }
}

/// Every place is taken by others who have nothing when the first seed comes: each lets in one
/// newcomer for an idle one, and no more than it has places.
#[test]
fn a_crowd_with_nothing_makes_room_for_a_seed() {
    for seed in 0..10 {
        let mut plan = peaceful(12);
        (plan.seed, plan.pex) = (seed, seed % 2 == 0);
        plan.nodes[0].joins = Moment::from_secs(20);
        plan.nodes.iter_mut().for_each(|node| node.max_peers = 5);
        holds(&plan);
    }
}

/// Chokes and unchokes at once after every few blocks: late rejections meet the requests made since.
#[test]
fn one_that_chokes_and_unchokes_all_the_time_loses_no_lease() {
    for seed in 0..10 {
        let mut plan = peaceful(6);
        plan.seed = seed;
        for node in &mut plan.nodes[1..3] {
            (node.has, node.twist) = (100, Some(Twist::ChokesAfter(2 + seed as u32 % 5)));
        }
        plan.nodes[3].latency = 150_000;
        holds(&plan);
    }
}

/// The disk fills up with everyone at work, and has room again after a minute.
#[test]
fn a_full_disk_is_waited_out() {
    let mut plan = peaceful(4);
    plan.faults.push(fault(1_200, 60_000, What::DiskFull(2)));
    plan.faults.push(fault(1_500, 30_000, What::Crash(3, true)));
    holds(&plan);
}

/// While it is paused a torrent has no connection and makes none; then it goes on where it was.
#[test]
fn a_paused_torrent_rests_and_goes_on() {
    for at in 0..8 {
        let mut plan = peaceful(3);
        plan.faults.push(fault(300 + 100 * at, 30_000, What::Pause(1)));
        plan.faults.push(fault(200 + 100 * at, 10_000, What::Pause(0)));
        assert!(holds(&plan) >= 30);
    }
}

/// Told to end in the middle of everything, it has ended by the last deadline, and what it has verified
/// is there when it starts again.
#[test]
fn a_torrent_ends_in_time_and_starts_where_it_was() {
    for at in 0..20 {
        let mut plan = peaceful(3);
        plan.nodes[1].disk = 200 * KIB;
        plan.faults.push(fault(300 + 70 * at, 6_000, What::Remove(1)));
        assert_eq!(counts(&plan).faults.get("removals"), Some(&1));
    }
}

/// A client of five torrents, some of which download and some seed, is told to end at any time: each has ended
/// by the last deadline, with its state saved and its trackers told (`Node::check_ended`).
#[test]
fn a_client_ends_all_its_torrents_in_time() {
    // From before the first connection to after the last download, with each number of active torrents.
    for at in (0..40).step_by(3) {
        let mut plan = peaceful(8);
        (plan.seed, plan.max_active, plan.max_connections) = (at, at as usize % 4, 12);
        plan.nodes[1..6].iter_mut().for_each(|node| node.client = 1);
        plan.nodes[1].has = 100;
        plan.nodes[2].disk = 200 * KIB;
        plan.nodes[3].super_seed = true;
        plan.faults.push(fault(150 + 90 * at, 8_000, What::Shutdown(1)));
        if at % 2 == 0 {
            plan.faults.push(fault(100 + 80 * at, 20_000, What::Pause(4)));
        }
        let counts = counts(&plan);
        assert_eq!(counts.faults.get("shutdowns of a client"), Some(&1));
    }
}

/// Another program spoils, cuts, removes and touches files of a seed and of a download, at any time: once a file
/// was looked at nothing wrong of it goes out, what is right is offered again, and a download fetches what
/// it lost.
#[test]
fn files_that_another_program_changes_are_not_served_and_are_fetched_again() {
    let mut changed = 0;
    for at in 0..20 {
        let mut plan = peaceful(5);
        (plan.seed, plan.files, plan.piece_length) = (at, 1 + at % 4, 32 * 1024);
        plan.nodes[1].has = 100;
        plan.nodes[2].has = 90;
        plan.nodes[3].plain = at % 2 == 0;
        plan.nodes[4].joins = Moment::from_secs(9);
        plan.nodes.iter_mut().for_each(|node| node.up = 150 * KIB);
        for nth in 0..6 {
            let change = [Change::Spoil, Change::Remove, Change::Spoil, Change::Cut, Change::Touch][nth % 5];
            let (node, when) = (1 + nth as u32 % 3, 400 + 700 * nth as u64 + 130 * at);
            plan.faults.push(fault(when, 0, What::Change(node, at * 0x10203 + nth as u64 * 0x50107, change)));
        }
        changed += counts(&plan).faults.get("files changed by another program").copied().unwrap_or_default();
    }
    assert!(changed > 50, "{changed}");
}

/// Three torrents of one client, of which one may download at a time: each gets its slot, and their
/// connections stay within what they have together.
#[test]
fn the_torrents_of_a_client_take_turns() {
    let mut plan = peaceful(6);
    (plan.max_active, plan.max_connections) = (1, 8);
    plan.nodes[1..4].iter_mut().for_each(|node| node.client = 1);
    assert_eq!(counts(&plan).faults.get("torrents queued"), Some(&2));
}

/// Each ends by itself when it has sent as much as it is to, and the seed serves those who come later.
#[test]
fn torrents_that_have_seeded_enough_end_and_the_others_go_on() {
    let mut plan = peaceful(6);
    for node in &mut plan.nodes[1..] {
        (node.seeds_ratio, node.seeds_for) = (Some(50), Some(Duration::from_secs(60)));
    }
    plan.nodes[6].joins = Moment::from_secs(100);
    assert!(counts(&plan).faults.get("seed limits reached") >= Some(&5));
}

/// Two hundred nodes, one seed.
#[test]
fn two_hundred_nodes_share_one_seed() {
    let mut plan = peaceful(199);
    plan.total = 300 * KIB;
    plan.nodes.iter_mut().for_each(|node| node.max_peers = 30);
    assert!(holds(&plan) < 300);
}

/// Metadata of two blocks, and one seed whose peers know the magnet link alone: over the connection that the
/// metadata came by comes the data.
#[test]
fn a_magnet_link_needs_one_connection_to_a_peer() {
    for seed in 0..6 {
        let mut plan = of_magnets(1, &[]);
        (plan.piece_length, plan.total, plan.seed) = (1024, 900 * 1024, seed);
        let stats = counts(&plan);
        assert_eq!((stats.made(), stats.bans.len()), (1, 0), "seed {seed}");
    }
}

/// Liars with false metadata are banned, those that hold it back or exchange none are not, and the torrent is found.
#[test]
fn liars_about_metadata_are_survived() {
    let twists = [Twist::FalseMetadata, Twist::HoldsMetadataBack, Twist::NoMetadata, Twist::FalseMetadata];
    for seed in 0..10 {
        let mut plan = of_magnets(3, &twists);
        plan.seed = seed;
        holds(&plan);
    }
    let mut banned = 0;
    for seed in 0..10 {
        let mut plan = of_magnets(1, &[Twist::FalseMetadata]);
        plan.nodes[0].joins = Moment::from_secs(20);
        plan.seed = seed;
        banned += counts(&plan).faults.get("banned for false metadata").copied().unwrap_or(0);
    }
    assert!(banned >= 10, "{banned}");
}

/// What peers said of their pieces before the metadata was there is held and judged after it.
#[test]
fn liars_about_pieces_are_found_out_after_the_metadata_is_there() {
    for seed in 0..10 {
        let mut plan = of_magnets(2, &[Twist::HaveFlood, Twist::HasAllServesNone, Twist::Unrequested]);
        plan.seed = seed;
        holds(&plan);
    }
}

/// A program that is killed while it fetches metadata, or after, goes on; what was kept needs no peer.
#[test]
fn a_magnet_link_outlives_a_crash_a_pause_and_a_cut() {
    for at in 0..20 {
        let mut plan = of_magnets(3, &[]);
        plan.seed = at;
        let at = 100 * at;
        plan.faults.push(fault(100 + at, 2_000, What::Crash(1, at % 200 == 0)));
        plan.faults.push(fault(120 + at, 2_000, What::Pause(2)));
        plan.faults.push(fault(140 + at, 2_000, What::CutAll(3)));
        holds(&plan);
    }
}

/// A seed, liars that seem to have everything, and so many nodes that know the magnet link alone.
fn of_magnets(count: u32, liars: &[Twist]) -> Plan {
    let mut plan = peaceful(count);
    plan.nodes.iter_mut().skip(1).for_each(|node| node.magnet = true);
    for (&twist, name) in liars.iter().zip(count + 1..) {
        plan.nodes.push(NodePlan { has: 100, twist: Some(twist), ..leecher(name) });
    }
    plan
}

/// One whose time is up ends by itself then, although no peer is left that would wake it.
#[test]
fn a_torrent_that_has_lost_every_peer_ends_when_its_time_is_up() {
    let mut plan = peaceful(2);
    plan.nodes[1].seeds_for = Some(Duration::from_secs(40));
    plan.nodes[2].joins = Moment::from_secs(300);
    assert!(counts(&plan).faults.get("seed limits reached") >= Some(&1));
}

/// Two torrents of one client: the first has taken every place when the second comes, which gets its share of
/// them soon.
#[test]
fn a_torrent_gives_back_places_that_another_of_its_client_lacks() {
    for seed in 0..4 {
        let mut plan = peaceful(14);
        (plan.seed, plan.max_connections, plan.total) = (seed, 8, 3000 * KIB);
        plan.nodes[1..3].iter_mut().for_each(|node| node.client = 1);
        plan.nodes[2].joins = Moment::from_secs(20);
        plan.nodes.iter_mut().for_each(|node| node.up = 10 * KIB);
        holds(&plan);
    }
}

/// A seed with one slot, and peers that can get nothing from one another: each has its turn.
#[test]
fn each_peer_of_a_seed_has_its_turn() {
    let mut plan = peaceful(5);
    (plan.pex, plan.total, plan.piece_length) = (false, 2400 * KIB, 16 * 1024);
    (plan.nodes[0].up, plan.nodes[0].slots) = (2 * KIB, Some(1));
    plan.nodes[1..].iter_mut().for_each(|node| node.firewalled = true);
    holds(&plan);
}

/// One peer, which chokes and unchokes after every few blocks: what it was asked for before it is asked for
/// again.
#[test]
fn a_peer_that_chokes_and_unchokes_is_asked_again_for_what_it_did_not_send() {
    for seed in 0..10 {
        let mut plan = peaceful(1);
        (plan.seed, plan.nodes[0].twist) = (seed, Some(Twist::ChokesAfter(2 + seed as u32 % 5)));
        holds(&plan);
    }
}

/// The disk fills up while the threads of connections wait long for the processor: it is not tried again before
/// the last connection has ended.
#[test]
fn a_full_disk_is_not_tried_again_before_the_last_connection_has_ended() {
    for seed in 0..10 {
        let mut plan = peaceful(4);
        plan.seed = seed;
        plan.faults.push(fault(1_000, 20_000, What::Hang(2, Hang::WhateverHappens)));
        plan.faults.push(fault(1_000, 60_000, What::DiskFull(2)));
        holds(&plan);
    }
}

/// The threads of connections hang when a torrent is told to end: it has ended in time, whether it helps to hang
/// up or not.
#[test]
fn an_end_does_not_wait_for_connections_that_hang() {
    for at in 0..10 {
        for hang in [Hang::UntilHungUp, Hang::WhateverHappens] {
            let mut plan = peaceful(3);
            plan.faults.push(fault(300 + 60 * at, 20_000, What::Hang(1, hang)));
            plan.faults.push(fault(400 + 60 * at, 20_000, What::Remove(1)));
            holds(&plan);
        }
    }
}

/// A peer that asks for each block twice gets it once.
#[test]
fn a_block_that_is_asked_for_twice_is_served_once() {
    for seed in 0..10 {
        let mut plan = peaceful(3);
        plan.seed = seed;
        plan.nodes[0].up = 100 * KIB;
        plan.nodes[1].twist = Some(Twist::AsksTwice);
        holds(&plan);
    }
}

/// A seed and one peer, which alone can dial: whatever the two demand of encryption, and whatever is cut off between
/// them, they meet if they can, in the way that follows from both. If they cannot they dial a few times in ten
/// minutes, and the peer completes from another seed.
#[test]
fn whatever_peers_demand_of_encryption_they_meet_as_it_follows_or_leave_off() {
    let (plain, handshake, rc4) = (
        "connections made in plain",
        "connections made with an encrypted handshake",
        "connections made with RC4",
    );
    for (caller, called, cuts_off, meets, attempts) in [
        (Allow, Allow, None, Some(plain), 0),
        (Allow, Prefer, None, Some(plain), 0),
        (Allow, Off, None, Some(plain), 0),
        (Allow, Require, None, Some(rc4), 1),
        (Prefer, Off, None, Some(plain), 1),
        (Prefer, Allow, None, Some(handshake), 0),
        (Prefer, Require, None, Some(rc4), 0),
        (Require, Allow, None, Some(rc4), 0),
        (Require, Require, None, Some(rc4), 0),
        (Off, Allow, None, Some(plain), 0),
        (Off, Off, None, Some(plain), 0),
        (Off, Require, None, None, 0),
        (Require, Off, None, None, 0),
        (Allow, Allow, Some(CutsOff::Plain), Some(handshake), 1),
        (Prefer, Allow, Some(CutsOff::Encrypted), Some(plain), 1),
        (Off, Allow, Some(CutsOff::Plain), None, 0),
        (Require, Allow, Some(CutsOff::Encrypted), None, 0),
        (Allow, Off, Some(CutsOff::Plain), None, 0),
    ] {
        let mut plan = peaceful(2);
        plan.nodes[0] = NodePlan { encryption: called, cuts_off, ..plan.nodes[0].clone() };
        plan.nodes[1] = NodePlan { encryption: caller, firewalled: true, ..plan.nodes[1].clone() };
        plan.nodes[2] = NodePlan { has: 100, joins: Moment::from_secs(600), ..plan.nodes[2].clone() };
        let stats = counts(&plan);
        let count = |name| stats.faults.get(name).copied().unwrap_or_default();
        let what = format!("{caller:?} dials {called:?}, {cuts_off:?} is cut off: {stats}");
        match meets {
            Some(meets) => assert_eq!((count(meets), count("handshakes cut off")), (1, attempts), "{what}"),
            None => assert!((3..13).contains(&count("handshakes cut off")), "{what}"),
        }
    }
}

/// A peer that was reached in one way is dialed in that way from then on, however often its connections are cut.
#[test]
fn a_peer_that_was_reached_encrypted_is_dialed_so_again() {
    for (caller, called) in [(Allow, Require), (Prefer, Off)] {
        let mut plan = peaceful(1);
        plan.nodes[0].encryption = called;
        plan.nodes[0].up = 3 * KIB;
        plan.nodes[1] = NodePlan { encryption: caller, firewalled: true, ..plan.nodes[1].clone() };
        plan.faults.extend([10_000, 100_000, 200_000].map(|at| fault(at, 1_000, What::CutAll(1))));
        let stats = counts(&plan);
        assert_eq!((stats.made(), stats.faults.get("handshakes cut off")), (4, Some(&1)), "{stats}");
    }
}

/// Whatever names them, addresses that a node blocks are not dialed and cannot connect to it; a filter that comes
/// while it works ends no connection.
#[test]
fn what_is_blocked_is_not_dialed_whatever_names_it_and_what_is_connected_stays() {
    for at in 0..30 {
        let mut plan = peaceful(8);
        plan.seed = at;
        plan.nodes.iter_mut().for_each(|node| node.up = 30 * KIB);
        plan.nodes[8].joins = Moment::from_secs(12);
        for node in 1..4 {
            let from = [0, 400 + 200 * at, 4_000][node as usize - 1];
            plan.faults.push(fault(from, 40_000, What::Blocks(node, at * 0x2C9277B5 + u64::from(node))));
            plan.faults.push(fault(from + 500, 0, What::Names(node, Source::Dht)));
            plan.faults.push(fault(from + 900, 0, What::Names(node, Source::Lsd)));
        }
        plan.faults.extend((1..4).map(|nth| fault(9_000 * nth, 0, What::CutAll(nth as u32))));
        holds(&plan);
    }
}

/// A seed with the thinnest of lines, on which each block takes longer than peers usually have before they count as
/// stalled: it is waited for, and nothing that it sends is fetched twice.
#[test]
fn a_peer_that_is_slow_and_steady_is_waited_for() {
    for (up, secs) in [(KIB / 2, 2_100), (KIB, 1_050), (2 * KIB, 530)] {
        let mut plan = peaceful(1);
        plan.nodes[0].up = up;
        let took = holds(&plan);
        assert!(took < secs, "{took} s at {up} bytes a second");
    }
}
