//! `create` against other programs: the same choices make the same info-hash.
//!
//! How the fixtures were made is told in `testdata/torrents/made/create.txt`.

use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::child::{Ended, bitwren, run};
use crate::support::scratch::Scratch;
use bitwren::Metainfo;

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
        scratch.file(path, data(length, start));
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
fn a_file_of_mktorrents_is_the_same_but_for_its_author() {
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
        let paths = metainfo.files().iter().map(|file| file.path().to_string_lossy().into_owned());
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

/// The paths of the files in a torrent of `dir`, below it.
fn paths(made: &[u8]) -> Vec<String> {
    let metainfo = Metainfo::from_bytes(made).unwrap();
    let below = |path: &Path| path.components().skip(1).collect::<std::path::PathBuf>();
    metainfo.files().iter().map(|file| below(&file.path()).to_string_lossy().into_owned()).collect()
}

#[test]
fn state_files_and_what_systems_leave_are_left_out_unless_they_are_asked_for() {
    let scratch = Scratch::new("create-leftovers");
    scratch.dir("d/.parts");
    let leftovers =
        ["d/a.bitwren", "d/.01.bitwren", "d/.01.parts", "d/Thumbs.db", "d/desktop.ini", "d/.DS_Store"];
    leftovers.iter().for_each(|name| _ = scratch.file(name, b"x"));
    scratch.file("d/data", b"data");
    scratch.file("d/.hidden", b"x");
    scratch.file("d/.parts/in a directory", b"x");
    let (made, ended) = create(&scratch, &["d"]);
    assert_eq!(paths(&made), ["data"]);
    assert!(ended.stderr.contains("6 state or system files left out; --all includes them"), "{ended:?}");
    assert!(ended.stderr.contains("2 hidden names left out; --hidden includes them"), "{ended:?}");
    assert!(!ended.stderr.contains("Thumbs.db"), "{ended:?}");
    let (made, ended) = create(&scratch, &["d", "--hidden", "-v"]);
    assert_eq!(paths(&made), [".hidden", ".parts/in a directory", "data"]);
    for name in leftovers {
        assert!(ended.stderr.contains(&format!("{name} is a state or system file: left out")), "{ended:?}");
    }
    assert_eq!(paths(&create(&scratch, &["d", "--all"]).0).len(), 9);
    assert_eq!(paths(&create(&scratch, &["d", "--all", "--ignore", "*.bitwren"]).0).len(), 7);
}

#[test]
fn links_are_left_out_and_told_unless_they_are_followed() {
    let scratch = Scratch::new("create-links");
    for dir in ["d/a", "d/b", "elsewhere/deep"] {
        scratch.dir(dir);
    }
    for (file, text) in [("d/a/f", "f"), ("d/b/g", "g"), ("elsewhere/deep/h", "h"), ("one", "one")] {
        scratch.file(file, text.as_bytes());
    }
    for (target, link) in [
        ("../b", "d/a/to b"),
        ("../a", "d/b/to a"),
        ("..", "d/a/up"),
        ("../elsewhere", "d/out"),
        ("../one", "d/one"),
        ("../one", "d/one again"),
        ("nowhere", "d/dangling"),
        ("circle", "d/circle"),
    ] {
        symlink(target, scratch.path().join(link)).unwrap();
    }
    let (made, ended) = create(&scratch, &["d"]);
    assert_eq!(paths(&made), ["a/f", "b/g"]);
    for link in ["d/a/to b", "d/out", "d/one", "d/dangling"] {
        assert!(ended.stderr.contains(&format!("{link} is a symbolic link: left out")), "{ended:?}");
    }
    assert!(ended.stderr.contains("--follow-symlinks"), "{ended:?}");
    let (made, ended) = create(&scratch, &["d", "--follow-symlinks"]);
    let wanted = ["a/f", "a/to b/g", "b/g", "b/to a/f", "one", "one again", "out/deep/h"];
    assert_eq!(paths(&made), wanted);
    for (link, why) in [
        ("d/a/up", "is a symbolic link to a directory that contains it"),
        ("d/a/to b/to a", "is a symbolic link to a directory that contains it"),
        ("d/dangling", "is a broken symbolic link"),
        ("d/circle", "is a broken symbolic link"),
    ] {
        assert!(ended.stderr.contains(&format!("{link} {why}: left out")), "{ended:?}");
    }
    // What was hashed is what the links lead to: a copy of that is right.
    for path in wanted {
        let copy = scratch.path().join("copy/d").join(path);
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::copy(scratch.path().join("d").join(path), copy).unwrap();
    }
    run(bitwren(scratch.path(), &["verify", "-d", "copy", "out.torrent"]).current_dir(scratch.path()))
        .expect(0);
}

#[test]
fn links_without_end_are_bounded() {
    let scratch = Scratch::new("create-endless");
    // Each of so many directories holds a link to each other one: as many ways as there are orders of them.
    for from in 0..12 {
        scratch.dir(&format!("d/{from}"));
        scratch.file(&format!("d/{from}/f"), b"f");
        for to in (0..12).filter(|to| *to != from) {
            symlink(format!("../{to}"), scratch.path().join(format!("d/{from}/to {to}"))).unwrap();
        }
    }
    let args = ["create", "d", "--follow-symlinks", "-o", "x.torrent"];
    let said = run(bitwren(scratch.path(), &args).current_dir(scratch.path())).expect(28).stderr;
    assert!(said.contains("is reached in too many ways through symbolic links"), "{said}");
}

#[test]
fn files_are_sorted_by_the_whole_path_or_by_component() {
    let scratch = world("create-sort");
    let by_path = ["a-b", "a.txt", "a/b.txt", "a/c", "ab", "b", "zero"];
    assert_eq!(paths(&create(&scratch, &["tree"]).0), by_path);
    assert_eq!(paths(&create(&scratch, &["tree", "--sort", "path"]).0), by_path);
    let by_component = ["a/b.txt", "a/c", "a-b", "a.txt", "ab", "b", "zero"];
    assert_eq!(paths(&create(&scratch, &["tree", "--sort=component"]).0), by_component);
    let bad = run(bitwren(scratch.path(), &["create", "tree", "--sort", "size"]).current_dir(scratch.path()));
    assert!(bad.expect(28).stderr.contains("write path or component"));
}

#[test]
fn the_torrent_itself_is_left_out_and_that_is_told() {
    let scratch = world("create-own");
    let args = ["create", "tree", "-o", "tree/own.torrent", "--overwrite"];
    let run = || run(bitwren(scratch.path(), &args).current_dir(scratch.path())).expect(0);
    assert!(!run().stderr.contains("own.torrent is what"));
    let first = std::fs::read(scratch.path().join("tree/own.torrent")).unwrap();
    assert!(run().stderr.contains("tree/own.torrent is the output file: left out"));
    let hash = |bytes: &[u8]| Metainfo::from_bytes(bytes).unwrap().info_hash();
    assert_eq!(hash(&std::fs::read(scratch.path().join("tree/own.torrent")).unwrap()), hash(&first));
}
