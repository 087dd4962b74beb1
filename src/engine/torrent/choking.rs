//! Whom to serve, thought over when it is time; and the regular look at every connection: rates,
//! interest, seeds to part with.

use std::time::Duration;

use super::admission::Peer;
use super::{Active, Foreman, transfer};
use crate::engine::runtime::counters::Counters;
use crate::engine::tracker::Announcer;
use crate::job::PeerKey;
use crate::moment::Moment;
use crate::orders::Order;
use crate::swarm::choker::PeerView;
use crate::violation::DisconnectReason;

/// With fewer peers than this and nobody to dial soon, trackers and the DHT are asked for more.
const FEW: usize = 10;

/// With no more peers than this those who have everything are told of pieces although they send nothing.
const FEW_SEEDS: usize = 30;

impl Active {
    /// When choking is to be thought over; never while nobody could gain by it.
    pub(super) fn choke_due(&self) -> Option<Moment> {
        if self.rethink {
            return Some(Moment::START);
        }
        self.connected.values().any(|peer| peer.interested).then(|| self.choker.deadline())
    }
}

impl Foreman {
    /// Thinks over who is served, when it is time.
    pub(super) fn choke_when_due(&mut self, now: Moment) {
        let finished = self.finished;
        let Some(active) = &mut self.active else { return };
        if active.choke_due().is_none_or(|due| due > now) {
            return;
        }
        let view = |(key, peer): (&PeerKey, &Peer)| PeerView {
            key: *key,
            interested: peer.interested,
            upload_only: peer.upload_only || active.picker.is_seed(*key),
            choked: peer.choked,
            snubbed: peer.snubbed,
            received: Counters::read(&peer.tally.received),
            sent: Counters::read(&peer.tally.sent),
            since: peer.since,
        };
        let peers: Vec<PeerView> = active.connected.iter().map(view).collect();
        for (key, choke) in active.choker.decide(&peers, finished, now, &mut self.random) {
            if let Some(peer) = active.connected.get_mut(&key) {
                peer.choked = choke;
                peer.order(Order::Choke(choke));
            }
        }
        active.rethink = false;
        active.drop_deaf();
    }

    /// Measures rates, when it is time, and looks after interest.
    pub(super) fn tick_when_due(&mut self, now: Moment) {
        if self.next_tick.is_none_or(|due| due > now) {
            return;
        }
        let finished = self.finished;
        let Some(active) = &mut self.active else { return };
        let elapsed = now - active.measured;
        active.measured = now;
        let mut moved = false;
        let few = active.connected.len() <= FEW_SEEDS;
        for (key, peer) in &mut active.connected {
            let (received, sent) = (Counters::read(&peer.tally.received), Counters::read(&peer.tally.sent));
            moved |= received != peer.received || sent != peer.sent;
            peer.down_rate = smooth(peer.down_rate, received - peer.received, elapsed);
            peer.up_rate = smooth(peer.up_rate, sent - peer.sent, elapsed);
            // A seed that sends nothing has its conversation asleep, and would not see how far we are.
            if few && !finished && received == peer.received && active.picker.is_seed(*key) {
                transfer::nudge(peer);
            }
            let before = std::mem::replace(&mut peer.received, received);
            peer.sent = sent;
            if let Some(super_seed) = &mut active.super_seed {
                super_seed.sent(*key, sent, now);
            }
            if peer.down_rate > 0 {
                active.peers.delivered(peer.addr);
            }
            active.picker.rate(*key, peer.down_rate);
            if received == before {
                active.picker.quiet(*key);
            }
            if finished && (peer.upload_only || active.picker.is_seed(*key)) {
                peer.order(Order::Close(DisconnectReason::BothSeeds));
            }
            let wanted = active.picker.interesting(*key);
            if peer.wanted != wanted {
                peer.wanted = wanted;
                peer.order(Order::Interested(wanted));
            }
        }
        active.picker.turn();
        active.drop_deaf();
        self.share_places();
        let working = self.is_working();
        let Some(active) = &mut self.active else { return };
        // Addresses that wait for another try count for nobody: whoever named them may have made them up.
        let nobody_soon = active.peers.deadline(now).is_none_or(|due| due > now + super::IDLE_TICK);
        let lonely = working && !finished && active.connected.len() < FEW && nobody_soon;
        if lonely {
            active.announcer.iter().for_each(Announcer::want_peers);
            active.shared.dht().into_iter().for_each(|dht| dht.want_peers(self.setup.key));
        }
        let moving = self.standing.measure(now);
        let spreads = active.super_seed.as_ref().is_some_and(|super_seed| super_seed.is_spreading(now));
        self.next_tick = if spreads {
            Some(now + super::SPREAD_TICK)
        } else if moved || moving || (!finished && !active.connected.is_empty()) {
            Some(now + super::TICK)
        } else {
            let looks = !active.connected.is_empty() || working && !finished;
            looks.then_some(now + super::IDLE_TICK)
        };
    }
}

/// A rate in bytes a second that follows what moves within a few seconds.
fn smooth(rate: u64, moved: u64, elapsed: Duration) -> u64 {
    let latest = (u128::from(moved) * 1_000_000 / elapsed.as_micros().max(1)) as u64;
    if rate == 0 { latest } else { (rate * 2 + latest) / 3 }
}
