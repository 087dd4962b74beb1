//! `edit` and `magnet`: what they change, what they leave alone, and what they refuse.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::support::child::{Ended, bitwren, run};
use crate::support::scratch::{Scratch, files_below};
use bitwren::Metainfo;

/// A real torrent with keys that nobody here knows, in a directory of its own.
fn world(name: &str, fixture: &str) -> (Scratch, PathBuf, Vec<u8>) {
    let scratch = Scratch::new(name);
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/torrents").join(fixture);
    let bytes = std::fs::read(from).unwrap();
    let path = scratch.file("t.torrent", &bytes);
    (scratch, path, bytes)
}

fn edit(scratch: &Scratch, args: &[&str]) -> Ended {
    let all: Vec<&str> = ["edit"].iter().chain(args).copied().collect();
    run(bitwren(scratch.path(), &all).current_dir(scratch.path()))
}

fn read(path: &Path) -> Metainfo {
    Metainfo::from_bytes(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn trackers_are_added_removed_and_replaced_and_the_info_hash_stays() {
    let (scratch, path, bytes) = world("edit-trackers", "made/mk-private.torrent");
    let before = Metainfo::from_bytes(&bytes).unwrap();
    let tiers = |args: &[&str]| {
        edit(&scratch, &[args, &["t.torrent"]].concat()).expect(0);
        let now = read(&path);
        assert_eq!(now.info_bytes(), before.info_bytes());
        now.tiers().iter().map(|tier| tier.join(",")).collect::<Vec<_>>().join(" ")
    };
    let (a, b, c) = ("http://a.example/announce", "http://b.example/announce", "udp://c.example:1/announce");
    assert_eq!(tiers(&["-t", "udp://d:2,udp://e:3", "-t", a]), format!("{a},{b} {c} udp://d:2,udp://e:3"));
    assert_eq!(
        tiers(&["--remove-tracker", a, "--remove-tracker", "udp://d:2"]),
        format!("{b} {c} udp://e:3")
    );
    let moved = tiers(&["--replace-tracker", "b.example", "z.example", "--replace-tracker", "udp://e:3", c]);
    assert_eq!(moved, format!("http://z.example/announce {c}"));
    assert_eq!(tiers(&["--no-trackers", "-t", "udp://f:4"]), "udp://f:4");
    assert_eq!(tiers(&["--no-trackers"]), "");
    let idle = edit(&scratch, &["--no-trackers", "t.torrent"]).expect(0);
    assert!(idle.stderr.contains("t.torrent: nothing to change"), "{}", idle.stderr);
}

#[test]
fn what_is_not_there_to_be_removed_or_replaced_is_a_failure_and_nothing_is_written() {
    let (scratch, path, bytes) = world("edit-absent", "made/mk-private.torrent");
    let (a, x) = ("http://a.example/announce", "http://x.example/announce");
    for args in [
        &["--remove-tracker", x][..],
        &["--replace-tracker", "KEY1", "KEY2"],
        &["--remove-tracker", a, "--remove-tracker", x, "--comment", "new"],
        &["--replace-tracker", "KEY1", "KEY2", "-o", "new.torrent"],
    ] {
        let said = edit(&scratch, &[args, &["t.torrent"]].concat()).expect(3).stderr;
        assert!(said.contains("t.torrent: it has no tracker"), "{said}");
        assert!(std::fs::read(&path).unwrap() == bytes);
    }
    assert_eq!(files_below(scratch.path()), [PathBuf::from("t.torrent")]);
}

#[test]
fn owner_and_mode_of_the_file_stay() {
    let (scratch, path, _) = world("edit-owner", "made/mk-single.torrent");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o604)).unwrap();
    // Only root may give a file away; everyone else keeps it.
    let _ = std::os::unix::fs::chown(&path, Some(12345), Some(12346));
    let about = || std::fs::metadata(&path).map(|it| (it.uid(), it.gid(), it.mode())).unwrap();
    let before = about();
    edit(&scratch, &["--comment", "new", "t.torrent"]).expect(0);
    assert_eq!((read(&path).comment(), about()), (Some("new"), before));
}

#[test]
fn what_is_not_asked_for_stays_byte_for_byte() {
    let (scratch, path, bytes) =
        world("edit-bytes", "transmission/alice_in_wonderland_librivox_archive.torrent");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let comment = |args: &[&str]| {
        edit(&scratch, &[args, &["t.torrent"]].concat()).expect(0);
        std::fs::read(&path).unwrap()
    };
    let first = comment(&["--comment", "another"]);
    assert_ne!(first, bytes);
    assert_eq!(read(&path).comment(), Some("another"));
    let old = Metainfo::from_bytes(&bytes).unwrap().comment().unwrap().to_owned();
    assert!(comment(&["--comment", &old]) == bytes);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(files_below(scratch.path()), [PathBuf::from("t.torrent")]);
}

#[test]
fn another_info_hash_is_refused_unless_it_is_allowed() {
    let (scratch, path, bytes) = world("edit-hash", "made/mk-private.torrent");
    for args in [["--no-private", "t.torrent"], ["--source=NEW", "t.torrent"], ["--source=", "t.torrent"]] {
        let said = edit(&scratch, &args).expect(28).stderr;
        assert!(said.contains("info-hash") && said.contains("--allow-new-hash"), "{said}");
        assert!(std::fs::read(&path).unwrap() == bytes);
    }
    // What it is already needs no leave.
    edit(&scratch, &["--private", "--source", "SRC", "t.torrent"]).expect(0);
    assert!(std::fs::read(&path).unwrap() == bytes);
    edit(&scratch, &["--no-private", "--source", "", "--allow-new-hash", "t.torrent"]).expect(0);
    let now = read(&path);
    assert_eq!((now.is_private(), now.source()), (false, None));
    assert_ne!(now.info_hash(), Metainfo::from_bytes(&bytes).unwrap().info_hash());
    // And back to what it was.
    edit(&scratch, &["--private", "--source", "SRC", "--allow-new-hash", "t.torrent"]).expect(0);
    assert!(std::fs::read(&path).unwrap() == bytes);
}

#[test]
fn it_writes_elsewhere_when_told_and_each_failure_is_one_torrents() {
    let (scratch, path, bytes) = world("edit-output", "made/mk-single.torrent");
    edit(&scratch, &["--web-seed", "http://w/x", "-o", "new.torrent", "t.torrent"]).expect(0);
    assert!(std::fs::read(&path).unwrap() == bytes);
    assert_eq!(read(&scratch.path().join("new.torrent")).web_seeds(), ["http://w/x"]);
    edit(&scratch, &["--no-web-seeds", "-o", "new.torrent", "t.torrent"]).expect(13);
    edit(&scratch, &["--no-web-seeds", "new.torrent"]).expect(0);
    assert!(std::fs::read(scratch.path().join("new.torrent")).unwrap() == bytes);
    scratch.file("bad.torrent", b"d4:infoi1ee");
    let ended = edit(&scratch, &["--comment", "x", "absent", "bad.torrent", "t.torrent"]).expect(3);
    assert!(ended.stderr.contains("absent") && ended.stderr.contains("bad.torrent"), "{}", ended.stderr);
    assert_eq!(read(&path).comment(), Some("x"));
    edit(&scratch, &["t.torrent"]).expect(28);
    edit(&scratch, &["--replace-tracker", "http://", "gopher://", "t.torrent"]).expect(28);
    edit(&scratch, &["--comment", "x", "-"]).expect(28);
    edit(&scratch, &["--comment", "x", "-o", "y", "t.torrent", "new.torrent"]).expect(28);
    edit(&scratch, &["--replace-tracker", "one"]).expect(28);
}

#[test]
fn a_link_is_left_and_what_it_leads_to_replaced() {
    let (scratch, path, _) = world("edit-link", "made/mk-single.torrent");
    std::os::unix::fs::symlink("t.torrent", scratch.path().join("link.torrent")).unwrap();
    edit(&scratch, &["--comment", "through", "link.torrent"]).expect(0);
    assert!(scratch.path().join("link.torrent").is_symlink());
    assert_eq!(read(&path).comment(), Some("through"));
}

#[test]
fn magnet_prints_the_links() {
    let (scratch, path, _) = world("magnet", "made/mk-private.torrent");
    let metainfo = read(&path);
    let said =
        |args: &[&str]| run(bitwren(scratch.path(), args).current_dir(scratch.path())).expect(0).stdout;
    assert_eq!(said(&["magnet", "t.torrent"]), metainfo.magnet_link());
    let bare = format!("magnet:?xt=urn:btih:{}&dn=other", metainfo.info_hash());
    assert_eq!(said(&["magnet", "--no-trackers", "t.torrent"]), bare);
    let json = said(&["magnet", "--json", "--no-trackers", "t.torrent"]);
    assert!(json.ends_with(&format!(r#""name":"other","magnet":"{bare}"}}"#)), "{json}");
}

#[test]
fn a_link_is_shown_and_written_anew() {
    let (scratch, _, _) = world("link", "made/mk-private.torrent");
    let said = |args: &[&str]| {
        let out = bitwren(scratch.path(), args).current_dir(scratch.path()).output().unwrap();
        assert!(out.status.success(), "{out:?}");
        String::from_utf8(out.stdout).unwrap()
    };
    let odd =
        "MAGNET:?dn=some+name&so=4,0-1&xt=urn:btih:MFRGCYTBMJQWEYLCMFRGCYTBMJQWEYLC&x.pe=h:1&tr=udp://t:2";
    let hash = "6162616261626162616261626162616261626162";
    let link = format!("magnet:?xt=urn:btih:{hash}&dn=some%20name&tr=udp%3A%2F%2Ft%3A2&x.pe=h:1&so=0-1,4");
    assert_eq!(said(&["magnet", odd]).trim_end(), link);
    let bare = format!("magnet:?xt=urn:btih:{hash}");
    assert_eq!(said(&["magnet", &hash.to_uppercase()]).trim_end(), bare);
    let rows = [
        "Name           some name".to_owned(),
        format!("Info-hash      {hash}"),
        format!("Magnet link    {link}"),
        "Tracker 1      udp://t:2".to_owned(),
        "Peer           h:1".to_owned(),
        "Files          1-2,5".to_owned(),
    ];
    assert_eq!(said(&["show", odd]).lines().collect::<Vec<_>>(), rows);
    let json = said(&["show", "--json", &format!(" {odd} ")]);
    assert!(json.contains(r#""peers":[{"host":"h","port":1}],"nodes":[],"select":"1-2,5"}"#), "{json}");
    // What needs the whole torrent says where to get it.
    let out = bitwren(scratch.path(), &["verify", odd]).output().unwrap();
    assert_eq!(out.status.code(), Some(27));
    assert!(String::from_utf8_lossy(&out.stderr).contains("--metadata-only"));
}
