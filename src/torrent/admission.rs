//! Connected peers: dialing, accepting, and the consequences when a connection ends, in all stages alike.

use std::net::SocketAddr;
use std::time::Duration;

use super::action::Action;
use super::host::Host;
use super::input::Join;
use super::rates::IDLE_TICK;
use super::state::{Active, Stage, Torrent};
use super::swarm::{Peer, Swarm};
use crate::event::EventKind;
use crate::job::PeerKey;
use crate::moment::Moment;
use crate::orders::Order;
use crate::swarm::admission::{Admission, ConnectedPeer, admit};
use crate::swarm::peers::Source;
use crate::violation::DisconnectReason;

/// How long after the first peer came rates are measured first.
pub(super) const FIRST_TICK: Duration = Duration::from_millis(300);

impl Stage {
    /// Whether a peer is giving us what we want.
    fn gives(&self, key: PeerKey, peer: &Peer) -> bool {
        match self {
            Stage::FetchingMetadata(fetching) => fetching.metadata.is_giving(key),
            _ => peer.down.rate() > 0,
        }
    }

    /// A connection was let in.
    fn enters(&mut self, key: PeerKey, now: Moment) {
        match self {
            Stage::FetchingMetadata(fetching) => fetching.metadata.join(key, now),
            stage => stage.active_mut().into_iter().for_each(|active| active.enters(key, now)),
        }
    }
}

impl Active {
    /// A connection was let in, or is there as the torrent opens.
    pub(super) fn enters(&mut self, key: PeerKey, now: Moment) {
        self.picker.join(key);
        if let Some(super_seed) = &mut self.super_seed {
            super_seed.join(key, now);
        }
    }
}

impl Torrent {
    /// Tells how many places are wanted, and gives back those that other torrents lack: first the
    /// connections that move least.
    pub(super) fn share_places(&mut self, host: &mut impl Host) {
        let Swarm { connected, dialing, .. } = &mut self.swarm;
        let owed = host.owed(connected.len() as u32 + dialing.under_way, dialing.under_way);
        if owed == 0 {
            return;
        }
        let stage = &self.stage;
        let mut peers: Vec<(&PeerKey, &mut Peer)> = connected.iter_mut().collect();
        peers.sort_by_key(|(key, peer)| {
            let moves = peer.down.rate() + peer.up.rate();
            (stage.gives(**key, peer), moves, peer.interested || peer.wanted, peer.since)
        });
        for (&key, peer) in peers.into_iter().take(owed as usize) {
            peer.close(key, DisconnectReason::Crowded, &mut self.out);
        }
    }

    /// The same, now and then, while there is no regular look at connections yet.
    pub(super) fn share_places_early(&mut self, now: Moment, host: &mut impl Host) {
        if self.shares_early().is_some_and(|due| due <= now) {
            self.swarm.share_at = now + IDLE_TICK;
            self.share_places(host);
        }
    }

    /// When that is due.
    pub(super) fn shares_early(&self) -> Option<Moment> {
        let early = matches!(self.stage, Stage::FetchingMetadata(_) | Stage::Waiting(_) | Stage::Checking(_));
        (early && !self.swarm.connected.is_empty()).then_some(self.swarm.share_at)
    }

    /// A connection asks to be let in.
    pub(super) fn on_join(&mut self, join: Join, now: Moment, host: &mut impl Host) {
        if !join.incoming {
            self.swarm.dialing.over();
        }
        if let Some(why) = self.refusal(&join, now, host) {
            if !join.incoming {
                self.swarm.dial_ended(join.addr, why, now, &mut self.out);
            }
            return self.out.push(Action::Refuse(why));
        }
        let key = host.new_key();
        let ours = self.stage.active().map(Active::ours);
        self.out.push(Action::Accept { key, ours });
        let mut source = Source::Incoming;
        if !join.incoming {
            self.swarm.peers.connected(join.addr, now);
            source = self.swarm.peers.source(join.addr).unwrap_or(Source::Pex);
            self.swarm.peers.encrypts(join.addr, join.encryption);
            if let Some(exchange) = &mut self.swarm.exchange {
                exchange.appears(key, join.addr, now);
            }
        }
        self.stage.enters(key, now);
        let first = self.swarm.connected.is_empty();
        if first {
            self.swarm.measured = now;
        }
        self.swarm.connected.insert(key, Peer::new(&join, source, now, self.swarm.measured));
        if first {
            // The first look comes early, so that there soon is a rate to show.
            self.look_at(now + FIRST_TICK);
        }
        let Join { addr: peer, incoming, encryption, .. } = join;
        self.out.tell(EventKind::PeerConnected { peer, incoming, encryption });
    }

    /// When connections are looked at next.
    pub(super) fn look_at(&mut self, at: Moment) {
        match self.stage.active_mut() {
            Some(active) => active.next_tick = Some(at),
            None => self.swarm.share_at = at,
        }
    }

    /// Why a connection is not let in, if so; takes its place in the client if not.
    fn refusal(&mut self, join: &Join, now: Moment, host: &mut impl Host) -> Option<DisconnectReason> {
        if !self.is_working() {
            return Some(DisconnectReason::Shutdown);
        }
        let ours = self.setup.peer_id;
        if join.id == ours {
            return Some(DisconnectReason::Ourselves);
        }
        if matches!(self.stage, Stage::FetchingMetadata(_)) && !join.extended {
            return Some(DisconnectReason::NoMetadata);
        }
        if self.swarm.is_duplicate(join.connection(now), ours, &mut self.out) {
            return Some(DisconnectReason::Duplicate);
        }
        if join.incoming && self.swarm.peers.is_banned(join.addr) {
            return Some(DisconnectReason::Crowded);
        }
        let displaced = match self.place(join, now, host) {
            Ok(displaced) => displaced,
            Err(why) => return Some(why),
        };
        if let Some(displaced) = displaced {
            self.displace(displaced, now, host);
        }
        if !host.enter() {
            return Some(DisconnectReason::Crowded);
        }
        if join.incoming {
            self.swarm.peers.accepted(join.addr, now);
        }
        None
    }

    /// Finds a place for a connection: a free one, or that of the peer returned.
    fn place(
        &self,
        join: &Join,
        now: Moment,
        host: &mut impl Host,
    ) -> Result<Option<PeerKey>, DisconnectReason> {
        let Swarm { connected, dialing, .. } = &self.swarm;
        let (used, ip) = (connected.len() as u32, join.addr.ip());
        // A peer that asks to be let in shows that places are wanted.
        let room = host.connection_room(used, used + dialing.under_way.max(1));
        let gives = |key: PeerKey, peer: &Peer| self.stage.gives(key, peer);
        let place = |(&key, peer): (&PeerKey, &Peer)| ConnectedPeer {
            ip: peer.addr.ip(),
            incoming: peer.incoming,
            gives: gives(key, peer),
            since: if peer.moves() { now } else { peer.since },
        };
        let places: Vec<ConnectedPeer> = connected.iter().map(place).collect();
        let most = room.min(dialing.max_connections);
        match admit(ip, join.incoming, &places, most, !self.stage.is_finished()) {
            Admission::Enter => Ok(None),
            Admission::Displace(at) => Ok(connected.nth(at).map(|(&key, _)| key)),
            Admission::Refuse => {
                let outranked = self.swarm.outranked(join.addr, gives, now);
                outranked.map(Some).ok_or(DisconnectReason::Crowded)
            }
        }
    }

    /// Closes the connection of a peer whose place another gets. It counts as gone at once: its thread may
    /// take a while to see it.
    fn displace(&mut self, key: PeerKey, now: Moment, host: &mut impl Host) {
        self.out.push(Action::Order(key, Order::Close(DisconnectReason::Crowded)));
        self.out.push(Action::HangUp(key));
        self.on_gone(key, DisconnectReason::Crowded, now, host);
    }

    /// A connection that was let in has ended.
    pub(super) fn on_gone(&mut self, key: PeerKey, why: DisconnectReason, now: Moment, host: &mut impl Host) {
        let Some(peer) = self.swarm.connected.remove(&key) else { return };
        host.leave();
        let why = peer.why_gone(why);
        let uploaded = host.transferred_with(key).sent;
        let mut seed = false;
        match &mut self.stage {
            Stage::FetchingMetadata(fetching) => fetching.metadata.leave(key, now),
            stage => {
                if let Some(active) = stage.active_mut() {
                    seed = active.leaves(key, &peer);
                    if uploaded > 0 && why == DisconnectReason::Lost {
                        active.look_for_changes(now, &mut self.out);
                    }
                }
            }
        }
        self.swarm.part(key, &peer, seed, why, now);
        self.out.gone(key, peer.connection(), uploaded, why);
    }

    /// Dials the addresses that the peer list offers, while there is room.
    pub(super) fn dial(&mut self, now: Moment, host: &mut impl Host) {
        let Swarm { peers, dialing, connected, .. } = &mut self.swarm;
        while let Some(addr) = dialing.next(connected.len() as u32, peers, now, host) {
            self.out.push(Action::Dial(addr, peers.wants_encryption(addr)));
        }
    }

    pub(super) fn on_dial_failed(&mut self, addr: SocketAddr, why: DisconnectReason, now: Moment) {
        let dialing = &mut self.swarm.dialing;
        dialing.over();
        dialing.refusal(addr, why).into_iter().for_each(|what| self.out.tell(EventKind::Note { what }));
        self.swarm.dial_ended(addr, why, now, &mut self.out);
    }
}

impl Active {
    /// A connection has ended; whether its peer had everything.
    fn leaves(&mut self, key: PeerKey, peer: &Peer) -> bool {
        let seed = self.picker.is_seed(key);
        self.picker.leave(key);
        if let Some(super_seed) = &mut self.super_seed {
            super_seed.leave(key);
        }
        self.rethink |= peer.interested;
        seed
    }
}

impl Swarm {
    pub(super) fn dial_due(&self, now: Moment) -> Option<Moment> {
        self.dialing.due(self.count(), &self.peers, now)
    }
}
