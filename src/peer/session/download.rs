//! The downloading side of a conversation: leases in, requests out, demand for more reported, and a
//! stalled peer told from a slow one.

use std::time::Duration;

use super::{Session, TELL_EVERY};
use crate::job::PieceJob;
use crate::moment::Moment;
use crate::orders::Report;
use crate::peer::requests::GivenUp;
use crate::wire::message::Message;

/// No block for this long, at least, although some are expected: the peer is snubbing us.
const MIN_STALL: Duration = Duration::from_secs(10);
/// No block for this long, however slow the peer was.
const MAX_STALL: Duration = Duration::from_secs(60);
/// How often at most it is checked whether other peers delivered what is outstanding here.
const SUPERSEDED_CHECK: Duration = Duration::from_millis(2);

impl Session {
    /// Takes on a lease. Whether there should be more is not said at once, since leases come in
    /// bursts, but when the burst is through (see [`Session::deadline`]).
    pub(super) fn take(&mut self, job: PieceJob) {
        self.demand_reported = false;
        self.unsettled = true;
        let piece = job.claim.piece().index();
        // The peer may have choked us, or lost the piece, while the order was on its way.
        let refuses = self.choking_us && !self.allowed.contains(&piece);
        if self.ended || refuses || !self.theirs.has(piece) {
            self.reports.push(Report::Returned(job.lease));
        } else {
            self.requests.take(job);
            self.ask();
        }
    }

    /// The peer stopped delivering: others shall have what it was asked for, and it gets one
    /// request at a time until it delivers again.
    pub(super) fn give_up(&mut self) {
        if !std::mem::replace(&mut self.snubbed, true) {
            self.reports.push(Report::Snubbed(true));
        }
        self.requests.give_back(GivenUp::Stalled, |_| false);
        self.report_returned();
    }

    /// Requests what there is to request, and says if there should be more.
    pub(super) fn work(&mut self) {
        self.unsettled = false;
        if !self.untold.is_empty() && self.now >= self.told_at + TELL_EVERY {
            self.tell_the_rest();
        }
        self.ask();
        self.demand();
    }

    /// Fills the pipeline.
    fn ask(&mut self) {
        if self.no_requests_until.is_some_and(|until| self.now >= until) {
            self.no_requests_until = None;
        }
        if self.no_requests_until.is_none() && !self.ended {
            let depth = self.depth();
            let before = self.requests.outstanding();
            self.pipeline.on_requests(self.requests.expected(), self.now);
            while self.requests.expected() < depth as usize {
                let Some(block) = self.requests.next(self.now) else {
                    self.pipeline.on_starved();
                    break;
                };
                self.say(Message::Request(block));
            }
            if before == 0 {
                self.asked_since = self.now;
            }
            self.report_returned();
        }
        self.waiting_since = match self.requests.expected() {
            0 => None,
            _ => self.waiting_since.or(Some(self.now)),
        };
    }

    /// How many requests to have outstanding.
    fn depth(&self) -> u32 {
        if self.snubbed { 1 } else { self.pipeline.depth() }
    }

    /// Reports how many more blocks could be requested, where that is news.
    fn demand(&mut self) {
        let useful = |piece: &u32| self.theirs.has(*piece) && !self.ours.has(*piece);
        if self.demand_reported
            || self.ended
            || self.no_requests_until.is_some()
            || self.theirs.count() == 0
            || (self.choking_us && !self.allowed.iter().any(useful))
            || (self.snubbed && self.requests.expected() > 0)
        {
            return;
        }
        let (left, depth) = (self.requests.unrequested(), self.depth());
        if left < depth {
            self.demand_reported = true;
            let margin = if self.snubbed { 0 } else { (depth / 4).max(4) };
            self.reports.push(Report::WantsBlocks(depth + margin - left));
        }
    }

    pub(super) fn report_returned(&mut self) {
        for lease in self.requests.returned() {
            self.reports.push(Report::Returned(lease));
            self.demand_reported = false;
        }
    }

    /// Cancels what other peers delivered, if that was not checked just now.
    pub(super) fn check_superseded(&mut self) {
        if self.now >= self.superseded_checked + SUPERSEDED_CHECK {
            self.cancel_superseded();
        }
    }

    pub(super) fn cancel_superseded(&mut self) {
        self.superseded_checked = self.now;
        for block in self.requests.superseded() {
            self.say(Message::Cancel(block));
        }
        // A lease that was spent may have had nothing else left.
        self.report_returned();
    }

    /// When the peer will count as snubbing us. Blocks it still owes from before do not make it late with
    /// newly requested ones.
    pub(super) fn stalls(&self) -> Option<Moment> {
        let since = self.waiting_since.filter(|_| self.requests.outstanding() > 0)?;
        Some(since.max(self.asked_since) + self.stall_time())
    }

    /// How long no block may come before the peer counts as snubbing us. One whose last block came later than
    /// that may be slow rather than gone: it has as long again, and half as much, for the next.
    fn stall_time(&self) -> Duration {
        let slow = self
            .pipeline
            .block_time()
            .unwrap_or_default()
            .max(self.pipeline.round_trip().unwrap_or_default());
        (slow * 4).max(self.late_block * 3 / 2).clamp(MIN_STALL, MAX_STALL)
    }
}
