//! `get` and `seed` as a user meets them, one serving the other on loopback.

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use super::{Scratch, album, bitwren, interrupt, ok};

/// A process whose standard output is read line by line; it does not outlive the test.
pub struct Talker {
    pub child: Child,
    pub lines: Lines<BufReader<ChildStdout>>,
}

impl Talker {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Talker { child, lines }
    }

    /// Reads up to the first line about `event`.
    #[track_caller]
    pub fn wait_for(&mut self, event: &str) -> String {
        let wanted = format!(r#""event":"{event}""#);
        let found = self.lines.by_ref().map(Result::unwrap).find(|line| line.contains(&wanted));
        found.unwrap_or_else(|| panic!("it ended without a line about {event}"))
    }

    /// Interrupts it and returns its exit code.
    pub fn end(mut self) -> Option<i32> {
        interrupt(&self.child);
        self.lines.by_ref().for_each(drop);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves the torrents in a directory; the second is its address.
pub fn seed(dir: &Path, torrents: &[&str]) -> (Talker, String) {
    let options = ["seed", "--json", "--no-tracker", "--bind", "127.0.0.1", "--port", "0"];
    let mut talker = Talker::start(bitwren().current_dir(dir).args(options).args(torrents));
    let listening = talker.wait_for("listening");
    let port: String = listening.rsplit(':').next().unwrap().chars().filter(char::is_ascii_digit).collect();
    let torrents = torrents.iter().filter(|word| !word.starts_with("--"));
    torrents.for_each(|_| drop(talker.wait_for("finished")));
    (talker, format!("127.0.0.1:{port}"))
}

/// `get` on loopback, without trackers, into `got`.
pub fn get(dir: &Path, more: &[&str]) -> Command {
    let mut command = bitwren();
    command
        .current_dir(dir)
        .args(["get", "-d", "got", "--no-tracker", "--bind", "127.0.0.1", "--port", "0"])
        .args(["--no-dht", "--no-lsd", "--no-portmap"])
        .args(more)
        .stdin(Stdio::null());
    command
}

#[track_caller]
pub fn said(output: &Output, code: i32) -> (String, String) {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_download_says_what_it_did_and_runs_its_command() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let (seed, peer) = seed(dir, &["album.torrent"]);
    let command = r#"printf '%s\n' "$BITWREN_NAME" "$BITWREN_DIR" "$BITWREN_PATH" "$BITWREN_SIZE" "$BITWREN_FILES" \
        "$BITWREN_TORRENT" "$BITWREN_INFO_HASH" >facts; echo from the command"#;
    let output = get(dir, &["--peer", &peer, "--on-complete", command, "album.torrent"])
        .env("PATH", std::env::var_os("PATH").unwrap())
        .output()
        .unwrap();
    let (stdout, stderr) = said(&output, 0);
    assert_eq!(stdout, "");
    assert!(stderr.starts_with("album: 68.4 KiB in 4 files\n"), "{stderr}");
    assert!(stderr.contains("\nalbum: complete, 68.4 KiB in "), "{stderr}");
    assert!(stderr.contains("from the command\n"), "{stderr}");
    for file in ["one.flac", "two.flac", "extras/cover.jpg", ".hidden"] {
        let read = |root: &str| std::fs::read(dir.join(root).join(file)).unwrap();
        assert_eq!(read("album"), read("got/album"), "{file}");
    }
    let facts = std::fs::read_to_string(dir.join("facts")).unwrap();
    let got = dir.canonicalize().unwrap().join("got");
    let facts: Vec<&str> = facts.lines().collect();
    assert_eq!(facts[0], "album");
    assert_eq!([Path::new(facts[1]), Path::new(facts[2])], [got.as_path(), &got.join("album")]);
    assert_eq!(&facts[3..6], ["70011", "4", "album.torrent"]);
    assert!(ok(dir, &["show", "album.torrent"]).contains(facts[6]));
    assert_eq!(seed.end(), Some(0));
}

#[test]
fn programs_read_it_line_by_line() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let (_seed, peer) = seed(dir, &["album.torrent"]);
    let options = ["--json", "-v", "--peer", &peer, "--on-complete", "exit 3", "album.torrent"];
    let output = get(dir, &options).env("PATH", std::env::var_os("PATH").unwrap()).output().unwrap();
    let (stdout, stderr) = said(&output, 0);
    // That the command fails is for people to know.
    assert!(stderr.starts_with("bitwren: album: --on-complete: the command ended with "), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(
        stdout.lines().all(|line| line.starts_with(r#"{"v":1,"event":""#) && line.ends_with('}')),
        "{stdout}"
    );
    let order = [
        "listening",
        "added",
        "started",
        "peer_connected",
        "piece",
        "finished",
        "stopped",
        "summary",
        "hook",
    ];
    let at: Vec<Option<usize>> =
        order.iter().map(|event| stdout.find(&format!(r#""event":"{event}""#))).collect();
    assert!(at.iter().all(Option::is_some) && at.is_sorted(), "{stdout}");
    assert_eq!(stdout.matches(r#""event":"file""#).count(), 4, "{stdout}");
    let last = stdout.lines().last().unwrap();
    assert!(last.starts_with(r#"{"v":1,"event":"hook","ts":"#), "{last}");
    assert!(last.ends_with(r#","name":"album","exit":3}"#), "{last}");
}

#[test]
fn only_what_was_selected_comes() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let (_seed, peer) = seed(dir, &["album.torrent"]);
    let output = get(dir, &["-q", "--peer", &peer, "--select", "two*", "album.torrent"]).output().unwrap();
    assert_eq!(said(&output, 0), (String::new(), String::new()));
    assert_eq!(std::fs::read(dir.join("got/album/two.flac")).unwrap(), vec![2; 20_000]);
    assert!(!dir.join("got/album/one.flac").exists());
}

#[test]
fn several_come_at_once_and_the_first_failure_decides() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    scratch.file("other.bin", vec![9; 100_000]);
    ok(dir, &["create", "-q", "other.bin"]);
    let (_seed, peer) = seed(dir, &["album.torrent", "other.bin.torrent"]);
    let torrents = ["album.torrent", "nowhere.torrent", "other.bin.torrent"];
    let output = get(dir, &["--peer", &peer]).args(torrents).output().unwrap();
    let (_, stderr) = said(&output, 3);
    assert!(stderr.contains("bitwren: cannot open nowhere.torrent"), "{stderr}");
    assert_eq!(std::fs::read(dir.join("got/other.bin")).unwrap(), vec![9; 100_000]);
    assert!(dir.join("got/album/one.flac").exists());
}

#[test]
fn an_interrupt_saves_and_exits_7() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let mut talker = Talker::start(&mut get(dir, &["--json", "album.torrent"]));
    talker.wait_for("started");
    assert_eq!(talker.end(), Some(7));
}

#[test]
fn out_of_time_is_2() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let output = get(dir, &["--max-time", "1", "album.torrent"]).output().unwrap();
    let (_, stderr) = said(&output, 2);
    assert!(stderr.contains("\nbitwren: --max-time has passed"), "{stderr}");
    assert!(stderr.contains("\nalbum: stopped at 0.0%"), "{stderr}");
}

#[test]
fn seeding_ends_at_its_limit() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let (_seed, peer) = seed(dir, &["album.torrent"]);
    let output = get(dir, &["--peer", &peer, "--seed-time", "1s", "album.torrent"]).output().unwrap();
    let (_, stderr) = said(&output, 0);
    assert!(stderr.ends_with("album: 0 B sent, ratio 0.00\n"), "{stderr}");
    // What is there already is complete at once, and 0 is not to seed.
    let output = get(dir, &["--seed", "--seed-ratio", "0", "album.torrent"]).output().unwrap();
    let (_, stderr) = said(&output, 0);
    assert!(stderr.contains("album: complete, 68.4 KiB, already there\n"), "{stderr}");
}

#[test]
fn a_file_in_the_way_is_13_and_overwritten_only_when_told() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let (_seed, peer) = seed(dir, &["album.torrent"]);
    let mine = scratch.file("got/album/one.flac", "mine");
    let output = get(dir, &["--peer", &peer, "album.torrent"]).output().unwrap();
    said(&output, 13);
    assert_eq!(std::fs::read(&mine).unwrap(), b"mine");
    let output = get(dir, &["--peer", &peer, "--overwrite", "album.torrent"]).output().unwrap();
    said(&output, 0);
    assert_eq!(std::fs::read(&mine).unwrap(), vec![1; 50_000]);
}

#[test]
fn what_is_not_there_cannot_be_seeded() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    std::fs::remove_file(dir.join("album/one.flac")).unwrap();
    let output = bitwren()
        .current_dir(dir)
        .args(["seed", "--no-tracker", "--bind", "127.0.0.1", "--port", "0", "album.torrent"])
        .output()
        .unwrap();
    let (_, stderr) = said(&output, 32);
    assert!(stderr.contains("bitwren: album: ") && stderr.contains("--partial"), "{stderr}");
}

#[test]
fn what_is_there_is_seeded_where_that_is_asked_for() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    // Each lacks what the other has: the end, and the beginning.
    for (file, bytes) in
        [("one.flac", vec![1; 50_000]), ("two.flac", vec![2; 20_000]), (".hidden", b"h".to_vec())]
    {
        scratch.file(&format!("rest/album/{file}"), bytes);
    }
    let rest = dir.join("rest");
    std::fs::copy(dir.join("album.torrent"), rest.join("album.torrent")).unwrap();
    std::fs::remove_file(dir.join("album/two.flac")).unwrap();
    let (_seed, peer) = seed(dir, &["--partial", "album.torrent"]);
    let (_rest, other) = seed(&rest, &["--partial", "album.torrent"]);
    let peers = ["--peer", &peer, "--peer", &other];
    let more = ["--max-time", "1m", "album.torrent"];
    let output = get(dir, &[&peers[..], &more].concat()).output().unwrap();
    said(&output, 0);
    assert_eq!(std::fs::read(dir.join("got/album/two.flac")).unwrap(), vec![2; 20_000]);
    assert!(!dir.join("album/two.flac").exists(), "nothing is downloaded");
}

#[test]
fn a_program_that_stops_reading_ends_it_quietly() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let mut child =
        get(dir, &["--json", "album.torrent"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(said(&output, 7).1, "");
}

#[test]
fn a_peer_that_cannot_be_looked_up_is_19() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let output = get(dir, &["--peer", "nobody.invalid:1", "album.torrent"]).output().unwrap();
    assert!(said(&output, 19).1.contains("nobody.invalid:1"));
}

#[test]
fn a_peer_that_cannot_be_looked_up_is_tried_again_where_others_may_come() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let (_seed, peer) = seed(dir, &["album.torrent"]);
    let named = ["--peer", "nobody.invalid:1"];
    let output = get(dir, &named).args(["--peer", &peer, "album.torrent"]).output().unwrap();
    said(&output, 0);
    let nowhere = ["--tracker", "http://127.0.0.1:1/announce", "--max-time", "2", "album.torrent"];
    let output = get(dir, &named).args(["-d", "other"]).args(nowhere).output().unwrap();
    let told = said(&output, 2).1;
    assert!(told.contains("the peer nobody.invalid cannot be looked up"), "{told}");
    assert_eq!(told.matches("nobody.invalid").count(), 1, "{told}");
}

#[test]
fn a_peer_that_is_named_is_looked_up_while_it_runs() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let (_seed, peer) = seed(dir, &["album.torrent"]);
    let port = peer.rsplit_once(':').unwrap().1;
    let named = format!("localhost:{port}");
    let tracker = ["--tracker", "http://127.0.0.1:1/announce"];
    said(&get(dir, &tracker).args(["--peer", &named, "album.torrent"]).output().unwrap(), 0);
}
