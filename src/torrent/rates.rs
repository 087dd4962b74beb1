//! Rates in bytes a second, and how often they are measured.

use std::time::Duration;

use super::host::Bytes;
use crate::moment::Moment;

/// How often rates are measured while bytes move.
pub(super) const TICK: Duration = Duration::from_secs(1);
/// How often while a first copy is spread: what was sent tells who has what.
pub(super) const SPREAD_TICK: Duration = Duration::from_millis(100);
/// How often to look at connected peers while none moves a byte.
pub(super) const IDLE_TICK: Duration = Duration::from_secs(10);

/// The rates of the torrent as they are shown.
#[derive(Debug, Default)]
pub(super) struct Meter {
    at: Moment,
    last: Bytes,
    down_rate: u64,
    up_rate: u64,
}

impl Meter {
    /// Measures the rates since the last time; whether anything moves.
    pub(super) fn measure(&mut self, bytes: Bytes, now: Moment) -> bool {
        let elapsed = now - self.at;
        self.down_rate = follow(self.down_rate, bytes.received.saturating_sub(self.last.received), elapsed);
        self.up_rate = follow(self.up_rate, bytes.sent.saturating_sub(self.last.sent), elapsed);
        (self.at, self.last) = (now, bytes);
        self.down_rate > 0 || self.up_rate > 0
    }

    /// Down and up, in bytes a second.
    pub(super) fn rates(&self) -> (u64, u64) {
        (self.down_rate, self.up_rate)
    }
}

/// A rate in bytes a second: half of each new second, so a few seconds' memory, and none once nothing moves.
fn follow(rate: u64, moved: u64, elapsed: Duration) -> u64 {
    let latest = a_second(moved, elapsed);
    if rate == 0 || latest == 0 { latest } else { (rate + latest) / 2 }
}

/// A rate in bytes a second that follows what moves within a few seconds.
pub(super) fn smooth(rate: u64, moved: u64, elapsed: Duration) -> u64 {
    let latest = a_second(moved, elapsed);
    if rate == 0 { latest } else { (rate * 2 + latest) / 3 }
}

fn a_second(moved: u64, elapsed: Duration) -> u64 {
    (u128::from(moved) * 1_000_000 / elapsed.as_micros().max(1)) as u64
}
