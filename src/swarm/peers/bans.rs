//! Peers that are banned for the rest of the session.
//!
//! Invariant: bounded; beyond the bound an old ban makes way for a new one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// Bans kept of each kind.
const MAX_BANS: usize = 4096;

/// Banned peers of one host that ban the host.
const MAX_BANNED_PEERS_PER_HOST: u8 = 2;

/// Banned addresses and hosts.
#[derive(Debug, Default)]
pub(super) struct Bans {
    addresses: BTreeSet<SocketAddr>,
    /// Banned peers of each host.
    strikes: BTreeMap<IpAddr, u8>,
}

impl Bans {
    /// Whether the address or its host is banned.
    pub(super) fn has(&self, addr: SocketAddr) -> bool {
        self.addresses.contains(&addr)
            || self.strikes.get(&addr.ip()).is_some_and(|&strikes| strikes >= MAX_BANNED_PEERS_PER_HOST)
    }

    /// Bans just this address and says nothing about its host.
    pub(super) fn add_address(&mut self, addr: SocketAddr) {
        if self.addresses.len() >= MAX_BANS {
            self.addresses.pop_first();
        }
        self.addresses.insert(addr);
    }

    /// Bans a peer that listens here; the second of a host bans the host.
    pub(super) fn add_peer(&mut self, addr: SocketAddr) {
        if !self.addresses.contains(&addr) {
            self.add_address(addr);
            self.strike(addr.ip(), 1);
        }
    }

    /// Bans the host of a peer whose port says nothing.
    pub(super) fn add_host(&mut self, addr: SocketAddr) {
        self.add_address(addr);
        self.strike(addr.ip(), MAX_BANNED_PEERS_PER_HOST);
    }

    /// How many addresses are banned.
    pub(super) fn count(&self) -> u32 {
        self.addresses.len() as u32
    }

    fn strike(&mut self, host: IpAddr, weight: u8) {
        if host.is_loopback() {
            return;
        }
        if self.strikes.len() >= MAX_BANS {
            self.strikes.pop_first();
        }
        let strikes = self.strikes.entry(host).or_default();
        *strikes = strikes.saturating_add(weight);
    }
}
