//! The active slots of all torrents of a client behind a lock, and how those that wait are told.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use super::TorrentSender;
use crate::host::active_queue::{Lane, Queue, QueueMove};
use crate::id::TorrentKey;
use crate::lock::lock;
use crate::torrent::Input;

/// The slots.
pub(crate) struct ActiveQueue(Mutex<State>);

struct State {
    queue: Queue<TorrentKey>,
    waiting: HashMap<TorrentKey, TorrentSender>,
}

impl ActiveQueue {
    /// A queue of this many slots to download; 0 is no limit.
    pub(crate) fn new(downloads: u32) -> Self {
        let queue = Queue::new(downloads as usize, 0);
        ActiveQueue(Mutex::new(State { queue, waiting: HashMap::new() }))
    }

    /// Whether a torrent may have to wait until it downloads, and until it seeds.
    pub(crate) fn are_limited(&self) -> (bool, bool) {
        let queue = &self.lock().queue;
        (queue.is_limited(Lane::Download), queue.is_limited(Lane::Seed))
    }

    /// Changes the numbers of slots; 0 is no limit.
    pub(crate) fn set_most(&self, downloads: u32, seeds: u32) {
        self.change(|queue| queue.set_most(downloads as usize, seeds as usize));
    }

    /// All torrents, in order.
    pub(crate) fn order(&self) -> Vec<TorrentKey> {
        self.lock().queue.order().to_vec()
    }

    /// Moves torrents in the order.
    pub(crate) fn shift(&self, keys: &[TorrentKey], to: QueueMove) {
        self.lock().queue.shift(keys, to);
    }

    /// Moves a torrent to a place in the order.
    pub(crate) fn place(&self, key: TorrentKey, at: usize) {
        self.lock().queue.place(key, at);
    }

    /// A torrent takes the last place.
    pub(crate) fn enter(&self, key: TorrentKey) {
        self.lock().queue.enter(key);
    }

    /// A torrent has ended.
    pub(crate) fn leave(&self, key: TorrentKey) {
        self.lock().waiting.remove(&key);
        self.change(|queue| queue.leave(key));
    }

    /// Lets a torrent past the queue.
    pub(crate) fn force(&self, key: TorrentKey) {
        let State { queue, waiting } = &mut *self.lock();
        queue.force(key);
        waiting.remove(&key);
    }

    /// Whether a slot is had at once; otherwise the torrent is told when.
    pub(crate) fn ask(&self, key: TorrentKey, lane: Lane, torrent: &TorrentSender) -> bool {
        let State { queue, waiting } = &mut *self.lock();
        let had = queue.ask(key, lane);
        if !had {
            waiting.insert(key, torrent.clone());
        }
        had
    }

    /// Gives a slot back, or the wish for one up.
    pub(crate) fn release(&self, key: TorrentKey) {
        self.lock().waiting.remove(&key);
        self.change(|queue| queue.done(key));
    }

    /// Changes the queue, and tells those whose turn it is.
    fn change(&self, change: impl FnOnce(&mut Queue<TorrentKey>) -> Vec<TorrentKey>) {
        let granted: Vec<TorrentSender> = {
            let State { queue, waiting } = &mut *self.lock();
            change(queue).into_iter().filter_map(|next| waiting.remove(&next)).collect()
        };
        for torrent in granted {
            // A torrent that waits gives no slot to another, so this cannot go in a circle; one that ends
            // just now gives the slot back itself.
            let _ = torrent.send(Input::SlotGranted.into());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}
