//! The reader of a connection: a thread that reads, blocking, and lets the conversation take in what
//! it read at once. It ends when the connection does, or when the worker hangs up.
//!
//! Under a rate limit it reads no more than its [`Pace`] lets pass, also within a block: what is
//! not read stays with the kernel, and TCP slows the peer down.

use std::io::{self, IoSliceMut, Read};
use std::sync::Arc;

use super::blocks::{Block, Tap};
use super::limiter::{HeldBack, Limits, Pace};
use super::talk::Talk;
use crate::job::Goodbye;
use crate::wire::frame::{Buffers, FrameReader, ReadError};

/// What a reader needs besides the stream.
pub(crate) struct Reader {
    pub(crate) tap: Tap,
    pub(crate) limits: Limits,
    pub(crate) held_back: HeldBack,
    pub(crate) talk: Arc<Talk>,
}

impl Reader {
    /// Reads until the end.
    pub(crate) fn run<R: Read>(mut self, mut frames: FrameReader<R>) {
        let why = loop {
            let taken_in = match frames.next(&mut self) {
                Ok(frame) => self.talk.on_frame(frame),
                Err(error) => Err(ending(&error)),
            };
            if let Err(why) = taken_in {
                break why;
            }
        };
        self.talk.on_end(why);
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

/// What the end of the stream means for the connection.
fn ending(error: &ReadError) -> Goodbye {
    match error {
        ReadError::Misdeed(misdeed) => Goodbye::Misdeed(*misdeed),
        ReadError::Io(_) | ReadError::Closed => Goodbye::Lost,
    }
}
