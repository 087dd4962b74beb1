//! A rate in bytes a second, measured from a counter that only grows.
//!
//! Pure: the counter and the time come in. Invariant: after an interval without a byte the rate is lower
//! than before, or zero.

use std::time::Duration;

use crate::moment::Moment;

/// The rate of one counter, smoothed over several intervals.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RateMeter {
    /// The counter when it was last measured, and when that was.
    total: u64,
    at: Moment,
    /// Bytes a second over the last interval alone.
    latest: u64,
    /// Bytes a second, smoothed; none before the first interval.
    rate: Option<u64>,
    /// How many times as much the rate so far counts as the latest interval.
    inertia: u8,
}

impl RateMeter {
    /// A meter of a counter that is at `total` now. The rate so far counts `inertia` times as much as the
    /// latest interval: with 1 the rate follows within two or three intervals.
    pub(crate) fn new(total: u64, now: Moment, inertia: u8) -> Self {
        RateMeter { total, at: now, latest: 0, rate: None, inertia }
    }

    /// Ends an interval: the counter is at `total` now. How many bytes moved in it.
    pub(crate) fn measure(&mut self, total: u64, now: Moment) -> u64 {
        let moved = total.saturating_sub(self.total);
        self.latest = per_second(moved, now - self.at);
        let inertia = u64::from(self.inertia);
        self.rate = Some(match self.rate {
            None | Some(0) => self.latest,
            Some(rate) => (rate.saturating_mul(inertia).saturating_add(self.latest)) / (inertia + 1),
        });
        (self.total, self.at) = (total, now);
        moved
    }

    /// Bytes a second, smoothed.
    pub(crate) fn rate(&self) -> u64 {
        self.rate.unwrap_or(0)
    }

    /// Bytes a second over the last interval alone.
    pub(crate) fn latest(&self) -> u64 {
        self.latest
    }
}

fn per_second(bytes: u64, elapsed: Duration) -> u64 {
    let rate = u128::from(bytes) * 1_000_000 / elapsed.as_micros().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(inertia: u8, totals: &[u64]) -> Vec<u64> {
        let mut meter = RateMeter::new(0, Moment::START, inertia);
        let mut measure = |(second, &total): (usize, &u64)| {
            meter.measure(total, Moment::from_secs(second as u64 + 1));
            meter.rate()
        };
        totals.iter().enumerate().map(&mut measure).collect()
    }

    #[test]
    fn the_first_interval_counts_in_full_and_later_ones_by_inertia() {
        assert_eq!(rates(1, &[100, 300, 300, 300]), [100, 150, 75, 37]);
        assert_eq!(rates(2, &[300, 300, 900]), [300, 200, 333]);
        assert_eq!(rates(1, &[0, 0, 800]), [0, 0, 800], "after silence too");
    }

    #[test]
    fn no_counter_and_no_clock_overflows_it() {
        let mut meter = RateMeter::new(0, Moment::START, 2);
        assert_eq!(meter.measure(u64::MAX, Moment::START), u64::MAX);
        assert_eq!(meter.measure(0, Moment::START), 0, "a counter that goes back");
        meter.measure(u64::MAX, Moment::from_secs(1));
        assert!(meter.rate() <= u64::MAX / 3 * 2 + 1);
        assert_eq!(meter.latest(), u64::MAX);
    }
}
