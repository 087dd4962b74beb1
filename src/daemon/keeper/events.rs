//! What the events of the client mean for the session.

use super::data::remove_data;
use super::{Keeper, Leaving};
use crate::daemon::facts;
use crate::daemon::session::wall_clock;
use crate::daemon::task::{Life, Task, add_life};
use crate::daemon::view::{Exchange, TorrentId, TrackerActivity, TrackerState, Trouble};
use crate::event::{Event, EventKind};
use crate::lock::{read, write};
use crate::{Torrent, mask_secrets};

impl Keeper {
    /// Follows an event.
    pub(super) fn on_event(&mut self, event: Event) {
        let hash = event.torrent;
        if matches!(event.what, EventKind::Stopped)
            && let Some(Leaving { data, .. }) = self.leaving.remove(&hash)
        {
            let again = read(&self.session).by_hash.get(&hash).copied();
            if again.is_none() {
                self.store.remove_remains(&hash.to_string());
            } else {
                self.store.forget_verified(&hash.to_string());
            }
            remove_data(data, &*self.log);
            again.into_iter().for_each(|id| self.settle(id));
            return;
        }
        let Some(id) = read(&self.session).by_hash.get(&hash).copied() else { return };
        self.follow(id, event.what);
    }

    fn follow(&mut self, id: TorrentId, what: EventKind) {
        let now = wall_clock();
        match what {
            // There are many, and what they say is asked for when it is needed.
            EventKind::Piece { .. } | EventKind::FileDone { .. } | EventKind::PeerGone { .. } => {
                self.watch_totals();
            }
            EventKind::PeerConnected { incoming, .. } => {
                if incoming {
                    write(&self.session).was_reached = true;
                }
                self.watch_totals();
            }
            EventKind::Queued | EventKind::Checking => {
                self.with(id, |task| match &task.life {
                    Life::Running(torrent) if task.record.is_stopped => torrent.pause(),
                    _ => {}
                });
            }
            EventKind::Checked { .. } => {
                self.with(id, |task| task.is_open = true);
            }
            EventKind::Metadata { .. } => self.on_metadata(id),
            EventKind::Finished { .. } => {
                let is_new = self.record(id).is_some_and(|record| record.done == 0);
                self.watch_totals();
                if is_new {
                    let _ = self.change(id, |record| record.done = now);
                    self.log(&format!("{} is complete", self.name(id)));
                }
            }
            EventKind::TrackerAnswered { url, peers, interval, warning } => {
                self.with(id, |task| {
                    let heard = task.heard.entry(url).or_default();
                    let announced =
                        Exchange { started: now, ended: now, succeeded: true, ..Exchange::default() };
                    *heard = TrackerState {
                        announcing: TrackerActivity::Waiting,
                        announced,
                        peers,
                        next_announce: now + interval.as_secs(),
                        ..heard.clone()
                    };
                    match (warning, &task.trouble) {
                        (Some(warning), Trouble::None) => task.trouble = Trouble::TrackerWarning(warning),
                        (None, Trouble::TrackerError(_) | Trouble::TrackerWarning(_)) => {
                            task.trouble = Trouble::None
                        }
                        _ => {}
                    }
                });
            }
            EventKind::TrackerFailed { url, why, retry } => {
                self.with(id, |task| {
                    let heard = task.heard.entry(url).or_default();
                    let announced =
                        Exchange { started: now, ended: now, failure: why.clone(), ..Exchange::default() };
                    heard.announced = announced;
                    heard.announcing = match retry {
                        Some(_) => TrackerActivity::Waiting,
                        None => TrackerActivity::Inactive,
                    };
                    heard.next_announce = retry.map_or(0, |retry| now + retry.as_secs());
                    // One that is only not reached is asked again, and no trouble of the torrent.
                    if retry.is_none() && !matches!(task.trouble, Trouble::Local(_)) {
                        task.trouble = Trouble::TrackerError(mask_secrets(&why));
                    }
                });
            }
            EventKind::StorageFailed { why, .. } => {
                self.log(&why);
                self.with(id, |task| task.trouble = Trouble::Local(why));
            }
            EventKind::StorageRecovered => {
                self.with(id, |task| task.trouble = Trouble::None);
            }
            EventKind::Failed { why, .. } => {
                self.log(&why);
                self.with(id, |task| task.trouble = Trouble::Local(why));
            }
            EventKind::SeedingDone { why } => {
                self.log(&format!("{} stops: its limit of {why} is reached", self.name(id)));
                let _ = self.change(id, |record| (record.is_stopped, record.is_finished) = (true, true));
            }
            EventKind::Stopped => self.on_stopped(id),
            EventKind::Note { what } => self.log(&what),
            _ => {
                self.with(id, |_| ());
            }
        }
    }

    /// The metadata of a magnet link is there: from now on it is a torrent like others.
    fn on_metadata(&mut self, id: TorrentId) {
        let session = read(&self.session);
        let Some(task) = session.tasks.get(&id) else { return };
        let Some(metainfo) = task.torrent().and_then(Torrent::metainfo) else { return };
        let (hash, trackers) = (task.record.hash.clone(), task.trackers.to_vec());
        drop(session);
        if let Err(error) = self.store.save_torrent(&hash, &metainfo.to_bytes()) {
            // It stays a link, and the client has kept the metadata beside its state.
            return self.log(&error.to_string());
        }
        let _ = self.change(id, |record| {
            record.magnet = None;
            record.trackers = Some(trackers);
            record.unwanted.retain(|file| (*file as usize) < metainfo.files().len());
            record.wanted = facts::wanted_bytes(&metainfo, &record.unwanted);
        });
        write(&self.session).past.files_added += metainfo.files().len() as u64;
        self.with(id, |task| {
            task.metainfo = Some(metainfo.clone());
            self.renew_facts(task);
            task.renew_trackers();
        });
    }

    /// A torrent has ended: what it came to is kept, and what waited for its end is done.
    fn on_stopped(&mut self, id: TorrentId) {
        let Some(progress) = read(&self.session).tasks.get(&id).and_then(Task::progress) else { return };
        let mut session = write(&self.session);
        session.past.downloaded += progress.downloaded;
        session.past.uploaded += progress.uploaded;
        let Some(task) = session.tasks.get_mut(&id) else { return };
        add_life(&mut task.record, &progress, task.is_open);
        (task.life, task.is_open) = (Life::Off, false);
        let record = task.record.clone();
        drop(session);
        if let Err(error) = self.store.save_task(&record) {
            self.log(&error.to_string());
        }
        // One that reached its limit has nothing more to do.
        if !record.is_finished {
            self.settle(id);
        }
    }
}
