//! The options about the names of files on disk.

use super::flag::{Flag, Group, Hint, Kind};
use crate::cli::args::commands::Command::{Get, Seed, Verify};
use crate::cli::args::values;

pub const FLAGS: &[Flag] = &[
    Flag {
        long: "rename",
        short: None,
        kind: Kind::List {
            name: "N=NAME",
            hint: Hint::None,
            add: |s, v| values::rename(v).map(|v| s.transfer.storage.rename.push(v)),
        },
        group: Group::Data,
        on: &[Get, Seed, Verify],
        help: "Store file N of --list under another name",
        more: "A NAME without a slash keeps the file in its directory; one with a slash is a path below \
               --dir. The name is saved in the resume state. A file that already exists is not moved.",
    },
    Flag {
        long: "allow-hidden",
        short: None,
        kind: Kind::Switch(|s, on| s.transfer.allow_hidden = on),
        group: Group::Data,
        on: &[Get],
        help: "Allow names that start with a dot in a home directory",
        more: "A file such as .profile or .ssh/authorized_keys changes how a login works. In other \
               directories such a name only causes a warning.",
    },
];
