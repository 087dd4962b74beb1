//! The part file: bytes of unselected files that share a piece with a selected one.
//!
//! It begins with a magic and the info-hash. Slots follow one another: where in the torrent the slot begins,
//! how long it is, a check over both, and the bytes. So the file is as long as its contents, wherever in the
//! torrent they are, and the headers of the slots are the index, which is read when the file is opened. A
//! slot holds the bytes of one piece that lie in unselected files, in a row.
//!
//! Invariants: slots do not overlap; the header of a slot is written before that of the next one, so that a
//! synced slot is found whatever was lost after it; bytes after the last good header are not believed, and
//! are overwritten by the next write; a file that does not begin with our header is not ours, and neither
//! written nor removed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock};

use super::sandbox::Root;
use crate::digest::sha1;
use crate::error::{Error, ErrorKind};
use crate::id::InfoHash;
use crate::lock::lock;
use crate::metainfo::Metainfo;

const MAGIC: &[u8; 16] = b"bitwren parts 2\n";
/// Magic and info-hash.
const HEAD: u64 = 36;
/// Offset in the torrent, length, check.
const SLOT: u64 = 8 + 4 + 8;

/// The part file of one torrent.
#[derive(Debug)]
pub(super) struct Parts {
    info_hash: InfoHash,
    /// Bytes in the torrent.
    total: u64,
    /// Slots begin and end where pieces and files do; there cannot be more.
    most: usize,
    name: OnceLock<PathBuf>,
    /// That of the file that was opened last.
    index: Mutex<Index>,
}

/// Bytes of the torrent that lie in the part file in a row, or are not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Their offset in the part file; none if they are not in it.
    pub(super) at: Option<u64>,
    /// How many.
    pub(super) length: u64,
}

/// The slots of a part file.
#[derive(Debug, Default)]
struct Index {
    /// Where in the torrent a slot begins: how long it is, and where its bytes begin in the file.
    slots: BTreeMap<u64, (u64, u64)>,
    /// Where the next slot begins in the file; 0 if there is no file.
    end: u64,
}

impl Index {
    /// The first of `range` that are in one slot, or in none.
    fn find(&self, range: &Range<u64>) -> Stretch {
        let before = self.slots.range(..=range.start).next_back();
        if let Some((&offset, &(length, at))) =
            before.filter(|(offset, slot)| **offset + slot.0 > range.start)
        {
            let skipped = range.start - offset;
            let length = (length - skipped).min(range.end - range.start);
            return Stretch { at: Some(at + skipped), length };
        }
        let next = self.slots.range(range.start..range.end).next().map_or(range.end, |(&offset, _)| offset);
        Stretch { at: None, length: next - range.start }
    }

    /// The bytes around `offset` that are in no slot and in `range`.
    fn gap(&self, offset: u64, range: &Range<u64>) -> Range<u64> {
        let before = self.slots.range(..=offset).next_back().map_or(0, |(offset, slot)| offset + slot.0);
        let after = self.slots.range(offset..).next().map_or(u64::MAX, |(&offset, _)| offset);
        range.start.max(before)..range.end.min(after)
    }
}

impl Parts {
    pub(super) fn new(metainfo: &Metainfo) -> Parts {
        let pieces = metainfo.pieces();
        Parts {
            info_hash: metainfo.info_hash(),
            total: pieces.total(),
            most: pieces.count() as usize + 2 * metainfo.files().len() + 1,
            name: OnceLock::new(),
            index: Mutex::default(),
        }
    }

    /// Its name, hidden and beside the data. Other programs use the first one, too: a file that is not ours
    /// is left alone.
    pub(super) fn name(&self, root: &Root) -> &Path {
        self.name.get_or_init(|| {
            let [first, second] = self.names();
            match (self.look(root, &first), self.look(root, &second)) {
                (Found::Other, _) | (Found::Nothing, Found::Ours) => second,
                // What cannot be opened is told when it is to be.
                _ => first,
            }
        })
    }

    /// Whether there is one.
    pub(super) fn is_there(&self, root: &Root) -> bool {
        self.look(root, self.name(root)) == Found::Ours
    }

    fn names(&self) -> [PathBuf; 2] {
        let hash = self.info_hash;
        [format!(".{hash}.parts"), format!(".{hash}.bitwren.parts")].map(PathBuf::from)
    }

    /// The part file of a former version, which has no header; the state says whether it is one.
    pub(super) fn former(&self, root: &Root) -> Option<PathBuf> {
        let [first, _] = self.names();
        (self.look(root, &first) == Found::Other).then_some(first)
    }

    fn look(&self, root: &Root, name: &Path) -> Found {
        let opened = match root.open(name, false) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Found::Nothing,
            Err(_) => return Found::Unknown,
        };
        match self.head(&opened) {
            Ok(Head::Foreign) => Found::Other,
            Ok(Head::Ours | Head::Blank) => Found::Ours,
            Err(_) => Found::Unknown,
        }
    }

    /// Reads the index of a file that was opened just now. Opened to write, it gets its header if it is new,
    /// and ends with its last slot.
    ///
    /// # Errors
    /// Those of the system; [`io::ErrorKind::InvalidData`] if the file is not ours.
    pub(super) fn opened(&self, file: &File, write: bool) -> io::Result<()> {
        let mut index = self.index();
        *index = Index::default();
        match self.head(file)? {
            Head::Foreign => return Err(io::ErrorKind::InvalidData.into()),
            Head::Blank if write => {
                file.set_len(0)?;
                file.write_all_at(&self.header(), 0)?;
                // Later slots are found through this one.
                file.sync_data()?;
                index.end = HEAD;
            }
            Head::Blank => {}
            Head::Ours => {
                *index = self.scan(file)?;
                if write && file.metadata()?.len() > index.end {
                    file.set_len(index.end)?;
                }
            }
        }
        Ok(())
    }

    /// Where the first bytes of a range of the torrent are in the file that was opened last.
    pub(super) fn find(&self, range: Range<u64>) -> Stretch {
        self.index().find(&range)
    }

    /// Where in the file to write the first bytes of a range of the torrent. If they are in no slot, one is
    /// made for all that lies around them in `room`, the bytes of this piece that may be here.
    pub(super) fn place(&self, file: &File, range: Range<u64>, room: Range<u64>) -> io::Result<(u64, u64)> {
        let mut index = self.index();
        let found = index.find(&range);
        if let Some(at) = found.at {
            return Ok((at, found.length));
        }
        let gap = index.gap(range.start, &room);
        let Ok(length) = u32::try_from(gap.end.saturating_sub(gap.start)) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        if index.end < HEAD || index.slots.len() >= self.most || !gap.contains(&range.start) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let at = index.end;
        file.write_all_at(&self.slot(at, gap.start, length), at)?;
        index.end = at + SLOT + u64::from(length);
        index.slots.insert(gap.start, (length.into(), at + SLOT));
        Ok((at + SLOT + (range.start - gap.start), found.length))
    }

    /// Where in the torrent each slot lies.
    pub(super) fn slots(&self) -> Vec<Range<u64>> {
        self.index().slots.iter().map(|(&offset, slot)| offset..offset + slot.0).collect()
    }

    /// The file was closed, and may have been removed.
    pub(super) fn forget(&self) {
        *self.index() = Index::default();
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        lock(&self.index)
    }

    fn header(&self) -> [u8; HEAD as usize] {
        let mut header = [0; HEAD as usize];
        header[..16].copy_from_slice(MAGIC);
        header[16..].copy_from_slice(self.info_hash.as_bytes());
        header
    }

    fn slot(&self, at: u64, offset: u64, length: u32) -> [u8; SLOT as usize] {
        let mut said = Vec::with_capacity(40);
        said.extend(*self.info_hash.as_bytes());
        said.extend(at.to_le_bytes());
        said.extend(offset.to_le_bytes());
        said.extend(length.to_le_bytes());
        let mut slot = [0; SLOT as usize];
        slot[..12].copy_from_slice(&said[28..]);
        slot[12..].copy_from_slice(&sha1(&said)[..8]);
        slot
    }

    fn head(&self, file: &File) -> io::Result<Head> {
        let mut found = Vec::with_capacity(HEAD as usize);
        let length = file.metadata()?.len();
        found.resize(length.min(HEAD) as usize, 0);
        file.read_exact_at(&mut found, 0)?;
        let header = self.header();
        let same = found.iter().zip(&header).take_while(|(one, other)| one == other).count();
        Ok(match found[same..].iter().all(|&byte| byte == 0) {
            true if same == header.len() => Head::Ours,
            // As a power cut leaves one that was just made.
            true if length <= HEAD => Head::Blank,
            _ => Head::Foreign,
        })
    }

    fn scan(&self, file: &File) -> io::Result<Index> {
        let mut index = Index { slots: BTreeMap::new(), end: HEAD };
        while index.slots.len() < self.most {
            let mut slot = [0; SLOT as usize];
            match file.read_exact_at(&mut slot, index.end) {
                Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => break,
                read => read?,
            }
            let (mut offset, mut length) = ([0; 8], [0; 4]);
            offset.copy_from_slice(&slot[..8]);
            length.copy_from_slice(&slot[8..12]);
            let (offset, length) = (u64::from_le_bytes(offset), u32::from_le_bytes(length));
            if slot != self.slot(index.end, offset, length) || length == 0 {
                break;
            }
            let end = offset.checked_add(length.into()).filter(|&end| end <= self.total);
            let whole = |end| index.find(&(offset..end)) == Stretch { at: None, length: length.into() };
            if !end.is_some_and(whole) {
                break;
            }
            index.slots.insert(offset, (length.into(), index.end + SLOT));
            index.end += SLOT + u64::from(length);
        }
        Ok(index)
    }
}

/// What kind of entry has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    /// Our part file.
    Ours,
    /// Some other file.
    Other,
    /// What could not be looked at.
    Unknown,
}

/// How a file begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    /// As ours do.
    Ours,
    /// As one of ours of which not all has been written yet.
    Blank,
    /// As something else.
    Foreign,
}

#[cfg(test)]
mod tests;

/// An error of the system about the part file, as ours.
pub(super) fn failed(doing: &str, path: &Path, cause: io::Error) -> Error {
    match cause.kind() {
        io::ErrorKind::InvalidData => {
            let path = super::io_error::show(path);
            let context = format!("{path} is not a part file of bitwren; move it out of the way");
            Error::new(ErrorKind::Exists, context)
        }
        _ => super::io_error::failed(ErrorKind::FileIo, doing, path, cause),
    }
}
