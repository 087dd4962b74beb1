//! The thread that keeps the session: the only one that changes it. It carries out commands, hears the events of
//! the client, and writes what is to be kept.
//!
//! Invariants: what a command changes is on the disk before it is visible and before the command is answered; no
//! torrent runs while its data are moved, renamed or removed. It waits in one place, and wakes only for a message,
//! an event, or once a minute while data flow.

mod data;
mod events;
mod orders;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, never, select};

use crate::daemon::command::Failure;
use crate::daemon::facts;
use crate::daemon::order::Message;
use crate::daemon::record::TorrentRecord;
use crate::daemon::session::{Session, wall_clock};
use crate::daemon::store::Store;
use crate::daemon::task::{Life, Task, Work, add_life};
use crate::daemon::torrent_config::{config_of, set_limits};
use crate::daemon::view::{TorrentId, Trouble};
use crate::lock::{read, write};
use crate::{Client, Error, InfoHash, Magnet, Torrent, mask_secrets};

/// How often what moves is written.
const SAVE_EVERY: Duration = Duration::from_secs(60);

/// The keeper.
pub struct Keeper {
    session: Arc<RwLock<Session>>,
    store: Store,
    client: Arc<Client>,
    /// Told of what happens, in a line each.
    log: Arc<dyn Fn(&str) + Send + Sync>,
    /// To itself, for what other threads finish.
    sender: Sender<Message>,
    /// Torrents that were removed and still end, and where their data are to be removed.
    leaving: HashMap<InfoHash, Leaving>,
    /// What is to be removed of torrents that were removed while their data were moved.
    orphans: HashMap<TorrentId, (Vec<PathBuf>, Vec<PathBuf>)>,
    /// Torrents whose data are to be moved, the first is being moved.
    moves: Vec<TorrentId>,
    /// When to write what moves.
    save_at: Option<Instant>,
}

/// A torrent that was removed and has not ended.
struct Leaving {
    _torrent: Torrent,
    /// Its paths and the directories they are below, if its data are to go too.
    data: Option<(Vec<PathBuf>, Vec<PathBuf>)>,
}

impl Keeper {
    /// A keeper of what was found in the state; [`run`](Keeper::run) starts the torrents.
    pub fn new(
        session: Arc<RwLock<Session>>,
        store: Store,
        client: Arc<Client>,
        log: Arc<dyn Fn(&str) + Send + Sync>,
        sender: Sender<Message>,
    ) -> Keeper {
        Keeper {
            session,
            store,
            client,
            log,
            sender,
            leaving: HashMap::new(),
            orphans: HashMap::new(),
            moves: Vec::new(),
            save_at: None,
        }
    }

    /// Runs the torrents until it is told to end, and leaves everything saved.
    pub fn run(mut self, messages: &Receiver<Message>) {
        let events = self.client.events();
        let ids: Vec<TorrentId> = read(&self.session).queue.clone();
        ids.into_iter().for_each(|id| self.begin(id));
        loop {
            let tick = self.save_at.map_or_else(never, crossbeam_channel::at);
            select! {
                recv(messages) -> message => match message {
                    Ok(Message::Do(order, answer)) => {
                        // The asker may have given up waiting.
                        let _ = answer.try_send(self.obey(order));
                        self.watch_totals();
                    }
                    Ok(Message::Filter(filter, rules)) => {
                        self.client.set_filter(filter);
                        write(&self.session).blocklist_rules = rules;
                    }
                    Ok(Message::Moved(id, to, outcome)) => self.on_moved(id, &to, outcome),
                    Ok(Message::Ping(asker)) => drop(asker),
                    Ok(Message::End) | Err(_) => break,
                },
                recv(events.receiver()) -> event => match event {
                    Ok(event) => self.on_event(event),
                    Err(_) => break,
                },
                recv(tick) -> _ => self.save_totals(),
            }
        }
        self.end();
    }

    /// Ends the torrents and writes what they came to.
    fn end(mut self) {
        let torrents: Vec<(TorrentId, Torrent)> = {
            let session = read(&self.session);
            let running = |(id, task): (&TorrentId, &Task)| Some((*id, task.torrent()?.clone()));
            session.tasks.iter().filter_map(running).collect()
        };
        // Those who only look at it hold it for a moment.
        drop(self.client);
        for (hash, leaving) in std::mem::take(&mut self.leaving) {
            self.store.remove_remains(&hash.to_string());
            data::remove_data(leaving.data, &*self.log);
        }
        let mut session = write(&self.session);
        session.record = session.to_record();
        for (id, torrent) in torrents {
            let Some(task) = session.tasks.get_mut(&id) else { continue };
            let before = task.record.clone();
            add_life(&mut task.record, &torrent.progress(), task.is_open);
            (task.life, task.is_open) = (Life::Off, false);
            if task.record != before
                && let Err(error) = self.store.save_task(&task.record)
            {
                (self.log)(&error.to_string());
            }
        }
        if let Err(error) = self.store.save_session(&session.record) {
            (self.log)(&error.to_string());
        }
    }

    fn log(&self, line: &str) {
        (self.log)(&mask_secrets(line));
    }

    /// Does something with a task, if it is there.
    fn with<T>(&self, id: TorrentId, change: impl FnOnce(&mut Task) -> T) -> Option<T> {
        let mut session = write(&self.session);
        session.tasks.get_mut(&id).map(|task| {
            task.changed = Instant::now();
            change(task)
        })
    }

    /// What a torrent is called; empty if it is gone.
    fn name(&self, id: TorrentId) -> String {
        read(&self.session).tasks.get(&id).map(|task| task.facts.name.clone()).unwrap_or_default()
    }

    /// A copy of the record of a task.
    fn record(&self, id: TorrentId) -> Option<TorrentRecord> {
        read(&self.session).tasks.get(&id).map(|task| task.record.clone())
    }

    /// Changes the record of a task: on the disk, and then for all to see.
    fn change(&self, id: TorrentId, change: impl FnOnce(&mut TorrentRecord)) -> Result<(), Failure> {
        let session = read(&self.session);
        let Some(task) = session.tasks.get(&id) else { return Ok(()) };
        let mut record = task.record.clone();
        change(&mut record);
        if task.record == record {
            return Ok(());
        }
        // What this life added is written too, and not counted twice: it is added to the record in memory at the
        // end of the life.
        let mut written = record.clone();
        if let Some(progress) = task.progress() {
            add_life(&mut written, &progress, task.is_open);
        }
        drop(session);
        self.store.save_task(&written).map_err(|error| self.failed(&error))?;
        self.with(id, |task| task.record = record);
        Ok(())
    }

    /// A failure of the disk, which is logged too.
    fn failed(&self, error: &Error) -> Failure {
        self.log(&error.to_string());
        let of_system = error.cause().and_then(|cause| cause.downcast_ref::<std::io::Error>());
        of_system.map_or_else(|| Failure::System(error.to_string()), Failure::of_system)
    }

    /// Makes the facts of a task again.
    fn renew_facts(&self, task: &mut Task) {
        let path = self.store.torrent_path(&task.record.hash);
        task.facts = facts::facts(task.hash, &task.record, task.metainfo.as_deref(), &path);
    }

    /// What a record says is to be done before the torrent runs, after a start of the daemon or of the torrent.
    fn begin(&mut self, id: TorrentId) {
        self.with(id, |task| {
            if !task.record.renaming.is_empty() {
                task.work.push(Work::Rename);
            }
            if !task.record.moving_from.is_empty() {
                task.work.push(Work::Move);
            }
            self.renew_facts(task);
        });
        self.settle(id);
    }

    /// Takes a torrent a step towards what it is to do: ends it where something has to be done without it, does
    /// that, and starts it.
    fn settle(&mut self, id: TorrentId) {
        loop {
            let mut session = write(&self.session);
            let Some(task) = session.tasks.get_mut(&id) else { return };
            let waits = !task.work.is_empty() || task.is_stale;
            match &task.life {
                Life::Running(torrent) if waits => {
                    torrent.remove();
                    task.life = Life::Ending(torrent.clone());
                    return;
                }
                Life::Running(_) | Life::Ending(_) | Life::Moving => return,
                Life::Off if self.leaving.contains_key(&task.hash) => return,
                Life::Off => {}
            }
            task.is_stale = false;
            // What is moved has its new names already.
            let first = task.work.iter().position(|work| *work == Work::Rename).unwrap_or(0);
            let work = (first < task.work.len()).then(|| task.work.remove(first));
            let record = task.record.clone();
            drop(session);
            match work {
                Some(Work::Verify) => self.store.forget_verified(&record.hash),
                Some(Work::Rename) => self.do_renames(&record),
                Some(Work::Move) => return self.begin_move(id),
                None => return self.run_torrent(id),
            }
        }
    }

    /// Adds a torrent to the client.
    fn run_torrent(&mut self, id: TorrentId) {
        let mut session = write(&self.session);
        let settings = session.settings.clone();
        let Some(task) = session.tasks.get_mut(&id) else { return };
        if task.record.error.is_some() {
            return;
        }
        if let Some(why) = missing_data(&task.record) {
            task.trouble = Trouble::Local(why);
            return;
        }
        let config = config_of(task, &settings, self.store.dir());
        let magnet = || Magnet::parse(task.record.magnet.as_deref().unwrap_or_default());
        let added = match &task.metainfo {
            Some(metainfo) => self.client.add(metainfo.clone(), config),
            None => magnet().and_then(|magnet| self.client.add_magnet(magnet, config)),
        };
        match added {
            Ok(torrent) => {
                if task.record.is_stopped && task.metainfo.is_none() {
                    torrent.pause();
                }
                set_limits(task, &torrent);
                (task.life, task.is_open) = (Life::Running(torrent), false);
            }
            Err(error) => {
                task.trouble = Trouble::Local(error.to_string());
                drop(session);
                self.log(&error.to_string());
            }
        }
    }

    /// Data may flow: what moves is written in a minute.
    fn watch_totals(&mut self) {
        self.save_at.get_or_insert_with(|| Instant::now() + SAVE_EVERY);
    }

    fn save_totals(&mut self) {
        self.save_at = None;
        let now = wall_clock();
        let mut moved = Vec::new();
        {
            let mut session = write(&self.session);
            for task in session.tasks.values_mut() {
                let Some(progress) = task.progress() else { continue };
                let idle = progress.idle.map(|idle| idle.as_secs());
                if let Some(idle) = idle.filter(|idle| *idle <= 2 * SAVE_EVERY.as_secs()) {
                    task.record.active = now.saturating_sub(idle);
                    moved.push(task.merged());
                }
            }
        }
        if moved.is_empty() {
            return;
        }
        for record in &moved {
            if let Err(error) = self.store.save_task(record) {
                self.log(&error.to_string());
            }
        }
        let record = read(&self.session).to_record();
        if let Err(error) = self.store.save_session(&record) {
            self.log(&error.to_string());
        }
        self.watch_totals();
    }
}

/// Why a torrent whose data were there must not run: a disk that is not mounted is not to be filled anew.
fn missing_data(record: &TorrentRecord) -> Option<String> {
    let dir = Path::new(&record.dir);
    let is_gone = record.verified > 0 && !dir.is_dir();
    is_gone.then(|| {
        format!("{} is not there; mount it, or name another place, and start the torrent", record.dir)
    })
}

/// The file with the parts of files that are not wanted, beside the data.
fn part_file(hash: &str) -> PathBuf {
    PathBuf::from(format!(".{hash}.parts"))
}
