//! A disk in memory that fails on demand, and forgets in a power cut what was not synced.
//!
//! It knows what the bytes should be, and which pieces were verified: a write to one of those, or a
//! claim that it does not bear out, is a violation.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bitwren::Metainfo;
use bitwren::internals::bitfield::Bitfield;
use bitwren::internals::pieces::BLOCK;
use bitwren::internals::random::Random;
use bitwren::internals::storage::store::Store;
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
    /// What it ever answered with errors.
    pub errors: u64,
}

impl Disk {
    pub fn new(metainfo: Arc<Metainfo>, truth: Arc<Vec<u8>>) -> Disk {
        let none = Bitfield::empty(metainfo.pieces().count());
        let state = State {
            bytes: vec![0; truth.len()],
            before: BTreeMap::new(),
            verified: none.clone(),
            claimed: none,
            full: false,
            write_fails: None,
            read_fails: None,
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

    fn range(&self, piece: u32) -> std::ops::Range<usize> {
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
            assert!(right || !claimed.has(piece), "the state claims piece {piece}, which the disk lacks");
            if right {
                have.insert(piece);
            }
        }
        self.state().verified = have.clone();
        have
    }

    /// All that was written stays, come what may; then the state is written.
    pub fn commit(&self, claims: &Bitfield) {
        self.state().before.clear();
        for piece in claims.iter() {
            assert!(self.is_right(piece), "a state is written that claims piece {piece}, which is not right");
        }
        self.state().claimed = claims.clone();
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

    /// Whether all of it is there.
    pub fn is_whole(&self) -> bool {
        self.state().bytes == *self.truth
    }
}

impl State {
    fn write(&mut self, at: usize, data: &[u8]) {
        let mut block = at - at % BLOCK as usize;
        while block < at + data.len() {
            let end = (block + BLOCK as usize).min(self.bytes.len());
            let bytes = &self.bytes;
            self.before.entry(block).or_insert_with(|| bytes[block..end].to_vec());
            block = end;
        }
        self.bytes[at..at + data.len()].copy_from_slice(data);
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
        let at = offset as usize;
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
