//! What is said of a command line that cannot work, before anything is started: addresses and ports,
//! directories, the environment, errors of the system.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use super::{Scratch, album, bitwren, interrupt, ok, refused, run, tracker};

#[test]
fn bind_takes_an_address_or_an_interface_of_this_machine() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    for command in
        [["get", "album.torrent"].as_slice(), &["seed", "album.torrent"], &["share", "album"], &["tracker"]]
    {
        for (bind, said) in [
            ("192.0.2.7", "192.0.2.7 is not an address of this machine"),
            ("no-such-device", "no-such-device is neither an address nor a network interface"),
        ] {
            let line = refused(dir, &[command, &["--bind", bind]].concat(), 28);
            assert!(line.contains(said), "{line}");
        }
    }
    ok(dir, &["get", "--bind", "lo", "--port", "0", "-q", "--no-tracker", "album.torrent"]);
    let mut child =
        bitwren().args(["tracker", "--bind", "lo", "--port", "0"]).stdout(Stdio::piped()).spawn().unwrap();
    let first = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    interrupt(&child);
    child.wait().unwrap();
    assert!(first.starts_with("http://127.0.0.1:"), "{first}");
}

#[test]
fn a_port_that_is_taken_is_told() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    for command in [["tracker"].as_slice(), &["share", "album"], &["get", "album.torrent"]] {
        let line = refused(dir, &[command, &["-q", "--bind", "127.0.0.1", "--port", &port]].concat(), 6);
        assert!(line.contains("with --port") && !line.contains("os error"), "{line}");
    }
    // Where this fails another program has it, which is as good.
    let _usual = std::net::TcpListener::bind("[::]:6881");
    let output = run(dir, &["get", "--no-tracker", "album.torrent"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("port 6881 is taken; listening on 68"), "{said}");
}

#[test]
fn a_directory_that_is_a_file_is_told_before_anything_starts() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    for args in [
        ["verify", "-d", "album.torrent", "album.torrent"],
        ["seed", "-d", "album.torrent", "album.torrent"],
        ["get", "-d", "album.torrent/below/it", "album.torrent"],
        ["get", "--state-dir", "album.torrent", "album.torrent"],
    ] {
        assert!(refused(dir, &args, 28).ends_with(": album.torrent is not a directory"), "{args:?}");
    }
}

#[test]
fn a_variable_without_a_meaning_is_a_warning() {
    let scratch = Scratch::new("cli");
    let dir = album(&scratch);
    let run = |option: &str| {
        let output = bitwren()
            .current_dir(dir)
            .env("BITWREN_MAX_PEER", "3")
            .args(["verify", option, "album.torrent"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap())
    };
    assert!(
        run("-v")[1]
            .contains("unknown environment variable BITWREN_MAX_PEER; did you mean BITWREN_MAX_PEERS?")
    );
    let [out, err] = run("--json");
    assert!(out.starts_with(r#"{"v":1,"event":"warning","message":"#) && err.is_empty(), "{out} {err}");
    assert_eq!(run("-q")[1], "");
}

#[test]
fn errors_of_the_system_have_their_numbers_in_json_alone() {
    let output = run(Path::new("."), &["show", "--json", "nowhere"]);
    assert!(String::from_utf8(output.stdout).unwrap().contains("(os error 2)"));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("nowhere: ") && !said.contains("os error"), "{said}");
}

#[test]
fn a_scrape_needs_an_info_hash_and_names_each_that_is_unknown() {
    let here = Path::new(".");
    assert!(refused(here, &["scrape", "http://127.0.0.1:1/announce"], 28).contains("info-hash"));
    let (known, unknown) = ("0".repeat(40), "f".repeat(40));
    let (mut child, urls) = tracker(&["--allow", &known], 2);
    let said = ok(here, &["scrape", &urls[0], &known, &unknown]);
    assert!(said.contains(&format!("{} {unknown}: unknown to this tracker\n", urls[0])), "{said}");
    let said = ok(here, &["scrape", "--json", &urls[0], &unknown]);
    assert!(said.starts_with(r#"{"v":1,"event":"scrape_unknown","url":"#), "{said}");
    interrupt(&child);
    child.wait().unwrap();
}
