//! Files that another program changes.

use super::*;

/// The reported changes of files: pieces lost, of how many, and whether they are downloaded again.
fn told_of_changes(done: &[Action]) -> Vec<(u32, u32, bool)> {
    let told = |action: &Action| match action {
        Action::Event(EventKind::FileChanged { lost, of, again, .. }) => Some((*lost, *of, *again)),
        _ => None,
    };
    done.iter().filter_map(told).collect()
}

#[test]
fn a_seed_offers_nothing_of_a_changed_file_until_it_was_hashed_again_and_then_what_is_right() {
    let mut world = World::open(TorrentConfig::default().seed_only(true), &everything());
    world.done();
    world.tell(changed(0, &[2, 3]));
    let done = world.done();
    let lost: Vec<u32> = done
        .iter()
        .filter_map(|did| if let Action::Lost(piece) = did { Some(*piece) } else { None })
        .collect();
    assert_eq!(lost, [2, 3]);
    assert!(done.iter().any(|did| matches!(did, Action::Recheck { files, pieces } if files == &[(0, true)] && *pieces == set(&[2, 3]))));
    assert_eq!(
        (world.torrent.have(), world.torrent.phase()),
        (Some(&set(&[0, 1, 4, 5, 6, 7])), Phase::Seeding)
    );
    // A peer that joins meanwhile is not offered it either.
    world.join(1);
    world.did(|did| matches!(did, Action::Accept { ours: Some(ours), .. } if ours.have.count() == 6));
    world.tell(rechecked(0, &[2, 3], &[3]));
    let done = world.done();
    assert_eq!(told_of_changes(&done), [(1, 2, false)]);
    assert!(done.iter().any(|did| matches!(did, Action::Verified(3))));
    assert!(!done.iter().any(|did| matches!(did, Action::Verified(2) | Action::Refetch(_))));
    assert_eq!((world.torrent.have().map(Bitfield::count), world.torrent.phase()), (Some(7), Phase::Seeding));
    let mut progress = Progress::default();
    world.torrent.show(&mut progress, world.now);
    assert_eq!((progress.verified, progress.wanted), (u64::from(7 * PIECE), u64::from(7 * PIECE)));
    // The state no longer claims it.
    world.settle();
    world.did(|did| matches!(did, Action::Save { have, .. } if have.count() == 7));
}

#[test]
fn a_download_fetches_a_spoiled_piece_again_and_finishes_after_it() {
    let mut world = World::open(TorrentConfig::default(), &[0, 1, 2, 3, 4, 5, 6]);
    let peer = world.join(1);
    world.tell(Input::Report(peer, Report::Has(Bitfield::full(PIECES))));
    world.tell(Input::Report(peer, Report::Choking(false)));
    world.tell(changed(0, &[2, 3]));
    world.verdict(7, true);
    world.did_not(|did| matches!(did, Action::Event(EventKind::Finished { .. })));
    world.tell(rechecked(0, &[2, 3], &[3]));
    let done = world.done();
    assert_eq!(told_of_changes(&done), [(1, 2, true)]);
    assert!(done.iter().any(|did| matches!(did, Action::Refetch(pieces) if pieces == &[2])));
    assert_eq!(world.torrent.phase(), Phase::Downloading);
    world.tell(Input::Report(peer, Report::WantsBlocks(4)));
    world.settle();
    world.did(|did| matches!(did, Action::Order(_, Order::Take(job)) if job.claim.piece().index() == 2));
    world.verdict(2, true);
    world.did(|did| matches!(did, Action::Event(EventKind::Finished { .. })));
}

#[test]
fn a_file_that_is_only_touched_while_the_rest_is_fetched_lets_the_download_finish() {
    let mut world = World::open(TorrentConfig::default(), &[0, 1, 2, 3, 4, 5, 6]);
    world.tell(changed(0, &[2, 3]));
    world.verdict(7, true);
    world.tell(rechecked(0, &[2, 3], &[2, 3]));
    let done = world.done();
    assert_eq!(told_of_changes(&done), [(0, 2, true)]);
    assert!(done.iter().any(|did| matches!(did, Action::Event(EventKind::Finished { .. }))));
}

#[test]
fn a_seed_of_which_nothing_is_right_any_more_fails() {
    let mut world = World::open(TorrentConfig::default().seed_only(true), &everything());
    world.tell(changed(0, &everything()));
    world.tell(rechecked(0, &everything(), &[]));
    assert_eq!(world.torrent.phase(), Phase::Failed);
    world.did(|did| matches!(did, Action::Event(EventKind::Failed { kind: ErrorKind::Checksum, .. })));
}

#[test]
fn a_file_that_changes_again_and_again_is_given_up() {
    for seeds in [true, false] {
        let mut have = everything();
        have.truncate(if seeds { PIECES as usize } else { PIECES as usize - 1 });
        let mut world = World::open(TorrentConfig::default(), &have);
        let mut rechecks = 0;
        for _ in 0..20 {
            world.tell(changed(0, &[2]));
            rechecks += world.done().iter().filter(|did| matches!(did, Action::Recheck { .. })).count();
            world.tell(rechecked(0, &[2], &[2]));
        }
        assert!((1..20).contains(&rechecks), "{rechecks}");
        match seeds {
            true => assert_eq!(
                (world.torrent.phase(), world.torrent.have().map(Bitfield::count)),
                (Phase::Seeding, Some(7))
            ),
            false => assert_eq!(world.torrent.phase(), Phase::Failed),
        }
    }
}

#[test]
fn a_connection_that_is_lost_after_it_was_served_has_the_files_looked_at() {
    let mut world = World::open(TorrentConfig::default(), &everything());
    let peers = [1, 2, 3].map(|last| world.join(last));
    world.host.of_peers.insert(peers[1], Bytes { received: 0, sent: 1 });
    world.host.of_peers.insert(peers[2], Bytes { received: 0, sent: 1 });
    let looks = |did: &Action| matches!(did, Action::LookForChanges { .. });
    world.tell(Input::Gone(peers[0], DisconnectReason::Lost));
    world.did_not(looks);
    world.tell(Input::Gone(peers[1], DisconnectReason::Lost));
    world.did(looks);
    // A crowd that leaves at once costs one look.
    world.tell(Input::Gone(peers[2], DisconnectReason::Lost));
    world.did_not(looks);
}
