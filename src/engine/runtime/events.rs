//! The queue of events to the embedder: bounded, and if it is not read the oldest are dropped first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::event::{Event, EventKind};
use crate::id::InfoHash;

/// Events that may wait to be read.
const QUEUE: usize = 2048;

/// Sends events to the embedder.
#[derive(Clone)]
pub(crate) struct EventSender {
    sender: Sender<Event>,
    oldest: Receiver<Event>,
    dropped: Arc<AtomicU64>,
}

/// The reading end, and how many were dropped.
pub(crate) fn queue() -> (EventSender, Receiver<Event>, Arc<AtomicU64>) {
    let (sender, receiver) = bounded(QUEUE);
    let dropped = Arc::new(AtomicU64::new(0));
    (EventSender { sender, oldest: receiver.clone(), dropped: dropped.clone() }, receiver, dropped)
}

impl EventSender {
    /// Sends one event; never waits.
    pub(crate) fn tell(&self, torrent: InfoHash, what: EventKind) {
        let mut event = Event { torrent, what };
        while let Err(TrySendError::Full(back)) = self.sender.try_send(event) {
            event = back;
            if self.oldest.try_recv().is_ok() {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first_and_are_counted() {
        let (events, receiver, dropped) = queue();
        for index in 0..QUEUE as u32 + 3 {
            events.tell(InfoHash::from_bytes([0; 20]), EventKind::Piece { index });
        }
        assert_eq!(dropped.load(Ordering::Relaxed), 3);
        assert_eq!(receiver.try_recv().unwrap().what, EventKind::Piece { index: 3 });
    }
}
