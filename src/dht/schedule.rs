//! Which torrent is looked up in the DHT next: pure, times come in.
//!
//! Each torrent is looked up at once, and again every quarter of an hour, which also keeps its announce
//! alive. One for which nothing was found, or that runs out of peers, comes sooner: after five seconds, then
//! ten, twenty and so on, so that a dead torrent soon costs no more than any other.
//!
//! Invariant: at most [`MAX_RUNNING`] lookups run at a time, and after the first few they begin one by one: a box
//! that starts with hundreds of torrents does not burst.

use std::time::Duration;

use crate::id::InfoHash;
use crate::id::TorrentKey;
use crate::limit::{Leak, LeakyBucket};
use crate::moment::Moment;
use crate::sorted::SortedMap;

/// Lookups that run at a time.
const MAX_RUNNING: usize = 8;
/// Lookups that may begin without a pause between them, and the pause between the others.
const STARTS: Leak = Leak { room: 4, every: Duration::from_millis(500) };
/// Between two lookups of one torrent.
const REGULAR_INTERVAL: Duration = Duration::from_secs(15 * 60);
/// The least between two lookups of one torrent.
const MIN_INTERVAL: Duration = Duration::from_secs(5);
/// A lookup of which nothing is heard for so long is taken for ended.
const LOST_AFTER: Duration = Duration::from_secs(3 * 60);

/// A torrent that is looked up.
#[derive(Debug)]
struct Entry {
    info_hash: InfoHash,
    stage: Stage,
    /// How often in a row a lookup found nothing or more peers were wanted soon after it.
    haste: u32,
    /// More peers are wanted than are known.
    hurried: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// To be looked up from then on; when the last lookup ended.
    Waiting { due: Moment, last: Option<Moment> },
    /// Its lookup runs since then and has found this many peers.
    Running { since: Moment, found: usize },
}

/// The torrents and their turns.
#[derive(Debug, Default)]
pub(crate) struct LookupSchedule {
    entries: SortedMap<TorrentKey, Entry>,
    /// How often lookups begin.
    begins: LeakyBucket,
}

impl LookupSchedule {
    /// A torrent is to be looked up from now on.
    pub(crate) fn watch(&mut self, key: TorrentKey, info_hash: InfoHash, now: Moment) {
        let stage = Stage::Waiting { due: now, last: None };
        self.entries.get_or_insert_with(key, || Entry { info_hash, stage, haste: 0, hurried: false });
    }

    /// Stops looking this torrent up.
    pub(crate) fn forget(&mut self, key: TorrentKey) {
        self.entries.remove(&key);
    }

    /// A torrent knows hardly any peers: it is looked up sooner.
    pub(crate) fn hurry(&mut self, key: TorrentKey) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        entry.hurried = true;
        if let Stage::Waiting { due, last: Some(last) } = &mut entry.stage {
            *due = (*due).min(*last + pause(entry.haste));
        }
    }

    /// The torrent to look up now, if any. It counts as running until [`done`](Self::done).
    pub(crate) fn next(&mut self, now: Moment) -> Option<InfoHash> {
        if self.due()? > now {
            return None;
        }
        let waiting = self.entries.values_mut().filter_map(|entry| match entry.stage {
            Stage::Waiting { due, .. } => Some((due, entry)),
            Stage::Running { .. } => None,
        });
        let (_, entry) = waiting.min_by_key(|(due, _)| *due)?;
        entry.stage = Stage::Running { since: now, found: 0 };
        self.begins.pour(STARTS, now);
        Some(entry.info_hash)
    }

    /// A lookup found `peers` more peers.
    pub(crate) fn found(&mut self, info_hash: InfoHash, peers: usize) {
        for entry in self.entries.values_mut().filter(|entry| entry.info_hash == info_hash) {
            if let Stage::Running { found, .. } = &mut entry.stage {
                *found += peers;
            }
        }
    }

    /// A lookup has ended.
    pub(crate) fn done(&mut self, info_hash: InfoHash, now: Moment) {
        self.entries
            .values_mut()
            .filter(|entry| entry.info_hash == info_hash)
            .for_each(|entry| entry.end(now));
    }

    /// The torrents that wait for these peers.
    pub(crate) fn keys(&self, info_hash: InfoHash) -> impl Iterator<Item = TorrentKey> + '_ {
        self.entries.iter().filter(move |(_, entry)| entry.info_hash == info_hash).map(|(key, _)| *key)
    }

    /// Gives up lookups that were never heard of again.
    pub(crate) fn on_time(&mut self, now: Moment) {
        for entry in self.entries.values_mut() {
            if matches!(entry.stage, Stage::Running { since, .. } if since + LOST_AFTER <= now) {
                entry.end(now);
            }
        }
    }

    /// When the next lookup is to begin, if any waits and may.
    fn due(&self) -> Option<Moment> {
        let running = self.entries.values().filter(|entry| matches!(entry.stage, Stage::Running { .. }));
        if running.count() >= MAX_RUNNING {
            return None;
        }
        let due = self.entries.values().filter_map(|entry| match entry.stage {
            Stage::Waiting { due, .. } => Some(due),
            Stage::Running { .. } => None,
        });
        due.min().map(|due| due.max(self.begins.free(STARTS)))
    }

    /// When something is to be done.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        let lost = self.entries.values().filter_map(|entry| match entry.stage {
            Stage::Running { since, .. } => Some(since + LOST_AFTER),
            Stage::Waiting { .. } => None,
        });
        lost.chain(self.due()).min()
    }
}

impl Entry {
    fn end(&mut self, now: Moment) {
        let Stage::Running { found, .. } = self.stage else { return };
        let wait = match std::mem::take(&mut self.hurried) || found == 0 {
            false => {
                self.haste = 0;
                REGULAR_INTERVAL
            }
            true => {
                let wait = if found == 0 { pause(self.haste) } else { REGULAR_INTERVAL };
                self.haste = (self.haste + 1).min(8);
                wait
            }
        };
        self.stage = Stage::Waiting { due: now + wait, last: Some(now) };
    }
}

/// Delay before the n-th hurried lookup (exponential backoff).
fn pause(haste: u32) -> Duration {
    MIN_INTERVAL.saturating_mul(1 << haste.min(8)).min(REGULAR_INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(n: u8) -> InfoHash {
        InfoHash::from_bytes([n; 20])
    }

    /// Runs until `end`; each lookup takes ten seconds and finds `found` peers. Returns when each began.
    fn run(schedule: &mut LookupSchedule, from: Moment, end: Moment, found: usize) -> Vec<(u64, InfoHash)> {
        let mut begun = Vec::new();
        let mut running: Vec<(Moment, InfoHash)> = Vec::new();
        let mut now = from;
        while now < end {
            schedule.on_time(now);
            while let Some(info_hash) = schedule.next(now) {
                begun.push((now.as_micros() / 1_000_000, info_hash));
                running.push((now + Duration::from_secs(10), info_hash));
            }
            assert!(running.len() <= MAX_RUNNING);
            let next = running.iter().map(|(at, _)| *at).chain(schedule.deadline()).min();
            now = next.unwrap_or(end).max(now + Duration::from_micros(1));
            running.retain(|(at, info_hash)| {
                if *at <= now {
                    schedule.found(*info_hash, found);
                    schedule.done(*info_hash, now);
                }
                *at > now
            });
        }
        begun
    }

    #[test]
    fn a_torrent_is_looked_up_at_once_and_every_quarter_of_an_hour() {
        let mut schedule = LookupSchedule::default();
        schedule.watch(TorrentKey(1), hash(1), Moment::START);
        let begun = run(&mut schedule, Moment::START, Moment::from_secs(3600), 20);
        assert_eq!(begun.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 910, 1820, 2730]);
    }

    #[test]
    fn one_for_which_nothing_is_found_comes_sooner_but_not_for_long() {
        let mut schedule = LookupSchedule::default();
        schedule.watch(TorrentKey(1), hash(1), Moment::START);
        let begun = run(&mut schedule, Moment::START, Moment::from_secs(3600), 0);
        let at: Vec<u64> = begun.iter().map(|(at, _)| *at).collect();
        assert_eq!(at, [0, 15, 35, 65, 115, 205, 375, 705, 1355, 2265, 3175]);
    }

    #[test]
    fn one_that_runs_out_of_peers_comes_sooner_and_ever_less() {
        let mut schedule = LookupSchedule::default();
        schedule.watch(TorrentKey(1), hash(1), Moment::START);
        let mut begun = Vec::new();
        for second in 0..3600 {
            // It complains all the time, as a lonely torrent does.
            schedule.hurry(TorrentKey(1));
            let now = Moment::from_secs(second);
            while let Some(info_hash) = schedule.next(now) {
                begun.push(second);
                schedule.found(info_hash, 5);
                schedule.done(info_hash, now);
            }
        }
        assert_eq!(begun, [0, 10, 30, 70, 150, 310, 630, 1270, 2170, 3070]);
    }

    #[test]
    fn two_hundred_torrents_do_not_burst() {
        let mut schedule = LookupSchedule::default();
        for n in 0..200 {
            schedule.watch(TorrentKey(n), hash(n as u8), Moment::START);
        }
        let begun = run(&mut schedule, Moment::START, Moment::from_secs(600), 20);
        assert_eq!(begun.iter().filter(|(at, _)| *at == 0).count(), STARTS.room as usize + 1);
        assert!((200..=201).contains(&begun.len()), "all have had their turn: {}", begun.len());
        for second in 1..600 {
            assert!(begun.iter().filter(|(at, _)| *at == second).count() <= MAX_RUNNING);
        }
    }

    #[test]
    fn a_lookup_that_never_ends_blocks_no_other() {
        let mut schedule = LookupSchedule::default();
        for n in 0..20 {
            schedule.watch(TorrentKey(n), hash(n as u8), Moment::START);
        }
        let mut begun = 0;
        let mut now = Moment::START;
        while now < Moment::from_secs(800) {
            schedule.on_time(now);
            begun += std::iter::from_fn(|| schedule.next(now)).count();
            now = schedule.deadline().unwrap().max(now + Duration::from_millis(1));
        }
        assert!(begun >= 20, "{begun}");
    }

    #[test]
    fn who_is_forgotten_is_not_looked_up() {
        let mut schedule = LookupSchedule::default();
        schedule.watch(TorrentKey(1), hash(1), Moment::START);
        assert_eq!(schedule.keys(hash(1)).collect::<Vec<_>>(), [TorrentKey(1)]);
        schedule.forget(TorrentKey(1));
        assert_eq!((schedule.next(Moment::from_secs(99)), schedule.deadline()), (None, None));
    }
}
