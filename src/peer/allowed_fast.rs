//! Which pieces a peer may request while it is choked (BEP 6): the same for the same address and
//! torrent, so that reconnecting gains nothing.

use std::net::Ipv4Addr;

use crate::digest::sha1;
use crate::id::InfoHash;

/// How many pieces the set has, as most clients have it.
pub const SIZE: usize = 10;

/// The set of `size` pieces, or of all where there are fewer, in the order of the algorithm. Only
/// the first three bytes of the address count. The algorithm is defined for IPv4 alone.
pub fn set(size: usize, pieces: u32, info_hash: InfoHash, ip: Ipv4Addr) -> Vec<u32> {
    let size = size.min(pieces as usize);
    let mut set = Vec::with_capacity(size);
    let [a, b, c, _] = ip.octets();
    let mut seed = Vec::from([a, b, c, 0]);
    seed.extend_from_slice(info_hash.as_bytes());
    // Every round hashes the hash before it; a set is full after a few.
    let mut hash = sha1(&seed);
    while set.len() < size {
        for word in hash.chunks_exact(4) {
            let number = word.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
            let piece = number % pieces;
            if set.len() < size && !set.contains(&piece) {
                set.push(piece);
            }
        }
        hash = sha1(&hash);
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_sets_come_out() {
        let vectors = include_str!("../../testdata/vectors/wire_allowed_fast.txt");
        let mut seen = 0;
        for line in vectors.lines().filter(|line| !line.starts_with('#')) {
            let [size, pieces, hash, ip, want, _source] =
                line.split(" | ").collect::<Vec<_>>().try_into().expect("six fields");
            let hash = InfoHash::from_hex(hash).unwrap();
            let set = set(size.parse().unwrap(), pieces.parse().unwrap(), hash, ip.parse().unwrap());
            assert_eq!(set.iter().map(u32::to_string).collect::<Vec<_>>().join(" "), want);
            seen += 1;
        }
        assert_eq!(seen, 5);
    }

    #[test]
    fn a_torrent_of_nothing_has_an_empty_set() {
        assert!(set(SIZE, 0, InfoHash::from_bytes([0; 20]), Ipv4Addr::LOCALHOST).is_empty());
    }
}
