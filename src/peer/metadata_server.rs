//! Metadata for a peer that has none yet (BEP 9): which blocks of the info dictionary it asked for,
//! and when each is sent.
//!
//! A block may be asked for a few times over, for what a peer was sent may have been lost to it;
//! whoever asks without end is stopped. Blocks go out at a measured pace, and none while much is
//! unsent, so that a dictionary of any length costs no memory but the list of what was asked for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::flood::Flood;
use crate::metainfo::Metainfo;
use crate::moment::Moment;
use crate::violation::Violation;
use crate::wire::ut_metadata::{METADATA_BLOCK, MetadataMessage};

/// Blocks that may go out at once, and one more each time that has passed: 256 KiB, and 800 KiB a
/// second.
const BURST: u32 = 16;
const PACE: Duration = Duration::from_millis(20);
/// Requests that may wait.
const WAITING: usize = 1024;
/// How often the whole dictionary may be asked for, and requests on top.
const TIMES: u64 = 4;
const MARGIN: u64 = 64;
/// While so much is unsent, nothing is added to it; it is looked again after the pause.
const UNSENT: usize = 256 * 1024;
const PAUSE: Duration = Duration::from_millis(250);

/// What a peer is lent.
#[derive(Debug)]
pub(super) struct MetadataServer {
    metainfo: Arc<Metainfo>,
    waiting: VecDeque<u32>,
    asked: u64,
    pace: Flood,
    /// Too much was unsent: not before.
    after: Moment,
}

impl MetadataServer {
    pub(super) fn new(metainfo: Arc<Metainfo>, now: Moment) -> Self {
        let pace = Flood::of(BURST, PACE);
        MetadataServer { metainfo, waiting: VecDeque::new(), asked: 0, pace, after: now }
    }

    /// Takes in a request. False where it is to be rejected.
    pub(super) fn ask(&mut self, block: u32) -> Result<bool, Violation> {
        let blocks = self.metainfo.info_bytes().len().div_ceil(METADATA_BLOCK) as u64;
        let enough = TIMES * blocks + MARGIN;
        self.asked += 1;
        if self.asked > 2 * enough {
            return Err(Violation::RequestFlood);
        }
        if self.waiting.contains(&block) {
            return Ok(true);
        }
        let lent = u64::from(block) < blocks && self.asked <= enough && self.waiting.len() < WAITING;
        if lent {
            self.waiting.push_back(block);
        }
        Ok(lent)
    }

    /// The next block to send, if it is time; `unsent` bytes wait to be sent before it.
    pub(super) fn next(&mut self, unsent: usize, now: Moment) -> Option<MetadataMessage<'_>> {
        if self.due()? > now {
            return None;
        }
        if unsent > UNSENT {
            self.after = now + PAUSE;
            return None;
        }
        self.pace.drop(now);
        let piece = self.waiting.pop_front()?;
        let info = self.metainfo.info_bytes();
        let start = piece as usize * METADATA_BLOCK;
        let bytes = info.get(start..info.len().min(start + METADATA_BLOCK))?;
        Some(MetadataMessage::Data { piece, total_size: Some(info.len() as u64), bytes })
    }

    /// When there will be something to send.
    pub(super) fn due(&self) -> Option<Moment> {
        (!self.waiting.is_empty()).then(|| self.after.max(self.pace.free()))
    }

    /// The peer disabled ut_metadata (id 0): its pending requests are dropped.
    pub(super) fn forget(&mut self) {
        self.waiting.clear();
    }
}
