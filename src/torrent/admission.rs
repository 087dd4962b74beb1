//! Connected peers: dialing, accepting, and the consequences when a connection ends.

use std::net::SocketAddr;
use std::time::Duration;

use super::action::{Action, Actions};
use super::host::Host;
use super::input::Join;
use super::state::{Active, Peer, Stage, Torrent};
use crate::event::{EventKind, PeerSnapshot};
use crate::id::PeerId;
use crate::job::PeerKey;
use crate::moment::Moment;
use crate::orders::Order;
use crate::sorted::SortedMap;
use crate::swarm::admission::{Admission, Seat, admit};
use crate::swarm::duplicates::{self, Keep, Link};
use crate::swarm::peers::PeerList;
use crate::violation::DisconnectReason;

/// How long after the first peer came rates are measured first.
const FIRST_TICK: Duration = Duration::from_millis(300);

/// How long a connection may stay idle before one that ranks higher takes its place.
const SETTLED: Duration = Duration::from_secs(60);

/// With more pieces than this a connection from before the torrent is not taken over.
const MAX_HAVES: u32 = 2_000;

/// Whether a new connection is to a peer that is connected already, and is to go for it. Where the older
/// connection is to go, it is closed.
pub(super) fn is_duplicate<P>(
    connected: &mut SortedMap<PeerKey, P>,
    link: impl Fn(&P) -> Link,
    new: Link,
    ours: PeerId,
    mut close: impl FnMut(PeerKey, &mut P),
) -> bool {
    for (&key, old) in connected.iter_mut() {
        match duplicates::keep(link(old), new, ours) {
            Keep::Both => {}
            Keep::Old => return true,
            Keep::New => close(key, old),
        }
    }
    false
}

/// No connection comes of a dial.
pub(super) fn dial_ended(
    peers: &mut PeerList,
    addr: SocketAddr,
    why: DisconnectReason,
    now: Moment,
    out: &mut Actions,
) {
    peers.ended(addr, why, now);
    EventKind::of_a_stranger(addr, why).into_iter().for_each(|what| out.tell(what));
}

impl Active {
    /// Every connection ends.
    pub(super) fn dismiss_all(&mut self, why: DisconnectReason, out: &mut Actions) {
        for (&key, peer) in self.connected.iter_mut() {
            peer.close(key, why, out);
        }
    }

    /// The connection that makes way for a newcomer where every place is taken: only one over which
    /// nothing moves, and whose peer cannot give us anything now.
    fn outranked(&self, newcomer: SocketAddr, now: Moment) -> Option<PeerKey> {
        let is_idle = |peer: &Peer| {
            let may_move = peer.wanted && !peer.choking || peer.interested && !peer.choked;
            // One that is going makes way for one newcomer, not for each that comes before it has gone.
            !peer.moves() && !may_move && !peer.leaving && now - peer.since >= SETTLED
        };
        let idle = || self.connected.iter().filter(|(_, peer)| is_idle(peer));
        let addr = self.peers.outranked(newcomer, idle().map(|(_, peer)| peer.addr))?;
        idle().find(|(_, peer)| peer.addr == addr).map(|(&key, _)| key)
    }

    /// A peer has said where else it is. Should that be where another connection is to, and that one say the
    /// same of this, they are one peer: the later connection goes.
    pub(super) fn close_second(&mut self, key: PeerKey, out: &mut Actions) {
        let Some(one) = self.connected.get(&key) else { return };
        let same = |(_, other): &(&PeerKey, &Peer)| {
            duplicates::are_one(one.link(), one.elsewhere, other.link(), other.elsewhere)
        };
        let Some(other) = self.connected.iter().find(same).map(|(&other, _)| other) else { return };
        let later = key.max(other);
        if let Some(peer) = self.connected.get_mut(&later) {
            peer.close(later, DisconnectReason::Duplicate, out);
        }
    }

    /// Finds a place for a connection: a free one, or that of the peer returned.
    fn admit(
        &self,
        join: &Join,
        now: Moment,
        host: &mut impl Host,
    ) -> Result<Option<PeerKey>, DisconnectReason> {
        let used = self.connected.len() as u32;
        // A peer that asks to be let in shows that places are wanted.
        let room = host.connection_room(used, used + self.dialing.under_way.max(1));
        let seat = |peer: &Peer| Seat {
            ip: peer.addr.ip(),
            incoming: peer.incoming,
            gives: peer.down.rate() > 0,
            since: if peer.moves() { now } else { peer.since },
        };
        let seats: Vec<Seat> = self.connected.values().map(seat).collect();
        match admit(join.addr.ip(), join.incoming, &seats, room.min(self.max_connections), !self.finished) {
            Admission::Enter => Ok(None),
            Admission::Displace(at) => Ok(self.connected.nth(at).map(|(&key, _)| key)),
            Admission::Refuse => self.outranked(join.addr, now).map(Some).ok_or(DisconnectReason::Crowded),
        }
    }
}

impl Torrent {
    /// The connected peers.
    pub fn peers(&self, host: &impl Host) -> Vec<PeerSnapshot> {
        let Some(active) = self.stage.active() else { return Vec::new() };
        let snapshot = |(&key, peer): (&PeerKey, &Peer)| PeerSnapshot {
            addr: peer.addr,
            id: peer.id,
            client: peer.client.clone(),
            incoming: peer.incoming,
            encryption: peer.encryption,
            pieces: active.picker.held_by(key),
            down_rate: peer.down.rate(),
            up_rate: peer.up.rate(),
            uploaded: host.transferred_with(key).sent,
        };
        active.connected.iter().map(snapshot).collect()
    }

    /// Tells how many places are wanted, and gives back those that other torrents lack: first the
    /// connections that move least.
    pub(super) fn share_places(&mut self, host: &mut impl Host) {
        let Some(active) = self.stage.active_mut() else { return };
        let dialing = active.dialing.under_way;
        let owed = host.owed(active.connected.len() as u32 + dialing, dialing);
        if owed == 0 {
            return;
        }
        let mut peers: Vec<(&PeerKey, &mut Peer)> = active.connected.iter_mut().collect();
        peers.sort_by_key(|(_, peer)| {
            (peer.down.rate() + peer.up.rate(), peer.interested || peer.wanted, peer.since)
        });
        for (&key, peer) in peers.into_iter().take(owed as usize) {
            peer.close(key, DisconnectReason::Crowded, &mut self.out);
        }
    }

    /// A connection asks to be let in.
    pub(super) fn on_join(&mut self, join: Join, now: Moment, host: &mut impl Host) {
        if let Stage::FetchingMetadata(_) = self.stage {
            return self.on_metadata_join(join, now, host);
        }
        let refused = self.refusal(&join, now, host);
        let Some(active) = self.stage.active_mut() else {
            return self.out.push(Action::Refuse(DisconnectReason::Shutdown));
        };
        if !join.incoming && !join.parked {
            active.dialing.over();
        }
        if let Some(why) = refused {
            if !join.incoming {
                dial_ended(&mut active.peers, join.addr, why, now, &mut self.out);
            }
            return self.out.push(Action::Refuse(why));
        }
        let key = host.new_key();
        let upload_only = active.finished && active.super_seed.is_none();
        self.out.push(Action::Accept { key, have: active.shown(), upload_only });
        if !join.incoming {
            active.peers.connected(join.addr, now);
            active.peers.encrypts(join.addr, join.encryption);
            if let Some(exchange) = &mut active.exchange {
                exchange.appears(key, join.addr, now);
            }
        }
        active.picker.join(key);
        if let Some(super_seed) = &mut active.super_seed {
            super_seed.join(key, now);
        }
        let first = active.connected.is_empty();
        if first {
            active.measured = now;
        }
        active.connected.insert(key, Peer::new(&join, now, active.measured));
        if first {
            // The first look comes early, so that there soon is a rate to show.
            active.next_tick = Some(now + FIRST_TICK);
        }
        if !join.parked {
            let Join { addr: peer, incoming, encryption, .. } = join;
            self.out.tell(EventKind::PeerConnected { peer, incoming, encryption });
        }
    }

    /// Why a connection is not let in, if so; takes its place in the client if not.
    fn refusal(&mut self, join: &Join, now: Moment, host: &mut impl Host) -> Option<DisconnectReason> {
        if !self.is_working() {
            return Some(DisconnectReason::Shutdown);
        }
        let ours = self.setup.peer_id;
        let active = self.stage.active_mut()?;
        if join.id == ours {
            return Some(DisconnectReason::Ourselves);
        }
        let out = &mut self.out;
        let close = |key, old: &mut Peer| old.close(key, DisconnectReason::Duplicate, out);
        if is_duplicate(&mut active.connected, Peer::link, join.link(now), ours, close) {
            return Some(DisconnectReason::Duplicate);
        }
        // Each piece that we have would have to be told on its own.
        if join.parked && active.picker.have().count() > MAX_HAVES {
            return Some(DisconnectReason::Shutdown);
        }
        if join.incoming && active.peers.is_banned(join.addr) {
            return Some(DisconnectReason::Crowded);
        }
        let displaced = match active.admit(join, now, host) {
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
            self.stage.active_mut()?.peers.accepted(join.addr, now);
        }
        None
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
        if let Stage::FetchingMetadata(_) = self.stage {
            return self.on_metadata_gone(key, why, now, host);
        }
        let Some(active) = self.stage.active_mut() else { return };
        let Some(peer) = active.connected.remove(&key) else { return };
        host.leave();
        let seed = active.picker.is_seed(key);
        active.picker.leave(key);
        if let Some(super_seed) = &mut active.super_seed {
            super_seed.leave(key);
        }
        active.part(key, &peer, seed, why, now);
        active.peers.ended(peer.addr, why, now);
        active.rethink |= peer.interested;
        let uploaded = host.transferred_with(key).sent;
        if uploaded > 0 && why == DisconnectReason::Lost {
            active.look_for_changes(now, &mut self.out);
        }
        self.out.gone(key, peer.link(), uploaded, why);
    }
}

impl Active {
    pub(super) fn dial_due(&self, now: Moment) -> Option<Moment> {
        self.dialing.due(self.connected.len() as u32, &self.peers, now)
    }
}

impl Torrent {
    /// Dials the addresses that the peer list offers, while there is room.
    pub(super) fn dial(&mut self, now: Moment, host: &mut impl Host) {
        let Some(active) = self.stage.active_mut() else { return };
        let connected = active.connected.len() as u32;
        while let Some(addr) = active.dialing.next(connected, &mut active.peers, now, host) {
            self.out.push(Action::Dial(addr, active.peers.wants_encryption(addr)));
        }
    }

    pub(super) fn on_dial_failed(&mut self, addr: SocketAddr, why: DisconnectReason, now: Moment) {
        let (dialing, peers) = match &mut self.stage {
            Stage::FetchingMetadata(fetching) => (&mut fetching.dialing, &mut fetching.peers),
            stage => match stage.active_mut() {
                Some(active) => (&mut active.dialing, &mut active.peers),
                None => return,
            },
        };
        dialing.over();
        dialing.refusal(addr, why).into_iter().for_each(|what| self.out.tell(EventKind::Note { what }));
        dial_ended(peers, addr, why, now, &mut self.out);
    }
}
