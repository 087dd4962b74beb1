//! The addresses known to one torrent, from every source, and which to connect to next.
//!
//! Everything that names an address ends here: this is the one place where nonsense and blocked addresses
//! are filtered, where a private torrent refuses what did not come through its tracker (BEP 27), and where it is
//! remembered which are banned. Each source has room of its own, so that a flood
//! from one pushes out no addresses of another.
//!
//! # Bans and pauses: which peers can cause them to which
//!
//! Addresses are named by strangers, so what a named address does is held against that address alone.
//! Only a peer that completed a handshake for this torrent speaks for its host.
//!
//! | what | held against | caused by |
//! |---|---|---|
//! | an address we connect to answers with something else than a handshake | that address and port, for good | any peer that names it, to that port alone |
//! | an address we connect to has another torrent, or ourselves | the same | the same |
//! | a violation after the handshake, by a peer whose port is known | that address and port; the second one of a host: the host | a peer on that host |
//! | a violation by a peer that connected to us and named no port | the host | a peer on that host |
//! | a connection attempt fails | that address: 30 s, doubling to 30 min; given up after six failures | any peer that names it, to that port alone |
//! | a connection is lost before it was of use | the same | that peer |
//! | it was the second connection to one peer (`duplicate`) | that address, 10 min, and only as long as the first one lasts | a peer on that host |
//! | "has everything" said by another peer | the address is not connected to while we seed, until a better source names it | the peer that named it first |
//! | the port claimed by a peer that connected to us counts as connected | that port, while the connection lasts | a peer on that host, the first claim of each connection |
//! | no place in a full list | newcomers of that source | the addresses of that source; one that failed makes way |
//!
//! "A peer on that host" includes others behind one address translator: nothing tells them apart.
//! Loopback is never banned as a host. A magnet link keeps its list when it becomes a torrent, bans and
//! pauses included.
//!
//! Never does: names, sockets, the number of connections.
//!
//! Invariant: one entry for each canonical address (an IPv4 address inside an IPv6 one is the
//! former); no entry is banned; none that waits to be dialled is blocked; at most 2,000 entries.

mod address;
mod bans;
mod heard;
mod pauses;
mod priority;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::crypto::Encryption;
use crate::filter::AddressFilter;
use crate::moment::Moment;
use crate::network::network;
use crate::random::Random;
use crate::sorted::SortedMap;
use crate::stand_in;
use crate::violation::Violation;

pub(super) use address::reach;
use bans::Bans;
pub use priority::priority;

pub use crate::snapshot::PeerSource as Source;

/// Connection attempts under way to one network after which other networks come first: a list of addresses
/// that never answer, which any owner of a network can make, then leaves most attempts to the other
/// addresses.
const MAX_DIALS_PER_NETWORK: usize = 8;

/// Addresses of trackers that are kept at most, however many connections are wanted.
pub const MAX_FROM_TRACKERS: usize = 2000;

impl Source {
    /// How many addresses of this source are kept, where not more connections are wanted.
    fn room(self) -> usize {
        match self {
            Source::Tracker => 600,
            Source::Incoming | Source::Dht | Source::Pex => 300,
            Source::Given => 200,
            Source::Lsd => 100,
        }
    }

    /// Whether a private torrent may use it: addresses from its tracker, incoming connections (which had ours
    /// from the tracker), and addresses that the user gave.
    fn is_private(self) -> bool {
        !matches!(self, Source::Lsd | Source::Dht | Source::Pex)
    }
}

/// How many addresses are in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Addresses that can be connected to, in any state.
    pub known: u32,
    /// Calls under way.
    pub dialing: u32,
    /// Connections in both directions.
    pub connected: u32,
    /// Addresses banned.
    pub banned: u32,
    /// How often the filter refused an address that a source named.
    pub blocked: u64,
}

/// The state of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be called, from then on.
    Idle(Moment),
    /// Being called.
    Dialing,
    /// Connected, or behind a connection that it made to us.
    Connected,
}

/// An address that can be called.
#[derive(Debug)]
struct Entry {
    source: Source,
    /// The host of the peer that named it, if a peer did.
    named_by: Option<IpAddr>,
    state: State,
    /// Calls and connections in a row that came to nothing.
    failures: u32,
    /// It gave us data at some time.
    delivered: bool,
    /// It had everything when last seen.
    seed: bool,
    /// The peer that named it said that it has everything.
    named_as_seed: bool,
    /// It waits because its peer was connected already.
    duplicate: bool,
    /// Whether it wants connections encrypted: it said so or another peer did, or that is how it was reached.
    encryption: Option<bool>,
    /// Orders what is otherwise equal, the least first: by canonical priority where we know where we
    /// are ourselves, else by luck.
    rank: u32,
}

/// A connection or call under way.
#[derive(Debug)]
struct Call {
    /// The entry that stands for it, where the peer can be called.
    entry: Option<SocketAddr>,
    incoming: bool,
    /// The handshake is done: it speaks the protocol, and for this torrent.
    shaken: bool,
    /// It delivered over this very connection.
    delivered: bool,
}

/// The addresses known to one torrent.
#[derive(Debug)]
pub struct PeerList {
    private: bool,
    random: Random,
    entries: BTreeMap<SocketAddr, Entry>,
    calls: SortedMap<SocketAddr, Call>,
    bans: Bans,
    filter: Arc<AddressFilter>,
    /// How often it refused an address.
    blocked: u64,
    seeding: bool,
    /// Where others see us, of each family.
    ours: [Option<SocketAddr>; 2],
    /// Addresses of trackers to keep at least.
    wanted: usize,
}

impl PeerList {
    /// An empty list. A private torrent takes no address from PEX, DHT or LSD (BEP 27).
    pub fn new(private: bool, random: Random) -> Self {
        PeerList {
            private,
            random,
            entries: BTreeMap::new(),
            calls: SortedMap::new(),
            bans: Bans::default(),
            filter: Arc::default(),
            blocked: 0,
            seeding: false,
            ours: [None; 2],
            wanted: 0,
        }
    }

    /// As above for up to `most` connections: enough addresses from trackers are kept for all of them, up to
    /// [`MAX_FROM_TRACKERS`].
    pub fn for_connections(mut self, most: u32) -> Self {
        self.keep_for(most);
        self
    }

    /// Addresses are kept for up to `most` connections from now on.
    pub fn keep_for(&mut self, most: u32) {
        self.wanted = (most as usize).min(MAX_FROM_TRACKERS);
    }

    /// Takes no address that this filter blocks from now on, from any source, and forgets those that it has.
    /// Connections stay.
    pub fn set_filter(&mut self, filter: Arc<AddressFilter>) {
        self.entries.retain(|addr, entry| {
            let is_blocked = matches!(entry.state, State::Idle(_)) && filter.blocks(addr.ip());
            self.blocked += u64::from(is_blocked);
            !is_blocked
        });
        self.filter = filter;
    }

    /// Whether the filter blocks this address; counts it then.
    fn refuses(&mut self, addr: SocketAddr) -> bool {
        let is_blocked = self.filter.blocks(addr.ip());
        self.blocked += u64::from(is_blocked);
        is_blocked
    }

    /// Learns an address that can be connected to. True if it is new and was kept.
    ///
    /// Not kept are addresses that no peer can have (port 0, unspecified, multicast, broadcast, reserved),
    /// banned and blocked ones, and those for which their source has no room: then only one that failed makes
    /// way. What stands for a name comes from the user or from a tracker, which is read without such addresses.
    pub fn add(&mut self, addr: SocketAddr, source: Source, now: Moment) -> bool {
        let stands =
            stand_in::number(addr.ip()).is_some() && matches!(source, Source::Given | Source::Tracker);
        let callable = if stands { Some(address::canonical(addr)) } else { address::callable(addr) };
        let Some(addr) = callable else { return false };
        if self.private && !source.is_private() || self.bans.has(addr) {
            return false;
        }
        if self.refuses(addr) {
            return false;
        }
        let known = self.entries.get(&addr).map(|entry| entry.source);
        if known.is_some_and(|known| known <= source) {
            return false;
        }
        if known.is_none() && !self.make_port(addr, source, None) || !self.make_room(source) {
            return false;
        }
        if let Some(entry) = self.entries.get_mut(&addr) {
            entry.source = source;
            // What another peer said of it no longer counts.
            entry.named_as_seed &= entry.named_by.take().is_none();
            return false;
        }
        let luck = self.random.next_u64() as u32;
        let rank = self.priority(addr).map_or(luck, |priority| !priority);
        let entry = Entry {
            source,
            named_by: None,
            state: State::Idle(now),
            failures: 0,
            delivered: false,
            seed: false,
            named_as_seed: false,
            duplicate: false,
            encryption: None,
            rank,
        };
        self.entries.insert(addr, entry);
        true
    }

    /// The address to call next, if any is due. It counts as being called until
    /// [`connected`](Self::connected) or [`ended`](Self::ended).
    ///
    /// First come those that gave us data before, then those in networks that are not being called at
    /// several addresses already, then those that failed least, then by source, then by canonical
    /// priority (BEP 40) where [`located`](Self::located) said where we are.
    pub fn next_dial(&mut self, now: Moment) -> Option<SocketAddr> {
        let mut calls_by_network: BTreeMap<IpAddr, usize> = BTreeMap::new();
        let dialing = self.entries.iter().filter(|(_, entry)| entry.state == State::Dialing);
        dialing.for_each(|(addr, _)| *calls_by_network.entry(network(addr.ip())).or_default() += 1);
        let is_busy =
            |ip: IpAddr| calls_by_network.get(&network(ip)).is_some_and(|&n| n >= MAX_DIALS_PER_NETWORK);
        let due = self.entries.iter().filter(|(_, entry)| self.due(entry).is_some_and(|due| due <= now));
        let best = due.min_by_key(|(addr, entry)| {
            (Reverse(entry.delivered), is_busy(addr.ip()), entry.failures, entry.source, entry.rank)
        });
        let addr = *best?.0;
        self.entries.get_mut(&addr)?.state = State::Dialing;
        self.calls.insert(addr, Call { entry: Some(addr), incoming: false, shaken: false, delivered: false });
        Some(addr)
    }

    /// Where the address of the peer that we dialed here was learned.
    pub fn source(&self, addr: SocketAddr) -> Option<Source> {
        self.entries.get(&address::canonical(addr)).map(|entry| entry.source)
    }

    /// Whether the peer at this address wants connections encrypted, as far as is known.
    pub fn wants_encryption(&self, addr: SocketAddr) -> Option<bool> {
        self.entries.get(&address::canonical(addr))?.encryption
    }

    /// The peer connected at this address says that it prefers encryption (BEP 10, `e`).
    pub fn prefers_encryption(&mut self, addr: SocketAddr) {
        let listens = self.calls.get(&address::canonical(addr)).and_then(|call| call.entry);
        if let Some(entry) = listens.and_then(|listens| self.entries.get_mut(&listens)) {
            entry.encryption = Some(true);
        }
    }

    /// The peer that we dialed at this address was reached so, and is next time as well.
    pub fn encrypts(&mut self, addr: SocketAddr, encryption: Encryption) {
        if let Some(entry) = self.entries.get_mut(&address::canonical(addr)) {
            entry.encryption = Some(encryption != Encryption::None);
        }
    }

    /// When [`next_dial`](Self::next_dial) will have an address, should nothing else happen: `now` if it has
    /// one already.
    pub fn deadline(&self, now: Moment) -> Option<Moment> {
        self.entries.values().filter_map(|entry| self.due(entry)).min().map(|due| due.max(now))
    }

    /// Our own address in the world. It orders connection attempts by canonical priority (BEP 40); until it
    /// is known, their order is random.
    pub fn located(&mut self, ours: SocketAddr) {
        let Some(ours) = address::callable(ours) else { return };
        if let Some(known) = self.ours.get_mut(usize::from(ours.is_ipv6())) {
            *known = Some(ours);
        }
        for (addr, entry) in &mut self.entries {
            entry.rank = priority(ours, *addr).map_or(entry.rank, |priority| !priority);
        }
    }

    /// The canonical priority of a connection to this address; nothing while we do not know where we
    /// are ourselves.
    pub fn priority(&self, addr: SocketAddr) -> Option<u32> {
        let addr = address::canonical(addr);
        let ours = self.ours.get(usize::from(addr.is_ipv6())).copied().flatten()?;
        priority(ours, addr)
    }

    /// Which of the connected `idle` peers makes way for a newcomer if every place is taken: the one of the
    /// least canonical priority (BEP 40), if the newcomer's is greater. Both ends would choose the same. None
    /// does while our own address is not known.
    pub fn outranked(
        &self,
        newcomer: SocketAddr,
        idle: impl Iterator<Item = SocketAddr>,
    ) -> Option<SocketAddr> {
        let standing = self.priority(newcomer)?;
        let ranked = idle.filter_map(|addr| Some((self.priority(addr)?, addr)));
        ranked.min().filter(|(least, _)| *least < standing).map(|(_, addr)| addr)
    }

    /// A call was answered: the handshake is done.
    pub fn connected(&mut self, addr: SocketAddr, now: Moment) {
        let addr = address::canonical(addr);
        let call = || Call { entry: Some(addr), incoming: false, shaken: true, delivered: false };
        self.calls.get_or_insert_with(addr, call).shaken = true;
        // Adding it may have removed the entry; otherwise its source stays what it was.
        self.add(addr, Source::Pex, now);
        if let Some(entry) = self.entries.get_mut(&addr) {
            entry.state = State::Connected;
        }
    }

    /// A peer connected to us from this address. False if it is banned and is to be disconnected; then
    /// [`ended`](Self::ended) is not needed.
    pub fn accepted(&mut self, addr: SocketAddr, _now: Moment) -> bool {
        let addr = address::canonical(addr);
        if self.bans.has(addr) {
            return false;
        }
        self.calls.insert(addr, Call { entry: None, incoming: true, shaken: true, delivered: false });
        true
    }

    /// The peer that called us from `addr` can be called at this port (BEP 10, `p`), and is not
    /// while that connection lasts. Only the first port that it names counts.
    pub fn listening_port(&mut self, addr: SocketAddr, port: u16, now: Moment) {
        let addr = address::canonical(addr);
        let Some(call) = self.calls.get_mut(&addr) else { return };
        let mut listens = addr;
        listens.set_port(port);
        let first = call.incoming && call.entry.is_none();
        let Some(listens) = address::callable(listens).filter(|_| first) else { return };
        call.entry = Some(listens);
        self.add(listens, Source::Incoming, now);
        if let Some(entry) = self.entries.get_mut(&listens) {
            entry.state = State::Connected;
        }
    }

    /// The peer connected at `addr` gave us data that was of use.
    pub fn delivered(&mut self, addr: SocketAddr) {
        let Some(call) = self.calls.get_mut(&address::canonical(addr)) else { return };
        call.delivered = true;
        if let Some(entry) = call.entry.and_then(|entry| self.entries.get_mut(&entry)) {
            entry.delivered = true;
            entry.failures = 0;
        }
    }

    /// The peer connected at this address has everything, or wants nothing more: it is not called while we seed,
    /// whichever side hangs up.
    pub fn wants_nothing(&mut self, addr: SocketAddr) {
        let listens = self.calls.get(&address::canonical(addr)).and_then(|call| call.entry);
        if let Some(entry) = listens.and_then(|listens| self.entries.get_mut(&listens)) {
            entry.seed = true;
        }
    }

    /// Never connects to this peer again.
    ///
    /// One whose port is known is banned by address and port, since one host may run several peers. A second
    /// one on the same host bans the host, as does one that connected to us and can hide behind any port; but
    /// never a loopback address, which is every peer on this machine. If no handshake was done, the address
    /// may have been named to harm its host: the host is not judged by it.
    pub fn ban(&mut self, addr: SocketAddr, _misdeed: Violation) {
        let addr = address::canonical(addr);
        let call = self.calls.get(&addr);
        let listens = call.and_then(|call| call.entry);
        match listens {
            None if call.is_some_and(|call| call.incoming) => self.bans.add_host(addr),
            _ if call.is_some_and(|call| !call.shaken) => self.bans.add_address(addr),
            _ => self.bans.add_peer(listens.unwrap_or(addr)),
        }
        let bans = &self.bans;
        self.entries.retain(|&entry, _| !bans.has(entry));
    }

    /// Whether a peer calling from, or to be called at, this address is banned.
    pub fn is_banned(&self, addr: SocketAddr) -> bool {
        self.bans.has(address::canonical(addr))
    }

    /// Whether we have everything wanted: while so, peers known to have everything are not called.
    pub fn seeding(&mut self, seeding: bool) {
        self.seeding = seeding;
    }

    /// The torrent that a magnet link stands for turns out to be private: the addresses that it may not use are
    /// forgotten (BEP 27). Those that are connected because of them.
    pub fn become_private(&mut self) -> Vec<SocketAddr> {
        self.private = true;
        let forgotten = |entry: &Entry| !entry.source.is_private();
        let connected = self.calls.iter().filter(|(_, call)| call.shaken && !call.incoming);
        let foreign = connected
            .filter(|(_, call)| call.entry.and_then(|at| self.entries.get(&at)).is_some_and(forgotten))
            .map(|(&addr, _)| addr)
            .collect();
        self.entries.retain(|_, entry| !forgotten(entry));
        foreign
    }

    /// Data is wanted of peers from now on: one that had no metadata may have some. Every address that is not
    /// connected may be dialed at once.
    pub fn forget_failures(&mut self, now: Moment) {
        for entry in self.entries.values_mut() {
            entry.failures = 0;
            if let State::Idle(due) = &mut entry.state {
                *due = now.min(*due);
            }
        }
    }

    /// How many addresses are in which state.
    pub fn counts(&self) -> Counts {
        let dialing = self.entries.values().filter(|entry| entry.state == State::Dialing).count() as u32;
        Counts {
            known: self.entries.len() as u32,
            dialing,
            connected: self.calls.len() as u32 - dialing,
            banned: self.bans.count(),
            blocked: self.blocked,
        }
    }

    /// From when on the address may be called, if ever.
    fn due(&self, entry: &Entry) -> Option<Moment> {
        match entry.state {
            State::Idle(due) if !(self.seeding && (entry.seed || entry.named_as_seed)) => Some(due),
            _ => None,
        }
    }

    /// Makes room for one more address of a source. False if none can be made.
    fn make_room(&mut self, source: Source) -> bool {
        let of_source = || self.entries.iter().filter(|(_, entry)| entry.source == source);
        let wanted = if source == Source::Tracker { self.wanted } else { 0 };
        if of_source().count() < source.room().max(wanted) {
            return true;
        }
        let idle = |entry: &Entry| matches!(entry.state, State::Idle(_)) && !entry.delivered;
        let failed = of_source().filter(|(_, entry)| idle(entry) && entry.failures > 0);
        let worst = failed.max_by_key(|(_, entry)| (entry.failures, entry.rank)).map(|(&addr, _)| addr);
        worst.is_some_and(|worst| self.entries.remove(&worst).is_some())
    }
}

#[cfg(test)]
mod tests;
