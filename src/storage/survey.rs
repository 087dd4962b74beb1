//! The data on disk when a torrent starts: which pieces can be trusted, which have to be hashed, and which
//! files are in the way.
//!
//! A piece is trusted if the state says so and every file it reaches into has the size and time it had when
//! the state was written. Every other piece that could be there is to be hashed: a piece is missing if one of
//! its files is missing or too short, and needs no reading if all of it is holes or padding, since then it is
//! zeros. It never writes. Invariant: a piece that is neither known nor suspect has no byte of ours that
//! would be lost.

use std::collections::BTreeMap;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::evidence;
use super::files::Files;
use super::io_error::show;
use super::layout::Place;
use super::linux;
use super::own::{self, Own};
use super::resume::{self, Resume};
use super::state::{Record, Stamp};
use crate::bitfield::Bitfield;
use crate::config::{Existing, TorrentConfig};
use crate::digest::{Digest, Sha1};
use crate::error::{Error, Result};

/// The existing data of a torrent.
#[derive(Debug)]
pub struct Survey {
    /// The pieces that are right without looking at them.
    pub known: Bitfield,
    /// The pieces to be hashed, with [`verify::check`](super::verify::check).
    pub suspect: Bitfield,
    /// The state to be kept from now on; nothing where the settings say so.
    pub resume: Option<Resume>,
    /// Why a state file that is there was not used, in one line.
    pub warning: Option<String>,
    /// Bytes uploaded in all sessions before.
    pub uploaded: u64,
    /// Bytes downloaded in all sessions before.
    pub downloaded: u64,
    /// The state's record of the part file.
    recorded_part: Record,
    /// The pieces that the state says were there.
    claimed: Bitfield,
    /// Why no state can be kept, although the settings ask for one. If the data is complete this is of no
    /// consequence; a download would not know its own files at the next start.
    pub stateless: Option<Error>,
    /// Files that are there although no state says that they are the torrent's.
    pub strangers: Vec<u32>,
    files: Arc<Files>,
    state_dir: Option<PathBuf>,
    /// Those of them that hold data and may not be overwritten.
    guarded: Vec<u32>,
}

impl Survey {
    /// Removes the part file of a former version, if the state knows it. Nothing in it is of use.
    ///
    /// # Errors
    /// [`ErrorKind::FileIo`](crate::ErrorKind::FileIo) if it cannot be removed.
    pub fn remove_former_part(&self, files: &Files) -> Result<()> {
        files.remove_former_part(self.recorded_part)
    }

    /// Has what the state says is right hashed as well.
    pub fn trust_nothing(&mut self) {
        let known = std::mem::replace(&mut self.known, Bitfield::empty(self.suspect.len()));
        known.iter().for_each(|piece| _ = self.suspect.insert(piece));
    }

    /// A line about pieces that the state says were there, are wanted, and are not in `have`.
    pub fn lost(&self, files: &Files, have: &Bitfield) -> Option<String> {
        let layout = files.layout();
        let mut lost = layout.wanted().clone();
        for piece in layout.wanted().iter().filter(|&piece| !self.claimed.has(piece) || have.has(piece)) {
            lost.remove(piece);
        }
        let touched = lost.iter().flat_map(|piece| layout.piece(piece));
        let mut indices: Vec<u32> =
            touched.filter(|segment| segment.place == Place::File).map(|segment| segment.file).collect();
        indices.dedup();
        // A neighbour that shares a piece with a missing file may be unchanged.
        let gone: Vec<u32> =
            indices.iter().copied().filter(|&index| matches!(files.stat(index), Ok(None))).collect();
        let named = if gone.is_empty() { indices } else { gone };
        let path = show(&files.path(*named.first()?));
        let others = if named.len() > 1 { " and other files" } else { "" };
        let (count, pieces) = (lost.count(), if lost.count() == 1 { "piece" } else { "pieces" });
        Some(format!("what was complete is gone: {count} {pieces} of {path}{others}, to be fetched again"))
    }

    /// Takes the suspects that turned out right and returns all right pieces.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`](crate::ErrorKind::Exists) if a file holds data that no state explains, nothing
    /// shows that it is the torrent's, and the settings do not allow it to be overwritten. As
    /// [`verify::check`](super::verify::check) if it cannot be read.
    pub fn conclude(&mut self, right: &Bitfield) -> Result<Bitfield> {
        let mut verified = self.known.clone();
        right.iter().for_each(|piece| {
            verified.insert(piece);
        });
        if let Some(index) = evidence::foreign(&self.files, &self.guarded, &verified)? {
            let what = "is there already and nothing in it shows that it is the torrent's";
            return Err(self.files.foreign(index, what, self.state_dir.as_deref()));
        }
        Ok(verified)
    }
}

/// Looks at the files of a torrent and at its state, if there is one.
///
/// # Errors
/// [`ErrorKind::Exists`](crate::ErrorKind::Exists) where a file is longer than the torrent says and may not be overwritten;
/// [`ErrorKind::FileOpen`](crate::ErrorKind::FileOpen) where something other than a file is in a file's place, or one cannot
/// be looked at.
pub fn survey(files: &Arc<Files>, config: &TorrentConfig) -> Result<Survey> {
    let layout = files.layout();
    let count = layout.metainfo().pieces().count();
    let (mut loaded, stateless) =
        match config.resume.then(|| resume::load(files, config.state_dir.as_deref())) {
            Some(Ok(loaded)) => (Some(loaded), None),
            Some(Err(error)) => (None, Some(error)),
            None => (None, None),
        };
    let state = loaded.as_mut().and_then(|loaded| loaded.state.take());
    let mut look = Look {
        files,
        missing: files.missing_top(),
        state_dir: config.state_dir.as_deref(),
        known: state.as_ref().map_or(Bitfield::empty(count), |state| state.verified.clone()),
        lacking: Bitfield::empty(count),
        data: Bitfield::empty(count),
        records: Vec::with_capacity(layout.files().len() + 1),
        unsynced: Vec::new(),
        own: state.as_ref().and_then(|state| Own::decode(state.sections.get(own::SECTION)?)),
        since: loaded.as_ref().and_then(|loaded| loaded.since),
        genuine: false,
        strangers: Vec::new(),
    };
    let recorded = |index: u32| {
        let record = state.as_ref().and_then(|state| state.records.get(index as usize));
        record.copied().unwrap_or(Record::Absent)
    };
    let keep = config.existing == Existing::Check;
    let part = look.part(recorded(files.part()))?;
    for index in 0..files.part() {
        match layout.place(index) {
            Place::Pad => look.records.push(Record::Absent),
            Place::Part => look.in_part(index, part, recorded(index) == Record::Part),
            Place::File => look.in_file(index, recorded(index), keep)?,
        }
    }
    look.records.push(part.record);
    look.genuine |= part.trusted;
    look.zeros();
    let mut suspect = Bitfield::empty(count);
    for piece in look.data.iter().filter(|&piece| !look.known.has(piece) && !look.lacking.has(piece)) {
        suspect.insert(piece);
    }
    let warning = loaded.as_mut().and_then(|loaded| loaded.warning.take());
    let Look { known, records, unsynced, genuine, mut strangers, .. } = look;
    // A state that knows a file as only the program that wrote it can is ours, and what it says of the
    // others counts, too.
    strangers.retain(|stranger| !(genuine && stranger.recorded));
    let writes = keep && !config.seed_only;
    let guarded = strangers.iter().filter(|stranger| writes && stranger.data).map(|stranger| stranger.index);
    Ok(Survey {
        known,
        suspect,
        resume: loaded.map(|loaded| Resume::new(files.clone(), loaded, records, unsynced)),
        warning,
        uploaded: state.as_ref().map_or(0, |state| state.uploaded),
        downloaded: state.as_ref().map_or(0, |state| state.downloaded),
        recorded_part: recorded(files.part()),
        claimed: state.map_or(Bitfield::empty(count), |state| state.verified),
        stateless,
        guarded: guarded.collect(),
        strangers: strangers.iter().map(|stranger| stranger.index).collect(),
        files: files.clone(),
        state_dir: config.state_dir.clone(),
    })
}

/// The survey so far.
struct Look<'a> {
    files: &'a Files,
    /// The directory of the torrent, if it does not exist: then nothing below it does.
    missing: Option<PathBuf>,
    state_dir: Option<&'a Path>,
    /// Claimed by the state and not refuted.
    known: Bitfield,
    /// Pieces some byte of which is certainly not there.
    lacking: Bitfield,
    /// Pieces some byte of which is there.
    data: Bitfield,
    records: Vec<Record>,
    unsynced: Vec<u32>,
    /// The state's list of the torrent's own files.
    own: Option<Own>,
    /// When the state came to be here.
    since: Option<(i64, i64)>,
    /// The state is right about a file in what cannot be known from elsewhere.
    genuine: bool,
    strangers: Vec<Stranger>,
}

/// A file that is there, and has changed since the state was written or is not in it.
struct Stranger {
    index: u32,
    /// The state has it, of this length.
    recorded: bool,
    /// There is data in it.
    data: bool,
}

/// The part file.
#[derive(Clone, Copy)]
struct Part {
    length: u64,
    record: Record,
    trusted: bool,
}

impl Look<'_> {
    fn part(&mut self, recorded: Record) -> Result<Part> {
        let index = self.files.part();
        if self.files.layout().is_whole() {
            return Ok(Part { length: 0, record: Record::Absent, trusted: false });
        }
        let found = if self.files.open_part()? { self.files.stat(index)? } else { None };
        let record = found.as_ref().map_or(Record::Absent, |found| Record::File(Stamp::from(found)));
        let trusted = record != Record::Absent && record == recorded;
        if record != Record::Absent && !trusted {
            self.unsynced.push(index);
        }
        Ok(Part { length: found.map_or(0, |found| found.len()), record, trusted })
    }

    /// A file that was not selected: only what shares a piece with a selected one can be there.
    fn in_part(&mut self, index: u32, part: Part, was_part: bool) {
        self.records.push(Record::Part);
        let layout = self.files.layout();
        let Some(file) = layout.files().get(index as usize) else { return };
        let end = file.offset + file.length;
        let pieces = layout.metainfo().pieces();
        for piece in pieces.covering(file.offset..end) {
            if !part.trusted || !was_part {
                self.known.remove(piece);
            }
            let Range { start, end: stop } = pieces.range(piece);
            if self.files.has_in_part(start.max(file.offset)..stop.min(end), part.length) {
                self.data.insert(piece);
            } else {
                self.lacks(piece);
            }
        }
    }

    fn in_file(&mut self, index: u32, recorded: Record, keep: bool) -> Result<()> {
        let layout = self.files.layout();
        let Some(file) = layout.files().get(index as usize) else { return Ok(()) };
        let pieces = layout.metainfo().pieces();
        let covering =
            |range: Range<u64>| pieces.covering(file.offset + range.start..file.offset + range.end);
        let below = |top: &PathBuf| self.files.relative(index).starts_with(top);
        let found = if self.missing.as_ref().is_some_and(below) { None } else { self.files.stat(index)? };
        let Some(found) = found else {
            self.records.push(Record::Absent);
            covering(0..file.length).for_each(|piece| self.lacks(piece));
            return Ok(());
        };
        if found.len() > file.length && keep {
            let what = format!("is {} bytes long where the torrent has {}", found.len(), file.length);
            return Err(self.files.foreign(index, &what, self.state_dir));
        }
        let stamp = Stamp::from(&found);
        let record = Record::File(stamp);
        self.records.push(record);
        self.files.watch.know(index, &stamp);
        let length = found.len().min(file.length);
        covering(length..file.length).for_each(|piece| self.lacks(piece));
        let trusted = record == recorded;
        let own = self.own.as_ref().and_then(|own| own.files.get(index as usize));
        let is_it = |known: u64| known != 0 && known == found.ino();
        let stated = trusted || own.is_some_and(|own| is_it(own.inode));
        self.genuine |= stated && length > 0;
        // A power cut, or a file system that numbers its files anew, leaves a file of ours that was written
        // to since. A file of another owner existed before any program could have made up a state for it.
        let since = self.since.is_some_and(|since| (found.ctime(), found.ctime_nsec()) >= since);
        let grown =
            matches!(recorded, Record::File(stamp) if (stamp.length..=file.length).contains(&found.len()));
        // Or it was made just now, from the part file.
        let ours = stated || since && grown || self.files.inode(index).is_some_and(is_it);
        if !trusted {
            covering(0..length).for_each(|piece| {
                self.known.remove(piece);
            });
        } else if covering(0..length).all(|piece| self.known.has(piece)) {
            return Ok(());
        } else if !linux::FINDS_HOLES {
            // Nothing tells holes from data; what the state does not claim is taken as not there.
            covering(0..length).for_each(|piece| {
                self.lacking.insert(piece);
            });
            return Ok(());
        }
        // Most files have no room for a hole, and need not be opened to look for one.
        let solid = length > 0 && found.blocks().saturating_mul(512) >= found.len();
        let opened = if solid { None } else { Some(self.files.handle(index, false)?) };
        let next_data = |at| match &opened {
            Some(opened) => linux::next_data(opened, at, length),
            None => (at < length).then_some(at..length),
        };
        let (mut at, mut data) = (0, false);
        while let Some(run) = next_data(at) {
            let touched = covering(run.clone());
            // Nothing more is to be learnt of the last piece it touches.
            let told = touched.clone().next_back().map_or(0, |last| pieces.range(last).end);
            at = run.end.max(told.saturating_sub(file.offset));
            touched.for_each(|piece| {
                self.data.insert(piece);
            });
            data = true;
        }
        if !ours {
            let recorded = matches!(recorded, Record::File(stamp) if stamp.length == found.len());
            self.strangers.push(Stranger { index, recorded, data });
        }
        if !trusted && length > 0 {
            self.unsynced.push(index);
        }
        Ok(())
    }

    fn lacks(&mut self, piece: u32) {
        self.lacking.insert(piece);
        self.known.remove(piece);
    }

    /// Pieces that are all holes and padding are right if they are to be zeros.
    fn zeros(&mut self) {
        let metainfo = self.files.layout().metainfo();
        let pieces = metainfo.pieces();
        // By length, of which there are few: that of whole pieces, and those of short ones.
        let mut hashes: BTreeMap<u32, Digest> = BTreeMap::new();
        for piece in 0..pieces.count() {
            if self.known.has(piece) || self.lacking.has(piece) || self.data.has(piece) {
                continue;
            }
            let length = pieces.length(piece);
            let zeros = hashes.entry(length).or_insert_with(|| zeros(length));
            if zeros == metainfo.piece_hash(piece) {
                self.known.insert(piece);
            }
        }
    }
}

fn zeros(length: u32) -> Digest {
    let buffer = [0; 4096];
    let mut hash = Sha1::new();
    let mut left = length as usize;
    while left > 0 {
        let part = left.min(buffer.len());
        hash.update(&buffer[..part]);
        left -= part;
    }
    hash.finish()
}
