//! The files of one torrent: reading and writing at offsets of the torrent, from any thread.
//!
//! Reads and writes are positioned, so they never wait for one another; files are opened through
//! the [`FdCache`] when they are needed, for reading only until something is written. Files are
//! sparse: they get their length at creation and their space as it is written, unless
//! [`Allocation::Full`] asks for it at once. Small ones, and those on file systems where a file that is
//! made longer takes the space, grow as they are written; zeros are never written. Nothing outside the
//! directory is ever touched, nor is a file that was not selected made.
//!
//! Invariant: every file written since the last `take_dirty` is marked in `dirty` before
//! the write that touched it returns.

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use super::claims::Owner;
use super::fd_cache::{FdCache, Key};
use super::io_error::{failed, show};
use super::layout::{Layout, Place, Segment};
use super::linux;
use super::locate::locate;
use super::lock::Lock;
use super::names::Names;
use super::parts::{self, Parts};
use super::sandbox::Root;
use super::state::Stamp;
use super::watch::Watch;
use crate::config::{Allocation, Existing};
use crate::error::{Error, ErrorKind, Result};
use crate::lock::lock;

mod changed;
mod naming;
mod part;
#[cfg(test)]
mod tests;

/// Bytes written with one call. The page cache takes its memory in pieces as large as the write; small
/// ones lie ready, while large ones have to be put together, or fetched back from the host of a virtual
/// machine. 1 GiB from one peer, twelve runs each by turns, CPU seconds in the median and at worst: in
/// writes of 128 KiB 1.77 and 3.25, of 16 KiB 1.60 and 2.05, although those are eight times as many.
const WRITE: usize = 16 * 1024;

/// Files up to this length are not given it before they are written.
const SMALL: u64 = 128 * 1024;

/// Bytes of the torrent that lie in one file in a row.
#[derive(Debug)]
pub struct Extent {
    /// Which file of the torrent it is, or the number after the last for the part file.
    pub index: u32,
    /// The file; nothing for padding, which is zeros.
    pub file: Option<Arc<File>>,
    /// Where in the file they begin.
    pub at: u64,
    /// How many they are, at least one.
    pub length: u64,
}

/// The files of one torrent in one directory.
#[derive(Debug)]
pub struct Files {
    pub(super) root: Root,
    layout: Layout,
    pub(super) cache: Arc<FdCache>,
    pub(super) owner: u64,
    allocation: Allocation,
    parts: Parts,
    /// The part file is not needed once the state is written.
    spent: AtomicBool,
    /// Whether a file that is made longer takes no space here, once that is known.
    makes_holes: OnceLock<bool>,
    /// One bit a file, and one for the part file.
    dirty: Box<[AtomicU64]>,
    /// The numbers in the file system of the files that are our own; 0 of those that are not.
    pub(super) inodes: Box<[AtomicU64]>,
    /// Sizes and times of the files when they were known to be right.
    pub(super) watch: Watch,
    /// Files that were made since the last `take_made`, and what they looked like then, empty.
    pub(super) made: Mutex<Vec<(u32, Stamp)>>,
    /// Keeps other processes from writing the torrent here.
    pub(super) lock: Mutex<Option<Lock>>,
    /// Where files lie that do not lie where the torrent says.
    names: Names,
    /// What could not be done as asked and was done otherwise.
    note: Mutex<Option<String>>,
    #[cfg(test)]
    pub(super) sabotage: Sabotage,
}

impl Files {
    /// The files of a torrent under the directory `root`. Nothing is opened or made yet; files
    /// whose names a file system may not take are looked for under others, files that were not selected
    /// are looked at, and those on disk at their full length are used.
    pub fn open(root: &Path, mut layout: Layout, cache: Arc<FdCache>, allocation: Allocation) -> Files {
        let root = Root::new(root);
        let known = layout.take_names();
        let names = Names::new(layout.metainfo(), known);
        locate(&root, &layout, &names);
        if !layout.is_whole() {
            let metainfo = layout.metainfo().clone();
            for (index, file) in metainfo.files().iter().enumerate() {
                let index = index as u32;
                // An unselected file is no reason to fail: if it cannot be used, it is left alone.
                let whole = |found: Metadata| found.len() == file.length;
                if layout.place(index) == Place::Part
                    && root.stat(&names.path(index, &file)).is_ok_and(|found| found.is_some_and(whole))
                {
                    layout.keep(index);
                }
            }
        }
        let words = (layout.files().len() + 1).div_ceil(64);
        let inodes = std::iter::repeat_with(AtomicU64::default).take(layout.files().len()).collect();
        let (owner, metainfo) = (cache.owner(), layout.metainfo());
        let whose = Owner { info_hash: metainfo.info_hash(), name: metainfo.name().to_owned() };
        cache.claims.register(owner, whose);
        Files {
            root,
            owner,
            inodes,
            watch: Watch::new(layout.files().len()),
            made: Mutex::default(),
            lock: Mutex::default(),
            parts: Parts::new(layout.metainfo()),
            spent: AtomicBool::new(false),
            makes_holes: OnceLock::new(),
            layout,
            cache,
            allocation,
            names,
            dirty: std::iter::repeat_with(AtomicU64::default).take(words).collect(),
            note: Mutex::new(None),
            #[cfg(test)]
            sabotage: Sabotage::default(),
        }
    }

    /// How the bytes of the torrent lie in the files.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The directory the files are in.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Fills `buffer` with the bytes of the torrent from `offset` on.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where a file is missing or ends too early, [`ErrorKind::FileOpen`],
    /// [`ErrorKind::FileIo`], [`ErrorKind::Resources`]; [`ErrorKind::Argument`] past the end of
    /// the torrent. The buffer may then be partly filled.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let mut rest = buffer;
        for segment in self.layout.segments(offset, rest.len() as u64) {
            let (part, after) = rest.split_at_mut(segment.length as usize);
            rest = after;
            self.read_segment(segment, part)?;
        }
        if rest.is_empty() { Ok(()) } else { Err(past_the_end()) }
    }

    /// Where the byte at `offset` lies on disk, and how many of `length` bytes from there on lie in
    /// the same file in a row.
    ///
    /// # Errors
    /// As [`Files::read_at`], though a file that ends too early is found only when it is read.
    pub fn extent(&self, offset: u64, length: u64) -> Result<Extent> {
        let segment = self.layout.segments(offset, length).next().ok_or_else(past_the_end)?;
        Ok(match segment.place {
            Place::Pad => Extent { index: segment.file, file: None, at: 0, length: segment.length },
            Place::File => Extent {
                index: segment.file,
                file: Some(self.handle(segment.file, false)?),
                at: segment.at,
                length: segment.length,
            },
            Place::Part => {
                let file = self.handle(self.part(), false)?;
                let (at, length) = self.in_part(segment.offset..segment.offset + segment.length)?;
                Extent { index: self.part(), file: Some(file), at, length }
            }
        })
    }

    /// Writes `data` to the torrent from `offset` on; files and directories are made as needed.
    ///
    /// # Errors
    /// [`ErrorKind::DiskFull`], [`ErrorKind::FileCreate`], [`ErrorKind::FileOpen`],
    /// [`ErrorKind::FileIo`], [`ErrorKind::MakeDir`], [`ErrorKind::Resources`];
    /// [`ErrorKind::Argument`] past the end of the torrent. Some of the data may then be written.
    pub fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut rest = data;
        for segment in self.layout.segments(offset, data.len() as u64) {
            let (part, after) = rest.split_at(segment.length as usize);
            rest = after;
            self.write_segment(segment, part)?;
        }
        if rest.is_empty() { Ok(()) } else { Err(past_the_end()) }
    }

    /// Makes what writing pieces would never make: empty files, and with [`Allocation::Full`] all
    /// selected files with their space, unless all their bytes are there (`complete`). With
    /// [`Existing::Overwrite`], files that are too long are cut. Files that are right are not touched,
    /// so that a read-only directory with everything in it is no error. A note tells what could not be
    /// done as asked.
    ///
    /// # Errors
    /// As [`Files::write_at`]; it can be called again.
    pub fn prepare(&self, existing: Existing, complete: bool) -> Result<Option<String>> {
        let full = self.allocation == Allocation::Full && !complete;
        for (index, file) in self.layout.files().iter().enumerate() {
            let index = index as u32;
            let look = file.length == 0 || full || existing == Existing::Overwrite;
            if !look || !self.layout.is_selected(index) {
                continue;
            }
            let found = self.stat(index)?;
            let long = found.as_ref().is_some_and(|found| found.len() > file.length);
            let missing = found.is_none() && (file.length == 0 || full);
            let thin = full && found.is_some_and(|found| found.blocks().saturating_mul(512) < file.length);
            if long && existing == Existing::Overwrite {
                let path = self.path(index);
                let opened = self.root.open(&self.relative(index), true)?;
                opened
                    .set_len(file.length)
                    .map_err(|cause| failed(ErrorKind::FileCreate, "shorten", &path, cause))?;
                self.mark_dirty(index);
            }
            if missing || thin {
                self.open_file(index, true)?;
                self.mark_dirty(index);
            }
        }
        Ok(lock(&self.note).take())
    }

    /// Closes all files of this torrent; they are opened again when needed. To be called when a
    /// file was found to be replaced or removed.
    pub fn close(&self) {
        self.cache.forget(self.owner);
    }

    /// Index that stands for the part file.
    pub(super) fn part(&self) -> u32 {
        self.layout.files().len() as u32
    }

    /// The metadata of a file, or of the part file, on disk.
    pub(super) fn stat(&self, index: u32) -> Result<Option<Metadata>> {
        self.root.stat(&self.relative(index))
    }

    /// The directory that holds the files, if it does not exist.
    pub(super) fn missing_top(&self) -> Option<PathBuf> {
        let first = self.relative(0);
        let mut parts = first.components();
        let top = Path::new(parts.next()?.as_os_str());
        let is_directory = parts.next().is_some();
        (is_directory && self.root.lacks(top)).then(|| top.to_path_buf())
    }

    /// Where a file, or the part file, is on disk.
    pub(super) fn path(&self, index: u32) -> PathBuf {
        self.root.join(&self.relative(index))
    }

    pub(super) fn mark_dirty(&self, index: u32) {
        self.watch.forget(index);
        if let Some(word) = self.dirty.get(index as usize / 64) {
            word.fetch_or(1 << (index % 64), Ordering::AcqRel);
        }
    }

    /// The files written since the last call, each once.
    pub(super) fn take_dirty(&self) -> Vec<u32> {
        let mut files = Vec::new();
        for (at, word) in self.dirty.iter().enumerate() {
            let mut bits = word.swap(0, Ordering::AcqRel);
            while bits != 0 {
                files.push(at as u32 * 64 + bits.trailing_zeros());
                bits &= bits - 1;
            }
        }
        files
    }

    /// The files that were made since the last call, and what they looked like then.
    pub(super) fn take_made(&self) -> Vec<(u32, Stamp)> {
        std::mem::take(&mut *lock(&self.made))
    }

    /// Waits until what was written to a file has reached the disk, makes sure that it is the file that
    /// stands at its path, and says what it looks like since.
    pub(super) fn sync(&self, index: u32) -> Result<Metadata> {
        let file = self.handle(index, false)?;
        let synced = self.sabotaged("sync").and_then(|()| file.sync_data());
        synced.map_err(|cause| failed(ErrorKind::FileIo, "sync", &self.path(index), cause))?;
        let opened = file.metadata();
        let opened =
            opened.map_err(|cause| failed(ErrorKind::FileIo, "look at", &self.path(index), cause))?;
        match self.stat(index)? {
            Some(found) if (found.dev(), found.ino()) == (opened.dev(), opened.ino()) => Ok(found),
            _ => Err(self.gone(index)),
        }
    }

    /// The error for a file that is missing.
    pub(super) fn gone(&self, index: u32) -> Error {
        let path = show(&self.path(index));
        let what = "was removed or replaced while in use; start again to check what is there";
        Error::new(ErrorKind::NotFound, format!("{path} {what}"))
    }

    /// Syncs the whole file system at once, for many files. False where that is not to be had.
    pub(super) fn sync_all(&self) -> Result<bool> {
        let root = self.root.path();
        File::open(root)
            .and_then(|directory| linux::sync_file_system(&directory))
            .map_err(|cause| failed(ErrorKind::FileIo, "sync the file system of", root, cause))
    }

    /// An open file.
    pub(super) fn handle(&self, index: u32, write: bool) -> Result<Arc<File>> {
        let key = Key { owner: self.owner, file: index };
        if let Some(file) = self.cache.get(key, write) {
            return Ok(file);
        }
        let opened = match self.open_file(index, write) {
            Err(error) if error.kind() == ErrorKind::Resources => {
                self.cache.shrink();
                self.open_file(index, write)
            }
            opened => opened,
        };
        Ok(self.cache.put(key, opened?, write))
    }

    pub(super) fn relative(&self, index: u32) -> PathBuf {
        match self.layout.files().get(index as usize) {
            Some(file) => self.names.path(index, &file),
            None => self.parts.name(&self.root).to_path_buf(),
        }
    }

    fn open_file(&self, index: u32, write: bool) -> Result<File> {
        let Some(file) = self.layout.files().get(index as usize) else {
            let name = self.parts.name(&self.root);
            let opened = match write {
                true => self.root.open_or_create(name, false)?.0,
                false => self.root.open(name, false)?,
            };
            let read = self.parts.opened(&opened, write);
            read.map_err(|cause| parts::failed("open", &self.path(index), cause))?;
            return Ok(opened);
        };
        if !write {
            return self.root.open(&self.relative(index), false);
        }
        let path = self.relative(index);
        let found = match self.root.open_found(&path, true) {
            Ok((_, found)) if self.is_twin(index, &found) => None,
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            opened => Some(opened?),
        };
        let (opened, found, created) = match found {
            Some((opened, found)) => (opened, found, false),
            None => {
                let (opened, created) = self.open_or_create(index, file.executable)?;
                let found = opened.metadata();
                let found = found
                    .map_err(|cause| failed(ErrorKind::FileOpen, "look at", &self.path(index), cause))?;
                (opened, found, created)
            }
        };
        self.claim(index, &found, created)?;
        let sized = self.size(&opened, file.length, &found);
        sized.map_err(|cause| failed(ErrorKind::FileCreate, "take space for", &self.path(index), cause))?;
        Ok(opened)
    }

    /// Gives a file its length, and its space if that was asked for. A small file grows as it is written,
    /// and so does any where zeros would be written for real.
    fn size(&self, file: &File, length: u64, found: &Metadata) -> io::Result<()> {
        self.sabotaged("size")?;
        let full = self.allocation == Allocation::Full;
        if !full && length <= SMALL {
            return Ok(());
        }
        let short = found.len() < length;
        let thin = found.blocks().saturating_mul(512) < length;
        if full && thin && !linux::allocate(file, length)? {
            let note = "the file system cannot reserve space; files are sparse".to_owned();
            *lock(&self.note) = Some(note);
        }
        if !short {
            return Ok(());
        }
        if !full && !self.makes_holes(file, found, length)? {
            return Ok(());
        }
        file.set_len(length)
    }

    /// Whether a file that is made longer takes no space here. Tried once, with a little of it.
    fn makes_holes(&self, file: &File, found: &Metadata, length: u64) -> io::Result<bool> {
        if let Some(&known) = self.makes_holes.get() {
            return Ok(known);
        }
        let more = SMALL.min(length - found.len());
        file.set_len(found.len() + more)?;
        let grown = file.metadata()?.blocks().saturating_sub(found.blocks());
        let makes_holes = grown.saturating_mul(512) < more;
        if !makes_holes {
            file.set_len(found.len())?;
        }
        Ok(*self.makes_holes.get_or_init(|| makes_holes))
    }

    fn read_segment(&self, segment: Segment, buffer: &mut [u8]) -> Result<()> {
        let (index, mut at) = match segment.place {
            Place::Pad => {
                buffer.fill(0);
                return Ok(());
            }
            Place::File => (segment.file, Some(segment.at)),
            Place::Part => (self.part(), None),
        };
        let file = self.handle(index, false)?;
        let mut offset = segment.offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            let (at, length) = match at.take() {
                Some(at) => (at, rest.len() as u64),
                None => self.in_part(offset..offset + rest.len() as u64)?,
            };
            let (part, after) = rest.split_at_mut(length as usize);
            let read = self.sabotaged("read").and_then(|()| file.read_exact_at(part, at));
            read.map_err(|cause| match cause.kind() {
                io::ErrorKind::UnexpectedEof => self.lacks(index),
                _ => failed(ErrorKind::FileIo, "read", &self.path(index), cause),
            })?;
            (rest, offset) = (after, offset + length);
        }
        Ok(())
    }

    /// Where the first bytes of a range are in the part file, which is open, and how many.
    fn in_part(&self, range: Range<u64>) -> Result<(u64, u64)> {
        let found = self.parts.find(range);
        found.at.map(|at| (at, found.length)).ok_or_else(|| self.lacks(self.part()))
    }

    fn lacks(&self, index: u32) -> Error {
        let path = show(&self.path(index));
        Error::new(ErrorKind::NotFound, format!("{path} is shorter than the torrent says"))
    }

    fn write_segment(&self, segment: Segment, data: &[u8]) -> Result<()> {
        let index = match segment.place {
            Place::Pad => return Ok(()),
            Place::File => segment.file,
            Place::Part => self.part(),
        };
        let file = self.handle(index, true)?;
        let mut offset = segment.offset;
        let mut rest = data;
        while !rest.is_empty() {
            let place = match segment.place {
                Place::Part => {
                    let range = offset..offset + rest.len() as u64;
                    self.parts.place(&file, range, self.layout.room_in_part(offset))
                }
                _ => Ok((segment.at, rest.len() as u64)),
            };
            let wrote = place.and_then(|(at, length)| {
                let (part, after) = rest.split_at(length as usize);
                (rest, offset) = (after, offset + length);
                match self.sabotaged("write") {
                    Ok(()) => write_in_parts(&file, part, at),
                    // As a full disk does: some of it is written, the rest is not.
                    Err(cause) => file.write_all_at(&part[..part.len() / 2], at).and(Err(cause)),
                }
            });
            self.mark_dirty(index);
            wrote.map_err(|cause| failed(ErrorKind::FileIo, "write", &self.path(index), cause))?;
        }
        Ok(())
    }

    #[cfg(not(test))]
    #[inline(always)]
    pub(super) fn sabotaged(&self, _call: &str) -> io::Result<()> {
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn sabotaged(&self, call: &'static str) -> io::Result<()> {
        self.sabotage.strike(call)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.close();
        self.release();
    }
}

/// Writes all of `data`, a [`WRITE`] at a time.
fn write_in_parts(file: &File, data: &[u8], at: u64) -> io::Result<()> {
    let offsets = (at..).step_by(WRITE);
    data.chunks(WRITE).zip(offsets).try_for_each(|(part, at)| file.write_all_at(part, at))
}

fn past_the_end() -> Error {
    Error::new(ErrorKind::Argument, "a range past the end of the torrent")
}

/// Makes calls to the system fail, in tests.
#[cfg(test)]
#[derive(Debug, Default)]
pub(super) struct Sabotage(Mutex<Vec<(&'static str, i32)>>);

#[cfg(test)]
impl Sabotage {
    /// The next call of this name fails with this `errno`; several plans for it take effect in their order.
    pub(super) fn plan(&self, call: &'static str, errno: i32) {
        self.0.lock().unwrap().push((call, errno));
    }

    fn strike(&self, call: &'static str) -> io::Result<()> {
        let mut planned = self.0.lock().unwrap();
        match planned.iter().position(|(name, _)| *name == call) {
            Some(at) => Err(io::Error::from_raw_os_error(planned.remove(at).1)),
            None => Ok(()),
        }
    }
}
