use std::fs;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use super::*;
use crate::config::{Existing, TorrentConfig};
use crate::pieces::BLOCK;
use crate::storage::linux;
use crate::storage::sample::{Dir, Sample};
use crate::storage::survey::survey;
use crate::storage::verify;

const EIO: i32 = 5;

fn sample() -> Sample {
    let block = BLOCK as usize;
    Sample::multi(&[("a", 2 * block), ("b", 2 * block), ("c", 4 * block)], BLOCK)
}

fn resume(files: &Arc<Files>) -> Resume {
    survey(files, &TorrentConfig::default()).unwrap().resume.unwrap()
}

impl State {
    /// A state of a torrent that claims nothing.
    fn encode_of(sample: &Sample) -> Vec<u8> {
        let (pieces, files) = (sample.metainfo.pieces().count(), sample.metainfo.files().len());
        let records = vec![Record::Absent; files + 1];
        let verified = Bitfield::empty(pieces);
        let state = State { verified, uploaded: 0, downloaded: 0, records, sections: Sections::default() };
        state.encode(sample.metainfo.info_hash())
    }
}

fn set(pieces: &[u32], of: u32) -> Bitfield {
    let mut set = Bitfield::empty(of);
    pieces.iter().for_each(|&piece| assert!(set.insert(piece)));
    set
}

/// The names in a directory, in order.
fn names(dir: &Dir) -> Vec<String> {
    let entries = fs::read_dir(dir.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn known(sample: &Sample, dir: &Dir) -> Vec<u32> {
    survey(&sample.files(dir), &TorrentConfig::default()).unwrap().known.iter().collect()
}

/// Sets a file's time to a moment that no other file has.
fn touch(path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000)).unwrap();
}

#[test]
fn what_was_committed_is_known_the_next_time() {
    let (dir, sample) = (Dir::new(), sample());
    let files = sample.files(&dir);
    let mut resume = resume(&files);
    files.write_at(0, &sample.bytes).unwrap();
    resume.snapshot(&set(&[0, 3, 7], 8), 11, 22).commit().unwrap();
    let name = format!(".{}.bitwren", sample.metainfo.info_hash());
    assert_eq!(resume.path(), dir.join(&name));
    let again = survey(&sample.files(&dir), &TorrentConfig::default()).unwrap();
    assert_eq!(again.known, set(&[0, 3, 7], 8));
    // The other pieces exist too, though no state says they are right: found if data can be told from holes,
    // fetched again if it cannot.
    let there: &[u32] = if linux::FINDS_HOLES { &[1, 2, 4, 5, 6] } else { &[] };
    assert_eq!(again.suspect, set(there, 8));
    assert_eq!((again.uploaded, again.downloaded, again.warning), (11, 22, None));
    assert_eq!(names(&dir), [&name, "set"]);
    resume.remove().unwrap();
    resume.remove().unwrap();
    assert_eq!(names(&dir), ["set"]);
}

/// A file with another time or size is not trusted; its neighbours are.
#[test]
fn a_changed_file_is_suspect_and_the_others_are_not() {
    let (dir, sample) = (Dir::new(), sample());
    let files = sample.files(&dir);
    let mut resume = resume(&files);
    files.write_at(0, &sample.bytes).unwrap();
    resume.snapshot(&Bitfield::full(8), 0, 0).commit().unwrap();
    assert_eq!(known(&sample, &dir), [0, 1, 2, 3, 4, 5, 6, 7]);
    touch(&dir.join("set/b"));
    let again = survey(&sample.files(&dir), &TorrentConfig::default()).unwrap();
    assert_eq!(again.known, set(&[0, 1, 4, 5, 6, 7], 8));
    assert_eq!(again.suspect, set(&[2, 3], 8));
    File::options().write(true).open(dir.join("set/c")).unwrap().set_len(u64::from(BLOCK) + 1).unwrap();
    let again = survey(&sample.files(&dir), &TorrentConfig::default()).unwrap();
    assert_eq!(again.known, set(&[0, 1], 8));
    assert_eq!(again.suspect, set(&[2, 3, 4], 8));
    fs::remove_file(dir.join("set/a")).unwrap();
    let again = survey(&sample.files(&dir), &TorrentConfig::default()).unwrap();
    assert_eq!(again.known.count(), 0);
    assert_eq!(again.suspect, set(&[2, 3, 4], 8));
}

/// Written after the commit: hashed again rather than believed.
#[test]
fn what_the_writer_does_after_the_commit_is_not_vouched_for() {
    let (dir, sample) = (Dir::new(), sample());
    let files = sample.files(&dir);
    let mut resume = resume(&files);
    files.write_at(0, &sample.bytes).unwrap();
    resume.snapshot(&Bitfield::full(8), 0, 0).commit().unwrap();
    touch(&dir.join("set/a")); // Stands for a clock that ticked.
    files.write_at(0, &sample.bytes[..10]).unwrap();
    touch(&dir.join("set/a"));
    assert_eq!(known(&sample, &dir), [2, 3, 4, 5, 6, 7]);
    resume.snapshot(&Bitfield::full(8), 0, 0).commit().unwrap();
    assert_eq!(known(&sample, &dir), [0, 1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn an_older_snapshot_does_not_replace_a_newer_one() {
    let (dir, sample) = (Dir::new(), sample());
    let files = sample.files(&dir);
    let mut resume = resume(&files);
    files.write_at(0, &sample.bytes).unwrap();
    let older = resume.snapshot(&set(&[0], 8), 1, 1);
    let newer = resume.snapshot(&set(&[0, 5], 8), 2, 2);
    newer.commit().unwrap();
    older.commit().unwrap();
    assert_eq!(known(&sample, &dir), [0, 5]);
}

/// A failed sync loses pages for good, though the next sync says all is well.
#[test]
fn a_file_that_failed_to_sync_is_not_vouched_for_again() {
    let (dir, sample) = (Dir::new(), sample());
    let files = sample.files(&dir);
    let mut resume = resume(&files);
    files.write_at(0, &sample.bytes).unwrap();
    files.sabotage.plan("sync", EIO);
    let error = Error::from(resume.snapshot(&Bitfield::full(8), 0, 0).commit().unwrap_err());
    assert_eq!(error.kind(), ErrorKind::FileIo);
    assert_eq!(known(&sample, &dir), [2, 3, 4, 5, 6, 7]);
    files.write_at(0, &sample.bytes[..10]).unwrap();
    resume.snapshot(&Bitfield::full(8), 0, 0).commit().unwrap();
    assert_eq!(known(&sample, &dir), [2, 3, 4, 5, 6, 7]);
}

#[test]
fn a_file_that_vanished_is_told_and_not_vouched_for() {
    for replace in [false, true] {
        let (dir, sample) = (Dir::new(), sample());
        let files = sample.files(&dir);
        let mut resume = resume(&files);
        files.write_at(0, &sample.bytes).unwrap();
        fs::rename(dir.join("set/b"), dir.join("elsewhere")).unwrap();
        if replace {
            fs::copy(dir.join("elsewhere"), dir.join("set/b")).unwrap();
        }
        let error = Error::from(resume.snapshot(&Bitfield::full(8), 0, 0).commit().unwrap_err());
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("set/b"), "{error}");
        assert_eq!(known(&sample, &dir), [0, 1, 4, 5, 6, 7]);
    }
}

/// The state cannot be written: the old one stands, and what was synced for nothing is not lost.
#[test]
fn a_state_that_cannot_be_written_leaves_the_old_one() {
    let (dir, sample) = (Dir::new(), sample());
    let files = sample.files(&dir);
    let mut resume = resume(&files);
    resume.snapshot(&Bitfield::empty(8), 0, 0).commit().unwrap();
    let old = fs::read(resume.path()).unwrap();
    files.write_at(0, &sample.bytes).unwrap();
    files.sabotage.plan("state", 28);
    let error = Error::from(resume.snapshot(&Bitfield::full(8), 0, 0).commit().unwrap_err());
    assert_eq!(error.kind(), ErrorKind::DiskFull);
    assert_eq!(fs::read(resume.path()).unwrap(), old);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    resume.snapshot(&Bitfield::full(8), 0, 0).commit().unwrap();
    assert_eq!(known(&sample, &dir).len(), 8);
}

/// The data is as good as before, for any reason.
#[test]
fn a_state_that_cannot_be_written_is_told_apart_from_lost_data() {
    let (dir, sample) = (Dir::new(), sample());
    let files = sample.files(&dir);
    let mut resume = resume(&files);
    for errno in [EIO, 1, 2, 13, 20, 27, 28, 30, 36, 122] {
        files.sabotage.plan("state", errno);
        let error = resume.snapshot(&Bitfield::empty(8), 0, 0).commit().unwrap_err();
        assert!(matches!(error, Uncommitted::State(_)), "{errno}: {error:?}");
    }
    resume.snapshot(&Bitfield::empty(8), 0, 0).commit().unwrap();
}

/// Data from earlier sessions is not lost because a sync of ours fails.
#[test]
fn only_what_was_written_is_lost_with_a_failed_sync() {
    let (dir, sample) = (Dir::new(), sample());
    sample.files(&dir).write_at(0, &sample.bytes).unwrap();
    let files = sample.files(&dir);
    let mut resume = resume(&files);
    files.sabotage.plan("sync", EIO);
    let error = resume.snapshot(&Bitfield::full(8), 0, 0).commit().unwrap_err();
    assert!(matches!(error, Uncommitted::State(_)), "{error:?}");
    files.write_at(0, &sample.bytes).unwrap();
    files.sabotage.plan("sync", EIO);
    let error = resume.snapshot(&Bitfield::full(8), 0, 0).commit().unwrap_err();
    assert!(matches!(error, Uncommitted::Data(_)), "{error:?}");
}

/// Many files are synced at once; the outcome is the same.
#[test]
fn many_files_are_synced_together() {
    let names: Vec<String> = (0..200).map(|n| format!("{n}")).collect();
    let list: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 100)).collect();
    let (dir, sample) = (Dir::new(), Sample::multi(&list, BLOCK));
    let files = sample.files(&dir);
    let mut resume = resume(&files);
    files.write_at(0, &sample.bytes).unwrap();
    resume.snapshot(&Bitfield::full(2), 0, 0).commit().unwrap();
    assert_eq!(known(&sample, &dir), [0, 1]);
    touch(&dir.join("set/3"));
    assert_eq!(known(&sample, &dir), [1]);
}

/// Truncated anywhere, or with any byte changed: ignored with a warning, and replaced.
#[test]
fn a_torn_state_is_ignored() {
    let (dir, sample) = (Dir::new(), Sample::single(100, BLOCK));
    let files = sample.files(&dir);
    let mut keeper = resume(&files);
    files.write_at(0, &sample.bytes).unwrap();
    keeper.snapshot(&Bitfield::full(1), 3, 4).commit().unwrap();
    let path = keeper.path();
    let good = fs::read(&path).unwrap();
    let mut torn: Vec<Vec<u8>> = (0..good.len()).map(|length| good[..length].to_vec()).collect();
    torn.extend((0..good.len()).map(|at| {
        let mut bytes = good.clone();
        bytes[at] = !bytes[at];
        bytes
    }));
    for bytes in torn {
        fs::write(&path, &bytes).unwrap();
        let found = survey(&files, &TorrentConfig::default()).unwrap();
        assert_eq!((found.known.count(), found.suspect.count()), (0, 1));
        assert_eq!((found.uploaded, found.downloaded), (0, 0));
        assert!(found.warning.unwrap().contains("it is ignored"));
        let mut next = found.resume.unwrap();
        next.snapshot(&Bitfield::full(1), 3, 4).commit().unwrap();
        let again = survey(&files, &TorrentConfig::default()).unwrap();
        assert_eq!((again.known.count(), again.uploaded), (1, 3));
        next.remove().unwrap();
    }
}

/// A file that has the name of the state and is not ours is never overwritten and never removed.
#[test]
fn a_file_of_someone_elses_is_left_alone() {
    for folder in [None, Some("states")] {
        let (dir, sample) = (Dir::new(), sample());
        let state_dir = folder.map(|name| dir.join(name));
        let config = TorrentConfig::default().state_dir(state_dir.clone());
        let place = state_dir.clone().unwrap_or(dir.path().to_path_buf());
        fs::create_dir_all(&place).unwrap();
        let hidden = if folder.is_none() { "." } else { "" };
        let name =
            |number: &str| place.join(format!("{hidden}{}{number}.bitwren", sample.metainfo.info_hash()));
        sample.fill(&dir);
        fs::write(name(""), "my diary").unwrap();
        fs::write(name(".2"), State::encode_of(&Sample::single(5, BLOCK))).unwrap();
        let found = survey(&sample.files(&dir), &config).unwrap();
        assert!(found.warning.unwrap().contains(".bitwren is not the state of this torrent"));
        let mut resume = found.resume.unwrap();
        resume.snapshot(&Bitfield::full(8), 0, 0).commit().unwrap();
        assert_eq!(resume.path(), name(".3"));
        assert_eq!(survey(&sample.files(&dir), &config).unwrap().known.count(), 8);
        resume.remove().unwrap();
        assert!(!name(".3").exists());
        for number in 3..=9 {
            fs::write(name(&format!(".{number}")), "my diary, continued").unwrap();
        }
        let stateless = survey(&sample.files(&dir), &config).unwrap().stateless.unwrap();
        assert_eq!(stateless.kind(), ErrorKind::Exists);
        assert_eq!(fs::read(name("")).unwrap(), b"my diary");
        assert_eq!(fs::read(name(".2")).unwrap(), State::encode_of(&Sample::single(5, BLOCK)));
    }
}

/// One that was put at its name meanwhile.
#[test]
fn a_file_that_came_later_is_left_alone() {
    let (dir, sample) = (Dir::new(), sample());
    sample.fill(&dir);
    let mut resume = resume(&sample.files(&dir));
    for name in [resume.path(), dir.join(&format!(".{}.bitwren.tmp", sample.metainfo.info_hash()))] {
        fs::write(&name, "my diary").unwrap();
    }
    assert!(resume.snapshot(&Bitfield::full(8), 0, 0).commit().is_err());
    resume.tidy().unwrap();
    resume.remove().unwrap();
    assert_eq!(names(&dir).len(), 3);
    assert_eq!(fs::read(resume.path()).unwrap(), b"my diary");
    fs::remove_file(resume.path()).unwrap();
    resume.snapshot(&Bitfield::full(8), 0, 0).commit().unwrap();
    assert_eq!(known(&sample, &dir).len(), 8);
    assert_eq!(names(&dir).len(), 3);
}

/// Two torrents of one name have a state each.
#[test]
fn torrents_of_one_name_have_their_own_states() {
    let (dir, sample) = (Dir::new(), sample());
    let other = Sample::multi(&[("z", 5)], BLOCK);
    sample.fill(&dir);
    other.fill(&dir);
    resume(&sample.files(&dir)).snapshot(&Bitfield::full(8), 0, 0).commit().unwrap();
    resume(&other.files(&dir)).snapshot(&Bitfield::full(1), 0, 0).commit().unwrap();
    assert_eq!(known(&sample, &dir).len(), 8);
    assert_eq!(known(&other, &dir), [0]);
}

/// The state was once named after the torrent.
#[test]
fn a_state_of_an_earlier_version_is_read_and_replaced() {
    let (dir, sample) = (Dir::new(), sample());
    sample.fill(&dir);
    let mut keeper = resume(&sample.files(&dir));
    keeper.snapshot(&Bitfield::full(8), 0, 0).commit().unwrap();
    let name = keeper.path();
    for old in ["set.bitwren".to_owned(), format!("set.{}.bitwren", sample.metainfo.info_hash())] {
        fs::rename(&name, dir.join(&old)).unwrap();
        assert_eq!(known(&sample, &dir).len(), 8);
        let mut again = resume(&sample.files(&dir));
        assert_eq!(again.path(), name);
        again.snapshot(&Bitfield::full(8), 0, 0).commit().unwrap();
        assert!(name.exists() && !dir.join(&old).exists());
        fs::rename(&name, dir.join(&old)).unwrap();
        resume(&sample.files(&dir)).remove().unwrap();
        assert_eq!(names(&dir), ["set"], "and it goes where none is needed any more");
        fs::write(&name, State::encode_of(&sample)).unwrap();
        resume(&sample.files(&dir)).snapshot(&Bitfield::full(8), 0, 0).commit().unwrap();
    }
}

/// A name that any file may have is no reason to believe it, or to remove it.
#[test]
fn a_state_of_an_earlier_version_that_knows_no_file_is_left_alone() {
    let (dir, sample) = (Dir::new(), sample());
    sample.fill(&dir);
    let forged = State::encode_of(&sample);
    fs::write(dir.join("set.bitwren"), &forged).unwrap();
    let mut resume = resume(&sample.files(&dir));
    resume.snapshot(&Bitfield::full(8), 0, 0).commit().unwrap();
    resume.remove().unwrap();
    assert_eq!(fs::read(dir.join("set.bitwren")).unwrap(), forged);
}

/// It once went by another name from then on, which was left behind when the download was complete.
#[test]
fn a_state_that_cannot_be_opened_for_now_is_an_error() {
    let (sample, dir) = (sample(), Dir::new());
    let files = sample.files(&dir);
    resume(&files).snapshot(&set(&[], sample.metainfo.pieces().count()), 0, 0).commit().unwrap();
    for (errno, kind) in [(5, ErrorKind::FileOpen), (24, ErrorKind::Resources)] {
        files.sabotage.plan("load", errno);
        assert_eq!(load(&files, None).unwrap_err().kind(), kind);
    }
    let loaded = load(&files, None).unwrap();
    assert!(loaded.state.is_some() && loaded.warning.is_none());
}

#[test]
fn a_state_folder_is_made_and_used() {
    let (dir, sample) = (Dir::new(), sample());
    let state_dir = dir.join("states/here");
    let config = TorrentConfig::default().state_dir(Some(state_dir.clone())).existing(Existing::Overwrite);
    let files = sample.files(&dir);
    files.write_at(0, &sample.bytes).unwrap();
    let mut resume = survey(&files, &config).unwrap().resume.unwrap();
    resume.snapshot(&set(&[4], 8), 0, 0).commit().unwrap();
    assert_eq!(resume.path(), state_dir.join(format!("{}.bitwren", sample.metainfo.info_hash())));
    assert_eq!(survey(&files, &config).unwrap().known, set(&[4], 8));
    assert!(survey(&files, &config.clone().resume(false)).unwrap().resume.is_none());
}

/// Bytes in the part file are trusted like those in files, and a file that moves in or out of the
/// selection takes its trust along only if its bytes do.
#[test]
fn trust_follows_the_bytes_when_the_selection_changes() {
    let block = BLOCK as usize;
    let (dir, sample) = (Dir::new(), Sample::multi(&[("a", block + 9), ("b", block), ("c", block)], BLOCK));
    let files = sample.select(&dir, Some(&[0]));
    let mut resume = resume(&files);
    files.write_at(0, &sample.bytes[..2 * block]).unwrap();
    resume.snapshot(&set(&[0, 1], 4), 0, 0).commit().unwrap();
    let look =
        |select: &[u32]| survey(&sample.select(&dir, Some(select)), &TorrentConfig::default()).unwrap();
    assert_eq!(look(&[0]).known, set(&[0, 1], 4));
    assert_eq!(look(&[0, 2]).known, set(&[0, 1], 4));
    // The bytes of `b` in piece 1 are in the part file, and not yet in the file itself.
    let both = look(&[0, 1]);
    assert_eq!((both.known, both.suspect.count()), (set(&[0], 4), 0));
    // `a` is there and is used although it is not asked for now.
    assert_eq!(look(&[1]).known, set(&[0], 4));
    fs::remove_file(dir.join("set/a")).unwrap();
    assert_eq!(look(&[2]).known.count(), 0);
}

/// Bytes in the part file of a file that is selected later are not fetched again, and the part file is
/// removed when the state knows the files.
#[test]
fn what_the_part_file_has_of_a_file_selected_later_counts() {
    let block = BLOCK as usize;
    let (dir, sample) = (Dir::new(), Sample::multi(&[("a", block + 9), ("b", 2 * block)], BLOCK));
    let files = sample.select(&dir, Some(&[0]));
    let part = files.path(files.part());
    files.write_at(0, &sample.bytes[..2 * block]).unwrap();
    resume(&files).snapshot(&set(&[0, 1], 4), 0, 0).commit().unwrap();
    let files = sample.files(&dir);
    files.take_from_part().unwrap();
    let mut found = survey(&files, &TorrentConfig::default()).unwrap();
    let right = verify::check(&files, &found.suspect, 1, &|_| {}, &AtomicBool::new(false)).unwrap().right;
    let have = found.conclude(&right).unwrap();
    assert_eq!(have, set(&[0, 1], 4));
    assert!(part.exists());
    found.resume.unwrap().snapshot(&have, 0, 0).commit().unwrap();
    assert!(!part.exists());
    assert_eq!(known(&sample, &dir), [0, 1]);
}

/// A part file of the version before lay at the offsets of the torrent. Nothing of it is believed, and it
/// goes where the state knows it.
#[test]
fn a_part_file_of_a_former_version_is_not_believed() {
    let block = BLOCK as usize;
    let (dir, sample) = (Dir::new(), Sample::multi(&[("a", block + 9), ("b", 2 * block)], BLOCK));
    let former = dir.join(&format!(".{}.parts", sample.metainfo.info_hash()));
    let files = sample.select(&dir, Some(&[0]));
    files.write_at(0, &sample.bytes[..block + 9]).unwrap();
    resume(&files).snapshot(&set(&[0], 4), 0, 0).commit().unwrap();
    let (path, state) = (resume(&files).path(), State::decode);
    let mut at_offsets = vec![0; block + 9];
    at_offsets.extend(&sample.bytes[block + 9..2 * block]);
    fs::write(&former, at_offsets).unwrap();
    let mut state = state(&fs::read(&path).unwrap(), sample.metainfo.info_hash(), 4, 2).unwrap();
    state.verified = set(&[0, 1], 4);
    state.records[1] = Record::Part;
    for known in [false, true] {
        let stamp = Stamp::from(&fs::metadata(&former).unwrap());
        state.records[2] = if known { Record::File(stamp) } else { Record::Absent };
        fs::write(&path, state.encode(sample.metainfo.info_hash())).unwrap();
        let files = sample.select(&dir, Some(&[0]));
        let found = survey(&files, &TorrentConfig::default()).unwrap();
        assert_eq!((found.known.clone(), found.suspect.count()), (set(&[0], 4), 0));
        found.remove_former_part(&files).unwrap();
        assert_eq!(former.exists(), !known);
    }
}
