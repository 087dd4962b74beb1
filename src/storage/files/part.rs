//! The part file among the files: what it holds, what of that goes to files selected later, and when it is
//! removed. The other files' code reads and writes it.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Files, WRITE};
use crate::bitfield::Bitfield;
use crate::config::Allocation;
use crate::error::{ErrorKind, Result};
use crate::storage::fd_cache::FdCache;
use crate::storage::io_error::failed;
use crate::storage::layout::{Layout, Place, Segment};
use crate::storage::parts::Stretch;
use crate::storage::state::{Record, Stamp};

impl Files {
    /// As [`Files::open`], to look only: bytes that are not in their file are looked for in the part file,
    /// selected or not, so that its neighbours can be told right.
    ///
    /// # Errors
    /// [`ErrorKind::FileOpen`] and the like if something in the place of a file cannot be looked at.
    pub fn open_to_look(root: &Path, layout: Layout, cache: Arc<FdCache>) -> Result<Files> {
        let mut files = Files::open(root, layout, cache, Allocation::Sparse);
        if files.open_part()? {
            for index in 0..files.part() {
                if files.layout.place(index) == Place::File && files.stat(index)?.is_none() {
                    files.layout.look_in_part(index);
                }
            }
        }
        Ok(files)
    }

    /// Whether every file with bytes in it is kept as itself, so that nothing is needed of the part file.
    pub fn holds_every_file(&self) -> bool {
        let files = self.layout.files().iter().zip(0..);
        files.filter(|(file, _)| file.length > 0).all(|(_, index)| self.layout.place(index) != Place::Part)
    }

    /// Closes the files and removes the part file, if there is one and it is ours.
    ///
    /// # Errors
    /// [`ErrorKind::FileIo`] if it exists and cannot be removed.
    pub fn remove_part(&self) -> Result<()> {
        self.close();
        self.parts.forget();
        match self.parts.is_there(&self.root) {
            true => self.root.remove(self.parts.name(&self.root)),
            false => Ok(()),
        }
    }

    /// Moves bytes of files that are selected now and not on disk from the part file to those files. Returns
    /// the pieces it touched, which are still to be hashed.
    ///
    /// # Errors
    /// As [`Files::write_at`] and [`Files::read_at`]; bytes that were not moved stay in the part file.
    pub fn take_from_part(&self) -> Result<Bitfield> {
        let pieces = self.layout.metainfo().pieces();
        let mut touched = Bitfield::empty(pieces.count());
        if !self.open_part()? {
            return Ok(touched);
        }
        let part = self.handle(self.part(), false)?;
        let slots = self.parts.slots();
        let segments = |slot: &Range<u64>| self.layout.segments(slot.start, slot.end - slot.start);
        let mut missing = BTreeMap::new();
        let mut buffer = vec![0; 4 * WRITE];
        for segment in slots.iter().flat_map(segments).filter(|segment| segment.place == Place::File) {
            let absent = match missing.get(&segment.file) {
                Some(absent) => *absent,
                None => *missing.entry(segment.file).or_insert(self.stat(segment.file)?.is_none()),
            };
            let mut done = if absent { 0 } else { segment.length };
            while done < segment.length {
                let Some((at, length)) =
                    self.in_part(segment.offset + done..segment.offset + segment.length).ok()
                else {
                    break;
                };
                let length = length.min(buffer.len() as u64);
                let bytes = &mut buffer[..length as usize];
                match part.read_exact_at(bytes, at) {
                    Ok(()) => {}
                    // The rest of the slot was never written.
                    Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => break,
                    Err(cause) => {
                        return Err(failed(ErrorKind::FileIo, "read", &self.path(self.part()), cause));
                    }
                }
                let place =
                    Segment { at: segment.at + done, offset: segment.offset + done, length, ..segment };
                self.write_segment(place, bytes)?;
                done += length;
                for piece in pieces.covering(segment.offset..segment.offset + done) {
                    touched.insert(piece);
                }
            }
        }
        let needed = slots.iter().flat_map(segments).any(|segment| segment.place == Place::Part);
        self.spent.store(!needed, Ordering::Relaxed);
        Ok(touched)
    }

    /// The state is written: removes the part file if all that was in it is in the files.
    pub(in crate::storage) fn drop_spent_part(&self) -> Result<()> {
        if self.spent.swap(false, Ordering::Relaxed) { self.remove_part() } else { Ok(()) }
    }

    /// Removes the part file of a former version, which lay at the offsets of the torrent, if it is the one
    /// that the state knows. Nothing in it is of use.
    pub(in crate::storage) fn remove_former_part(&self, recorded: Record) -> Result<()> {
        let Some(former) = self.parts.former(&self.root) else { return Ok(()) };
        match self.root.stat(&former)? {
            Some(found) if recorded == Record::File(Stamp::from(&found)) => self.root.remove(&former),
            _ => Ok(()),
        }
    }

    /// Opens the part file, so that it can be asked for its contents. False if there is none of ours.
    pub(in crate::storage) fn open_part(&self) -> Result<bool> {
        let is_there = self.parts.is_there(&self.root);
        if is_there { self.handle(self.part(), false).map(|_| true) } else { Ok(false) }
    }

    /// Where the first bytes of a range of the torrent are in the part file that was opened last.
    pub(in crate::storage) fn find_in_part(&self, range: Range<u64>) -> Stretch {
        self.parts.find(range)
    }

    /// Whether all of a range is in the part file that was opened last, which is so long.
    pub(in crate::storage) fn has_in_part(&self, range: Range<u64>, length: u64) -> bool {
        let mut at = range.start;
        while at < range.end {
            match self.parts.find(at..range.end) {
                Stretch { at: Some(place), length: run } if place + run <= length => at += run,
                _ => return false,
            }
        }
        true
    }
}
