//! What a running command says when a signal comes, and how it ends.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bitwren::Metainfo;
use bitwren::metainfo::build::{Content, Torrent};

use super::transfer::{Talker, get, seed};
use super::{Scratch, album, bitwren, signal};
use crate::support::proc;

const SEED: [&str; 6] = ["seed", "--json", "--bind", "127.0.0.1", "--port", "0"];

/// The binary, started by a shell that does something first.
fn after(first: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{first}; exec \"$@\""), "sh"]).arg(command.get_program());
    shell.args(command.get_args()).env_clear().stdin(Stdio::null());
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.current_dir(command.get_current_dir().unwrap());
    shell
}

#[test]
fn what_is_there_is_seeded_where_no_state_can_be_kept() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    scratch.file("file", "");
    let hash = super::ok(dir, &["show", "--json", "album.torrent"]);
    let hash = hash.split("\"torrent\":\"").nth(1).unwrap().get(..40).unwrap();
    scratch.file(&format!("taken/{hash}.bitwren"), "mine");
    (2..=9).for_each(|n| drop(scratch.file(&format!("taken/{hash}.{n}.bitwren"), "mine")));
    let long = "x".repeat(300);
    let is_note = |line: &String| line.contains(r#""event":"note""#) && line.contains("resume state");
    for folder in ["file", "file/below", "taken", &long, "/proc/self/nothing"] {
        let mut command = bitwren();
        command.current_dir(dir).args(SEED).args(["--no-tracker", "--state-dir", folder, "album.torrent"]);
        let mut talker = Talker::start(&mut command);
        // In either order.
        let (mut finished, mut notes) = (false, Vec::new());
        while !finished || notes.is_empty() {
            let line = talker.lines.next().unwrap_or_else(|| panic!("{folder}: it ended")).unwrap();
            finished |= line.contains(r#""event":"finished""#);
            notes.extend(Some(line).filter(is_note));
        }
        signal(&talker.child, "TERM");
        let rest: Vec<String> = talker.lines.by_ref().map(Result::unwrap).collect();
        notes.extend(rest.iter().filter(|line| is_note(line)).cloned());
        assert_eq!(notes.len(), 1, "{folder}: {notes:?}");
        assert!(rest.iter().any(|line| line.contains(r#""saved":false"#)), "{folder}: {rest:?}");
        assert_eq!(talker.child.wait().unwrap().code(), Some(0), "{folder}");
    }
}

#[test]
fn every_signal_that_ends_programs_has_the_state_saved() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    // One that is ignored here, as `nohup` has it, is ignored there too.
    let is_ignored = |name: &str| match name {
        "HUP" => proc::has_signal("/proc/self", "SigIgn", 1),
        "QUIT" => proc::has_signal("/proc/self", "SigIgn", 3),
        _ => false,
    };
    for name in ["INT", "TERM", "HUP", "QUIT"].into_iter().filter(|name| !is_ignored(name)) {
        let mut talker = Talker::start(&mut get(dir, &["--json", "album.torrent"]));
        talker.wait_for("started");
        signal(&talker.child, name);
        assert!(talker.wait_for("stopped").contains(r#""saved":true"#), "{name}");
        talker.lines.by_ref().for_each(drop);
        assert_eq!(talker.child.wait().unwrap().code(), Some(7), "{name}");
    }
}

#[test]
fn a_signal_is_no_failure_where_it_is_the_only_end() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let run = |args: &[&str], event: &str| {
        let mut talker = Talker::start(bitwren().current_dir(dir).args(args));
        talker.wait_for(event);
        signal(&talker.child, "TERM");
        talker.lines.by_ref().for_each(drop);
        talker.child.wait().unwrap().code()
    };
    let seed = [&SEED[..], &["--no-tracker", "album.torrent"]].concat();
    assert_eq!(run(&seed, "finished"), Some(0));
    assert_eq!(run(&[&seed[..], &["--seed-time", "1h"]].concat(), "finished"), Some(7));
    let share = ["share", "--json", "--bind", "127.0.0.1", "--port", "0", "album/one.flac"];
    assert_eq!(run(&share, "sharing"), Some(0));
    assert_eq!(run(&[&share[..], &["--once"]].concat(), "sharing"), Some(7));
}

#[test]
fn a_hang_up_that_was_ignored_at_the_start_stays_ignored_and_usr1_has_it_tell_where_it_stands() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let mut command = bitwren();
    command.current_dir(dir).args(SEED).args(["-q", "--no-tracker", "album.torrent"]);
    let mut talker = Talker::start(&mut after("trap '' HUP QUIT", &command));
    talker.wait_for("finished");
    for name in ["HUP", "QUIT", "USR1"] {
        signal(&talker.child, name);
    }
    assert!(talker.wait_for("progress").contains(r#""phase":"seeding""#));
    assert_eq!(talker.end(), Some(0));
}

/// Whether a process has a handler for SIGUSR1, which would end it otherwise.
fn hears_usr1(process: u32) -> bool {
    proc::has_signal(proc::of(process), "SigCgt", 10)
}

/// Of a file with nothing in it, but far too long to be hashed in a test.
#[test]
fn usr1_has_create_and_verify_tell_how_much_is_hashed() {
    const LENGTH: u64 = 256 << 30;
    const PIECE: u32 = 16 << 20;
    let scratch = Scratch::new("cli");
    let dir = scratch.path();
    std::fs::File::create(dir.join("long")).unwrap().set_len(LENGTH).unwrap();
    let hashes = vec![0; (LENGTH / u64::from(PIECE)) as usize * 20];
    let torrent = Torrent::new("long", Content::File { length: LENGTH }, PIECE, hashes);
    std::fs::write(dir.join("long.torrent"), torrent.encode().unwrap()).unwrap();
    for args in [["create", "-o", "other.torrent", "long"], ["verify", "-d", ".", "long.torrent"]] {
        let mut talker = Talker::start(bitwren().current_dir(dir).args(args).args(["-q", "--json"]));
        let (process, told) = (talker.child.id(), Arc::new(AtomicBool::new(false)));
        let asks = told.clone();
        // It may not have begun to hash yet: then once more.
        let asking = thread::spawn(move || {
            while !asks.load(Ordering::Relaxed) {
                if hears_usr1(process) {
                    Command::new("sh").args(["-c", &format!("kill -USR1 {process}")]).status().unwrap();
                }
                thread::sleep(Duration::from_millis(20));
            }
        });
        let line = talker.wait_for("progress");
        told.store(true, Ordering::Relaxed);
        asking.join().unwrap();
        assert!(line.contains(r#""phase":"checking""#) && line.contains(r#""pieces_total":16384"#), "{line}");
        signal(&talker.child, "TERM");
        talker.lines.by_ref().for_each(drop);
        assert_eq!(talker.child.wait().unwrap().code(), Some(7), "{args:?}");
    }
}

#[test]
fn a_limit_on_the_length_of_files_is_waited_out_like_a_full_disk() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let (_seed, peer) = seed(dir, &["album.torrent"]);
    let get = get(dir, &["--json", "--peer", &peer, "album.torrent"]);
    // 16 blocks of 512 bytes; the state is shorter.
    let mut talker = Talker::start(&mut after("ulimit -f 16", &get));
    assert!(talker.wait_for("storage_failed").contains(r#""exit":9"#));
    assert_eq!(talker.end(), Some(7));
}

/// A standard output that takes nothing any more; it does while the other end lives.
fn stuck() -> (OwnedFd, UnixStream) {
    let (mut output, reader) = UnixStream::pair().unwrap();
    output.set_nonblocking(true).unwrap();
    loop {
        match output.write(&[b'.'; 4096]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    output.set_nonblocking(false).unwrap();
    (output.into(), reader)
}

/// A port that is free.
fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

/// Waits until it serves the torrent: it answers a handshake.
fn serves(port: &str, torrent: &Path) {
    let info_hash = Metainfo::from_vec(std::fs::read(torrent).unwrap()).unwrap().info_hash();
    let hello = [&b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0"[..], info_hash.as_bytes(), &[b'x'; 20]].concat();
    let answers = || -> std::io::Result<()> {
        let mut peer = TcpStream::connect(format!("127.0.0.1:{port}"))?;
        peer.write_all(&hello)?;
        peer.read_exact(&mut [0; 68])
    };
    while answers().is_err() {
        thread::yield_now();
    }
}

#[test]
fn a_download_whose_output_is_not_read_completes_and_ends() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let (_seed, peer) = seed(dir, &["album.torrent"]);
    let (output, _reader) = stuck();
    let status =
        get(dir, &["--json", "-v", "--peer", &peer, "album.torrent"]).stdout(output).status().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(dir.join("got/album/one.flac").exists());
}

#[test]
fn a_signal_is_heard_and_the_state_saved_if_the_output_is_not_read() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let port = free_port();
    for (args, code) in [(&["seed"][..], 0), (&["get", "--seed"], 7)] {
        let (output, _reader) = stuck();
        let mut child = bitwren()
            .current_dir(dir)
            .args(args)
            .args(["--json", "-v", "--no-tracker", "--bind", "127.0.0.1", "--port", &port])
            .args(["--state-dir", "state", "album.torrent"])
            .stdout(output)
            .spawn()
            .unwrap();
        serves(&port, &dir.join("album.torrent"));
        signal(&child, "TERM");
        assert_eq!(child.wait().unwrap().code(), Some(code));
        let states = std::fs::read_dir(dir.join("state")).unwrap();
        let names: Vec<_> = states.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert!(names.iter().any(|name| name.ends_with(".bitwren")), "{names:?}");
    }
}

/// A tracker's URL with all that could be a secret in it, at a port where nothing listens.
fn secret_url() -> String {
    format!("http://me:pw@127.0.0.1:{}/0123456789abcdef0123456789abcdef/announce?key=k1", free_port())
}

#[test]
fn secrets_in_urls_are_masked_unless_asked_for() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let url = secret_url();
    super::ok(dir, &["create", "-q", "-t", &url, "-o", "secret.torrent", "album/one.flac"]);
    let hash = "0123456789abcdef0123456789abcdef01234567";
    let run = |args: &[&str]| {
        let output = bitwren().current_dir(dir).args(args).output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let get = ["get", "-d", "got", "--bind", "127.0.0.1", "--port", "0", "--max-time", "2"];
    let secret =
        |said: &str| said.contains("me:pw") || said.contains("/0123456789abcdef") || said.contains("k1");
    for args in [
        &[&get[..], &["secret.torrent"]].concat()[..],
        &[&get[..], &["--json", "-v", "secret.torrent"]].concat(),
        &["scrape", "--timeout", "2", &url, hash],
        &["scrape", "--timeout", "2", "--json", &url, hash],
        &["get", "--json", &url],
        &["show", &url],
    ] {
        let said = run(args);
        assert!(said.contains("http://***@127.0.0.1:") && !secret(&said), "{args:?}: {said}");
        let said = run(&[args, &["--show-secrets"]].concat());
        assert!(secret(&said), "{args:?}: {said}");
    }
    assert!(run(&["show", "secret.torrent"]).contains(&url));
}

#[test]
fn a_run_without_sources_of_peers_says_so_at_once() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let output = get(dir, &["--max-time", "1", "album.torrent"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("album: no way to find peers: no tracker, no --peer"), "{said}");
    let output = get(dir, &["--max-time", "1", "--peer", "127.0.0.1:1", "album.torrent"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!said.contains("no way to find peers"), "{said}");
}

#[test]
fn programs_are_told_of_progress_only_where_something_changed() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let mut command = bitwren();
    command.current_dir(dir).args(SEED).args(["--no-tracker", "--seed-time", "4s", "album.torrent"]);
    let mut talker = Talker::start(&mut command);
    let lines: Vec<String> = talker.lines.by_ref().map(Result::unwrap).collect();
    let idle = lines.iter().filter(|line| line.contains(r#""phase":"seeding""#)).count();
    assert!(lines.iter().any(|line| line.contains(r#""event":"seeding_done""#)), "{lines:?}");
    assert!(idle <= 2, "{lines:?}");
}

#[test]
fn lines_have_the_time_where_no_terminal_and_no_journal_shows_it() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let mut get = get(dir, &["--max-time", "1", "album.torrent"]);
    let output = get.env_remove("JOURNAL_STREAM").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let stamped =
        |line: &str| line.get(..23).is_some_and(|time| time.starts_with("20") && time.ends_with(" UTC"));
    assert!(said.lines().count() > 1 && said.lines().all(stamped), "{said}");
}
