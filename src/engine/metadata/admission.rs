//! Who is connected while metadata is fetched: letting in, listening to, and letting go.

use std::net::SocketAddr;

use super::{Caller, Connected, Fetch, Said};
use crate::engine::conn::worker::part;
use crate::event::EventKind;
use crate::job::PeerKey;
use crate::moment::Moment;
use crate::swarm::admission::{Admission, Seat, admit};
use crate::swarm::duplicates::{self, Keep, Link};
use crate::violation::DisconnectReason;

impl Fetch {
    /// A connection asks to be let in.
    pub(super) fn on_caller(&mut self, caller: Caller) {
        let now = self.now();
        if !caller.incoming {
            self.calls.over();
        }
        if let Some(why) = self.refusal(&caller, now) {
            if !caller.incoming {
                self.peers.ended(caller.addr, why, now);
                EventKind::of_a_stranger(caller.addr, why).into_iter().for_each(|what| self.tell(what));
            }
            let _ = caller.admit.send(Err(why));
            return;
        }
        let next = &self.shared.client.next_peer;
        let key = PeerKey(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        if !caller.incoming {
            self.peers.connected(caller.addr, now);
        }
        self.metadata.join(key, now);
        let Caller { addr, incoming, id, orders, closer, admit, .. } = caller;
        self.connected.insert(
            key,
            Connected { addr, id, incoming, since: now, listens: None, orders, closer, why: None },
        );
        self.tell(EventKind::PeerConnected { peer: addr, incoming });
        // Should the connection have ended meanwhile, it tells so itself.
        let _ = admit.send(Ok(key));
    }

    /// Why a connection is not let in, if so; takes its place in the client if not.
    fn refusal(&mut self, caller: &Caller, now: Moment) -> Option<DisconnectReason> {
        if !self.is_working() {
            return Some(DisconnectReason::Shutdown);
        }
        if caller.id == self.shared.client.peer_id {
            return Some(DisconnectReason::Ourselves);
        }
        if !caller.extended {
            return Some(DisconnectReason::NoMetadata);
        }
        let new = Link { addr: caller.addr, incoming: caller.incoming, id: caller.id, since: now };
        for old in self.connected.values_mut() {
            let link = Link { addr: old.addr, incoming: old.incoming, id: old.id, since: old.since };
            match duplicates::keep(link, new, self.shared.client.peer_id) {
                Keep::Both => {}
                Keep::Old => return Some(DisconnectReason::Duplicate),
                Keep::New => {
                    old.why.get_or_insert(DisconnectReason::Duplicate);
                    old.closer.close();
                }
            }
        }
        if caller.incoming && self.peers.is_banned(caller.addr) {
            return Some(DisconnectReason::Crowded);
        }
        let displaced = match self.admit(caller) {
            Ok(displaced) => displaced,
            Err(why) => return Some(why),
        };
        if let Some(displaced) = displaced {
            self.hang_up(displaced, DisconnectReason::Crowded);
            self.on_gone(displaced, DisconnectReason::Crowded, now);
        }
        let (client, key) = (&self.shared.client, self.shared.key);
        if !client.connected.with(|places| places.enter(key)) {
            return Some(DisconnectReason::Crowded);
        }
        if caller.incoming {
            self.peers.accepted(caller.addr, now);
        }
        None
    }

    /// Finds a place for a connection: a free one, or that of the peer returned.
    fn admit(&self, caller: &Caller) -> Result<Option<PeerKey>, DisconnectReason> {
        let (key, used) = (self.shared.key, self.connected.len() as u32);
        let most = self.shared.client.connected.with(|places| {
            places.want(key, used + self.calls.under_way.max(1));
            if places.has_room(key) { places.share(key) } else { used }
        });
        let seat = |(key, peer): (&PeerKey, &Connected)| Seat {
            ip: peer.addr.ip(),
            incoming: peer.incoming,
            gives: self.metadata.is_giving(*key),
            since: peer.since,
        };
        let seats: Vec<Seat> = self.connected.iter().map(seat).collect();
        let most = most.min(self.setup.config.max_peers);
        match admit(caller.addr.ip(), caller.incoming, &seats, most, true) {
            Admission::Enter => Ok(None),
            Admission::Displace(at) => Ok(self.connected.keys().nth(at).copied()),
            Admission::Refuse => Err(DisconnectReason::Crowded),
        }
    }

    pub(super) fn on_said(&mut self, key: PeerKey, said: Said, now: Moment) {
        let Some(peer) = self.connected.get_mut(&key).filter(|peer| peer.why.is_none()) else { return };
        match said {
            Said::Shook { speaks, size, port } => {
                if let Some(port) = port.filter(|_| peer.incoming) {
                    self.peers.listening_port(peer.addr, port, now);
                    peer.listens.get_or_insert(SocketAddr::new(peer.addr.ip(), port));
                }
                self.metadata.claim(key, speaks, size, now);
            }
            Said::Data(block, bytes) => {
                self.peers.delivered(peer.addr);
                self.metadata.on_data(key, block, &bytes, now);
            }
            Said::Rejected(block) => self.metadata.on_reject(key, block, now),
            Said::Knows(exchange) => {
                let by = peer.addr.ip();
                exchange.dropped.iter().for_each(|&addr| self.peers.unheard(addr, by));
                for &(addr, flags) in &exchange.added {
                    self.peers.heard(addr, flags.is_seed(), by, now);
                }
            }
        }
    }

    pub(super) fn hang_up(&mut self, key: PeerKey, why: DisconnectReason) {
        let Some(peer) = self.connected.get_mut(&key) else { return };
        peer.why.get_or_insert(why);
        part(&peer.closer, why);
    }

    /// A connection that was let in has ended.
    pub(super) fn on_gone(&mut self, key: PeerKey, why: DisconnectReason, now: Moment) {
        let Some(peer) = self.connected.remove(&key) else { return };
        self.shared.client.connected.with(|places| places.leave(self.shared.key));
        self.metadata.leave(key, now);
        let why = peer.why.unwrap_or(why);
        self.peers.ended(peer.addr, why, now);
        if let DisconnectReason::Violation(misdeed) = why {
            self.tell(EventKind::PeerBanned { peer: peer.addr, misdeed });
        }
        self.tell(EventKind::PeerGone { peer: peer.addr, id: Some(peer.id), uploaded: 0, why });
    }
}
