//! Requests to the embedded tracker over HTTP, and its answers: the query of an announce or a scrape read,
//! answers bencoded (BEP 3, 7, 23, 48).
//!
//! Nothing here keeps the text.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::registry::{Entry, Found};
use super::url::unescape;
use super::{Event, ScrapeEntry, compact};
use crate::bencode::Encoder;
use crate::id::{InfoHash, PeerId};

/// Most torrents in one scrape.
pub const MAX_SCRAPE: usize = 64;

/// How the list of peers is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `compact=1`, and the default.
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
