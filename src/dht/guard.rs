//! How much others may ask: leaky buckets, one for each address and one for all.
//!
//! Invariant: at most [`ADDRESSES`] are remembered; when more ask at a time, the newcomers share one
//! bucket.

use std::net::IpAddr;
use std::time::Duration;

use super::id::is_local;
use crate::moment::Moment;
use crate::sorted::SortedMap;

/// Addresses remembered.
const ADDRESSES: usize = 512;

/// A leaky bucket: so many at once, then one in every so often.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    /// When it will be empty.
    empty: Moment,
}

impl Bucket {
    fn pour(&mut self, now: Moment, each: Duration, burst: u32) -> bool {
        let next = self.empty.max(now) + each;
        let fits = next <= now + each * burst;
        if fits {
            self.empty = next;
        }
        fits
    }
}

/// What was asked lately.
#[derive(Debug, Default)]
pub(super) struct Guard {
    all: Bucket,
    others: Bucket,
    each: SortedMap<IpAddr, Bucket>,
}

impl Guard {
    /// Whether a question of this address is to be answered.
    pub(super) fn admits(&mut self, ip: IpAddr, now: Moment) -> bool {
        if self.each.len() >= ADDRESSES && !self.each.contains_key(&ip) {
            self.each.retain(|_, bucket| bucket.empty > now);
        }
        // A machine may run many nodes, and tests do.
        let burst = if is_local(ip) { 200 } else { 40 };
        let bucket = match self.each.len() < ADDRESSES || self.each.contains_key(&ip) {
            true => self.each.get_or_default(ip),
            false => &mut self.others,
        };
        bucket.pour(now, Duration::from_millis(100), burst)
            && self.all.pour(now, Duration::from_millis(4), 500)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_too_much_is_not_answered_and_others_are() {
        let mut guard = Guard::default();
        let flood: IpAddr = "1.2.3.4".parse().unwrap();
        assert_eq!((0..1_000).filter(|_| guard.admits(flood, Moment::START)).count(), 40);
        assert!(guard.admits("1.2.3.5".parse().unwrap(), Moment::START));
        assert!(guard.admits(flood, Moment::from_secs(1)));
    }

    #[test]
    fn a_flood_from_everywhere_costs_no_more_than_it_may() {
        let mut guard = Guard::default();
        let from = |n: u32| IpAddr::from(std::net::Ipv4Addr::from(0x0100_0000 + n));
        assert_eq!((0..100_000).filter(|n| guard.admits(from(*n), Moment::START)).count(), 500);
        assert!(guard.each.len() <= ADDRESSES);
    }
}
