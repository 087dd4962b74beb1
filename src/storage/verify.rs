//! Hashing files on disk, on all cores: which pieces and files are right.
//!
//! Threads take short runs of consecutive pieces from one list, so that the disk sees reads that move forward
//! together. It never writes. If some bytes of a piece are missing, the others cannot be told right or wrong;
//! that is no error, but bytes that cannot be read are one. Invariant: memory is one buffer for each thread,
//! for any piece length.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::files::Files;
use super::layout::Place;
use super::parallel;
use crate::bitfield::Bitfield;
use crate::digest::Sha1;
use crate::error::{Error, ErrorKind, Result};
use crate::lock::{self, lock};

/// Bytes read at once.
const BUFFER: usize = 256 * 1024;

/// Bytes a thread takes on at once, in whole pieces.
const STINT: u32 = 4 * 1024 * 1024;

/// The result of hashing pieces; those in neither set are wrong, or were not to be hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashed {
    /// They have their hash.
    pub right: Bitfield,
    /// They reach into data that is not there, so that it cannot be told.
    pub untold: Bitfield,
}

/// Hashes the pieces `which` on `threads` threads (0 is one a core). `progress` hears how many are done, from any of the threads; not always in order.
///
/// # Errors
/// [`ErrorKind::Interrupted`] where `stop` was set, within a piece or so; [`ErrorKind::FileOpen`],
/// [`ErrorKind::FileIo`] or [`ErrorKind::Resources`] where a file is there and cannot be read.
pub fn check(
    files: &Files,
    which: &Bitfield,
    threads: usize,
    progress: &(dyn Fn(u32) + Sync),
    stop: &AtomicBool,
) -> Result<Hashed> {
    let metainfo = files.layout().metainfo();
    let pieces = metainfo.pieces();
    let list = Mutex::new(which.iter().filter(|&piece| pieces.contains(piece)));
    let none = Bitfield::empty(pieces.count());
    let hashed = Mutex::new(Hashed { right: none.clone(), untold: none });
    let (done, failed) = (AtomicU32::new(0), AtomicBool::new(false));
    let stint = (STINT / pieces.piece_length()).clamp(1, 256) as usize;
    parallel::run(threads, which.count().div_ceil(stint as u32), || {
        let mut buffer = vec![0; BUFFER];
        let mut run = Vec::with_capacity(stint);
        loop {
            run.clear();
            run.extend(lock(&list).by_ref().take(stint));
            if run.is_empty() || failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            for &piece in &run {
                let judged = hash_piece(files, piece, &mut buffer, stop);
                let mut hashed = lock(&hashed);
                match judged {
                    Ok(Judged::Right) => _ = hashed.right.insert(piece),
                    Ok(Judged::Untold) => _ = hashed.untold.insert(piece),
                    Ok(Judged::Wrong) => {}
                    Err(error) => {
                        failed.store(true, Ordering::Relaxed);
                        return Err(error);
                    }
                }
                drop(hashed);
                progress(done.fetch_add(1, Ordering::Relaxed) + 1);
            }
        }
    })?;
    Ok(lock::into_inner(hashed))
}

/// How a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judged {
    /// It has its hash.
    Right,
    /// It has another.
    Wrong,
    /// Some of its bytes are not there.
    Untold,
}

/// Whether a checked piece has its hash.
///
/// # Errors
/// As [`check`].
pub(super) fn hash_piece(files: &Files, piece: u32, buffer: &mut [u8], stop: &AtomicBool) -> Result<Judged> {
    let metainfo = files.layout().metainfo();
    let pieces = metainfo.pieces();
    let mut hash = Sha1::new();
    let mut offset = pieces.offset(piece);
    let mut left = pieces.length(piece) as usize;
    while left > 0 {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Interrupted, "the check was interrupted"));
        }
        let length = left.min(buffer.len());
        let part = &mut buffer[..length];
        match files.read_at(offset, part) {
            Ok(()) => hash.update(part),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Judged::Untold),
            Err(error) => return Err(error),
        }
        offset += length as u64;
        left -= length;
    }
    Ok(if hash.finish() == *metainfo.piece_hash(piece) { Judged::Right } else { Judged::Wrong })
}

/// How a file compares with the torrent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Every byte is right.
    Right,
    /// It is not there.
    Missing,
    /// It has another length.
    WrongLength {
        /// Its length on disk, in bytes.
        found: u64,
    },
    /// It has the right length, and wrong bytes in it or in its neighbours: of the pieces that
    /// reach into it, some are wrong.
    Damaged {
        /// Pieces that are wrong.
        pieces: u32,
        /// Pieces that reach into the file.
        of: u32,
    },
    /// It has the right length, and nothing wrong was found, but some of its pieces reach into data
    /// that is not there.
    Untold {
        /// Pieces of which it cannot be told.
        pieces: u32,
        /// Pieces that reach into the file.
        of: u32,
    },
}

/// One file, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Index of the file in the torrent.
    pub file: u32,
    /// Its path on disk.
    pub path: PathBuf,
    /// How it is.
    pub condition: Condition,
}

/// How each selected file is, in order, given what came of hashing its pieces. Pad files and symbolic
/// links are left out.
///
/// # Errors
/// [`ErrorKind::FileOpen`] where something else is in a file's place or cannot be looked at.
pub fn by_file(files: &Files, hashed: &Hashed) -> Result<Vec<Checked>> {
    let layout = files.layout();
    let pieces = layout.metainfo().pieces();
    let mut checked = Vec::new();
    for (index, file) in layout.files().iter().enumerate() {
        let index = index as u32;
        if !layout.is_selected(index) || layout.place(index) == Place::Pad {
            continue;
        }
        let range = pieces.covering(file.offset..file.offset + file.length);
        let of = range.len() as u32;
        let untold = range.clone().filter(|&piece| hashed.untold.has(piece)).count() as u32;
        let right = range.filter(|&piece| hashed.right.has(piece)).count() as u32;
        let wrong = of - right - untold;
        let condition = match files.stat(index)? {
            None => Condition::Missing,
            Some(found) if found.len() != file.length => Condition::WrongLength { found: found.len() },
            Some(_) if wrong > 0 => Condition::Damaged { pieces: wrong, of },
            Some(_) if untold > 0 => Condition::Untold { pieces: untold, of },
            Some(_) => Condition::Right,
        };
        checked.push(Checked { file: index, path: files.path(index), condition });
    }
    Ok(checked)
}
