//! What a torrent asks at once, answered as the engine answers it: counts of bytes, and the places and
//! active slots that the torrents of a client share.
//!
//! The quota and the queue are the real ones. Several nodes may be of one client.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use bitwren::Result;
use bitwren::internals::bitfield::Bitfield;
use bitwren::internals::host::active_queue::{Lane, Queue};
use bitwren::internals::host::quota::FairQuota;
use bitwren::internals::job::PeerKey;
use bitwren::internals::moment::Moment;
use bitwren::internals::torrent::{Bytes, Host, MayDial, STOPPED_ANNOUNCE, ShutdownDeadlines};

use super::dials::Dials;

/// Dials under way, of all torrents of a client.
const MAX_DIALS: u32 = 20;

/// What the torrents of a client share; each is known by its node.
pub struct Client {
    pub connections: FairQuota<usize>,
    pub dials: FairQuota<usize>,
    pub slots: Queue<usize>,
}

impl Client {
    pub fn new(max_connections: u32, max_active: usize) -> Rc<RefCell<Client>> {
        Rc::new(RefCell::new(Client {
            connections: FairQuota::new(max_connections),
            dials: FairQuota::new(MAX_DIALS),
            slots: Queue::new(max_active, 0),
        }))
    }
}

/// The host of one torrent.
pub struct NodeHost {
    client: Rc<RefCell<Client>>,
    node: usize,
    next_key: u32,
    /// Places taken and not given back.
    pub entered: u32,
    total: Bytes,
    by_peer: BTreeMap<PeerKey, Bytes>,
    located: bool,
    /// It has its active slot, or had it since it was paused last.
    pub has_slot: bool,
    pub had_slot: bool,
    pub dials: Dials,
}

impl NodeHost {
    pub fn new(client: Rc<RefCell<Client>>, node: usize) -> NodeHost {
        NodeHost {
            client,
            node,
            next_key: 0,
            entered: 0,
            total: Bytes::default(),
            by_peer: BTreeMap::new(),
            located: false,
            has_slot: false,
            had_slot: false,
            dials: Dials::default(),
        }
    }

    pub fn received(&mut self, key: PeerKey, bytes: u32) {
        self.total.received += u64::from(bytes);
        self.by_peer.entry(key).or_default().received += u64::from(bytes);
    }

    pub fn sent(&mut self, key: PeerKey, bytes: u32) {
        self.total.sent += u64::from(bytes);
        self.by_peer.entry(key).or_default().sent += u64::from(bytes);
    }

    pub fn forget(&mut self, key: PeerKey) {
        self.by_peer.remove(&key);
    }

    /// Whether the active slot is there that was asked for.
    pub fn granted(&mut self, granted: bool) {
        self.has_slot |= granted;
        self.had_slot |= granted;
    }

    /// Places that it is to give back to other torrents of its client.
    pub fn owes(&self) -> u32 {
        self.client.borrow().connections.owed(self.node)
    }

    /// The place of a dial is given back.
    pub fn dialed(&mut self) {
        self.client.borrow_mut().dials.leave(self.node);
    }

    pub fn online(&mut self) {
        self.client.borrow_mut().connections.want(self.node, self.entered);
    }

    pub fn offline(&mut self) {
        let mut client = self.client.borrow_mut();
        client.connections.rest(self.node);
        client.dials.rest(self.node);
    }

    /// Gives the active slot back; whose it is now.
    pub fn release_slot(&mut self) -> Option<usize> {
        self.has_slot = false;
        self.client.borrow_mut().slots.done(self.node).into_iter().next()
    }

    /// The torrent has ended, or was killed.
    pub fn end(&mut self) -> Option<usize> {
        let next = self.release_slot();
        let mut client = self.client.borrow_mut();
        client.connections.end(self.node);
        client.dials.end(self.node);
        next
    }
}

impl Host for NodeHost {
    fn new_key(&mut self) -> PeerKey {
        self.next_key += 1;
        PeerKey(self.next_key)
    }

    fn transferred(&self) -> Bytes {
        self.total
    }

    fn transferred_with(&self, key: PeerKey) -> Bytes {
        self.by_peer.get(&key).copied().unwrap_or_default()
    }

    fn wasted(&mut self, bytes: u64) {
        assert!(bytes > 0);
    }

    fn ask_slot(&mut self, lane: Lane) -> bool {
        let granted = self.client.borrow_mut().slots.ask(self.node, lane);
        self.granted(granted);
        granted
    }

    fn take_memory(&mut self, _: u32, max_peers: u32) -> u32 {
        max_peers
    }

    fn connection_room(&mut self, used: u32, wanted: u32) -> u32 {
        let places = &mut self.client.borrow_mut().connections;
        places.want(self.node, wanted);
        if places.has_room(self.node) { places.share(self.node) } else { used }
    }

    fn enter(&mut self) -> bool {
        let entered = self.client.borrow_mut().connections.enter(self.node);
        self.entered += u32::from(entered);
        entered
    }

    fn leave(&mut self) {
        self.entered -= 1;
        self.client.borrow_mut().connections.leave(self.node);
    }

    fn may_dial(&mut self, connecting: u32, dialing: u32) -> MayDial {
        self.dials.check(dialing);
        let Client { connections, dials, .. } = &mut *self.client.borrow_mut();
        connections.want(self.node, connecting + 1);
        if !connections.has_room(self.node) || connecting >= connections.share(self.node) {
            return MayDial::NoPlace;
        }
        dials.want(self.node, dialing + 1);
        if !dials.enter(self.node) {
            return MayDial::NoAttempt;
        }
        self.dials.is_granted();
        MayDial::Yes
    }

    fn no_dial(&mut self) {
        self.dials.is_not_made();
        self.dialed();
    }

    fn owed(&mut self, used: u32, dialing: u32) -> u32 {
        self.dials.check(dialing);
        let Client { connections, dials, .. } = &mut *self.client.borrow_mut();
        dials.want(self.node, dialing);
        connections.want(self.node, used);
        connections.owed(self.node)
    }

    /// Believed the first time, liars included: the engine wants several to agree.
    fn vote_external_ip(&mut self, ours: IpAddr, _: IpAddr) -> Option<IpAddr> {
        (!std::mem::replace(&mut self.located, true)).then_some(ours)
    }

    fn check_holes(&mut self, have: &Bitfield) -> Result<()> {
        assert!(have.is_full(), "asked before everything is there");
        Ok(())
    }

    fn shutdown_deadlines(&self, now: Moment) -> ShutdownDeadlines {
        let after = |millis| now + Duration::from_millis(millis);
        ShutdownDeadlines {
            hang_up: after(500),
            connections: after(1_000),
            disk: after(2_000),
            trackers: now + STOPPED_ANNOUNCE,
            saved: after(3_500),
        }
    }
}
