//! The pool that every received block comes from: what bounds the memory of a transfer.
//!
//! Buffers come in two sizes: one block, and a run of eight for peers that deliver faster than
//! they are read. Every connection may always hold one small buffer beyond the common ones, so
//! that peers stalled in the middle of a block never starve the others; the runs are a bonus that
//! anyone may be refused. When nothing is left the reader waits, its socket fills, and TCP pushes
//! back. A buffer goes home when it is dropped.
//!
//! Never: grow past its bounds, or hold buffers that a quiet client does not need.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use crate::budget::{Budget, RUN};
use crate::lock::{self, lock};
use crate::pieces::BLOCK;

/// Bytes in a small buffer: one block.
pub(crate) const SMALL: usize = BLOCK as usize;
/// Bytes in a large buffer: a run of eight blocks.
pub(crate) const LARGE: usize = RUN as usize * SMALL;

/// Small buffers kept for the next taker; the rest goes back to the allocator.
const KEPT_SMALL: usize = 8;

/// The pool.
pub(crate) struct BlockPool {
    /// Buffers of each size that all connections share.
    small: usize,
    large: usize,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    small: Shelf,
    large: Shelf,
    connections: usize,
    /// Takers that wait: a wake-up costs a system call, and mostly none waits.
    waiting: usize,
}

#[derive(Default)]
struct Shelf {
    out: usize,
    free: Vec<Box<[u8]>>,
}

impl Shelf {
    fn take(&mut self, size: usize) -> Box<[u8]> {
        self.out += 1;
        self.free.pop().unwrap_or_else(|| vec![0; size].into_boxed_slice())
    }

    fn put(&mut self, buffer: Box<[u8]>, keep: usize) {
        self.out -= 1;
        if self.free.len() < keep {
            self.free.push(buffer);
        }
    }
}

impl BlockPool {
    /// An empty pool within this budget.
    pub(crate) fn new(budget: &Budget) -> Arc<Self> {
        let (small, large) = (budget.small, budget.large);
        Arc::new(BlockPool { small, large, state: Mutex::default(), freed: Condvar::new() })
    }

    /// A connection's right to buffers; reserves its small one.
    pub(crate) fn handle(self: &Arc<Self>) -> PoolHandle {
        self.lock().connections += 1;
        PoolHandle { pool: self.clone(), closed: Arc::new(AtomicBool::new(false)) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// One connection's way to the pool.
pub(crate) struct PoolHandle {
    pool: Arc<BlockPool>,
    closed: Arc<AtomicBool>,
}

/// Ends the waiting of a handle from another thread.
#[derive(Clone)]
pub(crate) struct PoolWaker {
    pool: Arc<BlockPool>,
    closed: Arc<AtomicBool>,
}

impl PoolWaker {
    /// Ends every wait at the handle.
    pub(crate) fn close(&self) {
        let _state = self.pool.lock();
        self.closed.store(true, Ordering::Release);
        self.pool.freed.notify_all();
    }
}

impl PoolHandle {
    /// A buffer; a large one if that was asked for and there is one. Waits while there is none, but not once
    /// the handle was closed: its connection is ending and takes at most one more.
    pub(crate) fn take(&self, large: bool) -> Block {
        let mut guard = self.pool.lock();
        loop {
            let state = &mut *guard;
            let closed = self.closed.load(Ordering::Acquire);
            let bytes = if large && !closed && state.large.out < self.pool.large {
                Some(state.large.take(LARGE))
            } else if closed || state.small.out < self.pool.small + state.connections {
                Some(state.small.take(SMALL))
            } else {
                None
            };
            if let Some(bytes) = bytes {
                if closed {
                    // The wake-up may have been meant for another waiting thread.
                    self.pool.freed.notify_one();
                }
                return Block { bytes, pool: self.pool.clone() };
            }
            guard.waiting += 1;
            guard = lock::wait(&self.pool.freed, guard);
            guard.waiting -= 1;
        }
    }

    /// What ends the waiting of this handle.
    pub(crate) fn closer(&self) -> PoolWaker {
        PoolWaker { pool: self.pool.clone(), closed: self.closed.clone() }
    }
}

impl Drop for PoolHandle {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        state.connections -= 1;
        if state.connections == 0 {
            // Buffers in use are freed in the same way when they come back.
            let idle = [std::mem::take(&mut state.small.free), std::mem::take(&mut state.large.free)];
            drop(state);
            drop(idle);
        }
    }
}

/// A buffer of the pool.
pub(crate) struct Block {
    bytes: Box<[u8]>,
    pool: Arc<BlockPool>,
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsMut<[u8]> for Block {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut state = self.pool.lock();
        if bytes.len() == LARGE {
            let keep = if state.connections > 0 { self.pool.large } else { 0 };
            state.large.put(bytes, keep);
        } else {
            let keep = if state.connections > 0 { KEPT_SMALL } else { 0 };
            state.small.put(bytes, keep);
        }
        let waiting = state.waiting > 0;
        drop(state);
        if waiting {
            self.pool.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stalled_connection_never_starves_another() {
        let pool = BlockPool::new(&Budget::of(0));
        let handles: Vec<PoolHandle> = (0..100).map(|_| pool.handle()).collect();
        let stalled: Vec<Block> = handles[..99].iter().map(|handle| handle.take(true)).collect();
        assert_eq!(stalled.iter().filter(|block| block.as_ref().len() == LARGE).count(), pool.large);
        let held: Vec<Block> = (0..pool.small).map(|_| handles[99].take(false)).collect();
        assert_eq!(held.len(), pool.small);
        assert_eq!(handles[99].take(true).as_ref().len(), SMALL);
    }

    #[test]
    fn a_waiting_taker_is_woken_by_a_return_and_by_the_closer() {
        let pool = BlockPool::new(&Budget::of(0));
        let handle = Arc::new(pool.handle());
        let mut held: Vec<Block> = (0..=pool.small).map(|_| handle.take(false)).collect();
        let waiting = std::thread::spawn({
            let handle = handle.clone();
            move || handle.take(false)
        });
        held.pop();
        let block = waiting.join().unwrap();
        assert_eq!(block.as_ref().len(), SMALL);
        let waiting = std::thread::spawn({
            let handle = handle.clone();
            move || drop(handle.take(false))
        });
        handle.closer().close();
        waiting.join().unwrap();
    }

    #[test]
    fn an_idle_pool_holds_nothing() {
        let pool = BlockPool::new(&Budget::of(0));
        // Those that came home before the last connection went stayed: 1.6 MiB of a quiet client.
        for blocks_first in [false, true] {
            let handle = pool.handle();
            let blocks = [handle.take(true), handle.take(false)];
            if blocks_first {
                drop(blocks);
                drop(handle);
            } else {
                drop(handle);
                drop(blocks);
            }
            let state = pool.lock();
            assert_eq!((state.small.out, state.large.out), (0, 0));
            assert!(state.small.free.is_empty() && state.large.free.is_empty(), "{blocks_first}");
        }
    }

    /// Takers, stalled ones, closers and a disk that gives back late, each put off by a seed.
    #[test]
    fn every_buffer_comes_home_and_no_thread_waits_for_good() {
        let rounds = if cfg!(miri) { 5 } else { 60 };
        for seed in 0..rounds {
            let pool = BlockPool::new(&Budget::of(Budget::LEAST));
            let (to_disk, disk) = crossbeam_channel::unbounded::<Block>();
            let mut takers = Vec::new();
            for number in 0..6u64 {
                let (handle, to_disk) = (pool.handle(), to_disk.clone());
                let closer = handle.closer();
                let mut random = crate::random::Random::seeded(seed * 100 + number);
                let mut roll = move |end| random.below(end);
                let (closes, ended) = (roll(4) == 0, Arc::new(AtomicBool::new(false)));
                let told = ended.clone();
                takers.push(std::thread::spawn(move || {
                    let mut stalled = None;
                    for _ in 0..200 {
                        let block = handle.take(roll(3) == 0);
                        match roll(4) {
                            0 => stalled = Some(block),
                            1 => drop(block),
                            _ => to_disk.send(block).unwrap(),
                        }
                        if roll(4) == 0 {
                            std::thread::yield_now();
                        }
                        if told.load(Ordering::Relaxed) {
                            break;
                        }
                    }
                    drop(stalled);
                }));
                if closes {
                    takers.push(std::thread::spawn(move || {
                        std::thread::yield_now();
                        ended.store(true, Ordering::Relaxed);
                        closer.close();
                    }));
                }
            }
            drop(to_disk);
            takers.push(std::thread::spawn(move || disk.iter().for_each(drop)));
            takers.into_iter().for_each(|taker| taker.join().unwrap());
            let state = pool.lock();
            assert_eq!((state.small.out, state.large.out, state.waiting, state.connections), (0, 0, 0, 0));
            assert!(state.small.free.is_empty() && state.large.free.is_empty());
        }
    }
}
