//! Which torrents may be active: limited numbers that download and that seed at a time, the others in the order
//! of the queue.
//!
//! Pure: it knows torrents by a key, and neither starts nor stops them. Invariant: no torrent waits while a slot is
//! free, and none is granted one beyond the limit unless it was let past the queue.

use std::collections::HashSet;
use std::hash::Hash;

/// What a slot is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// To check data and to download.
    Download,
    /// To seed.
    Seed,
}

/// Where to move torrents in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QueueMove {
    /// Before all others.
    Top,
    /// One place forward.
    Up,
    /// One place back.
    Down,
    /// After all others.
    Bottom,
}

/// A queue of torrents.
#[derive(Debug)]
pub struct Queue<K> {
    /// All torrents, in order.
    order: Vec<K>,
    lanes: [Slots<K>; 2],
    /// Those whose next ask is granted.
    forced: HashSet<K>,
}

/// The slots of one lane.
#[derive(Debug)]
struct Slots<K> {
    /// Turns at a time; 0 is no limit.
    most: usize,
    having: HashSet<K>,
    waiting: Vec<K>,
}

impl<K: Copy + Eq + Hash> Slots<K> {
    fn new(most: usize) -> Self {
        Slots { most, having: HashSet::new(), waiting: Vec::new() }
    }

    fn has_room(&self) -> bool {
        self.most == 0 || self.having.len() < self.most
    }

    /// Gives free slots to those that wait, in order.
    fn grant(&mut self, order: &[K]) -> Vec<K> {
        let mut granted = Vec::new();
        while self.has_room() {
            let place = |key: &K| order.iter().position(|other| other == key);
            let Some(at) = (0..self.waiting.len()).min_by_key(|&at| place(&self.waiting[at])) else { break };
            let next = self.waiting.remove(at);
            self.having.insert(next);
            granted.push(next);
        }
        granted
    }
}

impl<K: Copy + Eq + Hash> Queue<K> {
    /// An empty queue with this many slots to download and to seed; 0 is no limit.
    pub fn new(downloads: usize, seeds: usize) -> Self {
        Queue { order: Vec::new(), lanes: [Slots::new(downloads), Slots::new(seeds)], forced: HashSet::new() }
    }

    /// Whether a torrent may ever have to wait.
    pub fn is_limited(&self, lane: Lane) -> bool {
        self.lanes[lane as usize].most != 0
    }

    /// Changes the numbers of slots. Those that have one keep it; names those that get one now.
    pub fn set_most(&mut self, downloads: usize, seeds: usize) -> Vec<K> {
        let mut granted = Vec::new();
        for (slots, most) in self.lanes.iter_mut().zip([downloads, seeds]) {
            slots.most = most;
            granted.extend(slots.grant(&self.order));
        }
        granted
    }

    /// A torrent takes the last place in the order, unless it has one.
    pub fn enter(&mut self, key: K) {
        if !self.order.contains(&key) {
            self.order.push(key);
        }
    }

    /// A torrent has ended: it has no place any longer. Names those whose turn it is now.
    pub fn leave(&mut self, key: K) -> Vec<K> {
        let granted = self.done(key);
        self.order.retain(|other| *other != key);
        granted
    }

    /// All torrents, in order.
    pub fn order(&self) -> &[K] {
        &self.order
    }

    /// Moves torrents, which keep their order among themselves.
    pub fn shift(&mut self, keys: &[K], to: QueueMove) {
        let is_moved = |key: &K| keys.contains(key);
        let (moved, others): (Vec<K>, Vec<K>) = self.order.iter().partition(|key| is_moved(key));
        match to {
            QueueMove::Top => self.order = moved.into_iter().chain(others).collect(),
            QueueMove::Bottom => self.order = others.into_iter().chain(moved).collect(),
            QueueMove::Up => {
                for at in 1..self.order.len() {
                    if is_moved(&self.order[at]) && !is_moved(&self.order[at - 1]) {
                        self.order.swap(at, at - 1);
                    }
                }
            }
            QueueMove::Down => {
                for at in (1..self.order.len()).rev() {
                    if is_moved(&self.order[at - 1]) && !is_moved(&self.order[at]) {
                        self.order.swap(at, at - 1);
                    }
                }
            }
        }
    }

    /// Moves a torrent to a place in the order, counted from 0; one past the last is the last.
    pub fn place(&mut self, key: K, at: usize) {
        if let Some(from) = self.order.iter().position(|other| *other == key) {
            self.order.remove(from);
            self.order.insert(at.min(self.order.len()), key);
        }
    }

    /// Asks for a slot. True if it is granted at once (or already held); otherwise another call will name this
    /// torrent. One that has a slot of the other lane gives that up by [`done`](Self::done) first.
    pub fn ask(&mut self, key: K, lane: Lane) -> bool {
        self.enter(key);
        let is_forced = self.forced.remove(&key);
        let slots = &mut self.lanes[lane as usize];
        if slots.having.contains(&key) {
            return true;
        }
        if is_forced || slots.has_room() {
            slots.having.insert(key);
            return true;
        }
        if !slots.waiting.contains(&key) {
            slots.waiting.push(key);
        }
        false
    }

    /// Lets a torrent past the queue, whatever the limit: where it waited it has its slot now, and otherwise its
    /// next ask is granted. Whether it waited.
    pub fn force(&mut self, key: K) -> bool {
        for slots in &mut self.lanes {
            if let Some(at) = slots.waiting.iter().position(|waiting| *waiting == key) {
                slots.waiting.remove(at);
                return slots.having.insert(key);
            }
        }
        self.forced.insert(key);
        false
    }

    /// Gives a turn back, or the wish for one up. Names those whose turn it is now.
    pub fn done(&mut self, key: K) -> Vec<K> {
        self.forced.remove(&key);
        let mut granted = Vec::new();
        for slots in &mut self.lanes {
            slots.waiting.retain(|waiting| *waiting != key);
            if slots.having.remove(&key) {
                granted.extend(slots.grant(&self.order));
            }
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn turns_come_in_the_order_of_the_queue() {
        let mut queue = Queue::new(2, 0);
        assert_eq!(
            [1, 2, 3, 4, 5].map(|key| queue.ask(key, Lane::Download)),
            [true, true, false, false, false]
        );
        assert!(
            queue.ask(1, Lane::Download) && !queue.ask(4, Lane::Download),
            "asking twice changes nothing"
        );
        assert_eq!(queue.done(4), [0; 0], "who no longer wants to");
        assert_eq!(queue.done(2), [3]);
        assert_eq!(queue.done(2), [0; 0], "it has no turn to give back");
        assert!(!queue.ask(2, Lane::Download));
        assert_eq!(
            [queue.done(1), queue.done(3), queue.done(5), queue.done(2)],
            [vec![2], vec![5], vec![], vec![]]
        );
        assert!(queue.ask(9, Lane::Download));
    }

    #[test]
    fn without_a_limit_no_torrent_waits() {
        let mut queue = Queue::new(0, 0);
        assert!((0..1000).all(|key| queue.ask(key, Lane::Download)) && !queue.is_limited(Lane::Download));
        assert_eq!(queue.done(7), [0; 0]);
    }

    #[test]
    fn no_turn_is_lost_whatever_happens() {
        let (mut queue, mut random) = (Queue::new(3, 0), Random::seeded(4));
        for _ in 0..2000 {
            let key = random.below(12);
            if random.below(2) == 0 {
                queue.ask(key, Lane::Download);
            } else {
                queue.done(key);
            }
            assert!(queue.lanes[0].having.len() <= 3);
            assert!(queue.lanes[0].waiting.is_empty() || queue.lanes[0].having.len() == 3);
            assert!(queue.lanes[0].waiting.iter().all(|key| !queue.lanes[0].having.contains(key)));
        }
    }

    #[test]
    fn the_order_says_whose_turn_is_next() {
        let mut queue = Queue::new(1, 1);
        let asked = [1, 2, 3, 4, 5].map(|key| queue.ask(key, Lane::Download));
        assert_eq!(asked, [true, false, false, false, false]);
        assert!(queue.ask(6, Lane::Seed) && !queue.ask(7, Lane::Seed), "the lanes are apart");
        queue.shift(&[4, 5], QueueMove::Up);
        assert_eq!(queue.order(), [1, 2, 4, 5, 3, 6, 7]);
        queue.shift(&[5, 2], QueueMove::Top);
        assert_eq!(queue.order(), [2, 5, 1, 4, 3, 6, 7]);
        queue.shift(&[2, 1], QueueMove::Down);
        assert_eq!(queue.order(), [5, 2, 4, 1, 3, 6, 7]);
        queue.shift(&[5], QueueMove::Bottom);
        queue.place(3, 0);
        queue.place(2, 99);
        assert_eq!(queue.order(), [3, 4, 1, 6, 7, 5, 2]);
        assert_eq!([queue.done(1), queue.done(3), queue.done(6)], [vec![3], vec![4], vec![7]]);
        assert_eq!(queue.leave(4), [5]);
        assert_eq!(queue.order(), [3, 1, 6, 7, 5, 2]);
    }

    #[test]
    fn one_may_be_let_past_the_queue_and_more_when_the_limit_is_raised() {
        let mut queue = Queue::new(1, 0);
        assert_eq!([1, 2, 3, 4].map(|key| queue.ask(key, Lane::Download)), [true, false, false, false]);
        assert!(queue.force(3) && queue.ask(3, Lane::Download) && !queue.force(3));
        assert_eq!(queue.done(1), [0; 0], "the place that it took is counted");
        assert_eq!(queue.set_most(3, 0), [2, 4]);
        assert_eq!(queue.set_most(1, 0), [0; 0]);
        assert_eq!((queue.done(2), queue.done(4)), (vec![], vec![]));
        assert!(!queue.ask(5, Lane::Download), "3 still has its slot");
        assert_eq!(queue.set_most(0, 0), [5]);
    }
}
