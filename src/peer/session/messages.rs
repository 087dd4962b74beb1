//! What each message does to a conversation: the rules of BEP 3 and BEP 6 that a peer is held to.

use std::time::Duration;

use super::{DhtPort, Session};
use crate::bitfield::Bitfield;
use crate::orders::Report;
use crate::peer::requests::GivenUp;
use crate::pieces::BlockRef;
use crate::violation::Violation;
use crate::wire::message::Message;

/// Rejections in a row, while not choked, that are tolerated.
const MAX_REJECTS: u32 = 1_000;
/// How long nothing is requested for each rejection in a row, and at most.
const REJECT_PAUSE: Duration = Duration::from_millis(50);
const MAX_REJECT_PAUSE: Duration = Duration::from_secs(10);
/// Allowed-fast pieces of a peer that are remembered.
const MAX_ALLOWED_FAST: usize = 64;

impl Session {
    /// Handles a message. False if it does not move a transfer on.
    pub(super) fn handle(&mut self, message: Message) -> Result<bool, Violation> {
        use Message::*;
        let of_fast = matches!(message, Suggest(_) | HaveAll | HaveNone | Reject(_) | AllowedFast(_));
        if of_fast && !self.fast {
            return Err(Violation::FastNotAgreed);
        }
        let message = match self.hold(message)? {
            Ok(news) => return Ok(news),
            Err(message) => message,
        };
        if let Have(piece) | Suggest(piece) | AllowedFast(piece) = message {
            self.check(piece)?;
        }
        match message {
            Choke if !self.choking_us => self.choked(),
            Unchoke if self.choking_us => {
                self.choking_us = false;
                self.demand_reported = false;
                self.reports.push(Report::Choking(false));
            }
            Interested | NotInterested => {
                let interested = message == Interested;
                if interested != self.interested_in_us {
                    self.interested_in_us = interested;
                    self.reports.push(Report::Interested(interested));
                }
            }
            Have(piece) => {
                self.told = true;
                if self.theirs.insert(piece) {
                    self.demand_reported = false;
                    self.reports.push(Report::Have(piece));
                    return Ok(true);
                }
            }
            Bitfield(bytes) => {
                let has = crate::bitfield::Bitfield::from_bytes(bytes, self.pieces.count());
                self.tell(has.map_err(|_| Violation::BadBitfield)?);
            }
            HaveAll => self.tell(crate::bitfield::Bitfield::full(self.pieces.count())),
            HaveNone => self.tell(crate::bitfield::Bitfield::empty(self.pieces.count())),
            Request(block) => {
                self.check(block.piece)?;
                return self.gate.request(block, &self.pieces, &self.ours, &mut self.out);
            }
            Cancel(block) => {
                self.check(block.piece)?;
                self.gate.cancel(block, &mut self.out);
            }
            Reject(block) => self.rejected(block)?,
            AllowedFast(piece) => {
                if self.allow_fast(piece) {
                    self.demand_reported = false;
                    self.reports.push(Report::AllowedFast(piece));
                }
            }
            Suggest(piece) => self.reports.push(Report::Suggested(piece)),
            Extended { id, payload } => self.extended(id, &payload)?,
            Port(port) if port != 0 && self.dht_port == DhtPort::Untold => {
                self.dht_port = DhtPort::Told(port)
            }
            Choke | Unchoke | KeepAlive | Port(_) | Unknown(_) => {}
        }
        Ok(false)
    }

    /// Notes that the peer allows a piece although it chokes us. False where it does not count.
    pub(super) fn allow_fast(&mut self, piece: u32) -> bool {
        let counts = !self.allowed.contains(&piece) && self.allowed.len() < MAX_ALLOWED_FAST;
        if counts {
            self.allowed.push(piece);
        }
        counts
    }

    /// The peer says all it has. BEP 3 and BEP 6 have this first and once, but aria2 sends it again
    /// where that is shorter than every `have` since. Told late it only adds: a peer does not lose pieces.
    pub(super) fn tell(&mut self, has: Bitfield) {
        let first = !std::mem::replace(&mut self.told, true);
        let before = self.theirs.count();
        if first || has.is_full() {
            self.theirs = has;
        } else {
            for piece in has.iter() {
                self.theirs.insert(piece);
            }
        }
        if first || self.theirs.count() > before {
            self.demand_reported = false;
            self.reports.push(Report::Has(self.theirs.clone()));
        }
        if first && self.fast {
            let Session { pieces, info_hash, peer_ip, ours, theirs, .. } = self;
            for &piece in self.gate.grant(pieces, *info_hash, *peer_ip, ours, theirs) {
                Message::AllowedFast(piece).encode(&mut self.out);
            }
        }
    }

    /// The peer chokes us. Outstanding requests are lost, or will be rejected piece by piece (BEP 6); blocks
    /// that come all the same are welcome. Allowed-fast pieces go on.
    fn choked(&mut self) {
        self.choking_us = true;
        self.reports.push(Report::Choking(true));
        self.requests.forgive();
        self.requests.give_back(GivenUp::Choked, |piece| self.allowed.contains(&piece));
        self.report_returned();
    }

    fn rejected(&mut self, block: BlockRef) -> Result<(), Violation> {
        match self.requests.rejected(block) {
            None => return self.stray(Violation::BadReject),
            Some(true) => {
                if !self.choking_us {
                    self.pipeline.on_reject(self.requests.outstanding());
                }
                self.rejects += 1;
                if self.rejects > MAX_REJECTS {
                    return Err(Violation::NeverDelivers);
                }
                // A peer that rejects every request must not be asked in a tight loop.
                let pause = (REJECT_PAUSE * self.rejects).min(MAX_REJECT_PAUSE);
                self.no_requests_until = Some(self.now + pause);
                self.report_returned();
            }
            Some(false) => {}
        }
        Ok(())
    }

    pub(super) fn check(&self, piece: u32) -> Result<(), Violation> {
        if self.pieces.contains(piece) { Ok(()) } else { Err(Violation::IndexOutOfRange) }
    }
}
