//! The reader of a connection: a thread that does blocking reads and passes each frame to the connection at
//! once. It ends with the connection, or when the worker ends it.
//!
//! Under a rate limit it reads no more than its [`Pace`] lets pass, also within a block: what is
//! not read stays with the kernel, and TCP slows the peer down.

use std::io::{self, IoSliceMut, Read};
use std::sync::Arc;

use super::conversation::Connection;
use super::ending;
use crate::engine::runtime::block_pool::{Block, PoolHandle};
use crate::engine::runtime::rate_limit::{Limits, Pace, Throttled};
use crate::wire::frame::{Buffers, FrameReader};

/// What a reader needs besides the stream and its pace.
pub(crate) struct Reader {
    pub(crate) handle: PoolHandle,
    pub(crate) limits: Limits,
    pub(crate) held_back: Throttled,
    pub(crate) connection: Arc<Connection>,
}

/// The longest message that is read before the metadata is known: the bitfield of the largest torrent whose
/// metadata is fetched.
const MAX_EARLY_MESSAGE: usize = 1 << 20;

impl Reader {
    /// Reads until the end, at this pace once the metadata is known. Before that there is no rate limit: under a low
    /// one each block of metadata would be late, and its peer be taken for silent.
    pub(crate) fn run<R: Read>(mut self, source: R, pace: Pace) {
        let mut frames = FrameReader::new(Paced { source, pace: None }, MAX_EARLY_MESSAGE);
        let mut pace = Some(pace);
        let why = loop {
            if pace.is_some()
                && let Some(content) = self.connection.content()
            {
                frames.learn(&content.pieces);
                frames.source_mut().pace = pace.take();
            }
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

/// The pool as the frame reader sees it.
impl Buffers for Reader {
    type Buffer = Block;

    fn take(&mut self, large: bool) -> Block {
        // Under a rate limit a large buffer saves nothing.
        let large = large && !self.limits.is_limited();
        self.held_back.during(|| self.handle.take(large))
    }
}

/// A source that is read at a pace, where there is one.
struct Paced<R> {
    source: R,
    pace: Option<Pace>,
}

impl<R: Read> Read for Paced<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(pace) = &mut self.pace else { return self.source.read(buf) };
        // The worker has ended the connection: report the end of the stream.
        let Some(allowed) = pace.allowance(buf.len() as u64) else { return Ok(0) };
        let room = buf.len().min(allowed as usize);
        let read = self.source.read(&mut buf[..room])?;
        pace.used(read as u64);
        Ok(read)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if !self.pace.as_ref().is_some_and(Pace::is_limited) {
            return self.source.read_vectored(bufs);
        }
        match bufs.iter_mut().find(|buf| !buf.is_empty()) {
            Some(buf) => self.read(buf),
            None => Ok(0),
        }
    }
}
