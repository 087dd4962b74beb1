//! Active slots, pauses, and both at once.

use super::*;

#[test]
fn a_torrent_without_a_slot_waits_until_one_is_granted() {
    let mut world = World::new(TorrentConfig::default());
    world.host.has_slot = false;
    world.tell(Input::Start);
    world.settle();
    assert_eq!(world.torrent.phase(), Phase::Queued);
    world.did_not(|action| matches!(action, Action::Check { .. }));
    world.tell(Input::SlotGranted);
    world.settle();
    world.did(|action| matches!(action, Action::Check { .. }));
}

#[test]
fn a_torrent_that_receives_nothing_for_a_minute_yields_its_slot_and_goes_on() {
    let mut world = World::open(TorrentConfig::default(), &[]);
    world.pass(Duration::from_secs(50));
    world.host.bytes.received += 1;
    world.pass(Duration::from_secs(59));
    world.did_not(|action| matches!(action, Action::ReleaseSlot));
    world.pass(Duration::from_secs(62));
    world.did(|action| matches!(action, Action::ReleaseSlot));
    assert_eq!(world.torrent.phase(), Phase::Downloading);
}

#[test]
fn a_pause_closes_every_connection_and_a_resume_goes_online_again() {
    let mut world = World::open(TorrentConfig::default(), &[]);
    let peer = world.join(1);
    world.tell(Input::Pause);
    world.settle();
    assert_eq!(world.torrent.phase(), Phase::Paused);
    let done = world.done();
    assert!(done.iter().any(|action| is_closed(action, peer)), "{done:#?}");
    assert!(done.iter().any(|action| matches!(action, Action::Offline { .. })), "{done:#?}");
    assert!(done.iter().any(|action| matches!(action, Action::ReleaseSlot)), "{done:#?}");
    // A late connection is turned away.
    let addr = SocketAddr::from(([10, 0, 0, 2], 1));
    world.tell(Input::Joined(Join {
        addr,
        incoming: true,
        extended: true,
        encryption: Encryption::None,
        id: PeerId::from_bytes([2; 20]),
    }));
    world.did(|action| matches!(action, Action::Refuse(DisconnectReason::Shutdown)));
    world.tell(Input::Gone(peer, DisconnectReason::Shutdown));
    assert_eq!(world.host.entered, 0);
    world.tell(Input::Resume);
    world.settle();
    world.did(is_online);
}

#[test]
fn a_pause_during_the_check_holds_after_it() {
    let mut world = World::new(TorrentConfig::default());
    world.tell(Input::Start);
    world.settle();
    world.tell(Input::Pause);
    world.tell(checked(&[]));
    world.settle();
    world.did_not(is_online);
    world.tell(Input::Resume);
    world.settle();
    world.did(is_online);
}

#[test]
fn a_resume_waits_for_a_slot_where_there_is_none() {
    let mut world = World::open(TorrentConfig::default(), &[]);
    world.tell(Input::Pause);
    world.settle();
    world.host.has_slot = false;
    world.done();
    world.tell(Input::Resume);
    world.settle();
    assert_eq!(world.torrent.phase(), Phase::Queued);
    world.tell(Input::SlotGranted);
    world.settle();
    world.did(is_online);
    assert_eq!(world.torrent.phase(), Phase::Downloading);
}
