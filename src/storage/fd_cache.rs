//! The open files of all torrents, up to a bound; the least recently used are closed first.
//!
//! A file is handed out as an `Arc`, so no thread waits for the I/O of another: the lock is held for a
//! look-up and nothing else, and an evicted file is closed when its last user is done. It never opens a file
//! itself. Invariant: it holds no more files than its bound.

use std::collections::HashMap;
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::claims::Claims;

use crate::lock::lock;

/// One file of one torrent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The torrent, by the number it was given.
    pub(super) owner: u64,
    /// The file.
    pub(super) file: u32,
}

/// Open files, shared by all torrents of a client, and which torrent has which.
#[derive(Debug)]
pub struct FdCache {
    lru: Mutex<Lru>,
    bound: usize,
    owners: AtomicU64,
    /// Which torrent has which file.
    pub(super) claims: Claims,
}

/// A list from the most to the least recently used, threaded through the slots.
#[derive(Debug, Default)]
struct Lru {
    by_key: HashMap<Key, usize>,
    slots: Vec<Slot>,
    free: Vec<usize>,
    newest: Option<usize>,
    oldest: Option<usize>,
}

#[derive(Debug)]
struct Slot {
    key: Key,
    /// Nothing in a free slot.
    file: Option<Arc<File>>,
    writable: bool,
    newer: Option<usize>,
    older: Option<usize>,
}

impl FdCache {
    /// A cache of at most `bound` files, held to 4 to 100,000.
    pub fn new(bound: usize) -> Self {
        FdCache {
            lru: Mutex::default(),
            bound: bound.clamp(4, 100_000),
            owners: AtomicU64::new(0),
            claims: Claims::default(),
        }
    }

    /// How many files are open in it.
    pub fn len(&self) -> usize {
        self.lock().by_key.len()
    }

    /// Whether no file is open in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A number for one more torrent.
    pub(super) fn owner(&self) -> u64 {
        self.owners.fetch_add(1, Ordering::Relaxed)
    }

    /// The file, if it is open, and for writing if `write`.
    pub(super) fn get(&self, key: Key, write: bool) -> Option<Arc<File>> {
        let mut lru = self.lock();
        let at = *lru.by_key.get(&key)?;
        if write && !lru.slots[at].writable {
            return None;
        }
        lru.unlink(at);
        lru.link_newest(at);
        lru.slots[at].file.clone()
    }

    /// Takes in a file that was opened just now, in place of one that may be there.
    pub(super) fn put(&self, key: Key, file: File, writable: bool) -> Arc<File> {
        let file = Arc::new(file);
        let mut closing = [None, None];
        let mut lru = self.lock();
        if let Some(at) = lru.by_key.get(&key).copied() {
            closing[0] = lru.evict(at);
        }
        if lru.by_key.len() >= self.bound {
            closing[1] = lru.oldest.and_then(|at| lru.evict(at));
        }
        lru.insert(key, file.clone(), writable);
        drop(lru); // Closing can take long; no thread waits for it.
        drop(closing);
        file
    }

    /// Closes the files of one torrent.
    pub(super) fn forget(&self, owner: u64) {
        let mut lru = self.lock();
        let theirs: Vec<usize> =
            lru.by_key.iter().filter(|(key, _)| key.owner == owner).map(|(_, at)| *at).collect();
        let closing: Vec<_> = theirs.into_iter().map(|at| lru.evict(at)).collect();
        drop(lru);
        drop(closing);
    }

    /// Closes the less recently used half, because the system has no file descriptor left.
    pub(super) fn shrink(&self) {
        let mut lru = self.lock();
        let half = lru.by_key.len().div_ceil(2);
        let closing: Vec<_> = (0..half).map(|_| lru.oldest.and_then(|at| lru.evict(at))).collect();
        drop(lru);
        drop(closing);
    }

    fn lock(&self) -> MutexGuard<'_, Lru> {
        lock(&self.lru)
    }
}

impl Lru {
    fn insert(&mut self, key: Key, file: Arc<File>, writable: bool) {
        let slot = Slot { key, file: Some(file), writable, newer: None, older: None };
        let at = match self.free.pop() {
            Some(at) => {
                self.slots[at] = slot;
                at
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        };
        self.by_key.insert(key, at);
        self.link_newest(at);
    }

    fn evict(&mut self, at: usize) -> Option<Arc<File>> {
        self.unlink(at);
        self.by_key.remove(&self.slots[at].key);
        self.free.push(at);
        self.slots[at].file.take()
    }

    fn unlink(&mut self, at: usize) {
        let Slot { newer, older, .. } = self.slots[at];
        match newer {
            Some(newer) => self.slots[newer].older = older,
            None => self.newest = older,
        }
        match older {
            Some(older) => self.slots[older].newer = newer,
            None => self.oldest = newer,
        }
    }

    fn link_newest(&mut self, at: usize) {
        self.slots[at].newer = None;
        self.slots[at].older = self.newest;
        match self.newest {
            Some(newest) => self.slots[newest].newer = Some(at),
            None => self.oldest = Some(at),
        }
        self.newest = Some(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> File {
        File::open("/dev/null").unwrap()
    }

    fn key(owner: u64, file: u32) -> Key {
        Key { owner, file }
    }

    #[test]
    fn the_least_recently_used_goes_first_and_the_bound_holds() {
        let cache = FdCache::new(4);
        for n in 0..4 {
            cache.put(key(0, n), file(), false);
        }
        assert!(cache.get(key(0, 0), false).is_some());
        cache.put(key(0, 4), file(), false);
        assert!(cache.get(key(0, 1), false).is_none());
        for kept in [0, 2, 3, 4] {
            assert!(cache.get(key(0, kept), false).is_some());
        }
        for n in 0..1000 {
            cache.put(key(1, n), file(), false);
            assert!(cache.len() <= 4);
        }
        assert!(cache.lock().slots.len() <= 5);
    }

    #[test]
    fn a_reader_does_not_get_in_the_way_of_a_writer() {
        let cache = FdCache::new(4);
        cache.put(key(0, 0), file(), false);
        assert!(cache.get(key(0, 0), true).is_none());
        cache.put(key(0, 0), file(), true);
        assert!(cache.get(key(0, 0), true).is_some() && cache.get(key(0, 0), false).is_some());
        assert_eq!(cache.len(), 1);
    }

    #[test]
    fn one_torrent_is_forgotten_and_the_others_are_not() {
        let cache = FdCache::new(10);
        for n in 0..3 {
            cache.put(key(0, n), file(), false);
            cache.put(key(1, n), file(), false);
        }
        cache.forget(0);
        assert_eq!(cache.len(), 3);
        assert!(cache.get(key(0, 1), false).is_none() && cache.get(key(1, 1), false).is_some());
        cache.shrink();
        assert_eq!(cache.len(), 1);
        assert!(cache.get(key(1, 1), false).is_some(), "the most recently used is kept");
    }

    /// A file in use stays open although the cache let it go.
    #[test]
    fn an_evicted_file_lives_as_long_as_its_user() {
        let cache = FdCache::new(4);
        let held = cache.put(key(0, 0), file(), false);
        for n in 1..10 {
            cache.put(key(0, n), file(), false);
        }
        assert!(cache.get(key(0, 0), false).is_none());
        assert_eq!(Arc::strong_count(&held), 1);
        assert!(held.metadata().is_ok());
    }
}
