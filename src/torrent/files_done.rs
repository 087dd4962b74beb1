//! Which files are whole: a count of missing pieces a file, so that each verdict costs only what
//! the piece touches.

use crate::bitfield::Bitfield;
use crate::metainfo::{File, Metainfo};

/// The count.
#[derive(Debug)]
pub(super) struct FilesDone {
    missing: Vec<u32>,
}

impl FilesDone {
    /// The count for a torrent of which `have` is there.
    pub(super) fn new(metainfo: &Metainfo, have: &Bitfield) -> Self {
        let pieces = metainfo.pieces();
        let missing = metainfo.files().iter().map(|file| {
            let covering = pieces.covering(file.offset..file.offset + file.length);
            covering.filter(|piece| !have.has(*piece)).count() as u32
        });
        FilesDone { missing: missing.collect() }
    }

    /// A piece was verified; hands each file that is whole by it to `done`.
    pub(super) fn verified(&mut self, metainfo: &Metainfo, piece: u32, mut done: impl FnMut(u32)) {
        for (index, file) in touched(metainfo, piece) {
            if let Some(missing) = self.missing.get_mut(index) {
                *missing = missing.saturating_sub(1);
                if *missing == 0 && !file.pad {
                    done(index as u32);
                }
            }
        }
    }

    /// A verified piece is right no longer.
    pub(super) fn lost(&mut self, metainfo: &Metainfo, piece: u32) {
        for (index, _) in touched(metainfo, piece) {
            self.missing.get_mut(index).into_iter().for_each(|missing| *missing += 1);
        }
    }
}

/// The files with bytes in a piece, and their indices.
fn touched(metainfo: &Metainfo, piece: u32) -> impl Iterator<Item = (usize, File<'_>)> {
    let (range, files) = (metainfo.pieces().range(piece), metainfo.files());
    let first = files.first_past(range.start);
    let touched = files.iter().enumerate().skip(first).take_while(move |(_, file)| file.offset < range.end);
    touched.filter(|(_, file)| file.length > 0)
}
