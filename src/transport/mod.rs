//! A connection as three things that threads can own apart: a reader, a writer and a closer.
//!
//! A connection is TCP ([`tcp`]), and may be encrypted ([`encrypted`]). Whatever comes later (a transport over UDP,
//! a faulty pipe in a test) gives the same three things, and nothing above this floor changes.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;

pub mod encrypted;
pub mod proxied;
pub mod tcp;

/// An open connection to a peer.
pub struct Connection {
    /// Where the peer's bytes come from; blocks.
    pub reader: Box<dyn Read + Send>,
    /// Where ours go; blocks at most as long as the transport was told.
    pub writer: Box<dyn Outlet>,
    /// Ends both halves from any thread.
    pub closer: Closer,
}

/// The writing half of a connection. What a transport does not do better is done by plain writing.
pub trait Outlet: Write + Send {
    /// Writes all of `bytes`, which may wait a moment for what follows at once, to leave with it.
    ///
    /// # Errors
    /// As [`Write::write_all`].
    fn write_ahead(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    /// Writes all of `bytes`, which are of no further use and may be overwritten.
    ///
    /// # Errors
    /// As [`Write::write_all`].
    fn write_scratch(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    /// Sends up to `length` bytes of `file` from the offset `at` on, without looking at them, and returns how
    /// many were sent; 0 at the end of the file. An error may be the file's as well as the connection's.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`], with nothing sent, if this transport or this file needs them to be
    /// read and written; other errors of the system.
    fn send_file(&mut self, file: &File, at: u64, length: usize) -> io::Result<usize> {
        let _ = (file, at, length);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// How a connection is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// What was sent is still to arrive.
    DisconnectReason,
    /// Nothing more is sent or taken: what the peer has under way is refused. For one that does what
    /// it must not, and may be writing without ever reading: by a goodbye alone it would not notice.
    HangUp,
}

/// Ends a connection from any thread: a blocked read or write returns.
#[derive(Clone)]
pub struct Closer(Arc<dyn Fn(Manner) + Send + Sync>);

impl Closer {
    /// A closer that does what `close` does.
    pub fn new(close: impl Fn(Manner) + Send + Sync + 'static) -> Self {
        Closer(Arc::new(close))
    }

    /// Ends the connection. More than once does no harm.
    pub fn close(&self) {
        (self.0)(Manner::DisconnectReason);
    }

    /// Ends the connection as [`Manner::HangUp`] says.
    pub fn hang_up(&self) {
        (self.0)(Manner::HangUp);
    }
}
