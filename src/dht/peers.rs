//! Announces of other nodes: which peers have which torrent; and the tokens that an announce needs.
//!
//! A token is a digest of a secret and the asker's address: a node that has one has received a packet there.
//! Secrets change every five minutes, and the previous one is still accepted.
//!
//! If there is no room, the network that has most of it gives way (see `network`): one address with many
//! torrents or ports keeps no other peer out.
//!
//! Invariant: at most [`MAX_TORRENTS`] torrents, [`MAX_PER_TORRENT`] peers each, [`MAX_PEERS`] together; a peer is given to
//! others for half an hour after its last announce.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::digest::Sha1;
use crate::id::InfoHash;
use crate::moment::Moment;
use crate::network::{Holder, gives_way, longest_of_largest, network};
use crate::random::entropy;

/// Torrents that are kept.
const MAX_TORRENTS: usize = 1_000;
/// Peers of one torrent.
const MAX_PER_TORRENT: usize = 200;
/// Peers of all torrents together.
const MAX_PEERS: usize = 8_000;
/// How long an announce counts.
const ANNOUNCE_LIFE: Duration = Duration::from_secs(30 * 60);
/// How long a secret is the newest.
const SECRET_LIFE: Duration = Duration::from_secs(5 * 60);

/// What others announced.
#[derive(Debug, Default)]
pub(super) struct Peers {
    torrents: BTreeMap<InfoHash, Vec<(SocketAddr, Moment)>>,
    count: usize,
}

impl Peers {
    /// Keeps the announce of a peer; false if there is no room for it.
    pub(super) fn announced(&mut self, info_hash: InfoHash, peer: SocketAddr, now: Moment) -> bool {
        if self.count >= MAX_PEERS || self.torrents.len() >= MAX_TORRENTS {
            self.forget_old(now);
        }
        if let Some(its) = self.torrents.get_mut(&info_hash) {
            // One entry for each address: an address that announces many ports is one peer.
            let is_other = |one: SocketAddr| match super::id::is_local(peer.ip()) {
                true => one != peer,
                false => one.ip() != peer.ip(),
            };
            let before = its.len();
            its.retain(|(one, _)| is_other(*one));
            self.count -= before - its.len();
            if its.len() >= MAX_PER_TORRENT {
                let holders: Vec<Holder> = its.iter().map(holder).collect();
                let oldest = gives_way(&holders, peer.ip()).or_else(|| longest_of_largest(&holders));
                its.remove(oldest.unwrap_or_default());
                self.count -= 1;
            }
        } else if self.torrents.len() >= MAX_TORRENTS && !self.drop_torrent_for(peer) {
            return false;
        }
        if self.count >= MAX_PEERS && !self.drop_peer_for(peer) {
            return false;
        }
        self.torrents.entry(info_hash).or_default().push((peer, now));
        self.count += 1;
        true
    }

    /// Drops the torrent of a single network that gives way to a newcomer.
    fn drop_torrent_for(&mut self, newcomer: SocketAddr) -> bool {
        let of_one_network = |its: &[(SocketAddr, Moment)]| {
            let (first, _) = its.first()?;
            let is_one = its.iter().all(|(peer, _)| network(peer.ip()) == network(first.ip()));
            its.last().filter(|_| is_one).map(holder)
        };
        let (hashes, holders): (Vec<InfoHash>, Vec<Holder>) =
            self.torrents.iter().filter_map(|(hash, its)| Some((*hash, of_one_network(its)?))).unzip();
        let Some(at) = gives_way(&holders, newcomer.ip()) else { return false };
        let gone = self.torrents.remove(&hashes[at]);
        self.count -= gone.map_or(0, |its| its.len());
        true
    }

    /// Drops the peer of any torrent that gives way to a newcomer.
    fn drop_peer_for(&mut self, newcomer: SocketAddr) -> bool {
        let all = || self.torrents.iter().flat_map(|(hash, its)| its.iter().map(move |one| (*hash, one)));
        let holders: Vec<Holder> = all().map(|(_, one)| holder(one)).collect();
        let Some((hash, gone)) = gives_way(&holders, newcomer.ip()).and_then(|at| all().nth(at)) else {
            return false;
        };
        let gone = gone.0;
        let Some(its) = self.torrents.get_mut(&hash) else { return false };
        its.retain(|(one, _)| *one != gone);
        if its.is_empty() {
            self.torrents.remove(&hash);
        }
        self.count -= 1;
        true
    }

    fn forget_old(&mut self, now: Moment) {
        self.torrents.retain(|_, its| {
            its.retain(|(_, at)| *at + ANNOUNCE_LIFE > now);
            !its.is_empty()
        });
        self.count = self.torrents.values().map(Vec::len).sum();
    }

    /// Up to `many` peers that announced a torrent, beginning at `from`.
    pub(super) fn of(&self, info_hash: InfoHash, many: usize, from: u64, now: Moment) -> Vec<SocketAddr> {
        let its = self.torrents.get(&info_hash).map_or(&[][..], Vec::as_slice);
        let skip = from.checked_rem(its.len() as u64).unwrap_or(0) as usize;
        let round = its.iter().cycle().skip(skip).take(its.len());
        round.filter(|(_, at)| *at + ANNOUNCE_LIFE > now).map(|(peer, _)| *peer).take(many).collect()
    }
}

fn holder((peer, at): &(SocketAddr, Moment)) -> Holder {
    Holder { ip: peer.ip(), since: at.as_micros() }
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
        if age >= SECRET_LIFE {
            // After a long silence both are old.
            let before = if age < SECRET_LIFE * 2 { self.secrets[0] } else { entropy() };
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

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(n: usize) -> InfoHash {
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        InfoHash::from_bytes(bytes)
    }

    fn peer(network: u8, host: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([60, 0, network, host], port))
    }

    fn is_counted(peers: &Peers) -> bool {
        peers.count == peers.torrents.values().map(Vec::len).sum::<usize>()
            && peers.torrents.values().all(|its| !its.is_empty() && its.len() <= MAX_PER_TORRENT)
            && peers.count <= MAX_PEERS
            && peers.torrents.len() <= MAX_TORRENTS
    }

    #[test]
    fn an_address_that_announced_every_torrent_keeps_no_other_out() {
        let mut peers = Peers::default();
        for n in 0..MAX_TORRENTS {
            assert!(peers.announced(hash(n), peer(1, 1, 1), Moment::START));
        }
        assert!(!peers.announced(hash(MAX_TORRENTS), peer(1, 1, 1), Moment::START), "it has its share");
        let honest = peer(2, 1, 6881);
        assert!(peers.announced(hash(MAX_TORRENTS + 1), honest, Moment::from_secs(1)));
        assert_eq!(peers.of(hash(MAX_TORRENTS + 1), 50, 0, Moment::from_secs(2)), [honest]);
        assert!(is_counted(&peers));
    }

    #[test]
    fn a_network_that_has_all_peers_keeps_no_other_out() {
        let mut peers = Peers::default();
        for n in 0..MAX_PEERS {
            peers.announced(hash(n / 100), peer(1, (n % 100) as u8, 1), Moment::START);
        }
        assert_eq!(peers.count, MAX_PEERS);
        let honest = peer(2, 1, 6881);
        assert!(peers.announced(hash(5), honest, Moment::from_secs(1)));
        assert!(peers.of(hash(5), 200, 0, Moment::from_secs(2)).contains(&honest));
        assert!(is_counted(&peers));
    }

    #[test]
    fn a_network_that_floods_one_torrent_displaces_only_itself() {
        let mut peers = Peers::default();
        let honest = peer(2, 1, 6881);
        peers.announced(hash(1), honest, Moment::START);
        for n in 0..1_000u16 {
            peers.announced(hash(1), peer(1, (n % 250) as u8, n), Moment::from_secs(1));
        }
        assert!(peers.of(hash(1), 200, 0, Moment::from_secs(2)).contains(&honest));
        assert!(is_counted(&peers));
    }

    #[test]
    fn a_peer_that_announces_again_is_not_counted_twice() {
        let mut peers = Peers::default();
        for n in 0..100 {
            peers.announced(hash(1), peer(1, 1, n), Moment::START);
            peers.announced(hash(1), SocketAddr::from(([127, 0, 0, 1], n % 7)), Moment::START);
        }
        assert_eq!(peers.count, 1 + 7);
        peers.announced(hash(2), peer(1, 1, 1), Moment::from_secs(3_600));
        peers.forget_old(Moment::from_secs(3_600));
        assert_eq!(peers.count, 1);
        assert!(is_counted(&peers));
    }
}
