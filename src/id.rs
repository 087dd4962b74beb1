//! Names of twenty bytes: the info-hash of a torrent and the id of a peer.
//!
//! Both are opaque and never assumed to be text. The bytes are private, so that an info-hash of
//! version 2 (BEP 52) can live in the same type later.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};
use crate::random::Random;
use crate::version::PEER_ID_PREFIX;

/// The info-hash of a torrent: SHA-1 of the raw bytes of its `info` value (BEP 3).
///
/// Printed and parsed as 40 hexadecimal digits:
///
/// ```
/// use bitwren::InfoHash;
///
/// let hash: InfoHash = "0123456789ABCDEF0123456789abcdef01234567".parse()?;
/// assert_eq!(hash.to_string(), "0123456789abcdef0123456789abcdef01234567");
/// # Ok::<(), bitwren::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InfoHash([u8; 20]);

impl InfoHash {
    /// The info-hash that these bytes are.
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        InfoHash(bytes)
    }

    /// The bytes by which handshakes, trackers and the DHT name the torrent.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// Reads 40 hexadecimal digits, in either case; [`str::parse`] does the same.
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

impl From<[u8; 20]> for InfoHash {
    fn from(bytes: [u8; 20]) -> Self {
        InfoHash(bytes)
    }
}

impl AsRef<[u8]> for InfoHash {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for InfoHash {
    type Err = Error;

    fn from_str(hex: &str) -> Result<Self> {
        InfoHash::from_hex(hex)
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

/// The id of a peer in handshakes and announces (BEP 3, BEP 20). Any peer can claim any id.
///
/// ```
/// use bitwren::PeerId;
///
/// let id = PeerId::from_bytes(*b"-BW0100-abc%\0.......");
/// assert_eq!(id.to_string(), "-BW0100-abc%25%00.......");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId([u8; 20]);

impl PeerId {
    /// The id that these bytes are.
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        PeerId(bytes)
    }

    /// The bytes as they stand in a handshake.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

/// An id for this client: `-BW` and the version as BEP 20 has it, then twelve random letters and digits.
pub fn own_peer_id(random: &mut Random) -> PeerId {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut id = [0; 20];
    id[..8].copy_from_slice(PEER_ID_PREFIX);
    for byte in &mut id[8..] {
        *byte = ALPHABET[random.below(ALPHABET.len() as u64) as usize];
    }
    PeerId(id)
}

impl From<[u8; 20]> for PeerId {
    fn from(bytes: [u8; 20]) -> Self {
        PeerId(bytes)
    }
}

impl AsRef<[u8]> for PeerId {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for PeerId {
    /// Printable ASCII unchanged, every other byte as `%XX`.
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

/// Identifies one torrent of a client; never reused for another.
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
        assert_eq!(hex.parse::<InfoHash>().unwrap(), InfoHash::from_hex(hex).unwrap());
        for bad in ["", "01", &hex[1..], &hex.replace('a', "g"), "é123456789abcdef0123456789abcdef0123456"] {
            assert_eq!(InfoHash::from_hex(bad).unwrap_err().kind(), ErrorKind::Argument);
        }
    }

    #[test]
    fn our_peer_id_is_azureus_style_and_differs_each_time() {
        let mut random = Random::seeded(1);
        let (one, two) = (own_peer_id(&mut random), own_peer_id(&mut random));
        assert!(one.to_string().starts_with("-BW0100-"));
        assert_ne!(one, two);
    }
}
