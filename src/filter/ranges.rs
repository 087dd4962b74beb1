//! A set of addresses as sorted ranges.
//!
//! Ranges are pushed in any order and then settled: sorted and merged in place, so that making a set of a
//! million ranges takes no more memory than the set itself.
//!
//! Invariant: a settled set is sorted, and between two of its ranges there is an address that it does not
//! have.

use std::cmp::Ordering;

/// An address as a number.
pub(super) trait Address: Copy + Ord {
    /// The first one.
    const FIRST: Self;
    /// The last one.
    const LAST: Self;
    /// The one after, if there is one.
    fn next(self) -> Option<Self>;
    /// The one before, if there is one.
    fn previous(self) -> Option<Self>;
}

macro_rules! address {
    ($($number:ty)*) => { $(impl Address for $number {
        const FIRST: Self = 0;
        const LAST: Self = <$number>::MAX;

        fn next(self) -> Option<Self> {
            self.checked_add(1)
        }

        fn previous(self) -> Option<Self> {
            self.checked_sub(1)
        }
    })* };
}
address!(u32 u128);

/// The ranges, first and last address of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ranges<T>(Vec<(T, T)>);

impl<T> Default for Ranges<T> {
    fn default() -> Self {
        Ranges(Vec::new())
    }
}

impl<T: Address> Ranges<T> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes in one more range. The set is to be settled afterwards.
    pub(super) fn push(&mut self, first: T, last: T) {
        // Lists are sorted as a rule: what continues the range before is never stored.
        match self.0.last_mut() {
            Some(before) if touches(*before, first) => before.1 = before.1.max(last),
            _ => self.0.push((first, last)),
        }
    }

    /// Sorts and merges what was pushed.
    pub(super) fn settle(&mut self) {
        self.0.sort_unstable();
        self.0.dedup_by(|later, before| {
            let merge = touches(*before, later.0);
            if merge {
                before.1 = before.1.max(later.1);
            }
            merge
        });
        self.0.shrink_to_fit();
    }

    /// Takes in all of another set.
    pub(super) fn add(&mut self, other: &Ranges<T>) {
        self.0.extend_from_slice(&other.0);
        self.settle();
    }

    /// Whether the set has this address.
    pub(super) fn has(&self, address: T) -> bool {
        let side = |&(first, last): &(T, T)| match () {
            () if last < address => Ordering::Less,
            () if address < first => Ordering::Greater,
            () => Ordering::Equal,
        };
        self.0.binary_search_by(side).is_ok()
    }

    /// Every address that the set does not have.
    pub(super) fn complement(&self) -> Ranges<T> {
        let mut out = Vec::with_capacity(self.0.len() + 1);
        let mut from = Some(T::FIRST);
        for &(first, last) in &self.0 {
            if let (Some(from), Some(to)) = (from, first.previous())
                && from <= to
            {
                out.push((from, to));
            }
            from = last.next();
        }
        out.extend(from.map(|from| (from, T::LAST)));
        Ranges(out)
    }

    /// The addresses that this set has and the other has not.
    pub(super) fn without(&self, other: &Ranges<T>) -> Ranges<T> {
        let mut out = Vec::with_capacity(self.0.len() + other.0.len());
        let gaps = other.complement();
        let mut at = 0;
        for &(first, last) in &self.0 {
            // Gaps that end before this range end before all that follow, too.
            while gaps.0.get(at).is_some_and(|gap| gap.1 < first) {
                at += 1;
            }
            let within = gaps.0.iter().skip(at).take_while(|gap| gap.0 <= last);
            out.extend(within.map(|gap| (gap.0.max(first), gap.1.min(last))));
        }
        Ranges(out)
    }
}

/// Whether a range that begins at `first`, and does not begin before `before`, overlaps it or continues it.
fn touches<T: Address>(before: (T, T), first: T) -> bool {
    before.0 <= first && before.1.next().is_none_or(|next| first <= next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Each address as a place in a line: what is asked of a set cannot be got wrong here.
    fn naive(ranges: &[(u32, u32)]) -> [bool; 64] {
        std::array::from_fn(|at| ranges.iter().any(|(first, last)| (*first..=*last).contains(&(at as u32))))
    }

    fn shown(set: &Ranges<u32>) -> [bool; 64] {
        std::array::from_fn(|at| set.has(at as u32))
    }

    fn settled(ranges: &[(u32, u32)]) -> Ranges<u32> {
        let mut set = Ranges::default();
        ranges.iter().for_each(|(first, last)| set.push(*first, *last));
        set.settle();
        set
    }

    #[track_caller]
    fn assert_sorted_apart(set: &Ranges<u32>) {
        let apart = |pair: &[(u32, u32)]| pair[0].1 < pair[1].0 && pair[0].1 + 1 < pair[1].0;
        assert!(set.0.windows(2).all(apart) && set.0.iter().all(|(first, last)| first <= last), "{set:?}");
    }

    #[test]
    fn a_set_answers_as_a_list_of_ranges_does() {
        let mut random = Random::seeded(7);
        for _ in 0..4_000 {
            let mut some = || -> Vec<(u32, u32)> {
                let count = random.below(9);
                let range = |random: &mut Random| {
                    let first = random.below(64);
                    (first as u32, (first + random.below(64 - first).min(random.below(20))) as u32)
                };
                (0..count).map(|_| range(&mut random)).collect()
            };
            let (ranges, others) = (some(), some());
            let (want, not) = (naive(&ranges), naive(&others));
            let (set, other) = (settled(&ranges), settled(&others));
            assert_eq!(shown(&set), want, "{ranges:?}");
            assert_eq!(shown(&set.complement()), want.map(|has| !has), "{ranges:?}");
            let without = set.without(&other);
            assert_eq!(
                shown(&without),
                std::array::from_fn(|at| want[at] && !not[at]),
                "{ranges:?} {others:?}"
            );
            let mut both = set.clone();
            both.add(&other);
            assert_eq!(shown(&both), std::array::from_fn(|at| want[at] || not[at]), "{ranges:?} {others:?}");
            for made in [&set, &set.complement(), &without, &both] {
                assert_sorted_apart(made);
            }
            assert_eq!(set.complement().complement(), set);
        }
    }

    #[test]
    fn both_ends_of_the_address_space_are_addresses() {
        for (first, last) in [(0, u32::MAX), (0, 0), (u32::MAX, u32::MAX)] {
            let set = settled(&[(first, last), (first, last)]);
            assert!(set.has(first) && set.has(last) && set.len() == 1);
            assert!(!set.complement().has(first) && !set.complement().has(last));
            assert_eq!(set.without(&set).len(), 0);
        }
    }
}
