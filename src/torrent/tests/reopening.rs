//! Files closed and opened anew while the torrent runs, and what can be changed without that.

use super::*;
use crate::config::Priority;
use crate::metainfo::build::Entry;

const HALF: u32 = PIECES / 2;

/// Two files of half the pieces each.
fn two_files(config: TorrentConfig, have: &[u32]) -> World {
    let half = u64::from(HALF * PIECE);
    let entries = ["a", "b"].map(|name| Entry::new([name], half)).into();
    let build = Build::new("data", Content::Directory(entries), PIECE, vec![7; PIECES as usize * 20]);
    let metainfo = Arc::new(Metainfo::from_bytes(&build.encode().unwrap()).unwrap());
    let mut world = World::with(config, |setup, _| Torrent::new(setup, metainfo));
    world.tell(Input::Start);
    world.settle();
    world.tell(checked(have));
    world.settle();
    world.done.clear();
    world
}

fn change(change: Change) -> Input {
    Input::Change(Box::new(change))
}

fn only(files: &[u32]) -> Change {
    Change::Files { select: Some(files.to_vec()), priorities: Vec::new() }
}

fn is_check(action: &Action) -> bool {
    matches!(action, Action::Check { .. })
}

fn is_close_files(action: &Action) -> bool {
    matches!(action, Action::CloseFiles)
}

fn shown(world: &World) -> Progress {
    let mut progress = Progress::default();
    world.torrent.show(&mut progress, world.now);
    progress
}

#[test]
fn files_are_closed_after_connections_and_the_disk_and_then_everything_is_hashed() {
    let mut world = World::open(TorrentConfig::default(), &[0]);
    let peer = world.join(1);
    world.verdict(1, true);
    world.done();
    world.tell(change(Change::Verify));
    world.settle();
    assert_eq!(world.torrent.phase(), Phase::Checking);
    let done = world.done();
    assert!(done.iter().any(|action| is_closed(action, peer)), "{done:#?}");
    assert!(
        !done.iter().any(|action| matches!(action, Action::CloseDisk | Action::Offline { .. })),
        "{done:#?}"
    );
    world.tell(Input::Gone(peer, DisconnectReason::Shutdown));
    world.settle();
    world.did(|action| matches!(action, Action::CloseDisk));
    // A verdict that was under way still counts, and is saved before the files are closed.
    world.tell(Input::Disk(WriteEvent::Verdict(Verdict { piece: 2, good: true, contributors: Vec::new() })));
    world.tell(Input::DiskClosed);
    world.settle();
    world.did_not(|action| is_close_files(action) || is_save(action));
    // The save of the first piece, which was under way.
    world.tell(Input::Saved(Ok(())));
    world.settle();
    let done = world.done();
    assert!(
        done.iter().any(|action| matches!(action, Action::Save { have, .. } if have.has(2))),
        "{done:#?}"
    );
    assert!(!done.iter().any(is_close_files), "{done:#?}");
    world.tell(Input::Saved(Ok(())));
    world.settle();
    let done = world.done();
    let at =
        |wanted: fn(&Action) -> bool| done.iter().position(wanted).unwrap_or_else(|| panic!("{done:#?}"));
    assert!(at(is_close_files) < at(|action| matches!(action, Action::Check { hash_all: true })));
    world.tell(checked(&[0, 2]));
    world.settle();
    assert_eq!(world.torrent.phase(), Phase::Downloading);
    world.did(is_online);
    assert_eq!(world.torrent.have().unwrap().count(), 2);
}

#[test]
fn a_connection_that_does_not_end_by_itself_is_hung_up_on() {
    let mut world = World::open(TorrentConfig::default(), &[0]);
    let peer = world.join(1);
    world.tell(change(Change::Verify));
    world.pass(Duration::from_secs(2));
    world.did(|action| matches!(action, Action::HangUp(key) if *key == peer));
    world.did_not(|action| matches!(action, Action::CloseDisk));
}

#[test]
fn a_paused_torrent_is_checked_and_stays_paused() {
    let mut world = World::open(TorrentConfig::default(), &everything());
    world.tell(Input::Pause);
    world.settle();
    world.tell(Input::Saved(Ok(())));
    world.done();
    world.tell(change(Change::Verify));
    world.settle();
    world.tell(Input::DiskClosed);
    world.settle();
    world.did(is_check);
    assert_eq!(world.torrent.phase(), Phase::Checking);
    world.tell(checked(&everything()));
    world.settle();
    assert_eq!(world.torrent.phase(), Phase::Paused);
    let done = world.done();
    assert!(
        !done
            .iter()
            .any(|action| matches!(action, Action::Online | Action::Event(EventKind::Finished { .. }))),
        "{done:#?}"
    );
    world.tell(Input::Resume);
    assert_eq!(world.torrent.phase(), Phase::Seeding);
}

#[test]
fn a_torrent_that_was_never_checked_is_when_told_to() {
    let mut world = World::new(TorrentConfig::default());
    world.host.has_slot = false;
    world.tell(Input::Start);
    world.settle();
    world.did_not(is_check);
    world.tell(change(Change::Verify));
    world.settle();
    world.did(|action| matches!(action, Action::Check { hash_all: true }));
}

#[test]
fn one_that_failed_begins_anew() {
    let mut world = World::open(TorrentConfig::default(), &[0, 1]);
    world.tell(Input::ReadFailed(Error::new(ErrorKind::NotFound, "gone")));
    assert_eq!(
        (world.torrent.phase(), shown(&world).error.unwrap().kind),
        (Phase::Failed, ErrorKind::NotFound)
    );
    world.tell(Input::Saved(Ok(())));
    world.tell(change(Change::Locate("elsewhere".into())));
    world.settle();
    world.tell(Input::DiskClosed);
    world.settle();
    let done = world.done();
    let is_located =
        |action: &Action| matches!(action, Action::Configure(Change::Locate(dir)) if *dir == *"elsewhere");
    assert!(done.iter().position(is_located) < done.iter().position(is_check), "{done:#?}");
    world.tell(checked(&[0]));
    world.settle();
    assert_eq!((world.torrent.phase(), shown(&world).error), (Phase::Downloading, None));
}

#[test]
fn a_change_that_comes_during_another_is_made_after_it() {
    let mut world = two_files(TorrentConfig::default(), &[]);
    world.tell(change(Change::Verify));
    world.tell(change(only(&[1])));
    world.settle();
    world.tell(Input::DiskClosed);
    world.settle();
    world.did(is_check);
    world.tell(change(only(&[0])));
    world.tell(checked(&[]));
    world.settle();
    world.tell(Input::DiskClosed);
    world.settle();
    let done = world.done();
    let selects = |action: &Action| matches!(action, Action::Configure(change) if *change == only(&[0]));
    assert!(done.iter().any(selects) && done.iter().any(is_check), "{done:#?}");
}

#[test]
fn a_torrent_that_is_removed_while_its_files_are_closed_ends() {
    let mut world = World::open(TorrentConfig::default(), &[0]);
    world.tell(change(Change::Verify));
    world.settle();
    world.tell(Input::Remove);
    world.tell(Input::DiskClosed);
    world.tell(Input::TrackersStopped);
    world.pass(Duration::from_secs(1));
    world.did(|action| matches!(action, Action::Ended));
}

#[test]
fn bytes_of_a_session_are_counted_once_however_often_files_are_opened() {
    let mut world = World::open(TorrentConfig::default(), &[]);
    world.host.bytes = Bytes { received: 500, sent: 300 };
    world.verdict(0, true);
    world.tell(change(Change::Verify));
    world.settle();
    world.tell(Input::DiskClosed);
    world.settle();
    world.tell(Input::Saved(Ok(())));
    world.settle();
    let Input::Checked(mut outcome) = checked(&[0]) else { unreachable!() };
    if let Ok(opened) = outcome.as_mut() {
        (opened.uploaded, opened.downloaded) = (300, 500);
    }
    world.tell(Input::Checked(outcome));
    world.settle();
    world.done();
    world.verdict(1, true);
    world.pass(SAVE_EVERY);
    world.did(|action| matches!(action, Action::Save { uploaded: 300, downloaded: 500, .. }));
    assert_eq!((shown(&world).uploaded_before, shown(&world).downloaded_before), (0, 0));
}

#[test]
fn files_that_are_begun_are_chosen_without_closing_any() {
    let mut world = two_files(TorrentConfig::default(), &[0, 4]);
    world.tell(change(only(&[0])));
    world.settle();
    world.did_not(|action| is_close_files(action) || matches!(action, Action::CloseDisk));
    let progress = shown(&world);
    let piece = u64::from(PIECE);
    assert_eq!((progress.wanted, progress.verified), (4 * piece, piece));
    let wanted: Vec<bool> = world.torrent.files().unwrap().iter().map(|file| file.wanted).collect();
    assert_eq!(wanted, [true, false]);
    (1..4).for_each(|piece| world.verdict(piece, true));
    assert_eq!(world.torrent.phase(), Phase::Seeding);
    // More of what is there is still nothing to fetch; what is not there has the files taken anew.
    world.done();
    world.tell(change(Change::Files { select: None, priorities: Vec::new() }));
    world.settle();
    world.did(|action| matches!(action, Action::CloseDisk));
}

#[test]
fn a_narrower_choice_may_be_complete_at_once() {
    let mut world = two_files(TorrentConfig::default(), &[0, 1, 2, 3, 4]);
    world.tell(change(only(&[0])));
    world.settle();
    assert_eq!(world.torrent.phase(), Phase::Seeding);
    world.did(|action| matches!(action, Action::Event(EventKind::Finished { .. })));
}

#[test]
fn a_file_that_was_not_begun_is_left_out_by_opening_anew() {
    let mut world = two_files(TorrentConfig::default(), &[0]);
    world.tell(change(only(&[0])));
    world.settle();
    world.did(|action| matches!(action, Action::CloseDisk));
}

#[test]
fn priorities_are_changed_as_files_are_open() {
    let mut world = two_files(TorrentConfig::default(), &[]);
    let priorities = vec![(1, Priority::High), (0, Priority::Low)];
    world.tell(change(Change::Files { select: None, priorities }));
    let seed = world.join(1);
    world.tell(Input::Report(seed, Report::Has(Bitfield::full(PIECES))));
    world.tell(Input::Report(seed, Report::Choking(false)));
    world.tell(Input::Report(seed, Report::WantsBlocks(HALF)));
    world.settle();
    let done = world.done();
    assert!(!done.iter().any(is_close_files), "{done:#?}");
    let mut taken: Vec<u32> = done
        .iter()
        .filter_map(|action| match action {
            Action::Order(_, Order::Take(job)) => Some(job.claim.piece().index()),
            _ => None,
        })
        .collect();
    taken.sort_unstable();
    assert_eq!(taken, (HALF..PIECES).collect::<Vec<_>>());
    let files = world.torrent.files().unwrap();
    assert_eq!([files[0].priority, files[1].priority], [Priority::Low, Priority::High]);
}

#[test]
fn files_are_moved_while_they_are_closed_and_looked_at_where_they_are_then() {
    for moved in [true, false] {
        let mut world = World::open(TorrentConfig::default(), &everything());
        world.tell(Input::Saved(Ok(())));
        world.tell(change(Change::Move("there".into())));
        world.settle();
        world.tell(Input::DiskClosed);
        world.settle();
        let done = world.done();
        let at =
            |wanted: fn(&Action) -> bool| done.iter().position(wanted).unwrap_or_else(|| panic!("{done:#?}"));
        assert!(at(is_close_files) < at(|action| matches!(action, Action::MoveFiles(to) if *to == *"there")));
        assert!(!done.iter().any(is_check), "{done:#?}");
        assert_eq!(world.torrent.phase(), Phase::Moving);
        let outcome = if moved { Ok("there".into()) } else { Err(disk_full()) };
        world.tell(Input::Moved(outcome));
        world.settle();
        let done = world.done();
        let is_located = |action: &Action| matches!(action, Action::Configure(Change::Locate(_)));
        assert_eq!(done.iter().any(is_located), moved, "{done:#?}");
        let is_told = |action: &Action| match action {
            Action::Event(EventKind::Moved { dir }) => moved && *dir == *"there",
            Action::Event(EventKind::NotMoved { .. }) => !moved,
            _ => false,
        };
        assert!(done.iter().any(is_told) && done.iter().any(is_check), "{done:#?}");
        world.tell(checked(&everything()));
        world.settle();
        assert_eq!(world.torrent.phase(), Phase::Seeding);
    }
}
