//! How much others may ask: leaky buckets, one for each address and one for all.
//!
//! Invariant: at most [`ADDRESSES`] are remembered; when more ask at a time, the newcomers share one
//! bucket.

use std::net::IpAddr;
use std::time::Duration;

use super::id::is_local;
use crate::limit::{Leak, LeakyBucket};
use crate::moment::Moment;
use crate::sorted::SortedMap;

/// Addresses remembered.
const ADDRESSES: usize = 512;

/// Questions of one address that are answered, those of a machine that may run many nodes, as tests do, and
/// those of all addresses.
const OF_ONE: Leak = Leak { room: 40, every: Duration::from_millis(100) };
const OF_ONE_LOCAL: Leak = Leak { room: 200, ..OF_ONE };
const OF_ALL: Leak = Leak { room: 500, every: Duration::from_millis(4) };

/// What was asked lately.
#[derive(Debug, Default)]
pub(super) struct Guard {
    all: LeakyBucket,
    others: LeakyBucket,
    each: SortedMap<IpAddr, LeakyBucket>,
}

impl Guard {
    /// Whether a question of this address is to be answered.
    pub(super) fn admits(&mut self, ip: IpAddr, now: Moment) -> bool {
        if self.each.len() >= ADDRESSES && !self.each.contains_key(&ip) {
            self.each.retain(|_, bucket| !bucket.is_empty(now));
        }
        let bucket = match self.each.len() < ADDRESSES || self.each.contains_key(&ip) {
            true => self.each.get_or_default(ip),
            false => &mut self.others,
        };
        bucket.pour(if is_local(ip) { OF_ONE_LOCAL } else { OF_ONE }, now) && self.all.pour(OF_ALL, now)
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
