//! Settings that are changed while the torrent runs, and the queue of those that seed.

use super::*;
use crate::config::SeedLimits;

fn set(setting: Setting) -> Input {
    Input::Set(setting)
}

#[test]
fn fewer_connections_end_the_latest() {
    let mut world = World::open(TorrentConfig::default(), &[0]);
    let [first, second, third] = [1, 2, 3].map(|last| world.join(last));
    world.done();
    world.tell(set(Setting::MaxPeers(2)));
    let done = world.done();
    assert!(done.iter().any(|action| is_closed(action, third)), "{done:#?}");
    assert!(!done.iter().any(|action| is_closed(action, first) || is_closed(action, second)), "{done:#?}");
}

#[test]
fn a_seed_limit_that_is_reached_already_ends_the_torrent_or_pauses_it() {
    for pauses in [false, true] {
        let config = TorrentConfig::default().pause_when_seeded(pauses);
        let mut world = World::open(config, &everything());
        world.host.bytes = Bytes { received: 0, sent: u64::from(PIECES * PIECE) };
        world.pass(Duration::from_secs(30));
        assert_eq!(world.torrent.phase(), Phase::Seeding);
        world.tell(set(Setting::SeedLimits(SeedLimits { ratio: Some(1.0), ..SeedLimits::default() })));
        world.settle();
        world.did(|action| matches!(action, Action::Event(EventKind::SeedingDone { why: SeedLimit::Ratio })));
        assert_eq!(world.torrent.phase(), if pauses { Phase::Paused } else { Phase::Stopped });
    }
}

#[test]
fn time_before_an_idle_limit_is_not_held_against_a_torrent() {
    let mut world = World::open(TorrentConfig::default(), &everything());
    world.pass(Duration::from_secs(3600));
    let idle = Some(Duration::from_secs(60));
    world.tell(set(Setting::SeedLimits(SeedLimits { idle, ..SeedLimits::default() })));
    world.pass(Duration::from_secs(59));
    assert_eq!(world.torrent.phase(), Phase::Seeding);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.torrent.phase(), Phase::Stopped);
}

#[test]
fn super_seeding_begins_with_connections_that_know_nothing_and_ends_for_all() {
    let mut world = World::open(TorrentConfig::default(), &everything());
    let peer = world.join(1);
    world.tell(set(Setting::SuperSeed(true)));
    world.did(|action| is_closed(action, peer));
    world.tell(Input::Gone(peer, DisconnectReason::Shutdown));
    world.done();
    world.join(2);
    world.did(|action| matches!(action, Action::Accept { ours: Some(ours), .. } if ours.have.count() == 0));
    world.tell(set(Setting::SuperSeed(false)));
    world.did(
        |action| matches!(action, Action::Order(_, Order::Show(pieces)) if pieces.len() == PIECES as usize),
    );
}

#[test]
fn pieces_come_in_order_from_when_that_is_asked_for() {
    let mut world = World::open(TorrentConfig::default(), &[0, 1, 2, 3]);
    world.tell(set(Setting::Sequential(true)));
    let seed = world.join(1);
    world.tell(Input::Report(seed, Report::Has(Bitfield::full(PIECES))));
    world.tell(Input::Report(seed, Report::Choking(false)));
    world.tell(Input::Report(seed, Report::WantsBlocks(2)));
    world.settle();
    let job = |action| match action {
        Action::Order(_, Order::Take(job)) => Some(job.claim.piece().index()),
        _ => None,
    };
    assert_eq!(world.done().into_iter().filter_map(job).collect::<Vec<_>>(), [4, 5]);
}

#[test]
fn a_seed_waits_where_those_that_seed_are_limited() {
    let mut world = World::open(TorrentConfig::default(), &everything());
    assert_eq!(world.torrent.phase(), Phase::Seeding);
    world.host.has_slot = false;
    world.tell(Input::Queues { downloads: true, seeds: true });
    world.settle();
    assert_eq!(world.torrent.phase(), Phase::Queued);
    let done = world.done();
    assert!(done.iter().any(|action| matches!(action, Action::Offline { .. })), "{done:#?}");
    world.tell(Input::TrackersStopped);
    world.tell(Input::SlotGranted);
    world.settle();
    assert_eq!(world.torrent.phase(), Phase::Seeding);
    world.did(is_online);
    // One that sends nothing for long goes on, and another may have its slot.
    world.pass(Duration::from_secs(601));
    world.did(|action| matches!(action, Action::ReleaseSlot));
    assert_eq!(world.torrent.phase(), Phase::Seeding);
}

#[test]
fn a_seed_that_waits_goes_on_when_there_is_no_limit_any_longer() {
    let mut world = World::new(TorrentConfig::default());
    world.tell(Input::Queues { downloads: true, seeds: true });
    world.tell(Input::Start);
    world.settle();
    world.host.has_slot = false;
    world.tell(checked(&everything()));
    world.settle();
    assert_eq!(world.torrent.phase(), Phase::Queued);
    world.did_not(is_online);
    world.tell(Input::Queues { downloads: true, seeds: false });
    world.settle();
    assert_eq!(world.torrent.phase(), Phase::Seeding);
    world.did(is_online);
}
