//! What follows from the hash of a piece: it is verified, or fetched again and a peer is blamed.
//!
//! A bad piece delivered by one peer convicts it. With several, it cannot be told which it was without
//! keeping a hash of every block, which is not worth its memory: they are *on parole*. Each gets whole pieces
//! to itself until one of them turns out good or bad, and so clears or convicts it; the bad piece is fetched
//! again from one peer, a trusted one if there is any. Should that copy be good, it does not say which peer
//! spoiled the first: a peer that corrupts only now and then, and only in company, is found by the third bad
//! piece, each begun after the one before was judged, while it alone has no good one to show. If others have
//! none either, it could be any of them.
//!
//! Invariant: a peer alone is blamed for certain; of peers together one is at most, not before the third
//! time, and only if all others have good pieces to show.

use super::Picker;
use super::peer::Holding;
use crate::job::{LeaseId, PeerKey, Verdict};

/// Bad pieces after which a peer without a good one is a culprit.
const MAX_BAD_PIECES: u32 = 3;

/// The peers to blame for a piece.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Blame {
    /// These certainly sent corrupt data, or did so too often to be believed. They get no jobs from now on.
    pub culprits: Vec<PeerKey>,
    /// One or more of these did; they are on parole now. None of them is among the culprits.
    pub suspects: Vec<PeerKey>,
}

impl Picker {
    /// A piece was hashed: it is verified from now on, or missing again, and its leases end.
    pub fn verdict(&mut self, verdict: &Verdict) -> Blame {
        let Verdict { piece, good, ref contributors } = *verdict;
        if !self.pieces.contains(piece) {
            return Blame::default();
        }
        let begun = self.open.get(&piece).map_or(LeaseId(self.next_lease), |open| open.begun);
        self.close(piece);
        if good {
            self.verified(piece);
            self.credit(contributors);
            Blame::default()
        } else {
            if contributors.len() > 1 && !self.have.has(piece) {
                self.retry.insert(piece);
            }
            self.refresh(piece);
            self.convict(contributors, begun)
        }
    }

    pub(super) fn verified(&mut self, piece: u32) {
        let missing = self.is_missing(piece);
        if !self.have.insert(piece) {
            return;
        }
        self.retry.remove(&piece);
        self.priorities.iter_mut().for_each(|sets| _ = sets.high.remove(piece));
        self.rarity.set_fresh(piece, false);
        if missing {
            self.missing -= 1;
            for state in self.peers.values_mut() {
                if let Holding::Pieces(set) = &state.holding {
                    state.useful -= u32::from(set.has(piece));
                }
            }
        }
    }

    fn credit(&mut self, contributors: &[PeerKey]) {
        for peer in contributors {
            let Some(state) = self.peers.get_mut(peer) else { continue };
            state.good += 1;
            if contributors.len() == 1 && state.parole {
                state.parole = false;
                self.dirty = true;
            }
        }
    }

    /// Blames for a piece that was bad. `begun` is the first lease there could have been of it.
    fn convict(&mut self, contributors: &[PeerKey], begun: LeaseId) -> Blame {
        let mut blame = Blame::default();
        let unproven = |peer: &&PeerKey| self.peers.get(peer).is_none_or(|state| state.good == 0);
        let unproven = contributors.iter().filter(unproven).count();
        for &peer in contributors {
            let mut certain = contributors.len() == 1;
            if let Some(state) = self.peers.get_mut(&peer) {
                // All pieces begun before the peer was first suspected are one and the same suspicion: a liar
                // met in three pieces at once convicts no other peer.
                if begun >= state.blamed {
                    state.bad += 1;
                    state.blamed = LeaseId(self.next_lease);
                }
                certain |= state.bad >= MAX_BAD_PIECES && state.good == 0 && unproven == 1;
                state.parole = true;
                state.barred |= certain;
            }
            if certain { blame.culprits.push(peer) } else { blame.suspects.push(peer) }
        }
        self.dirty = true;
        blame
    }
}
