//! What a peer says it has before it is known how many pieces there are: held, and judged once that is known.
//!
//! Never: takes anything for right before that. Invariant: the claims of one peer take at most [`MAX_BYTES`].

use crate::bitfield::Bitfield;
use crate::violation::{DisconnectReason, Violation};

/// Bytes that the claims of one peer take at most: a bit each for half a million pieces.
const MAX_BYTES: usize = 64 * 1024;

/// The claims of one peer.
#[derive(Debug, Default)]
pub(super) struct EarlyClaims {
    /// A bit a piece, as in a bitfield; as long as the last piece named so far has it.
    pieces: Vec<u8>,
    /// How long its bitfield was.
    bitfield: Option<usize>,
    all: bool,
    /// It has said what it has, or begun to.
    told: bool,
    /// It named pieces that would take too much.
    overflows: bool,
}

impl EarlyClaims {
    /// It has one more piece. False where that was known.
    pub(super) fn have(&mut self, piece: u32) -> bool {
        self.told = true;
        let (at, bit) = (piece as usize / 8, 0x80 >> (piece % 8));
        if at >= MAX_BYTES {
            return !std::mem::replace(&mut self.overflows, true);
        }
        if self.pieces.len() <= at {
            self.pieces.resize(at + 1, 0);
        }
        let byte = &mut self.pieces[at];
        let news = *byte & bit == 0;
        *byte |= bit;
        news
    }

    /// It has these; a later one adds to the first.
    ///
    /// # Errors
    /// [`Violation::BadBitfield`] where two of them differ in length.
    pub(super) fn bitfield(&mut self, bytes: Vec<u8>) -> Result<(), Violation> {
        self.told = true;
        if self.bitfield.is_some_and(|length| length != bytes.len()) {
            return Err(Violation::BadBitfield);
        }
        self.bitfield = Some(bytes.len());
        if bytes.len() > MAX_BYTES {
            self.overflows = true;
        } else if self.pieces.is_empty() {
            self.pieces = bytes;
        } else {
            let length = self.pieces.len().max(bytes.len());
            self.pieces.resize(length, 0);
            self.pieces.iter_mut().zip(&bytes).for_each(|(held, byte)| *held |= byte);
        }
        Ok(())
    }

    /// It has everything.
    pub(super) fn everything(&mut self) {
        (self.told, self.all) = (true, true);
    }

    /// It has nothing so far.
    pub(super) fn nothing(&mut self) {
        self.told = true;
    }

    /// What it has of `count` pieces; nothing where it has not said anything.
    ///
    /// # Errors
    /// What was wrong with it: [`Violation::BadBitfield`] or [`Violation::IndexOutOfRange`]. Without a wrong of
    /// the peer's, [`DisconnectReason::Shutdown`] where it was too much to be held: a new connection, which may be
    /// made at once, begins with it.
    pub(super) fn judge(self, count: u32) -> Result<Option<Bitfield>, DisconnectReason> {
        let length = count.div_ceil(8) as usize;
        if self.bitfield.is_some_and(|sent| sent != length) {
            return Err(DisconnectReason::Violation(Violation::BadBitfield));
        }
        if self.overflows {
            let impossible = length <= MAX_BYTES;
            return Err(match impossible {
                true => DisconnectReason::Violation(Violation::IndexOutOfRange),
                false => DisconnectReason::Shutdown,
            });
        }
        let mut pieces = self.pieces;
        pieces.resize(length.max(pieces.len()), 0);
        let has = Bitfield::from_bytes(pieces, count).map_err(|_| {
            let of_bitfield = self.bitfield.is_some();
            let wrong = if of_bitfield { Violation::BadBitfield } else { Violation::IndexOutOfRange };
            DisconnectReason::Violation(wrong)
        })?;
        let has = if self.all { Bitfield::full(count) } else { has };
        Ok(self.told.then_some(has))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(say: impl FnOnce(&mut EarlyClaims)) -> EarlyClaims {
        let mut claims = EarlyClaims::default();
        say(&mut claims);
        claims
    }

    fn pieces(of: Result<Option<Bitfield>, DisconnectReason>) -> Vec<u32> {
        of.unwrap().unwrap().iter().collect()
    }

    #[test]
    fn what_was_said_adds_up_in_any_order() {
        let said = claims(|claims| {
            assert!(claims.have(9) && !claims.have(9));
            claims.bitfield(vec![0x80, 0]).unwrap();
            assert!(claims.have(1) && !claims.have(0));
        });
        assert_eq!(pieces(said.judge(10)), [0, 1, 9]);
        assert_eq!(pieces(claims(EarlyClaims::everything).judge(3)), [0, 1, 2]);
        assert_eq!(pieces(claims(EarlyClaims::nothing).judge(3)), []);
        assert_eq!(claims(|_| {}).judge(3), Ok(None), "it has not spoken");
    }

    #[test]
    fn what_does_not_fit_the_torrent_is_a_violation() {
        let bitfield = |bytes: &[u8]| claims(|claims| claims.bitfield(bytes.to_vec()).unwrap());
        let bad = Err(DisconnectReason::Violation(Violation::BadBitfield));
        assert_eq!(bitfield(&[0xff; 3]).judge(16), bad, "too long");
        assert_eq!(bitfield(&[0xff; 1]).judge(16), bad, "too short");
        assert_eq!(bitfield(&[0, 1]).judge(15), bad, "a spare bit");
        assert_eq!(bitfield(&[0; MAX_BYTES + 1]).judge(16), bad, "too long to be held");
        let far = Err(DisconnectReason::Violation(Violation::IndexOutOfRange));
        for piece in [15, 16, 1_000_000, u32::MAX] {
            assert_eq!(claims(|claims| _ = claims.have(piece)).judge(15), far, "{piece}");
        }
        let two = &mut bitfield(&[0; 2]);
        assert_eq!(two.bitfield(vec![0; 3]), Err(Violation::BadBitfield), "one of them must be wrong");
    }

    #[test]
    fn a_peer_is_held_within_bounds_and_not_blamed_for_a_large_torrent() {
        let count = MAX_BYTES as u32 * 8 + 1;
        let said = claims(|claims| claims.bitfield(vec![0xff; MAX_BYTES + 1]).unwrap());
        assert!(said.pieces.is_empty());
        assert_eq!(said.judge(count), Err(DisconnectReason::Shutdown));
        let said = claims(|claims| (0..count).rev().for_each(|piece| _ = claims.have(piece)));
        assert!(said.pieces.len() == MAX_BYTES);
        assert_eq!(said.judge(count), Err(DisconnectReason::Shutdown));
        assert!(claims(EarlyClaims::everything).judge(count).unwrap().unwrap().is_full());
    }
}
