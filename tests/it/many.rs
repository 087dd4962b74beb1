//! Many torrents in one client: turns, places, one listener for all, an end in time.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::support::content::{Recipe, Torrent};
use crate::support::scratch::Scratch;
use crate::support::until::until;
use bitwren::{Client, Config, EventKind, Events, InfoHash, Metainfo, Phase, TorrentConfig};

const LONG: Duration = Duration::from_secs(60);

fn client(set: impl FnOnce(Config) -> Config) -> Client {
    let config = Config::default().bind(Some([127, 0, 0, 1].into())).port(0).port_required(true);
    Client::start(set(config)).unwrap()
}

fn settings(dir: &Path) -> TorrentConfig {
    TorrentConfig::default().dir(dir.to_path_buf()).use_trackers(false)
}

fn metainfo(torrent: &Torrent) -> Arc<Metainfo> {
    Arc::new(Metainfo::from_bytes(&torrent.metainfo).unwrap())
}

fn some(count: usize) -> Vec<Torrent> {
    (0..count).map(|n| Recipe::single(&format!("number {n}"), 150_000 + n).make()).collect()
}

/// A client that seeds all of these, and where.
fn seeding(dir: &Path, torrents: &[Torrent], set: impl FnOnce(Config) -> Config) -> (Client, SocketAddr) {
    let client = client(set);
    for torrent in torrents {
        torrent.write_to(dir);
        client.add(metainfo(torrent), settings(dir).seed_only(true)).unwrap();
    }
    let address = SocketAddr::new([127, 0, 0, 1].into(), client.port());
    (client, address)
}

/// Takes in events until this many torrents did what is asked for.
#[track_caller]
fn wait(
    events: &Events,
    many: usize,
    mut is_it: impl FnMut(&EventKind) -> bool,
) -> Vec<(InfoHash, EventKind)> {
    let (mut seen, mut count) = (Vec::new(), 0);
    while count < many {
        let event = events.recv_timeout(LONG).unwrap_or_else(|_| panic!("{count} of {many}: {seen:?}"));
        count += usize::from(is_it(&event.what));
        seen.push((event.torrent, event.what));
    }
    seen
}

#[test]
fn torrents_wait_for_their_turn_and_serve_when_they_had_it() {
    let scratch = Scratch::new("turns");
    let torrents = some(5);
    let (source, address) = seeding(&scratch.dir("source"), &torrents, |config| config);
    wait(&source.events(), 5, |what| matches!(what, EventKind::Finished { .. }));
    let middle = client(|config| config.max_active(2));
    let events = middle.events();
    let got = scratch.dir("got");
    let handles: Vec<_> =
        torrents.iter().map(|torrent| middle.add(metainfo(torrent), settings(&got)).unwrap()).collect();
    // There are no peers yet: two are active, the others are queued.
    wait(&events, 5, |what| matches!(what, EventKind::Queued | EventKind::Checking));
    while handles[4].progress().phase != Phase::Queued {
        std::thread::yield_now();
    }
    // One that waits can be paused, which loses its place, and resumed, which queues it again.
    handles[2].pause();
    wait(&events, 1, |what| *what == EventKind::Paused);
    // A torrent resumed at the moment it is paused keeps its place: it shows when the pause is done.
    while handles[2].progress().phase != Phase::Paused {
        std::thread::yield_now();
    }
    handles[2].resume();
    wait(&events, 1, |what| *what == EventKind::Queued);
    // A last one is taken out of the queue.
    handles[3].remove();
    wait(&events, 1, |what| *what == EventKind::Stopped);
    for handle in &handles {
        handle.add_peer(address);
    }
    let seen = wait(&events, 4, |what| matches!(what, EventKind::Finished { .. }));
    let (mut running, mut order) = (2, Vec::new());
    for (torrent, what) in seen {
        match what {
            EventKind::Checking => {
                running += 1;
                order.push(torrent);
            }
            EventKind::Finished { .. } => running -= 1,
            _ => {}
        }
        assert!(running <= 2);
    }
    // Two turns may come free at once, and then either may be quicker to say that it begins.
    let mut expected = [handles[4].info_hash(), handles[2].info_hash()];
    order.sort();
    expected.sort();
    assert_eq!(order, expected);
    for torrent in [0, 1, 2, 4].map(|n| &torrents[n]) {
        torrent.assert_complete(&got);
    }
    // All of them are served now, through one port, though the source is gone.
    source.shutdown();
    let third = client(|config| config);
    let again = scratch.dir("again");
    let from = vec![SocketAddr::new([127, 0, 0, 1].into(), middle.port())];
    for torrent in [0, 1, 2, 4].map(|n| &torrents[n]) {
        third.add(metainfo(torrent), settings(&again).peers(from.clone())).unwrap();
    }
    wait(&third.events(), 4, |what| matches!(what, EventKind::Finished { .. }));
}

#[test]
fn a_torrent_that_fails_or_is_paused_gives_its_turn_to_the_next() {
    let scratch = Scratch::new("handed-on");
    let torrents = some(3);
    let got = scratch.dir("got");
    // A file is in the way of the first.
    std::fs::write(got.join("number 0"), [7; 150_000]).unwrap();
    let client = client(|config| config.max_active(1));
    let handles: Vec<_> =
        torrents.iter().map(|torrent| client.add(metainfo(torrent), settings(&got)).unwrap()).collect();
    let events = client.events();
    let seen = wait(&events, 1, |what| *what == EventKind::Started);
    assert!(seen.iter().any(|(torrent, what)| {
        *torrent == handles[0].info_hash() && matches!(what, EventKind::Failed { .. })
    }));
    assert_eq!(seen.last().unwrap().0, handles[1].info_hash());
    handles[1].pause();
    let seen = wait(&events, 1, |what| *what == EventKind::Started);
    assert_eq!(seen.last().unwrap().0, handles[2].info_hash());
    handles[1].resume();
    let seen = wait(&events, 1, |what| *what == EventKind::Queued);
    assert_eq!(seen.last().unwrap().0, handles[1].info_hash());
    handles[2].remove();
    wait(&events, 1, |what| *what == EventKind::Stopped);
    while handles[1].progress().phase != Phase::Downloading {
        std::thread::yield_now();
    }
}

/// One torrent has all the places there are; when another comes it gets its own.
#[test]
fn a_torrent_with_many_peers_makes_room_for_another() {
    let scratch = Scratch::new("shares");
    let torrents = some(2);
    let (source, address) = seeding(&scratch.dir("source"), &torrents, |config| config.max_peers(8));
    let events = source.events();
    wait(&events, 2, |what| matches!(what, EventKind::Finished { .. }));
    // Leechers of the first who are never done: they want a byte a second.
    let crowd: Vec<_> = (0..12)
        .map(|n| {
            let one = client(|config| config.down_limit(1));
            let dir = scratch.dir(&format!("crowd {n}"));
            one.add(metainfo(&torrents[0]), settings(&dir).peers(vec![address])).unwrap();
            one
        })
        .collect();
    wait(&events, 7, |what| matches!(what, EventKind::PeerConnected { .. }));
    let other = client(|config| config);
    other.add(metainfo(&torrents[1]), settings(&scratch.dir("other")).peers(vec![address])).unwrap();
    wait(&other.events(), 1, |what| matches!(what, EventKind::Finished { .. }));
    drop(crowd);
}

#[test]
fn a_thousand_torrents_are_taken_and_two_hundred_that_run_end() {
    let scratch = Scratch::new("thousand");
    let got = scratch.dir("got");
    let client = client(|config| config.max_active(200));
    let mut handles = HashMap::new();
    for n in 0..1000 {
        let torrent = Recipe::single(&format!("{n}"), 10).make();
        let handle = client.add(metainfo(&torrent), settings(&got)).unwrap();
        handles.insert(handle.info_hash(), handle);
    }
    let (mut started, mut queued) = (0, 0);
    let events = client.events();
    while started < 200 || queued < 800 {
        match events.recv_timeout(LONG).expect("they begin or wait").what {
            EventKind::Started => started += 1,
            EventKind::Queued => queued += 1,
            _ => {}
        }
    }
    assert_eq!(events.dropped(), 0);
    client.shutdown();
    // A client ends within a second; on a busy machine it leaves the last of so many torrents behind.
    let have_ended =
        || handles.values().all(|handle| handle.progress().phase == Phase::Stopped).then_some(());
    until(LONG, have_ended).expect("all end");
}
