//! The options of `share`.

use super::values;
use super::{Flag, Group, Hint, Kind};
use crate::cli::commands::Command::Share;

pub const FLAGS: &[Flag] = &[
    Flag {
        long: "port",
        short: None,
        kind: Kind::Value {
            name: "PORT",
            hint: Hint::None,
            set: |s, v| values::number(v, 0..=65535).map(|v| s.sharing.port = Some(v)),
        },
        group: Group::Network,
        on: &[Share],
        help: "TCP and UDP port to share on, 0 for any [default: 6969]",
        more: "For the .torrent and the tracker. Where 6969 is taken and no port was given, the next nine \
               are tried.",
    },
    Flag {
        long: "peer-port",
        short: None,
        kind: Kind::Value {
            name: "PORT",
            hint: Hint::None,
            set: |s, v| values::number(v, 0..=65535).map(|v| s.port = Some(v)),
        },
        group: Group::Network,
        on: &[Share],
        help: "TCP port for the data, 0 for any [default: 6881]",
        more: "Where 6881 is taken and no port was given, the next nine are tried.",
    },
    Flag {
        long: "host",
        short: None,
        kind: Kind::Value {
            name: "HOST",
            hint: Hint::None,
            set: |s, v| values::host(v).map(|v| s.sharing.host = Some(v)),
        },
        group: Group::Network,
        on: &[Share],
        help: "Name or address of this machine for the others",
        more: "The default is the address that this machine has on its main network; its others are listed.",
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
        on: &[Share],
        help: "Address or network interface to share at [default: all]",
        more: "An address of this machine, or an interface such as eth0: the address that it has when bitwren \
               starts.",
    },
    Flag {
        long: "up",
        short: None,
        kind: Kind::Value { name: "RATE", hint: Hint::None, set: |s, v| values::rate(v).map(|v| s.up = v) },
        group: Group::Network,
        on: &[Share],
        help: "Send at most this much a second [default: 0, no limit]",
        more: "Bytes, or with K, M or G: 500K is 500 KiB/s.",
    },
    Flag {
        long: "secret",
        short: None,
        kind: Kind::Value {
            name: "WORD",
            hint: Hint::None,
            set: |s, v| values::some_text(v).map(|v| s.sharing.secret = Some(v)),
        },
        group: Group::Network,
        on: &[Share],
        help: "Keep out whoever does not know the URL",
        more: "The URL then holds a token made of WORD, and so does the info-hash: without the URL nobody \
               can get the .torrent, ask the tracker or talk to a peer. The same word gives the same URL. \
               It keeps strangers from joining, no more: nothing is encrypted, so who can read along on \
               the network sees the URL and the data; who has the URL can pass it on; and a word that can \
               be guessed is one. In the environment (BITWREN_SECRET) it is not seen in the list of \
               processes.",
    },
    Flag {
        long: "for",
        short: None,
        kind: Kind::Value {
            name: "N",
            hint: Hint::None,
            set: |s, v| values::number(v, 1..=10_000).map(|v| s.sharing.copies = Some(v)),
        },
        group: Group::Ending,
        on: &[Share],
        help: "End when N others have everything, with exit code 0",
        more: "They are counted by address and port once they have everything. Those that took no data from here, and \
               were not seen to get it from others, do not count.",
    },
    Flag {
        long: "once",
        short: None,
        kind: Kind::Switch(|s, on| s.sharing.copies = on.then_some(1)),
        group: Group::Ending,
        on: &[Share],
        help: "The same as --for 1",
        more: "",
    },
    Flag {
        long: "qr",
        short: None,
        kind: Kind::Switch(|s, on| s.sharing.qr = on),
        group: Group::Output,
        on: &[Share],
        help: "Show the URL as a QR code too",
        more: "On standard error. With several PATHs, that of the first.",
    },
];
