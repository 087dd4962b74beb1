//! Where commands take a torrent from, and what they say of what is none.

use std::io::{Read, Write};

use crate::support::child::{Ended, bitwren, run};
use crate::support::scratch::Scratch;

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

#[test]
fn verify_takes_several_torrents_and_fails_with_the_first_that_does() {
    let scratch = world("verify-several");
    scratch.file("other", b"other data");
    go(&scratch, &["create", "-q", "other"]).expect(0);
    std::fs::copy(scratch.path().join("src dir/data"), scratch.path().join("data")).unwrap();
    let good = go(&scratch, &["verify", "data.torrent", "other.torrent"]).expect(0);
    assert!(
        good.stdout.contains("data: 1 of 1 file") && good.stdout.contains("other: 1 of 1 file"),
        "{good:?}"
    );
    scratch.file("data", b"same size");
    let bad = go(&scratch, &["verify", "absent", "data.torrent", "other.torrent"]).expect(3);
    assert!(bad.stderr.contains("absent") && bad.stdout.contains("other: 1 of 1 file"), "{bad:?}");
    go(&scratch, &["verify", "data.torrent", "absent"]).expect(32);
    let json = go(&scratch, &["verify", "--json", "data.torrent", "other.torrent"]).expect(32).stdout;
    assert_eq!(json.matches(r#""event":"verify""#).count(), 2, "{json}");
    go(&scratch, &["verify", "-", "-"]).expect(28);
    let meant = go(&scratch, &["verify", "data.torrent", "src dir"]).expect(28).stderr;
    assert!(meant.contains("bitwren verify -d 'src dir' 'data.torrent'"), "{meant}");
}

/// What a `.torrent` on the web may cost is part of the memory that there is, whoever asks for it.
#[test]
fn a_torrent_on_the_web_is_no_longer_than_memory_allows() {
    let scratch = world("web-memory");
    let server = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/long.torrent?key=secret", server.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in server.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            let _ = stream.write_all(&vec![b'd'; 8 << 20]);
        }
    });
    for command in [&["show"][..], &["get", "--no-dht"], &["seed", "--no-dht"]] {
        let ended = go(&scratch, &[command, &["--max-memory", "4M", &url]].concat()).expect(26);
        assert!(ended.stderr.contains("long.torrent?key=***"), "{}", ended.stderr);
        assert!(ended.stderr.contains("all that --max-memory 4096 KiB leaves"), "{}", ended.stderr);
    }
    // Without a limit it is read, and no torrent.
    let ended = go(&scratch, &["show", &url]).expect(25);
    assert!(ended.stderr.contains("malformed bencoding"), "{}", ended.stderr);
}
