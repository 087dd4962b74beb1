//! The worker of a connection: the thread that brings it the torrent's orders and minds its deadline,
//! and that begins and ends the connection's other threads.
//!
//! It waits in one place, for an order, a nudge of another thread, or the deadline. While blocks come
//! as they should it sleeps: what follows from them is the reader's to carry out ([`Connection`]).

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::conversation::{ConnContext, Connection};
use super::ending;
use super::extension_handshake;
use super::reader::{Reader, Reading};
use crate::bitfield::Bitfield;
use crate::engine::context::{TorrentContext, TorrentShared};
use crate::engine::inbox::TorrentMessage;
use crate::engine::inbox::join::{Accepted, Admitted, JoinRequest, Joined, Known, Orders};
use crate::engine::runtime::block_pool::TapCloser;
use crate::engine::runtime::counters::ByteCounters;
use crate::engine::runtime::rate_limit::{Pace, Throttled};
use crate::engine::runtime::threads;
use crate::orders::Order;
use crate::peer::conversation::Conversation;
use crate::peer::session::{Session, Setup};
use crate::torrent::Input;
use crate::transport::{self, Closer, Outlet};
use crate::violation::DisconnectReason;
use crate::wire::frame::max_message;

/// Asks the torrent to let a connection in, and waits for the answer; nothing where it is not let in.
pub(super) fn ask(context: &TorrentContext, known: Known, closer: &Closer) -> Option<Joined> {
    let orders: Orders = bounded(MAX_ORDERS);
    let (admit, answer) = bounded(1);
    let tally = Arc::new(ByteCounters::default());
    let request = JoinRequest {
        addr: known.addr,
        incoming: known.incoming,
        parked: known.parked,
        handshake: known.handshake,
        encryption: known.encryption,
        orders: orders.0.clone(),
        tally: tally.clone(),
        closer: closer.clone(),
        admit,
    };
    context.inbox.send(TorrentMessage::Join(Box::new(request))).ok()?;
    // A torrent answers at once, or ends and drops the question.
    let admitted = answer.recv().ok()?.ok()?;
    Some(Joined { admitted, orders, tally })
}

/// Runs a connection that the torrent has let in to its end on the present thread.
pub(super) fn converse(
    context: &TorrentContext,
    known: Known,
    connection: transport::Connection,
    accepted: Accepted,
    orders: Orders,
    tally: Arc<ByteCounters>,
) {
    let transport::Connection { reader: source, writer, closer } = connection;
    let read = |reading: Reading| threads::spawn("read", move || reading.start(source)).map(Some);
    work(context, known, (writer, closer), accepted, orders.1, tally, read);
}

/// Goes on with a connection that was there before the torrent, on the present thread and to its end.
/// `hand` gives its reader, which is another thread, what that needs to go on.
pub(super) fn take_over(
    context: &TorrentContext,
    known: Known,
    writer: Box<dyn Outlet>,
    closer: Closer,
    hand: impl FnOnce(Reading),
) {
    let joined = ask(context, known, &closer);
    if let Some(Joined { admitted: Admitted::Torrent(accepted), orders, tally }) = joined {
        let read = |reading| {
            hand(reading);
            Ok(None)
        };
        work(context, known, (writer, closer.clone()), accepted, orders.1, tally, read);
    }
    closer.close();
}

/// Works to the end.
fn work(
    context: &TorrentContext,
    known: Known,
    connection: (Box<dyn Outlet>, Closer),
    accepted: Accepted,
    orders: Receiver<Order>,
    tally: Arc<ByteCounters>,
    read: impl FnOnce(Reading) -> crate::error::Result<Option<JoinHandle<()>>>,
) {
    let key = accepted.key;
    // It was opened before it let anyone in.
    let Some(torrent) = context.opened.get().cloned() else { return };
    let why = match Worker::start(torrent, known, connection, accepted, orders, tally, read) {
        Ok(worker) => worker.run(),
        Err(_) => DisconnectReason::Crowded,
    };
    let _ = context.inbox.send(Input::Gone(key, why).into());
}

/// Orders the torrent may be ahead of a connection; one that is further behind is given up.
const MAX_ORDERS: usize = 256;

struct Worker {
    connection: Arc<Connection>,
    orders: Receiver<Order>,
    nudged: Receiver<()>,
    /// The reader, where it is a thread of ours.
    reader: Option<JoinHandle<()>>,
    tap: TapCloser,
    closer: Closer,
    /// Dropped to end every wait of the reader and the uploader.
    hangup: Sender<()>,
}

impl Worker {
    fn start(
        torrent: Arc<TorrentShared>,
        known: Known,
        (writer, closer): (Box<dyn Outlet>, Closer),
        accepted: Accepted,
        orders: Receiver<Order>,
        tally: Arc<ByteCounters>,
        read: impl FnOnce(Reading) -> crate::error::Result<Option<JoinHandle<()>>>,
    ) -> crate::error::Result<Worker> {
        let Accepted { key, have, cursor, upload_only } = accepted;
        let session = session(&torrent, &known, have, upload_only);
        let (hangup, hung) = bounded(0);
        let (nudge, nudged) = bounded(1);
        // Every session may begin with a bitfield.
        let send_buffer = torrent.client.budget.send_buffer + torrent.pieces.count().div_ceil(8) as usize;
        let held_back = Throttled::default();
        let (limits, max_message) = (torrent.down.clone(), max_message(&torrent.pieces));
        let pace = Pace::new(limits.clone(), held_back.clone(), hung.clone());
        let piece_length = torrent.pieces.piece_length();
        let tap = torrent.client.pool.tap();
        let tap_closer = tap.closer();
        let addr = known.addr;
        let conversation = Conversation::new(session, send_buffer, torrent.client.clock.now());
        let context = ConnContext { torrent, key, addr, tally, held_back: held_back.clone(), hung, nudge };
        let connection = Arc::new(Connection::new(context, conversation, cursor, writer));
        let reader = Reader { tap, limits, held_back, connection: connection.clone() };
        let reader = read(Reading { reader, pace, max_message, piece_length })?;
        Ok(Worker { connection, orders, nudged, reader, tap: tap_closer, closer, hangup })
    }

    /// Works until the end and says why it came.
    fn run(self) -> DisconnectReason {
        let why = loop {
            if let Err(why) = self.step() {
                break why;
            }
        };
        self.close(why);
        why
    }

    /// Does what is due, waits for something to happen, and sees to that.
    fn step(&self) -> Result<(), DisconnectReason> {
        let wait = self.connection.on_time()?;
        select! {
            recv(self.orders) -> order => {
                self.connection.on_order(order.unwrap_or(Order::Close(DisconnectReason::Shutdown)), &self.orders)
            }
            recv(self.nudged) -> _ => Ok(()),
            default(wait) => Ok(()),
        }
    }

    /// Gives back what the session holds, ends the other threads of this connection and waits for
    /// them.
    fn close(self, why: DisconnectReason) {
        // First, for the thread that has the connection may be writing.
        ending::part(&self.closer, why);
        let uploader = self.connection.end();
        self.tap.close();
        drop(self.hangup);
        self.reader.into_iter().chain(uploader).for_each(|thread| _ = thread.join());
    }
}

/// The session of a peer that was let in.
fn session(torrent: &Arc<TorrentShared>, known: &Known, have: Bitfield, upload_only: bool) -> Session {
    let setup = Setup {
        introduction: extension_handshake::ours(torrent, known, upload_only),
        pieces: torrent.pieces,
        info_hash: torrent.metainfo.info_hash(),
        peer_ip: known.addr.ip(),
        fast: known.handshake.fast(),
        have,
        request_cap: Setup::REQUEST_CAP,
    };
    let now = torrent.client.clock.now();
    let mut session = if known.parked { Session::resume(setup, now) } else { Session::new(setup, now) };
    let node = torrent.dht().filter(|_| known.handshake.dht());
    node.into_iter().for_each(|dht| session.tell_dht_port(dht.port()));
    session
}
