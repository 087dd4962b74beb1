//! When a torrent has seeded enough: by ratio, by time, or after a time in which nothing was sent.

use std::time::Duration;

use crate::config::{self, TorrentConfig};
use crate::event::SeedLimit;
use crate::moment::Moment;

/// The limits, and how far the torrent is. Time runs only while the torrent seeds: not while it is paused.
#[derive(Debug)]
pub(super) struct SeedLimits {
    ratio: Option<f64>,
    time: Option<Duration>,
    idle: Option<Duration>,
    /// Since when it seeds without a break, and for how long before.
    since: Option<Moment>,
    before: Duration,
    /// Bytes sent when last looked at, and when that changed.
    sent: u64,
    moved: Moment,
}

impl SeedLimits {
    pub(super) fn new(config: &TorrentConfig) -> Self {
        SeedLimits {
            ratio: config.seed_ratio,
            time: config.seed_time,
            idle: config.seed_idle,
            since: None,
            before: Duration::ZERO,
            sent: 0,
            moved: Moment::START,
        }
    }

    /// The limits are these from now on.
    pub(super) fn set(&mut self, limits: config::SeedLimits, now: Moment) {
        if self.idle.is_none() {
            // Time without this limit is not held against it.
            self.moved = now;
        }
        (self.ratio, self.time, self.idle) = (limits.ratio, limits.time, limits.idle);
    }

    /// Whether it seeds now.
    pub(super) fn watch(&mut self, seeds: bool, now: Moment) {
        match (seeds, self.since) {
            (true, None) => (self.since, self.moved) = (Some(now), now),
            (false, Some(since)) => (self.since, self.before) = (None, self.before + (now - since)),
            _ => {}
        }
    }

    /// The limit that is reached, `sent` bytes having been sent in all sessions of `wanted`.
    pub(super) fn reached(&mut self, sent: u64, wanted: u64, now: Moment) -> Option<SeedLimit> {
        let since = self.since?;
        if sent != self.sent {
            (self.sent, self.moved) = (sent, now);
        }
        if self.ratio.is_some_and(|ratio| sent as f64 >= ratio * wanted as f64) {
            Some(SeedLimit::Ratio)
        } else if self.time.is_some_and(|time| self.before + (now - since) >= time) {
            Some(SeedLimit::Time)
        } else if self.idle.is_some_and(|idle| now - self.moved >= idle) {
            Some(SeedLimit::Idle)
        } else {
            None
        }
    }

    /// When time alone will reach a limit.
    pub(super) fn deadline(&self) -> Option<Moment> {
        let since = self.since?;
        let time = self.time.map(|time| since + time.saturating_sub(self.before));
        let idle = self.idle.map(|idle| self.moved + idle);
        time.into_iter().chain(idle).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(config: TorrentConfig) -> SeedLimits {
        let mut limits = SeedLimits::new(&config);
        limits.watch(true, Moment::from_secs(100));
        limits
    }

    #[test]
    fn the_first_limit_reached_ends_it() {
        let minute = Some(Duration::from_secs(60));
        let mut limits = limits(TorrentConfig::default().seed_ratio(Some(1.5)).seed_time(minute));
        assert_eq!(limits.reached(149, 100, Moment::from_secs(159)), None);
        assert_eq!(limits.reached(150, 100, Moment::from_secs(159)), Some(SeedLimit::Ratio));
        assert_eq!(limits.reached(0, 100, Moment::from_secs(160)), Some(SeedLimit::Time));
        assert_eq!(limits.deadline(), Some(Moment::from_secs(160)));
    }

    #[test]
    fn idle_is_since_the_last_byte() {
        let mut limits = limits(TorrentConfig::default().seed_idle(Some(Duration::from_secs(30))));
        assert_eq!(limits.deadline(), Some(Moment::from_secs(130)));
        assert_eq!(limits.reached(1, 100, Moment::from_secs(120)), None);
        assert_eq!(limits.reached(1, 100, Moment::from_secs(149)), None);
        assert_eq!(limits.deadline(), Some(Moment::from_secs(150)));
        assert_eq!(limits.reached(1, 100, Moment::from_secs(150)), Some(SeedLimit::Idle));
    }

    #[test]
    fn a_pause_does_not_count() {
        let mut limits = limits(TorrentConfig::default().seed_time(Some(Duration::from_secs(60))));
        limits.watch(false, Moment::from_secs(110));
        assert_eq!((limits.reached(0, 1, Moment::from_secs(500)), limits.deadline()), (None, None));
        limits.watch(true, Moment::from_secs(1000));
        assert_eq!(limits.deadline(), Some(Moment::from_secs(1050)));
        assert_eq!(limits.reached(0, 1, Moment::from_secs(1049)), None);
        assert_eq!(limits.reached(0, 1, Moment::from_secs(1050)), Some(SeedLimit::Time));
    }

    #[test]
    fn without_limits_it_never_ends() {
        let mut limits = limits(TorrentConfig::default());
        assert_eq!(
            (limits.deadline(), limits.reached(u64::MAX, 1, Moment::from_secs(1 << 40))),
            (None, None)
        );
    }
}
