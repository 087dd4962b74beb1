//! A stream of bytes that is read and written up to a point in time, however little comes at a time.
//!
//! Invariant: no single wait is longer than what is left, and nothing is read or written after the end.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A stream of bytes whose waits can be bounded.
pub(crate) trait Stream: Read + Write {
    /// No read or write from here on waits longer than this, which is not zero.
    ///
    /// # Errors
    /// Those of the stream.
    fn bound_waits(&mut self, most: Duration) -> io::Result<()>;
}

impl Stream for &TcpStream {
    fn bound_waits(&mut self, most: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(most))?;
        self.set_write_timeout(Some(most))
    }
}

/// A stream with an end to all of its waits.
pub(super) struct Bounded<S> {
    stream: S,
    end: Instant,
    has_received: bool,
}

impl<S: Stream> Bounded<S> {
    pub(super) fn new(stream: S, end: Instant) -> Bounded<S> {
        Bounded { stream, end, has_received: false }
    }

    /// Whether anything was read so far.
    pub(super) fn has_received(&self) -> bool {
        self.has_received
    }

    fn bound(&mut self) -> io::Result<()> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.stream.bound_waits(left)
    }
}

impl<S: Stream> Read for Bounded<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.bound()?;
        let got = self.stream.read(buf)?;
        self.has_received |= got > 0;
        Ok(got)
    }
}

impl<S: Stream> Write for Bounded<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.bound()?;
        self.stream.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
