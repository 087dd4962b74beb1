//! A rate limit that threads share: the pure bucket behind a lock, and a way past it without one; and the
//! pace it gives to one connection in one direction.
//!
//! Reading and writing go through the same gate: a [`Pace`] books a portion under both limits, waits for it
//! once, and lets that many bytes pass. Portions are a sixty-fourth of a second's worth, so that a block
//! passes a small limit in slices: bytes trickle, and neither side takes the other for dead. No thread polls:
//! each waits exactly for its own turn, or for the end of its connection.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::clock::Clock;
use crate::limit::Bucket;
use crate::lock::lock;

/// A limit on bytes a second that threads share and that may change at any time.
pub(crate) struct Limiter {
    /// The rate once more, so that no limit costs no lock.
    rate: AtomicU64,
    bucket: Mutex<Bucket>,
    clock: Clock,
}

impl Limiter {
    /// A limit of `rate` bytes a second; 0 is none.
    pub(crate) fn new(rate: u64, clock: Clock) -> Arc<Self> {
        Arc::new(Limiter {
            rate: AtomicU64::new(rate),
            bucket: Mutex::new(Bucket::new(rate, clock.now())),
            clock,
        })
    }

    /// The limit now; 0 is none.
    fn rate(&self) -> u64 {
        self.rate.load(Ordering::Relaxed)
    }

    /// Changes the limit.
    pub(crate) fn set_rate(&self, rate: u64) {
        let mut bucket = lock(&self.bucket);
        bucket.set_rate(rate, self.clock.now());
        self.rate.store(rate, Ordering::Relaxed);
    }

    /// Books `bytes`; the caller then waits for as long as is returned.
    fn spend(&self, bytes: u64) -> Duration {
        if self.rate() == 0 {
            return Duration::ZERO;
        }
        let now = self.clock.now();
        lock(&self.bucket).spend(bytes, now)
    }
}

/// The limits one connection is under in one direction: its torrent's and the client's.
#[derive(Clone)]
pub(crate) struct Limits {
    torrent: Arc<Limiter>,
    client: Arc<Limiter>,
}

impl Limits {
    /// Both limits together.
    pub(crate) fn new(torrent: Arc<Limiter>, client: Arc<Limiter>) -> Self {
        Limits { torrent, client }
    }

    /// Whether either limits.
    pub(crate) fn is_limited(&self) -> bool {
        self.torrent.rate() != 0 || self.client.rate() != 0
    }

    /// How much to book at once.
    fn portion(&self) -> u64 {
        Bucket::portion(self.torrent.rate()).min(Bucket::portion(self.client.rate()))
    }

    /// Books under both; the longer wait counts.
    fn spend(&self, bytes: u64) -> Duration {
        self.torrent.spend(bytes).max(self.client.spend(bytes))
    }

    /// The torrent's own limit.
    pub(crate) fn torrent(&self) -> &Limiter {
        &self.torrent
    }
}

/// Tells a connection that the peer was not read from for reasons of our own, so that the peer's silence is
/// not held against it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Throttled(Arc<AtomicU32>);

impl Throttled {
    /// Runs `wait`, which waits for something that is not the peer's to give.
    pub(crate) fn during<T>(&self, wait: impl FnOnce() -> T) -> T {
        // Odd while waiting; and a wait that came and went between two looks is seen as well.
        self.0.fetch_add(1, Ordering::AcqRel);
        let waited = wait();
        self.0.fetch_add(1, Ordering::AcqRel);
        waited
    }

    /// Whether there was such a wait since `seen` was last brought up to date here.
    pub(crate) fn since(&self, seen: &mut u32) -> bool {
        let now = self.0.load(Ordering::Acquire);
        let before = std::mem::replace(seen, now);
        now % 2 == 1 || now != before
    }
}

/// The pace of one connection in one direction.
pub(crate) struct Pace {
    limits: Limits,
    /// Bytes booked and waited for, and not yet used.
    credit: u64,
    held_back: Throttled,
    /// Disconnected when the connection ends: ends a wait.
    hangup: Receiver<()>,
}

impl Pace {
    /// A pace under these limits, whose waits show in `held_back`.
    pub(crate) fn new(limits: Limits, held_back: Throttled, hangup: Receiver<()>) -> Self {
        Pace { limits, credit: 0, held_back, hangup }
    }

    /// Whether there is a limit now.
    pub(crate) fn is_limited(&self) -> bool {
        self.limits.is_limited()
    }

    /// How many of `wanted` bytes may pass now, at least one; waits until some may. None if the connection
    /// ended meanwhile. Passed bytes are to be [noted](Pace::used).
    pub(crate) fn allowance(&mut self, wanted: u64) -> Option<u64> {
        if !self.is_limited() {
            return Some(wanted);
        }
        if self.credit == 0 {
            let portion = self.limits.portion();
            // No limit is left if it was lifted between the two checks.
            let wait = if portion == u64::MAX { Duration::ZERO } else { self.limits.spend(portion) };
            let hung_up = |wait| self.hangup.recv_timeout(wait) != Err(RecvTimeoutError::Timeout);
            if !wait.is_zero() && self.held_back.during(|| hung_up(wait)) {
                return None;
            }
            self.credit = portion;
        }
        Some(wanted.min(self.credit))
    }

    /// `bytes` bytes have passed.
    pub(crate) fn used(&mut self, bytes: u64) {
        self.credit = self.credit.saturating_sub(bytes);
    }
}
