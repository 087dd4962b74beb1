//! The piece hashes of files that are to become a torrent, on all cores.
//!
//! The files are one stream in the order given; pieces run across their borders. It never writes.
//! Invariant: either every file had the length it was said to have, at its opening, in its reading
//! and at the end, or the result is an error.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::io_error::{failed, show};
use super::parallel;
use crate::digest::{Digest, Sha1};
use crate::error::{Error, ErrorKind, Result};
use crate::lock::{self, lock};
use crate::pieces::Pieces;

/// Bytes read at once.
const BUFFER: usize = 256 * 1024;

/// One file to hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its path. Links are followed: the user named it.
    pub path: PathBuf,
    /// Its length in bytes, as it was found.
    pub length: u64,
}

/// The concatenated SHA-1 hashes of the pieces of `sources`, 20 bytes each, worked out on `threads`
/// threads (0 is one a core). `progress` hears how many pieces are done, from any of the threads.
///
/// # Errors
/// [`ErrorKind::Torrent`] for an impossible piece length or too many bytes in all,
/// [`ErrorKind::Interrupted`] where `stop` was set, [`ErrorKind::FileIo`] where a file has not the
/// length it was said to have, [`ErrorKind::NotFound`], [`ErrorKind::FileOpen`] and
/// [`ErrorKind::FileIo`] where one cannot be read.
pub fn pieces(
    sources: &[Source],
    piece_length: u32,
    threads: usize,
    progress: &(dyn Fn(u32) + Sync),
    stop: &AtomicBool,
) -> Result<Vec<u8>> {
    let mut ends = Vec::with_capacity(sources.len());
    let mut total = 0u64;
    for source in sources {
        total = total.checked_add(source.length).ok_or_else(|| {
            Error::new(ErrorKind::Torrent, "the files together are longer than 2\u{2076}\u{2074} bytes")
        })?;
        ends.push(total);
    }
    let pieces = Pieces::new(total, piece_length.into())?;
    let stream = Stream { sources, ends };
    let hashes = Mutex::new(vec![0; pieces.count() as usize * 20]);
    let (next, done) = (AtomicU32::new(0), AtomicU32::new(0));
    parallel::run(threads, pieces.count(), || {
        let mut buffer = vec![0; BUFFER];
        let mut open = None;
        loop {
            let taken = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |piece| {
                pieces.contains(piece).then_some(piece + 1)
            });
            let Ok(piece) = taken else { return Ok(()) };
            let hashed =
                stream.hash(pieces.range(piece), &mut open, &mut buffer, stop).inspect_err(|_| {
                    next.store(pieces.count(), Ordering::Relaxed); // The others need not go on.
                })?;
            let at = piece as usize * 20;
            lock(&hashes)[at..at + 20].copy_from_slice(&hashed);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
        }
    })?;
    for source in sources {
        let found = fs::metadata(&source.path);
        let found = found.map_err(|cause| failed(ErrorKind::FileOpen, "look at", &source.path, cause))?;
        if found.len() != source.length {
            return Err(changed(source));
        }
    }
    Ok(lock::into_inner(hashes))
}

/// The files as one stream.
struct Stream<'a> {
    sources: &'a [Source],
    /// Where each file ends in the stream.
    ends: Vec<u64>,
}

impl Stream<'_> {
    /// The hash of a range; `open` is the file that this thread read last.
    fn hash(
        &self,
        range: std::ops::Range<u64>,
        open: &mut Option<(usize, File)>,
        buffer: &mut [u8],
        stop: &AtomicBool,
    ) -> Result<Digest> {
        let mut hash = Sha1::new();
        let mut offset = range.start;
        while offset < range.end {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::new(ErrorKind::Interrupted, "the hashing was interrupted"));
            }
            let index = self.ends.partition_point(|&end| end <= offset);
            let (Some(source), Some(&end)) = (self.sources.get(index), self.ends.get(index)) else { break };
            let length = (range.end.min(end) - offset).min(buffer.len() as u64);
            let part = &mut buffer[..length as usize];
            let file = match open.take() {
                Some((at, file)) if at == index => file,
                _ => start(source)?,
            };
            let read = file.read_exact_at(part, offset - (end - source.length));
            read.map_err(|cause| match cause.kind() {
                io::ErrorKind::UnexpectedEof => changed(source),
                _ => failed(ErrorKind::FileIo, "read", &source.path, cause),
            })?;
            hash.update(part);
            *open = Some((index, file));
            offset += length;
        }
        Ok(hash.finish())
    }
}

/// Opens a file that has the length it should.
fn start(source: &Source) -> Result<File> {
    let found = fs::metadata(&source.path)
        .map_err(|cause| failed(ErrorKind::FileOpen, "look at", &source.path, cause))?;
    if !found.is_file() {
        let path = show(&source.path);
        return Err(Error::new(ErrorKind::FileOpen, format!("{path} is not a regular file; leave it out")));
    }
    if found.len() != source.length {
        return Err(changed(source));
    }
    File::open(&source.path).map_err(|cause| failed(ErrorKind::FileOpen, "open", &source.path, cause))
}

fn changed(source: &Source) -> Error {
    let path = show(&source.path);
    Error::new(
        ErrorKind::FileIo,
        format!("{path} changed its length while it was read; try again when it is at rest"),
    )
}
