use std::fs;

use super::*;
use crate::pieces::BLOCK;
use crate::storage::files::Files;
use crate::storage::sample::{Dir, Sample};

const HALF: usize = BLOCK as usize / 2;

/// `b` and `d` share their first and last pieces with neighbours.
fn sample() -> Sample {
    Sample::multi(&[("a", 5 * HALF), ("b", 4 * HALF), ("c", 7 * HALF), ("d", HALF), ("e", 3 * HALF)], BLOCK)
}

fn part(dir: &Dir, sample: &Sample) -> PathBuf {
    dir.join(&format!(".{}.parts", sample.metainfo.info_hash()))
}

/// Writes the pieces that are wanted.
fn fetch(sample: &Sample, files: &Files) {
    let pieces = sample.metainfo.pieces();
    for piece in files.layout().wanted().iter() {
        files.write_at(pieces.offset(piece), sample.piece(piece)).unwrap();
    }
}

/// The pieces that can be read and are as they should be.
fn right(sample: &Sample, files: &Files) -> Vec<u32> {
    let pieces = sample.metainfo.pieces();
    let is_right = |&piece: &u32| {
        let mut read = vec![0; pieces.length(piece) as usize];
        files.read_at(pieces.offset(piece), &mut read).is_ok() && read == sample.piece(piece)
    };
    (0..pieces.count()).filter(is_right).collect()
}

#[test]
fn a_part_file_is_as_long_as_what_is_in_it() {
    let (dir, sample) = (Dir::new(), sample());
    let files = sample.select(&dir, Some(&[1, 3]));
    fetch(&sample, &files);
    assert_eq!(right(&sample, &files), [2, 3, 4, 8]);
    // Half a piece of `a`, half a piece of `c`; of the last piece `e` comes after `d`.
    let bytes = fs::metadata(part(&dir, &sample)).unwrap().len();
    assert_eq!(bytes, HEAD + 3 * (SLOT + HALF as u64));
    // The same bytes again take no more space.
    fetch(&sample, &files);
    assert_eq!(fs::metadata(part(&dir, &sample)).unwrap().len(), bytes);
    assert_eq!(right(&sample, &sample.select(&dir, Some(&[1, 3]))), [2, 3, 4, 8]);
}

/// Blocks come in any order, in part and across slots.
#[test]
fn slots_are_found_again_whatever_the_order() {
    let files = [("a", 9), ("b", 5), ("c", 3), ("d", 100), ("e", 2), ("f", 1)];
    let (dir, sample) = (Dir::new(), Sample::multi(&files, 64));
    let files = sample.select(&dir, Some(&[1]));
    for offset in [30, 20, 0, 4, 9, 60, 50].into_iter().chain((0..64).rev()) {
        files.write_at(offset, &sample.bytes[offset as usize..64.min(offset as usize + 9)]).unwrap();
    }
    assert_eq!(right(&sample, &files), [0]);
    assert_eq!(fs::metadata(part(&dir, &sample)).unwrap().len(), HEAD + 2 * SLOT + 64 - 5);
    let again = sample.select(&dir, Some(&[1]));
    assert_eq!(right(&sample, &again), [0]);
    // What else shares the piece, or another, is added.
    let other = sample.select(&dir, Some(&[4]));
    fetch(&sample, &other);
    assert_eq!(right(&sample, &other), [0, 1]);
    assert_eq!(right(&sample, &again), [0]);
}

#[test]
fn what_follows_a_torn_header_is_not_believed_and_goes() {
    let (dir, sample) = (Dir::new(), sample());
    fetch(&sample, &sample.select(&dir, Some(&[1, 3])));
    let path = part(&dir, &sample);
    let whole = fs::read(&path).unwrap();
    let second = (HEAD + SLOT) as usize + HALF;
    for at in second..second + SLOT as usize {
        let mut torn = whole.clone();
        torn[at] ^= 0x10;
        fs::write(&path, &torn).unwrap();
        assert_eq!(right(&sample, &sample.select(&dir, Some(&[1, 3]))), [2, 3], "byte {at}");
    }
    // Written again, it is as before.
    let files = sample.select(&dir, Some(&[1, 3]));
    fetch(&sample, &files);
    assert_eq!(fs::read(&path).unwrap(), whole);
    // Cut anywhere, the whole slots before the cut are found.
    for (length, there) in [(second, 1), (second + 5, 1), (whole.len() - 1, 2), (HEAD as usize, 0)] {
        fs::write(&path, &whole[..length]).unwrap();
        let files = sample.select(&dir, Some(&[1, 3]));
        assert_eq!(right(&sample, &files), [[3].as_slice(), &[2, 3], &[2, 3, 4]][there], "{length}");
        fetch(&sample, &files);
        assert_eq!(fs::read(&path).unwrap(), whole, "{length}");
    }
}

#[test]
fn slots_that_overlap_or_lie_past_the_end_are_not_believed() {
    let (dir, sample) = (Dir::new(), sample());
    let path = part(&dir, &sample);
    let parts = Parts::new(&sample.metainfo);
    let total = sample.bytes.len() as u64;
    let bytes = |slots: &[(u64, u32)]| {
        let mut bytes = parts.header().to_vec();
        for &(offset, length) in slots {
            bytes.extend(parts.slot(bytes.len() as u64, offset, length));
            bytes.extend(vec![1; length.min(99) as usize]);
        }
        bytes
    };
    let found = |slots: &[(u64, u32)]| {
        fs::write(&path, bytes(slots)).unwrap();
        parts.opened(&File::open(&path).unwrap(), false).unwrap();
        parts.slots()
    };
    assert_eq!(found(&[(0, 9), (20, 1), (9, 11)]), [0..9, 9..20, 20..21]);
    for wrong in [(8, 1), (0, 9), (19, 3), (total, 1), (total - 1, 2), (u64::MAX, 1), (50, 0)] {
        assert_eq!(found(&[(0, 9), (20, 1), wrong, (60, 3)]), [0..9, 20..21], "{wrong:?}");
    }
    let many: Vec<_> = (0..100).map(|at| (at, 1)).collect();
    assert_eq!(found(&many).len(), parts.most);
}

#[test]
fn what_is_not_our_part_file_is_left_alone() {
    let (dir, sample) = (Dir::new(), sample());
    let path = part(&dir, &sample);
    let theirs = [&sample.bytes[..], b"of another program"].concat();
    fs::write(&path, &theirs).unwrap();
    let files = sample.select(&dir, Some(&[1]));
    fetch(&sample, &files);
    assert_eq!(right(&sample, &files), [2, 3, 4]);
    // It stays that one when the other has gone.
    assert_eq!(fs::read(&path).unwrap(), theirs);
    fs::remove_file(&path).unwrap();
    let files = sample.select(&dir, Some(&[1]));
    assert_eq!(right(&sample, &files), [2, 3, 4]);
    fs::write(&path, &theirs).unwrap();
    files.remove_part().unwrap();
    files.remove_part().unwrap();
    assert_eq!(fs::read(&path).unwrap(), theirs);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "the files and theirs");
}

/// As a power cut leaves a file that was just made: nothing in it, or some of its header.
#[test]
fn a_header_that_was_not_written_is_written_again() {
    let (dir, sample) = (Dir::new(), sample());
    let path = part(&dir, &sample);
    let header = Parts::new(&sample.metainfo).header();
    for length in 0..=header.len() {
        for there in [0, length / 2, length] {
            let mut cut = header[..length].to_vec();
            cut[there..].fill(0);
            fs::write(&path, cut).unwrap();
            let files = sample.select(&dir, Some(&[1]));
            assert_eq!(right(&sample, &files).len(), 0);
            fetch(&sample, &files);
            assert_eq!(right(&sample, &files), [2, 3, 4]);
            fs::remove_dir_all(dir.join("set")).unwrap();
        }
    }
}

#[test]
fn what_is_selected_later_is_taken_from_the_part_file() {
    let (dir, sample) = (Dir::new(), sample());
    fetch(&sample, &sample.select(&dir, Some(&[1, 3])));
    // `e` is there already and is not touched.
    fs::write(dir.join("set/e"), b"mine").unwrap();
    let files = sample.select(&dir, Some(&[1, 2, 3, 4]));
    files.take_from_part().unwrap();
    let c = fs::read(dir.join("set/c")).unwrap();
    assert_eq!(c[..HALF], sample.bytes[9 * HALF..10 * HALF]);
    assert_eq!(fs::read(dir.join("set/e")).unwrap(), b"mine");
    assert!(part(&dir, &sample).exists(), "what `a` shares is in it");
    assert_eq!(right(&sample, &files), [2, 3, 4]);
    files.drop_spent_part().unwrap();
    assert!(part(&dir, &sample).exists());
    let files = sample.files(&dir);
    files.take_from_part().unwrap();
    assert_eq!(right(&sample, &files), [2, 3, 4]);
    files.drop_spent_part().unwrap();
    assert!(!part(&dir, &sample).exists(), "all of it is in the files");
    assert_eq!(right(&sample, &files), [2, 3, 4]);
}
