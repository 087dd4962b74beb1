//! The daemon as a program: driven over the RPC, killed and started again.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use bitwren::internals::base64;
use bitwren::metainfo::build::{Content, Torrent};
use bitwren::{TrackerServer, TrackerServerConfig};

use crate::support::child::{Child, PATIENCE, bitwren};
use crate::support::scratch::Scratch;

/// A daemon and where its RPC is.
struct Daemon {
    child: Child,
    rpc: SocketAddr,
}

impl Daemon {
    fn start(dir: &Path, more: &[&str]) -> Daemon {
        let downloads = dir.join("downloads");
        let (state, downloads) = (dir.join("state"), downloads.to_str().unwrap().to_owned());
        let mut args = vec!["daemon", "--state-dir", state.to_str().unwrap(), "--download-dir", &downloads];
        args.extend(["--rpc-bind", "127.0.0.1:0", "--bind", "127.0.0.1", "--port", "0", "--no-pex"]);
        args.extend(more);
        let child = Child::spawn(&mut bitwren(dir, &args));
        let line = child.wait_for_line(PATIENCE, |line| line.contains("the RPC is at http://"));
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        Daemon { child, rpc: address.unwrap().parse().unwrap() }
    }

    /// Asks, and gives head and body of the answer.
    fn ask(&self, head: &str, body: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.rpc).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!(
            "POST /transmission/rpc HTTP/1.1\r\nHost: {}\r\n{head}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.rpc,
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}"));
        (head.to_owned(), body.to_owned())
    }

    /// A request with a good session id.
    fn rpc(&self, method: &str, arguments: &str) -> String {
        let (refused, _) = self.ask("", "");
        let id = refused
            .lines()
            .find(|line| line.starts_with("X-Transmission-Session-Id"))
            .unwrap_or_else(|| panic!("{refused}"));
        let body = format!("{{\"method\":\"{method}\",\"arguments\":{arguments}}}");
        let (head, answer) = self.ask(&format!("{id}\r\n"), &body);
        assert!(head.starts_with("HTTP/1.1 200"), "{head}\n{answer}");
        answer
    }

    fn add(&self, torrent: &[u8]) -> String {
        let encoded = base64::encode(torrent);
        let answer = self.rpc("torrent-add", &format!("{{\"metainfo\":\"{encoded}\"}}"));
        assert!(answer.contains("\"result\":\"success\""), "{answer}");
        answer
    }

    /// Asks until the answer holds this.
    fn wait_for(&self, fields: &str, wanted: &str) -> String {
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            let answer = self.rpc("torrent-get", &format!("{{\"fields\":[{fields}]}}"));
            if answer.contains(wanted) {
                return answer;
            }
            assert!(std::time::Instant::now() < end, "no {wanted} in {answer}\n{}", self.child.said());
            // The daemon tells nothing of itself that could be waited for.
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn kill(self) {
        self.child.finish_off();
    }

    fn stop(self) {
        self.child.signal("TERM");
        self.child.wait_end(PATIENCE).expect(0);
    }
}

fn torrent(name: &str, bytes: &[u8], tracker: &str) -> Vec<u8> {
    let hashes = bytes.chunks(1 << 15).flat_map(bitwren::metainfo::build::piece_hash).collect();
    let torrent = Torrent::new(name, Content::File { length: bytes.len() as u64 }, 1 << 15, hashes);
    let tiers = if tracker.is_empty() { Vec::new() } else { vec![vec![tracker.to_owned()]] };
    torrent.tiers(tiers).encode().unwrap()
}

#[test]
fn a_torrent_that_was_added_is_downloaded_and_is_there_after_a_kill() {
    let scratch = Scratch::new("daemon");
    let dir = scratch.path();
    let tracker = TrackerServerConfig::default().http(["127.0.0.1:0".parse().unwrap()]);
    let tracker = TrackerServer::start(tracker).unwrap();
    let url = format!("http://{}/announce", tracker.http_addresses()[0]);
    let bytes: Vec<u8> = (0..500_000u32).map(|at| (at / 7) as u8).collect();
    let metainfo = torrent("data", &bytes, &url);
    std::fs::create_dir_all(dir.join("seed")).unwrap();
    std::fs::write(dir.join("seed/data"), &bytes).unwrap();
    std::fs::write(dir.join("t.torrent"), &metainfo).unwrap();
    let (file, data) = (dir.join("t.torrent"), dir.join("seed"));
    let seed =
        ["seed", "-d", data.to_str().unwrap(), "--bind", "127.0.0.1", "--port", "0", file.to_str().unwrap()];
    let seed = Child::spawn(&mut bitwren(dir, &seed));

    let daemon = Daemon::start(dir, &[]);
    assert!(daemon.add(&metainfo).contains("\"torrent-added\":{"));
    assert!(daemon.add(&metainfo).contains("\"torrent-duplicate\":{"));
    daemon.wait_for("\"percentDone\"", "\"percentDone\":1}");
    assert!(std::fs::read(dir.join("downloads/data")).unwrap() == bytes);
    daemon.rpc("torrent-set", "{\"ids\":1,\"labels\":[\"kept\"]}");
    daemon.rpc("session-set", "{\"speed-limit-up\":77,\"speed-limit-up-enabled\":true}");
    daemon.kill();

    let daemon = Daemon::start(dir, &[]);
    daemon.wait_for("\"id\",\"percentDone\",\"labels\"", "\"labels\":[\"kept\"]");
    let shown = daemon.wait_for("\"id\",\"percentDone\",\"status\"", "\"percentDone\":1");
    assert!(shown.contains("\"id\":1"), "{shown}");
    assert!(daemon.rpc("session-get", "{\"fields\":[\"speed-limit-up\"]}").contains("\"speed-limit-up\":77"));
    // Its number is not given to another.
    daemon.rpc("torrent-remove", "{\"ids\":1,\"delete-local-data\":true}");
    let other = daemon.add(&torrent("other", b"other", ""));
    assert!(other.contains("\"id\":2"), "{other}");
    daemon.stop();
    let gone = dir.join("downloads/data");
    assert!(!gone.exists(), "its data went with it");
    seed.finish_off();
}

/// What was answered is there after a kill, once and under the number that was told, however short after the answer
/// the kill comes.
#[test]
fn a_kill_loses_no_torrent_that_was_added_and_adds_none_twice() {
    let scratch = Scratch::new("daemon");
    let dir = scratch.path();
    let mut told: Vec<(String, String)> = Vec::new();
    let number = |text: &str| {
        let (_, rest) = text.split_once("\"id\":").unwrap();
        rest.chars().take_while(char::is_ascii_digit).collect::<String>()
    };
    for round in 0..6 {
        let daemon = Daemon::start(dir, &[]);
        let listed = daemon.rpc("torrent-get", "{\"fields\":[\"id\",\"name\"]}");
        for (name, id) in &told {
            let shown = format!("\"id\":{id},\"name\":\"{name}\"");
            assert_eq!(listed.matches(&shown).count(), 1, "{shown} in {listed}");
        }
        assert_eq!(listed.matches("\"id\":").count(), told.len(), "{listed}");
        for at in 0..=round {
            let name = format!("round-{round}-{at}");
            let answer = daemon.add(&torrent(&name, name.as_bytes(), ""));
            let id = number(&answer);
            assert!(told.iter().all(|(_, other)| *other != id), "{id} was given before");
            told.push((name, id));
        }
        if round == 3 {
            let (name, id) = told.remove(2);
            let answer = daemon.rpc("torrent-remove", &format!("{{\"ids\":{id}}}"));
            assert!(answer.contains("success"), "{name}: {answer}");
        }
        daemon.kill();
    }
}

#[test]
fn other_machines_need_a_password_and_strangers_learn_nothing() {
    let scratch = Scratch::new("daemon");
    let dir = scratch.path();
    let refused =
        Child::spawn(&mut bitwren(dir, &["daemon", "--rpc-bind", "0.0.0.0"])).wait_end(PATIENCE).expect(28);
    assert!(refused.stderr.contains("--rpc-password-file"), "{}", refused.stderr);
    let file = dir.join("password");
    std::fs::write(&file, "me:secret\n").unwrap();
    let file = file.to_str().unwrap();
    let with_file = ["daemon", "--rpc-password-file", file];
    let refused = Child::spawn(&mut bitwren(dir, &with_file)).wait_end(PATIENCE).expect(28);
    assert!(refused.stderr.contains("chmod 600"), "{}", refused.stderr);
    std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let daemon = Daemon::start(dir, &["--rpc-password-file", file]);
    let (head, _) = daemon.ask("", "{}");
    assert!(head.starts_with("HTTP/1.1 401") && !head.contains("Session-Id"), "{head}");
    let (head, _) = daemon.ask("Authorization: Basic bWU6c2VjcmV0\r\n", "{}");
    assert!(head.starts_with("HTTP/1.1 409") && head.contains("X-Transmission-Session-Id"), "{head}");
    // Another daemon cannot have the state meanwhile.
    let state = dir.join("state");
    let second = ["daemon", "--state-dir", state.to_str().unwrap(), "--rpc-bind", "127.0.0.1:0"];
    let second = Child::spawn(&mut bitwren(dir, &second)).wait_end(PATIENCE).expect(13);
    assert!(second.stderr.contains("is in use by process"), "{}", second.stderr);
    daemon.stop();
}

/// Moving, renaming and stopping are done or not, and the data are whole in one place, however short after the answer
/// the kill comes.
#[test]
fn a_kill_while_data_are_moved_or_renamed_loses_none_of_it() {
    let scratch = Scratch::new("daemon");
    let dir = scratch.path();
    let bytes: Vec<u8> = (0..300_000u32).map(|at| (at / 11) as u8).collect();
    let metainfo = torrent("data", &bytes, "");
    std::fs::create_dir_all(dir.join("downloads")).unwrap();
    std::fs::write(dir.join("downloads/data"), &bytes).unwrap();
    let roots = ["--roots", dir.to_str().unwrap()];
    let daemon = Daemon::start(dir, &roots);
    daemon.add(&metainfo);
    daemon.wait_for("\"percentDone\"", "\"percentDone\":1}");
    daemon.rpc("torrent-stop", "{\"ids\":1}");
    daemon.kill();
    let (mut places, mut names) = (vec!["downloads".to_owned()], vec!["data".to_owned()]);
    for round in 0..4 {
        let daemon = Daemon::start(dir, &roots);
        let complete = daemon.wait_for("\"percentDone\",\"status\"", "\"percentDone\":1,\"status\":0");
        assert!(complete.contains("\"result\":\"success\""), "{complete}");
        let to = format!("place-{round}");
        let there = dir.join(&to);
        let arguments = format!("{{\"ids\":1,\"location\":\"{}\",\"move\":true}}", there.display());
        let answer = daemon.rpc("torrent-set-location", &arguments);
        assert!(answer.contains("success"), "{answer}");
        let (name, next) = (names[round].clone(), format!("name-{round}"));
        let answer = daemon
            .rpc("torrent-rename-path", &format!("{{\"ids\":1,\"path\":\"{name}\",\"name\":\"{next}\"}}"));
        assert!(answer.contains("success"), "{answer}");
        daemon.kill();
        (places, names) = ([places, vec![to]].concat(), [names, vec![next]].concat());
        // In one of the places that were named, under one of the names.
        let copies = places.iter().flat_map(|at| names.iter().map(move |name| dir.join(at).join(name)));
        let found: Vec<_> = copies.filter(|path| path.exists()).collect();
        assert!(found.iter().any(|path| std::fs::read(path).unwrap() == bytes), "{found:?}");
    }
    let daemon = Daemon::start(dir, &roots);
    daemon.wait_for("\"percentDone\",\"status\"", "\"percentDone\":1,\"status\":0");
    // The RPC names the new place at once; the data follow.
    let (end, there) = (std::time::Instant::now() + PATIENCE, dir.join(&places[4]).join(&names[4]));
    while !there.exists() {
        assert!(std::time::Instant::now() < end, "{there:?} is not there\n{}", daemon.child.said());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(std::fs::read(&there).unwrap() == bytes);
    daemon.stop();
}

#[test]
fn it_answers_at_a_unix_socket_goes_on_after_a_hang_up_and_ends_when_asked() {
    let scratch = Scratch::new("daemon");
    let dir = scratch.path();
    let socket = dir.join("rpc.sock");
    let daemon = Daemon::start(dir, &["--rpc-socket", socket.to_str().unwrap()]);
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&socket).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o660);
    let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    stream
        .write_all(b"GET /transmission/rpc HTTP/1.1\r\nHost: any.example\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 409"), "{answer}");
    daemon.child.signal("HUP");
    daemon.child.wait_for_line(PATIENCE, |line| line.contains("read again"));
    let answer = daemon.rpc("session-close", "{}");
    assert!(answer.contains("success"), "{answer}");
    daemon.child.wait_end(PATIENCE).expect(0);
    assert!(!socket.exists());
}
