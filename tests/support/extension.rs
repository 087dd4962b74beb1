//! The Extension Protocol from a scripted peer's side (BEP 9, 10, 11): what is said by which id, and a
//! peer that lends its metadata as told. Bencoded and read by hand, as everything here.

use std::io;

use super::bencode::{Value, dict, int};
use super::content::{BLOCK, Torrent};
use super::peer::{BITFIELD, Block, EXTENDED, EXTENSIONS, INTERESTED, REQUEST, Talk, UNCHOKE};

/// The ids by which bitwren wants to be spoken to.
pub const HANDSHAKE: u8 = 0;
pub const METADATA: u8 = 1;
pub const PEX: u8 = 2;
pub const DONT_HAVE: u8 = 3;

/// By which id this side wants metadata messages.
const WANTED: u8 = 7;

/// An extension message, framed.
pub fn message(id: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    super::peer::frame(EXTENDED, &[&[id], payload.as_ref()].concat())
}

/// The handshake of one who speaks everything that is spoken here.
pub fn shake(more: Vec<(&'static str, Value)>) -> Vec<u8> {
    let m = dict([("lt_donthave", int(9)), ("ut_metadata", int(WANTED.into())), ("ut_pex", int(8))]);
    message(HANDSHAKE, dict([("m", m)].into_iter().chain(more)).encode())
}

/// Answers the handshakes, the plain and the extended.
pub fn answer(talk: &mut Talk) -> io::Result<()> {
    talk.answer(EXTENSIONS)?;
    talk.raw(&shake(Vec::new()))
}

/// The info dictionary, which is the last thing in these torrents.
pub fn info(torrent: &Torrent) -> &[u8] {
    let at = torrent.metainfo.windows(6).position(|six| six == b"4:info").unwrap();
    &torrent.metainfo[at + 6..torrent.metainfo.len() - 1]
}

/// A block of metadata as a message, to one who wants them by this id.
pub fn block(id: u8, piece: u32, total: u64, bytes: &[u8]) -> Vec<u8> {
    let head = dict([("msg_type", int(1)), ("piece", int(piece.into())), ("total_size", int(total))]);
    message(id, [head.encode(), bytes.to_vec()].concat())
}

/// The same of any other kind: 0 asks, 2 rejects.
pub fn no_block(id: u8, kind: u64, piece: u32) -> Vec<u8> {
    message(id, dict([("msg_type", int(kind)), ("piece", int(piece.into()))]).encode())
}

/// Says that its metadata has `size` bytes and answers requests for it with what `lend` makes of the id
/// they want it by and the block; data it serves as a seed does.
pub fn lend(
    talk: &mut Talk,
    size: u64,
    mut lend: impl FnMut(&mut Talk, u8, u32) -> io::Result<()>,
) -> io::Result<()> {
    talk.answer(EXTENSIONS)?;
    talk.raw(&shake(vec![("metadata_size", int(size))]))?;
    let bitfield = talk.torrent.full_bitfield();
    talk.send(BITFIELD, &bitfield)?;
    let mut theirs = METADATA;
    loop {
        match talk.read()? {
            Some((EXTENDED, body)) if body.first() == Some(&HANDSHAKE) => {
                theirs = number(&body, "11:ut_metadata").unwrap_or(0) as u8;
            }
            Some((EXTENDED, body)) if body.first() == Some(&WANTED) => {
                let block = number(&body, "5:piece").ok_or(io::ErrorKind::InvalidData)? as u32;
                lend(talk, theirs, block)?;
            }
            Some((INTERESTED, _)) => talk.send(UNCHOKE, &[])?,
            Some((REQUEST, body)) => {
                let block = Block::parse(&body).ok_or(io::ErrorKind::InvalidData)?;
                talk.send_block(block)?;
            }
            _ => {}
        }
    }
}

/// As an honest peer lends it.
pub fn lend_rightly(talk: &mut Talk, id: u8, piece: u32) -> io::Result<()> {
    let torrent = talk.torrent.clone();
    let whole = info(&torrent);
    let begin = (piece * BLOCK) as usize;
    let bytes = &whole[begin.min(whole.len())..(begin + BLOCK as usize).min(whole.len())];
    talk.raw(&block(id, piece, whole.len() as u64, bytes))
}

/// The number after `key` in a bencoded dictionary.
fn number(text: &[u8], key: &str) -> Option<u64> {
    let at = text.windows(key.len()).position(|window| window == key.as_bytes())? + key.len();
    let digits: String =
        text.get(at + 1..)?.iter().take_while(|c| c.is_ascii_digit()).map(|&c| c as char).collect();
    digits.parse().ok()
}
