use std::fs;

use super::*;
use crate::storage::own::OwnFile;
use crate::storage::sample::Dir;

const HASH: InfoHash = InfoHash::from_bytes([7; 20]);

fn own() -> Own {
    Own { name: "a torrent".into(), files: vec![OwnFile { path: 5, inode: 6, complete: false }] }
}

#[test]
#[cfg(feature = "sys")]
fn a_lock_is_held_once_and_goes_when_it_is_dropped() {
    let dir = Dir::new();
    let root = Root::new(dir.path());
    let lock = Lock::take(&root, HASH, &own()).unwrap();
    assert!(lock.is_some());
    assert_eq!(look(&root, &name(HASH)), Some(Said { process: std::process::id(), own: own() }));
    let error = Lock::take(&root, HASH, &own()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists);
    let holder = format!("by process {}", std::process::id());
    assert!(error.to_string().contains(&holder), "{error}");
    assert!(
        Lock::take(&root, InfoHash::from_bytes([8; 20]), &own()).unwrap().is_some(),
        "another torrent may"
    );
    drop(lock);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    assert!(Lock::take(&root, HASH, &own()).unwrap().is_some());
}

/// As a kill leaves it.
#[test]
#[cfg(feature = "sys")]
fn a_lock_that_none_holds_is_taken_over() {
    let dir = Dir::new();
    let root = Root::new(dir.path());
    for left in [&b""[..], b"bitwren lock\n\x01\x02"] {
        fs::write(dir.path().join(name(HASH)), left).unwrap();
        assert_eq!(look(&root, &name(HASH)), None);
        assert!(Lock::take(&root, HASH, &own()).unwrap().is_some());
    }
}

#[test]
fn where_there_can_be_no_lock_there_is_none() {
    let dir = Dir::new();
    // Something else has its name.
    let path = dir.path().join(name(HASH));
    fs::write(&path, "my diary").unwrap();
    assert!(Lock::take(&Root::new(dir.path()), HASH, &own()).unwrap().is_none());
    assert_eq!(fs::read(&path).unwrap(), b"my diary");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(Lock::take(&Root::new(dir.path()), HASH, &own()).unwrap().is_none());
    assert!(Lock::take(&Root::new(&dir.path().join("a/file/\0")), HASH, &own()).unwrap().is_none());
}
