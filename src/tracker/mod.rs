//! Trackers: their requests and answers, as plain values and pure machines.
//!
//! - [`url`]: which URLs are trackers, percent-encoding, the scrape rule of BEP 48
//! - [`http`]: announce and scrape over HTTP (BEP 3, 7, 23, 24, 31, 48) as URLs and bodies
//! - [`retry_after`]: how long a server asks to be left alone (RFC 9110)
//! - [`udp`]: the packets of BEP 15 and 41; [`exchange`]: when which of them is sent
//! - [`tiers`]: which tracker is announced to when, and with what event (BEP 12)
//! - [`report`]: the events that a torrent gets from its trackers
//! - [`compact`]: addresses of peers as 6 or 18 bytes
//! - `registry`, `request` and `reply` (feature `tracker-server`): the other side, for the embedded tracker
//!
//! Nothing here opens a socket or asks what time it is. Every answer is bounded: at most [`MAX_PEERS`] peers
//! are taken from one, and text is cut to [`MAX_TEXT`] characters on one line.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::id::{InfoHash, PeerId};

pub mod compact;
pub mod exchange;
pub mod http;
#[cfg(feature = "tracker-server")]
pub mod registry;
#[cfg(feature = "tracker-server")]
pub mod reply;
#[doc(hidden)]
pub mod report;
#[cfg(feature = "tracker-server")]
pub mod request;
pub mod retry_after;
pub mod tiers;
pub mod udp;
pub mod url;

/// Most peers taken from one answer; further ones are ignored.
pub const MAX_PEERS: usize = 4096;

/// Most peers that are named by host name taken from one answer.
pub const MAX_NAMES: usize = 20;

/// Most characters kept of a message from a tracker.
pub const MAX_TEXT: usize = 256;

/// What an announce says has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Event {
    /// Nothing: a regular announce.
    #[default]
    None,
    /// The download has finished in this session; said once.
    Completed,
    /// The first announce of the session.
    Started,
    /// The last announce of the session.
    Stopped,
}

impl Event {
    /// The value of `event` in an HTTP announce; nothing for a regular one.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Event::None => None,
            Event::Completed => Some("completed"),
            Event::Started => Some("started"),
            Event::Stopped => Some("stopped"),
        }
    }

    /// The number of the event in a UDP announce (BEP 15).
    pub fn code(self) -> u32 {
        match self {
            Event::None => 0,
            Event::Completed => 1,
            Event::Started => 2,
            Event::Stopped => 3,
        }
    }
}

/// Bytes transferred so far in this session, and bytes left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Payload bytes sent.
    pub uploaded: u64,
    /// Payload bytes received.
    pub downloaded: u64,
    /// Bytes that are still to be fetched and verified.
    pub left: u64,
}

/// One announce, over any protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announce {
    /// The torrent.
    pub info_hash: InfoHash,
    /// Our id.
    pub peer_id: PeerId,
    /// The port we listen on.
    pub port: u16,
    /// The counters at the time of sending.
    pub totals: Totals,
    /// The event that is announced.
    pub event: Event,
    /// How many peers are wanted.
    pub num_want: u32,
    /// A secret that proves to the tracker that we are the same even from another address.
    pub key: u32,
    /// The id that this tracker asked to be sent back, if it did.
    pub tracker_id: Option<Vec<u8>>,
}

/// The answer of a tracker to an announce.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// Until the next regular announce, as asked for.
    pub interval: Option<Duration>,
    /// No announce may come sooner than this after the last.
    pub min_interval: Option<Duration>,
    /// Peers, each once and none with port 0; at most [`MAX_PEERS`].
    pub peers: Vec<SocketAddr>,
    /// Peers that were named by host name rather than by address, each once; at most [`MAX_NAMES`], because a
    /// tracker could make its clients look up any names it likes.
    pub names: Vec<(String, u16)>,
    /// Peers that have everything.
    pub seeders: Option<u32>,
    /// Peers that do not.
    pub leechers: Option<u32>,
    /// How often the download was completed.
    pub downloaded: Option<u32>,
    /// A message that does not stop anything.
    pub warning: Option<String>,
    /// To be sent back with every later announce.
    pub tracker_id: Option<Vec<u8>>,
    /// How the tracker sees our address (BEP 24).
    pub external_ip: Option<IpAddr>,
}

/// When to try again after a failure, where the tracker says so (BEP 31).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// No sooner than this from now.
    After(Duration),
    /// Not in this session.
    Never,
}

/// Why an announce failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// In one line.
    pub why: String,
    /// When to try again, if the tracker has a say in it.
    pub retry: Option<Retry>,
    /// Whether there was no answer at all.
    pub unanswered: bool,
}

impl Failure {
    /// A failure about which the tracker has not said when to try again.
    pub fn new(why: impl Into<String>) -> Self {
        Failure { why: why.into(), retry: None, unanswered: false }
    }

    /// No answer came.
    pub fn unanswered(why: impl Into<String>) -> Self {
        Failure { unanswered: true, ..Failure::new(why) }
    }
}

/// The counts of a tracker for one torrent (BEP 48).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ScrapeEntry {
    /// The torrent.
    pub info_hash: InfoHash,
    /// Peers that have everything.
    pub seeders: u32,
    /// Peers that do not.
    pub leechers: u32,
    /// How often the download was completed.
    pub downloaded: u32,
}

impl ScrapeEntry {
    /// What a tracker says that knows no peer of the torrent, for tests of code that reads entries.
    pub fn new(info_hash: InfoHash) -> Self {
        ScrapeEntry { info_hash, seeders: 0, leechers: 0, downloaded: 0 }
    }
}

/// Text from a tracker made fit to be shown: one line without control characters, cut at [`MAX_TEXT`]
/// characters, bytes that are not UTF-8 replaced.
pub fn clean_text(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(MAX_TEXT * 4)];
    let text = String::from_utf8_lossy(head);
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TEXT).collect();
    line.trim().to_owned()
}
