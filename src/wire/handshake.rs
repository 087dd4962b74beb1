//! The first 68 bytes of a conversation, in both directions (BEP 3).

use crate::id::{InfoHash, PeerId};
use crate::violation::Violation;

/// Length of a handshake in bytes.
pub const LENGTH: usize = 68;

/// What every handshake begins with: the length of the protocol's name, and the name.
pub const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";

/// A handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handshake {
    /// Eight bytes of flags, one bit for each extension spoken.
    pub reserved: [u8; 8],
    /// The torrent the conversation is about.
    pub info_hash: InfoHash,
    /// The id that the sender calls itself.
    pub peer_id: PeerId,
}

impl Handshake {
    /// Our own: it offers the Fast Extension and the Extension Protocol.
    pub fn ours(info_hash: InfoHash, peer_id: PeerId) -> Self {
        Handshake { reserved: [0, 0, 0, 0, 0, EXTENDED, 0, FAST], info_hash, peer_id }
    }

    /// The same, telling whether there is a node of the DHT (BEP 5).
    #[must_use]
    pub fn with_dht(mut self, dht: bool) -> Self {
        self.reserved[7] = if dht { self.reserved[7] | DHT } else { self.reserved[7] & !DHT };
        self
    }

    /// The bytes as they travel.
    pub fn encode(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..20].copy_from_slice(PROTOCOL);
        bytes[20..28].copy_from_slice(&self.reserved);
        bytes[28..48].copy_from_slice(self.info_hash.as_bytes());
        bytes[48..].copy_from_slice(self.peer_id.as_bytes());
        bytes
    }

    /// Reads a handshake. Every reserved bit is accepted.
    ///
    /// # Errors
    /// [`Violation::BadHandshake`] if it does not begin with [`PROTOCOL`].
    pub fn decode(bytes: &[u8; LENGTH]) -> Result<Self, Violation> {
        let (mut reserved, mut info_hash, mut peer_id) = ([0; 8], [0; 20], [0; 20]);
        if bytes[..20] != PROTOCOL[..] {
            return Err(Violation::BadHandshake);
        }
        reserved.copy_from_slice(&bytes[20..28]);
        info_hash.copy_from_slice(&bytes[28..48]);
        peer_id.copy_from_slice(&bytes[48..]);
        Ok(Handshake {
            reserved,
            info_hash: InfoHash::from_bytes(info_hash),
            peer_id: PeerId::from_bytes(peer_id),
        })
    }

    /// Whether the sender speaks the Fast Extension (BEP 6). It is in force when both sides do.
    pub fn fast(&self) -> bool {
        self.reserved[7] & FAST != 0
    }

    /// Whether the sender speaks the Extension Protocol (BEP 10).
    pub fn extended(&self) -> bool {
        self.reserved[5] & EXTENDED != 0
    }

    /// Whether the sender is a node of the DHT (BEP 5).
    pub fn dht(&self) -> bool {
        self.reserved[7] & DHT != 0
    }
}

/// The bit of the Extension Protocol in the sixth reserved byte.
const EXTENDED: u8 = 0x10;

/// The bit of the Fast Extension in the last reserved byte.
const FAST: u8 = 0x04;
/// The bit of the DHT in the last reserved byte.
const DHT: u8 = 0x01;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_survives_the_wire() {
        let ours = Handshake::ours(InfoHash::from_bytes([7; 20]), PeerId::from_bytes([9; 20]));
        assert!(ours.fast() && ours.extended() && !ours.dht());
        assert_eq!(Handshake::decode(&ours.encode()), Ok(ours));
        let with = ours.with_dht(true);
        assert!(with.dht() && with.fast());
        assert_eq!(with.with_dht(false), ours);
    }

    #[test]
    fn another_protocol_is_refused() {
        let good = Handshake::ours(InfoHash::from_bytes([7; 20]), PeerId::from_bytes([9; 20])).encode();
        for at in 0..20 {
            let mut bad = good;
            bad[at] ^= 1;
            assert_eq!(Handshake::decode(&bad), Err(Violation::BadHandshake));
        }
    }

    #[test]
    fn reserved_bits_have_their_places() {
        let with = |byte: usize, bit| {
            let mut shake = Handshake {
                reserved: [0; 8],
                ..Handshake::ours(InfoHash::from_bytes([0; 20]), PeerId::from_bytes([0; 20]))
            };
            shake.reserved[byte] = bit;
            (shake.fast(), shake.extended(), shake.dht())
        };
        assert_eq!(with(7, 0x04), (true, false, false));
        assert_eq!(with(5, 0x10), (false, true, false));
        assert_eq!(with(7, 0x01), (false, false, true));
    }
}
