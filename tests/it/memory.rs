//! What things may cost: memory and file descriptors of the real binary on torrents that are big in one
//! way or another. The bounds are for an unoptimised build and leave it its fixed costs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;

use crate::support::bencode::{bytes, dict, int, list};
use crate::support::cage::Cage;
use crate::support::child::{Child, Ended, PATIENCE, bitwren, run};
use crate::support::content::{Recipe, Torrent, sha1};
use crate::support::peer::{BITFIELD, frame, handshake, next_address};
use crate::support::scratch::Scratch;
use crate::support::seeder::{Manner, Seeder};

const MIB: usize = 1 << 20;

/// What the process may have resident besides what a test's input accounts for.
const FIXED: u64 = 32 << 20;

fn get(scratch: &Scratch, torrent: &Torrent, seeders: &[Seeder]) -> Command {
    let file = scratch.file("t.torrent", &torrent.metainfo);
    let mut command =
        bitwren(scratch.path(), &["get", "--quiet", "--no-dht", "--no-lsd", "--no-portmap", "--no-tracker"]);
    command.args(["--port", "0", "-d"]).arg(scratch.dir("got")).arg(file);
    for seeder in seeders {
        command.args(["--peer", &seeder.address().to_string()]);
    }
    command
}

/// A piece is never held as a whole: blocks go to disk as they come.
#[test]
fn one_piece_of_64_mib() {
    let torrent = Arc::new(Recipe::single("one-piece.bin", 64 * MIB).piece_length(64 * MIB as u32).make());
    let scratch = Scratch::new("piece");
    let seeders = [Seeder::start(&torrent, Manner::default()), Seeder::start(&torrent, Manner::default())];
    let ended = Child::spawn(&mut get(&scratch, &torrent, &seeders)).wait_end(PATIENCE).expect(0);
    torrent.assert_complete(&scratch.path().join("got"));
    assert!(ended.peak < FIXED, "{} KiB resident", ended.peak / 1024);
}

/// Peers faster than the disk and the hash meet their bound, too.
#[test]
fn eight_seeders_at_full_speed() {
    let torrent = Arc::new(Recipe::single("eight.bin", 48 * MIB).piece_length(MIB as u32).make());
    let scratch = Scratch::new("eight");
    let seeders: Vec<Seeder> = (0..8).map(|_| Seeder::start(&torrent, Manner::default())).collect();
    let ended = Child::spawn(&mut get(&scratch, &torrent, &seeders)).wait_end(PATIENCE).expect(0);
    torrent.assert_complete(&scratch.path().join("got"));
    assert!(ended.peak < FIXED, "{} KiB resident", ended.peak / 1024);
}

/// Shows a torrent in so many times the memory that its file is long.
fn show_within(times: u64, input: &[u8]) -> Ended {
    let scratch = Scratch::new("shown");
    let file = scratch.file("large.torrent", input);
    let ended = run(bitwren(scratch.path(), &["show", "--json"]).arg(file)).expect(0);
    let kib = (ended.peak / 1024, input.len() / 1024);
    assert!(ended.peak < FIXED + times * input.len() as u64, "{} KiB for {}", kib.0, kib.1);
    ended
}

#[test]
fn four_million_pieces() {
    let pieces = 4_000_000;
    let info = dict([
        ("length", int(pieces * 16_384)),
        ("name", bytes("endless.bin")),
        ("piece length", int(16_384)),
        ("pieces", bytes(vec![0x5a; pieces as usize * 20])),
    ]);
    let ended = show_within(2, &dict([("info", info)]).encode());
    assert!(ended.stdout.contains("4000000"), "{}", ended.stdout);
}

/// Peers of a torrent of many pieces say much of what they have: where memory is limited there are fewer of
/// them, and what they say stays within it.
#[test]
fn bitfields_of_many_peers_within_a_limit() {
    let pieces = 400_000u64;
    let info = dict([
        ("length", int(pieces * 16_384)),
        ("name", bytes("sparse.bin")),
        ("piece length", int(16_384)),
        ("pieces", bytes(vec![0x5a; pieces as usize * 20])),
    ]);
    let metainfo = dict([("info", info.clone())]).encode();
    let scratch = Scratch::new("bitfields");
    let file = scratch.file("sparse.torrent", &metainfo);
    let own = std::net::TcpListener::bind((next_address(), 0)).unwrap().local_addr().unwrap();
    let mut command = bitwren(scratch.path(), &["get", "--json", "--no-dht", "--no-lsd", "--no-tracker"]);
    command.args(["--max-memory", "16M", "--bind", &own.ip().to_string(), "--port", &own.port().to_string()]);
    let child = Child::spawn(command.arg("-d").arg(scratch.dir("got")).arg(file));
    child.wait_for_line(PATIENCE, |line| line.contains("at most 2 connections, because 400000 pieces"));
    child.wait_for_line(PATIENCE, |line| line.contains("\"started\""));
    let at_rest = child.peak();
    let info_hash = sha1(&info.encode());
    let mut peers: Vec<TcpStream> = Vec::new();
    for n in 0..40 {
        let id = format!("-TT0001-{n:012}");
        let mut peer = TcpStream::connect(own).unwrap();
        let bitfield = frame(BITFIELD, &vec![0x80; pieces as usize / 8]);
        // A connection that finds no place is closed, maybe while we still write to it.
        let _ = peer.write_all(&handshake([0; 8], &info_hash, id.as_bytes().try_into().unwrap()));
        let _ = peer.write_all(&bitfield.repeat(10));
        peers.push(peer);
    }
    // A bitfield of a wrong length ends each connection, once all before it was read.
    for peer in &mut peers {
        let _ = peer.write_all(&frame(BITFIELD, &[0]));
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        while peer.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {}
    }
    child.signal("INT");
    let ended = child.wait_end(PATIENCE).expect(7);
    // Two bitfields of 50 kB are nothing; forty, six times each, would be 12 MiB. The code that deals with peers
    // is some megabytes of a build that is not optimised.
    assert!(ended.peak < at_rest + (6 << 20), "{} KiB at rest, then {}", at_rest / 1024, ended.peak / 1024);
}

#[test]
fn two_hundred_thousand_files() {
    let count = 200_000u64;
    let files = (0..count).map(|number| {
        let folder = format!("folder {}", number / 1000);
        dict([
            ("length", int(1 + number % 7)),
            ("path", list([bytes(folder), bytes(format!("file {number}.txt"))])),
        ])
    });
    let files = list(files);
    let total: u64 = (0..count).map(|number| 1 + number % 7).sum();
    let info = dict([
        ("files", files),
        ("name", bytes("many")),
        ("piece length", int(16_384)),
        ("pieces", bytes(vec![0x5a; total.div_ceil(16_384) as usize * 20])),
    ]);
    show_within(12, &dict([("info", info)]).encode());
}

/// A long name before a million short ones takes ten times as much as the file that says so.
#[test]
fn a_long_name_before_many_short_ones_is_refused_early() {
    let file = dict([("length", int(0)), ("path", list([bytes("a")]))]).encode();
    let head = [&b"d4:infod5:filesl"[..], &file.repeat(500_000)].concat();
    let name = "n".repeat(255);
    let tail = format!("e4:name255:{name}12:piece lengthi16384e6:pieces0:ee");
    let input = [&head[..], tail.as_bytes()].concat();
    let scratch = Scratch::new("names");
    let file = scratch.file("names.torrent", &input);
    let ended = run(bitwren(scratch.path(), &["show"]).arg(file)).expect(26);
    assert!(ended.stderr.contains("the paths of its files take more than"), "{}", ended.stderr);
    assert!(
        ended.peak < FIXED + (32 << 20) + 10 * input.len() as u64,
        "{} KiB for {}",
        ended.peak / 1024,
        input.len() / 1024
    );
}

/// The whole process, what the kernel keeps for it included, fits a box of 16 MiB: in a control group
/// with that limit, or where there is none to be had within as much address space as a debug build's
/// stacks and the C library's arena leave. Peers that are faster than that disk do not change it.
#[test]
fn a_download_in_16_mib() {
    let torrent = Arc::new(Recipe::single("caged.bin", 64 * MIB).piece_length(16 * MIB as u32).make());
    let scratch = Scratch::new("caged");
    let seeders: Vec<Seeder> = (0..8).map(|_| Seeder::start(&torrent, Manner::default())).collect();
    let mut plain = get(&scratch, &torrent, &seeders);
    plain.args(["--max-memory", "8M"]);
    // The code of the program takes 3 MiB when it is optimised; of a build that is not, the kernel keeps what it
    // has room for.
    let (box_size, code) = (16 * MIB as u64, 3 * MIB as u64);
    let more_code = if cfg!(debug_assertions) { 4 * MIB as u64 } else { 0 };
    let cage = Cage::new(box_size + more_code);
    let ended = Child::spawn(&mut cage.around(&plain)).wait_end(PATIENCE).expect(0);
    torrent.assert_complete(&scratch.path().join("got"));
    assert!(ended.own_peak < box_size - code, "{} KiB without its code", ended.own_peak / 1024);
}

/// Files are many, descriptors few: 2,000 files with 64 descriptors.
#[test]
fn more_files_than_descriptors() {
    let names: Vec<String> = (0..2000).map(|number| format!("{}/{number}", number % 10)).collect();
    let files: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 700)).collect();
    let torrent = Arc::new(Recipe::multi("many", &files).make());
    let scratch = Scratch::new("descriptors");
    let seeders = [Seeder::start(&torrent, Manner::default())];
    let plain = get(&scratch, &torrent, &seeders);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""]).arg(plain.get_program()).args(plain.get_args());
    Child::spawn(&mut limited).wait_end(PATIENCE).expect(0);
    torrent.assert_complete(&scratch.path().join("got"));
}
