//! A disk in memory that fails on demand, and forgets in a power cut what was not synced.
//!
//! It knows what the bytes should be, and which pieces were verified: a write to one of those, or a
//! claim that it does not bear out, is a violation; but for pieces that another program changed
//! ([`Disk::change`]), of which the real [`Watch`] is to know once the file was looked at.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bitwren::Metainfo;
use bitwren::internals::bitfield::Bitfield;
use bitwren::internals::moment::Moment;
use bitwren::internals::pieces::BLOCK;
use bitwren::internals::random::Random;
use bitwren::internals::storage::state::Stamp;
use bitwren::internals::storage::store::Store;
use bitwren::internals::storage::watch::{Known, Watch};
use bitwren::{Error, ErrorKind, Result};

pub struct Disk {
    metainfo: Arc<Metainfo>,
    truth: Arc<Vec<u8>>,
    state: Mutex<State>,
}

pub struct State {
    bytes: Vec<u8>,
    /// What stood in each block that was written since the last sync.
    before: BTreeMap<usize, Vec<u8>>,
    /// Pieces that were said to be right, in this life.
    pub verified: Bitfield,
    /// What the resume state claims.
    pub claimed: Bitfield,
    pub full: bool,
    /// How many more writes or reads go well, and whether the one after them tears.
    pub write_fails: Option<(u32, bool)>,
    pub read_fails: Option<u32>,
    /// How often it was written to.
    pub writes: u64,
    /// What it ever answered with errors.
    pub errors: u64,
    files: Vec<OnDisk>,
    /// What this life of the node knows of the files.
    pub watch: Watch,
    /// Pieces that another program changed since they were last proved, and how often it did so.
    pub changed: Bitfield,
    pub changes: u64,
}

/// A file on the disk.
struct OnDisk {
    /// Where it begins in the torrent, and where it is to end.
    range: Range<usize>,
    /// Its length; nothing where it is not there.
    length: Option<usize>,
    /// How often it was written to: the time of its last modification.
    writes: i64,
    /// Written by us since the last save.
    dirty: bool,
    /// It was looked at since another program changed it.
    seen: bool,
    /// That was between our last write and the look of the save that followed: no later look can show it.
    absorbed: bool,
    /// When another program changed it last.
    changed_at: Moment,
}

/// How often a file that is sent from is looked at, in whole seconds.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// What another program does to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A byte of a verified piece is another.
    Spoil,
    Touch,
    /// Half of it is gone, where all of it was verified.
    Cut,
    /// All of it is.
    Remove,
}

impl Disk {
    pub fn new(metainfo: Arc<Metainfo>, truth: Arc<Vec<u8>>) -> Disk {
        let none = Bitfield::empty(metainfo.pieces().count());
        let on_disk = metainfo.files().iter().map(|file| {
            let range = file.offset as usize..(file.offset + file.length) as usize;
            OnDisk {
                length: Some(range.len()),
                range,
                writes: 0,
                dirty: false,
                seen: true,
                absorbed: false,
                changed_at: Moment::START,
            }
        });
        let files: Vec<OnDisk> = on_disk.collect();
        let state = State {
            watch: Watch::new(files.len()),
            files,
            changed: none.clone(),
            changes: 0,
            bytes: vec![0; truth.len()],
            before: BTreeMap::new(),
            verified: none.clone(),
            claimed: none,
            full: false,
            write_fails: None,
            read_fails: None,
            writes: 0,
            errors: 0,
        };
        Disk { metainfo, truth, state: Mutex::new(state) }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Puts the right bytes of a piece there, as from an earlier life, and claims them.
    pub fn plant(&self, piece: u32) {
        let range = self.range(piece);
        let mut state = self.state();
        state.bytes[range.clone()].copy_from_slice(&self.truth[range]);
        state.claimed.insert(piece);
    }

    /// Bytes in all.
    pub fn total(&self) -> usize {
        self.truth.len()
    }

    /// Where a piece begins.
    pub fn offset(&self, piece: u32) -> usize {
        self.range(piece).start
    }

    fn range(&self, piece: u32) -> Range<usize> {
        let pieces = self.metainfo.pieces();
        let start = pieces.offset(piece) as usize;
        start..start + pieces.length(piece) as usize
    }

    /// Whether a piece is what it should be.
    pub fn is_right(&self, piece: u32) -> bool {
        let range = self.range(piece);
        self.state().bytes[range.clone()] == self.truth[range]
    }

    /// What a start finds: what is claimed, which must be there, and what a hash would prove.
    pub fn survey(&self) -> Bitfield {
        let mut have = Bitfield::empty(self.metainfo.pieces().count());
        let claimed = self.state().claimed.clone();
        for piece in 0..have.len() {
            let right = self.is_right(piece);
            let changed = self.state().changed.has(piece);
            assert!(
                right || changed || !claimed.has(piece),
                "the state claims piece {piece}, which the disk lacks"
            );
            if right {
                have.insert(piece);
            }
        }
        let mut state = self.state();
        state.verified = have.clone();
        state.changed = Bitfield::empty(have.len());
        // What it found wanting it need not find again.
        claimed.iter().filter(|&piece| !have.has(piece)).for_each(|piece| _ = state.claimed.remove(piece));
        state.watch = Watch::new(state.files.len());
        for (index, file) in (0..).zip(&state.files) {
            file.stamp().iter().for_each(|stamp| state.watch.know(index, stamp));
        }
        state.files.iter_mut().for_each(|file| (file.dirty, file.seen, file.absorbed) = (false, true, false));
        have
    }

    /// All that was written stays, come what may; then the state is written.
    pub fn commit(&self, claims: &Bitfield) {
        self.state().before.clear();
        for piece in claims.iter() {
            let borne_out = self.is_right(piece) || self.state().changed.has(piece);
            assert!(borne_out, "a state is written that claims piece {piece}, which is not right");
        }
        let mut guard = self.state();
        let state = &mut *guard;
        state.claimed = claims.clone();
        for (index, file) in (0..).zip(&mut state.files) {
            let whole = self.covering(&file.range).all(|piece| claims.has(piece));
            if std::mem::take(&mut file.dirty) && whole {
                file.absorbed = !file.seen;
                file.stamp().iter().for_each(|stamp| state.watch.know(index, stamp));
            }
        }
    }

    fn covering(&self, range: &Range<usize>) -> impl Iterator<Item = u32> + use<> {
        self.metainfo.pieces().covering(range.start as u64..range.end as u64)
    }

    /// The pieces that reach into a file.
    pub fn pieces_of(&self, file: u32) -> Bitfield {
        let mut pieces = Bitfield::empty(self.metainfo.pieces().count());
        let range = self.state().files[file as usize].range.clone();
        self.covering(&range).for_each(|piece| _ = pieces.insert(piece));
        pieces
    }

    /// The files that bytes reach into.
    pub fn files_at(&self, range: Range<usize>) -> Vec<u32> {
        let state = self.state();
        let within = |file: &OnDisk| file.range.start < range.end && range.start < file.range.end;
        (0..).zip(&state.files).filter(|(_, file)| within(file)).map(|(index, _)| index).collect()
    }

    /// Another program changes a file. False where there is nothing to change.
    pub fn change(&self, nth: u64, change: Change, now: Moment) -> bool {
        let mut guard = self.state();
        let State { files, bytes, verified, changed, changes, .. } = &mut *guard;
        let at = (nth % files.len() as u64) as usize;
        let file = &mut files[at];
        let Some(length) = file.length.filter(|&length| length > 0) else { return false };
        let there = file.range.start..file.range.start + length;
        let whole = self.covering(&file.range).all(|piece| verified.has(piece));
        let gone = match change {
            Change::Touch => there.end..there.end,
            Change::Spoil => {
                let spoilt: Vec<u32> = self.covering(&there).filter(|&piece| verified.has(piece)).collect();
                let Some(&piece) = spoilt.get((nth >> 8) as usize % spoilt.len().max(1)) else {
                    return false;
                };
                let range = self.range(piece);
                let (start, end) = (range.start.max(there.start), range.end.min(there.end));
                let byte = start + (nth >> 16) as usize % (end - start);
                bytes[byte] ^= 0x10;
                byte..byte + 1
            }
            Change::Cut | Change::Remove if !whole => return false,
            Change::Cut => there.start + length / 2..there.end,
            Change::Remove => there,
        };
        match change {
            Change::Cut => file.length = Some(length / 2),
            Change::Remove => file.length = None,
            Change::Spoil | Change::Touch => {}
        }
        if let Change::Cut | Change::Remove = change {
            bytes[gone.clone()].fill(0);
        }
        self.covering(&gone).for_each(|piece| _ = changed.insert(piece));
        (file.seen, file.absorbed, file.changed_at) = (false, false, now);
        (file.writes, *changes) = (file.writes + 1, *changes + 1);
        true
    }

    /// Looks at a file as it is about to be sent, as the engine does.
    pub fn has_changed(&self, index: u32, now: Moment) -> bool {
        let mut guard = self.state();
        let State { files, watch, .. } = &mut *guard;
        let before = watch.before(index);
        match watch.state(index) {
            Known::Nothing => false,
            Known::Changed | Known::Rehashed => true,
            Known::Looks => {
                watch.is_due(index, now) && watch.differs(index, before, files[index as usize].look())
            }
        }
    }

    /// The files that another program changed, of those that were sent from since then, or of all.
    pub fn changed_since(&self, since: Option<Moment>) -> Vec<u32> {
        let mut guard = self.state();
        let State { files, watch, .. } = &mut *guard;
        let mut changed = Vec::new();
        for (index, file) in (0..).zip(files) {
            let sent = since.is_none_or(|since| watch.looked_at(index, since));
            if watch.state(index) == Known::Looks
                && sent
                && watch.differs(index, watch.before(index), file.look())
            {
                changed.push(index);
            }
        }
        changed
    }

    /// Looks at a file before it is hashed again.
    pub fn look_anew(&self, index: u32, whole: bool) -> Option<Stamp> {
        let mut guard = self.state();
        let State { files, watch, .. } = &mut *guard;
        let stamp = files[index as usize].look();
        if stamp.is_some() && whole {
            watch.rehash(index)
        } else {
            watch.give_up(index)
        }
        stamp
    }

    /// Whether a file should have been looked at since another program changed it, before a block of it is sent.
    pub fn is_look_overdue(&self, index: u32, now: Moment) -> bool {
        let state = self.state();
        let file = &state.files[index as usize];
        let may_show = !file.absorbed && state.watch.state(index) == Known::Looks;
        may_show && now > file.changed_at + LOOK_EVERY
    }

    /// Whether the last change of a file was seen by a look at it.
    pub fn is_seen(&self, index: u32) -> bool {
        self.state().files[index as usize].seen
    }

    /// Whether these are the right bytes.
    pub fn are_right(&self, offset: usize, bytes: &[u8]) -> bool {
        self.truth[offset..offset + bytes.len()] == *bytes
    }

    /// Whether all of it is there, as far as no other program changed it.
    pub fn is_whole(&self) -> bool {
        let whole = self.state().bytes == *self.truth;
        let mut pieces = 0..self.metainfo.pieces().count();
        whole || pieces.all(|piece| self.state().changed.has(piece) || self.is_right(piece))
    }

    /// What was not synced may be lost, block by block.
    pub fn lose_power(&self, dice: &mut Random) {
        let mut guard = self.state();
        let state = &mut *guard;
        for (at, before) in std::mem::take(&mut state.before) {
            let kept = match dice.below(3) {
                0 => 0,
                1 => before.len(),
                _ => dice.below(before.len() as u64) as usize,
            };
            state.bytes[at + kept..at + before.len()].copy_from_slice(&before[kept..]);
        }
    }
}

impl OnDisk {
    fn stamp(&self) -> Option<Stamp> {
        self.length.map(|length| Stamp { length: length as u64, seconds: self.writes, nanos: 0 })
    }

    /// What is found of it.
    fn look(&mut self) -> Option<Stamp> {
        self.seen = !self.absorbed;
        self.stamp()
    }
}

impl State {
    fn write(&mut self, at: usize, data: &[u8]) {
        self.writes += 1;
        let mut block = at - at % BLOCK as usize;
        while block < at + data.len() {
            let end = (block + BLOCK as usize).min(self.bytes.len());
            let bytes = &self.bytes;
            self.before.entry(block).or_insert_with(|| bytes[block..end].to_vec());
            block = end;
        }
        self.bytes[at..at + data.len()].copy_from_slice(data);
        let end = at + data.len();
        for (index, file) in (0..).zip(&mut self.files) {
            if file.range.start < end && at < file.range.end {
                let written = end.min(file.range.end) - file.range.start;
                file.length = Some(file.length.unwrap_or_default().max(written));
                (file.writes, file.dirty) = (file.writes + 1, true);
                self.watch.forget(index);
            }
        }
    }
}

fn failure(kind: ErrorKind, what: &str) -> Error {
    Error::new(kind, what)
}

impl Store for Disk {
    fn metainfo(&self) -> &Arc<Metainfo> {
        &self.metainfo
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let mut state = self.state();
        if let Some(left) = &mut state.read_fails {
            match left.checked_sub(1) {
                Some(less) => *left = less,
                None => {
                    state.read_fails = None;
                    state.errors += 1;
                    return Err(failure(ErrorKind::FileIo, "EIO while reading"));
                }
            }
        }
        let (at, end) = (offset as usize, offset as usize + buffer.len());
        let lacking = |file: &OnDisk| {
            let there = file.range.start + file.length.unwrap_or_default();
            file.range.start < end && at < file.range.end && there < end.min(file.range.end)
        };
        if state.files.iter().any(lacking) {
            return Err(failure(ErrorKind::NotFound, "the file is not there, or too short"));
        }
        buffer.copy_from_slice(&state.bytes[at..at + buffer.len()]);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        let (at, mut guard) = (offset as usize, self.state());
        let state = &mut *guard;
        for piece in self.metainfo.pieces().covering(offset..offset + data.len() as u64) {
            assert!(!state.verified.has(piece), "piece {piece} is verified and written again");
        }
        if state.full {
            // Some of it finds room.
            state.errors += 1;
            state.write(at, &data[..data.len() / 3]);
            return Err(failure(ErrorKind::DiskFull, "no space left"));
        }
        if let Some((left, tears)) = &mut state.write_fails {
            match left.checked_sub(1) {
                Some(less) => *left = less,
                None => {
                    let part = if *tears { data.len() / 2 } else { 0 };
                    state.write_fails = None;
                    state.errors += 1;
                    state.write(at, &data[..part]);
                    return Err(failure(ErrorKind::FileIo, "EIO while writing"));
                }
            }
        }
        state.write(at, data);
        Ok(())
    }
}
