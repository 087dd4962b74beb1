//! `.torrent` files that are truncated, random or hostile, through the real binary: one clear line, the
//! right exit code, no panic, bounded memory, and nothing written outside the directory.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::support::bencode::{Value, bytes, dict, int, list};
use crate::support::child::{Ended, bitwren, run};
use crate::support::content::{Dice, Recipe, noise, sha1};
use crate::support::hostile::row;
use crate::support::latch::Latch;
use crate::support::peer::Peer;
use crate::support::scratch::{Scratch, files_below};

/// Malformed bencoding.
const BENCODE: i32 = 25;
/// Well-formed, but no usable torrent.
const TORRENT: i32 = 26;

/// The most memory that reading a small torrent may take, in an unoptimised build.
const MEMORY: u64 = 48 << 20;

/// What `get` makes of these bytes. There are no peers; a torrent that is taken ends by
/// the clock.
#[track_caller]
fn get(torrent: &[u8]) -> Ended {
    let scratch = Scratch::new("torrent");
    let file = scratch.file("hostile.torrent", torrent);
    let ended = run(into(&scratch, &scratch.dir("got"), "1").arg(file));
    assert!(ended.peak < MEMORY, "{} KiB resident", ended.peak / 1024);
    assert_only_inside(&scratch);
    ended
}

/// A download into this directory that waits for nobody for longer than so many seconds.
fn into(scratch: &Scratch, dir: &Path, seconds: &str) -> Command {
    let options = ["get", "--no-dht", "--no-lsd", "--no-portmap", "--no-tracker", "--port", "0"];
    let mut command = bitwren(&scratch.dir("home"), &options);
    command.args(["--max-time", seconds, "-d"]).arg(dir);
    command
}

/// Nothing but what the test put there, or what lies below the chosen directory (and the home).
#[track_caller]
fn assert_only_inside(scratch: &Scratch) {
    let inside = |path: &PathBuf| path.starts_with("got") || path.starts_with("home");
    let strays: Vec<PathBuf> = files_below(scratch.path())
        .into_iter()
        .filter(|path| !inside(path) && path.as_path() != Path::new("hostile.torrent"))
        .collect();
    assert!(strays.is_empty(), "written outside: {strays:?}");
}

/// Refused with this code and one line that names the file.
#[track_caller]
fn refused(torrent: &[u8], codes: &[i32]) {
    let ended = get(torrent).expect_one_of(codes);
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(lines.len(), 1, "one line: {ended:#?}");
    assert!(lines[0].contains("hostile.torrent"), "which file? {ended:#?}");
    assert!(lines[0].len() < 1000 && !lines[0].chars().any(char::is_control), "{ended:#?}");
    row(&format!("refused with {}", ended.code.unwrap()), ended.took, &ended);
}

fn good() -> Vec<u8> {
    Recipe::single("good.bin", 300_000).make().metainfo
}

#[test]
fn truncated_anywhere() {
    let whole = good();
    let mut dice = Dice::new(3);
    let cuts = [0, 1, whole.len() - 1, whole.len() / 2]
        .into_iter()
        .chain((0..4).map(|_| dice.below(whole.len() as u64) as usize));
    for cut in cuts {
        refused(&whole[..cut], &[BENCODE]);
    }
}

#[test]
fn random_bytes() {
    for length in [1, 20, 1000, 100_000] {
        refused(&noise(length, length as usize), &[BENCODE]);
    }
}

#[test]
fn bits_flipped_never_panic() {
    let whole = good();
    let mut dice = Dice::new(17);
    let mut files = Vec::new();
    let scratch = Scratch::new("flipped");
    for number in 0..200 {
        let mut broken = whole.clone();
        for _ in 0..1 + dice.below(3) {
            let at = dice.below(broken.len() as u64) as usize;
            broken[at] ^= 1 << dice.below(8);
        }
        files.push(scratch.file(&format!("{number}.torrent"), &broken));
    }
    // All in one process: whatever each is, it is told and the next is looked at.
    let ended =
        run(bitwren(scratch.path(), &["show", "--json"]).args(files)).expect_one_of(&[0, BENCODE, TORRENT]);
    assert!(ended.peak < MEMORY, "{} KiB resident", ended.peak / 1024);
}

#[test]
fn nested_without_end() {
    for opening in [&b"l"[..], b"d1:a", b"ld1:al"] {
        refused(&opening.repeat(300_000), &[BENCODE]);
    }
    let closed = [&b"l".repeat(100_000)[..], &b"e".repeat(100_000)].concat();
    refused(&closed, &[BENCODE, TORRENT]);
}

#[test]
fn numbers_and_lengths_out_of_all_bounds() {
    for text in [
        "i99999999999999999999999999e",
        "i-0e",
        "i03e",
        "ie",
        "i1",
        "99999999999999999999:a",
        "9223372036854775807:a",
        "-1:a",
        "01:a",
        "5:abc",
    ] {
        refused(text.as_bytes(), &[BENCODE]);
        refused(format!("d4:infod6:length{text}ee").as_bytes(), &[BENCODE]);
    }
}

#[test]
fn well_formed_but_no_torrent() {
    for text in ["de", "le", "i1e", "4:spam", "d4:infoi1ee", "d4:infodee", "d4:infolee"] {
        refused(text.as_bytes(), &[TORRENT]);
    }
}

/// A torrent with this `info`; fields given as nothing are left out.
fn with_info(changes: &[(&str, Option<Value>)]) -> Vec<u8> {
    let mut fields = vec![
        ("length", int(40_000)),
        ("name", bytes("name")),
        ("piece length", int(16_384)),
        ("pieces", bytes([7; 60])),
    ];
    for (key, value) in changes {
        fields.retain(|(other, _)| other != key);
        fields.extend(value.clone().map(|value| (*key, value)));
    }
    fields.sort_by_key(|(key, _)| *key);
    dict([("info", dict(fields))]).encode()
}

#[test]
fn the_torrent_these_tests_bend_is_otherwise_good() {
    get(&with_info(&[])).expect(2);
}

#[test]
fn sizes_that_cannot_be() {
    for (key, value) in [
        ("piece length", Some(Value::Int(0))),
        ("piece length", Some(Value::Int(-16_384))),
        ("piece length", Some(Value::Int(i64::MAX))),
        ("piece length", None),
        ("length", Some(Value::Int(-1))),
        ("length", Some(Value::Int(i64::MAX))),
        ("length", Some(Value::Int(16_384))),
        ("length", Some(Value::Int(80_000))),
        ("length", Some(bytes("40000"))),
        ("length", None),
        ("pieces", Some(bytes([7; 59]))),
        ("pieces", Some(bytes([7; 40]))),
        ("pieces", Some(bytes([7; 80]))),
        ("pieces", Some(Value::Int(3))),
        ("pieces", None),
    ] {
        refused(&with_info(&[(key, value)]), &[TORRENT]);
    }
    let huge = dict([("length", Value::Int(i64::MAX)), ("path", list([bytes("a")]))]);
    refused(&with_info(&[("length", None), ("files", Some(list([huge.clone(), huge])))]), &[TORRENT]);
}

/// A name made harmless or refused, but never a file anywhere else: the torrent is served, so that
/// whatever would be written is written.
#[test]
fn names_that_lead_out_of_the_directory() {
    let data = noise(1, 20_000);
    let hashes: Vec<u8> = data.chunks(16_384).flat_map(sha1).collect();
    let common = [("piece length", Some(int(16_384))), ("pieces", Some(bytes(&hashes)))];
    let paths: [&[&str]; 14] = [
        &["..", "..", "stray"],
        &["..\\..\\stray"],
        &["/tmp/bitwren-stray"],
        &["", "stray"],
        &["../../stray"],
        &["a", "..", "..", "stray"],
        &[".", ".", ".."],
        &["stray\0.txt"],
        &["C:\\stray"],
        &["\u{202e}txt.stray", "a\nb", "\x1b[2J"],
        &["CON"],
        &["~", "stray"],
        &[],
        &[".."],
    ];
    let mut torrents: Vec<Vec<u8>> = paths
        .iter()
        .map(|path| {
            let file = dict([("length", int(20_000)), ("path", list(path.iter().map(bytes)))]);
            let mut changes = common.to_vec();
            changes.extend([("length", None), ("files", Some(list([file])))]);
            with_info(&changes)
        })
        .collect();
    for name in
        ["../stray", "..", ".", "", "/tmp/bitwren-stray", "a/b", "stray\0", "..\\stray", &"n".repeat(5000)]
    {
        let mut changes = common.to_vec();
        changes.extend([("name", Some(bytes(name))), ("length", Some(int(20_000)))]);
        torrents.push(with_info(&changes));
        // The same as the directory of two files.
        let file = |path: &str, length| dict([("length", int(length)), ("path", list([bytes(path)]))]);
        changes.extend([("length", None), ("files", Some(list([file("x", 10_000), file("y", 10_000)])))]);
        torrents.push(with_info(&changes));
    }
    let served = std::thread::scope(|scope| {
        let runs: Vec<_> =
            torrents.iter().map(|torrent| scope.spawn(|| serve_to_get(torrent, &data))).collect();
        runs.into_iter().filter_map(|run| run.join().unwrap()).count()
    });
    assert!(served > 0, "not one of them was made harmless");
}

/// Downloads a torrent of which all bytes are known; what was written where it was taken.
fn serve_to_get(metainfo: &[u8], data: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut torrent = Recipe::single("stand-in", data.len()).piece_length(16_384).make();
    torrent.data = data.to_vec();
    let info = &metainfo[b"d4:info".len()..metainfo.len() - 1];
    torrent.info_hash = sha1(info);
    let torrent = Arc::new(torrent);
    let called = Latch::new();
    let opener = called.clone();
    let seeder = Peer::start(&torrent, move |talk| {
        opener.open();
        talk.answer([0; 8])?;
        talk.open_up()?;
        talk.serve()
    });
    let scratch = Scratch::new("stray");
    let file = scratch.file("hostile.torrent", metainfo);
    // Deep enough that what climbs a few steps is still in the scratch directory.
    let dir = scratch.dir("got/deep/er");
    let mut command = into(&scratch, &dir, "20");
    command.args(["--peer", &seeder.address.to_string()]).arg(file);
    let ended = run(&mut command).expect_one_of(&[0, TORRENT]);
    let strays: Vec<PathBuf> = files_below(scratch.path())
        .into_iter()
        .filter(|path| {
            !path.starts_with("got/deep/er")
                && !path.starts_with("home")
                && path.as_path() != Path::new("hostile.torrent")
        })
        .collect();
    assert!(strays.is_empty(), "written outside: {strays:?}");
    assert!(!Path::new("/tmp/bitwren-stray").exists());
    assert_eq!(ended.code == Some(0), called.is_open(), "{ended:#?}");
    let written = files_below(&dir).into_iter().map(|path| std::fs::read(dir.join(path)).unwrap());
    (ended.code == Some(0)).then(|| written.collect())
}

#[test]
fn files_that_would_overwrite_one_another_do_not() {
    let file =
        |path: &[&str], length: u64| dict([("length", int(length)), ("path", list(path.iter().map(bytes)))]);
    let data = noise(2, 20_000);
    let hashes: Vec<u8> = data.chunks(16_384).flat_map(sha1).collect();
    for files in [
        [file(&["a"], 10_000), file(&["a"], 10_000)],
        [file(&["a"], 10_000), file(&["a", "b"], 10_000)],
        [file(&["a", "b"], 10_000), file(&["a"], 10_000)],
        [file(&["A"], 10_000), file(&["a"], 10_000)],
        [file(&["a"], 10_000), file(&["", "a"], 10_000)],
        [file(&["a"], 10_000), file(&[".", "a"], 10_000)],
    ] {
        let torrent =
            with_info(&[("length", None), ("files", Some(list(files))), ("pieces", Some(bytes(&hashes)))]);
        // Refused; or both are there, whole, under names of their own.
        if let Some(written) = serve_to_get(&torrent, &data) {
            for half in data.chunks(10_000) {
                assert!(written.iter().any(|file| file == half), "a file overwrote another");
            }
        }
    }
}

#[test]
fn what_is_not_there_or_no_file() {
    let scratch = Scratch::new("absent");
    for (path, codes) in
        [(scratch.path().join("absent.torrent"), &[3][..]), (scratch.dir("directory"), &[15, 17, 25, 26])]
    {
        let ended = run(bitwren(scratch.path(), &["get", "-d"]).arg(scratch.dir("got")).arg(path))
            .expect_one_of(codes);
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
    }
}
