//! What becomes of names: those that are fine here, those that a user changes, and those that nothing
//! should make.

use std::fs;
use std::os::unix::fs::symlink;

use super::{Scratch, album, bitwren, ok, refused, run};

/// Whatever `create` makes of a directory is right where it lies.
#[test]
fn what_was_made_of_a_directory_is_found_in_it_whatever_the_names() {
    let dir = Scratch::new("cli");
    let names = [
        "aux.c",
        "con.h",
        "xt_DSCP.c",
        "xt_dscp.c",
        "a\\b",
        "two\nlines",
        "...",
        "e. ",
        "x\u{1b}[2J/y",
        "\u{202e}z",
    ];
    for (name, byte) in names.iter().zip(1..) {
        dir.file(&format!("d/{name}"), vec![byte; 40_000]);
    }
    let alone = "one\ttab";
    dir.file(alone, vec![99; 40_000]);
    for made in ["d", alone] {
        ok(dir.path(), &["create", "-q", "-o", "t.torrent", "--overwrite", made]);
        ok(dir.path(), &["verify", "t.torrent"]);
        // Nothing is fetched, nor made.
        let complete = run(dir.path(), &["get", "--max-time", "20", "t.torrent"]);
        assert_eq!(complete.status.code(), Some(0), "{complete:?}");
        let said = String::from_utf8(complete.stderr).unwrap();
        assert!(said.contains("already there") && !said.contains(['\u{1b}', '\u{202e}']), "{said:?}");
    }
    assert_eq!(fs::read_dir(dir.path().join("d")).unwrap().count(), names.len());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
}

#[test]
fn a_file_that_was_renamed_is_found_again_without_being_told_twice() {
    let dir = Scratch::new("cli");
    album(&dir);
    fs::create_dir(dir.path().join("other")).unwrap();
    fs::rename(dir.path().join("album/one.flac"), dir.path().join("other/1.flac")).unwrap();
    fs::rename(dir.path().join("album/two.flac"), dir.path().join("album/2.flac")).unwrap();
    let list = ok(dir.path(), &["get", "--list", "album.torrent"]);
    let number = |name: &str| {
        let line = list.lines().find(|line| line.ends_with(name)).unwrap();
        line.split_whitespace().next().unwrap().to_owned()
    };
    let renames = [format!("{}=other/1.flac", number("one.flac")), format!("{}=2.flac", number("two.flac"))];
    let with = |command: &'static str| {
        let mut args = vec![command, "album.torrent", "--rename", &renames[0], "--rename", &renames[1]];
        args.extend((command == "get").then_some(["--max-time", "20", "--no-tracker"]).into_iter().flatten());
        ok(dir.path(), &args)
    };
    with("verify");
    assert_eq!(run(dir.path(), &["verify", "-q", "album.torrent"]).status.code(), Some(32));
    with("get");
    ok(dir.path(), &["verify", "album.torrent"]);
    // A file that is there is not moved, and no path leads out.
    let args = |rename| ["get", "album.torrent", "--max-time", "20", "--no-tracker", "--rename", rename];
    let again = format!("{}=third", number("one.flac"));
    let said = run(dir.path(), &args(&again));
    assert_eq!(said.status.code(), Some(13), "{said:?}");
    assert!(
        String::from_utf8_lossy(&said.stderr).contains("other/1.flac is there already; move it"),
        "{said:?}"
    );
    refused(dir.path(), &args("1=../x"), 28);
    refused(dir.path(), &["get", "album.torrent", "album.torrent", "--rename", "1=x"], 28);
}

#[test]
fn a_name_with_a_dot_in_front_is_made_in_a_home_only_where_that_is_allowed() {
    let dir = Scratch::new("cli");
    let home = dir.path().join("homes/me");
    fs::create_dir_all(&home).unwrap();
    dir.file("made/.ssh/authorized_keys", vec![1; 100]);
    dir.file("made/me/.profile", vec![1; 100]);
    ok(&dir.path().join("made"), &["create", "-q", "-o", "keys.torrent", "--hidden", ".ssh"]);
    ok(&dir.path().join("made"), &["create", "-q", "-o", "above.torrent", "--hidden", "me"]);
    symlink(&home, dir.path().join("link")).unwrap();
    let get = |torrent: &str, to: &str, more: &[&str]| {
        let mut command = bitwren();
        command.current_dir(dir.path().join("made")).env("HOME", &home).args([
            "get",
            "--max-time",
            "1",
            "-d",
            to,
        ]);
        let output = command.arg(torrent).args(more).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for (torrent, to) in
        [("keys.torrent", "../homes/me"), ("keys.torrent", "../link"), ("above.torrent", "../homes")]
    {
        let (code, said) = get(torrent, to, &[]);
        assert_eq!(code, 16, "{said}");
        assert!(said.contains("starts with a dot") && said.contains("--allow-hidden"), "{said}");
    }
    assert_eq!(fs::read_dir(&home).unwrap().count(), 0);
    // Elsewhere it is told, and there too where it is allowed: nothing is missing but peers.
    let (code, said) = get("keys.torrent", "../elsewhere", &[]);
    assert!(code == 2 && said.contains("a name that starts with a dot"), "{said}");
    let (code, said) = get("keys.torrent", "../homes/me", &["--allow-hidden"]);
    assert!(code == 2, "{said}");
    // A renaming counts, for better or worse.
    let (code, said) = get("keys.torrent", "../homes/me", &["--rename", "1=keys/authorized"]);
    assert!(code == 2 || code == 13, "{said}");
    dir.file("made/plain", vec![1; 100]);
    ok(&dir.path().join("made"), &["create", "-q", "-o", "plain.torrent", "plain"]);
    let (code, said) = get("plain.torrent", "../homes/me", &["--rename", "1=.bashrc"]);
    assert_eq!(code, 16, "{said}");
}

/// Encodes a torrent of one file of 16 KiB of zeros and links to it.
fn with_links(links: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| format!("{}:{text}", text.len());
    let path = |path: &str| format!("l{}e", path.split('/').map(text).collect::<String>());
    let mut files = format!("d6:lengthi16384e4:path{}e", path("data/file"));
    for (link, target) in links {
        files += &format!("d4:attr1:l6:lengthi0e4:path{}12:symlink path{}e", path(link), path(target));
    }
    let mut torrent =
        format!("d4:infod5:filesl{files}e4:name1:d12:piece lengthi16384e6:pieces20:").into_bytes();
    torrent.extend(bitwren::internals::digest::sha1(&[0; 16384]));
    torrent.extend(b"ee");
    torrent
}

#[test]
fn links_inside_the_torrent_are_made_and_others_are_told() {
    let dir = Scratch::new("cli");
    dir.file(
        "t.torrent",
        with_links(&[("sub/link", "data/file"), ("out", "../etc/passwd"), ("mine", "data")]),
    );
    dir.file("d/data/file", [0; 16384]);
    dir.file("d/mine", "mine");
    let told = run(dir.path(), &["verify", "t.torrent"]);
    assert_eq!(told.status.code(), Some(0), "{told:?}");
    let said = String::from_utf8(told.stderr).unwrap();
    assert!(said.contains("d/sub/link: the symbolic link to ../data/file is missing"), "{said}");
    let told = run(dir.path(), &["get", "-v", "--max-time", "20", "--no-tracker", "t.torrent"]);
    assert_eq!(told.status.code(), Some(0), "{told:?}");
    let said = String::from_utf8(told.stderr).unwrap();
    assert!(said.contains("d/mine is in the way of a symbolic link"), "{said}");
    assert!(said.contains("d/out") && said.contains("is not made"), "{said}");
    assert_eq!(fs::read(dir.path().join("d/sub/link")).unwrap(), [0; 16384]);
    assert!(fs::symlink_metadata(dir.path().join("d/out")).is_err());
    assert_eq!(fs::read(dir.path().join("d/mine")).unwrap(), b"mine");
    let shown = ok(dir.path(), &["show", "t.torrent"]);
    assert!(shown.contains("d/sub/link to d/data/file") && shown.contains("is not made"), "{shown}");
}
