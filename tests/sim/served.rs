//! What one peer may be sent: a block once for each time that it was asked for, and while the peer is choked
//! only of pieces that it was allowed (BEP 6).
//!
//! Seen from outside: from what the peer said and what it was told.

use std::collections::BTreeSet;

use bitwren::internals::pieces::BlockRef;
use bitwren::internals::wire::message::Message;

/// The requests of a peer that wait, as far as they can be seen from outside.
#[derive(Debug, Default)]
pub struct Served {
    asked: BTreeSet<BlockRef>,
    allowed: BTreeSet<u32>,
}

impl Served {
    /// The peer says this. What it asks for while it is choked is only served if that was allowed.
    pub fn hears(&mut self, message: &Message, choked: bool) {
        match message {
            Message::Request(block) if !choked || self.allowed.contains(&block.piece) => {
                self.asked.insert(*block);
            }
            Message::Cancel(block) => _ = self.asked.remove(block),
            _ => {}
        }
    }

    /// The peer is told that it may ask for this piece while it is choked.
    pub fn allows(&mut self, piece: u32) {
        self.allowed.insert(piece);
    }

    /// The peer is told that it is choked: what it asked for is forgotten.
    pub fn chokes(&mut self) {
        self.asked.retain(|block| self.allowed.contains(&block.piece));
    }

    /// The peer is sent this block next.
    pub fn sends(&mut self, block: BlockRef, choked: bool) {
        let may = !choked || self.allowed.contains(&block.piece);
        assert!(may, "{block:?} is served to a peer that is choked, and was not allowed it");
        assert!(self.asked.remove(&block), "{block:?} is served, and was not asked for, or not twice");
    }
}
