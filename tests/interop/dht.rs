//! A private DHT: twenty of libtorrent's nodes in one process, each over IPv4 and IPv6. With a few alone,
//! transmission does nothing: it wants nine good ones before it looks for peers.

use std::net::SocketAddr;

use crate::foreign::libtorrent;
use crate::network::{PATIENCE, Share, ipv4, ipv6};
use crate::support::child::Child;
use crate::support::until::until;

const PORT: u16 = 7400;
/// The last numbers of the nodes' addresses begin here.
const FIRST: u8 = 21;
const NODES: u8 = 20;

/// All nodes of the family of `router`.
pub fn nodes(router: SocketAddr) -> impl Iterator<Item = SocketAddr> {
    let ip = move |node: u8| if router.is_ipv6() { ipv6(node.into()) } else { ipv4(node) };
    (FIRST..FIRST + NODES).map(move |node| SocketAddr::new(ip(node), PORT))
}

pub struct Swarm {
    child: Child,
}

impl Swarm {
    pub fn start() -> Swarm {
        let mut command = libtorrent::command();
        command.arg("swarm").arg(PORT.to_string());
        for node in FIRST..FIRST + NODES {
            command.args([ipv4(node).to_string(), ipv6(node.into()).to_string()]);
        }
        let child = Child::spawn(&mut command);
        child.wait_for_line(PATIENCE, |line| line == "up");
        Swarm { child }
    }

    /// A node to begin with.
    pub fn router(&self, ipv6_too: bool) -> SocketAddr {
        SocketAddr::new(if ipv6_too { ipv6(FIRST.into()) } else { ipv4(FIRST) }, PORT)
    }

    /// Waits until one of the nodes was told that `peer` has this.
    pub fn wait_announced(&self, share: &Share, peer: SocketAddr) -> bool {
        let wanted = format!("announced {} {} {}", share.info_hash, peer.ip(), peer.port());
        until(PATIENCE, || self.child.lines().contains(&wanted).then_some(())).is_some()
    }
}
