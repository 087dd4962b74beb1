//! Which connections a torrent lets in, and which one gives way where its places are taken.
//!
//! Places are shared by network (see `network`): as long as some are free any
//! connection is let in; when none is, the network that has most gives way to one that has fewer,
//! first the connection that has been idle longest. A connection that is giving us data stays. While
//! a torrent downloads, a quarter of its places is kept for the peers it dials itself: connections
//! that come in can never keep it from looking elsewhere.
//!
//! Pure. Never does: look at bans, or at whether two connections are of one peer.

use std::net::IpAddr;

use crate::moment::Moment;
use crate::network::{Holder, gives_way};

/// One part in this many of the places is kept for the peers that we dial.
const KEPT_FOR_DIALS_PART: u32 = 4;

/// A connection that has a place.
#[derive(Debug, Clone, Copy)]
pub struct ConnectedPeer {
    /// The peer's address.
    pub ip: IpAddr,
    /// Whether the peer dialed us.
    pub incoming: bool,
    /// Whether it is giving us data.
    pub gives: bool,
    /// When it last moved data, or else was connected.
    pub since: Moment,
}

/// What becomes of a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It gets a free place.
    Enter,
    /// It gets the place of the connection at this index, which is closed.
    Displace(usize),
    /// There is no place for it.
    Refuse,
}

/// Decides on a connection of `newcomer`, which has dialed us or else was dialed. `most` is the number of
/// places that the torrent may have now.
pub fn admit(
    newcomer: IpAddr,
    incoming: bool,
    connected: &[ConnectedPeer],
    most: u32,
    downloading: bool,
) -> Admission {
    let kept = if downloading && incoming { most.div_ceil(KEPT_FOR_DIALS_PART).min(most / 2) } else { 0 };
    let count = |connected: usize| u32::try_from(connected).unwrap_or(u32::MAX);
    let too_many_in = count(connected.iter().filter(|peer| peer.incoming).count()) >= most - kept;
    if count(connected.len()) < most && !(incoming && too_many_in) {
        return Admission::Enter;
    }
    // Where those that came in have all that they may have, one of them has to go.
    let may_go = |peer: &ConnectedPeer| !peer.gives && (peer.incoming || !(incoming && too_many_in));
    let (places, holders): (Vec<usize>, Vec<Holder>) = connected
        .iter()
        .enumerate()
        .filter(|(_, peer)| may_go(peer))
        .map(|(at, peer)| (at, Holder { ip: peer.ip, since: peer.since.as_micros() }))
        .unzip();
    gives_way(&holders, newcomer).map_or(Admission::Refuse, |at| Admission::Displace(places[at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(ip: &str, secs: u64) -> ConnectedPeer {
        let ip = ip.parse().unwrap();
        ConnectedPeer { ip, incoming: true, gives: false, since: Moment::from_secs(secs) }
    }

    fn comes_in(ip: &str, connected: &[ConnectedPeer], downloading: bool) -> Admission {
        admit(ip.parse().unwrap(), true, connected, 8, downloading)
    }

    #[test]
    fn one_address_may_have_all_places_until_another_wants_one() {
        let mut connected: Vec<ConnectedPeer> = (0..7).map(|n| peer("9.9.9.9", n)).collect();
        assert_eq!(comes_in("9.9.9.9", &connected, false), Admission::Enter);
        connected.push(peer("9.9.9.9", 0));
        assert_eq!(comes_in("9.9.9.9", &connected, false), Admission::Refuse);
        assert_eq!(comes_in("8.8.8.8", &connected, false), Admission::Displace(0));
        // Its equal share is never taken from it.
        let mut displaced = 0;
        for n in 0..100 {
            let newcomer = format!("8.8.8.{n}");
            match comes_in(&newcomer, &connected, false) {
                Admission::Displace(at) => connected[at] = peer(&newcomer, 0),
                _ => break,
            }
            displaced += 1;
        }
        assert_eq!(displaced, 4);
    }

    #[test]
    fn a_download_keeps_places_for_the_peers_that_it_dials() {
        let connected: Vec<ConnectedPeer> = (0..6).map(|n| peer(&format!("9.{n}.9.9"), 0)).collect();
        assert_eq!(comes_in("8.8.8.8", &connected, true), Admission::Refuse);
        assert_eq!(comes_in("8.8.8.8", &connected, false), Admission::Enter);
        assert_eq!(admit("8.8.8.8".parse().unwrap(), false, &connected, 8, true), Admission::Enter);
    }

    #[test]
    fn a_peer_that_gives_data_stays() {
        let mut connected: Vec<ConnectedPeer> = (0..8).map(|n| peer("9.9.9.9", n)).collect();
        connected.iter_mut().for_each(|peer| peer.gives = true);
        assert_eq!(comes_in("8.8.8.8", &connected, false), Admission::Refuse);
        connected[3].gives = false;
        connected[5].gives = false;
        assert_eq!(comes_in("8.8.8.8", &connected, false), Admission::Displace(3));
    }

    #[test]
    fn a_peer_that_came_in_displaces_no_peer_that_we_dialed_while_too_many_came_in() {
        let mut connected: Vec<ConnectedPeer> = (0..6).map(|n| peer(&format!("9.{n}.9.9"), 0)).collect();
        connected.extend((0..2).map(|n| ConnectedPeer { incoming: false, ..peer("7.7.7.7", n) }));
        assert_eq!(comes_in("8.8.8.8", &connected, true), Admission::Refuse);
        assert_eq!(
            comes_in("8.8.8.8", &connected, false),
            Admission::Displace(6),
            "a seed has no need to dial"
        );
    }

    #[test]
    fn the_fewest_places_still_let_one_in() {
        let ip = "8.8.8.8".parse().unwrap();
        assert_eq!(admit(ip, true, &[], 0, true), Admission::Refuse);
        for most in 1..4 {
            assert_eq!(admit(ip, true, &[], most, true), Admission::Enter, "{most}");
        }
    }
}
