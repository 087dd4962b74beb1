//! `share` as two machines meet it: one shares, the others type the line that it prints.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use crate::support::child::{Child, PATIENCE, bitwren, run};
use crate::support::content::{Recipe, Torrent};
use crate::support::scratch::Scratch;
use bitwren::Metainfo;

/// Shares on loopback, on free ports.
fn share(scratch: &Scratch, args: &[&str]) -> Child {
    let mut all = vec!["share", "--bind", "127.0.0.1", "--port", "0", "--peer-port", "0"];
    all.extend_from_slice(args);
    Child::spawn(bitwren(scratch.path(), &all).env("LC_ALL", "C.UTF-8").current_dir(scratch.path()))
}

/// The URLs in the line to type.
fn urls(child: &Child) -> Vec<String> {
    let line = child.wait_for_line(PATIENCE, |line| line.starts_with("bitwren get http://"));
    line.split(' ').skip(2).map(str::to_owned).collect()
}

/// Types it.
fn get(scratch: &Scratch, dir: &str, urls: &[String]) -> Child {
    let mut all = vec!["get", "--bind", "127.0.0.1", "--port", "0", "-d", dir];
    all.extend(urls.iter().map(String::as_str));
    Child::spawn(bitwren(scratch.path(), &all).current_dir(scratch.path()))
}

fn fetch(url: &str) -> (String, Vec<u8>) {
    let (host, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    (String::from_utf8_lossy(&answer[..end]).into_owned(), answer[end..].to_vec())
}

/// Something to share, below `scratch`.
fn album(scratch: &Scratch) -> Torrent {
    let made =
        Recipe::multi("an album", &[("one.bin", 700_000), ("two/é.bin", 300_000), ("empty", 0)]).make();
    made.write_to(scratch.path());
    made
}

#[test]
fn three_take_it_and_then_it_ends() {
    let scratch = Scratch::new("share-three");
    let album = album(&scratch);
    let sharing = share(&scratch, &["--for", "3", "an album"]);
    let urls = urls(&sharing);
    assert!(urls.len() == 1 && urls[0].ends_with("/an%20album.torrent"), "{urls:?}");
    let (head, torrent) = fetch(&urls[0]);
    assert!(head.starts_with("HTTP/1.1 200 OK") && head.contains("application/x-bittorrent"), "{head}");
    let metainfo = Metainfo::from_bytes(&torrent).unwrap();
    assert!(metainfo.is_private() && metainfo.tiers().len() == 1);
    let dirs = ["a", "b", "c"];
    let getting = dirs.map(|dir| get(&scratch, dir, &urls));
    for child in getting {
        child.wait_end(PATIENCE).expect(0);
    }
    for dir in dirs {
        album.assert_complete(&scratch.path().join(dir));
    }
    let ended = sharing.wait_end(PATIENCE).expect(0);
    assert!(ended.stderr.contains("3 machines with everything"), "{}", ended.stderr);
    assert!(!scratch.path().join("an album.torrent").exists());
}

#[test]
fn several_paths_go_in_one_line() {
    let scratch = Scratch::new("share-several");
    let album = album(&scratch);
    let image = Recipe::single("disk.img", 200_000).make();
    image.write_to(&scratch.dir("elsewhere"));
    let sharing = share(&scratch, &["--once", "--json", "an album", "elsewhere/disk.img"]);
    let said = |event: &str| {
        let wanted = format!(r#""event":"{event}""#);
        sharing.wait_for_line(PATIENCE, move |line| line.contains(&wanted))
    };
    said("sharing");
    said("finished");
    let lines = sharing.lines();
    let urls: Vec<String> = lines
        .iter()
        .filter(|line| line.contains(r#""event":"sharing""#))
        .map(|line| line.split(r#""url":""#).nth(1).unwrap().split('"').next().unwrap().to_owned())
        .collect();
    assert_eq!(urls.len(), 2, "{lines:?}");
    get(&scratch, "got", &urls).wait_end(PATIENCE).expect(0);
    album.assert_complete(&scratch.path().join("got"));
    image.assert_complete(&scratch.path().join("got"));
    said("guest_done");
    let ended = sharing.wait_end(PATIENCE).expect(0);
    let last = ended.stdout.lines().last().unwrap();
    assert!(last.contains(r#""event":"shared","#) && last.contains(r#""whole":1,"#), "{}", ended.stdout);
}

#[test]
fn strangers_that_do_not_know_the_word_get_nothing() {
    let scratch = Scratch::new("share-secret");
    let album = album(&scratch);
    let sharing = share(&scratch, &["--once", "--secret", "tulip", "an album"]);
    let known = urls(&sharing);
    let (root, path) = known[0].trim_start_matches("http://").split_once('/').unwrap();
    let (token, name) = path.split_once('/').unwrap();
    assert_eq!((token.len(), name), (20, "an%20album.torrent"));
    for guess in ["", "an%20album.torrent", "tulip/an%20album.torrent", &format!("{token}/")] {
        let (head, _) = fetch(&format!("http://{root}/{guess}"));
        assert!(head.starts_with("HTTP/1.1 404"), "{guess}: {head}");
    }
    // The same data without the word has another info-hash, and the tracker knows only the one.
    let open = share(&scratch, &["an album"]);
    let without = Metainfo::from_bytes(&fetch(&urls(&open)[0]).1).unwrap();
    let with = Metainfo::from_bytes(&fetch(&known[0]).1).unwrap();
    assert_ne!(with.info_hash(), without.info_hash());
    let hash: String = without.info_hash().as_bytes().iter().map(|byte| format!("%{byte:02X}")).collect();
    let query = format!("announce?info_hash={hash}&peer_id=aaaaaaaaaaaaaaaaaaaa&port=1&left=1");
    let refused = String::from_utf8(fetch(&format!("http://{root}/{query}")).1).unwrap();
    assert!(refused.contains("failure reason"), "{refused}");
    // The same word makes the same of the same.
    let again = share(&scratch, &["--secret", "tulip", "an album"]);
    let other = urls(&again);
    assert!(other[0].ends_with(path) && other != known, "{other:?}");
    assert_eq!(Metainfo::from_bytes(&fetch(&other[0]).1).unwrap().info_hash(), with.info_hash());
    get(&scratch, "got", &known).wait_end(PATIENCE).expect(0);
    album.assert_complete(&scratch.path().join("got"));
    sharing.wait_end(PATIENCE).expect(0);
}

#[test]
fn a_guest_that_took_nothing_does_not_count() {
    let scratch = Scratch::new("share-again");
    album(&scratch);
    let sharing = share(&scratch, &["an album"]);
    let line = urls(&sharing);
    get(&scratch, "got", &line).wait_end(PATIENCE).expect(0);
    sharing.wait_for_line(PATIENCE, |line| line.ends_with("has everything, 1 of 1"));
    // The data is there: it announces itself as a seed at once.
    let again = Child::spawn(
        bitwren(
            scratch.path(),
            &["get", "--seed", "--json", "--bind", "127.0.0.1", "--port", "0", "-d", "got", &line[0]],
        )
        .current_dir(scratch.path()),
    );
    again.wait_for_line(PATIENCE, |line| line.contains("\"tracker\""));
    again.signal("INT");
    again.wait_end(PATIENCE).expect(7);
    get(&scratch, "got too", &line).wait_end(PATIENCE).expect(0);
    sharing.wait_for_line(PATIENCE, |line| line.ends_with("has everything, 2 of 3"));
    sharing.signal("INT");
    sharing.wait_end(PATIENCE).expect(0);
}

#[test]
fn what_cannot_be_shared_is_told() {
    let scratch = Scratch::new("share-refused");
    let album = album(&scratch);
    let refused = |args: &[&str], code| {
        let all: Vec<&str> = ["share", "--bind", "127.0.0.1"].iter().chain(args).copied().collect();
        run(bitwren(scratch.path(), &all).current_dir(scratch.path())).expect(code).stderr
    };
    refused(&["absent"], 3);
    let elsewhere = scratch.dir("elsewhere");
    album.write_to(&elsewhere);
    assert!(refused(&["an album", "elsewhere/an album"], 28).contains("two of the paths"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    assert!(refused(&["--port", &port, "an album"], 6).contains("cannot listen"));
    refused(&["--for", "0", "an album"], 28);
    refused(&["--host", "http://x", "an album"], 28);
    assert!(Path::new(&elsewhere).is_dir());
}

/// A packet to 127.0.0.9 leaves from 127.0.0.1 if it is not told otherwise, as it is with every further
/// address of an interface.
#[test]
fn it_is_found_at_the_address_it_is_bound_to_and_is_no_guest_of_its_own() {
    let scratch = Scratch::new("share-bound");
    let album = album(&scratch);
    let args = ["share", "--bind", "127.0.0.9", "--port", "0", "--peer-port", "0", "--once", "an album"];
    let sharing = Child::spawn(bitwren(scratch.path(), &args).current_dir(scratch.path()));
    let line = urls(&sharing);
    let root = line[0].trim_end_matches("/an%20album.torrent");
    let metainfo = Metainfo::from_bytes(&fetch(&line[0]).1).unwrap();
    let hash: String = metainfo.info_hash().as_bytes().iter().map(|byte| format!("%{byte:02X}")).collect();
    let query = format!("announce?info_hash={hash}&peer_id=aaaaaaaaaaaaaaaaaaaa&port=1&left=1&compact=1");
    let end = std::time::Instant::now() + PATIENCE;
    let peers = loop {
        let answer = fetch(&format!("{root}/{query}")).1;
        let at = answer.windows(7).position(|window| window == b"5:peers").unwrap() + 7;
        if !answer[at..].starts_with(b"0:") {
            break answer[at..].to_vec();
        }
        assert!(std::time::Instant::now() < end, "{}", sharing.said());
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert!(peers.starts_with(b"6:\x7f\0\0\x09"), "{}", peers.escape_ascii());
    get(&scratch, "got", &line).wait_end(PATIENCE).expect(0);
    album.assert_complete(&scratch.path().join("got"));
    let ended = sharing.wait_end(PATIENCE).expect(0);
    assert!(!ended.stderr.contains("127.0.0.9:"), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("has everything").count(), 1, "{}", ended.stderr);
}

#[test]
fn names_and_codes_are_as_asked() {
    let scratch = Scratch::new("share-host");
    album(&scratch);
    let sharing = share(&scratch, &["--host", "nas.local", "--qr", "an album"]);
    let line = urls(&sharing);
    assert!(line[0].starts_with("http://nas.local:"), "{line:?}");
    // Reached by its address, it names that as the tracker.
    let other = sharing.wait_for_line(PATIENCE, |line| line.contains("or, using another address"));
    let other = other.split(' ').next_back().unwrap();
    assert!(other.ends_with("/127.0.0.1/an%20album.torrent"), "{other}");
    let tiers = |torrent: &[u8]| Metainfo::from_bytes(torrent).unwrap().tiers().concat();
    assert!(tiers(&fetch(other).1).iter().all(|url| url.contains("://127.0.0.1:")));
    let port = other.split(':').nth(2).unwrap().split('/').next().unwrap();
    let main = fetch(&line[0].replace("nas.local", "127.0.0.1")).1;
    assert_eq!(tiers(&main), ["http", "udp"].map(|scheme| format!("{scheme}://nas.local:{port}/announce")));
    let code = sharing.wait_for_line(PATIENCE, |line| line.contains('▄'));
    assert!(code.chars().all(|c| "█▀▄ ".contains(c)), "{code}");
}
