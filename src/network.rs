//! Which holder gives way when all places of a kind are taken: one whose network has most of them.
//!
//! One party can have many addresses for little money, but they lie close together. So places are shared at
//! three levels: by the network that an attacker of some means controls (IPv4 /24, IPv6 /48), by the network
//! that one host has (IPv4 address, IPv6 /64), and by address. A share counts only while places are scarce:
//! until then one network may hold all of them, for on a LAN it does.
//!
//! Invariant: a newcomer never displaces a holder whose group, at the level that decides, holds no more
//! places than the newcomer's own group would then hold. So two groups never displace one another in turn,
//! and a group that already has most displaces only its own members.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bits of an IPv4 and of an IPv6 address that make a group, widest level first.
const LEVELS: [(u32, u32); 3] = [(24, 48), (32, 64), (32, 128)];

/// The group of an address at a level.
fn group(ip: IpAddr, (v4_bits, v6_bits): (u32, u32)) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - v4_bits).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from(u32::from(ip) & mask))
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - v6_bits).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(ip) & mask))
        }
    }
}

/// The addresses that one host has: an IPv4 address, the /64 of an IPv6 address.
#[cfg(any(feature = "daemon", feature = "tracker-server"))]
pub(crate) fn host(ip: IpAddr) -> IpAddr {
    group(ip, LEVELS[1])
}

/// The network that is likely to be under one control: the /24 of an IPv4 address, the /48 of an
/// IPv6 address.
pub(crate) fn network(ip: IpAddr) -> IpAddr {
    group(ip, LEVELS[0])
}

/// The holder of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder {
    /// The address it has the place for.
    pub(crate) ip: IpAddr,
    /// When it got the place or was last of use; the earliest gives way first. Any unit.
    pub(crate) since: u64,
}

/// The holder that has held a place longest, of the network that holds most; nothing where there are
/// no holders. An index into `holders`.
pub(crate) fn longest_of_largest(holders: &[Holder]) -> Option<usize> {
    longest_of(holders, (0..holders.len()).collect(), &LEVELS)
}

/// The holder that gives way to `newcomer` if all places are taken, an index into `holders`; none if the
/// newcomer has no better claim than any holder.
pub(crate) fn gives_way(holders: &[Holder], newcomer: IpAddr) -> Option<usize> {
    let mut among: Vec<usize> = (0..holders.len()).collect();
    for (depth, &level) in LEVELS.iter().enumerate() {
        let (largest, most) = largest_group(holders, &among, level)?;
        let own = group(newcomer, level);
        let is_own = |&at: &usize| group(holders[at].ip, level) == own;
        let with_newcomer = among.iter().filter(|at| is_own(at)).count() + 1;
        if largest != own && most > with_newcomer {
            among.retain(|&at| group(holders[at].ip, level) == largest);
            return longest_of(holders, among, &LEVELS[depth + 1..]);
        }
        among.retain(is_own);
    }
    None
}

/// Narrows `among` to the largest group at each of `levels`, and finds the longest holder of it.
fn longest_of(holders: &[Holder], mut among: Vec<usize>, levels: &[(u32, u32)]) -> Option<usize> {
    for &level in levels {
        let (largest, _) = largest_group(holders, &among, level)?;
        among.retain(|&at| group(holders[at].ip, level) == largest);
    }
    among.into_iter().min_by_key(|&at| holders[at].since)
}

/// The largest group of those `among` the holders, and its size; of several the one whose member has
/// held its place longest.
fn largest_group(holders: &[Holder], among: &[usize], level: (u32, u32)) -> Option<(IpAddr, usize)> {
    let mut groups: BTreeMap<IpAddr, (usize, u64)> = BTreeMap::new();
    for &at in among {
        let (count, since) = groups.entry(group(holders[at].ip, level)).or_insert((0, u64::MAX));
        *count += 1;
        *since = holders[at].since.min(*since);
    }
    let largest = groups.into_iter().max_by_key(|(_, (count, since))| (*count, std::cmp::Reverse(*since)));
    largest.map(|(group, (count, _))| (group, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holders(of: &[(&str, u64)]) -> Vec<Holder> {
        of.iter().map(|(ip, since)| Holder { ip: ip.parse().unwrap(), since: *since }).collect()
    }

    fn to(holders: &[Holder], newcomer: &str) -> Option<usize> {
        gives_way(holders, newcomer.parse().unwrap())
    }

    #[test]
    fn the_longest_holder_of_the_largest_network_gives_way() {
        assert_eq!(longest_of_largest(&[]), None);
        let two = holders(&[("1.1.1.1", 5), ("2.2.2.2", 3), ("3.3.3.3", 9)]);
        assert_eq!(longest_of_largest(&two), Some(1));
        let many = holders(&[("1.1.1.1", 1), ("2.2.2.2", 7), ("3.3.3.3", 2), ("2.2.2.9", 6)]);
        assert_eq!(longest_of_largest(&many), Some(3));
        // Within the network, the address that has most.
        let within = holders(&[("2.2.2.1", 1), ("2.2.2.2", 7), ("2.2.2.2", 8), ("3.3.3.3", 0)]);
        assert_eq!(longest_of_largest(&within), Some(1));
    }

    #[test]
    fn a_newcomer_displaces_only_a_group_that_has_more_than_its_own_would() {
        let one_each = holders(&[("1.1.1.1", 1), ("2.2.2.2", 2), ("3.3.3.3", 3)]);
        assert_eq!(to(&one_each, "4.4.4.4"), None);
        let two_of_one = holders(&[("1.1.1.1", 1), ("2.2.2.2", 9), ("2.2.2.3", 3)]);
        assert_eq!(to(&two_of_one, "4.4.4.4"), Some(2));
        assert_eq!(to(&two_of_one, "1.1.1.7"), None, "it would then have two as well");
        assert_eq!(to(&two_of_one, "2.2.2.9"), None, "one of each address of the largest network");
    }

    #[test]
    fn within_one_network_addresses_share() {
        let lan = holders(&[("192.168.0.2", 1), ("192.168.0.3", 4), ("192.168.0.3", 3)]);
        assert_eq!(to(&lan, "192.168.0.9"), Some(2));
        assert_eq!(to(&lan, "192.168.0.3"), None);
    }

    #[test]
    #[cfg(any(feature = "daemon", feature = "tracker-server"))]
    fn many_addresses_of_one_ipv6_network_are_one_party() {
        let rented =
            holders(&[("2001:db8:1:1::1", 4), ("2001:db8:1:2::1", 2), ("2001:db8:1:3::1", 3), ("::5", 1)]);
        assert_eq!(to(&rented, "2001:db8:2::1"), Some(1));
        assert_eq!(host("2001:db8::1:2".parse().unwrap()), "2001:db8::".parse::<IpAddr>().unwrap());
        assert_eq!(host("::ffff:1.2.3.4".parse().unwrap()), "1.2.3.4".parse::<IpAddr>().unwrap());
    }

    /// Any sequence of arrivals: no network is displaced below what the displacing network has then.
    #[test]
    fn displacing_never_goes_in_circles() {
        let mut random = crate::random::Random::seeded(1);
        let mut places: Vec<Holder> = Vec::new();
        let mut displaced = 0;
        for now in 0..2_000 {
            let ip = IpAddr::from([10, 0, random.below(4) as u8, random.below(3) as u8]);
            let count = |places: &[Holder], of: IpAddr| {
                places.iter().filter(|one| network(one.ip) == network(of)).count()
            };
            if places.len() < 20 {
                places.push(Holder { ip, since: now });
            } else if let Some(at) = gives_way(&places, ip) {
                displaced += 1;
                let gone = std::mem::replace(&mut places[at], Holder { ip, since: now });
                if network(gone.ip) != network(ip) {
                    assert!(count(&places, gone.ip) >= count(&places, ip));
                }
            }
        }
        assert!(displaced < 40, "{displaced} displaced: it does not settle");
    }
}
