//! Whether the contents of a file show that it belongs to the torrent: bytes that are right and could not be
//! so by chance, in this file or in most of the other existing ones.
//!
//! Files of any kind share pieces of one repeated byte, as images that begin with zeros do, and have a few
//! bytes in common. It never writes. Invariant: memory is one buffer, for any piece length.

use super::files::Files;
use crate::bitfield::Bitfield;
use crate::error::Result;

/// The fewest bytes in a row that are evidence.
const FEWEST: u64 = 64;

/// Bytes read at once.
const BUFFER: u64 = 64 * 1024;

/// The first of the files `guarded` that may belong to another program or torrent, given the pieces that are
/// right. A file that shows nothing itself counts as the torrent's if most of the existing data is right: it
/// was damaged among others that were not.
///
/// # Errors
/// As [`Files::read_at`].
pub(super) fn foreign(files: &Files, guarded: &[u32], right: &Bitfield) -> Result<Option<u32>> {
    let (mut first, mut unknown) = (None, 0);
    for &index in guarded {
        if !is_ours(files, index, right)? {
            first = first.or(Some(index));
            unknown += files.stat(index)?.map_or(0, |found| found.len());
        }
    }
    if first.is_none() {
        return Ok(None);
    }
    let pieces = files.layout().metainfo().pieces();
    for piece in right.iter() {
        let (from, length) = (pieces.offset(piece), u64::from(pieces.length(piece)));
        if length >= FEWEST && varies(files, from, from + length)? {
            unknown = unknown.saturating_sub(length);
        }
        if unknown == 0 {
            return Ok(None);
        }
    }
    Ok(first)
}

/// Whether a file has bytes in the pieces that are `right` which are evidence, or nothing of it is to be
/// written.
fn is_ours(files: &Files, index: u32, right: &Bitfield) -> Result<bool> {
    let layout = files.layout();
    let Some(file) = layout.files().get(index as usize) else { return Ok(true) };
    let pieces = layout.metainfo().pieces();
    let end = file.offset + file.length;
    let covering = pieces.covering(file.offset..end);
    if covering.clone().all(|piece| right.has(piece) || !layout.wanted().has(piece)) {
        return Ok(true);
    }
    for piece in covering.filter(|&piece| right.has(piece)) {
        let range = pieces.range(piece);
        let (from, to) = (range.start.max(file.offset), range.end.min(end));
        if to - from >= FEWEST && varies(files, from, to)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a range of the torrent holds two different bytes.
fn varies(files: &Files, from: u64, to: u64) -> Result<bool> {
    let mut buffer = vec![0; BUFFER.min(to - from) as usize];
    let (mut first, mut at) = (None, from);
    while at < to {
        let part = &mut buffer[..BUFFER.min(to - at) as usize];
        files.read_at(at, part)?;
        let first = *first.get_or_insert(part[0]);
        if part.iter().any(|&byte| byte != first) {
            return Ok(true);
        }
        at += part.len() as u64;
    }
    Ok(false)
}
