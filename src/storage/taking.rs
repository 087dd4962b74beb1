//! How a torrent makes its files its own before it writes to any: none is another torrent's, none is
//! two of its own, and those that are missing are made.
//!
//! From then on a file counts by its number in the file system, and one that has come in its place is
//! not written to. Invariant: nothing is written before all of it has gone well; a file that was there
//! is as it was.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicBool, Ordering};

use super::census::{Census, Claimant};
use super::claims::{Owner, Taken};
use super::files::Files;
use super::io_error::{failed, show};
use super::layout::Place;
use super::lock::Lock;
use super::own::{Own, OwnFile, path_key};
use super::state::Stamp;
use crate::bitfield::Bitfield;
use crate::config::Existing;
use crate::error::{Error, ErrorKind, Result};
use crate::lock::lock;

impl Files {
    /// Keeps other processes from downloading the torrent here, as far as the file system can. To be done
    /// before anything else is.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`] where one does already.
    pub fn keep_others_out(&self) -> Result<()> {
        // A directory that cannot be made is for the first write to tell.
        if fs::create_dir_all(self.root()).is_ok() {
            let info_hash = self.layout().metainfo().info_hash();
            *self.lock() = Lock::take(&self.root, info_hash, &self.describe(None, false))?;
        }
        Ok(())
    }

    /// Takes the files of a torrent that is to be written. `strangers` are those that are there although
    /// no state says that they are the torrent's: they are not taken from a torrent that says they are its
    /// own, in a state beside them or in `state_dir`. With [`Existing::Overwrite`] only one that is being
    /// downloaded at the moment keeps them.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`] where a file is another torrent's, or two of the torrent are one; [`ErrorKind::Interrupted`] where `stop` was set; as
    /// [`Files::write_at`] where a file cannot be made.
    pub fn take(
        &self,
        strangers: &[u32],
        state_dir: Option<&Path>,
        existing: Existing,
        stop: &AtomicBool,
    ) -> Result<()> {
        let mut census = Census::default();
        let info_hash = self.layout().metainfo().info_hash();
        for &index in strangers {
            let path = self.path(index);
            let claimant = census.claimant(&path, state_dir, Some(info_hash));
            let keeps = |claimant: &Claimant| existing != Existing::Overwrite || claimant.process.is_some();
            if let Some(claimant) = claimant.filter(keeps) {
                return Err(claimant.refusal(&path));
            }
        }
        let mut made = Vec::new();
        let taken = self.claim_all(&mut made, stop);
        if taken.is_err() {
            made.into_iter().for_each(|index| self.unmake(index));
            self.release();
        }
        taken
    }

    /// The torrent is complete: it writes no longer, and others may use its files.
    pub fn settle(&self) {
        self.cache.claims.complete(self.owner);
        *self.lock() = None;
    }

    /// The torrent has ended: its files are free for others, unless it is complete.
    pub fn release(&self) {
        self.cache.claims.end(self.owner);
        *self.lock() = None;
    }

    /// Sees that no other torrent of the client writes to a file of this one, which is complete.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`] where one does.
    pub fn see_none_writes(&self) -> Result<()> {
        if !self.cache.claims.any() {
            return Ok(());
        }
        for index in self.stored() {
            let found = self.stat(index)?;
            if let Some(owner) = found.and_then(|found| self.cache.claims.writer(self.owner, &found)) {
                return Err(belongs(&self.path(index), owner));
            }
        }
        Ok(())
    }

    /// What there is to say of the files: with the `verified` pieces which are complete, and with
    /// `absolute` for readers that do not know the directory.
    pub(super) fn describe(&self, verified: Option<&Bitfield>, absolute: bool) -> Own {
        let (layout, metainfo) = (self.layout(), self.layout().metainfo());
        let pieces = metainfo.pieces();
        let root = absolute.then(|| fs::canonicalize(self.root()).ok()).flatten().unwrap_or_default();
        let files = (0..self.part()).zip(layout.files()).map(|(index, file)| OwnFile {
            path: path_key(&root.join(self.relative(index))),
            inode: self.inodes[index as usize].load(Ordering::Relaxed),
            complete: verified.is_some_and(|verified| {
                pieces.covering(file.offset..file.offset + file.length).all(|piece| verified.has(piece))
            }),
        });
        Own { name: metainfo.name().to_owned(), files: files.collect() }
    }

    /// The error for a file that belongs to another torrent or program: to which, if that is known, or else
    /// what shows it.
    pub(super) fn foreign(&self, index: u32, what: &str, state_dir: Option<&Path>) -> Error {
        let path = self.path(index);
        let found = self.stat(index).ok().flatten();
        if let Some(owner) = found.and_then(|found| self.cache.claims.owner(self.owner, &found)) {
            return belongs(&path, owner);
        }
        let own = self.layout().metainfo().info_hash();
        match Census::default().claimant(&path, state_dir, Some(own)) {
            Some(claimant) => claimant.refusal(&path),
            None => {
                let context =
                    format!("{} {what}; move it away, or allow overwriting (--overwrite)", show(&path));
                Error::new(ErrorKind::Exists, context)
            }
        }
    }

    /// The inode of a file that was made the torrent's own; 0 if it was not.
    pub(super) fn inode(&self, index: u32) -> Option<u64> {
        self.inodes.get(index as usize).map(|inode| inode.load(Ordering::Relaxed))
    }

    /// Claims what is there, then makes what is not.
    fn claim_all(&self, made: &mut Vec<u32>, stop: &AtomicBool) -> Result<()> {
        let mut absent = Vec::new();
        let missing = self.missing_top();
        for index in self.stored() {
            interrupted(stop)?;
            let below = |top| self.relative(index).starts_with(top);
            let found = if missing.as_ref().is_some_and(below) { None } else { self.stat(index)? };
            match found {
                // It gets a name of its own.
                Some(found) if self.is_twin(index, &found) => absent.push(index),
                Some(found) => self.claim(index, &found, false)?,
                None => absent.push(index),
            }
        }
        for index in absent {
            interrupted(stop)?;
            let executable = self.layout().files().get(index as usize).is_some_and(|file| file.executable);
            let (opened, created) = self.open_or_create(index, executable)?;
            if created {
                made.push(index);
            }
            let found = opened.metadata();
            let found =
                found.map_err(|cause| failed(ErrorKind::FileOpen, "look at", &self.path(index), cause))?;
            self.claim(index, &found, created)?;
            if !created {
                let path = show(&self.path(index));
                let context = format!("{path} was made by another program just now; move it away");
                return Err(Error::new(ErrorKind::Exists, context));
            }
            // Empty as it is there is nothing to sync, and the next state need not look at it again.
            let stamp = Stamp::from(&found);
            lock(&self.made).push((index, stamp));
        }
        Ok(())
    }

    /// The files of the torrent that are kept in files of their own.
    fn stored(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.part()).filter(|&index| self.layout().place(index) == Place::File)
    }

    /// Sees that a file that is to be written is the torrent's own, and makes it so where that was not said
    /// yet.
    pub(super) fn claim(&self, index: u32, found: &Metadata, made: bool) -> Result<()> {
        let Some(inode) = self.inodes.get(index as usize) else { return Ok(()) };
        let known = inode.load(Ordering::Relaxed);
        if known == found.ino() {
            return Ok(());
        }
        if known != 0 && !made {
            return Err(self.gone(index));
        }
        match self.cache.claims.take(self.owner, index, found, made) {
            Ok(()) => {
                inode.store(found.ino(), Ordering::Relaxed);
                Ok(())
            }
            Err(Taken::By(owner)) => Err(belongs(&self.path(index), owner)),
            Err(Taken::Twice(other)) => {
                let (path, other) = (show(&self.path(index)), show(&self.path(other)));
                let context = format!(
                    "{path} and {other} are one file on this file system; choose a directory on another"
                );
                Err(Error::new(ErrorKind::Exists, context))
            }
        }
    }

    /// Removes a file that was made for nothing.
    fn unmake(&self, index: u32) {
        let own = self.inodes[index as usize].load(Ordering::Relaxed);
        let found = self.stat(index).ok().flatten();
        if found.is_some_and(|found| found.len() == 0 && found.ino() == own) {
            let _ = self.root.remove(&self.relative(index));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Lock>> {
        lock(&self.lock)
    }
}

fn interrupted(stop: &AtomicBool) -> Result<()> {
    match stop.load(Ordering::Relaxed) {
        true => Err(Error::new(ErrorKind::Interrupted, "the check was interrupted")),
        false => Ok(()),
    }
}

fn belongs(path: &Path, owner: Owner) -> Error {
    let Owner { info_hash, name } = owner;
    Claimant { info_hash, name, process: None, complete: false }.refusal(path)
}

#[cfg(test)]
mod tests;
