//! The routing table: the known nodes, by how many leading bits their id has in common with ours.
//!
//! A bucket for each number of bits holds eight nodes and a few to take the place of one that fails. A node
//! is added when it has answered us, never because another one named it. Nodes that stay are worth more than
//! new ones (BEP 5); among new ones, a node whose id fits its address (BEP 42) is preferred.
//!
//! Invariant: at most [`K`] nodes and [`MAX_SUBSTITUTES`] substitutes a bucket; one node for each id, and for each
//! world-wide address.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::id::{NodeId, is_local};
use crate::moment::Moment;

/// Nodes in a bucket, and nodes in an answer.
pub(super) const K: usize = 8;
/// Substitutes in a bucket.
const MAX_SUBSTITUTES: usize = 4;
/// Questions in a row without an answer after which a node is bad.
const MAX_FAILURES: u8 = 2;

/// A node that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Contact {
    pub(super) id: NodeId,
    pub(super) addr: SocketAddr,
    /// When it last answered; none if it has not answered in this run.
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
            // A node that has the id at another address keeps it while it answers.
            if old.addr == new.addr || !old.is_good() {
                *old = new;
            }
        } else if bucket.nodes.len() < K {
            bucket.nodes.push(new);
        } else if let Some(old) = bucket.nodes.iter_mut().find(|old| old.failures > 0) {
            *old = new;
        } else {
            let fits = |one: &Contact| one.id.is_secure(one.addr.ip());
            if bucket.spare.len() >= MAX_SUBSTITUTES {
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
            if one.failures >= MAX_FAILURES || one.answered.is_none() {
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

    /// In each bucket the nodes not heard from since `then`, longest first; at most `each` of them.
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

/// Whether a node or a peer can be at this address, as told by a node at `source`: one out in the world may
/// not send us to an address of this machine or of a private network, one in such a network may.
pub(super) fn is_believable(addr: SocketAddr, source: IpAddr) -> bool {
    crate::tracker::compact::is_usable(&addr)
        && addr.is_ipv4() == source.is_ipv4()
        && (is_private(source) || !is_private(addr.ip()))
}

/// Whether an address leads to this machine or into a private network: also by the ways to write an IPv4
/// address in IPv6 that a router may translate (RFC 6052, RFC 3056), and that of a network behind a
/// carrier's (RFC 6598), where VPNs are, too.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            is_local(ip) || first == 0 || first == 100 && second & 0xC0 == 64
        }
        IpAddr::V6(v6) => {
            let embedded = match v6.segments() {
                [0, 0, 0, 0, 0, 0 | 0xFFFF, high, low] => Some((high, low)),
                [0x64, 0xFF9B, 0, 0, 0, 0, high, low] => Some((high, low)),
                [0x2002, high, low, ..] => Some((high, low)),
                _ => None,
            };
            let is_embedded = |(high, low): (u16, u16)| {
                let bits = u32::from(high) << 16 | u32::from(low);
                is_private(IpAddr::V4(Ipv4Addr::from(bits)))
            };
            is_local(ip) || embedded.is_some_and(is_embedded)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_in_the_world_cannot_send_us_into_a_private_network() {
        let believable = |addr: &str, source: &str| {
            is_believable(SocketAddr::new(addr.parse().unwrap(), 6881), source.parse().unwrap())
        };
        let inside = [
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.1",
            "192.168.1.1",
            "127.0.0.1",
            "169.254.1.1",
            "100.64.0.1",
            "100.127.1.1",
            "0.1.2.3",
        ];
        let inside6 = [
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:192.168.1.1",
            "::10.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:a00:1::1",
        ];
        for (all, source, near) in
            [(&inside[..], "203.0.113.9", "10.9.9.9"), (&inside6, "2001:db8::9", "fd00::9")]
        {
            for addr in all {
                assert!(!believable(addr, source), "{addr}");
                assert!(believable(addr, near), "{addr} named from within");
                // A node in a local network may name nodes in the world too, as one behind the same router
                // does.
                assert!(believable(source, near));
            }
        }
        for addr in ["11.0.0.1", "172.32.0.1", "100.128.0.1", "192.169.0.1", "1.2.3.4"] {
            assert!(believable(addr, "203.0.113.9"), "{addr}");
        }
        for addr in ["2001:db8::1", "64:ff9b::1.2.3.4", "2002:102:304::1"] {
            assert!(believable(addr, "2001:db8::9"), "{addr}");
        }
        assert!(!believable("1.2.3.4", "2001:db8::9") && !believable("0.0.0.0", "10.0.0.1"));
    }
}
