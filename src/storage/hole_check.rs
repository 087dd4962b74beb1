//! Whether proved bytes are still there: finds files that another program removed, cut short or emptied.
//!
//! Our own next write to the same file hides such a loss from a comparison of length and time. But the lost
//! range is a hole now, and so a hole under a verified piece is a reason to hash that piece. Some file
//! systems make holes of zeros that were written; there it turns out right.
//!
//! It never writes. Invariant: the cost of a search is bounded, for any number of pieces.

use std::fs::{File, Metadata};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::AtomicBool;

use super::files::Files;
use super::io_error::show;
use super::layout::{Layout, Place};
use super::linux;
use super::parts::Stretch;
use super::state::Stamp;
use super::verify;
use super::verify::Judged;
use crate::bitfield::Bitfield;
use crate::error::{Error, ErrorKind, Result};

/// Runs of verified pieces that are looked at in one file; of more, as many evenly spread. A cut leaves a
/// hole in every one that lies behind it.
const RUNS: usize = 1024;
/// Pieces with a hole that turn out right until holes are taken for zeros that were written.
const RIGHT: usize = 4;
/// Bytes read at once to hash such a piece.
const BUFFER: usize = 64 * 1024;

/// Looks at every selected file, all of whose pieces are in `verified`.
///
/// # Errors
/// [`ErrorKind::NotFound`] if one is missing, has another length or lacks verified bytes;
/// [`ErrorKind::FileOpen`], [`ErrorKind::FileIo`] or [`ErrorKind::Resources`] if it cannot be looked at.
pub fn check(files: &Files, verified: &Bitfield) -> Result<()> {
    let mut search = Search::new(files, verified);
    for (index, file) in (0..).zip(files.layout().files()) {
        if !files.layout().is_selected(index) {
            continue;
        }
        match files.stat(index)? {
            Some(found) if found.len() == file.length => {
                search.file(index, &found)?;
                files.know_whole(index, &Stamp::from(&found), verified);
            }
            _ => return Err(lost(files, index)),
        }
    }
    Ok(())
}

/// A look at one file after the other.
pub(super) struct Search<'a> {
    files: &'a Files,
    /// The pieces that were written.
    verified: &'a Bitfield,
    /// Pieces with a hole that were right.
    right: usize,
}

impl<'a> Search<'a> {
    pub(super) fn new(files: &'a Files, verified: &'a Bitfield) -> Self {
        Search { files, verified, right: 0 }
    }

    /// Looks at one file, or at the part file; `found` is what is on disk of it.
    ///
    /// # Errors
    /// As [`check`].
    pub(super) fn file(&mut self, index: u32, found: &Metadata) -> Result<()> {
        let Search { files, verified, .. } = *self;
        let layout = files.layout();
        // Most files are whole, and have no room for a hole.
        let whole = layout.files().get(index as usize).is_some_and(|file| found.len() >= file.length);
        if whole && found.blocks().saturating_mul(512) >= found.len() {
            return Ok(());
        }
        let spread = match runs(layout, index, verified).count() {
            0 => return Ok(()),
            some => some.div_ceil(RUNS),
        };
        let opened = files.handle(index, false)?;
        for mut run in runs(layout, index, verified).step_by(spread) {
            while let Some(hole) = first_hole(files, index, &opened, &run, found.len()) {
                if self.right == RIGHT {
                    return Ok(());
                }
                let pieces = layout.metainfo().pieces();
                let piece = pieces.covering(hole..hole + 1).start;
                let judged = verify::hash_piece(files, piece, &mut vec![0; BUFFER], &AtomicBool::new(false))?;
                if judged != Judged::Right {
                    return Err(lost(files, index));
                }
                self.right += 1;
                run.start = pieces.range(piece).end;
            }
        }
        Ok(())
    }
}

/// Where in the torrent bytes of verified pieces lie in a row in a file, or in the part file, in order.
fn runs<'a>(layout: &'a Layout, index: u32, verified: &'a Bitfield) -> impl Iterator<Item = Range<u64>> + 'a {
    let here = index as usize..layout.files().len().min(index as usize + 1);
    let (which, part) = if here.is_empty() { (0..layout.files().len(), true) } else { (here, false) };
    let kept = if part { Place::Part } else { Place::File };
    let files = which.filter(move |&file| layout.place(file as u32) == kept);
    files.filter_map(|file| layout.files().get(file)).flat_map(move |file| {
        let pieces = layout.metainfo().pieces();
        let end = file.offset + file.length;
        let mut left = pieces.covering(file.offset..end);
        let there = move |&piece: &u32| verified.has(piece) && layout.wanted().has(piece);
        std::iter::from_fn(move || {
            let first = left.find(there)?;
            let last = left.by_ref().take_while(there).last().unwrap_or(first);
            let stop = pieces.range(last).end.min(end);
            Some(pieces.offset(first).max(file.offset)..stop)
        })
    })
}

/// The first byte of a run that is in a hole, or past the end of the file, or has no place in it.
fn first_hole(files: &Files, index: u32, opened: &File, run: &Range<u64>, length: u64) -> Option<u64> {
    let mut offset = run.start;
    while offset < run.end {
        let (at, here) = match files.layout().files().get(index as usize) {
            Some(file) => (offset.checked_sub(file.offset)?, run.end - offset),
            None => match files.find_in_part(offset..run.end) {
                Stretch { at: Some(at), length } => (at, length),
                _ => return Some(offset),
            },
        };
        if let Some(hole) = hole(opened, &(at..at + here), length) {
            return Some(offset + (hole - at));
        }
        offset += here;
    }
    None
}

/// The first byte in a range that is in a hole, or past the end of the file.
fn hole(file: &File, range: &Range<u64>, length: u64) -> Option<u64> {
    let first = match linux::next_data(file, range.start, range.end.min(length)) {
        Some(data) if data.start == range.start => data.end,
        _ => range.start,
    };
    (first < range.end).then_some(first)
}

fn lost(files: &Files, index: u32) -> Error {
    let path = show(&files.path(index));
    let what = "was removed or cut while it was downloaded; run again to fetch it anew";
    Error::new(ErrorKind::NotFound, format!("{path} {what}"))
}

#[cfg(test)]
mod tests;
