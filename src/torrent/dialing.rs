//! The dials that a torrent makes: how many are under way, and when the next may be made.
//!
//! Invariant: no dial is made that would find no place, nor more at a time than the torrent's share of
//! those that the client may make.

use std::net::SocketAddr;
use std::time::Duration;

use super::host::{Host, MayDial};
use crate::moment::Moment;
use crate::swarm::peers::PeerList;
use crate::violation::DisconnectReason;

/// When to try again to dial where other torrents have all the places, or all the dials.
const NO_PLACE: Duration = Duration::from_secs(2);
const NO_DIAL: Duration = Duration::from_millis(250);

/// The dials of one torrent.
#[derive(Debug)]
pub(super) struct Dialing {
    /// How many are under way.
    pub(super) under_way: u32,
    /// No dial is made before.
    after: Moment,
    /// Connections that the torrent may have.
    pub(super) max_connections: u32,
    /// It was told that a peer may not be reached because of what is encrypted and what is not.
    told_refusal: bool,
}

impl Dialing {
    pub(super) fn new(max_connections: u32, now: Moment) -> Dialing {
        Dialing { under_way: 0, after: now, max_connections, told_refusal: false }
    }

    /// When the next dial may be made, where `connected` peers are there already.
    pub(super) fn due(&self, connected: u32, peers: &PeerList, now: Moment) -> Option<Moment> {
        if connected + self.under_way >= self.max_connections {
            return None;
        }
        peers.deadline(now).map(|due| due.max(self.after))
    }

    /// The next address to dial, where one may be dialed now; the dial counts as under way.
    pub(super) fn next(
        &mut self,
        connected: u32,
        peers: &mut PeerList,
        now: Moment,
        host: &mut impl Host,
    ) -> Option<SocketAddr> {
        if self.due(connected, peers, now).is_none_or(|due| due > now) {
            return None;
        }
        // A dial that would find no place is not worth making; nor is one too many at a time.
        match host.may_dial(connected + self.under_way, self.under_way) {
            MayDial::Yes => {}
            MayDial::NoPlace => {
                self.after = now + NO_PLACE;
                return None;
            }
            MayDial::NoAttempt => {
                self.after = now + NO_DIAL;
                return None;
            }
        }
        let addr = peers.next_dial(now);
        match addr {
            Some(_) => self.under_way += 1,
            None => host.no_dial(),
        }
        addr
    }

    /// What to tell the user of a dial that failed for this reason: the first time that encryption, or the lack of
    /// it, may be to blame.
    pub(super) fn refusal(&mut self, addr: SocketAddr, why: DisconnectReason) -> Option<String> {
        let may_be = match why {
            DisconnectReason::PlainRefused => {
                "it may require encryption, which is off; --encryption allow reaches such peers"
            }
            DisconnectReason::EncryptionRefused => {
                "it may not encrypt, which --encryption require asks of every peer"
            }
            _ => return None,
        };
        let is_told = std::mem::replace(&mut self.told_refusal, true);
        (!is_told).then(|| format!("{addr} {why}: {may_be}"))
    }

    /// A dial was answered, or came to nothing.
    pub(super) fn over(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_encryption_may_be_to_blame_is_told_once() {
        let addr = SocketAddr::from(([192, 0, 2, 1], 6881));
        for (why, hint) in [
            (DisconnectReason::PlainRefused, "--encryption allow"),
            (DisconnectReason::EncryptionRefused, "--encryption require"),
        ] {
            let mut dialing = Dialing::new(1, Moment::START);
            assert_eq!(dialing.refusal(addr, DisconnectReason::Lost), None);
            let told = dialing.refusal(addr, why).unwrap();
            assert!(told.starts_with("192.0.2.1:6881 hung up") && told.contains(hint), "{told}");
            assert_eq!(dialing.refusal(addr, why), None);
        }
    }
}
