//! Torrents made up to be odd or hostile.

use std::path::{Component, Path, PathBuf};

use super::path::component;
use super::*;
use crate::ErrorKind;
use crate::bencode::{Dict, Encoder};
use crate::random::Random;

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

/// A download cannot pass for a state of the program's own.
#[test]
fn names_of_states_are_reserved() {
    let hash = "0123456789abcdef0123456789ABCDEF01234567";
    for end in [".bitwren", ".2.bitwren", ".metadata.bitwren", ".bitwren.lock", ".BitWren.tmp", ".parts"] {
        for name in [format!("{hash}{end}"), format!(".{hash}{end}")] {
            assert_eq!(component(name.as_bytes()), format!("_{name}"));
            let twice = component(component(name.as_bytes()).as_bytes()).into_owned();
            assert_eq!(twice, format!("_{name}"), "made safe twice it is the same");
        }
    }
    for name in
        [format!("{hash}.iso"), format!("{hash}bitwren"), format!("..{hash}.bitwren"), "x.bitwren".into()]
    {
        assert_eq!(component(name.as_bytes()), name);
    }
    let long = component(format!(".{hash}.{}.bitwren", "é".repeat(110)).as_bytes()).into_owned();
    assert!(long.starts_with('_') && long.len() <= 255, "{long}");
}

#[test]
fn names_are_made_safe() {
    for (raw, safe) in [
        (&b"plain name.txt"[..], "plain name.txt"),
        ("größe 日本 😀".as_bytes(), "größe 日本 😀"),
        (b"", "_"),
        (b".", "_"),
        (b"..", "__"),
        (b". .", "___"),
        (b".hidden", ".hidden"),
        (b"etc.", "etc."),
        (b"/etc/passwd", "_etc_passwd"),
        (b"..\\..\\x", "..\\..\\x"),
        (b"a\0b\nc\x7fd", "a_b_c_d"),
        (b"a\xff\xfe\xc3b", "a___b"),
        ("a\u{85}\u{202e}gpj.exe\u{2028}".as_bytes(), "a__gpj.exe_"),
        (b"CON", "CON"),
        (b"nul.tar.gz", "nul.tar.gz"),
        (b"what: a \"name\"?", "what: a \"name\"?"),
    ] {
        assert_eq!(component(raw), safe, "{}", raw.escape_ascii());
    }
}

#[test]
fn long_names_are_cut_in_front_of_the_extension() {
    let long = |c: &str, count, end: &str| component((c.repeat(count) + end).as_bytes()).into_owned();
    assert_eq!(long("a", 300, ".mkv"), "a".repeat(251) + ".mkv");
    assert_eq!(long("a", 251, ".mkv").len(), 255);
    assert_eq!(long("ü", 200, ".mkv"), "ü".repeat(125) + ".mkv");
    assert_eq!(long("a", 10, &format!(".{}", "b".repeat(300))).len(), 255);
    assert_eq!(long(".", 300, ""), "_".repeat(255));
}

/// A long name was once cut to nothing but spaces.
#[test]
fn a_name_that_was_cut_is_as_safe_as_another() {
    let name = component(format!("{}x", " ".repeat(300)).as_bytes()).into_owned();
    assert_eq!(name, "_".repeat(255));
    assert_eq!(component(name.as_bytes()), name, "made safe twice it is the same");
}

/// Two web seeds became one when they got the slash they lacked, and were kept twice.
#[test]
fn a_web_seed_with_and_without_its_slash_is_one() {
    let long = format!("http://s/{}", "x".repeat(4096 - 9));
    let bytes = torrent(
        |outer| {
            outer.list("url-list", |list| {
                ["http://s/f", "http://s/f/", &long].iter().for_each(|url| list.bytes(url))
            });
        },
        |info| {
            info.list("files", |list| {
                for name in ["a", "b"] {
                    list.dict(|file| {
                        file.int("length", 5);
                        file.list("path", |path| path.bytes(name));
                    });
                }
            });
            info.bytes("name", "n");
            info.int("piece length", 16_384);
            info.bytes("pieces", [1; 20]);
        },
    );
    let metainfo = Metainfo::from_bytes(&bytes).unwrap();
    assert_eq!(metainfo.web_seeds(), ["http://s/f/"]);
    assert_eq!(Metainfo::from_bytes(&metainfo.to_bytes()).unwrap().web_seeds(), metainfo.web_seeds());
}

#[test]
fn no_path_leads_out_of_the_directory() {
    let outside: &[&[u8]] =
        &[b"../../x", b"/abs", b"a/../../b", b"./c", b"", b"a//b", b"..\\x", b"C:\\x", b"~/x"];
    assert_eq!(
        places(&with_paths(outside)),
        ["__/__/x", "_/abs", "a/__/__/b", "_/c", "_.1", "a/_/b", "..\\x", "C:\\x", "~/x"]
    );
}

#[test]
fn no_file_takes_the_place_of_another() {
    // The same name; the first keeps it. Names that differ only in case are different names.
    let same: &[&[u8]] = &[b"x.txt", b"X.TXT", b"x.1.txt", b"x.txt. ", b"x.txt"];
    assert_eq!(places(&with_paths(same)), ["x.txt", "X.TXT", "x.1.txt", "x.txt. ", "x.2.txt"]);
    // A file where a directory must be, before it and after it.
    let directories: &[&[u8]] = &[b"dir", b"dir/x", b"DIR/y", b"dir", b"dir/x"];
    assert_eq!(places(&with_paths(directories)), ["dir.1", "dir/x", "DIR/y", "dir.2", "dir/x.1"]);
    // Names made equal by making them safe.
    assert_eq!(places(&with_paths(&[b"a\xff", b"a\xfe", b"a_"])), ["a_", "a_.1", "a_.2"]);
    let long = |end: &str| ("n".repeat(260) + end).into_bytes();
    let [one, two] = &places(&with_paths(&[&long("1.mp3"), &long("2.mp3")]))[..] else { panic!() };
    assert_eq!((one.len(), two.len()), (255, 255 - 9));
    assert!(two.ends_with("n.1.mp3"), "{two}");
    let warnings = Metainfo::from_bytes(&with_paths(same)).unwrap().warnings().to_vec();
    assert_eq!(warnings, [r#"the path "d/x.txt" is taken; that file is stored as "x.2.txt" beside it"#]);
}

/// Data may lie under a name that nothing should print or create; it is found there, and nowhere else.
#[test]
fn a_name_that_is_made_safe_is_also_known_as_it_is() {
    let own = |paths: &[&[u8]]| -> Vec<Option<String>> {
        let metainfo = Metainfo::from_bytes(&with_paths(paths)).unwrap();
        let own = |file: File<'_>| file.own().map(|own| own.to_str().unwrap().to_owned());
        metainfo.files().iter().map(own).collect()
    };
    let some = |path: &str| Some(path.to_owned());
    let kept: &[&[u8]] = &[b"aux.c", b"a\\b", b"X", b"x", b"e. "];
    assert_eq!(own(kept), [None, None, None, None, None]);
    let altered: &[&[u8]] = &[b"two\nlines", b"...", b"d\x1b/x", "\u{202e}x".as_bytes()];
    assert_eq!(own(altered), ["d/two\nlines", "d/...", "d/d\x1b/x", "d/\u{202e}x"].map(some));
    // A path with a part that is no name of an entry is nowhere.
    let outside: &[&[u8]] = &[b"../x", b"./x", b"a/..", b"a//b", b"n\0", b"\xff\n"];
    assert_eq!(own(outside), [None, None, None, None, None, None]);
    // One file lies at one path; an unchanged path goes before one that was made safe.
    let equals: &[&[u8]] = &[b"a\n", b"a\n", b"a_"];
    assert_eq!(own(equals), [some("d/a\n"), None, None]);
    assert_eq!(places(&with_paths(equals)), ["a_.1", "a_.2", "a_"]);
}

#[test]
fn paths_have_a_depth_and_a_length() {
    let deep = |depth| vec![b"x".as_slice(); depth].join(&b'/');
    assert_eq!(places(&with_paths(&[&deep(MAX_PATH_DEPTH - 1)])).len(), 1);
    assert!(refusal(&with_paths(&[&deep(MAX_PATH_DEPTH)])).contains("deeper than 100"));
    let long = vec![[b'y'; 250].as_slice(); 16].join(&b'/');
    assert!(refusal(&with_paths(&[&long])).contains("longer than 4000 bytes"));
}

#[test]
fn attributes_are_read_and_links_are_never_stored() {
    let files: &[(&str, &[&str], i64)] = &[
        ("xh?", &["run"], 3),
        ("p", &["fill"], 5),
        ("", &[".pad", "7"], 7),
        ("", &[".pad", "7"], 8),
        ("", &["a", "_____padding_file_0_of BitComet____"], 9),
        // A link has no length whatever it says, and its path is free for others.
        ("l", &["link"], 1000),
        ("", &["link", "below"], 1),
    ];
    let bytes = with_files(files.len(), |n, entry| {
        let (attr, path, length) = files[n];
        entry.bytes("attr", attr);
        entry.int("length", length);
        entry.list("path", |list| path.iter().for_each(|part| list.bytes(part)));
        entry.list("symlink path", |list| list.bytes("/etc/passwd"));
    });
    let metainfo = Metainfo::from_bytes(&bytes).unwrap();
    check(&metainfo);
    let files: Vec<File<'_>> = metainfo.files().iter().collect();
    assert!(files[0].executable && files[0].hidden && files[0].is_stored());
    let pads: Vec<bool> = files.iter().map(|file| file.pad).collect();
    assert_eq!(pads, [false, true, true, false, true, false, false]);
    assert!(files[5].symlink && !files[5].is_stored() && files[5].length == 0);
    assert_eq!(files[6].path(), Path::new("d/link/below"));
    assert_eq!(metainfo.pieces().total(), 33);
}

/// A link is made if it leads to something of the torrent, and if nothing else has its place.
#[test]
fn a_link_that_leads_anywhere_else_is_told_and_not_made() {
    let entries: &[(&str, &str, Option<&str>)] = &[
        ("", "a/file", None),
        ("l", "to-file", Some("a/file")),
        ("l", "b/to-dir", Some("a")),
        ("l", "to-link", Some("b/to-dir")),
        ("l", "up", Some("../x")),
        ("l", "dots", Some("a/../../x")),
        ("l", "absolute", Some("/etc/passwd")),
        ("l", "empty", Some("")),
        ("l", "nothing", Some("a/none")),
        ("l", "through", Some("b/to-dir/file")),
        ("l", "loop", Some("pool")),
        ("l", "pool", Some("loop")),
        ("l", "no-target", None),
        ("l", "a", Some("b/to-dir")),
        ("l", "a/file", Some("b/to-dir")),
        ("l", "to-file/below", Some("a/file")),
        ("l", "twice", Some("a/file")),
        ("l", "twice", Some("a")),
        ("l", "odd\n", Some("a/file")),
    ];
    let bytes = with_files(entries.len(), |n, entry| {
        let (attr, path, target) = entries[n];
        entry.bytes("attr", attr);
        entry.int("length", 5);
        entry.list("path", |list| path.split('/').for_each(|part| list.bytes(part)));
        if let Some(target) = target {
            entry.list("symlink path", |list| target.split('/').for_each(|part| list.bytes(part)));
        }
    });
    let metainfo = Metainfo::from_bytes(&bytes).unwrap();
    check(&metainfo);
    let files = metainfo.files().iter();
    let made: Vec<(PathBuf, PathBuf)> =
        files.filter_map(|file| Some((file.path(), file.target()?))).collect();
    let links = [("to-file", "a/file"), ("b/to-dir", "a"), ("to-link", "b/to-dir"), ("odd_", "a/file")];
    let links = links.map(|(path, target)| (Path::new("d").join(path), Path::new("d").join(target)));
    assert_eq!(made, links);
    let told = |what: &str| metainfo.warnings().iter().filter(|line| line.contains(what)).count();
    assert_eq!(told("is not made"), 14);
    assert_eq!(told("\"d/up\" is not made: it does not say where in the torrent it leads"), 1);
    assert_eq!(told("it leads to nothing in the torrent"), 4);
}

#[test]
fn utf8_variants_win_where_they_are_utf8() {
    let bytes = torrent(
        |outer| {
            outer.bytes("comment", "plain");
            outer.bytes("comment.utf-8", "größer");
        },
        |info| {
            info.bytes("name", b"n\xe4me");
            info.bytes("name.utf-8", "näme");
            info.int("piece length", 16384);
            info.bytes("pieces", [0; 20]);
            info.list("files", |files| {
                for utf8 in [&b"\xc3\xa4"[..], b"\xe4"] {
                    files.dict(|file| {
                        file.int("length", 1);
                        file.list("path", |path| path.bytes("a"));
                        file.list("path.utf-8", |path| path.bytes(utf8));
                    });
                }
            });
        },
    );
    let metainfo = Metainfo::from_bytes(&bytes).unwrap();
    assert_eq!((metainfo.name(), metainfo.comment()), ("näme", Some("größer")));
    let paths: Vec<_> = metainfo.files().iter().map(|file| file.path()).collect();
    assert_eq!(paths, ["näme/ä", "näme/a"].map(Path::new));
}

/// A torrent of one file whose outer dictionary has what `outer` writes.
fn single(outer: impl FnOnce(&mut Dict<'_>)) -> Metainfo {
    let bytes = torrent(outer, |info| {
        info.bytes("name", "n");
        info.int("length", 5);
        info.int("piece length", 4);
        info.bytes("pieces", [0; 40]);
    });
    let metainfo = Metainfo::from_bytes(&bytes).unwrap();
    check(&metainfo);
    metainfo
}

#[test]
fn junk_among_addresses_is_dropped_with_a_warning() {
    let tiers = |announce_list: &dyn Fn(&mut Encoder)| {
        let metainfo = single(|outer| {
            outer.list("announce-list", announce_list);
            outer.bytes("announce", "http://fallback/");
        });
        (metainfo.tiers().to_vec(), metainfo.warnings().len())
    };
    let urls = |tiers: &[&[&str]]| -> Vec<Vec<String>> {
        tiers.iter().map(|tier| tier.iter().map(|&url| url.to_owned()).collect()).collect()
    };
    let fallback = urls(&[&["http://fallback/"]]);
    assert_eq!(tiers(&|_| {}), (fallback.clone(), 0));
    assert_eq!(tiers(&|list| list.list(|tier| tier.bytes(""))), (fallback.clone(), 0));
    assert_eq!(tiers(&|list| list.list(|tier| tier.int(5))), (fallback, 1));
    let mixed = |list: &mut Encoder| {
        list.list(|tier| {
            for url in ["udp://a:1", "no url", "http:///x", "://x", "http://b b/", " wss://c ", "udp://a:1"] {
                tier.bytes(url);
            }
            tier.bytes(b"http://\xff/");
        });
        list.list(|tier| tier.bytes("udp://a:1"));
        list.bytes("http://alone/");
    };
    assert_eq!(tiers(&mixed), (urls(&[&["udp://a:1", "wss://c"], &["http://alone/"]]), 6));

    let metainfo = single(|outer| {
        outer.bytes("announce-list", "http://not-a-list/");
        outer.int("announce", 1);
        outer.list("url-list", |list| {
            let urls = ["http://s/f", "/8/items/", "HTTPS://t/", "file:///etc/passwd", ""];
            urls.iter().for_each(|url| list.bytes(url));
        });
        outer.list("nodes", |nodes| {
            for (host, port) in [("h", 1), ("::1", 65535), ("h", 1), ("h", 0), ("", 5), ("h h", 5), ("h", -1)]
            {
                nodes.list(|node| {
                    node.bytes(host);
                    node.int(port);
                });
            }
            nodes.int(3);
        });
    });
    assert!(metainfo.tiers().is_empty());
    assert_eq!(metainfo.web_seeds(), ["http://s/f", "HTTPS://t/"]);
    assert_eq!(metainfo.nodes(), [("h".to_owned(), 1), ("::1".to_owned(), 65535)]);
    assert_eq!(metainfo.warnings().len(), 5, "{:?}", metainfo.warnings());
}

/// With a slash it would be a directory, and there is none of that name.
#[test]
fn a_web_seed_of_one_file_is_that_file_however_the_file_is_listed() {
    let bytes = torrent(
        |outer| outer.bytes("url-list", "http://s/one.iso"),
        |info| {
            info.list("files", |list| {
                list.dict(|file| {
                    file.int("length", 5);
                    file.list("path", |path| path.bytes("one.iso"));
                });
            });
            info.bytes("name", "n");
            info.int("piece length", 16_384);
            info.bytes("pieces", [1; 20]);
        },
    );
    assert_eq!(Metainfo::from_bytes(&bytes).unwrap().web_seeds(), ["http://s/one.iso"]);
}

#[test]
fn spaces_in_urls_are_escaped_and_not_a_reason_to_leave_them_out() {
    let metainfo = single(|outer| {
        outer.bytes("announce", " http://t/an nounce?a b ");
        outer.list("url-list", |list| {
            let urls = ["http://s/my file.iso", "http://s/my%20file.iso", "http://ho st/f", "http://s/a\tb"];
            urls.iter().for_each(|url| list.bytes(url));
        });
    });
    assert_eq!(metainfo.tiers(), [["http://t/an%20nounce?a%20b"]]);
    assert_eq!(metainfo.web_seeds(), ["http://s/my%20file.iso"]);
    assert_eq!(Metainfo::from_bytes(&metainfo.to_bytes()).unwrap().web_seeds(), metainfo.web_seeds());
    let hash = "ab".repeat(20);
    let link = format!("magnet:?xt=urn:btih:{hash}&tr=http%3A%2F%2Ft%2Fa%20b&ws=http%3A%2F%2Fs%2Fc%20d");
    let magnet = Magnet::parse(&link).unwrap();
    assert_eq!(magnet.trackers, ["http://t/a%20b"]);
    assert_eq!(magnet.web_seeds, ["http://s/c%20d"]);
}

#[test]
fn addresses_and_warnings_are_bounded() {
    let metainfo = single(|outer| {
        outer.list("announce-list", |list| {
            (0..MAX_ADDRESSES + 10).for_each(|n| list.list(|tier| tier.bytes(format!("udp://h:{n}"))));
            (0..MAX_WARNINGS * 3).for_each(|_| list.list(|tier| tier.bytes("junk")));
        });
    });
    assert_eq!(metainfo.tiers().len(), MAX_ADDRESSES);
    assert_eq!(metainfo.warnings().len(), MAX_WARNINGS + 1);
    assert_eq!(metainfo.warnings()[MAX_WARNINGS], "and 101 more things like these");
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

/// The largest that must work, made small in bytes: 4 million pieces, and 200,000 files of which
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
