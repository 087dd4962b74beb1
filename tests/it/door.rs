//! A torrent that is changed while it runs, through the library: two clients on loopback, real sockets and files.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use crate::support::content::{Recipe, Torrent as Made};
use crate::support::scratch::{Scratch, files_below};
use crate::support::until::until;
use bitwren::{
    AnnounceEvent, Announced, Client, Config, Event, EventKind, Events, Metainfo, PeerSource, Phase,
    Priority, Torrent, TorrentConfig, TrackerServer, TrackerServerConfig, TrackerState,
};

const PATIENCE: Duration = Duration::from_secs(60);
const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct World {
    scratch: Scratch,
    made: Made,
    metainfo: Arc<Metainfo>,
    seeder: Client,
    leecher: Client,
    events: Events,
}

impl World {
    /// A client that seeds, and one that has nothing yet.
    fn new(name: &str, files: &[(&str, usize)]) -> World {
        let scratch = Scratch::new(name);
        let made = Recipe::multi("data", files).make();
        made.write_to(&scratch.dir("source"));
        let metainfo = Arc::new(Metainfo::from_bytes(&made.metainfo).unwrap());
        let client = || Client::start(Config::default().bind(Some(HOME)).port(0)).unwrap();
        let (seeder, leecher) = (client(), client());
        seeder.add(metainfo.clone(), alone(&scratch.dir("source")).seed_only(true)).unwrap();
        let events = leecher.events();
        World { scratch, made, metainfo, seeder, leecher, events }
    }

    fn dir(&self) -> std::path::PathBuf {
        self.scratch.dir("here")
    }

    fn peer(&self) -> SocketAddr {
        SocketAddr::new(HOME, self.seeder.port())
    }

    fn download(&self, config: TorrentConfig) -> Torrent {
        self.leecher.add(self.metainfo.clone(), config.peers([self.peer()])).unwrap()
    }

    /// Waits for an event that is wanted, and returns those before it too.
    #[track_caller]
    fn wait(&self, wanted: impl Fn(&EventKind) -> bool) -> Vec<EventKind> {
        let end = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        while let Ok(Event { what, .. }) =
            self.events.recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            assert!(!matches!(what, EventKind::Failed { .. }) || wanted(&what), "{what:?} after {seen:?}");
            let is_wanted = wanted(&what);
            seen.push(what);
            if is_wanted {
                return seen;
            }
        }
        panic!("it did not come: {seen:?}");
    }
}

fn alone(dir: &Path) -> TorrentConfig {
    TorrentConfig::default().dir(dir.to_owned()).use_trackers(false)
}

fn is_finished(what: &EventKind) -> bool {
    matches!(what, EventKind::Finished { .. })
}

fn is_checked(what: &EventKind) -> bool {
    matches!(what, EventKind::Checked { .. })
}

#[test]
fn a_running_torrent_is_verified_and_fetches_what_is_wrong() {
    let world = World::new("verify", &[("a", 300_000), ("b", 200_000)]);
    let torrent = world.download(alone(&world.dir()));
    world.wait(is_finished);
    // Wrong bytes under the time that the file had, so that only hashing shows them.
    let path = world.dir().join("data/a");
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[100_000] ^= 1;
    fs::write(&path, bytes).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
    torrent.verify();
    let seen = world.wait(is_finished);
    let lacking = |what: &EventKind| matches!(what, EventKind::Checked { have, of } if have + 1 == *of);
    assert!(seen.iter().any(lacking), "{seen:?}");
    world.made.assert_complete(&world.dir());
    assert_eq!(torrent.progress().phase, Phase::Seeding);

    torrent.pause();
    world.wait(|what| *what == EventKind::Paused);
    torrent.verify();
    let seen = world.wait(is_checked);
    assert!(!seen.iter().any(is_finished), "{seen:?}");
    let pieces = torrent.pieces().unwrap();
    assert!((0..pieces.count).all(|piece| pieces.has(piece)));
    assert_eq!(torrent.progress().phase, Phase::Paused);
}

#[test]
fn a_file_that_is_wanted_later_is_made_and_fetched() {
    let world = World::new("files", &[("a", 100_000), ("b", 200_000), ("c", 100_000)]);
    let torrent = world.download(alone(&world.dir()).select(vec![1]));
    world.wait(is_finished);
    let before: Vec<_> =
        torrent.files().unwrap().iter().map(|file| (file.wanted, file.completed == file.length)).collect();
    assert_eq!(before, [(false, false), (true, true), (false, false)]);
    assert!(torrent.set_files(&[None; 3]).is_err() && torrent.set_files(&[Some(Priority::High)]).is_err());
    torrent.set_files(&[Some(Priority::High), Some(Priority::Normal), None]).unwrap();
    world.wait(is_finished);
    let files = files_below(&world.dir());
    assert!(files.contains(&"data/a".into()) && !files.contains(&"data/c".into()), "{files:?}");
    for name in ["a", "b"] {
        let at = format!("data/{name}");
        assert_eq!(
            fs::read(world.dir().join(&at)).unwrap(),
            fs::read(world.scratch.dir("source").join(&at)).unwrap()
        );
    }
    torrent.set_files(&[Some(Priority::Normal); 3]).unwrap();
    world.wait(is_finished);
    world.made.assert_complete(&world.dir());
    // The state agrees: the next start hashes nothing.
    torrent.remove();
    world.wait(|what| *what == EventKind::Stopped);
    let again = world.download(alone(&world.dir()));
    world.wait(is_finished);
    assert_eq!(again.progress().checked, 0);
}

#[test]
fn a_torrent_whose_data_is_elsewhere_is_found_there() {
    let world = World::new("locate", &[("a", 300_000), ("b", 200_000)]);
    let torrent = world.download(alone(&world.dir()));
    world.wait(is_finished);
    let there = world.scratch.path().join("there");
    fs::rename(world.dir(), &there).unwrap();
    torrent.locate(&there);
    world.wait(is_checked);
    assert!(torrent.progress().is_finished());
    world.made.assert_complete(&there);
}

#[test]
fn a_torrent_that_is_moved_goes_on_in_the_new_directory_and_hashes_nothing() {
    let world = World::new("move", &[("a", 300_000), ("sub/b", 200_000)]);
    let torrent = world.download(alone(&world.dir()));
    world.wait(is_finished);
    let there = world.scratch.path().join("there");
    torrent.move_to(&there);
    let seen = world.wait(is_checked);
    assert!(seen.contains(&EventKind::Moved { dir: there.clone() }), "{seen:?}");
    world.made.assert_complete(&there);
    assert!(files_below(&world.dir()).is_empty());
    let progress = torrent.progress();
    assert!(progress.is_finished() && progress.checked == 0 && progress.moved >= 500_000, "{progress:?}");

    // What is in the way stays, and the torrent where it is.
    let taken = world.scratch.dir("taken");
    fs::create_dir_all(taken.join("data")).unwrap();
    fs::write(taken.join("data/a"), b"another").unwrap();
    torrent.move_to(&taken);
    let seen = world.wait(is_checked);
    assert!(seen.iter().any(|what| matches!(what, EventKind::NotMoved { .. })), "{seen:?}");
    world.made.assert_complete(&there);
    assert_eq!(fs::read(taken.join("data/a")).unwrap(), b"another");
}

#[test]
fn trackers_are_shown_and_changed() {
    let (watch, announces) = sync_channel::<Announced>(16);
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = TrackerServerConfig::default().http([loopback]).udp([loopback]).watch(watch);
    let tracker = TrackerServer::start(config).unwrap();
    let http = format!("http://{}/announce", tracker.http_addresses()[0]);
    let udp = format!("udp://{}/announce", tracker.udp_addresses()[0]);
    let world = World::new("trackers", &[("a", 100_000)]);
    let torrent = world.download(alone(&world.dir()).tiers(vec![vec![http.clone()]]));
    let heard = |event: AnnounceEvent| loop {
        let announced = announces.recv_timeout(PATIENCE).unwrap();
        if announced.event == event {
            return announced;
        }
    };
    heard(AnnounceEvent::Started);
    let answered = || torrent.trackers()?.into_iter().find(|tracker| tracker.last.is_some());
    let shown = until(PATIENCE, answered).unwrap();
    assert_eq!((shown.url.as_str(), shown.tier), (http.as_str(), 0));
    assert!(shown.last.is_some_and(|last| last.succeeded && &*last.result == "Success"));

    assert!(torrent.set_trackers(vec![vec!["nonsense".to_owned()]]).is_err());
    torrent.set_trackers(vec![vec![udp.clone()]]).unwrap();
    // The one that goes is told.
    heard(AnnounceEvent::Stopped);
    let urls = || Some(torrent.trackers()?.into_iter().map(|tracker| tracker.url).collect::<Vec<_>>());
    assert_eq!(until(PATIENCE, || urls().filter(|urls| *urls == [udp.as_str()])), Some(vec![udp.clone()]));
    torrent.pause();
    world.wait(|what| *what == EventKind::Paused);
    let paused = torrent.trackers().unwrap();
    assert_eq!((paused.len(), paused[0].state), (1, TrackerState::Inactive));
    tracker.stop();
}

#[test]
fn peers_tell_what_they_do() {
    let world = World::new("peers", &[("a", 3_000_000)]);
    let torrent = world.download(alone(&world.dir()).down_limit(300_000));
    world.wait(|what| matches!(what, EventKind::Piece { .. }));
    let [peer] = &torrent.peers()[..] else { panic!("{:?}", torrent.peers()) };
    // It may choke us still: some pieces are allowed fast.
    assert_eq!((peer.source, peer.incoming, peer.interesting), (PeerSource::Given, false, true));
    assert!(peer.downloaded > 0 && peer.uploaded == 0);
    let progress = torrent.progress();
    assert_eq!((progress.sources.given, progress.peers), (1, 1));
    torrent.remove();
    world.wait(|what| *what == EventKind::Stopped);
    assert_eq!((torrent.pieces(), torrent.files()), (None, None));
}
