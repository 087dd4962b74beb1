//! Which peers to tell about which (BEP 11): each peer that takes peer exchanges is told, at most once a
//! minute, which other peers connected to us since the last message, and which disconnected.
//!
//! Every message is remembered, by connection, so that each address that was added is dropped in time, and a
//! peer that comes back before its drop was told is never mentioned. If few are connected, peers that were
//! disconnected because neither side had anything to do are added too, and dropped with the message after: a
//! seed knows seeds that its leechers could use.
//!
//! Never does: received addresses; those end in the peer list. Never wakes a thread while nothing changes,
//! and looks only every few seconds when much does, so that many peers cost one wake-up.
//!
//! Invariant: a message adds and drops at most [`MAX_SENT`] each, none of them twice or both ways, and none
//! that the peer could not connect to.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::peers::reach;
use crate::job::PeerKey;
use crate::moment::Moment;
use crate::sorted::SortedMap;
use crate::stand_in;
use crate::wire::pex::{Flags, MAX_SENT, PexMessage};

/// How long at least between two messages to the same peer.
const MIN_INTERVAL: Duration = Duration::from_secs(60);
/// What changes within this goes into one message.
const BATCH_TIME: Duration = Duration::from_secs(2);
/// Messages go out at multiples of this.
const SEND_GRID: Duration = Duration::from_secs(5);
/// With fewer peers of an address family than this, those we parted with are told of…
const FEW_PEERS: usize = 25;
/// …but no more of them than this.
const MAX_RECENT: usize = 25;

/// One torrent's side of the exchange.
#[derive(Debug, Default)]
pub struct Exchange {
    /// Connected peers, and the addresses where they accept connections.
    live: SortedMap<PeerKey, SocketAddr>,
    /// Disconnected peers whose drop is still to be told, and to how many.
    gone: SortedMap<PeerKey, (SocketAddr, u32)>,
    /// Those we parted with last, the oldest first.
    recent: VecDeque<Recent>,
    /// Number of the next of those.
    serial: u64,
    takers: SortedMap<PeerKey, Taker>,
}

#[derive(Debug)]
struct Recent {
    serial: u64,
    key: PeerKey,
    addr: SocketAddr,
    flags: Flags,
}

/// A peer that takes peer exchanges.
#[derive(Debug)]
struct Taker {
    ip: IpAddr,
    /// It may have turned the extension off, for now.
    listens: bool,
    /// The peers it was told of, in order.
    told: Vec<PeerKey>,
    /// Something changed that it may have to be told, since then.
    stale: Option<Moment>,
    /// It is told nothing before.
    after: Moment,
    /// Recent ones up to this number are no news.
    seen: u64,
}

impl Taker {
    fn due(&self) -> Option<Moment> {
        let due = (self.stale.filter(|_| self.listens)? + BATCH_TIME).max(self.after).as_micros();
        Some(Moment::from_micros(due.next_multiple_of(SEND_GRID.as_micros() as u64)))
    }

    fn was_told(&self, key: PeerKey) -> bool {
        self.told.binary_search(&key).is_ok()
    }

    fn note(&mut self, key: PeerKey) {
        if let Err(at) = self.told.binary_search(&key) {
            self.told.insert(at, key);
        }
    }
}

impl Exchange {
    /// An exchange without connected peers.
    pub fn new() -> Self {
        Self::default()
    }

    /// A connected peer accepts connections at this address. An address that is known already stays.
    pub fn appears(&mut self, key: PeerKey, addr: SocketAddr, now: Moment) {
        if stand_in::number(addr.ip()).is_some() {
            return;
        }
        if addr.port() == 0 || self.live.contains_key(&key) || self.live.values().any(|&other| other == addr)
        {
            return;
        }
        self.live.insert(key, addr);
        self.recent.retain(|recent| recent.addr != addr);
        // Peers that were told of it before have nothing new to learn.
        let again = self.gone.iter().find(|(_, (other, _))| *other == addr).map(|(&before, _)| before);
        if let Some(before) = again {
            self.gone.remove(&before);
            for taker in self.takers.values_mut() {
                if let Ok(at) = taker.told.binary_search(&before) {
                    taker.told.remove(at);
                    taker.note(key);
                }
            }
        }
        self.takers.values_mut().for_each(|taker| taker.stale = taker.stale.or(Some(now)));
    }

    /// A connected peer takes exchanges from now on.
    pub fn takes(&mut self, key: PeerKey, ip: IpAddr, now: Moment) {
        let (told, stale, after) = (Vec::new(), Some(now), Moment::START);
        let taker = Taker { ip, listens: true, told, stale, after, seen: 0 };
        self.takers.get_or_insert_with(key, || taker).listens = true;
    }

    /// The peer takes no more exchanges; what it was told is remembered, should it take them again.
    pub fn refuses(&mut self, key: PeerKey) {
        if let Some(taker) = self.takers.get_mut(&key) {
            taker.listens = false;
        }
    }

    /// A peer disconnected. `parted` are its flags if we had nothing to do with it any longer, though others
    /// may.
    pub fn leaves(&mut self, key: PeerKey, parted: Option<Flags>, now: Moment) {
        for told in self.takers.remove(&key).into_iter().flat_map(|taker| taker.told) {
            self.release(told);
        }
        let Some(addr) = self.live.remove(&key) else { return };
        let mut holders = 0;
        for taker in self.takers.values_mut().filter(|taker| taker.was_told(key)) {
            holders += 1;
            taker.stale = taker.stale.or(Some(now));
        }
        if holders > 0 {
            self.gone.insert(key, (addr, holders));
        }
        if let Some(flags) = parted {
            let family = |recent: &Recent| recent.addr.is_ipv4() == addr.is_ipv4();
            if self.recent.iter().filter(|recent| family(recent)).count() >= MAX_RECENT {
                if let Some(oldest) = self.recent.iter().position(family) {
                    self.recent.remove(oldest);
                }
            }
            self.serial += 1;
            self.recent.push_back(Recent { serial: self.serial, key, addr, flags });
            if self.is_few(addr) {
                self.takers.values_mut().for_each(|taker| taker.stale = taker.stale.or(Some(now)));
            }
        }
    }

    /// When [`messages`](Self::messages) will have something, should nothing else happen.
    pub fn deadline(&self) -> Option<Moment> {
        self.takers.values().filter_map(Taker::due).min()
    }

    /// The messages to send now, and to which peers. `flags` returns the flags of a connected peer.
    pub fn messages(&mut self, flags: impl Fn(PeerKey) -> Flags, now: Moment) -> Vec<(PeerKey, PexMessage)> {
        let is_due = |taker: &Taker| taker.due().is_some_and(|due| due <= now);
        let due: Vec<PeerKey> =
            self.takers.iter().filter(|(_, taker)| is_due(taker)).map(|(&key, _)| key).collect();
        due.into_iter().filter_map(|key| Some((key, self.message(key, &flags, now)?))).collect()
    }

    /// What there is to tell one peer, if anything.
    fn message(&mut self, to: PeerKey, flags: &impl Fn(PeerKey) -> Flags, now: Moment) -> Option<PexMessage> {
        let mut taker = self.takers.remove(&to)?;
        let own = self.live.get(&to).copied();
        let useful = |addr: SocketAddr| Some(addr) != own && can_call(taker.ip, addr.ip());
        // From its own place around, so that where many are connected not all hear of the same.
        let around = self.live.around(&to);
        let news = around.filter(|(key, addr)| !taker.was_told(**key) && **key != to && useful(**addr));
        let mut added: Vec<(PeerKey, SocketAddr, Flags)> =
            news.take(MAX_SENT + 1).map(|(&key, &addr)| (key, addr, flags(key))).collect();
        let recent = self.recent.iter().filter(|recent| {
            recent.serial > taker.seen && !taker.was_told(recent.key) && useful(recent.addr)
        });
        let recent = recent.filter(|recent| self.is_few(recent.addr)).rev();
        added.extend(recent.take(MAX_SENT).map(|recent| (recent.key, recent.addr, recent.flags)));
        let gone = taker.told.iter().filter(|key| !self.live.contains_key(key));
        let mut dropped: Vec<PeerKey> = gone.take(MAX_SENT + 1).copied().collect();
        let more = added.len() > MAX_SENT || dropped.len() > MAX_SENT;
        added.truncate(MAX_SENT);
        dropped.truncate(MAX_SENT);

        let mut message = PexMessage::default();
        taker.seen = self.serial;
        for key in dropped {
            taker.told.retain(|&told| told != key);
            message.dropped.extend(self.release(key));
        }
        for (key, addr, flags) in added {
            taker.note(key);
            if !self.live.contains_key(&key) {
                // It is dropped with the next message.
                self.gone.get_or_insert_with(key, || (addr, 0)).1 += 1;
            }
            message.added.push((addr, flags));
        }
        let lingers = taker.told.iter().any(|key| !self.live.contains_key(key));
        taker.stale = (more || lingers).then_some(now);
        let empty = message == PexMessage::default();
        if !empty {
            taker.after = now + MIN_INTERVAL;
        }
        self.takers.insert(to, taker);
        (!empty).then_some(message)
    }

    /// One peer less has to be told that this one disconnected. Its address, if it did.
    fn release(&mut self, key: PeerKey) -> Option<SocketAddr> {
        let (addr, holders) = self.gone.get_mut(&key)?;
        let addr = *addr;
        *holders -= 1;
        if *holders == 0 {
            self.gone.remove(&key);
        }
        Some(addr)
    }

    /// Whether few of this address family are connected.
    fn is_few(&self, addr: SocketAddr) -> bool {
        self.live.values().filter(|other| other.is_ipv4() == addr.is_ipv4()).count() < FEW_PEERS
    }
}

/// Whether a peer at `from` could connect to `to`, as far as one can tell: not from the world into another
/// network or host.
fn can_call(from: IpAddr, to: IpAddr) -> bool {
    reach(to) >= reach(from) && !matches!(to, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

#[cfg(test)]
mod tests;
