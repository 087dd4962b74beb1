//! A session as the threads of its connection share it: when its messages are sent and its reports made, when
//! the thread that minds the deadline is to wake, and why the connection is over.
//!
//! A connection has up to three threads: one reads frames, one minds orders and the deadline, and one sends
//! messages that a slow peer has not read yet. Each locks the conversation for a moment, passes it its input,
//! and carries out the result; the conversation never waits itself.
//!
//! Invariants: the consequences of an input are carried out at once, except after frames behind which there
//! is [more](Blocks::more) to read; the first reason to end is the one that counts; the thread that minds the
//! deadline never sleeps past it.

use super::session::{BlockOutcome, Learned, Session};
use crate::moment::Moment;
use crate::orders::{Order, Report};
use crate::pieces::{BLOCK, BlockRef};
use crate::violation::DisconnectReason;
use crate::wire::frame::Blocks;
use crate::wire::message::Message;

/// Frames that are taken in while there are more to be had at once, before what follows is sent.
const MAX_FRAMES_PER_TURN: u32 = 4;

/// One conversation.
#[derive(Debug)]
pub struct Conversation {
    session: Session,
    /// Bytes of messages that may wait for a peer that does not read, besides a bitfield.
    max_unsent: usize,
    /// Frames taken in since what follows was carried out.
    batch: u32,
    /// When the thread that minds the deadline wakes by itself.
    wakes: Moment,
    over: Option<DisconnectReason>,
}

/// What became of a run of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakenIn {
    /// Which of its blocks go to storage, a bit each.
    pub won: u8,
    /// Bytes of the others.
    pub wasted: u64,
}

/// The next thing to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToSend {
    /// The messages that were handed out.
    Messages,
    /// This block, to be read from disk.
    Block(BlockRef),
}

impl Conversation {
    /// A conversation in which nothing was said yet. More than `max_unsent` bytes of messages that wait
    /// to be sent, besides a bitfield, end it.
    pub fn new(session: Session, max_unsent: usize, now: Moment) -> Conversation {
        Conversation { session, max_unsent, batch: 0, wakes: now, over: None }
    }

    /// The session, to be looked at.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Tells the peer the UDP port of our DHT node (BEP 5).
    pub fn tell_dht_port(&mut self, port: u16) {
        self.session.tell_dht_port(port);
    }

    /// The pieces are known: see [`Session::learn`].
    ///
    /// # Errors
    /// Why the connection is over.
    pub fn learn(&mut self, learned: Learned, now: Moment) -> Result<(), DisconnectReason> {
        self.session.learn(learned, now)
    }

    /// Takes in a message. What follows is to be carried out.
    ///
    /// # Errors
    /// Why the connection is over.
    pub fn on_message(&mut self, message: Message, now: Moment) -> Result<(), DisconnectReason> {
        self.check_over()?;
        self.session.on_message(message, now).map_err(DisconnectReason::Violation)
    }

    /// Takes in a run of blocks: each is judged on its own.
    ///
    /// # Errors
    /// Why the connection is over.
    pub fn on_blocks<B>(&mut self, blocks: &Blocks<B>, now: Moment) -> Result<TakenIn, DisconnectReason> {
        self.check_over()?;
        let mut taken_in = TakenIn { won: 0, wasted: 0 };
        for block in blocks.refs() {
            match self.session.on_block(block, now).map_err(DisconnectReason::Violation)? {
                BlockOutcome::Ours => taken_in.won |= 1 << ((block.begin - blocks.begin) / BLOCK),
                BlockOutcome::Duplicate | BlockOutcome::Unrequested => {
                    taken_in.wasted += u64::from(block.length)
                }
            }
        }
        Ok(taken_in)
    }

    /// Whether what follows from the frames taken in is to be carried out now. It may wait while there
    /// is `more` to read at once, for a few frames.
    pub fn is_due_after(&mut self, more: bool) -> bool {
        self.batch = if more { self.batch + 1 } else { MAX_FRAMES_PER_TURN };
        let due = self.batch >= MAX_FRAMES_PER_TURN;
        if due {
            self.batch = 0;
        }
        due
    }

    /// Carries out an order.
    ///
    /// # Errors
    /// The reason to hang up, where that is the order.
    pub fn on_order(&mut self, order: Order, now: Moment) -> Result<(), DisconnectReason> {
        match order {
            Order::Close(why) => Err(why),
            order => {
                self.session.on_order(order, now);
                Ok(())
            }
        }
    }

    /// These pieces are verified.
    pub fn on_verified(&mut self, pieces: &[u32]) {
        self.session.announce(pieces);
    }

    /// This piece is there no longer. Ends the conversation where the peer cannot be told so.
    pub fn on_lost(&mut self, piece: u32) {
        if !self.session.withdraw(piece) {
            self.on_end(DisconnectReason::PiecesLost);
        }
    }

    /// A thread of the connection has ended for this reason, and so is the connection over.
    pub fn on_end(&mut self, why: DisconnectReason) {
        self.over.get_or_insert(why);
    }

    /// Does what is due. The peer's silence is `excused` where the connection was not read from, for
    /// reasons of our own, since the last call.
    ///
    /// # Errors
    /// Why the connection is over.
    pub fn on_time(&mut self, excused: bool, now: Moment) -> Result<(), DisconnectReason> {
        self.check_over()?;
        if excused {
            self.session.excuse(now);
        }
        self.session.on_time(now)
    }

    /// Until when the thread that minds the deadline sleeps, if nothing else happens.
    pub fn sleeps_until(&mut self) -> Moment {
        self.wakes = self.session.deadline();
        self.wakes
    }

    /// Whether that thread sleeps too long by now, and is to be woken.
    pub fn is_to_be_woken(&mut self) -> bool {
        let deadline = self.session.deadline();
        let sooner = deadline < self.wakes;
        self.wakes = self.wakes.min(deadline);
        sooner
    }

    /// The reports for the torrent, each once, in order.
    pub fn reports(&mut self) -> impl Iterator<Item = Report> + '_ {
        self.session.reports()
    }

    /// The port of the peer's DHT node, once it has told it; given once.
    pub fn dht_port(&mut self) -> Option<u16> {
        self.session.dht_port()
    }

    /// Messages to be sent: the caller sends and clears them.
    pub fn outgoing(&mut self) -> &mut Vec<u8> {
        self.session.outgoing()
    }

    /// Whether there is something to be read from disk and sent.
    pub fn has_uploads(&self) -> bool {
        self.session.uploads() > 0
    }

    /// The next thing to send: messages before blocks. Messages replace the contents of `messages`.
    pub fn next(&mut self, messages: &mut Vec<u8>) -> Option<ToSend> {
        messages.clear();
        let outgoing = self.session.outgoing();
        if !outgoing.is_empty() {
            std::mem::swap(outgoing, messages);
            return Some(ToSend::Messages);
        }
        self.session.next_upload().map(ToSend::Block)
    }

    /// The next block to send, where no messages are to be sent before it and it is no longer than a [`BLOCK`].
    pub fn next_block(&mut self) -> Option<BlockRef> {
        let is_short = self.session.first_upload().is_some_and(|block| block.length <= BLOCK);
        let is_next = is_short && self.session.outgoing().is_empty();
        if is_next { self.session.next_upload() } else { None }
    }

    /// Whether the peer may still be sent a block that was to be sent next: the piece may have been lost since.
    pub fn still_offers(&self, block: BlockRef) -> bool {
        self.session.offers(block.piece)
    }

    /// A block that was to be sent next cannot be.
    pub fn refuse(&mut self, block: BlockRef) {
        self.session.refuse(block);
    }

    /// Whether the peer reads what it is sent.
    ///
    /// # Errors
    /// [`DisconnectReason::Silent`] where too much waits to be sent.
    pub fn check_unsent(&mut self) -> Result<(), DisconnectReason> {
        let max_unsent = self.max_unsent + self.session.has().as_bytes().len();
        if self.session.outgoing().len() > max_unsent { Err(DisconnectReason::Silent) } else { Ok(()) }
    }

    /// The connection is closed: what the session still holds is reported returned.
    pub fn end(&mut self) {
        self.on_end(DisconnectReason::Shutdown);
        self.session.end();
    }

    /// Whether it goes on.
    ///
    /// # Errors
    /// Why the connection is over.
    pub fn check_over(&self) -> Result<(), DisconnectReason> {
        self.over.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests;
