//! The memory that the torrents of a client take: shares come out of one [`Budget`] before a connection is
//! promised to any peer, and go back when a torrent closes.
//!
//! Invariant: the client has no more connections than there is memory for beside the shares.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use super::quotas::ConnectionQuota;
use crate::budget::Budget;
use crate::lock::lock;

/// The sum of all shares.
pub(crate) struct Ledger {
    budget: Budget,
    /// Connections of the client where memory is no object.
    most: AtomicU32,
    /// Which may be fewer than that.
    connections: Arc<ConnectionQuota>,
    taken: Mutex<u64>,
}

impl Ledger {
    /// A ledger with nothing taken; the client is to have at most `most` connections.
    pub(crate) fn new(budget: Budget, most: u32, connections: Arc<ConnectionQuota>) -> Arc<Ledger> {
        Arc::new(Ledger { budget, most: AtomicU32::new(most), connections, taken: Mutex::new(0) })
    }

    /// The client is to have at most this many connections from now on.
    pub(crate) fn set_most(&self, most: u32) {
        self.most.store(most, Ordering::Relaxed);
        self.change(|_, _| ());
    }

    /// Takes the share of a torrent of `pieces` pieces, which would have `most` connections.
    pub(crate) fn take(self: &Arc<Self>, pieces: u32, most: u32) -> Share {
        let share = self.change(|budget, taken| {
            let share = budget.torrent(pieces, most, *taken);
            *taken = taken.saturating_add(share.bytes);
            share
        });
        Share { ledger: self.clone(), bytes: share.bytes, connections: share.connections }
    }

    /// Changes the sum, and with it how many connections the client may have.
    fn change<T>(&self, body: impl FnOnce(&Budget, &mut u64) -> T) -> T {
        let mut taken = lock(&self.taken);
        let result = body(&self.budget, &mut taken);
        let most = self.budget.connections_beside(*taken, self.most.load(Ordering::Relaxed));
        self.connections.with(|places| places.set_most(most));
        result
    }
}

/// The share of one torrent; given back when dropped.
pub(crate) struct Share {
    ledger: Arc<Ledger>,
    bytes: u64,
    /// Connections that the torrent may have.
    pub(crate) connections: u32,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.ledger.change(|_, taken| *taken = taken.saturating_sub(self.bytes));
    }
}
