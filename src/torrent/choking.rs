//! Which peers to unchoke, decided when it is time; and the regular check of every connection: rates,
//! interest, seeds to disconnect from.

use super::action::Action;
use super::host::{Bytes, Host};
use super::rates::{IDLE_TICK, SPREAD_TICK, TICK};
use super::state::{Active, Torrent};
use super::swarm::{Peer, Swarm};
use crate::job::PeerKey;
use crate::moment::Moment;
use crate::orders::Order;
use crate::swarm::choker::PeerView;
use crate::violation::DisconnectReason;

/// With fewer peers than this and none to dial soon, trackers and the DHT are asked for more.
const FEW_PEERS: usize = 10;

/// With no more peers than this, complete ones are told of pieces although they send nothing.
const FEW_SEEDS: usize = 30;

impl Active {
    /// When choking is to be decided; never while no peer could gain by it.
    pub(super) fn choke_due(&self, swarm: &Swarm) -> Option<Moment> {
        if self.rethink {
            return Some(Moment::START);
        }
        swarm.connected.values().any(|peer| peer.interested).then(|| self.choker.deadline())
    }
}

impl Torrent {
    /// Decides which peers are unchoked, when it is time.
    pub(super) fn choke_when_due(&mut self, now: Moment, host: &impl Host) {
        let Some(active) = self.stage.active_mut() else { return };
        if active.choke_due(&self.swarm).is_none_or(|due| due > now) {
            return;
        }
        let picker = &active.picker;
        let view = |(&key, peer): (&PeerKey, &Peer)| {
            let bytes = host.transferred_with(key);
            PeerView {
                key,
                interested: peer.interested,
                upload_only: peer.upload_only || picker.is_seed(key),
                choked: peer.choked,
                snubbed: peer.snubbed,
                received: bytes.received,
                sent: bytes.sent,
                since: peer.since,
            }
        };
        let peers: Vec<PeerView> = self.swarm.connected.iter().map(view).collect();
        for (key, choke) in active.choker.decide(&peers, active.finished, now, &mut self.random) {
            if let Some(peer) = self.swarm.connected.get_mut(&key) {
                peer.choked = choke;
                self.out.push(Action::Order(key, Order::Choke(choke)));
            }
        }
        active.rethink = false;
    }

    /// Measures rates, when it is time, and looks after interest.
    pub(super) fn tick_when_due(&mut self, now: Moment, host: &mut impl Host) {
        let working = self.is_working();
        let Some(active) = self.stage.active_mut() else { return };
        if active.next_tick.is_none_or(|due| due > now) {
            return;
        }
        let out = &mut self.out;
        let finished = active.finished;
        self.swarm.measured = now;
        let mut moved = false;
        let few = self.swarm.connected.len() <= FEW_SEEDS;
        for (&key, peer) in self.swarm.connected.iter_mut() {
            let Bytes { received, sent } = host.transferred_with(key);
            let (delivered, taken) = (peer.down.measure(received, now) > 0, peer.up.measure(sent, now) > 0);
            moved |= delivered || taken;
            // A seed that sends nothing has its connection's thread asleep, and would not hear how far we are.
            if few && !finished && !delivered && active.picker.is_seed(key) {
                out.push(Action::Wake(key));
            }
            if let Some(super_seed) = &mut active.super_seed {
                super_seed.sent(key, sent, now);
            }
            if peer.down.rate() > 0 {
                self.swarm.peers.delivered(peer.addr);
            }
            active.picker.rate(key, peer.down.rate());
            if !delivered {
                active.picker.quiet(key);
            }
            if finished && (peer.upload_only || active.picker.is_seed(key)) {
                peer.close(key, DisconnectReason::BothSeeds, out);
            }
            let wanted = active.picker.interesting(key);
            if peer.wanted != wanted {
                peer.wanted = wanted;
                out.push(Action::Order(key, Order::Interested(wanted)));
            }
        }
        active.picker.turn();
        self.share_places(host);
        let Bytes { received, sent } = host.transferred();
        self.down.measure(received, now);
        self.up.measure(sent, now);
        let moving = self.down.rate() + self.up.rate() > 0;
        if moved {
            self.moved = Some(now);
        }
        let Some(active) = self.stage.active_mut() else { return };
        active.unchecked = active.picker.unchecked_bytes();
        // Addresses that wait for another try do not count: the peer that named them may have made them up.
        let none_soon = self.swarm.peers.deadline(now).is_none_or(|due| due > now + IDLE_TICK);
        if working && !finished && self.swarm.connected.len() < FEW_PEERS && none_soon {
            self.out.push(Action::WantPeers);
        }
        let spreads = active.super_seed.as_ref().is_some_and(|super_seed| super_seed.is_spreading(now));
        active.next_tick = if spreads {
            Some(now + SPREAD_TICK)
        } else if moved || moving || (!finished && !self.swarm.connected.is_empty()) {
            Some(now + TICK)
        } else {
            let looks = !self.swarm.connected.is_empty() || working && !finished;
            looks.then_some(now + IDLE_TICK)
        };
    }
}
