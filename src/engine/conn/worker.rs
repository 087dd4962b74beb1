//! The worker of a connection: the thread that passes it the torrent's orders, wakes at its deadline, and starts
//! and ends its other threads. The torrent starts it for a connection that it accepts.
//!
//! It waits in one place, for an order, a wake-up by another thread, or the deadline. While blocks arrive in time
//! it sleeps: the reader carries out what follows from them ([`Connection`]).

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

/// Orders that may be queued for a connection; one with more is disconnected.
const MAX_ORDERS: usize = 256;

/// What the torrent tells a connection that it accepts.
pub(crate) struct Accepted {
    pub(crate) key: PeerKey,
    /// The pieces that its peer is told we have, and the position in the have log at that moment; `None` until the
    /// metadata is known.
    pub(crate) ours: Option<(OurPieces, usize)>,
}

/// The torrent's handle to the worker of a connection.
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

    /// Runs until the connection is over and returns why.
    fn run(self) -> DisconnectReason {
        let why = loop {
            if let Err(why) = self.step() {
                break why;
            }
        };
        self.close(why);
        why
    }

    /// Does what is due, waits for an order, a wake-up or the deadline, and handles it.
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

    /// Returns the leases of the session, ends the other threads of this connection and joins them.
    fn close(self, why: DisconnectReason) {
        // First: the thread that holds the lock may be blocked in a write.
        ending::part(&self.closer, why);
        let uploader = self.connection.end();
        self.pool_waker.close();
        drop(self.hangup);
        std::iter::once(self.reader).chain(uploader).for_each(|thread| _ = thread.join());
    }
}
