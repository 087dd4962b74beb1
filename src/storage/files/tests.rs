use std::fs;

use crate::bitfield::Bitfield;
use crate::config::TorrentConfig;
use crate::pieces::BLOCK;
use crate::storage::sample::{Dir, Sample};
use crate::storage::survey::survey;

const PIECE: u32 = 4 * BLOCK;

/// As on FAT: a file that is made longer is filled with zeros there.
#[test]
fn where_zeros_would_be_written_a_file_grows_as_it_is_written() {
    let (dir, sample) = (Dir::new(), Sample::single(8 * PIECE as usize, PIECE));
    let files = sample.files(&dir);
    files.makes_holes.set(false).unwrap();
    let length = || fs::metadata(dir.join("data")).unwrap().len();
    let mut resume = survey(&files, &TorrentConfig::default()).unwrap().resume.unwrap();
    let mut have = Bitfield::empty(8);
    for (piece, end) in [(2, 3), (0, 3), (5, 6)] {
        files.write_at(u64::from(piece * PIECE), sample.piece(piece)).unwrap();
        assert!(have.insert(piece));
        assert_eq!(length(), u64::from(end * PIECE));
        resume.snapshot(&have, 0, 0).commit().unwrap();
    }
    // The next run knows what is there, and goes on in the same way.
    let files = sample.files(&dir);
    files.makes_holes.set(false).unwrap();
    assert_eq!(survey(&files, &TorrentConfig::default()).unwrap().known, have);
    files.write_at(0, &sample.bytes[..10]).unwrap();
    assert_eq!(length(), u64::from(6 * PIECE));
    files.write_at(u64::from(7 * PIECE), sample.piece(7)).unwrap();
    assert_eq!(length(), u64::from(8 * PIECE));
}

/// The first large file shows which of the two it is, and is left unchanged. Holds on any file system that
/// the test runs on.
#[test]
fn the_trial_leaves_the_file_as_long_as_it_should_be() {
    let (dir, sample) = (Dir::new(), Sample::single(8 * PIECE as usize, PIECE));
    let files = sample.files(&dir);
    files.write_at(0, sample.piece(0)).unwrap();
    let found = fs::metadata(dir.join("data")).unwrap().len();
    let holes = *files.makes_holes.get().unwrap();
    assert_eq!(found, if holes { u64::from(8 * PIECE) } else { PIECE.into() });
    // A small file never needs it.
    let (dir, sample) = (Dir::new(), Sample::single(2 * BLOCK as usize, BLOCK));
    let files = sample.files(&dir);
    files.write_at(0, sample.piece(0)).unwrap();
    assert_eq!(
        (fs::metadata(dir.join("data")).unwrap().len(), files.makes_holes.get()),
        (BLOCK.into(), None)
    );
}
