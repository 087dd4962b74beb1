//! The IPv6 addresses of this machine, as the kernel lists them.
//!
//! It only reads `/proc`. Where that is missing or says something else, there are no addresses.

use std::net::Ipv6Addr;

/// An address of a network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The address.
    pub ip: Ipv6Addr,
    /// The number of the interface.
    pub index: u32,
    /// The name of the interface.
    pub name: String,
}

/// The IPv6 addresses of all interfaces.
pub fn ipv6_addresses() -> Vec<InterfaceAddress> {
    parse(&std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default())
}

/// Parses `/proc/net/if_inet6`: a line for each address (hex, index in hex, prefix, scope, flags, name).
fn parse(text: &str) -> Vec<InterfaceAddress> {
    let address = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [ip, index, _, _, _, name] = words.as_slice() else { return None };
        let ip = Ipv6Addr::from(u128::from_str_radix(ip, 16).ok()?);
        let index = u32::from_str_radix(index, 16).ok()?;
        Some(InterfaceAddress { ip, index, name: (*name).to_owned() })
    };
    text.lines().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_is_read() {
        let listed = parse(
            "00000000000000000000000000000001 01 80 10 80       lo\n\
             fe8000000000000000fc00fffe000001 1f 40 20 80     eth0\n\
             fd000000000000000000000000000002 04 40 00 82     eth0\nnonsense\n",
        );
        let ips: Vec<String> = listed.iter().map(|one| one.ip.to_string()).collect();
        assert_eq!(ips, ["::1", "fe80::fc:ff:fe00:1", "fd00::2"]);
        assert_eq!((listed[1].index, &*listed[1].name), (31, "eth0"));
        assert!(parse("").is_empty());
    }
}
