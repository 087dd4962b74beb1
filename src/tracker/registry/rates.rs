//! How often each address asks: a table of fixed size, so that no number of addresses makes it grow, slows it
//! down, or keeps a new one from being served.
//!
//! An address may be in a handful of slots, picked by a keyed hash; if all are taken, the one whose bucket is
//! emptiest, and so is limited least, is forgotten. Invariant: an address that keeps its slot gets its rate
//! and twice that at once, and no more.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Duration;

use crate::limit::{Leak, LeakyBucket};
use crate::moment::Moment;
use crate::network::host;

/// Slots an address may be in.
const WAYS: usize = 4;

/// How many times as many slots there are; 16 bytes each.
const SETS: usize = 2048;

/// Requests of an address.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Which address; 0 is none.
    print: u64,
    bucket: LeakyBucket,
}

/// The table.
#[derive(Debug)]
pub(super) struct Rates {
    leak: Leak,
    /// Empty if there is no limit.
    slots: Vec<Slot>,
    hash: RandomState,
}

impl Rates {
    /// An empty table, for `rate` requests a second; without a limit, which is 0, it takes no memory.
    pub(super) fn new(rate: u32) -> Self {
        let slots = if rate == 0 { Vec::new() } else { vec![Slot::default(); WAYS * SETS] };
        let leak = Leak { room: rate.saturating_mul(2), every: Duration::from_secs(1) / rate.max(1) };
        Rates { leak, slots, hash: RandomState::new() }
    }

    /// Whether this address may make one more request now.
    pub(super) fn admits(&mut self, from: IpAddr, now: Moment) -> bool {
        let print = self.hash.hash_one(host(from)) | 1;
        let start = (print >> 32) as usize % SETS * WAYS;
        let Some(set) = self.slots.get_mut(start..start + WAYS) else { return true };
        if let Some(known) = set.iter_mut().find(|slot| slot.print == print) {
            return known.bucket.pour(self.leak, now);
        }
        let Some(slot) = set.iter_mut().min_by_key(|slot| slot.bucket) else { return true };
        *slot = Slot { print, bucket: LeakyBucket::default() };
        slot.bucket.pour(self.leak, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(rates: &mut Rates, ip: &str, secs: u64) -> usize {
        (0..100).filter(|_| rates.admits(ip.parse().unwrap(), Moment::from_secs(secs))).count()
    }

    #[test]
    fn each_address_has_its_rate_and_each_v6_network_one() {
        let mut rates = Rates::new(10);
        assert_eq!(admitted(&mut rates, "1.1.1.1", 0), 20);
        assert_eq!(admitted(&mut rates, "1.1.1.2", 0), 20);
        assert_eq!(admitted(&mut rates, "::ffff:1.1.1.2", 0), 0, "the same host");
        assert_eq!(admitted(&mut rates, "1.1.1.1", 1), 10);
        assert_eq!(admitted(&mut rates, "2001:db8::1", 1), 20);
        assert_eq!(admitted(&mut rates, "2001:db8::2", 1), 0, "the same host, for all anyone knows");
        assert_eq!(admitted(&mut rates, "2001:db8:0:1::1", 1), 20);
        assert_eq!(admitted(&mut Rates::new(0), "1.1.1.1", 0), 100);
    }

    #[test]
    fn a_flood_of_addresses_neither_shuts_out_new_ones_nor_frees_those_that_are_limited() {
        let mut rates = Rates::new(10);
        let greedy = (0..100).filter(|_| rates.admits("9.9.9.9".parse().unwrap(), Moment::START)).count();
        assert_eq!(greedy, 20);
        for n in 0..100_000u32 {
            assert!(rates.admits(IpAddr::from((n + 0x0A00_0000).to_be_bytes()), Moment::START));
        }
        assert_eq!(rates.slots.len(), WAYS * SETS);
        assert_eq!(admitted(&mut rates, "9.9.9.9", 0), 0, "others in its slots were owed more");
    }
}
