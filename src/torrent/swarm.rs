//! The peers of a torrent, the same through all stages of its life: known addresses, dials under way and
//! connected peers. A connection outlives the stage in which it came.
//!
//! Invariant: a connection stays here until its driver has said that it is gone.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::action::{Action, Actions};
use super::dialing::Dialing;
use super::input::Join;
use super::rates::PEER_INERTIA;
use crate::config::TorrentConfig;
use crate::crypto::Encryption;
use crate::event::EventKind;
use crate::id::PeerId;
use crate::job::PeerKey;
use crate::moment::Moment;
use crate::orders::Order;
use crate::rate::RateMeter;
use crate::sorted::SortedMap;
use crate::swarm::duplicates::{self, Keep, PeerConnection};
use crate::swarm::peers::{PeerList, Source};
use crate::swarm::pex::Exchange;
use crate::violation::DisconnectReason;
use crate::wire::pex::Flags;

/// How long a connection may stay idle before one that ranks higher takes its place.
const SETTLED: Duration = Duration::from_secs(60);

/// The peers of one torrent.
pub(super) struct Swarm {
    pub(super) peers: PeerList,
    pub(super) dialing: Dialing,
    pub(super) connected: SortedMap<PeerKey, Peer>,
    /// Nothing where peers are not exchanged.
    pub(super) exchange: Option<Exchange>,
    /// When the peers' rates were measured last.
    pub(super) measured: Moment,
    /// Before the torrent is open: when to look whether other torrents lack the places of its connections.
    pub(super) share_at: Moment,
}

/// A connected peer.
pub(super) struct Peer {
    pub(super) addr: SocketAddr,
    pub(super) incoming: bool,
    /// Where its address was learned.
    pub(super) source: Source,
    pub(super) id: PeerId,
    /// How much of the connection is encrypted.
    pub(super) encryption: Encryption,
    /// The name of its program, and whether it only uploads (BEP 10, BEP 21).
    pub(super) client: Option<String>,
    pub(super) upload_only: bool,
    pub(super) prefers_encryption: bool,
    /// Its address of the other family, as it says.
    pub(super) elsewhere: Option<IpAddr>,
    pub(super) since: Moment,
    /// It wants what we have.
    pub(super) interested: bool,
    /// It chokes us.
    pub(super) choking: bool,
    /// We choke it.
    pub(super) choked: bool,
    /// It owes us blocks and stopped delivering.
    pub(super) snubbed: bool,
    /// We told it that we are interested.
    pub(super) wanted: bool,
    /// Bytes it sends us and we send it. The first interval begins with that of the other peers: one of a few
    /// milliseconds would say nothing.
    pub(super) down: RateMeter,
    pub(super) up: RateMeter,
    /// Why it was told to hang up, if it was.
    pub(super) leaving: Option<DisconnectReason>,
}

impl Peer {
    pub(super) fn new(join: &Join, source: Source, now: Moment, measured: Moment) -> Peer {
        Peer {
            addr: join.addr,
            incoming: join.incoming,
            source,
            id: join.id,
            client: None,
            upload_only: false,
            prefers_encryption: false,
            encryption: join.encryption,
            elsewhere: None,
            since: now,
            interested: false,
            choking: true,
            choked: true,
            snubbed: false,
            wanted: false,
            down: RateMeter::new(0, measured, PEER_INERTIA),
            up: RateMeter::new(0, measured, PEER_INERTIA),
            leaving: None,
        }
    }

    /// Its rates are those from now on: nothing has moved so far.
    pub(super) fn measure_from(&mut self, now: Moment) {
        (self.down, self.up) = (RateMeter::new(0, now, PEER_INERTIA), RateMeter::new(0, now, PEER_INERTIA));
    }

    pub(super) fn connection(&self) -> PeerConnection {
        PeerConnection { addr: self.addr, incoming: self.incoming, id: self.id, since: self.since }
    }

    /// Whether bytes moved when last measured.
    pub(super) fn moves(&self) -> bool {
        self.down.rate() + self.up.rate() > 0
    }

    /// Has the connection end.
    pub(super) fn close(&mut self, key: PeerKey, why: DisconnectReason, out: &mut Actions) {
        self.leaving.get_or_insert(why);
        out.push(Action::Order(key, Order::Close(why)));
    }

    /// Why its connection has ended: what it did wrong, or else why it was told to go, whatever came first.
    pub(super) fn why_gone(&self, why: DisconnectReason) -> DisconnectReason {
        if let DisconnectReason::Violation(_) = why { why } else { self.leaving.unwrap_or(why) }
    }

    /// Its flags in an exchange.
    pub(super) fn flags(&self, seed: bool) -> Flags {
        let flag = |flag, set: bool| if set { flag } else { 0 };
        Flags(
            flag(Flags::SEED, seed || self.upload_only)
                | flag(Flags::REACHABLE, !self.incoming)
                | flag(Flags::ENCRYPTION, self.prefers_encryption),
        )
    }
}

impl Swarm {
    /// None is connected; the user names some. Whether peers are exchanged.
    pub(super) fn new(mut peers: PeerList, config: &mut TorrentConfig, exchanges: bool) -> Swarm {
        for addr in std::mem::take(&mut config.peers) {
            peers.add(addr, Source::Given, Moment::START);
        }
        Swarm {
            peers,
            dialing: Dialing::new(config.max_peers, Moment::START),
            connected: SortedMap::new(),
            exchange: exchanges.then(Exchange::new),
            measured: Moment::START,
            share_at: Moment::START,
        }
    }

    /// How many peers are connected.
    pub(super) fn count(&self) -> u32 {
        self.connected.len() as u32
    }

    /// The torrent turns out to be private: what it may not use is forgotten, and connections that were made
    /// because of it end (BEP 27).
    pub(super) fn become_private(&mut self, out: &mut Actions) {
        self.exchange = None;
        let foreign = self.peers.become_private();
        for (&key, peer) in self.connected.iter_mut().filter(|(_, peer)| foreign.contains(&peer.addr)) {
            peer.close(key, DisconnectReason::Shutdown, out);
        }
    }

    /// Sets how many connections are allowed from now on; those beyond that end, the latest first.
    pub(super) fn limit(&mut self, max_connections: u32, out: &mut Actions) {
        self.dialing.max_connections = max_connections;
        for (&key, peer) in self.connected.iter_mut().skip(max_connections as usize) {
            peer.close(key, DisconnectReason::Crowded, out);
        }
    }

    /// Every connection ends.
    pub(super) fn dismiss_all(&mut self, why: DisconnectReason, out: &mut Actions) {
        for (&key, peer) in self.connected.iter_mut() {
            peer.close(key, why, out);
        }
    }

    /// Every connection reads the have log.
    pub(super) fn wake_all(&self, out: &mut Actions) {
        self.connected.keys().for_each(|&key| out.push(Action::Wake(key)));
    }

    /// Whether a new connection is to a peer that is connected already, and is to go for it. Where the older
    /// connection is to go, it is closed.
    pub(super) fn is_duplicate(&mut self, new: PeerConnection, ours: PeerId, out: &mut Actions) -> bool {
        for (&key, old) in self.connected.iter_mut() {
            match duplicates::keep(old.connection(), new, ours) {
                Keep::Both => {}
                Keep::Old => return true,
                Keep::New => old.close(key, DisconnectReason::Duplicate, out),
            }
        }
        false
    }

    /// No connection comes of a dial.
    pub(super) fn dial_ended(
        &mut self,
        addr: SocketAddr,
        why: DisconnectReason,
        now: Moment,
        out: &mut Actions,
    ) {
        self.peers.ended(addr, why, now);
        EventKind::of_a_stranger(addr, why).into_iter().for_each(|what| out.tell(what));
    }

    /// The connection that makes way for a newcomer where every place is taken: only one over which
    /// nothing moves, and whose peer cannot give us anything now.
    pub(super) fn outranked(
        &self,
        newcomer: SocketAddr,
        gives: impl Fn(PeerKey, &Peer) -> bool,
        now: Moment,
    ) -> Option<PeerKey> {
        let is_idle = |key: PeerKey, peer: &Peer| {
            let may_move = peer.wanted && !peer.choking || peer.interested && !peer.choked;
            // One that is going makes way for one newcomer, not for each that comes before it has gone.
            let stays = peer.leaving.is_none() && now - peer.since >= SETTLED;
            !peer.moves() && !gives(key, peer) && !may_move && stays
        };
        let idle = || self.connected.iter().filter(|(key, peer)| is_idle(**key, peer));
        let addr = self.peers.outranked(newcomer, idle().map(|(_, peer)| peer.addr))?;
        idle().find(|(_, peer)| peer.addr == addr).map(|(&key, _)| key)
    }

    /// A peer has said where else it is. Should that be where another connection is to, and that one say the
    /// same of this, they are one peer: the later connection goes.
    pub(super) fn close_second(&mut self, key: PeerKey, out: &mut Actions) {
        let Some(one) = self.connected.get(&key) else { return };
        let same = |(_, other): &(&PeerKey, &Peer)| {
            duplicates::are_one(one.connection(), one.elsewhere, other.connection(), other.elsewhere)
        };
        let Some(other) = self.connected.iter().find(same).map(|(&other, _)| other) else { return };
        let later = key.max(other);
        if let Some(peer) = self.connected.get_mut(&later) {
            peer.close(later, DisconnectReason::Duplicate, out);
        }
    }

    /// A connection has ended. Others may have a use for one that we had none for.
    pub(super) fn part(&mut self, key: PeerKey, peer: &Peer, seed: bool, why: DisconnectReason, now: Moment) {
        if let Some(exchange) = &mut self.exchange {
            let parted = matches!(why, DisconnectReason::BothSeeds | DisconnectReason::Crowded);
            exchange.leaves(key, parted.then(|| peer.flags(seed)), now);
        }
        if seed || peer.upload_only {
            self.peers.wants_nothing(peer.addr);
        }
        self.peers.ended(peer.addr, why, now);
    }
}
