//! The receiving end of a client's events. It tells an empty queue and a time-out from the end of the
//! client, and never blocks the sender: when the queue is full the oldest events are dropped and counted.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::Receiver;

use crate::event::Event;

/// The events of a client. Clones share one queue: each event goes to one of them.
///
/// Events that are queued when the client ends can still be received.
///
/// ```no_run
/// # fn main() -> bitwren::Result<()> {
/// let client = bitwren::Client::start(bitwren::Config::default())?;
/// for event in client.events() {
///     println!("{}: {:?}", event.torrent, event.what);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Events {
    receiver: Receiver<Event>,
    dropped: Arc<AtomicU64>,
}

/// The client has ended and every event has been received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RecvError;

/// Why [`Events::recv_timeout`] returned no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecvTimeoutError {
    /// The time passed; more events may follow.
    Timeout,
    /// The client has ended and every event has been received.
    Ended,
}

/// Why [`Events::try_recv`] returned no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TryRecvError {
    /// No event is queued; more may follow.
    Empty,
    /// The client has ended and every event has been received.
    Ended,
}

impl Events {
    pub(super) fn new(receiver: Receiver<Event>, dropped: Arc<AtomicU64>) -> Self {
        Events { receiver, dropped }
    }

    /// The queue itself, to be waited for together with others.
    #[cfg(feature = "daemon")]
    pub(crate) fn receiver(&self) -> &Receiver<Event> {
        &self.receiver
    }

    /// Waits for the next event.
    ///
    /// # Errors
    /// [`RecvError`] if the client has ended and every event has been received.
    pub fn recv(&self) -> Result<Event, RecvError> {
        self.receiver.recv().map_err(|_| RecvError)
    }

    /// Waits for the next event, at most `timeout`.
    ///
    /// # Errors
    /// [`RecvTimeoutError::Timeout`] if the time passed, [`RecvTimeoutError::Ended`] if the client has
    /// ended and every event has been received.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Event, RecvTimeoutError> {
        self.receiver.recv_timeout(timeout).map_err(|error| match error.is_timeout() {
            true => RecvTimeoutError::Timeout,
            false => RecvTimeoutError::Ended,
        })
    }

    /// The next event, if one is queued.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] if none is queued, [`TryRecvError::Ended`] if the client has ended and
    /// every event has been received.
    pub fn try_recv(&self) -> Result<Event, TryRecvError> {
        self.receiver.try_recv().map_err(|error| match error.is_empty() {
            true => TryRecvError::Empty,
            false => TryRecvError::Ended,
        })
    }

    /// An iterator over the events that waits for each. It ends when the client has ended and every
    /// event has been received.
    pub fn iter(&self) -> Iter<'_> {
        Iter { events: self }
    }

    /// How many events were dropped because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (queued, dropped) = (self.receiver.len(), self.dropped());
        f.debug_struct("Events").field("queued", &queued).field("dropped", &dropped).finish_non_exhaustive()
    }
}

/// An iterator over events, from [`Events::iter`].
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    events: &'a Events,
}

impl Iterator for Iter<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.events.recv().ok()
    }
}

/// An iterator over events that owns its [`Events`], from [`IntoIterator`].
#[derive(Debug, Clone)]
pub struct IntoIter {
    events: Events,
}

impl Iterator for IntoIter {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.events.recv().ok()
    }
}

impl<'a> IntoIterator for &'a Events {
    type Item = Event;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl IntoIterator for Events {
    type Item = Event;
    type IntoIter = IntoIter;

    fn into_iter(self) -> IntoIter {
        IntoIter { events: self }
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ENDED)
    }
}

impl fmt::Display for RecvTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RecvTimeoutError::Timeout => "no event arrived in time",
            RecvTimeoutError::Ended => ENDED,
        })
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryRecvError::Empty => "no event is queued",
            TryRecvError::Ended => ENDED,
        })
    }
}

const ENDED: &str = "the client has ended";

impl std::error::Error for RecvError {}
impl std::error::Error for RecvTimeoutError {}
impl std::error::Error for TryRecvError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::runtime::events::{EventSender, queue};
    use crate::event::EventKind;
    use crate::id::InfoHash;

    fn pair() -> (EventSender, Events) {
        let (sender, receiver, dropped) = queue();
        (sender, Events::new(receiver, dropped))
    }

    fn tell(sender: &EventSender, index: u32) {
        sender.tell(InfoHash::from_bytes([0; 20]), EventKind::Piece { index });
    }

    #[test]
    fn an_empty_queue_is_not_the_end_of_the_client() {
        let (sender, events) = pair();
        assert_eq!(events.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(events.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
        drop(sender);
        assert_eq!(events.try_recv(), Err(TryRecvError::Ended));
        assert_eq!(events.recv_timeout(Duration::MAX), Err(RecvTimeoutError::Ended));
        assert_eq!(events.recv(), Err(RecvError));
    }

    #[test]
    fn what_is_queued_when_the_client_ends_is_still_received() {
        let (sender, events) = pair();
        (0..3).for_each(|index| tell(&sender, index));
        drop(sender);
        assert_eq!(events.recv().unwrap().what, EventKind::Piece { index: 0 });
        let left: Vec<EventKind> = events.iter().map(|event| event.what).collect();
        assert_eq!(left, [EventKind::Piece { index: 1 }, EventKind::Piece { index: 2 }]);
        assert_eq!(events.into_iter().next(), None);
    }

    #[test]
    fn two_receivers_split_the_events() {
        let (sender, one) = pair();
        let other = one.clone();
        (0..2).for_each(|index| tell(&sender, index));
        let received = [one.recv().unwrap().what, other.recv().unwrap().what];
        assert_eq!(received, [0, 1].map(|index| EventKind::Piece { index }));
        assert_eq!(one.try_recv(), Err(TryRecvError::Empty));
    }
}
