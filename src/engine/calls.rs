//! The calls that a torrent makes: how many are under way, and when the next may be made.
//!
//! Invariant: no call is made that would find no place, nor more at a time than the torrent's share
//! of those that the client may make.

use std::time::Duration;

use super::door::Door;
use super::net::dial;
use crate::moment::Moment;
use crate::swarm::peers::PeerList;
use crate::violation::DisconnectReason;

/// When to try again to dial where others have all the places, or all the calls.
const NO_PLACE: Duration = Duration::from_secs(2);
const NO_CALL: Duration = Duration::from_millis(250);

/// The calls of one torrent.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) under_way: u32,
    /// Nobody is called before.
    after: Moment,
    /// Connections the torrent may have.
    most: u32,
}

impl Calls {
    pub(crate) fn new(most: u32, now: Moment) -> Calls {
        Calls { under_way: 0, after: now, most }
    }

    fn room(&self, connected: u32) -> bool {
        connected + self.under_way < self.most
    }

    /// When [`make`](Self::make) may have someone to call.
    pub(crate) fn due(&self, connected: u32, peers: &PeerList, now: Moment) -> Option<Moment> {
        if !self.room(connected) {
            return None;
        }
        peers.deadline(now).map(|due| due.max(self.after))
    }

    /// Calls whom the peer list names, while there is room.
    pub(crate) fn make(&mut self, door: &Door, connected: u32, peers: &mut PeerList, now: Moment) {
        let (client, key) = (door.client(), door.key());
        while self.due(connected, peers, now).is_some_and(|due| due <= now) {
            // A call that would find no place is not worth making; nor is one too many at a time.
            let wanted = connected + self.under_way;
            let has_place = client.connected.with(|places| {
                places.want(key, wanted + 1);
                places.has_room(key) && wanted < places.share(key)
            });
            if !has_place {
                self.after = now + NO_PLACE;
                return;
            }
            let may_call = client.calling.with(|places| {
                places.want(key, self.under_way + 1);
                places.enter(key)
            });
            if !may_call {
                self.after = now + NO_CALL;
                return;
            }
            let Some(addr) = peers.next_dial(now) else {
                return client.calling.with(|places| places.leave(key));
            };
            self.under_way += 1;
            if dial::dial(door.clone(), addr).is_err() {
                self.under_way -= 1;
                peers.ended(addr, DisconnectReason::Crowded, now);
                return;
            }
        }
    }

    /// A call was answered, or came to nothing.
    pub(crate) fn over(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }
}
