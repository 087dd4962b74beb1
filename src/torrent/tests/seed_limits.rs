//! When a seed has had enough.

use super::*;

#[test]
fn a_seed_ends_at_its_ratio() {
    let mut world = World::open(TorrentConfig::default().seed_ratio(Some(2.0)), &everything());
    assert_eq!(world.torrent.phase(), Phase::Seeding);
    world.join(1);
    world.host.bytes.sent = u64::from(PIECES * PIECE) * 2 - 1;
    world.settle();
    world.did_not(|action| matches!(action, Action::Event(EventKind::SeedingDone { .. })));
    world.host.bytes.sent += 1;
    world.settle();
    let is_ratio = |what: &EventKind| matches!(what, EventKind::SeedingDone { why: SeedLimit::Ratio });
    world.did(|action| matches!(action, Action::Event(what) if is_ratio(what)));
    world.pass(Duration::from_secs(1));
    world.did(|action| matches!(action, Action::Ended));
}

#[test]
fn a_seed_ends_after_its_time_and_a_pause_does_not_count() {
    let minute = Duration::from_secs(60);
    let mut world = World::open(TorrentConfig::default().seed_time(Some(minute)), &everything());
    world.pass(minute / 2);
    world.tell(Input::Pause);
    world.settle();
    world.pass(minute * 10);
    world.tell(Input::Resume);
    world.settle();
    world.pass(minute / 2 - Duration::from_millis(1));
    assert_eq!(world.torrent.phase(), Phase::Seeding);
    world.pass(Duration::from_millis(1));
    assert_eq!(world.torrent.phase(), Phase::Stopped);
}
