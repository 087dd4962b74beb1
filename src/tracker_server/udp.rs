//! The UDP side (BEP 15): one thread for each address reads a packet, answers it
//! ([`tracker::reply`](crate::tracker::reply)), reads the next.

use std::net::UdpSocket;
use std::time::Duration;

use super::Shared;
use crate::tracker::registry::Entry;
use crate::tracker::reply::{Ids, reply};
use crate::tracker::udp;

/// Pause after a failure to receive, should it go on.
const BREATH: Duration = Duration::from_millis(50);

/// Largest request: a scrape of 74 torrents; what is longer is cut and has no more to say.
const MAX_REQUEST: usize = 2048;

/// Answers until the tracker ends.
pub(crate) fn serve(socket: &UdpSocket, ids: &Ids, shared: &Shared) {
    let mut buffer = [0; MAX_REQUEST];
    while !shared.has_ended() {
        match socket.recv_from(&mut buffer) {
            Ok((len, from)) => {
                let packet = buffer.get(..len).unwrap_or_default();
                let now = shared.now();
                let tell = |entry: &Entry| shared.tell(entry);
                let Some(reply) = reply(packet, from, ids, &mut shared.registry(), now, tell) else {
                    continue;
                };
                match udp::number(packet, 8) {
                    Some(udp::ANNOUNCE) => shared.count(|tally| &tally.announces, true),
                    Some(udp::SCRAPE) => shared.count(|tally| &tally.scrapes, true),
                    _ => {}
                }
                // Who cannot be reached does not get it.
                let _ = socket.send_to(&reply, from);
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
            Err(_) => std::thread::sleep(BREATH),
        }
    }
}
