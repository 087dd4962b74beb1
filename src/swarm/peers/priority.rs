//! Canonical peer priority (BEP 40): how much two peers are to want one another, on which both agree without
//! a message. If all peers have more candidates than places, choosing by it joins a swarm evenly, and no peer
//! gains a place by knowing many addresses.
//!
//! It is the CRC-32C of both addresses, the lesser first, with the bits masked that an attacker could choose
//! for itself; or of the ports, if both have one address.

use std::net::{IpAddr, SocketAddr};

/// The bits that count in the bytes that are masked.
const MASK: u8 = 0x55;

/// The priority of a connection between the two; greater is better, and their order does not matter. None if
/// they are of different families.
pub fn priority(ours: SocketAddr, theirs: SocketAddr) -> Option<u32> {
    hashed(ours, theirs).map(|bytes| crc32c(&bytes))
}

/// The bytes that are hashed.
fn hashed(ours: SocketAddr, theirs: SocketAddr) -> Option<Vec<u8>> {
    if ours.ip() == theirs.ip() {
        return Some(sorted(ours.port().to_be_bytes(), theirs.port().to_be_bytes()));
    }
    match (ours.ip(), theirs.ip()) {
        (IpAddr::V4(ours), IpAddr::V4(theirs)) => Some(masked(ours.octets(), theirs.octets(), 2)),
        (IpAddr::V6(ours), IpAddr::V6(theirs)) => Some(masked(ours.octets(), theirs.octets(), 6)),
        _ => None,
    }
}

/// Both with all bytes masked but the first `whole`, or but one more than they share if that is more.
fn masked<const N: usize>(mut ours: [u8; N], mut theirs: [u8; N], whole: usize) -> Vec<u8> {
    let shared = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
    let whole = whole.max(shared + 1);
    for byte in ours.iter_mut().skip(whole).chain(theirs.iter_mut().skip(whole)) {
        *byte &= MASK;
    }
    sorted(ours, theirs)
}

fn sorted<const N: usize>(a: [u8; N], b: [u8; N]) -> Vec<u8> {
    [a.min(b), a.max(b)].concat()
}

/// CRC-32C (Castagnoli). A few bytes at a time need no table.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_field_s() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(b""), 0);
    }

    #[test]
    fn the_vectors_agree_both_ways_round() {
        let lines = include_str!("../../../testdata/vectors/bep40.txt").lines();
        let mut count = 0;
        for line in lines.filter(|line| !line.starts_with('#')) {
            let [ours, theirs, input, want, _] = line.split(" | ").collect::<Vec<_>>()[..] else {
                panic!("{line}");
            };
            let (ours, theirs) = (ours.parse().unwrap(), theirs.parse().unwrap());
            let hex: String =
                hashed(ours, theirs).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, input, "{line}");
            let want = u32::from_str_radix(want, 16).unwrap();
            assert_eq!((priority(ours, theirs), priority(theirs, ours)), (Some(want), Some(want)), "{line}");
            count += 1;
        }
        assert_eq!(count, 15);
    }

    #[test]
    fn two_families_have_none() {
        let (v4, v6) = ("192.0.2.1:1".parse().unwrap(), "[2001:db8::1]:1".parse().unwrap());
        assert_eq!(priority(v4, v6), None);
    }
}
