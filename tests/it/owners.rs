//! Whose a file is: two torrents never write one, nor two processes one torrent, and what is not
//! bitwren's is neither overwritten nor removed.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::support::child::{Child, PATIENCE, bitwren, run};
use crate::support::content::{Recipe, Torrent, sha1};
use crate::support::scratch::{Scratch, files_below};
use crate::support::seeder::{Manner, Seeder};

const QUIET_NETWORK: [&str; 4] = ["--no-dht", "--no-lsd", "--no-portmap", "--no-tracker"];

/// A piece of these tests' torrents.
const PIECE: usize = 65_536;

/// A torrent of so many pieces by the name that all of them have, and a seed of it that sends so
/// many bytes a second. Two of different lengths begin with the same bytes where their editions are one.
fn offer(pieces: usize, edition: u64, rate: Option<u64>) -> (Arc<Torrent>, Seeder) {
    let torrent = Arc::new(Recipe::single("disk.img", pieces * PIECE).edition(edition).make());
    let seeder = Seeder::start(&torrent, Manner { rate, ..Manner::default() });
    (torrent, seeder)
}

fn file(scratch: &Scratch, torrent: &Torrent) -> PathBuf {
    scratch.file(&format!("{}.torrent", torrent.hex()), &torrent.metainfo)
}

/// `get` of these torrents into a directory, from these peers.
fn get(scratch: &Scratch, dir: &Path, torrents: &[&Torrent], peers: &[SocketAddr]) -> Command {
    let mut command = bitwren(scratch.path(), &["get", "--json", "--verbose", "--port", "0"]);
    command.args(QUIET_NETWORK).arg("-d").arg(dir);
    peers.iter().for_each(|peer| _ = command.args(["--peer", &peer.to_string()]));
    torrents.iter().for_each(|torrent| _ = command.arg(file(scratch, torrent)));
    command
}

/// In one client; it may begin with either.
#[test]
fn of_two_torrents_in_one_file_the_second_is_refused() {
    // Of other lengths, with other bytes and with the same as far as they go.
    for (length, edition) in [(5, 1), (9, 1), (9, 0)] {
        for jobs in ["0", "1"] {
            let scratch = Scratch::new("two");
            let got = scratch.dir("got");
            let offers = [offer(7, 0, None), offer(length, edition, None)];
            let [a, b] = [&*offers[0].0, &*offers[1].0];
            let peers = offers.each_ref().map(|(_, seeder)| seeder.address());
            let ended = run(get(&scratch, &got, &[a, b], &peers).args(["--jobs", jobs])).expect(13);
            let refused = |mine: &Torrent, other: &Torrent| {
                let (this, whose) =
                    (mine.hex(), format!("disk.img belongs to the torrent disk.img ({}", other.hex()));
                ended.stdout.lines().any(|line| line.contains(&this) && line.contains(&whose))
            };
            let (winner, loser) = if refused(b, a) { (0, 1) } else { (1, 0) };
            let [first, second] = [&offers[winner].0, &offers[loser].0];
            assert!(refused(second, first), "{ended:#?}");
            first.assert_complete(&got);
            assert_eq!(offers[loser].1.served(), 0);
            // The first is complete, and its state is gone: what it left is still not the other's.
            if edition != 0 {
                run(&mut get(&scratch, &got, &[second], &peers)).expect(13);
                first.assert_complete(&got);
            }
        }
    }
}

/// By way of a link, after the first has stopped, and while it is at work.
#[test]
fn a_torrent_of_another_process_keeps_its_file() {
    let scratch = Scratch::new("processes");
    let got = scratch.dir("got");
    symlink(&got, scratch.path().join("link")).unwrap();
    let ((first, one), (second, two)) = (offer(40, 0, Some(1 << 18)), offer(41, 0, None));
    let at_work = Child::spawn(&mut get(&scratch, &got, &[&first], &[one.address()]));
    at_work.wait_for_line(PATIENCE, |line| line.contains("\"event\":\"piece\""));
    let whose = format!("belongs to the torrent disk.img ({}", first.hex());
    let refused = |dir: &Path, more: &[&str], whose: &str| {
        let ended = run(get(&scratch, dir, &[&second], &[two.address()]).args(more)).expect(13);
        assert!(ended.stdout.contains(whose), "{ended:#?}");
        assert_eq!(two.served(), 0);
    };
    let live = format!("{whose}, downloaded by process {}", at_work.pid());
    refused(&got, &[], &live);
    refused(&scratch.path().join("link"), &["--overwrite"], &live);
    at_work.signal("INT");
    at_work.wait_end(PATIENCE).expect(7);
    refused(&got, &[], &whose);
    refused(&scratch.path().join("link"), &["--no-resume"], &whose);
    run(&mut get(&scratch, &got, &[&first], &[Seeder::start(&first, Manner::default()).address()])).expect(0);
    first.assert_complete(&got);
    assert_eq!(files_below(&got), [Path::new("disk.img")]);
}

#[test]
fn a_second_process_on_one_torrent_is_told_which_one_has_it() {
    let scratch = Scratch::new("same");
    let got = scratch.dir("got");
    symlink(&got, scratch.path().join("link")).unwrap();
    for more in [&[][..], &["--no-resume"]] {
        let (torrent, seeder) = offer(40, 0, Some(1 << 18));
        let mut first = get(&scratch, &got, &[&torrent], &[seeder.address()]);
        let first = Child::spawn(first.args(more));
        first.wait_for_line(PATIENCE, |line| line.contains("\"event\":\"piece\""));
        let link = scratch.path().join("link");
        let second = run(get(&scratch, &link, &[&torrent], &[seeder.address()]).args(more)).expect(13);
        let who = format!("disk.img is being downloaded into {} by process {}", link.display(), first.pid());
        assert!(second.stdout.contains(&who), "{second:#?}");
        // After a kill the lock is free.
        first.kill();
        first.wait_end(PATIENCE);
        let seeder = Seeder::start(&torrent, Manner::default());
        run(get(&scratch, &link, &[&torrent], &[seeder.address()]).args(more)).expect(0);
        torrent.assert_complete(&got);
        assert_eq!(files_below(&got), [Path::new("disk.img")]);
        fs::remove_file(got.join("disk.img")).unwrap();
    }
}

/// While it is downloaded and after that has stopped, by every path.
#[test]
fn what_is_not_complete_is_not_made_a_torrent_of() {
    let scratch = Scratch::new("create");
    let got = scratch.dir("got");
    symlink(&got, scratch.path().join("link")).unwrap();
    let (torrent, seeder) = offer(40, 0, Some(1 << 18));
    let at_work = Child::spawn(&mut get(&scratch, &got, &[&torrent], &[seeder.address()]));
    at_work.wait_for_line(PATIENCE, |line| line.contains("\"event\":\"piece\""));
    let whose = format!("belongs to the torrent disk.img ({}", torrent.hex());
    let new = scratch.path().join("new.torrent");
    let create = || {
        let mut create = bitwren(scratch.path(), &["create", "-o"]);
        create.arg(&new);
        create
    };
    let refused = |path: &Path, whose: &str| {
        let mut share = bitwren(scratch.path(), &["share", "--bind", "127.0.0.1"]);
        for command in [create().arg(path), share.arg(path)] {
            let ended = run(command).expect(13);
            assert!(ended.stderr.contains(whose), "{ended:#?}");
        }
    };
    let live = format!("{whose}, downloaded by process {}", at_work.pid());
    refused(&got.join("disk.img"), &live);
    refused(&got, &live);
    refused(&scratch.path().join("link/disk.img"), &live);
    at_work.signal("INT");
    at_work.wait_end(PATIENCE).expect(7);
    refused(&got.join("disk.img"), &whose);
    assert!(!new.exists());
    let whole = Seeder::start(&torrent, Manner::default());
    run(&mut get(&scratch, &got, &[&torrent], &[whole.address()])).expect(0);
    run(create().arg(got.join("disk.img"))).expect(0);
}

/// Reading harms no one: the same bytes as two torrents, and one after the other.
#[test]
fn torrents_of_the_same_bytes_share_a_file() {
    let scratch = Scratch::new("cross");
    let got = scratch.dir("got");
    let (first, one) = offer(8, 0, None);
    let second = Arc::new(Recipe::single("disk.img", 8 * PIECE).piece_length(131_072).make());
    assert_ne!(first.hex(), second.hex());
    assert_eq!(first.data, second.data);
    run(&mut get(&scratch, &got, &[&first], &[one.address()])).expect(0);
    run(&mut get(&scratch, &got, &[&second], &[])).expect(0);
    let mut seed = bitwren(scratch.path(), &["seed", "--json", "--port", "0", "--seed-time", "0"]);
    seed.args(QUIET_NETWORK).arg("-d").arg(&got).arg(file(&scratch, &first)).arg(file(&scratch, &second));
    run(&mut seed).expect(0);
    first.assert_complete(&got);
}

/// Many kinds of files begin with the same zeros.
#[test]
fn a_file_that_begins_with_the_same_zeros_is_left_alone() {
    let scratch = Scratch::new("zeros");
    scratch.dir("got");
    let torrent = Arc::new(Recipe::single("install.iso", 5 * PIECE).zeros(PIECE).make());
    let mine = [vec![0; PIECE], vec![7; 3 * PIECE]].concat();
    let path = scratch.file("got/install.iso", &mine);
    let seeder = Seeder::start(&torrent, Manner::default());
    let got = scratch.path().join("got");
    let ended = run(&mut get(&scratch, &got, &[&torrent], &[seeder.address()])).expect(13);
    assert!(ended.stdout.contains("nothing in it shows that it is the torrent's"), "{ended:#?}");
    assert_eq!(fs::read(&path).unwrap(), mine);
}

/// A state that claims nothing, downloaded under every name by which one goes or went, does not open the
/// way to a file of the user's, and is neither replaced nor removed.
#[test]
fn a_download_does_not_pass_for_a_state() {
    let target = Arc::new(Recipe::single("thesis.doc", 4 * PIECE).make());
    let seeder = Seeder::start(&target, Manner::default());
    let mut forged = b"bitwren\x02".to_vec();
    forged.extend(target.info_hash);
    forged.extend([4, 0, 0, 0, 2, 0, 0, 0]);
    forged.extend([0; 16 + 1 + 2]);
    let mut earlier = forged.clone();
    earlier[7] = 1;
    let whole = |body: &[u8]| [body, &sha1(body)].concat();
    let names = [
        (format!(".{}.bitwren", target.hex()), &forged),
        ("thesis.doc.bitwren".to_owned(), &earlier),
        (format!("thesis.doc.{}.bitwren", target.hex()), &earlier),
    ];
    for (name, body) in names {
        let scratch = Scratch::new("forged");
        let got = scratch.dir("got");
        let thesis = scratch.file("got/thesis.doc", b"three years of work\n".repeat(1000));
        let carrier = Arc::new(Recipe::of(&name, whole(body)).make());
        let carries = Seeder::start(&carrier, Manner::default());
        run(&mut get(&scratch, &got, &[&carrier], &[carries.address()])).expect(0);
        let downloaded = files_below(&got);
        assert_eq!(downloaded.len(), 2, "{downloaded:?}");
        run(&mut get(&scratch, &got, &[&target], &[seeder.address()])).expect(13);
        assert_eq!(fs::read(&thesis).unwrap(), b"three years of work\n".repeat(1000), "{name}");
        fs::remove_file(&thesis).unwrap();
        run(&mut get(&scratch, &got, &[&target], &[seeder.address()])).expect(0);
        target.assert_complete(&got);
        assert_eq!(files_below(&got), downloaded, "{name}");
    }
}

/// Notes that happen to have the names of states.
#[test]
fn a_file_by_the_name_of_a_state_is_left_alone() {
    let scratch = Scratch::new("notes");
    let got = scratch.dir("got");
    let (torrent, seeder) = offer(4, 0, None);
    let hash = torrent.hex();
    let names = [
        format!("got/.{hash}.bitwren"),
        format!("got/.{hash}.bitwren.tmp"),
        format!("got/.{hash}.bitwren.lock"),
        format!("got/.{hash}.parts"),
        format!("got/{hash}.metadata.bitwren"),
        "got/disk.img.bitwren".to_owned(),
        format!("states/{hash}.bitwren"),
    ];
    scratch.dir("states");
    for name in &names {
        scratch.file(name, format!("my notes in {name}").as_bytes());
    }
    for more in [&[][..], &["--state-dir", "states"]] {
        let mut command = get(&scratch, &got, &[&torrent], &[seeder.address()]);
        run(command.current_dir(scratch.path()).args(more)).expect(0);
        torrent.assert_complete(&got);
        fs::remove_file(got.join("disk.img")).unwrap();
    }
    for name in &names {
        let notes = fs::read(scratch.path().join(name)).unwrap();
        assert_eq!(notes, format!("my notes in {name}").as_bytes(), "{name}");
    }
    assert_eq!(files_below(scratch.path()).len(), names.len() + 1, "{:?}", files_below(scratch.path()));
}
