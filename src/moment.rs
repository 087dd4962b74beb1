//! Points in time as plain values, so that every decision can be made in virtual time.
//!
//! Floors 1 to 3 never ask what time it is; the engine's clock makes moments from the monotonic
//! clock, a test makes them up.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A point in time: microseconds since the client started. Monotonic; never wall-clock time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// The moment the client started.
    pub const START: Moment = Moment(0);

    /// The moment `micros` microseconds after the start.
    pub const fn from_micros(micros: u64) -> Self {
        Moment(micros)
    }

    /// The moment `millis` milliseconds after the start.
    pub const fn from_millis(millis: u64) -> Self {
        Moment(millis.saturating_mul(1000))
    }

    /// The moment `secs` seconds after the start.
    pub const fn from_secs(secs: u64) -> Self {
        Moment(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since the start.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub const fn since(self, earlier: Moment) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, duration: Duration) -> Moment {
        Moment(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Moment> for Moment {
    type Output = Duration;

    fn sub(self, earlier: Moment) -> Duration {
        self.since(earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_saturate_rather_than_wrap() {
        let later = Moment::from_secs(2);
        assert_eq!(later - Moment::from_millis(500), Duration::from_millis(1500));
        assert_eq!(Moment::START - later, Duration::ZERO);
        assert_eq!(later + Duration::MAX, Moment::from_micros(u64::MAX));
        assert_eq!(Moment::from_secs(u64::MAX), Moment::from_micros(u64::MAX));
        assert_eq!(Moment::from_millis(u64::MAX), Moment::from_micros(u64::MAX));
    }
}
