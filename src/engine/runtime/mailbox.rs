//! A bounded queue whose messages end with its reader.
//!
//! When the last receiver of crossbeam's bounded channel is dropped, its messages stay there for as long as a
//! sender exists. A question among them is then never answered and never dropped either: a thread that waits
//! for the answer, and is itself a sender, waits for good, and holds all that it has. Here the reader, when
//! it is dropped, waits for sends under way, admits no further ones, and drops everything.
//!
//! Invariant: once the [`Inbox`] is gone the queue is empty, and stays so.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, SendError, SendTimeoutError, TrySendError};

/// How often an ending reader checks whether sends under way are done.
const CHECK_INTERVAL: Duration = Duration::from_millis(1);

/// A queue with room for `room` messages.
pub(crate) fn bounded<T>(room: usize) -> (Sender<T>, Inbox<T>) {
    let (sender, receiver) = crossbeam_channel::bounded(room);
    let gate = Arc::new(Gate::default());
    (Sender { queue: sender, gate: gate.clone() }, Inbox { queue: receiver, gate })
}

/// The sends under way, and whether further ones are admitted.
#[derive(Default)]
struct Gate {
    closed: AtomicBool,
    inside: AtomicUsize,
}

impl Gate {
    /// Sends within the gate; the message is returned if it is closed.
    ///
    /// Each side writes its own flag before it reads the other's, in one order that both see: the reader sees
    /// a sender that found the gate open, and waits for it.
    fn pass<T, R>(&self, message: T, send: impl FnOnce(T) -> R) -> Result<R, T> {
        self.inside.fetch_add(1, Ordering::SeqCst);
        let sent = if self.closed.load(Ordering::SeqCst) { Err(message) } else { Ok(send(message)) };
        self.inside.fetch_sub(1, Ordering::SeqCst);
        sent
    }
}

/// The sending end; clones send to the same reader.
pub(crate) struct Sender<T> {
    queue: crossbeam_channel::Sender<T>,
    gate: Arc<Gate>,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender { queue: self.queue.clone(), gate: self.gate.clone() }
    }
}

impl<T> Sender<T> {
    /// Sends, and waits for room as long as the reader is there.
    pub(crate) fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.gate
            .pass(message, |message| self.queue.send(message))
            .unwrap_or_else(|message| Err(SendError(message)))
    }

    /// Sends if there is room.
    pub(crate) fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let sent = self.gate.pass(message, |message| self.queue.try_send(message));
        sent.unwrap_or_else(|message| Err(TrySendError::Disconnected(message)))
    }

    /// Sends, and waits for room for so long.
    pub(crate) fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        let sent = self.gate.pass(message, |message| self.queue.send_timeout(message, timeout));
        sent.unwrap_or_else(|message| Err(SendTimeoutError::Disconnected(message)))
    }
}

/// The reading end, of which there is one.
pub(crate) struct Inbox<T> {
    queue: Receiver<T>,
    gate: Arc<Gate>,
}

impl<T> Deref for Inbox<T> {
    type Target = Receiver<T>;

    fn deref(&self) -> &Receiver<T> {
        &self.queue
    }
}

impl<T> Drop for Inbox<T> {
    fn drop(&mut self) {
        self.gate.closed.store(true, Ordering::SeqCst);
        // They are through in no time, or wait for the room that is made here.
        while self.gate.inside.load(Ordering::SeqCst) > 0 {
            drop(self.queue.recv_timeout(CHECK_INTERVAL));
        }
        self.queue.try_iter().for_each(drop);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unread_messages_end_with_the_reader_and_none_is_sent_after() {
        let (sender, inbox) = bounded(2);
        let (question, answer) = crossbeam_channel::bounded::<()>(0);
        sender.try_send(question).unwrap();
        drop(inbox);
        assert!(answer.recv_timeout(Duration::from_secs(30)).is_err_and(|error| error.is_disconnected()));
        let another = || crossbeam_channel::bounded(0).0;
        assert!(sender.send(another()).is_err());
        assert!(sender.try_send(another()).is_err_and(|error| error.is_disconnected()));
        let late = sender.send_timeout(another(), Duration::from_secs(30));
        assert!(late.is_err_and(|error| error.is_disconnected()));
    }

    /// A peer's thread asked to be let in while its torrent ended, and waited for good.
    #[test]
    fn no_question_is_left_behind_in_whatever_moment_it_is_asked() {
        let rounds = if cfg!(miri) { 20 } else { 2_000 };
        for round in 0..rounds {
            let (sender, inbox) = bounded::<crossbeam_channel::Sender<()>>(1 + round % 3);
            let askers: Vec<_> = (0..3)
                .map(|_| {
                    let sender = sender.clone();
                    std::thread::spawn(move || {
                        loop {
                            let (question, answer) = crossbeam_channel::bounded(1);
                            if sender.send(question).is_err() {
                                return;
                            }
                            match answer.recv_timeout(Duration::from_secs(30)) {
                                Ok(()) => {}
                                Err(error) => return assert!(error.is_disconnected(), "never answered"),
                            }
                        }
                    })
                })
                .collect();
            for _ in 0..round % 7 {
                let _ = inbox.recv().unwrap().send(());
            }
            drop(inbox);
            askers.into_iter().for_each(|asker| asker.join().unwrap());
        }
    }
}
