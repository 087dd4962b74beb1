//! A conversation that begins before it is known what the torrent is made of (BEP 9): metadata is asked for,
//! what the peer says of pieces is held, and once they are known it is judged and the conversation goes on.
//!
//! Invariant: until then nothing is requested or served, and no piece is reported.

use super::Session;
use super::extended::ExtensionSetup;
use crate::bitfield::Bitfield;
use crate::moment::Moment;
use crate::orders::Report;
use crate::pieces::Pieces;
use crate::violation::{DisconnectReason, Violation};
use crate::wire::message::Message;
use crate::wire::ut_metadata::MetadataMessage;

/// With more pieces than this a bitfield tells the peer what we have, although it is not the first message;
/// with fewer each is told on its own, as BEP 3 has it.
const MAX_HAVES: u32 = 2_000;

/// What a conversation learns.
#[derive(Debug, Clone)]
pub struct Learned {
    /// The torrent's sizes.
    pub pieces: Pieces,
    /// The pieces we have, as far as the peer may see.
    pub have: Bitfield,
    /// What we offer now, where both sides speak the Extension Protocol.
    pub extension_setup: Option<ExtensionSetup>,
}

impl Session {
    /// The pieces are known: what the peer said of them so far is taken in, and it is told what we have. Nothing
    /// happens where they were known before.
    ///
    /// # Errors
    /// Why the connection is over: a [`Violation`] where the peer named pieces that there are not, and
    /// [`DisconnectReason::Shutdown`] where it named too many for them to be held.
    pub fn learn(&mut self, learned: Learned, now: Moment) -> Result<(), DisconnectReason> {
        let Some(early) = self.early.take() else { return Ok(()) };
        self.now = self.now.max(now);
        let Learned { pieces, have, extension_setup } = learned;
        let theirs = early.judge(pieces.count())?;
        if self.allowed.iter().any(|&piece| !pieces.contains(piece)) {
            return Err(DisconnectReason::Violation(Violation::IndexOutOfRange));
        }
        self.pieces = pieces;
        self.requests.learn(pieces);
        self.theirs = Bitfield::empty(pieces.count());
        self.ours = have;
        if let Some(extension_setup) = extension_setup {
            self.resend_extension_handshake(extension_setup);
        }
        self.tell_ours(theirs.as_ref());
        theirs.into_iter().for_each(|theirs| self.tell(theirs));
        for piece in self.allowed.clone() {
            self.reports.push(Report::AllowedFast(piece));
        }
        self.work();
        Ok(())
    }

    /// The peer was told that we have nothing.
    fn tell_ours(&mut self, theirs: Option<&Bitfield>) {
        if self.ours.count() > MAX_HAVES {
            return self.say(Message::Bitfield(self.ours.as_bytes().to_vec()));
        }
        let is_theirs = |piece| theirs.is_some_and(|theirs| theirs.has(piece));
        let (known, news): (Vec<u32>, Vec<u32>) = self.ours.iter().partition(|&piece| is_theirs(piece));
        news.into_iter().for_each(|piece| self.say(Message::Have(piece)));
        self.untold = known;
    }

    /// Holds what a message says of pieces that are not known. The other messages are given back; whether what
    /// was held is news.
    pub(super) fn hold(&mut self, message: Message) -> Result<Result<bool, Message>, Violation> {
        let Some(early) = &mut self.early else { return Ok(Err(message)) };
        let mut news = false;
        match message {
            Message::Have(piece) => news = early.have(piece),
            Message::Bitfield(bytes) => early.bitfield(bytes)?,
            Message::HaveAll => early.everything(),
            Message::HaveNone => early.nothing(),
            Message::AllowedFast(piece) => _ = self.allow_fast(piece),
            Message::Request(block) => self.gate.reject(block, &mut self.out),
            Message::Suggest(_) | Message::Cancel(_) => {}
            other => return Ok(Err(other)),
        }
        Ok(Ok(news))
    }

    /// Asks for a block of the metadata, where the peer exchanges that.
    pub(super) fn ask_metadata(&mut self, block: u32) {
        let request = MetadataMessage::Request(block).encode();
        self.send_extended(|theirs| theirs.ut_metadata, request);
    }
}
