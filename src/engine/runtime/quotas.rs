//! The fair shares of connections behind a lock.

use std::sync::Mutex;

use crate::host::quota::FairQuota;
use crate::id::TorrentKey;
use crate::lock::lock;

/// Places that torrents share.
pub(crate) struct ConnectionQuota(Mutex<FairQuota<TorrentKey>>);

impl ConnectionQuota {
    pub(crate) fn new(most: u32) -> Self {
        ConnectionQuota(Mutex::new(FairQuota::new(most)))
    }

    /// Looks at the shares, or changes them.
    pub(crate) fn with<T>(&self, body: impl FnOnce(&mut FairQuota<TorrentKey>) -> T) -> T {
        body(&mut lock(&self.0))
    }
}
