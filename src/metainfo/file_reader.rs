//! Reads the files of a torrent: the `files` list of the info dictionary, or its one file.
//!
//! The results are places in that dictionary. Invariant: lengths add up to at most 2⁶³ − 1 bytes, and every
//! path is one that [`path`](super::path) found to be right.

use super::fields::{take_once, unusable};
use super::files::{self, FileTable, MAX_FILES, NOWHERE, Record};
use super::links;
use super::path::{self, Root};
use super::places::Places;
use super::warnings::Warnings;
use crate::bencode::{Strings, Value, strings_at};
use crate::error::Result;

/// The most bytes a torrent may have: what a file offset can name.
const MAX_TOTAL: u64 = i64::MAX as u64;

/// The paths of all files may come to this many bytes, and twice what the list of files takes, since each
/// begins with the torrent's name. They are put together one by one, but a list of them all is made in
/// places: a long name before a million short ones is no torrent, but a way to fill memory.
const PATHS_SLACK: usize = 32 << 20;

/// The file of a single-file torrent. Only attributes that leave it a file count.
pub(super) fn single(root: Root, length: Value<'_>, attr: Option<Value<'_>>) -> Result<FileTable> {
    let total = length_of(length).ok_or_else(|| unusable("its length is not a number of bytes"))?;
    let own = if root.own.is_some() { files::OWN } else { 0 };
    let flags = own | attributes(attr) & (files::EXECUTABLE | files::HIDDEN);
    let records = vec![Record { offset: 0, at: NOWHERE, flags }];
    Ok(FileTable { root, records, total, renamed: Vec::new(), names: String::new(), targets: Vec::new() })
}

/// The files of a multi-file torrent whose directory is `root`; `list` is part of the info dictionary.
pub(super) fn multiple(
    root: Root,
    list: Value<'_>,
    info: &[u8],
    warnings: &mut Warnings,
) -> Result<FileTable> {
    let entries = list.list().ok_or_else(|| unusable("its files are not a list"))?;
    let count = entries.clone().count();
    if count == 0 || count > MAX_FILES {
        return Err(unusable(format_args!("it has {count} files; it may have 1 to {MAX_FILES}")));
    }
    let most_paths = list.raw().len().saturating_mul(2).saturating_add(PATHS_SLACK);
    let records = Vec::with_capacity(count);
    let (renamed, targets) = (Vec::new(), Vec::new());
    let mut table = FileTable { root, records, total: 0, renamed, names: String::new(), targets };
    let mut paths = 0;
    for (index, entry) in (0u32..).zip(entries) {
        let read = read(&table.root, index, entry, info, warnings)?;
        let end = table.total.checked_add(read.length).filter(|&end| end <= MAX_TOTAL);
        let end = end.ok_or_else(|| unusable("its files are longer than 2^63 bytes together"))?;
        paths += read.path_bytes;
        if paths > most_paths {
            return Err(unusable(format_args!(
                "the paths of its files take more than {} MiB, for each begins with the torrent's name",
                most_paths >> 20
            )));
        }
        table.records.push(Record { offset: table.total, at: read.at, flags: read.flags });
        table.targets.extend(read.target.map(|target| (index, target)));
        table.total = end;
    }
    let places = Places::give(&mut table, info, warnings);
    links::settle(&mut table, info, &places, warnings);
    Ok(table)
}

/// What an entry of the `files` list says.
struct Entry {
    length: u64,
    flags: u8,
    at: u32,
    target: Option<u32>,
    /// The bytes of its paths, both if there are two.
    path_bytes: usize,
}

/// Reads entry `index` of the `files` list.
fn read(root: &Root, index: u32, entry: Value<'_>, info: &[u8], warnings: &mut Warnings) -> Result<Entry> {
    let wrong = |what| unusable(format_args!("file {} {what}", u64::from(index) + 1));
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
    let mut flags = attributes(attr);
    let is_symlink = flags & files::SYMLINK != 0;
    let length = match length.and_then(length_of) {
        _ if is_symlink => 0,
        Some(length) => length,
        None => return Err(wrong("has no length that is a number of bytes")),
    };
    let utf8 = path_utf8.filter(|path| {
        parts_of(*path).is_some_and(|mut all| all.all(|part| std::str::from_utf8(part).is_ok()))
    });
    let path = utf8.or_else(|| path.filter(|path| parts_of(*path).is_some()));
    let path = path.ok_or_else(|| wrong("has no path that is a list of names"))?;
    let parts = strings_at(path.raw(), 0);
    let judged = path::judge(root, parts.clone(), warnings)?;
    let mut path_bytes = judged.length;
    if is_pad_by_name(parts.clone(), length) {
        flags |= files::PAD;
    }
    if judged.is_altered || root.own.is_some() {
        if let Some(own) = path::own_length(root, parts) {
            path_bytes += own;
            flags |= files::OWN;
        }
    }
    let target = target.filter(|_| is_symlink);
    let target = target.filter(|target| parts_of(*target).is_some_and(|parts| path::is_target(root, parts)));
    let target = target.map(|target| place_of(target, info)).transpose()?;
    Ok(Entry { length, flags, at: place_of(path, info)?, target, path_bytes })
}

/// Where in the info dictionary a value of it lies.
fn place_of(value: Value<'_>, info: &[u8]) -> Result<u32> {
    let at = value.raw().as_ptr().addr().saturating_sub(info.as_ptr().addr());
    let at = u32::try_from(at).ok().filter(|&at| at != NOWHERE);
    at.ok_or_else(|| unusable("its info dictionary is longer than 4 GiB"))
}

/// The parts of a path, if it is a list of strings and not empty.
fn parts_of(path: Value<'_>) -> Option<Strings<'_>> {
    let items = path.list()?;
    (items.clone().next().is_some() && { items }.all(|item| item.as_bytes().is_some()))
        .then(|| strings_at(path.raw(), 0))
}

/// The attributes that `attr` has the letters of. Letters that are not defined are ignored, as BEP 47 has it.
fn attributes(attr: Option<Value<'_>>) -> u8 {
    let letters = attr.and_then(Value::as_bytes).unwrap_or_default();
    letters.iter().fold(0, |flags, letter| {
        flags
            | match letter {
                b'p' => files::PAD,
                b'x' => files::EXECUTABLE,
                b'h' => files::HIDDEN,
                b'l' => files::SYMLINK,
                _ => 0,
            }
    })
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
