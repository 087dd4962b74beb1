//! The addresses under which other hosts see us, from what peers and DHT nodes say (BEP 10, `yourip`; BEP 42,
//! `ip`).
//!
//! No single host is believed. Invariant: an address is believed only while enough hosts and the majority of
//! those that said something last agree on it, and each host has one vote.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard};

use crate::lock::lock;

/// Peers whose votes are kept, for each address family.
const MAX_VOTES: usize = 16;
/// Peers that have to agree.
const MIN_AGREEING: usize = 3;

/// What hosts say our address is, of one address family.
#[derive(Debug)]
pub(crate) struct Votes {
    /// The host that said it and the address it named, the oldest vote first.
    cast: VecDeque<(IpAddr, IpAddr)>,
    max_votes: usize,
    min_agreeing: usize,
}

impl Votes {
    /// Keeps the last `max_votes` votes; an address needs `min_agreeing` of them and the majority.
    pub(crate) fn new(max_votes: usize, min_agreeing: usize) -> Self {
        Votes { cast: VecDeque::new(), max_votes, min_agreeing }
    }

    /// The host `by` says that our address is `ip`; this replaces what it said before.
    pub(crate) fn cast(&mut self, by: IpAddr, ip: IpAddr) {
        self.cast.retain(|(host, _)| *host != by);
        if self.cast.len() >= self.max_votes {
            self.cast.pop_front();
        }
        self.cast.push_back((by, ip));
    }

    /// The address that enough hosts agree on.
    pub(crate) fn believed(&self) -> Option<IpAddr> {
        let count = |ip: IpAddr| self.cast.iter().filter(|(_, said)| *said == ip).count();
        let best = self.cast.iter().map(|(_, said)| *said).max_by_key(|ip| count(*ip))?;
        (count(best) >= self.min_agreeing && 2 * count(best) > self.cast.len()).then_some(best)
    }
}

/// Our addresses as the peers of all torrents see them.
#[derive(Debug)]
pub(crate) struct ExternalIpVotes(Mutex<Families>);

#[derive(Debug)]
struct Families {
    v4: Votes,
    v6: Votes,
}

impl Default for ExternalIpVotes {
    fn default() -> Self {
        let votes = || Votes::new(MAX_VOTES, MIN_AGREEING);
        ExternalIpVotes(Mutex::new(Families { v4: votes(), v6: votes() }))
    }
}

impl ExternalIpVotes {
    /// The host `by` says that our address is `ip`. Returns an address that is believed now and was not
    /// before.
    pub(crate) fn vote(&self, ip: IpAddr, by: IpAddr) -> Option<IpAddr> {
        let (ip, by) = (ip.to_canonical(), by.to_canonical());
        if ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() {
            return None;
        }
        let mut families = self.lock();
        let votes = if ip.is_ipv4() { &mut families.v4 } else { &mut families.v6 };
        let before = votes.believed();
        votes.cast(by, ip);
        votes.believed().filter(|now| Some(*now) != before)
    }

    /// Our IPv4 address, if it is known.
    pub(crate) fn v4(&self) -> Option<Ipv4Addr> {
        match self.lock().v4.believed() {
            Some(IpAddr::V4(ip)) => Some(ip),
            _ => None,
        }
    }

    /// Our IPv6 address, if it is known.
    pub(crate) fn v6(&self) -> Option<Ipv6Addr> {
        match self.lock().v6.believed() {
            Some(IpAddr::V6(ip)) => Some(ip),
            _ => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Families> {
        lock(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn three_hosts_and_the_majority_are_believed() {
        let external = ExternalIpVotes::default();
        let world = IpAddr::from([203, 0, 113, 9]);
        // One host may say it as often as it likes.
        assert!((0..9).all(|_| external.vote(world, ip(1)).is_none()));
        assert_eq!(external.vote(world, ip(2)), None);
        assert_eq!(external.vote(world, ip(3)), Some(world), "it is news once");
        assert_eq!(external.vote(world, ip(4)), None);
        assert_eq!((external.v4(), external.v6()), (Some(Ipv4Addr::new(203, 0, 113, 9)), None));
        // Four liars are no majority over four; five are.
        let lie = IpAddr::from([198, 51, 100, 1]);
        assert!((5..9).all(|liar| external.vote(lie, ip(liar)).is_none()));
        assert_eq!(external.vote(lie, ip(9)), Some(lie));
    }

    #[test]
    fn votes_are_bounded() {
        let external = ExternalIpVotes::default();
        for host in 0..=255 {
            external.vote(ip(host), ip(host));
        }
        assert_eq!(external.lock().v4.cast.len(), MAX_VOTES);
        assert_eq!(external.vote(IpAddr::from([127, 0, 0, 1]), ip(1)), None);
    }
}
