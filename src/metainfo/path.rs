//! The one place where names from a torrent become paths on disk.
//!
//! A name is made safe rather than refused, always in the same way, so that every run finds the data
//! of the run before. What is changed, and why:
//!
//! | in the torrent | on disk |
//! |---|---|
//! | bytes that are not UTF-8; control characters, NUL among them; line separators; marks that turn the direction of text and so disguise a name | `_` for each |
//! | `/` or `\` inside a component (a separator on Linux, and on Windows shares) | `_` |
//! | a component of dots and spaces only, such as `..`; an empty one | `_` for each, or one `_` |
//! | the names of Windows devices, with any extension (`CON`, `nul.txt`, `COM1`…): data may lie on a share, where opening one can hang | `_` before it |
//! | more than 255 bytes | cut in front of the extension |
//! | a path taken by another file, or by a directory, also where only case or closing dots and spaces differ (a file system that ignores those would overwrite one with the other) | `.1`, `.2`… in front of the extension; directories, and the first file in the torrent's order, keep their names |
//!
//! What is left alone: characters that Linux can store and Windows cannot (`:`, `?`, `"`…), and dots
//! and spaces at the end. Changing them would hide data that other programs have already fetched; a
//! share that cannot hold them says so itself. Unicode normalisation is not looked at.
//!
//! Invariant: a path made here is relative, and its components are all plain names.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use super::parse::unusable;
use super::warnings::{Warnings, quoted};
use crate::error::Result;

/// The most components a path may have, the torrent's name included.
pub const MAX_PATH_DEPTH: usize = 100;

/// The most bytes a path may have below the download directory.
pub const MAX_PATH_BYTES: usize = 4000;

/// The most bytes a component may have on nearly every file system.
const MAX_NAME: usize = 255;

/// The longest extension that is kept when a name is cut, with its dot.
const MAX_EXTENSION: usize = 32;

/// The most bytes a number in a name takes, with its dot.
const MAX_NUMBER: usize = 11;

/// Makes one component of a path safe; borrows it where it is so already.
pub(super) fn component(raw: &[u8]) -> Cow<'_, str> {
    let mut name = match std::str::from_utf8(raw) {
        Ok(text) if !text.contains(is_unsafe) => Cow::Borrowed(text),
        _ => {
            let mut text = String::with_capacity(raw.len());
            for chunk in raw.utf8_chunks() {
                text.extend(chunk.valid().chars().map(|c| if is_unsafe(c) { '_' } else { c }));
                text.extend((!chunk.invalid().is_empty()).then_some('_'));
            }
            Cow::Owned(text)
        }
    };
    // First, since what is left of a long name may be a device's, or nothing but dots.
    if name.len() > MAX_NAME {
        name = Cow::Owned(shortened(&name, MAX_NAME));
    }
    if name.is_empty() {
        name = Cow::Borrowed("_");
    } else if name.chars().all(|c| matches!(c, '.' | ' ')) {
        name = Cow::Owned("_".repeat(name.len()));
    } else if is_device(&name) {
        name = Cow::Owned(format!("_{}", shortened(&name, MAX_NAME - 1)));
    }
    name
}

/// A name cut in front of its extension where it has more than `room` bytes.
fn shortened(name: &str, room: usize) -> String {
    if name.len() <= room {
        return name.to_owned();
    }
    let (stem, extension) = split(name);
    format!("{}{extension}", cut(stem, room - extension.len()))
}

/// Whether a character has no place in a file name.
fn is_unsafe(c: char) -> bool {
    c == '/'
        || c == '\\'
        || c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200E}' | '\u{200F}' | '\u{061C}')
        || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Whether Windows takes a name for a device, whatever its extension.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end_matches(' ');
    let is = |device: &str| stem.eq_ignore_ascii_case(device);
    let numbered = |port: &str| {
        let digit = stem.get(3..).unwrap_or_default();
        stem.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(port))
            && matches!(digit, "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³")
    };
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].into_iter().any(is)
        || numbered("COM")
        || numbered("LPT")
}

/// A name in its two parts: what may be cut and numbered, and the extension with its dot.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= MAX_EXTENSION => name.split_at(dot),
        _ => (name, ""),
    }
}

/// As much of a name as fits into `room` bytes.
fn cut(name: &str, room: usize) -> &str {
    let mut end = name.len().min(room);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// The path of `parts` below the directory `root`, which is safe already. May be one that another
/// file has: see [`separate`].
///
/// # Errors
/// [`ErrorKind::Torrent`](crate::ErrorKind::Torrent) past [`MAX_PATH_DEPTH`] or [`MAX_PATH_BYTES`].
pub(super) fn below<'a>(
    root: &str,
    parts: impl Iterator<Item = &'a [u8]> + Clone,
    warnings: &mut Warnings,
) -> Result<PathBuf> {
    let size = parts.clone().map(|part| part.len() + 1).sum::<usize>();
    let mut path = String::with_capacity((root.len() + size).min(MAX_PATH_BYTES));
    path.push_str(root);
    let mut altered = false;
    for (depth, raw) in (2..).zip(parts.clone()) {
        let name = component(raw);
        altered |= name.as_bytes() != raw;
        if depth > MAX_PATH_DEPTH || path.len() + 1 + name.len() > MAX_PATH_BYTES {
            return Err(unusable(format_args!(
                "the path {} is deeper than {MAX_PATH_DEPTH} directories or longer than {MAX_PATH_BYTES} bytes",
                quoted_path(parts)
            )));
        }
        path.push('/');
        path.push_str(&name);
    }
    if altered {
        warnings.add(|| {
            let (raw, safe) = (quoted_path(parts), quoted(path.as_bytes()));
            format!("the path {raw} is not safe as it is; it is stored as {safe}")
        });
    }
    Ok(PathBuf::from(path))
}

/// Gives files that would meet others their own names, so that none overwrites another and none
/// stands where a directory must be. Directories and the first file of a name keep theirs.
///
/// What is taken is remembered by a hash of 64 bits, which keeps a million files small. Should two
/// hashes ever be equal by chance, a file gets a number that it did not need.
pub(super) fn separate<'f>(paths: impl IntoIterator<Item = &'f mut PathBuf>, warnings: &mut Warnings) {
    let paths: Vec<&mut PathBuf> = paths.into_iter().collect();
    let mut taken = HashSet::new();
    for path in &paths {
        taken.extend(directories(path));
    }
    let (_, late): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| {
        let name = path.file_name().unwrap_or_default();
        taken.insert(key(directories(path).last().unwrap_or_default(), name))
    });
    // The last number given, by what stands in front of it and behind it: none is tried twice, so
    // that a million files of one name take no longer than a million.
    let mut numbers: HashMap<u64, u32> = HashMap::new();
    for path in late {
        let parent = directories(path).last().unwrap_or_default();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        // Cut the same whatever the number, so that names cut to the same count together.
        let (stem, extension) = split(name);
        let stem = cut(stem, MAX_NAME - MAX_NUMBER - extension.len());
        let number = numbers.entry(key(key(parent, stem), extension)).or_default();
        let free = loop {
            *number += 1;
            let name = format!("{stem}.{number}{extension}");
            if taken.insert(key(parent, &name)) {
                break name;
            }
        };
        warnings.add(|| {
            format!(
                "the path {} is taken; that file is stored as {free:?} beside it",
                quoted(path.as_os_str().as_encoded_bytes())
            )
        });
        path.set_file_name(free);
    }
}

/// The keys of the directories that a path leads through.
fn directories(path: &Path) -> impl Iterator<Item = u64> {
    path.parent().into_iter().flat_map(Path::iter).scan(0, |parent, name| {
        *parent = key(*parent, name);
        Some(*parent)
    })
}

/// What tells a name in a directory apart on a file system that ignores case, and dots and spaces at
/// the end.
fn key(parent: u64, name: impl AsRef<OsStr>) -> u64 {
    let mut hash = DefaultHasher::new();
    let name = name.as_ref().to_str().unwrap_or_default().trim_end_matches(['.', ' ']);
    (parent, name.to_lowercase()).hash(&mut hash);
    hash.finish()
}

/// A path as a message may quote it.
fn quoted_path<'a>(parts: impl Iterator<Item = &'a [u8]>) -> String {
    let mut joined = Vec::new();
    for part in parts.take(MAX_PATH_DEPTH) {
        if !joined.is_empty() {
            joined.push(b'/');
        }
        joined.extend_from_slice(part.get(..MAX_NAME).unwrap_or(part));
    }
    quoted(&joined)
}
