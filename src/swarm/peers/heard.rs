//! Addresses that other peers name (BEP 11), who may be any stranger: no peer fills more than a share of
//! their room, none has one host connected to at every port, and the peer that named an address may take it
//! back.

use std::net::{IpAddr, SocketAddr};

use super::{Entry, PeerList, Source, State, address, reach};
use crate::moment::Moment;
use crate::wire::pex::Flags;

/// How many addresses named by peers at one address are kept.
const MAX_PER_NAMER: usize = 75;

/// How many ports of one host that is out in the world are called because peers named them…
const MAX_PORTS_FROM_PEERS: usize = 3;

/// …and how many because the DHT did, or because peers on that host said that they listen there.
const MAX_PORTS_FROM_DHT: usize = 8;

impl PeerList {
    /// A peer at `by` says that it is connected to this address, and what kind of peer that is. True if it is
    /// new and was kept.
    pub fn heard(&mut self, addr: SocketAddr, flags: Flags, by: IpAddr, now: Moment) -> bool {
        let Some(addr) = address::callable(addr) else { return false };
        let by = by.to_canonical();
        // No peer has us connect to addresses that it could not reach itself: those of this machine, or network.
        if reach(addr.ip()) < reach(by) || self.entries.contains_key(&addr) {
            return false;
        }
        // Before another makes way for it.
        if self.refuses(addr) {
            return false;
        }
        if !self.has_share(by) || !self.make_port(addr, Source::Pex, Some(by)) {
            return false;
        }
        let kept = self.add(addr, Source::Pex, now);
        if let Some(entry) = self.entries.get_mut(&addr).filter(|_| kept) {
            (entry.named_by, entry.named_as_seed) = (Some(by), flags.is_seed());
            entry.encryption = flags.prefers_encryption().then_some(true);
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
        if named().count() < MAX_PER_NAMER {
            return true;
        }
        let failed = named().filter(|(_, entry)| Self::is_spare(entry) && entry.failures > 0);
        let worst = failed.max_by_key(|(_, entry)| entry.failures).map(|(&addr, _)| addr);
        worst.is_some_and(|worst| self.entries.remove(&worst).is_some())
    }

    /// Whether a host out in the world may be called at one more port, where strangers name it. On this
    /// machine and in this network many peers may share one. A port that failed makes way, but not for
    /// the same peer that named it: it could have every port tried, one after the other.
    pub(super) fn make_port(&mut self, addr: SocketAddr, source: Source, by: Option<IpAddr>) -> bool {
        let most = match source {
            Source::Pex => MAX_PORTS_FROM_PEERS,
            Source::Dht | Source::Incoming => MAX_PORTS_FROM_DHT,
            _ => return true,
        };
        if reach(addr.ip()) < 2 {
            return true;
        }
        let same = || {
            let of_host =
                |other: &SocketAddr, entry: &Entry| other.ip() == addr.ip() && entry.source == source;
            self.entries.iter().filter(move |(other, entry)| of_host(other, entry))
        };
        if same().count() < most {
            return true;
        }
        let failed = same().filter(|(_, entry)| {
            Self::is_spare(entry) && entry.failures > 0 && (by.is_none() || entry.named_by != by)
        });
        let worst = failed.max_by_key(|(_, entry)| entry.failures).map(|(&addr, _)| addr);
        worst.is_some_and(|worst| self.entries.remove(&worst).is_some())
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
    use crate::violation::DisconnectReason;

    const SEED: Flags = Flags(Flags::SEED);
    const LEECH: Flags = Flags(0);
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
        let kept = (0..500).filter(|&host| list.heard(at(host, 1), LEECH, by(1), NOW)).count();
        assert_eq!(kept, MAX_PER_NAMER);
        assert!(list.heard(at(1000, 1), LEECH, by(2), NOW), "another has a share of its own");
        list.unheard(at(3, 1), by(2));
        assert!(!list.heard(at(2000, 1), LEECH, by(1), NOW), "no peer takes back what others named");
        list.unheard(at(3, 1), by(1));
        assert!(list.heard(at(2000, 1), LEECH, by(1), NOW));
    }

    #[test]
    fn a_host_in_the_world_is_not_called_at_every_port() {
        let mut list = list();
        let kept = |list: &mut PeerList, ip: [u8; 4], by: IpAddr| {
            let ports = (1..100).map(|port| SocketAddr::new(ip.into(), port));
            ports.filter(|&addr| list.heard(addr, LEECH, by, NOW)).count()
        };
        assert_eq!(kept(&mut list, [11, 1, 1, 1], by(1)), MAX_PORTS_FROM_PEERS);
        assert_eq!(kept(&mut list, [127, 0, 0, 1], IpAddr::from([127, 0, 0, 2])), MAX_PER_NAMER);
    }

    #[test]
    fn no_peer_names_addresses_of_a_network_that_it_is_not_in() {
        let mut list = list();
        let loopback: SocketAddr = "127.0.0.1:22".parse().unwrap();
        for near in ["127.0.0.1:22", "10.0.0.1:22", "169.254.0.1:22", "[::1]:22", "[fd00::1]:22"] {
            assert!(!list.heard(near.parse().unwrap(), LEECH, by(1), NOW), "{near}");
        }
        let private = IpAddr::from([192, 168, 0, 9]);
        assert!(!list.heard(loopback, LEECH, private, NOW));
        assert!(list.heard("10.0.0.1:22".parse().unwrap(), LEECH, private, NOW));
        assert!(list.heard(loopback, LEECH, IpAddr::from([127, 0, 0, 9]), NOW));
    }

    #[test]
    fn wrong_ports_of_a_host_do_not_keep_the_right_one_out() {
        let mut list = list();
        for port in 1..=3 {
            assert!(list.heard(at(1, port), LEECH, by(1), NOW));
        }
        assert!(!list.heard(at(1, 9), LEECH, by(2), NOW), "none was tried yet");
        let called = list.next_dial(NOW).unwrap();
        list.ended(called, DisconnectReason::Unreachable, NOW);
        assert!(!list.heard(at(1, 9), LEECH, by(1), NOW), "who named it cannot go on with the next port");
        assert!(list.heard(at(1, 9), LEECH, by(2), NOW));
    }

    #[test]
    fn a_liars_word_that_a_peer_is_a_seed_ends_with_a_better_source() {
        let mut list = list();
        list.heard(at(1, 1), SEED, by(1), NOW);
        list.seeding(true);
        assert_eq!(list.next_dial(NOW), None);
        list.add(at(1, 1), Source::Tracker, NOW);
        assert_eq!(list.next_dial(NOW), Some(at(1, 1)));
    }

    #[test]
    fn what_we_know_ourselves_is_not_taken_back() {
        let mut list = list();
        for host in 0..2 {
            assert!(list.heard(at(host, 1), LEECH, by(1), NOW));
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
        list.heard(at(0, 1), SEED, by(1), NOW);
        list.seeding(true);
        assert_eq!(list.next_dial(NOW), None);
        list.heard(at(1, 1), LEECH, by(1), NOW);
        assert_eq!(list.next_dial(NOW), Some(at(1, 1)));
    }

    #[test]
    fn a_private_torrent_hears_nothing() {
        let mut list = PeerList::new(true, Random::seeded(1));
        assert!(!list.heard(at(0, 1), LEECH, by(1), NOW));
    }
}
