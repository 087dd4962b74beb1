use std::fs;
use std::sync::Arc;

use super::*;
use crate::config::{Allocation, TorrentConfig};
use crate::metainfo::build::Content;
use crate::pieces::BLOCK;
use crate::random::Random;
use crate::storage::fd_cache::FdCache;
use crate::storage::layout::Layout;
use crate::storage::sample::{Dir, Sample};
use crate::storage::survey::{Survey, survey};
use crate::storage::verify;

/// Torrents of one client in one directory.
struct Client {
    dir: Dir,
    cache: Arc<FdCache>,
}

impl Client {
    fn new() -> Client {
        Client { dir: Dir::new(), cache: Arc::new(FdCache::new(4)) }
    }

    fn open(&self, sample: &Sample, root: &Path) -> Arc<Files> {
        let layout = Layout::new(sample.metainfo.clone(), None).unwrap();
        Arc::new(Files::open(root, layout, self.cache.clone(), Allocation::Sparse))
    }

    fn files(&self, sample: &Sample) -> Arc<Files> {
        self.open(sample, self.dir.path())
    }
}

fn take(files: &Arc<Files>) -> Result<()> {
    let found = survey(files, &TorrentConfig::default())?;
    files.take(&found.strangers, None, Existing::Check, &AtomicBool::new(false))
}

/// What a start makes of the existing files.
fn start(files: &Arc<Files>, config: &TorrentConfig) -> Result<(Survey, Bitfield)> {
    let mut found = survey(files, config)?;
    let right = verify::check(files, &found.suspect, 1, &|_| {}, &AtomicBool::new(false))?.right;
    let have = found.conclude(&right)?;
    Ok((found, have))
}

/// A file of these pieces, each of noise or of zeros.
fn pieces(seed: u64, noise: &[bool]) -> Vec<u8> {
    let mut random = Random::seeded(seed);
    let piece = |noise: bool, random: &mut Random| -> Vec<u8> {
        (0..BLOCK).map(|_| if noise { random.next_u64() as u8 } else { 0 }).collect()
    };
    noise.iter().flat_map(|&noise| piece(noise, &mut random)).collect()
}

fn single(bytes: Vec<u8>) -> Sample {
    Sample::of("data", Content::File { length: bytes.len() as u64 }, bytes, BLOCK)
}

#[test]
fn what_is_missing_is_made_and_what_is_there_is_left_as_it_is() {
    let client = Client::new();
    let sample = Sample::multi(&[("a", 10), ("run", 20), ("pad/6", 6), ("sub/c", 30)], BLOCK);
    fs::create_dir(client.dir.join("set")).unwrap();
    fs::write(client.dir.join("set/a"), "12345").unwrap();
    take(&client.files(&sample)).unwrap();
    assert_eq!(fs::read(client.dir.join("set/a")).unwrap(), b"12345");
    for made in ["set/run", "set/sub/c"] {
        assert_eq!(fs::metadata(client.dir.join(made)).unwrap().len(), 0);
    }
    assert_eq!(fs::read_dir(client.dir.join("set")).unwrap().count(), 3);
}

#[test]
fn two_torrents_never_have_one_file() {
    let (client, first, second) =
        (Client::new(), single(pieces(1, &[true; 4])), single(pieces(2, &[true; 5])));
    let files = client.files(&first);
    take(&files).unwrap();
    std::os::unix::fs::symlink(client.dir.path(), client.dir.join("link")).unwrap();
    fs::hard_link(client.dir.join("data"), client.dir.join("other")).unwrap();
    for root in [client.dir.path().to_path_buf(), client.dir.join("link"), client.dir.join("link/././")] {
        let error = take(&client.open(&second, &root)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exists);
        let whose = format!("belongs to the torrent data ({}", first.metainfo.info_hash());
        assert!(error.to_string().contains(&whose), "{error}");
    }
    // By another name.
    let third = Sample::of("other", Content::File { length: 5 }, b"hello".to_vec(), BLOCK);
    assert_eq!(take(&client.files(&third)).unwrap_err().kind(), ErrorKind::Exists);
    // And with writing to it allowed.
    let files_of_second = client.files(&second);
    assert!(files_of_second.take(&[0], None, Existing::Overwrite, &AtomicBool::new(false)).is_err());
    assert_eq!(fs::metadata(client.dir.join("data")).unwrap().len(), 0);
    drop(files);
    files_of_second.take(&[0], None, Existing::Overwrite, &AtomicBool::new(false)).unwrap();
}

/// Bytes that are right for both may be used by both.
#[test]
fn a_complete_torrent_shares_its_files_with_readers() {
    let bytes = pieces(1, &[true; 4]);
    let (client, first) = (Client::new(), single(bytes.clone()));
    let reader = Sample::of("data", Content::File { length: bytes.len() as u64 }, bytes, 2 * BLOCK);
    let files = client.files(&first);
    take(&files).unwrap();
    files.write_at(0, &first.bytes).unwrap();
    let reads = client.files(&reader);
    assert_eq!(reads.see_none_writes().unwrap_err().kind(), ErrorKind::Exists);
    files.settle();
    reads.see_none_writes().unwrap();
    // A writer is still refused, also when the one that is complete has ended.
    let writer = single(pieces(2, &[true; 4]));
    for _ in 0..2 {
        assert_eq!(take(&client.files(&writer)).unwrap_err().kind(), ErrorKind::Exists);
        files.release();
    }
}

/// As on a file system that takes two names for one.
#[test]
fn two_files_of_a_torrent_that_are_one_are_refused() {
    let client = Client::new();
    let sample = Sample::multi(&[("a", 10), ("b", 10), ("c", 10)], BLOCK);
    fs::create_dir(client.dir.join("set")).unwrap();
    fs::write(client.dir.join("set/a"), "").unwrap();
    fs::hard_link(client.dir.join("set/a"), client.dir.join("set/b")).unwrap();
    let error = take(&client.files(&sample)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists);
    assert!(error.to_string().contains("are one file"), "{error}");
    assert_eq!(fs::read_dir(client.dir.join("set")).unwrap().count(), 2, "and nothing is left of it");
}

/// A file that replaced one of ours is not written to.
#[test]
fn a_file_that_was_replaced_is_left_alone() {
    let (client, sample) = (Client::new(), single(pieces(1, &[true; 2])));
    let files = client.files(&sample);
    take(&files).unwrap();
    fs::write(client.dir.join("mine"), "my own").unwrap();
    fs::rename(client.dir.join("mine"), client.dir.join("data")).unwrap();
    let error = files.write_at(0, &sample.bytes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(fs::read(client.dir.join("data")).unwrap(), b"my own");
    // One that is only gone is made anew.
    fs::remove_file(client.dir.join("data")).unwrap();
    files.write_at(0, &sample.bytes).unwrap();
    assert_eq!(fs::read(client.dir.join("data")).unwrap(), sample.bytes);
}

#[test]
fn zeros_in_common_do_not_show_that_a_file_is_ours() {
    let client = Client::new();
    let sample = single(pieces(1, &[false, true, true]));
    let foreign = pieces(2, &[false, true, true]);
    fs::write(client.dir.join("data"), &foreign).unwrap();
    let config = TorrentConfig::default();
    let error = start(&client.files(&sample), &config).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists);
    // One piece of noise does.
    let ours = [&foreign[..2 * BLOCK as usize], sample.piece(2)].concat();
    fs::write(client.dir.join("data"), ours).unwrap();
    assert_eq!(start(&client.files(&sample), &config).unwrap().1.iter().collect::<Vec<_>>(), [0, 2]);
    // A file of zeros that is complete is not written to.
    let zeros = single(pieces(1, &[false; 3]));
    fs::write(client.dir.join("data"), &zeros.bytes).unwrap();
    assert!(start(&client.files(&zeros), &config).unwrap().1.is_full());
}

/// A file that torrents of all kinds have does not open the door to the others.
#[test]
fn a_small_file_in_common_does_not_show_that_a_large_one_is_ours() {
    let client = Client::new();
    let block = BLOCK as usize;
    let sample = Sample::multi(&[("licence", block), ("image", 9 * block), ("end", block)], BLOCK);
    sample.fill(&client.dir);
    fs::write(client.dir.join("set/image"), vec![5; 9 * block]).unwrap();
    let config = TorrentConfig::default();
    let error = start(&client.files(&sample), &config).unwrap_err();
    assert!(error.kind() == ErrorKind::Exists && error.to_string().contains("set/image"), "{error}");
    // Among much that is right it is one of the torrent's that was damaged.
    fs::write(client.dir.join("set/image"), vec![5; 2 * block]).unwrap();
    assert_eq!(start(&client.files(&sample), &config).unwrap().1.iter().collect::<Vec<_>>(), [0, 10]);
}

/// A state that any program may have made says nothing about a file that it does not know.
#[test]
fn a_state_that_knows_no_file_opens_no_door() {
    let (client, sample) = (Client::new(), single(pieces(1, &[true; 3])));
    let config = TorrentConfig::default();
    let mut resume = survey(&client.files(&sample), &config).unwrap().resume.unwrap();
    resume.snapshot(&Bitfield::empty(3), 0, 0).commit().unwrap();
    fs::write(client.dir.join("data"), pieces(2, &[true; 3])).unwrap();
    assert_eq!(start(&client.files(&sample), &config).unwrap_err().kind(), ErrorKind::Exists);
    // It knows a file that was taken, with any contents, as after a kill.
    fs::remove_file(client.dir.join("data")).unwrap();
    let files = client.files(&sample);
    let found = survey(&files, &config).unwrap();
    files.take(&found.strangers, None, Existing::Check, &AtomicBool::new(false)).unwrap();
    found.resume.unwrap().snapshot(&Bitfield::empty(3), 0, 0).commit().unwrap();
    files.write_at(0, &[1; 100]).unwrap();
    assert_eq!(start(&files, &config).unwrap().1.count(), 0);
}

/// As on a file system that numbers its files anew, after a power cut.
#[test]
fn a_file_that_was_written_to_after_the_state_is_ours_whatever_its_number() {
    let (client, sample) = (Client::new(), single(pieces(1, &[true; 3])));
    let config = TorrentConfig::default();
    let files = client.files(&sample);
    let found = survey(&files, &config).unwrap();
    files.take(&found.strangers, None, Existing::Check, &AtomicBool::new(false)).unwrap();
    found.resume.unwrap().snapshot(&Bitfield::empty(3), 0, 0).commit().unwrap();
    drop(files);
    let renumbered = |bytes: &[u8]| {
        fs::write(client.dir.join("new"), bytes).unwrap();
        fs::rename(client.dir.join("new"), client.dir.join("data")).unwrap();
    };
    renumbered(&pieces(2, &[true; 3]));
    assert_eq!(start(&client.files(&sample), &config).unwrap().1.count(), 0);
    renumbered(&pieces(2, &[true; 4]));
    assert!(start(&client.files(&sample), &config).is_err(), "ours are not longer than the torrent says");
    // One that was there before the state was put beside it.
    renumbered(&pieces(2, &[true; 3]));
    let state = client.dir.join(&format!(".{}.bitwren", sample.metainfo.info_hash()));
    let forged = fs::read(&state).unwrap();
    let changed = |path: &std::path::Path| {
        let found = fs::metadata(path).unwrap();
        (found.ctime(), found.ctime_nsec())
    };
    // Until the clock of the file system has moved on.
    while changed(&state) <= changed(&client.dir.join("data")) {
        fs::write(&state, &forged).unwrap();
    }
    assert_eq!(start(&client.files(&sample), &config).unwrap_err().kind(), ErrorKind::Exists);
}
