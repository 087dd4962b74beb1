//! The connections of a torrent: each is let in, given orders, and ended.
//!
//! Never waits: an order is tried, and a connection that is too far behind is given up. Invariant: a join
//! request is answered while the input that it came with is handled; no connection is ordered anything
//! before it was accepted.

use std::sync::Arc;

use crossbeam_channel::{Sender, TrySendError, bounded};

use crate::engine::conn::ending;
use crate::engine::conn::parked::Parked;
use crate::engine::inbox::join::{Admitted, JoinRequest};
use crate::engine::runtime::counters::{ByteCounters, Counters};
use crate::job::PeerKey;
use crate::orders::Order;
use crate::sorted::SortedMap;
use crate::torrent::{Bytes, Join};
use crate::transport::Closer;
use crate::violation::DisconnectReason;

/// The connections that were let in, and those that ask or wait to be.
#[derive(Default)]
pub(super) struct Links {
    open: SortedMap<PeerKey, Link>,
    /// The connection that asks to be let in just now.
    joining: Option<Box<JoinRequest>>,
    /// Connections over which metadata came, until the torrent goes online.
    parked: Vec<Parked>,
}

/// A connection that was let in.
struct Link {
    orders: Sender<Order>,
    tally: Arc<ByteCounters>,
    closer: Closer,
}

impl Links {
    /// A connection asks to be let in.
    pub(super) fn joins(&mut self, request: Box<JoinRequest>) -> Join {
        let JoinRequest { addr, incoming, parked, handshake, encryption, .. } = &*request;
        let (id, extended) = (handshake.peer_id, handshake.extended());
        let (addr, incoming, parked, encryption) = (*addr, *incoming, *parked, *encryption);
        let join = Join { addr, incoming, parked, extended, encryption, id };
        self.joining = Some(request);
        join
    }

    /// Lets in the connection that asks for it.
    ///
    /// # Errors
    /// Where it has ended meanwhile.
    pub(super) fn admit(&mut self, key: PeerKey, admitted: Admitted) -> Result<(), DisconnectReason> {
        let Some(request) = self.joining.take() else { return Ok(()) };
        let JoinRequest { orders, tally, closer, admit, .. } = *request;
        admit.send(Ok(admitted)).map_err(|_| DisconnectReason::Lost)?;
        self.open.insert(key, Link { orders, tally, closer });
        Ok(())
    }

    /// Closes the connection that asks to be let in.
    pub(super) fn refuse(&mut self, why: DisconnectReason) {
        if let Some(request) = self.joining.take() {
            // It may have ended meanwhile.
            let _ = request.admit.send(Err(why));
        }
    }

    /// Gives an order; a connection that is too far behind is given up: it sees that its queue is gone.
    pub(super) fn order(&mut self, key: PeerKey, order: Order) {
        let Some(link) = self.open.get_mut(&key) else { return };
        if matches!(order, Order::HaveLog) && !link.orders.is_empty() {
            return;
        }
        if let Err(TrySendError::Full(_)) = link.orders.try_send(order) {
            link.orders = bounded(0).0;
        }
    }

    /// Ends a connection at once, whatever it is doing.
    pub(super) fn hang_up(&self, key: PeerKey) {
        if let Some(link) = self.open.get(&key) {
            link.closer.hang_up();
        }
    }

    /// Ends a connection over which metadata was requested.
    pub(super) fn close(&self, key: PeerKey, why: DisconnectReason) {
        if let Some(link) = self.open.get(&key) {
            ending::part(&link.closer, why);
        }
    }

    /// Sets such a connection aside until the torrent goes online.
    pub(super) fn park(&mut self, key: PeerKey) {
        let link = self.open.remove(&key);
        self.parked.extend(link.map(|link| Parked::new(link.orders, link.closer)));
    }

    /// The connections that were set aside ask to be let in anew.
    pub(super) fn begin_parked(&mut self) {
        self.parked.drain(..).for_each(Parked::begin);
    }

    /// Closes the connections that were set aside.
    pub(super) fn close_parked(&mut self) {
        self.parked.clear();
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
        let bytes = |link: &Link| Bytes {
            received: Counters::read(&link.tally.received),
            sent: Counters::read(&link.tally.sent),
        };
        self.open.get(&key).map(bytes).unwrap_or_default()
    }
}
