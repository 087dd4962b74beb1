//! Storage that fails: waited for, or the end.

use super::*;

#[test]
fn a_full_disk_is_tried_again_with_a_back_off_once_no_connection_is_left() {
    let mut world = World::open(TorrentConfig::default(), &[]);
    let peer = world.join(1);
    world.tell(Input::Disk(WriteEvent::Failed(disk_full())));
    assert_eq!(world.torrent.phase(), Phase::Stalled);
    world.did(|action| is_closed(action, peer));
    let is_retry = |action: &Action| matches!(action, Action::RetryWrite);
    world.pass(Duration::from_secs(10));
    world.did_not(is_retry);
    world.tell(Input::Gone(peer, DisconnectReason::Shutdown));
    world.pass(Duration::from_millis(200));
    world.did(is_retry);
    // Full still: twice as long, and told only once.
    world.tell(Input::Disk(WriteEvent::Failed(disk_full())));
    world.did_not(|action| matches!(action, Action::Event(EventKind::StorageFailed { .. })));
    world.pass(Duration::from_millis(3_999));
    world.did_not(is_retry);
    world.pass(Duration::from_millis(1));
    world.did(is_retry);
    world.tell(Input::Disk(WriteEvent::Recovered));
    world.settle();
    world.did(is_online);
    assert_eq!(world.torrent.phase(), Phase::Downloading);
}

#[test]
fn a_broken_disk_fails_the_torrent_which_stays_until_it_is_removed() {
    let mut world = World::open(TorrentConfig::default(), &[]);
    let peer = world.join(1);
    world.tell(Input::Disk(WriteEvent::Failed(Error::new(ErrorKind::FileIo, "it is broken"))));
    world.settle();
    assert_eq!(world.torrent.phase(), Phase::Failed);
    let done = world.done();
    assert!(done.iter().any(|action| is_closed(action, peer)), "{done:#?}");
    assert!(done.iter().any(|action| matches!(action, Action::ReleaseSlot)), "{done:#?}");
    world.tell(Input::Gone(peer, DisconnectReason::Shutdown));
    world.pass(Duration::from_secs(1000));
    world.did_not(|action| matches!(action, Action::Ended | Action::Online));
    world.tell(Input::Remove);
    world.pass(Duration::from_secs(1));
    world.did(|action| matches!(action, Action::Ended));
}

#[test]
fn what_another_program_took_away_fails_a_download_that_would_be_complete() {
    let mut world = World::open(TorrentConfig::default(), &[0, 1, 2, 3, 4, 5, 6]);
    world.host.holes = true;
    world.verdict(7, true);
    assert_eq!(world.torrent.phase(), Phase::Failed);
    world.did_not(|action| matches!(action, Action::Event(EventKind::Finished { .. })));
}
