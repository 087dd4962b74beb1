//! Where `create`, `edit` and `get --metadata-only` write: into what is not a regular file without
//! replacing it, and nowhere that could not be written before the work began.

use std::fs::File;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::child::{Ended, bitwren, run};
use crate::support::scratch::{Scratch, files_below};
use bitwren::Metainfo;

/// One file of data and a torrent of it.
fn world(name: &str) -> Scratch {
    let scratch = Scratch::new(name);
    scratch.file("data", b"some data");
    go(&scratch, &["create", "-q", "--no-date", "data"]).expect(0);
    scratch
}

fn go(scratch: &Scratch, args: &[&str]) -> Ended {
    run(bitwren(scratch.path(), args).current_dir(scratch.path()))
}

/// The three commands that write a torrent, but for where.
const WRITING: [&[&str]; 3] = [
    &["create", "--no-date", "data"],
    &["edit", "--comment", "", "data.torrent"],
    &["get", "--metadata-only", "data.torrent"],
];

#[test]
fn what_is_not_a_regular_file_is_written_through_and_never_replaced() {
    let scratch = world("through");
    let (pipe, device) = (scratch.path().join("pipe"), scratch.path().join("device"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Only root may make devices; /dev/null is left out of it, as a failure would replace it.
    let device = Command::new("mknod").arg(&device).args(["c", "1", "3"]).output().unwrap().status.success();
    for args in WRITING {
        for overwrite in [&[][..], &["--overwrite"]] {
            let all = [args, overwrite, &["-o", "pipe"]].concat();
            let reader = std::thread::spawn({
                let pipe = pipe.clone();
                move || {
                    let mut bytes = Vec::new();
                    File::open(pipe).unwrap().read_to_end(&mut bytes).unwrap();
                    bytes
                }
            });
            go(&scratch, &all).expect(0);
            assert!(pipe.metadata().unwrap().file_type().is_fifo(), "{all:?}");
            let through = Metainfo::from_bytes(&reader.join().unwrap()).unwrap();
            assert_eq!(through.name(), "data");
            if device {
                go(&scratch, &[args, overwrite, &["-o", "device"]].concat()).expect(0);
                let about = scratch.path().join("device").metadata().unwrap();
                assert!(about.file_type().is_char_device(), "{all:?}");
            }
        }
    }
}

#[test]
fn a_descriptor_is_written_to_and_standard_output_is_known_by_every_name() {
    let scratch = world("descriptors");
    let wanted = std::fs::read(scratch.path().join("data.torrent")).unwrap();
    let binary = bitwren(scratch.path(), &[]).get_program().to_str().unwrap().to_owned();
    let shell = |line: &str| {
        let line = line.replace("bitwren", &binary);
        let ended = run(Command::new("bash").args(["-c", &line]).current_dir(scratch.path()));
        ended.expect(0);
        std::fs::read(scratch.path().join("out")).unwrap()
    };
    for name in ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        // The magnet link is not mixed with it.
        assert!(shell(&format!("bitwren create -q --no-date data -o {name} >out 2>err")) == wanted, "{name}");
    }
    assert!(shell("bitwren create -q --no-date data -o /dev/fd/3 3>out >link") == wanted);
    assert!(
        shell(
            "bitwren create -q --no-date data -o >(cat >out; echo >done) >link; until [ -e done ]; do :; done"
        ) == wanted
    );
    let more = shell("printf before >out; bitwren create -q --no-date data -o /dev/fd/3 3>>out >link");
    assert!(more == [b"before", &wanted[..]].concat());
}

#[test]
fn an_output_that_is_a_directory_takes_the_file_under_its_own_name() {
    let scratch = world("into");
    scratch.dir("new");
    for args in WRITING {
        for directory in ["new/", "new"] {
            go(&scratch, &[args, &["-o", directory]].concat()).expect(0);
            go(&scratch, &[args, &["-o", directory]].concat()).expect(13);
            assert_eq!(files_below(&scratch.path().join("new")), [PathBuf::from("data.torrent")]);
            std::fs::remove_file(scratch.path().join("new/data.torrent")).unwrap();
        }
        go(&scratch, &[args, &["-o", "absent/"]].concat()).expect(3);
    }
}

#[test]
fn what_would_fail_in_the_end_fails_before_anything_is_hashed() {
    let scratch = world("early");
    // Hours of hashing, and no bytes on disk.
    File::create(scratch.path().join("large")).unwrap().set_len(1 << 42).unwrap();
    scratch.dir("dir/large.torrent");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let share = ["share", "--bind", "127.0.0.1", "large"];
    for (args, code) in [
        (&["create", "large", "-o", "absent/x.torrent"][..], 3),
        (&["create", "large", "-o", "absent/"], 3),
        (&["create", "large", "-o", "data/x.torrent"], 16),
        (&["create", "large", "-o", "data.torrent"], 13),
        (&["create", "large", "-o", "dir", "--overwrite"], 16),
        (&["create", "large", "--name", "a/b", "-o", "x.torrent"], 28),
        (&[&share[..], &["--port", &port]].concat(), 6),
        (&[&share[..], &["--peer-port", &port]].concat(), 6),
        (&["share", "--bind", "127.0.0.1", "large", "./large"], 28),
    ] {
        go(&scratch, args).expect(code);
    }
    let dated = run(bitwren(scratch.path(), &["create", "large"])
        .current_dir(scratch.path())
        .env("SOURCE_DATE_EPOCH", "yesterday"));
    dated.expect(28);
    assert_eq!(files_below(scratch.path()), ["data", "data.torrent", "large"].map(PathBuf::from));
}

#[test]
fn what_cannot_be_written_is_found_before_anything_is_fetched() {
    let scratch = world("unfetched");
    scratch.dir("dir");
    let link = "magnet:?xt=urn:btih:0123456789012345678901234567890123456789";
    for (args, code) in [
        (&["--metadata-only", "-o", "absent/x"][..], 3),
        (&["--metadata-only", "-o", "absent/"], 3),
        (&["--metadata-only", "-o", "data/x"], 16),
        (&["--metadata-only", "-o", "data"], 13),
        (&["--metadata-only", "-d", "data"], 28),
        (&["-d", "data/x"], 28),
        (&["-d", "data"], 28),
        (&["-d", "dir", "--state-dir", "data/x"], 28),
        (&["-d", "dir", "--state-dir", "data"], 28),
    ] {
        let args = [&["get", "--bind", "127.0.0.1", "--port", "0", link], args].concat();
        let said = go(&scratch, &args).expect(code).stderr;
        assert!(said.contains("data") || said.contains("absent"), "{said}");
    }
    assert!(files_below(&scratch.path().join("dir")).is_empty());
}

#[test]
fn a_file_is_replaced_whole_and_its_link_kept() {
    let scratch = world("replaced");
    std::os::unix::fs::symlink("data.torrent", scratch.path().join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", scratch.path().join("dangling")).unwrap();
    go(&scratch, &["create", "data", "--comment", "new", "-o", "link"]).expect(13);
    go(&scratch, &["create", "data", "--comment", "new", "-o", "dangling"]).expect(13);
    go(&scratch, &["create", "data", "--comment", "new", "-o", "link", "--overwrite"]).expect(0);
    assert!(scratch.path().join("link").is_symlink());
    let metainfo =
        Metainfo::from_bytes(&std::fs::read(scratch.path().join("data.torrent")).unwrap()).unwrap();
    assert_eq!(metainfo.comment(), Some("new"));
    let long = "n".repeat(250);
    go(&scratch, &["create", "data", "--name", &long]).expect(0);
    assert!(Path::new(&scratch.path().join(format!("{}.torrent", &long[..247]))).is_file());
}
