//! The one place where names from a torrent become paths on disk.
//!
//! A name is made safe rather than refused, always in the same way, so that every run finds the data
//! of the run before. What is changed, and why:
//!
//! | in the torrent | on disk |
//! |---|---|
//! | bytes that are not UTF-8; control characters, NUL among them; line separators; marks that turn the direction of text and so disguise a name | `_` for each |
//! | `/` inside a component | `_` |
//! | a component of dots and spaces only, such as `..`; an empty one | `_` for each, or one `_` |
//! | more than 255 bytes | cut in front of the extension |
//! | the names of the program's own files, such as `.INFO-HASH.bitwren` and `.INFO-HASH.parts`, for which a download could pass | `_` before it |
//! | a path that another file or a directory of the torrent has, byte for byte | `.1`, `.2`… in front of the extension; directories keep their names, and so do files whose name is as the torrent has it, the first of them first |
//!
//! What is changed although some file system could hold it keeps its name as the torrent has it as
//! [`File::own`](super::File::own): data that lies there under that name is used where it lies.
//!
//! What is left alone: what Linux can store, though other systems cannot: names of Windows devices,
//! `\`, `:`, `?`, dots and spaces at the end, names that differ in case only. Where the file system
//! of the data refuses such a name, or takes two for one, storage finds a substitute.
//!
//! Invariant: a path made here is relative, and its components are all plain names.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use super::File;
use super::fields::unusable;
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
    // First, since what is left of a long name may be nothing but dots.
    if name.len() > MAX_NAME {
        name = Cow::Owned(shortened(&name, MAX_NAME));
    }
    if name.is_empty() {
        name = Cow::Borrowed("_");
    } else if name.chars().all(|c| matches!(c, '.' | ' ')) {
        name = Cow::Owned("_".repeat(name.len()));
    } else if is_reserved(&name) {
        name = Cow::Owned(format!("_{}", shortened(&name, MAX_NAME - 1)));
    }
    name
}

/// Whether a name is one of those that resume states, part files, metadata and their locks and
/// temporary files have: an info-hash, hidden or not, and what it is. Case does not count, since there
/// are file systems that ignore it.
fn is_reserved(name: &str) -> bool {
    let name = name.strip_prefix('.').unwrap_or(name);
    let Some((hash, kind)) = name.split_at_checked(40) else { return false };
    let ends = |end: &&str| {
        kind.len() >= end.len()
            && kind.is_char_boundary(kind.len() - end.len())
            && kind[kind.len() - end.len()..].eq_ignore_ascii_case(end)
    };
    hash.bytes().all(|digit| digit.is_ascii_hexdigit())
        && kind.starts_with('.')
        && [".bitwren", ".bitwren.lock", ".parts", ".tmp"].iter().any(ends)
}

/// The component as it is, where a directory can hold it and it names nothing but an entry there.
fn plain(raw: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(raw).ok()?;
    (!matches!(text, "" | "." | "..") && !text.contains(['/', '\0'])).then_some(text)
}

/// A name cut in front of its extension where it has more than `room` bytes.
pub(crate) fn shortened(name: &str, room: usize) -> String {
    if name.len() <= room {
        return name.to_owned();
    }
    let (stem, extension) = split(name);
    format!("{}{extension}", cut(stem, room.saturating_sub(extension.len())))
}

/// Whether a character has no place in a file name.
fn is_unsafe(c: char) -> bool {
    c == '/'
        || c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200E}' | '\u{200F}' | '\u{061C}')
        || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// A name in its two parts: what may be cut and numbered, and the extension with its dot.
pub(crate) fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= MAX_EXTENSION => name.split_at(dot),
        _ => (name, ""),
    }
}

/// As much of a name as fits into `room` bytes.
pub(crate) fn cut(name: &str, room: usize) -> &str {
    let mut end = name.len().min(room);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// Where a file lies.
#[derive(Debug)]
pub(super) struct Paths {
    /// Where it is stored.
    pub(super) path: PathBuf,
    /// See [`File::own`](super::File::own).
    pub(super) own: Option<Box<Path>>,
}

/// The paths of the one file, or of the directory, that has the torrent's name; `raw` is the name as
/// the torrent has it, `safe` what was made of it.
pub(super) fn top(raw: &[u8], safe: &str) -> Paths {
    let own = plain(raw).filter(|&own| own != safe && own.len() <= MAX_PATH_BYTES);
    Paths { path: PathBuf::from(safe), own: own.map(|own| Path::new(own).into()) }
}

/// The paths of `parts` below the directory `root`. May be those that another file has: see
/// [`separate`].
///
/// # Errors
/// [`ErrorKind::Torrent`](crate::ErrorKind::Torrent) past [`MAX_PATH_DEPTH`] or [`MAX_PATH_BYTES`].
pub(super) fn below<'a>(
    root: &Paths,
    parts: impl Iterator<Item = &'a [u8]> + Clone,
    warnings: &mut Warnings,
) -> Result<Paths> {
    let size = parts.clone().map(|part| part.len() + 1).sum::<usize>();
    let base = root.path.to_str().unwrap_or_default();
    let mut path = String::with_capacity((base.len() + size).min(MAX_PATH_BYTES));
    path.push_str(base);
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
            let (raw, safe) = (quoted_path(parts.clone()), quoted(path.as_bytes()));
            format!("the path {raw} is not safe as it is; it is stored as {safe}")
        });
    }
    let own = (altered || root.own.is_some()).then(|| own_path(root, parts)).flatten();
    Ok(Paths { path: PathBuf::from(path), own })
}

/// The path that a symbolic link leads to, of names below the directory of the torrent; nothing where
/// one of them is not as safe as it must be.
pub(super) fn target<'a>(root: &Paths, mut parts: impl Iterator<Item = &'a [u8]>) -> Option<Box<Path>> {
    let mut path = root.path.clone();
    parts.try_for_each(|raw| {
        path.push(plain(raw).filter(|name| component(raw) == *name)?);
        (path.as_os_str().len() <= MAX_PATH_BYTES).then_some(())
    })?;
    Some(path.into())
}

/// The path as the torrent has it, where a file system may hold it.
fn own_path<'a>(root: &Paths, mut parts: impl Iterator<Item = &'a [u8]>) -> Option<Box<Path>> {
    let mut path = root.own.as_deref().unwrap_or(&root.path).to_path_buf();
    parts.try_for_each(|raw| {
        path.push(plain(raw)?);
        (path.as_os_str().len() <= MAX_PATH_BYTES).then_some(())
    })?;
    Some(path.into())
}

/// Gives files that would meet others their own names, so that none overwrites another and none
/// stands where a directory must be. Directories keep theirs; then the files whose path is as the
/// torrent has it; of equals the first.
///
/// What is taken is remembered by a hash of 64 bits, which keeps a million files small. Should two
/// hashes ever be equal by chance, a file gets a number that it did not need.
pub(super) fn separate<'f>(files: impl IntoIterator<Item = &'f mut File>, warnings: &mut Warnings) {
    let files: Vec<&mut File> = files.into_iter().collect();
    let mut taken = HashSet::new();
    for file in &files {
        taken.extend(directories(&file.path));
    }
    let (plain, altered): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.own.is_none());
    let mut late = Vec::new();
    for file in plain.into_iter().chain(altered) {
        let key_of = |path: &Path| {
            let name = path.file_name().unwrap_or_default();
            key(directories(path).last().unwrap_or_default(), name)
        };
        // Of two whose path in the torrent is the same, one can lie there.
        if file.own.as_deref().is_some_and(|own| !taken.insert(key_of(own))) {
            file.own = None;
        }
        if !taken.insert(key_of(&file.path)) {
            late.push(file);
        }
    }
    // The last number given, by what stands in front of it and behind it: none is tried twice, so
    // that a million files of one name take no longer than a million.
    let mut numbers: HashMap<u64, u32> = HashMap::new();
    for file in late {
        let path = &mut file.path;
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

/// What tells a name in a directory apart.
fn key(parent: u64, name: impl AsRef<OsStr>) -> u64 {
    let mut hash = DefaultHasher::new();
    (parent, name.as_ref()).hash(&mut hash);
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
