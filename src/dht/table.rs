//! The routing table: who is known, by how many bits their id has in common with ours.
//!
//! A bucket for each number of bits holds eight nodes and a few to take the place of one that fails.
//! A node comes in when it has answered us, never on another's word. Nodes that stay are worth more
//! than new ones (BEP 5); among those that are new, one whose id fits its address (BEP 42) is.
//!
//! Invariant: at most [`K`] nodes and [`SPARE`] substitutes a bucket; one node for each id, and for
//! each world-wide address.

use std::net::{IpAddr, SocketAddr};

use super::id::{NodeId, is_local};
use crate::moment::Moment;

/// Nodes in a bucket, and nodes in an answer.
pub(super) const K: usize = 8;
/// Substitutes in a bucket.
const SPARE: usize = 4;
/// Questions in a row without an answer after which a node is bad.
const BAD: u8 = 2;

/// A node that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Contact {
    pub(super) id: NodeId,
    pub(super) addr: SocketAddr,
    /// When it last answered; nothing where it never did in this run.
    pub(super) answered: Option<Moment>,
    failures: u8,
}

impl Contact {
    pub(super) fn is_good(&self) -> bool {
        self.answered.is_some() && self.failures == 0
    }
}

#[derive(Debug, Default)]
struct Bucket {
    nodes: Vec<Contact>,
    spare: Vec<Contact>,
}

/// The routing table.
#[derive(Debug)]
pub(super) struct Table {
    own: NodeId,
    buckets: Vec<Bucket>,
}

impl Table {
    pub(super) fn new(own: NodeId) -> Self {
        Table { own, buckets: std::iter::repeat_with(Bucket::default).take(161).collect() }
    }

    /// Every node, the farthest first.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Contact> {
        self.buckets.iter().flat_map(|bucket| &bucket.nodes)
    }

    /// A node of an earlier run, to be tried before it counts.
    pub(super) fn remember(&mut self, id: NodeId, addr: SocketAddr) {
        self.put(Contact { id, addr, answered: None, failures: 0 });
    }

    /// A node has answered.
    pub(super) fn answered(&mut self, id: NodeId, addr: SocketAddr, now: Moment) {
        self.put(Contact { id, addr, answered: Some(now), failures: 0 });
    }

    fn put(&mut self, new: Contact) {
        let at = self.own.shared_bits(&new.id);
        if new.id == self.own || self.is_taken(&new) {
            return;
        }
        let Some(bucket) = self.buckets.get_mut(at) else { return };
        if let Some(old) = bucket.nodes.iter_mut().chain(&mut bucket.spare).find(|old| old.id == new.id) {
            // Whoever has the id at another address keeps it while he answers.
            if old.addr == new.addr || !old.is_good() {
                *old = new;
            }
        } else if bucket.nodes.len() < K {
            bucket.nodes.push(new);
        } else if let Some(old) = bucket.nodes.iter_mut().find(|old| old.failures > 0) {
            *old = new;
        } else {
            let fits = |one: &Contact| one.id.is_secure(one.addr.ip());
            if bucket.spare.len() >= SPARE {
                // The one that does not fit goes first, then the one heard of longest ago.
                let worst = bucket.spare.iter().position(|one| !fits(one)).unwrap_or(0);
                bucket.spare.remove(worst);
            }
            bucket.spare.push(new);
        }
    }

    /// Whether another node has this world-wide address.
    fn is_taken(&self, new: &Contact) -> bool {
        let ip = new.addr.ip();
        let all = || self.buckets.iter().flat_map(|bucket| bucket.nodes.iter().chain(&bucket.spare));
        !is_local(ip) && all().any(|one| one.addr.ip() == ip && one.id != new.id)
    }

    /// A node did not answer.
    pub(super) fn failed(&mut self, addr: SocketAddr) {
        for bucket in &mut self.buckets {
            bucket.spare.retain(|one| one.addr != addr);
            let Some(at) = bucket.nodes.iter().position(|one| one.addr == addr) else { continue };
            let Some(one) = bucket.nodes.get_mut(at) else { continue };
            one.failures = one.failures.saturating_add(1);
            if one.failures >= BAD || one.answered.is_none() {
                bucket.nodes.remove(at);
                bucket.nodes.extend(bucket.spare.pop());
            } else if let Some(substitute) = bucket.spare.pop() {
                *one = substitute;
            }
        }
    }

    /// Whether a node of this id would find a place, and is not known.
    pub(super) fn has_room(&self, id: &NodeId) -> bool {
        let bucket = self.buckets.get(self.own.shared_bits(id));
        bucket.is_some_and(|bucket| {
            *id != self.own
                && bucket.nodes.iter().chain(&bucket.spare).all(|one| one.id != *id)
                && (bucket.nodes.len() < K || bucket.nodes.iter().any(|one| one.failures > 0))
        })
    }

    /// Whether there is a node at this address.
    pub(super) fn knows(&self, addr: SocketAddr) -> bool {
        self.nodes().any(|one| one.addr == addr)
    }

    /// The nodes nearest to a target.
    pub(super) fn nearest(&self, target: &NodeId, many: usize, good_only: bool) -> Vec<Contact> {
        let mut nodes: Vec<Contact> =
            self.nodes().filter(|one| !good_only || one.is_good()).copied().collect();
        nodes.sort_unstable_by_key(|one| one.id.distance(target));
        nodes.truncate(many);
        nodes
    }

    /// Of each bucket the nodes heard of longest ago, before `then`; at most so many.
    pub(super) fn stale(&self, then: Moment, each: usize) -> Vec<(usize, Contact)> {
        let mut stale = Vec::new();
        for (bits, bucket) in self.buckets.iter().enumerate() {
            let mut old: Vec<Contact> =
                bucket.nodes.iter().filter(|one| one.answered.is_none_or(|at| at < then)).copied().collect();
            old.sort_unstable_by_key(|one| one.answered);
            stale.extend(old.into_iter().take(each).map(|one| (bits, one)));
        }
        stale
    }

    /// The same nodes seen from another id.
    pub(super) fn rearranged(self, own: NodeId) -> Table {
        let mut table = Table::new(own);
        self.buckets.into_iter().flat_map(|bucket| bucket.nodes).for_each(|one| table.put(one));
        table
    }
}

/// Whether a node can be at this address, as told by one at `teller`: nobody out in the world may send
/// us to an address of this network.
pub(super) fn is_believable(addr: SocketAddr, teller: IpAddr) -> bool {
    crate::tracker::compact::is_usable(&addr)
        && addr.is_ipv4() == teller.is_ipv4()
        && (is_local(teller) || !is_local(addr.ip()))
}
