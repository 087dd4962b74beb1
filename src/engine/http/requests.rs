//! The requests of one connection, read within their bounds: the head, and then the body.
//!
//! Never holds more of a body than has come of it, and none for longer than its length allows: what comes
//! more slowly than [`LEAST_RATE`] is cut off.

use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::engine::runtime::clock::Clock;
use crate::moment::Moment;
use crate::wire::http_chunks::Chunks;
use crate::wire::http_head::{Body, Head, Request, read_head};

/// Bytes a second that a body has to come with.
const LEAST_RATE: u64 = 1024;

/// What a server allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Connections at a time on all addresses; each has a thread.
    pub(crate) connections: usize,
    /// Bytes of a head.
    pub(crate) head: usize,
    /// Bytes of a body.
    pub(crate) body: u64,
    /// For the head of a request, for the start of its body, and for each part of its answer.
    pub(crate) request: Duration,
    /// For the next request to begin.
    pub(crate) idle: Duration,
}

/// What came next on a connection.
pub(crate) enum Next {
    /// A request.
    Whole,
    /// What is to be answered with this status.
    Refused(u16),
    /// The end.
    Closed,
}

/// What a connection sends.
pub(crate) struct Requests<'a> {
    stream: &'a TcpStream,
    clock: Clock,
    limits: Limits,
    buffer: Vec<u8>,
    filled: usize,
}

impl<'a> Requests<'a> {
    pub(crate) fn new(stream: &'a TcpStream, clock: Clock, limits: Limits) -> Self {
        Requests { stream, clock, limits, buffer: vec![0; limits.head + 1], filled: 0 }
    }

    /// Waits for the head of the next request.
    ///
    /// # Errors
    /// Those of the connection; nothing came in time.
    pub(crate) fn next(&mut self) -> io::Result<Next> {
        let mut end = self.clock.now() + self.limits.request;
        loop {
            match read_head(self.buffer.get(..self.filled).unwrap_or_default(), self.limits.head) {
                Head::Partial => {}
                Head::Whole(_) => return Ok(Next::Whole),
                Head::Refused(status) => return Ok(Next::Refused(status)),
            }
            let is_first = self.filled == 0;
            let patience = match is_first {
                true => self.limits.idle,
                false => end - self.clock.now(),
            };
            if patience.is_zero() {
                return Ok(Next::Refused(408));
            }
            match self.read(patience) {
                Ok(0) => return Ok(Next::Closed),
                Ok(_) if is_first => end = self.clock.now() + self.limits.request,
                Ok(_) => {}
                Err(error) if is_first || error.kind() != ErrorKind::WouldBlock => return Err(error),
                // Its time is up: the next round says so.
                Err(_) => {}
            }
        }
    }

    /// The request whose head has come.
    pub(crate) fn head(&self) -> Option<Request<'_>> {
        match read_head(self.buffer.get(..self.filled)?, self.limits.head) {
            Head::Whole(request) => Some(request),
            _ => None,
        }
    }

    /// Forgets what was read of the front.
    pub(crate) fn consume(&mut self, bytes: usize) {
        let bytes = bytes.min(self.filled);
        self.buffer.copy_within(bytes..self.filled, 0);
        self.filled -= bytes;
    }

    /// Gives the body to `take` as it comes; its head was consumed. The status to answer with where it does not
    /// come in time, or is none.
    ///
    /// # Errors
    /// Those of the connection.
    pub(crate) fn body(&mut self, body: Body, take: &mut dyn FnMut(&[u8])) -> io::Result<Result<(), u16>> {
        let start = self.clock.now();
        let mut taken = 0;
        match body {
            Body::Length(length) if length > self.limits.body => Ok(Err(413)),
            Body::Length(length) => loop {
                let here = self.filled.min(usize::try_from(length - taken).unwrap_or(usize::MAX));
                take(self.buffer.get(..here).unwrap_or_default());
                taken += here as u64;
                self.consume(here);
                if taken == length {
                    return Ok(Ok(()));
                }
                if !self.more(start, taken)? {
                    return Ok(Err(408));
                }
            },
            Body::Chunked => {
                let mut chunks = Chunks::new(self.limits.body);
                loop {
                    let input = self.buffer.get(..self.filled).unwrap_or_default();
                    let used = match chunks.decode(input, &mut *take) {
                        Ok(used) => used,
                        Err(status) => return Ok(Err(status)),
                    };
                    taken += used as u64;
                    self.consume(used);
                    if chunks.are_over() {
                        return Ok(Ok(()));
                    }
                    if !self.more(start, taken)? {
                        return Ok(Err(408));
                    }
                }
            }
        }
    }

    /// Reads on in a body that began at `start` and of which this much has come; false if it is too slow.
    fn more(&mut self, start: Moment, taken: u64) -> io::Result<bool> {
        let end = start + self.limits.request + Duration::from_secs(taken / LEAST_RATE);
        let left = end - self.clock.now();
        if left.is_zero() {
            return Ok(false);
        }
        match self.read(left.min(self.limits.request)) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn read(&mut self, patience: Duration) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(patience.max(Duration::from_millis(1))))?;
        loop {
            match self.stream.read(self.buffer.get_mut(self.filled..).unwrap_or_default()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(len) => {
                    self.filled += len;
                    return Ok(len);
                }
                failed => return failed,
            }
        }
    }

    /// Ends the connection so that the last answer arrives: what is closed while something unread has come is
    /// reset, and the answer lost.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)?;
        let end = self.clock.now() + Duration::from_secs(1);
        let mut passed = 0;
        while passed < 1 << 20 {
            self.filled = 0;
            let left = end - self.clock.now();
            match left.is_zero() {
                true => break,
                false => match self.read(left)? {
                    0 => break,
                    len => passed += len,
                },
            }
        }
        Ok(())
    }
}
