//! Cuts a byte stream into frames, with the payload of `piece` read straight into the caller's buffers.
//!
//! A read asks for the rest of a payload and, behind it, for the header of the frame to come; at line rate
//! for as many further blocks of the piece as the buffer has room for, each header and payload into its
//! place. So eight blocks cost one system call and no copy. Small messages share reads of a few KiB. Blocks
//! that follow one another in a piece are gathered into one buffer for as long as the data arrives without
//! waiting.
//!
//! Invariant: a thread that waits in `read` has handed out every block and every message that came before,
//! and holds a buffer only if it already has a part of a block in it. Lengths are checked before anything is
//! allocated or read for them.

mod ahead;

use std::io::{self, Read};

use byteorder::{BigEndian, ByteOrder};

use self::ahead::Ahead;
use super::handshake::{self, PROTOCOL};
use super::message::{self, BITFIELD, EXTENDED, Message, PIECE};
use crate::pieces::{BLOCK, BlockRef, Pieces};
use crate::violation::Violation;

/// Where payload is received: a pool, as a rule.
pub trait Buffers {
    /// A buffer; what it can hold is the length of its slice, at least one [`BLOCK`].
    type Buffer: AsMut<[u8]>;

    /// A buffer, waiting for one if need be. `large` says that data comes faster than it is read,
    /// so that room for several blocks pays; a smaller one is as good.
    fn take(&mut self, large: bool) -> Self::Buffer;
}

/// One frame, or several that belong together.
#[derive(Debug)]
pub enum Frame<B> {
    /// Any message but `piece`.
    Message(Message),
    /// The payload of one or more `piece` messages.
    Blocks(Blocks<B>),
}

/// Consecutive whole blocks of one piece, in one buffer.
#[derive(Debug)]
pub struct Blocks<B> {
    /// Index of the piece, as the peer gave it.
    pub piece: u32,
    /// Offset of the first block inside the piece, as the peer gave it.
    pub begin: u32,
    /// Payload bytes in all; every block but the last of the run has exactly [`BLOCK`] of them.
    pub length: u32,
    /// The payload, from the start of the buffer on.
    pub data: B,
    /// Whether more data was there already when this was cut off.
    pub more: bool,
}

impl<B> Blocks<B> {
    /// The blocks one by one, as they were requested.
    pub fn refs(&self) -> impl Iterator<Item = BlockRef> + use<B> {
        let (piece, begin, length) = (self.piece, self.begin, self.length);
        (0..length.div_ceil(BLOCK)).map(move |nth| BlockRef {
            piece,
            begin: begin.saturating_add(nth * BLOCK),
            length: (length - nth * BLOCK).min(BLOCK),
        })
    }
}

/// Why there is no further frame.
#[derive(Debug)]
pub enum ReadError {
    /// The source failed.
    Io(io::Error),
    /// The source ended.
    Closed,
    /// The stream is not the protocol's.
    Violation(Violation),
}

/// The longest body of any message but `piece` that a peer of a torrent of these pieces can have
/// reason to send: its bitfield, or [`MAX_EXTENDED`].
pub fn max_message(pieces: &Pieces) -> usize {
    (pieces.count().div_ceil(8) as usize).max(MAX_EXTENDED)
}

/// The longest body of an `extended` message, for any number of pieces. No known message comes near it:
/// metadata has 16 KiB and a header, and the reader of each kind refuses one that is longer than that kind
/// allows.
pub const MAX_EXTENDED: usize = 64 * 1024;

/// Length of a `piece` message up to its payload.
const PIECE_HEADER: usize = 13;

/// Bytes asked for behind a payload: the header of a block to follow, and one byte of that, so that a peer
/// that pauses between header and payload is seen to pause.
const BEHIND: usize = PIECE_HEADER + 1;

/// Bytes read at once while no payload is awaited.
const SMALL_READ: usize = 4096;

/// Reads frames off a source.
///
/// The source should have a `read_vectored` of its own (as sockets do): with the provided one
/// every block is taken for the last that is there.
#[derive(Debug)]
pub struct FrameReader<R> {
    source: R,
    max_message: usize,
    /// How long pieces are, if it is worthwhile to read ahead in one.
    piece_length: u32,
    /// Blocks that may be read ahead, as far as the peer has been seen to send them in order.
    trust: u32,
    /// Bytes read and not yet used are `held[start..end]`.
    held: Vec<u8>,
    start: usize,
    end: usize,
    /// Reads in a row that brought all they asked for: the source has more.
    full_reads: u32,
    /// A failure that came when there were blocks to be handed out first.
    failed: Option<ReadError>,
}

/// The block that a `piece` message announces; nothing where `bytes` does not begin with the whole
/// header of one.
fn announced(bytes: &[u8]) -> Option<Result<BlockRef, Violation>> {
    let bytes = bytes.get(..PIECE_HEADER).filter(|bytes| bytes[4] == PIECE)?;
    Some(match BigEndian::read_u32(bytes) {
        0..=9 => Err(Violation::MalformedMessage),
        length if length - 9 > BLOCK => Err(Violation::OversizedFrame),
        length => Ok(BlockRef {
            piece: BigEndian::read_u32(&bytes[5..]),
            begin: BigEndian::read_u32(&bytes[9..]),
            length: length - 9,
        }),
    })
}

impl<R: Read> FrameReader<R> {
    /// A reader of frames whose body, `piece` apart, is at most `max_message` bytes.
    pub fn new(source: R, max_message: usize) -> Self {
        FrameReader {
            source,
            max_message,
            piece_length: 0,
            trust: 0,
            held: Vec::new(),
            start: 0,
            end: 0,
            full_reads: 0,
            failed: None,
        }
    }

    /// The same, reading ahead for the blocks of pieces of `piece_length` bytes: the peer is expected to
    /// send those of one piece in order, and loses nothing if it does not.
    pub fn of_pieces(self, piece_length: u32) -> Self {
        FrameReader { piece_length, ..self }
    }

    /// From now on the peer is one of a torrent of these pieces: messages have its bound, and blocks are read
    /// ahead. To be said between frames.
    pub fn learn(&mut self, pieces: &Pieces) {
        self.max_message = max_message(pieces);
        self.piece_length = pieces.piece_length();
    }

    /// Where the bytes come from.
    pub fn source_mut(&mut self) -> &mut R {
        &mut self.source
    }

    /// Reads the handshake, which comes once and before every frame.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] as soon as the bytes are not those of the protocol,
    /// [`io::ErrorKind::UnexpectedEof`] where the source ends, and the source's own.
    pub fn handshake(&mut self) -> io::Result<[u8; handshake::LENGTH]> {
        let mut bytes = [0; handshake::LENGTH];
        let mut got = 0;
        while got < bytes.len() {
            got += match self.source.read(&mut bytes[got..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let seen = got.min(PROTOCOL.len());
            if bytes[..seen] != PROTOCOL[..seen] {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "not the BitTorrent protocol"));
            }
        }
        Ok(bytes)
    }

    /// The next frame.
    ///
    /// # Errors
    /// See [`ReadError`]. After one, nothing sensible can be read.
    pub fn next<B: AsMut<[u8]>>(
        &mut self,
        buffers: &mut dyn Buffers<Buffer = B>,
    ) -> Result<Frame<B>, ReadError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.hold(4)?;
        let length = BigEndian::read_u32(self.unused()) as usize;
        if length == 0 {
            self.use_up(4);
            return Ok(Frame::Message(Message::KeepAlive));
        }
        if length > 1 + self.max_message.max(PIECE_HEADER - 5 + BLOCK as usize) {
            return Err(ReadError::Violation(Violation::OversizedFrame));
        }
        self.hold(5)?;
        let id = self.unused()[4];
        if id == PIECE {
            return self.blocks(length, buffers).map(Frame::Blocks);
        }
        match message::body_length(id) {
            Some(body) if length != 1 + body => Err(ReadError::Violation(Violation::MalformedMessage)),
            None if length > 1 + self.max_message => Err(ReadError::Violation(Violation::OversizedFrame)),
            None if id == EXTENDED && length > 1 + MAX_EXTENDED => {
                Err(ReadError::Violation(Violation::OversizedFrame))
            }
            _ => self.message(id, length).map(Frame::Message),
        }
    }

    /// Reads the rest of a message of a checked length.
    fn message(&mut self, id: u8, length: usize) -> Result<Message, ReadError> {
        if 4 + length <= SMALL_READ {
            self.hold(4 + length)?;
            let message = Message::decode(id, &self.unused()[5..4 + length]);
            self.use_up(4 + length);
            return message.map_err(ReadError::Violation);
        }
        self.use_up(5);
        let mut left = length - 1;
        if !matches!(id, BITFIELD | EXTENDED) {
            while left > 0 {
                self.hold(1)?;
                let skipped = self.unused().len().min(left);
                self.use_up(skipped);
                left -= skipped;
            }
            return Ok(Message::Unknown(id));
        }
        let mut body = Vec::with_capacity(left);
        while left > 0 {
            self.hold(1)?;
            let part = self.unused().len().min(left);
            body.extend_from_slice(&self.unused()[..part]);
            self.use_up(part);
            left -= part;
        }
        Message::decode(id, &body).map_err(ReadError::Violation)
    }

    /// Reads a `piece` message and those that continue it.
    fn blocks<B: AsMut<[u8]>>(
        &mut self,
        length: usize,
        buffers: &mut dyn Buffers<Buffer = B>,
    ) -> Result<Blocks<B>, ReadError> {
        if length < PIECE_HEADER - 4 {
            return Err(ReadError::Violation(Violation::MalformedMessage));
        }
        self.hold(PIECE_HEADER)?;
        let first = announced(self.unused()).unwrap_or(Err(Violation::MalformedMessage));
        let first = first.map_err(ReadError::Violation)?;
        // One full read may be a single block behind a small read; two are a stream.
        let mut data = buffers.take(self.full_reads >= 2);
        let room = data.as_mut();
        let (mut block, mut done, mut ahead) = (first, 0, Ahead::default());
        while let Some(target) = room.get_mut(done..).filter(|room| room.len() >= block.length as usize) {
            let length = block.length as usize;
            let got = match self.payload(block, target, &mut ahead, done > 0) {
                Ok(got) => got,
                Err(error) if done > 0 => {
                    self.failed = Some(error);
                    break;
                }
                Err(error) => return Err(error),
            };
            if got < length {
                self.put_back(block, &target[..got]);
                break;
            }
            done += length;
            // A short block ends a piece, or is odd; either way nothing follows it in the run.
            let Some(next) = block.begin.checked_add(BLOCK).filter(|_| block.length == BLOCK) else { break };
            let header = if ahead.is_empty() { self.unused() } else { ahead.header() };
            // Bytes read ahead were taken for whole blocks.
            let fits = |length| length == BLOCK || ahead.is_empty();
            match announced(header) {
                Some(Ok(follower))
                    if (follower.piece, follower.begin) == (block.piece, next) && fits(follower.length) =>
                {
                    block = follower
                }
                _ => break,
            }
        }
        if !ahead.is_empty() {
            self.trust = 0;
            self.held =
                ahead.put_back(room.get(done..).unwrap_or_default(), &self.held[self.start..self.end]);
            (self.start, self.end) = (0, self.held.len());
        }
        if done == 0 {
            // A buffer too small for a block, against its promise.
            return Err(ReadError::Io(io::ErrorKind::InvalidInput.into()));
        }
        let more = self.full_reads > 0;
        Ok(Blocks { piece: first.piece, begin: first.begin, length: done as u32, data, more })
    }

    /// Uses up the header of `block` and fills the front of `room` with its payload. Says how much of
    /// it there was: all, unless `in_haste`, when what cannot be had without waiting is left out.
    fn payload(
        &mut self,
        block: BlockRef,
        room: &mut [u8],
        ahead: &mut Ahead,
        in_haste: bool,
    ) -> Result<usize, ReadError> {
        let (target, beyond) = room.split_at_mut(block.length as usize);
        let mut got;
        if ahead.is_empty() {
            self.use_up(PIECE_HEADER);
            got = self.unused().len().min(target.len());
            target[..got].copy_from_slice(&self.unused()[..got]);
            self.use_up(got);
        } else {
            got = ahead.block();
        }
        while got < target.len() {
            if in_haste && self.full_reads == 0 {
                break;
            }
            // All held bytes are used up: the bytes behind the payload start afresh.
            self.make_room(BEHIND);
            let rest = &mut target[got..];
            let wanted = rest.len();
            let guess = Ahead::guess(block, self.piece_length, beyond.len(), self.trust);
            let (mut parts, asked) = ahead.parts(rest, beyond, &mut self.held, guess);
            let n = retry(|| self.source.read_vectored(&mut parts[..2 * guess + 2]))?;
            self.note(n, asked);
            self.trust = if n < asked { 0 } else { Ahead::more(self.trust) };
            got += n.min(wanted);
            self.end = ahead.brought(n.saturating_sub(wanted), guess).min(BEHIND);
        }
        Ok(got)
    }

    /// Makes as if a block, of which only `part` is there, had not been looked at.
    fn put_back(&mut self, block: BlockRef, part: &[u8]) {
        let length = PIECE_HEADER + part.len();
        self.make_room(length);
        self.held[..PIECE_HEADER].copy_from_slice(&message::piece_header(block));
        self.held[PIECE_HEADER..length].copy_from_slice(part);
        self.end = length;
    }

    /// Bytes read and not yet used.
    fn unused(&self) -> &[u8] {
        &self.held[self.start..self.end]
    }

    /// Takes `n` bytes of [`unused`](Self::unused) off its front.
    fn use_up(&mut self, n: usize) {
        self.start += n;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        // Much may have been put back, and the rest of it may be waited for long.
        if self.held.len() > 2 * SMALL_READ && self.end - self.start <= SMALL_READ {
            self.make_room(0);
            self.held.truncate(SMALL_READ);
            self.held.shrink_to_fit();
        }
    }

    /// Makes room for `n` bytes where nothing is held, or at the front of it.
    fn make_room(&mut self, n: usize) {
        if self.start > 0 {
            self.held.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.held.len() < n.max(SMALL_READ) {
            self.held.resize(n.max(SMALL_READ), 0);
        }
    }

    /// Reads until at least `n` bytes, [`SMALL_READ`] at most, are held.
    fn hold(&mut self, n: usize) -> Result<(), ReadError> {
        while self.unused().len() < n {
            if self.held.len() < self.start + n || self.end == self.held.len() {
                self.make_room(n);
            }
            let room = &mut self.held[self.end..];
            let asked = room.len();
            let n = retry(|| self.source.read(room))?;
            self.note(n, asked);
            self.end += n;
        }
        Ok(())
    }

    fn note(&mut self, n: usize, asked: usize) {
        self.full_reads = if n < asked { 0 } else { self.full_reads.saturating_add(1) };
    }
}

/// Reads again when a signal came between; the end of the source is an error.
fn retry(mut read: impl FnMut() -> io::Result<usize>) -> Result<usize, ReadError> {
    loop {
        return match read() {
            Ok(0) => Err(ReadError::Closed),
            Ok(n) => Ok(n),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(ReadError::Io(error)),
        };
    }
}
