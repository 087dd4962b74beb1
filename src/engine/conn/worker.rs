//! The worker of a connection: the thread that brings it the torrent's orders and minds its deadline,
//! and that begins and ends the connection's other threads. The torrent starts it for a connection that it lets in.
//!
//! It waits in one place, for an order, a wake-up by another thread, or the deadline. While blocks come
//! as they should it sleeps: what follows from them is the reader's to carry out ([`Connection`]).

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::beginning;
use super::conversation::{ConnContext, Connection};
use super::ending;
use super::reader::Reader;
use crate::engine::context::TorrentContext;
use crate::engine::inbox::join::{JoinRequest, Known};
use crate::engine::runtime::block_pool::PoolWaker;
use crate::engine::runtime::counters::ByteCounters;
use crate::engine::runtime::rate_limit::{Pace, Throttled};
use crate::engine::runtime::threads;
use crate::error::Result;
use crate::job::PeerKey;
use crate::orders::{Order, OurPieces};
use crate::torrent::Input;
use crate::transport::{self, Closer};
use crate::violation::DisconnectReason;

/// Orders the torrent may be ahead of a connection; one that is further behind is given up.
const MAX_ORDERS: usize = 256;

/// What a connection that is let in gets to know.
pub(crate) struct Accepted {
    pub(crate) key: PeerKey,
    /// What its peer is told of our pieces, and where the have log stood when that was true; nothing while it is
    /// not known what the torrent is made of.
    pub(crate) ours: Option<(OurPieces, usize)>,
}

/// What the torrent holds of a connection that it has let in.
pub(crate) struct WorkerHandle {
    pub(crate) orders: Sender<Order>,
    /// Wakes the thread without an order.
    pub(crate) waker: Sender<()>,
    pub(crate) counters: Arc<ByteCounters>,
    pub(crate) closer: Closer,
}

/// Starts the worker of a connection. Its end is told by [`Input::Gone`].
///
/// # Errors
/// As [`threads::spawn`]; the connection is closed then.
pub(crate) fn start(
    torrent: Arc<TorrentContext>,
    request: JoinRequest,
    accepted: Accepted,
) -> Result<WorkerHandle> {
    let JoinRequest { known, connection } = request;
    let (sender, orders) = bounded(MAX_ORDERS);
    let counters = Arc::new(ByteCounters::default());
    let (waker, wakes) = bounded(1);
    let closer = connection.closer.clone();
    let handle = WorkerHandle { orders: sender, waker: waker.clone(), counters: counters.clone(), closer };
    let working = move || {
        let (inbox, key, closer) = (torrent.inbox.clone(), accepted.key, connection.closer.clone());
        let why =
            match PeerThread::start(torrent, known, connection, accepted, (orders, waker, wakes), counters) {
                Ok(worker) => worker.run(),
                Err(_) => DisconnectReason::Crowded,
            };
        closer.close();
        let _ = inbox.send(Input::Gone(key, why).into());
    };
    threads::spawn(&threads::of_peer(known.addr), working).map(|_| handle)
}

struct PeerThread {
    connection: Arc<Connection>,
    orders: Receiver<Order>,
    wakes: Receiver<()>,
    reader: JoinHandle<()>,
    pool_waker: PoolWaker,
    closer: Closer,
    /// Dropped to end every wait of the reader and the uploader.
    hangup: Sender<()>,
}

impl PeerThread {
    fn start(
        torrent: Arc<TorrentContext>,
        known: Known,
        connection: transport::Connection,
        accepted: Accepted,
        (orders, waker, wakes): (Receiver<Order>, Sender<()>, Receiver<()>),
        counters: Arc<ByteCounters>,
    ) -> Result<PeerThread> {
        let transport::Connection { reader: source, writer, closer } = connection;
        let Accepted { key, ours } = accepted;
        let (ours, cursor) = ours.unzip();
        let (conversation, cursor) = (beginning::begin(&torrent, &known, ours), cursor.unwrap_or_default());
        let (hangup, hung) = bounded(0);
        let held_back = Throttled::default();
        let limits = torrent.down.clone();
        let pace = Pace::new(limits.clone(), held_back.clone(), hung.clone());
        let handle = torrent.client.pool.handle();
        let pool_waker = handle.closer();
        let context =
            ConnContext { torrent, key, known, counters, held_back: held_back.clone(), hung, waker };
        let connection = Arc::new(Connection::new(context, conversation, cursor, writer));
        let reader = Reader { handle, limits, held_back, connection: connection.clone() };
        let reader = threads::spawn("read", move || reader.run(source, pace))?;
        Ok(PeerThread { connection, orders, wakes, reader, pool_waker, closer, hangup })
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
    fn step(&self) -> std::result::Result<(), DisconnectReason> {
        let wait = self.connection.on_time()?;
        select! {
            recv(self.orders) -> order => {
                self.connection.on_order(order.unwrap_or(Order::Close(DisconnectReason::Shutdown)), &self.orders)
            }
            recv(self.wakes) -> _ => Ok(()),
            default(wait) => Ok(()),
        }
    }

    /// Gives back what the session holds, ends the other threads of this connection and waits for
    /// them.
    fn close(self, why: DisconnectReason) {
        // First, for the thread that has the connection may be writing.
        ending::part(&self.closer, why);
        let uploader = self.connection.end();
        self.pool_waker.close();
        drop(self.hangup);
        std::iter::once(self.reader).chain(uploader).for_each(|thread| _ = thread.join());
    }
}
