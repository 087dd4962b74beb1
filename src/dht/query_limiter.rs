//! How much others may ask: leaky buckets, one for each address and one for all.
//!
//! Invariant: at most [`MAX_ADDRESSES`] are remembered; when more ask at a time, the newcomers share one
//! bucket.

use std::net::IpAddr;
use std::time::Duration;

use super::id::is_local;
use crate::limit::{Leak, LeakyBucket};
use crate::moment::Moment;
use crate::sorted::SortedMap;

/// Addresses remembered.
const MAX_ADDRESSES: usize = 512;

/// Questions of one address that are answered, those of a machine that may run many nodes, as tests do, and
/// those of all addresses.
const PER_ADDRESS: Leak = Leak { room: 40, every: Duration::from_millis(100) };
const PER_LOCAL_ADDRESS: Leak = Leak { room: 200, ..PER_ADDRESS };
const IN_ALL: Leak = Leak { room: 500, every: Duration::from_millis(4) };

/// The queries that were answered in the last minutes, by address and in all.
#[derive(Debug, Default)]
pub(super) struct QueryLimiter {
    all: LeakyBucket,
    others: LeakyBucket,
    each: SortedMap<IpAddr, LeakyBucket>,
}

impl QueryLimiter {
    /// Whether a question of this address is to be answered.
    pub(super) fn admits(&mut self, ip: IpAddr, now: Moment) -> bool {
        if self.each.len() >= MAX_ADDRESSES && !self.each.contains_key(&ip) {
            self.each.retain(|_, bucket| !bucket.is_empty(now));
        }
        let bucket = match self.each.len() < MAX_ADDRESSES || self.each.contains_key(&ip) {
            true => self.each.get_or_default(ip),
            false => &mut self.others,
        };
        bucket.pour(if is_local(ip) { PER_LOCAL_ADDRESS } else { PER_ADDRESS }, now)
            && self.all.pour(IN_ALL, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_too_much_is_not_answered_and_others_are() {
        let mut limiter = QueryLimiter::default();
        let flood: IpAddr = "1.2.3.4".parse().unwrap();
        assert_eq!((0..1_000).filter(|_| limiter.admits(flood, Moment::START)).count(), 40);
        assert!(limiter.admits("1.2.3.5".parse().unwrap(), Moment::START));
        assert!(limiter.admits(flood, Moment::from_secs(1)));
    }

    #[test]
    fn a_flood_from_everywhere_costs_no_more_than_it_may() {
        let mut limiter = QueryLimiter::default();
        let from = |n: u32| IpAddr::from(std::net::Ipv4Addr::from(0x0100_0000 + n));
        assert_eq!((0..100_000).filter(|n| limiter.admits(from(*n), Moment::START)).count(), 500);
        assert!(limiter.each.len() <= MAX_ADDRESSES);
    }
}
