//! The session for those who answer clients: views are read where they are asked for, commands go to the
//! [`keeper`](super::keeper) and are waited for.
//!
//! What has to be fetched or parsed is, before the keeper hears of it. Paths are held to the roots here.

use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};

use crate::crypto::Encryption;
use crate::daemon::command::{Add, AddressFamily, Backend, Command, Failure, Outcome, Source};
use crate::daemon::gate::Gate;
use crate::daemon::order::{Message, NewSource, NewTorrent, Order};
use crate::daemon::roots::{Roots, without_end_slash};
use crate::daemon::session::{Session, wall_clock};
use crate::daemon::settings::SettingsChange;
use crate::daemon::store;
use crate::daemon::task::Task;
use crate::daemon::view::{
    Exchange, FileFacts, FileState, Hooks, PeerSource, PeerView, PiecesState, SessionView, Space, Time,
    TorrentId, TorrentView, Tracker, TrackerActivity, TrackerState,
};
use crate::event::PortMapStatus;
use crate::lock::{lock, read};
use crate::{
    Config, ErrorKind, Fetched, InfoHash, Magnet, Metainfo, PeerSource as FoundBy, Torrent, TrackerSnapshot,
    TrackerState as AnnounceState, fetch_torrent,
};

/// Longest that a command is waited for. Moving and verifying go on after it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a library is made with.
#[derive(Clone)]
pub struct Library {
    /// All torrents.
    pub session: Arc<RwLock<Session>>,
    /// To the keeper.
    pub keeper: Sender<Message>,
    /// What requests may name.
    pub roots: Arc<Roots>,
    /// How the web is reached.
    pub network: Arc<Config>,
    /// Who knows the session id.
    pub gate: Arc<std::sync::Mutex<Gate>>,
    /// Where the state is.
    pub state_dir: Arc<str>,
    /// How the port is mapped.
    pub port_map: Arc<dyn Fn() -> Option<PortMapStatus> + Send + Sync>,
    /// Ends the daemon.
    pub close: Arc<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Library")
    }
}

impl Library {
    /// Has the keeper do something.
    fn order(&self, order: Order) -> Result<Outcome, Failure> {
        let (answer, answered) = bounded(1);
        self.keeper.send(Message::Do(order, answer)).map_err(|_| Failure::Unavailable)?;
        answered.recv_timeout(PATIENCE).map_err(|_| Failure::Unavailable)?
    }

    /// Something of a torrent that is there.
    fn of<T>(&self, id: TorrentId, ask: impl FnOnce(&Task) -> T) -> Option<T> {
        read(&self.session).tasks.get(&id).map(ask)
    }

    /// The running torrent: what it is asked, it is asked without the session.
    fn torrent_of(&self, id: TorrentId) -> Option<Torrent> {
        self.of(id, |task| task.torrent().cloned())?
    }

    fn permit(&self, path: &str) -> Result<(), Failure> {
        match self.roots.permit(Path::new(path)) {
            true => Ok(()),
            false => {
                let roots = self.roots.shown();
                Err(Failure::Refused(format!(
                    "{path} is not below {roots}; --roots permits other directories"
                )))
            }
        }
    }

    fn add(&self, add: Add) -> Result<Outcome, Failure> {
        let settings = read(&self.session).settings.clone();
        let dir = add.download_dir.unwrap_or_else(|| settings.download_dir.clone());
        let dir = without_end_slash(&dir).to_owned();
        self.permit(&dir)?;
        let source = match add.source {
            Source::Metainfo(bytes) => parse(bytes)?,
            Source::Magnet(link) => magnet(link)?,
            Source::Url { url, .. } => match fetch_torrent(&url, &self.network) {
                Ok(Fetched::Torrent(bytes)) => parse(bytes)?,
                Ok(Fetched::Magnet(magnet)) => {
                    let link = magnet.to_string();
                    NewSource::Magnet(Box::new(magnet), link)
                }
                Err(error) => {
                    let why = error.cause().map_or_else(|| error.context().to_owned(), ToString::to_string);
                    return Err(Failure::Fetch(format!("Couldn't fetch torrent: {why}")));
                }
            },
            Source::Path(path) => {
                self.permit(&path)?;
                let bytes = read_torrent(Path::new(&path))?;
                match Magnet::in_text(&bytes) {
                    Some(link) => magnet(link.to_owned())?,
                    None => parse(bytes)?,
                }
            }
        };
        let is_stopped = add.paused.unwrap_or(!settings.start_added_torrents);
        let new = NewTorrent { source, dir, is_stopped, settings: add.settings, files: add.files };
        self.order(Order::Add(Box::new(new)))
    }

    fn set_session(&self, mut change: SettingsChange) -> Result<Outcome, Failure> {
        for dir in [&change.download_dir, &change.incomplete_dir].into_iter().flatten() {
            self.permit(dir)?;
        }
        // There is neither.
        (change.utp_enabled, change.tcp_enabled) = (None, None);
        self.order(Order::SetSession(Box::new(change)))
    }
}

/// A `.torrent` that was given.
fn parse(bytes: Vec<u8>) -> Result<NewSource, Failure> {
    match Metainfo::from_bytes(&bytes) {
        Ok(metainfo) => Ok(NewSource::Torrent(Box::new(metainfo), bytes)),
        Err(error) if error.kind() == ErrorKind::Bencode => Err(Failure::Unrecognized),
        Err(_) => Err(Failure::Corrupt),
    }
}

fn magnet(link: String) -> Result<NewSource, Failure> {
    match Magnet::parse(&link) {
        Ok(magnet) => Ok(NewSource::Magnet(Box::new(magnet), link)),
        Err(_) => Err(Failure::Unrecognized),
    }
}

/// A `.torrent` on this machine. What is not there and what is no torrent look alike to those who may not look.
fn read_torrent(path: &Path) -> Result<Vec<u8>, Failure> {
    let is_file = path.metadata().is_ok_and(|found| found.is_file());
    is_file.then(|| store::read_file(path).ok()).flatten().ok_or(Failure::Unrecognized)
}

/// How a tracker of a running torrent stands.
fn tracker_state(asked: &TrackerSnapshot, heard: TrackerState, now: Time) -> TrackerState {
    let announced = match &asked.last {
        Some(last) => {
            let ended = now.saturating_sub(last.ago.as_secs());
            let failure = if last.succeeded { String::new() } else { last.result.to_string() };
            Exchange { started: ended, ended, succeeded: last.succeeded, timed_out: last.timed_out, failure }
        }
        None => heard.announced,
    };
    TrackerState {
        announcing: match asked.state {
            AnnounceState::Waiting => TrackerActivity::Waiting,
            AnnounceState::Queued => TrackerActivity::Queued,
            AnnounceState::Active => TrackerActivity::Active,
            AnnounceState::Inactive => TrackerActivity::Inactive,
        },
        announced,
        peers: asked.last.as_ref().map_or(heard.peers, |last| last.peers),
        next_announce: asked.next.map_or(0, |next| now + next.as_secs()),
        seeders: asked.seeders,
        leechers: asked.leechers,
        downloads: asked.downloads,
        ..heard
    }
}

impl Backend for Library {
    fn session(&self) -> SessionView {
        let session_id = lock(&self.gate).session_id().to_owned();
        let session = read(&self.session);
        let (rates, active_torrents, paused_torrents) = session.census();
        SessionView {
            settings: session.settings.clone(),
            config_dir: self.state_dir.to_string(),
            session_id,
            blocklist_rules: session.blocklist_rules,
            hooks: Hooks::default(),
            rates,
            active_torrents,
            paused_torrents,
            current: session.totals_of_run(),
            cumulative: session.totals(),
            groups: session.record.groups.clone(),
        }
    }

    fn torrents(&self) -> Vec<TorrentId> {
        read(&self.session).tasks.keys().copied().collect()
    }

    fn find(&self, hash: &InfoHash) -> Option<TorrentId> {
        read(&self.session).by_hash.get(hash).copied()
    }

    fn recently_active(&self) -> Vec<TorrentId> {
        read(&self.session).recently_active()
    }

    fn recently_removed(&self) -> Vec<TorrentId> {
        read(&self.session).recently_removed()
    }

    fn torrent(&self, id: TorrentId) -> Option<TorrentView> {
        let session = read(&self.session);
        session.tasks.get(&id).map(|task| task.view(&session.settings, wall_clock()))
    }

    fn files(&self, id: TorrentId) -> Vec<FileState> {
        let asked = self.torrent_of(id).and_then(|torrent| torrent.files());
        let states = |task: &Task| {
            let is_complete = task.is_complete();
            let state = |(index, file): (u32, &FileFacts)| {
                let wanted = task.wants(index);
                let completed = match asked.as_ref().and_then(|files| files.get(index as usize)) {
                    Some(file) => file.completed,
                    None if is_complete && wanted => file.length,
                    None => 0,
                };
                FileState { completed, wanted, priority: task.priority(index) }
            };
            (0u32..).zip(&task.facts.files).map(state).collect()
        };
        self.of(id, states).unwrap_or_default()
    }

    fn pieces(&self, id: TorrentId) -> PiecesState {
        if let Some(pieces) = self.torrent_of(id).and_then(|torrent| torrent.pieces()) {
            let availability = pieces.availability.iter().map(|peers| u32::from(*peers)).collect();
            return PiecesState { have: pieces.have, availability };
        }
        let known = |task: &Task| {
            let count = task.facts.piece_count;
            let have = match task.is_complete() && task.record.unwanted.is_empty() {
                true => crate::bitfield::Bitfield::full(count),
                false => crate::bitfield::Bitfield::empty(count),
            };
            PiecesState { have: have.as_bytes().to_vec(), availability: vec![0; count as usize] }
        };
        self.of(id, known).unwrap_or_default()
    }

    fn peers(&self, id: TorrentId) -> Vec<PeerView> {
        let peers = self.torrent_of(id).map(|torrent| torrent.peers()).unwrap_or_default();
        let count = self.of(id, |task| task.facts.piece_count).unwrap_or(0);
        let view = |peer: crate::PeerSnapshot| PeerView {
            address: peer.addr,
            id: peer.id,
            client: peer.client.unwrap_or_default(),
            choked_by_us: peer.choked,
            chokes_us: peer.choking,
            interests_us: peer.interesting,
            interested_in_us: peer.interested,
            is_sending: peer.down_rate > 0,
            is_receiving: peer.up_rate > 0,
            is_optimistic: peer.optimistic,
            is_encrypted: peer.encryption != Encryption::None,
            is_incoming: peer.incoming,
            is_utp: false,
            source: match peer.source {
                FoundBy::Tracker => PeerSource::Tracker,
                FoundBy::Lsd => PeerSource::Lpd,
                FoundBy::Incoming => PeerSource::Incoming,
                FoundBy::Dht => PeerSource::Dht,
                FoundBy::Pex => PeerSource::Pex,
                FoundBy::Given => PeerSource::Cache,
            },
            progress: f64::from(peer.pieces) / f64::from(count.max(1)),
            rates: (peer.down_rate, peer.up_rate),
            received: peer.downloaded,
            sent: peer.uploaded,
        };
        peers.into_iter().map(view).collect()
    }

    fn trackers(&self, id: TorrentId) -> Vec<TrackerState> {
        let asked = self.torrent_of(id).and_then(|torrent| torrent.trackers()).unwrap_or_default();
        let now = wall_clock();
        let states = |task: &Task| {
            let state = |tracker: &Tracker| {
                let heard = task.heard.get(&tracker.announce).cloned().unwrap_or_default();
                match asked.iter().find(|asked| asked.url == tracker.announce) {
                    Some(asked) => tracker_state(asked, heard, now),
                    None => heard,
                }
            };
            task.trackers.iter().map(state).collect()
        };
        self.of(id, states).unwrap_or_default()
    }

    fn space(&self, path: &str) -> Result<Space, Failure> {
        self.permit(path)?;
        let found = rustix::fs::statvfs(path).map_err(|error| Failure::of_system(&error.into()))?;
        Ok(Space { free: found.f_bavail * found.f_frsize, total: found.f_blocks * found.f_frsize })
    }

    fn is_port_open(&self, _: Option<AddressFamily>) -> Result<bool, Failure> {
        let is_mapped = (self.port_map)().is_some_and(|status| status.mapping.or(status.pinhole).is_some());
        Ok(is_mapped || read(&self.session).was_reached)
    }

    fn run(&mut self, command: Command) -> Result<Outcome, Failure> {
        match command {
            Command::Add(add) => self.add(*add),
            Command::Remove { ids, data } => self.order(Order::Remove(ids, data)),
            Command::Start(ids) | Command::StartNow(ids) => self.order(Order::Start(ids)),
            Command::Stop(ids) => self.order(Order::Stop(ids)),
            Command::Verify(ids) => self.order(Order::Verify(ids)),
            Command::Reannounce(ids) => self.order(Order::Reannounce(ids)),
            Command::Set(id, change) => {
                change.location.as_deref().map_or(Ok(()), |to| self.permit(to))?;
                self.order(Order::Set(id, change))
            }
            Command::Move { ids, to, data } => {
                self.permit(&to)?;
                self.order(Order::Move(ids, to, data))
            }
            Command::Rename { id, path, name } => self.order(Order::Rename(id, path, name)),
            Command::Queue(ids, to) => self.order(Order::Queue(ids, to)),
            Command::SetSession(change) => self.set_session(*change),
            Command::SetGroup(change) => self.order(Order::SetGroup(change)),
            Command::UpdateBlocklist => {
                Err(Failure::Fetch("Couldn't fetch blocklist: no URL is configured; use --blocklist".into()))
            }
            Command::Close => {
                (self.close)();
                Ok(Outcome::Done)
            }
        }
    }
}
