use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::fd_cache::FdCache;
use super::super::files::Files;
use super::super::layout::Layout;
use super::super::names::{Paths, StoredAs, Why};
use super::super::sample::{Dir, Sample};
use super::super::survey::survey;
use super::super::{renaming, verify};
use crate::bitfield::Bitfield;
use crate::config::{Allocation, TorrentConfig};
use crate::error::ErrorKind;
use crate::storage::sandbox::Narrow;

const EINVAL: i32 = 22;
const ENAMETOOLONG: i32 = 36;
const EILSEQ: i32 = 84;

/// As exFAT and NTFS.
fn windows(name: &OsStr) -> Option<i32> {
    name.to_str().unwrap().contains([':', '?', '*', '"', '<', '>', '|', '\\']).then_some(EINVAL)
}

/// As eCryptfs.
fn encrypted(name: &OsStr) -> Option<i32> {
    (name.len() > 143).then_some(ENAMETOOLONG)
}

/// As a share whose names are not Unicode.
fn ascii(name: &OsStr) -> Option<i32> {
    (!name.is_ascii()).then_some(EILSEQ)
}

/// As a server that tells of a name it cannot have that it is not there.
fn server(name: &OsStr) -> Option<i32> {
    windows(name).map(|_| 2)
}

fn nothing(_: &OsStr) -> Option<i32> {
    Some(EINVAL)
}

fn on(sample: &Sample, dir: &Dir, narrow: Narrow) -> Arc<Files> {
    let files = sample.files(dir);
    files.narrow(narrow);
    files
}

/// Everything below a directory, directories ending in `/`.
fn list(dir: &Dir) -> Vec<String> {
    fn walk(directory: &Path, prefix: &str, into: &mut Vec<String>) {
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                into.push(format!("{name}/"));
                walk(&entry.path(), &format!("{name}/"), into);
            } else {
                into.push(name);
            }
        }
    }
    let mut found = Vec::new();
    walk(dir.path(), "", &mut found);
    found.sort();
    found
}

/// Asserts that all of it is found and right by a start without any state.
#[track_caller]
fn is_whole(sample: &Sample, dir: &Dir) {
    let files = sample.files(dir);
    let all = Bitfield::full(sample.metainfo.pieces().count());
    let good = verify::check(&files, &all, 1, &|_| {}, &Default::default()).unwrap();
    assert!(good.right.is_full(), "{good:?} {:?}", list(dir));
}

#[test]
fn a_name_that_the_file_system_refuses_gets_a_substitute_and_is_found_again() {
    let wide = format!("{}.mp4", "語".repeat(60));
    let cut = format!("{}.mp4", "語".repeat(46));
    let bars = format!("{}.mp4", "_".repeat(60));
    for (narrow, names, lie) in [
        (windows as Narrow, ["01 - Why?.mp4", "a: b/02"], ["01 - Why_.mp4", "a_ b/02"]),
        (server, ["01 - Why?.mp4", "a: b/02"], ["01 - Why_.mp4", "a_ b/02"]),
        (encrypted, [&wide, "What? still/02"], [&cut, "What? still/02"]),
        (ascii, [&wide, "ü/02"], [&bars, "_/02"]),
    ] {
        let (dir, sample) =
            (Dir::new(), Sample::multi(&[(names[0], 50), ("plain.mp4", 9), (names[1], 20)], 16));
        let files = on(&sample, &dir, narrow);
        files.write_at(0, &sample.bytes).unwrap();
        let mut lies: Vec<String> = lie.map(|name| format!("set/{name}")).into();
        let news = files.take_renamed();
        for (file, lies) in sample.metainfo.files().iter().step_by(2).zip(&lies) {
            let told = news.iter().any(|news| news.path == Path::new(lies) && news.why == Why::Refused);
            assert_eq!(told, file.path() != Path::new(lies), "{news:?}");
        }
        lies.extend(["set/", "set/plain.mp4"].map(str::to_owned));
        lies.push(format!("{}/", Path::new(&lies[1]).parent().unwrap().to_str().unwrap()));
        lies.sort();
        // No directory is left of the names that were tried.
        assert_eq!(list(&dir), lies);
        is_whole(&sample, &dir);
    }
}

#[test]
fn what_the_file_system_takes_keeps_its_name() {
    let names = ["01 - Why?.mp4", "aux.c", "a\\b", "X", "x", "e. "];
    let (dir, sample) = (Dir::new(), Sample::multi(&names.map(|name| (name, 20)), 16));
    let files = sample.files(&dir);
    files.write_at(0, &sample.bytes).unwrap();
    assert!(files.take_renamed().is_empty() && files.names().is_empty());
    let mut there = names.map(|name| format!("set/{name}")).to_vec();
    there.push("set/".to_owned());
    there.sort();
    assert_eq!(list(&dir), there);
}

/// Pieces come in any order; which file has which name must not depend on it.
#[test]
fn substitutes_that_would_be_one_are_told_apart_by_the_number_of_the_file() {
    let sample = Sample::multi(&[("a?", 16), ("a*", 16), ("a_", 16), ("b?", 16), ("b_/c", 16)], 16);
    for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [1, 4, 0, 3, 2]] {
        let dir = Dir::new();
        let files = on(&sample, &dir, windows);
        for piece in order {
            files.write_at(piece * 16, sample.piece(piece as u32)).unwrap();
        }
        let there = ["set/", "set/a_", "set/a_.1", "set/a_.2", "set/b_.4", "set/b_/", "set/b_/c"];
        assert_eq!(list(&dir), there);
        is_whole(&sample, &dir);
    }
}

#[test]
fn where_no_name_is_taken_it_is_the_first_refusal_that_is_told() {
    let (dir, sample) = (Dir::new(), Sample::multi(&[("a?", 16)], 16));
    let error = on(&sample, &dir, nothing).write_at(0, &sample.bytes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MakeDir);
    assert!(error.to_string().contains("does not take this name; --rename"), "{error}");
    assert!(list(&dir).is_empty());
    // An error that does not refuse the name is passed on as it is.
    let error = on(&sample, &dir, |_| Some(13)).write_at(0, &sample.bytes).unwrap_err();
    assert!(error.to_string().contains("check the permissions"), "{error}");
}

#[test]
fn a_foreign_file_under_a_substitute_is_left_alone() {
    let (dir, sample) = (Dir::new(), Sample::multi(&[("a?.txt", 16), ("b", 16)], 16));
    fs::create_dir(dir.join("set")).unwrap();
    fs::write(dir.join("set/a_.txt"), "mine").unwrap();
    let files = on(&sample, &dir, windows);
    let error = files.write_at(0, &sample.bytes).unwrap_err();
    assert!(error.to_string().contains("a?.txt"), "{error}");
    assert_eq!(fs::read(dir.join("set/a_.txt")).unwrap(), b"mine");
    // Where the file system takes the name there is nothing in the way.
    sample.fill(&dir);
    assert_eq!(fs::read(dir.join("set/a_.txt")).unwrap(), b"mine");
}

/// One file under two names that differ in case stands for a file system that does not tell them apart.
#[test]
fn a_name_that_is_taken_for_anothers_gets_a_number() {
    let (dir, sample) = (Dir::new(), Sample::multi(&[("x.h", 32), ("X.h", 32), ("X.H", 32)], 16));
    fs::create_dir(dir.join("set")).unwrap();
    fs::write(dir.join("set/x.h"), &sample.bytes[..32]).unwrap();
    for name in ["set/X.h", "set/X.H"] {
        fs::hard_link(dir.join("set/x.h"), dir.join(name)).unwrap();
    }
    let files = sample.files(&dir);
    files.write_at(32, &sample.bytes[32..]).unwrap();
    let news = files.take_renamed();
    assert_eq!(
        news.iter().map(|news| news.path.to_str().unwrap()).collect::<Vec<_>>(),
        ["set/X.2.h", "set/X.3.H"]
    );
    assert!(news.iter().all(|news| news.why == Why::Folded));
    assert_eq!(fs::read(dir.join("set/x.h")).unwrap(), &sample.bytes[..32]);
    is_whole(&sample, &dir);
}

#[test]
fn data_is_found_under_the_name_that_the_torrent_has_as_it_is() {
    let names = ["two\nlines", "...", "d\u{1b}/x", "\u{202e}x"];
    let (dir, sample) = (Dir::new(), Sample::multi(&names.map(|name| (name, 20)), 16));
    for (name, bytes) in names.iter().zip(sample.bytes.chunks(20)) {
        let path = dir.join("set").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    is_whole(&sample, &dir);
    assert!(sample.files(&dir).take_renamed().is_empty(), "that is no news");
    // A missing file is made under a name that is safe to print.
    let dir = Dir::new();
    sample.fill(&dir);
    assert_eq!(list(&dir), ["set/", "set/___", "set/_x", "set/d_/", "set/d_/x", "set/two_lines"]);
}

#[test]
fn data_is_found_in_another_normalisation() {
    let (dir, sample) = (Dir::new(), Sample::multi(&[("Café/é.txt", 20), ("ü", 20)], 16));
    fs::create_dir_all(dir.join("set/Cafe\u{301}")).unwrap();
    fs::write(dir.join("set/Cafe\u{301}/e\u{301}.txt"), &sample.bytes[..20]).unwrap();
    // Another length: that is another file.
    fs::write(dir.join("set/u\u{308}"), "mine").unwrap();
    let files = sample.files(&dir);
    let path = PathBuf::from("set/Cafe\u{301}/e\u{301}.txt");
    assert_eq!(files.take_renamed(), [StoredAs { file: 0, path, why: Why::Found }]);
    files.write_at(20, &sample.bytes[20..]).unwrap();
    is_whole(&sample, &dir);
    assert_eq!(fs::read(dir.join("set/u\u{308}")).unwrap(), b"mine");
}

#[test]
fn names_that_a_user_chose_are_remembered_and_those_that_lead_out_are_not_taken() {
    let (dir, sample) = (Dir::new(), Sample::multi(&[("a", 20), ("b", 20), ("c", 20)], 16));
    let config = |rename: &[(u32, &str)]| {
        let rename = rename.iter().map(|&(number, path)| (number, path.into()));
        TorrentConfig::default().dir(dir.path()).rename(rename)
    };
    let known = |rename: &[(u32, &str)]| renaming::known(&sample.metainfo, &config(rename));
    for wrong in ["../x", "/etc/x", "x/../../y", "", "x//y", "b", "set/b", "set/c/d", &"x".repeat(256)] {
        assert_eq!(known(&[(1, wrong)]).unwrap_err().kind(), ErrorKind::Argument, "{wrong}");
    }
    assert_eq!(known(&[(4, "x")]).unwrap_err().kind(), ErrorKind::Argument);
    let swapped = known(&[(1, "b"), (2, "a"), (3, "other/place")]).unwrap();
    let paths = ["set/b", "set/a", "other/place"].map(PathBuf::from);
    assert_eq!(swapped, (0..).zip(paths).collect::<Paths>());

    let open = |names: Paths| {
        let layout = Layout::new(sample.metainfo.clone(), None).unwrap().with_names(names).unwrap();
        Arc::new(Files::open(dir.path(), layout, Arc::new(FdCache::new(4)), Allocation::Sparse))
    };
    let files = open(swapped.clone());
    let mut resume = survey(&files, &config(&[])).unwrap().resume.unwrap();
    files.write_at(0, &sample.bytes).unwrap();
    resume.snapshot(&Bitfield::full(4), 0, 0).commit().unwrap();
    assert!(files.has_chosen_names());
    assert_eq!(known(&[]).unwrap(), swapped);
    assert_eq!(survey(&open(known(&[]).unwrap()), &config(&[])).unwrap().known.count(), 4);
    // A file that is there is not moved.
    let error = known(&[(3, "third")]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists);
    assert!(error.to_string().contains("other/place is there already; move it"), "{error}");
}
