//! Carrying out orders: each change is on the disk before it is made, and made before it is answered.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::data::remove_data;
use super::{Keeper, Leaving, part_file};
use crate::daemon::command::{Added, Failure, FilesChange, GroupChange, Outcome, QueueMove, TorrentChange};
use crate::daemon::facts;
use crate::daemon::order::{NewSource, NewTorrent, Order};
use crate::daemon::record::TorrentRecord;
use crate::daemon::roots::without_end_slash;
use crate::daemon::session::{RECENT, wall_clock};
use crate::daemon::settings::{Priority, SettingsChange};
use crate::daemon::task::{Life, Task, Work};
use crate::daemon::torrent_config::set_limits;
use crate::daemon::view::{Group, TorrentId, Trouble};
use crate::lock::{read, write};
use crate::{InfoHash, Metainfo, Phase, Torrent};

impl Keeper {
    /// Carries out an order.
    pub(super) fn obey(&mut self, order: Order) -> Result<Outcome, Failure> {
        match order {
            Order::Add(new) => return self.add(*new),
            Order::Remove(ids, data) => ids.into_iter().try_for_each(|id| self.remove(id, data))?,
            Order::Start(ids) => ids.into_iter().try_for_each(|id| self.start(id))?,
            Order::Stop(ids) => ids.into_iter().try_for_each(|id| self.stop(id))?,
            Order::Verify(ids) => ids.into_iter().for_each(|id| self.verify(id)),
            Order::Reannounce(ids) => {
                let session = read(&self.session);
                let torrents = ids.iter().filter_map(|id| session.tasks.get(id)?.torrent());
                torrents.for_each(Torrent::reannounce);
            }
            Order::Set(id, change) => self.set(id, *change)?,
            Order::Move(ids, to, data) => ids.into_iter().try_for_each(|id| self.relocate(id, &to, data))?,
            Order::Rename(id, path, name) => self.rename(id, &path, &name)?,
            Order::Queue(ids, to) => self.requeue(&ids, to)?,
            Order::SetSession(change) => self.set_session(*change)?,
            Order::SetGroup(change) => self.set_group(change)?,
        }
        Ok(Outcome::Done)
    }

    fn add(&mut self, new: NewTorrent) -> Result<Outcome, Failure> {
        let (hash, metainfo, bytes, magnet, files) = match new.source {
            NewSource::Torrent(metainfo, bytes) => {
                let files = metainfo.files().len();
                (metainfo.info_hash(), Some(Arc::from(metainfo)), bytes, None, files as u32)
            }
            NewSource::Magnet(magnet, link) => (magnet.info_hash, None, Vec::new(), Some(link), u32::MAX),
        };
        if let Some(there) = self.added(&hash) {
            return Ok(Outcome::Duplicate(there));
        }
        let session = read(&self.session);
        let id = session.record.next_id.max(1);
        let (settings, position) = (session.settings.clone(), session.queue.len() as u32);
        drop(session);
        let now = wall_clock();
        let mut record = TorrentRecord {
            id,
            hash: hash.to_string(),
            magnet,
            dir: new.dir,
            is_stopped: new.is_stopped,
            settings: new.settings,
            queue_position: position,
            added: now,
            started: if new.is_stopped { 0 } else { now },
            ..TorrentRecord::default()
        };
        change_files(&mut record, new.files, files);
        if let Some(metainfo) = &metainfo {
            let metainfo: &Arc<Metainfo> = metainfo;
            record.wanted = facts::wanted_bytes(metainfo, &record.unwanted);
            self.store.save_torrent(&record.hash, &bytes).map_err(|error| self.failed(&error))?;
        }
        self.store.save_task(&record).map_err(|error| self.failed(&error))?;
        let mut task = Task::new(record, hash, metainfo, &settings);
        self.renew_facts(&mut task);
        let mut session = write(&self.session);
        task.changed = Instant::now();
        session.record.next_id = id.saturating_add(1);
        session.past.files_added += task.facts.files.len() as u64;
        session.tasks.insert(id, task);
        session.by_hash.insert(hash, id);
        session.queue.push(id);
        session.renew_places();
        drop(session);
        let added = self.added(&hash);
        self.log(&format!("added {}", self.name(id)));
        self.begin(id);
        added.map(Outcome::Added).ok_or(Failure::Unavailable)
    }

    /// A torrent that is there.
    fn added(&self, hash: &InfoHash) -> Option<Added> {
        let session = read(&self.session);
        let id = *session.by_hash.get(hash)?;
        let name = session.tasks.get(&id)?.facts.name.clone();
        Some(Added { id, name, info_hash: *hash })
    }

    fn remove(&mut self, id: TorrentId, data: bool) -> Result<(), Failure> {
        let Some(record) = self.record(id) else { return Ok(()) };
        // Its number is not given again, also if it is the last.
        let session_record = read(&self.session).to_record();
        let saved = self.store.save_session(&session_record);
        saved.and_then(|()| self.store.remove(&record.hash)).map_err(|error| self.failed(&error))?;
        let mut session = write(&self.session);
        let Some(task) = session.tasks.remove(&id) else { return Ok(()) };
        session.by_hash.remove(&task.hash);
        session.renew_places();
        session.removed.retain(|(_, at)| at.elapsed() <= RECENT);
        session.removed.push((id, Instant::now()));
        if let Some(progress) = task.progress() {
            session.past.downloaded += progress.downloaded;
            session.past.uploaded += progress.uploaded;
        }
        drop(session);
        self.log(&format!("removed {}", task.facts.name));
        let paths = task.metainfo.as_deref().filter(|_| data).map(|metainfo| {
            let mut paths = facts::stored_paths(metainfo, &task.record.paths);
            paths.push(part_file(&task.record.hash));
            paths
        });
        let places = task.record.moving_from.iter().chain([&task.record.dir]).map(PathBuf::from);
        let data = paths.map(|paths| (paths, places.collect()));
        match task.life {
            Life::Running(torrent) | Life::Ending(torrent) => {
                torrent.remove();
                self.leaving.insert(task.hash, Leaving { _torrent: torrent, data });
            }
            Life::Moving => self.orphans.extend(data.map(|data| (id, data))),
            Life::Off => remove_data(data, &*self.log),
        }
        Ok(())
    }

    fn start(&mut self, id: TorrentId) -> Result<(), Failure> {
        let now = wall_clock();
        self.change(id, |record| {
            if record.is_stopped {
                record.started = now;
            }
            (record.is_stopped, record.is_finished, record.error) = (false, false, None);
        })?;
        self.with(id, |task| {
            if let Life::Running(torrent) = &task.life {
                match torrent.progress().phase {
                    Phase::Failed => task.is_stale = true,
                    _ => torrent.resume(),
                }
            }
            if matches!(task.trouble, Trouble::Local(_)) {
                task.trouble = Trouble::None;
            }
            // A move that failed is tried again first.
            if matches!(task.life, Life::Off) && !task.record.moving_from.is_empty() {
                task.work.push(Work::Move);
            }
        });
        self.settle(id);
        Ok(())
    }

    fn stop(&mut self, id: TorrentId) -> Result<(), Failure> {
        self.change(id, |record| record.is_stopped = true)?;
        self.with(id, |task| {
            if let Life::Running(torrent) = &task.life {
                torrent.pause();
            }
        });
        Ok(())
    }

    fn verify(&mut self, id: TorrentId) {
        self.with(id, |task| {
            if task.metainfo.is_some() && !task.work.contains(&Work::Verify) {
                task.work.push(Work::Verify);
            }
        });
        self.settle(id);
    }

    fn set(&mut self, id: TorrentId, change: TorrentChange) -> Result<(), Failure> {
        let TorrentChange { settings, files, trackers, queue_position, location } = change;
        let count = read(&self.session).tasks.get(&id).map_or(0, |task| task.facts.files.len() as u32);
        let needs_restart = settings.peer_limit.is_some()
            || settings.sequential_download.is_some()
            || settings.seed_ratio_limit.is_some()
            || settings.seed_ratio_mode.is_some()
            || settings.seed_idle_limit.is_some()
            || settings.seed_idle_mode.is_some()
            || trackers.is_some();
        let before = self.record(id);
        self.change(id, |record| {
            record.settings.merge(settings);
            change_files(record, files, count);
            if trackers.is_some() {
                record.trackers = trackers;
            }
            record.edited = wall_clock();
        })?;
        let settings = read(&self.session).settings.clone();
        self.with(id, |task| {
            let selects = before.as_ref().is_some_and(|before| before.unwanted != task.record.unwanted);
            let orders = before.is_some_and(|before| before.priorities != task.record.priorities);
            task.renew_settings(&settings);
            task.renew_trackers();
            if let (Some(metainfo), true) = (&task.metainfo, selects) {
                let wanted = facts::wanted_bytes(metainfo, &task.record.unwanted);
                // Until the data are looked at again.
                (task.record.wanted, task.record.is_checked) = (wanted, false);
            }
            task.is_stale |= needs_restart || selects || orders;
            if let Life::Running(torrent) = &task.life {
                set_limits(task, torrent);
            }
        });
        self.settle(id);
        if let Some(place) = queue_position {
            let mut session = write(&self.session);
            session.queue.retain(|other| *other != id);
            let place = (place as usize).min(session.queue.len());
            session.queue.insert(place, id);
            session.renew_places();
            drop(session);
            self.save_places()?;
        }
        match location {
            Some(to) => self.relocate(id, &to, false),
            None => Ok(()),
        }
    }

    fn relocate(&mut self, id: TorrentId, to: &str, data: bool) -> Result<(), Failure> {
        let to = without_end_slash(to);
        let Some(record) = self.record(id).filter(|record| record.dir != to) else { return Ok(()) };
        let mut from = if data { record.moving_from.clone() } else { Vec::new() };
        from.extend(data.then(|| record.dir.clone()));
        from.retain(|place| place != to);
        self.change(id, |record| {
            record.dir = to.to_owned();
            record.moving_from = from;
            record.is_checked = false;
        })?;
        self.with(id, |task| {
            task.work.push(if data { Work::Move } else { Work::Verify });
        });
        self.settle(id);
        Ok(())
    }

    fn rename(&mut self, id: TorrentId, path: &str, name: &str) -> Result<(), Failure> {
        let session = read(&self.session);
        let Some(task) = session.tasks.get(&id) else { return Err(Failure::invalid()) };
        let (Some(metainfo), Some(to)) = (&task.metainfo, facts::renamed(&task.facts, path, name)) else {
            return Err(Failure::invalid());
        };
        let renamed: Vec<(u32, String)> = (0u32..)
            .zip(&task.facts.files)
            .filter_map(|(index, file)| Some((index, format!("{to}{}", facts::below(&file.path, path)?))))
            .collect();
        if renamed.is_empty() {
            return Err(Failure::invalid());
        }
        let is_root = !path.contains('/');
        let is_kept = metainfo.name() == name;
        drop(session);
        self.change(id, |record| {
            record.paths.extend(renamed);
            if is_root {
                record.name = (!is_kept).then(|| name.to_owned());
            }
            record.renaming.extend([path.to_owned(), to.clone()]);
        })?;
        self.with(id, |task| {
            self.renew_facts(task);
            task.work.push(Work::Rename);
        });
        self.settle(id);
        Ok(())
    }

    fn requeue(&self, ids: &[TorrentId], to: QueueMove) -> Result<(), Failure> {
        let mut session = write(&self.session);
        let queue = &mut session.queue;
        let (moved, others): (Vec<_>, Vec<_>) = queue.iter().copied().partition(|id| ids.contains(id));
        match to {
            QueueMove::Top => *queue = [moved, others].concat(),
            QueueMove::Bottom => *queue = [others, moved].concat(),
            QueueMove::Up => {
                for at in 1..queue.len() {
                    if ids.contains(&queue[at]) && !ids.contains(&queue[at - 1]) {
                        queue.swap(at, at - 1);
                    }
                }
            }
            QueueMove::Down => {
                for at in (1..queue.len()).rev() {
                    if ids.contains(&queue[at - 1]) && !ids.contains(&queue[at]) {
                        queue.swap(at, at - 1);
                    }
                }
            }
        }
        session.renew_places();
        drop(session);
        self.save_places()
    }

    /// Writes the records whose place in the queue has changed.
    fn save_places(&self) -> Result<(), Failure> {
        let session = read(&self.session);
        let moved = session.tasks.values().filter(|task| task.place != task.record.queue_position);
        let moved: Vec<(TorrentId, u32)> = moved.map(|task| (task.record.id, task.place)).collect();
        drop(session);
        moved.into_iter().try_for_each(|(id, place)| self.change(id, |record| record.queue_position = place))
    }

    fn set_session(&self, change: SettingsChange) -> Result<(), Failure> {
        let mut kept = read(&self.session).changed_settings.clone();
        kept.merge(change.clone());
        let mut record = read(&self.session).to_record();
        record.settings = kept.clone();
        self.store.save_session(&record).map_err(|error| self.failed(&error))?;
        let mut session = write(&self.session);
        session.changed_settings = kept;
        let mut settings = (*session.settings).clone();
        change.apply(&mut settings);
        session.settings = Arc::new(settings);
        let settings = session.settings.clone();
        session.tasks.values_mut().for_each(|task| task.renew_settings(&settings));
        let (down, up) = session.limits();
        self.client.set_limits(down, up);
        Ok(())
    }

    fn set_group(&self, change: GroupChange) -> Result<(), Failure> {
        let mut record = read(&self.session).to_record();
        let at = record.groups.iter().position(|group| group.name == change.name);
        let fresh = || Group { name: change.name.clone(), honors_session_limits: true, ..Group::default() };
        let mut group = at.and_then(|at| record.groups.get(at).cloned()).unwrap_or_else(fresh);
        change.apply(&mut group);
        match at.and_then(|at| record.groups.get_mut(at)) {
            Some(there) => *there = group,
            None => record.groups.push(group),
        }
        let groups = record.groups.clone();
        self.store.save_session(&record).map_err(|error| self.failed(&error))?;
        write(&self.session).record.groups = groups;
        Ok(())
    }
}

/// Makes a change to which files are wanted and to their priorities; there are `count` files, as far as known.
fn change_files(record: &mut TorrentRecord, change: FilesChange, count: u32) {
    let is_there = |file: &u32| *file < count;
    record.unwanted.extend(change.unwanted.into_iter().filter(is_there));
    record.unwanted.sort_unstable();
    record.unwanted.dedup();
    record.unwanted.retain(|file| !change.wanted.contains(file));
    for (file, priority) in change.priorities.into_iter().filter(|(file, _)| is_there(file)) {
        match priority {
            Priority::Normal => _ = record.priorities.remove(&file),
            priority => _ = record.priorities.insert(file, priority),
        }
    }
}
