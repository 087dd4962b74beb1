//! Requests to the embedded tracker over HTTP, and its answers: the head of a request taken apart,
//! the query of an announce or a scrape read, answers bencoded (BEP 3, 7, 23, 48).
//!
//! Only what a tracker needs of HTTP/1.1: `GET` without a body. A head that announces a body, or that a
//! proxy in between could read in another way, is refused: two readings of where a request ends would let
//! one client behind the proxy put requests into the connection of another (RFC 9112, 11.2).
//!
//! Nothing here keeps the text.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::registry::{Entry, Found};
use super::url::unescape;
use super::{Event, ScrapeEntry, compact};
use crate::bencode::Encoder;
use crate::id::{InfoHash, PeerId};

/// Longest head of a request, in bytes, the empty line included.
pub const MAX_HEAD: usize = 4096;

/// Most torrents in one scrape.
pub const MAX_SCRAPE: usize = 64;

/// What is asked for: a path and a query, neither unescaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// What comes before the question mark.
    pub path: &'a [u8],
    /// What comes after it; empty where there is none.
    pub query: &'a [u8],
}

/// A request whose head is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// What it asks for.
    pub target: Target<'a>,
    /// Whether the connection is to stay for another.
    pub keep: bool,
    /// Bytes of its head; what comes after them is the next request.
    pub len: usize,
}

/// How far the head of a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head<'a> {
    /// More is to come.
    Partial,
    /// It is whole.
    Whole(Request<'a>),
    /// It will not do: the status to answer with.
    Refused(u16),
}

/// Reads the head of a request as far as it has come.
pub fn read_head(bytes: &[u8]) -> Head<'_> {
    let len = match end_of_head(bytes) {
        Some(end) if end <= MAX_HEAD => end,
        None if bytes.len() < MAX_HEAD => return Head::Partial,
        _ => return Head::Refused(431),
    };
    let mut lines = bytes.get(..len).unwrap_or_default().split(|&byte| byte == b'\n');
    let line = lines.next().unwrap_or_default();
    let mut words = line.trim_ascii_end().split(|&byte| byte == b' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let (Some(method), Some(target), Some(version), None) = (method, target, version, words.next()) else {
        return Head::Refused(400);
    };
    if !version.starts_with(b"HTTP/1.") || target.iter().any(u8::is_ascii_control) {
        return Head::Refused(400);
    }
    if method != b"GET" {
        return Head::Refused(405);
    }
    if !lines.clone().map(strip_end).filter(|line| !line.is_empty()).all(is_plain_field) {
        return Head::Refused(400);
    }
    // A proxy is sent the whole URL; what comes before the path is of no interest.
    let target = match target.strip_prefix(b"http://") {
        Some(rest) => &rest[rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len())..],
        None => target,
    };
    let mut parts = target.splitn(2, |&byte| byte == b'?');
    let target = Target { path: parts.next().unwrap_or_default(), query: parts.next().unwrap_or_default() };
    let wish = lines.filter_map(connection).next_back();
    // Before HTTP/1.1 a connection was for one request unless it said otherwise (RFC 9112, 9.3).
    let keep = wish.unwrap_or(version.trim_ascii() != b"HTTP/1.0");
    Head::Whole(Request { target, keep, len })
}

/// Where the first empty line ends, whichever way lines are ended. However much has come behind it, it is
/// the first: or the same requests would be others when they come at once.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    ends.filter_map(|next| match bytes.get(next..)? {
        [b'\n', ..] => Some(next + 1),
        [b'\r', b'\n', ..] => Some(next + 2),
        _ => None,
    })
    .next()
}

/// A line without the carriage return that ends it.
fn strip_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Whether a line of a head is a field that every reader takes for the same, and announces no body: a name
/// without blanks, a colon, and a value without control characters (RFC 9112, 5.1 and 5.2).
fn is_plain_field(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|&byte| byte == b':') else { return false };
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let has_control = value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t');
    let announces_body = name.eq_ignore_ascii_case(b"content-length") && value != b"0"
        || name.eq_ignore_ascii_case(b"transfer-encoding")
        || name.eq_ignore_ascii_case(b"expect");
    !name.is_empty() && name.iter().all(is_token) && !has_control && !announces_body
}

/// Whether a line of a head asks for the connection to stay, if it says anything of it.
fn connection(line: &[u8]) -> Option<bool> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = line.split_at(colon);
    if !name.eq_ignore_ascii_case(b"connection") {
        return None;
    }
    let has = |wish: &[u8]| {
        let mut words = value.split(|byte| matches!(byte, b':' | b','));
        words.any(|word| word.trim_ascii().eq_ignore_ascii_case(wish))
    };
    if has(b"close") { Some(false) } else { has(b"keep-alive").then_some(true) }
}

/// How the list of peers is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `compact=1`, and what those get who do not say.
    Compact,
    /// Dictionaries.
    Dictionaries,
    /// Dictionaries without ids.
    WithoutIds,
}

/// Reads the query of an announce that came from `from`.
///
/// # Errors
/// The reason to give.
pub fn read_announce(query: &[u8], from: IpAddr) -> Result<(Entry, Form), &'static str> {
    let (mut info_hash, mut peer_id, mut port, mut left, mut num_want) = (None, None, None, None, None);
    let (mut event, mut compact, mut no_peer_id) = (Event::None, true, false);
    for (key, value) in parameters(query) {
        let twenty = || <[u8; 20]>::try_from(unescape(value)).ok();
        match key {
            b"info_hash" => info_hash = twenty().map(InfoHash::from_bytes),
            b"peer_id" => peer_id = twenty().map(PeerId::from_bytes),
            b"port" => port = number(value).and_then(|port| u16::try_from(port).ok()),
            b"left" => left = number(value),
            // Some say -1 for as many as there are.
            b"numwant" => num_want = number(value).map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
            b"compact" => compact = value != b"0",
            b"no_peer_id" => no_peer_id = value != b"0",
            b"event" => {
                event = match value {
                    b"started" => Event::Started,
                    b"completed" => Event::Completed,
                    b"stopped" => Event::Stopped,
                    _ => Event::None,
                }
            }
            _ => {}
        }
    }
    let info_hash = info_hash.ok_or("info_hash is missing or not 20 bytes")?;
    let peer_id = peer_id.ok_or("peer_id is missing or not 20 bytes")?;
    let port = port.filter(|&port| port != 0).ok_or("port is missing or out of range")?;
    let form = match (compact, no_peer_id) {
        (true, _) => Form::Compact,
        (false, true) => Form::WithoutIds,
        (false, false) => Form::Dictionaries,
    };
    let address = SocketAddr::new(from.to_canonical(), port);
    Ok((Entry { info_hash, peer_id, address, seed: left == Some(0), event, num_want }, form))
}

/// The torrents that a scrape asks for, [`MAX_SCRAPE`] at most.
pub fn read_scrape(query: &[u8]) -> Vec<InfoHash> {
    let hashes = parameters(query).filter(|(key, _)| *key == b"info_hash");
    hashes
        .filter_map(|(_, value)| unescape(value).try_into().ok().map(InfoHash::from_bytes))
        .take(MAX_SCRAPE)
        .collect()
}

/// The body of the answer to an announce.
pub fn write_announced(found: &Found, form: Form, interval: Duration, from: IpAddr) -> Vec<u8> {
    let mut encoder = Encoder::new();
    let seconds = i64::try_from(interval.as_secs()).unwrap_or(i64::MAX);
    encoder.dict(|dict| {
        dict.int("complete", found.seeders.into());
        dict.int("incomplete", found.leechers.into());
        dict.int("downloaded", found.downloaded.into());
        dict.int("interval", seconds);
        let mut ip = Vec::new();
        compact::write(SocketAddr::new(from.to_canonical(), 0), &mut ip);
        ip.truncate(ip.len() - 2);
        dict.bytes("external ip", ip);
        if form == Form::Compact {
            let (mut v4, mut v6) = (Vec::new(), Vec::new());
            for &(_, address) in &found.peers {
                compact::write(address, if address.is_ipv6() { &mut v6 } else { &mut v4 });
            }
            dict.bytes("peers", v4);
            if !v6.is_empty() {
                dict.bytes("peers6", v6);
            }
            return;
        }
        dict.list("peers", |list| {
            for (id, address) in &found.peers {
                list.dict(|peer| {
                    peer.bytes("ip", address.ip().to_string());
                    if form == Form::Dictionaries {
                        peer.bytes("peer id", *id.as_bytes());
                    }
                    peer.int("port", address.port().into());
                });
            }
        });
    });
    encoder.finish()
}

/// The body of the answer to a scrape.
pub fn write_scraped(entries: &[ScrapeEntry]) -> Vec<u8> {
    let mut encoder = Encoder::new();
    encoder.dict(|dict| {
        dict.dict("files", |files| {
            for entry in entries {
                files.dict(*entry.info_hash.as_bytes(), |file| {
                    file.int("complete", entry.seeders.into());
                    file.int("downloaded", entry.downloaded.into());
                    file.int("incomplete", entry.leechers.into());
                });
            }
        });
    });
    encoder.finish()
}

/// The body of an answer that gives nothing but a reason.
pub fn write_failure(reason: &str) -> Vec<u8> {
    let mut encoder = Encoder::new();
    encoder.dict(|dict| dict.bytes("failure reason", reason));
    encoder.finish()
}

fn parameters(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|&byte| byte == b'&').map(|pair| {
        let at = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
        (&pair[..at], pair.get(at + 1..).unwrap_or_default())
    })
}

fn number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
