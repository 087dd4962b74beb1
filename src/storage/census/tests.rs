use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::bitfield::Bitfield;
use crate::config::{Existing, TorrentConfig};
use crate::pieces::BLOCK;
use crate::storage::files::Files;
use crate::storage::resume::Resume;
use crate::storage::sample::{Dir, Sample};
use crate::storage::survey::survey;

fn sample() -> Sample {
    Sample::multi(&[("a", BLOCK as usize), ("sub/b", BLOCK as usize)], BLOCK)
}

/// A torrent that has taken its files.
fn taken(files: &Arc<Files>, config: &TorrentConfig) -> Resume {
    files.keep_others_out().unwrap();
    files.take(&[], None, Existing::Check, &AtomicBool::new(false)).unwrap();
    survey(files, config).unwrap().resume.unwrap()
}

/// Also by way of a link, and when the program has ended.
#[test]
fn a_state_says_whose_a_file_is() {
    let (dir, sample) = (Dir::new(), sample());
    let files = sample.files(&dir);
    let mut resume = taken(&files, &TorrentConfig::default());
    files.write_at(0, &sample.bytes).unwrap();
    let mut known = Bitfield::empty(2);
    assert!(known.insert(1));
    resume.snapshot(&known, 0, 0).commit().unwrap();
    drop((resume, files));
    symlink(dir.path(), dir.join("link")).unwrap();
    symlink(dir.join("set/sub"), dir.join("sub-link")).unwrap();
    let info_hash = sample.metainfo.info_hash();
    for (path, complete) in
        [("set/a", false), ("link/set/a", false), ("set/sub/b", true), ("sub-link/b", true)]
    {
        let found = Census::default().claimant(&dir.join(path), None, None).unwrap();
        let want = Claimant { info_hash, name: "set".into(), process: None, complete };
        assert_eq!(found, want, "{path}");
    }
    fs::write(dir.join("set/c"), "").unwrap();
    for path in ["set/c", "set", "nothing/here"] {
        assert_eq!(Census::default().claimant(&dir.join(path), None, None), None, "{path}");
    }
    assert_eq!(Census::default().claimant(&dir.join("set/a"), None, Some(info_hash)), None);
}

#[test]
fn a_state_in_a_folder_of_states_says_so_too() {
    let (dir, sample) = (Dir::new(), sample());
    let states = dir.join("states");
    let files = sample.files(&dir);
    let config = TorrentConfig::default().state_dir(Some(states.clone()));
    taken(&files, &config).snapshot(&Bitfield::empty(2), 0, 0).commit().unwrap();
    drop(files);
    let ask = |state_dir| Census::default().claimant(&dir.join("set/a"), state_dir, None);
    assert_eq!(ask(Some(&states)).unwrap().name, "set");
    assert_eq!(ask(None), None);
    // The same path in another directory is another file.
    let other = Dir::new();
    sample.fill(&other);
    assert_eq!(Census::default().claimant(&other.join("set/a"), Some(&states), None), None);
}

#[test]
#[cfg(feature = "sys")]
fn a_lock_says_which_process_is_at_work() {
    let (dir, sample) = (Dir::new(), sample());
    let files = sample.files(&dir);
    let mut resume = taken(&files, &TorrentConfig::default());
    let ask = || Census::default().claimant(&dir.join("set/a"), None, None);
    let process = Some(std::process::id());
    let found = ask().unwrap();
    assert_eq!((found.process, found.complete), (process, false));
    let text = found.refusal(&dir.join("set/a")).to_string();
    assert!(text.contains("belongs to the torrent set") && text.contains("downloaded by process"), "{text}");
    // The state knows more.
    files.write_at(0, &sample.bytes).unwrap();
    resume.snapshot(&Bitfield::full(2), 0, 0).commit().unwrap();
    let found = ask().unwrap();
    assert_eq!((found.process, found.complete), (process, true));
    files.settle();
    assert_eq!(ask().unwrap().process, None);
}

/// What claims to be a state and is not.
#[test]
fn rubbish_by_the_name_of_a_state_is_passed_over() {
    let (dir, sample) = (Dir::new(), sample());
    sample.fill(&dir);
    let hash = "0123456789abcdef0123456789abcdef01234567";
    for name in [format!(".{hash}.bitwren"), format!("{hash}.2.bitwren"), format!(".{hash}.bitwren.lock")] {
        fs::write(dir.join(&name), "bitwren\x02 and nothing that follows").unwrap();
        fs::create_dir(dir.join(&format!("{name}-"))).unwrap();
    }
    assert_eq!(Census::default().claimant(&dir.join("set/a"), None, None), None);
}
