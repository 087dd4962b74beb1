//! Extension messages in a session (BEP 10): the handshakes, metadata served (BEP 9), the peers of the peer
//! (BEP 11), pieces it lost (BEP 54), and whether it only uploads (BEP 21).
//!
//! A message is ignored unless we offered it. Each kind has its own rate: messages beyond it are ignored, and
//! a peer that does not stop is disconnected.

use std::sync::Arc;

use super::Session;
use crate::metainfo::Metainfo;
use crate::moment::Moment;
use crate::orders::Report;
use crate::peer::message_limits::{self, Exchanges, MessageLimit};
use crate::peer::metadata_server::MetadataServer;
use crate::peer::requests::GivenUp;
use crate::violation::Violation;
use crate::wire::extended::{self, ExtendedHandshake, Extensions, HANDSHAKE};
use crate::wire::message::Message;
use crate::wire::pex::PexMessage;
use crate::wire::ut_metadata::MetadataMessage;

/// The most requests that a peer is believed to queue (`reqq`).
const MAX_REQQ: u32 = 2_000;

/// What we offer where both sides speak the Extension Protocol (BEP 10).
#[derive(Debug, Clone)]
pub struct ExtensionSetup {
    /// Our handshake. What it does not offer in `m` is not understood either.
    pub handshake: ExtendedHandshake,
    /// What is served to peers that have no metadata yet; nothing while we have none.
    pub metainfo: Option<Arc<Metainfo>>,
}

/// What both sides have agreed on in the Extension Protocol.
#[derive(Debug)]
pub(super) struct ExtensionState {
    ours: Extensions,
    theirs: Extensions,
    /// Nothing while we have no metadata.
    metadata: Option<MetadataServer>,
    handshakes: MessageLimit,
    exchanges: Exchanges,
}

impl Session {
    /// Sends our extension handshake: the first message of all.
    pub(super) fn send_extension_handshake(&mut self, extension_setup: ExtensionSetup) {
        let ExtensionSetup { handshake, metainfo } = extension_setup;
        self.say(Message::Extended { id: HANDSHAKE, payload: handshake.encode() });
        self.extensions = Some(Box::new(ExtensionState {
            ours: handshake.m,
            theirs: Extensions::default(),
            metadata: metainfo.map(|metainfo| MetadataServer::new(metainfo, self.now)),
            handshakes: message_limits::handshakes(),
            exchanges: Exchanges::new(),
        }));
    }

    /// Sends it again, with what it says now that the pieces are known. What is offered no longer is disabled.
    pub(super) fn resend_extension_handshake(&mut self, extension_setup: ExtensionSetup) {
        let Some(extensions) = &mut self.extensions else {
            return self.send_extension_handshake(extension_setup);
        };
        let ExtensionSetup { mut handshake, metainfo } = extension_setup;
        let withdrawn = extensions.ours.ut_pex.is_some() && handshake.m.ut_pex.is_none();
        extensions.ours = handshake.m;
        extensions.metadata = metainfo.map(|metainfo| MetadataServer::new(metainfo, self.now));
        if withdrawn {
            handshake.m.ut_pex = Some(0);
        }
        self.say(Message::Extended { id: HANDSHAKE, payload: handshake.encode() });
    }

    /// Does what an extension message says. One that was not offered is ignored.
    pub(super) fn extended(&mut self, id: u8, payload: &[u8]) -> Result<(), Violation> {
        let Some(extensions) = &mut self.extensions else { return Ok(()) };
        let offered = |ours: Option<u8>| id != HANDSHAKE && ours == Some(id);
        if id == HANDSHAKE {
            if extensions.handshakes.add(self.now) {
                self.on_extension_handshake(ExtendedHandshake::decode(payload)?);
            }
        } else if offered(extensions.ours.ut_metadata) {
            self.metadata(MetadataMessage::decode(payload)?)?;
        } else if offered(extensions.ours.ut_pex) {
            if extensions.exchanges.accept(self.now)? {
                let exchange = PexMessage::decode(payload)?;
                self.reports.push(Report::Exchanged(Box::new(exchange)));
            }
        } else if offered(extensions.ours.lt_donthave) {
            let piece = extended::read_dont_have(payload)?;
            self.check(piece)?;
            self.lost(piece);
        } else if offered(extensions.ours.upload_only) && extensions.handshakes.add(self.now) {
            let upload_only = payload.first().map(|&it| it != 0);
            let news = ExtendedHandshake { upload_only, ..Default::default() };
            self.reports.push(Report::ExtensionHandshake(Box::new(news)));
        }
        Ok(())
    }

    fn on_extension_handshake(&mut self, handshake: ExtendedHandshake) {
        let Some(extensions) = &mut self.extensions else { return };
        extensions.theirs.update(handshake.m);
        if extensions.theirs.ut_metadata == Some(0) {
            extensions.metadata.iter_mut().for_each(MetadataServer::forget);
        }
        if let Some(reqq) = handshake.reqq {
            let cap = reqq.clamp(1, MAX_REQQ);
            self.requests.set_cap(cap);
            self.pipeline.set_cap(cap);
        }
        self.reports.push(Report::ExtensionHandshake(Box::new(handshake)));
    }

    fn metadata(&mut self, message: MetadataMessage<'_>) -> Result<(), Violation> {
        let Some(extensions) = &mut self.extensions else { return Ok(()) };
        match message {
            MetadataMessage::Request(piece) => {
                let served =
                    extensions.metadata.as_mut().map_or(Ok(false), |metadata| metadata.ask(piece))?;
                if !served {
                    self.send_extended(|theirs| theirs.ut_metadata, MetadataMessage::Reject(piece).encode());
                }
                self.send_metadata();
                Ok(())
            }
            MetadataMessage::Data { piece, bytes, .. } if self.early.is_some() => {
                self.reports.push(Report::MetadataBlock(piece, bytes.into()));
                Ok(())
            }
            MetadataMessage::Reject(piece) if self.early.is_some() => {
                self.reports.push(Report::MetadataRejected(piece));
                Ok(())
            }
            // We have it. Blocks that were requested before we had it may still come.
            MetadataMessage::Data { .. } => self.stray(Violation::UnrequestedBlock),
            MetadataMessage::Reject(_) | MetadataMessage::Unknown => Ok(()),
        }
    }

    /// Sends metadata that was requested, as far as it is time.
    pub(super) fn send_metadata(&mut self) {
        while let Some(extensions) = &mut self.extensions {
            let Some(metadata) = &mut extensions.metadata else { return };
            let Some(payload) = metadata.next(self.out.len(), self.now).map(|data| data.encode()) else {
                return;
            };
            if !self.send_extended(|theirs| theirs.ut_metadata, payload) {
                return;
            }
        }
    }

    /// When there will be metadata to send.
    pub(super) fn metadata_due(&self) -> Option<Moment> {
        self.extensions.as_ref()?.metadata.as_ref()?.due()
    }

    /// The peer no longer has a piece. Outstanding requests for it are lost, or will be rejected block by
    /// block (BEP 6); either way the lease ends.
    fn lost(&mut self, piece: u32) {
        if self.theirs.remove(piece) {
            self.allowed.retain(|&allowed| allowed != piece);
            self.requests.give_back(GivenUp::Moot, |kept| kept != piece);
            self.reports.push(Report::Lost(piece));
            self.report_returned();
            // It has a use for it again.
            if self.untold.contains(&piece) {
                self.tell_the_rest();
            }
        }
    }

    /// Tells the peer that a piece was lost (BEP 54). False if it does not speak that.
    pub(super) fn tell_lost(&mut self, piece: u32) -> bool {
        self.send_extended(|theirs| theirs.lt_donthave, extended::dont_have(piece).to_vec())
    }

    /// Tells the peer which others we are connected to, if it speaks ut_pex.
    pub(super) fn exchange(&mut self, exchange: &PexMessage) {
        if self.extensions.as_ref().is_some_and(|extensions| extensions.ours.ut_pex.is_some()) {
            self.send_extended(|theirs| theirs.ut_pex, exchange.encode());
        }
    }

    /// Tells the peer whether we want anything (BEP 21): by a message of its own where that is
    /// spoken, else by another handshake.
    pub(super) fn tell_upload_only(&mut self, upload_only: bool) {
        // A seed may part with us now, and is to know that we have everything.
        self.tell_the_rest();
        if self.extensions.is_some()
            && !self.send_extended(|theirs| theirs.upload_only, vec![u8::from(upload_only)])
        {
            let news = ExtendedHandshake { upload_only: Some(upload_only), ..Default::default() };
            self.say(Message::Extended { id: HANDSHAKE, payload: news.encode() });
        }
    }

    /// Sends a message of an extension, where the peer speaks it.
    pub(super) fn send_extended(&mut self, of: impl Fn(&Extensions) -> Option<u8>, payload: Vec<u8>) -> bool {
        let theirs = self.extensions.as_ref().and_then(|extensions| of(&extensions.theirs));
        let Some(id) = theirs.filter(|&id| id != HANDSHAKE) else { return false };
        self.say(Message::Extended { id, payload });
        true
    }
}
