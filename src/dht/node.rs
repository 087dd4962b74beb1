//! The node: what each packet and the passing of time do.
//!
//! Invariants: an answer counts only if it comes from the address that was asked and has the number of the
//! question; where that address stands for a name (`stand_in`) it comes from another. That number comes from the system and not from the seeded generator, because a host that does
//! not see our packets must not guess it (BEP 5). At most [`MAX_PENDING`] questions are out and [`MAX_LOOKUPS`]
//! lookups run. With an idle table nothing is due but one round of refreshing every quarter of an hour.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::id::{NodeId, is_local};
use super::lookup::Lookup;
use super::peers::{Peers, Tokens};
use super::query_limiter::QueryLimiter;
use super::table::{K, Table, is_believable};
use crate::host::external_ip::Votes;
use crate::id::InfoHash;
use crate::moment::Moment;
use crate::random::{Random, entropy};
use crate::sorted::SortedMap;
use crate::stand_in;
use crate::wire::krpc::{self, Body, Packet, Query, Response};

/// Questions that may be out.
const MAX_PENDING: usize = 256;
/// Lookups that may run; further ones end at once, with nothing.
const MAX_LOOKUPS: usize = 32;
/// Routers that are remembered.
const MAX_ROUTERS: usize = 16;
/// Packets that may wait to be sent.
const MAX_OUTGOING: usize = 512;
/// When an answer is late.
const LATE_AFTER: Duration = Duration::from_millis(1_500);
/// After this long no answer is expected any longer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);
/// How often the table is refreshed.
const REFRESH_INTERVAL: Duration = Duration::from_secs(15 * 60);
/// Nodes that answered so lately need no refreshing.
const FRESH_FOR: Duration = Duration::from_secs(10 * 60);
/// Nodes of a bucket that are asked in one round.
const REFRESHED_PER_BUCKET: usize = 3;
/// Peers in one answer.
const MAX_PEERS_PER_ANSWER: (usize, usize) = (50, 20);
/// How many nodes named in one answer are looked at.
const MAX_NODES_PER_ANSWER: usize = 16;
/// The pause between two pings of unknown nodes that sent us a query.
const PING_INTERVAL: Duration = Duration::from_millis(250);
/// How long an address of ours is believed before another is: a new id is a new place in the network.
const MIN_ADDRESS_LIFE: Duration = Duration::from_secs(30 * 60);
/// Nodes that have to agree on our address before it is believed; twice as many votes are kept.
const MIN_VOTES: usize = 4;

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(ip: IpAddr) -> Family {
        if ip.is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

/// The settings of a node.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The family of all its addresses.
    pub family: Family,
    /// Whether it asks without answering (BEP 43).
    pub read_only: bool,
    /// Its id in an earlier run.
    pub id: Option<NodeId>,
}

/// What a lookup found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which torrent it is about.
    pub info_hash: InfoHash,
    /// Peers; some may have been named before.
    pub peers: Vec<SocketAddr>,
    /// Whether the lookup has ended.
    pub done: bool,
}

/// How a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Nodes in the table.
    pub known: usize,
    /// Those that answered, and did not fail since.
    pub good: usize,
    /// Lookups under way.
    pub lookups: usize,
}

/// Why something was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Lookup(u32),
    Refresh,
    Announce,
}

#[derive(Debug)]
struct Pending {
    addr: SocketAddr,
    purpose: Purpose,
    sent: Moment,
    late: bool,
}

#[derive(Debug)]
struct Running {
    lookup: Lookup,
    /// The torrent, and whether and with which port it is announced; none if the lookup only fills the table.
    torrent: Option<(InfoHash, Option<u16>)>,
}

/// A node.
#[derive(Debug)]
pub struct Node {
    setup: Setup,
    own: NodeId,
    table: Table,
    peers: Peers,
    tokens: Tokens,
    limiter: QueryLimiter,
    pending: SortedMap<u32, Pending>,
    running: SortedMap<u32, Running>,
    /// Nodes to ask while few others are known.
    routers: Vec<SocketAddr>,
    next_lookup: u32,
    out: Vec<(SocketAddr, Vec<u8>)>,
    found: Vec<Found>,
    refresh: Moment,
    stranger: Moment,
    /// What other nodes say our address is.
    votes: Votes,
    /// Our address, and since when it is believed.
    external: Option<(IpAddr, Moment)>,
    last_heard: Moment,
    random: Random,
}

impl Node {
    /// A node with an empty routing table.
    pub fn new(setup: Setup, mut random: Random, now: Moment) -> Node {
        let own = setup.id.unwrap_or_else(|| NodeId::random(&mut random));
        Node {
            own,
            setup,
            table: Table::new(own),
            peers: Peers::default(),
            tokens: Tokens::new(now),
            limiter: QueryLimiter::default(),
            pending: SortedMap::new(),
            running: SortedMap::new(),
            routers: Vec::new(),
            next_lookup: 0,
            out: Vec::new(),
            found: Vec::new(),
            refresh: now + REFRESH_INTERVAL,
            stranger: now,
            votes: Votes::new(2 * MIN_VOTES, MIN_VOTES),
            external: None,
            last_heard: now,
            random,
        }
    }

    /// Its id.
    pub fn id(&self) -> NodeId {
        self.own
    }

    /// The family of its addresses.
    pub fn family(&self) -> Family {
        self.setup.family
    }

    /// Nodes of an earlier run: asked when it comes to that, counted when they answer.
    pub fn load(&mut self, nodes: &[(NodeId, SocketAddr)]) {
        for (id, addr) in nodes {
            if self.is_ours(*addr) && crate::tracker::compact::is_usable(addr) {
                self.table.remember(*id, *addr);
            }
        }
    }

    /// The nodes to be remembered: those that answered.
    pub fn state(&self) -> Vec<(NodeId, SocketAddr)> {
        self.table.nodes().filter(|one| one.is_good()).map(|one| (one.id, one.addr)).collect()
    }

    /// How it stands.
    pub fn stats(&self) -> Stats {
        let (mut known, mut good) = (0, 0);
        for one in self.table.nodes() {
            known += 1;
            good += usize::from(one.is_good());
        }
        let lookups = self.running.values().filter(|running| running.torrent.is_some()).count();
        Stats { known, good, lookups }
    }

    /// Packets to be sent.
    pub fn outgoing(&mut self) -> impl Iterator<Item = (SocketAddr, Vec<u8>)> + '_ {
        self.out.drain(..)
    }

    /// What lookups found since.
    pub fn found(&mut self) -> impl Iterator<Item = Found> + '_ {
        self.found.drain(..)
    }

    /// Fills the table: asks these and all known nodes for nodes near our own id.
    pub fn bootstrap(&mut self, routers: &[SocketAddr], now: Moment) {
        let mut lookup = self.lookup_of(self.own);
        for &router in routers {
            if !self.is_ours(router) || !crate::tracker::compact::is_usable(&router) {
                continue;
            }
            lookup.add_router(router);
            if self.routers.len() < MAX_ROUTERS && !self.routers.contains(&router) {
                self.routers.push(router);
            }
        }
        self.begin(Running { lookup, torrent: None }, now);
    }

    /// Whether there is a node at this address: it is asked.
    pub fn ping(&mut self, addr: SocketAddr, now: Moment) {
        if self.is_ours(addr) && crate::tracker::compact::is_usable(&addr) && !self.table.knows(addr) {
            self.ask(addr, Purpose::Refresh, &Query::FindNode(self.own.0), now);
        }
    }

    /// Looks for the peers of a torrent, and announces it where `announce` gives the TCP port that we
    /// are reached at. [`found`](Self::found) has the peers as they come, and the end.
    pub fn lookup(&mut self, info_hash: InfoHash, announce: Option<u16>, now: Moment) {
        let lookup = self.lookup_of(NodeId(*info_hash.as_bytes()));
        let own = self.peers.of(info_hash, MAX_PEERS_PER_ANSWER.0, self.random.next_u64(), now);
        self.found.push(Found { info_hash, peers: own, done: false });
        self.begin(Running { lookup, torrent: Some((info_hash, announce)) }, now);
    }

    fn lookup_of(&self, target: NodeId) -> Lookup {
        let mut lookup = Lookup::new(target);
        let near = self.table.nearest(&target, 2 * K, false);
        near.iter().for_each(|one| lookup.add(one.id, one.addr));
        // Other nodes are asked as well: the first to answer might lie.
        if near.len() < K {
            self.routers.iter().for_each(|router| lookup.add_router(*router));
        }
        lookup
    }

    fn begin(&mut self, running: Running, now: Moment) {
        if self.running.len() >= MAX_LOOKUPS {
            if let Some((info_hash, _)) = running.torrent {
                self.found.push(Found { info_hash, peers: Vec::new(), done: true });
            }
            return;
        }
        let key = self.next_lookup;
        self.next_lookup = key.wrapping_add(1);
        self.running.insert(key, running);
        self.go_on(key, now);
    }

    /// Continues a lookup; ends it if no node is left to ask.
    fn go_on(&mut self, key: u32, now: Moment) {
        loop {
            let Some(running) = self.running.get_mut(&key) else { return };
            let Some(addr) = running.lookup.next() else { break };
            let target = running.lookup.target().0;
            let query = match running.torrent {
                Some((info_hash, _)) => Query::GetPeers(info_hash),
                None => Query::FindNode(target),
            };
            if !self.ask(addr, Purpose::Lookup(key), &query, now) {
                let running = self.running.get_mut(&key);
                running.into_iter().for_each(|running| running.lookup.failed(addr));
            }
        }
        if self.running.get(&key).is_some_and(|running| running.lookup.is_done()) {
            self.finish(key, now);
        }
    }

    fn finish(&mut self, key: u32, now: Moment) {
        let Some(Running { lookup, torrent: Some((info_hash, port)) }) = self.running.remove(&key) else {
            return;
        };
        if let Some(port) = port {
            for (addr, token) in lookup.nearest() {
                let Some(token) = token else { continue };
                let query = Query::Announce { info_hash, port: Some(port), token };
                self.ask(addr, Purpose::Announce, &query, now);
            }
        }
        self.found.push(Found { info_hash, peers: Vec::new(), done: true });
    }

    fn is_ours(&self, addr: SocketAddr) -> bool {
        Family::of(addr.ip()) == self.setup.family
    }

    /// Sends a question; false where too many are out.
    fn ask(&mut self, addr: SocketAddr, purpose: Purpose, query: &Query<'_>, now: Moment) -> bool {
        // Nothing seen before may reveal this number, because an answer counts if it has it.
        let number = u32::from_be_bytes(entropy());
        if self.pending.len() >= MAX_PENDING
            || self.out.len() >= MAX_OUTGOING
            || self.pending.contains_key(&number)
        {
            return false;
        }
        let packet = krpc::encode_query(&number.to_be_bytes(), &self.own.0, query, self.setup.read_only);
        self.out.push((addr, packet));
        self.pending.insert(number, Pending { addr, purpose, sent: now, late: false });
        true
    }

    /// A packet has come.
    pub fn on_packet(&mut self, from: SocketAddr, bytes: &[u8], now: Moment) {
        if !self.is_ours(from) || from.port() == 0 {
            return;
        }
        let Some(packet) = Packet::decode(bytes) else { return };
        match &packet.body {
            Body::Query(id, query) => {
                if !self.setup.read_only && self.limiter.admits(from.ip(), now) {
                    self.on_query(from, packet.transaction, query, now);
                    if !packet.read_only {
                        self.meet(NodeId(*id), from, now);
                    }
                }
            }
            Body::BadQuery(code) => {
                if !self.setup.read_only && self.limiter.admits(from.ip(), now) {
                    self.send(from, krpc::encode_error(packet.transaction, *code));
                }
            }
            Body::Response(response) => {
                let Some(pending) = self.answered(from, packet.transaction, now) else { return };
                self.vote(from.ip(), packet.ip, now);
                self.on_response(&pending, from, response, now);
            }
            // It is there, and of no use.
            Body::Error(_) => {
                let Some(pending) = self.answered(from, packet.transaction, now) else { return };
                if let Purpose::Lookup(key) = pending.purpose {
                    let running = self.running.get_mut(&key);
                    running.into_iter().for_each(|running| running.lookup.failed(pending.addr));
                    self.go_on(key, now);
                }
            }
        }
    }

    /// The question that this is the answer to.
    fn answered(&mut self, from: SocketAddr, transaction: &[u8], now: Moment) -> Option<Pending> {
        let number = u32::from_be_bytes(transaction.try_into().ok()?);
        let asked = self.pending.get(&number)?.addr;
        if asked != from && stand_in::number(asked.ip()).is_none() {
            return None;
        }
        self.last_heard = now;
        self.pending.remove(&number)
    }

    fn send(&mut self, to: SocketAddr, packet: Vec<u8>) {
        if self.out.len() < MAX_OUTGOING {
            self.out.push((to, packet));
        }
    }

    fn on_query(&mut self, from: SocketAddr, transaction: &[u8], query: &Query<'_>, now: Moment) {
        let mut response = Response { id: self.own.0, ..Response::default() };
        let token;
        let near = |target: [u8; 20]| {
            let nearest = self.table.nearest(&NodeId(target), K, true);
            nearest.into_iter().map(|one| (one.id.0, one.addr)).collect()
        };
        match *query {
            Query::Ping => {}
            Query::FindNode(target) => response.nodes = near(target),
            Query::GetPeers(info_hash) => {
                response.nodes = near(*info_hash.as_bytes());
                let many = if from.is_ipv4() { MAX_PEERS_PER_ANSWER.0 } else { MAX_PEERS_PER_ANSWER.1 };
                response.peers = self.peers.of(info_hash, many, self.random.next_u64(), now);
                token = self.tokens.make(from.ip(), now);
                response.token = Some(&token);
            }
            Query::Announce { info_hash, port, token } => {
                if !self.tokens.knows(token, from.ip(), now) {
                    return self.send(from, krpc::encode_error(transaction, 203));
                }
                let peer = SocketAddr::new(from.ip(), port.unwrap_or(from.port()));
                if !self.peers.announced(info_hash, peer, now) {
                    return self.send(from, krpc::encode_error(transaction, krpc::SERVER));
                }
            }
        }
        let packet = krpc::encode_response(transaction, from, &response);
        self.send(from, packet);
    }

    /// A node sent a query. If the table has room for it, it is asked in turn first: its address may be
    /// forged.
    fn meet(&mut self, id: NodeId, from: SocketAddr, now: Moment) {
        if self.stranger <= now && self.table.has_room(&id) && !self.is_asked(from) {
            self.stranger = now + PING_INTERVAL;
            self.ask(from, Purpose::Refresh, &Query::Ping, now);
        }
    }

    fn is_asked(&self, addr: SocketAddr) -> bool {
        self.pending.values().any(|pending| pending.addr == addr)
    }

    fn on_response(&mut self, pending: &Pending, from: SocketAddr, response: &Response<'_>, now: Moment) {
        let id = NodeId(response.id);
        self.table.answered(id, from, now);
        let named: Vec<(NodeId, SocketAddr)> = response
            .nodes
            .iter()
            .filter(|(id, addr)| is_believable(*addr, from.ip()) && *id != self.own.0)
            .map(|(id, addr)| (NodeId(*id), *addr))
            .take(MAX_NODES_PER_ANSWER)
            .collect();
        match pending.purpose {
            Purpose::Lookup(key) => {
                let Some(running) = self.running.get_mut(&key) else { return };
                running.lookup.answered(id, pending.addr, response.token);
                named.into_iter().for_each(|(id, addr)| running.lookup.add(id, addr));
                if let (Some((info_hash, _)), false) = (running.torrent, response.peers.is_empty()) {
                    let peers = response.peers.iter().copied().filter(|peer| is_believable(*peer, from.ip()));
                    self.found.push(Found { info_hash, peers: peers.collect(), done: false });
                }
                self.go_on(key, now);
            }
            Purpose::Refresh => {
                for (id, addr) in named.into_iter().take(K) {
                    if self.table.has_room(&id) && !self.is_asked(addr) {
                        self.ask(addr, Purpose::Refresh, &Query::Ping, now);
                    }
                }
            }
            Purpose::Announce => {}
        }
    }

    /// Does what is due.
    pub fn on_time(&mut self, now: Moment) {
        let mut late: Vec<u32> =
            self.pending.iter().filter(|(_, one)| due(one) <= now).map(|(number, _)| *number).collect();
        // The numbers are not of the seed; what follows from them would not be either.
        late.sort_by_key(|number| self.pending.get(number).map(|one| (one.sent, one.addr)));
        for number in late {
            let Some(mut pending) = self.pending.remove(&number) else { continue };
            let (addr, purpose, gone) = (pending.addr, pending.purpose, pending.late);
            if gone {
                // If no node at all is heard, the fault is ours.
                if self.last_heard >= pending.sent {
                    self.table.failed(addr);
                }
            } else {
                pending.late = true;
                self.pending.insert(number, pending);
            }
            let Purpose::Lookup(key) = purpose else { continue };
            if let Some(running) = self.running.get_mut(&key) {
                if gone { running.lookup.failed(addr) } else { running.lookup.late(addr) }
            }
            self.go_on(key, now);
        }
        if self.refresh <= now {
            self.refresh = now + REFRESH_INTERVAL;
            let then = Moment::from_micros(now.as_micros().saturating_sub(FRESH_FOR.as_micros() as u64));
            for (bits, one) in self.table.stale(then, REFRESHED_PER_BUCKET) {
                let target = self.own.near(bits, &mut self.random);
                self.ask(one.addr, Purpose::Refresh, &Query::FindNode(target.0), now);
            }
        }
    }

    /// When [`on_time`](Self::on_time) is to be called.
    pub fn deadline(&self) -> Moment {
        self.pending.values().map(due).fold(self.refresh, Moment::min)
    }

    /// Our address is known to be `ip`: from enough nodes, from peers, or from the user.
    pub fn on_external_ip(&mut self, ip: IpAddr, now: Moment) {
        let settled = self.external.is_some_and(|(at, since)| at == ip || now < since + MIN_ADDRESS_LIFE);
        if Family::of(ip) == self.setup.family && !is_local(ip) && !settled {
            self.external = Some((ip, now));
            if !self.own.is_secure(ip) {
                self.own = NodeId::secure(ip, &mut self.random);
                let table = std::mem::replace(&mut self.table, Table::new(self.own));
                self.table = table.rearranged(self.own);
                self.bootstrap(&[], now);
            }
        }
    }

    /// A node says what our address is. It counts once, however often it says so.
    fn vote(&mut self, from: IpAddr, ours: Option<SocketAddr>, now: Moment) {
        let Some(ours) = ours.map(|addr| addr.ip()) else { return };
        if is_local(ours) || is_local(from) || Family::of(ours) != self.setup.family {
            return;
        }
        self.votes.cast(from, ours);
        if let Some(ip) = self.votes.believed() {
            self.on_external_ip(ip, now);
        }
    }
}

fn due(pending: &Pending) -> Moment {
    pending.sent + if pending.late { ANSWER_TIMEOUT } else { LATE_AFTER }
}
