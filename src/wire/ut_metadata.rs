//! The messages by which peers exchange the info dictionary in blocks of 16 KiB (BEP 9).
//!
//! Judges form alone: whether a block was requested, and whether its length is right, is decided by code that
//! knows the length of the dictionary.

use super::extended::{dictionary, number};
use crate::bencode::Encoder;
use crate::violation::Violation;

/// Bytes in a block; the last of a dictionary may have fewer.
pub const METADATA_BLOCK: usize = 16 * 1024;
/// The longest message that is read: a block and a generous dictionary ahead of it.
pub const MAX_METADATA_MESSAGE: usize = METADATA_BLOCK + 1024;

/// A message of `ut_metadata`. What it calls a piece is a block of the info dictionary, and has
/// nothing to do with the pieces of the torrent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataMessage<'a> {
    /// The sender wants this block.
    Request(u32),
    /// A block.
    Data {
        /// Which it is.
        piece: u32,
        /// Length of the whole dictionary, if it is given.
        total_size: Option<u64>,
        /// The block: at most [`METADATA_BLOCK`] bytes.
        bytes: &'a [u8],
    },
    /// The sender will not send this block, now or ever.
    Reject(u32),
    /// A kind that is not known here, and is ignored.
    Unknown,
}

impl<'a> MetadataMessage<'a> {
    /// The payload of the `extended` message.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, piece, size, bytes) = match *self {
            MetadataMessage::Request(piece) => (0, piece, None, &[][..]),
            MetadataMessage::Data { piece, total_size, bytes } => (1, piece, total_size, bytes),
            MetadataMessage::Reject(piece) => (2, piece, None, &[][..]),
            MetadataMessage::Unknown => (3, 0, None, &[][..]),
        };
        let mut encoder = Encoder::new();
        encoder.dict(|dict| {
            dict.int("msg_type", kind);
            dict.int("piece", piece.into());
            if let Some(size) = size.and_then(|size| i64::try_from(size).ok()) {
                dict.int("total_size", size);
            }
        });
        let mut payload = encoder.finish();
        payload.extend_from_slice(bytes);
        payload
    }

    /// Reads the payload of the `extended` message.
    ///
    /// # Errors
    /// [`Violation::MalformedMessage`] if there is no dictionary at its start, if that does not say the kind
    /// of message and the block, and if the block is longer than a block can be.
    pub fn decode(payload: &'a [u8]) -> Result<Self, Violation> {
        let (entries, bytes) = dictionary(payload, MAX_METADATA_MESSAGE)?;
        let (mut kind, mut piece, mut total_size) = (None, None, None);
        for (key, value) in entries {
            match key {
                b"msg_type" => kind = value.as_int(),
                b"piece" => piece = number(value),
                b"total_size" => total_size = number(value),
                _ => {}
            }
        }
        match (kind.ok_or(Violation::MalformedMessage)?, piece) {
            (0, Some(piece)) => Ok(MetadataMessage::Request(piece)),
            (1, Some(piece)) if bytes.len() <= METADATA_BLOCK => {
                Ok(MetadataMessage::Data { piece, total_size, bytes })
            }
            (2, Some(piece)) => Ok(MetadataMessage::Reject(piece)),
            (0..=2, _) => Err(Violation::MalformedMessage),
            _ => Ok(MetadataMessage::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of BEP 9, byte for byte.
    #[test]
    fn the_vectors_hold() {
        let vectors = include_str!("../../testdata/vectors/ut_metadata.txt");
        let mut seen = 0;
        for line in vectors.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<_> = line.split(" | ").collect();
            let &[name, text, want, _source] = &fields[..] else { panic!("{line}") };
            let message = MetadataMessage::decode(text.as_bytes());
            assert_eq!(format!("{message:?}"), format!("Ok({want})"), "{name}");
            assert_eq!(message.unwrap().encode(), text.as_bytes(), "{name}");
            seen += 1;
        }
        assert_eq!(seen, 3);
    }

    #[test]
    fn a_block_comes_through_whole() {
        let bytes = [b'e'; METADATA_BLOCK];
        let message = MetadataMessage::Data { piece: u32::MAX, total_size: Some(1 << 40), bytes: &bytes };
        let payload = message.encode();
        assert!(payload.len() <= MAX_METADATA_MESSAGE);
        assert_eq!(MetadataMessage::decode(&payload), Ok(message));
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        let block = |length| [b"d8:msg_typei1e5:piecei0ee".to_vec(), vec![0; length]].concat();
        assert!(MetadataMessage::decode(&block(METADATA_BLOCK)).is_ok());
        let deep = [b"d8:msg_typei0e5:piece".to_vec(), vec![b'l'; 4000], vec![b'e'; 4001]].concat();
        let bad: [&[u8]; 12] = [
            b"",
            b"x",
            b"i0e",
            b"de",
            b"d8:msg_typei0ee",
            b"d8:msg_typei1ee",
            b"d8:msg_typei0e5:piecei-1ee",
            b"d8:msg_typei2e5:piecei4294967296ee",
            b"d8:msg_type1:05:piecei0ee",
            &deep,
            &block(METADATA_BLOCK + 1),
            &block(MAX_METADATA_MESSAGE),
        ];
        for bad in bad {
            let shown = &bad[..bad.len().min(40)];
            assert_eq!(MetadataMessage::decode(bad), Err(Violation::MalformedMessage), "{shown:?}");
        }
    }

    #[test]
    fn unknown_kinds_are_let_pass() {
        for other in ["d8:msg_typei3ee", "d8:msg_typei-1e5:piecei0ee", "d8:msg_typei99e5:piece1:xe"] {
            assert_eq!(MetadataMessage::decode(other.as_bytes()), Ok(MetadataMessage::Unknown));
        }
    }
}
