//! Our requests to the peer: the leases, the requests outstanding under them, and those given up whose blocks
//! may still come.
//!
//! A request belongs to every lease that took its block: leases may overlap, requests do not.
//!
//! Invariants: no block is outstanding twice; every outstanding request belongs to a lease held; a lease ends
//! exactly once, either in [`Requests::returned`] or silently when it has nothing left to request and nothing
//! outstanding (its piece will have a verdict).

use std::collections::VecDeque;
use std::sync::Arc;

use crate::job::{LeaseId, OpenPiece, PieceJob};
use crate::moment::Moment;
use crate::pieces::{BLOCK, BlockRef, Pieces};

/// A lease and how it stands.
#[derive(Debug)]
struct Lease {
    job: PieceJob,
    /// Index of its piece.
    index: u32,
    /// The peer rejected a block of it: nothing more is requested, and when nothing is outstanding it is
    /// returned.
    spent: bool,
    /// An earlier lease was on the same piece, so a block may be taken that is outstanding.
    shared: bool,
    /// Blocks the piece missed when it was last looked at, less what we delivered since. As long
    /// as that is what it misses, no other peer delivered anything.
    missing: u32,
}

impl Lease {
    fn piece(&self) -> &Arc<OpenPiece> {
        self.job.claim.piece()
    }

    /// Whether `block` was taken under this lease.
    fn took(&self, block: BlockRef) -> bool {
        self.index == block.piece && self.job.claim.requested().contains(&(block.begin / BLOCK))
    }
}

/// A request that was sent.
#[derive(Debug)]
struct Request {
    block: BlockRef,
    asked: Moment,
}

/// A request that was given up.
#[derive(Debug)]
struct Late {
    block: BlockRef,
    piece: Arc<OpenPiece>,
    /// The peer has it in its queue still, for all we know.
    owed: bool,
    /// The peer choked us: with the Fast Extension a rejection of it will come, if it does not.
    choked: bool,
}

/// Why requests are given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GivenUp {
    /// The peer choked us.
    Choked,
    /// It stalled, and has them in its queue still.
    Stalled,
    /// The peer has lost the piece, or we have it.
    Moot,
}

/// What became of a block that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrival {
    /// Whether it is the first of its kind.
    pub(super) won: bool,
    /// When it was requested; nothing where that had been given up.
    pub(super) asked: Option<Moment>,
}

/// How many requests given up are remembered, if `cap` may be outstanding.
fn memory(cap: u32) -> usize {
    2 * cap as usize + 64
}

/// Leases and requests of one conversation.
#[derive(Debug)]
pub(super) struct Requests {
    pieces: Pieces,
    leases: VecDeque<Lease>,
    /// The first `exhausted` leases have nothing left to request: only an answer to an outstanding request
    /// can end them.
    exhausted: usize,
    outstanding: VecDeque<Request>,
    late: VecDeque<Late>,
    owed: usize,
    /// Requests given up that are remembered.
    memory: usize,
    returned: Vec<LeaseId>,
}

impl Requests {
    /// No requests yet, and never more than `cap` at once.
    pub(super) fn new(pieces: Pieces, cap: u32) -> Self {
        Requests {
            pieces,
            leases: VecDeque::new(),
            exhausted: 0,
            outstanding: VecDeque::new(),
            late: VecDeque::new(),
            owed: 0,
            memory: memory(cap),
            returned: Vec::new(),
        }
    }

    /// The pieces are known.
    pub(super) fn learn(&mut self, pieces: Pieces) {
        self.pieces = pieces;
    }

    /// Never more than `cap` at once from now on.
    pub(super) fn set_cap(&mut self, cap: u32) {
        self.memory = memory(cap).max(self.memory);
    }

    /// Takes on a lease, after those there are.
    pub(super) fn take(&mut self, job: PieceJob) {
        let piece = job.claim.piece();
        self.drop_closed(piece);
        let (index, missing) = (piece.index(), piece.missing());
        let shared = self.leases.iter().any(|lease| lease.index == index);
        self.leases.push_back(Lease { job, index, spent: false, shared, missing });
    }

    /// A piece opened anew had its verdict, and so have the leases on it from before.
    fn drop_closed(&mut self, anew: &Arc<OpenPiece>) {
        let closed = |lease: &Lease| lease.index == anew.index() && !Arc::ptr_eq(lease.piece(), anew);
        let Some(before) = self.leases.iter().find(|lease| closed(lease)) else { return };
        let piece = before.piece().clone();
        for request in std::mem::take(&mut self.outstanding) {
            if request.block.piece == piece.index() {
                self.remember(request.block, piece.clone(), GivenUp::Moot);
            } else {
                self.outstanding.push_back(request);
            }
        }
        self.leases.retain(|lease| !closed(lease));
        self.exhausted = 0;
    }

    /// The next block to request, which is outstanding from now on.
    pub(super) fn next(&mut self, now: Moment) -> Option<BlockRef> {
        while let Some(lease) = self.leases.get_mut(self.exhausted) {
            let Some(nth) = (if lease.spent { None } else { lease.job.claim.take() }) else {
                if !self.drop_if_over(self.exhausted) {
                    self.exhausted += 1;
                }
                continue;
            };
            let block = self.pieces.block(lease.index, nth);
            if lease.shared && self.outstanding.iter().any(|request| request.block == block) {
                continue;
            }
            self.outstanding.push_back(Request { block, asked: now });
            return Some(block);
        }
        None
    }

    /// Takes a block that arrived. None if it was never requested.
    pub(super) fn arrived(&mut self, block: BlockRef) -> Option<Arrival> {
        if let Some(at) = self.outstanding.iter().position(|request| request.block == block) {
            let request = self.outstanding.remove(at)?;
            // Blocks that were requested before and have not come by now are no longer in the peer's queue.
            self.forgive();
            let piece = self.holder(block)?.piece().clone();
            let won = self.receive(&piece, block);
            self.drop_finished(block.piece);
            return Some(Arrival { won, asked: Some(request.asked) });
        }
        let late = self.forget(block)?;
        Some(Arrival { won: self.receive(&late.piece, block), asked: None })
    }

    /// The peer will not send this block. True for one that is outstanding, whose lease is spent
    /// by it, false for one that had been given up, nothing for one never asked for.
    pub(super) fn rejected(&mut self, block: BlockRef) -> Option<bool> {
        // Requests are answered in order: one that ended with a choke comes before one for the same
        // block that followed it.
        let before = self.late.iter().any(|late| late.choked && late.block == block);
        let at = self.outstanding.iter().position(|request| request.block == block);
        let Some(at) = at.filter(|_| !before) else {
            return self.forget(block).map(|_| false);
        };
        self.outstanding.remove(at);
        self.leases.iter_mut().filter(|lease| lease.took(block)).for_each(|lease| lease.spent = true);
        self.drop_finished(block.piece);
        Some(true)
    }

    /// Gives back every lease but those on pieces to `keep`. Their requests are remembered.
    pub(super) fn give_back(&mut self, why: GivenUp, keep: impl Fn(u32) -> bool) {
        for request in std::mem::take(&mut self.outstanding) {
            let piece = (!keep(request.block.piece)).then(|| self.holder(request.block)).flatten();
            match piece.map(|lease| lease.piece().clone()) {
                Some(piece) => self.remember(request.block, piece, why),
                None => self.outstanding.push_back(request),
            }
        }
        let returned = &mut self.returned;
        self.leases.retain(|lease| {
            let kept = keep(lease.index);
            if !kept {
                returned.push(lease.job.lease);
            }
            kept
        });
        self.exhausted = 0;
    }

    /// Blocks of requests given up that the peer has not sent by now will not come.
    pub(super) fn forgive(&mut self) {
        if self.owed > 0 {
            self.late.iter_mut().for_each(|late| late.owed = false);
            self.owed = 0;
        }
    }

    /// Gives up every request whose block other peers have delivered, and says which.
    pub(super) fn superseded(&mut self) -> Vec<BlockRef> {
        let mut blocks = Vec::new();
        for at in 0..self.leases.len() {
            let Some(lease) = self.leases.get_mut(at) else { break };
            let missing = lease.piece().missing();
            if std::mem::replace(&mut lease.missing, missing) == missing {
                continue;
            }
            let piece = lease.piece().clone();
            let superseded = |block: BlockRef| block.piece == piece.index() && piece.has(block.begin / BLOCK);
            let before = blocks.len();
            self.outstanding.retain(|request| {
                let superseded = superseded(request.block);
                if superseded {
                    blocks.push(request.block);
                }
                !superseded
            });
            for block in &blocks[before..] {
                self.remember(*block, piece.clone(), GivenUp::Moot);
            }
        }
        for block in &blocks {
            self.drop_finished(block.piece);
        }
        if self.owed > 0 {
            for late in &mut self.late {
                if late.owed && late.piece.has(late.block.begin / BLOCK) {
                    late.owed = false;
                    self.owed -= 1;
                    blocks.push(late.block);
                }
            }
        }
        blocks
    }

    /// The leases held, in the order they came.
    pub(super) fn leases(&self) -> impl Iterator<Item = LeaseId> + '_ {
        self.leases.iter().map(|lease| lease.job.lease)
    }

    /// Leases that have to be reported as returned, each once.
    pub(super) fn returned(&mut self) -> impl Iterator<Item = LeaseId> + '_ {
        self.returned.drain(..)
    }

    /// Requests sent and neither answered nor given up.
    pub(super) fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// Requests the peer has in its queue for all we know: those outstanding, and those given up
    /// because it stalled.
    pub(super) fn expected(&self) -> usize {
        self.outstanding.len() + self.owed
    }

    /// Blocks that could be requested under the leases held.
    pub(super) fn unrequested(&self) -> u32 {
        let open = self.leases.iter().skip(self.exhausted).filter(|lease| !lease.spent);
        open.fold(0, |sum, lease| sum.saturating_add(lease.job.claim.unrequested()))
    }

    /// A lease that a block that is outstanding was taken under.
    fn holder(&self, block: BlockRef) -> Option<&Lease> {
        self.leases.iter().find(|lease| lease.took(block))
    }

    /// Ends the leases on a piece that have nothing left to do.
    fn drop_finished(&mut self, piece: u32) {
        let mut at = 0;
        while let Some(lease) = self.leases.get(at) {
            if lease.index != piece || !self.drop_if_over(at) {
                at += 1;
            }
        }
    }

    /// Ends the lease if it has nothing left to do.
    fn drop_if_over(&mut self, at: usize) -> bool {
        let over = self.leases.get(at).is_some_and(|lease| {
            (lease.spent || lease.job.claim.unrequested() == 0)
                && !self.outstanding.iter().any(|request| lease.took(request.block))
        });
        if let Some(lease) = over.then(|| self.leases.remove(at)).flatten() {
            self.exhausted -= usize::from(at < self.exhausted);
            if lease.spent {
                self.returned.push(lease.job.lease);
            }
        }
        over
    }

    /// Notes that a block of a piece arrived. True for the first.
    fn receive(&mut self, piece: &Arc<OpenPiece>, block: BlockRef) -> bool {
        let won = piece.receive(block.begin / BLOCK);
        if won {
            for lease in self.leases.iter_mut().filter(|lease| lease.index == block.piece) {
                lease.missing = lease.missing.saturating_sub(1);
            }
        }
        won
    }

    fn remember(&mut self, block: BlockRef, piece: Arc<OpenPiece>, why: GivenUp) {
        let (owed, choked) = (why == GivenUp::Stalled, why == GivenUp::Choked);
        if self.late.len() >= self.memory {
            let oldest = self.late.pop_front();
            self.owed -= usize::from(oldest.is_some_and(|late| late.owed));
        }
        self.late.push_back(Late { block, piece, owed, choked });
        self.owed += usize::from(owed);
    }

    fn forget(&mut self, block: BlockRef) -> Option<Late> {
        let at = self.late.iter().position(|late| late.block == block)?;
        let late = self.late.remove(at)?;
        self.owed -= usize::from(late.owed);
        Some(late)
    }
}
