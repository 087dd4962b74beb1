//! The decisions of local discovery (BEP 14), for all torrents of a client: when to announce what to the
//! local network, and how much of what others announce there to believe.
//!
//! Each torrent is announced soon after it begins, again after 2, 4, 6 and 10 s, because datagrams get lost
//! and others may just be starting, and every five minutes from then on; together with others that are due
//! soon. There are never more than five announces a minute. Torrents that do not fit into one announce go
//! with the next, the longest waiting first. For our torrents, a few announces and a few ports of each host
//! are believed in a minute, and a few hundred of all hosts together. If much more than that arrives, or far
//! more for torrents we do not have, all announces are ignored until the minute is over, which costs no
//! wake-up.
//!
//! Never does: sockets, threads. Invariant: memory is bounded for any input; with no torrent watched there is
//! no deadline.

use std::net::IpAddr;
use std::time::Duration;

use crate::id::InfoHash;
use crate::moment::Moment;
use crate::sorted::SortedMap;

/// How often a torrent is announced.
const INTERVAL: Duration = Duration::from_secs(5 * 60);

/// The pauses between the first announces of a torrent, and the least between those of one burst.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(2), Duration::from_secs(2), Duration::from_secs(2), Duration::from_secs(4)];

/// The least between the beginnings of two bursts, and how long what was heard is remembered.
const MINUTE: Duration = Duration::from_secs(60);

/// How long a new torrent waits for others that come with it.
const GATHER_TIME: Duration = Duration::from_millis(200);

/// Announces a minute that one host is believed.
const MAX_PER_HOST: u32 = 30;

/// Ports a minute that one host is believed: as many clients as run there.
const MAX_PORTS_PER_HOST: usize = 4;

/// Announces a minute that all hosts together are believed.
const MAX_FROM_ALL: u32 = 300;

/// Announces in a minute that are not believed or not for our torrents, after which all are ignored.
const MAX_IGNORED: u32 = 1000;

/// The torrents announced, and the hosts heard.
#[derive(Debug)]
pub struct LsdSchedule<K> {
    torrents: SortedMap<K, Watched>,
    /// No announce before.
    not_before: Moment,
    /// When the last burst of announces began, and how many it has had.
    burst: (Moment, usize),
    /// Since when the counts below run.
    since: Moment,
    hosts: SortedMap<IpAddr, Host>,
    believed: u32,
    refused: u32,
}

#[derive(Debug)]
struct Watched {
    info_hash: InfoHash,
    due: Moment,
    /// How often it was announced.
    times: usize,
}

/// The announces of a host in this minute.
#[derive(Debug, Default)]
struct Host {
    announces: u32,
    ports: Vec<u16>,
}

impl<K: Ord + Copy> Default for LsdSchedule<K> {
    fn default() -> Self {
        LsdSchedule {
            torrents: SortedMap::new(),
            not_before: Moment::START,
            burst: (Moment::START, 0),
            since: Moment::START,
            hosts: SortedMap::new(),
            believed: 0,
            refused: 0,
        }
    }
}

impl<K: Ord + Copy> LsdSchedule<K> {
    /// A torrent is announced and listened for from now on. The caller keeps private ones away
    /// (BEP 27).
    pub fn watch(&mut self, key: K, info_hash: InfoHash, now: Moment) {
        if self.torrents.get(&key).is_none_or(|watched| watched.info_hash != info_hash) {
            self.torrents.insert(key, Watched { info_hash, due: now + GATHER_TIME, times: 0 });
        }
    }

    /// Stops announcing this torrent.
    pub fn forget(&mut self, key: K) {
        self.torrents.remove(&key);
    }

    /// Whether nothing is watched.
    pub fn is_empty(&self) -> bool {
        self.torrents.is_empty()
    }

    /// When to announce next, if there is anything to.
    pub fn deadline(&self) -> Option<Moment> {
        self.torrents.values().map(|watched| watched.due).min().map(|due| due.max(self.not_before))
    }

    /// What to announce now, in one datagram, at most `most`; nothing before its time. It counts as
    /// announced.
    pub fn announce(&mut self, most: usize, now: Moment) -> Vec<InfoHash> {
        if self.deadline().is_none_or(|due| due > now) {
            return Vec::new();
        }
        let mut near: Vec<&mut Watched> =
            self.torrents.values_mut().filter(|watched| watched.due <= now + MINUTE).collect();
        near.sort_by_key(|watched| watched.due);
        near.truncate(most);
        let (began, had) = &mut self.burst;
        if *had == 0 || now >= *began + MINUTE {
            (*began, *had) = (now, 0);
        }
        self.not_before = PAUSES.get(*had).map_or(*began + MINUTE, |pause| now + *pause);
        *had += 1;
        near.into_iter()
            .map(|watched| {
                watched.due = now + PAUSES.get(watched.times).copied().unwrap_or(INTERVAL);
                watched.times = (watched.times + 1).min(PAUSES.len());
                watched.info_hash
            })
            .collect()
    }

    /// Whether an announce of a torrent of ours from `host`, which says that it listens on `port`, is
    /// believed.
    pub fn believes(&mut self, host: IpAddr, port: u16, now: Moment) -> bool {
        self.begin_minute(now);
        let believed = self.believed < MAX_FROM_ALL && self.hosts.get_or_default(host).believes(port);
        self.believed += u32::from(believed);
        self.refused = self.refused.saturating_add(u32::from(!believed));
        believed
    }

    /// An announce for a torrent that is not ours.
    pub fn ignored(&mut self, now: Moment) {
        self.begin_minute(now);
        self.refused = self.refused.saturating_add(1);
    }

    fn begin_minute(&mut self, now: Moment) {
        if now.since(self.since) >= MINUTE {
            (self.since, self.believed, self.refused) = (now, 0, 0);
            self.hosts.clear();
        }
    }

    /// Until when announces are ignored, if they are: too many arrived.
    pub fn deaf_until(&self, now: Moment) -> Option<Moment> {
        let until = self.since + MINUTE;
        (self.refused > MAX_IGNORED && until > now).then_some(until)
    }

    /// The torrent of ours with this info-hash.
    pub fn find(&self, info_hash: InfoHash) -> Option<K> {
        self.torrents.iter().find(|(_, watched)| watched.info_hash == info_hash).map(|(&key, _)| key)
    }
}

impl Host {
    fn believes(&mut self, port: u16) -> bool {
        let known = self.ports.contains(&port);
        if self.announces >= MAX_PER_HOST || !known && self.ports.len() >= MAX_PORTS_PER_HOST {
            return false;
        }
        self.announces += 1;
        if !known {
            self.ports.push(port);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn hash(n: u32) -> InfoHash {
        let mut hash = [0; 20];
        hash[..4].copy_from_slice(&n.to_be_bytes());
        InfoHash::from_bytes(hash)
    }

    fn host(n: u32) -> IpAddr {
        IpAddr::from(n.to_be_bytes())
    }

    /// Runs the schedule to `until`: when what was announced.
    fn run(neighbours: &mut LsdSchedule<u32>, until: Moment) -> Vec<(Moment, Vec<InfoHash>)> {
        let mut said = Vec::new();
        while let Some(due) = neighbours.deadline().filter(|due| *due <= until) {
            said.push((due, neighbours.announce(24, due)));
        }
        said
    }

    #[test]
    fn torrents_added_together_share_announces_first_often_then_every_five_minutes() {
        let mut neighbours = LsdSchedule::default();
        assert_eq!(neighbours.deadline(), None);
        for key in 0..3 {
            neighbours.watch(key, hash(key), Moment::from_millis(u64::from(key) * 50));
        }
        let said = run(&mut neighbours, Moment::from_secs(1000));
        let all: Vec<_> = (0..3).map(hash).collect();
        let times = [200, 2_200, 4_200, 6_200, 10_200, 310_200, 610_200, 910_200];
        let want = times.map(|at| (Moment::from_millis(at), all.clone()));
        assert_eq!(said, want);
        for key in 0..3 {
            neighbours.forget(key);
        }
        assert!(neighbours.is_empty());
        assert_eq!(neighbours.deadline(), None);
    }

    #[test]
    fn five_announces_take_a_minute_with_torrents_that_come_and_go() {
        let mut neighbours = LsdSchedule::default();
        let mut said = Vec::new();
        for second in 0..600 {
            neighbours.watch(second, hash(second), Moment::from_secs(u64::from(second)));
            if second % 3 == 0 {
                neighbours.forget(second / 2);
            }
            said.extend(run(&mut neighbours, Moment::from_secs(u64::from(second) + 1)));
        }
        assert!(said.len() >= 45, "{} announces", said.len());
        assert!(said.windows(6).all(|six| six[5].0 - six[0].0 >= MINUTE));
        assert!(said.windows(2).all(|pair| pair[1].0 - pair[0].0 >= PAUSES[0]));
        assert!(said.iter().all(|(_, hashes)| (1..=24).contains(&hashes.len())));
    }

    #[test]
    fn among_too_many_each_has_its_turn() {
        let mut neighbours = LsdSchedule::default();
        for key in 0..200 {
            neighbours.watch(key, hash(key), Moment::START);
        }
        let said = run(&mut neighbours, Moment::from_secs(540));
        let mut times = BTreeMap::new();
        for hash in said.iter().flat_map(|(_, hashes)| hashes) {
            *times.entry(hash).or_insert(0) += 1;
        }
        assert_eq!((times.len(), times.values().max()), (200, Some(&5)));
    }

    #[test]
    fn watching_the_same_again_is_no_reason_to_announce() {
        let mut neighbours = LsdSchedule::default();
        neighbours.watch(1, hash(1), Moment::START);
        assert_eq!(neighbours.announce(24, Moment::from_secs(1)), [hash(1)]);
        neighbours.watch(1, hash(1), Moment::from_secs(2));
        assert_eq!(neighbours.deadline(), Some(Moment::from_secs(3)));
        assert_eq!(neighbours.find(hash(1)), Some(1));
        assert_eq!(neighbours.find(hash(2)), None);
    }

    #[test]
    fn one_loud_host_leaves_the_others_heard() {
        let mut neighbours: LsdSchedule<u32> = LsdSchedule::default();
        let now = Moment::from_secs(100);
        let heard = (0..500).filter(|_| neighbours.believes(host(1), 6881, now)).count();
        assert_eq!(heard, MAX_PER_HOST as usize);
        let ports = (1..500).filter(|port| neighbours.believes(host(2), *port, now)).count();
        assert_eq!(ports, MAX_PORTS_PER_HOST);
        assert!(neighbours.believes(host(3), 6881, now));
        assert_eq!(neighbours.deaf_until(now), None);
        assert!(neighbours.believes(host(1), 6881, now + MINUTE), "a minute later it is forgiven");
    }

    #[test]
    fn announces_of_unknown_torrents_cost_no_belief() {
        let mut neighbours: LsdSchedule<u32> = LsdSchedule::default();
        let now = Moment::from_secs(100);
        (0..MAX_IGNORED).for_each(|_| neighbours.ignored(now));
        assert!(neighbours.believes(host(1), 6881, now));
        assert_eq!(neighbours.deaf_until(now), None);
        neighbours.ignored(now);
        assert_eq!(neighbours.deaf_until(now), Some(now + MINUTE));
    }

    #[test]
    fn a_storm_from_everywhere_makes_deaf_until_the_minute_is_over_and_takes_no_memory() {
        let mut neighbours: LsdSchedule<u32> = LsdSchedule::default();
        let now = Moment::from_secs(100);
        let heard = (0..100_000).filter(|n| neighbours.believes(host(*n), 6881, now)).count();
        assert_eq!((heard, neighbours.hosts.len()), (MAX_FROM_ALL as usize, MAX_FROM_ALL as usize));
        assert_eq!(neighbours.deaf_until(now), Some(now + MINUTE));
        assert_eq!(neighbours.deaf_until(now + MINUTE), None);
        assert!(neighbours.believes(host(7), 6881, now + MINUTE));
    }
}
