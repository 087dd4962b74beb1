//! Which torrents may download: a limited number at a time, the others in the order in which they asked.
//!
//! Pure: it knows torrents by a key, and neither starts nor stops them. Invariant: never more than `most` are
//! active, and none waits while a slot is free.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;

/// A queue of torrents.
#[derive(Debug)]
pub struct Queue<K> {
    /// Turns at a time; 0 is no limit.
    most: usize,
    having: HashSet<K>,
    waiting: VecDeque<K>,
}

impl<K: Copy + Eq + Hash> Queue<K> {
    /// An empty queue with `most` slots; 0 is no limit.
    pub fn new(most: usize) -> Self {
        Queue { most, having: HashSet::new(), waiting: VecDeque::new() }
    }

    /// Whether a torrent may ever have to wait.
    pub fn is_limited(&self) -> bool {
        self.most != 0
    }

    /// Asks for a slot. True if it is granted at once (or already held); otherwise [`done`](Self::done) of
    /// another torrent will name this one.
    pub fn ask(&mut self, key: K) -> bool {
        if self.having.contains(&key) {
            return true;
        }
        if self.most == 0 || self.having.len() < self.most {
            self.having.insert(key);
            return true;
        }
        if !self.waiting.contains(&key) {
            self.waiting.push_back(key);
        }
        false
    }

    /// Gives a turn back, or the wish for one up. Names whose turn it is now.
    pub fn done(&mut self, key: K) -> Option<K> {
        self.waiting.retain(|waiting| *waiting != key);
        if !self.having.remove(&key) {
            return None;
        }
        let next = self.waiting.pop_front()?;
        self.having.insert(next);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn turns_come_in_the_order_of_asking() {
        let mut queue = Queue::new(2);
        assert_eq!([1, 2, 3, 4, 5].map(|key| queue.ask(key)), [true, true, false, false, false]);
        assert!(queue.ask(1) && !queue.ask(4), "asking twice changes nothing");
        assert_eq!(queue.done(4), None, "who no longer wants to");
        assert_eq!(queue.done(2), Some(3));
        assert_eq!(queue.done(2), None, "it has no turn to give back");
        assert!(!queue.ask(2));
        assert_eq!(
            [queue.done(1), queue.done(3), queue.done(5), queue.done(2)],
            [Some(5), Some(2), None, None]
        );
        assert!(queue.ask(9));
    }

    #[test]
    fn without_a_limit_no_torrent_waits() {
        let mut queue = Queue::new(0);
        assert!((0..1000).all(|key| queue.ask(key)) && !queue.is_limited());
        assert_eq!(queue.done(7), None);
    }

    #[test]
    fn no_turn_is_lost_whatever_happens() {
        let (mut queue, mut random) = (Queue::new(3), Random::seeded(4));
        for _ in 0..2000 {
            let key = random.below(12);
            if random.below(2) == 0 {
                queue.ask(key);
            } else {
                queue.done(key);
            }
            assert!(queue.having.len() <= 3);
            assert!(queue.waiting.is_empty() || queue.having.len() == 3);
            assert!(queue.waiting.iter().all(|key| !queue.having.contains(key)));
        }
    }
}
