//! The ports that are announced to others: those that we listen at, or the external ports that the gateway maps to
//! them.
//!
//! Peers in our own network get the local ports, as a mapping does not work from inside. Invariant: both ports of a
//! mapping change at once.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};

/// The ports.
#[derive(Debug)]
pub(crate) struct ToldPorts {
    /// What we listen at: the port of peers, and that of the DHT or 0.
    listening: (u16, u16),
    /// The external ports of the mapping, in two halves.
    external: AtomicU32,
}

fn halves(both: u32) -> (u16, u16) {
    ((both >> 16) as u16, both as u16)
}

fn whole((tcp, udp): (u16, u16)) -> u32 {
    u32::from(tcp) << 16 | u32::from(udp)
}

impl ToldPorts {
    /// No mapping is known.
    pub(crate) fn new(tcp: u16, udp: Option<u16>) -> Self {
        let listening = (tcp, udp.unwrap_or(0));
        ToldPorts { listening, external: AtomicU32::new(whole(listening)) }
    }

    /// Where no connection can come in. Trackers are told this port all the same: they refuse a client without a
    /// port, and some of them one whose port is 1 or below 1024. Neither peers nor the DHT are told any.
    pub(crate) fn unreachable(tcp: u16) -> Self {
        ToldPorts { listening: (0, 0), external: AtomicU32::new(whole((tcp, 0))) }
    }

    /// The port of peers that the DHT is told, if any.
    pub(crate) fn of_peers(&self) -> Option<u16> {
        (self.listening.0 != 0).then(|| self.tcp())
    }

    /// The port of peers that trackers are told.
    pub(crate) fn tcp(&self) -> u16 {
        halves(self.external.load(Ordering::Relaxed)).0
    }

    /// The port for peers that is sent to this peer.
    pub(crate) fn tcp_for(&self, peer: IpAddr) -> u16 {
        if is_near(peer) { self.listening.0 } else { self.of_peers().unwrap_or(0) }
    }

    /// The port of the DHT that is sent to this peer.
    pub(crate) fn udp_for(&self, peer: IpAddr) -> u16 {
        if is_near(peer) { self.listening.1 } else { halves(self.external.load(Ordering::Relaxed)).1 }
    }

    /// Sets the external ports of the mapping, if there is one; returns whether the announced ports have changed.
    pub(crate) fn map(&self, mapped: Option<(u16, Option<u16>)>) -> bool {
        let (tcp, udp) = mapped.unwrap_or((self.listening.0, None));
        let external = whole((tcp, udp.unwrap_or(self.listening.1)));
        self.external.swap(external, Ordering::Relaxed) != external
    }
}

/// Whether an address is in our own network, as far as addresses show it.
pub(super) fn is_near(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_internet_is_told_the_mapping_and_the_own_network_is_not() {
        let ports = ToldPorts::new(6881, Some(6882));
        let (far, near) = (IpAddr::from([1, 2, 3, 4]), IpAddr::from([192, 168, 0, 2]));
        let told = |ip| (ports.tcp_for(ip), ports.udp_for(ip));
        assert_eq!((ports.tcp(), told(far), told(near)), (6881, (6881, 6882), (6881, 6882)));
        assert!(!ports.map(Some((6881, Some(6882)))), "nothing new");
        assert!(ports.map(Some((40_000, Some(40_000)))));
        assert_eq!((ports.tcp(), told(far), told(near)), (40_000, (40_000, 40_000), (6881, 6882)));
        assert!(ports.map(Some((40_000, None))) && told(far) == (40_000, 6882));
        assert!(ports.map(None) && told(far) == (6881, 6882));
        let closed = ToldPorts::unreachable(6881);
        assert_eq!(
            (closed.tcp(), closed.of_peers()),
            (6881, None),
            "trackers refuse a client without a port"
        );
        let told = |ip| (closed.tcp_for(ip), closed.udp_for(ip));
        assert_eq!((told(far), told(near)), ((0, 0), (0, 0)));
        for near in ["::ffff:10.0.0.1", "fe80::1", "fd00::1", "::1", "169.254.1.1"] {
            assert!(is_near(near.parse().unwrap()), "{near}");
        }
        assert!(!is_near("2001:db8::1".parse().unwrap()) && !is_near("100.64.0.1".parse().unwrap()));
    }
}
