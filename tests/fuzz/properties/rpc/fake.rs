//! A backend in memory: the state that testdata/rpc was recorded with, and a list of the commands that came.
//!
//! Used by the tests of the RPC and by its fuzz target.

use std::cell::Cell;
use std::sync::Arc;

use bitwren::internals::daemon::command::*;
use bitwren::internals::daemon::settings::*;
use bitwren::internals::daemon::view::*;
use bitwren::{InfoHash, Magnet, PeerId};

/// A torrent with what is dear of it.
#[derive(Debug, Clone)]
pub struct FakeTorrent {
    pub view: TorrentView,
    pub files: Vec<FileState>,
    pub pieces: PiecesState,
    pub peers: Vec<PeerView>,
    pub trackers: Vec<TrackerState>,
}

/// The backend.
pub struct Fake {
    pub session: SessionView,
    pub torrents: Vec<FakeTorrent>,
    pub removed: Vec<TorrentId>,
    /// What came, in order.
    pub commands: Vec<Command>,
    /// What the next command fails with.
    pub failure: Option<Failure>,
    /// What asking for the space of a directory comes to.
    pub space: Result<Space, Failure>,
    /// How often something dear was asked for: files, pieces, peers, trackers.
    pub asked: Cell<[u32; 4]>,
}

impl Fake {
    /// The state of the recordings.
    pub fn new() -> Self {
        Fake {
            session: session(),
            torrents: vec![torrent(1, "big", "94f1b9a8519772c9301aa97a7d0798952e2067e9")],
            removed: Vec::new(),
            commands: Vec::new(),
            failure: None,
            space: Ok(Space { free: 66_531_676_160, total: 270_553_174_016 }),
            asked: Cell::default(),
        }
    }

    /// The same with this many torrents, their ids from 1 up.
    pub fn with(count: u32) -> Self {
        let mut fake = Fake::new();
        for id in 2..=count {
            fake.torrents.push(torrent(id, &format!("t{id}"), &format!("{id:040x}")));
        }
        fake
    }

    fn get(&self, id: TorrentId) -> Option<&FakeTorrent> {
        self.torrents.iter().find(|torrent| torrent.view.id == id)
    }

    fn dear<T: Default>(&self, what: usize, id: TorrentId, take: impl Fn(&FakeTorrent) -> T) -> T {
        let mut asked = self.asked.get();
        asked[what] += 1;
        self.asked.set(asked);
        self.get(id).map(take).unwrap_or_default()
    }

    fn add(&mut self, add: &Add) -> Result<Outcome, Failure> {
        let info_hash = match &add.source {
            Source::Metainfo(bytes) if bytes.first() != Some(&b'd') => return Err(Failure::Unrecognized),
            Source::Metainfo(_) => return Err(Failure::Corrupt),
            Source::Magnet(link) => Magnet::parse(link).map_err(|_| Failure::Unrecognized)?.info_hash,
            Source::Url { .. } => {
                return Err(Failure::Fetch("Couldn't fetch torrent: Not Found (404)".into()));
            }
            Source::Path(_) => return Err(Failure::Unrecognized),
        };
        if let Some(there) = self.torrents.iter().find(|torrent| torrent.view.facts.info_hash == info_hash) {
            let name = there.view.facts.name.clone();
            return Ok(Outcome::Duplicate(Added { id: there.view.id, name, info_hash }));
        }
        let id = self.torrents.iter().map(|torrent| torrent.view.id).max().unwrap_or(0) + 1;
        self.torrents.push(torrent(id, "added", &info_hash.to_string()));
        Ok(Outcome::Added(Added { id, name: "added".into(), info_hash }))
    }

    fn set(&mut self, id: TorrentId, change: TorrentChange) {
        let Some(torrent) = self.torrents.iter_mut().find(|torrent| torrent.view.id == id) else { return };
        change.settings.apply(&mut torrent.view.settings);
        for (list, wanted) in [(change.files.unwanted, false), (change.files.wanted, true)] {
            list.into_iter().for_each(|at| torrent.files[at as usize].wanted = wanted);
        }
        for (at, priority) in change.files.priorities {
            torrent.files[at as usize].priority = priority;
        }
        if let Some(trackers) = change.trackers {
            torrent.view.trackers = trackers.into();
        }
        if let Some(location) = change.location {
            torrent.view.download_dir = location;
        }
    }
}

impl Backend for Fake {
    fn session(&self) -> SessionView {
        self.session.clone()
    }

    fn torrents(&self) -> Vec<TorrentId> {
        self.torrents.iter().map(|torrent| torrent.view.id).collect()
    }

    fn find(&self, hash: &InfoHash) -> Option<TorrentId> {
        let is_it = |torrent: &&FakeTorrent| torrent.view.facts.info_hash == *hash;
        self.torrents.iter().find(is_it).map(|torrent| torrent.view.id)
    }

    fn recently_active(&self) -> Vec<TorrentId> {
        self.torrents.iter().take(1).map(|torrent| torrent.view.id).collect()
    }

    fn recently_removed(&self) -> Vec<TorrentId> {
        self.removed.clone()
    }

    fn torrent(&self, id: TorrentId) -> Option<TorrentView> {
        self.get(id).map(|torrent| torrent.view.clone())
    }

    fn files(&self, id: TorrentId) -> Vec<FileState> {
        self.dear(0, id, |torrent| torrent.files.clone())
    }

    fn pieces(&self, id: TorrentId) -> PiecesState {
        self.dear(1, id, |torrent| torrent.pieces.clone())
    }

    fn peers(&self, id: TorrentId) -> Vec<PeerView> {
        self.dear(2, id, |torrent| torrent.peers.clone())
    }

    fn trackers(&self, id: TorrentId) -> Vec<TrackerState> {
        self.dear(3, id, |torrent| torrent.trackers.clone())
    }

    fn space(&self, _: &str) -> Result<Space, Failure> {
        self.space.clone()
    }

    fn is_port_open(&self, family: Option<AddressFamily>) -> Result<bool, Failure> {
        if family == Some(AddressFamily::V6) { Err(Failure::System("no route".into())) } else { Ok(true) }
    }

    fn run(&mut self, command: Command) -> Result<Outcome, Failure> {
        self.commands.push(command.clone());
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        match command {
            Command::Add(add) => return self.add(&add),
            Command::Remove { ids, .. } => {
                self.torrents.retain(|torrent| !ids.contains(&torrent.view.id));
                self.removed.extend(ids);
            }
            Command::Set(id, change) => self.set(id, *change),
            Command::SetSession(change) => change.apply(Arc::make_mut(&mut self.session.settings)),
            Command::SetGroup(change) => {
                let mut group =
                    Group { name: change.name.clone(), honors_session_limits: true, ..Group::default() };
                change.apply(&mut group);
                self.session.groups.push(group);
            }
            Command::UpdateBlocklist => return Ok(Outcome::Blocklist(7)),
            _ => {}
        }
        Ok(Outcome::Done)
    }
}

fn session() -> SessionView {
    let totals = Totals { downloaded: 147_456, uploaded: 0, files_added: 0, sessions: 1, seconds_active: 13 };
    SessionView {
        settings: Arc::new(Settings {
            speed_limit_down: 60,
            speed_limit_down_enabled: true,
            speed_limit_up: 100,
            speed_limit_up_enabled: false,
            alt_speed_down: 50,
            alt_speed_up: 50,
            alt_speed_enabled: false,
            alt_speed_time_enabled: false,
            alt_speed_time_begin: 540,
            alt_speed_time_end: 1020,
            alt_speed_time_day: 127,
            download_dir: "/srv/l23291/down".into(),
            incomplete_dir: "/srv/l23291/incomplete".into(),
            incomplete_dir_enabled: false,
            download_queue_enabled: true,
            download_queue_size: 5,
            seed_queue_enabled: false,
            seed_queue_size: 10,
            queue_stalled_enabled: true,
            queue_stalled_minutes: 30,
            seed_ratio_limit: 2.0,
            seed_ratio_limited: false,
            idle_seeding_limit: 30,
            idle_seeding_limit_enabled: false,
            peer_limit_global: 200,
            peer_limit_per_torrent: 50,
            peer_port: 24291,
            peer_port_random_on_start: false,
            port_forwarding_enabled: false,
            utp_enabled: false,
            tcp_enabled: true,
            dht_enabled: false,
            pex_enabled: false,
            lpd_enabled: false,
            encryption: Encryption::Preferred,
            reqq: 2000,
            start_added_torrents: true,
            trash_original_torrent_files: false,
            rename_partial_files: true,
            cache_size_mib: 1,
            default_trackers: String::new(),
            sequential_download: false,
            blocklist_enabled: false,
            blocklist_url: "http://www.example.com/blocklist".into(),
            anti_brute_force_enabled: false,
            anti_brute_force_threshold: 100,
        }),
        config_dir: "/srv/l23291/config".into(),
        session_id: "SESSION".into(),
        blocklist_rules: 0,
        hooks: Hooks::default(),
        rates: (73_728, 0),
        active_torrents: 1,
        paused_torrents: 0,
        current: totals,
        cumulative: totals,
        groups: Vec::new(),
    }
}

fn torrent(id: TorrentId, name: &str, hash: &str) -> FakeTorrent {
    let info_hash: InfoHash = hash.parse().unwrap();
    let announce = "http://10.99.0.3:18969/announce".to_owned();
    let file = |path: &str, length, first_piece, end_piece| FileFacts {
        path: format!("{name}/{path}"),
        length,
        first_piece,
        end_piece,
    };
    let facts = TorrentFacts {
        info_hash,
        name: name.into(),
        comment: "golden".into(),
        creator: "golden".into(),
        source: String::new(),
        created: 1_700_000_000,
        is_private: false,
        size: 4_194_304,
        piece_count: 64,
        piece_length: 65_536,
        files: vec![file("one.bin", 3_000_000, 0, 46), file("two.bin", 1_194_304, 45, 64)],
        web_seeds: Vec::new(),
        torrent_file: format!("/srv/l23291/config/torrents/{info_hash}.torrent"),
    };
    let settings = TorrentSettings {
        bandwidth_priority: Priority::Normal,
        download_limit: 60,
        download_limited: false,
        upload_limit: 100,
        upload_limited: false,
        honors_session_limits: true,
        seed_ratio_limit: 2.0,
        seed_ratio_mode: LimitMode::Session,
        seed_idle_limit: 30,
        seed_idle_mode: LimitMode::Session,
        peer_limit: 50,
        sequential_download: false,
        sequential_download_from_piece: 0,
        labels: Vec::new(),
        group: String::new(),
    };
    let view = TorrentView {
        id,
        facts: Arc::new(facts),
        settings,
        trackers: vec![Tracker { id: 0, tier: 0, announce }].into(),
        status: Status::Downloading,
        trouble: Trouble::None,
        download_dir: "/srv/l23291/down".into(),
        wanted: 4_194_304,
        left: 4_046_848,
        verified: 131_072,
        unchecked: 16_384,
        desired_available: 4_046_848,
        metadata_progress: 1.0,
        verify_progress: 0.0,
        rates: (73_728, 0),
        downloaded: 147_456,
        uploaded: 0,
        corrupt: 0,
        eta: Eta::Seconds(216),
        eta_idle: Eta::NotApplicable,
        added: 1_795_839_458,
        done: 0,
        started: 1_795_839_458,
        active: 1_795_839_471,
        edited: 1_795_839_458,
        seconds_downloading: 13,
        seconds_seeding: 0,
        is_finished: false,
        is_stalled: false,
        queue_position: id - 1,
        next_manual_announce: 0,
        peers: PeerCounts {
            connected: 1,
            sending_to_us: 1,
            from: PeerSources { tracker: 1, ..PeerSources::default() },
            ..PeerCounts::default()
        },
    };
    let state = |completed| FileState { completed, wanted: true, priority: Priority::Normal };
    FakeTorrent {
        view,
        files: vec![state(147_456), state(0)],
        pieces: PiecesState { have: vec![0xa0, 0, 0, 0, 0, 0, 0, 0], availability: vec![1; 64] },
        peers: vec![peer()],
        trackers: vec![tracker_state()],
    }
}

fn peer() -> PeerView {
    PeerView {
        address: "10.99.0.1:24091".parse().unwrap(),
        id: PeerId::from_bytes(*b"-TR3000-tnfinjc71tqe"),
        client: "Transmission 3.00".into(),
        choked_by_us: true,
        chokes_us: false,
        interests_us: true,
        interested_in_us: false,
        is_sending: true,
        is_receiving: false,
        is_optimistic: false,
        is_encrypted: true,
        is_incoming: false,
        is_utp: false,
        source: PeerSource::Tracker,
        progress: 1.0,
        rates: (73_728, 0),
        received: 147_456,
        sent: 0,
    }
}

fn tracker_state() -> TrackerState {
    TrackerState {
        announcing: TrackerActivity::Waiting,
        announced: Exchange {
            started: 1_795_839_458,
            ended: 1_795_839_458,
            succeeded: true,
            ..Exchange::default()
        },
        peers: 2,
        next_announce: 1_795_841_258,
        scraping: TrackerActivity::Waiting,
        scraped: Exchange { ended: 1_795_839_458, succeeded: true, ..Exchange::default() },
        next_scrape: 1_795_841_260,
        seeders: Some(1),
        leechers: Some(2),
        downloads: Some(0),
        downloaders: None,
        is_backup: false,
    }
}
