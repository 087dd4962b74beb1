//! The packets of UDP trackers (BEP 15) with URL data (BEP 41): bytes to values and back, for the
//! asking side and, with the feature `tracker-server`, for the answering one.
//!
//! Nothing is decided here. Whether an answer belongs to a question is for
//! [`exchange`](super::exchange); an answer is only read as what was asked for.

use std::time::Duration;

use super::{Announce, Answer, MAX_PEERS, ScrapeEntry, clean_text, compact};
use crate::id::InfoHash;

/// What every connect request begins with.
pub const PROTOCOL: u64 = 0x0417_2710_1980;

/// Most info-hashes in one scrape request.
pub const MAX_SCRAPE: usize = 74;

/// The number of connect in requests and answers.
pub const CONNECT: u32 = 0;
/// The number of announce.
pub const ANNOUNCE: u32 = 1;
/// The number of scrape.
pub const SCRAPE: u32 = 2;
/// The number of an error answer.
pub const ERROR: u32 = 3;

/// A connect request.
pub fn connect_request(transaction: u32) -> Vec<u8> {
    let mut packet = Vec::with_capacity(16);
    packet.extend_from_slice(&PROTOCOL.to_be_bytes());
    packet.extend_from_slice(&CONNECT.to_be_bytes());
    packet.extend_from_slice(&transaction.to_be_bytes());
    packet
}

fn head(connection: u64, action: u32, transaction: u32) -> Vec<u8> {
    let mut packet = Vec::with_capacity(128);
    packet.extend_from_slice(&connection.to_be_bytes());
    packet.extend_from_slice(&action.to_be_bytes());
    packet.extend_from_slice(&transaction.to_be_bytes());
    packet
}

/// An announce request; `url_data` is path and query of the tracker's URL, sent as BEP 41 has it if there is
/// more to say than the default path.
pub fn announce_request(connection: u64, transaction: u32, announce: &Announce, url_data: &str) -> Vec<u8> {
    let mut packet = head(connection, ANNOUNCE, transaction);
    packet.extend_from_slice(announce.info_hash.as_bytes());
    packet.extend_from_slice(announce.peer_id.as_bytes());
    for count in [announce.totals.downloaded, announce.totals.left, announce.totals.uploaded] {
        packet.extend_from_slice(&count.to_be_bytes());
    }
    packet.extend_from_slice(&announce.event.code().to_be_bytes());
    packet.extend_from_slice(&[0; 4]); // Our address: the one this packet comes from.
    packet.extend_from_slice(&announce.key.to_be_bytes());
    packet.extend_from_slice(&announce.num_want.to_be_bytes());
    packet.extend_from_slice(&announce.port.to_be_bytes());
    // A tracker that is too old for options ignores what comes after byte 98; an option is still
    // left out where the path says nothing.
    if !matches!(url_data, "" | "/") {
        for part in url_data.as_bytes().chunks(255) {
            packet.push(2);
            packet.push(part.len() as u8);
            packet.extend_from_slice(part);
        }
    }
    packet
}

/// A scrape request for the first [`MAX_SCRAPE`] of `hashes`.
pub fn scrape_request(connection: u64, transaction: u32, hashes: &[InfoHash]) -> Vec<u8> {
    let mut packet = head(connection, SCRAPE, transaction);
    hashes.iter().take(MAX_SCRAPE).for_each(|hash| packet.extend_from_slice(hash.as_bytes()));
    packet
}

/// The first two numbers of an answer: its action and its transaction id.
pub fn reply_head(packet: &[u8]) -> Option<(u32, u32)> {
    Some((number(packet, 0)?, number(packet, 4)?))
}

/// The connection id in the answer to a connect request.
pub fn read_connected(packet: &[u8]) -> Option<u64> {
    Some(u64::from(number(packet, 8)?) << 32 | u64::from(number(packet, 12)?))
}

/// The answer to an announce that was sent over IPv4, or over IPv6.
pub fn read_announced(packet: &[u8], v6: bool) -> Option<Answer> {
    let interval = number(packet, 8)?;
    let (leechers, seeders) = (number(packet, 12)?, number(packet, 16)?);
    let list = packet.get(20..)?;
    let mut answer = Answer {
        interval: Some(Duration::from_secs(interval.into())),
        leechers: Some(leechers),
        seeders: Some(seeders),
        ..Answer::default()
    };
    let usable =
        |list: &mut dyn Iterator<Item = _>| list.filter(compact::can_be_named).take(MAX_PEERS).collect();
    answer.peers = if v6 { usable(&mut compact::read_v6(list)) } else { usable(&mut compact::read_v4(list)) };
    answer.peers.sort_unstable();
    answer.peers.dedup();
    Some(answer)
}

/// The answer to a scrape of `hashes`: an entry for each that it has numbers for.
pub fn read_scraped(packet: &[u8], hashes: &[InfoHash]) -> Option<Vec<ScrapeEntry>> {
    let list = packet.get(8..)?;
    let entries = hashes.iter().zip(list.chunks_exact(12)).filter_map(|(&info_hash, entry)| {
        Some(ScrapeEntry {
            info_hash,
            seeders: number(entry, 0)?,
            downloaded: number(entry, 4)?,
            leechers: number(entry, 8)?,
        })
    });
    Some(entries.collect())
}

/// What an error answer says.
pub fn read_error(packet: &[u8]) -> String {
    match clean_text(packet.get(8..).unwrap_or_default()) {
        text if text.is_empty() => "an error without a reason".to_owned(),
        text => text,
    }
}

/// The big-endian number at `at`, if the packet is that long.
pub(crate) fn number(packet: &[u8], at: usize) -> Option<u32> {
    let bytes = packet.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests;
