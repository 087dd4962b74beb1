//! Where commands take a torrent from, and what they say of what is none.
#![cfg(feature = "cli")]

mod support;

use support::child::{Ended, bitwren, run};
use support::scratch::Scratch;

const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

fn world(name: &str) -> Scratch {
    let scratch = Scratch::new(name);
    scratch.dir("src dir");
    scratch.file("src dir/data", b"some data");
    run(bitwren(scratch.path(), &["create", "-q", "src dir/data"]).current_dir(scratch.path())).expect(0);
    scratch
}

fn go(scratch: &Scratch, args: &[&str]) -> Ended {
    run(bitwren(scratch.path(), args).current_dir(scratch.path()))
}

#[test]
fn what_is_no_torrent_is_told_for_what_it_is() {
    let scratch = world("foreign");
    scratch.file("page.torrent", b"<!DOCTYPE html>\n<html>");
    scratch.file("packed.torrent", b"\x1f\x8b\x08\0\0");
    let short = &HASH[..39];
    for (word, code, said) in [
        ("page.torrent", 26, "page.torrent: not a usable torrent: this is a web page, not a .torrent"),
        ("packed.torrent", 26, "this is compressed with gzip"),
        ("src dir", 15, "src dir is a directory; give its .torrent"),
        ("ftp://a.example/x.torrent", 28, "ftp:// is not supported"),
        ("file://host/x", 28, "file:///path"),
        (short, 28, "39 hexadecimal digits; an info-hash has 40"),
        ("absent", 3, "cannot open absent"),
    ] {
        for command in ["get", "show", "magnet", "verify", "seed"] {
            let ended = go(&scratch, &[command, word]).expect(code);
            assert!(ended.stderr.contains(said), "{command}: {}", ended.stderr);
        }
    }
}

#[test]
fn a_file_url_is_a_file() {
    let scratch = world("file-url");
    let url = format!("file://{}/data.torrent", scratch.path().display());
    go(&scratch, &["verify", "-d", "src dir", &url]).expect(0);
    go(&scratch, &["edit", "--comment", "new", &url.replace("file://", "FILE://localhost")]).expect(0);
    assert!(go(&scratch, &["show", "data.torrent"]).expect(0).stdout.contains("new"));
}

#[test]
fn a_file_that_holds_a_magnet_link_is_one() {
    let scratch = world("link-file");
    let link = format!("magnet:?xt=urn:btih:{HASH}&dn=some");
    scratch.file("saved.magnet", format!("{link}\r\n").as_bytes());
    assert_eq!(go(&scratch, &["magnet", "saved.magnet"]).expect(0).stdout, link);
    let said = go(&scratch, &["verify", "saved.magnet"]).expect(27).stderr;
    assert!(said.contains("--metadata-only"), "{said}");
}
