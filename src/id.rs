//! Twenty-byte names: the info-hash of a torrent and the id of a peer.
//!
//! Both are opaque binary. They are shown in hexadecimal and never assumed to be text.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::random::Random;

/// SHA-1 of the raw bytes of the `info` value: the name of a torrent (BEP 3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InfoHash(pub [u8; 20]);

impl InfoHash {
    /// Reads 40 hexadecimal digits, in either case.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] for anything else.
    pub fn from_hex(hex: &str) -> Result<Self> {
        let bad = || Error::new(ErrorKind::Argument, "an info-hash is 40 hexadecimal digits");
        let digits = hex.as_bytes();
        if digits.len() != 40 {
            return Err(bad());
        }
        let mut hash = [0; 20];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let high = (pair[0] as char).to_digit(16).ok_or_else(bad)?;
            let low = (pair[1] as char).to_digit(16).ok_or_else(bad)?;
            *byte = (high * 16 + low) as u8;
        }
        Ok(InfoHash(hash))
    }
}

impl fmt::Display for InfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for InfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InfoHash({self})")
    }
}

/// The id a peer calls itself by in handshakes and announces (BEP 3, BEP 20).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub [u8; 20]);

impl PeerId {
    /// Our own id: `-BW` and the version as BEP 20 has it, then twelve random letters and digits.
    pub fn ours(random: &mut Random) -> Self {
        const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut id = *b"-BW0100-............";
        for byte in &mut id[8..] {
            *byte = ALPHABET[random.below(ALPHABET.len() as u64) as usize];
        }
        PeerId(id)
    }
}

impl fmt::Display for PeerId {
    /// Printable ASCII as it is, everything else as `%XX`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in &self.0 {
            match byte {
                b'!'..=b'~' if byte != b'%' => write!(f, "{}", byte as char)?,
                _ => write!(f, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({self})")
    }
}

/// One torrent among all the client ever had; never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TorrentKey(pub(crate) u32);

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_info_hash_survives_hexadecimal() {
        let hex = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(InfoHash::from_hex(hex).unwrap().to_string(), hex);
        assert_eq!(InfoHash::from_hex(&hex.to_uppercase()).unwrap().to_string(), hex);
        for bad in ["", "01", &hex[1..], &hex.replace('a', "g"), "é123456789abcdef0123456789abcdef0123456"] {
            assert_eq!(InfoHash::from_hex(bad).unwrap_err().kind(), ErrorKind::Argument);
        }
    }

    #[test]
    fn our_peer_id_is_azureus_style_and_differs_each_time() {
        let mut random = Random::seeded(1);
        let (one, two) = (PeerId::ours(&mut random), PeerId::ours(&mut random));
        assert!(one.to_string().starts_with("-BW0100-"));
        assert_ne!(one, two);
    }
}
