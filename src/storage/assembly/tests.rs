use super::*;
use crate::random::Random;
use crate::storage::sample::{Dir, Sample};

const ENOSPC: i32 = 28;
const EIO: i32 = 5;

fn start(sample: &Sample, dir: &Dir) -> Assembly {
    let count = sample.metainfo.pieces().count();
    Assembly::new(sample.files(dir), Bitfield::empty(count))
}

/// Hands over the blocks of a piece in the order given, and returns the verdict of the last.
fn feed(assembly: &mut Assembly, sample: &Sample, piece: u32, order: &[u32]) -> Verdict {
    let pieces = sample.metainfo.pieces();
    for (nth, &block) in order.iter().enumerate() {
        let block = pieces.block(piece, block);
        let data = &sample.piece(piece)[block.begin as usize..][..block.length as usize];
        let verdict = assembly.accept(piece, block.begin, data, PeerKey(nth as u32 % 3)).unwrap();
        if nth + 1 == order.len() {
            return verdict.expect("the last block brings the verdict");
        }
        assert_eq!(verdict, None);
    }
    unreachable!()
}

fn on_disk(assembly: &Assembly, sample: &Sample) -> Vec<u8> {
    let mut bytes = vec![0; sample.bytes.len()];
    assembly.files().read_at(0, &mut bytes).unwrap();
    bytes
}

fn on_disk_of(assembly: &Assembly, sample: &Sample, piece: u32) -> Vec<u8> {
    let mut bytes = vec![0; sample.piece(piece).len()];
    assembly.files().read_at(sample.metainfo.pieces().offset(piece), &mut bytes).unwrap();
    bytes
}

/// Pieces of 3 to 40 blocks, a short last one, files that end anywhere, padding and empty files: in any order
/// and any size of the runs, every byte and every verdict is right.
#[test]
fn any_order_of_blocks_gives_the_right_bytes() {
    for seed in 0..40 {
        let mut random = Random::seeded(seed);
        let piece_length = BLOCK * (3 + random.below(38) as u32);
        let files = [
            ("a", 1 + random.below(300_000) as usize),
            ("empty", 0),
            ("pad/0", random.below(50_000) as usize),
            ("b/c", 1 + random.below(900_000) as usize),
            ("d", 1 + random.below(100) as usize),
            ("e", 1 + random.below(100_000) as usize),
        ];
        let (dir, sample) = (Dir::new(), Sample::multi(&files, piece_length));
        let mut assembly = start(&sample, &dir);
        let pieces = sample.metainfo.pieces();
        // Runs of up to eight blocks of all pieces, shuffled together.
        let mut runs = Vec::new();
        for piece in 0..pieces.count() {
            let mut block = 0;
            while block < pieces.blocks(piece) {
                let stop = (block + 1 + random.below(8) as u32).min(pieces.blocks(piece));
                runs.push((piece, block * BLOCK, (stop * BLOCK).min(pieces.length(piece))));
                block = stop;
            }
        }
        random.shuffle(&mut runs);
        let mut right = 0;
        for (piece, begin, end) in runs {
            let data = &sample.piece(piece)[begin as usize..end as usize];
            if let Some(verdict) = assembly.accept(piece, begin, data, PeerKey(piece)).unwrap() {
                assert_eq!(verdict, Verdict { piece, good: true, contributors: vec![PeerKey(piece)] });
                right += 1;
            }
        }
        assert_eq!(right, pieces.count(), "seed {seed}");
        assert!(assembly.verified().is_full() && assembly.open() == 0);
        assert_eq!(on_disk(&assembly, &sample), sample.bytes, "seed {seed}");
    }
}

#[test]
fn contributors_come_once_and_in_order() {
    let (dir, sample) = (Dir::new(), Sample::single(BLOCK as usize * 7 + 5, BLOCK * 8));
    let verdict = feed(&mut start(&sample, &dir), &sample, 0, &[7, 2, 0, 1, 3, 6, 5, 4]);
    assert!(verdict.good);
    assert_eq!(verdict.contributors, [PeerKey(0), PeerKey(1), PeerKey(2)]);
}

#[test]
fn a_corrupt_block_fails_its_piece_and_the_piece_starts_afresh() {
    let (dir, sample) = (Dir::new(), Sample::single(BLOCK as usize * 8, BLOCK * 4));
    let mut assembly = start(&sample, &dir);
    for corrupt in 0..4 {
        for block in [3, 1, 0, 2] {
            let mut data = sample.piece(1)[(block * BLOCK) as usize..][..BLOCK as usize].to_vec();
            data[100] ^= u8::from(block == corrupt);
            let verdict = assembly.accept(1, block * BLOCK, &data, PeerKey(block)).unwrap();
            assert_eq!(verdict.is_some(), block == 2);
            if let Some(verdict) = verdict {
                assert!(!verdict.good);
                assert_eq!(verdict.contributors, [3, 1, 0, 2].map(PeerKey));
            }
        }
        assert!(!assembly.verified().has(1) && assembly.open() == 0);
    }
    assert!(feed(&mut assembly, &sample, 1, &[0, 1, 2, 3]).good);
}

/// A hashed block is never written again, so a late liar cannot spoil it.
#[test]
fn a_block_that_is_there_is_not_written_again() {
    let (dir, sample) = (Dir::new(), Sample::single(BLOCK as usize * 4, BLOCK * 4));
    let mut assembly = start(&sample, &dir);
    let block = BLOCK as usize;
    assembly.accept(0, 0, &sample.bytes[..block], PeerKey(1)).unwrap();
    assembly.accept(0, 2 * BLOCK, &sample.bytes[2 * block..3 * block], PeerKey(1)).unwrap();
    // Lies about blocks 0 and 2, the truth about 1.
    let mut lies = vec![0xEE; 3 * block];
    lies[block..2 * block].copy_from_slice(&sample.bytes[block..2 * block]);
    assert_eq!(assembly.accept(0, 0, &lies, PeerKey(2)).unwrap(), None);
    assert_eq!(assembly.accept(0, 2 * BLOCK, &lies[..block], PeerKey(3)).unwrap(), None);
    let verdict = assembly.accept(0, 3 * BLOCK, &sample.bytes[3 * block..], PeerKey(1)).unwrap();
    assert_eq!(verdict, Some(Verdict { piece: 0, good: true, contributors: vec![PeerKey(1), PeerKey(2)] }));
    assert_eq!(on_disk(&assembly, &sample), sample.bytes);
}

#[test]
fn an_abandoned_piece_starts_afresh() {
    let (dir, sample) = (Dir::new(), Sample::single(BLOCK as usize * 3, BLOCK * 3));
    let mut assembly = start(&sample, &dir);
    assembly.accept(0, 0, &[1; BLOCK as usize], PeerKey(1)).unwrap();
    assert!(assembly.abandon(0) && !assembly.abandon(0));
    assert!(feed(&mut assembly, &sample, 0, &[2, 0, 1]).good);
}

#[test]
fn only_whole_blocks_are_taken() {
    let (dir, sample) = (Dir::new(), Sample::single(BLOCK as usize * 5 + 7, BLOCK * 4));
    let mut assembly = start(&sample, &dir);
    let block = BLOCK as usize;
    for (piece, begin, length) in [
        (0, 0, 0),
        (0, 1, block),
        (0, 0, block - 1),
        (0, 0, 5 * block),
        (0, 4 * BLOCK, block),
        (1, BLOCK, 8),
        (1, BLOCK, block),
        (2, 0, block),
        (u32::MAX, u32::MAX - BLOCK + 1, block),
    ] {
        let error = assembly.accept(piece, begin, &vec![0; length], PeerKey(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Argument);
    }
    assert_eq!(assembly.open(), 0);
    assert!(assembly.accept(1, BLOCK, &[0; 7], PeerKey(1)).is_ok());
}

/// A lease may have ended while a block of it was under way, and others delivered the piece.
#[test]
fn a_late_block_of_a_verified_piece_changes_nothing() {
    let (dir, sample) = (Dir::new(), Sample::single(10, BLOCK));
    let mut assembly = start(&sample, &dir);
    assert!(assembly.accept(0, 0, &sample.bytes, PeerKey(1)).unwrap().unwrap().good);
    assert_eq!(assembly.accept(0, 0, &[0; 10], PeerKey(1)).unwrap(), None);
    let mut bytes = [0; 10];
    assembly.files().read_at(0, &mut bytes).unwrap();
    assert_eq!(bytes, sample.bytes[..10]);
}

/// A full disk at any of the writes, which also leaves half of it written: the same data again, or
/// other data from another peer, and the piece comes out right.
#[test]
fn a_verified_piece_that_is_lost_is_taken_again() {
    let (dir, sample) = (Dir::new(), Sample::single(3 * BLOCK as usize, BLOCK));
    let mut assembly = start(&sample, &dir);
    assert!(feed(&mut assembly, &sample, 1, &[0]).good);
    assembly.files().write_at(u64::from(BLOCK), &[0; 100]).unwrap();
    [1, 3].into_iter().for_each(|piece| assembly.lose(piece));
    assert!(!assembly.verified().has(1));
    assert!(feed(&mut assembly, &sample, 1, &[0]).good);
    assert_eq!(&on_disk_of(&assembly, &sample, 1), sample.piece(1));
}

#[test]
fn after_a_full_disk_the_same_call_succeeds() {
    let blocks = 6;
    for failing in 0..blocks {
        for order in [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [2, 0, 5, 1, 4, 3]] {
            let (dir, sample) = (Dir::new(), Sample::single((BLOCK * blocks) as usize, BLOCK * blocks));
            let mut assembly = start(&sample, &dir);
            let mut verdict = None;
            for (nth, block) in order.into_iter().enumerate() {
                let data = &sample.bytes[(block * BLOCK) as usize..][..BLOCK as usize];
                if nth as u32 == failing {
                    assembly.files().sabotage.plan("write", ENOSPC);
                    let lies = [7; BLOCK as usize];
                    let error = assembly.accept(0, block * BLOCK, &lies, PeerKey(66)).unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::DiskFull);
                    assert!(error.to_string().contains("free some space"), "{error}");
                }
                verdict = assembly.accept(0, block * BLOCK, data, PeerKey(1)).unwrap();
            }
            // The lies were not written, so their author had no part in the piece.
            assert_eq!(verdict, Some(Verdict { piece: 0, good: true, contributors: vec![PeerKey(1)] }));
            assert_eq!(on_disk(&assembly, &sample), sample.bytes);
        }
    }
}

/// Reading back fails after the block was written: the block counts, and the same call again gives
/// the verdict although there is nothing left to write.
#[test]
fn after_a_failed_reading_back_the_same_call_gives_the_verdict() {
    let (dir, sample) = (Dir::new(), Sample::single(BLOCK as usize * 3, BLOCK * 3));
    let mut assembly = start(&sample, &dir);
    let block = BLOCK as usize;
    assembly.accept(0, 2 * BLOCK, &sample.bytes[2 * block..], PeerKey(1)).unwrap();
    assembly.accept(0, BLOCK, &sample.bytes[block..2 * block], PeerKey(2)).unwrap();
    assembly.files().sabotage.plan("read", EIO);
    let error = assembly.accept(0, 0, &sample.bytes[..block], PeerKey(3)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FileIo);
    let verdict = assembly.accept(0, 0, &[9; BLOCK as usize], PeerKey(4)).unwrap().unwrap();
    assert!(verdict.good);
    assert_eq!(verdict.contributors, [1, 2, 3].map(PeerKey));
    assert_eq!(on_disk(&assembly, &sample), sample.bytes);
}

/// No space even for the file itself.
#[test]
fn a_file_that_cannot_be_made_is_made_later() {
    let (dir, sample) = (Dir::new(), Sample::single(10, BLOCK));
    let mut assembly = start(&sample, &dir);
    assembly.files().sabotage.plan("size", ENOSPC);
    let error = assembly.accept(0, 0, &sample.bytes, PeerKey(1)).unwrap_err();
    assert_eq!((error.kind(), assembly.open()), (ErrorKind::DiskFull, 0));
    assert!(assembly.accept(0, 0, &sample.bytes, PeerKey(1)).unwrap().unwrap().good);
    assert_eq!(std::fs::read(dir.join("data")).unwrap(), sample.bytes);
}
