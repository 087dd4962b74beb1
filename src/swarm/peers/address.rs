//! Which addresses can be a peer's at all, and the one form each is compared in.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

/// The one form of an address: an IPv4 address inside an IPv6 one is taken out, and only a
/// link-local one keeps its zone.
pub(super) fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => {
            SocketAddrV6::new(*v6.ip(), v6.port(), 0, v6.scope_id()).into()
        }
        _ => SocketAddr::new(addr.ip().to_canonical(), addr.port()),
    }
}

/// The canonical form of an address that can be called, else nothing. Loopback and private
/// addresses can.
pub(super) fn callable(addr: SocketAddr) -> Option<SocketAddr> {
    let addr = canonical(addr);
    let unusable = match addr.ip() {
        // 0/8 is "this network", 240/4 is reserved and ends in the broadcast address.
        IpAddr::V4(ip) => ip.octets()[0] == 0 || ip.is_multicast() || ip.octets()[0] >= 240,
        IpAddr::V6(ip) => {
            let zoneless = matches!(addr, SocketAddr::V6(v6) if v6.scope_id() == 0);
            ip.is_unspecified() || ip.is_multicast() || ip.is_unicast_link_local() && zoneless
        }
    };
    (addr.port() != 0 && !unusable).then_some(addr)
}

/// How far an address reaches: this host, this network, the world.
pub(in crate::swarm) fn reach(ip: IpAddr) -> u8 {
    match ip.to_canonical() {
        ip if ip.is_loopback() => 0,
        IpAddr::V4(ip) if ip.is_private() || ip.is_link_local() => 1,
        IpAddr::V6(ip) if ip.is_unique_local() || ip.is_unicast_link_local() => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_called_passes() {
        for (addr, want) in [
            ("192.0.2.1:6881", Some("192.0.2.1:6881")),
            ("127.0.0.1:1", Some("127.0.0.1:1")),
            ("10.1.2.3:9", Some("10.1.2.3:9")),
            ("[::ffff:192.0.2.1]:6881", Some("192.0.2.1:6881")),
            ("[2001:db8::1]:6881", Some("[2001:db8::1]:6881")),
            ("[::1]:5", Some("[::1]:5")),
            ("[fe80::1%3]:5", Some("[fe80::1%3]:5")),
            ("[fe80::1]:5", None),
            ("192.0.2.1:0", None),
            ("0.0.0.0:1", None),
            ("0.1.2.3:1", None),
            ("255.255.255.255:1", None),
            ("240.0.0.1:1", None),
            ("224.0.0.1:1", None),
            ("[::]:1", None),
            ("[::ffff:0.0.0.0]:1", None),
            ("[::ffff:239.1.1.1]:1", None),
            ("[ff02::1]:1", None),
        ] {
            let got = callable(addr.parse().unwrap());
            assert_eq!(got, want.map(|want| want.parse().unwrap()), "{addr}");
        }
    }
}
