//! Torrents made up to be odd or hostile.

use std::path::{Component, Path, PathBuf};

use super::path::component;
use super::*;
use crate::ErrorKind;
use crate::bencode::{Dict, Encoder};
use crate::random::Random;

mod addresses;
mod links;
mod names;

/// A torrent whose dictionaries are what `outer` and `info` write.
fn torrent(outer: impl FnOnce(&mut Dict<'_>), info: impl FnOnce(&mut Dict<'_>)) -> Vec<u8> {
    let mut encoder = Encoder::new();
    encoder.dict(|dict| {
        outer(dict);
        dict.dict("info", info);
    });
    encoder.finish()
}

/// A torrent called `d` of `count` files, whose dictionaries are what `write` writes beside a length of 1;
/// the first entry of a key counts.
fn with_files(count: usize, write: impl Fn(usize, &mut Dict<'_>)) -> Vec<u8> {
    torrent(
        |_| {},
        |info| {
            info.bytes("name", "d");
            info.int("piece length", 1 << 20);
            info.bytes("pieces", [7; 20]);
            info.list("files", |list| {
                for n in 0..count {
                    list.dict(|entry| {
                        write(n, entry);
                        entry.int("length", 1);
                    });
                }
            });
        },
    )
}

/// The same of files that have nothing but a path, written here with slashes.
fn with_paths(paths: &[&[u8]]) -> Vec<u8> {
    with_files(paths.len(), |n, entry| {
        let parts = || paths[n].split(|&byte| byte == b'/');
        entry.list("path", |list| parts().for_each(|part| list.bytes(part)));
    })
}

/// Where the files of a torrent go, below its directory `d`.
fn places(bytes: &[u8]) -> Vec<String> {
    let metainfo = Metainfo::from_bytes(bytes).unwrap();
    check(&metainfo);
    let files = metainfo.files().iter();
    files.map(|file| file.path().strip_prefix("d").unwrap().to_str().unwrap().to_owned()).collect()
}

/// What holds for every torrent that is accepted.
fn check(metainfo: &Metainfo) {
    let plain = |path: &Path| {
        path.components().all(|part| match part {
            Component::Normal(name) => {
                let name = name.to_str().unwrap();
                name.len() <= 255 && !name.contains(char::is_control)
            }
            _ => false,
        })
    };
    assert!(plain(Path::new(metainfo.name())) && !metainfo.name().contains('/'));
    let (mut offset, mut stored) = (0, std::collections::HashSet::new());
    for file in metainfo.files() {
        assert!(plain(&file.path()), "{file:?}");
        let inside = |own: &Path| own.components().all(|part| matches!(part, Component::Normal(_)));
        assert!(file.own().iter().all(|own| inside(own) && own.as_os_str().len() <= MAX_PATH_BYTES));
        assert!(file.path().starts_with(metainfo.name()));
        assert_eq!(file.path().components().count() > 1, metainfo.is_multi_file());
        assert_eq!(file.offset, offset);
        offset += file.length;
        if file.is_stored() {
            assert!(stored.insert(file.path()), "{file:?} is there twice");
            assert!(file.own().into_iter().all(|own| stored.insert(own)), "{file:?} is there twice");
        }
    }
    for file in metainfo.files().iter().filter(|file| file.is_stored()) {
        for directory in file.path().ancestors().skip(1) {
            assert!(!stored.contains(directory), "{file:?} is inside a file");
        }
    }
    assert_eq!(offset, metainfo.pieces().total());
    assert_eq!(metainfo.hashes.len(), metainfo.pieces().count() as usize * 20);
    assert!(metainfo.hashes.end <= metainfo.info_bytes().len());
    assert!(metainfo.tiers().iter().all(|tier| !tier.is_empty()));
    let lines = metainfo.warnings();
    assert!(lines.len() <= MAX_WARNINGS + 1 && !lines.iter().any(|line| line.contains(char::is_control)));
}

fn refusal(bytes: &[u8]) -> String {
    Metainfo::from_bytes(bytes).unwrap_err().to_string()
}

#[test]
fn what_is_tolerated_is_told() {
    let info = "d6:lengthi1e4:name1:n12:piece lengthi4e6:pieces20:aaaaaaaaaaaaaaaaaaaae";
    let other = info.replace("1:n", "1:m");
    for (bytes, told) in [
        (format!("d4:info{info}e\n"), "1 bytes after the end of the torrent are ignored"),
        (format!("d4:info{info}7:comment1:ce"), "dictionary keys are not sorted, the first at byte 78"),
        (format!("d4:info{info}4:info{other}e"), "\"info\" comes twice; the first counts"),
        (
            format!(
                "d4:info{}e",
                info.replace("20:aaaaaaaaaaaaaaaaaaaa", "20:aaaaaaaaaaaaaaaaaaaa7:privatei2e")
            ),
            "the private flag is neither 0 nor 1; it is taken for 1",
        ),
        (
            format!("d4:info{}e", info.replace("1:n", "4:../x")),
            "the name \"../x\" is not safe as it is; it is stored as \".._x\"",
        ),
    ] {
        let metainfo = Metainfo::from_bytes(bytes.as_bytes()).unwrap();
        check(&metainfo);
        assert!(metainfo.warnings().iter().any(|line| line == told), "{told}: {:?}", metainfo.warnings());
        assert_eq!(*metainfo.info_hash().as_bytes(), crate::digest::sha1(metainfo.info_bytes()));
        assert!(metainfo.is_private() == bytes.contains("private"));
    }
    let nameless = format!("d4:info{}e", info.replace("1:n", "0:"));
    let metainfo = Metainfo::from_bytes(nameless.as_bytes()).unwrap();
    assert_eq!(metainfo.name(), metainfo.info_hash().to_string());
    assert!(Metainfo::from_bytes(format!("d4:info{info}e").as_bytes()).unwrap().warnings().is_empty());
}

#[test]
fn what_cannot_be_used_is_refused_with_the_reason() {
    let twenty = "20:aaaaaaaaaaaaaaaaaaaa";
    let info = format!("d6:lengthi1e4:name1:n12:piece lengthi4e6:pieces{twenty}e");
    let with = |from: &str, to: &str| {
        assert!(info.contains(from));
        format!("d4:info{}e", info.replace(from, to))
    };
    let files = |files: &str| with("6:lengthi1e", &format!("5:filesl{files}e"));
    for (bytes, told) in [
        ("le".to_owned(), "it is not a dictionary"),
        ("de".to_owned(), "it has no info dictionary"),
        ("d4:infoi1ee".to_owned(), "its info is not a dictionary"),
        (with("4:name1:n", ""), "it has no name"),
        (with("4:name1:n", "4:namei1e"), "it has no name"),
        (with("i4e", "i0e"), "the piece length is 0"),
        (with("i4e", "i-4e"), "no piece length"),
        (with("i4e", "i2147483649e"), "the piece length is 2147483649"),
        (with("6:lengthi1e", "6:lengthi-1e"), "its length is not a number of bytes"),
        (with("6:lengthi1e", "6:lengthi5e"), "20 bytes of piece hashes where 2 pieces need 40"),
        (with("6:lengthi1e", "6:lengthi9223372036854775807e"), "too many pieces"),
        (with("6:lengthi1e", "6:lengthi0e"), "it holds no data"),
        (with("6:lengthi1e", ""), "neither a length nor a list of files"),
        (with(twenty, "i1e"), "it has no piece hashes"),
        (with(twenty, &format!("{twenty}6:pieces{twenty}")), "the info dictionary has \"pieces\" twice"),
        (with("4:name1:n", "4:name1:n4:name1:m"), "the info dictionary has \"name\" twice"),
        (files(""), "it has 0 files"),
        (files("i1e"), "file 1 is not a dictionary"),
        (files("de"), "file 1 has no length"),
        (files("d6:lengthi1ee"), "file 1 has no path"),
        (files("d6:lengthi1e4:pathlee"), "file 1 has no path"),
        (files("d6:lengthi1e4:pathli1eee"), "file 1 has no path"),
        (
            files(&"d6:lengthi9223372036854775807e4:pathl1:aee".repeat(3)),
            "its files are longer than 2^63 bytes together",
        ),
    ] {
        let error = Metainfo::from_bytes(bytes.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Torrent, "{bytes}");
        assert!(error.to_string().contains(told), "{told}: {error}");
    }
    let v2 = with(&format!("6:pieces{twenty}"), "12:meta versioni2e");
    assert_eq!(Metainfo::from_bytes(v2.as_bytes()).unwrap_err().kind(), ErrorKind::V2Only);
    let bytes = format!("d4:info{info}e");
    for end in 0..bytes.len() {
        assert_eq!(Metainfo::from_bytes(&bytes.as_bytes()[..end]).unwrap_err().kind(), ErrorKind::Bencode);
    }
}

/// The largest that must work, made small in bytes: 4 million pieces, and 20,000 files of which
/// many have one name.
#[test]
fn many_pieces_and_many_files_are_read() {
    let bytes = torrent(
        |_| {},
        |info| {
            info.bytes("name", "big");
            info.int("piece length", 256 << 20);
            info.bytes("pieces", vec![9; 20 * 4_000_000]);
            info.list("files", |files| {
                for n in 0..20_000 {
                    files.dict(|file| {
                        file.int("length", if n == 0 { (256 << 20) * 3_999_999 + 1 } else { 0 });
                        file.list("path", |path| {
                            path.bytes(format!("directory {}", n % 100));
                            path.bytes(if n % 2 == 0 { "same.bin".to_owned() } else { format!("{n}.bin") });
                        });
                    });
                }
            });
        },
    );
    let metainfo = Metainfo::from_vec(bytes).unwrap();
    assert_eq!((metainfo.pieces().count(), metainfo.files().len()), (4_000_000, 20_000));
    assert_eq!(metainfo.piece_hash(3_999_999), &[9; 20]);
    assert_eq!(metainfo.files().get(19_998).unwrap().path(), Path::new("big/directory 98/same.199.bin"));
    let distinct: std::collections::HashSet<_> = metainfo.files().iter().map(|file| file.path()).collect();
    assert_eq!(distinct.len(), 20_000);
    let last = metainfo.files().iter().last().unwrap();
    assert_eq!(last.offset + last.length, metainfo.pieces().total());
}

/// Thousands of mutations of real torrents: nothing panics, and accepted ones keep all promises.
#[test]
fn mutated_torrents_never_panic_and_keep_their_invariants() {
    let mut random = Random::seeded(0xB17);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/torrents/");
    let mut good: Vec<Vec<u8>> = [
        "made/lt-multi.torrent",
        "made/lt-hybrid.torrent",
        "made/lt-single.torrent",
        "transmission/bad-utf8-path.torrent",
        "transmission/dup-files.torrent",
        "aria2/utf8.torrent",
        "anacrolix-metainfo/trackerless.torrent",
        "webtorrent-fixtures/lots-of-numbers.torrent",
    ]
    .iter()
    .map(|file| std::fs::read(format!("{folder}{file}")).unwrap())
    .collect();
    good.push(with_paths(&[b"a", b"A/b", b"CON/..", b"x/y/z", b"x"]));
    let words: &[&[u8]] = &[
        b"i-1e",
        b"i0e",
        b"i9223372036854775807e",
        b"le",
        b"de",
        b"0:",
        b"2:..",
        b"1:/",
        b"4:path",
        b"6:length",
        b"4:attr1:l",
        b"4:attr1:p",
        b"5:files",
        b"3:\xff\0\\",
        b"e",
        b"d",
        b"l",
        b"4:info",
        b"7:privatei1e",
    ];
    let mut accepted = 0;
    for _ in 0..50_000 {
        let mut bytes = good[random.below(good.len() as u64) as usize].clone();
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len() as u64) as usize;
            match random.below(6) {
                0 => bytes[at] = random.next_u64() as u8,
                1 => bytes[at] = b"0123456789eild"[random.below(14) as usize],
                2 => {
                    _ = bytes.splice(at..at, words[random.below(words.len() as u64) as usize].iter().copied())
                }
                3 => _ = bytes.drain(at..(at + random.below(8) as usize + 1).min(bytes.len() - 1).max(at)),
                4 => {
                    // A value taken out, put in again somewhere else: stays well-formed now and then.
                    let word = words[random.below(words.len() as u64) as usize];
                    if let Some(place) = bytes.windows(2).skip(at).position(|pair| pair == b"ee") {
                        _ = bytes.splice(at + place..at + place, word.iter().copied());
                    }
                }
                _ => bytes.truncate(at + 1),
            }
        }
        if let Ok(metainfo) = Metainfo::from_bytes(&bytes) {
            check(&metainfo);
            accepted += 1;
        }
    }
    assert!(accepted > 2000, "only {accepted} were accepted");
}
