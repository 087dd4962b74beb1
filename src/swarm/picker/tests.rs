//! What a pick costs, counted in pieces and words looked at.

use super::*;
use crate::job::{PieceJob, Verdict};
use crate::pieces::BLOCK;

/// A picker of `count` pieces of one block, with `peers` that have each piece with a chance of one
/// in `thin`, every tenth a seed, none choking.
fn crowd(count: u32, peers: u32, thin: u64, sequential: bool) -> Picker {
    let pieces = Pieces::new(u64::from(count) * u64::from(BLOCK), u64::from(BLOCK)).unwrap();
    let mut random = Random::seeded(9);
    let mut picker =
        Picker::new(pieces, Bitfield::empty(count), Bitfield::full(count), sequential, Random::seeded(2));
    for key in (0..peers).map(PeerKey) {
        picker.join(key);
        picker.choking(key, false);
        if key.0 % 10 == 9 {
            picker.has(key, Bitfield::full(count));
        } else {
            let mut set = Bitfield::empty(count);
            for piece in 0..count {
                if random.below(thin) == 0 {
                    set.insert(piece);
                }
            }
            picker.has(key, set);
        }
    }
    picker
}

/// The most steps any of `picks` picks took.
fn worst(picker: &mut Picker, peers: u32, picks: u32) -> u64 {
    let mut worst = 0;
    for pick in 0..picks {
        let peer = PeerKey(pick % peers);
        let before = picker.rarity.steps.get();
        picker.wants_blocks(peer, 1);
        for (peer, job) in picker.assign() {
            let piece = job.claim.piece().index();
            picker.verdict(&Verdict { piece, good: true, contributors: vec![peer] });
        }
        worst = worst.max(picker.rarity.steps.get() - before);
    }
    worst
}

#[test]
fn a_pick_costs_the_same_among_ten_pieces_and_a_million() {
    for (count, peers) in [(10, 1), (10, 500), (1000, 500), (1_000_000, 1), (1_000_000, 20)] {
        let most = worst(&mut crowd(count, peers, 2, false), peers, 300);
        assert!(most < 600, "{most} steps among {count} pieces and {peers} peers");
    }
}

/// A peer that has one piece in ten thousand, none of the rarest: its own words are searched.
#[test]
fn a_peer_that_lacks_the_rarest_is_searched_by_its_own_pieces() {
    let count = 1_000_000;
    let mut picker = crowd(count, 1, 10_000, false);
    // All other pieces are rarer than those: another peer alone has them.
    let mut set = Bitfield::full(count);
    set.remove(0);
    picker.join(PeerKey(1));
    picker.has(PeerKey(1), set);
    let most = worst(&mut picker, 1, 50);
    assert!(most > 256, "the walk along the rarest must have been given up");
    assert!(most < 256 + u64::from(count / 64) / 2, "{most} steps");
    assert_eq!(picker.have().count(), 50);
}

#[test]
fn a_sequential_pick_goes_on_where_the_last_one_was() {
    let most = worst(&mut crowd(1_000_000, 1, 1, true), 1, 1000);
    assert!(most < 10, "{most} steps");
}

/// A seed costs nothing to count, however many pieces there are, and is searched no more than its
/// bucket needs.
#[test]
fn nothing_is_kept_and_nothing_counted_for_a_seed() {
    let mut picker = crowd(4_000_000, 0, 1, false);
    for key in (0..500).map(PeerKey) {
        picker.join(key);
        picker.has(key, Bitfield::full(4_000_000));
        picker.choking(key, false);
    }
    assert_eq!(picker.seeds(), 500);
    assert!((0..4_000_000).all(|piece| picker.rarity.count(piece) == 0));
    assert!(worst(&mut picker, 500, 1000) < 10);
}

/// What it costs to finish among many peers of all speeds: those that are fast wait for work while the
/// slow sit on theirs, and each is looked after again and again.
#[test]
fn an_endgame_looks_at_few_leases_a_block() {
    let (count, peers, blocks) = (200, 300, 16);
    let length = u64::from(blocks * BLOCK);
    let pieces = Pieces::new(u64::from(count) * length, length).unwrap();
    let mut picker =
        Picker::new(pieces, Bitfield::empty(count), Bitfield::full(count), false, Random::seeded(3));
    let mut claims = vec![VecDeque::new(); peers as usize];
    for key in (0..peers).map(PeerKey) {
        picker.join(key);
        picker.has(key, Bitfield::full(count));
        picker.choking(key, false);
    }
    // Every third peer delivers in each of these turns, another in every tenth, the last in every hundredth.
    for turn in 0u64.. {
        if picker.is_finished() {
            break;
        }
        for key in 0..peers {
            let every = [1, 10, 100][key as usize % 3];
            if turn % 100 == 0 {
                picker.rate(PeerKey(key), 100 / every * u64::from(BLOCK));
            }
            if turn % every > 0 {
                continue;
            }
            let mine: &mut VecDeque<PieceJob> = &mut claims[key as usize];
            match mine.front().map(|job| (job.clone(), job.claim.take())) {
                Some((job, Some(block))) => {
                    let piece = job.claim.piece();
                    if piece.receive(block) && piece.missing() == 0 {
                        let contributors = vec![PeerKey(key)];
                        picker.verdict(&Verdict { piece: piece.index(), good: true, contributors });
                    }
                }
                Some(_) => drop(mine.pop_front()),
                None => picker.wants_blocks(PeerKey(key), 20),
            }
            for (PeerKey(assigned), job) in picker.assign() {
                claims[assigned as usize].push_back(job);
            }
        }
    }
    let looks = picker.looks.get() / u64::from(count * blocks);
    assert!(looks < 6, "{looks} leases looked at a block");
}
