//! How often each address asks: a table of fixed size, so that no number of addresses makes it
//! grow, slows it down, or keeps a new one from being served.
//!
//! An address has a handful of slots it may be in, picked by a keyed hash; where all are taken, the
//! one that is owed most, and so is limited least, is forgotten. Invariant: an address that keeps
//! its slot gets its rate and twice that at once, and no more.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use crate::moment::Moment;
use crate::network::host;

/// Slots an address may be in.
const WAYS: usize = 4;

/// How many times as many slots there are; 24 bytes each.
const SETS: usize = 2048;

/// Requests an address may still make.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Which address; 0 is none.
    print: u64,
    at: Moment,
    left: f32,
}

/// The table.
#[derive(Debug)]
pub(super) struct Rates {
    /// Requests a second; 0 is no limit.
    rate: f32,
    slots: Vec<Slot>,
    hash: RandomState,
}

impl Rates {
    /// A table of nobody; without a limit it takes no room.
    pub(super) fn new(rate: u32) -> Self {
        let slots = if rate == 0 { Vec::new() } else { vec![Slot::default(); WAYS * SETS] };
        Rates { rate: rate as f32, slots, hash: RandomState::new() }
    }

    /// Whether this address may make one more request now.
    pub(super) fn admits(&mut self, from: IpAddr, now: Moment) -> bool {
        let print = self.hash.hash_one(host(from)) | 1;
        let (rate, most) = (self.rate, 2.0 * self.rate);
        let start = (print >> 32) as usize % SETS * WAYS;
        let Some(set) = self.slots.get_mut(start..start + WAYS) else { return true };
        let left = |slot: &Slot| match slot.print {
            0 => f32::INFINITY,
            _ => (slot.left + now.since(slot.at).as_secs_f32() * rate).min(most),
        };
        let known = set.iter().position(|slot| slot.print == print);
        let (at, left) = match known.and_then(|at| set.get(at).map(|slot| (at, left(slot)))) {
            Some(found) => found,
            None => {
                let richest = (0..set.len()).max_by(|&a, &b| left(&set[a]).total_cmp(&left(&set[b])));
                (richest.unwrap_or_default(), most)
            }
        };
        let admitted = left >= 1.0;
        set[at] = Slot { print, at: now, left: if admitted { left - 1.0 } else { left } };
        admitted
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
