//! The UDP side of the tracker (BEP 15): a datagram is answered
//! ([`tracker::reply`](crate::tracker::reply)) on the thread that received it.

use std::net::{SocketAddr, UdpSocket};

use super::Shared;
use crate::tracker::registry::Entry;
use crate::tracker::reply::{Ids, reply};
use crate::tracker::udp;

/// Answers a datagram, where it calls for an answer.
pub(crate) fn answer(datagram: &[u8], from: SocketAddr, socket: &UdpSocket, ids: &Ids, shared: &Shared) {
    let now = shared.now();
    let tell = |entry: &Entry| shared.tell(entry);
    let Some(reply) = reply(datagram, from, ids, &mut shared.registry(), now, tell) else { return };
    match udp::number(datagram, 8) {
        Some(udp::ANNOUNCE) => shared.count(|counters| &counters.announces),
        Some(udp::SCRAPE) => shared.count(|counters| &counters.scrapes),
        _ => {}
    }
    // Send errors are ignored: UDP is best effort.
    let _ = socket.send_to(&reply, from);
}
