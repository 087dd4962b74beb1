//! When an address is called again after a call or a connection ended.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{PeerList, Source, State, address};
use crate::moment::Moment;
use crate::violation::DisconnectReason;

/// Failures in a row after which an address is given up, unless few are known or the user named it.
const MAX_FAILURES: u32 = 6;

/// Known addresses that are few.
const FEW_ADDRESSES: usize = 10;

/// The first pause after a failed call; it doubles each time.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(30);

/// The first one after a failed call of a peer that the user named: it is expected, and often only
/// on its way up.
const EXPECTED_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
pub(super) const MAX_PAUSE: Duration = Duration::from_secs(30 * 60);

/// The pause after losing a peer that gave us something.
const SHORT_PAUSE: Duration = Duration::from_secs(10);

/// The pause after a peer, or we, had no room.
const CROWDED_PAUSE: Duration = Duration::from_secs(60);

/// The pause after a second connection to a peer that is connected already.
const DUPLICATE_PAUSE: Duration = Duration::from_secs(10 * 60);

impl PeerList {
    /// The call or connection ended, and why: that decides when it is called again. A violation bans.
    pub fn ended(&mut self, addr: SocketAddr, why: DisconnectReason, now: Moment) {
        let addr = address::canonical(addr);
        if let DisconnectReason::Violation(violation) = why {
            self.ban(addr, violation);
        }
        let Some(call) = self.calls.remove(&addr) else { return };
        if call.shaken {
            self.duplicates_are_free(addr.ip(), now);
        }
        let Some(at) = call.entry else { return };
        if matches!(why, DisconnectReason::Ourselves | DisconnectReason::WrongTorrent) {
            self.entries.remove(&at);
            self.bans.add_address(at);
            return;
        }
        // It may be connected another way still.
        let elsewhere = self.calls.values().any(|other| other.entry == Some(at));
        let few = self.entries.len() <= FEW_ADDRESSES;
        let Some(entry) = self.entries.get_mut(&at) else { return };
        if elsewhere {
            entry.state = State::Connected;
            return;
        }
        entry.seed |= why == DisconnectReason::BothSeeds;
        entry.duplicate = why == DisconnectReason::Duplicate;
        let pause = match why {
            DisconnectReason::BothSeeds | DisconnectReason::Shutdown => Duration::ZERO,
            DisconnectReason::Crowded => CROWDED_PAUSE,
            DisconnectReason::Duplicate => DUPLICATE_PAUSE,
            DisconnectReason::PiecesLost => SHORT_PAUSE,
            _ if call.delivered => SHORT_PAUSE,
            _ => {
                entry.failures = entry.failures.saturating_add(1);
                let first = if entry.source == Source::Given { EXPECTED_PAUSE } else { FIRST_PAUSE };
                first.saturating_mul(1 << (entry.failures - 1).min(16)).min(MAX_PAUSE)
            }
        };
        entry.state = State::Idle(now + pause);
        let gives_up = entry.failures >= MAX_FAILURES && !few && entry.source != Source::Given;
        // It may have been connected when it came to be blocked.
        if gives_up || self.filter.blocks(at.ip()) {
            self.entries.remove(&at);
        }
    }

    /// A connection to this host has ended: what waits because it was a second one need not.
    fn duplicates_are_free(&mut self, host: IpAddr, now: Moment) {
        for (_, entry) in self.entries.iter_mut().filter(|(addr, entry)| addr.ip() == host && entry.duplicate)
        {
            entry.duplicate = false;
            if let State::Idle(due) = &mut entry.state {
                *due = now.min(*due);
            }
        }
    }
}
