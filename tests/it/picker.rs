//! The picker through its public face, one behaviour a test, in rows of characters where that shows
//! more: one row for each peer, one character for each block, `=` for blocks it has taken to
//! request and `.` for those that are its to request.

use bitwren::internals::bitfield::Bitfield;
use bitwren::internals::job::{LeaseId, PeerKey, PieceJob, Verdict};
use bitwren::internals::pieces::{BLOCK, Pieces};
use bitwren::internals::random::Random;
use bitwren::internals::swarm::picker::{Blame, Picker};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

mod blame;
mod order;
mod returns;
mod sharing;
mod takeover;

/// A picker and the jobs it gave.
struct Driver {
    picker: Picker,
    pieces: Pieces,
    jobs: Vec<(PeerKey, PieceJob)>,
}

impl Driver {
    fn new(count: u32, blocks: u32) -> Self {
        Self::with(count, blocks, false, 1)
    }

    fn with(count: u32, blocks: u32, sequential: bool, seed: u64) -> Self {
        let length = u64::from(blocks * BLOCK);
        let pieces = Pieces::new(u64::from(count) * length, length).unwrap();
        let (have, wanted) = (Bitfield::empty(count), Bitfield::full(count));
        let picker = Picker::new(pieces, have, wanted, sequential, Random::seeded(seed));
        Driver { picker, pieces, jobs: Vec::new() }
    }

    /// An unchoked peer with these pieces, `#` for one it has.
    fn peer(&mut self, key: u32, row: &str) -> PeerKey {
        let key = PeerKey(key);
        self.picker.join(key);
        self.picker.has(key, set(row));
        self.picker.choking(key, false);
        key
    }

    /// An unchoked peer with everything.
    fn seed(&mut self, key: u32) -> PeerKey {
        self.peer(key, &"#".repeat(self.pieces.count() as usize))
    }

    fn rates(&mut self, rates: &[(PeerKey, u64)]) {
        rates.iter().for_each(|&(peer, rate)| self.picker.rate(peer, rate));
    }

    fn assign(&mut self) -> Vec<(PeerKey, PieceJob)> {
        let fed = self.picker.assign();
        self.jobs.extend(fed.iter().cloned());
        fed
    }

    /// Jobs for one hungry peer, as piece and blocks.
    fn ask(&mut self, peer: PeerKey, blocks: u32) -> Vec<(u32, Range<u32>)> {
        self.picker.wants_blocks(peer, blocks);
        let fed = self.assign();
        let of_it = fed.iter().filter(|(fed, _)| *fed == peer);
        of_it.map(|(_, job)| (job.claim.piece().index(), job.claim.range())).collect()
    }

    /// The piece a peer is given when it asks for one block.
    fn begins(&mut self, peer: PeerKey) -> Option<u32> {
        self.ask(peer, 1).first().map(|(piece, _)| *piece)
    }

    /// The peer takes so many blocks of its jobs to request them; those that there were.
    fn takes(&mut self, peer: PeerKey, blocks: usize) -> Vec<(PieceJob, u32)> {
        let jobs = self.jobs.iter().filter(|(holder, _)| *holder == peer);
        let taken =
            jobs.flat_map(|(_, job)| std::iter::from_fn(move || Some((job.clone(), job.claim.take()?))));
        taken.take(blocks).collect()
    }

    /// A piece is hashed that one peer delivered.
    fn delivers(&mut self, peer: PeerKey, piece: u32, good: bool) -> Blame {
        self.judge(piece, good, &[peer])
    }

    fn judge(&mut self, piece: u32, good: bool, contributors: &[PeerKey]) -> Blame {
        self.jobs.retain(|(_, job)| job.claim.piece().index() != piece);
        self.picker.verdict(&Verdict { piece, good, contributors: contributors.to_vec() })
    }

    /// The lease a peer got first of those it holds.
    fn lease(&self, peer: PeerKey) -> LeaseId {
        self.jobs.iter().find(|(holder, _)| *holder == peer).unwrap().1.lease
    }

    fn returns(&mut self, peer: PeerKey, lease: LeaseId) {
        self.jobs.retain(|(holder, job)| job.lease != lease || *holder != peer);
        self.picker.returned(peer, lease);
    }

    /// A row for each peer that holds blocks of the piece.
    fn rows(&self, piece: u32) -> Vec<String> {
        let mut rows = BTreeMap::new();
        for (peer, job) in self.jobs.iter().filter(|(_, job)| job.claim.piece().index() == piece) {
            let row = rows.entry(*peer).or_insert_with(|| vec!['_'; self.pieces.blocks(piece) as usize]);
            for block in job.claim.range() {
                row[block as usize] = if job.claim.requested().contains(&block) { '=' } else { '.' };
            }
        }
        rows.into_values().map(|row| row.into_iter().collect()).collect()
    }
}

fn set(row: &str) -> Bitfield {
    let mut set = Bitfield::empty(row.len() as u32);
    row.match_indices('#').for_each(|(piece, _)| assert!(set.insert(piece as u32)));
    set
}

/// Four verified pieces at the end of the torrent put the random first pieces behind us.
fn past_the_first_four(driver: &mut Driver) {
    let count = driver.pieces.count();
    (count - 4..count).for_each(|piece| assert_eq!(driver.judge(piece, true, &[]), Blame::default()));
}
