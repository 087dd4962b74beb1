//! From the check of the data to the first dials; what is blocked is dialed in no stage.

use super::*;

#[test]
fn data_is_checked_and_then_the_torrent_goes_online() {
    let mut world = World::new(TorrentConfig::default());
    world.tell(Input::Start);
    world.settle();
    assert_eq!((world.torrent.phase(), world.torrent.deadline(world.now)), (Phase::Checking, None));
    world.did(|action| matches!(action, Action::Check { .. }));
    world.tell(checked(&[0, 3]));
    assert_eq!(world.torrent.phase(), Phase::Downloading);
    assert_eq!(world.torrent.left(), Some(u64::from((PIECES - 2) * PIECE)));
    let order: Vec<_> = world.done().iter().map(std::mem::discriminant).collect();
    let at = |action: Action| order.iter().position(|done| *done == std::mem::discriminant(&action)).unwrap();
    assert!(at(Action::ExpectBlocks(Bitfield::empty(1))) < at(Action::Online));
}

#[test]
fn addresses_named_during_the_check_are_dialed_after_it() {
    let mut world = World::new(TorrentConfig::default());
    world.tell(Input::Start);
    world.settle();
    let addr: SocketAddr = "10.1.1.1:5".parse().unwrap();
    world.tell(Input::Tracker(TrackerEvent::Peers(vec![addr])));
    world.settle();
    world.did_not(|action| matches!(action, Action::Dial(..)));
    world.tell(checked(&[]));
    world.settle();
    world.did(|action| matches!(action, Action::Dial(dialed, _) if *dialed == addr));
}

#[test]
fn a_removal_during_the_check_cancels_it() {
    let mut world = World::new(TorrentConfig::default());
    world.tell(Input::Start);
    world.settle();
    world.tell(Input::Remove);
    world.tell(checked(&[]));
    world.did(|action| matches!(action, Action::CancelCheck));
    world.pass(Duration::from_secs(1));
    let done = world.done();
    assert!(!done.iter().any(is_online) && done.iter().any(|action| matches!(action, Action::Ended)));
}

#[test]
fn a_blocked_address_is_dialed_in_no_stage() {
    let given = |last| TorrentConfig::default().peers([SocketAddr::from(([10, 0, 0, last], 5000))]);
    // While the data is checked.
    let mut world = World::new(given(1));
    world.tell(Input::Start);
    world.block("10.0.0.1-10.0.0.3");
    world.found(Source::Dht, &[2, 4]);
    world.tell(checked(&[]));
    world.settle();
    assert_eq!(world.dialed(), [4]);
    // While it is open.
    world.found(Source::Lsd, &[3, 5]);
    world.tell(Input::Tracker(TrackerEvent::Peers(vec![SocketAddr::from(([10, 0, 0, 1], 5000))])));
    world.settle();
    assert_eq!(world.dialed(), [5]);
    let mut progress = Progress::default();
    world.torrent.show(&mut progress, world.now);
    assert_eq!(progress.blocked, 4);
    // While metadata is fetched.
    let mut world = World::of_magnet(given(1).resume(false));
    world.block("10.0.0.1-10.0.0.3");
    world.tell(Input::Start);
    world.found(Source::Tracker, &[2, 4]);
    assert_eq!(world.dialed(), [4]);
    world.torrent.show(&mut progress, world.now);
    assert_eq!(progress.blocked, 2);
}

#[test]
fn a_new_filter_leaves_connections_alone() {
    let mut world = World::open(TorrentConfig::default(), &[]);
    let peer = world.join(1);
    world.done.clear();
    world.block("10.0.0.0/8");
    world.settle();
    world.did_not(|action| is_closed(action, peer) || matches!(action, Action::HangUp(_)));
    world.block("11.0.0.0/8");
    world.found(Source::Tracker, &[7]);
    assert_eq!(world.dialed(), [7], "what is no longer blocked is dialed");
}
