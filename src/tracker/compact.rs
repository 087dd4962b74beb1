//! Addresses of peers in their compact form: 6 bytes for IPv4 (BEP 23), 18 for IPv6 (BEP 7).
//!
//! A list whose length is no multiple gives its whole entries; nothing is read past the end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::stand_in;

/// Bytes of an IPv4 address and a port.
pub const V4: usize = 6;

/// Bytes of an IPv6 address and a port.
pub const V6: usize = 18;

/// The whole IPv4 entries of `bytes`, as they are (port 0 included).
pub fn read_v4(bytes: &[u8]) -> impl Iterator<Item = SocketAddr> + '_ {
    bytes.chunks_exact(V4).map(|entry| {
        let ip = Ipv4Addr::new(entry[0], entry[1], entry[2], entry[3]);
        SocketAddr::new(IpAddr::V4(ip), u16::from_be_bytes([entry[4], entry[5]]))
    })
}

/// The whole IPv6 entries of `bytes`, as they are (port 0 included).
pub fn read_v6(bytes: &[u8]) -> impl Iterator<Item = SocketAddr> + '_ {
    bytes.chunks_exact(V6).map(|entry| {
        let mut ip = [0; 16];
        ip.copy_from_slice(&entry[..16]);
        SocketAddr::new(IpAddr::V6(Ipv6Addr::from(ip)), u16::from_be_bytes([entry[16], entry[17]]))
    })
}

/// Appends `address` in the form of its family.
pub fn write(address: SocketAddr, out: &mut Vec<u8>) {
    match address.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    out.extend_from_slice(&address.port().to_be_bytes());
}

/// Whether a peer can be at this address at all: it has a port and an address of its own.
pub fn is_usable(address: &SocketAddr) -> bool {
    let ip = address.ip();
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && ip != IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// Whether a tracker may name this address: not one that stands for a name here.
pub fn can_be_named(address: &SocketAddr) -> bool {
    is_usable(address) && stand_in::number(address.ip()).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_and_a_broken_tail_is_left_alone() {
        let v4: SocketAddr = "10.10.10.5:128".parse().unwrap();
        let v6: SocketAddr = "[1002:1035:4527:3546:7854:1237:3247:3217]:6881".parse().unwrap();
        let (mut four, mut six) = (Vec::new(), Vec::new());
        write(v4, &mut four);
        write(v6, &mut six);
        assert_eq!((four.len(), six.len()), (V4, V6));
        four.push(1);
        six.extend_from_slice(&[2; 17]);
        assert_eq!(read_v4(&four).collect::<Vec<_>>(), [v4]);
        assert_eq!(read_v6(&six).collect::<Vec<_>>(), [v6]);
    }

    #[test]
    fn what_is_no_peer_is_not_usable() {
        for bad in ["1.2.3.4:0", "0.0.0.0:1", "[::]:1", "224.0.0.1:9", "255.255.255.255:9", "[ff02::1]:9"] {
            assert!(!is_usable(&bad.parse().unwrap()), "{bad}");
        }
        assert!(is_usable(&"127.0.0.1:1".parse().unwrap()));
        let stands = "240.0.0.1:1".parse().unwrap();
        assert!(is_usable(&stands) && !can_be_named(&stands));
    }
}
