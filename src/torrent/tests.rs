//! A torrent in virtual time, stage by stage, against a host that answers as told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::bitfield::Bitfield;
use crate::config::TorrentConfig;
use crate::crypto::Encryption;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{EventKind, Phase, Progress, SeedLimit};
use crate::id::PeerId;
use crate::job::{PeerKey, Verdict};
use crate::metainfo::build::{Content, Torrent as Build};
use crate::metainfo::{Magnet, Metainfo};
use crate::moment::Moment;
use crate::orders::{Order, Report};
use crate::random::Random;
use crate::storage::resume::Uncommitted;
use crate::storage::write_queue::WriteEvent;
use crate::swarm::peers::Source;
use crate::tracker::report::TrackerEvent;
use crate::violation::DisconnectReason;
use crate::wire::extended::{ExtendedHandshake, Extensions};

const PIECES: u32 = 8;
const PIECE: u32 = 16 * 1024;
const SAVE_EVERY: Duration = Duration::from_secs(15);

/// The driver's immediate answers, as the test sets them.
struct Fake {
    next_key: u32,
    bytes: Bytes,
    of_peers: BTreeMap<PeerKey, Bytes>,
    has_slot: bool,
    room: u32,
    entered: u32,
    dialing: u32,
    holes: bool,
}

impl Host for Fake {
    fn new_key(&mut self) -> PeerKey {
        self.next_key += 1;
        PeerKey(self.next_key)
    }

    fn transferred(&self) -> Bytes {
        self.bytes
    }

    fn transferred_with(&self, key: PeerKey) -> Bytes {
        self.of_peers.get(&key).copied().unwrap_or_default()
    }

    fn wasted(&mut self, _: u64) {}

    fn ask_slot(&mut self) -> bool {
        self.has_slot
    }

    fn take_memory(&mut self, _: u32, max_peers: u32) -> u32 {
        max_peers
    }

    fn connection_room(&mut self, _: u32, _: u32) -> u32 {
        self.room
    }

    fn enter(&mut self) -> bool {
        let room = self.entered < self.room;
        self.entered += u32::from(room);
        room
    }

    fn leave(&mut self) {
        self.entered -= 1;
    }

    fn may_dial(&mut self, connecting: u32, _: u32) -> MayDial {
        if connecting >= self.room {
            return MayDial::NoPlace;
        }
        self.dialing += 1;
        MayDial::Yes
    }

    fn no_dial(&mut self) {
        self.dialing -= 1;
    }

    fn owed(&mut self, _: u32, _: u32) -> u32 {
        0
    }

    fn vote_external_ip(&mut self, _: IpAddr, _: IpAddr) -> Option<IpAddr> {
        None
    }

    fn check_holes(&mut self, _: &Bitfield) -> Result<()> {
        if self.holes { Err(Error::new(ErrorKind::NotFound, "taken away")) } else { Ok(()) }
    }

    fn shutdown_deadlines(&self, now: Moment) -> ShutdownDeadlines {
        let after = |millis| now + Duration::from_millis(millis);
        ShutdownDeadlines {
            hang_up: after(100),
            connections: after(250),
            disk: after(400),
            trackers: after(650),
            saved: after(500),
        }
    }
}

/// A torrent, its host, and what it had done since that was looked at last.
struct World {
    torrent: Torrent,
    host: Fake,
    now: Moment,
    done: Vec<Action>,
}

fn metainfo() -> Arc<Metainfo> {
    let content = Content::File { length: u64::from(PIECES * PIECE) };
    let build = Build::new("data", content, PIECE, vec![7; PIECES as usize * 20]);
    Arc::new(Metainfo::from_bytes(&build.encode().unwrap()).unwrap())
}

impl World {
    fn new(config: TorrentConfig) -> World {
        World::with(config, |setup, _| Torrent::new(setup, metainfo()))
    }

    /// One of which only the magnet link is known.
    fn of_magnet(config: TorrentConfig) -> World {
        let magnet = Magnet::parse(&format!("magnet:?xt=urn:btih:{}", metainfo().info_hash())).unwrap();
        World::with(config, |setup, now| Torrent::of_magnet(setup, magnet, now))
    }

    fn block(&mut self, ranges: &str) {
        self.tell(Input::Filter(Arc::new(ranges.parse().unwrap())));
    }

    fn found(&mut self, source: Source, lasts: &[u8]) {
        let addr = |last: &u8| SocketAddr::from(([10, 0, 0, *last], 5000));
        self.tell(Input::Found(source, lasts.iter().map(addr).collect()));
        self.settle();
    }

    /// The last octets of the addresses that were dialed since this was asked last.
    fn dialed(&mut self) -> Vec<u8> {
        let last = |addr: SocketAddr| match addr.ip() {
            IpAddr::V4(ip) => ip.octets()[3],
            IpAddr::V6(_) => unreachable!(),
        };
        let dial = |action| if let Action::Dial(addr, _) = action { Some(last(addr)) } else { None };
        self.done().into_iter().filter_map(dial).collect()
    }

    fn with(config: TorrentConfig, make: impl FnOnce(Setup, Moment) -> Torrent) -> World {
        let setup = Setup {
            config,
            peer_id: PeerId::from_bytes([0xff; 20]),
            port: 6881,
            pex: true,
            filter: Arc::default(),
            has_queue: true,
            max_metadata: 1 << 20,
            max_connections: 100,
            save_every: SAVE_EVERY,
            random: Random::seeded(1),
        };
        let host = Fake {
            next_key: 0,
            bytes: Bytes::default(),
            of_peers: BTreeMap::new(),
            has_slot: true,
            room: 10,
            entered: 0,
            dialing: 0,
            holes: false,
        };
        let now = Moment::from_secs(100);
        World { torrent: make(setup, now), host, now, done: Vec::new() }
    }

    /// One that was checked and has `have` of the pieces.
    fn open(config: TorrentConfig, have: &[u32]) -> World {
        let mut world = World::new(config);
        world.tell(Input::Start);
        world.settle();
        world.tell(checked(have));
        world.settle();
        world.done.clear();
        world
    }

    fn tell(&mut self, input: Input) {
        self.torrent.handle(input, self.now, &mut self.host);
        self.done.extend(std::iter::from_fn(|| self.torrent.poll_action()));
    }

    fn settle(&mut self) {
        self.tell(Input::Settle);
    }

    /// Time passes until then, the torrent awake at each of its deadlines.
    fn until(&mut self, then: Moment) {
        for _ in 0..10_000 {
            match self.torrent.deadline(self.now).filter(|due| *due <= then) {
                Some(due) => {
                    self.now = self.now.max(due);
                    self.settle();
                }
                None => {
                    self.now = then;
                    return;
                }
            }
        }
        panic!("the torrent never sleeps");
    }

    fn pass(&mut self, time: Duration) {
        self.until(self.now + time);
    }

    fn join(&mut self, last: u8) -> PeerKey {
        let addr = SocketAddr::from(([10, 0, 0, last], 5000));
        self.tell(Input::Joined(Join {
            addr,
            incoming: true,
            extended: true,
            encryption: Encryption::None,
            id: PeerId::from_bytes([last; 20]),
        }));
        match self.done.iter().rev().find(|action| matches!(action, Action::Accept { .. })) {
            Some(Action::Accept { key, .. }) => *key,
            _ => panic!("not let in: {:?}", self.done),
        }
    }

    fn verdict(&mut self, piece: u32, good: bool) {
        self.tell(Input::Disk(WriteEvent::Verdict(Verdict { piece, good, contributors: Vec::new() })));
        self.settle();
    }

    /// The actions since the last call.
    fn done(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.done)
    }

    #[track_caller]
    fn did(&mut self, wanted: impl Fn(&Action) -> bool) {
        let done = self.done();
        assert!(done.iter().any(wanted), "{done:#?}");
    }

    #[track_caller]
    fn did_not(&mut self, unwanted: impl Fn(&Action) -> bool) {
        let done = self.done();
        assert!(!done.iter().any(unwanted), "{done:#?}");
    }
}

fn checked(have: &[u32]) -> Input {
    let mut there = Bitfield::empty(PIECES);
    have.iter().for_each(|&piece| _ = there.insert(piece));
    Input::Checked(Box::new(Ok(Opened {
        have: there,
        wanted: Bitfield::full(PIECES),
        proved: false,
        keeps_state: true,
        uploaded: 0,
        downloaded: 0,
        notes: Vec::new(),
        renamed: Vec::new(),
        holds_every_file: true,
        has_chosen_names: false,
    })))
}

fn everything() -> Vec<u32> {
    (0..PIECES).collect()
}

fn is_save(action: &Action) -> bool {
    matches!(action, Action::Save { .. })
}

fn is_online(action: &Action) -> bool {
    matches!(action, Action::Online)
}

fn is_closed(action: &Action, peer: PeerKey) -> bool {
    matches!(action, Action::Order(key, Order::Close(_)) if *key == peer)
}

fn set(pieces: &[u32]) -> Bitfield {
    let mut set = Bitfield::empty(PIECES);
    pieces.iter().for_each(|&piece| _ = set.insert(piece));
    set
}

fn changed(file: u32, pieces: &[u32]) -> Input {
    Input::FilesChanged(vec![ChangedFile { file, pieces: set(pieces) }])
}

fn rechecked(file: u32, pieces: &[u32], right: &[u32]) -> Input {
    let (pieces, right) = (set(pieces), set(right));
    Input::Rechecked(Box::new(Ok(Rechecked { files: vec![(file, false)], pieces, right })))
}

/// The reported changes of files: pieces lost, of how many, and whether they are downloaded again.
fn told_of_changes(done: &[Action]) -> Vec<(u32, u32, bool)> {
    let told = |action: &Action| match action {
        Action::Event(EventKind::FileChanged { lost, of, again, .. }) => Some((*lost, *of, *again)),
        _ => None,
    };
    done.iter().filter_map(told).collect()
}

fn disk_full() -> Error {
    Error::new(ErrorKind::DiskFull, "no space left")
}

#[test]
fn data_is_checked_and_then_the_torrent_goes_online() {
    let mut world = World::new(TorrentConfig::default());
    world.tell(Input::Start);
    world.settle();
    assert_eq!((world.torrent.phase(), world.torrent.deadline(world.now)), (Phase::Checking, None));
    world.did(|action| matches!(action, Action::Check));
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
fn a_torrent_without_a_slot_waits_until_one_is_granted() {
    let mut world = World::new(TorrentConfig::default());
    world.host.has_slot = false;
    world.tell(Input::Start);
    world.settle();
    assert_eq!(world.torrent.phase(), Phase::Queued);
    world.did_not(|action| matches!(action, Action::Check));
    world.tell(Input::SlotGranted);
    world.settle();
    world.did(|action| matches!(action, Action::Check));
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

#[test]
fn a_seed_ends_at_its_ratio() {
    let mut world = World::open(TorrentConfig::default().seed_ratio(Some(2.0)), &everything());
    assert_eq!(world.torrent.phase(), Phase::Seeding);
    world.join(1);
    world.host.bytes.sent = u64::from(PIECES * PIECE) * 2 - 1;
    world.settle();
    world.did_not(|action| matches!(action, Action::Event(EventKind::SeedingDone { .. })));
    world.host.bytes.sent += 1;
    world.settle();
    let is_ratio = |what: &EventKind| matches!(what, EventKind::SeedingDone { why: SeedLimit::Ratio });
    world.did(|action| matches!(action, Action::Event(what) if is_ratio(what)));
    world.pass(Duration::from_secs(1));
    world.did(|action| matches!(action, Action::Ended));
}

#[test]
fn a_seed_ends_after_its_time_and_a_pause_does_not_count() {
    let minute = Duration::from_secs(60);
    let mut world = World::open(TorrentConfig::default().seed_time(Some(minute)), &everything());
    world.pass(minute / 2);
    world.tell(Input::Pause);
    world.settle();
    world.pass(minute * 10);
    world.tell(Input::Resume);
    world.settle();
    world.pass(minute / 2 - Duration::from_millis(1));
    assert_eq!(world.torrent.phase(), Phase::Seeding);
    world.pass(Duration::from_millis(1));
    assert_eq!(world.torrent.phase(), Phase::Stopped);
}

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

/// The info dictionary as a peer sends it, in its one block.
fn dictionary() -> Report {
    Report::MetadataBlock(0, metainfo().info_bytes().into())
}

fn introduction() -> Report {
    let size = Some(metainfo().info_bytes().len() as u64);
    let m = Extensions { ut_metadata: Some(3), ..Extensions::default() };
    Report::Introduced(Box::new(ExtendedHandshake { m, metadata_size: size, ..ExtendedHandshake::default() }))
}

fn asks(action: &Action, peer: PeerKey) -> bool {
    matches!(action, Action::Order(key, Order::AskMetadata(0)) if *key == peer)
}

#[test]
fn a_magnet_link_becomes_a_torrent_and_keeps_its_connections() {
    let mut world = World::of_magnet(TorrentConfig::default());
    world.tell(Input::Start);
    world.did(|action| matches!(action, Action::LoadMetadata));
    world.tell(Input::MetadataLoaded(None));
    world.settle();
    world.did(is_online);
    let peer = world.join(1);
    world.tell(Input::Report(peer, introduction()));
    world.settle();
    world.did(|action| asks(action, peer));
    assert_eq!(world.torrent.phase(), Phase::FetchingMetadata);
    world.tell(Input::Report(peer, dictionary()));
    world.settle();
    let done = world.done();
    assert!(done.iter().any(|action| matches!(action, Action::MetadataKnown { .. })), "{done:#?}");
    assert!(done.iter().any(|action| matches!(action, Action::SaveMetadata)), "{done:#?}");
    assert!(done.iter().any(|action| matches!(action, Action::Check)), "{done:#?}");
    assert!(!done.iter().any(|action| is_closed(action, peer)), "{done:#?}");
    assert_eq!((world.host.entered, world.torrent.phase()), (1, Phase::Checking));
    // What it says meanwhile counts when the torrent opens.
    world.tell(Input::Report(peer, Report::Choking(false)));
    world.tell(Input::Report(peer, Report::Interested(true)));
    world.tell(checked(&[2]));
    let done = world.done();
    let at = |wanted: &dyn Fn(&Action) -> bool| done.iter().position(wanted).unwrap();
    let learns = |action: &Action| matches!(action, Action::Learn { key, ours } if *key == peer && ours.have.count() == 1 && !ours.upload_only);
    assert!(at(&is_online) < at(&learns), "the content is known before a connection learns of it");
    world.tell(Input::Report(peer, Report::Has(set(&[3]))));
    world.tell(Input::Report(peer, Report::WantsBlocks(4)));
    world.settle();
    let done = world.done();
    let ordered = |wanted: &dyn Fn(&Order) -> bool| {
        done.iter().any(|action| matches!(action, Action::Order(key, order) if *key == peer && wanted(order)))
    };
    assert!(ordered(&|order| matches!(order, Order::Take(_))), "{done:#?}");
    assert!(ordered(&|order| matches!(order, Order::Choke(false))), "{done:#?}");
    assert_eq!(world.torrent.peers(&world.host).len(), 1);
}

#[test]
fn a_connection_from_the_magnet_link_ends_once_whatever_the_stage() {
    let mut world = World::of_magnet(TorrentConfig::default().resume(false));
    world.tell(Input::Start);
    let peers = [1, 2, 3].map(|last| world.join(last));
    world.tell(Input::Gone(peers[0], DisconnectReason::Lost));
    peers[1..].iter().for_each(|&peer| world.tell(Input::Report(peer, introduction())));
    world.tell(Input::Report(peers[1], dictionary()));
    world.settle();
    world.tell(Input::Gone(peers[1], DisconnectReason::Lost));
    world.tell(checked(&[]));
    world.settle();
    assert_eq!(world.host.entered, 1);
    let done = world.done();
    let learned = done.iter().filter_map(|action| match action {
        Action::Learn { key, .. } => Some(*key),
        _ => None,
    });
    assert_eq!(learned.collect::<Vec<_>>(), [peers[2]]);
    let forgotten = done.iter().filter(|action| matches!(action, Action::Forget(_))).count();
    assert_eq!(forgotten, 2);
}

#[test]
fn a_liar_is_banned_even_where_it_hangs_up_first() {
    let mut world = World::of_magnet(TorrentConfig::default().resume(false));
    world.tell(Input::Start);
    let liar = world.join(1);
    world.tell(Input::Report(liar, introduction()));
    world.tell(Input::Report(liar, Report::MetadataBlock(0, vec![0; metainfo().info_bytes().len()].into())));
    world.settle();
    world.did(|action| is_closed(action, liar));
    world.tell(Input::Gone(liar, DisconnectReason::Lost));
    world.did(|action| matches!(action, Action::Event(EventKind::PeerBanned { .. })));
}

#[test]
fn a_torrent_that_must_wait_for_its_turn_keeps_no_connection() {
    let mut world = World::of_magnet(TorrentConfig::default().resume(false));
    world.host.has_slot = false;
    world.tell(Input::Start);
    let peer = world.join(1);
    world.tell(Input::Report(peer, introduction()));
    world.tell(Input::Report(peer, dictionary()));
    world.settle();
    assert_eq!(world.torrent.phase(), Phase::Queued);
    world.did(|action| is_closed(action, peer));
}

#[test]
fn a_private_torrent_parts_with_peers_that_the_dht_named() {
    let content = Content::File { length: u64::from(PIECES * PIECE) };
    let build = Build::new("data", content, PIECE, vec![7; PIECES as usize * 20]).private(true);
    let metainfo = Metainfo::from_bytes(&build.encode().unwrap()).unwrap();
    let magnet = Magnet::parse(&format!("magnet:?xt=urn:btih:{}", metainfo.info_hash())).unwrap();
    let config = TorrentConfig::default().resume(false);
    let mut world = World::with(config, |setup, now| Torrent::of_magnet(setup, magnet, now));
    world.tell(Input::Start);
    let addrs = [1, 2].map(|last| SocketAddr::from(([10, 0, 0, last], 5000)));
    world.tell(Input::Found(Source::Dht, vec![addrs[0]]));
    world.tell(Input::Found(Source::Tracker, vec![addrs[1]]));
    world.settle();
    let mut keys = Vec::new();
    for addr in addrs {
        let id = PeerId::from_bytes([addr.port() as u8; 20]);
        world.tell(Input::Joined(Join {
            addr,
            incoming: false,
            extended: true,
            encryption: Encryption::None,
            id,
        }));
        keys.extend(world.done().iter().find_map(|action| match action {
            Action::Accept { key, .. } => Some(*key),
            _ => None,
        }));
    }
    let size = Some(metainfo.info_bytes().len() as u64);
    let m = Extensions { ut_metadata: Some(3), ..Extensions::default() };
    let hello = ExtendedHandshake { m, metadata_size: size, ..ExtendedHandshake::default() };
    world.tell(Input::Report(keys[1], Report::Introduced(Box::new(hello))));
    world.tell(Input::Report(keys[1], Report::MetadataBlock(0, metainfo.info_bytes().into())));
    world.settle();
    let done = world.done();
    assert!(done.iter().any(|action| is_closed(action, keys[0])), "{done:#?}");
    assert!(!done.iter().any(|action| is_closed(action, keys[1])), "{done:#?}");
}

#[test]
fn metadata_that_was_kept_needs_no_peer() {
    let mut world = World::of_magnet(TorrentConfig::default());
    world.tell(Input::Start);
    world.tell(Input::MetadataLoaded(Some(metainfo().info_bytes().to_vec())));
    world.settle();
    let done = world.done();
    assert!(!done.iter().any(|action| matches!(action, Action::Online | Action::SaveMetadata)), "{done:#?}");
    assert!(done.iter().any(|action| matches!(action, Action::Check)), "{done:#?}");
}

#[test]
fn where_only_metadata_is_wanted_the_torrent_ends_with_it() {
    let mut world = World::of_magnet(TorrentConfig::default().resume(false).metadata_only(true));
    world.tell(Input::Start);
    let peer = world.join(1);
    world.tell(Input::Report(peer, introduction()));
    world.tell(Input::Report(peer, dictionary()));
    world.settle();
    world.did(|action| is_closed(action, peer));
    world.tell(Input::Gone(peer, DisconnectReason::Shutdown));
    world.settle();
    world.tell(Input::DiskClosed);
    world.tell(Input::TrackersStopped);
    world.settle();
    world.did(|action| matches!(action, Action::Ended));
    assert_eq!(world.host.entered, 0);
}

#[test]
fn a_pause_while_metadata_is_fetched_closes_every_connection_and_holds() {
    let mut world = World::of_magnet(TorrentConfig::default().resume(false));
    world.tell(Input::Start);
    let peer = world.join(1);
    world.tell(Input::Pause);
    world.settle();
    let done = world.done();
    assert!(done.iter().any(|action| is_closed(action, peer)), "{done:#?}");
    assert!(done.iter().any(|action| matches!(action, Action::Offline { .. })), "{done:#?}");
    assert!(world.torrent.peers(&world.host).is_empty());
    world.tell(Input::Gone(peer, DisconnectReason::Shutdown));
    assert_eq!((world.host.entered, world.torrent.phase()), (0, Phase::Paused));
    world.pass(Duration::from_secs(600));
    world.did_not(|action| matches!(action, Action::WantPeers | Action::Dial(..)));
    world.tell(Input::Resume);
    world.settle();
    world.did(is_online);
    assert_eq!(world.torrent.phase(), Phase::FetchingMetadata);
}

#[test]
fn a_selection_that_is_not_in_the_metadata_fails_the_torrent() {
    let mut world = World::of_magnet(TorrentConfig::default().select(Some(vec![1])));
    world.tell(Input::Start);
    world.tell(Input::MetadataLoaded(Some(metainfo().info_bytes().to_vec())));
    world.settle();
    assert_eq!(world.torrent.phase(), Phase::Failed);
    world.tell(Input::Remove);
    world.pass(Duration::from_secs(1));
    world.did(|action| matches!(action, Action::Ended));
}

#[test]
fn a_removal_while_metadata_is_fetched_ends_in_time() {
    let mut world = World::of_magnet(TorrentConfig::default().resume(false));
    world.tell(Input::Start);
    let peer = world.join(1);
    // The last block and the removal come together: no torrent begins.
    world.tell(Input::Report(peer, introduction()));
    world.tell(Input::Report(peer, dictionary()));
    world.tell(Input::Remove);
    world.tell(Input::Gone(peer, DisconnectReason::Shutdown));
    world.pass(Duration::from_millis(650));
    let done = world.done();
    assert!(!done.iter().any(|action| matches!(action, Action::Check)), "{done:#?}");
    assert!(done.iter().any(|action| matches!(action, Action::Ended)), "{done:#?}");
    assert_eq!(world.host.entered, 0);
}

/// What no order of inputs may break: joins are answered once each, orders go to connected peers, places
/// taken are given back, and a removal ends everything in time.
#[test]
fn whatever_happens_in_whatever_order_the_contract_holds() {
    for seed in 0..300 {
        let mut dice = Random::seeded(seed);
        let config = TorrentConfig::default()
            .seed(dice.below(2) == 0)
            .super_seed(dice.below(4) == 0)
            .peers(vec![SocketAddr::from(([10, 9, 9, 9], 9))]);
        let is_magnet = dice.below(2) == 0;
        let mut world = if is_magnet { World::of_magnet(config) } else { World::new(config) };
        world.host.room = 1 + dice.below(4) as u32;
        world.tell(Input::Start);
        let mut there = BTreeSet::new();
        let mut ended_early = false;
        for _ in 0..200 {
            let any = |dice: &mut Random, there: &BTreeSet<PeerKey>| {
                let at = dice.below(there.len().max(1) as u64) as usize;
                there.iter().nth(at).copied().unwrap_or(PeerKey(0))
            };
            let key = any(&mut dice, &there);
            let piece = dice.below(u64::from(PIECES)) as u32;
            let input = match dice.below(30) {
                0 => Input::Pause,
                1 | 2 => Input::Resume,
                3 => Input::SlotGranted,
                4 => Input::Disk(WriteEvent::Failed(disk_full())),
                5 => Input::Disk(WriteEvent::Recovered),
                6 => Input::Disk(WriteEvent::Dropped(piece)),
                7 => Input::Saved(Ok(())),
                8 => Input::TrackersStopped,
                9 => Input::Gone(key, DisconnectReason::Lost),
                10 => Input::Report(key, Report::Interested(dice.below(2) == 0)),
                11 => Input::Report(key, Report::Has(Bitfield::full(PIECES))),
                12 => Input::Report(key, Report::WantsBlocks(4)),
                13 => Input::Report(key, Report::Choking(false)),
                14 | 15 => checked(&[piece]),
                16 => {
                    let addr = SocketAddr::from(([10, 2, 0, dice.below(9) as u8], 7));
                    Input::Found(Source::Tracker, vec![addr])
                }
                17 => {
                    Input::Disk(WriteEvent::Verdict(Verdict { piece, good: false, contributors: vec![key] }))
                }
                26 => changed(piece % 2, &[piece]),
                27 => rechecked(piece % 2, &[piece], [&[], &[piece][..]][dice.below(2) as usize]),
                18 if dice.below(10) == 0 => Input::ReadFailed(disk_full()),
                19..=21 => {
                    let last = dice.below(9) as u8;
                    let addr = SocketAddr::from(([10, 0, 0, last], 5000 + u16::from(last)));
                    let incoming = dice.below(2) == 0;
                    Input::Joined(Join {
                        addr,
                        incoming,
                        extended: true,
                        encryption: Encryption::None,
                        id: PeerId::from_bytes([last; 20]),
                    })
                }
                22 => Input::MetadataLoaded(None),
                23 => Input::Report(key, introduction()),
                24 => Input::Report(key, dictionary()),
                25 => Input::Report(key, Report::MetadataRejected(0)),
                _ => Input::Settle,
            };
            let is_join = matches!(input, Input::Joined(_));
            if let Input::Gone(key, _) = input {
                there.remove(&key);
            }
            world.now = world.now + Duration::from_millis(dice.below(3_000));
            world.tell(input);
            let mut answers = 0;
            for action in world.done() {
                match action {
                    Action::Accept { key, .. } => {
                        answers += 1;
                        assert!(there.insert(key), "seed {seed}: {key:?} twice");
                    }
                    Action::Refuse(_) => answers += 1,
                    Action::Order(key, _) | Action::HangUp(key) | Action::Learn { key, .. } => {
                        assert!(there.contains(&key), "seed {seed}: an order to {key:?}, which is not there");
                    }
                    Action::Forget(key) => _ = there.remove(&key),
                    Action::Ended => ended_early = true,
                    _ => {}
                }
            }
            assert_eq!(answers, u32::from(is_join), "seed {seed}");
            assert!(!ended_early, "seed {seed}: ended though it was not removed");
            assert_eq!(world.host.entered as usize, there.len(), "seed {seed}: places and connections");
        }
        let last = world.host.shutdown_deadlines(world.now).trackers;
        world.tell(Input::Remove);
        world.until(last);
        world.did(|action| matches!(action, Action::Ended));
    }
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
