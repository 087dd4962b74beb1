//! Port mapping as lines: for people, for programs as JSON. Pure.

use bitwren::PortMapping;

use super::json::json_line;

/// The line for people about a mapping over IPv4 (4), or a pinhole over IPv6 (6).
pub fn mapped(family: u64, mapping: &PortMapping) -> String {
    let PortMapping { method, tcp, udp, .. } = mapping;
    let udp = match udp {
        Some(udp) if udp == tcp => " and UDP".to_owned(),
        Some(udp) => format!(", UDP port {udp}"),
        None => String::new(),
    };
    let what = if family == 6 { "the router's firewall is open over IPv6 for" } else { "the router maps" };
    let at = mapping.external_ip.map(|ip| format!(" of {ip}")).unwrap_or_default();
    let outer = mapping.outer_nat.map(|ip| {
        format!("; its own address {ip} is private, so another router in front of it has to let peers in too")
    });
    format!("{what} TCP port {tcp}{udp}{at} ({method}){}", outer.unwrap_or_default())
}

/// The same as JSON.
pub fn json(family: u64, mapping: &PortMapping) -> String {
    let line = json_line("mapped")
        .number("family", family)
        .text("method", &mapping.method.to_string())
        .number("tcp", mapping.tcp.into());
    let line = match mapping.udp {
        Some(udp) => line.number("udp", udp.into()),
        None => line,
    };
    line.text_if("external_ip", mapping.external_ip.map(|ip| ip.to_string()).as_deref())
        .text_if("outer_nat", mapping.outer_nat.map(|ip| ip.to_string()).as_deref())
        .seconds("lease", mapping.lease)
        .end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitwren::PortMapMethod;
    use std::time::Duration;

    fn mapping(udp: Option<u16>, external_ip: Option<&str>, outer_nat: Option<&str>) -> PortMapping {
        let ip = |text: &str| text.parse().unwrap();
        let mut mapping = PortMapping::new(PortMapMethod::Upnp, 6881, udp);
        (mapping.external_ip, mapping.outer_nat) = (external_ip.map(ip), outer_nat.map(ip));
        mapping.lease = Duration::from_secs(600);
        mapping
    }

    #[test]
    fn a_mapping_is_a_line() {
        let plain = mapping(Some(6881), Some("198.17.0.1"), None);
        assert_eq!(mapped(4, &plain), "the router maps TCP port 6881 and UDP of 198.17.0.1 (UPnP)");
        assert_eq!(
            json(4, &plain),
            r#"{"v":1,"event":"mapped","family":4,"method":"UPnP","tcp":6881,"udp":6881,"external_ip":"198.17.0.1","lease":600.000}"#
        );
        let double = mapping(None, None, Some("192.168.100.2"));
        assert_eq!(
            mapped(4, &double),
            "the router maps TCP port 6881 (UPnP); its own address 192.168.100.2 is private, so another router \
             in front of it has to let peers in too"
        );
        assert!(json(4, &double).contains(r#""outer_nat":"192.168.100.2""#));
        let open = mapping(Some(6882), Some("2001:db8::1"), None);
        assert_eq!(
            mapped(6, &open),
            "the router's firewall is open over IPv6 for TCP port 6881, UDP port 6882 of 2001:db8::1 (UPnP)"
        );
    }
}
