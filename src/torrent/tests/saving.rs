//! When the state is saved, and what a failure to save it means.

use super::*;

#[test]
fn the_state_is_saved_at_most_so_often_and_one_save_at_a_time() {
    let mut world = World::open(TorrentConfig::default(), &[]);
    world.verdict(0, true);
    world.did(is_save);
    world.verdict(1, true);
    world.pass(SAVE_EVERY * 2);
    world.did_not(is_save);
    world.tell(Input::Saved(Ok(())));
    world.settle();
    world.did(|action| matches!(action, Action::Save { have, .. } if have.count() == 2));
    world.tell(Input::Saved(Ok(())));
    world.verdict(2, true);
    world.pass(SAVE_EVERY - Duration::from_millis(1));
    world.did_not(is_save);
    world.pass(Duration::from_millis(1));
    world.did(is_save);
    world.tell(Input::Saved(Ok(())));
    world.pass(SAVE_EVERY * 3);
    world.did_not(is_save);
}

#[test]
fn a_state_that_cannot_be_saved_is_told_once_and_tried_again() {
    let mut world = World::open(TorrentConfig::default(), &[]);
    let fails = || Input::Saved(Err(Uncommitted::State(disk_full())));
    let is_note = |action: &Action| matches!(action, Action::Event(EventKind::Note { .. }));
    world.verdict(0, true);
    world.tell(fails());
    world.did(is_note);
    world.pass(SAVE_EVERY);
    world.did(is_save);
    world.tell(fails());
    world.did_not(is_note);
}

#[test]
fn bytes_that_are_lost_before_they_were_synced_fail_the_torrent() {
    let mut world = World::open(TorrentConfig::default(), &[]);
    world.verdict(0, true);
    world.tell(Input::Saved(Err(Uncommitted::Data(Error::new(ErrorKind::NotFound, "it is gone")))));
    assert_eq!(world.torrent.phase(), Phase::Failed);
}
