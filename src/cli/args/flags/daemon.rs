//! The options of `daemon` alone: where its state is, and who may drive it.

use super::flag::{Flag, Group, Hint, Kind};
use crate::cli::args::commands::Command::Daemon;
use crate::cli::args::values;

pub const FLAGS: &[Flag] = &[
    Flag {
        long: "state-dir",
        short: None,
        kind: Kind::Value {
            name: "DIR",
            hint: Hint::Dir,
            set: |s, v| values::path(v).map(|v| s.transfer.storage.state_dir = Some(v)),
        },
        group: Group::Data,
        on: &[Daemon],
        help: "Directory of the session [default: in ~/.local/state]",
        more: "It holds a copy of every .torrent, what is known of each torrent, and the settings that were \
               changed over the RPC. The default is bitwren/daemon in $XDG_STATE_HOME, or else in \
               ~/.local/state. No two daemons can use one directory at a time.",
    },
    Flag {
        long: "download-dir",
        short: Some('d'),
        kind: Kind::Value {
            name: "DIR",
            hint: Hint::Dir,
            set: |s, v| values::path(v).map(|v| s.daemon.download_dir = Some(v)),
        },
        group: Group::Data,
        on: &[Daemon],
        help: "Directory to download into [default: ~/Downloads]",
        more: "It holds for torrents that are added without a directory, until another is set over the RPC.",
    },
    Flag {
        long: "roots",
        short: None,
        kind: Kind::List {
            name: "DIR",
            hint: Hint::Dir,
            add: |s, v| values::path(v).map(|v| s.daemon.roots.push(v)),
        },
        group: Group::Data,
        on: &[Daemon],
        help: "Further directories that requests may name",
        more: "Requests may put, move and remove data below the download directory and below these, and read \
               .torrent files there. Symbolic links are followed before it is decided. May be given several times.",
    },
    Flag {
        long: "rpc-bind",
        short: None,
        kind: Kind::List {
            name: "ADDRESS",
            hint: Hint::None,
            add: |s, v| values::rpc_address(v).map(|v| s.daemon.rpc_bind.push(v)),
        },
        group: Group::Network,
        on: &[Daemon],
        help: "Where the RPC is served [default: 127.0.0.1:9091]",
        more: "An address, a port, or both: 0.0.0.0, 9092, 192.168.1.2:9091, [::1]:9091. An address that other \
               machines reach needs --rpc-password-file or --rpc-open. May be given several times.",
    },
    Flag {
        long: "rpc-socket",
        short: None,
        kind: Kind::Value {
            name: "PATH",
            hint: Hint::File,
            set: |s, v| values::path(v).map(|v| s.daemon.rpc_socket = Some(v)),
        },
        group: Group::Network,
        on: &[Daemon],
        help: "Serve the RPC at a Unix socket, too",
        more: "The owner and the group of the daemon may use it (mode 0660), without a password.",
    },
    Flag {
        long: "rpc-password-file",
        short: None,
        kind: Kind::Value {
            name: "FILE",
            hint: Hint::File,
            set: |s, v| values::path(v).map(|v| s.daemon.rpc_password_file = Some(v)),
        },
        group: Group::Network,
        on: &[Daemon],
        help: "File with NAME:PASSWORD for the RPC",
        more: "One line. No other user may be able to read the file: chmod 600. The variable \
               BITWREN_RPC_PASSWORD can hold the line instead. After five wrong passwords an address has to wait \
               longer each time, up to a minute.",
    },
    Flag {
        long: "rpc-open",
        short: None,
        kind: Kind::Switch(|s, on| s.daemon.rpc_open = on),
        group: Group::Network,
        on: &[Daemon],
        help: "Serve the RPC to other machines without a password",
        more: "Every program that reaches the address of --rpc-bind can then add and remove torrents and their data.",
    },
    Flag {
        long: "rpc-host",
        short: None,
        kind: Kind::List {
            name: "NAME",
            hint: Hint::None,
            add: |s, v| values::some_text(v).map(|v| s.daemon.rpc_hosts.push(v)),
        },
        group: Group::Network,
        on: &[Daemon],
        help: "A name by which browsers and proxies reach the RPC",
        more: "IP addresses, localhost and the names of this machine are permitted; with a password, every name. \
               A * stands for any text: *.example.org. May be given several times.",
    },
    Flag {
        long: "rpc-allow",
        short: None,
        kind: Kind::List {
            name: "PATTERN",
            hint: Hint::None,
            add: |s, v| values::some_text(v).map(|v| s.daemon.rpc_allow.push(v)),
        },
        group: Group::Network,
        on: &[Daemon],
        help: "Only these addresses may use the RPC [default: all]",
        more: "An address in which * stands for any text: 192.168.1.*. May be given several times.",
    },
    Flag {
        long: "pid-file",
        short: None,
        kind: Kind::Value {
            name: "FILE",
            hint: Hint::File,
            set: |s, v| values::path(v).map(|v| s.daemon.pid_file = Some(v)),
        },
        group: Group::Output,
        on: &[Daemon],
        help: "Write the process number into a file while it runs",
        more: "",
    },
    Flag {
        long: "umask",
        short: None,
        kind: Kind::Value {
            name: "MODE",
            hint: Hint::None,
            set: |s, v| values::umask(v).map(|v| s.daemon.umask = Some(v)),
        },
        group: Group::Data,
        on: &[Daemon],
        help: "Rights that new files do not get, such as 002",
        more: "Octal digits, as of the shell's umask. The default is what the daemon is started with.",
    },
];
