//! The options about the names of files on disk.

use super::flag::{Flag, Group, Kind};
use crate::cli::args::commands::Command::{Get, Seed, Verify};
use crate::cli::args::values;

pub const FLAGS: &[Flag] = &[
    Flag {
        long: "rename",
        short: None,
        kind: Kind::List { name: "N=NAME", add: |s, v| values::rename(v).map(|v| s.rename.push(v)) },
        group: Group::Data,
        on: &[Get, Seed, Verify],
        help: "Store file N of --list under another name",
        more: "NAME alone leaves the file in its directory; a path with a slash is taken below --dir. It is \
               remembered in the resume state. A file that is there already is not moved.",
    },
    Flag {
        long: "allow-hidden",
        short: None,
        kind: Kind::Switch(|s, on| s.allow_hidden = on),
        group: Group::Data,
        on: &[Get],
        help: "Take names with a dot in front in a home directory",
        more: "A file such as .profile or .ssh/authorized_keys changes how a login works. Elsewhere such \
               names are only told.",
    },
];
