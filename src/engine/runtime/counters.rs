//! Payload bytes, counted by the threads that move them and read by anyone.

use std::sync::atomic::{AtomicU64, Ordering};

/// Payload bytes of one connection.
#[derive(Debug, Default)]
pub(crate) struct ByteCounters {
    pub(crate) received: AtomicU64,
    pub(crate) sent: AtomicU64,
}

/// Payload bytes of a torrent in this session.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) downloaded: AtomicU64,
    pub(crate) uploaded: AtomicU64,
    pub(crate) wasted: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, bytes: u64) {
        counter.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn read(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}
