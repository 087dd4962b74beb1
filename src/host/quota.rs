//! How torrents share a number of places (connections, connection attempts) that is bounded for all of them
//! together, so that a torrent with a thousand peers does not starve the others.
//!
//! Shares are max-min fair: each torrent gets what it uses, up to a level that is the same for all. It may
//! also have what others do not use; a few places are kept free for each of the others, as long as they are
//! not many. A torrent that has more than its share, because others came or began to use theirs, gives back a
//! few at a time, and only while places are lacking.
//!
//! Pure. Invariant: no place is taken while `most` or more are.

use crate::sorted::SortedMap;

/// Places kept free for a torrent that uses none, where there are enough.
const MIN_KEPT_FREE: u32 = 4;

/// At most one part in this many is kept free for those that use none.
const KEPT_FREE_PART: u32 = 4;

/// One part in this many is to be free once places are lacking.
const FREE_PART: u32 = 16;

/// The places and the torrents that hold them.
#[derive(Debug)]
pub struct FairQuota<K> {
    most: u32,
    taken: u32,
    torrents: SortedMap<K, Use>,
}

#[derive(Debug, Default)]
struct Use {
    taken: u32,
    /// Places it would have, those taken included; nothing while it rests.
    wanted: Option<u32>,
}

impl<K: Ord + Copy> FairQuota<K> {
    /// A quota of `most` places.
    pub fn new(most: u32) -> Self {
        FairQuota { most, taken: 0, torrents: SortedMap::new() }
    }

    /// Changes the number of places; those taken beyond it are to be given back.
    pub fn set_most(&mut self, most: u32) {
        self.most = most;
    }

    /// An active torrent wants `wanted` places, those it has included.
    pub fn want(&mut self, key: K, wanted: u32) {
        self.torrents.get_or_default(key).wanted = Some(wanted);
    }

    /// It rests: nothing is kept for it.
    pub fn rest(&mut self, key: K) {
        if let Some(user) = self.torrents.get_mut(&key) {
            user.wanted = None;
        }
    }

    /// It has ended and its places are free.
    pub fn end(&mut self, key: K) {
        if let Some(user) = self.torrents.remove(&key) {
            self.taken -= user.taken;
        }
    }

    /// The most places this torrent may have just now; at least one.
    pub fn share(&self, key: K) -> u32 {
        let working = self.torrents.values().filter(|user| user.wanted.is_some()).count() as u32;
        let kept = MIN_KEPT_FREE.min(self.most / KEPT_FREE_PART / working.max(1));
        let others = || self.torrents.iter().filter(|(other, _)| **other != key).map(|(_, user)| user);
        let fits = |level: u32| {
            let used = others().map(|user| {
                let wanted = user.wanted.map_or(0, |wanted| wanted.max(kept));
                u64::from(wanted.max(user.taken).min(level))
            });
            used.sum::<u64>() + u64::from(level) <= u64::from(self.most)
        };
        // The greatest level that fits, by halves.
        let (mut fitting, mut beyond) = (1, self.most.saturating_add(1));
        while beyond - fitting > 1 {
            let level = fitting + (beyond - fitting) / 2;
            if fits(level) { fitting = level } else { beyond = level }
        }
        fitting
    }

    /// Whether a place is to be had for this torrent.
    pub fn has_room(&self, key: K) -> bool {
        self.taken < self.most && self.taken_by(key) < self.share(key)
    }

    /// Takes a place; false if there is none for this torrent.
    pub fn enter(&mut self, key: K) -> bool {
        let room = self.has_room(key);
        if room {
            self.torrents.get_or_default(key).taken += 1;
            self.taken += 1;
        }
        room
    }

    /// Gives a place back.
    pub fn leave(&mut self, key: K) {
        if let Some(user) = self.torrents.get_mut(&key).filter(|user| user.taken > 0) {
            user.taken -= 1;
            self.taken -= 1;
        }
    }

    /// How many places this torrent is to give back now.
    pub fn owed(&self, key: K) -> u32 {
        let free = self.most.saturating_sub(self.taken);
        let lacking = (self.most / FREE_PART).max(1).saturating_sub(free);
        match self.taken_by(key) {
            0 => 0,
            taken => taken.saturating_sub(self.share(key)).min(lacking),
        }
    }

    fn taken_by(&self, key: K) -> u32 {
        self.torrents.get(&key).map_or(0, |user| user.taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each torrent, in this order, enters up to `wants` times; places by torrent.
    fn fill(shares: &mut FairQuota<usize>, wants: &[u32]) -> Vec<u32> {
        for (key, want) in wants.iter().enumerate() {
            shares.want(key, *want);
        }
        for (key, want) in wants.iter().enumerate() {
            while shares.taken_by(key) < *want && shares.enter(key) {}
        }
        (0..wants.len()).map(|key| shares.taken_by(key)).collect()
    }

    /// What torrents that are alive settle at: seconds pass, each gives back what it owes and then
    /// takes what it can.
    fn settle(shares: &mut FairQuota<usize>, wants: &[u32]) -> Vec<u32> {
        for _ in 0..100 {
            for key in 0..wants.len() {
                (0..shares.owed(key)).for_each(|_| shares.leave(key));
            }
            fill(shares, wants);
            assert!(shares.taken <= shares.most);
        }
        (0..wants.len()).map(|key| shares.taken_by(key)).collect()
    }

    #[test]
    fn one_alone_has_everything() {
        assert_eq!(fill(&mut FairQuota::new(200), &[1000]), [200]);
    }

    #[test]
    fn a_torrent_with_many_peers_leaves_the_others_theirs() {
        assert_eq!(fill(&mut FairQuota::new(200), &[1000, 30, 1000]), [85, 30, 85]);
        assert_eq!(fill(&mut FairQuota::new(200), &[1000, 0, 0]), [192, 0, 0], "and a few to begin with");
        assert_eq!(fill(&mut FairQuota::new(10), &[9; 20]), [[1; 10], [0; 10]].concat());
    }

    #[test]
    fn who_came_first_gives_back_and_no_faster_than_it_is_used() {
        let mut shares = FairQuota::new(160);
        assert_eq!(fill(&mut shares, &[1000]), [160]);
        shares.want(1, 1);
        assert_eq!(shares.owed(0), 4, "what is kept for one who uses nothing yet");
        shares.want(1, 1000);
        assert_eq!(shares.owed(0), 10);
        (0..10).for_each(|_| shares.leave(0));
        assert_eq!(shares.owed(0), 0, "there is room for the other to come into");
        assert!(!shares.enter(0) && shares.enter(1));
        assert_eq!(settle(&mut shares, &[1000, 1000]), [80, 80]);
    }

    #[test]
    fn what_is_not_used_goes_to_others() {
        let mut shares = FairQuota::new(160);
        assert_eq!(settle(&mut shares, &[1000, 1000]), [80, 80]);
        (0..80).for_each(|_| shares.leave(1));
        shares.rest(1);
        assert_eq!(settle(&mut shares, &[1000]), [160]);
        shares.end(0);
        assert_eq!(shares.taken, 0);
    }

    #[test]
    fn with_more_torrents_than_places_none_has_two() {
        let mut shares = FairQuota::new(50);
        assert!(settle(&mut shares, &[3; 1000]).iter().all(|&taken| taken <= 1));
        assert_eq!(shares.taken, 50);
    }
}
