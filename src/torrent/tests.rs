//! A torrent in virtual time, stage by stage, against a host that answers as told.

mod changes;
mod checking;
mod contract;
mod disk_trouble;
mod metadata;
mod piece_jobs;
mod reopening;
mod saving;
mod seed_limits;
mod settings;
mod slots;
mod snapshots;
mod stopping;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::bitfield::Bitfield;
use crate::config::TorrentConfig;
use crate::crypto::Encryption;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{EventKind, SeedLimit};
use crate::host::active_queue::Lane;
use crate::id::PeerId;
use crate::job::{PeerKey, Verdict};
use crate::metainfo::build::{Content, Torrent as Build};
use crate::metainfo::{Magnet, Metainfo};
use crate::moment::Moment;
use crate::orders::{Order, Report};
use crate::random::Random;
use crate::snapshot::{PeerSource, Phase, Progress};
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

    fn ask_slot(&mut self, _: Lane) -> bool {
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
            has_seed_queue: false,
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

fn disk_full() -> Error {
    Error::new(ErrorKind::DiskFull, "no space left")
}

/// The info dictionary as a peer sends it, in its one block.
fn dictionary() -> Report {
    Report::MetadataBlock(0, metainfo().info_bytes().into())
}

fn extension_handshake() -> Report {
    let size = Some(metainfo().info_bytes().len() as u64);
    let m = Extensions { ut_metadata: Some(3), ..Extensions::default() };
    Report::ExtensionHandshake(Box::new(ExtendedHandshake {
        m,
        metadata_size: size,
        ..ExtendedHandshake::default()
    }))
}
