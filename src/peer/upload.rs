//! Blocks that a peer has requested and not yet been sent.

use std::collections::VecDeque;

use crate::pieces::BlockRef;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It waits for its turn.
    Queued,
    /// It waits already; nothing changed.
    Duplicate,
    /// There is no room; nothing changed.
    Full,
}

/// Whether two requests are equal. Each new one is compared with hundreds, and the comparison that is derived is a
/// call of `memcmp` in a build for size.
fn is_same(one: &BlockRef, other: &BlockRef) -> bool {
    (one.begin ^ other.begin) | (one.piece ^ other.piece) | (one.length ^ other.length) == 0
}

/// The requests of one peer, first come, first served. Never longer than its bound, and never
/// the same block twice. It takes what it is given: [`Session`](super::session::Session) lets in
/// only what is valid.
#[derive(Debug)]
pub struct UploadQueue {
    requests: VecDeque<BlockRef>,
    bound: usize,
}

impl UploadQueue {
    /// The bound that suits what clients out there keep outstanding.
    pub const BOUND: usize = 500;

    /// An empty queue for at most `bound` requests.
    pub fn new(bound: usize) -> Self {
        UploadQueue { requests: VecDeque::new(), bound }
    }

    /// Adds a request at the end.
    pub fn push(&mut self, block: BlockRef) -> Pushed {
        if self.requests.iter().any(|request| is_same(request, &block)) {
            Pushed::Duplicate
        } else if self.requests.len() >= self.bound {
            Pushed::Full
        } else {
            self.requests.push_back(block);
            Pushed::Queued
        }
    }

    /// Takes a request back. False if it is not in the queue.
    pub fn cancel(&mut self, block: BlockRef) -> bool {
        let at = self.requests.iter().position(|request| *request == block);
        at.is_some_and(|at| self.requests.remove(at).is_some())
    }

    /// Takes out, in order, every request that `keep` does not hold on to.
    pub fn clear(&mut self, mut keep: impl FnMut(BlockRef) -> bool) -> Vec<BlockRef> {
        let (kept, gone) = self.requests.drain(..).partition(|block| keep(*block));
        self.requests = kept;
        gone.into()
    }

    /// The request whose turn it is, taken out.
    pub fn pop(&mut self) -> Option<BlockRef> {
        self.requests.pop_front()
    }

    /// The same, left where it is.
    pub fn first(&self) -> Option<BlockRef> {
        self.requests.front().copied()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }
}

impl Default for UploadQueue {
    fn default() -> Self {
        UploadQueue::new(Self::BOUND)
    }
}
