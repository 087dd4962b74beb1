//! The reader of a connection: a thread that only reads, blocking, and hands what it read to the
//! worker. It ends when the connection does, or when the worker hangs up.
//!
//! Under a rate limit it reads no more than its [`Pace`] lets pass, also within a block: what is
//! not read stays with the kernel, and TCP slows the peer down.

use std::io::{self, IoSliceMut, Read};

use crossbeam_channel::Sender;

use super::blocks::{Block, Tap};
use super::limiter::{HeldBack, Limits, Pace};
use super::messages::Inbound;
use crate::wire::frame::{Buffers, Frame, FrameReader};

/// What a reader needs besides the stream.
pub(crate) struct Reader {
    pub(crate) tap: Tap,
    pub(crate) limits: Limits,
    pub(crate) worker: Sender<Inbound>,
    pub(crate) held_back: HeldBack,
}

impl Reader {
    /// Reads until the end.
    pub(crate) fn run<R: Read>(mut self, mut frames: FrameReader<R>) {
        loop {
            let (inbound, last) = match frames.next(&mut self) {
                Ok(Frame::Message(message)) => (Inbound::Message(message), false),
                Ok(Frame::Blocks(blocks)) => (Inbound::Blocks(blocks), false),
                Err(error) => (Inbound::Ended(error), true),
            };
            // A worker that hung up first needs no reason.
            if self.worker.send(inbound).is_err() || last {
                return;
            }
        }
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
