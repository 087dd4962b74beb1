//! The binary as a person or a script uses it: a tracker, a seed and a download; Ctrl-C and going on;
//! disks that are full, read-only or changed behind its back; exit codes.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crate::support::bencode::{bytes, dict, int, list};
use crate::support::child::{Child, PATIENCE, bitwren, run};
use crate::support::content::{BLOCK, Recipe, Torrent};
use crate::support::http;
use crate::support::peer::next_address;
use crate::support::scratch::{Scratch, files_below};
use crate::support::seeder::{Manner, Seeder};

const QUIET_NETWORK: [&str; 4] = ["--no-dht", "--no-lsd", "--no-portmap", "--no-tracker"];

/// `get` of this torrent into `DIR/got`, from this peer.
fn get(scratch: &Scratch, torrent: &Torrent, peer: SocketAddr) -> Command {
    let file = scratch.file("t.torrent", &torrent.metainfo);
    let mut command = bitwren(scratch.path(), &["get", "--json", "--verbose", "--port", "0"]);
    command.args(QUIET_NETWORK).args(["--peer", &peer.to_string(), "-d"]).arg(scratch.dir("got")).arg(file);
    command
}

fn multi() -> Torrent {
    let files = [
        ("one", 100_000),
        ("two/three", 1),
        ("two/four", 65_536),
        ("empty", 0),
        ("héé/🦀", 300_000),
        ("last", 12_345),
    ];
    Recipe::multi("several files", &files).make()
}

/// The embedded tracker, a seed and a download, all the binary's own, over HTTP and over UDP.
#[test]
fn a_tracker_a_seed_and_a_download() {
    let scratch = Scratch::new("trio");
    let ip = next_address().to_string();
    let port = std::net::TcpListener::bind((ip.as_str(), 0)).unwrap().local_addr().unwrap().port();
    let tracker =
        Child::spawn(&mut bitwren(scratch.path(), &["tracker", "--bind", &ip, "--port", &port.to_string()]));
    let address: SocketAddr = format!("{ip}:{port}").parse().unwrap();
    for scheme in ["http", "udp"] {
        let source = scratch.dir("source");
        let torrent = multi();
        torrent.write_to(&source);
        let file = scratch.path().join(format!("{scheme}.torrent"));
        let url = format!("{scheme}://{address}/announce");
        let mut create = bitwren(
            scratch.path(),
            &["create", "--quiet", "--piece-length", "64K", "--source", scheme, "--tracker", &url, "-o"],
        );
        run(create.arg(&file).arg(source.join(&torrent.name))).expect(0);
        let seed = Child::spawn(
            bitwren(scratch.path(), &["seed", "--json", "--port", "0", "-d"]).arg(&source).arg(&file),
        );
        wait_scrape(&scratch, &file, &tracker);
        let got = scratch.dir(&format!("got-{scheme}"));
        run(bitwren(scratch.path(), &["get", "--json", "--port", "0", "-d"]).arg(&got).arg(&file)).expect(0);
        torrent.assert_complete(&got);
        seed.signal("INT");
        seed.wait_end(PATIENCE).expect(0);
    }
    assert!(http::get(address, "/announce").is_ok());
    tracker.signal("INT");
    tracker.wait_end(PATIENCE).expect_one_of(&[0, 7]);
}

/// Waits until the tracker knows a seed.
#[track_caller]
fn wait_scrape(scratch: &Scratch, file: &Path, tracker: &Child) {
    let end = std::time::Instant::now() + PATIENCE;
    loop {
        let ended = run(bitwren(scratch.path(), &["scrape", "--json"]).arg(file));
        if ended.stdout.contains("\"seeders\":1") {
            return;
        }
        assert!(std::time::Instant::now() < end, "no seed: {ended:#?}\n{}", tracker.said());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The `.torrent` from the web, the announces and the peers: all see this address and no other.
#[test]
fn all_of_it_leaves_from_the_address_that_was_chosen() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let callers = seen.clone();
    let served = Arc::new(OnceLock::<(Vec<u8>, Vec<u8>)>::new());
    let answers = served.clone();
    let server = http::Server::start(move |request, stream| {
        callers.lock().unwrap().push((request.to_owned(), stream.peer_addr()?.ip()));
        let (torrent, peers) = answers.get().unwrap();
        let body = if request.contains(".torrent") { torrent } else { peers };
        http::ok(stream, body)
    });
    let torrent = Arc::new(Recipe::single("bound.bin", 200_000).tracker(&server.url("/announce")).make());
    let seeder = Seeder::start(&torrent, Manner::default());
    let peer = seeder.address();
    let peer = [("ip", bytes(peer.ip().to_string())), ("port", int(u64::from(peer.port())))];
    let answer = dict([("interval", int(1800)), ("peers", list([dict(peer)]))]).encode();
    served.set((torrent.metainfo.clone(), answer)).unwrap();

    let (scratch, ip) = (Scratch::new("bound"), next_address());
    let mut command = bitwren(scratch.path(), &["get", "--no-dht", "--no-lsd", "--port", "0", "-d"]);
    command.arg(scratch.dir("got")).args(["--bind", &ip.to_string()]);
    run(command.arg(server.url("/bound.torrent"))).expect(0);
    torrent.assert_complete(&scratch.path().join("got"));
    let seen = seen.lock().unwrap();
    assert!(seen.iter().all(|(_, from)| *from == ip), "{ip}: {seen:#?}");
    for what in ["/bound.torrent", "event=started", "event=completed", "event=stopped"] {
        assert!(seen.iter().any(|(request, _)| request.contains(what)), "no {what}: {seen:#?}");
    }
    seeder.books(|books| {
        assert!(books.callers.iter().all(|from| from.ip() == ip), "{ip}: {:?}", books.callers)
    });
}

/// A download with its first piece, from a seeder slow enough for it to be interrupted in the middle.
fn begun(name: &str) -> (Arc<Torrent>, Scratch, Seeder, Child) {
    let torrent = Arc::new(Recipe::single(name, 40 * 4 * BLOCK as usize).make());
    let scratch = Scratch::new(name);
    let seeder = Seeder::start(&torrent, Manner { rate: Some(4 << 20), ..Manner::default() });
    let child = Child::spawn(&mut get(&scratch, &torrent, seeder.address()));
    child.wait_for_line(PATIENCE, |line| line.contains("\"event\":\"piece\""));
    (torrent, scratch, seeder, child)
}

#[test]
fn ctrl_c_saves_and_the_next_run_goes_on() {
    let (torrent, scratch, seeder, child) = begun("resumed.bin");
    child.signal("INT");
    child.wait_end(PATIENCE).expect(7);
    let before = seeder.served();
    assert!(before > 0 && before < torrent.data.len() as u64);
    run(&mut get(&scratch, &torrent, seeder.address())).expect(0);
    torrent.assert_complete(&scratch.path().join("got"));
    // What was on its way when it was interrupted may come again: the blocks requested, no more.
    let twice = seeder.served() - torrent.data.len() as u64;
    assert!(
        twice <= before / 2 + 4 * u64::from(torrent.piece_length),
        "{twice} of {before} bytes came twice"
    );
    // A third run has nothing to do, and fetches nothing.
    let served = seeder.served();
    run(&mut get(&scratch, &torrent, seeder.address())).expect(0);
    assert_eq!(seeder.served(), served);
}

#[test]
fn data_without_saved_state_is_checked_and_kept() {
    let torrent = Arc::new(Recipe::single("half.bin", 20 * 4 * BLOCK as usize).make());
    let scratch = Scratch::new("half");
    // The first half is there, one byte of it wrong.
    let mut there = torrent.data[..10 * 4 * BLOCK as usize].to_vec();
    there[5] ^= 1;
    scratch.dir("got");
    scratch.file("got/half.bin", &there);
    let seeder = Seeder::start(&torrent, Manner::default());
    run(&mut get(&scratch, &torrent, seeder.address())).expect(0);
    torrent.assert_complete(&scratch.path().join("got"));
    assert_eq!(seeder.served(), 11 * u64::from(torrent.piece_length));
}

#[test]
fn a_file_changed_behind_its_back_is_noticed() {
    let torrent = Arc::new(multi());
    let scratch = Scratch::new("changed");
    let seeder = Seeder::start(&torrent, Manner::default());
    run(&mut get(&scratch, &torrent, seeder.address())).expect(0);
    let got = scratch.path().join("got");
    let served = seeder.served();
    // One is gone, one is cut short.
    std::fs::remove_file(got.join("several files/one")).unwrap();
    scratch.file("got/several files/last", b"short");
    run(&mut get(&scratch, &torrent, seeder.address())).expect(0);
    torrent.assert_complete(&got);
    assert!(seeder.served() > served && seeder.served() < 2 * served);
}

#[test]
fn a_file_removed_while_downloading_is_no_crash() {
    let (torrent, scratch, seeder, child) = begun("vanishing.bin");
    std::fs::remove_file(scratch.path().join("got/vanishing.bin")).unwrap();
    // Whatever it makes of that, another run leaves everything right.
    child.wait_end(PATIENCE).expect_one_of(&[0, 3, 15, 17, 32]);
    run(&mut get(&scratch, &torrent, seeder.address())).expect(0);
    torrent.assert_complete(&scratch.path().join("got"));
}

#[test]
fn a_foreign_file_in_the_way_is_left_alone() {
    let torrent = Arc::new(Recipe::single("precious.txt", 200_000).make());
    let scratch = Scratch::new("foreign");
    scratch.dir("got");
    let path = scratch.file("got/precious.txt", b"something else altogether");
    let seeder = Seeder::start(&torrent, Manner::default());
    let ended = run(&mut get(&scratch, &torrent, seeder.address())).expect(13);
    assert!(ended.stdout.contains("precious.txt is there already"), "{ended:#?}");
    assert_eq!(std::fs::read(&path).unwrap(), b"something else altogether");
    run(get(&scratch, &torrent, seeder.address()).arg("--overwrite")).expect(0);
    torrent.assert_complete(&scratch.path().join("got"));
}

#[test]
fn only_what_was_selected_is_written() {
    let torrent = Arc::new(multi());
    let scratch = Scratch::new("select");
    let seeder = Seeder::start(&torrent, Manner::default());
    let selected = || {
        let mut command = get(&scratch, &torrent, seeder.address());
        command.args(["--select", "two/f*,6"]);
        command
    };
    run(&mut selected()).expect(0);
    let got = scratch.path().join("got");
    for (path, want) in torrent.files(&got) {
        if path.ends_with("four") || path.ends_with("last") {
            assert_eq!(std::fs::read(&path).unwrap(), want, "{}", path.display());
        }
    }
    assert!(!files_below(&got).iter().any(|path| path.ends_with("one")), "{:?}", files_below(&got));
    let served = seeder.served();
    assert!(served < torrent.data.len() as u64);
    // Pieces that reach into files that were not selected are remembered, too.
    run(&mut selected()).expect(0);
    assert_eq!(seeder.served(), served);
    run(&mut get(&scratch, &torrent, seeder.address())).expect(0);
    torrent.assert_complete(&got);
}

#[test]
fn a_download_without_peers_ends_by_the_clock() {
    let torrent = Recipe::single("lonely.bin", 200_000).make();
    let scratch = Scratch::new("lonely");
    let nobody: SocketAddr = (next_address(), 9).into();
    run(get(&scratch, &torrent, nobody).args(["--max-time", "1"])).expect(2);
}

#[test]
fn bad_options_say_so() {
    let scratch = Scratch::new("options");
    for args in [
        &["get", "--no-such-option"][..],
        &["get"],
        &["frobnicate"],
        &["get", "--port", "70000", "x"],
        &["get", "--peer", "", "x"],
    ] {
        let ended = run(&mut bitwren(scratch.path(), args)).expect(28);
        assert!(!ended.stderr.is_empty() && ended.stdout.is_empty(), "{ended:#?}");
    }
}

#[test]
fn a_full_disk_has_an_exit_code() {
    let torrent = Arc::new(Recipe::single("big.bin", 4 << 20).make());
    let scratch = Scratch::new("full");
    let seeder = Seeder::start(&torrent, Manner::default());
    let mut command = get(&scratch, &torrent, seeder.address());
    command.args(["--max-time", "2"]);
    let Some(mut command) = on_a_disk_of(&scratch, "size=2m", "exec \"$0\" \"$@\"", &command) else { return };
    let ended = run(&mut command).expect(9);
    assert!(ended.stdout.contains("free some space"), "{ended:#?}");
}

#[test]
fn a_full_disk_is_waited_for() {
    let torrent = Arc::new(Recipe::single("big.bin", 4 << 20).make());
    let scratch = Scratch::new("room");
    let seeder = Seeder::start(&torrent, Manner::default());
    // Something else fills half the disk until the download has found out.
    let story = "head -c 4194304 /dev/zero >filler
        \"$0\" \"$@\" >../log & child=$!
        while kill -0 $child && ! grep -q storage_failed ../log; do sleep 0.02; done
        rm filler
        wait $child && cat ../log && mkdir ../kept && cp big.bin ../kept";
    let command = get(&scratch, &torrent, seeder.address());
    let Some(mut command) = on_a_disk_of(&scratch, "size=6m", story, &command) else { return };
    let ended = run(&mut command).expect(0);
    assert!(ended.stdout.contains("storage_recovered"), "{ended:#?}");
    torrent.assert_complete(&scratch.path().join("kept"));
}

#[test]
fn a_disk_that_is_full_from_the_start_is_waited_for() {
    let torrent = Arc::new(Recipe::single("big.bin", 4 << 20).make());
    let scratch = Scratch::new("no-room");
    let seeder = Seeder::start(&torrent, Manner::default());
    let story = "cat /dev/zero >filler 2>/dev/null
        \"$0\" \"$@\" >../log & child=$!
        while kill -0 $child && ! grep -q storage_failed ../log; do sleep 0.02; done
        rm filler
        wait $child && cat ../log && mkdir ../kept && cp big.bin ../kept";
    let command = get(&scratch, &torrent, seeder.address());
    let Some(mut command) = on_a_disk_of(&scratch, "size=6m", story, &command) else { return };
    let ended = run(&mut command).expect(0);
    assert!(ended.stdout.contains("the resume state was not saved"), "{ended:#?}");
    assert!(ended.stdout.contains("storage_recovered"), "{ended:#?}");
    torrent.assert_complete(&scratch.path().join("kept"));
}

#[test]
fn a_read_only_directory_has_an_exit_code() {
    let torrent = Arc::new(Recipe::single("unwritable.bin", 200_000).make());
    let scratch = Scratch::new("readonly");
    let seeder = Seeder::start(&torrent, Manner::default());
    let command = get(&scratch, &torrent, seeder.address());
    let Some(mut command) = on_a_disk_of(&scratch, "ro", "exec \"$0\" \"$@\"", &command) else { return };
    let ended = run(&mut command).expect_one_of(&[16, 17]);
    assert!(ended.stdout.contains("choose a directory that can be written to"), "{ended:#?}");
}

/// The same command within a shell script that has it as `"$0" "$@"`, and its `got` directory, where the
/// script begins, being a file system of its own in memory. That takes a mount namespace, and so root;
/// without it the test says that it does nothing.
fn on_a_disk_of(scratch: &Scratch, options: &str, script: &str, command: &Command) -> Option<Command> {
    let possible = Command::new("unshare")
        .args(["--mount", "true"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !possible {
        eprintln!("SKIPPED: a file system of its own takes root and unshare");
        return None;
    }
    let got = scratch.dir("got");
    let mount = format!(
        "cd '{0}' && mount -t tmpfs -o {options} none '{0}' && cd '{0}' && {{ {script}; }}",
        got.display()
    );
    let mut wrapped = Command::new("unshare");
    wrapped
        .args(["--mount", "sh", "-c", &mount])
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear();
    for (key, value) in command.get_envs() {
        wrapped.env(key, value.unwrap_or_default());
    }
    Some(wrapped)
}
