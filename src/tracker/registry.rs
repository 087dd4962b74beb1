//! Which peers are in which swarm: the memory of the embedded tracker, in virtual time.
//!
//! A peer is the address it announces from and the port it names; no peer can enter another's address. It is
//! forgotten when it has not announced for two intervals. Memory is bounded: swarms, peers in a swarm, peers
//! in all, and addresses whose rate is watched each have a cap, and a peer takes at most [`PEER_BYTES`]. If
//! all places are taken, the network that has most of them gives way to a network that has fewer (see
//! `network`); a newcomer that displaces no peer still gets peers but is not given to others.
//!
//! Invariant: within a swarm and a family, peers stand in random order, so any run of them is a random
//! sample; `total` is the number of peers in all swarms.

pub(crate) mod rates;

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use self::rates::Rates;
use super::{Event, ScrapeEntry, compact};
use crate::id::{InfoHash, PeerId};
use crate::moment::Moment;
use crate::network::{Holder, gives_way, network};
use crate::random::Random;

/// The limits of a tracker.
#[derive(Debug, Clone)]
pub struct Limits {
    /// What peers are told to wait between announces.
    pub interval: Duration,
    /// Most torrents.
    pub swarms: usize,
    /// Most peers of one torrent and one family of addresses.
    pub peers_per_swarm: usize,
    /// Most peers of all torrents together.
    pub peers: usize,
    /// Most peers in one answer.
    pub num_want: u32,
    /// Requests a second from one address, twice as many at once; 0 is no limit.
    pub rate: u32,
    /// The only torrents that are tracked; nothing means all.
    pub allowed: Option<HashSet<InfoHash>>,
}

/// Peers of a full swarm of which one gives way: a sample of that many shows a network that has most,
/// and an announce costs the same in a swarm of any size.
const SAMPLE: usize = 64;

/// Most bytes that a peer takes in the books: an IPv6 peer in tables that have just doubled.
pub const PEER_BYTES: usize = 160;

/// An announce, as the registry needs it.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The torrent.
    pub info_hash: InfoHash,
    /// The id of the peer.
    pub peer_id: PeerId,
    /// Its address: the source address of the announce and the port it names.
    pub address: SocketAddr,
    /// Whether it has everything.
    pub seed: bool,
    /// The announced event.
    pub event: Event,
    /// How many peers it wants, if it says.
    pub num_want: Option<u32>,
}

/// The answer to a peer that announces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// Peers with everything, of both families.
    pub seeders: u32,
    /// Peers without.
    pub leechers: u32,
    /// How often the torrent was completed.
    pub downloaded: u32,
    /// A sample of the others, of both families.
    pub peers: Vec<(PeerId, SocketAddr)>,
}

/// Why nothing is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The torrent is not on the list.
    NotAllowed,
    /// There is no room for another torrent.
    Full,
}

impl Refusal {
    /// The reason, as the tracker gives it.
    pub fn reason(self) -> &'static str {
        match self {
            Refusal::NotAllowed => "this torrent is not tracked here",
            Refusal::Full => "the tracker is full",
        }
    }
}

/// All swarms.
#[derive(Debug)]
pub struct Registry {
    limits: Limits,
    swarms: HashMap<InfoHash, Swarm>,
    total: usize,
    rates: Rates,
    random: Random,
    next_sweep: Moment,
}

#[derive(Debug, Default)]
struct Swarm {
    v4: Family<{ compact::V4 }>,
    v6: Family<{ compact::V6 }>,
    downloaded: u32,
}

/// The peers of one family of addresses, which are kept in their compact form of `N` bytes.
#[derive(Debug)]
struct Family<const N: usize> {
    peers: Vec<Peer<N>>,
    places: HashMap<[u8; N], u32>,
    seeds: usize,
}

#[derive(Debug, Clone, Copy)]
struct Peer<const N: usize> {
    id: PeerId,
    address: [u8; N],
    seed: bool,
    /// In seconds since the start.
    seen: u32,
}

impl Registry {
    /// A tracker without peers.
    pub fn new(limits: Limits, random: Random) -> Self {
        let rates = Rates::new(limits.rate);
        Registry { limits, swarms: HashMap::new(), total: 0, rates, random, next_sweep: Moment::START }
    }

    /// What peers are told to wait between announces.
    pub fn interval(&self) -> Duration {
        self.limits.interval
    }

    /// Whether this address may make one more request now. For an IPv6 address the first 64 bits count, as
    /// one host has all the rest.
    pub fn admits(&mut self, from: IpAddr, now: Moment) -> bool {
        self.rates.admits(from, now)
    }

    /// How many torrents there are, and of all of them together how many seeders and leechers.
    pub fn census(&self) -> (usize, usize, usize) {
        let seeders = self.swarms.values().map(|swarm| swarm.v4.seeds + swarm.v6.seeds).sum();
        (self.swarms.len(), seeders, self.total.saturating_sub(seeders))
    }

    /// Records an announce, and finds peers for the announcing one.
    ///
    /// # Errors
    /// A torrent that is not tracked, or no room for another.
    pub fn announce(&mut self, entry: &Entry, now: Moment) -> Result<Found, Refusal> {
        self.sweep(now);
        if self.limits.allowed.as_ref().is_some_and(|allowed| !allowed.contains(&entry.info_hash)) {
            return Err(Refusal::NotAllowed);
        }
        if !self.swarms.contains_key(&entry.info_hash) {
            if entry.event == Event::Stopped {
                return Ok(Found::default());
            }
            if self.swarms.len() >= self.limits.swarms && !self.drop_swarm_for(entry.address.ip()) {
                return Err(Refusal::Full);
            }
        }
        let swarm = self.swarms.entry(entry.info_hash).or_default();
        let room = self.total < self.limits.peers;
        let was_there = swarm.len();
        let most = self.limits.peers_per_swarm;
        let was_leecher = if entry.address.is_ipv6() {
            swarm.v6.take_in(entry, now, most, room, &mut self.random)
        } else {
            swarm.v4.take_in(entry, now, most, room, &mut self.random)
        };
        if entry.event == Event::Completed && was_leecher {
            swarm.downloaded = swarm.downloaded.saturating_add(1);
        }
        self.total = self.total + swarm.len() - was_there;
        let mut found = swarm.found();
        if entry.event != Event::Stopped {
            let wanted = entry.num_want.unwrap_or(50).min(self.limits.num_want) as usize;
            // The asker's own family first: those are sure to be within its reach.
            if entry.address.is_ipv6() {
                swarm.v6.sample(entry, wanted, &mut self.random, &mut found.peers);
                swarm.v4.sample(entry, wanted, &mut self.random, &mut found.peers);
            } else {
                swarm.v4.sample(entry, wanted, &mut self.random, &mut found.peers);
                swarm.v6.sample(entry, wanted, &mut self.random, &mut found.peers);
            }
        } else if swarm.len() == 0 && swarm.downloaded == 0 {
            self.swarms.remove(&entry.info_hash);
        }
        Ok(found)
    }

    /// Drops the swarm that gives way to one of a newcomer, of those whose peers are all of one network.
    fn drop_swarm_for(&mut self, newcomer: IpAddr) -> bool {
        let of_one_network = |(hash, swarm): (&InfoHash, &Swarm)| Some((*hash, swarm.of_one_network()?));
        let (hashes, holders): (Vec<InfoHash>, Vec<Holder>) =
            self.swarms.iter().filter_map(of_one_network).unzip();
        let Some(at) = gives_way(&holders, newcomer) else { return false };
        let gone = self.swarms.remove(&hashes[at]);
        self.total -= gone.map_or(0, |swarm| swarm.len());
        true
    }

    /// The counts of a torrent; none if it is not tracked here.
    pub fn scrape(&self, info_hash: InfoHash) -> Option<ScrapeEntry> {
        let found = self.swarms.get(&info_hash)?.found();
        let Found { seeders, leechers, downloaded, .. } = found;
        Some(ScrapeEntry { info_hash, seeders, leechers, downloaded })
    }

    /// Forgets, now and then, peers that have not announced for two intervals.
    fn sweep(&mut self, now: Moment) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + (self.limits.interval / 4).max(Duration::from_secs(5));
        let life = self.limits.interval.saturating_mul(2).saturating_add(Duration::from_secs(60));
        let mut total = 0;
        self.swarms.retain(|_, swarm| {
            swarm.v4.forget(now, life);
            swarm.v6.forget(now, life);
            total += swarm.len();
            swarm.len() > 0
        });
        self.total = total;
    }
}

impl Swarm {
    fn len(&self) -> usize {
        self.v4.peers.len() + self.v6.peers.len()
    }

    /// The one network that all peers are of, as a holder of this swarm's place since its last announce.
    fn of_one_network(&self) -> Option<Holder> {
        let mut peers = self.v4.holders().chain(self.v6.holders());
        let mut last = peers.next()?;
        for peer in peers {
            if network(peer.ip) != network(last.ip) {
                return None;
            }
            last.since = last.since.max(peer.since);
        }
        Some(last)
    }

    fn found(&self) -> Found {
        let seeds = self.v4.seeds + self.v6.seeds;
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Found {
            seeders: number(seeds),
            leechers: number(self.len() - seeds),
            downloaded: self.downloaded,
            peers: Vec::new(),
        }
    }
}

impl<const N: usize> Default for Family<N> {
    fn default() -> Self {
        Family { peers: Vec::new(), places: HashMap::new(), seeds: 0 }
    }
}

impl<const N: usize> Family<N> {
    /// Adds, refreshes or removes the announcing peer; true if it was known and was not complete.
    fn take_in(&mut self, entry: &Entry, now: Moment, most: usize, room: bool, random: &mut Random) -> bool {
        let address = pack(entry.address);
        if entry.event == Event::Stopped {
            self.remove(&address);
            return false;
        }
        let peer = Peer { id: entry.peer_id, address, seed: entry.seed, seen: seconds(now) };
        if let Some(known) = self.places.get(&address).and_then(|&at| self.peers.get_mut(at as usize)) {
            let was_leecher = !known.seed;
            self.seeds = self.seeds + usize::from(entry.seed) - usize::from(known.seed);
            *known = peer;
            return was_leecher;
        }
        let fits = self.peers.len() < most;
        if room && (fits || self.drop_peer_for(entry.address.ip(), random)) {
            let last = self.peers.len();
            let at = random.below(last as u64 + 1) as usize;
            self.peers.push(peer);
            self.peers.swap(at, last);
            // A family of more than 2³² peers is beyond any cap.
            self.places.insert(self.peers[last].address, last as u32);
            self.places.insert(self.peers[at].address, at as u32);
            self.seeds += usize::from(entry.seed);
        }
        false
    }

    fn holders(&self) -> impl Iterator<Item = Holder> + '_ {
        let holder =
            |peer: &Peer<N>| Some(Holder { ip: unpack(&peer.address)?.ip(), since: peer.seen.into() });
        self.peers.iter().filter_map(holder)
    }

    /// Drops the peer that gives way to a newcomer, among some at random.
    fn drop_peer_for(&mut self, newcomer: IpAddr, random: &mut Random) -> bool {
        let start = random.below(self.peers.len() as u64) as usize;
        let sample: Vec<Holder> =
            self.holders().skip(start).chain(self.holders().take(start)).take(SAMPLE).collect();
        let Some(at) = gives_way(&sample, newcomer) else { return false };
        let index = (start + at) % self.peers.len().max(1);
        let Some(gone) = self.peers.get(index).map(|peer| peer.address) else { return false };
        self.remove(&gone);
        true
    }

    fn remove(&mut self, address: &[u8; N]) {
        let Some(at) = self.places.remove(address) else { return };
        let gone = self.peers.swap_remove(at as usize);
        self.seeds -= usize::from(gone.seed);
        if let Some(moved) = self.peers.get(at as usize) {
            self.places.insert(moved.address, at);
        }
    }

    fn forget(&mut self, now: Moment, life: Duration) {
        let born = u64::from(seconds(now)).saturating_sub(life.as_secs());
        let is_old = |peer: &&Peer<N>| u64::from(peer.seen) < born;
        let old: Vec<_> = self.peers.iter().filter(is_old).map(|peer| peer.address).collect();
        old.iter().for_each(|address| self.remove(address));
        // A swarm that was large once need not stay so.
        if self.peers.capacity() > 4 * self.peers.len().max(16) {
            self.peers.shrink_to(2 * self.peers.len());
            self.places.shrink_to(2 * self.peers.len());
        }
    }

    /// Adds peers for `asker` until there are `wanted`: not itself, and for a complete one the seeds last. It
    /// gets seeds all the same: some clients that follow a magnet link say that nothing is left while they do
    /// not yet know how much there is.
    fn sample(&self, asker: &Entry, wanted: usize, random: &mut Random, out: &mut Vec<(PeerId, SocketAddr)>) {
        let start = random.below(self.peers.len() as u64) as usize;
        let (before, after) = self.peers.split_at(start.min(self.peers.len()));
        let own = (asker.address.is_ipv6() == (N == compact::V6)).then(|| pack(asker.address));
        let others = || after.iter().chain(before).filter(|peer| Some(peer.address) != own);
        let late = |peer: &&Peer<N>| asker.seed && peer.seed;
        let missing = wanted.saturating_sub(out.len());
        let found = others().filter(|peer| !late(peer)).chain(others().filter(late)).take(missing);
        out.extend(found.filter_map(|peer| Some((peer.id, unpack(&peer.address)?))));
    }
}

/// Whole seconds since the start; enough for 136 years.
fn seconds(now: Moment) -> u32 {
    u32::try_from(now.as_micros() / 1_000_000).unwrap_or(u32::MAX)
}

/// An address of the family of `N` bytes in its compact form.
fn pack<const N: usize>(address: SocketAddr) -> [u8; N] {
    let mut bytes = [0; N];
    let port = address.port().to_be_bytes();
    let mut fill =
        |ip: &[u8]| bytes.iter_mut().zip(ip.iter().chain(&port)).for_each(|(to, from)| *to = *from);
    match address.ip() {
        IpAddr::V4(ip) => fill(&ip.octets()),
        IpAddr::V6(ip) => fill(&ip.octets()),
    }
    bytes
}

fn unpack<const N: usize>(bytes: &[u8; N]) -> Option<SocketAddr> {
    if N == compact::V4 { compact::read_v4(bytes).next() } else { compact::read_v6(bytes).next() }
}

#[cfg(test)]
mod tests;
