//! The answers of the embedded tracker over UDP (BEP 15): a packet and the registry in, a packet out.
//!
//! Connection ids are not kept but computed, from the sender's address, the minute and a secret: a host that
//! has one has received a packet at the address it claims, so no other host can be entered, or flooded with
//! answers it did not ask for. Invariant: an address without one gets no more bytes than came from it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::registry::{Entry, Registry};
use super::{Event, compact, udp};
use crate::digest::Sha1;
use crate::id::{InfoHash, PeerId};
use crate::moment::Moment;

/// How long a connection id is made, in seconds; it is taken for as long again.
const SLOT: u64 = 60;

/// Peers in one answer over IPv6, so that it is not split into several packets; over IPv4 more fit.
const MAX_V6: usize = 70;

/// Makes and knows connection ids.
#[derive(Clone)]
pub struct Ids {
    secret: [u8; 20],
}

impl Ids {
    /// Ids by this secret, which no other host may know.
    pub fn new(secret: [u8; 20]) -> Self {
        Ids { secret }
    }

    fn at(&self, from: IpAddr, slot: u64) -> u64 {
        let mut hash = Sha1::new();
        hash.update(&self.secret);
        match from {
            IpAddr::V4(ip) => hash.update(&ip.octets()),
            IpAddr::V6(ip) => hash.update(&ip.octets()),
        }
        hash.update(&slot.to_be_bytes());
        hash.update(&self.secret);
        let [a, b, c, d, e, f, g, h, ..] = hash.finish();
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    fn slot(now: Moment) -> u64 {
        now.as_micros() / 1_000_000 / SLOT
    }

    fn make(&self, from: IpAddr, now: Moment) -> u64 {
        self.at(from, Ids::slot(now))
    }

    fn knows(&self, id: u64, from: IpAddr, now: Moment) -> bool {
        let slot = Ids::slot(now);
        id == self.at(from, slot) || slot.checked_sub(1).is_some_and(|before| id == self.at(from, before))
    }
}

impl fmt::Debug for Ids {
    /// Keeps the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ids").finish_non_exhaustive()
    }
}

/// The answer to a packet, if it deserves one. `taken` is told of an announce that went into the books.
pub fn reply(
    packet: &[u8],
    from: SocketAddr,
    ids: &Ids,
    registry: &mut Registry,
    now: Moment,
    taken: impl FnOnce(&Entry),
) -> Option<Vec<u8>> {
    let ip = from.ip().to_canonical();
    let word = |at| udp::number(packet, at);
    let connection = u64::from(word(0)?) << 32 | u64::from(word(4)?);
    let (action, transaction) = (word(8)?, word(12)?);
    let head = |action: u32| [action.to_be_bytes(), transaction.to_be_bytes()].concat();
    let refuse = |reason: &str| Some([&head(udp::ERROR), reason.as_bytes()].concat());
    if action == udp::CONNECT {
        let id = ids.make(ip, now).to_be_bytes();
        return (connection == udp::PROTOCOL).then(|| [&head(udp::CONNECT)[..], &id].concat());
    }
    if !ids.knows(connection, ip, now) {
        return refuse("unknown connection id").filter(|reply| reply.len() <= packet.len());
    }
    // Only now the sender is proven: no host uses up the rate of another, and everything before was answered
    // with no more bytes than were asked with.
    if !registry.admits(ip, now) {
        return None;
    }
    match action {
        udp::ANNOUNCE => {
            let entry = match read_announce(packet, ip) {
                Some(entry) if entry.address.port() != 0 => entry,
                _ => return refuse("malformed announce"),
            };
            let found = match registry.announce(&entry, now) {
                Ok(found) => found,
                Err(refusal) => return refuse(refusal.reason()),
            };
            taken(&entry);
            let mut reply = head(udp::ANNOUNCE);
            let interval = u32::try_from(registry.interval().as_secs()).unwrap_or(u32::MAX);
            for number in [interval, found.leechers, found.seeders] {
                reply.extend_from_slice(&number.to_be_bytes());
            }
            // The list has the size of the socket's family; the others are left out.
            let own = found.peers.iter().filter(|(_, address)| address.is_ipv6() == ip.is_ipv6());
            let most = if ip.is_ipv6() { MAX_V6 } else { 3 * MAX_V6 };
            own.take(most).for_each(|&(_, address)| compact::write(address, &mut reply));
            Some(reply)
        }
        udp::SCRAPE => {
            let mut reply = head(udp::SCRAPE);
            for hash in packet.get(16..)?.chunks_exact(20).take(udp::MAX_SCRAPE) {
                let known = registry.scrape(InfoHash::from_bytes(hash.try_into().ok()?));
                let (seeders, downloaded, leechers) =
                    known.map_or((0, 0, 0), |entry| (entry.seeders, entry.downloaded, entry.leechers));
                for number in [seeders, downloaded, leechers] {
                    reply.extend_from_slice(&number.to_be_bytes());
                }
            }
            Some(reply)
        }
        _ => refuse("unknown action"),
    }
}

/// Reads an announce; the address it names for itself is not believed.
fn read_announce(packet: &[u8], from: IpAddr) -> Option<Entry> {
    let word = |at| udp::number(packet, at);
    let left = u64::from(word(64)?) << 32 | u64::from(word(68)?);
    let event = match word(80)? {
        1 => Event::Completed,
        2 => Event::Started,
        3 => Event::Stopped,
        _ => Event::None,
    };
    let port = u16::from_be_bytes(packet.get(96..98)?.try_into().ok()?);
    Some(Entry {
        info_hash: InfoHash::from_bytes(packet.get(16..36)?.try_into().ok()?),
        peer_id: PeerId::from_bytes(packet.get(36..56)?.try_into().ok()?),
        address: SocketAddr::new(from, port),
        seed: left == 0,
        event,
        // -1 is as many as there are.
        num_want: word(92).filter(|&n| n != u32::MAX),
    })
}

#[cfg(test)]
mod tests;
