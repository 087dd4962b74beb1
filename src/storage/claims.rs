//! Which files on disk the torrents of a client write or have written: each belongs to one torrent.
//!
//! A file is known by device and inode, so that two names of one file are one, whether by a link, by
//! another spelling of the directory or on a file system that ignores case. It never touches the file
//! system. Invariant: no two torrents, and no two files of one torrent, hold one file where either of
//! them writes to it.

use std::collections::{HashMap, VecDeque};
use std::fs::Metadata;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, MutexGuard};

use crate::id::InfoHash;
use crate::lock::lock;

/// Files of torrents that are complete and have ended that are remembered.
const MAX_ENDED: usize = 10_000;

/// The files of all torrents of a client.
#[derive(Debug, Default)]
pub(super) struct Claims {
    held: Mutex<Held>,
    /// Hides device and inode in eight bytes that cannot be made to collide from outside.
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Held {
    files: HashMap<u64, Claim>,
    torrents: HashMap<u64, Holder>,
    /// Torrents that are complete and have ended, the oldest first.
    ended: VecDeque<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Claim {
    torrent: u64,
    file: u32,
}

#[derive(Debug)]
struct Holder {
    owner: Owner,
    /// The torrent is complete and writes no longer.
    complete: bool,
    files: usize,
}

/// A torrent that has a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) info_hash: InfoHash,
    pub(super) name: String,
}

/// Why a file cannot be had.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is another file of the same torrent as well.
    Twice(u32),
    /// Another torrent has it.
    By(Owner),
}

impl Claims {
    /// A torrent may claim files from now on, under this number.
    pub(super) fn register(&self, torrent: u64, owner: Owner) {
        self.lock().torrents.insert(torrent, Holder { owner, complete: false, files: 0 });
    }

    /// Claims a file to write to. If it was made just now, it cannot belong to another torrent, and what is
    /// recorded for its inode is out of date.
    pub(super) fn take(&self, torrent: u64, file: u32, found: &Metadata, made: bool) -> Result<(), Taken> {
        let key = self.key(found);
        let mut held = self.lock();
        if let Some(claim) = held.files.get(&key).copied().filter(|_| !made) {
            if claim.torrent == torrent {
                return if claim.file == file { Ok(()) } else { Err(Taken::Twice(claim.file)) };
            }
            if let Some(owner) = held.rival(torrent, claim) {
                return Err(Taken::By(owner));
            }
        }
        if let Some(before) = held.files.insert(key, Claim { torrent, file }) {
            held.count(before.torrent, |files| files.saturating_sub(1));
        }
        held.count(torrent, |files| files + 1);
        Ok(())
    }

    /// Whether any file is claimed.
    pub(super) fn any(&self) -> bool {
        !self.lock().files.is_empty()
    }

    /// The other torrent that has a file, if there is one.
    pub(super) fn owner(&self, torrent: u64, found: &Metadata) -> Option<Owner> {
        let held = self.lock();
        held.rival(torrent, *held.files.get(&self.key(found))?)
    }

    /// The other torrent that writes to a file, if there is one.
    pub(super) fn writer(&self, torrent: u64, found: &Metadata) -> Option<Owner> {
        let held = self.lock();
        let claim = *held.files.get(&self.key(found))?;
        let complete = held.torrents.get(&claim.torrent).is_some_and(|holder| holder.complete);
        held.rival(torrent, claim).filter(|_| !complete)
    }

    /// A torrent is complete: it keeps its files, but no longer writes to them.
    pub(super) fn complete(&self, torrent: u64) {
        if let Some(holder) = self.lock().torrents.get_mut(&torrent) {
            holder.complete = true;
        }
    }

    /// A torrent has ended. What it completed is still its own.
    pub(super) fn end(&self, torrent: u64) {
        let mut held = self.lock();
        let complete = held.torrents.get(&torrent).is_some_and(|holder| holder.complete && holder.files > 0);
        if !complete {
            return held.forget(torrent);
        }
        if !held.ended.contains(&torrent) {
            held.ended.push_back(torrent);
        }
        while held.ended.iter().map(|ended| held.torrents.get(ended).map_or(0, |h| h.files)).sum::<usize>()
            > MAX_ENDED
        {
            let oldest = held.ended.pop_front();
            oldest.into_iter().for_each(|oldest| held.forget(oldest));
        }
    }

    fn key(&self, found: &Metadata) -> u64 {
        self.hasher.hash_one((found.dev(), found.ino()))
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        lock(&self.held)
    }
}

impl Held {
    /// The owner of a claim, if that is another torrent than `torrent`, which may have been started anew.
    fn rival(&self, torrent: u64, claim: Claim) -> Option<Owner> {
        let owner = &self.torrents.get(&claim.torrent)?.owner;
        let same = self.torrents.get(&torrent).is_some_and(|own| own.owner.info_hash == owner.info_hash);
        (claim.torrent != torrent && !same).then(|| owner.clone())
    }

    fn count(&mut self, torrent: u64, change: impl Fn(usize) -> usize) {
        if let Some(holder) = self.torrents.get_mut(&torrent) {
            holder.files = change(holder.files);
        }
    }

    fn forget(&mut self, torrent: u64) {
        if self.torrents.remove(&torrent).is_some_and(|holder| holder.files > 0) {
            self.files.retain(|_, claim| claim.torrent != torrent);
        }
    }
}

#[cfg(test)]
mod tests;
