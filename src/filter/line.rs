//! One line of a list of address ranges, in any of the formats that lists come in.
//!
//! | format | a line |
//! |---|---|
//! | P2P (PeerGuardian) | `some name:1.2.3.4-1.2.3.9`, `some name:2001:db8::-2001:db8::ff` |
//! | DAT (eMule, `ipfilter.dat`) | `001.002.003.004 - 001.002.003.009 , 000 , some name`; a level of 128 or more does not block |
//! | networks (CIDR) and plain | `1.2.3.0/24`, `2001:db8::/32 ; some name`, `1.2.3.4`, `1.2.3.4-1.2.3.9 # some name` |
//!
//! Lines of all formats may be mixed. Octets with leading zeros are decimal. Names are bytes in any
//! encoding, and may hold the separators of their format.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// From this level on a line of the DAT format does not block.
const FIRST_LEVEL_THAT_PERMITS: u32 = 128;
/// The most bytes that an address is written in: `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255`.
const MAX_ADDRESS: usize = 45;

/// First and last address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    V4(u32, u32),
    V6(u128, u128),
}

/// What a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// Nothing: it is empty or a comment.
    Nothing,
    /// This range is blocked.
    Blocks(Range),
    /// A range is named, and permitted.
    Permits,
    /// It cannot be read.
    Unknown,
}

/// Reads a line, with or without its line break.
pub(super) fn read(line: &[u8]) -> Line {
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"#") || line.starts_with(b";") || line.starts_with(b"//") {
        return Line::Nothing;
    }
    dat(line).or_else(|| named(line)).or_else(|| plain(line)).unwrap_or(Line::Unknown)
}

fn dat(line: &[u8]) -> Option<Line> {
    let (addresses, rest) = split_once(line, b',')?;
    let range = range(addresses)?;
    let level = rest.split(|&byte| byte == b',').next().and_then(|level| number(level.trim_ascii()));
    // Where a name takes the place of the level the list is meant to block all the same.
    let permits = level.is_some_and(|level| level >= FIRST_LEVEL_THAT_PERMITS);
    Some(if permits { Line::Permits } else { Line::Blocks(range) })
}

fn plain(line: &[u8]) -> Option<Line> {
    let comment = line.iter().position(|byte| b"#;".contains(byte));
    range(line.get(..comment.unwrap_or(line.len()))?).map(Line::Blocks)
}

/// A range behind a name. The name ends at a colon, of which an IPv6 address has several and the name may
/// have some: `bad:2001:db8::1-2001:db8::2`. So the first IPv6 address is the longest that lies in the same
/// /16 as the last one, or else before it. Without a name it may begin the line.
fn named(line: &[u8]) -> Option<Line> {
    let dash = line.iter().rposition(|&byte| byte == b'-')?;
    let (left, right) = (line.get(..dash)?.trim_ascii_end(), line.get(dash + 1..)?.trim_ascii());
    let from = |at: usize| left.get(at..).map(<[u8]>::trim_ascii);
    if let Some(last) = v4(right) {
        let colon = left.iter().rposition(|&byte| byte == b':')?;
        let first = v4(from(colon + 1)?)?;
        return (first <= last).then_some(Line::Blocks(Range::V4(first, last)));
    }
    let last = v6(right)?;
    let colons = left.iter().enumerate().filter(|(_, byte)| **byte == b':').map(|(at, _)| at + 1);
    let near = left.len().saturating_sub(MAX_ADDRESS + 1);
    let starts = [0].into_iter().chain(colons.skip_while(move |at| *at < near));
    let firsts = || starts.clone().filter_map(|at| v6(from(at)?)).filter(|first| *first <= last);
    let first = firsts().find(|first| first >> 112 == last >> 112).or_else(|| firsts().next())?;
    Some(Line::Blocks(canonical(first, last)))
}

/// A range, a network or a single address, and nothing else.
pub(super) fn range(text: &[u8]) -> Option<Range> {
    let text = text.trim_ascii();
    if let Some((first, last)) = split_once(text, b'-') {
        let (first, last) = (first.trim_ascii(), last.trim_ascii());
        if let (Some(first), Some(last)) = (v4(first), v4(last)) {
            return (first <= last).then_some(Range::V4(first, last));
        }
        let (first, last) = (v6(first)?, v6(last)?);
        return (first <= last).then(|| canonical(first, last));
    }
    let (address, bits) = match split_once(text, b'/') {
        Some((address, bits)) => (address, Some(number(bits)?)),
        None => (text, None),
    };
    if let Some(address) = v4(address) {
        let others = u32::MAX.checked_shr(bits.unwrap_or(32)).unwrap_or(0);
        return (bits.unwrap_or(32) <= 32).then_some(Range::V4(address & !others, address | others));
    }
    let address = v6(address)?;
    let others = u128::MAX.checked_shr(bits.unwrap_or(128)).unwrap_or(0);
    (bits.unwrap_or(128) <= 128).then(|| canonical(address & !others, address | others))
}

/// A range of IPv6 addresses; one of IPv4 addresses if both ends stand for such.
fn canonical(first: u128, last: u128) -> Range {
    let inner = |address: u128| match IpAddr::from(Ipv6Addr::from(address)).to_canonical() {
        IpAddr::V4(inner) => Some(u32::from(inner)),
        IpAddr::V6(_) => None,
    };
    match (inner(first), inner(last)) {
        (Some(first), Some(last)) => Range::V4(first, last),
        _ => Range::V6(first, last),
    }
}

/// Four decimal octets, with leading zeros if they like.
fn v4(text: &[u8]) -> Option<u32> {
    let mut octets = [0; 4];
    let mut parts = text.split(|&byte| byte == b'.');
    for octet in &mut octets {
        let part = parts.next().filter(|part| part.len() <= 3)?;
        *octet = u8::try_from(number(part)?).ok()?;
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets).into())
}

fn v6(text: &[u8]) -> Option<u128> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= MAX_ADDRESS)?;
    text.parse::<Ipv6Addr>().ok().map(u128::from)
}

/// Decimal digits, and few of them.
fn number(text: &[u8]) -> Option<u32> {
    let digits = !text.is_empty() && text.len() <= 9 && text.iter().all(u8::is_ascii_digit);
    digits.then(|| text.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
}

fn split_once(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&byte| byte == at)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(first: &str, last: &str) -> Line {
        match (first.parse().unwrap(), last.parse().unwrap()) {
            (IpAddr::V4(first), IpAddr::V4(last)) => Line::Blocks(Range::V4(first.into(), last.into())),
            (IpAddr::V6(first), IpAddr::V6(last)) => Line::Blocks(Range::V6(first.into(), last.into())),
            _ => unreachable!(),
        }
    }

    #[test]
    fn every_format_is_read_in_both_families() {
        for (line, first, last) in [
            ("Some Corp:1.2.3.4-1.2.3.9", "1.2.3.4", "1.2.3.9"),
            ("Some: Corp-Nord, Inc. #3; x:1.2.3.4 - 1.2.3.9\r\n", "1.2.3.4", "1.2.3.9"),
            (":1.2.3.4-1.2.3.4", "1.2.3.4", "1.2.3.4"),
            ("Some Corp:2001:db8::-2001:db8::ff", "2001:db8::", "2001:db8::ff"),
            ("Some: Corp-Nord:2001:db8:0:1::5-2001:db8:0:1::9", "2001:db8:0:1::5", "2001:db8:0:1::9"),
            ("bad:2001:db8::1-2001:db8::2", "2001:db8::1", "2001:db8::2"),
            ("Some Corp:2001:db8::-2003::", "2001:db8::", "2003::"),
            ("001.002.003.004 - 001.002.003.009 , 000 , Some, Corp", "1.2.3.4", "1.2.3.9"),
            ("1.2.3.4-1.2.3.9,127,Some-Corp", "1.2.3.4", "1.2.3.9"),
            ("1.2.3.4 - 1.2.3.9 , Some Corp", "1.2.3.4", "1.2.3.9"),
            ("010.000.000.008 - 010.000.000.010 , 100 , decimal", "10.0.0.8", "10.0.0.10"),
            ("2001:db8:: - 2001:db8::ff , 000 , Some Corp", "2001:db8::", "2001:db8::ff"),
            ("2001:db8::/32 , 000 , Some Corp", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("1.2.3.0/24", "1.2.3.0", "1.2.3.255"),
            ("1.2.3.77/24 ; SBL1234", "1.2.3.0", "1.2.3.255"),
            ("0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
            ("1.2.3.4/32", "1.2.3.4", "1.2.3.4"),
            ("2001:db8::/126 # four", "2001:db8::", "2001:db8::3"),
            ("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:db8::7", "2001:db8::7", "2001:db8::7"),
            ("  1.2.3.4 - 1.2.3.9  ", "1.2.3.4", "1.2.3.9"),
            ("2600:1::-2602::", "2600:1::", "2602::"),
            ("2001:2001:db8::1-2001:2001:db8::9", "2001:2001:db8::1", "2001:2001:db8::9"),
            ("2001:db8::1 - 2001:db8::9 # Corp-Nord", "2001:db8::1", "2001:db8::9"),
        ] {
            assert_eq!(read(line.as_bytes()), blocks(first, last), "{line}");
        }
        assert_eq!(read(b"na\xefve \xff:1.2.3.4-1.2.3.9"), blocks("1.2.3.4", "1.2.3.9"));
    }

    #[test]
    fn lines_that_say_nothing_are_no_mistakes() {
        for line in ["", "  ", "\r\n", "# comment", "; comment", "// comment", "#1.2.3.4"] {
            assert_eq!(read(line.as_bytes()), Line::Nothing, "{line}");
        }
        for line in ["1.2.3.4 - 1.2.3.9 , 128 , trusted", "1.2.3.4-1.2.3.9,999,x"] {
            assert_eq!(read(line.as_bytes()), Line::Permits, "{line}");
        }
    }

    #[test]
    fn what_is_no_range_is_not_guessed_at() {
        for line in [
            "1.2.3",
            "1.2.3.256",
            "1.2.3.4.5",
            "1.2.3.4/33",
            "1.2.3.4/",
            "1.2.3.4/-1",
            "1.2.3.4/4294967297",
            "::/129",
            "1.2.3.9-1.2.3.4",
            "name:1.2.3.9-1.2.3.4",
            "1.2.3.4-::9",
            "name:1.2.3.4",
            "name:1.2.3.4-",
            "name 1.2.3.4-1.2.3.9",
            "::9-::1",
            "fe80::1%eth0",
            "+1.2.3.4",
            "0x1.2.3.4",
            "1.2.3.0004",
            "<html>",
            "-",
            ":",
            ",",
            "/",
        ] {
            assert_eq!(read(line.as_bytes()), Line::Unknown, "{line}");
        }
    }
}
