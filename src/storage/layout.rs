//! Which bytes of which file a range of the torrent covers, and what of it is wanted.
//!
//! Pure arithmetic over the list of files; it never touches the file system and never copies a
//! path. Invariant: the segments of a range follow one another without a gap, and their lengths
//! add up to the part of the range that lies inside the torrent.

use std::ops::Range;
use std::sync::Arc;

use super::names::{self, Paths};
use crate::bitfield::Bitfield;
use crate::error::{Error, ErrorKind, Result};
use crate::metainfo::{FileList, Metainfo};

/// Where the bytes of a file of the torrent are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the file itself.
    File,
    /// The file was not selected: what shares a piece with a selected one is in the part file.
    Part,
    /// Nowhere: a pad file reads as zeros and what is written to it vanishes; symbolic links have
    /// no bytes (BEP 47).
    Pad,
}

/// Consecutive bytes of one file of the torrent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Index of the file in the torrent.
    pub file: u32,
    /// Where they are kept.
    pub place: Place,
    /// Offset of the first byte in the file.
    pub at: u64,
    /// Offset of the first byte in the torrent.
    pub offset: u64,
    /// Number of bytes, at least 1.
    pub length: u64,
}

/// How the bytes of a torrent lie in its files, and which pieces are wanted.
#[derive(Debug, Clone)]
pub struct Layout {
    metainfo: Arc<Metainfo>,
    /// The files that were asked for; nothing means all.
    selected: Option<Bitfield>,
    /// The selected files and those found on disk; nothing means all.
    kept: Option<Bitfield>,
    wanted: Bitfield,
    /// Files that are known to lie elsewhere than the torrent says.
    known: Paths,
}

impl Layout {
    /// The layout of a torrent of which the files `select` (by index) are wanted, or all.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] where an index is past the last file or none is given.
    pub fn new(metainfo: Arc<Metainfo>, select: Option<&[u32]>) -> Result<Self> {
        let pieces = metainfo.pieces();
        let Some(select) = select else {
            let wanted = Bitfield::full(pieces.count());
            return Ok(Layout { metainfo, selected: None, kept: None, wanted, known: Paths::new() });
        };
        if select.is_empty() {
            return Err(Error::new(ErrorKind::Argument, "no file is selected"));
        }
        let files = metainfo.files();
        let mut selected = Bitfield::empty(files.len() as u32);
        let mut wanted = Bitfield::empty(pieces.count());
        for &index in select {
            let file = files.get(index as usize).ok_or_else(|| {
                Error::new(
                    ErrorKind::Argument,
                    format!("there is no file {index}; the torrent has {} files", files.len()),
                )
            })?;
            if file.is_stored() && selected.insert(index) {
                for piece in pieces.covering(file.offset..file.offset + file.length) {
                    wanted.insert(piece);
                }
            }
        }
        Ok(Layout {
            metainfo,
            kept: Some(selected.clone()),
            selected: Some(selected),
            wanted,
            known: Paths::new(),
        })
    }

    /// The same, with files that lie elsewhere than the torrent says.
    ///
    /// # Errors
    /// As [`names::check`].
    pub fn with_names(mut self, known: Paths) -> Result<Self> {
        names::check(&self.metainfo, &known)?;
        self.known = known;
        Ok(self)
    }

    /// The files that are known to lie elsewhere than the torrent says.
    pub(super) fn take_names(&mut self) -> Paths {
        std::mem::take(&mut self.known)
    }

    /// The torrent.
    pub fn metainfo(&self) -> &Arc<Metainfo> {
        &self.metainfo
    }

    /// The files of the torrent, pad files and symbolic links among them.
    pub fn files(&self) -> FileList<'_> {
        self.metainfo.files()
    }

    /// The pieces that hold a byte of a selected file.
    pub fn wanted(&self) -> &Bitfield {
        &self.wanted
    }

    /// Whether `file` was asked for. False for pad files, symbolic links and past the last.
    pub fn is_selected(&self, file: u32) -> bool {
        match &self.selected {
            Some(selected) => selected.has(file),
            None => self.files().get(file as usize).is_some_and(|file| file.is_stored()),
        }
    }

    /// Where the bytes of `file` are kept.
    pub fn place(&self, file: u32) -> Place {
        match (&self.kept, self.files().get(file as usize)) {
            (_, Some(file)) if !file.is_stored() => Place::Pad,
            (Some(kept), _) if !kept.has(file) => Place::Part,
            _ => Place::File,
        }
    }

    /// Whether every file is kept as itself, so that there is no part file.
    pub fn is_whole(&self) -> bool {
        self.kept.is_none()
    }

    /// Keeps a file that was not selected but is on disk in the file itself.
    pub(super) fn keep(&mut self, file: u32) {
        if let Some(kept) = &mut self.kept {
            kept.insert(file);
        }
    }

    /// Has a file that is not on disk looked for in the part file, selected or not.
    pub(super) fn look_in_part(&mut self, file: u32) {
        let all = self.files().len() as u32;
        self.kept.get_or_insert_with(|| Bitfield::full(all)).remove(file);
    }

    /// The bytes around `offset`, in its piece, that are in the part file if they are anywhere; empty
    /// where that byte is not.
    pub(super) fn room_in_part(&self, offset: u64) -> Range<u64> {
        let covering = self.metainfo.pieces().covering(offset..offset + 1);
        let mut room = offset..offset;
        let mut row: Option<Range<u64>> = None;
        for segment in covering.flat_map(|piece| self.piece(piece)) {
            let end = segment.offset + segment.length;
            row = match (segment.place, row) {
                (Place::Part, Some(row)) => Some(row.start..end),
                (Place::Part, None) => Some(segment.offset..end),
                _ => None,
            };
            room = row.clone().filter(|row| row.contains(&offset)).unwrap_or(room);
        }
        room
    }

    /// The segments of `length` bytes from `offset` of the torrent on. It ends early where the
    /// torrent does. Finding the first takes a binary search; empty files are passed over.
    pub fn segments(&self, offset: u64, length: u64) -> impl Iterator<Item = Segment> + '_ {
        let files = self.files();
        let mut file = files.first_past(offset);
        let mut offset = offset;
        let mut left = length;
        std::iter::from_fn(move || {
            while left > 0 {
                let here = files.get(file)?;
                let index = file as u32;
                file += 1;
                if here.length == 0 {
                    continue;
                }
                let at = offset.checked_sub(here.offset)?;
                let length = here.length.checked_sub(at)?.min(left);
                let segment = Segment { file: index, place: self.place(index), at, offset, length };
                offset += length;
                left -= length;
                return Some(segment);
            }
            None
        })
    }

    /// The segments of a checked piece.
    pub fn piece(&self, piece: u32) -> impl Iterator<Item = Segment> + '_ {
        let pieces = self.metainfo.pieces();
        self.segments(pieces.offset(piece), u64::from(pieces.length(piece)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pieces::BLOCK;
    use crate::random::Random;
    use crate::storage::sample::Sample;

    fn segment(file: u32, place: Place, at: u64, offset: u64, length: u64) -> Segment {
        Segment { file, place, at, offset, length }
    }

    fn wanted(layout: &Layout) -> Vec<u32> {
        layout.wanted().iter().collect()
    }

    #[test]
    fn a_range_falls_into_files_and_pads() {
        use Place::{File, Pad};
        let sample = Sample::multi(&[("a", 10), ("pad/6", 6), ("e", 0), ("b", 5), ("c", 20)], 16);
        let layout = Layout::new(sample.metainfo.clone(), None).unwrap();
        let all: Vec<_> = layout.segments(0, 1000).collect();
        let want = [(0, File, 0, 10), (1, Pad, 10, 6), (3, File, 16, 5), (4, File, 21, 20)];
        assert_eq!(all, want.map(|(file, place, offset, length)| segment(file, place, 0, offset, length)));
        let some: Vec<_> = layout.segments(12, 5).collect();
        assert_eq!(some, [segment(1, Pad, 2, 12, 4), segment(3, File, 0, 16, 1)]);
        let last: Vec<_> = layout.piece(2).collect();
        assert_eq!(last, [segment(4, File, 11, 32, 9)]);
        for (offset, length) in [(41, 1), (u64::MAX, 1), (u64::MAX, u64::MAX), (5, 0)] {
            assert_eq!(layout.segments(offset, length).next(), None);
        }
    }

    /// Against counting bytes one by one.
    #[test]
    fn segments_agree_with_counting() {
        for seed in 0..50 {
            let mut random = Random::seeded(seed);
            let lengths: Vec<usize> = (0..30).map(|_| random.below(9) as usize).chain([1]).collect();
            let names: Vec<String> = (0..lengths.len()).map(|n| format!("f{n}")).collect();
            let files: Vec<_> = names.iter().map(String::as_str).zip(lengths.iter().copied()).collect();
            let sample = Sample::multi(&files, 8);
            let layout = Layout::new(sample.metainfo.clone(), None).unwrap();
            let bytes: Vec<(u32, u64)> = (0u32..)
                .zip(&lengths)
                .flat_map(|(file, &length)| (0..length as u64).map(move |at| (file, at)))
                .collect();
            for _ in 0..50 {
                let from = random.below(bytes.len() as u64 + 5);
                let length = random.below(40);
                let got: Vec<(u32, u64)> = layout
                    .segments(from, length)
                    .flat_map(|s| (s.at..s.at + s.length).map(move |at| (s.file, at)))
                    .collect();
                let want: Vec<_> = bytes.iter().copied().skip(from as usize).take(length as usize).collect();
                assert_eq!(got, want, "seed {seed}");
            }
        }
    }

    #[test]
    fn selected_files_want_their_pieces_and_leave_the_rest_in_the_part_file() {
        let files = [("a", 10), ("b", 30), ("e", 0), ("pad/8", 8), ("c", 40)];
        let sample = Sample::multi(&files, 16);
        let select = |files: &[u32]| Layout::new(sample.metainfo.clone(), Some(files)).unwrap();
        let layout = select(&[1]);
        assert_eq!(wanted(&layout), [0, 1, 2]);
        assert_eq!([0, 1, 2, 3, 4].map(|file| layout.place(file)), {
            use Place::*;
            [Part, File, Part, Pad, Part]
        });
        assert!(!layout.is_whole() && layout.is_selected(1) && !layout.is_selected(4));
        assert_eq!(wanted(&select(&[4, 0, 0])), [0, 3, 4, 5]);
        // An empty file needs no piece, and padding cannot be asked for.
        assert_eq!(wanted(&select(&[2, 3])), [0u32; 0]);
        assert!(!select(&[3]).is_selected(3));
        for wrong in [&[][..], &[5], &[u32::MAX]] {
            let error = Layout::new(sample.metainfo.clone(), Some(wrong)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Argument);
        }
        let all = Layout::new(sample.metainfo.clone(), None).unwrap();
        assert!(all.is_whole() && all.wanted().is_full() && all.is_selected(4));
        assert!(!all.is_selected(3) && !all.is_selected(5));
    }

    /// The largest list of files is searched, not walked.
    #[test]
    fn many_files_take_no_walk() {
        let names: Vec<String> = (0..20_000).map(|n| n.to_string()).collect();
        let files: Vec<_> = names.iter().map(|name| (name.as_str(), 3)).collect();
        let sample = Sample::multi(&files, BLOCK);
        let layout = Layout::new(sample.metainfo.clone(), None).unwrap();
        for file in (0..20_000).rev() {
            let here: Vec<_> = layout.segments(file * 3 + 2, 1).collect();
            assert_eq!(here, [segment(file as u32, Place::File, 2, file * 3 + 2, 1)]);
        }
    }
}
