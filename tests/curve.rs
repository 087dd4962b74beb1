//! What a block costs the picker, from 10 to a million pieces and from one to a thousand peers: the
//! curve that has to be flat. `make curve` prints it.
//!
//! A swarm in virtual time: every peer has everything, keeps a second's worth of requests in flight and
//! delivers at its own pace; the picker is fed after each block, which is more often than in life. The
//! small torrents are downloaded whole, endgame included; of the large ones a part. Beside the cost stands
//! what came of it: blocks delivered twice, of those that were under way when another peer was first, and
//! how much later than all peers together could have been done the last block came.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bitwren::internals::bitfield::Bitfield;
use bitwren::internals::job::{Claim, OpenPiece, PeerKey, Verdict};
use bitwren::internals::pieces::{BLOCK, Pieces};
use bitwren::internals::random::Random;
use bitwren::internals::swarm::picker::Picker;

/// Blocks of a piece.
const BLOCKS: u32 = 16;

/// Blocks delivered of one torrent, at most.
const MOST: u64 = 200_000;

/// Microseconds.
type Time = u64;

/// A peer that has everything.
struct Seed {
    /// Between one block and the next.
    pace: Time,
    jobs: VecDeque<Arc<Claim>>,
    requested: VecDeque<(Arc<OpenPiece>, u32)>,
    wants_blocks: bool,
    delivered: u64,
}

impl Seed {
    /// How many requests it is to have in flight: what it delivers in a second.
    fn window(&self) -> usize {
        (1_000_000 / self.pace).max(2) as usize
    }

    /// Requests what it may. True where it could have more than there is.
    fn request(&mut self) -> bool {
        while self.requested.len() < self.window() {
            let Some(claim) = self.jobs.front() else { return true };
            match claim.take() {
                Some(block) => self.requested.push_back((claim.piece().clone(), block)),
                None => drop(self.jobs.pop_front()),
            }
        }
        false
    }
}

/// Microseconds from a cancel to the peer it is for.
const TRIP: Time = 10_000;

/// What one download came to.
struct Outcome {
    /// That a block, or a peer, cost the picker.
    nanos: u64,
    /// Blocks delivered twice, for each block delivered.
    twice: f64,
    /// From when all peers together could have been done to the last block.
    late: Time,
}

/// A download, or the first [`MOST`] blocks of it.
fn download(pieces: u32, peers: u32, rate: impl Fn(u32) -> u64) -> Outcome {
    let length = u64::from(BLOCKS * BLOCK);
    let geometry = Pieces::new(u64::from(pieces) * length, length).expect("a valid geometry");
    let (have, wanted) = (Bitfield::empty(pieces), Bitfield::full(pieces));
    let mut picker = Picker::new(geometry, have, wanted, false, Random::seeded(1));
    let mut deliveries = BinaryHeap::new();
    let mut seeds: Vec<Seed> = (0..peers)
        .map(|key| {
            let pace = u64::from(BLOCK) * 1_000_000 / rate(key);
            picker.join(PeerKey(key));
            picker.has(PeerKey(key), Bitfield::full(pieces));
            picker.choking(PeerKey(key), false);
            picker.wants_blocks(PeerKey(key), 2);
            deliveries.push(Reverse((pace + u64::from(key), key)));
            Seed { pace, jobs: VecDeque::new(), requested: VecDeque::new(), wants_blocks: true, delivered: 0 }
        })
        .collect();
    let (mut blocks, mut twice, mut second, mut end) = (0, 0, 0, 0);
    // When each block came; 0 for never.
    let mut arrivals: Vec<Time> = vec![0; (pieces * BLOCKS) as usize];
    let begun = Instant::now();
    while !picker.is_finished() && blocks < MOST {
        let Reverse((now, key)) = deliveries.pop().expect("every peer goes on");
        if now / 1_000_000 > second {
            second = now / 1_000_000;
            for (key, seed) in (0..).zip(&mut seeds) {
                if seed.delivered == 0 {
                    picker.quiet(PeerKey(key));
                }
                picker.rate(PeerKey(key), std::mem::take(&mut seed.delivered) * u64::from(BLOCK));
            }
            picker.turn();
        }
        let seed = &mut seeds[key as usize];
        deliveries.push(Reverse((now + seed.pace, key)));
        // What came of another longer ago was cancelled.
        while let Some((piece, block)) = seed.requested.pop_front() {
            match &mut arrivals[(piece.index() * BLOCKS + block) as usize] {
                at @ 0 => {
                    piece.receive(block);
                    (*at, blocks, end) = (now, blocks + 1, now);
                }
                at if *at + TRIP < now => continue,
                _ => twice += 1,
            }
            seed.delivered += 1;
            if piece.missing() == 0 {
                let verdict = Verdict { piece: piece.index(), good: true, contributors: vec![PeerKey(key)] };
                picker.verdict(&verdict);
            }
            break;
        }
        if seed.request() && !std::mem::replace(&mut seed.wants_blocks, true) {
            picker.wants_blocks(PeerKey(key), (seed.window() - seed.requested.len()) as u32);
        }
        for (PeerKey(fed), job) in picker.assign() {
            let seed = &mut seeds[fed as usize];
            seed.wants_blocks = false;
            seed.jobs.push_back(job.claim);
            seed.request();
        }
    }
    let together: f64 = seeds.iter().map(|seed| 1.0 / seed.pace as f64).sum();
    Outcome {
        nanos: begun.elapsed().as_nanos() as u64 / (blocks + u64::from(peers)),
        twice: f64::from(twice) / blocks as f64,
        late: end.saturating_sub((blocks as f64 / together) as Time),
    }
}

fn main() {
    let peers = [1, 5, 20, 100, 500, 1_000];
    println!("nanoseconds a block and a peer, % delivered twice, milliseconds late\n");
    for (name, rate) in [
        ("peers alike, 40 MB/s in all", (|_, all| 40_000_000 / u64::from(all)) as fn(u32, u32) -> u64),
        ("peers of 40 KB/s to 4 MB/s", |key, _| [40_000, 400_000, 4_000_000][key as usize % 3]),
    ] {
        println!("{name}");
        print!("{:>9}", "pieces");
        peers.iter().for_each(|all| print!("{all:>16}"));
        println!();
        for pieces in [10, 100, 1_000, 10_000, 100_000, 1_000_000] {
            print!("{pieces:>9}");
            for all in peers {
                let Outcome { nanos, twice, late } = download(pieces, all, |key| rate(key, all));
                print!("{:>16}", format!("{nanos} {:.1} {}", twice * 100.0, late / 1000));
            }
            println!();
        }
    }
}
