//! Who is connected: dialling, letting in, and what is left when a connection ends.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError};

use super::{Active, Foreman, Setup};
use crate::engine::conn::join::{Accepted, JoinRequest};
use crate::engine::door::Door;
use crate::engine::runtime::counters::{ByteCounters, Counters};
use crate::event::{EventKind, PeerSnapshot};
use crate::id::PeerId;
use crate::job::PeerKey;
use crate::moment::Moment;
use crate::orders::Order;
use crate::swarm::admission::{Admission, Seat, admit};
use crate::swarm::duplicates::{self, Keep, Link};
use crate::transport::Closer;
use crate::violation::DisconnectReason;

/// How long after the first peer came rates are measured first.
const FIRST_TICK: Duration = Duration::from_millis(300);

/// How long a connection may stay idle before one that ranks higher takes its place.
const SETTLED: Duration = Duration::from_secs(60);

/// With more pieces than this a connection from before the torrent is not taken over.
const MOST_HAVES: u32 = 2_000;

/// A connected peer.
pub(super) struct Peer {
    pub(super) addr: SocketAddr,
    pub(super) incoming: bool,
    pub(super) id: PeerId,
    /// What it calls its program, and what it wants (BEP 10, BEP 21).
    pub(super) client: Option<String>,
    pub(super) upload_only: bool,
    pub(super) encryption: bool,
    /// Its address of the other family, as it says.
    pub(super) elsewhere: Option<IpAddr>,
    pub(super) orders: Sender<Order>,
    pub(super) tally: Arc<ByteCounters>,
    pub(super) closer: Closer,
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
    /// Its bytes when last measured, and what came of it a second.
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) down_rate: u64,
    pub(super) up_rate: u64,
    /// An order did not fit its queue: it is as good as gone.
    pub(super) deaf: bool,
    /// It was told to hang up.
    pub(super) leaving: bool,
}

impl Peer {
    fn link(&self) -> Link {
        Link { addr: self.addr, incoming: self.incoming, id: self.id, since: self.since }
    }

    /// Gives an order; a worker that is too far behind is given up.
    pub(super) fn order(&mut self, order: Order) {
        self.leaving |= matches!(order, Order::Close(_));
        if let Err(TrySendError::Full(_)) = self.orders.try_send(order) {
            self.deaf = true;
        }
    }
}

impl Active {
    /// Everyone hangs up.
    pub(super) fn dismiss_all(&mut self, why: DisconnectReason) {
        for peer in self.connected.values_mut() {
            peer.order(Order::Close(why));
        }
        self.drop_deaf();
    }

    /// Whoever has not hung up yet is hung up on: a worker may be writing to a peer that does not read.
    pub(super) fn hang_up_all(&self) {
        self.connected.values().for_each(|peer| peer.closer.hang_up());
    }

    /// A deaf worker loses its order queue, which it takes for a goodbye.
    pub(super) fn drop_deaf(&mut self) {
        for peer in self.connected.values_mut().filter(|peer| peer.deaf) {
            peer.orders = crossbeam_channel::bounded(0).0;
            peer.deaf = false;
        }
    }

    /// Who makes way for a newcomer, where every place is taken: only one with whom nothing has been
    /// going on, and that cannot give us anything now.
    fn outranked(&self, newcomer: SocketAddr, now: Moment) -> Option<PeerKey> {
        let is_idle = |peer: &Peer| {
            let moves = peer.down_rate + peer.up_rate > 0;
            let may_move = peer.wanted && !peer.choking || peer.interested && !peer.choked;
            // One that is going makes way for one newcomer, not for each that comes before it has gone.
            !moves && !may_move && !peer.leaving && now - peer.since >= SETTLED
        };
        let idle = || self.connected.iter().filter(|(_, peer)| is_idle(peer));
        let addr = self.peers.outranked(newcomer, idle().map(|(_, peer)| peer.addr))?;
        idle().find(|(_, peer)| peer.addr == addr).map(|(&key, _)| key)
    }

    /// Whether an arrival is of a peer that is connected already, and is to go for it. Where it is
    /// the older connection that is to go, that one is told to.
    fn is_duplicate(&mut self, arrival: &JoinRequest, ours: PeerId, now: Moment) -> bool {
        let JoinRequest { addr, incoming, handshake, .. } = arrival;
        let new = Link { addr: *addr, incoming: *incoming, id: handshake.peer_id, since: now };
        for old in self.connected.values_mut() {
            match duplicates::keep(old.link(), new, ours) {
                Keep::Both => {}
                Keep::Old => return true,
                Keep::New => old.order(Order::Close(DisconnectReason::Duplicate)),
            }
        }
        false
    }

    /// A peer has said where else it is. Should that be where another connection is to, and that one say the
    /// same of this, they are one peer: the later connection goes.
    pub(super) fn part_with_the_second(&mut self, key: PeerKey) {
        let Some(one) = self.connected.get(&key) else { return };
        let same = |(_, other): &(&PeerKey, &Peer)| {
            duplicates::are_one(one.link(), one.elsewhere, other.link(), other.elsewhere)
        };
        let Some(other) = self.connected.iter().find(same).map(|(&other, _)| other) else { return };
        if let Some(later) = self.connected.get_mut(&key.max(other)) {
            later.order(Order::Close(DisconnectReason::Duplicate));
        }
    }
}

impl Active {
    /// Finds a place for a connection: a free one, or that of the peer returned.
    fn admit(
        &self,
        arrival: &JoinRequest,
        setup: &Setup,
        finished: bool,
        now: Moment,
    ) -> Result<Option<PeerKey>, DisconnectReason> {
        let used = self.connected.len() as u32;
        let most = setup.client.connected.with(|places| {
            // A peer that asks to be let in shows that places are wanted.
            places.want(setup.key, used + self.calls.under_way.max(1));
            if places.has_room(setup.key) { places.share(setup.key) } else { used }
        });
        let most = most.min(self.share.connections);
        let idle_since = |peer: &Peer| if peer.down_rate + peer.up_rate > 0 { now } else { peer.since };
        let seat = |peer: &Peer| Seat {
            ip: peer.addr.ip(),
            incoming: peer.incoming,
            gives: peer.down_rate > 0,
            since: idle_since(peer),
        };
        let seats: Vec<Seat> = self.connected.values().map(seat).collect();
        match admit(arrival.addr.ip(), arrival.incoming, &seats, most, !finished) {
            Admission::Enter => Ok(None),
            Admission::Displace(at) => Ok(self.connected.keys().nth(at).copied()),
            Admission::Refuse => self.outranked(arrival.addr, now).map(Some).ok_or(DisconnectReason::Crowded),
        }
    }
}

impl Foreman {
    /// Who is connected.
    pub(super) fn peers(&self) -> Vec<PeerSnapshot> {
        let Some(active) = &self.active else { return Vec::new() };
        let snapshot = |(key, peer): (&PeerKey, &Peer)| PeerSnapshot {
            addr: peer.addr,
            id: peer.id,
            client: peer.client.clone(),
            incoming: peer.incoming,
            pieces: active.picker.held_by(*key),
            down_rate: peer.down_rate,
            up_rate: peer.up_rate,
            uploaded: Counters::read(&peer.tally.sent),
        };
        active.connected.iter().map(snapshot).collect()
    }

    pub(super) fn dial_due(&self, active: &Active) -> Option<Moment> {
        active.calls.due(active.connected.len() as u32, &active.peers, self.now())
    }

    /// Dials whom the peer list names, while there is room.
    pub(super) fn dial(&mut self, now: Moment) {
        let Some(active) = &mut self.active else { return };
        let door = Door::Torrent(active.shared.clone());
        active.calls.make(&door, active.connected.len() as u32, &mut active.peers, now);
    }

    /// Tells how many places are wanted, and gives back those that others lack: first the
    /// connections that move least.
    pub(super) fn share_places(&mut self) {
        let (client, key) = (self.setup.client.clone(), self.setup.key);
        let Some(active) = &mut self.active else { return };
        let used = active.connected.len() as u32 + active.calls.under_way;
        client.calling.with(|places| places.want(key, active.calls.under_way));
        let owed = client.connected.with(|places| {
            places.want(key, used);
            places.owed(key)
        });
        if owed == 0 {
            return;
        }
        let mut peers: Vec<&mut Peer> = active.connected.values_mut().collect();
        peers.sort_by_key(|peer| (peer.down_rate + peer.up_rate, peer.interested || peer.wanted, peer.since));
        for peer in peers.into_iter().take(owed as usize) {
            peer.order(Order::Close(DisconnectReason::Crowded));
        }
        active.drop_deaf();
    }

    pub(super) fn on_dial_failed(&mut self, addr: SocketAddr, why: DisconnectReason) {
        let now = self.now();
        let Some(active) = &mut self.active else { return };
        active.calls.over();
        active.peers.ended(addr, why, now);
        EventKind::of_a_stranger(addr, why).into_iter().for_each(|what| self.tell(what));
    }

    /// A connection asks to be let in.
    pub(super) fn on_arrival(&mut self, arrival: JoinRequest) {
        let now = self.now();
        let refused = self.refusal(&arrival);
        let Some(active) = &mut self.active else { return };
        if !arrival.incoming && !arrival.parked {
            active.calls.over();
        }
        if let Some(why) = refused {
            if !arrival.incoming {
                active.peers.ended(arrival.addr, why, now);
                EventKind::of_a_stranger(arrival.addr, why).into_iter().for_each(|what| self.tell(what));
            }
            let _ = arrival.admit.send(Err(why));
            return;
        }
        let key = PeerKey(self.setup.client.next_peer.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let welcome = Accepted {
            key,
            have: active.shown(),
            cursor: active.shared.journal.len(),
            upload_only: self.finished && active.super_seed.is_none(),
        };
        if arrival.admit.send(Ok(welcome)).is_err() {
            self.setup.client.connected.with(|places| places.leave(self.setup.key));
            return active.peers.ended(arrival.addr, DisconnectReason::Lost, now);
        }
        if !arrival.incoming {
            active.peers.connected(arrival.addr, now);
            if let Some(exchange) = &mut active.exchange {
                exchange.appears(key, arrival.addr, now);
            }
        }
        active.picker.join(key);
        if let Some(super_seed) = &mut active.super_seed {
            super_seed.join(key, now);
        }
        let peer = Peer {
            addr: arrival.addr,
            incoming: arrival.incoming,
            id: arrival.handshake.peer_id,
            client: None,
            upload_only: false,
            encryption: false,
            elsewhere: None,
            orders: arrival.orders,
            tally: arrival.tally,
            closer: arrival.closer,
            since: now,
            interested: false,
            choking: true,
            choked: true,
            snubbed: false,
            wanted: false,
            received: 0,
            sent: 0,
            down_rate: 0,
            up_rate: 0,
            deaf: false,
            leaving: false,
        };
        active.connected.insert(key, peer);
        if active.connected.len() == 1 {
            // The first look comes early, so that there soon is a rate to show.
            self.next_tick = Some(now + FIRST_TICK);
        }
        if !arrival.parked {
            self.tell(EventKind::PeerConnected { peer: arrival.addr, incoming: arrival.incoming });
        }
    }

    /// Why a connection is not let in, if so; takes its place in the client if not.
    fn refusal(&mut self, arrival: &JoinRequest) -> Option<DisconnectReason> {
        if !self.is_working() {
            return Some(DisconnectReason::Shutdown);
        }
        let (ours, now) = (self.setup.client.peer_id, self.now());
        let active = self.active.as_mut()?;
        if arrival.handshake.peer_id == ours {
            return Some(DisconnectReason::Ourselves);
        }
        if active.is_duplicate(arrival, ours, now) {
            return Some(DisconnectReason::Duplicate);
        }
        // Each piece that we have would have to be told on its own.
        if arrival.parked && active.picker.have().count() > MOST_HAVES {
            return Some(DisconnectReason::Shutdown);
        }
        if arrival.incoming && active.peers.is_banned(arrival.addr) {
            return Some(DisconnectReason::Crowded);
        }
        let displaced = match active.admit(arrival, &self.setup, self.finished, now) {
            Ok(displaced) => displaced,
            Err(why) => return Some(why),
        };
        if let Some(displaced) = displaced {
            self.displace(displaced);
        }
        let (client, key) = (&self.setup.client, self.setup.key);
        if !client.connected.with(|places| places.enter(key)) {
            return Some(DisconnectReason::Crowded);
        }
        if arrival.incoming {
            self.active.as_mut()?.peers.accepted(arrival.addr, now);
        }
        None
    }

    /// Closes the connection of a peer whose place another gets. It counts as gone at once: the thread
    /// of the connection may take a while to see it.
    fn displace(&mut self, key: PeerKey) {
        let Some(peer) = self.active.as_mut().and_then(|active| active.connected.get_mut(&key)) else {
            return;
        };
        peer.order(Order::Close(DisconnectReason::Crowded));
        peer.closer.hang_up();
        self.on_gone(key, DisconnectReason::Crowded);
    }

    /// A connection that was let in has ended.
    pub(super) fn on_gone(&mut self, key: PeerKey, why: DisconnectReason) {
        let now = self.now();
        let Some(active) = &mut self.active else { return };
        let Some(peer) = active.connected.remove(&key) else { return };
        self.setup.client.connected.with(|places| places.leave(self.setup.key));
        let seed = active.picker.is_seed(key);
        active.picker.leave(key);
        if let Some(super_seed) = &mut active.super_seed {
            super_seed.leave(key);
        }
        active.part(key, &peer, seed, why, now);
        active.peers.ended(peer.addr, why, now);
        active.rethink |= peer.interested;
        if let DisconnectReason::Violation(misdeed) = why {
            self.tell(EventKind::PeerBanned { peer: peer.addr, misdeed });
        }
        let uploaded = Counters::read(&peer.tally.sent);
        self.tell(EventKind::PeerGone { peer: peer.addr, id: Some(peer.id), uploaded, why });
    }
}
