//! The connections of a torrent: each is let in, given orders, and ended.
//!
//! Never waits: an order is tried, and a connection that is too far behind is given up. Invariant: a join
//! request is answered while the input that it came with is handled; no connection is ordered anything
//! before it was accepted.

use std::sync::Arc;

use crossbeam_channel::{TrySendError, bounded};

use crate::engine::conn::worker::{self, Accepted, WorkerHandle};
use crate::engine::context::TorrentContext;
use crate::engine::inbox::join::{JoinRequest, Known};
use crate::engine::runtime::counters::Counters;
use crate::error::Result;
use crate::job::PeerKey;
use crate::orders::Order;
use crate::sorted::SortedMap;
use crate::torrent::{Bytes, Join};

/// The connections that were let in, and the one that asks to be.
#[derive(Default)]
pub(super) struct Connections {
    open: SortedMap<PeerKey, WorkerHandle>,
    /// The connection that asks to be let in just now.
    joining: Option<Box<JoinRequest>>,
}

impl Connections {
    /// A connection asks to be let in.
    pub(super) fn joins(&mut self, request: Box<JoinRequest>) -> Join {
        let Known { addr, incoming, handshake, encryption } = request.known;
        let (id, extended) = (handshake.peer_id, handshake.extended());
        let join = Join { addr, incoming, extended, encryption, id };
        self.joining = Some(request);
        join
    }

    /// Accepts the connection that asks for it: its threads start.
    ///
    /// # Errors
    /// As [`worker::start`].
    pub(super) fn accept(&mut self, torrent: Arc<TorrentContext>, accepted: Accepted) -> Result<()> {
        let Some(request) = self.joining.take() else { return Ok(()) };
        let key = accepted.key;
        self.open.insert(key, worker::start(torrent, *request, accepted)?);
        Ok(())
    }

    /// Closes the connection that asks to be let in.
    pub(super) fn refuse(&mut self) {
        self.joining.take().into_iter().for_each(|request| request.connection.closer.close());
    }

    /// Gives an order; a connection that is too far behind is given up: it sees that its queue is gone.
    pub(super) fn order(&mut self, key: PeerKey, order: Order) {
        let Some(worker) = self.open.get_mut(&key) else { return };
        if let Err(TrySendError::Full(_)) = worker.orders.try_send(order) {
            worker.orders = bounded(0).0;
        }
    }

    /// Wakes the thread of a connection. One wake-up under way is as good as another.
    pub(super) fn wake(&self, key: PeerKey) {
        if let Some(worker) = self.open.get(&key) {
            let _ = worker.waker.try_send(());
        }
    }

    /// Ends a connection at once, in any state.
    pub(super) fn hang_up(&self, key: PeerKey) {
        if let Some(worker) = self.open.get(&key) {
            worker.closer.hang_up();
        }
    }

    /// Ends all of them.
    pub(super) fn close_all(&self) {
        self.open.values().for_each(|worker| worker.closer.close());
    }

    /// A connection has ended.
    pub(super) fn forget(&mut self, key: PeerKey) {
        self.open.remove(&key);
    }

    /// Connections that were let in.
    pub(super) fn count(&self) -> u32 {
        self.open.len() as u32
    }

    /// Payload bytes of one connection.
    pub(super) fn transferred_with(&self, key: PeerKey) -> Bytes {
        let bytes = |worker: &WorkerHandle| Bytes {
            received: Counters::read(&worker.counters.received),
            sent: Counters::read(&worker.counters.sent),
        };
        self.open.get(&key).map(bytes).unwrap_or_default()
    }
}
