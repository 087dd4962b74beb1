//! What the torrents of a client take of its memory: shares come out of one [`Budget`] before a
//! connection is promised to any peer, and go back when a torrent closes.
//!
//! Invariant: the connections of the client are as many as there is memory for beside the shares.

use std::sync::{Arc, Mutex, PoisonError};

use crate::budget::Budget;
use crate::engine::context::ClientShared;

/// The sum of all shares.
#[derive(Debug)]
pub(crate) struct Ledger {
    budget: Budget,
    /// Connections of the client where memory is no object.
    most: u32,
    taken: Mutex<u64>,
}

impl Ledger {
    /// Nothing is taken yet; the client is to have at most so many connections.
    pub(crate) fn new(budget: Budget, most: u32) -> Ledger {
        Ledger { budget, most, taken: Mutex::new(0) }
    }

    /// Changes the sum, and with it how many connections the client may have.
    fn change<T>(client: &ClientShared, body: impl FnOnce(&Budget, &mut u64) -> T) -> T {
        let ledger = &client.ledger;
        let mut taken = ledger.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let result = body(&ledger.budget, &mut taken);
        let most = ledger.budget.connections_beside(*taken, ledger.most);
        client.connected.with(|places| places.set_most(most));
        result
    }
}

/// The share of one torrent; given back when dropped.
pub(crate) struct Share {
    client: Arc<ClientShared>,
    bytes: u64,
    /// Connections that the torrent may have.
    pub(crate) connections: u32,
}

impl Share {
    /// Takes the share of a torrent of so many pieces, which would have `most` connections.
    pub(crate) fn take(client: &Arc<ClientShared>, pieces: u32, most: u32) -> Share {
        let share = Ledger::change(client, |budget, taken| {
            let share = budget.torrent(pieces, most, *taken);
            *taken = taken.saturating_add(share.bytes);
            share
        });
        Share { client: client.clone(), bytes: share.bytes, connections: share.connections }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        Ledger::change(&self.client, |_, taken| *taken = taken.saturating_sub(self.bytes));
    }
}
