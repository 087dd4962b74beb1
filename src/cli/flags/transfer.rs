//! The options about data, network and ending: those of `get`, `seed`, `verify` and `scrape`.

use bitwren::Budget;

use super::values;
use super::{Flag, Group, Hint, Kind};
use crate::cli::commands::Command::{Get, Scrape, Seed, Verify};

pub const FLAGS: &[Flag] = &[
    Flag {
        long: "dir",
        short: Some('d'),
        kind: Kind::Value { name: "DIR", hint: Hint::Dir, set: |s, v| values::path(v).map(|v| s.dir = v) },
        group: Group::Data,
        on: &[Get],
        help: "Directory to download into [default: .]",
        more: "The torrent's file, or the directory of its name, is made inside. The directory is created if \
               it does not exist.",
    },
    Flag {
        long: "dir",
        short: Some('d'),
        kind: Kind::Value { name: "DIR", hint: Hint::Dir, set: |s, v| values::path(v).map(|v| s.dir = v) },
        group: Group::Data,
        on: &[Seed, Verify],
        help: "Directory of the data [default: .]",
        more: "The torrent's file, or the directory of its name, lies inside.",
    },
    Flag {
        long: "select",
        short: None,
        kind: Kind::Value {
            name: "FILES",
            hint: Hint::None,
            set: |s, v| values::some_text(v).map(|v| s.select = vec![v]),
        },
        group: Group::Data,
        on: &[Get, Verify],
        help: "Only these files: numbers, ranges, globs",
        more: "Separated by commas: numbers as --list prints them, ranges such as 1-4 or 7-, and globs. \
               A glob without a slash is compared with file names (*.mkv), one with a slash with paths \
               (extras/*, **/cover.jpg). The name of a directory means everything below it. \
               A part that begins with ! is left out: '!*.txt' is everything but texts. \
               A backslash takes the next character literally.",
    },
    Flag {
        long: "list",
        short: None,
        kind: Kind::Switch(|s, on| s.list = on),
        group: Group::Data,
        on: &[Get],
        help: "Print the files with their numbers and exit",
        more: "With --select, only those that are selected.",
    },
    Flag {
        long: "metadata-only",
        short: None,
        kind: Kind::Switch(|s, on| s.metadata_only = on),
        group: Group::Data,
        on: &[Get],
        help: "Save the .torrent of a magnet link and exit",
        more: "As NAME.torrent in the directory of --dir, or as -o says.",
    },
    Flag {
        long: "sequential",
        short: None,
        kind: Kind::Switch(|s, on| s.sequential = on),
        group: Group::Data,
        on: &[Get],
        help: "Fetch the pieces in order",
        more: "So that a film can be watched while it comes. Slower, and worse for the swarm, than the \
               rarest piece first.",
    },
    Flag {
        long: "allocate",
        short: None,
        kind: Kind::Switch(|s, on| s.allocate = on),
        group: Group::Data,
        on: &[Get],
        help: "Take the space of all files at once",
        more: "Finds out before the first byte whether the disk is big enough. Otherwise files are sparse \
               and grow as they come.",
    },
    Flag {
        long: "overwrite",
        short: None,
        kind: Kind::Switch(|s, on| s.overwrite = on),
        group: Group::Data,
        on: &[Get],
        help: "Overwrite files that are in the way",
        more: "A file that is in the way and has not one right piece is otherwise left alone, with exit \
               code 13. Files with right pieces are always completed.",
    },
    Flag {
        long: "no-resume",
        short: None,
        kind: Kind::Switch(|s, on| s.resume = !on),
        group: Group::Data,
        on: &[Get, Seed],
        help: "Neither read nor write saved state",
        more: "Data that is there is then hashed at every start.",
    },
    Flag {
        long: "state-dir",
        short: None,
        kind: Kind::Value {
            name: "DIR",
            hint: Hint::Dir,
            set: |s, v| values::path(v).map(|v| s.state_dir = Some(v)),
        },
        group: Group::Data,
        on: &[Get, Seed, Verify],
        help: "Directory of saved state [default: beside the data]",
        more: "",
    },
    Flag {
        long: "state-dir",
        short: None,
        kind: Kind::Value {
            name: "DIR",
            hint: Hint::Dir,
            set: |s, v| values::path(v).map(|v| s.state_dir = Some(v)),
        },
        group: Group::Data,
        on: &[Verify],
        help: "Where saved state lies, if not beside the data",
        more: "For --clean.",
    },
    Flag {
        long: "clean",
        short: None,
        kind: Kind::Switch(|s, on| s.clean = on),
        group: Group::Data,
        on: &[Verify],
        help: "Remove what a download left beside its files",
        more: "The saved state, and the part file with what shares a piece with files that were not selected. \
               Only where everything that is checked is right: name the files with --select as they were \
               selected. Pieces that reach into other files cannot be told afterwards, and are fetched again \
               with those.",
    },
    Flag {
        long: "port",
        short: None,
        kind: Kind::Value {
            name: "PORT",
            hint: Hint::None,
            set: |s, v| values::number(v, 0..=65535).map(|v| s.port = Some(v)),
        },
        group: Group::Network,
        on: &[Get, Seed],
        help: "TCP port to listen on, 0 for any [default: 6881]",
        more: "Where 6881 is taken and no port was given, the next nine are tried; a port that was given \
               is used or is an error.",
    },
    Flag {
        long: "bind",
        short: None,
        kind: Kind::Value {
            name: "ADDRESS",
            hint: Hint::None,
            set: |s, v| values::bind(v).map(|v| s.bind_to = Some(v)),
        },
        group: Group::Network,
        on: &[Get, Seed],
        help: "Address or network interface to use, and no other",
        more: "An address of this machine, or an interface such as wg0: the address that it has when bitwren \
               starts, IPv4 before IPv6. Peers and trackers are reached from this address only, and \
               connections are accepted at it only.",
    },
    Flag {
        long: "max-memory",
        short: None,
        kind: Kind::Value {
            name: "SIZE",
            hint: Hint::None,
            set: |s, v| values::memory(v).map(|v| s.max_memory = v),
        },
        group: Group::Network,
        on: &[Get, Seed],
        help: "Memory to make do with, 4M at least [default: 0, no limit]",
        more: "Bytes, or with K, M or G. Buffers, queues, connections and the tables of torrents (32 bytes \
               a piece) are kept within it; the names of their files come on top. A torrent of very \
               many pieces has fewer connections. 16M is as fast as no limit; below that there are fewer \
               connections and smaller buffers.",
    },
    Flag {
        long: "tiny",
        short: None,
        kind: Kind::Switch(|s, on| s.max_memory = if on { Budget::TINY } else { 0 }),
        group: Group::Network,
        on: &[Get, Seed],
        help: "For the smallest boxes: --max-memory 6M",
        more: "Some 35 connections: no slower from a few fast peers, but from a hundred slow ones.",
    },
    Flag {
        long: "max-peers",
        short: None,
        kind: Kind::Value {
            name: "N",
            hint: Hint::None,
            set: |s, v| values::number(v, 1..=10_000).map(|v| s.max_peers = v),
        },
        group: Group::Network,
        on: &[Get, Seed],
        help: "Connections to peers at most [default: 100]",
        more: "For each torrent; all torrents together have at most twice as many.",
    },
    Flag {
        long: "jobs",
        short: Some('j'),
        kind: Kind::Value {
            name: "N",
            hint: Hint::None,
            set: |s, v| values::number(v, 0..=10_000).map(|v| s.jobs = v),
        },
        group: Group::Network,
        on: &[Get],
        help: "Download so many torrents at once, 0 for all [default: 5]",
        more: "In the order they are given; the next begins when one finishes or fails. One that receives \
               nothing for a minute goes on but no longer counts. What is finished is served meanwhile \
               where seeding was asked for.",
    },
    Flag {
        long: "down",
        short: None,
        kind: Kind::Value { name: "RATE", hint: Hint::None, set: |s, v| values::rate(v).map(|v| s.down = v) },
        group: Group::Network,
        on: &[Get],
        help: "Receive at most this much a second [default: 0, no limit]",
        more: "Bytes, or with K, M or G: 2M is 2 MiB/s. For all torrents together.",
    },
    Flag {
        long: "up",
        short: None,
        kind: Kind::Value { name: "RATE", hint: Hint::None, set: |s, v| values::rate(v).map(|v| s.up = v) },
        group: Group::Network,
        on: &[Get, Seed],
        help: "Send at most this much a second [default: 0, no limit]",
        more: "Bytes, or with K, M or G: 500K is 500 KiB/s. For all torrents together.",
    },
    Flag {
        long: "upload-slots",
        short: None,
        kind: Kind::Value {
            name: "N",
            hint: Hint::None,
            set: |s, v| values::number(v, 1..=1_000).map(|v| s.upload_slots = Some(v)),
        },
        group: Group::Network,
        on: &[Get, Seed],
        help: "Serve N peers at once [default: as many as pays]",
        more: "For each torrent. Otherwise their number follows the rate: one more is served while that \
               sends more in all.",
    },
    Flag {
        long: "peer",
        short: None,
        kind: Kind::List { name: "HOST:PORT", add: |s, v| values::peer(v).map(|v| s.peers.push(v)) },
        group: Group::Network,
        on: &[Get, Seed],
        help: "A peer to try first; may be repeated",
        more: "A name is looked up, again and again where that fails and peers may come from elsewhere; all its \
               addresses are tried. An IPv6 address stands in brackets.",
    },
    Flag {
        long: "tracker",
        short: Some('t'),
        kind: Kind::List { name: "URL", add: |s, v| values::tracker(v).map(|v| s.trackers.push(v)) },
        group: Group::Network,
        on: &[Get, Seed],
        help: "A further tracker; may be repeated",
        more: "http, https or udp, besides the torrent's own (or instead of them, with --no-tracker).",
    },
    Flag {
        long: "no-tracker",
        short: None,
        kind: Kind::Switch(|s, on| s.use_trackers = !on),
        group: Group::Network,
        on: &[Get, Seed],
        help: "Do not ask the trackers in the torrent",
        more: "",
    },
    Flag {
        long: "no-dht",
        short: None,
        kind: Kind::Switch(|s, on| s.dht = !on),
        group: Group::Network,
        on: &[Get, Seed],
        help: "Do not look for peers in the DHT",
        more: "Otherwise this is a node of the DHT (BEP 5), over IPv4 and IPv6, on the UDP port of the same \
               number, and torrents need no tracker. Private torrents never use it. The nodes that are known \
               are kept for the next run, in --state-dir or in ~/.local/state/bitwren, unless there is \
               --no-resume.",
    },
    Flag {
        long: "dht-node",
        short: None,
        kind: Kind::List { name: "HOST:PORT", add: |s, v| values::peer(v).map(|v| s.dht_nodes.push(v)) },
        group: Group::Network,
        on: &[Get, Seed],
        help: "A node of the DHT to begin with; may be repeated",
        more: "Besides the well-known ones. They are asked only while hardly any other node is known.",
    },
    Flag {
        long: "no-lsd",
        short: None,
        kind: Kind::Switch(|s, on| s.lsd = !on),
        group: Group::Network,
        on: &[Get, Seed],
        help: "Do not look for peers on the local network",
        more: "Otherwise torrents that are not private are announced there every 5 minutes (BEP 14).",
    },
    Flag {
        long: "no-pex",
        short: None,
        kind: Kind::Switch(|s, on| s.pex = !on),
        group: Group::Network,
        on: &[Get, Seed],
        help: "Do not exchange peers with peers",
        more: "Private torrents never do.",
    },
    Flag {
        long: "no-portmap",
        short: None,
        kind: Kind::Switch(|_, _| ()),
        group: Group::Network,
        on: &[Get, Seed],
        // For scripts that are written for a version that maps ports.
        help: "",
        more: "",
    },
    Flag {
        long: "timeout",
        short: None,
        kind: Kind::Value {
            name: "DURATION",
            hint: Hint::None,
            set: |s, v| values::duration(v).map(|v| s.timeout = v),
        },
        group: Group::Network,
        on: &[Scrape],
        help: "Wait this long for a tracker [default: 15]",
        more: "Seconds, or parts with units such as 1m30s.",
    },
    Flag {
        long: "max-time",
        short: None,
        kind: Kind::Value {
            name: "DURATION",
            hint: Hint::None,
            set: |s, v| values::limit(v).map(|v| s.max_time = v),
        },
        group: Group::Ending,
        on: &[Get],
        help: "Give up after this long, with exit code 2",
        more: "Seconds, or parts with units such as 1h30m; 0 is no limit. The state is saved, and the next run \
               continues from there. Once the download is complete this is no failure, only the end of \
               seeding.",
    },
    Flag {
        long: "seed",
        short: None,
        kind: Kind::Switch(|s, on| s.seed = on),
        group: Group::Ending,
        on: &[Get],
        help: "Go on and serve others when done, until Ctrl-C",
        more: "",
    },
    Flag {
        long: "seed-ratio",
        short: None,
        kind: Kind::Value {
            name: "R",
            hint: Hint::None,
            set: |s, v| values::ratio(v).map(|v| s.seed_ratio = Some(v)),
        },
        group: Group::Ending,
        on: &[Get, Seed],
        help: "Seed until R times the size was sent",
        more: "For each torrent: bytes sent, in this run and in those before that the saved state knows of, \
               against the size of what was selected. 0 is not to seed at all. With --seed-time or \
               --seed-idle, whichever comes first.",
    },
    Flag {
        long: "seed-time",
        short: None,
        kind: Kind::Value {
            name: "MIN",
            hint: Hint::None,
            set: |s, v| values::minutes(v).map(|v| s.seed_time = Some(v)),
        },
        group: Group::Ending,
        on: &[Get, Seed],
        help: "Seed for this many minutes",
        more: "A plain number is minutes; parts with units such as 45s or 1h30m work too. 0 is not to seed \
               at all.",
    },
    Flag {
        long: "seed-idle",
        short: None,
        kind: Kind::Value {
            name: "MIN",
            hint: Hint::None,
            set: |s, v| values::minutes(v).map(|v| s.seed_idle = Some(v)),
        },
        group: Group::Ending,
        on: &[Get, Seed],
        help: "Seed until nobody took anything for MIN minutes",
        more: "Written as for --seed-time. 0 is not to seed at all.",
    },
    Flag {
        long: "super-seed",
        short: None,
        kind: Kind::Switch(|s, on| s.super_seed = on),
        group: Group::Network,
        on: &[Seed],
        help: "Send one copy, piece by piece, to a new swarm",
        more: "For the first seed of a torrent on a slow line (BEP 16): each peer is shown one piece that \
               nobody else has, and the next when it has passed that one on, so that little more than one \
               copy is sent before the others can do without. Slower for them. Ends by itself when \
               there is another seed; then everything is shown.",
    },
    Flag {
        long: "on-complete",
        short: None,
        kind: Kind::Value {
            name: "CMD",
            hint: Hint::None,
            set: |s, v| {
                s.on_complete = Some(v.to_owned());
                Ok(())
            },
        },
        group: Group::Ending,
        on: &[Get],
        help: "Run CMD with sh when a torrent is complete",
        more: "Run as sh -c CMD, once for each torrent, when everything wanted is there and verified; the \
               program waits for it before it ends. Its standard output goes to standard error. That it \
               fails is a warning. It finds in its environment:\n\
               BITWREN_NAME, the torrent's name; BITWREN_DIR, the directory of the data; BITWREN_PATH, the \
               file, or the directory of the files; BITWREN_INFO_HASH, 40 hexadecimal digits; BITWREN_SIZE, \
               bytes in the selected files; BITWREN_FILES, how many those are; BITWREN_TORRENT, the TORRENT \
               as it was given. Paths are absolute.\n\
               Names come from whoever made the torrent: write \"$BITWREN_PATH\", in quotes.",
    },
];
