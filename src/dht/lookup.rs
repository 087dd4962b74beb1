//! One lookup: asks the nodes nearest to a target for nodes that are nearer still, until the nearest that
//! answer are known (Kademlia's iterative lookup).
//!
//! Invariants: no node is asked twice; at most [`ALPHA`] questions that are neither answered nor late are
//! out; at most [`MAX_CANDIDATES`] candidates are kept, few of them from one address, so that a liar with many ids
//! cannot fill the list.

use std::net::SocketAddr;

use super::id::{NodeId, is_local};
use super::table::K;

/// Questions that are out at a time.
const ALPHA: usize = 4;
/// Candidates that are kept.
const MAX_CANDIDATES: usize = 48;
/// Candidates with one world-wide address.
const MAX_PER_ADDRESS: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Asked,
    /// Has not answered for a while, and may still.
    Late,
    Answered,
    Failed,
}

#[derive(Debug)]
struct Candidate {
    distance: [u8; 20],
    addr: SocketAddr,
    state: State,
    token: Option<Vec<u8>>,
}

/// The search for the nodes nearest to a target.
#[derive(Debug)]
pub(super) struct Lookup {
    target: NodeId,
    /// By distance. A router has no id until it answers, and stands first.
    candidates: Vec<Candidate>,
}

impl Lookup {
    pub(super) fn new(target: NodeId) -> Self {
        Lookup { target, candidates: Vec::new() }
    }

    pub(super) fn target(&self) -> NodeId {
        self.target
    }

    /// Adds a node whose id is not known.
    pub(super) fn add_router(&mut self, addr: SocketAddr) {
        self.insert([0; 20], addr);
    }

    /// Adds a node that another one named.
    pub(super) fn add(&mut self, id: NodeId, addr: SocketAddr) {
        self.insert(id.distance(&self.target), addr);
    }

    fn insert(&mut self, distance: [u8; 20], addr: SocketAddr) {
        let of_one = self.candidates.iter().filter(|one| one.addr.ip() == addr.ip()).count();
        if self.candidates.iter().any(|one| one.addr == addr)
            || !is_local(addr.ip()) && of_one >= MAX_PER_ADDRESS
        {
            return;
        }
        let at = self.candidates.partition_point(|one| one.distance < distance);
        self.candidates.insert(at, Candidate { distance, addr, state: State::New, token: None });
        if self.candidates.len() > MAX_CANDIDATES {
            // The farthest candidate that is not waited for is dropped.
            let last =
                self.candidates.iter().rposition(|one| matches!(one.state, State::New | State::Failed));
            last.map(|at| self.candidates.remove(at));
        }
    }

    /// The next node to ask, if one is to be asked now.
    pub(super) fn next(&mut self) -> Option<SocketAddr> {
        let out = self.candidates.iter().filter(|one| one.state == State::Asked).count();
        if out >= ALPHA {
            return None;
        }
        let mut nearest = 0;
        for one in &mut self.candidates {
            match one.state {
                // A candidate farther than `K` nodes that answered is of no use.
                State::New if nearest < K => {
                    one.state = State::Asked;
                    return Some(one.addr);
                }
                State::Answered => nearest += 1,
                _ => {}
            }
        }
        None
    }

    /// A node answered; its id is known now.
    pub(super) fn answered(&mut self, id: NodeId, addr: SocketAddr, token: Option<&[u8]>) {
        let Some(at) = self.candidates.iter().position(|one| one.addr == addr) else { return };
        let mut one = self.candidates.remove(at);
        one.distance = id.distance(&self.target);
        one.state = State::Answered;
        one.token = token.map(<[u8]>::to_vec);
        let at = self.candidates.partition_point(|other| other.distance < one.distance);
        self.candidates.insert(at, one);
    }

    /// A node is slow: another is asked in its place.
    pub(super) fn late(&mut self, addr: SocketAddr) {
        self.mark(addr, State::Asked, State::Late);
    }

    /// A node will not answer.
    pub(super) fn failed(&mut self, addr: SocketAddr) {
        self.mark(addr, State::Asked, State::Failed);
        self.mark(addr, State::Late, State::Failed);
    }

    fn mark(&mut self, addr: SocketAddr, from: State, to: State) {
        let found = self.candidates.iter_mut().find(|one| one.addr == addr && one.state == from);
        found.into_iter().for_each(|one| one.state = to);
    }

    /// Whether no node is left that could know more: no answer is awaited, and no candidate is to be asked.
    pub(super) fn is_done(&self) -> bool {
        let mut nearest = 0;
        for one in &self.candidates {
            match one.state {
                State::Answered => nearest += 1,
                State::New | State::Asked | State::Late if nearest < K => return false,
                _ => {}
            }
        }
        true
    }

    /// The nearest nodes that answered, each with the token it wants back.
    pub(super) fn nearest(&self) -> impl Iterator<Item = (SocketAddr, Option<&[u8]>)> {
        let answered = self.candidates.iter().filter(|one| one.state == State::Answered);
        answered.take(K).map(|one| (one.addr, one.token.as_deref()))
    }
}
