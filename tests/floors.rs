//! The rules of the house that can be read off the source: imports go down only, the minds touch
//! neither network nor clock, files stay small and say what they are for.
//!
//! It compiles by itself, with `rustc --test`: a look at the source needs no build of it.

#[path = "floors/circles.rs"]
mod circles;
#[path = "floors/imports.rs"]
mod imports;
#[path = "floors/rooms.rs"]
mod rooms;
#[path = "floors/source.rs"]
mod source;
#[path = "floors/surface.rs"]
mod surface;
#[path = "floors/threads.rs"]
mod threads;
#[path = "floors/words.rs"]
mod words;

use std::collections::BTreeSet;
use std::path::Path;

use self::source::{Source, floor_of, named_below, names, sources};

/// What floors 1 to 3 may not name: sockets, files, threads, channels, the clock.
const HANDS: &[&str] = &[
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "std::fs",
    "std::thread",
    "crossbeam",
    "crossbeam_channel",
    "Instant::now",
    "SystemTime::now",
];

/// Who may name some of it after all, and what for.
const EXCEPTIONS: &[(&str, &[&str])] = &[
    // A connection as reader, writer and closer; a file goes out straight from the page cache.
    ("transport", &["std::fs", "TcpStream"]),
    // The room that keeps the files; it hashes in parallel.
    ("storage", &["std::fs", "std::thread", "crossbeam", "crossbeam_channel", "SystemTime::now"]),
];

/// What makes a socket.
const SOCKET_MAKERS: &[&str] = &[
    "TcpStream::connect",
    "TcpStream::connect_timeout",
    "TcpListener::bind",
    "UdpSocket::bind",
    "UnixListener::bind",
    "socket_with",
    "net::socket",
];

/// Where sockets are made, and why there.
const SOCKETS: &[(&str, &str)] = &[
    ("engine/net/egress.rs", "the one place for all that a client sends"),
    ("tracker_server/mod.rs", "a server: it listens where it is told to, and sends answers alone"),
    ("engine/net/device.rs", "asks the kernel of a device; nothing is sent"),
    ("cli/args/interface.rs", "asks the kernel, and whether an address is ours; nothing is sent"),
    ("cli/commands/share/addresses.rs", "asks which address leads to another; nothing is sent"),
    ("cli/commands/share/torrents.rs", "finds a free port"),
];

/// Names that say nothing of what is inside.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "misc", "manager", "helpers"];

/// Lines of code a file may have before it has to argue, with this word in its head.
const LONG: usize = 500;
const ARGUMENT: &str = "Long because";

/// Asserts that nothing was found, and tells all that was.
#[track_caller]
fn none(rule: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn imports_go_down_only() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| source.room != "lib") {
        let floor = source.floor();
        let binary = source.floor() == 6;
        for named in named_below(&source.code, "crate") {
            // What the binary calls `crate` is itself.
            match floor_of(&named) {
                Some(other) if other > floor && !source.is_test() => {
                    broken.push(format!("{}: crate::{named}", source.path.display()))
                }
                Some(_) => {}
                // `crate::Error` and the like are the door's re-exports: nobody below it may use them.
                None if !binary && !source.is_test() && named.starts_with(char::is_uppercase) => {
                    broken.push(format!("{}: crate::{named}, by the door", source.path.display()));
                }
                None => {}
            }
        }
    }
    none("a floor names one above it", broken);
}

#[test]
fn peer_swarm_and_storage_meet_only_in_job() {
    let rooms = ["peer", "swarm", "storage"];
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| rooms.contains(&&*source.room)) {
        let named = named_below(&source.code, "crate");
        broken.extend(
            rooms
                .iter()
                .filter(|other| **other != source.room && named.contains(**other))
                .map(|other| format!("{}: crate::{other}", source.path.display())),
        );
    }
    none("a mind imports another", broken);
}

#[test]
fn the_lower_floors_have_no_hands() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| source.floor() <= 3 && !source.is_test()) {
        let allowed =
            EXCEPTIONS.iter().find(|(room, _)| *room == source.room).map_or(&[][..], |(_, what)| what);
        let grouped: Vec<String> =
            named_below(&source.code, "std").into_iter().map(|module| format!("std::{module}")).collect();
        for hand in HANDS.iter().filter(|hand| !allowed.contains(hand)) {
            if names(&source.code, hand) || grouped.iter().any(|module| module == hand) {
                broken.push(format!("{}: {hand}", source.path.display()));
            }
        }
    }
    none("floors 1 to 3 touch the world", broken);
}

/// The seeded generator is no source of secrets: each place that draws from it says in the table of
/// `random.rs` why its draws may be guessed.
#[test]
fn every_use_of_the_seeded_generator_is_argued() {
    let all = sources();
    let head = all.iter().find(|source| source.path == Path::new("random.rs")).unwrap().head();
    let first_cells = head.split("//! | ").filter_map(|row| row.split(" |").next());
    let argued: BTreeSet<&str> = first_cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(argued.contains("dht/node"), "the table was not found");
    let room_of = |source: &Source| source.path.with_extension("").to_str().unwrap().to_owned();
    let is_argued = |room: &str| {
        argued.contains(room) || room.rsplit_once('/').is_some_and(|(parent, _)| argued.contains(parent))
    };
    let users = all.iter().filter(|source| {
        let is_sample = source.path == Path::new("storage/sample.rs");
        !source.is_test() && !is_sample && source.room != "random" && names(&source.code, "Random")
    });
    let broken: Vec<String> = users.map(room_of).filter(|room| !is_argued(room)).collect();
    none("draws from the seeded generator without a row in random.rs", broken);
}

/// A socket that is made elsewhere would lack what the options say of all sockets: the device, the address, the
/// proxy.
#[test]
fn sockets_are_made_in_one_place() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        let argued = SOCKETS.iter().any(|(path, _)| Path::new(path) == source.path);
        let made = SOCKET_MAKERS.iter().filter(|maker| names(&source.code, maker));
        broken.extend(made.filter(|_| !argued).map(|maker| format!("{}: {maker}", source.path.display())));
    }
    none("a socket is made outside of its place", broken);
    let all = sources();
    let gone = SOCKETS.iter().filter(|(path, _)| all.iter().all(|source| Path::new(path) != source.path));
    none("no such file makes sockets any more", gone.map(|(path, _)| (*path).to_owned()).collect());
}

/// Where a piece lies and how long it is, `Pieces` alone reckons: a space in which files begin at pieces (BEP 52)
/// then has one place to be different in.
#[test]
fn pieces_alone_multiplies_by_the_piece_length() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test() && source.room != "pieces") {
        let flat: String = source.code.split_whitespace().collect();
        for (at, _) in flat.match_indices("piece_length()") {
            let (before, after) = (&flat[..at], &flat[at + "piece_length()".len()..]);
            let start = before.rfind(|c: char| !c.is_alphanumeric() && !"_.:(".contains(c));
            let is_factor = start.is_some_and(|start| before[start..].starts_with('*'))
                || after.trim_start_matches(')').starts_with('*');
            if is_factor {
                broken.push(format!("{}: …{}", source.path.display(), &before[start.unwrap_or(0)..]));
            }
        }
    }
    none("an index or a count is multiplied by the piece length", broken);
}

#[test]
fn there_is_no_unsafe_code() {
    let all = sources();
    let broken = all.iter().filter(|source| names(&source.code, "unsafe"));
    none("unsafe", broken.map(|source| source.path.display().to_string()).collect());
}

/// What to do about a poisoned lock is decided in `lock.rs` alone.
#[test]
fn locks_are_taken_through_one_module() {
    let all = sources();
    let broken = all.iter().filter(|source| source.room != "lock" && names(&source.code, "PoisonError"));
    none("use crate::lock", broken.map(|source| source.path.display().to_string()).collect());
}

#[test]
fn every_file_says_what_it_is_for() {
    let all = sources();
    let broken = all.iter().filter(|source| !source.is_test() && !source.text.starts_with("//! "));
    none("does not start with `//!`", broken.map(|source| source.path.display().to_string()).collect());
}

#[test]
fn files_are_short_or_argue() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        let lines = source.code.lines().filter(|line| !line.trim().is_empty()).count();
        if lines > LONG && !source.head().contains(ARGUMENT) {
            broken.push(format!(
                "{}: {lines} lines of code, and no `{ARGUMENT} …` in its head",
                source.path.display()
            ));
        }
    }
    none("a file is too long", broken);
}

#[test]
fn names_say_something() {
    let all = sources();
    let empty = |source: &&Source| {
        source.path.iter().any(|part| {
            let part = part.to_str().unwrap().trim_end_matches(".rs");
            part.split('_').any(|word| EMPTY_NAMES.contains(&word))
        })
    };
    none("an empty name", all.iter().filter(empty).map(|source| source.path.display().to_string()).collect());
}
