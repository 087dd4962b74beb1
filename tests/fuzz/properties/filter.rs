//! Lists of blocked addresses: whatever a list holds, it blocks what its lines block one by one, and
//! exceptions are exact.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bitwren::{AddressFilter, Blocklist};

pub fn blocklist(data: &[u8]) {
    let Ok(list) = Blocklist::read(data) else { return };
    assert!(list.not_understood <= list.lines && list.filter.ranges() as u64 <= list.lines);
    assert_eq!(list.first_not_understood.is_some(), list.not_understood > 0);
    // Packed lists are compared by what unpacks them alone.
    if data.starts_with(&[0x1f, 0x8b]) {
        return;
    }
    let text = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data);
    let alone: Vec<AddressFilter> = text
        .split(|&byte| byte == b'\n')
        // What only the first line of a list may begin with.
        .filter(|line| {
            line.len() < 4096
                && ![&b"\x1f\x8b"[..], b"\xef\xbb\xbf"].iter().any(|mark| line.starts_with(mark))
        })
        .filter_map(|line| Blocklist::read(line).ok())
        .map(|list| list.filter)
        .collect();
    let probes = probes(text);
    for &probe in &probes {
        let blocked = list.filter.blocks(probe);
        // A line that is no list by itself, for what it begins with, may only block more.
        assert!(blocked || !alone.iter().any(|line| line.blocks(probe)), "{probe}");
        let only = AddressFilter::all_but(&list.filter);
        assert_eq!(only.blocks(probe), !blocked, "{probe}");
    }
    let (even, odd): (Vec<_>, Vec<_>) = alone.iter().enumerate().partition(|(at, _)| at % 2 == 0);
    let union = |filters: &[(usize, &AddressFilter)]| {
        let mut union = AddressFilter::default();
        filters.iter().for_each(|(_, filter)| union.add(filter));
        union
    };
    let (even, odd) = (union(&even), union(&odd));
    let without = even.except(&odd);
    for &probe in &probes {
        assert_eq!(without.blocks(probe), even.blocks(probe) && !odd.blocks(probe), "{probe}");
    }
}

/// Addresses on both sides of whatever looks like one in the text, and the ends of what there is.
fn probes(text: &[u8]) -> Vec<IpAddr> {
    let words = text.split(|byte| !(byte.is_ascii_hexdigit() || b".:".contains(byte)));
    let named = words.filter_map(|word| std::str::from_utf8(word).ok()?.parse::<IpAddr>().ok()).take(64);
    let ends: [IpAddr; 4] = [
        Ipv4Addr::UNSPECIFIED.into(),
        Ipv4Addr::BROADCAST.into(),
        Ipv6Addr::UNSPECIFIED.into(),
        Ipv6Addr::from(u128::MAX).into(),
    ];
    named.chain(ends).flat_map(around).filter(|address| !stands_for_a_name(*address)).collect()
}

/// 240.0.0.0/20 stands for host names that a proxy looks up: no filter blocks it.
fn stands_for_a_name(address: IpAddr) -> bool {
    matches!(address.to_canonical(), IpAddr::V4(v4) if u32::from(v4) >> 12 == 0xf0000)
}

fn around(address: IpAddr) -> [IpAddr; 3] {
    let beside = |step: i128| match address {
        IpAddr::V4(v4) => Ipv4Addr::from(u32::from(v4).wrapping_add(step as u32)).into(),
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6).wrapping_add(step as u128)).into(),
    };
    [beside(-1), address, beside(1)]
}
