//! What the peer may ask of us: whether it is choked, which pieces it may have all the same, and
//! how much asking is too much.
//!
//! A request that cannot be served is rejected where the Fast Extension allows it, and dropped in
//! silence where not. Only requests that are valid and for pieces we have reach the upload queue.

use std::net::IpAddr;

use super::allowed_fast;
use super::upload::{Pushed, UploadQueue};
use crate::bitfield::Bitfield;
use crate::id::InfoHash;
use crate::pieces::{BlockRef, Pieces};
use crate::violation::Violation;
use crate::wire::message::Message;

/// The longest block served, in bytes: some clients ask for more than 16 KiB.
const LONGEST: u32 = 128 * 1024;
/// Requests that may come while choked or for pieces we lack, until it is choked or unchoked: a long
/// queue can be on its way when we choke.
const IN_VAIN: u32 = 2_000;
/// Requests that may come past the end of the upload queue, until it is choked or unchoked.
const PAST_THE_END: u32 = 500;
/// The same where each is answered with a rejection.
const PAST_THE_END_REJECTED: u32 = 5_000;
/// Blocks of allowed-fast pieces served to a choked peer in one conversation.
const GIFTS: u32 = 256;

/// Our side of the bargain.
#[derive(Debug)]
pub(super) struct Serving {
    fast: bool,
    choked: bool,
    /// Pieces the peer may request while choked.
    granted: Vec<u32>,
    gifts: u32,
    /// Requests that could not be served, since it was last choked or unchoked.
    in_vain: u32,
    past_the_end: u32,
}

impl Serving {
    /// The peer is choked to begin with.
    pub(super) fn new(fast: bool) -> Self {
        Serving { fast, choked: true, granted: Vec::new(), gifts: GIFTS, in_vain: 0, past_the_end: 0 }
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
        uploads: &mut UploadQueue,
        out: &mut Vec<u8>,
    ) -> Result<bool, Violation> {
        if !pieces.is_valid_request(block, LONGEST) {
            return Err(Violation::BadRequest);
        }
        let allowed = !self.choked || self.gifts > 0 && self.granted.contains(&block.piece);
        if !allowed || !ours.has(block.piece) {
            self.in_vain += 1;
            self.reject(block, out);
            return if self.in_vain > IN_VAIN { Err(Violation::RequestFlood) } else { Ok(false) };
        }
        match uploads.push(block) {
            Pushed::Queued => {
                self.gifts -= u32::from(self.choked);
                Ok(true)
            }
            Pushed::Duplicate => Ok(false),
            Pushed::Full => {
                self.past_the_end += 1;
                self.reject(block, out);
                let grace = if self.fast { PAST_THE_END_REJECTED } else { PAST_THE_END };
                if self.past_the_end > grace { Err(Violation::RequestFlood) } else { Ok(false) }
            }
        }
    }

    /// Takes in a cancel. With the Fast Extension a request cancelled before it was served is
    /// answered with a rejection, as every request is answered somehow.
    pub(super) fn cancel(&mut self, block: BlockRef, uploads: &mut UploadQueue, out: &mut Vec<u8>) {
        if uploads.cancel(block) {
            self.reject(block, out);
        }
    }

    /// A piece is there no longer: what was asked for of it is rejected.
    pub(super) fn withdraw(&mut self, piece: u32, uploads: &mut UploadQueue, out: &mut Vec<u8>) {
        self.granted.retain(|&granted| granted != piece);
        for block in uploads.clear(|block| block.piece != piece) {
            self.reject(block, out);
        }
    }

    /// Chokes or unchokes the peer, which must be news to it. Choking empties the queue but for
    /// allowed-fast pieces.
    pub(super) fn choke(&mut self, choke: bool, uploads: &mut UploadQueue, out: &mut Vec<u8>) {
        self.choked = choke;
        (self.in_vain, self.past_the_end) = (0, 0);
        if choke {
            Message::Choke.encode(out);
            for block in uploads.clear(|block| self.granted.contains(&block.piece)) {
                self.reject(block, out);
            }
        } else {
            Message::Unchoke.encode(out);
        }
    }

    /// Says that a request will not be served, where that can be said (BEP 6).
    pub(super) fn reject(&self, block: BlockRef, out: &mut Vec<u8>) {
        if self.fast {
            Message::Reject(block).encode(out);
        }
    }
}
