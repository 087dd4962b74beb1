//! `create` against other programs: the same choices make the same info-hash.
//!
//! How the fixtures were made is told in `testdata/torrents/made/create.txt`.
#![cfg(feature = "cli")]

mod support;

use std::path::Path;

use bitwren::Metainfo;
use support::child::{Ended, bitwren, run};
use support::scratch::Scratch;

fn data(length: usize, start: usize) -> Vec<u8> {
    (0..length).map(|i| ((i * 31 + start) % 251) as u8).collect()
}

/// `one.bin` and `tree`, as the fixtures were made of.
fn world(name: &str) -> Scratch {
    let scratch = Scratch::new(name);
    scratch.dir("tree/a");
    scratch.dir("tree/.dir");
    let files = [
        ("one.bin", 100_000),
        ("tree/a/b.txt", 40_000),
        ("tree/a/c", 17),
        ("tree/a-b", 5_000),
        ("tree/a.txt", 1),
        ("tree/ab", 33_333),
        ("tree/zero", 0),
        ("tree/.hidden", 10),
        ("tree/.dir/f", 20),
        ("tree/b", 70_000),
    ];
    for (start, (path, length)) in (1..).zip(files) {
        scratch.file(path, &data(length, start));
    }
    scratch
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/torrents/made").join(name)).unwrap()
}

#[track_caller]
fn create(scratch: &Scratch, args: &[&str]) -> (Vec<u8>, Ended) {
    let mut all = vec!["create", "-o", "out.torrent", "--overwrite"];
    all.extend_from_slice(args);
    let ended = run(bitwren(scratch.path(), &all).current_dir(scratch.path())).expect(0);
    (std::fs::read(scratch.path().join("out.torrent")).unwrap(), ended)
}

/// Without the one key that names the program.
fn anonymous(bytes: &[u8], by: &str) -> String {
    let text: String = bytes.iter().map(|&byte| byte as char).collect();
    let key = format!("10:created by{}:{by}", by.len());
    assert!(text.contains(&key), "{key}");
    text.replace(&key, "")
}

#[test]
fn a_file_of_mktorrents_is_the_same_but_for_who_made_it() {
    let scratch = world("create-mk");
    let ours = format!("bitwren/{}", env!("CARGO_PKG_VERSION"));
    let single =
        ["one.bin", "--no-date", "-l", "32K", "-t", "http://t.example/announce", "--comment", "a comment"];
    let private = [
        "one.bin",
        "--no-date",
        "-l",
        "32K",
        "--private",
        "--source",
        "SRC",
        "--name",
        "other",
        "-t",
        "http://a.example/announce,http://b.example/announce",
        "-t",
        "udp://c.example:1/announce",
        "-w",
        "http://w.example/",
        "-w",
        "http://v.example/one.bin",
    ];
    let tree = ["tree", "--no-date", "-l", "32K", "--hidden", "-t", "http://t.example/announce"];
    for (name, args) in [("mk-single", &single[..]), ("mk-private", &private), ("mk-tree", &tree)] {
        let (made, _) = create(&scratch, args);
        let theirs = fixture(&format!("{name}.torrent"));
        assert!(anonymous(&made, &ours) == anonymous(&theirs, "mktorrent 1.1"), "{name}");
        let again = create(&scratch, args).0;
        assert!(made == again, "{name}");
    }
}

#[test]
fn the_info_hash_is_transmissions() {
    let scratch = world("create-tr");
    let hash = |bytes: &[u8]| Metainfo::from_bytes(bytes).unwrap().info_hash();
    let (one, _) = create(&scratch, &["one.bin", "-l", "32K", "--private"]);
    assert_eq!(hash(&one), hash(&fixture("tr-one.torrent")));
    let (tree, ended) = create(&scratch, &["tree", "-l", "32K", "--private", "--ignore", "zero"]);
    assert_eq!(hash(&tree), hash(&fixture("tr-tree.torrent")));
    assert!(ended.stderr.contains("2 hidden names left out"), "{}", ended.stderr);
}

#[test]
fn globs_leave_out_files_and_whole_directories() {
    let scratch = world("create-ignore");
    let files = |ignore: &[&str]| {
        let mut args = vec!["tree", "-q"];
        ignore.iter().for_each(|glob| args.extend(["--ignore", glob]));
        let metainfo = Metainfo::from_bytes(&create(&scratch, &args).0).unwrap();
        let paths = metainfo.files().iter().map(|file| file.path.to_string_lossy().into_owned());
        paths.map(|path| path.trim_start_matches("tree/").to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(files(&[]), "a-b a.txt a/b.txt a/c ab b zero");
    assert_eq!(files(&["*.txt"]), "a-b a/c ab b zero");
    assert_eq!(files(&["a"]), "a-b a.txt ab b zero");
    assert_eq!(files(&["a/"]), "a-b a.txt ab b zero");
    assert_eq!(files(&["a/*", "z*"]), "a-b a.txt ab b");
    assert_eq!(files(&["tree/a/c", "[ab]"]), "a-b a.txt ab zero");
    assert_eq!(files(&["**/b.*"]), "a-b a.txt a/c ab b zero");
}
