//! What extension messages do to a conversation (BEP 10): the handshakes, metadata lent out
//! (BEP 9), whom the peer is connected to (BEP 11), pieces it lost (BEP 54), and whether it wants
//! anything at all (BEP 21).
//!
//! Nothing here is understood unless we offered it. Each kind has its own measure: what comes too
//! often is ignored, and one that does not stop is hung up on.

use std::sync::Arc;

use super::Session;
use crate::metainfo::Metainfo;
use crate::moment::Moment;
use crate::orders::Report;
use crate::peer::flood::{self, Exchanges, Flood};
use crate::peer::metadata_server::MetadataServer;
use crate::peer::requests::GivenUp;
use crate::violation::Violation;
use crate::wire::extended::{self, ExtendedHandshake, Extensions, HANDSHAKE};
use crate::wire::message::Message;
use crate::wire::pex::PexMessage;
use crate::wire::ut_metadata::MetadataMessage;

/// The most requests that a peer is believed to queue, whatever it says.
const MOST_REQUESTS: u32 = 2_000;

/// How we introduce ourselves where both sides speak the Extension Protocol.
#[derive(Debug, Clone)]
pub struct Introduction {
    /// Our handshake. What it does not offer in `m` is not understood either.
    pub handshake: ExtendedHandshake,
    /// What is lent to peers that have no metadata yet.
    pub metainfo: Arc<Metainfo>,
}

/// How a conversation stands with the Extension Protocol.
#[derive(Debug)]
pub(super) struct Speech {
    ours: Extensions,
    theirs: Extensions,
    lending: MetadataServer,
    handshakes: Flood,
    exchanges: Exchanges,
}

impl Session {
    /// Introduces ourselves: the first thing that is said.
    pub(super) fn introduce(&mut self, introduction: Introduction) {
        let Introduction { handshake, metainfo } = introduction;
        self.say(Message::Extended { id: HANDSHAKE, payload: handshake.encode() });
        self.speech = Some(Box::new(Speech {
            ours: handshake.m,
            theirs: Extensions::default(),
            lending: MetadataServer::new(metainfo, self.now),
            handshakes: flood::handshakes(),
            exchanges: Exchanges::new(),
        }));
    }

    /// Does what an extension message says. One that was not offered is ignored.
    pub(super) fn extended(&mut self, id: u8, payload: &[u8]) -> Result<(), Violation> {
        let Some(speech) = &mut self.speech else { return Ok(()) };
        let offered = |ours: Option<u8>| id != HANDSHAKE && ours == Some(id);
        if id == HANDSHAKE {
            if speech.handshakes.drop(self.now) {
                self.introduced(ExtendedHandshake::decode(payload)?);
            }
        } else if offered(speech.ours.ut_metadata) {
            self.metadata(MetadataMessage::decode(payload)?)?;
        } else if offered(speech.ours.ut_pex) {
            if speech.exchanges.listen(self.now)? {
                let exchange = PexMessage::decode(payload)?;
                self.reports.push(Report::Exchanged(Box::new(exchange)));
            }
        } else if offered(speech.ours.lt_donthave) {
            let piece = extended::read_dont_have(payload)?;
            self.check(piece)?;
            self.lost(piece);
        } else if offered(speech.ours.upload_only) && speech.handshakes.drop(self.now) {
            let upload_only = payload.first().map(|&it| it != 0);
            let news = ExtendedHandshake { upload_only, ..Default::default() };
            self.reports.push(Report::Introduced(Box::new(news)));
        }
        Ok(())
    }

    fn introduced(&mut self, handshake: ExtendedHandshake) {
        let Some(speech) = &mut self.speech else { return };
        speech.theirs.update(handshake.m);
        if speech.theirs.ut_metadata == Some(0) {
            speech.lending.forget();
        }
        if let Some(reqq) = handshake.reqq {
            let cap = reqq.clamp(1, MOST_REQUESTS);
            self.requests.set_cap(cap);
            self.pipeline.set_cap(cap);
        }
        self.reports.push(Report::Introduced(Box::new(handshake)));
    }

    fn metadata(&mut self, message: MetadataMessage<'_>) -> Result<(), Violation> {
        let Some(speech) = &mut self.speech else { return Ok(()) };
        match message {
            MetadataMessage::Request(piece) => {
                if !speech.lending.ask(piece)? {
                    self.speak(|theirs| theirs.ut_metadata, MetadataMessage::Reject(piece).encode());
                }
                self.lend();
                Ok(())
            }
            // We have it, and ask nobody. What was asked for before we had it may still come.
            MetadataMessage::Data { .. } => self.stray(Violation::UnrequestedBlock),
            MetadataMessage::Reject(_) | MetadataMessage::Unknown => Ok(()),
        }
    }

    /// Sends metadata that was asked for, as far as it is time.
    pub(super) fn lend(&mut self) {
        while let Some(speech) = &mut self.speech {
            let unsent = self.unsent + self.out.len();
            let Some(payload) = speech.lending.next(unsent, self.now).map(|data| data.encode()) else {
                return;
            };
            if !self.speak(|theirs| theirs.ut_metadata, payload) {
                return;
            }
        }
    }

    /// When there will be metadata to send.
    pub(super) fn lending_due(&self) -> Option<Moment> {
        self.speech.as_ref()?.lending.due()
    }

    /// The peer no longer has a piece. What is outstanding of it is lost, or will be rejected block
    /// by block (BEP 6); either way the lease ends.
    fn lost(&mut self, piece: u32) {
        if self.theirs.remove(piece) {
            self.allowed.retain(|&allowed| allowed != piece);
            self.requests.give_back(GivenUp::Moot, |kept| kept != piece);
            self.reports.push(Report::Lost(piece));
            self.report_returned();
        }
    }

    /// Tells the peer that a piece is there no longer (BEP 54). False where it does not speak that.
    pub(super) fn tell_lost(&mut self, piece: u32) -> bool {
        self.speak(|theirs| theirs.lt_donthave, extended::dont_have(piece).to_vec())
    }

    /// Tells the peer whom else we are connected to, where it listens.
    pub(super) fn exchange(&mut self, exchange: &PexMessage) {
        if self.speech.as_ref().is_some_and(|speech| speech.ours.ut_pex.is_some()) {
            self.speak(|theirs| theirs.ut_pex, exchange.encode());
        }
    }

    /// Tells the peer whether we want anything (BEP 21): by a message of its own where that is
    /// spoken, else by another handshake.
    pub(super) fn tell_upload_only(&mut self, upload_only: bool) {
        // A seed may part with us now, and is to know that we have everything.
        self.tell_the_rest();
        if self.speech.is_some() && !self.speak(|theirs| theirs.upload_only, vec![u8::from(upload_only)]) {
            let news = ExtendedHandshake { upload_only: Some(upload_only), ..Default::default() };
            self.say(Message::Extended { id: HANDSHAKE, payload: news.encode() });
        }
    }

    /// Says something of an extension, where the peer speaks it.
    fn speak(&mut self, of: impl Fn(&Extensions) -> Option<u8>, payload: Vec<u8>) -> bool {
        let theirs = self.speech.as_ref().and_then(|speech| of(&speech.theirs));
        let Some(id) = theirs.filter(|&id| id != HANDSHAKE) else { return false };
        self.say(Message::Extended { id, payload });
        true
    }
}
