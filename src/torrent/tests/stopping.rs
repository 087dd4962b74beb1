//! How a torrent ends.

use super::*;

#[test]
fn a_torrent_that_is_removed_ends_by_its_deadlines_though_nothing_answers() {
    let mut world = World::open(TorrentConfig::default(), &[0]);
    let peer = world.join(1);
    world.verdict(1, true);
    world.tell(Input::Saved(Ok(())));
    world.verdict(2, true);
    world.done();
    let start = world.now;
    let at = |millis| start + Duration::from_millis(millis);
    world.tell(Input::Remove);
    world.settle();
    world.did(|action| is_closed(action, peer));
    world.until(at(100));
    world.did(|action| matches!(action, Action::HangUp(key) if *key == peer));
    world.until(at(249));
    world.did_not(|action| matches!(action, Action::CloseDisk));
    world.until(at(250));
    world.did(|action| matches!(action, Action::CloseDisk));
    world.until(at(400));
    world.did(|action| matches!(action, Action::Save { have, .. } if have.count() == 3));
    world.until(at(649));
    world.did_not(|action| matches!(action, Action::Ended));
    world.until(at(650));
    world.did(|action| matches!(action, Action::Ended));
    assert_eq!(world.torrent.deadline(world.now), None);
}

#[test]
fn a_torrent_whose_every_step_is_answered_ends_at_once_and_claims_the_last_verdict() {
    let mut world = World::open(TorrentConfig::default(), &[]);
    let peer = world.join(1);
    world.tell(Input::Remove);
    world.settle();
    world.tell(Input::Gone(peer, DisconnectReason::Shutdown));
    world.settle();
    world.did(|action| matches!(action, Action::CloseDisk));
    world.verdict(5, true);
    world.tell(Input::DiskClosed);
    world.settle();
    world.did(|action| matches!(action, Action::Save { have, .. } if have.has(5)));
    world.tell(Input::Saved(Ok(())));
    world.settle();
    world.did_not(|action| matches!(action, Action::Ended));
    world.tell(Input::TrackersStopped);
    world.settle();
    world.did(|action| matches!(action, Action::Ended));
}

#[test]
fn a_complete_download_needs_no_state_and_a_seed_keeps_it() {
    for seeds in [false, true] {
        let mut world = World::open(TorrentConfig::default().seed(seeds), &everything()[1..]);
        world.verdict(0, true);
        world.tell(Input::Saved(Ok(())));
        world.tell(Input::Remove);
        world.settle();
        world.tell(Input::DiskClosed);
        world.settle();
        let done = world.done();
        let removes = done.iter().any(|action| matches!(action, Action::RemoveState));
        assert_eq!(removes, !seeds, "{done:#?}");
    }
}
