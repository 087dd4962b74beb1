//! The session: all torrents and what is common to them. The [`keeper`](super::keeper) changes it, those who
//! answer clients read it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::InfoHash;
use crate::daemon::record::SessionRecord;
use crate::daemon::settings::{Settings, SettingsChange, rate_limit};
use crate::daemon::task::Task;
use crate::daemon::view::{Status, Time, TorrentId, Totals};

/// How long something counts as recent.
pub const RECENT: Duration = Duration::from_secs(60);

/// The state of a session.
#[derive(Debug)]
pub struct Session {
    /// Torrents by id.
    pub tasks: BTreeMap<TorrentId, Task>,
    /// Ids by info-hash.
    pub by_hash: HashMap<InfoHash, TorrentId>,
    /// Torrents in the order of the queue.
    pub queue: Vec<TorrentId>,
    /// The settings that hold.
    pub settings: Arc<Settings>,
    /// The settings that were changed over the RPC.
    pub changed_settings: SettingsChange,
    /// What is kept of the session.
    pub record: SessionRecord,
    /// What torrents of this run came to that do not run any more.
    pub past: Totals,
    /// When this run began.
    pub started: Instant,
    /// Torrents that were removed lately, and when.
    pub removed: Vec<(TorrentId, Instant)>,
    /// Rules of the blocklist.
    pub blocklist_rules: u64,
    /// Whether a peer has connected from outside.
    pub was_reached: bool,
}

/// Seconds since 1970. For dates alone: a box without a battery sets its clock by years after the start.
pub fn wall_clock() -> Time {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Session {
    /// Puts the queue in order again: places from 0 up.
    pub fn renew_places(&mut self) {
        self.queue.retain(|id| self.tasks.contains_key(id));
        for (place, id) in (0u32..).zip(&self.queue) {
            self.tasks.get_mut(id).into_iter().for_each(|task| task.place = place);
        }
    }

    /// What this run came to until now.
    pub fn totals_of_run(&self) -> Totals {
        let mut totals = self.past;
        for progress in self.tasks.values().filter_map(Task::progress) {
            totals.downloaded += progress.downloaded;
            totals.uploaded += progress.uploaded;
        }
        totals.sessions = 1;
        totals.seconds_active = self.started.elapsed().as_secs();
        totals
    }

    /// What all runs came to.
    pub fn totals(&self) -> Totals {
        let (before, run) = (self.record.totals, self.totals_of_run());
        Totals {
            uploaded: before.uploaded.saturating_add(run.uploaded),
            downloaded: before.downloaded.saturating_add(run.downloaded),
            files_added: before.files_added.saturating_add(run.files_added),
            sessions: before.sessions.saturating_add(run.sessions),
            seconds_active: before.seconds_active.saturating_add(run.seconds_active),
        }
    }

    /// What is to be kept of it.
    pub fn to_record(&self) -> SessionRecord {
        SessionRecord {
            settings: self.changed_settings.clone(),
            totals: self.totals(),
            ..self.record.clone()
        }
    }

    /// Received and sent now, torrents that are active, and those that are stopped.
    pub fn census(&self) -> ((u64, u64), u32, u32) {
        let (mut rates, mut active, mut stopped) = ((0, 0), 0, 0);
        for task in self.tasks.values() {
            let progress = task.progress();
            match task.status(progress.as_ref()) {
                Status::Stopped => stopped += 1,
                _ => active += 1,
            }
            if let Some(progress) = progress {
                rates = (rates.0 + progress.down_rate, rates.1 + progress.up_rate);
            }
        }
        (rates, active, stopped)
    }

    /// Torrents of which something changed lately.
    pub fn recently_active(&self) -> Vec<TorrentId> {
        let is_recent = |task: &Task| {
            let moves = task.progress().is_some_and(|progress| progress.down_rate + progress.up_rate > 0);
            moves || task.changed.elapsed() <= RECENT
        };
        self.tasks.iter().filter(|(_, task)| is_recent(task)).map(|(id, _)| *id).collect()
    }

    /// Torrents that were removed lately.
    pub fn recently_removed(&self) -> Vec<TorrentId> {
        self.removed.iter().filter(|(_, at)| at.elapsed() <= RECENT).map(|(id, _)| *id).collect()
    }

    /// Rate limits in bytes per second, as the settings have them; 0 is none.
    pub fn limits(&self) -> (u64, u64) {
        let settings = &self.settings;
        match settings.alt_speed_enabled {
            true => (rate_limit(true, settings.alt_speed_down), rate_limit(true, settings.alt_speed_up)),
            false => (
                rate_limit(settings.speed_limit_down_enabled, settings.speed_limit_down),
                rate_limit(settings.speed_limit_up_enabled, settings.speed_limit_up),
            ),
        }
    }
}
