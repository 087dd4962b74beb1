//! Options that take a number, at their limits, in real runs of the program: it may refuse the value, or
//! do what it can, but never panic. The list of options is read from the help, which is made from the flag
//! table.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Output, Stdio};

use super::{Scratch, album, bitwren, interrupt, ok, transfer};

const NUMBERS: [&str; 8] = ["PORT", "N", "SIZE", "RATE", "DURATION", "MIN", "R", "CLASS"];

/// Such as no option needs all of; what one does not take it refuses.
const EDGES: [&str; 15] = [
    "0",
    "1",
    "1000",
    "10000",
    "65535",
    "1000000",
    "4294967295",
    "999999999",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "16777215T",
    "213503982334601d",
    "1.5",
    "0.0000000001",
];

/// The options of a command whose value holds a number.
fn numeric(command: &str) -> Vec<String> {
    let help = ok(Path::new("."), &[command, "--help"]);
    let options = help.lines().filter_map(|line| {
        let (_, option) = line.split_once("--").filter(|(before, _)| before.trim().len() <= 3)?;
        let (name, value) = option.split_once(' ')?;
        NUMBERS.contains(&value).then(|| format!("--{name}"))
    });
    options.collect()
}

#[track_caller]
fn is_in_order(args: &[&str], output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    let code = output.status.code();
    // 101 is a panic, none at all a signal.
    assert!(code.is_some_and(|code| code < 33) && !said.contains("panicked"), "{args:?}: {code:?} {said}");
}

#[test]
fn a_download_with_an_option_at_its_limit_ends_in_good_order() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let (_seed, peer) = transfer::seed(dir, &["album.torrent"]);
    let options = numeric("get");
    assert!(options.len() >= 10, "{options:?}");
    let runs: Vec<(String, &str)> =
        options.iter().flat_map(|option| EDGES.map(|value| (option.clone(), value))).collect();
    for some in runs.chunks(12) {
        let started: Vec<_> = some
            .iter()
            .map(|(option, value)| {
                let into = format!("got{option}-{value}");
                // It may be too slow to end by itself.
                let args =
                    ["get", "--max-time", "1", "--port", "0", "-d", &into, "--peer", &peer, "--no-tracker"];
                let child = bitwren()
                    .current_dir(dir)
                    .args(args)
                    .args(["--bind", "127.0.0.1", option, value, "album.torrent"])
                    .stdout(Stdio::null())
                    .stderr(Stdio::piped())
                    .spawn()
                    .unwrap();
                (option.as_str(), *value, child)
            })
            .collect();
        for (option, value, child) in started {
            is_in_order(&[option, value], &child.wait_with_output().unwrap());
        }
    }
}

#[test]
fn a_tracker_with_an_option_at_its_limit_answers() {
    for option in numeric("tracker") {
        for value in EDGES {
            let args = ["tracker", "--bind", "127.0.0.1", "--port", "0", &option, value];
            let mut child =
                bitwren().args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            if let Some(Ok(url)) = lines.next() {
                let host = url.trim_start_matches("http://").trim_end_matches("/announce").to_owned();
                let mut stream = TcpStream::connect(host).unwrap();
                let query = format!(
                    "info_hash={0}&peer_id={0}&port=7000&uploaded=0&downloaded=0&left=0",
                    "a".repeat(20)
                );
                write!(stream, "GET /announce?{query} HTTP/1.0\r\n\r\n").unwrap();
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).unwrap();
                assert!(answer.starts_with(b"HTTP/1."), "{option} {value}");
                interrupt(&child);
            }
            is_in_order(&[&option, value], &child.wait_with_output().unwrap());
        }
    }
}

#[test]
fn other_commands_with_an_option_at_its_limit_end_in_good_order() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let hash = "0".repeat(40);
    for (command, words) in [
        ("scrape", ["http://127.0.0.1:1/announce", hash.as_str()].as_slice()),
        ("create", &["album", "--overwrite", "-o", "made.torrent"]),
    ] {
        for option in numeric(command) {
            for value in EDGES {
                let args = [&[command, option.as_str(), value], words].concat();
                is_in_order(&args, &super::run(dir, &args));
            }
        }
    }
}
