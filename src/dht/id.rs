//! Ids of nodes: their distance, and the ids that an address may have (BEP 42).

use std::net::IpAddr;

use crate::random::Random;

/// The id of a node, in the space of info-hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub [u8; 20]);

impl NodeId {
    /// An id out of the blue.
    pub fn random(random: &mut Random) -> Self {
        NodeId(std::array::from_fn(|_| random.next_u64() as u8))
    }

    /// How far apart two ids are: the less the nearer.
    pub fn distance(&self, other: &NodeId) -> [u8; 20] {
        std::array::from_fn(|at| self.0[at] ^ other.0[at])
    }

    /// How many bits two ids have in common from the first on, 0 to 160.
    pub fn shared_bits(&self, other: &NodeId) -> usize {
        let distance = self.distance(other);
        let zeros = distance.iter().take_while(|byte| **byte == 0).count();
        zeros * 8 + distance.get(zeros).map_or(0, |byte| byte.leading_zeros() as usize)
    }

    /// A random id that has exactly `bits` leading bits in common with this one.
    pub fn near(&self, bits: usize, random: &mut Random) -> NodeId {
        let mut id = NodeId::random(random);
        for bit in 0..=bits.min(159) {
            let (byte, mask) = (bit / 8, 0x80 >> (bit % 8));
            let own = self.0[byte] & mask;
            let wanted = if bit < bits { own } else { own ^ mask };
            id.0[byte] = id.0[byte] & !mask | wanted;
        }
        id
    }

    /// An id that a node at this address may have (BEP 42).
    pub fn secure(ip: IpAddr, random: &mut Random) -> NodeId {
        let mut id = NodeId::random(random);
        let crc = prefix(ip, id.0[19] & 7).to_be_bytes();
        (id.0[0], id.0[1]) = (crc[0], crc[1]);
        id.0[2] = crc[2] & 0xf8 | id.0[2] & 7;
        id
    }

    /// Whether a node at this address may have this id. Where an address is no world-wide one, it
    /// may have any.
    pub fn is_secure(&self, ip: IpAddr) -> bool {
        let crc = prefix(ip, self.0[19] & 7).to_be_bytes();
        is_local(ip) || self.0[..2] == crc[..2] && self.0[2] & 0xf8 == crc[2] & 0xf8
    }
}

/// Whether an address is of this machine or this network alone.
pub fn is_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => {
            ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local() || {
                ip.to_ipv4_mapped().is_some_and(|ip| is_local(ip.into()))
            }
        }
    }
}

/// The 32 bits of which an id has the first 21.
fn prefix(ip: IpAddr, r: u8) -> u32 {
    match ip {
        IpAddr::V4(ip) => {
            let mut masked: [u8; 4] = (u32::from(ip) & 0x030f_3fff).to_be_bytes();
            masked[0] |= r << 5;
            crc32c(&masked)
        }
        IpAddr::V6(ip) => {
            let high = (u128::from(ip) >> 64) as u64;
            let mut masked = (high & 0x0103_070f_1f3f_7fff).to_be_bytes();
            masked[0] |= r << 5;
            crc32c(&masked)
        }
    }
}

/// CRC-32C (Castagnoli).
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_bep_42_have_their_address_in_them() {
        // From BEP 42: address, id.
        for (ip, id) in [
            ("124.31.75.21", "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401"),
            ("21.75.31.124", "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256"),
            ("65.23.51.170", "a5d43220bc8f112a3d426c84764f8c2a1150e616"),
            ("84.124.73.14", "1b0321dd1bb1fe518101ceef99462b947a01ff41"),
            ("43.213.53.83", "e56f6cbf5b7c4be0237986d5243b87aa6d51305a"),
        ] {
            let ip: IpAddr = ip.parse().unwrap();
            let id = NodeId(*crate::id::InfoHash::from_hex(id).unwrap().as_bytes());
            assert!(id.is_secure(ip), "{ip}");
            let mut other = id;
            other.0[1] ^= 1;
            assert!(!other.is_secure(ip));
        }
        let other: IpAddr = "21.75.31.125".parse().unwrap();
        let id = crate::id::InfoHash::from_hex("5a3ce9c14e7a08645677bbd1cfe7d8f956d53256").unwrap();
        assert!(!NodeId(*id.as_bytes()).is_secure(other));
        // Over IPv6 the BEP has no example; these were computed from its pseudocode.
        let ip = "2001:db8:85a3::8a2e:370:7334".parse().unwrap();
        for (r, wanted) in [(0, 0xd18468), (1, 0xdc8408), (7, 0xf28550)] {
            assert_eq!(prefix(ip, r) >> 8 & 0xff_fff8, wanted);
        }
        let mut random = Random::seeded(1);
        for ip in ["1.2.3.4", "2001:db8::1"] {
            let ip = ip.parse().unwrap();
            assert!((0..100).all(|_| NodeId::secure(ip, &mut random).is_secure(ip)));
        }
        assert!(NodeId([0; 20]).is_secure("192.168.1.1".parse().unwrap()));
    }

    #[test]
    fn bits_in_common_are_counted_and_made() {
        let mut random = Random::seeded(2);
        let id = NodeId::random(&mut random);
        assert_eq!(id.shared_bits(&id), 160);
        for bits in 0..160 {
            assert_eq!(id.shared_bits(&id.near(bits, &mut random)), bits);
        }
    }
}
