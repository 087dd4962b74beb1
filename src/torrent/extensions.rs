//! What the connected peers say of themselves (BEP 10), and which peers they know (BEP 11).
//!
//! A peer that dialed us can be dialed itself only once it has said at which port; only then is it known to
//! the peer list, and are others told of it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::action::Action;
use super::host::Host;
use super::state::{Active, Peer, Torrent};
use crate::job::PeerKey;
use crate::moment::Moment;
use crate::orders::Order;
use crate::violation::DisconnectReason;
use crate::wire::extended::ExtendedHandshake;
use crate::wire::pex::{Flags, PexMessage};

impl Torrent {
    /// A peer said something of itself; later ones tell what changed.
    pub(super) fn on_introduced(
        &mut self,
        key: PeerKey,
        handshake: ExtendedHandshake,
        now: Moment,
        host: &mut impl Host,
    ) {
        let Some(active) = self.stage.active_mut() else { return };
        let Some(peer) = active.connected.get_mut(&key) else { return };
        let ip = peer.addr.ip();
        peer.client = handshake.client.or(peer.client.take());
        if let Some(prefers) = handshake.encryption {
            peer.prefers_encryption = prefers;
        }
        if peer.prefers_encryption {
            active.peers.prefers_encryption(peer.addr);
        }
        if let Some(upload_only) = handshake.upload_only {
            active.rethink |= peer.interested && peer.upload_only != upload_only;
            peer.upload_only = upload_only;
        }
        let elsewhere = match peer.addr.ip().to_canonical() {
            IpAddr::V4(_) => handshake.ipv6.map(IpAddr::from),
            IpAddr::V6(_) => handshake.ipv4.map(IpAddr::from),
        };
        peer.elsewhere = elsewhere.or(peer.elsewhere);
        if active.finished && peer.upload_only {
            peer.close(key, DisconnectReason::BothSeeds, &mut self.out);
        }
        if let Some(port) = handshake.port.filter(|_| peer.incoming) {
            let mut listens = peer.addr;
            listens.set_port(port);
            active.peers.listening_port(peer.addr, port, now);
            if let Some(exchange) = &mut active.exchange {
                exchange.appears(key, listens, now);
            }
        }
        if elsewhere.is_some() {
            active.close_second(key, &mut self.out);
        }
        match (&mut active.exchange, handshake.m.ut_pex) {
            (Some(exchange), Some(0)) => exchange.refuses(key),
            (Some(exchange), Some(_)) => exchange.takes(key, ip, now),
            _ => {}
        }
        if let Some(own) = handshake.your_ip.and_then(|own| host.vote_external_ip(own, ip)) {
            self.out.push(Action::ExternalIp(own));
            active.peers.located(SocketAddr::new(own, self.setup.port));
        }
    }

    /// A peer told us which peers it is connected to.
    pub(super) fn on_exchanged(&mut self, key: PeerKey, exchange: &PexMessage, now: Moment) {
        let Some(active) = self.stage.active_mut() else { return };
        let Some(peer) = active.connected.get(&key).filter(|_| active.exchange.is_some()) else { return };
        let by = peer.addr.ip();
        for &addr in &exchange.dropped {
            active.peers.unheard(addr, by);
        }
        for &(addr, flags) in &exchange.added {
            active.peers.heard(addr, flags, by, now);
        }
    }

    /// Tells peers which others we are connected to, when it is time.
    pub(super) fn exchange_when_due(&mut self, now: Moment) {
        let Some(active) = self.stage.active_mut() else { return };
        let Some(exchange) = &mut active.exchange else { return };
        if exchange.deadline().is_none_or(|due| due > now) {
            return;
        }
        let (connected, picker) = (&active.connected, &active.picker);
        let flags = |key: PeerKey| {
            connected.get(&key).map_or(Flags::default(), |peer| flags(peer, picker.is_seed(key)))
        };
        for (key, message) in exchange.messages(flags, now) {
            if connected.contains_key(&key) {
                self.out.push(Action::Order(key, Order::Exchange(Arc::new(message))));
            }
        }
    }
}

impl Active {
    /// A connection has ended. Others may have a use for one that we had none for.
    pub(super) fn part(&mut self, key: PeerKey, peer: &Peer, seed: bool, why: DisconnectReason, now: Moment) {
        if let Some(exchange) = &mut self.exchange {
            let parted = matches!(why, DisconnectReason::BothSeeds | DisconnectReason::Crowded);
            exchange.leaves(key, parted.then(|| flags(peer, seed)), now);
        }
    }
}

/// The flags of a peer in an exchange.
fn flags(peer: &Peer, seed: bool) -> Flags {
    let flag = |flag, set: bool| if set { flag } else { 0 };
    Flags(
        flag(Flags::SEED, seed || peer.upload_only)
            | flag(Flags::REACHABLE, !peer.incoming)
            | flag(Flags::ENCRYPTION, peer.prefers_encryption),
    )
}
