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

use super::fields::unusable;
use super::warnings::{Warnings, quoted};
use crate::error::Result;

/// The most components a path may have, the torrent's name included.
pub const MAX_PATH_DEPTH: usize = 100;

/// The most bytes a path may have below the download directory.
pub const MAX_PATH_BYTES: usize = 4000;

/// The most bytes a component may have on nearly every file system.
pub(super) const MAX_NAME: usize = 255;

/// The longest extension that is kept when a name is cut, with its dot.
const MAX_EXTENSION: usize = 32;

/// Makes one component of a path safe; borrows it if it is so already.
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
    // First, since a long name may be nothing but dots after the cut.
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

/// Whether a name is one of those that resume states, part files, metadata and their locks and temporary
/// files have: an info-hash, hidden or not, and the kind. Case does not count, since there are file systems
/// that ignore it.
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

/// A name cut in front of its extension if it has more than `room` bytes.
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

/// The path of the one file, or of the directory, that has the torrent's name. Everything below shares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Root {
    /// Its path on disk.
    pub(super) path: String,
    /// See [`File::own`](super::File::own).
    pub(super) own: Option<Box<str>>,
}

impl Root {
    /// `raw` is the name in the torrent, `safe` the safe name made from it.
    pub(super) fn new(raw: &[u8], safe: String) -> Root {
        let own = plain(raw).filter(|&own| own != safe && own.len() <= MAX_PATH_BYTES);
        Root { own: own.map(Box::from), path: safe }
    }
}

/// The result of judging a path.
pub(super) struct Judged {
    /// Its bytes below the download directory.
    pub(super) length: usize,
    /// Whether it is not as the torrent has it.
    pub(super) is_altered: bool,
}

/// Looks at the path of `parts` below the directory `root`, which [`joined`] makes. May be one that another
/// file has: see [`places`](super::places).
///
/// # Errors
/// [`ErrorKind::Torrent`](crate::ErrorKind::Torrent) past [`MAX_PATH_DEPTH`] or [`MAX_PATH_BYTES`].
pub(super) fn judge<'a>(
    root: &Root,
    parts: impl Iterator<Item = &'a [u8]> + Clone,
    warnings: &mut Warnings,
) -> Result<Judged> {
    let mut judged = Judged { length: root.path.len(), is_altered: false };
    for (depth, raw) in (2..).zip(parts.clone()) {
        let name = component(raw);
        judged.is_altered |= name.as_bytes() != raw;
        judged.length += 1 + name.len();
        if depth > MAX_PATH_DEPTH || judged.length > MAX_PATH_BYTES {
            return Err(unusable(format_args!(
                "the path {} is deeper than {MAX_PATH_DEPTH} directories or longer than {MAX_PATH_BYTES} bytes",
                quoted_path(parts)
            )));
        }
    }
    if judged.is_altered {
        warnings.add(|| {
            let path = joined(root, parts.clone());
            let (raw, safe) = (quoted_path(parts), quoted(path.as_bytes()));
            format!("the path {raw} is not safe as it is; it is stored as {safe}")
        });
    }
    Ok(judged)
}

/// The path of `parts` below the directory `root`, made safe: names with `/` between them.
pub(super) fn joined<'a>(root: &Root, parts: impl Iterator<Item = &'a [u8]> + Clone) -> String {
    let size = parts.clone().map(|part| part.len() + 1).sum::<usize>();
    let mut path = String::with_capacity((root.path.len() + size).min(MAX_PATH_BYTES));
    path.push_str(&root.path);
    for raw in parts {
        path.push('/');
        path.push_str(&component(raw));
    }
    path
}

/// Whether a symbolic link may lead to the path of these names below the directory of the torrent: each
/// is as safe as it must be.
pub(super) fn is_target<'a>(root: &Root, parts: impl Iterator<Item = &'a [u8]>) -> bool {
    plain_length(&root.path, parts.map(|raw| plain(raw).filter(|name| component(raw) == *name))).is_some()
}

/// The path as the torrent has it, where a file system may hold it.
pub(super) fn own<'a>(root: &Root, parts: impl Iterator<Item = &'a [u8]> + Clone) -> Option<String> {
    let mut path = String::with_capacity(own_length(root, parts.clone())?);
    path.push_str(root.own.as_deref().unwrap_or(&root.path));
    for name in parts.filter_map(plain) {
        path.push('/');
        path.push_str(name);
    }
    Some(path)
}

/// The bytes of that path.
pub(super) fn own_length<'a>(root: &Root, parts: impl Iterator<Item = &'a [u8]>) -> Option<usize> {
    plain_length(root.own.as_deref().unwrap_or(&root.path), parts.map(plain))
}

/// The bytes of a path of names below `root`; none if one is no name or it is too long.
fn plain_length<'a>(root: &str, mut names: impl Iterator<Item = Option<&'a str>>) -> Option<usize> {
    let length = names.try_fold(root.len(), |length, name| Some(length + 1 + name?.len()));
    length.filter(|&length| length <= MAX_PATH_BYTES)
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
