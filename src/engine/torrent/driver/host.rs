//! What a torrent asks of its driver at once, answered out of the counters and quotas of the client.

use std::net::IpAddr;
use std::sync::atomic::Ordering;

use super::Driver;
use crate::bitfield::Bitfield;
use crate::engine::runtime::counters::Counters;
use crate::error::Result;
use crate::host::active_queue::Lane;
use crate::job::PeerKey;
use crate::moment::Moment;
use crate::torrent::{Bytes, Host, MayDial, ShutdownDeadlines};

impl Host for Driver {
    fn new_key(&mut self) -> PeerKey {
        PeerKey(self.setup.client.next_peer.fetch_add(1, Ordering::Relaxed))
    }

    fn transferred(&self) -> Bytes {
        let counters = &self.context.counters;
        Bytes { received: Counters::read(&counters.downloaded), sent: Counters::read(&counters.uploaded) }
    }

    fn transferred_with(&self, key: PeerKey) -> Bytes {
        self.connections.transferred_with(key)
    }

    fn wasted(&mut self, bytes: u64) {
        Counters::add(&self.context.counters.wasted, bytes);
    }

    fn ask_slot(&mut self, lane: Lane) -> bool {
        self.setup.client.active.ask(self.setup.key, lane, &self.context.inbox)
    }

    fn take_memory(&mut self, pieces: u32, max_peers: u32) -> u32 {
        self.memory = None;
        let share = self.setup.client.ledger.take(pieces, max_peers);
        self.memory.insert(share).connections
    }

    fn connection_room(&mut self, used: u32, wanted: u32) -> u32 {
        let key = self.setup.key;
        self.setup.client.connected.with(|places| {
            places.want(key, wanted);
            if places.has_room(key) { places.share(key) } else { used }
        })
    }

    fn enter(&mut self) -> bool {
        self.setup.client.connected.with(|places| places.enter(self.setup.key))
    }

    fn leave(&mut self) {
        self.setup.client.connected.with(|places| places.leave(self.setup.key));
    }

    fn may_dial(&mut self, connecting: u32, dialing: u32) -> MayDial {
        let (client, key) = (&self.setup.client, self.setup.key);
        // A dial that fails for that says nothing of the peer.
        if client.egress.outage().is_some() {
            return MayDial::NoPlace;
        }
        let has_place = client.connected.with(|places| {
            places.want(key, connecting + 1);
            places.has_room(key) && connecting < places.share(key)
        });
        if !has_place {
            return MayDial::NoPlace;
        }
        let may_dial = client.calling.with(|places| {
            places.want(key, dialing + 1);
            places.enter(key)
        });
        if may_dial { MayDial::Yes } else { MayDial::NoAttempt }
    }

    fn no_dial(&mut self) {
        self.setup.client.calling.with(|places| places.leave(self.setup.key));
    }

    fn owed(&mut self, used: u32, dialing: u32) -> u32 {
        let (client, key) = (&self.setup.client, self.setup.key);
        client.calling.with(|places| places.want(key, dialing));
        client.connected.with(|places| {
            places.want(key, used);
            places.owed(key)
        })
    }

    fn vote_external_ip(&mut self, ours: IpAddr, by: IpAddr) -> Option<IpAddr> {
        self.setup.client.external.vote(ours, by)
    }

    fn check_holes(&mut self, have: &Bitfield) -> Result<()> {
        self.data.check_holes(have)
    }

    fn shutdown_deadlines(&self, now: Moment) -> ShutdownDeadlines {
        self.setup.client.shutdown.deadlines(now)
    }
}
