//! How rare each piece is, and which untouched piece to begin next.
//!
//! All pieces stand in one permutation. First come the *fresh* ones (wanted, missing, not begun),
//! in buckets by how many peers have them, the rarest first; behind them all others. A peer that
//! gains a piece moves it one bucket up with a single swap. Peers that have everything would move
//! all pieces alike and are not counted here at all.
//!
//! ```text
//! order   4 0 | 7 2 5 | 1 | 3 6          place[2] = 3
//!         0 have it | 1 | 2 | not fresh  ends = [2, 5, 6]
//! ```
//!
//! Invariant: `order[place[p]] == p`, and bucket `c` holds exactly the fresh pieces of count `c`.
//! Ten bytes a piece.

use crate::bitfield::Bitfield;
use crate::random::Random;

use super::peer::{Holding, word};

/// How many pieces are looked at, at most, before the peer's own pieces are searched instead.
const MAX_WALK: u32 = 256;

/// How many fresh pieces such a search finds before it takes the rarest of them.
const SAMPLE: usize = 8;

/// The order of rarity.
#[derive(Debug)]
pub(super) struct Rarity {
    order: Vec<u32>,
    place: Vec<u32>,
    count: Vec<u16>,
    ends: Vec<u32>,
    fresh: Bitfield,
    /// No piece below this is fresh.
    lowest: u32,
    /// Pieces and words looked at, to show that a pick does not grow with the torrent.
    #[cfg(test)]
    pub(super) steps: std::cell::Cell<u64>,
}

/// The result of a walk along the buckets.
enum Walk {
    Found(u32),
    Nothing,
    TooFar,
}

impl Rarity {
    /// The pieces of a torrent, while no peer has any.
    pub(super) fn new(fresh: Bitfield) -> Self {
        let count = fresh.len();
        let mut order: Vec<u32> = fresh.iter().collect();
        order.reserve_exact((count - fresh.count()) as usize);
        order.extend((0..count).filter(|&piece| !fresh.has(piece)));
        let mut place = vec![0; count as usize];
        for (at, &piece) in order.iter().enumerate() {
            place[piece as usize] = at as u32;
        }
        Rarity {
            order,
            place,
            count: vec![0; count as usize],
            ends: vec![fresh.count()],
            fresh,
            lowest: 0,
            #[cfg(test)]
            steps: Default::default(),
        }
    }

    /// How many peers have the piece, those that have everything apart.
    pub(super) fn count(&self, piece: u32) -> u16 {
        self.count[piece as usize]
    }

    /// Whether the piece is wanted, missing, and not begun.
    pub(super) fn is_fresh(&self, piece: u32) -> bool {
        self.fresh.has(piece)
    }

    /// How many fresh pieces there are.
    pub(super) fn fresh(&self) -> u32 {
        self.fresh.count()
    }

    /// How many fresh pieces no counted peer has; seeds are not counted.
    pub(super) fn unavailable(&self) -> u32 {
        self.ends[0]
    }

    /// One more peer has the piece.
    pub(super) fn more(&mut self, piece: u32) {
        let count = self.count[piece as usize];
        self.count[piece as usize] = count.saturating_add(1);
        if self.is_fresh(piece) && count < u16::MAX {
            self.grow(count + 1);
            self.lift(piece, count as usize);
        }
    }

    /// One peer fewer has the piece.
    pub(super) fn less(&mut self, piece: u32) {
        let count = self.count[piece as usize];
        self.count[piece as usize] = count.saturating_sub(1);
        if self.is_fresh(piece) && count > 0 {
            self.lower(piece, count as usize - 1);
        }
    }

    /// The piece is fresh from now on, or no longer.
    pub(super) fn set_fresh(&mut self, piece: u32, fresh: bool) {
        let bucket = self.count[piece as usize] as usize;
        if fresh && self.fresh.insert(piece) {
            self.grow(bucket as u16);
            (bucket..self.ends.len()).rev().for_each(|end| self.lower(piece, end));
            self.lowest = self.lowest.min(piece);
        } else if !fresh && self.fresh.remove(piece) {
            (bucket..self.ends.len()).for_each(|end| self.lift(piece, end));
        }
    }

    /// A fresh piece among the rarest that the peer has, chosen at random among equals.
    ///
    /// If the peer lacks nearly all of the rarest, the answer is the rarest of a sample of what it has.
    pub(super) fn rarest(
        &self,
        holding: &Holding,
        allows: impl Fn(u32) -> bool,
        random: &mut Random,
    ) -> Option<u32> {
        // A piece that no counted peer has, only a seed can have.
        let first = if holding.is_apart() { 0 } else { 1 };
        let mut budget = MAX_WALK;
        for bucket in first..self.ends.len() {
            self.step();
            let start = if bucket == 0 { 0 } else { self.ends[bucket - 1] };
            match self.walk(start..self.ends[bucket], &mut budget, holding, &allows, random) {
                Walk::Found(piece) => return Some(piece),
                Walk::Nothing => {}
                Walk::TooFar => return self.sample(holding, &allows, random),
            }
        }
        None
    }

    /// Any fresh piece that the peer has, at random.
    pub(super) fn any(
        &self,
        holding: &Holding,
        allows: impl Fn(u32) -> bool,
        random: &mut Random,
    ) -> Option<u32> {
        match self.walk(0..self.fresh.count(), &mut { MAX_WALK }, holding, &allows, random) {
            Walk::Found(piece) => Some(piece),
            Walk::Nothing => None,
            Walk::TooFar => self.sample(holding, &allows, random),
        }
    }

    /// The first fresh piece that the peer has.
    pub(super) fn first(&mut self, holding: &Holding, allows: impl Fn(u32) -> bool) -> Option<u32> {
        while self.lowest < self.fresh.len() {
            self.step();
            let ahead = word(&self.fresh, self.lowest / 64) << (self.lowest % 64);
            if ahead != 0 {
                self.lowest += ahead.leading_zeros();
                break;
            }
            self.lowest = (self.lowest / 64 + 1) * 64;
        }
        self.among(self.lowest / 64..self.words(), holding).find(|&piece| allows(piece))
    }

    /// Looks along `range` of the order, from a random place around.
    fn walk(
        &self,
        range: std::ops::Range<u32>,
        budget: &mut u32,
        holding: &Holding,
        allows: impl Fn(u32) -> bool,
        random: &mut Random,
    ) -> Walk {
        let length = range.len() as u64;
        let start = random.below(length);
        for ahead in 0..length {
            if *budget == 0 {
                return Walk::TooFar;
            }
            *budget -= 1;
            self.step();
            let piece = self.order[range.start as usize + ((start + ahead) % length) as usize];
            if holding.has(piece) && allows(piece) {
                return Walk::Found(piece);
            }
        }
        Walk::Nothing
    }

    /// The rarest of the first few fresh pieces the peer has, from a random place around.
    fn sample(&self, holding: &Holding, allows: impl Fn(u32) -> bool, random: &mut Random) -> Option<u32> {
        let words = self.words();
        let start = random.below(u64::from(words)) as u32;
        self.among(start..words, holding)
            .chain(self.among(0..start, holding))
            .filter(|&piece| allows(piece))
            .take(SAMPLE)
            .min_by_key(|&piece| self.count(piece))
    }

    /// The fresh pieces the peer has, in a range of words of 64.
    fn among<'a>(
        &'a self,
        words: std::ops::Range<u32>,
        holding: &'a Holding,
    ) -> impl Iterator<Item = u32> + 'a {
        words.flat_map(move |at| {
            self.step();
            let mut both = word(&self.fresh, at) & holding.word(at);
            std::iter::from_fn(move || {
                let bit = both.leading_zeros();
                both &= !(1u64 << 63).checked_shr(bit)?;
                Some(at * 64 + bit)
            })
        })
    }

    fn words(&self) -> u32 {
        self.fresh.len().div_ceil(64)
    }

    /// Makes sure that there is a bucket for `count`.
    fn grow(&mut self, count: u16) {
        let all = self.ends[self.ends.len() - 1];
        while self.ends.len() <= count as usize {
            self.ends.push(all);
        }
    }

    /// Moves a piece over the end of its bucket into the next.
    fn lift(&mut self, piece: u32, bucket: usize) {
        self.ends[bucket] -= 1;
        self.swap(piece, self.ends[bucket]);
    }

    /// Moves a piece from the bucket behind over the end of this one into it.
    fn lower(&mut self, piece: u32, bucket: usize) {
        self.swap(piece, self.ends[bucket]);
        self.ends[bucket] += 1;
    }

    fn swap(&mut self, piece: u32, to: u32) {
        let from = std::mem::replace(&mut self.place[piece as usize], to);
        let other = std::mem::replace(&mut self.order[to as usize], piece);
        if other != piece {
            self.order[from as usize] = other;
            self.place[other as usize] = from;
        }
    }

    fn step(&self) {
        #[cfg(test)]
        self.steps.set(self.steps.get() + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rarity: &Rarity) {
        for (piece, &place) in rarity.place.iter().enumerate() {
            assert_eq!(rarity.order[place as usize], piece as u32);
            let bucket = rarity.ends.partition_point(|&end| end <= place);
            if rarity.is_fresh(piece as u32) {
                assert_eq!(bucket, rarity.count[piece] as usize, "piece {piece} is in the wrong bucket");
            } else {
                assert_eq!(bucket, rarity.ends.len());
            }
        }
        assert_eq!(*rarity.ends.last().unwrap(), rarity.fresh());
    }

    #[test]
    fn buckets_stay_sorted_whatever_comes() {
        let mut random = Random::seeded(1);
        let mut rarity = Rarity::new(Bitfield::full(40));
        for _ in 0..4000 {
            let piece = random.below(40) as u32;
            match random.below(5) {
                0 | 1 => rarity.more(piece),
                2 => rarity.less(piece),
                3 => rarity.set_fresh(piece, true),
                _ => rarity.set_fresh(piece, false),
            }
            check(&rarity);
        }
    }

    #[test]
    fn the_first_is_found_from_any_place() {
        let mut rarity = Rarity::new(Bitfield::full(300));
        let seed = Holding::Everything;
        for piece in 0..300 {
            assert_eq!(rarity.first(&seed, |_| true), Some(piece));
            rarity.set_fresh(piece, false);
        }
        assert_eq!(rarity.first(&seed, |_| true), None);
        rarity.set_fresh(130, true);
        assert_eq!(rarity.first(&seed, |_| true), Some(130));
        rarity.set_fresh(7, true);
        assert_eq!(rarity.first(&seed, |_| true), Some(7));
        assert_eq!(rarity.first(&seed, |piece| piece != 7), Some(130));
    }
}
