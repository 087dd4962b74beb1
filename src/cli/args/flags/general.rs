//! The options about the tracker and what is printed.

use super::flag::{Flag, Group, Hint, Kind};
use crate::cli::args::commands::Command;
use crate::cli::args::commands::Command::{
    Completions, Create, Daemon, Edit, Get, Help, Magnet, Man, Scrape, Seed, Share, Show, Tracker, Verify,
};
use crate::cli::args::settings::HelpLength;
use crate::cli::args::values;
use crate::cli::output::screen::Verbosity;

const EVERY: &[Command] =
    &[Get, Seed, Share, Daemon, Show, Verify, Scrape, Create, Edit, Magnet, Tracker, Completions, Man, Help];
const REPORTING: &[Command] = &[Get, Seed, Share, Daemon, Verify, Create, Edit, Tracker];

/// `-v`.
const fn verbose(on: &'static [Command], help: &'static str) -> Flag {
    Flag {
        long: "verbose",
        short: Some('v'),
        kind: Kind::Switch(|s, on| {
            s.output.verbosity = if on { Verbosity::Verbose } else { Verbosity::Normal }
        }),
        group: Group::Output,
        on,
        help,
        more: "",
    }
}

pub const FLAGS: &[Flag] = &[
    Flag {
        long: "port",
        short: None,
        kind: Kind::Value {
            name: "PORT",
            hint: Hint::None,
            set: |s, v| values::number(v, 0..=65535).map(|v| s.tracker.listen.port = Some(v)),
        },
        group: Group::Network,
        on: &[Tracker],
        help: "TCP port of the HTTP tracker, 0 for any [default: 6969]",
        more: "",
    },
    Flag {
        long: "udp-port",
        short: None,
        kind: Kind::Value {
            name: "PORT",
            hint: Hint::None,
            set: |s, v| values::number(v, 0..=65535).map(|v| s.tracker.udp_port = Some(v)),
        },
        group: Group::Network,
        on: &[Tracker],
        help: "UDP port, 0 for any [default: that of --port]",
        more: "",
    },
    Flag {
        long: "bind",
        short: None,
        kind: Kind::Value {
            name: "ADDRESS",
            hint: Hint::None,
            set: |s, v| values::bind(v).map(|v| s.tracker.listen.bind_to = Some(v)),
        },
        group: Group::Network,
        on: &[Tracker],
        help: "Address or network interface to listen on [default: all]",
        more: "",
    },
    Flag {
        long: "interval",
        short: None,
        kind: Kind::Value {
            name: "DURATION",
            hint: Hint::None,
            set: |s, v| values::duration(v).map(|v| s.tracker.interval = v),
        },
        group: Group::Network,
        on: &[Tracker],
        help: "Announce interval for peers [default: 30m]",
        more: "Seconds, or parts with units such as 1m30s.",
    },
    Flag {
        long: "allow",
        short: None,
        kind: Kind::List {
            name: "HASH",
            hint: Hint::None,
            add: |s, v| values::info_hash(v).map(|v| s.tracker.allow.push(v)),
        },
        group: Group::Network,
        on: &[Tracker],
        help: "Serve only this info-hash; may be repeated",
        more: "By default every info-hash is served.",
    },
    Flag {
        long: "rate",
        short: None,
        kind: Kind::Value {
            name: "N",
            hint: Hint::None,
            set: |s, v| values::number(v, 0..=1_000_000).map(|v| s.tracker.request_rate = v),
        },
        group: Group::Network,
        on: &[Tracker],
        help: "Requests per second from one address [default: 50]",
        more: "Bursts may be twice as large. 0 is no limit. An IPv6 /64 network counts as one address.",
    },
    Flag {
        long: "quiet",
        short: Some('q'),
        kind: Kind::Switch(|s, on| {
            s.output.verbosity = if on { Verbosity::Quiet } else { Verbosity::Normal }
        }),
        group: Group::Output,
        on: REPORTING,
        help: "Print errors only",
        more: "",
    },
    verbose(&[Get, Seed], "Also print connections, announces and warnings"),
    verbose(&[Share], "Also print each machine that connects"),
    verbose(&[Verify], "Also print correct files, and the numbers of wrong pieces"),
    verbose(&[Create], "Also print the names of hidden files that are left out"),
    verbose(&[Tracker], "Print statistics every ten seconds"),
    Flag {
        long: "json",
        short: None,
        kind: Kind::Switch(|s, on| s.output.json = on),
        group: Group::Output,
        on: &[Get, Seed, Share, Show, Verify, Scrape, Create, Edit, Magnet, Tracker],
        help: "Print JSON on standard output, one object per line",
        more: "For programs. Standard error then has errors only. The schema is versioned: see bitwren help \
               json.",
    },
    Flag {
        long: "show-secrets",
        short: None,
        kind: Kind::Switch(|s, on| s.output.show_secrets = on),
        group: Group::Output,
        on: &[Get, Seed, Share, Daemon, Show, Verify, Scrape, Edit, Magnet],
        help: "Print passwords and keys in URLs",
        more: "By default messages, and the JSON of get, seed, share, scrape and tracker, have *** in place \
               of a URL's user and password, of parts of its path that look like keys, and of the values in \
               its query. What show, magnet, create and edit print about a torrent is never masked.",
    },
    Flag {
        long: "help",
        short: Some('h'),
        // The parser says off for the one letter.
        kind: Kind::Switch(|s, full| s.help = Some(if full { HelpLength::Long } else { HelpLength::Short })),
        group: Group::Output,
        on: EVERY,
        help: "Print help: -h for a summary, --help for all of it",
        more: "",
    },
    Flag {
        long: "version",
        short: Some('V'),
        kind: Kind::Switch(|s, _| s.version = true),
        group: Group::Output,
        on: EVERY,
        help: "Print version and features",
        more: "",
    },
];
