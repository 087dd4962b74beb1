//! The fair shares of connections behind a lock.

use std::sync::{Mutex, PoisonError};

use crate::host::quota::FairQuota;
use crate::id::TorrentKey;

/// Places that torrents share.
pub(crate) struct ConnectionQuota(Mutex<FairQuota<TorrentKey>>);

impl ConnectionQuota {
    pub(crate) fn new(most: u32) -> Self {
        ConnectionQuota(Mutex::new(FairQuota::new(most)))
    }

    /// Looks at the shares, or changes them.
    pub(crate) fn with<T>(&self, body: impl FnOnce(&mut FairQuota<TorrentKey>) -> T) -> T {
        body(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
