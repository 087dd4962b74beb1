//! What the connected peers say of themselves (BEP 10), and which peers they know (BEP 11).
//!
//! A peer that dialed us can be dialed itself only once it has said at which port; only then is it known to
//! the peer list, and are others told of it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::action::Action;
use super::host::Host;
use super::state::{Stage, Torrent};
use super::swarm::Swarm;
use crate::job::PeerKey;
use crate::moment::Moment;
use crate::orders::Order;
use crate::violation::DisconnectReason;
use crate::wire::extended::ExtendedHandshake;
use crate::wire::pex::{Flags, PexMessage};

impl Torrent {
    /// A peer said something of itself; later ones tell what changed.
    pub(super) fn on_extension_handshake(
        &mut self,
        key: PeerKey,
        handshake: ExtendedHandshake,
        now: Moment,
        host: &mut impl Host,
    ) {
        if let Stage::FetchingMetadata(fetching) = &mut self.stage {
            fetching.on_extension_handshake(key, &handshake, now);
        }
        let Swarm { connected, peers, exchange, .. } = &mut self.swarm;
        let Some(peer) = connected.get_mut(&key) else { return };
        let ip = peer.addr.ip();
        peer.client = handshake.client.or(peer.client.take());
        peer.prefers_encryption = handshake.encryption.unwrap_or(peer.prefers_encryption);
        if let Some(upload_only) = handshake.upload_only {
            if let Some(active) = self.stage.active_mut() {
                active.rethink |= peer.interested && peer.upload_only != upload_only;
            }
            peer.upload_only = upload_only;
        }
        let elsewhere = match peer.addr.ip().to_canonical() {
            IpAddr::V4(_) => handshake.ipv6.map(IpAddr::from),
            IpAddr::V6(_) => handshake.ipv4.map(IpAddr::from),
        };
        peer.elsewhere = elsewhere.or(peer.elsewhere);
        if self.stage.is_finished() && peer.upload_only {
            peer.close(key, DisconnectReason::BothSeeds, &mut self.out);
        }
        if let Some(port) = handshake.port.filter(|_| peer.incoming) {
            let mut listens = peer.addr;
            listens.set_port(port);
            peers.listening_port(peer.addr, port, now);
            if let Some(exchange) = exchange {
                exchange.appears(key, listens, now);
            }
        }
        if peer.prefers_encryption {
            peers.prefers_encryption(peer.addr);
        }
        match (exchange, handshake.m.ut_pex) {
            (Some(exchange), Some(0)) => exchange.refuses(key),
            (Some(exchange), Some(_)) => exchange.takes(key, ip, now),
            _ => {}
        }
        if elsewhere.is_some() {
            self.swarm.close_second(key, &mut self.out);
        }
        if let Some(own) = handshake.your_ip.and_then(|own| host.vote_external_ip(own, ip)) {
            self.out.push(Action::ExternalIp(own));
            self.swarm.peers.located(SocketAddr::new(own, self.setup.port));
        }
    }

    /// A peer told us which peers it is connected to.
    pub(super) fn on_exchanged(&mut self, key: PeerKey, exchange: &PexMessage, now: Moment) {
        let Some(peer) = self.swarm.connected.get(&key).filter(|_| self.swarm.exchange.is_some()) else {
            return;
        };
        let by = peer.addr.ip();
        for &addr in &exchange.dropped {
            self.swarm.peers.unheard(addr, by);
        }
        for &(addr, flags) in &exchange.added {
            self.swarm.peers.heard(addr, flags, by, now);
        }
    }

    /// Tells peers which others we are connected to, when it is time.
    pub(super) fn exchange_when_due(&mut self, now: Moment) {
        let Some(active) = self.stage.active() else { return };
        let Some(exchange) = &mut self.swarm.exchange else { return };
        if exchange.deadline().is_none_or(|due| due > now) {
            return;
        }
        let (connected, picker) = (&self.swarm.connected, &active.picker);
        let flags = |key: PeerKey| {
            connected.get(&key).map_or(Flags::default(), |peer| peer.flags(picker.is_seed(key)))
        };
        for (key, message) in exchange.messages(flags, now) {
            if connected.contains_key(&key) {
                self.out.push(Action::Order(key, Order::Exchange(Arc::new(message))));
            }
        }
    }
}
