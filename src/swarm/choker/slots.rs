//! How many peers are unchoked at once.
//!
//! A slot is added while the last one raised the total upload rate: then the peers limit us, not our line.
//! Every further slot has to carry more than the one before (its own number in KiB a second), so that a thin
//! line is not shared by many peers that are then all slow. One that raised nothing is taken back, and the
//! next is tried a minute later.
//!
//! Never decides which peers.

/// Slots to begin with.
const FIRST_SLOTS: usize = 8;

/// Bounds of their number if it follows the rate. Each unchoked peer costs a thread.
const MIN_SLOTS: usize = 2;
const MAX_SLOTS: usize = 64;

/// Rounds without a trial after one that failed.
const REST_ROUNDS: u32 = 6;

/// The number of slots.
#[derive(Debug)]
pub(super) struct Slots {
    now: usize,
    fixed: bool,
    trial: Option<Trial>,
    rest: u32,
}

/// The rate and the slots before slots were added, to judge the addition by.
#[derive(Debug)]
struct Trial {
    slots: usize,
    rate: u64,
}

impl Slots {
    /// A fixed number of slots, or as many as prove useful.
    pub(super) fn new(fixed: Option<usize>) -> Self {
        Slots { now: fixed.unwrap_or(FIRST_SLOTS), fixed: fixed.is_some(), trial: None, rest: 0 }
    }

    pub(super) fn count(&self) -> usize {
        self.now
    }

    /// Thinks it over after a round in which `served` peers that wanted something were served, at
    /// `rate` bytes a second together and the slowest at `slowest`, and `waiting` more wanted to be.
    pub(super) fn round(&mut self, rate: u64, slowest: u64, served: usize, waiting: usize) {
        if self.fixed {
            return;
        }
        self.rest = self.rest.saturating_sub(1);
        if let Some(trial) = self.trial.take() {
            // At least half of what each slot before carried.
            let share = trial.rate / trial.slots as u64;
            let hoped = trial.rate.saturating_add(share.saturating_mul((self.now - trial.slots) as u64) / 2);
            if rate < hoped {
                (self.now, self.rest) = (trial.slots, REST_ROUNDS);
            }
        }
        if served < self.now || waiting == 0 {
            return;
        }
        if rate / (self.now as u64) < kib(self.now) / 2 {
            self.now = (self.now - 1).max(MIN_SLOTS);
        } else if self.rest == 0 && slowest >= kib(self.now) && self.now < MAX_SLOTS {
            self.trial = Some(Trial { slots: self.now, rate });
            self.now = (self.now + (self.now / 4).max(1)).min(MAX_SLOTS);
        }
    }
}

fn kib(slots: usize) -> u64 {
    slots as u64 * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of slots, round by round, where peers take 1 MiB/s each and a line carries `line`.
    fn on_a_line_of(line: u64, peers: usize, rounds: usize) -> Vec<usize> {
        let mut slots = Slots::new(None);
        let course = (0..rounds).map(|_| {
            let served = slots.count().min(peers);
            let rate = line.min(served as u64 * (1 << 20));
            slots.round(rate, rate / served as u64, served, peers - served);
            slots.count()
        });
        course.collect()
    }

    #[test]
    fn slots_are_added_while_they_carry_more() {
        assert_eq!(on_a_line_of(12 << 20, 100, 8), [10, 12, 15, 12, 12, 12, 12, 12], "a line of 12 MiB/s");
        assert_eq!(on_a_line_of(1 << 30, 15, 6), [10, 12, 15, 15, 15, 15], "no more than peers");
        let fast = on_a_line_of(1 << 30, 1000, 20);
        assert_eq!(fast.last(), Some(&MAX_SLOTS));
    }

    #[test]
    fn a_full_line_is_tried_again_now_and_then() {
        let course = on_a_line_of(8 << 20, 100, 22);
        assert_eq!(
            course,
            [10, 8, 8, 8, 8, 8, 8, 10, 8, 8, 8, 8, 8, 8, 10, 8, 8, 8, 8, 8, 8, 10],
            "for ten seconds in seventy"
        );
    }

    #[test]
    fn a_thin_line_is_shared_by_few() {
        assert_eq!(on_a_line_of(20 << 10, 100, 6).last(), Some(&6));
        assert_eq!(on_a_line_of(2 << 10, 100, 20).last(), Some(&2));
        assert_eq!(on_a_line_of(0, 100, 20).last(), Some(&MIN_SLOTS));
    }

    #[test]
    fn a_number_that_was_given_stands() {
        let mut slots = Slots::new(Some(3));
        (0..10).for_each(|_| slots.round(100 << 20, 10 << 20, 3, 50));
        assert_eq!(slots.count(), 3);
    }
}
