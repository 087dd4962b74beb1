use std::fs;
use std::path::Path;

use super::*;
use crate::config::TorrentConfig;
use crate::metainfo::build::Content;
use crate::pieces::BLOCK;
use crate::storage::sample::{Dir, Sample};
use crate::storage::survey::survey;

const PIECES: u32 = 8;

fn sample() -> Sample {
    Sample::single((PIECES * BLOCK) as usize, BLOCK)
}

fn cut(path: &Path, length: u64) {
    File::options().write(true).open(path).unwrap().set_len(length).unwrap();
}

fn set(pieces: impl IntoIterator<Item = u32>) -> Bitfield {
    let mut set = Bitfield::empty(PIECES);
    pieces.into_iter().for_each(|piece| assert!(set.insert(piece)));
    set
}

fn kind(result: Result<()>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

#[test]
fn whatever_is_taken_from_a_whole_file_is_missed() {
    let (dir, sample) = (Dir::new(), sample());
    let files = sample.files(&dir);
    let path = dir.join("data");
    let all = Bitfield::full(PIECES);
    files.write_at(0, &sample.bytes).unwrap();
    check(&files, &all).unwrap();
    cut(&path, 10_000);
    assert_eq!(kind(check(&files, &all)), Some(ErrorKind::NotFound));
    cut(&path, u64::from(PIECES * BLOCK));
    // Right in length, but that much of it is zeros.
    assert_eq!(kind(check(&files, &all)), linux::FINDS_HOLES.then_some(ErrorKind::NotFound));
    cut(&path, u64::from(PIECES * BLOCK) + 1);
    assert_eq!(kind(check(&files, &all)), Some(ErrorKind::NotFound));
    fs::remove_file(&path).unwrap();
    let error = check(&files, &all).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{} was removed or cut while it was downloaded; run again to fetch it anew", path.display())
    );
}

/// The cut comes first, then the last write, then the look: length and time tell nothing.
#[test]
fn a_file_that_was_cut_and_written_to_again_is_not_vouched_for() {
    if !linux::FINDS_HOLES {
        return;
    }
    let (dir, sample) = (Dir::new(), sample());
    let files = sample.files(&dir);
    let mut resume = survey(&files, &TorrentConfig::default()).unwrap().resume.unwrap();
    files.write_at(0, &sample.bytes[..(6 * BLOCK) as usize]).unwrap();
    resume.snapshot(&set(0..6), 0, 0).commit().unwrap();
    cut(&dir.join("data"), u64::from(4 * BLOCK));
    files.write_at(u64::from(7 * BLOCK), sample.piece(7)).unwrap();
    let claimed = set((0..6).chain([7]));
    assert_eq!(
        kind(resume.snapshot(&claimed, 0, 0).commit().map_err(Error::from)),
        Some(ErrorKind::NotFound)
    );
    let again = survey(&sample.files(&dir), &TorrentConfig::default()).unwrap();
    assert_eq!((again.known.count(), again.suspect), (0, set((0..4).chain([7]))));
}

/// As on file systems that keep no zeros.
#[test]
fn holes_that_are_to_be_zeros_are_no_loss() {
    let length = (PIECES * BLOCK) as usize;
    let mut bytes = vec![0; length];
    bytes[..10].fill(1);
    bytes[length - 10..].fill(1);
    let sample = Sample::of("data", Content::File { length: length as u64 }, bytes, BLOCK);
    let (dir, all) = (Dir::new(), Bitfield::full(PIECES));
    let files = sample.files(&dir);
    files.write_at(0, sample.piece(0)).unwrap();
    files.write_at(u64::from((PIECES - 1) * BLOCK), sample.piece(PIECES - 1)).unwrap();
    check(&files, &all).unwrap();
    // They need not be hashed one and all, but of those that are none may be wrong.
    check(&files, &set([0, 1, 2, 5, 7])).unwrap();
    cut(&dir.join("data"), 5);
    cut(&dir.join("data"), length as u64);
    let missed = linux::FINDS_HOLES.then_some(ErrorKind::NotFound);
    assert_eq!(kind(check(&files, &set([1, 2, 5, 7]))), missed);
}

#[test]
fn what_was_never_verified_may_be_missing() {
    let (dir, sample) = (Dir::new(), sample());
    let files = sample.files(&dir);
    for piece in [1, 2, 5] {
        files.write_at(u64::from(piece * BLOCK), sample.piece(piece)).unwrap();
    }
    cut(&dir.join("data"), sample.bytes.len() as u64);
    check(&files, &set([1, 2, 5])).unwrap();
    let missed = linux::FINDS_HOLES.then_some(ErrorKind::NotFound);
    assert_eq!(kind(check(&files, &set([1, 2, 3, 5]))), missed);
}

#[test]
fn runs_begin_and_end_with_what_is_verified_and_with_the_file() {
    let half = BLOCK as usize / 2;
    let sample = Sample::multi(&[("a", half), ("b", 5 * 2 * half), ("c", half)], BLOCK);
    let runs = |layout: &Layout, index, pieces: &[u32]| -> Vec<(u64, u64)> {
        let mut verified = Bitfield::empty(6);
        pieces.iter().for_each(|&piece| assert!(verified.insert(piece)));
        let runs = super::runs(layout, index, &verified);
        runs.map(|run| (run.start / half as u64, run.end / half as u64)).collect()
    };
    let all = Layout::new(sample.metainfo.clone(), None).unwrap();
    assert_eq!(runs(&all, 0, &[0, 1]), [(0, 1)]);
    assert_eq!(runs(&all, 1, &[0, 1, 3, 5]), [(1, 4), (6, 8), (10, 11)]);
    assert_eq!(runs(&all, 1, &[2]), [(4, 6)]);
    assert_eq!(runs(&all, 2, &[0, 1]), []);
    assert_eq!(runs(&all, 3, &[0, 5]), []);
    // What shares a piece with `b` lies in the part file.
    let some = Layout::new(sample.metainfo.clone(), Some(&[1])).unwrap();
    assert_eq!(runs(&some, 3, &[0, 1, 5]), [(0, 1), (11, 12)]);
    assert_eq!(runs(&some, 0, &[0]), []);
}

#[test]
fn the_part_file_is_looked_at_too() {
    let half = BLOCK as usize / 2;
    let sample = Sample::multi(&[("a", half), ("b", half), ("c", 2 * half)], BLOCK);
    let dir = Dir::new();
    let files = sample.select(&dir, Some(&[1]));
    files.write_at(0, &sample.bytes[..2 * half]).unwrap();
    let mut first = Bitfield::empty(2);
    assert!(first.insert(0));
    let part = files.part();
    Search::new(&files, &first).file(part, &files.stat(part).unwrap().unwrap()).unwrap();
    cut(&files.path(part), 0);
    let lost = Search::new(&files, &first).file(part, &files.stat(part).unwrap().unwrap());
    assert_eq!(kind(lost), Some(ErrorKind::NotFound));
}
