use std::fs;
use std::os::unix::fs::FileExt;
use std::time::{Duration, SystemTime};

use super::*;
use crate::config::TorrentConfig;
use crate::pieces::BLOCK;
use crate::storage::sample::{Dir, Sample};
use crate::storage::survey::survey;

/// Two files on disk that were looked at as a torrent starts.
fn seeded(dir: &Dir) -> (Sample, std::sync::Arc<Files>) {
    let sample = Sample::multi(&[("one", 2 * BLOCK as usize), ("two", BLOCK as usize)], BLOCK);
    sample.fill(dir);
    let files = sample.files(dir);
    survey(&files, &TorrentConfig::default()).unwrap();
    (sample, files)
}

fn open(dir: &Dir, name: &str) -> File {
    File::options().read(true).write(true).open(dir.join("set").join(name)).unwrap()
}

/// Another program writes a byte, as it can be told by the time.
fn spoil(dir: &Dir, name: &str) {
    let file = open(dir, name);
    file.write_all_at(b"x", 10).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000)).unwrap();
}

fn secs(secs: u64) -> Moment {
    Moment::from_secs(secs)
}

#[test]
fn a_file_that_is_sent_is_looked_at_now_and_then() {
    let dir = Dir::new();
    let (_, files) = seeded(&dir);
    let one = open(&dir, "one");
    assert!(!files.has_changed(0, &one, secs(0)));
    spoil(&dir, "one");
    // The last look is not long ago.
    assert!(!files.has_changed(0, &one, secs(1)));
    assert!(files.has_changed(0, &one, secs(2)));
    // It stays changed, also between the looks, until it was hashed again.
    assert!(files.has_changed(0, &one, secs(2)));
    assert!(!files.has_changed(1, &open(&dir, "two"), secs(2)));
    let stamp = files.look_anew(0, true).unwrap();
    assert_eq!(stamp.map(|stamp| stamp.seconds), Some(1_000));
    assert!(files.has_changed(0, &one, secs(9)));
    files.rehashed(0, stamp.as_ref());
    assert!(!files.has_changed(0, &one, secs(10)));
    assert_eq!(files.changed(None), []);
}

/// Between the look before the hashing and its end: the next look shows it.
#[test]
fn a_change_while_a_file_is_hashed_again_is_not_missed() {
    let dir = Dir::new();
    let (_, files) = seeded(&dir);
    spoil(&dir, "one");
    assert_eq!(files.changed(None), [0]);
    let stamp = files.look_anew(0, true).unwrap();
    assert_eq!(files.count_as_changed(), []);
    open(&dir, "one").set_modified(SystemTime::UNIX_EPOCH).unwrap();
    files.rehashed(0, stamp.as_ref());
    assert_eq!(files.changed(None), [0]);
    // Or it is found meanwhile.
    let stamp = files.look_anew(0, true).unwrap();
    open(&dir, "one").set_len(100).unwrap();
    assert_eq!(files.found_lacking(u64::from(BLOCK)), Some(0));
    files.rehashed(0, stamp.as_ref());
    assert_eq!(files.count_as_changed(), [0]);
    assert!(files.has_changed(0, &open(&dir, "one"), secs(9)));
}

/// A write of ours, and a save that takes the file for what it was before, may come before the torrent hears of it.
#[test]
fn a_write_and_a_save_do_not_hide_a_change() {
    let dir = Dir::new();
    let (sample, files) = seeded(&dir);
    let stamp = Stamp::from(&files.stat(0).unwrap().unwrap());
    spoil(&dir, "one");
    assert_eq!(files.changed(None), [0]);
    files.know_whole(0, &stamp, &Bitfield::full(sample.metainfo.pieces().count()));
    files.write_at(0, sample.piece(0)).unwrap();
    assert!(files.counts_as_changed(0) && files.has_changed(0, &open(&dir, "one"), secs(5)));
    // What is not whole is written to while it is hashed again.
    files.look_anew(0, false).unwrap();
    assert!(!files.counts_as_changed(0) && !files.has_changed(0, &open(&dir, "one"), secs(5)));
}

#[test]
fn each_change_is_told_once() {
    let dir = Dir::new();
    let (_, files) = seeded(&dir);
    assert_eq!(files.changed(None), []);
    spoil(&dir, "one");
    fs::remove_file(dir.join("set/two")).unwrap();
    // Nothing of either was sent yet.
    assert_eq!(files.changed(Some(secs(0))), []);
    assert_eq!(files.changed(None), [0, 1]);
    assert_eq!(files.changed(None), []);
    assert_eq!(files.look_anew(1, true).unwrap(), None);
}

#[test]
fn of_files_that_were_sent_the_others_are_left_alone() {
    let dir = Dir::new();
    let (_, files) = seeded(&dir);
    assert!(!files.has_changed(0, &open(&dir, "one"), secs(7)));
    ["one", "two"].into_iter().for_each(|name| spoil(&dir, name));
    assert_eq!(files.changed(Some(secs(8))), []);
    assert_eq!(files.changed(Some(secs(5))), [0]);
}

#[test]
fn what_we_write_ourselves_is_no_change() {
    let dir = Dir::new();
    let (sample, files) = seeded(&dir);
    files.write_at(0, sample.piece(0)).unwrap();
    open(&dir, "one").set_modified(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(files.changed(None), []);
    assert!(!files.has_changed(0, &open(&dir, "one"), secs(5)));
}

#[test]
fn a_file_that_ends_too_early_counts_as_changed() {
    let dir = Dir::new();
    let (_, files) = seeded(&dir);
    open(&dir, "one").set_len(100).unwrap();
    assert_eq!(files.found_lacking(u64::from(BLOCK)), Some(0));
    assert!(files.has_changed(0, &open(&dir, "one"), secs(0)));
    let pieces: Vec<u32> = files.pieces_of(0).iter().collect();
    assert_eq!((pieces, files.pieces_of(1).iter().collect()), (vec![0, 1], vec![2]));
}

/// A sync may take long, and the thread that looks may wait for the processor: what it saw before the file
/// was hashed again says nothing of the file as it is now.
#[test]
fn a_look_that_began_before_a_file_was_hashed_again_does_not_count() {
    let dir = Dir::new();
    let (_, files) = seeded(&dir);
    let (before, found) = (files.watch.before(0), files.stat(0).unwrap());
    spoil(&dir, "one");
    assert_eq!(files.changed(None), [0]);
    let stamp = files.look_anew(0, true).unwrap();
    files.watch.lacked(0, before);
    files.rehashed(0, stamp.as_ref());
    assert!(!files.watch.differs(0, before, found.as_ref().map(Stamp::from)));
    files.watch.lacked(0, before);
    assert_eq!(files.count_as_changed(), []);
    files.watch.lacked(0, files.watch.before(0));
    assert_eq!(files.count_as_changed(), [0]);
}
