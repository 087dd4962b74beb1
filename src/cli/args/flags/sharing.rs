//! The options of `share`.

use super::flag::{Flag, Group, Hint, Kind};
use crate::cli::args::commands::Command::Share;
use crate::cli::args::values;

pub const FLAGS: &[Flag] = &[
    Flag {
        long: "port",
        short: None,
        kind: Kind::Value {
            name: "PORT",
            hint: Hint::None,
            set: |s, v| values::number(v, 0..=65535).map(|v| s.share.port = Some(v)),
        },
        group: Group::Network,
        on: &[Share],
        help: "TCP and UDP port to share on, 0 for any [default: 6969]",
        more: "For the .torrent and the tracker. If 6969 is taken, the next nine ports are tried. A given \
               port must be free.",
    },
    Flag {
        long: "peer-port",
        short: None,
        kind: Kind::Value {
            name: "PORT",
            hint: Hint::None,
            set: |s, v| values::number(v, 0..=65535).map(|v| s.share.listen.port = Some(v)),
        },
        group: Group::Network,
        on: &[Share],
        help: "TCP port for the data, 0 for any [default: 6881]",
        more: "If 6881 is taken, the next nine ports are tried. A given port must be free.",
    },
    Flag {
        long: "host",
        short: None,
        kind: Kind::Value {
            name: "HOST",
            hint: Hint::None,
            set: |s, v| values::host(v).map(|v| s.share.host = Some(v)),
        },
        group: Group::Network,
        on: &[Share],
        help: "Name or address of this machine in the URL",
        more: "The default is this machine's address on its main network; bitwren also prints the other \
               addresses.",
    },
    Flag {
        long: "bind",
        short: None,
        kind: Kind::Value {
            name: "ADDRESS",
            hint: Hint::None,
            set: |s, v| values::bind(v).map(|v| s.share.listen.bind_to = Some(v)),
        },
        group: Group::Network,
        on: &[Share],
        help: "Address or network interface to share at [default: all]",
        more: "An address of this machine, or an interface such as eth0, which stands for the address it \
               has when bitwren starts.",
    },
    Flag {
        long: "up",
        short: None,
        kind: Kind::Value {
            name: "RATE",
            hint: Hint::None,
            set: |s, v| values::rate(v).map(|v| s.share.up = v),
        },
        group: Group::Network,
        on: &[Share],
        help: "Upload speed limit [default: 0, no limit]",
        more: "Bytes per second, or with K, M or G: 500K is 500 KiB/s.",
    },
    Flag {
        long: "secret",
        short: None,
        kind: Kind::Value {
            name: "WORD",
            hint: Hint::None,
            set: |s, v| values::some_text(v).map(|v| s.share.secret = Some(v)),
        },
        group: Group::Network,
        on: &[Share],
        help: "Admit only machines that know the URL",
        more: "The URL and the info-hash then depend on a token made from WORD: without the URL it is not \
               possible to get the .torrent, ask the tracker or connect to a peer. The same word gives the \
               same URL. This only keeps strangers from joining. Nothing is encrypted: anyone who can read \
               the network's traffic sees the URL and the data, anyone with the URL can pass it on, and a \
               weak word can be guessed. Set BITWREN_SECRET instead to keep the word out of the process \
               list.",
    },
    Flag {
        long: "for",
        short: None,
        kind: Kind::Value {
            name: "N",
            hint: Hint::None,
            set: |s, v| values::number(v, 1..=10_000).map(|v| s.share.copies = Some(v)),
        },
        group: Group::Ending,
        on: &[Share],
        help: "Exit with code 0 when N machines have everything",
        more: "They are counted by address and port. A machine counts only if it downloaded from this one \
               or was seen to download from others.",
    },
    Flag {
        long: "once",
        short: None,
        kind: Kind::Switch(|s, on| s.share.copies = on.then_some(1)),
        group: Group::Ending,
        on: &[Share],
        help: "The same as --for 1",
        more: "",
    },
    Flag {
        long: "qr",
        short: None,
        kind: Kind::Switch(|s, on| s.share.qr = on),
        group: Group::Output,
        on: &[Share],
        help: "Also show the URL as a QR code",
        more: "On standard error. With several PATHs, the URL of the first.",
    },
];
