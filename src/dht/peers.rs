//! What others announced to us: who has which torrent; and the tokens without which nobody may.
//!
//! A token is a digest of a secret and the asker's address: whoever has one has received a packet
//! there. Secrets change every five minutes, and the one before is still taken.
//!
//! Invariant: at most [`TORRENTS`] torrents, [`OF_ONE`] peers each, [`ALL`] together; nobody stays
//! longer than half an hour without announcing again.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::digest::Sha1;
use crate::id::InfoHash;
use crate::moment::Moment;
use crate::random::entropy;

/// Torrents that are kept.
const TORRENTS: usize = 1_000;
/// Peers of one torrent.
const OF_ONE: usize = 200;
/// Peers of all torrents together.
const ALL: usize = 8_000;
/// How long an announce counts.
const LIFE: Duration = Duration::from_secs(30 * 60);
/// How long a secret is the newest.
const SECRET: Duration = Duration::from_secs(5 * 60);

/// What others announced.
#[derive(Debug, Default)]
pub(super) struct Peers {
    torrents: BTreeMap<InfoHash, Vec<(SocketAddr, Moment)>>,
    count: usize,
}

impl Peers {
    /// A peer announced a torrent. What finds no room is not kept.
    pub(super) fn announced(&mut self, info_hash: InfoHash, peer: SocketAddr, now: Moment) {
        if self.count >= ALL || self.torrents.len() >= TORRENTS {
            self.forget_old(now);
        }
        let (torrents, count) = (self.torrents.len(), self.count);
        let known = self.torrents.contains_key(&info_hash);
        if !known && torrents >= TORRENTS || count >= ALL {
            return;
        }
        let its = self.torrents.entry(info_hash).or_default();
        // One for each address: whoever announces many ports is one peer.
        its.retain(|(one, _)| one.ip() != peer.ip() || super::id::is_local(peer.ip()) && *one != peer);
        if its.len() >= OF_ONE {
            its.remove(0);
        }
        its.push((peer, now));
        self.count = self.torrents.values().map(Vec::len).sum();
    }

    fn forget_old(&mut self, now: Moment) {
        self.torrents.retain(|_, its| {
            its.retain(|(_, at)| *at + LIFE > now);
            !its.is_empty()
        });
        self.count = self.torrents.values().map(Vec::len).sum();
    }

    /// Some who announced a torrent: a stretch of them that begins at `from`.
    pub(super) fn of(&self, info_hash: InfoHash, many: usize, from: u64, now: Moment) -> Vec<SocketAddr> {
        let its = self.torrents.get(&info_hash).map_or(&[][..], Vec::as_slice);
        let skip = from.checked_rem(its.len() as u64).unwrap_or(0) as usize;
        let round = its.iter().cycle().skip(skip).take(its.len());
        round.filter(|(_, at)| *at + LIFE > now).map(|(peer, _)| *peer).take(many).collect()
    }
}

/// Makes and knows tokens.
#[derive(Debug)]
pub(super) struct Tokens {
    secrets: [[u8; 20]; 2],
    since: Moment,
}

impl Tokens {
    pub(super) fn new(now: Moment) -> Self {
        Tokens { secrets: [entropy(), entropy()], since: now }
    }

    fn turn(&mut self, now: Moment) {
        let age = now - self.since;
        if age >= SECRET {
            // After a long silence both are old.
            let before = if age < SECRET * 2 { self.secrets[0] } else { entropy() };
            (self.secrets, self.since) = ([entropy(), before], now);
        }
    }

    pub(super) fn make(&mut self, ip: IpAddr, now: Moment) -> [u8; 8] {
        self.turn(now);
        digest(&self.secrets[0], ip)
    }

    pub(super) fn knows(&mut self, token: &[u8], ip: IpAddr, now: Moment) -> bool {
        self.turn(now);
        self.secrets.iter().any(|secret| digest(secret, ip) == token)
    }
}

fn digest(secret: &[u8; 20], ip: IpAddr) -> [u8; 8] {
    let mut hash = Sha1::new();
    hash.update(secret);
    match ip {
        IpAddr::V4(ip) => hash.update(&ip.octets()),
        IpAddr::V6(ip) => hash.update(&ip.octets()),
    }
    hash.update(secret);
    let [a, b, c, d, e, f, g, h, ..] = hash.finish();
    [a, b, c, d, e, f, g, h]
}
