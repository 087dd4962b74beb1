//! Errors of the RPC: a code, and what both dialects say beside it.
//!
//! The codes and their messages are those of Transmission 4.1; clients compare them.

use std::io;

use super::reply::Reply;
use crate::daemon::command::Failure;

/// What kind of error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The body is no JSON.
    ParseError,
    /// The JSON is no request.
    InvalidRequest,
    /// There is no such method.
    MethodNotFound,
    /// An argument is missing or wrong.
    InvalidParams,
    /// The daemon cannot answer.
    InternalError,
    /// A change to the trackers changed nothing.
    AnnounceList,
    /// A list of trackers that is none.
    TrackerList,
    /// A path that has to be absolute is not.
    PathNotAbsolute,
    /// No torrent, no magnet link, no file.
    UnrecognizedInfo,
    /// The operating system refused.
    SystemError,
    /// There is no such file.
    FileIndex,
    /// There is no such piece.
    PieceIndex,
    /// What had to be fetched could not be.
    Http,
    /// A torrent that cannot be used.
    CorruptTorrent,
    /// A blocklist without a rule.
    Blocklist,
}

impl Code {
    /// The number and the message of JSON-RPC.
    pub fn spelled(self) -> (i64, &'static str) {
        match self {
            Code::ParseError => (-32700, "Parse error"),
            Code::InvalidRequest => (-32600, "Invalid Request"),
            Code::MethodNotFound => (-32601, "Method not found"),
            Code::InvalidParams => (-32602, "Invalid params"),
            Code::InternalError => (-32603, "Internal error"),
            Code::AnnounceList => (1, "error setting announce list"),
            Code::TrackerList => (2, "Invalid tracker list"),
            Code::PathNotAbsolute => (3, "path is not absolute"),
            Code::UnrecognizedInfo => (4, "unrecognized info"),
            Code::SystemError => (5, "system error"),
            Code::FileIndex => (6, "file index out of range"),
            Code::PieceIndex => (7, "piece index out of range"),
            Code::Http => (8, "HTTP error from backend service"),
            Code::CorruptTorrent => (9, "invalid or corrupt torrent file"),
            Code::Blocklist => (10, "couldn't parse any valid blocklist rules"),
        }
    }
}

/// An error, as an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// What kind.
    pub code: Code,
    /// What was wrong; empty if the code says all.
    pub text: String,
    /// What some methods answer in spite of the error.
    pub details: Option<Details>,
}

/// What is answered in spite of an error.
#[derive(Debug, Clone, PartialEq)]
pub enum Details {
    /// What was to be renamed.
    Rename {
        /// The torrent.
        id: u32,
        /// The path.
        path: String,
        /// The new name.
        name: String,
    },
    /// The path of which the space is not known.
    Space(String),
}

impl Fault {
    /// An error that its code explains.
    pub fn bare(code: Code) -> Self {
        Fault { code, text: String::new(), details: None }
    }

    /// An error with a text.
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Fault { code, text: text.into(), details: None }
    }

    /// An argument that is missing or wrong.
    pub fn params(text: impl Into<String>) -> Self {
        Fault::new(Code::InvalidParams, text)
    }

    /// The same with something to answer.
    pub fn with(mut self, details: Details) -> Self {
        self.details = Some(details);
        self
    }

    /// The members of the details.
    pub fn write_details(&self, reply: &mut Reply) -> io::Result<()> {
        match &self.details {
            None => Ok(()),
            Some(Details::Rename { id, path, name }) => write_rename(reply, *id, path, name),
            Some(Details::Space(path)) => write_space(reply, path, None),
        }
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unrecognized => Fault::bare(Code::UnrecognizedInfo),
            Failure::Corrupt => Fault::bare(Code::CorruptTorrent),
            Failure::Fetch(text) => Fault::new(Code::Http, text),
            Failure::NoBlocklistRules => Fault::bare(Code::Blocklist),
            Failure::System(text) => Fault::new(Code::SystemError, text),
            Failure::Refused(text) => Fault::params(text),
            Failure::Unavailable => Fault::new(Code::InternalError, "the daemon does not answer; try again"),
        }
    }
}

/// The members of an answer to torrent-rename-path.
pub fn write_rename(reply: &mut Reply, id: u32, path: &str, name: &str) -> io::Result<()> {
    reply.member("id", id)?;
    reply.member("name", name)?;
    reply.member("path", path)
}

/// The members of an answer to free-space; -1 for what is not known.
pub fn write_space(reply: &mut Reply, path: &str, space: Option<(u64, u64)>) -> io::Result<()> {
    let (free, total) = match space {
        Some((free, total)) => (free as i64, total as i64),
        None => (-1, -1),
    };
    reply.member("path", path)?;
    reply.member("size_bytes", free)?;
    // In this method, the legacy dialect has the same spelling.
    reply.plain_key("total_size")?;
    reply.put(total)
}
