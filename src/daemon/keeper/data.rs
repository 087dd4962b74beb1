//! What is done with the data of a torrent that does not run: renaming, and moving by a thread of its own.

use std::path::{Path, PathBuf};

use super::{Keeper, part_file};
use crate::daemon::order::Message;
use crate::daemon::record::TorrentRecord;
use crate::daemon::task::Life;
use crate::daemon::view::{TorrentId, Trouble};
use crate::daemon::{disk_work, facts};
use crate::engine::runtime::threads;
use crate::lock::read;
use crate::{Error, ErrorKind};

impl Keeper {
    /// Renames what its record says.
    pub(super) fn do_renames(&self, record: &TorrentRecord) {
        let pair = |pair: &[String]| match pair {
            [from, to] => Some((PathBuf::from(from), PathBuf::from(to))),
            _ => None,
        };
        let renames: Vec<(PathBuf, PathBuf)> = record.renaming.chunks(2).filter_map(pair).collect();
        // A move that was cut short has left them in both places.
        let mut dirs = record.moving_from.iter().chain([&record.dir]);
        let done = dirs.try_for_each(|dir| disk_work::rename(Path::new(dir), &renames));
        // Its state has the former names.
        self.store.forget_verified(&record.hash);
        let error = done.err().map(|error| error.to_string());
        error.iter().for_each(|error| self.log(error));
        // A failure that is not kept is told in the log.
        let _ = self.change(record.id, |record| {
            record.renaming.clear();
            record.error = error.clone();
        });
        self.with(record.id, |task| task.trouble = error.map_or(Trouble::None, Trouble::Local));
    }

    /// Has the data of a torrent moved by a thread, one torrent at a time.
    pub(super) fn begin_move(&mut self, id: TorrentId) {
        self.with(id, |task| task.life = Life::Moving);
        self.moves.push(id);
        if self.moves.len() == 1 {
            self.next_move();
        }
    }

    fn next_move(&mut self) {
        while let Some(&id) = self.moves.first() {
            let session = read(&self.session);
            let job = session.tasks.get(&id).map(|task| {
                let metainfo = task.metainfo.clone();
                let mut paths =
                    metainfo.map_or_else(Vec::new, |it| facts::stored_paths(&it, &task.record.paths));
                paths.push(part_file(&task.record.hash));
                (paths, task.record.moving_from.clone(), task.record.dir.clone())
            });
            drop(session);
            let Some((paths, from, to)) = job else {
                self.moves.remove(0);
                self.with(id, |task| task.life = Life::Off);
                continue;
            };
            let sender = self.sender.clone();
            let started = threads::spawn("move", move || {
                let made = std::fs::create_dir_all(&to).map_err(|cause| {
                    Error::new(ErrorKind::MakeDir, format!("cannot make {to}")).because(cause)
                });
                let into = Path::new(&to);
                let mut places = from.iter().map(Path::new);
                let moved =
                    made.and_then(|()| places.try_for_each(|from| disk_work::move_files(&paths, from, into)));
                // Without a keeper the next start finishes it.
                let _ = sender.send(Message::Moved(id, to, moved));
            });
            match started {
                Ok(_) => return,
                Err(error) => {
                    self.moves.remove(0);
                    self.finish_move(id, "", Err(error));
                }
            }
        }
    }

    /// The thread is done with a torrent.
    pub(super) fn on_moved(&mut self, id: TorrentId, to: &str, outcome: Result<(), Error>) {
        self.moves.retain(|other| *other != id);
        if let Some(data) = self.orphans.remove(&id) {
            remove_data(Some(data), &*self.log);
        }
        self.finish_move(id, to, outcome);
        self.next_move();
    }

    fn finish_move(&mut self, id: TorrentId, to: &str, outcome: Result<(), Error>) {
        let error = outcome.err().map(|error| error.to_string());
        error.iter().for_each(|error| self.log(error));
        let is_moved = error.is_none();
        let _ = self.change(id, |record| {
            // Meanwhile another place may have been named: then that is where all of it goes next.
            if is_moved && record.dir == to {
                record.moving_from.clear();
            }
            record.error = error.clone();
        });
        self.with(id, |task| {
            task.life = Life::Off;
            task.trouble = error.map_or(Trouble::None, Trouble::Local);
        });
        if is_moved {
            self.settle(id);
        }
    }
}

/// Removes files of a torrent that was removed, below each of the directories that they may be in; a failure is told
/// in the log.
pub(super) fn remove_data(data: Option<(Vec<PathBuf>, Vec<PathBuf>)>, log: &dyn Fn(&str)) {
    let Some((paths, dirs)) = data else { return };
    dirs.iter()
        .filter_map(|dir| disk_work::remove(&paths, dir).err())
        .for_each(|error| log(&error.to_string()));
}
