//! The options about making torrents and changing them: those of `create`, `edit` and `magnet`.

use super::flag::{Flag, Group, Hint, Kind};
use crate::cli::args::commands::Command::{Create, Edit, Get, Magnet, Share};
use crate::cli::args::values;

pub const FLAGS: &[Flag] = &[
    Flag {
        long: "output",
        short: Some('o'),
        kind: Kind::Value {
            name: "FILE",
            hint: Hint::File,
            set: |s, v| values::path(v).map(|v| s.write.output = Some(v)),
        },
        group: Group::Data,
        on: &[Create],
        help: "Output file, - for stdout [default: NAME.torrent]",
        more: "The default is in the current directory. If FILE is a directory, NAME.torrent is written \
               there. A pipe or a device is written to, never replaced. bitwren checks that it can write \
               the file before it hashes anything.",
    },
    Flag {
        long: "output",
        short: Some('o'),
        kind: Kind::Value {
            name: "FILE",
            hint: Hint::File,
            set: |s, v| values::path(v).map(|v| s.write.output = Some(v)),
        },
        group: Group::Data,
        on: &[Get],
        help: "With --metadata-only: output file, - for stdout",
        more: "FILE is for one TORRENT; for several, give a directory. The default is NAME.torrent in --dir.",
    },
    Flag {
        long: "output",
        short: Some('o'),
        kind: Kind::Value {
            name: "FILE",
            hint: Hint::File,
            set: |s, v| values::path(v).map(|v| s.write.output = Some(v)),
        },
        group: Group::Data,
        on: &[Edit],
        help: "Write here, - for stdout, and leave TORRENT unchanged",
        more: "For one TORRENT. If FILE is a directory, the name stays the same. Without this option \
               TORRENT itself is replaced atomically and keeps its owner and permissions.",
    },
    Flag {
        long: "overwrite",
        short: None,
        kind: Kind::Switch(|s, on| s.write.overwrite = on),
        group: Group::Data,
        on: &[Create, Edit],
        help: "Overwrite the output file if it exists",
        more: "Pipes and devices are written to without this option.",
    },
    Flag {
        long: "hidden",
        short: None,
        kind: Kind::Switch(|s, on| s.files.hidden = on),
        group: Group::Data,
        on: &[Create, Share],
        help: "Include files whose names start with a dot",
        more: "By default such files and directories are left out, and their number is printed.",
    },
    Flag {
        long: "all",
        short: None,
        kind: Kind::Switch(|s, on| s.files.all = on),
        group: Group::Data,
        on: &[Create, Share],
        help: "Include every file, whatever its name",
        more: "Includes hidden files, bitwren's state files (NAME.bitwren, .*.bitwren, .*.parts), \
               Thumbs.db, ehthumbs.db, desktop.ini and .DS_Store.",
    },
    Flag {
        long: "follow-symlinks",
        short: None,
        kind: Kind::Switch(|s, on| s.files.follow_symlinks = on),
        group: Group::Data,
        on: &[Create],
        help: "Follow symbolic links below PATH",
        more: "Without it they are left out. A link to a directory that contains it is always left out. \
               bitwren does not serve data through links: seed from a copy that has files in their place.",
    },
    Flag {
        long: "ignore",
        short: None,
        kind: Kind::List {
            name: "GLOB",
            hint: Hint::None,
            add: |s, v| values::some_text(v).map(|v| s.files.ignore.push(v)),
        },
        group: Group::Data,
        on: &[Create, Share],
        help: "Leave out files that match; may be repeated",
        more: "A glob without a slash is compared with every name (*.tmp), one with a slash with the path \
               below PATH (build/*, **/cache). A directory that matches is left out with its contents.",
    },
    Flag {
        long: "tracker",
        short: Some('t'),
        kind: Kind::List {
            name: "URL[,URL]",
            hint: Hint::None,
            add: |s, v| values::tier(v).map(|v| s.fields.tiers.push(v)),
        },
        group: Group::Torrent,
        on: &[Create],
        help: "Announce URL; may be repeated",
        more: "Each is a tier of its own: the second is used if the first fails. URLs separated by commas \
               are one tier, any of which may be used (BEP 12).",
    },
    Flag {
        long: "tracker",
        short: Some('t'),
        kind: Kind::List {
            name: "URL[,URL]",
            hint: Hint::None,
            add: |s, v| values::tier(v).map(|v| s.fields.tiers.push(v)),
        },
        group: Group::Torrent,
        on: &[Edit],
        help: "Add an announce URL; may be repeated",
        more: "Each becomes a tier of its own after the existing ones. URLs separated by commas are one tier \
               (BEP 12). A URL that is already there is not added again.",
    },
    Flag {
        long: "remove-tracker",
        short: None,
        kind: Kind::List {
            name: "URL",
            hint: Hint::None,
            add: |s, v| values::some_text(v).map(|v| s.edit.remove_trackers.push(v)),
        },
        group: Group::Torrent,
        on: &[Edit],
        help: "Remove an announce URL; may be repeated",
        more: "If a TORRENT does not have the URL, bitwren fails and writes nothing.",
    },
    Flag {
        long: "replace-tracker",
        short: None,
        kind: Kind::Pair {
            names: "OLD NEW",
            add: |s, old, new| {
                let pair = (values::some_text(old)?, values::text(new)?);
                s.edit.replace_trackers.push(pair);
                Ok(())
            },
        },
        group: Group::Torrent,
        on: &[Edit],
        help: "Replace OLD by NEW in announce URLs; may be repeated",
        more: "OLD is a whole URL or part of one, such as a host or a passkey, and is replaced wherever it \
               occurs. The result must be a valid URL. If no URL contains OLD, bitwren fails and writes \
               nothing.",
    },
    Flag {
        long: "no-trackers",
        short: None,
        kind: Kind::Switch(|s, on| s.edit.no_trackers = on),
        group: Group::Torrent,
        on: &[Edit],
        help: "Remove all announce URLs first",
        more: "URLs of --tracker are added afterwards.",
    },
    Flag {
        long: "no-trackers",
        short: None,
        kind: Kind::Switch(|s, on| s.magnet.no_trackers = on),
        group: Group::Torrent,
        on: &[Magnet],
        help: "Leave out trackers and web seeds",
        more: "The link then has the info-hash and the name only.",
    },
    Flag {
        long: "web-seed",
        short: Some('w'),
        kind: Kind::List {
            name: "URL",
            hint: Hint::None,
            add: |s, v| values::web(v).map(|v| s.fields.web_seeds.push(v)),
        },
        group: Group::Torrent,
        on: &[Create, Edit],
        help: "Add a web server that has the data; may be repeated",
        more: "BEP 19.",
    },
    Flag {
        long: "no-web-seeds",
        short: None,
        kind: Kind::Switch(|s, on| s.edit.no_web_seeds = on),
        group: Group::Torrent,
        on: &[Edit],
        help: "Remove all web seeds first",
        more: "URLs of --web-seed are added afterwards.",
    },
    Flag {
        long: "piece-length",
        short: Some('l'),
        kind: Kind::Value {
            name: "SIZE",
            hint: Hint::None,
            set: |s, v| values::piece_length(v).map(|v| s.create.piece_length = Some(v)),
        },
        group: Group::Torrent,
        on: &[Create],
        help: "A power of two from 16K to 2G [default: by size]",
        more: "The default gives 1000 to 2000 pieces of 16 KiB to 16 MiB. Other programs may refuse longer \
               pieces.",
    },
    Flag {
        long: "sort",
        short: None,
        kind: Kind::Value {
            name: "ORDER",
            hint: Hint::None,
            set: |s, v| values::order(v).map(|v| s.files.order = v),
        },
        group: Group::Torrent,
        on: &[Create],
        help: "Order of the files: path or component [default: path]",
        more: "path compares whole paths byte by byte: a-b comes before a/c, as in mktorrent and, apart \
               from the case of letters, in transmission. component compares them name by name, a directory \
               at a time: a/c comes before a-b, as in v2 torrents. The order is part of the info-hash.",
    },
    Flag {
        long: "private",
        short: None,
        kind: Kind::Switch(|s, on| s.create.private = on),
        group: Group::Torrent,
        on: &[Create],
        help: "Peers come from the trackers only",
        more: "BEP 27. Part of the info-hash.",
    },
    Flag {
        long: "private",
        short: None,
        kind: Kind::Switch(|s, on| s.edit.private = Some(on)),
        group: Group::Torrent,
        on: &[Edit],
        help: "Peers come from the trackers only; changes the info-hash",
        more: "BEP 27. Needs --allow-new-hash, as --no-private does.",
    },
    Flag {
        long: "name",
        short: None,
        kind: Kind::Value {
            name: "NAME",
            hint: Hint::None,
            set: |s, v| values::some_text(v).map(|v| s.create.name = Some(v)),
        },
        group: Group::Torrent,
        on: &[Create],
        help: "Name of the torrent [default: that of PATH]",
        more: "",
    },
    Flag {
        long: "comment",
        short: None,
        kind: Kind::Value {
            name: "TEXT",
            hint: Hint::None,
            set: |s, v| values::text(v).map(|v| s.fields.comment = Some(v)),
        },
        group: Group::Torrent,
        on: &[Create],
        help: "A comment",
        more: "",
    },
    Flag {
        long: "comment",
        short: None,
        kind: Kind::Value {
            name: "TEXT",
            hint: Hint::None,
            set: |s, v| values::text(v).map(|v| s.fields.comment = Some(v)),
        },
        group: Group::Torrent,
        on: &[Edit],
        help: "Set the comment; an empty TEXT removes it",
        more: "",
    },
    Flag {
        long: "source",
        short: None,
        kind: Kind::Value {
            name: "TEXT",
            hint: Hint::None,
            set: |s, v| values::text(v).map(|v| s.fields.source = Some(v)),
        },
        group: Group::Torrent,
        on: &[Create],
        help: "A source tag, which changes the info-hash",
        more: "Private trackers require one so that the same data has a different info-hash there.",
    },
    Flag {
        long: "source",
        short: None,
        kind: Kind::Value {
            name: "TEXT",
            hint: Hint::None,
            set: |s, v| values::text(v).map(|v| s.fields.source = Some(v)),
        },
        group: Group::Torrent,
        on: &[Edit],
        help: "Set the source tag; changes the info-hash",
        more: "An empty TEXT removes it. Needs --allow-new-hash.",
    },
    Flag {
        long: "allow-new-hash",
        short: None,
        kind: Kind::Switch(|s, on| s.edit.allow_new_hash = on),
        group: Group::Torrent,
        on: &[Edit],
        help: "Allow changes of the info-hash",
        more: "Trackers and peers then treat it as a different torrent, though the data is the same.",
    },
    Flag {
        long: "no-date",
        short: None,
        kind: Kind::Switch(|s, on| s.create.date = !on),
        group: Group::Torrent,
        on: &[Create],
        help: "Do not record when the torrent was made",
        more: "The same data and options then give the same file, byte for byte. Without this option \
               SOURCE_DATE_EPOCH, if set, is recorded instead of the current time.",
    },
];
