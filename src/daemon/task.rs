//! A torrent of the session: what is kept of it, what runs of it, and how it looks to clients.
//!
//! Plain state with the questions that it answers; the [`keeper`](super::keeper) alone changes it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::daemon::facts;
use crate::daemon::record::TorrentRecord;
use crate::daemon::settings::{LimitMode, Priority, Settings, TorrentSettings};
use crate::daemon::view::{
    Eta, PeerCounts, PeerSources, Status, Time, TorrentFacts, TorrentView, Tracker, TrackerState, Trouble,
};
use crate::{InfoHash, Metainfo, Phase, Progress, Torrent};

/// What runs of a torrent.
#[derive(Debug)]
pub enum Life {
    /// Nothing.
    Off,
    /// It runs, perhaps paused.
    Running(Torrent),
    /// It was told to end, and has not yet.
    Ending(Torrent),
    /// Its data are being moved.
    Moving,
}

/// What is done with a torrent once nothing of it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// What is known of its pieces is forgotten, so that the data are hashed.
    Verify,
    /// Its paths are renamed, as its record has them.
    Rename,
    /// Its data are moved, as its record has it.
    Move,
}

/// A torrent of the session.
#[derive(Debug)]
pub struct Task {
    /// What is kept of it. The totals are those from before it runs.
    pub record: TorrentRecord,
    /// Its info-hash.
    pub hash: InfoHash,
    /// Its metainfo, once it is there.
    pub metainfo: Option<Arc<Metainfo>>,
    /// What it is.
    pub facts: Arc<TorrentFacts>,
    /// Its trackers.
    pub trackers: Arc<[Tracker]>,
    /// Its settings, those of the session for what was not set.
    pub settings: TorrentSettings,
    /// What runs of it.
    pub life: Life,
    /// Whether its data were looked at in this life.
    pub is_open: bool,
    /// What is to be done before it runs again.
    pub work: Vec<Work>,
    /// Whether it has to be started anew for its settings to hold.
    pub is_stale: bool,
    /// What trackers said, by announce URL.
    pub heard: BTreeMap<String, TrackerState>,
    /// What is wrong with it.
    pub trouble: Trouble,
    /// When something of it changed last.
    pub changed: Instant,
    /// Its place in the queue.
    pub place: u32,
}

impl Task {
    /// A torrent of which nothing runs.
    pub fn new(
        record: TorrentRecord,
        hash: InfoHash,
        metainfo: Option<Arc<Metainfo>>,
        session: &Settings,
    ) -> Task {
        let facts = facts::facts(hash, &record, metainfo.as_deref(), std::path::Path::new(""));
        let trouble = record.error.clone().map_or(Trouble::None, Trouble::Local);
        let mut task = Task {
            settings: settings_of(&record, session),
            trackers: Arc::new([]),
            record,
            hash,
            metainfo,
            facts,
            life: Life::Off,
            is_open: false,
            work: Vec::new(),
            is_stale: false,
            heard: BTreeMap::new(),
            trouble,
            changed: Instant::now(),
            place: 0,
        };
        task.renew_trackers();
        task
    }

    /// The trackers as the record or the torrent has them.
    pub fn renew_trackers(&mut self) {
        let own = || match (&self.metainfo, &self.record.magnet) {
            (Some(metainfo), _) => facts::trackers(metainfo),
            (None, Some(link)) => {
                crate::Magnet::parse(link).map(|link| facts::trackers_of_link(&link)).unwrap_or_default()
            }
            (None, None) => Vec::new(),
        };
        self.trackers = self.record.trackers.clone().unwrap_or_else(own).into();
    }

    /// The settings again, after the record's or the session's changed.
    pub fn renew_settings(&mut self, session: &Settings) {
        self.settings = settings_of(&self.record, session);
    }

    /// The running torrent.
    pub fn torrent(&self) -> Option<&Torrent> {
        match &self.life {
            Life::Running(torrent) | Life::Ending(torrent) => Some(torrent),
            Life::Off | Life::Moving => None,
        }
    }

    /// How the running torrent stands.
    pub fn progress(&self) -> Option<Progress> {
        self.torrent().map(Torrent::progress)
    }

    /// The record with what this life added up to now.
    pub fn merged(&self) -> TorrentRecord {
        let mut record = self.record.clone();
        if let Some(progress) = self.progress() {
            add_life(&mut record, &progress, self.is_open);
        }
        record
    }

    /// Wanted bytes, and those of them that are verified.
    fn extent(&self, progress: Option<&Progress>) -> (u64, u64) {
        match progress.filter(|_| self.is_open) {
            Some(progress) => (progress.wanted, progress.verified),
            None => (self.record.wanted, self.record.verified.min(self.record.wanted)),
        }
    }

    /// Whether everything wanted is there.
    pub fn is_complete(&self) -> bool {
        let (wanted, verified) = self.extent(self.progress().as_ref());
        self.metainfo.is_some() && wanted == verified && (self.is_open || self.record.is_checked)
    }

    /// What it does.
    pub fn status(&self, progress: Option<&Progress>) -> Status {
        let at_work = if self.is_complete() { Status::Seeding } else { Status::Downloading };
        let stopped = |otherwise| if self.record.is_stopped { Status::Stopped } else { otherwise };
        if self.work.contains(&Work::Verify) {
            return Status::VerifyQueued;
        }
        match (&self.life, progress) {
            (Life::Running(_), Some(progress)) => match progress.phase {
                Phase::Checking => Status::Verifying,
                Phase::Queued if progress.checked == 0 && !self.is_open && !self.record.is_checked => {
                    Status::VerifyQueued
                }
                Phase::Queued if self.is_complete() => Status::SeedQueued,
                Phase::Queued => Status::DownloadQueued,
                Phase::Paused | Phase::Failed | Phase::Stopped => {
                    match self.is_open || self.metainfo.is_none() {
                        true => Status::Stopped,
                        // Its data are still being looked at.
                        false if progress.phase == Phase::Paused && progress.checked > 0 => Status::Verifying,
                        false => Status::Stopped,
                    }
                }
                Phase::Seeding => Status::Seeding,
                _ => Status::Downloading,
            },
            (Life::Off, _) if self.record.error.is_some() => Status::Stopped,
            _ => stopped(at_work),
        }
    }

    /// As clients see it.
    pub fn view(&self, session: &Settings, now: Time) -> TorrentView {
        let progress = self.progress();
        let merged = self.merged();
        let (wanted, verified) = self.extent(progress.as_ref());
        let left = if self.metainfo.is_some() { wanted - verified } else { 0 };
        let status = self.status(progress.as_ref());
        let live = progress.clone().unwrap_or_default();
        let is_running = matches!(self.life, Life::Running(_));
        let metadata_progress = match (&self.metainfo, live.metadata_total) {
            (Some(_), _) => 1.0,
            (None, 0) => 0.0,
            (None, total) => f64::from(live.metadata) / f64::from(total),
        };
        let verify_progress = match status {
            Status::Verifying => f64::from(live.checked) / f64::from(live.pieces_total.max(1)),
            _ => 0.0,
        };
        // Verified pieces that are not wanted are told once there is everything.
        let all_verified = match self.is_open && live.pieces == live.pieces_total {
            true => live.total,
            false => verified,
        };
        TorrentView {
            id: self.record.id,
            facts: self.facts.clone(),
            settings: self.settings.clone(),
            trackers: self.trackers.clone(),
            status,
            trouble: self.trouble.clone(),
            download_dir: self.record.dir.clone(),
            wanted: if self.metainfo.is_some() { wanted } else { 0 },
            left,
            verified: all_verified,
            unchecked: live.unchecked,
            desired_available: if live.seeds > 0 { left } else { 0 },
            metadata_progress,
            verify_progress,
            rates: if is_running { (live.down_rate, live.up_rate) } else { (0, 0) },
            downloaded: merged.downloaded,
            uploaded: merged.uploaded,
            corrupt: merged.corrupt,
            eta: self.eta(status, left, &live, &merged, session),
            eta_idle: Eta::NotApplicable,
            added: merged.added,
            done: merged.done,
            started: merged.started,
            active: merged.active,
            edited: merged.edited,
            seconds_downloading: merged.seconds_downloading,
            seconds_seeding: merged.seconds_seeding,
            is_finished: self.record.is_finished,
            is_stalled: matches!(status, Status::Downloading | Status::Seeding)
                && session.queue_stalled_enabled
                && now.saturating_sub(merged.active.max(merged.started))
                    >= 60 * u64::from(session.queue_stalled_minutes),
            queue_position: self.place,
            next_manual_announce: 0,
            peers: match is_running {
                true => peer_counts(&live),
                false => PeerCounts::default(),
            },
        }
    }

    fn eta(
        &self,
        status: Status,
        left: u64,
        live: &Progress,
        merged: &TorrentRecord,
        session: &Settings,
    ) -> Eta {
        match status {
            Status::Downloading if self.metainfo.is_none() => Eta::Unknown,
            Status::Downloading => match live.down_rate {
                0 => Eta::Unknown,
                rate => Eta::Seconds(left.div_ceil(rate)),
            },
            Status::Seeding => match self.ratio_limit(session) {
                None => Eta::NotApplicable,
                Some(ratio) => {
                    let to_send = ((live.wanted as f64 * ratio) as u64).saturating_sub(merged.uploaded);
                    match live.up_rate {
                        0 => Eta::Unknown,
                        rate => Eta::Seconds(to_send.div_ceil(rate)),
                    }
                }
            },
            _ => Eta::NotApplicable,
        }
    }

    /// The ratio at which it stops to seed.
    pub fn ratio_limit(&self, session: &Settings) -> Option<f64> {
        match self.settings.seed_ratio_mode {
            LimitMode::Own => Some(self.settings.seed_ratio_limit),
            LimitMode::Session => session.seed_ratio_limited.then_some(session.seed_ratio_limit),
            LimitMode::Unlimited => None,
        }
    }

    /// After how many idle minutes it stops to seed.
    pub fn idle_limit(&self, session: &Settings) -> Option<u32> {
        match self.settings.seed_idle_mode {
            LimitMode::Own => Some(self.settings.seed_idle_limit),
            LimitMode::Session => session.idle_seeding_limit_enabled.then_some(session.idle_seeding_limit),
            LimitMode::Unlimited => None,
        }
    }

    /// The priority of a file.
    pub fn priority(&self, file: u32) -> Priority {
        self.record.priorities.get(&file).copied().unwrap_or_default()
    }

    /// Whether a file is wanted.
    pub fn wants(&self, file: u32) -> bool {
        self.record.unwanted.binary_search(&file).is_err()
    }
}

fn peer_counts(live: &Progress) -> PeerCounts {
    let sources = live.sources;
    PeerCounts {
        connected: live.peers,
        sending_to_us: live.sending,
        getting_from_us: live.receiving,
        web_seeds_sending: 0,
        from: PeerSources {
            cache: sources.given,
            dht: sources.dht,
            incoming: sources.incoming,
            lpd: sources.lsd,
            ltep: 0,
            pex: sources.pex,
            tracker: sources.tracker,
        },
    }
}

/// Adds what a life came to.
pub fn add_life(record: &mut TorrentRecord, progress: &Progress, is_open: bool) {
    record.downloaded = record.downloaded.saturating_add(progress.downloaded);
    record.uploaded = record.uploaded.saturating_add(progress.uploaded);
    record.corrupt = record.corrupt.saturating_add(progress.corrupt);
    record.seconds_downloading = record.seconds_downloading.saturating_add(progress.elapsed.as_secs());
    record.seconds_seeding = record.seconds_seeding.saturating_add(progress.seeding_for.as_secs());
    if is_open {
        (record.wanted, record.verified, record.is_checked) = (progress.wanted, progress.verified, true);
    }
}

/// The settings of a torrent: its own, or those of the session.
fn settings_of(record: &TorrentRecord, session: &Settings) -> TorrentSettings {
    let mut settings = TorrentSettings {
        bandwidth_priority: Priority::Normal,
        download_limit: session.speed_limit_down,
        download_limited: false,
        upload_limit: session.speed_limit_up,
        upload_limited: false,
        honors_session_limits: true,
        seed_ratio_limit: session.seed_ratio_limit,
        seed_ratio_mode: LimitMode::Session,
        seed_idle_limit: session.idle_seeding_limit,
        seed_idle_mode: LimitMode::Session,
        peer_limit: session.peer_limit_per_torrent,
        sequential_download: session.sequential_download,
        sequential_download_from_piece: 0,
        labels: Vec::new(),
        group: String::new(),
    };
    record.settings.clone().apply(&mut settings);
    settings
}
