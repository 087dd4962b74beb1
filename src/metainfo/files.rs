//! The files of a torrent, each as a place in the info dictionary: no path is copied out of it.
//!
//! A record takes 16 bytes for any length of the path, so that a torrent takes little more memory than its
//! `.torrent` file does; paths are put together on request, by [`path`](super::path) and by nothing else. It
//! never reads a dictionary: that is [`file_reader`](super::file_reader).
//!
//! Invariant: files lie end to end from offset 0.

use std::fmt;
use std::path::PathBuf;

use super::path::{self, Root};
use crate::bencode::{Strings, strings_at};

/// The most files a torrent may have.
pub const MAX_FILES: usize = 1_000_000;

/// What the records say besides place and offset, a bit each.
pub(super) const PAD: u8 = 1;
pub(super) const EXECUTABLE: u8 = 2;
pub(super) const HIDDEN: u8 = 4;
pub(super) const SYMLINK: u8 = 8;
/// The path in the torrent is not the one that was made of it, and may be looked for.
pub(super) const OWN: u8 = 16;

/// Where in the info dictionary the path of a file lies that has none besides the torrent's name.
pub(super) const NOWHERE: u32 = u32::MAX;

/// The record of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) offset: u64,
    /// Where the list of names is in the info dictionary.
    pub(super) at: u32,
    pub(super) flags: u8,
}

/// A file that does not have the last name the torrent gives it, since another has its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Renamed {
    pub(super) file: u32,
    /// Where its last name is among the names.
    pub(super) start: u32,
    pub(super) length: u8,
}

/// The records of all files. With the info dictionary it is a [`FileList`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileTable {
    pub(super) root: Root,
    pub(super) records: Vec<Record>,
    pub(super) total: u64,
    /// In the order of the files.
    pub(super) renamed: Vec<Renamed>,
    pub(super) names: String,
    /// The symbolic links that are to be made, and where in the info dictionary their target is; in the
    /// order of the files.
    pub(super) targets: Vec<(u32, u32)>,
}

impl FileTable {
    /// The files, which `info` is the info dictionary of.
    pub(super) fn list<'a>(&'a self, info: &'a [u8]) -> FileList<'a> {
        FileList { table: self, info }
    }
}

/// The files of a torrent in its order, pads and symbolic links among them.
#[derive(Clone, Copy)]
pub struct FileList<'a> {
    table: &'a FileTable,
    info: &'a [u8],
}

/// One file of a torrent. Two are equal where everything that can be asked is.
#[derive(Clone, Copy)]
pub struct File<'a> {
    /// Where its first byte lies in the torrent.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// Padding (BEP 47): zeros that are in the pieces but are never stored.
    pub pad: bool,
    /// Whether its executable bits are to be set (BEP 47).
    pub executable: bool,
    /// Whether it was hidden where the torrent was made (BEP 47). It is stored like any other.
    pub hidden: bool,
    /// A symbolic link (BEP 47). It has no bytes.
    pub symlink: bool,
    has_own: bool,
    at: u32,
    index: u32,
    list: FileList<'a>,
}

impl<'a> FileList<'a> {
    /// How many there are: 1 at least.
    pub fn len(self) -> usize {
        self.table.records.len()
    }

    /// Whether there are none, which no torrent has.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The file of this index.
    pub fn get(self, index: usize) -> Option<File<'a>> {
        let record = self.table.records.get(index)?;
        let end = self.table.records.get(index + 1).map_or(self.table.total, |next| next.offset);
        let has = |flag: u8| record.flags & flag != 0;
        Some(File {
            offset: record.offset,
            length: end.saturating_sub(record.offset),
            pad: has(PAD),
            executable: has(EXECUTABLE),
            hidden: has(HIDDEN),
            symlink: has(SYMLINK),
            has_own: has(OWN),
            at: record.at,
            index: index as u32,
            list: self,
        })
    }

    /// All of them.
    pub fn iter(self) -> FileIter<'a> {
        FileIter { list: self, next: 0 }
    }

    /// Index of the first file that ends past `offset`; the number of files if none does. A binary search.
    pub fn first_past(self, offset: u64) -> usize {
        if offset >= self.table.total {
            return self.len();
        }
        self.table.records.partition_point(|record| record.offset <= offset).saturating_sub(1)
    }
}

impl<'a> File<'a> {
    /// Its path below the download directory: relative, made of plain names only, the torrent's name first
    /// for a multi-file torrent. Among the files that are stored, no two have equal paths, and none has the
    /// path of another's directory.
    ///
    /// It is put together from the torrent at each call.
    pub fn path(&self) -> PathBuf {
        self.path_text().into()
    }

    /// The same as text: names with `/` between them.
    pub(super) fn path_text(&self) -> String {
        let mut path = path::joined(&self.list.table.root, self.parts());
        let renamed = &self.list.table.renamed;
        if let Ok(found) = renamed.binary_search_by_key(&self.index, |renamed| renamed.file) {
            let Renamed { start, length, .. } = renamed[found];
            let name = self.list.table.names.get(start as usize..start as usize + usize::from(length));
            path.truncate(path.rfind('/').map_or(0, |slash| slash + 1));
            path.push_str(name.unwrap_or_default());
        }
        path
    }

    /// The path in the torrent, if [`File::path`] was made safe and differs: relative and of plain names, but
    /// with characters in them that nothing should print or create. A file that exists under it is this one.
    pub fn own(&self) -> Option<PathBuf> {
        self.own_text().map(PathBuf::from)
    }

    pub(super) fn own_text(&self) -> Option<String> {
        self.has_own.then(|| path::own(&self.list.table.root, self.parts())).flatten()
    }

    /// What a symbolic link that is to be made leads to: the path of a file, of a directory or of
    /// another link of the torrent.
    pub fn target(&self) -> Option<PathBuf> {
        self.target_text().map(PathBuf::from)
    }

    pub(super) fn target_text(&self) -> Option<String> {
        let targets = &self.list.table.targets;
        let found = targets.binary_search_by_key(&self.index, |(file, _)| *file).ok()?;
        let parts = strings_at(self.list.info, targets.get(found)?.1 as usize);
        Some(path::joined(&self.list.table.root, parts))
    }

    /// Whether it is to be on disk: it is neither padding nor a symbolic link.
    pub fn is_stored(&self) -> bool {
        !self.pad && !self.symlink
    }

    /// The names below the torrent's directory, as the torrent has them.
    pub(super) fn parts(&self) -> Strings<'a> {
        strings_at(self.list.info, self.at as usize)
    }
}

impl PartialEq for File<'_> {
    fn eq(&self, other: &Self) -> bool {
        let plain =
            |file: &Self| (file.offset, file.length, file.pad, file.executable, file.hidden, file.symlink);
        plain(self) == plain(other)
            && self.path() == other.path()
            && self.own() == other.own()
            && self.target() == other.target()
    }
}

impl PartialEq for FileList<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for File<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File")
            .field("path", &self.path())
            .field("own", &self.own())
            .field("offset", &self.offset)
            .field("length", &self.length)
            .field("pad", &self.pad)
            .field("executable", &self.executable)
            .field("hidden", &self.hidden)
            .field("symlink", &self.symlink)
            .field("target", &self.target())
            .finish()
    }
}

impl fmt::Debug for FileList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> IntoIterator for FileList<'a> {
    type Item = File<'a>;
    type IntoIter = FileIter<'a>;

    fn into_iter(self) -> FileIter<'a> {
        self.iter()
    }
}

/// Goes through a [`FileList`].
#[derive(Debug, Clone)]
pub struct FileIter<'a> {
    list: FileList<'a>,
    next: usize,
}

impl<'a> Iterator for FileIter<'a> {
    type Item = File<'a>;

    fn next(&mut self) -> Option<File<'a>> {
        let file = self.list.get(self.next)?;
        self.next += 1;
        Some(file)
    }

    fn nth(&mut self, n: usize) -> Option<File<'a>> {
        self.next = self.next.saturating_add(n);
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.list.len().saturating_sub(self.next);
        (left, Some(left))
    }
}

impl ExactSizeIterator for FileIter<'_> {}
