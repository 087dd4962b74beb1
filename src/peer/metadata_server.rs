//! Metadata for a peer that has none yet (BEP 9): which blocks of the info dictionary it asked for, and when
//! each is sent.
//!
//! A peer may request a block a few times over; one that requests without end is disconnected. Blocks go out
//! at a bounded rate, and none while much is unsent, so that a dictionary of any length costs no memory but
//! the list of requests.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::message_limits::MessageLimit;
use crate::metainfo::Metainfo;
use crate::moment::Moment;
use crate::violation::Violation;
use crate::wire::ut_metadata::{METADATA_BLOCK, MetadataMessage};

/// Blocks that may go out at once, and how often one more: 256 KiB, and 800 KiB a second.
const BURST: u32 = 16;
const SEND_EVERY: Duration = Duration::from_millis(20);
/// Requests that may wait.
const MAX_WAITING: usize = 1024;
/// How often the whole dictionary may be requested, and requests on top of that.
const MAX_COPIES: u64 = 4;
const EXTRA_REQUESTS: u64 = 64;
/// While more bytes than this are unsent, no block is added to them until the pause is over.
const MAX_UNSENT: usize = 256 * 1024;
const SEND_INTERVAL: Duration = Duration::from_millis(250);

/// The metadata requests of one peer.
#[derive(Debug)]
pub(super) struct MetadataServer {
    metainfo: Arc<Metainfo>,
    waiting: VecDeque<u32>,
    asked: u64,
    pace: MessageLimit,
    /// Too much was unsent: not before.
    after: Moment,
}

impl MetadataServer {
    pub(super) fn new(metainfo: Arc<Metainfo>, now: Moment) -> Self {
        let pace = MessageLimit::new(BURST, SEND_EVERY);
        MetadataServer { metainfo, waiting: VecDeque::new(), asked: 0, pace, after: now }
    }

    /// Takes a request. False if it is to be rejected.
    pub(super) fn ask(&mut self, block: u32) -> Result<bool, Violation> {
        let blocks = self.metainfo.info_bytes().len().div_ceil(METADATA_BLOCK) as u64;
        let enough = MAX_COPIES * blocks + EXTRA_REQUESTS;
        self.asked += 1;
        if self.asked > 2 * enough {
            return Err(Violation::RequestFlood);
        }
        if self.waiting.contains(&block) {
            return Ok(true);
        }
        let served = u64::from(block) < blocks && self.asked <= enough && self.waiting.len() < MAX_WAITING;
        if served {
            self.waiting.push_back(block);
        }
        Ok(served)
    }

    /// The next block to send, if it is time; `unsent` bytes wait to be sent before it.
    pub(super) fn next(&mut self, unsent: usize, now: Moment) -> Option<MetadataMessage<'_>> {
        if self.due()? > now {
            return None;
        }
        if unsent > MAX_UNSENT {
            self.after = now + SEND_INTERVAL;
            return None;
        }
        self.pace.add(now);
        let piece = self.waiting.pop_front()?;
        let info = self.metainfo.info_bytes();
        let start = piece as usize * METADATA_BLOCK;
        let bytes = info.get(start..info.len().min(start + METADATA_BLOCK))?;
        Some(MetadataMessage::Data { piece, total_size: Some(info.len() as u64), bytes })
    }

    /// When there will be something to send.
    pub(super) fn due(&self) -> Option<Moment> {
        (!self.waiting.is_empty()).then(|| self.after.max(self.pace.free_at()))
    }

    /// The peer disabled ut_metadata (id 0): its pending requests are dropped.
    pub(super) fn forget(&mut self) {
        self.waiting.clear();
    }
}
