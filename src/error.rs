//! The error type of the library: what kind of failure, where, and its cause.
//!
//! The kind is for programs (it decides the exit code of the command line). The context is one line for
//! people: what failed, where, and what to do about it. It never holds a newline. It holds URLs as they were
//! given, passkeys and all, so that an embedding program can tell which of two it was:
//! [`mask_secrets`](crate::mask_secrets) is for what it logs. What a *peer* does wrong is not an error but data:
//! see [`Violation`](crate::violation::Violation).

use std::fmt;
use std::net::IpAddr;

/// The result of everything here that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// The kind of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Malformed bencoding; the context gives the byte offset.
    Bencode,
    /// Well-formed bencoding that is not a usable torrent.
    Torrent,
    /// A torrent for BitTorrent v2 only (BEP 52), which has no v1 info-hash.
    V2Only,
    /// A malformed magnet link.
    Magnet,
    /// A list of address ranges that cannot be used.
    Blocklist,
    /// An argument or a setting is out of its range.
    Argument,
    /// A tracker answered with a failure, or with an invalid answer.
    Tracker,
    /// A host name could not be resolved.
    Dns,
    /// The network failed: refused, reset, unreachable.
    Network,
    /// A time limit passed.
    Timeout,
    /// A resource (a file, a URL) does not exist.
    NotFound,
    /// A file or torrent exists already and is not replaced.
    Exists,
    /// The file system is full or a quota is exhausted.
    DiskFull,
    /// A file could not be opened.
    FileOpen,
    /// A file could not be created or truncated.
    FileCreate,
    /// A file could not be read or written.
    FileIo,
    /// A directory could not be made.
    MakeDir,
    /// Data does not match its hash.
    Checksum,
    /// The user or the embedding program ended the operation.
    Interrupted,
    /// A thread could not be started, or another resource of the system is exhausted.
    Resources,
}

/// An error: its kind, a line of context, and the cause if there is one.
///
/// It is printed as one line with the cause in it, so that [`source`](std::error::Error::source) has none and
/// no report says anything twice; [`Error::cause`] has it for programs.
///
/// ```
/// use bitwren::{ErrorKind, InfoHash};
///
/// let error = "too short".parse::<InfoHash>().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Argument);
/// assert_eq!(error.to_string(), "an info-hash is 40 hexadecimal digits");
/// ```
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    context: String,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error without a cause. `context` is one line.
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Error { kind, context: context.into(), cause: None }
    }

    /// The error for binding to an address that this machine does not have.
    pub(crate) fn not_our_address(address: IpAddr) -> Self {
        Error::new(ErrorKind::Argument, format!("{address} is not an address of this machine"))
    }

    /// The same with its cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The kind of the failure.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The cause, such as a [`std::io::Error`], if there is one.
    pub fn cause(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        self.cause.as_deref()
    }

    /// The line of context alone, without the cause. URLs in it are as they were given, secrets and all:
    /// see [`mask_secrets`](crate::mask_secrets).
    pub fn context(&self) -> &str {
        &self.context
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)?;
        match &self.cause {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::io;

    use super::*;

    #[test]
    fn a_report_says_the_cause_once() {
        let deep = Error::new(ErrorKind::FileIo, "inner").because(io::Error::other("disk on fire"));
        let error = Error::new(ErrorKind::Torrent, "outer").because(deep);
        assert_eq!(error.to_string(), "outer: inner: disk on fire");
        assert_eq!((error.context(), error.source().is_none()), ("outer", true));
        let inner = error.cause().and_then(|cause| cause.downcast_ref::<Error>()).unwrap();
        assert_eq!(
            inner.cause().and_then(|cause| cause.downcast_ref::<io::Error>()).unwrap().kind(),
            io::ErrorKind::Other
        );
    }
}
