//! The gateways that this machine sends to the Internet by, as the kernel lists its routes. Pure: the text of
//! `/proc/net/route` and `/proc/net/ipv6_route` goes in.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A route is in use, and leads to a gateway (`RTF_UP`, `RTF_GATEWAY`).
const UP_BY_GATEWAY: u32 = 3;
/// A route that says that there is none (`RTF_REJECT`).
const REJECT: u32 = 0x200;

/// A gateway, and the interface it is reached by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway<A> {
    /// Its address.
    pub ip: A,
    /// The name of the interface.
    pub interface: String,
    metric: u32,
}

/// The gateway of the default route of IPv4, by `interface` where one is given.
pub fn default_v4(text: &str, interface: Option<&str>) -> Option<Gateway<Ipv4Addr>> {
    let hex = |word: &str| u32::from_str_radix(word, 16).ok();
    let gateway = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, to, by, flags, _, _, metric, mask, ..] = words.as_slice() else { return None };
        if hex(to)? != 0 || hex(mask)? != 0 || hex(flags)? & UP_BY_GATEWAY != UP_BY_GATEWAY {
            return None;
        }
        // The kernel writes the bytes as they lie in memory.
        let ip = Ipv4Addr::from(hex(by)?.to_ne_bytes());
        Some(Gateway { ip, interface: (*name).to_owned(), metric: metric.parse().ok()? })
    };
    best(text.lines().filter_map(gateway), interface)
}

/// The gateway of the default route of IPv6, by `interface` where one is given.
pub fn default_v6(text: &str, interface: Option<&str>) -> Option<Gateway<Ipv6Addr>> {
    let hex = |word: &str| u32::from_str_radix(word, 16).ok();
    let address = |word: &str| Some(Ipv6Addr::from(u128::from_str_radix(word, 16).ok()?));
    let gateway = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [to, length, _, _, by, metric, _, _, flags, name] = words.as_slice() else { return None };
        let (ip, flags) = (address(by)?, hex(flags)?);
        if !address(to)?.is_unspecified() || hex(length)? != 0 || flags & UP_BY_GATEWAY != UP_BY_GATEWAY {
            return None;
        }
        if ip.is_unspecified() || flags & REJECT != 0 {
            return None;
        }
        Some(Gateway { ip, interface: (*name).to_owned(), metric: hex(metric)? })
    };
    best(text.lines().filter_map(gateway), interface)
}

/// The gateway that the kernel prefers.
fn best<A>(gateways: impl Iterator<Item = Gateway<A>>, interface: Option<&str>) -> Option<Gateway<A>> {
    gateways
        .filter(|gateway| interface.is_none_or(|wanted| wanted == gateway.interface))
        .min_by_key(|gateway| gateway.metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        wlan0\t00000000\tFE00A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
        eth0\t00000000\t014DA8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
        tun0\t00000000\t00000000\t0001\t0\t0\t50\t00000000\t0\t0\t0\n\
        eth0\t004DA8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
    const V6: &str = "\
        20010db8000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 \
        00000100 00000001 00000000 00000001     eth0\n\
        00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 \
        00000400 00000002 00000000 00450003     eth0\n\
        00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 \
        ffffffff 00000001 00000000 00200200       lo\n";

    #[test]
    fn the_default_gateway_is_that_of_the_lowest_metric() {
        if cfg!(target_endian = "little") {
            let gateway = default_v4(V4, None).unwrap();
            assert_eq!((gateway.ip, gateway.interface.as_str()), ([192, 168, 77, 1].into(), "eth0"));
            assert_eq!(default_v4(V4, Some("wlan0")).unwrap().ip, Ipv4Addr::new(192, 168, 0, 254));
        }
        assert_eq!(default_v4(V4, Some("tun0")), None, "a route without a gateway");
        let gateway = default_v6(V6, None).unwrap();
        assert_eq!((gateway.ip, gateway.interface.as_str()), ("fe80::1".parse().unwrap(), "eth0"));
        assert_eq!(default_v6(V6, Some("lo")), None);
    }

    #[test]
    fn text_that_is_no_table_has_no_gateway() {
        for text in ["", "\n", "eth0 0 0", "eth0 x x x x x x x", "a b c d e f g h i j"] {
            assert_eq!((default_v4(text, None), default_v6(text, None)), (None, None), "{text}");
        }
    }
}
