//! The addresses at which other machines reach this one.
//!
//! Connecting a UDP socket, which sends nothing, asks the routing table for the main address; the others
//! are listed by the kernel. Nothing here uses the network.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use bitwren::internals::interfaces;

/// The most addresses that are published.
const MAX_ADDRESSES: usize = 8;

/// Addresses for documentation (RFC 5737, RFC 3849): where a packet would go that left the network.
const FAR: [&str; 2] = ["198.51.100.1:9", "[2001:db8::1]:9"];

/// This machine's addresses, that on its main network first; only loopback if there is no other.
pub fn addresses() -> Vec<IpAddr> {
    let v4 = from_fib_trie(&fs::read_to_string("/proc/net/fib_trie").unwrap_or_default());
    let v6 = interfaces::ipv6_addresses().into_iter().map(|one| one.ip);
    let main = FAR.iter().filter_map(|far| towards(far));
    order(main.chain(v4.into_iter().map(IpAddr::from)).chain(v6.map(IpAddr::from)))
}

/// The address from which a packet to `far` would come.
fn towards(far: &str) -> Option<IpAddr> {
    let from = if far.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(from).ok()?;
    socket.connect(far).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

/// The addresses that others can use, each once, up to [`MAX_ADDRESSES`].
fn order(all: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut ordered: Vec<IpAddr> = Vec::new();
    for address in all {
        let usable = match address {
            IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_unspecified() && !ip.is_link_local(),
            IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unspecified() && !ip.is_unicast_link_local(),
        };
        if usable && !ordered.contains(&address) && ordered.len() < MAX_ADDRESSES {
            ordered.push(address);
        }
    }
    if ordered.is_empty() {
        ordered.push(Ipv4Addr::LOCALHOST.into());
    }
    ordered
}

/// The local IPv4 addresses in the kernel's routing trie: a line with the address, and below it one
/// that says that it is this host's own.
fn from_fib_trie(text: &str) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let mut last: Option<Ipv4Addr> = None;
    for line in text.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(last);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIE: &str = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     \
        +-- 127.0.0.0/8 2 0 2\n           |-- 127.0.0.0\n              /8 host LOCAL\n           \
        |-- 127.0.0.1\n              /32 host LOCAL\n     +-- 10.1.2.0/24 2 0 2\n           \
        |-- 10.1.2.3\n              /32 host LOCAL\n        |-- 10.1.2.255\n           /32 link BROADCAST\n";

    #[test]
    fn local_addresses_are_read_from_the_kernels_tables() {
        assert_eq!(from_fib_trie(TRIE), [Ipv4Addr::LOCALHOST, Ipv4Addr::new(10, 1, 2, 3)]);
        assert!(from_fib_trie("|-- nonsense\n/32 host LOCAL").is_empty());
    }

    #[test]
    fn only_what_others_can_use_counts_and_loopback_where_there_is_nothing() {
        let v4 = from_fib_trie(TRIE).into_iter().map(IpAddr::from);
        let v6 = ["::1", "fe80::fc:ff:fe00:1", "fd00::2"].map(|ip| ip.parse().unwrap());
        let main: IpAddr = "10.9.9.9".parse().unwrap();
        let ordered = order([main].into_iter().chain(v4).chain([main]).chain(v6));
        assert_eq!(ordered, ["10.9.9.9", "10.1.2.3", "fd00::2"].map(|ip| ip.parse::<IpAddr>().unwrap()));
        assert_eq!(order(std::iter::empty()), [IpAddr::from(Ipv4Addr::LOCALHOST)]);
    }
}
