//! A conversation about metadata alone: the connection's own thread reads, a second one writes.
//!
//! The reader understands and tells the foreman, the writer sends what the foreman wants asked.
//! Neither decides anything. Invariant: of what a peer sends only an extended message is ever kept
//! in memory, and no longer than it takes to tell of it.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::join::{Handshaken, Known};
use super::parked::{Shared, ToPeer};
use super::worker;
use crate::engine::context::TorrentShared;
use crate::engine::metadata::{Caller, MetadataShared, News, Said};
use crate::engine::runtime::threads;
use crate::job::PeerKey;
use crate::moment::Moment;
use crate::peer::flood::{self, Exchanges, Flood};
use crate::transport::Outlet;
use crate::violation::{DisconnectReason, Violation};
use crate::wire::extended::{self, ExtendedHandshake, Extensions};
use crate::wire::frame::{Buffers, Frame, FrameReader, ReadError};
use crate::wire::message::Message;
use crate::wire::pex::PexMessage;
use crate::wire::ut_metadata::MetadataMessage;

/// What may wait to be sent; more than is ever asked of a peer at once.
const ORDERS: usize = 64;
/// How often a sign of life is sent where there is nothing else.
const KEEP_ALIVE: Duration = Duration::from_secs(100);
/// The longest message that is read: the bitfield of the largest torrent whose metadata is fetched.
const LONGEST: usize = 1 << 20;

/// Runs a fresh connection to its end on the present thread.
pub(crate) fn converse(fetching: &Arc<MetadataShared>, fresh: Handshaken) {
    let closer = fresh.connection.closer.clone();
    let (orders, inbox) = bounded(ORDERS);
    let (admit, admitted) = bounded(1);
    let caller = Caller {
        addr: fresh.addr,
        incoming: fresh.incoming,
        id: fresh.handshake.peer_id,
        extended: fresh.handshake.extended(),
        orders: orders.clone(),
        closer: closer.clone(),
        admit,
    };
    if fetching.tell(News::Called(caller)) {
        // A foreman answers at once, or ends and drops the question.
        if let Ok(Ok(key)) = admitted.recv() {
            // Where the torrent has taken it over, that has been told.
            if let Some(why) = talk(fetching, key, fresh, orders, inbox) {
                fetching.tell(News::Gone(key, why));
            }
        }
    }
    closer.close();
}

/// Says who we are, and then listens to the end. Nothing where that was the torrent's.
fn talk(
    fetching: &Arc<MetadataShared>,
    key: PeerKey,
    fresh: Handshaken,
    orders: Sender<ToPeer>,
    inbox: Receiver<ToPeer>,
) -> Option<DisconnectReason> {
    let known = Known { parked: true, ..fresh.known() };
    let ours = ExtendedHandshake {
        m: Extensions {
            ut_pex: fetching.client.pex.then_some(extended::UT_PEX),
            ut_metadata: Some(extended::UT_METADATA),
            ..Extensions::default()
        },
        client: Some(concat!("bitwren ", env!("CARGO_PKG_VERSION")).to_owned()),
        port: Some(fetching.client.port).filter(|&port| port != 0),
        your_ip: Some(fresh.addr.ip()),
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
    let kept = shared.clone();
    let writer = threads::spawn("write", move || {
        if let Some(torrent) = write(outlet.as_mut(), &inbox, &id).filter(|_| kept.is_whole()) {
            worker::take_over(&torrent, known, outlet, closer.clone(), |reading| kept.hand_over(reading));
        }
        // The reader hears of it by this.
        closer.close();
    });
    let Ok(writer) = writer else { return Some(DisconnectReason::Crowded) };
    let (talk, news, exchanges) = (Flood::new(), flood::handshakes(), Exchanges::new());
    let listener = Listener { fetching, key, orders, id: &wanted_id, talk, news, exchanges, shared: &shared };
    let why = listener.listen(FrameReader::new(fresh.connection.reader, LONGEST))?;
    if shared.ends(why) {
        return None;
    }
    worker::part(&fresh.connection.closer, why);
    // It ends when the foreman has heard of the end and drops what he could give orders by. Nobody
    // waits for it: it owns nothing but a closed socket.
    drop(writer);
    Some(why)
}

/// Sends what is ordered, to the end or until a torrent takes over.
fn write(outlet: &mut dyn Outlet, inbox: &Receiver<ToPeer>, id: &AtomicU8) -> Option<Arc<TorrentShared>> {
    loop {
        let message = match inbox.recv_timeout(KEEP_ALIVE) {
            Ok(ToPeer::Ask(block)) => MetadataMessage::Request(block),
            Ok(ToPeer::Reject(block)) => MetadataMessage::Reject(block),
            Ok(ToPeer::Begin(torrent)) => return Some(torrent),
            Err(RecvTimeoutError::Timeout) => {
                let mut bytes = Vec::new();
                Message::KeepAlive.encode(&mut bytes);
                outlet.write_all(&bytes).ok()?;
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return None,
        };
        let mut bytes = Vec::new();
        Message::Extended { id: id.load(Ordering::Relaxed), payload: message.encode() }.encode(&mut bytes);
        outlet.write_all(&bytes).ok()?;
    }
}

/// The reading half of a conversation.
struct Listener<'a> {
    fetching: &'a MetadataShared,
    key: PeerKey,
    /// To say no to those who ask us for metadata.
    orders: Sender<ToPeer>,
    /// By which id the peer wants metadata messages.
    id: &'a AtomicU8,
    /// Messages that lead to nothing, and those that the foreman is told of though nobody asked.
    talk: Flood,
    news: Flood,
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
                Err(ReadError::Violation(misdeed)) => return Some(DisconnectReason::Violation(misdeed)),
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
            None if self.talk.drop(self.now()) => Ok(()),
            None => Err(DisconnectReason::Violation(Violation::Flood)),
            Some(said) => match self.fetching.tell(News::Said(self.key, said)) {
                true => Ok(()),
                false => Err(DisconnectReason::Shutdown),
            },
        }
    }

    fn now(&self) -> Moment {
        self.fetching.client.clock.now()
    }

    fn understand(&mut self, id: u8, payload: &[u8]) -> Result<Option<Said>, Violation> {
        Ok(match id {
            extended::HANDSHAKE if !self.news.drop(self.now()) => None,
            extended::HANDSHAKE => {
                let handshake = ExtendedHandshake::decode(payload)?;
                if let Some(id) = handshake.m.ut_metadata {
                    self.id.store(id, Ordering::Relaxed);
                }
                let speaks = self.id.load(Ordering::Relaxed) != 0;
                Some(Said::Shook { speaks, size: handshake.metadata_size, port: handshake.port })
            }
            extended::UT_METADATA => match MetadataMessage::decode(payload)? {
                MetadataMessage::Data { piece, bytes, .. } => Some(Said::Data(piece, bytes.into())),
                MetadataMessage::Reject(piece) => Some(Said::Rejected(piece)),
                MetadataMessage::Request(piece) => {
                    // Who asks faster than he reads goes without an answer.
                    let _ = self.orders.try_send(ToPeer::Reject(piece));
                    None
                }
                MetadataMessage::Unknown => None,
            },
            extended::UT_PEX if self.fetching.client.pex => {
                let heard = self.exchanges.listen(self.now())?;
                heard.then(|| PexMessage::decode(payload)).transpose()?.map(Said::Knows)
            }
            _ => None,
        })
    }
}

/// Where payload would go: nobody asked for any.
struct Unwanted;

impl Buffers for Unwanted {
    type Buffer = Vec<u8>;

    fn take(&mut self, _: bool) -> Vec<u8> {
        vec![0; crate::pieces::BLOCK as usize]
    }
}
