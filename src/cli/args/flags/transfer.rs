//! The options about data, network and ending: those of `get`, `seed`, `verify` and `scrape`.

use bitwren::Budget;

use super::flag::{Flag, Group, Hint, Kind};
use crate::cli::args::commands::Command::{Daemon, Get, Scrape, Seed, Show, Verify};
use crate::cli::args::values;

pub const FLAGS: &[Flag] = &[
    Flag {
        long: "dir",
        short: Some('d'),
        kind: Kind::Value {
            name: "DIR",
            hint: Hint::Dir,
            set: |s, v| values::path(v).map(|v| s.transfer.storage.dir = v),
        },
        group: Group::Data,
        on: &[Get],
        help: "Directory to download into [default: .]",
        more: "The torrent's file, or the directory with its name, is created inside. The directory is \
               created if it does not exist.",
    },
    Flag {
        long: "dir",
        short: Some('d'),
        kind: Kind::Value {
            name: "DIR",
            hint: Hint::Dir,
            set: |s, v| values::path(v).map(|v| s.transfer.storage.dir = v),
        },
        group: Group::Data,
        on: &[Seed, Verify],
        help: "Directory of the data [default: .]",
        more: "It contains the torrent's file, or the directory with its name.",
    },
    Flag {
        long: "select",
        short: None,
        kind: Kind::Value {
            name: "FILES",
            hint: Hint::None,
            set: |s, v| values::some_text(v).map(|v| s.transfer.storage.select = vec![v]),
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
        kind: Kind::Switch(|s, on| s.get.list = on),
        group: Group::Data,
        on: &[Get],
        help: "List the files with their numbers and exit",
        more: "With --select, only those that are selected.",
    },
    Flag {
        long: "metadata-only",
        short: None,
        kind: Kind::Switch(|s, on| s.get.metadata_only = on),
        group: Group::Data,
        on: &[Get],
        help: "Save the .torrent of a magnet link and exit",
        more: "It is saved as NAME.torrent in --dir, or as -o says.",
    },
    Flag {
        long: "sequential",
        short: None,
        kind: Kind::Switch(|s, on| s.get.sequential = on),
        group: Group::Data,
        on: &[Get],
        help: "Download the pieces in order",
        more: "Useful for watching a film while it downloads. Slower, and worse for the swarm, than the \
               default of rarest piece first.",
    },
    Flag {
        long: "allocate",
        short: None,
        kind: Kind::Switch(|s, on| s.get.allocate = on),
        group: Group::Data,
        on: &[Get],
        help: "Reserve the disk space of all files first",
        more: "A disk that is too small is then noticed before the download starts. Without this option \
               files are sparse and take up space as data arrives.",
    },
    Flag {
        long: "overwrite",
        short: None,
        kind: Kind::Switch(|s, on| s.write.overwrite = on),
        group: Group::Data,
        on: &[Get],
        help: "Overwrite files that are in the way",
        more: "Without this option, an existing file with the name of one of the torrent's but none of its \
               data stops the download with exit code 13. A file that has some of the data is always \
               completed.",
    },
    Flag {
        long: "no-resume",
        short: None,
        kind: Kind::Switch(|s, on| s.transfer.storage.resume = !on),
        group: Group::Data,
        on: &[Get, Seed],
        help: "Neither read nor save the resume state",
        more: "Existing data is then hashed at every start.",
    },
    Flag {
        long: "state-dir",
        short: None,
        kind: Kind::Value {
            name: "DIR",
            hint: Hint::Dir,
            set: |s, v| values::path(v).map(|v| s.transfer.storage.state_dir = Some(v)),
        },
        group: Group::Data,
        on: &[Get, Seed, Verify],
        help: "Directory of the resume state [default: beside the data]",
        more: "",
    },
    Flag {
        long: "clean",
        short: None,
        kind: Kind::Switch(|s, on| s.verify.clean = on),
        group: Group::Data,
        on: &[Verify],
        help: "Remove the leftovers of a download",
        more: "Removes the resume state, and the part file, which holds data of unselected files that share \
               a piece with a selected one. Happens only if all checked data is correct: give --select as \
               for the download. Pieces that extend into unselected files cannot be checked afterwards, and \
               are downloaded again with those files.",
    },
    Flag {
        long: "port",
        short: None,
        kind: Kind::Value {
            name: "PORT",
            hint: Hint::None,
            set: |s, v| values::number(v, 0..=65535).map(|v| s.transfer.listen.port = Some(v)),
        },
        group: Group::Network,
        on: &[Daemon, Get, Seed],
        help: "TCP port to listen on, 0 for any [default: 6881]",
        more: "If 6881 is taken, the next nine ports are tried. A given port must be free.",
    },
    Flag {
        long: "bind",
        short: None,
        kind: Kind::Value {
            name: "ADDRESS",
            hint: Hint::None,
            set: |s, v| values::bind(v).map(|v| s.transfer.listen.bind_to = Some(v)),
        },
        group: Group::Network,
        on: &[Daemon, Get, Seed],
        help: "Address or network interface to use, and no other",
        more: "An address of this machine, or an interface such as wg0, which stands for the address it has \
               when bitwren starts, IPv4 before IPv6. All connections to peers and trackers come from this \
               address, and connections are accepted only on it.",
    },
    Flag {
        long: "max-memory",
        short: None,
        kind: Kind::Value {
            name: "SIZE",
            hint: Hint::None,
            set: |s, v| values::memory(v).map(|v| s.transfer.limits.max_memory = v),
        },
        group: Group::Network,
        on: &[Daemon, Get, Seed, Show],
        help: "Memory limit, 4M or more [default: 0, no limit]",
        more: "In bytes, or with K, M or G. Limits buffers, queues, connections, the tables of torrents \
               (32 bytes per piece) and the unpacked size of a .torrent from a URL; file names come on top. \
               A torrent with very many pieces has fewer connections. 16M is as fast as no limit; less means \
               fewer connections and smaller buffers.",
    },
    Flag {
        long: "tiny",
        short: None,
        kind: Kind::Switch(|s, on| s.transfer.limits.max_memory = if on { Budget::TINY } else { 0 }),
        group: Group::Network,
        on: &[Daemon, Get, Seed, Show],
        help: "For the smallest machines: --max-memory 6M",
        more: "About 35 connections. Full speed from a few fast peers, slower when there are many slow ones.",
    },
    Flag {
        long: "max-peers",
        short: None,
        kind: Kind::Value {
            name: "N",
            hint: Hint::None,
            set: |s, v| values::number(v, 1..=10_000).map(|v| s.transfer.limits.max_peers = v),
        },
        group: Group::Network,
        on: &[Daemon, Get, Seed],
        help: "Connect to at most N peers [default: 100]",
        more: "Per torrent. All torrents together have at most twice as many connections.",
    },
    Flag {
        long: "jobs",
        short: Some('j'),
        kind: Kind::Value {
            name: "N",
            hint: Hint::None,
            set: |s, v| values::number(v, 0..=10_000).map(|v| s.transfer.limits.jobs = v),
        },
        group: Group::Network,
        on: &[Daemon, Get],
        help: "Download N torrents at a time, 0 for all [default: 5]",
        more: "In the order given; the next starts when one finishes or fails. A torrent that receives \
               nothing for a minute continues but no longer counts. If seeding was asked for, finished \
               torrents are seeded meanwhile.",
    },
    Flag {
        long: "down",
        short: None,
        kind: Kind::Value {
            name: "RATE",
            hint: Hint::None,
            set: |s, v| values::rate(v).map(|v| s.transfer.limits.down = v),
        },
        group: Group::Network,
        on: &[Daemon, Get],
        help: "Download speed limit [default: 0, no limit]",
        more: "Bytes per second, or with K, M or G: 2M is 2 MiB/s. For all torrents together.",
    },
    Flag {
        long: "up",
        short: None,
        kind: Kind::Value {
            name: "RATE",
            hint: Hint::None,
            set: |s, v| values::rate(v).map(|v| s.transfer.limits.up = v),
        },
        group: Group::Network,
        on: &[Daemon, Get, Seed],
        help: "Upload speed limit [default: 0, no limit]",
        more: "Bytes per second, or with K, M or G: 500K is 500 KiB/s. For all torrents together.",
    },
    Flag {
        long: "upload-slots",
        short: None,
        kind: Kind::Value {
            name: "N",
            hint: Hint::None,
            set: |s, v| values::number(v, 1..=1_000).map(|v| s.transfer.limits.upload_slots = Some(v)),
        },
        group: Group::Network,
        on: &[Get, Seed],
        help: "Upload to at most N peers at a time [default: automatic]",
        more: "Per torrent. By default bitwren adds slots as long as that raises the total rate.",
    },
    Flag {
        long: "peer",
        short: None,
        kind: Kind::List {
            name: "HOST:PORT",
            hint: Hint::None,
            add: |s, v| values::peer(v).map(|v| s.transfer.sources.peers.push(v)),
        },
        group: Group::Network,
        on: &[Get, Seed],
        help: "Connect to this peer first; may be repeated",
        more: "All addresses of a host name are tried. A name that cannot be resolved is retried if there \
               are other sources of peers. Put an IPv6 address in brackets.",
    },
    Flag {
        long: "tracker",
        short: Some('t'),
        kind: Kind::List {
            name: "URL",
            hint: Hint::None,
            add: |s, v| values::tracker(v).map(|v| s.transfer.sources.trackers.push(v)),
        },
        group: Group::Network,
        on: &[Get, Seed],
        help: "Use this tracker too; may be repeated",
        more: "An http, https or udp URL, in addition to the torrent's own trackers (or, with --no-tracker, \
               instead of them).",
    },
    Flag {
        long: "no-tracker",
        short: None,
        kind: Kind::Switch(|s, on| s.transfer.sources.use_trackers = !on),
        group: Group::Network,
        on: &[Get, Seed],
        help: "Do not use the trackers named in the torrent",
        more: "",
    },
    Flag {
        long: "no-dht",
        short: None,
        kind: Kind::Switch(|s, on| s.transfer.sources.dht = !on),
        group: Group::Network,
        on: &[Daemon, Get, Seed],
        help: "Do not look for peers in the DHT",
        more: "By default bitwren is a node of the DHT (BEP 5) over IPv4 and IPv6, on the UDP port of the \
               same number as --port, and torrents need no tracker. Private torrents never use the DHT. \
               Known nodes are saved for the next run in --state-dir or ~/.local/state/bitwren, except with \
               --no-resume.",
    },
    Flag {
        long: "dht-node",
        short: None,
        kind: Kind::List {
            name: "HOST:PORT",
            hint: Hint::None,
            add: |s, v| values::peer(v).map(|v| s.transfer.sources.dht_nodes.push(v)),
        },
        group: Group::Network,
        on: &[Daemon, Get, Seed],
        help: "Join the DHT through this node; may be repeated",
        more: "In addition to the well-known ones. Such nodes are asked only while few others are known.",
    },
    Flag {
        long: "no-lsd",
        short: None,
        kind: Kind::Switch(|s, on| s.transfer.sources.lsd = !on),
        group: Group::Network,
        on: &[Daemon, Get, Seed],
        help: "Do not look for peers on the local network",
        more: "By default torrents, except private ones, are announced there every 5 minutes (BEP 14).",
    },
    Flag {
        long: "no-pex",
        short: None,
        kind: Kind::Switch(|s, on| s.transfer.sources.pex = !on),
        group: Group::Network,
        on: &[Daemon, Get, Seed],
        help: "Do not exchange peer addresses with peers",
        more: "By default bitwren does (BEP 11), except for private torrents.",
    },
    Flag {
        long: "encryption",
        short: None,
        kind: Kind::Value {
            name: "POLICY",
            hint: Hint::OneOf(&["off", "allow", "prefer", "require"]),
            set: |s, v| values::encryption(v).map(|v| s.transfer.encryption = v),
        },
        group: Group::Network,
        on: &[Daemon, Get, Seed],
        help: "Encrypt peers: off, allow, prefer, require [default: allow]",
        more: "allow begins in plain, and with an encrypted handshake where a peer hangs up on that or is known \
               to prefer it; prefer begins encrypted, and in plain where a peer hangs up. Both accept either, \
               and encrypt only the handshake unless the peer requires more. require encrypts every byte and \
               has no other connections; off has no encrypted ones. Encryption reaches peers that insist on it \
               and hides BitTorrent from simple filters; it does not hide who downloads what.",
    },
    Flag {
        long: "blocklist",
        short: None,
        kind: Kind::List {
            name: "FILE",
            hint: Hint::File,
            add: |s, v| values::path(v).map(|v| s.transfer.filter.blocklists.push(v)),
        },
        group: Group::Network,
        on: &[Daemon, Get, Seed],
        help: "Block the addresses listed in FILE; may be repeated",
        more: "A list as for PeerGuardian (P2P) or eMule (DAT), or of addresses, ranges and networks (CIDR), \
               one a line; with IPv4 and IPv6, packed with gzip or not. Lines that are not understood are \
               counted and skipped. No peer at a blocked address is connected to, whichever source names it, \
               --peer included; connections from there are closed unread; the DHT does without such nodes. \
               Trackers are not blocked.\n\
               SIGHUP has all lists read again; if one cannot be used, the old ones stay. Peers that are \
               connected stay connected. When its terminal is closed the run ends as ever; under nohup, \
               SIGHUP stays ignored. An IPv4 range takes 8 bytes and an IPv6 range 32, on top of \
               --max-memory.",
    },
    Flag {
        long: "allow",
        short: None,
        kind: Kind::List {
            name: "RANGE",
            hint: Hint::None,
            add: |s, v| {
                let range = values::addresses(v)?;
                s.transfer.filter.allow.get_or_insert_default().add(&range);
                Ok(())
            },
        },
        group: Group::Network,
        on: &[Daemon, Get, Seed],
        help: "Permit these addresses; may be repeated",
        more: "An address, a range such as 10.0.0.1-10.0.0.9 or a network such as 2001:db8::/32. With \
               --blocklist, they are permitted although a list has them. Without it, only they are \
               permitted.",
    },
    Flag {
        long: "portmap",
        short: None,
        kind: Kind::Switch(|s, on| s.transfer.listen.portmap = Some(on)),
        group: Group::Network,
        on: &[Daemon, Get, Seed],
        help: "Have the router let peers in, by PCP, NAT-PMP or UPnP",
        more: "Default: seed does, get does not; --no-portmap turns it off. The router is asked to map the ports of \
               --port to this machine, over IPv6 to open its firewall for them. The mapping is renewed, and \
               removed at the end; after a crash the router removes it within ten minutes. Trackers, the DHT \
               and peers are told the port that the router gives, which may be another one.",
    },
    Flag {
        long: "timeout",
        short: None,
        kind: Kind::Value {
            name: "DURATION",
            hint: Hint::None,
            set: |s, v| values::duration(v).map(|v| s.scrape.timeout = v),
        },
        group: Group::Network,
        on: &[Scrape],
        help: "Wait this long for each tracker [default: 15s]",
        more: "Seconds, or parts with units such as 1m30s.",
    },
    Flag {
        long: "max-time",
        short: None,
        kind: Kind::Value {
            name: "DURATION",
            hint: Hint::None,
            set: |s, v| values::limit(v).map(|v| s.transfer.max_time = v),
        },
        group: Group::Ending,
        on: &[Get],
        help: "Stop after this long, with exit code 2",
        more: "Seconds, or parts with units such as 1h30m; 0 is no limit. The state is saved, and the next \
               run continues from there. After the download is complete it only ends seeding, with exit \
               code 0.",
    },
    Flag {
        long: "seed",
        short: None,
        kind: Kind::Switch(|s, on| s.get.seed = on),
        group: Group::Ending,
        on: &[Get],
        help: "Seed when the download is complete, until Ctrl-C",
        more: "",
    },
    Flag {
        long: "seed-ratio",
        short: None,
        kind: Kind::Value {
            name: "R",
            hint: Hint::None,
            set: |s, v| values::ratio(v).map(|v| s.transfer.seed_limits.ratio = Some(v)),
        },
        group: Group::Ending,
        on: &[Daemon, Get, Seed],
        help: "Seed until R times the size has been uploaded",
        more: "Per torrent: bytes uploaded, in this run and in earlier ones that the resume state knows of, \
               relative to the size of the selected files. 0 means no seeding. With --seed-time or \
               --seed-idle, the limit reached first counts.",
    },
    Flag {
        long: "seed-time",
        short: None,
        kind: Kind::Value {
            name: "MIN",
            hint: Hint::None,
            set: |s, v| values::minutes(v).map(|v| s.transfer.seed_limits.time = Some(v)),
        },
        group: Group::Ending,
        on: &[Daemon, Get, Seed],
        help: "Seed for this many minutes",
        more: "A plain number is minutes; parts with units such as 45s or 1h30m work too. 0 means no \
               seeding.",
    },
    Flag {
        long: "seed-idle",
        short: None,
        kind: Kind::Value {
            name: "MIN",
            hint: Hint::None,
            set: |s, v| values::minutes(v).map(|v| s.transfer.seed_limits.idle = Some(v)),
        },
        group: Group::Ending,
        on: &[Daemon, Get, Seed],
        help: "Seed until nothing is uploaded for MIN minutes",
        more: "Written as for --seed-time. 0 means no seeding.",
    },
    Flag {
        long: "partial",
        short: None,
        kind: Kind::Switch(|s, on| s.seed.partial = on),
        group: Group::Data,
        on: &[Seed],
        help: "Seed existing pieces, even if some are missing",
        more: "Nothing is downloaded. Without this option incomplete data is an error.",
    },
    Flag {
        long: "super-seed",
        short: None,
        kind: Kind::Switch(|s, on| s.seed.super_seed = on),
        group: Group::Network,
        on: &[Seed],
        help: "Upload a single copy, piece by piece, to a new swarm",
        more: "For the first seed of a torrent on a slow line (BEP 16). Each peer is offered one piece that \
               no other peer has, and the next one when it has passed that piece on. Little more than one \
               copy is uploaded before the swarm has everything, but the swarm is slower. Ends by itself \
               when there is another seed; from then on everything is offered.",
    },
    Flag {
        long: "on-complete",
        short: None,
        kind: Kind::Value {
            name: "CMD",
            hint: Hint::None,
            set: |s, v| {
                s.transfer.on_complete = Some(v.to_owned());
                Ok(())
            },
        },
        group: Group::Ending,
        on: &[Get],
        help: "Run CMD with sh when a torrent is complete",
        more: "Runs sh -c CMD once for each torrent when all selected files are complete and verified. \
               bitwren waits for it before it exits. Its standard output goes to standard error. If CMD \
               fails, bitwren prints a warning. Its environment contains:\n\
               BITWREN_NAME, the torrent's name; BITWREN_DIR, the directory of the data; BITWREN_PATH, the \
               file, or the directory of the files; BITWREN_INFO_HASH, 40 hexadecimal digits; BITWREN_SIZE, \
               bytes in the selected files; BITWREN_FILES, their number; BITWREN_TORRENT, the TORRENT as \
               given. Paths are absolute.\n\
               The author of the torrent chose the names: write \"$BITWREN_PATH\", in quotes.",
    },
];
