//! What stays of a download beside its files, and what is said of data that is not there.

use std::collections::BTreeSet;
use std::path::Path;

use super::transfer::{get, said, seed};
use super::{Scratch, ok, run};

/// A directory of which every piece is fetched for the first and the last file, and its torrent.
fn show(scratch: &Scratch) -> &Path {
    let film: Vec<u8> = (0..100_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    scratch.file("show/film.mkv", &film);
    scratch.file("show/film.srt", &film[..3_000]);
    scratch.file("show/more.mkv", &film[7_000..57_000]);
    ok(scratch.path(), &["create", "-q", "-l", "16K", "show"]);
    scratch.path()
}

/// What is in a directory, with the info-hash left out of the names.
fn names(dir: &Path, hash: &str) -> BTreeSet<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.into_string().unwrap().replace(hash, "HASH")).collect()
}

fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

fn hash(dir: &Path) -> String {
    let torrent = bitwren::Metainfo::from_bytes(&std::fs::read(dir.join("show.torrent")).unwrap()).unwrap();
    torrent.info_hash().to_string()
}

#[test]
fn a_selection_that_takes_every_piece_is_complete_and_stays_so() {
    let scratch = Scratch::new("cli");
    let dir = show(&scratch);
    let (_seed, peer) = seed(dir, &["show.torrent"]);
    let selected = ["--select", "1,3", "show.torrent"];
    said(&get(dir, &["-q", "--peer", &peer]).args(selected).output().unwrap(), 0);
    for name in ["show/film.mkv", "show/more.mkv"] {
        assert!(std::fs::read(dir.join(name)).unwrap() == std::fs::read(dir.join("got").join(name)).unwrap());
    }
    assert_eq!(names(&dir.join("got"), &hash(dir)), set(["show", ".HASH.bitwren", ".HASH.parts"]));
    assert!(!dir.join("got/show/film.srt").exists());
    let verified = ok(dir, &[["verify", "-d", "got"].as_slice(), &selected].concat());
    assert!(verified.starts_with("2 of 2 files and 10 of 10 pieces are correct, checked in "), "{verified}");
    // The neighbours are right, whether or not they were asked for.
    let output = run(dir, &["verify", "-d", "got", "show.torrent"]);
    let (all, _) = said(&output, 32);
    assert!(
        all.starts_with("got/show/film.srt: missing\n2 of 3 files and 10 of 10 pieces are correct,"),
        "{all}"
    );
    // Without any peer.
    said(&get(dir, &["-q"]).args(selected).output().unwrap(), 0);
    // The rest is there, too, once it is asked for, and nothing is needed beside it.
    let (_, stderr) = said(&get(dir, &["show.torrent"]).output().unwrap(), 0);
    assert!(stderr.ends_with("show: complete, 149 KiB, already there\n"), "{stderr}");
    assert_eq!(
        std::fs::read(dir.join("show/film.srt")).unwrap(),
        std::fs::read(dir.join("got/show/film.srt")).unwrap()
    );
    assert_eq!(names(&dir.join("got"), &hash(dir)), set(["show"]));
}

#[test]
fn of_a_piece_that_reaches_into_what_is_not_there_it_cannot_be_told() {
    let scratch = Scratch::new("cli");
    let dir = show(&scratch);
    std::fs::remove_file(dir.join("show/film.srt")).unwrap();
    let selected = ["verify", "--select", "1,3", "show.torrent"];
    let (told, _) = said(&run(dir, &selected), 32);
    let cannot = "./show/film.mkv: cannot be checked: data is missing for 1 of 7 pieces\n\
                  ./show/more.mkv: cannot be checked: data is missing for 1 of 4 pieces\n\
                  0 of 2 files and 9 of 10 pieces are correct, 1 cannot be checked, checked in ";
    assert!(told.starts_with(cannot), "{told}");
    assert!(!told.contains("damaged"), "{told}");
}

#[test]
fn an_empty_file_that_is_missing_is_made() {
    let scratch = Scratch::new("cli");
    let dir = scratch.path();
    scratch.file("got/pkg/module.py", vec![7; 100_000]);
    scratch.file("got/pkg/__init__.py", "");
    scratch.file("got/pkg/sub/__init__.py", "");
    ok(dir, &["create", "-q", "got/pkg"]);
    std::fs::remove_file(dir.join("got/pkg/__init__.py")).unwrap();
    std::fs::remove_dir_all(dir.join("got/pkg/sub")).unwrap();
    said(&run(dir, &["verify", "-d", "got", "pkg.torrent"]), 32);
    said(&get(dir, &["-q", "--select", "sub/*", "pkg.torrent"]).output().unwrap(), 0);
    assert!(!dir.join("got/pkg/__init__.py").exists(), "it was not asked for");
    assert_eq!(std::fs::read(dir.join("got/pkg/sub/__init__.py")).unwrap(), b"");
    said(&get(dir, &["-q", "pkg.torrent"]).output().unwrap(), 0);
    said(&run(dir, &["verify", "-d", "got", "pkg.torrent"]), 0);
}

/// All pieces are correct, and the file is not: with --overwrite it is cut.
#[test]
fn a_file_that_is_too_long_is_not_complete() {
    let scratch = Scratch::new("cli");
    let dir = scratch.path();
    scratch.file("got/data", vec![7; 100_000]);
    ok(dir, &["create", "-q", "got/data"]);
    scratch.file("got/data", vec![7; 100_001]);
    said(&get(dir, &["-q", "data.torrent"]).output().unwrap(), 13);
    said(&get(dir, &["-q", "--overwrite", "data.torrent"]).output().unwrap(), 0);
    said(&run(dir, &["verify", "-d", "got", "data.torrent"]), 0);
}

#[test]
fn what_is_left_is_named_and_removed_when_asked_for() {
    let scratch = Scratch::new("cli");
    let dir = show(&scratch);
    let (_seed, peer) = seed(dir, &["show.torrent"]);
    let (_, stderr) =
        said(&get(dir, &["--peer", &peer, "--select", "1", "show.torrent"]).output().unwrap(), 0);
    let left = [format!("got/.{}.parts", hash(dir)), format!("got/.{}.bitwren", hash(dir))];
    let line =
        format!("show: kept for unselected files: {}; bitwren verify --clean removes it\n", left.join(", "));
    assert!(stderr.ends_with(&line), "{stderr}");
    let (json, _) = said(&get(dir, &["--json", "--select", "1", "show.torrent"]).output().unwrap(), 0);
    assert!(json.ends_with(&format!("\"left\":[\"{}\"]}}\n", left.join("\",\""))), "{json}");
    // Not where something is missing.
    let clean = ["verify", "-d", "got", "--clean", "show.torrent"];
    let (_, stderr) = said(&run(dir, &clean), 32);
    assert!(stderr.starts_with("nothing is removed because not all data is correct; "), "{stderr}");
    assert_eq!(names(&dir.join("got"), &hash(dir)).len(), 3);
    let (told, _) = said(&run(dir, &[clean.as_slice(), &["--select", "1"]].concat()), 0);
    let removed =
        format!("removed {}\nremoved {}\n1 of 1 file and 7 of 7 pieces are correct, ", left[0], left[1]);
    assert!(told.contains(&removed), "{told}");
    assert_eq!(names(&dir.join("got"), &hash(dir)), set(["show"]));
    // A whole download leaves nothing to name.
    let (_, stderr) = said(&get(dir, &["--peer", &peer, "show.torrent"]).output().unwrap(), 0);
    assert!(!stderr.contains("left"), "{stderr}");
}

#[test]
fn a_state_that_knows_of_data_that_is_not_there_is_told_of() {
    let scratch = Scratch::new("cli");
    let dir = show(&scratch);
    let (_seed, peer) = seed(dir, &["show.torrent"]);
    said(&get(dir, &["-q", "--peer", &peer, "--select", "1", "show.torrent"]).output().unwrap(), 0);
    std::fs::remove_file(dir.join("got/show/film.mkv")).unwrap();
    let again = || get(dir, &["--peer", &peer, "--select", "1", "show.torrent"]).output().unwrap();
    let gone = "show/film.mkv, to be fetched again\n";
    let (_, stderr) = said(&again(), 0);
    assert!(stderr.contains(&format!("what was complete is gone: 7 pieces of got/{gone}")), "{stderr}");
    assert!(stderr.contains("show: complete, 97.7 KiB in "), "{stderr}");
    // One that is there and changed.
    let mut bytes = std::fs::read(dir.join("got/show/film.mkv")).unwrap();
    bytes[50_000] ^= 1;
    scratch.file("got/show/film.mkv", bytes);
    let (_, stderr) = said(&again(), 0);
    assert!(stderr.contains(&format!("what was complete is gone: 1 piece of got/{gone}")), "{stderr}");
    let (_, stderr) = said(&again(), 0);
    assert!(!stderr.contains("gone"), "{stderr}");
    // Of files that nobody asks for now it is no matter.
    std::fs::remove_file(dir.join("got/show/film.mkv")).unwrap();
    let (_, stderr) =
        said(&get(dir, &["--peer", &peer, "--select", "3", "show.torrent"]).output().unwrap(), 0);
    assert!(stderr.contains("show: complete, ") && !stderr.contains("gone: 7"), "{stderr}");
}
