//! Addresses that other peers name (BEP 11), which is to say anyone: nobody fills more than a share
//! of the room there is for them, nobody has one host called at every port, and who named an
//! address may take it back.

use std::net::{IpAddr, SocketAddr};

use super::{Entry, PeerList, Source, State, address};
use crate::moment::Moment;

/// How many addresses named by peers at one address are kept.
const SHARE: usize = 75;

/// How many ports of one host that is out in the world.
const PORTS: usize = 3;

impl PeerList {
    /// A peer at `by` says that it is connected to this address, and whether that is a seed. True
    /// where it is new and was kept.
    pub fn heard(&mut self, addr: SocketAddr, seed: bool, by: IpAddr, now: Moment) -> bool {
        let Some(addr) = address::callable(addr) else { return false };
        let by = by.to_canonical();
        if self.entries.contains_key(&addr) || !self.has_share(by) || !self.has_port(addr) {
            return false;
        }
        let kept = self.add(addr, Source::Pex, now);
        if let Some(entry) = self.entries.get_mut(&addr).filter(|_| kept) {
            (entry.named_by, entry.seed) = (Some(by), seed);
        }
        kept
    }

    /// The peer at `by` is no longer connected to this address. What it had named is forgotten,
    /// unless we came to know it ourselves.
    pub fn unheard(&mut self, addr: SocketAddr, by: IpAddr) {
        let (addr, by) = (address::canonical(addr), by.to_canonical());
        let forgotten = |entry: &Entry| {
            entry.source == Source::Pex && entry.named_by == Some(by) && Self::is_spare(entry)
        };
        if self.entries.get(&addr).is_some_and(forgotten) {
            self.entries.remove(&addr);
        }
    }

    /// Whether a peer at `by` may name one more; one that failed makes way.
    fn has_share(&mut self, by: IpAddr) -> bool {
        let named = || self.entries.iter().filter(|(_, entry)| entry.named_by == Some(by));
        if named().count() < SHARE {
            return true;
        }
        let failed = named().filter(|(_, entry)| Self::is_spare(entry) && entry.failures > 0);
        let worst = failed.max_by_key(|(_, entry)| entry.failures).map(|(&addr, _)| addr);
        worst.is_some_and(|worst| self.entries.remove(&worst).is_some())
    }

    /// Whether a host out in the world may be called at one more port. On this machine and in this
    /// network many peers may share one.
    fn has_port(&self, addr: SocketAddr) -> bool {
        let near = match addr.ip() {
            IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
        };
        let same = |other: &SocketAddr, entry: &Entry| other.ip() == addr.ip() && entry.source == Source::Pex;
        near || self.entries.iter().filter(|(other, entry)| same(other, entry)).count() < PORTS
    }

    /// Neither being called nor connected, and never of use.
    fn is_spare(entry: &Entry) -> bool {
        matches!(entry.state, State::Idle(_)) && !entry.delivered
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const NOW: Moment = Moment::from_secs(5);

    fn list() -> PeerList {
        PeerList::new(false, Random::seeded(1))
    }

    fn at(host: u32, port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::from((0x0B00_0000 + host).to_be_bytes()), port)
    }

    fn by(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn one_peer_fills_its_share_and_no_more() {
        let mut list = list();
        let kept = (0..500).filter(|&host| list.heard(at(host, 1), false, by(1), NOW)).count();
        assert_eq!(kept, SHARE);
        assert!(list.heard(at(1000, 1), false, by(2), NOW), "another has a share of its own");
        list.unheard(at(3, 1), by(2));
        assert!(!list.heard(at(2000, 1), false, by(1), NOW), "nobody takes back what others named");
        list.unheard(at(3, 1), by(1));
        assert!(list.heard(at(2000, 1), false, by(1), NOW));
    }

    #[test]
    fn a_host_in_the_world_is_not_called_at_every_port() {
        let mut list = list();
        let kept = |list: &mut PeerList, ip: [u8; 4]| {
            let ports = (1..100).map(|port| SocketAddr::new(ip.into(), port));
            ports.filter(|&addr| list.heard(addr, false, by(1), NOW)).count()
        };
        assert_eq!(kept(&mut list, [11, 1, 1, 1]), PORTS);
        assert_eq!(kept(&mut list, [127, 0, 0, 1]), SHARE - PORTS);
    }

    #[test]
    fn what_we_know_ourselves_is_not_taken_back() {
        let mut list = list();
        for host in 0..2 {
            assert!(list.heard(at(host, 1), false, by(1), NOW));
        }
        list.add(at(1, 1), Source::Tracker, NOW);
        let called = list.next_dial(NOW).unwrap();
        assert_eq!(called, at(1, 1), "the tracker's word counts for more");
        list.connected(called, NOW);
        for host in 0..2 {
            list.unheard(at(host, 1), by(1));
        }
        assert_eq!(list.counts().known, 1);
    }

    #[test]
    fn seeds_heard_of_are_not_called_by_a_seed() {
        let mut list = list();
        list.heard(at(0, 1), true, by(1), NOW);
        list.seeding(true);
        assert_eq!(list.next_dial(NOW), None);
        list.heard(at(1, 1), false, by(1), NOW);
        assert_eq!(list.next_dial(NOW), Some(at(1, 1)));
    }

    #[test]
    fn a_private_torrent_hears_nothing() {
        let mut list = PeerList::new(true, Random::seeded(1));
        assert!(!list.heard(at(0, 1), false, by(1), NOW));
    }
}
