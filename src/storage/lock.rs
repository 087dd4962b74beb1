//! Keeps two processes from downloading one torrent into one directory.
//!
//! A file beside the data, `.INFO-HASH.bitwren.lock`, is locked as long as the torrent writes, and goes
//! with the lock. It says which process has it and what files the torrent writes. Where there can be no
//! lock, as on some network file systems, there is none, and nothing is said. Invariant: a file that
//! is not a lock is neither written nor removed.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::io_error::show;
use super::linux;
use super::own::Own;
use super::sandbox::Root;
use crate::error::{Error, ErrorKind, Result};
use crate::id::InfoHash;

/// How a lock begins; the number of the process follows, in four bytes, and what files it writes.
const MAGIC: &[u8; 13] = b"bitwren lock\n";

/// Locks that a process holds at once: each keeps a file open. More torrents go without.
const MAX_LOCKS: usize = 128;

/// How often a lock is tried that another has, and the pause after each.
const MAX_TRIES: u32 = 10;
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// The longest lock that is read.
const MAX_LOCK_BYTES: u64 = 16 << 20;

static HELD: AtomicUsize = AtomicUsize::new(0);

/// A lock that is held.
#[derive(Debug)]
pub(super) struct Lock {
    root: PathBuf,
    name: PathBuf,
    file: File,
}

/// The contents of a lock file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) process: u32,
    pub(super) own: Own,
}

/// The name of the lock of a torrent.
pub(super) fn name(info_hash: InfoHash) -> PathBuf {
    PathBuf::from(format!(".{info_hash}.bitwren.lock"))
}

impl Lock {
    /// Takes the lock of a torrent in a directory; nothing where there can be none.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`] where another process has it.
    pub(super) fn take(root: &Root, info_hash: InfoHash, own: &Own) -> Result<Option<Lock>> {
        let name = name(info_hash);
        let mut holder = None;
        for _ in 0..MAX_TRIES {
            if HELD.load(Ordering::Relaxed) >= MAX_LOCKS {
                return Ok(None);
            }
            // What keeps it from being made keeps data from being written, which says more.
            let Ok((mut file, made)) = root.open_or_create(&name, false) else { return Ok(None) };
            if !made && !is_lock(&file) {
                return Ok(None);
            }
            match linux::lock(&file) {
                // Another process may have removed it just before.
                Ok(true) if is_at(root, &name, &file) => {}
                Ok(true) => continue,
                // A process that only looks for the holder locks it for a moment, too.
                Ok(false) => {
                    holder = said(&file).or(holder);
                    std::thread::sleep(RETRY_PAUSE);
                    continue;
                }
                Err(_) => return Ok(None),
            }
            let process = std::process::id().to_le_bytes();
            let said = [&MAGIC[..], &process, &own.encode()].concat();
            // The holder is named for people only: the lock holds without.
            let _ = file.set_len(0).and_then(|()| file.write_all(&said));
            HELD.fetch_add(1, Ordering::Relaxed);
            return Ok(Some(Lock { root: root.path().to_path_buf(), name, file }));
        }
        let by = holder.map_or("another process".to_owned(), |said| format!("process {}", said.process));
        let (torrent, root) = (own.name.replace(char::is_control, "?"), show(root.path()));
        let context = format!("{torrent} is being downloaded into {root} by {by}");
        Err(Error::new(ErrorKind::Exists, context))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::Relaxed);
        let root = Root::new(&self.root);
        // First removed and then unlocked, so that no one locks a file that is about to go.
        if is_at(&root, &self.name, &self.file) {
            let _ = root.remove(&self.name);
        }
    }
}

/// Whether a file stands at its name.
fn is_at(root: &Root, name: &Path, file: &File) -> bool {
    let (found, opened) = (root.stat(name).ok().flatten(), file.metadata().ok());
    let number = |found: std::fs::Metadata| (found.dev(), found.ino());
    found.is_some() && found.map(number) == opened.map(number)
}

/// The contents of a lock that another process holds, or this one for another torrent; none if it is not
/// held.
pub(super) fn look(root: &Root, name: &Path) -> Option<Said> {
    let file = root.open(name, false).ok()?;
    match linux::lock(&file) {
        // Unlocked as it is closed.
        Ok(true) | Err(_) => None,
        Ok(false) => said(&file),
    }
}

fn said(file: &File) -> Option<Said> {
    let mut bytes = Vec::new();
    let mut from_start = file.try_clone().ok()?;
    io::Seek::rewind(&mut from_start).ok()?;
    from_start.take(MAX_LOCK_BYTES).read_to_end(&mut bytes).ok()?;
    let (process, own) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
    Some(Said { process: u32::from_le_bytes(*process), own: Own::decode(own)? })
}

/// Whether a file may be taken for a lock: it begins as one, or is empty as one that was just made.
fn is_lock(mut file: &File) -> bool {
    let mut start = Vec::new();
    let read = file.take(MAGIC.len() as u64).read_to_end(&mut start);
    let rewound = io::Seek::rewind(&mut file);
    read.is_ok() && rewound.is_ok() && (start.is_empty() || start == MAGIC)
}

#[cfg(test)]
mod tests;
