//! Seeding through the library: it ends by itself when it is enough, and a super-seed serves a
//! whole swarm. Clients in one process, on loopback.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::content::{Recipe, Torrent};
use crate::support::scratch::Scratch;
use bitwren::internals::storage::fd_cache::FdCache;
use bitwren::internals::storage::files::Files;
use bitwren::internals::storage::layout::Layout;
use bitwren::internals::storage::survey::survey;
use bitwren::{Allocation, Client, Config, ErrorKind, EventKind, Metainfo, SeedLimit, TorrentConfig};

const PATIENCE: Duration = Duration::from_secs(60);
const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn client(config: Config) -> Client {
    Client::start(config.bind(Some(HOME)).port(0)).unwrap()
}

fn metainfo(torrent: &Torrent) -> Arc<Metainfo> {
    Arc::new(Metainfo::from_bytes(&torrent.metainfo).unwrap())
}

fn alone(dir: &Path) -> TorrentConfig {
    TorrentConfig::default().dir(dir.to_owned()).use_trackers(false)
}

fn address(client: &Client) -> SocketAddr {
    SocketAddr::new(HOME, client.port())
}

/// Waits for an event that `wanted` knows, and returns those before it too.
#[track_caller]
fn wait_for(client: &Client, wanted: impl Fn(&EventKind) -> bool) -> Vec<EventKind> {
    let (events, end) = (client.events(), Instant::now() + PATIENCE);
    let mut seen = Vec::new();
    while let Ok(event) = events.recv_timeout(end.saturating_duration_since(Instant::now())) {
        seen.push(event.what);
        if seen.last().is_some_and(&wanted) {
            return seen;
        }
    }
    panic!("it did not come: {seen:?}");
}

fn done(seen: &[EventKind]) -> Option<SeedLimit> {
    seen.iter().find_map(|what| match what {
        EventKind::SeedingDone { why } => Some(*why),
        _ => None,
    })
}

fn is_stopped(what: &EventKind) -> bool {
    matches!(what, EventKind::Stopped)
}

fn is_finished(what: &EventKind) -> bool {
    matches!(what, EventKind::Finished { .. })
}

#[test]
fn a_ratio_counts_all_sessions() {
    let scratch = Scratch::new("ratio");
    let torrent = Recipe::multi("ratio", &[("a", 300_000), ("b", 200_000)]).make();
    let source = scratch.dir("source");
    torrent.write_to(&source);
    let seed = client(Config::default());
    let once = alone(&source).seed_ratio(Some(1.0));
    seed.add(metainfo(&torrent), once.clone()).unwrap();
    let leecher = client(Config::default());
    let got = alone(&scratch.dir("got")).peers(vec![address(&seed)]).seed(false);
    leecher.add(metainfo(&torrent), got).unwrap();
    wait_for(&leecher, is_finished);
    let seen = wait_for(&seed, is_stopped);
    assert_eq!(done(&seen), Some(SeedLimit::Ratio));
    // What was sent then counts now; another limit than before may leave something to do.
    let again = client(Config::default());
    again.add(metainfo(&torrent), once).unwrap();
    assert_eq!(done(&wait_for(&again, is_stopped)), Some(SeedLimit::Ratio));
    again
        .add(metainfo(&torrent), alone(&source).seed_ratio(Some(2.0)).seed_time(Some(Duration::ZERO)))
        .unwrap();
    assert_eq!(done(&wait_for(&again, is_stopped)), Some(SeedLimit::Time));
}

#[test]
fn what_a_seed_has_hashed_once_it_does_not_hash_again() {
    let scratch = Scratch::new("hashed");
    let torrent = Recipe::multi("hashed", &[("a", 300_000), ("b", 200_000)]).make();
    torrent.write_to(scratch.path());
    let config = alone(scratch.path()).seed_only(true).seed_time(Some(Duration::ZERO));
    let checked = || {
        let seed = client(Config::default());
        let handle = seed.add(metainfo(&torrent), config.clone()).unwrap();
        wait_for(&seed, is_stopped);
        handle.progress().checked
    };
    assert!(checked() > 0);
    assert_eq!(checked(), 0, "the state of the first run was not believed");
}

/// What is saved: bytes sent and received in all sessions. `write` puts other numbers there.
fn counted(torrent: &Torrent, dir: &Path, write: Option<(u64, u64)>) -> (u64, u64) {
    let layout = Layout::new(metainfo(torrent), None).unwrap();
    let files = Files::open(dir, layout, Arc::new(FdCache::new(8)), Allocation::Sparse);
    let mut found = survey(&Arc::new(files), &alone(dir)).unwrap();
    if let Some((sent, received)) = write {
        let resume = found.resume.as_mut().unwrap();
        resume.snapshot(&found.known, sent, received).commit().unwrap();
    }
    (found.uploaded, found.downloaded)
}

#[test]
fn counters_of_a_saved_state_stop_at_their_limit() {
    let scratch = Scratch::new("counters");
    let torrent = Recipe::multi("counters", &[("a", 300_000)]).make();
    let source = scratch.dir("source");
    torrent.write_to(&source);
    let seed = client(Config::default());
    seed.add(metainfo(&torrent), alone(&source).seed_time(Some(Duration::ZERO))).unwrap();
    wait_for(&seed, is_stopped);
    counted(&torrent, &source, Some((u64::MAX - 1000, u64::MAX)));
    let seed = client(Config::default());
    seed.add(metainfo(&torrent), alone(&source)).unwrap();
    let leecher = client(Config::default());
    let got = alone(&scratch.dir("got")).peers(vec![address(&seed)]).seed(false);
    leecher.add(metainfo(&torrent), got).unwrap();
    wait_for(&leecher, is_finished);
    seed.shutdown();
    assert_eq!(counted(&torrent, &source, None), (u64::MAX, u64::MAX));
}

#[test]
fn a_limit_of_the_client_is_that_of_each_torrent_unless_it_says_otherwise() {
    let scratch = Scratch::new("overall");
    let torrent = Recipe::multi("overall", &[("a", 100_000)]).make();
    torrent.write_to(scratch.path());
    let seed = client(Config::default().seed_idle(Some(Duration::from_millis(300))));
    seed.add(metainfo(&torrent), alone(scratch.path())).unwrap();
    assert_eq!(done(&wait_for(&seed, is_stopped)), Some(SeedLimit::Idle));
    let own =
        alone(scratch.path()).seed_idle(Some(Duration::MAX)).seed_time(Some(Duration::from_millis(900)));
    seed.add(metainfo(&torrent), own).unwrap();
    assert_eq!(done(&wait_for(&seed, is_stopped)), Some(SeedLimit::Time));
}

#[test]
fn limits_out_of_range_are_refused() {
    let scratch = Scratch::new("range");
    let torrent = Recipe::multi("range", &[("a", 1)]).make();
    let client = client(Config::default());
    for wrong in [
        alone(scratch.path()).seed_ratio(Some(f64::NAN)),
        alone(scratch.path()).seed_ratio(Some(-1.0)),
        alone(scratch.path()).upload_slots(Some(0)),
    ] {
        let refused = client.add(metainfo(&torrent), wrong).err().map(|error| error.kind());
        assert_eq!(refused, Some(ErrorKind::Argument));
    }
}

/// Leechers that know one another get everything from a super-seed, and end super-seeding.
#[test]
fn a_super_seed_serves_a_swarm() {
    let scratch = Scratch::new("super");
    let torrent = Recipe::multi("super", &[("a", 1_500_000), ("b", 500_000)]).make();
    let source = scratch.dir("source");
    torrent.write_to(&source);
    let seed = client(Config::default());
    seed.add(metainfo(&torrent), alone(&source).super_seed(true)).unwrap();
    wait_for(&seed, is_finished);
    let leechers: Vec<Client> = (0..3).map(|_| client(Config::default())).collect();
    for (nth, leecher) in leechers.iter().enumerate() {
        let others = leechers.iter().take(nth).map(address).chain([address(&seed)]);
        let config = alone(&scratch.dir(&format!("got{nth}"))).peers(others);
        leecher.add(metainfo(&torrent), config).unwrap();
    }
    for (nth, leecher) in leechers.iter().enumerate() {
        wait_for(leecher, is_finished);
        torrent.assert_complete(&scratch.dir(&format!("got{nth}")));
    }
    wait_for(&seed, |what| matches!(what, EventKind::Note { what } if what.contains("another seed")));
}
