//! The command line as a user meets it: what is printed where, and how it exits.
//!
//! `BLESS=1 cargo test --test it cli::` writes the golden outputs in `testdata/cli` anew.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use bitwren::Metainfo;
use bitwren::metainfo::build::{Content, Torrent};

use crate::support::scratch::Scratch;

mod kept;
mod limits;
mod messages;
mod names;
mod running;
mod transfer;

/// The binary, in an environment that holds nothing of ours but what keeps it from looking for
/// anyone beyond this machine.
fn bitwren() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bitwren"));
    // As under systemd, where lines carry no time of their own.
    command.env_clear().env("JOURNAL_STREAM", "1:2").stdin(Stdio::null());
    command.envs(["DHT", "LSD", "PORTMAP"].map(|what| (format!("BITWREN_NO_{what}"), "1")));
    command
}

/// Runs it in a directory.
fn run(dir: &Path, args: &[&str]) -> Output {
    bitwren().current_dir(dir).args(args).output().unwrap()
}

#[track_caller]
fn ok(dir: &Path, args: &[&str]) -> String {
    let output = run(dir, args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// It exits with `code` and one line on standard error, which is returned.
#[track_caller]
fn refused(dir: &Path, args: &[&str], code: i32) -> String {
    let output = run(dir, args);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    let line = said.strip_prefix("bitwren: ").and_then(|line| line.strip_suffix('\n'));
    let line = line.unwrap_or_else(|| panic!("{said:?}"));
    assert!(!line.contains(char::is_control), "{line:?}");
    line.to_owned()
}

/// A directory `album` of four files and its torrent.
fn album(scratch: &Scratch) -> &Path {
    scratch.file("album/one.flac", vec![1; 50_000]);
    scratch.file("album/two.flac", vec![2; 20_000]);
    scratch.file("album/extras/cover.jpg", vec![3; 10]);
    scratch.file("album/.hidden", "h");
    let args = ["create", "album", "--hidden", "--no-date", "--overwrite", "-q"];
    let trackers = ["-t", "http://t.example/announce", "-t", "udp://t.example:1"];
    ok(scratch.path(), &[&args[..], &trackers].concat());
    scratch.path()
}

#[track_caller]
fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/cli").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(text, wanted, "{name} has changed; BLESS=1 takes it over");
}

const COMMANDS: [&str; 14] = [
    "get",
    "seed",
    "share",
    "show",
    "verify",
    "scrape",
    "create",
    "edit",
    "magnet",
    "tracker",
    "daemon",
    "completions",
    "man",
    "help",
];

#[test]
fn the_helps_are_as_recorded() {
    let here = Path::new(".");
    golden("program-short.txt", &ok(here, &["-h"]));
    golden("program-long.txt", &ok(here, &["--help"]));
    golden("json-schema.txt", &ok(here, &["help", "json"]));
    for command in COMMANDS {
        golden(&format!("{command}-short.txt"), &ok(here, &[command, "-h"]));
        golden(&format!("{command}-long.txt"), &ok(here, &[command, "--help"]));
        assert_eq!(ok(here, &["help", command]), ok(here, &[command, "--help"]));
    }
}

#[test]
fn no_line_of_help_is_longer_than_a_terminal() {
    for command in COMMANDS {
        let texts = ok(Path::new("."), &[command, "-h"]) + &ok(Path::new("."), &[command, "--help"]);
        // Command lines to copy are not broken.
        for line in texts.lines().filter(|line| !line.starts_with("  bitwren ")) {
            assert!(line.chars().count() <= 80, "{command}: {line}");
        }
    }
}

#[test]
fn the_version_tells_what_is_built_in() {
    let said = ok(Path::new("."), &["--version"]);
    assert!(said.starts_with(concat!("bitwren ", env!("CARGO_PKG_VERSION"), "\nfeatures: ")), "{said}");
    assert!(said.contains("\nSHA-1: "), "{said}");
}

#[test]
fn bash_completes_commands_options_and_words() {
    let script = ok(Path::new("."), &["completions", "bash"]);
    let complete = |words: &str| {
        let ask = format!(
            "compopt() {{ :; }}\n{script}\nCOMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}}-1)); \
             _bitwren; echo \"${{COMPREPLY[@]}}\""
        );
        let output = Command::new("bash").args(["-c", &ask]).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete("bitwren ve"), "verify");
    assert_eq!(complete("bitwren get --seq"), "--sequential");
    assert_eq!(complete("bitwren create --seq"), "");
    assert_eq!(complete("bitwren completions z"), "zsh");
    assert_eq!(complete("bitwren help sh"), "share show");
    assert_eq!(complete("bitwren get --down x"), "");
    assert_eq!(complete("bitwren get -d testd"), "testdata");
}

#[test]
fn a_bad_command_line_is_one_line_and_28() {
    let here = Path::new(".");
    for (args, said) in [
        (vec!["gte"], "did you mean get?"),
        (vec!["get"], "TORRENT"),
        (vec!["get", "--dwon", "1", "x"], "did you mean --down?"),
        (vec!["get", "--down", "1 parsec", "x"], "2M"),
        (vec!["get", "-", "-"], "standard input"),
        (vec!["completions", "tcsh"], "fish"),
        (vec!["help", "jsno"], "did you mean json?"),
        (vec!["scrape", "udp://127.0.0.1:1"], "info-hash"),
        (vec!["scrape", "x.torrent", "abc"], "40 hexadecimal"),
        (vec!["get", "\u{1b}[2J\n", "--\u{1b}"], "no option"),
    ] {
        let line = refused(here, &args, 28);
        assert!(line.contains(said), "{args:?}: {line}");
    }
}

#[test]
fn without_a_command_the_short_help_is_on_standard_error() {
    let output = run(Path::new("."), &[]);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(28), &b""[..]));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), ok(Path::new("."), &["-h"]));
}

/// A link that names a torrent by its v2 info-hash alone.
const V2_LINK: &str =
    "magnet:?xt=urn:btmh:1220caf1e1c30e81cb361b9ee167c4aa64228a7fa4fa9f6105232b28ad099f3a302e";

#[test]
fn each_way_a_torrent_can_be_bad_has_its_code() {
    let scratch = Scratch::new("cli");
    scratch.file("garbage", "garbage");
    scratch.file("empty-dict", "de");
    for (args, code) in [
        (["show", "nowhere"], 3),
        (["show", "garbage"], 25),
        (["get", "empty-dict"], 26),
        (["get", "magnet:?xt=urn:btih:00"], 27),
        (["get", V2_LINK], 27),
        (["show", V2_LINK], 27),
        (["magnet", V2_LINK], 27),
        (["verify", "garbage"], 25),
        (["seed", "nowhere"], 3),
    ] {
        let line = refused(scratch.path(), &args, code);
        assert!(line.contains(args[1]) || code == 27, "{line}");
    }
    let json = run(scratch.path(), &["show", "--json", "garbage"]);
    let line = String::from_utf8(json.stdout).unwrap();
    assert!(
        line.starts_with(r#"{"v":1,"event":"error","message":"garbage: "#)
            && line.ends_with(",\"exit\":25}\n"),
        "{line}"
    );
}

#[test]
fn of_several_torrents_the_first_failure_decides() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    scratch.file("garbage", "garbage");
    let output = run(dir, &["show", "nowhere", "album.torrent", "garbage"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(String::from_utf8(output.stderr).unwrap().lines().count(), 2);
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("Name           album\n"));
}

#[test]
fn show_tells_what_create_made() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    golden("show.txt", &ok(dir, &["show", "album.torrent"]));
    golden("show.json", &ok(dir, &["show", "--json", "album.torrent"]));
    golden("list.txt", &ok(dir, &["get", "--list", "album.torrent"]));
    golden(
        "list-selected.json",
        &ok(dir, &["get", "--list", "--json", "--select", "4-,extras/*", "album.torrent"]),
    );
    assert!(refused(dir, &["get", "--list", "--select", "5", "album.torrent"], 28).contains("1-4"));
    assert!(refused(dir, &["get", "--list", "--select", "*.mp3", "album.torrent"], 28).contains("*.mp3"));
}

#[test]
fn a_torrent_can_come_from_standard_input() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let torrent = std::fs::File::open(dir.join("album.torrent")).unwrap();
    let output = bitwren().args(["show", "-"]).stdin(torrent).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), ok(dir, &["show", "album.torrent"]));
}

#[test]
fn the_environment_counts_where_the_command_line_is_silent() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let shown = |args: &[&str], value: &str| {
        let output = bitwren().current_dir(dir).env("BITWREN_JSON", value).args(args).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert!(shown(&["show", "album.torrent"], "1").1.starts_with('{'));
    assert!(shown(&["show", "--no-json", "album.torrent"], "1").1.starts_with("Name"));
    assert_eq!(shown(&["show", "album.torrent"], "perhaps").0, Some(28));
}

#[test]
fn the_same_data_makes_the_same_torrent() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let first = std::fs::read(dir.join("album.torrent")).unwrap();
    let piped = run(
        dir,
        &[
            "create",
            "album/",
            "--hidden",
            "--no-date",
            "-o-",
            "-t",
            "http://t.example/announce",
            "-t",
            "udp://t.example:1",
        ],
    );
    assert_eq!(piped.stdout, first, "{}", String::from_utf8_lossy(&piped.stderr));
    let metainfo = Metainfo::from_bytes(&first).unwrap();
    let paths: Vec<_> = metainfo.files().iter().map(|file| file.path()).collect();
    let wanted = ["album/.hidden", "album/extras/cover.jpg", "album/one.flac", "album/two.flac"];
    assert_eq!(paths, wanted.map(Path::new));
    let link = String::from_utf8(piped.stderr).unwrap();
    assert!(link.ends_with(&format!("{}\n", metainfo.magnet_link())), "{link}");
    let dated = bitwren()
        .current_dir(dir)
        .env("SOURCE_DATE_EPOCH", "86400")
        .args(["create", "album", "-o", "dated", "--private", "--source", "S", "--name", "other"])
        .output()
        .unwrap();
    assert_eq!(dated.status.code(), Some(0), "{dated:?}");
    let dated = Metainfo::from_bytes(&std::fs::read(dir.join("dated")).unwrap()).unwrap();
    assert_eq!((dated.creation_date(), dated.files().len()), (Some(86400), 3));
    assert_eq!((dated.is_private(), dated.source(), dated.name()), (true, Some("S"), "other"));
}

#[test]
fn create_overwrites_only_when_told_and_never_takes_its_own_output() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    assert!(refused(dir, &["create", "album"], 13).contains("--overwrite"));
    let made = || Metainfo::from_bytes(&std::fs::read(dir.join("album/own.torrent")).unwrap()).unwrap();
    ok(dir, &["create", "-q", "--hidden", "album", "-o", "album/own.torrent"]);
    let first = made();
    ok(dir, &["create", "-q", "--hidden", "album", "-o", "album/own.torrent", "--overwrite"]);
    assert_eq!(made().info_hash(), first.info_hash());
    let left: Vec<_> =
        std::fs::read_dir(dir.join("album")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 5, "{left:?}");
}

#[test]
fn create_names_the_hidden_files_that_it_leaves_out_when_asked() {
    let scratch = Scratch::new("cli");
    let said = |option: &str| {
        let output = run(album(&scratch), &["create", "album", "--overwrite", option]);
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(said("-v").contains("album/.hidden is hidden: left out\n1 hidden name left out"));
    assert!(!said("--no-verbose").contains("album/.hidden"));
}

#[test]
fn create_says_what_it_cannot_do() {
    let scratch = Scratch::new("cli");
    scratch.file("nothing/empty", "");
    std::os::unix::fs::symlink("nowhere", scratch.path().join("nothing/link")).unwrap();
    let name = <OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"bad\xff");
    std::fs::create_dir(scratch.path().join("bytes")).unwrap();
    std::fs::write(scratch.path().join("bytes").join(name), "x").unwrap();
    refused(scratch.path(), &["create", "absent"], 3);
    assert!(refused(scratch.path(), &["create", "-q", "nothing"], 28).contains("no data"));
    assert!(refused(scratch.path(), &["create", "bytes"], 28).contains("UTF-8"));
    assert!(
        refused(scratch.path(), &["create", "bytes", "--json", "-o", "-"], 28).contains("standard output")
    );
    refused(scratch.path(), &["create", "/dev/null"], 15);
    assert!(!scratch.path().join("nothing.torrent").exists());
}

#[test]
fn verify_finds_every_wrong_byte_and_changes_nothing() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let summary = ok(dir, &["verify", "album.torrent"]);
    assert!(summary.starts_with("4 of 4 files and 5 of 5 pieces are correct, checked in "), "{summary}");
    assert_eq!(ok(dir, &["verify", "-q", "album.torrent"]), "");
    let mut bytes = vec![2; 20_000];
    bytes[19_999] = 0;
    scratch.file("album/two.flac", &bytes);
    std::fs::remove_file(dir.join("album/.hidden")).unwrap();
    let output = run(dir, &["verify", "album.torrent"]);
    assert_eq!(output.status.code(), Some(32), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("./album/.hidden: missing\n"), "{said}");
    assert!(said.contains("./album/two.flac: damaged: 1 of 2 pieces\n"), "{said}");
    // It shares a piece with the file that is missing.
    assert!(
        said.contains("./album/extras/cover.jpg: cannot be checked: data is missing for 1 of 1 piece"),
        "{said}"
    );
    assert!(said.contains(" 3 of 5 pieces are correct, 1 cannot be checked, "), "{said}");
    assert_eq!(std::fs::read(dir.join("album/two.flac")).unwrap(), bytes);
    assert!(!dir.join("album/.hidden").exists());
    let json = run(dir, &["verify", "--json", "album.torrent"]);
    let said = String::from_utf8(json.stdout).unwrap();
    assert!(
        said.contains(r#""path":"album/two.flac","size":20000,"condition":"damaged","bad_pieces":1}"#),
        "{said}"
    );
    let pieces = r#""have":3,"of":5,"bad":"4","good":false,"cannot_be_told":1,"untold":"0","#;
    assert!(said.contains(pieces), "{said}");
    assert!(said.contains(r#""condition":"cannot_be_told","bad_pieces":0,"cannot_be_told":1}"#), "{said}");
    let verbose = String::from_utf8(run(dir, &["verify", "-v", "album.torrent"]).stdout).unwrap();
    assert!(verbose.contains("wrong pieces, counted from 0: 4\n"), "{verbose}");
    assert!(verbose.contains("cannot be checked, counted from 0: 0\n"), "{verbose}");
    assert_eq!(run(dir, &["verify", "-d", "elsewhere", "album.torrent"]).status.code(), Some(32));
}

#[test]
fn verify_can_look_at_some_files_only() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    std::fs::write(dir.join("album/two.flac"), "short").unwrap();
    let output = run(dir, &["verify", "--select", "1,2", "album.torrent"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(run(dir, &["verify", "--select", "two*", "album.torrent"]).status.code(), Some(32));
}

#[test]
fn nothing_in_a_torrent_reaches_the_terminal_raw() {
    let scratch = Scratch::new("cli");
    let torrent = Torrent::new("n\u{1b}[31m", Content::File { length: 1 }, 16384, vec![0; 20])
        .comment("c\u{1b}]0;title\u{7}\r\n\u{9b}2J\u{202e}".to_owned())
        .source("\u{1b}[5m".to_owned())
        .created_by("\u{8}\u{8}".to_owned());
    scratch.file("evil.torrent", torrent.encode().unwrap());
    for args in [
        &["show", "evil.torrent"][..],
        &["show", "--json", "evil.torrent"],
        &["get", "--list", "evil.torrent"],
    ] {
        let said = ok(scratch.path(), args);
        assert!(!said.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{said:?}");
    }
    assert!(
        ok(scratch.path(), &["show", "evil.torrent"]).contains("Comment        c\\u{1b}]0;title\\u{7}\\r\\n")
    );
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let scratch = Scratch::new("cli");
    let files = (0..20_000).map(|i| bitwren::metainfo::build::Entry::new([format!("file number {i}")], 1));
    let torrent = Torrent::new("many", Content::Directory(files.collect()), 1 << 20, vec![0; 20]);
    scratch.file("many.torrent", torrent.encode().unwrap());
    let mut child = bitwren()
        .current_dir(scratch.path())
        .args(["show", "many.torrent"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 4];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn a_full_disk_under_standard_output_is_told() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = bitwren().current_dir(dir).args(["show", "album.torrent"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(9), "{output:?}");
    assert!(
        String::from_utf8(output.stderr).unwrap().starts_with("bitwren: cannot write to standard output")
    );
}

/// A tracker on loopback, and what it said first.
fn tracker(args: &[&str], lines: usize) -> (Child, Vec<String>) {
    let mut child = bitwren()
        .args(["tracker", "--bind", "127.0.0.1", "--port", "0"])
        .args(args)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap()).lines().take(lines).map(Result::unwrap).collect();
    (child, said)
}

fn interrupt(child: &Child) {
    signal(child, "INT");
}

fn signal(child: &Child, name: &str) {
    let killed = Command::new("sh").args(["-c", &format!("kill -{name} {}", child.id())]).status().unwrap();
    assert!(killed.success());
}

#[test]
fn the_tracker_prints_its_urls_answers_scrapes_and_ends_with_an_interrupt() {
    let (mut child, urls) = tracker(&[], 2);
    assert!(urls[0].starts_with("http://127.0.0.1:") && urls[0].ends_with("/announce"), "{urls:?}");
    assert!(urls[1].starts_with("udp://127.0.0.1:"), "{urls:?}");
    let hash = "0123456789abcdef0123456789abcdef01234567";
    // A seed announces itself.
    let host = urls[0].trim_start_matches("http://").trim_end_matches("/announce");
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    let escaped: String =
        hash.as_bytes().chunks(2).map(|pair| format!("%{}", std::str::from_utf8(pair).unwrap())).collect();
    let query =
        format!("info_hash={escaped}&peer_id=-XX0000-aaaaaaaaaaaa&port=7000&uploaded=0&downloaded=0&left=0");
    write!(stream, "GET /announce?{query} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    for url in &urls {
        let said = ok(Path::new("."), &["scrape", url, hash]);
        assert_eq!(said, format!("{url}: 1 seeder, 0 leechers, 0 completed downloads\n"));
    }
    let json = ok(Path::new("."), &["scrape", "--json", &urls[1], hash]);
    assert!(json.ends_with("\"seeders\":1,\"leechers\":0,\"downloaded\":0}\n"), "{json}");
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    refused(Path::new("."), &["scrape", "--timeout", "5", &urls[0], hash], 6);
}

#[test]
fn the_tracker_tells_programs_its_urls_too() {
    let (mut child, said) = tracker(&["--json"], 1);
    assert!(said[0].starts_with(r#"{"v":1,"event":"tracking","http":["http://127.0.0.1:"#), "{said:?}");
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
