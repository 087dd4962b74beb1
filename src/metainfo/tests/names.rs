//! Names and paths of files: which are used as they are, which are made safe, and which are refused.

use super::*;

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
