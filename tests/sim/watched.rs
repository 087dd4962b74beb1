//! What a node owes to others and to its user over time, asserted whenever its torrent has settled: whom
//! it serves, what it tells, when it has seeded enough, whom it parts with, and how it ends.
//!
//! Seen from outside: from what the torrent was told and what it did, never from its own state.

use std::time::Duration;

use bitwren::internals::bitfield::Bitfield;
use bitwren::internals::host::active_queue::Lane;
use bitwren::internals::job::PeerKey;
use bitwren::internals::moment::Moment;
use bitwren::internals::torrent::{Host, STOPPED_ANNOUNCE};
use bitwren::{Phase, SeedLimit};

use super::node::{Admitted, Life, Node, ToDisk};

/// Slots at the least and at the most, where their number follows the rate.
const SLOTS: (usize, usize) = (2, 64);
/// The time between two rounds of the choker.
const ROUND: Duration = Duration::from_secs(10);
/// After which time two seeds have parted.
const USELESS: Duration = Duration::from_secs(35);
/// The last deadline for the disk to write what is under way, after the end began.
const LAST_BLOCK: Duration = Duration::from_secs(2);
/// The last deadline for the save at the end, after the end began.
const LAST_SAVE: Duration = Duration::from_millis(3_500);

/// The time between two looks at files because peers hang up.
const LOOK_AT_FILES: Duration = Duration::from_secs(2);
/// How often the thread of a torrent wakes by itself, at the most, within which time.
const WAKES: (u32, Duration) = (200, Duration::from_secs(1));

/// What is watched over the life of a node.
pub struct Watched {
    /// The pieces that connections were told of by the log, or as they were let in.
    pub logged: Bitfield,
    /// The download has ended, and trackers are to hear of it.
    pub unannounced: bool,
    /// Connections that delivered all of a wrong piece.
    pub convicts: Vec<PeerKey>,
    /// Trackers are being told that it stops, so many times.
    pub farewells: u32,
    /// Since when a peer waits to be served while there is a slot for it.
    waits: Option<Moment>,
    /// Bytes sent in earlier lives.
    pub uploaded_before: u64,
    /// Since when it seeds, and for how long before.
    seeds: Option<Moment>,
    seeded: Duration,
    pub ends_since: Option<Moment>,
    /// It was decided which peers are served.
    pub chose_served: bool,
    /// When files were looked at last because a peer had left.
    pub files_looked_at: Option<Moment>,
    /// When peers are looked at next, and since when it keeps places that others lack.
    pub looks: Moment,
    pub owes: Option<Moment>,
    /// How often its thread woke by itself since then.
    woken: (Moment, u32),
}

impl Watched {
    pub fn new(pieces: u32) -> Watched {
        Watched {
            logged: Bitfield::empty(pieces),
            unannounced: false,
            convicts: Vec::new(),
            farewells: 0,
            waits: None,
            uploaded_before: 0,
            seeds: None,
            seeded: Duration::ZERO,
            ends_since: None,
            chose_served: false,
            files_looked_at: None,
            looks: Moment::START,
            owes: None,
            woken: (Moment::START, 0),
        }
    }

    /// The data was checked.
    pub fn begins(&mut self, have: &Bitfield, uploaded: u64) {
        (self.logged, self.uploaded_before) = (have.clone(), uploaded);
    }

    /// Its thread has woken by itself, at a time that it chose.
    pub fn wakes(&mut self, now: Moment) {
        let (since, times) = &mut self.woken;
        (*since, *times) = if now > *since + WAKES.1 { (now, 1) } else { (*since, *times + 1) };
        assert!(*times <= WAKES.0, "its thread wakes again and again, and does nothing");
    }

    /// A peer that was sent blocks has hung up: the files they came from may show why.
    pub fn check_looks(&self, now: Moment) {
        let looked = self.files_looked_at.is_some_and(|looked| now < looked + LOOK_AT_FILES);
        assert!(looked, "a peer that was sent blocks has hung up, and the files are not looked at");
    }

    /// For how long it has seeded.
    fn seeded(&self, now: Moment) -> Duration {
        self.seeded + self.seeds.map_or(Duration::ZERO, |since| now - since)
    }
}

impl Node {
    /// What must hold when the torrent has settled.
    pub fn watch(&mut self, now: Moment) {
        let slow = self.slowest_nap();
        let Some(life) = &mut self.life else { return };
        let phase = life.torrent.phase();
        let works = life.online && matches!(phase, Phase::Downloading | Phase::Seeding);
        let is_seed = |key: &PeerKey| {
            life.workers.get(key).is_some_and(|worker| worker.conversation.session().has().is_full())
        };
        // Peers that may be served, and are, or are not.
        let wants =
            |(key, peer): &(&PeerKey, &Admitted)| peer.interested && !peer.upload_only && !is_seed(key);
        let served = life.admitted.iter().filter(wants).filter(|(_, peer)| !peer.choked).count();
        let (least, most) = self.plan.slots.map_or(SLOTS, |slots| (slots, slots));
        assert!(!works || served <= most, "{served} peers are served in {most} slots");
        let may_wait = |peer: &Admitted| peer.leaving || peer.snubbed && phase == Phase::Downloading;
        let mut choked = life.admitted.iter().filter(wants).filter(|(_, peer)| peer.choked);
        let waits = works && served < least && choked.any(|(_, peer)| !may_wait(peer));
        let chose = std::mem::take(&mut life.watched.chose_served);
        assert!(!waits || !chose, "{served} of {least} slots are given, and a peer waits");
        life.watched.waits = if waits { life.watched.waits.or(Some(now)) } else { None };
        let waits = life.watched.waits.is_none_or(|since| now <= since + ROUND + slow);
        assert!(waits, "a peer waits to be served, and {served} of {least} slots are taken");
        // Two seeds have nothing to say to one another.
        let mut useless = Vec::new();
        for (key, peer) in &life.admitted {
            if phase == Phase::Seeding && !peer.leaving && is_seed(key) {
                useless.push((*key, peer.useless.unwrap_or(now)));
            }
        }
        life.admitted.values_mut().for_each(|peer| peer.useless = None);
        for (key, since) in useless {
            assert!(now <= since + USELESS + slow, "{key:?} is a seed, and so are we");
            life.admitted.get_mut(&key).unwrap().useless = Some(since);
        }
        let staying = |key: &PeerKey| life.admitted.get(key).is_some_and(|peer| !peer.leaving);
        let stays = life.watched.convicts.drain(..).find(staying);
        assert_eq!(stays, None, "it delivered a wrong piece, and is still connected");
        // Every connection reads of pieces soon, and those of seeds later.
        for worker in life.workers.values_mut().filter(|worker| worker.cursor < life.log.end()) {
            let since = *worker.behind.get_or_insert(now);
            let since = if self.hangs.is_some() { now } else { since };
            let seed = worker.conversation.session().has().is_full();
            assert!(seed || now <= since + slow * 2, "a connection was not told of pieces since {since:?}");
        }
        let seeds = phase == Phase::Seeding;
        life.host.had_slot &= !matches!(phase, Phase::Paused | Phase::Seeding);
        if !seeds {
            life.watched.seeded = life.watched.seeded(now);
        }
        life.watched.seeds = if seeds { life.watched.seeds.or(Some(now)) } else { None };
    }

    /// The same, as far as nothing is to be noted.
    pub fn check_watched(&self, life: &Life, now: Moment) {
        let phase = life.torrent.phase();
        assert!(!life.watched.unannounced, "the download has ended, and no tracker is told");
        if let Some(have) = life.torrent.have().filter(|_| life.ends_by.is_none()) {
            assert_eq!(have, &life.watched.logged, "what connections are told is not what there is");
        }
        if let Phase::Stalled = phase {
            assert!(life.admitted.values().all(|peer| peer.leaving), "the disk is full, and peers stay");
        }
        let limited = self.client.borrow().slots.is_limited(Lane::Download);
        let idle = matches!(phase, Phase::Paused | Phase::Seeding | Phase::Failed | Phase::Stopped);
        assert!(!idle || !life.host.has_slot, "an active slot is kept by one that is {phase:?}");
        assert!(
            !limited
                || life.verifying
                || !matches!(phase, Phase::Checking | Phase::Downloading)
                || life.host.had_slot,
            "it is {phase:?}, and never had an active slot"
        );
        if phase == Phase::Seeding {
            let late =
                self.plan.seeds_for.is_some_and(|time| life.watched.seeded(now) > time + self.slowest_nap());
            assert!(!late && !self.is_ratio_reached(life), "it has seeded enough, and goes on");
        }
    }

    fn is_ratio_reached(&self, life: &Life) -> bool {
        let sent = life.watched.uploaded_before + life.host.transferred().sent;
        let wanted = self.disk.total() as f64;
        self.plan.seeds_ratio.is_some_and(|percent| sent as f64 >= percent as f64 / 100.0 * wanted)
    }

    /// It says that it has seeded enough.
    pub fn check_limit(&self, why: SeedLimit, now: Moment) {
        let Some(life) = &self.life else { return };
        let enough = match why {
            SeedLimit::Ratio => self.is_ratio_reached(life),
            _ => self.plan.seeds_for.is_some_and(|time| life.watched.seeded(now) >= time),
        };
        let late = |time| life.watched.seeded(now) > time + self.slowest_nap();
        assert!(!self.plan.seeds_for.is_some_and(late), "it ends for its {why:?} too late");
        // What was lost to another program is not counted among what is wanted.
        assert!(enough || self.disk.state().changes > 0, "it ends for its {why:?} too early");
    }

    /// What must hold when it has ended.
    pub fn check_ended(&self, life: &Life, now: Moment) {
        let late = |within| life.watched.ends_since.is_none_or(|since| now >= since + within);
        assert!(!life.online, "it has ended, and trackers were not told");
        assert!(life.watched.farewells == 0 || late(STOPPED_ANNOUNCE), "it did not wait for its trackers");
        assert!(life.unsaved.is_none() || late(LAST_BLOCK), "it has ended, and did not save what it had");
        assert!(life.saving.is_empty() || late(LAST_SAVE), "it did not wait for its last save");
        let closes = life.to_disk.iter().any(|told| matches!(told, ToDisk::Close));
        assert!(life.write_queue.is_none() || closes, "it has ended, and the disk is not told");
    }
}
