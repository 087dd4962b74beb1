//! The addresses under which the world sees us, as peers tell them (BEP 10, `yourip`).
//!
//! One peer's word counts for nothing: an address is believed when three hosts and the majority of
//! those asked last agree on it.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard};

use crate::lock::lock;

/// Hosts whose word is remembered, of each address family.
const WITNESSES: usize = 16;
/// Hosts that have to agree.
const ENOUGH: usize = 3;

/// What the world sees us as.
#[derive(Debug, Default)]
pub(crate) struct ExternalIpVotes(Mutex<Votes>);

/// Who said what, the oldest first.
#[derive(Debug, Default)]
struct Votes {
    v4: VecDeque<(IpAddr, IpAddr)>,
    v6: VecDeque<(IpAddr, IpAddr)>,
}

impl ExternalIpVotes {
    /// The host `by` says that we are at `ip`. An address that is believed from now on and was not
    /// before.
    pub(crate) fn told(&self, ip: IpAddr, by: IpAddr) -> Option<IpAddr> {
        let (ip, by) = (ip.to_canonical(), by.to_canonical());
        if ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() {
            return None;
        }
        let mut votes = self.lock();
        let votes = if ip.is_ipv4() { &mut votes.v4 } else { &mut votes.v6 };
        let before = believed(votes);
        votes.retain(|(witness, _)| *witness != by);
        if votes.len() >= WITNESSES {
            votes.pop_front();
        }
        votes.push_back((by, ip));
        believed(votes).filter(|now| Some(*now) != before)
    }

    /// Our IPv4 address, where it is known.
    pub(crate) fn v4(&self) -> Option<Ipv4Addr> {
        match believed(&self.lock().v4) {
            Some(IpAddr::V4(ip)) => Some(ip),
            _ => None,
        }
    }

    /// Our IPv6 address, where it is known.
    pub(crate) fn v6(&self) -> Option<Ipv6Addr> {
        match believed(&self.lock().v6) {
            Some(IpAddr::V6(ip)) => Some(ip),
            _ => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Votes> {
        lock(&self.0)
    }
}

/// The address that enough agree on.
fn believed(votes: &VecDeque<(IpAddr, IpAddr)>) -> Option<IpAddr> {
    let count = |ip: IpAddr| votes.iter().filter(|(_, said)| *said == ip).count();
    let best = votes.iter().map(|(_, said)| *said).max_by_key(|ip| count(*ip))?;
    (count(best) >= ENOUGH && 2 * count(best) > votes.len()).then_some(best)
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
        assert!((0..9).all(|_| external.told(world, ip(1)).is_none()));
        assert_eq!(external.told(world, ip(2)), None);
        assert_eq!(external.told(world, ip(3)), Some(world), "it is news once");
        assert_eq!(external.told(world, ip(4)), None);
        assert_eq!((external.v4(), external.v6()), (Some(Ipv4Addr::new(203, 0, 113, 9)), None));
        // Four liars are no majority over four; five are.
        let lie = IpAddr::from([198, 51, 100, 1]);
        assert!((5..9).all(|liar| external.told(lie, ip(liar)).is_none()));
        assert_eq!(external.told(lie, ip(9)), Some(lie));
    }

    #[test]
    fn witnesses_are_bounded() {
        let external = ExternalIpVotes::default();
        for witness in 0..=255 {
            external.told(ip(witness), ip(witness));
        }
        assert_eq!(external.lock().v4.len(), WITNESSES);
        assert_eq!(external.told(IpAddr::from([127, 0, 0, 1]), ip(1)), None);
    }
}
