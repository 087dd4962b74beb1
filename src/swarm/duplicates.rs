//! Two connections that may be to one peer: which of them stays.
//!
//! Peer ids are public, and any peer can claim one. So an id alone decides nothing: only a connection from
//! the same host counts as a second one to the same peer. For two address families both sides have to name
//! one another: each connection says which other address its peer has (BEP 10, `ipv4` and `ipv6`), and both
//! must be right. The older connection stays, unless both sides connected at the same time: then both keep
//! the connection that the greater id opened, or each side would close the other one.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::id::PeerId;
use crate::moment::Moment;

/// Two connections made within this time were called from both ends at once.
const AT_ONCE: Duration = Duration::from_secs(3);

/// A connection, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub struct PeerConnection {
    /// The peer's end of it.
    pub addr: SocketAddr,
    /// Whether the peer called.
    pub incoming: bool,
    /// The id that the peer gives.
    pub id: PeerId,
    /// Since when there is this connection.
    pub since: Moment,
}

/// Which of two connections stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// They are not known to be to one peer.
    Both,
    /// The one that was there.
    Old,
    /// The one that came later.
    New,
}

/// Decides about a connection that came when there was the other. `ours` is our own id.
pub fn keep(old: PeerConnection, new: PeerConnection, ours: PeerId) -> Keep {
    if old.addr == new.addr {
        return Keep::Old;
    }
    if old.id != new.id || old.addr.ip().to_canonical() != new.addr.ip().to_canonical() {
        return Keep::Both;
    }
    let we_are_greater = ours > new.id;
    let at_once = old.incoming != new.incoming && new.since - old.since < AT_ONCE;
    if at_once && new.incoming != we_are_greater { Keep::New } else { Keep::Old }
}

/// Whether two connections over different address families are to one peer: same id, and each names the
/// host of the other as its own.
pub fn are_one(
    one: PeerConnection,
    elsewhere: Option<IpAddr>,
    other: PeerConnection,
    others_elsewhere: Option<IpAddr>,
) -> bool {
    one.id == other.id
        && one.addr.is_ipv4() != other.addr.is_ipv4()
        && elsewhere == Some(other.addr.ip())
        && others_elsewhere == Some(one.addr.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(addr: &str, incoming: bool, id: u8, since: u64) -> PeerConnection {
        let id = PeerId::from_bytes([id; 20]);
        PeerConnection { addr: addr.parse().unwrap(), incoming, id, since: Moment::from_millis(since) }
    }

    const OURS: PeerId = PeerId::from_bytes([5; 20]);

    #[test]
    fn who_was_there_stays() {
        let there = connection("192.0.2.1:6881", false, 9, 0);
        assert_eq!(keep(there, connection("192.0.2.1:40000", false, 9, 1), OURS), Keep::Old);
        assert_eq!(keep(there, connection("192.0.2.1:40000", true, 9, 60_000), OURS), Keep::Old);
        assert_eq!(
            keep(there, connection("192.0.2.1:6881", false, 8, 1), OURS),
            Keep::Old,
            "the same address"
        );
        assert_eq!(
            keep(there, connection("192.0.2.1:40000", true, 8, 1), OURS),
            Keep::Both,
            "another peer there"
        );
    }

    #[test]
    fn of_calls_from_both_ends_both_keep_the_one_that_the_greater_id_made() {
        for (theirs, called_by_us) in [(9, false), (1, true)] {
            let (ours, from) =
                (connection("192.0.2.1:6881", false, theirs, 0), connection("192.0.2.1:4", true, theirs, 1));
            let kept = |keep| matches!(keep, Keep::Old);
            assert_eq!(kept(keep(ours, from, OURS)), called_by_us);
            assert_eq!(kept(keep(from, ours, OURS)), !called_by_us);
        }
    }

    /// A peer that claims the id of an honest one would otherwise keep that out, or have it disconnected.
    #[test]
    fn a_borrowed_id_from_elsewhere_decides_nothing() {
        let honest = connection("192.0.2.1:6881", false, 9, 0);
        for thief in ["192.0.2.2:6881", "[2001:db8::1]:6881", "[::1]:6881"] {
            for incoming in [true, false] {
                let thief = connection(thief, incoming, 9, 1);
                assert_eq!((keep(honest, thief, OURS), keep(thief, honest, OURS)), (Keep::Both, Keep::Both));
                let (theirs, honests) = (Some(honest.addr.ip()), Some("2001:db8::9".parse().unwrap()));
                assert!(!are_one(honest, honests, thief, theirs) && !are_one(honest, None, thief, theirs));
            }
        }
    }

    #[test]
    fn one_peer_of_two_families_is_known_by_both_saying_so() {
        let (four, six) = (connection("192.0.2.1:1", true, 9, 0), connection("[2001:db8::1]:1", true, 9, 0));
        assert!(are_one(four, Some(six.addr.ip()), six, Some(four.addr.ip())));
        let other = connection("[2001:db8::1]:1", true, 8, 0);
        assert!(!are_one(four, Some(six.addr.ip()), other, Some(four.addr.ip())));
    }
}
