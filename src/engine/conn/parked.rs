//! Connections over which metadata was requested, and which the torrent takes over once it has begun: a peer
//! that can only dial us would otherwise be lost, often for minutes, and every other would have to be dialed
//! again.
//!
//! Two threads share one: the reader notes what the peer says of what it has and does, and the writer, when
//! the torrent begins, turns into the connection's worker and says all of that again to the torrent's
//! conversation ([`Shared::hand_over`]). The reader goes on with the next frame that comes.
//!
//! Invariant: no more than [`MOST`] bytes of one peer are noted; a peer that sends more is disconnected, and
//! dialed again.

use std::sync::{Arc, Mutex, MutexGuard};

use crossbeam_channel::Sender;

use super::reader::Reading;
use crate::lock::lock;
use crate::orders::Order;
use crate::transport::Closer;
use crate::violation::DisconnectReason;
use crate::wire::extended;
use crate::wire::frame::Frame;
use crate::wire::message::Message;

/// Bytes of a peer's messages that are noted at most: a bitfield of half a million pieces.
const MOST: usize = 64 * 1024;

/// Such a connection in the hands of the torrent that will take it over. Dropped, it ends.
pub(crate) struct Parked {
    orders: Sender<Order>,
    closer: Option<Closer>,
}

impl Parked {
    pub(crate) fn new(orders: Sender<Order>, closer: Closer) -> Self {
        Parked { orders, closer: Some(closer) }
    }

    /// The torrent has begun.
    pub(crate) fn begin(mut self) {
        if self.orders.try_send(Order::Rejoin).is_ok() {
            self.closer = None;
        }
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        if let Some(closer) = self.closer.take() {
            closer.close();
        }
    }
}

/// What reader and writer share.
pub(crate) struct Shared(Mutex<State>);

enum State {
    /// Metadata is asked for; what the peer said, nothing where that was too much.
    Metadata(Option<Noted>),
    /// The torrent has it: what the reader needs to go on.
    Torrent(Box<Reading>),
    /// The reader has ended, or has gone on.
    Over,
}

/// What a peer said that tells how it stands.
#[derive(Default)]
struct Noted {
    messages: Vec<Message>,
    bytes: usize,
}

impl Shared {
    pub(crate) fn new() -> Arc<Shared> {
        Arc::new(Shared(Mutex::new(State::Metadata(Some(Noted::default())))))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    /// The peer said this. Where the torrent has the connection, how to go on with it.
    pub(crate) fn hears(&self, message: Option<&Message>) -> Option<Box<Reading>> {
        let mut state = self.lock();
        match std::mem::replace(&mut *state, State::Over) {
            State::Torrent(reading) => return Some(reading),
            State::Metadata(noted) => {
                let noted = match message {
                    Some(message) => noted.and_then(|noted| noted.and(message)),
                    None => noted,
                };
                *state = State::Metadata(noted);
            }
            State::Over => {}
        }
        None
    }

    /// The connection has ended. Where the torrent has it, it hears so.
    pub(crate) fn ends(&self, why: DisconnectReason) -> bool {
        let state = std::mem::replace(&mut *self.lock(), State::Over);
        match state {
            State::Torrent(reading) => reading.end(why),
            State::Metadata(_) | State::Over => return false,
        }
        true
    }

    /// Whether the connection can be taken over.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(&*self.lock(), State::Metadata(Some(_)))
    }

    /// The torrent takes over: its conversation hears what the peer has said so far.
    pub(crate) fn hand_over(&self, reading: Reading) {
        let mut state = self.lock();
        match std::mem::replace(&mut *state, State::Over) {
            State::Metadata(Some(noted)) => {
                for message in noted.messages {
                    if let Err(why) = reading.take_in(Frame::Message(message)) {
                        return reading.end(why);
                    }
                }
                *state = State::Torrent(Box::new(reading));
            }
            State::Metadata(None) | State::Torrent(_) | State::Over => reading.end(DisconnectReason::Lost),
        }
    }
}

impl Noted {
    /// With one more message; nothing where that is too much.
    fn and(mut self, message: &Message) -> Option<Noted> {
        let more = match message {
            Message::Bitfield(bytes) => bytes.len(),
            Message::Extended { id: extended::HANDSHAKE, payload } => payload.len(),
            Message::Have(_) | Message::HaveAll | Message::HaveNone => 0,
            Message::Choke | Message::Unchoke | Message::Interested | Message::NotInterested => 0,
            Message::AllowedFast(_) | Message::Suggest(_) | Message::Port(_) => 0,
            _ => return Some(self),
        };
        self.bytes += size_of::<Message>() + more;
        self.messages.push(message.clone());
        (self.bytes <= MOST).then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_how_a_peer_stands_is_noted_within_bounds() {
        let noted = [Message::HaveNone, Message::KeepAlive, Message::Have(3), Message::Unchoke];
        let noted = noted.iter().try_fold(Noted::default(), |noted, message| noted.and(message)).unwrap();
        assert_eq!(noted.messages, [Message::HaveNone, Message::Have(3), Message::Unchoke]);
        assert!(Noted::default().and(&Message::Bitfield(vec![0; MOST])).is_none());
        let flood = (0..10_000).try_fold(Noted::default(), |noted, piece| noted.and(&Message::Have(piece)));
        assert!(flood.is_none());
    }

    #[test]
    fn a_peer_that_sends_too_much_is_not_taken_over() {
        let shared = Shared::new();
        assert!(shared.hears(Some(&Message::HaveAll)).is_none() && shared.is_whole());
        assert!(shared.hears(Some(&Message::Bitfield(vec![0; MOST]))).is_none() && !shared.is_whole());
        assert!(!shared.ends(DisconnectReason::Lost));
    }
}
