//! Whether another program changed a file since it was known to be right: its length, or the time of its last
//! modification.
//!
//! The stamp of a file is taken before it is hashed, or once it is whole and synced. From our own next write
//! on nothing is known of it until it is whole again. It never touches the file system.
//!
//! Invariants: a file that was found changed stays so until it was hashed again, so that no block of it is
//! sent meanwhile; neither a write of ours nor a save that is under way ends that. A look counts only if
//! what is known is still what was known before it: it says nothing of a file that was hashed since.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::state::Stamp;
use crate::moment::Moment;

/// The least time between two looks at a file that is being sent.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Nothing is known of the file.
const UNKNOWN: u64 = 0;
/// The file is not what it was.
const CHANGED: u64 = 1;
/// Neither is this one, and it is being hashed again.
const REHASHED: u64 = 2;

/// The stamps of a torrent's files: twelve bytes a file.
#[derive(Debug)]
pub struct Watch {
    /// The stamp of each file, hashed.
    stamps: Box<[AtomicU64]>,
    /// When each was looked at last, in seconds plus one; 0 if it was not yet.
    looks: Box<[AtomicU32]>,
}

/// The knowledge about a file before a look at it.
#[derive(Debug, Clone, Copy)]
pub struct Before(u64);

/// The knowledge about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Nothing: it is being written.
    Nothing,
    /// Its stamp.
    Looks,
    /// That it is not what it was.
    Changed,
    /// The same, and it is being hashed again.
    Rehashed,
}

impl Watch {
    /// A watch over `files` files of which nothing is known.
    pub fn new(files: usize) -> Watch {
        Watch {
            stamps: std::iter::repeat_with(AtomicU64::default).take(files).collect(),
            looks: std::iter::repeat_with(AtomicU32::default).take(files).collect(),
        }
    }

    /// This is what the file looked like when it was known to be right. Without effect on one that was found
    /// changed.
    pub fn know(&self, index: u32, stamp: &Stamp) {
        self.replace(index, |known| known != CHANGED && known != REHASHED, hashed(stamp));
    }

    /// The file is written to. Without effect on one that was found changed.
    pub fn forget(&self, index: u32) {
        self.replace(index, |known| known > REHASHED, UNKNOWN);
    }

    /// The file is hashed again from now on, and stays changed meanwhile.
    pub fn rehash(&self, index: u32) {
        self.replace(index, |_| true, REHASHED);
    }

    /// The file was hashed again, and looked like this before. Without effect where it was found changed once
    /// more meanwhile.
    pub fn rehashed(&self, index: u32, stamp: &Stamp) {
        self.replace(index, |known| known == REHASHED, hashed(stamp));
    }

    /// The file is hashed again, and may be written to.
    pub fn give_up(&self, index: u32) {
        self.replace(index, |_| true, UNKNOWN);
    }

    /// Puts `value` in the place of what is known of a file, where that may be replaced.
    fn replace(&self, index: u32, may_be: impl Fn(u64) -> bool, value: u64) {
        let Some(stamp) = self.stamps.get(index as usize) else { return };
        let replaced = |known| Some(value).filter(|_| may_be(known));
        // An error says that it may not be.
        let _ = stamp.fetch_update(Ordering::AcqRel, Ordering::Acquire, replaced);
    }

    fn get(&self, index: u32) -> u64 {
        self.stamps.get(index as usize).map_or(UNKNOWN, |stamp| stamp.load(Ordering::Acquire))
    }

    /// The knowledge about a file that is looked at next.
    pub fn before(&self, index: u32) -> Before {
        Before(self.get(index))
    }

    /// The knowledge about a file.
    pub fn state(&self, index: u32) -> Known {
        match self.get(index) {
            UNKNOWN => Known::Nothing,
            CHANGED => Known::Changed,
            REHASHED => Known::Rehashed,
            _ => Known::Looks,
        }
    }

    /// The file was found to be missing, or too short.
    pub fn lacks(&self, index: u32) {
        self.replace(index, |_| true, CHANGED);
    }

    /// The same, by a look that took its time.
    pub fn lacked(&self, index: u32, Before(before): Before) {
        self.replace(index, |known| known == before, CHANGED);
    }

    /// Whether a file was looked at since then.
    pub fn looked_at(&self, index: u32, since: Moment) -> bool {
        self.looks.get(index as usize).is_some_and(|look| look.load(Ordering::Relaxed) >= second(since))
    }

    /// Whether it is time to look at a file; if so, notes that it is done.
    pub fn is_due(&self, index: u32, now: Moment) -> bool {
        let Some(look) = self.looks.get(index as usize) else { return false };
        let second = second(now);
        let last = look.load(Ordering::Relaxed);
        let due = last == 0 || second.saturating_sub(last) >= LOOK_EVERY.as_secs() as u32;
        due && look.compare_exchange(last, second, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Compares a file with its stamp from before the look. `found` is none if it does not exist.
    pub fn differs(&self, index: u32, Before(known): Before, found: Option<Stamp>) -> bool {
        if known <= REHASHED || found.is_some_and(|found| hashed(&found) == known) {
            return false;
        }
        // Unless we have written to it, or it was found or hashed again, just now.
        self.stamps.get(index as usize).is_some_and(|stamp| {
            stamp.compare_exchange(known, CHANGED, Ordering::AcqRel, Ordering::Acquire).is_ok()
        })
    }
}

/// A stamp in eight bytes, never one of those that mean something else.
fn hashed(stamp: &Stamp) -> u64 {
    let mut hasher = DefaultHasher::new();
    (stamp.length, stamp.seconds, stamp.nanos).hash(&mut hasher);
    hasher.finish().max(REHASHED + 1)
}

/// The second of a moment, counted from 1.
fn second(now: Moment) -> u32 {
    u32::try_from(now.as_micros() / 1_000_000).unwrap_or(u32::MAX).saturating_add(1)
}
