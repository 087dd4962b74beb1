//! Limits, pure: a token [`Bucket`] for bytes, which makes spenders wait, and a [`LeakyBucket`] for how often
//! something may happen, which refuses what is too much.
//!
//! Bytes are booked from a token bucket first, and the caller is told how long to wait until they are earned.
//! Bookings may go into debt, and the next spender waits behind that debt: so spenders take turns in the
//! order in which they came, and those that always want more get equal shares. For that to be smooth, each
//! books no more than a [portion](Bucket::portion) at a time, which is smaller for small limits.
//!
//! Invariant: what is spent after the waits returned, over any stretch of time, is no more than the rate
//! times that time, plus the burst and one booking.

use std::time::Duration;

use crate::moment::Moment;

/// How much may be saved up while nothing is spent.
const BURST: Duration = Duration::from_millis(100);
/// Portions a second that make up the rate: some 60 wake-ups, however many spend.
const PORTIONS_PER_SECOND: u64 = 64;
/// The least that is booked at once, in bytes.
const MIN_PORTION: u64 = 128;
/// The most.
const MAX_PORTION: u64 = 128 * 1024;

/// A token bucket. Rates are in bytes a second; 0 is no limit.
#[derive(Debug, Clone)]
pub struct Bucket {
    rate: u64,
    /// Bytes in hand; negative is debt.
    tokens: i64,
    /// When `tokens` was true, to the microsecond that earned the last of them.
    at: Moment,
}

impl Bucket {
    /// A full bucket.
    pub fn new(rate: u64, now: Moment) -> Self {
        let mut bucket = Bucket { rate, tokens: 0, at: now };
        bucket.tokens = bucket.burst();
        bucket
    }

    /// Changes the rate. No spender waits longer for it than before: of a debt, the part that takes longer at
    /// the new rate than it would have at the old one is forgiven.
    pub fn set_rate(&mut self, rate: u64, now: Moment) {
        self.earn(now);
        let (old, new) = (u128::from(self.rate.max(1)), u128::from(rate));
        if self.tokens < 0 && new < old {
            let debt = u128::from(self.tokens.unsigned_abs()) * new / old;
            self.tokens = -(debt as i64);
        }
        self.rate = rate;
        self.tokens = self.tokens.min(self.burst());
    }

    /// How much to book at once under a limit of `rate`.
    pub fn portion(rate: u64) -> u64 {
        match rate {
            0 => u64::MAX,
            rate => (rate / PORTIONS_PER_SECOND).clamp(MIN_PORTION, MAX_PORTION),
        }
    }

    /// Books `bytes` and says how long to wait before spending them.
    pub fn spend(&mut self, bytes: u64, now: Moment) -> Duration {
        if self.rate == 0 {
            return Duration::ZERO;
        }
        self.earn(now);
        self.tokens = self.tokens.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
        let debt = self.tokens.min(0).unsigned_abs();
        Duration::from_micros((u128::from(debt) * 1_000_000 / u128::from(self.rate)) as u64)
    }

    fn earn(&mut self, now: Moment) {
        if self.rate == 0 {
            self.at = now;
            return;
        }
        let rate = u128::from(self.rate);
        let earned = rate * now.since(self.at).as_micros() / 1_000_000;
        let sum = i128::from(self.tokens) + earned as i128;
        if sum >= i128::from(self.burst()) {
            (self.tokens, self.at) = (self.burst(), now);
        } else {
            // The time that earned no whole byte is kept for the next look.
            self.tokens = sum as i64;
            self.at = self.at + Duration::from_micros((earned * 1_000_000).div_ceil(rate) as u64);
        }
    }

    fn burst(&self) -> i64 {
        (u128::from(self.rate) * BURST.as_micros() / 1_000_000).min(i64::MAX as u128) as i64
    }
}

/// How much fits into a [`LeakyBucket`]: `room` at once, and one more after each `every`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leak {
    /// Drops that fit into an empty bucket.
    pub room: u32,
    /// In which one leaks out.
    pub every: Duration,
}

/// A limit on how often something may happen, as a leaky bucket: what does not fit does not happen, and
/// costs nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeakyBucket {
    /// When it will be empty.
    empty: Moment,
}

impl LeakyBucket {
    /// Puts a drop in. False if it does not fit.
    pub fn pour(&mut self, leak: Leak, now: Moment) -> bool {
        let fits = now >= self.free(leak);
        if fits {
            self.empty = self.empty.max(now) + leak.every;
        }
        fits
    }

    /// When the next drop fits.
    pub fn free(self, leak: Leak) -> Moment {
        let full = leak.every * leak.room.saturating_sub(1);
        Moment::START + self.empty.since(Moment::START + full)
    }

    /// Whether it is empty.
    pub fn is_empty(self, now: Moment) -> bool {
        self.empty <= now
    }
}

#[cfg(test)]
mod tests;
