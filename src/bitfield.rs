//! A set of piece indices, held as it travels: one bit a piece, the first piece in the highest bit
//! (BEP 3).

use crate::error::{Error, ErrorKind, Result};

/// A set of the indices `0..len`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bitfield {
    bytes: Vec<u8>,
    len: u32,
    ones: u32,
}

impl Bitfield {
    /// The empty set over `0..len`.
    pub fn empty(len: u32) -> Self {
        Bitfield { bytes: vec![0; len.div_ceil(8) as usize], len, ones: 0 }
    }

    /// The whole of `0..len`.
    pub fn full(len: u32) -> Self {
        let mut bytes = vec![0xFF; len.div_ceil(8) as usize];
        if let (Some(last), spare @ 1..) = (bytes.last_mut(), bytes_spare(len)) {
            *last <<= spare;
        }
        Bitfield { bytes, len, ones: len }
    }

    /// Reads the payload of a `bitfield` message.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] where the length is not that of `len` bits, or a spare bit is set
    /// (BEP 3 has the peer dropped for either).
    pub fn from_bytes(bytes: Vec<u8>, len: u32) -> Result<Self> {
        if bytes.len() != len.div_ceil(8) as usize {
            return Err(Error::new(
                ErrorKind::Argument,
                format!("a bitfield of {} bytes for {len} pieces", bytes.len()),
            ));
        }
        if bytes.last().is_some_and(|last| last & ((1u16 << bytes_spare(len)) - 1) as u8 != 0) {
            return Err(Error::new(ErrorKind::Argument, "a bitfield with spare bits set"));
        }
        let ones = bytes.iter().map(|byte| byte.count_ones()).sum();
        Ok(Bitfield { bytes, len, ones })
    }

    /// The bytes as they travel.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Size of the universe, not of the set.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether the universe is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many indices are in the set.
    pub fn count(&self) -> u32 {
        self.ones
    }

    /// Whether every index is in the set.
    pub fn is_full(&self) -> bool {
        self.ones == self.len
    }

    /// Whether `index` is in the set; false outside `0..len`.
    pub fn has(&self, index: u32) -> bool {
        index < self.len && self.bytes[index as usize / 8] & (0x80 >> (index % 8)) != 0
    }

    /// Inserts `index`. False if it was in already or is outside `0..len`.
    pub fn insert(&mut self, index: u32) -> bool {
        if index >= self.len || self.has(index) {
            return false;
        }
        self.bytes[index as usize / 8] |= 0x80 >> (index % 8);
        self.ones += 1;
        true
    }

    /// Removes `index`. False if it was not in.
    pub fn remove(&mut self, index: u32) -> bool {
        if !self.has(index) {
            return false;
        }
        self.bytes[index as usize / 8] &= !(0x80 >> (index % 8));
        self.ones -= 1;
        true
    }

    /// The indices in the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.bytes.iter().enumerate().filter(|(_, byte)| **byte != 0).flat_map(|(at, byte)| {
            let base = at as u32 * 8;
            (0..8).filter(move |bit| byte & (0x80 >> bit) != 0).map(move |bit| base + bit)
        })
    }
}

/// Spare bits in the last byte of a set over `0..len`.
fn bytes_spare(len: u32) -> u32 {
    (8 - len % 8) % 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_piece_is_the_highest_bit() {
        let mut set = Bitfield::empty(10);
        assert!(set.insert(0) && set.insert(9) && !set.insert(9) && !set.insert(10));
        assert_eq!(set.as_bytes(), [0x80, 0x40]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 9]);
        assert!(set.remove(0) && !set.remove(0));
        assert_eq!((set.count(), set.has(9), set.has(10)), (1, true, false));
    }

    #[test]
    fn a_full_set_leaves_spare_bits_clear() {
        for len in 0..20 {
            let full = Bitfield::full(len);
            assert!(full.is_full());
            assert_eq!(full.iter().count() as u32, len);
            assert_eq!(Bitfield::from_bytes(full.as_bytes().to_vec(), len).unwrap(), full);
        }
    }

    #[test]
    fn wrong_lengths_and_spare_bits_are_refused() {
        assert!(Bitfield::from_bytes(vec![0xFF], 9).is_err());
        assert!(Bitfield::from_bytes(vec![0xFF, 0xFF], 9).is_err());
        assert!(Bitfield::from_bytes(vec![0xFF, 0x80], 9).is_ok());
        assert!(Bitfield::from_bytes(vec![0], 0).is_err());
    }
}
