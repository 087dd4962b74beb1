//! The files of a torrent: the `files` list of the info dictionary, or its one file.
//!
//! Invariant: files lie end to end from offset 0; their lengths add up to at most 2⁶³ − 1 bytes;
//! their paths are made by [`path`](super::path) and by nothing else.

use std::path::{Path, PathBuf};

use super::fields::{take_once, unusable};
use super::links;
use super::path::{self, Paths};
use super::warnings::Warnings;
use crate::bencode::Value;
use crate::error::Result;

/// The most files a torrent may have.
pub const MAX_FILES: usize = 1_000_000;

/// The most bytes a torrent may have: what a file offset can name.
const MAX_TOTAL: u64 = i64::MAX as u64;

/// The paths of all files may take this many bytes, and twice what the list of files takes, since each
/// begins with the torrent's name: a long name before a million short ones is no torrent, but a way to
/// fill memory.
const PATHS_SLACK: usize = 32 << 20;

/// One file of a torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where it lies below the download directory: relative, made of plain names only, the
    /// torrent's name first for a multi-file torrent. Among the files that are stored, no two have
    /// equal paths, and none has the path of another's directory.
    pub path: PathBuf,
    /// The path as the torrent has it, where [`File::path`] was made safe and differs: relative and
    /// of plain names, but with characters in them that nothing should print or create. A file that
    /// lies there already is this one.
    pub own: Option<Box<Path>>,
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
    /// What a symbolic link that is to be made leads to: the path of a file, of a directory or of
    /// another link of the torrent.
    pub target: Option<Box<Path>>,
}

impl File {
    /// Whether it is to be on disk: it is neither padding nor a symbolic link.
    pub fn is_stored(&self) -> bool {
        !self.pad && !self.symlink
    }
}

/// The file of a single-file torrent. Of its attributes only those count that leave it a file.
pub(super) fn single(at: Paths, length: Value<'_>, attr: Option<Value<'_>>) -> Result<Vec<File>> {
    let length = length_of(length).ok_or_else(|| unusable("its length is not a number of bytes"))?;
    Ok(vec![File {
        path: at.path,
        own: at.own,
        offset: 0,
        length,
        pad: false,
        executable: has_attribute(attr, b'x'),
        hidden: has_attribute(attr, b'h'),
        symlink: false,
        target: None,
    }])
}

/// The files of a multi-file torrent whose directory is `root`.
pub(super) fn multiple(root: &Paths, list: Value<'_>, warnings: &mut Warnings) -> Result<Vec<File>> {
    let entries = list.list().ok_or_else(|| unusable("its files are not a list"))?;
    let count = entries.clone().count();
    if count == 0 || count > MAX_FILES {
        return Err(unusable(format_args!("it has {count} files; it may have 1 to {MAX_FILES}")));
    }
    let most_paths = list.raw().len().saturating_mul(2).saturating_add(PATHS_SLACK);
    let mut files = Vec::with_capacity(count);
    let (mut offset, mut paths) = (0, 0);
    for (index, entry) in entries.enumerate() {
        let file = file(root, index, entry, offset, warnings)?;
        offset = file
            .length
            .checked_add(offset)
            .filter(|&end| end <= MAX_TOTAL)
            .ok_or_else(|| unusable("its files are longer than 2^63 bytes together"))?;
        paths += file.path.as_os_str().len() + file.own.as_deref().map_or(0, |own| own.as_os_str().len());
        if paths > most_paths {
            return Err(unusable(format_args!(
                "the paths of its files take more than {} MiB, for each begins with the torrent's name",
                most_paths >> 20
            )));
        }
        files.push(file);
    }
    let stored = files.iter_mut().filter(|file| file.is_stored());
    path::separate(stored, warnings);
    links::settle(&mut files, warnings);
    Ok(files)
}

/// Entry `index` of the `files` list.
fn file(root: &Paths, index: usize, entry: Value<'_>, offset: u64, warnings: &mut Warnings) -> Result<File> {
    let wrong = |what| unusable(format_args!("file {} {what}", index + 1));
    let (mut length, mut path, mut path_utf8, mut attr, mut target) = (None, None, None, None, None);
    for (key, value) in entry.dict().ok_or_else(|| wrong("is not a dictionary"))? {
        match key {
            b"length" => take_once(&mut length, key, value)?,
            b"path" => take_once(&mut path, key, value)?,
            b"path.utf-8" => take_once(&mut path_utf8, key, value)?,
            b"attr" => take_once(&mut attr, key, value)?,
            b"symlink path" => target = Some(value),
            _ => {}
        }
    }
    let symlink = has_attribute(attr, b'l');
    let length = match length.and_then(length_of) {
        _ if symlink => 0,
        Some(length) => length,
        None => return Err(wrong("has no length that is a number of bytes")),
    };
    let utf8 = path_utf8
        .and_then(parts_of)
        .filter(|parts| parts.clone().all(|part| std::str::from_utf8(part).is_ok()));
    let parts = utf8
        .or_else(|| path.and_then(parts_of))
        .ok_or_else(|| wrong("has no path that is a list of names"))?;
    let pad = has_attribute(attr, b'p') || is_pad_by_name(parts.clone(), length);
    let Paths { path, own } = path::below(root, parts, warnings)?;
    Ok(File {
        path,
        own,
        offset,
        length,
        pad,
        executable: has_attribute(attr, b'x'),
        hidden: has_attribute(attr, b'h'),
        symlink,
        target: target.filter(|_| symlink).and_then(|target| path::target(root, parts_of(target)?)),
    })
}

/// The parts of a path, if it is a list of strings and not empty.
fn parts_of(path: Value<'_>) -> Option<impl Iterator<Item = &[u8]> + Clone> {
    let items = path.list()?;
    (items.clone().next().is_some() && items.clone().all(|item| item.as_bytes().is_some()))
        .then(|| items.filter_map(Value::as_bytes))
}

/// Whether `attr` has the letter of an attribute. Letters that nobody has defined are ignored, as
/// BEP 47 has it.
fn has_attribute(attr: Option<Value<'_>>, letter: u8) -> bool {
    attr.and_then(Value::as_bytes).is_some_and(|letters| letters.contains(&letter))
}

/// Whether a file without attributes is padding all the same: `.pad/N` of N bytes (BEP 47 suggests
/// the name), or what BitComet called its own.
fn is_pad_by_name<'a>(mut parts: impl Iterator<Item = &'a [u8]> + Clone, length: u64) -> bool {
    let bitcomet = parts.clone().last().is_some_and(|name| name.starts_with(b"_____padding_file_"));
    bitcomet
        || parts.next() == Some(b".pad")
            && parts.next() == Some(length.to_string().as_bytes())
            && parts.next().is_none()
}

/// A length in bytes.
fn length_of(value: Value<'_>) -> Option<u64> {
    u64::try_from(value.as_int()?).ok()
}
