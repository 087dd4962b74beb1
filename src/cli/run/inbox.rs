//! The one place where a run waits: events of its client, signals, and what else it listens to.
//!
//! A thread hands the client's events on, as they come from a channel of another kind. It ends with the
//! client. A signal to end is remembered, so that it is seen even if the inbox is full.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use bitwren::{Event, EventKind, Events};

use super::signals::Signals;
use crate::cli::exit::Failure;

/// Messages that wait for the run. Further events wait in the client's own queue, which drops the oldest.
const CAPACITY: usize = 256;
/// Bytes of stack for a thread that hands messages on; it may read a file for one.
const STACK: usize = 256 << 10;

/// Something to act on; `T` is what only this kind of run listens to.
#[derive(Debug, PartialEq)]
pub enum Wake<T> {
    Event(Event),
    /// This many events of the client were dropped.
    Dropped(u64),
    /// The client has ended and there are no more events.
    Ended,
    /// A signal asks for the end.
    Interrupted,
    /// A signal asks for a status line.
    Status,
    Other(T),
}

/// The queue of a run.
pub struct Inbox<T> {
    sender: SyncSender<Wake<T>>,
    receiver: Receiver<Wake<T>>,
    interrupted: Arc<AtomicBool>,
}

impl<T: Send + 'static> Inbox<T> {
    pub fn new() -> Self {
        let (sender, receiver) = sync_channel(CAPACITY);
        Inbox { sender, receiver, interrupted: Arc::default() }
    }

    /// From now on the first signal to end is left to the run.
    pub fn end_at(&self, signals: &Signals) {
        let (sender, interrupted) = (self.sender.clone(), self.interrupted.clone());
        signals.at_first(move || {
            // If the queue is full, the run looks at the flag after what is in it.
            interrupted.store(true, Ordering::Relaxed);
            let _ = sender.try_send(Wake::Interrupted);
        });
    }

    /// From now on the signal that asks for a status line reaches the run.
    pub fn report_at(&self, signals: &Signals) {
        let sender = self.sender.clone();
        signals.at_status(move || drop(sender.try_send(Wake::Status)));
    }

    /// Whether a signal asked for the end.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Waits for the next message, until `deadline` if there is one.
    pub fn wait(&self, deadline: Option<Instant>) -> Option<Wake<T>> {
        match deadline {
            Some(deadline) => {
                self.receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
            }
            None => self.receiver.recv().ok(),
        }
    }

    /// Hands the client's events on. Of `pieces` there may be millions: they come only if asked for.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn hand_on_events(&self, events: Events, pieces: bool) -> Result<(), Failure> {
        let to = self.sender.clone();
        spawn("events", move || {
            let mut dropped = 0;
            loop {
                let event = events.recv();
                let more = events.dropped() - dropped;
                dropped += more;
                if more > 0 && to.send(Wake::Dropped(more)).is_err() {
                    return;
                }
                let wake = match event {
                    Ok(Event { what: EventKind::Piece { .. }, .. }) if !pieces => continue,
                    Ok(event) => Wake::Event(event),
                    Err(_) => Wake::Ended,
                };
                let ended = matches!(wake, Wake::Ended);
                if to.send(wake).is_err() || ended {
                    return;
                }
            }
        })
    }

    /// From now on the signal that asks for files to be read again has `read` called, on a thread of its own,
    /// and what it returns handed on.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn reload_at(
        &self,
        signals: &Signals,
        name: &str,
        read: impl Fn() -> T + Send + 'static,
    ) -> Result<(), Failure> {
        // One request may wait while another is carried out: the files are read once more then.
        let (sender, requests) = sync_channel(1);
        self.hand_on(name, requests.into_iter().map(move |()| read()))?;
        signals.at_reload(move || _ = sender.try_send(()));
        Ok(())
    }

    /// Hands on what else the run listens to, until its sender is gone.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn hand_on(
        &self,
        name: &str,
        from: impl IntoIterator<Item = T> + Send + 'static,
    ) -> Result<(), Failure> {
        let to = self.sender.clone();
        spawn(name, move || _ = from.into_iter().try_for_each(|one| to.send(Wake::Other(one))))
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let thread = std::thread::Builder::new().name(name.into()).stack_size(STACK).spawn(body);
    thread.map(drop).map_err(Failure::no_thread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_inbox_loses_no_signal_to_end() {
        let (inbox, signals) = (Inbox::<u32>::new(), Signals::default());
        inbox.end_at(&signals);
        inbox.report_at(&signals);
        let (sender, receiver) = sync_channel(CAPACITY);
        (0..CAPACITY as u32).for_each(|number| sender.send(number).unwrap());
        drop(sender);
        inbox.hand_on("numbers", receiver).unwrap();
        // The last of them is in the queue when as many were taken, or it waits for room.
        assert_eq!(inbox.wait(None), Some(Wake::Other(0)));
        (1..CAPACITY as u32).for_each(|number| assert_eq!(inbox.wait(None), Some(Wake::Other(number))));
        (0..CAPACITY).for_each(|_| signals.ask_for_status());
        assert!(!inbox.is_interrupted());
        signals.ask_for_end();
        assert!(inbox.is_interrupted());
        (0..CAPACITY).for_each(|_| assert_eq!(inbox.wait(None), Some(Wake::Status)));
        assert_eq!(inbox.wait(Some(Instant::now())), None);
    }
}
