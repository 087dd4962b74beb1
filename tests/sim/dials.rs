//! The dials of a torrent as they can be seen from outside: which are under way, and what came of those before.
//! An address is dialed once at a time, after a failure not before its pause is over, and in the way in which it
//! was reached last.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use bitwren::Encryption;
use bitwren::internals::moment::Moment;

/// The pause after a dial that failed; it doubles each time, up to the longest.
const PAUSE: Duration = Duration::from_secs(30);
const MAX_PAUSE: Duration = Duration::from_secs(30 * 60);
/// Failures and lost connections after which an address may be given up, and begin anew where it is named again.
const MAX_FAILURES: u32 = 6;

/// The dials of one torrent.
#[derive(Debug, Default)]
pub struct Dials {
    /// Those that were granted and have come to no end.
    under_way: u32,
    addresses: BTreeSet<SocketAddr>,
    past: BTreeMap<SocketAddr, Past>,
}

/// What came of the dials of an address.
#[derive(Debug, Default)]
struct Past {
    failures: u32,
    failed: Moment,
    /// It had everything when it was connected last.
    is_seed: bool,
    /// How often a dial has failed or a connection has ended, for whatever reason.
    ends: u32,
    encrypts: Option<bool>,
}

impl Dials {
    pub fn is_granted(&mut self) {
        self.under_way += 1;
    }

    pub fn is_not_made(&mut self) {
        self.under_way -= 1;
    }

    /// The torrent says how many dials are under way.
    pub fn check(&self, dialing: u32) {
        assert_eq!(dialing, self.under_way, "dials that count as under way and those that are");
    }

    /// It dials, and says whether that peer is known to encrypt.
    pub fn begins(&mut self, addr: SocketAddr, encrypts: Option<bool>, seeds: bool, now: Moment) {
        assert!(self.addresses.insert(addr), "it dials {addr} again before that has come to an end");
        let Some(past) = self.past.get(&addr).filter(|past| past.ends < MAX_FAILURES) else { return };
        assert!(!(seeds && past.is_seed), "it has everything, and dials {addr}, which has it too");
        if let Some(times) = past.failures.checked_sub(1) {
            let pause = (PAUSE * (1 << times.min(16))).min(MAX_PAUSE);
            assert!(now >= past.failed + pause, "it dials {addr} again soon after failure {}", past.failures);
        } else {
            assert!(past.encrypts.is_none_or(|last| encrypts == Some(last)), "it dials {addr} as if unknown");
        }
    }

    /// The torrent is about to be told that a dial was answered, or has failed.
    pub fn ends(&mut self, addr: SocketAddr) {
        assert!(self.addresses.remove(&addr), "a dial of {addr} ends, and there was none");
        self.under_way -= 1;
    }

    pub fn failed(&mut self, addr: SocketAddr, now: Moment) {
        let past = self.past.entry(addr).or_default();
        (past.failures, past.failed, past.encrypts) = (past.failures + 1, now, None);
        past.ends += 1;
    }

    /// A connection with the peer at this address has ended, which had everything or not.
    pub fn parts(&mut self, addr: SocketAddr, is_seed: bool) {
        let past = self.past.entry(addr).or_default();
        (past.ends, past.is_seed) = (past.ends + 1, past.is_seed || is_seed);
    }

    /// It was let in.
    pub fn reached(&mut self, addr: SocketAddr, encryption: Encryption) {
        let past = self.past.entry(addr).or_default();
        (past.failures, past.encrypts) = (0, Some(encryption != Encryption::None));
    }

    /// The peer at this address is connected, and may say that it prefers encryption.
    pub fn is_there(&mut self, addr: SocketAddr, prefers_encryption: bool) {
        let past = self.past.entry(addr).or_default();
        past.failures = 0;
        past.encrypts = if prefers_encryption { Some(true) } else { past.encrypts };
    }

    /// What is known of the address may be forgotten, and its pause be over.
    pub fn forget(&mut self, addr: SocketAddr) {
        self.past.remove(&addr);
    }

    /// The same of every address.
    pub fn forget_all(&mut self) {
        self.past.clear();
    }
}
