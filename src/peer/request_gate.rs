//! What the peer may request: whether it is choked, which pieces it may have all the same, how many requests
//! are too many, and those that wait to be served.
//!
//! A request that cannot be served is rejected if the Fast Extension allows it, and dropped silently if not.
//! Only requests that are valid and for pieces we have reach the upload queue.

use std::net::IpAddr;

use super::allowed_fast;
use super::upload::{Pushed, UploadQueue};
use crate::bitfield::Bitfield;
use crate::id::InfoHash;
use crate::pieces::{BlockRef, Pieces};
use crate::violation::Violation;
use crate::wire::message::Message;

/// The longest block served, in bytes: some clients request more than 16 KiB.
const MAX_BLOCK: u32 = 128 * 1024;
/// Requests that may come while choked or for pieces we lack, until it is choked or unchoked: a long
/// queue can be under way when we choke.
const MAX_REFUSED: u32 = 2_000;
/// Requests that may come past the end of the upload queue, until it is choked or unchoked.
const MAX_OVERFLOWING: u32 = 500;
/// The same where each is answered with a rejection.
const MAX_OVERFLOWING_REJECTED: u32 = 5_000;
/// Blocks of allowed-fast pieces served to a choked peer in one conversation.
const MAX_FAST_BLOCKS: u32 = 256;

/// The requests of one peer, and which of them are let in.
#[derive(Debug)]
pub(super) struct RequestGate {
    fast: bool,
    choked: bool,
    /// Pieces the peer may request while choked.
    granted: Vec<u32>,
    fast_blocks: u32,
    /// Requests that could not be served, since it was last choked or unchoked.
    refused: u32,
    overflowing: u32,
    uploads: UploadQueue,
}

impl RequestGate {
    /// The peer is choked to begin with.
    pub(super) fn new(fast: bool) -> Self {
        RequestGate {
            fast,
            choked: true,
            granted: Vec::new(),
            fast_blocks: MAX_FAST_BLOCKS,
            refused: 0,
            overflowing: 0,
            uploads: UploadQueue::default(),
        }
    }

    /// Whether the peer is choked.
    pub(super) fn is_choked(&self) -> bool {
        self.choked
    }

    /// Chooses the pieces that a peer with little may have while choked, and returns them: of its
    /// allowed-fast set (BEP 6) those that are of use to it.
    pub(super) fn grant(
        &mut self,
        pieces: &Pieces,
        hash: InfoHash,
        ip: IpAddr,
        ours: &Bitfield,
        theirs: &Bitfield,
    ) -> &[u32] {
        let size = allowed_fast::SIZE;
        if let (true, IpAddr::V4(ip)) = (theirs.count() < size as u32, ip.to_canonical()) {
            self.granted = allowed_fast::set(size, pieces.count(), hash, ip);
            self.granted.retain(|piece| ours.has(*piece) && !theirs.has(*piece));
        }
        &self.granted
    }

    /// Takes in a request for a block of a piece in range. False where nothing comes of it.
    pub(super) fn request(
        &mut self,
        block: BlockRef,
        pieces: &Pieces,
        ours: &Bitfield,
        out: &mut Vec<u8>,
    ) -> Result<bool, Violation> {
        if !pieces.is_valid_request(block, MAX_BLOCK) {
            return Err(Violation::BadRequest);
        }
        let allowed = !self.choked || self.fast_blocks > 0 && self.granted.contains(&block.piece);
        if !allowed || !ours.has(block.piece) {
            self.refused += 1;
            self.reject(block, out);
            return if self.refused > MAX_REFUSED { Err(Violation::RequestFlood) } else { Ok(false) };
        }
        match self.uploads.push(block) {
            Pushed::Queued => {
                self.fast_blocks -= u32::from(self.choked);
                Ok(true)
            }
            Pushed::Duplicate => Ok(false),
            Pushed::Full => {
                self.overflowing += 1;
                self.reject(block, out);
                let grace = if self.fast { MAX_OVERFLOWING_REJECTED } else { MAX_OVERFLOWING };
                if self.overflowing > grace { Err(Violation::RequestFlood) } else { Ok(false) }
            }
        }
    }

    /// Takes in a cancel. With the Fast Extension a request cancelled before it was served is
    /// answered with a rejection, as every request is answered somehow.
    pub(super) fn cancel(&mut self, block: BlockRef, out: &mut Vec<u8>) {
        if self.uploads.cancel(block) {
            self.reject(block, out);
        }
    }

    /// A piece was lost: requests for it are rejected.
    pub(super) fn withdraw(&mut self, piece: u32, out: &mut Vec<u8>) {
        self.granted.retain(|&granted| granted != piece);
        for block in self.uploads.clear(|block| block.piece != piece) {
            self.reject(block, out);
        }
    }

    /// Chokes or unchokes the peer, which must be news to it. Choking empties the queue but for
    /// allowed-fast pieces.
    pub(super) fn choke(&mut self, choke: bool, out: &mut Vec<u8>) {
        self.choked = choke;
        (self.refused, self.overflowing) = (0, 0);
        if choke {
            Message::Choke.encode(out);
            for block in self.uploads.clear(|block| self.granted.contains(&block.piece)) {
                self.reject(block, out);
            }
        } else {
            Message::Unchoke.encode(out);
        }
    }

    /// The block that is to be sent next, taken off the queue.
    pub(super) fn next_upload(&mut self) -> Option<BlockRef> {
        self.uploads.pop()
    }

    /// The same, left in the queue.
    pub(super) fn first_upload(&self) -> Option<BlockRef> {
        self.uploads.first()
    }

    /// How many requests wait.
    pub(super) fn uploads(&self) -> usize {
        self.uploads.len()
    }

    /// Says that a request will not be served, where that can be said (BEP 6).
    pub(super) fn reject(&self, block: BlockRef, out: &mut Vec<u8>) {
        if self.fast {
            Message::Reject(block).encode(out);
        }
    }
}
