//! Who the connected peers say they are (BEP 10), and whom they know (BEP 11).
//!
//! A peer that called us can be called itself only once it has said at which port; only then is it
//! known to the peer list, and are others told of it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::admission::Peer;
use super::{Active, Foreman};
use crate::job::PeerKey;
use crate::moment::Moment;
use crate::orders::Order;
use crate::violation::DisconnectReason;
use crate::wire::extended::ExtendedHandshake;
use crate::wire::pex::{Flags, PexMessage};

impl Foreman {
    /// A peer said something of itself; later ones tell what changed.
    pub(super) fn on_introduced(&mut self, key: PeerKey, handshake: ExtendedHandshake) {
        let (now, finished) = (self.now(), self.finished);
        let Some(active) = &mut self.active else { return };
        let Some(peer) = active.connected.get_mut(&key) else { return };
        let ip = peer.addr.ip();
        peer.client = handshake.client.or(peer.client.take());
        peer.encryption = handshake.encryption.unwrap_or(peer.encryption);
        if let Some(upload_only) = handshake.upload_only {
            active.rethink |= peer.interested && peer.upload_only != upload_only;
            peer.upload_only = upload_only;
        }
        let elsewhere = match peer.addr.ip().to_canonical() {
            IpAddr::V4(_) => handshake.ipv6.map(IpAddr::from),
            IpAddr::V6(_) => handshake.ipv4.map(IpAddr::from),
        };
        peer.elsewhere = elsewhere.or(peer.elsewhere);
        if finished && peer.upload_only {
            peer.order(Order::Close(DisconnectReason::BothSeeds));
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
            active.part_with_the_second(key);
        }
        match (&mut active.exchange, handshake.m.ut_pex) {
            (Some(exchange), Some(0)) => exchange.refuses(key),
            (Some(exchange), Some(_)) => exchange.takes(key, ip, now),
            _ => {}
        }
        let client = &self.setup.client;
        if let Some(own) = handshake.your_ip.and_then(|own| client.external.told(own, ip)) {
            client.dht.iter().for_each(|dht| dht.external_ip(own));
            active.peers.located(SocketAddr::new(own, client.port));
        }
    }

    /// A peer told whom it is connected to.
    pub(super) fn on_exchanged(&mut self, key: PeerKey, exchange: &PexMessage) {
        let now = self.now();
        let Some(active) = &mut self.active else { return };
        let Some(peer) = active.connected.get(&key).filter(|_| active.exchange.is_some()) else { return };
        let by = peer.addr.ip();
        for &addr in &exchange.dropped {
            active.peers.unheard(addr, by);
        }
        for &(addr, flags) in &exchange.added {
            active.peers.heard(addr, flags.is_seed(), by, now);
        }
    }

    /// Tells peers whom else we are connected to, when it is time.
    pub(super) fn exchange_when_due(&mut self, now: Moment) {
        let Some(active) = &mut self.active else { return };
        let Some(exchange) = &mut active.exchange else { return };
        if exchange.deadline().is_none_or(|due| due > now) {
            return;
        }
        let (connected, picker) = (&active.connected, &active.picker);
        let flags = |key: PeerKey| {
            connected.get(&key).map_or(Flags::default(), |peer| flags(peer, picker.is_seed(key)))
        };
        for (key, message) in exchange.messages(flags, now) {
            if let Some(peer) = active.connected.get_mut(&key) {
                peer.order(Order::Exchange(Arc::new(message)));
            }
        }
        active.drop_deaf();
    }
}

impl Active {
    /// Everyone learns that nothing more is wanted, unless that is a secret (BEP 16).
    pub(super) fn tell_upload_only(&mut self) {
        if self.super_seed.is_none() {
            self.connected.values_mut().for_each(|peer| peer.order(Order::UploadOnly(true)));
        }
    }

    /// A connection has ended. One that we had no use for others may have.
    pub(super) fn part(&mut self, key: PeerKey, peer: &Peer, seed: bool, why: DisconnectReason, now: Moment) {
        if let Some(exchange) = &mut self.exchange {
            let parted = matches!(why, DisconnectReason::BothSeeds | DisconnectReason::Crowded);
            exchange.leaves(key, parted.then(|| flags(peer, seed)), now);
        }
    }
}

/// What there is to say about a peer.
fn flags(peer: &Peer, seed: bool) -> Flags {
    let flag = |flag, set: bool| if set { flag } else { 0 };
    Flags(
        flag(Flags::SEED, seed || peer.upload_only)
            | flag(Flags::REACHABLE, !peer.incoming)
            | flag(Flags::ENCRYPTION, peer.encryption),
    )
}
