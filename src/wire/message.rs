//! Every message of BEP 3 and BEP 6 but the body of `piece`, which never becomes one: its payload
//! goes straight into a buffer (see [`frame`](super::frame)).
//!
//! Decoding judges form alone: a length that does not fit the kind is refused, an index past the
//! last piece is not, since only a conversation knows the torrent.

use byteorder::{BigEndian, ByteOrder};

use crate::pieces::BlockRef;
use crate::violation::Violation;

/// The id of `bitfield`.
pub const BITFIELD: u8 = 5;
/// The id of `extended` (BEP 10).
pub const EXTENDED: u8 = 20;
/// The id of `piece`.
pub const PIECE: u8 = 7;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Nothing to say, and still there.
    KeepAlive,
    /// Requests will not be answered.
    Choke,
    /// Requests will be answered.
    Unchoke,
    /// The sender would request if it were not choked.
    Interested,
    /// The sender wants nothing.
    NotInterested,
    /// The sender has one more piece.
    Have(u32),
    /// The pieces the sender has.
    Bitfield(Vec<u8>),
    /// The sender wants a block.
    Request(BlockRef),
    /// The sender no longer wants a block.
    Cancel(BlockRef),
    /// UDP port of the sender's DHT node (BEP 5).
    Port(u16),
    /// The sender recommends a piece (BEP 6).
    Suggest(u32),
    /// The sender has every piece (BEP 6).
    HaveAll,
    /// The sender has no piece (BEP 6).
    HaveNone,
    /// A request will not be answered (BEP 6).
    Reject(BlockRef),
    /// This piece may be requested while choked (BEP 6).
    AllowedFast(u32),
    /// A message of the Extension Protocol (BEP 10).
    Extended {
        /// Which extension, by the number the receiver gave it; 0 is the extension handshake.
        id: u8,
        /// Its payload, not looked into.
        payload: Vec<u8>,
    },
    /// A message of an unknown id; its body was thrown away.
    Unknown(u8),
}

impl Message {
    /// Reads the message of this id and body.
    ///
    /// # Errors
    /// [`Violation::MalformedMessage`] where the length of the body does not fit the id; always so
    /// for [`PIECE`].
    pub fn decode(id: u8, body: &[u8]) -> Result<Message, Violation> {
        if body_length(id).is_some_and(|length| body.len() != length) {
            return Err(Violation::MalformedMessage);
        }
        Ok(match id {
            0 => Message::Choke,
            1 => Message::Unchoke,
            2 => Message::Interested,
            3 => Message::NotInterested,
            4 => Message::Have(BigEndian::read_u32(body)),
            BITFIELD => Message::Bitfield(body.to_vec()),
            6 => Message::Request(block(body)),
            PIECE => return Err(Violation::MalformedMessage),
            8 => Message::Cancel(block(body)),
            9 => Message::Port(BigEndian::read_u16(body)),
            13 => Message::Suggest(BigEndian::read_u32(body)),
            14 => Message::HaveAll,
            15 => Message::HaveNone,
            16 => Message::Reject(block(body)),
            17 => Message::AllowedFast(BigEndian::read_u32(body)),
            EXTENDED => {
                let (&id, payload) = body.split_first().ok_or(Violation::MalformedMessage)?;
                Message::Extended { id, payload: payload.to_vec() }
            }
            id => Message::Unknown(id),
        })
    }

    /// Appends the whole frame to `out`. [`Message::Unknown`] is sent without a body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Message::KeepAlive => out.extend_from_slice(&[0; 4]),
            Message::Choke => frame(out, 0, &[]),
            Message::Unchoke => frame(out, 1, &[]),
            Message::Interested => frame(out, 2, &[]),
            Message::NotInterested => frame(out, 3, &[]),
            Message::Have(piece) => frame(out, 4, &piece.to_be_bytes()),
            Message::Bitfield(bits) => frame(out, BITFIELD, bits),
            Message::Request(block) => frame(out, 6, &block_bytes(*block)),
            Message::Cancel(block) => frame(out, 8, &block_bytes(*block)),
            Message::Port(port) => frame(out, 9, &port.to_be_bytes()),
            Message::Suggest(piece) => frame(out, 13, &piece.to_be_bytes()),
            Message::HaveAll => frame(out, 14, &[]),
            Message::HaveNone => frame(out, 15, &[]),
            Message::Reject(block) => frame(out, 16, &block_bytes(*block)),
            Message::AllowedFast(piece) => frame(out, 17, &piece.to_be_bytes()),
            Message::Extended { id, payload } => {
                out.extend_from_slice(&(payload.len() as u32 + 2).to_be_bytes());
                out.extend_from_slice(&[EXTENDED, *id]);
                out.extend_from_slice(payload);
            }
            Message::Unknown(id) => frame(out, *id, &[]),
        }
    }
}

/// The one length a body of this id may have, for ids whose length never varies.
pub fn body_length(id: u8) -> Option<usize> {
    match id {
        0..=3 | 14 | 15 => Some(0),
        4 | 13 | 17 => Some(4),
        6 | 8 | 16 => Some(12),
        9 => Some(2),
        _ => None,
    }
}

/// The bytes before the payload of a `piece` message: length, id, piece and begin.
pub fn piece_header(block: BlockRef) -> [u8; 13] {
    let mut header = [0; 13];
    header[..4].copy_from_slice(&block.length.saturating_add(9).to_be_bytes());
    header[4] = PIECE;
    header[5..9].copy_from_slice(&block.piece.to_be_bytes());
    header[9..].copy_from_slice(&block.begin.to_be_bytes());
    header
}

fn frame(out: &mut Vec<u8>, id: u8, body: &[u8]) {
    out.extend_from_slice(&(body.len() as u32 + 1).to_be_bytes());
    out.push(id);
    out.extend_from_slice(body);
}

/// Reads a body whose length of 12 was checked.
fn block(body: &[u8]) -> BlockRef {
    BlockRef {
        piece: BigEndian::read_u32(body),
        begin: BigEndian::read_u32(&body[4..]),
        length: BigEndian::read_u32(&body[8..]),
    }
}

fn block_bytes(block: BlockRef) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&block.piece.to_be_bytes());
    bytes[4..8].copy_from_slice(&block.begin.to_be_bytes());
    bytes[8..].copy_from_slice(&block.length.to_be_bytes());
    bytes
}
