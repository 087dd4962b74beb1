//! The reader of a connection: a thread that reads, blocking, and has the connection take in each
//! frame at once. It ends when the connection does, or when the worker hangs up.
//!
//! Under a rate limit it reads no more than its [`Pace`] lets pass, also within a block: what is
//! not read stays with the kernel, and TCP slows the peer down.

use std::io::{self, IoSliceMut, Read};
use std::sync::Arc;

use super::conversation::Connection;
use super::ending;
use crate::engine::runtime::block_pool::{Block, Tap};
use crate::engine::runtime::rate_limit::{Limits, Pace, Throttled};
use crate::violation::DisconnectReason;
use crate::wire::frame::{Blocks, Buffers, Frame, FrameReader};

/// What a reader needs besides the stream.
pub(crate) struct Reader {
    pub(crate) tap: Tap,
    pub(crate) limits: Limits,
    pub(crate) held_back: Throttled,
    pub(crate) connection: Arc<Connection>,
}

impl Reader {
    /// Reads until the end.
    pub(crate) fn run<R: Read>(mut self, mut frames: FrameReader<R>) {
        let why = loop {
            let taken_in = match frames.next(&mut self) {
                Ok(frame) => self.connection.on_frame(frame),
                Err(error) => Err(ending::of_read(&error)),
            };
            if let Err(why) = taken_in {
                break why;
            }
        };
        self.connection.on_end(why);
    }
}

/// How to go on reading a connection.
pub(crate) struct Reading {
    pub(crate) reader: Reader,
    pub(crate) pace: Pace,
    pub(crate) max_message: usize,
    pub(crate) piece_length: u32,
}

impl Reading {
    /// Reads from the first frame until the end.
    pub(crate) fn start<R: Read>(self, source: R) {
        let Reading { reader, pace, max_message, piece_length } = self;
        reader.run(FrameReader::new(Paced { source, pace }, max_message).of_pieces(piece_length));
    }

    /// The same where this frame has been read already.
    pub(crate) fn go_on<R: Read>(self, frame: Frame<Vec<u8>>, frames: FrameReader<R>) {
        let frame = match frame {
            Frame::Message(message) => Frame::Message(message),
            Frame::Blocks(Blocks { piece, begin, length, data, more }) => {
                let mut block = self.reader.tap.take(false);
                let room = block.as_mut().get_mut(..data.len());
                room.into_iter().for_each(|room| room.copy_from_slice(&data));
                Frame::Blocks(Blocks { piece, begin, length, data: block, more })
            }
        };
        if let Err(why) = self.take_in(frame) {
            return self.end(why);
        }
        let Reading { reader, pace, max_message, piece_length } = self;
        let frames = frames.with_source(max_message, |source| Paced { source, pace });
        reader.run(frames.of_pieces(piece_length));
    }

    /// The connection takes this in.
    pub(crate) fn take_in(&self, frame: Frame<Block>) -> Result<(), DisconnectReason> {
        self.reader.connection.on_frame(frame)
    }

    /// Nothing more is read.
    pub(crate) fn end(&self, why: DisconnectReason) {
        self.reader.connection.on_end(why);
    }
}

/// The pool as the frame reader sees it.
impl Buffers for Reader {
    type Buffer = Block;

    fn take(&mut self, large: bool) -> Block {
        // Under a limit there is no hurry that would pay for a large one.
        let large = large && !self.limits.is_limited();
        self.held_back.during(|| self.tap.take(large))
    }
}

/// A source that is read at a pace.
pub(crate) struct Paced<R> {
    pub(crate) source: R,
    pub(crate) pace: Pace,
}

impl<R: Read> Read for Paced<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        // The end of a hang-up is the end of the stream.
        let Some(allowed) = self.pace.allowance(buf.len() as u64) else { return Ok(0) };
        let room = buf.len().min(allowed as usize);
        let read = self.source.read(&mut buf[..room])?;
        self.pace.used(read as u64);
        Ok(read)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if !self.pace.is_limited() {
            return self.source.read_vectored(bufs);
        }
        match bufs.iter_mut().find(|buf| !buf.is_empty()) {
            Some(buf) => self.read(buf),
            None => Ok(0),
        }
    }
}
