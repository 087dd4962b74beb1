//! A conversation about metadata alone: the connection's own thread reads, a second one writes.
//!
//! The reader decodes messages and tells the torrent, the writer sends what the torrent requests.
//! Neither decides anything. Invariant: of what a peer sends only an extended message is ever kept
//! in memory, and no longer than it takes to tell of it.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::ending;
use super::parked::Shared;
use super::worker;
use crate::engine::context::TorrentContext;
use crate::engine::inbox::join::{Handshaken, Known, Orders};
use crate::engine::runtime::threads;
use crate::job::PeerKey;
use crate::moment::Moment;
use crate::orders::{Order, Report};
use crate::peer::message_limits::{self, Exchanges, MessageLimit};
use crate::torrent::Input;
use crate::transport::Outlet;
use crate::violation::{DisconnectReason, Violation};
use crate::wire::extended::{self, ExtendedHandshake, Extensions};
use crate::wire::frame::{Buffers, Frame, FrameReader, ReadError};
use crate::wire::message::Message;
use crate::wire::pex::PexMessage;
use crate::wire::ut_metadata::MetadataMessage;

/// How often a sign of life is sent where there is nothing else.
const KEEP_ALIVE: Duration = Duration::from_secs(100);
/// The longest message that is read: the bitfield of the largest torrent whose metadata is fetched.
const LONGEST: usize = 1 << 20;

/// Runs a connection that was let in to its end on the present thread.
pub(crate) fn converse(context: &Arc<TorrentContext>, key: PeerKey, fresh: Handshaken, orders: Orders) {
    // Where the torrent has taken it over, that has been told.
    if let Some(why) = talk(context, key, fresh, orders) {
        let _ = context.inbox.send(Input::Gone(key, why).into());
    }
}

/// Says who we are, and then listens to the end. Nothing where that was the torrent's.
fn talk(
    context: &Arc<TorrentContext>,
    key: PeerKey,
    fresh: Handshaken,
    (orders, inbox): Orders,
) -> Option<DisconnectReason> {
    let known = Known { parked: true, ..fresh.known() };
    let ours = ExtendedHandshake {
        m: Extensions {
            ut_pex: context.client.pex.then_some(extended::UT_PEX),
            ut_metadata: Some(extended::UT_METADATA),
            ..Extensions::default()
        },
        client: Some(crate::version::NAME_AND_VERSION.to_owned()),
        port: Some(context.client.port).filter(|&port| port != 0),
        your_ip: Some(fresh.addr.ip()),
        encryption: context.client.encryption.is_preferred().then_some(true),
        ..ExtendedHandshake::default()
    };
    let mut first = Vec::new();
    if fresh.handshake.fast() {
        Message::HaveNone.encode(&mut first);
    }
    Message::Extended { id: extended::HANDSHAKE, payload: ours.encode() }.encode(&mut first);
    let mut outlet = fresh.connection.writer;
    if outlet.write_all(&first).is_err() {
        return Some(DisconnectReason::Lost);
    }
    let wanted_id = Arc::new(AtomicU8::new(0));
    let (closer, id, shared) = (fresh.connection.closer.clone(), wanted_id.clone(), Shared::new());
    let (kept, joins) = (shared.clone(), context.clone());
    let writer = threads::spawn("write", move || {
        if write(outlet.as_mut(), &inbox, &id) && kept.is_whole() {
            worker::take_over(&joins, known, outlet, closer.clone(), |reading| kept.hand_over(reading));
        }
        // The reader hears of it by this.
        closer.close();
    });
    let Ok(writer) = writer else { return Some(DisconnectReason::Crowded) };
    let (idle_messages, handshakes) = (MessageLimit::idle_messages(), message_limits::handshakes());
    let exchanges = Exchanges::new();
    let listener = Listener {
        context,
        key,
        orders,
        id: &wanted_id,
        idle_messages,
        handshakes,
        exchanges,
        shared: &shared,
    };
    let why = listener.listen(FrameReader::new(fresh.connection.reader, LONGEST))?;
    if shared.ends(why) {
        return None;
    }
    ending::part(&fresh.connection.closer, why);
    // It ends when the torrent was told of the end and drops the sender of its orders. No thread
    // waits for it: it owns nothing but a closed socket.
    drop(writer);
    Some(why)
}

/// Sends what is ordered, to the end or until the torrent takes over, which is true then.
fn write(outlet: &mut dyn Outlet, inbox: &Receiver<Order>, id: &AtomicU8) -> bool {
    loop {
        let message = match inbox.recv_timeout(KEEP_ALIVE) {
            Ok(Order::AskMetadata(block)) => MetadataMessage::Request(block),
            Ok(Order::RejectMetadata(block)) => MetadataMessage::Reject(block),
            Ok(Order::Rejoin) => return true,
            Ok(Order::Close(_)) | Err(RecvTimeoutError::Disconnected) => return false,
            // What concerns pieces is ordered once there are any.
            Ok(_) => continue,
            Err(RecvTimeoutError::Timeout) => {
                let mut bytes = Vec::new();
                Message::KeepAlive.encode(&mut bytes);
                if outlet.write_all(&bytes).is_err() {
                    return false;
                }
                continue;
            }
        };
        let mut bytes = Vec::new();
        Message::Extended { id: id.load(Ordering::Relaxed), payload: message.encode() }.encode(&mut bytes);
        if outlet.write_all(&bytes).is_err() {
            return false;
        }
    }
}

/// The reading half of a conversation.
struct Listener<'a> {
    context: &'a TorrentContext,
    key: PeerKey,
    /// To say no to those who ask us for metadata.
    orders: Sender<Order>,
    /// By which id the peer wants metadata messages.
    id: &'a AtomicU8,
    /// Limits of messages that lead to nothing, and of handshakes.
    idle_messages: MessageLimit,
    handshakes: MessageLimit,
    exchanges: Exchanges,
    /// What the torrent may need.
    shared: &'a Shared,
}

impl Listener<'_> {
    /// Listens until the end, and says why it came; nothing where the torrent took over.
    fn listen<R: std::io::Read>(mut self, mut frames: FrameReader<R>) -> Option<DisconnectReason> {
        loop {
            let frame = match frames.next(&mut Unwanted) {
                Ok(frame) => frame,
                Err(ReadError::Violation(violation)) => return Some(DisconnectReason::Violation(violation)),
                Err(ReadError::Io(_) | ReadError::Closed) => return Some(DisconnectReason::Lost),
            };
            let message = if let Frame::Message(message) = &frame { Some(message) } else { None };
            if let Some(reading) = self.shared.hears(message) {
                reading.go_on(frame, frames);
                return None;
            }
            if let Err(why) = self.take_in(frame) {
                return Some(why);
            }
        }
    }

    fn take_in(&mut self, frame: Frame<Vec<u8>>) -> Result<(), DisconnectReason> {
        let said = match frame {
            Frame::Message(Message::Extended { id, payload }) => self.understand(id, &payload),
            Frame::Message(_) => Ok(None),
            Frame::Blocks(_) => Err(Violation::UnrequestedBlock),
        };
        match said.map_err(DisconnectReason::Violation)? {
            None if self.idle_messages.add(self.now()) => Ok(()),
            None => Err(DisconnectReason::Violation(Violation::Flood)),
            Some(report) => {
                let told = self.context.inbox.send(Input::Report(self.key, report).into());
                told.map_err(|_| DisconnectReason::Shutdown)
            }
        }
    }

    fn now(&self) -> Moment {
        self.context.client.clock.now()
    }

    fn understand(&mut self, id: u8, payload: &[u8]) -> Result<Option<Report>, Violation> {
        Ok(match id {
            extended::HANDSHAKE if !self.handshakes.add(self.now()) => None,
            extended::HANDSHAKE => {
                let handshake = ExtendedHandshake::decode(payload)?;
                if let Some(id) = handshake.m.ut_metadata {
                    self.id.store(id, Ordering::Relaxed);
                }
                Some(Report::Introduced(Box::new(handshake)))
            }
            extended::UT_METADATA => match MetadataMessage::decode(payload)? {
                MetadataMessage::Data { piece, bytes, .. } => {
                    Some(Report::MetadataBlock(piece, bytes.into()))
                }
                MetadataMessage::Reject(piece) => Some(Report::MetadataRejected(piece)),
                MetadataMessage::Request(piece) => {
                    // A peer that asks faster than it reads gets no answer.
                    let _ = self.orders.try_send(Order::RejectMetadata(piece));
                    None
                }
                MetadataMessage::Unknown => None,
            },
            extended::UT_PEX if self.context.client.pex => {
                let heard = self.exchanges.accept(self.now())?;
                heard.then(|| PexMessage::decode(payload)).transpose()?.map(Box::new).map(Report::Exchanged)
            }
            _ => None,
        })
    }
}

/// Where payload would go: none was requested.
struct Unwanted;

impl Buffers for Unwanted {
    type Buffer = Vec<u8>;

    fn take(&mut self, _: bool) -> Vec<u8> {
        vec![0; crate::pieces::BLOCK as usize]
    }
}
