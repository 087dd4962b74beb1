//! Trackers over HTTP: an announce or a scrape as a URL, and the meaning of the body of the answer (BEP 3, 7,
//! 23, 24, 31, 48).
//!
//! A malformed item within a list costs its entry, not the answer; a body that is not bencoded at all is a
//! failure that shows how it begins.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::url::{TrackerUrl, escape};
use super::{Announce, Answer, Failure, MAX_NAMES, MAX_PEERS, Retry, ScrapeEntry, clean_text, compact};
use crate::bencode::{self, Value};
use crate::id::InfoHash;

/// The URL of an announce, with every parameter, after the query that `url` may have.
pub fn announce_url(url: &TrackerUrl, announce: &Announce) -> String {
    let mut query = String::with_capacity(320);
    query.push_str("info_hash=");
    escape(announce.info_hash.as_bytes(), &mut query);
    query.push_str("&peer_id=");
    escape(announce.peer_id.as_bytes(), &mut query);
    let Announce { port, totals, num_want, key, .. } = announce;
    // Writing to a String cannot fail.
    let _ = write!(
        query,
        "&port={port}&uploaded={}&downloaded={}&left={}&compact=1&no_peer_id=1&numwant={num_want}&key={key:08X}",
        totals.uploaded, totals.downloaded, totals.left,
    );
    if let Some(event) = announce.event.name() {
        query.push_str("&event=");
        query.push_str(event);
    }
    if let Some(id) = &announce.tracker_id {
        query.push_str("&trackerid=");
        escape(id, &mut query);
    }
    url.with_query(&query)
}

/// The URL of a scrape of `hashes`, from the scrape URL of the tracker (see [`TrackerUrl::scrape`]).
pub fn scrape_url(url: &TrackerUrl, hashes: &[InfoHash]) -> String {
    let mut query = String::with_capacity(hashes.len() * 72);
    for hash in hashes {
        query.push_str(if query.is_empty() { "info_hash=" } else { "&info_hash=" });
        escape(hash.as_bytes(), &mut query);
    }
    url.with_query(&query)
}

/// Reads the answer to an announce.
///
/// # Errors
/// The tracker's `failure reason`, with `retry in` (BEP 31) and its intervals, or that the body is no answer.
pub fn read_announced(body: &[u8]) -> Result<Answer, Failure> {
    let dict = read_dict(body)?;
    let mut answer = Answer {
        interval: seconds(dict.get(b"interval")),
        min_interval: seconds(dict.get(b"min interval")),
        seeders: count(dict.get(b"complete")),
        leechers: count(dict.get(b"incomplete")),
        downloaded: count(dict.get(b"downloaded")),
        warning: dict.get(b"warning message").and_then(Value::as_bytes).map(clean_text),
        tracker_id: dict
            .get(b"tracker id")
            .and_then(Value::as_bytes)
            .filter(|id| id.len() <= 512)
            .map(Vec::from),
        external_ip: dict.get(b"external ip").and_then(Value::as_bytes).and_then(read_ip),
        ..Answer::default()
    };
    let mut names = Vec::new();
    let mut seen = HashSet::new();
    let mut take = |address: SocketAddr| {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        if answer.peers.len() < MAX_PEERS && compact::can_be_named(&address) && seen.insert(address) {
            answer.peers.push(address);
        }
    };
    // Some trackers put IPv6 peers into a list of dictionaries under either name.
    for (key, v6) in [(&b"peers"[..], false), (&b"peers6"[..], true)] {
        let Some(value) = dict.get(key) else { continue };
        if let Some(bytes) = value.as_bytes() {
            match v6 {
                false => compact::read_v4(bytes).for_each(&mut take),
                true => compact::read_v6(bytes).for_each(&mut take),
            }
        } else if let Some(list) = value.list() {
            for entry in list {
                match read_peer(entry) {
                    Some(Place::At(address)) => take(address),
                    Some(Place::Named(host, port)) => {
                        let name = (host.to_ascii_lowercase(), port);
                        if names.len() < MAX_NAMES && !names.contains(&name) {
                            names.push(name);
                        }
                    }
                    None => {}
                }
            }
        }
    }
    answer.names = names;
    Ok(answer)
}

/// Reads the answer to a scrape: the counts for each of `hashes`, in their order.
///
/// # Errors
/// The tracker's reason, or that the body is no answer.
pub fn read_scraped(body: &[u8], hashes: &[InfoHash]) -> Result<Vec<ScrapeEntry>, Failure> {
    let dict = read_dict(body)?;
    let files = dict.get(b"files");
    let entry = |&info_hash: &InfoHash| {
        let entry = files?.get(info_hash.as_bytes())?;
        let number = |key: &[u8]| count(entry.get(key)).unwrap_or(0);
        let (seeders, leechers) = (number(b"complete"), number(b"incomplete"));
        Some(ScrapeEntry { info_hash, seeders, leechers, downloaded: number(b"downloaded") })
    };
    Ok(hashes.iter().filter_map(entry).collect())
}

/// The dictionary of an answer that is not a failure.
fn read_dict(body: &[u8]) -> Result<Value<'_>, Failure> {
    let (value, taken) = bencode::decode_prefix(body).map_err(|error| no_answer(body, &error.to_string()))?;
    if value.dict().is_none() {
        return Err(no_answer(body, "not a dictionary"));
    }
    // White space after the end is common in answers of scripts; anything else is no answer.
    if !body.get(taken..).unwrap_or_default().trim_ascii().is_empty() {
        return Err(no_answer(body, "more than one value"));
    }
    let reason = dict_text(value, b"failure reason").or_else(|| dict_text(value, b"failure_reason"));
    match reason {
        None => Ok(value),
        Some(why) => Err(Failure { retry: retry(value), ..Failure::new(why) }),
    }
}

/// The reason that a bencoded body of an HTTP error gives, if it is one.
pub fn failure_of(body: &[u8]) -> Option<Failure> {
    let (value, _) = bencode::decode_prefix(body).ok()?;
    let why = dict_text(value, b"failure reason")?;
    Some(Failure { retry: retry(value), ..Failure::new(why) })
}

fn dict_text(dict: Value<'_>, key: &[u8]) -> Option<String> {
    match clean_text(dict.get(key)?.as_bytes()?) {
        text if text.is_empty() => Some("a failure without a reason".to_owned()),
        text => Some(text),
    }
}

fn no_answer(body: &[u8], why: &str) -> Failure {
    if body.is_empty() {
        return Failure::new("the tracker's answer is empty");
    }
    let start = clean_text(&body[..body.len().min(40)]);
    Failure::new(format!("the tracker's answer is not bencoded as it should be ({why}): {start}"))
}

/// When to try again after a failure: the longest that it says of `retry in`, in minutes, and of the
/// intervals that stand beside the reason, as in an answer that is none.
fn retry(failure: Value<'_>) -> Option<Retry> {
    let minutes = failure.get(b"retry in");
    if minutes.and_then(Value::as_bytes) == Some(b"never") {
        return Some(Retry::Never);
    }
    let minutes = minutes.and_then(|value| value.as_int().or_else(|| value.as_str()?.parse().ok()));
    let asked = minutes.and_then(|minutes| u64::try_from(minutes).ok());
    let asked = asked.map(|minutes| Duration::from_secs(minutes.saturating_mul(60)));
    let intervals = [seconds(failure.get(b"interval")), seconds(failure.get(b"min interval"))];
    intervals.into_iter().chain([asked]).flatten().max().map(Retry::After)
}

fn seconds(value: Option<Value<'_>>) -> Option<Duration> {
    // Beyond 32 bits it is no interval; the tiers clamp what is left.
    let seconds = u32::try_from(value?.as_int()?).ok()?;
    Some(Duration::from_secs(seconds.into()))
}

fn count(value: Option<Value<'_>>) -> Option<u32> {
    Some(u32::try_from(value?.as_int()?.max(0)).unwrap_or(u32::MAX))
}

fn read_ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(v4));
    }
    if let Ok(v6) = <[u8; 16]>::try_from(bytes) {
        return Some(IpAddr::from(v6).to_canonical());
    }
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// Whether a text has the form of a host name.
fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !text.is_empty() && text.len() <= 255 && text.chars().all(plain)
}

enum Place<'a> {
    At(SocketAddr),
    Named(&'a str, u16),
}

/// Where a peer in dictionary form is: at an address, or somewhere that has a name.
fn read_peer(entry: Value<'_>) -> Option<Place<'_>> {
    let host = entry.get(b"ip")?.as_str()?;
    let port = u16::try_from(entry.get(b"port")?.as_int()?).ok().filter(|&port| port != 0)?;
    match host.parse() {
        Ok(ip) => Some(Place::At(SocketAddr::new(ip, port))),
        Err(_) => is_name(host).then_some(Place::Named(host, port)),
    }
}

#[cfg(test)]
mod tests;
