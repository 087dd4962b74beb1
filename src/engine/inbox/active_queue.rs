//! The active slots of all torrents of a client behind a lock, and how those that wait are told.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use super::TorrentSender;
use crate::host::active_queue::Queue;
use crate::id::TorrentKey;
use crate::lock::lock;
use crate::torrent::Input;

/// The slots.
pub(crate) struct ActiveQueue {
    state: Mutex<State>,
    limited: bool,
}

struct State {
    queue: Queue<TorrentKey>,
    waiting: HashMap<TorrentKey, TorrentSender>,
}

impl ActiveQueue {
    /// A queue of `slots` slots; 0 is no limit.
    pub(crate) fn new(slots: u32) -> Self {
        let queue = Queue::new(slots as usize);
        let limited = queue.is_limited();
        ActiveQueue { limited, state: Mutex::new(State { queue, waiting: HashMap::new() }) }
    }

    /// Whether a torrent may have to wait.
    pub(crate) fn is_limited(&self) -> bool {
        self.limited
    }

    /// Whether a slot is had at once; otherwise the torrent is told when.
    pub(crate) fn ask(&self, key: TorrentKey, torrent: &TorrentSender) -> bool {
        let State { queue, waiting } = &mut *self.lock();
        let had = queue.ask(key);
        if !had {
            waiting.insert(key, torrent.clone());
        }
        had
    }

    /// Gives a slot back, or the wish for one up.
    pub(crate) fn release(&self, key: TorrentKey) {
        let next = {
            let State { queue, waiting } = &mut *self.lock();
            waiting.remove(&key);
            queue.done(key).and_then(|next| waiting.remove(&next))
        };
        if let Some(torrent) = next {
            // A torrent that waits gives no slot to another, so this cannot go in a circle; one that ends
            // just now gives the slot back itself.
            let _ = torrent.send(Input::SlotGranted.into());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}
