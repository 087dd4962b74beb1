//! Methods about the session: its fields, its totals, free space, the port and the blocklist.

use std::io;

use super::answer::Answer;
use super::args::{self, Args};
use super::fault::{Code, Details, Fault, write_space};
use super::keys;
use super::reply::Reply;
use crate::daemon::command::{AddressFamily, Backend, Command, Failure, Outcome};
use crate::daemon::settings::{Encryption, SettingsChange};
use crate::daemon::view::{SessionView, Totals};
use crate::json::Value;

/// The version of Transmission that is spoken: clients choose what they ask for by it.
const TRANSMISSION: &str = "4.1.3";
/// `rpc-version`.
pub const RPC_VERSION: u32 = 19;
/// `rpc-version-minimum`.
pub const RPC_VERSION_MINIMUM: u32 = 14;
/// `rpc-version-semver`, and the header `X-Transmission-Rpc-Version`.
pub const RPC_VERSION_SEMVER: &str = "6.0.1";

/// `version`: Transmission's first, for clients read the numbers at its beginning.
pub fn version() -> String {
    format!("{TRANSMISSION} (bitwren {})", env!("CARGO_PKG_VERSION"))
}

type Read = fn(&mut Reply, &SessionView, &dyn Backend) -> io::Result<()>;
type Set = fn(&Value, &mut SettingsChange) -> Result<(), Fault>;

/// A field of the session.
struct Field {
    name: &'static str,
    /// Writes its value.
    read: Read,
    /// Takes a new value; nothing for what is only read.
    set: Option<Set>,
}

/// A setting of a plain kind that has the name of its field.
macro_rules! setting {
    ($kind:ident $field:ident) => {
        Field {
            name: stringify!($field),
            read: |reply, view, _| reply.put(setting!(@ $kind view.settings.$field)),
            set: Some(|value, change| {
                change.$field = setting!(@set $kind value);
                Ok(())
            }),
        }
    };
    (directory $field:ident, $refusal:literal) => {
        Field {
            name: stringify!($field),
            read: |reply, view, _| reply.put(&view.settings.$field),
            set: Some(|value, change| {
                change.$field = absolute(value, $refusal)?;
                Ok(())
            }),
        }
    };
    (@ text $value:expr) => { &$value };
    (@ $kind:ident $value:expr) => { $value };
    (@set text $value:expr) => { $value.as_text().map(str::to_owned) };
    (@set port $value:expr) => { args::number($value).and_then(|port| port.try_into().ok()) };
    (@set $kind:ident $value:expr) => { args::$kind($value) };
}

const fn fact(name: &'static str, read: Read) -> Field {
    Field { name, read, set: None }
}

/// All fields, by name.
const FIELDS: &[Field] = &[
    setting!(number alt_speed_down),
    setting!(flag alt_speed_enabled),
    setting!(number alt_speed_time_begin),
    setting!(number alt_speed_time_day),
    setting!(flag alt_speed_time_enabled),
    setting!(number alt_speed_time_end),
    setting!(number alt_speed_up),
    setting!(flag anti_brute_force_enabled),
    setting!(number anti_brute_force_threshold),
    setting!(flag blocklist_enabled),
    fact("blocklist_size", |reply, view, _| reply.put(view.blocklist_rules)),
    setting!(text blocklist_url),
    setting!(number cache_size_mib),
    fact("config_dir", |reply, view, _| reply.put(&view.config_dir)),
    setting!(text default_trackers),
    setting!(flag dht_enabled),
    setting!(directory download_dir, "download directory path is not absolute"),
    fact("download_dir_free_space", |reply, view, backend| {
        let space = backend.space(&view.settings.download_dir);
        reply.put(space.map_or(-1, |space| i64::try_from(space.free).unwrap_or(i64::MAX)))
    }),
    setting!(flag download_queue_enabled),
    setting!(number download_queue_size),
    Field {
        name: "encryption",
        read: |reply, view, _| {
            let word = match view.settings.encryption {
                Encryption::Required => "required",
                Encryption::Preferred => "preferred",
                Encryption::Allowed => reply.encryption_allowed(),
            };
            reply.put(word)
        },
        set: Some(set_encryption),
    },
    setting!(number idle_seeding_limit),
    setting!(flag idle_seeding_limit_enabled),
    setting!(directory incomplete_dir, "incomplete torrents directory path is not absolute"),
    setting!(flag incomplete_dir_enabled),
    setting!(flag lpd_enabled),
    setting!(number peer_limit_global),
    setting!(number peer_limit_per_torrent),
    setting!(port peer_port),
    setting!(flag peer_port_random_on_start),
    setting!(flag pex_enabled),
    setting!(flag port_forwarding_enabled),
    Field {
        name: "preferred_transports",
        read: |reply, view, _| {
            let transports = [("utp", view.settings.utp_enabled), ("tcp", view.settings.tcp_enabled)];
            reply.values(transports.into_iter().filter(|(_, is_on)| *is_on).map(|(name, _)| name))
        },
        set: Some(|value, change| {
            if let Some(names) = value.as_list() {
                let has = |name| Some(names.iter().any(|value| value.as_text() == Some(name)));
                (change.utp_enabled, change.tcp_enabled) = (has("utp"), has("tcp"));
            }
            Ok(())
        }),
    },
    setting!(flag queue_stalled_enabled),
    setting!(number queue_stalled_minutes),
    setting!(flag rename_partial_files),
    setting!(number reqq),
    fact("rpc_version", |reply, _, _| reply.put(RPC_VERSION)),
    fact("rpc_version_minimum", |reply, _, _| reply.put(RPC_VERSION_MINIMUM)),
    fact("rpc_version_semver", |reply, _, _| reply.put(RPC_VERSION_SEMVER)),
    // A client that could set these could run any program; they come from the configuration alone.
    fact("script_torrent_added_enabled", |reply, view, _| reply.put(view.hooks.added.is_some())),
    fact("script_torrent_added_filename", |reply, view, _| reply.put(shown(&view.hooks.added))),
    fact("script_torrent_done_enabled", |reply, view, _| reply.put(view.hooks.done.is_some())),
    fact("script_torrent_done_filename", |reply, view, _| reply.put(shown(&view.hooks.done))),
    fact("script_torrent_done_seeding_enabled", |reply, view, _| reply.put(view.hooks.seeded.is_some())),
    fact("script_torrent_done_seeding_filename", |reply, view, _| reply.put(shown(&view.hooks.seeded))),
    setting!(flag seed_queue_enabled),
    setting!(number seed_queue_size),
    setting!(float seed_ratio_limit),
    setting!(flag seed_ratio_limited),
    setting!(flag sequential_download),
    fact("session_id", |reply, view, _| reply.put(&view.session_id)),
    setting!(number speed_limit_down),
    setting!(flag speed_limit_down_enabled),
    setting!(number speed_limit_up),
    setting!(flag speed_limit_up_enabled),
    setting!(flag start_added_torrents),
    fact("tcp_enabled", |reply, view, _| reply.put(view.settings.tcp_enabled)),
    setting!(flag trash_original_torrent_files),
    fact("units", |reply, _, _| write_units(reply)),
    setting!(flag utp_enabled),
    fact("version", |reply, _, _| reply.put(&version())),
];

fn shown(program: &Option<String>) -> &str {
    program.as_deref().unwrap_or_default()
}

fn absolute(value: &Value, why: &str) -> Result<Option<String>, Fault> {
    match value.as_text() {
        Some(path) if !path.starts_with('/') => Err(Fault::new(Code::PathNotAbsolute, why)),
        path => Ok(path.map(str::to_owned)),
    }
}

fn set_encryption(value: &Value, change: &mut SettingsChange) -> Result<(), Fault> {
    change.encryption = match value.as_text() {
        Some("required") => Some(Encryption::Required),
        Some("preferred") => Some(Encryption::Preferred),
        Some("allowed" | "tolerated") => Some(Encryption::Allowed),
        Some(_) => {
            return Err(Fault::params(r#"must be one of "preferred", "required" or "allowed""#));
        }
        None => None,
    };
    Ok(())
}

fn write_units(reply: &mut Reply) -> io::Result<()> {
    let units = [
        ("memory_bytes", 1024u32, "memory_units", ["B", "KiB", "MiB", "GiB", "TiB"]),
        ("size_bytes", 1000, "size_units", ["B", "kB", "MB", "GB", "TB"]),
        ("speed_bytes", 1000, "speed_units", ["B/s", "kB/s", "MB/s", "GB/s", "TB/s"]),
    ];
    reply.object(|reply| {
        for (bytes, step, names, words) in units {
            reply.member(bytes, step)?;
            reply.key(names)?;
            reply.values(words)?;
        }
        Ok(())
    })
}

/// The fields named in `fields`, or all.
pub fn get<'a>(args: Args<'a>, _: &dyn Backend) -> Result<Answer<'a>, Fault> {
    let asked = args.list("fields").filter(|names| !names.is_empty());
    let names = asked.map(|names| names.iter().filter_map(Value::as_text).collect::<Vec<_>>());
    let is_asked = move |field: &&Field| match &names {
        Some(names) => names.iter().any(|name| *name == field.name || *name == keys::legacy(field.name)),
        None => true,
    };
    Ok(Answer::new(move |reply, backend| {
        let view = backend.session();
        FIELDS.iter().filter(is_asked).try_for_each(|field| {
            reply.key(field.name)?;
            (field.read)(reply, &view, backend)
        })
    }))
}

/// Changes settings: all that are named, or none if one of them is wrong.
pub fn set<'a>(args: Args<'a>, backend: &mut dyn Backend) -> Result<Answer<'a>, Fault> {
    let mut change = SettingsChange::default();
    for field in FIELDS {
        if let (Some(set), Some(value)) = (field.set, args.get(field.name)) {
            set(value, &mut change)?;
        }
    }
    if !change.is_empty() {
        backend.run(Command::SetSession(Box::new(change)))?;
    }
    Ok(Answer::nothing())
}

/// Counts, rates and totals.
pub fn stats<'a>(_: Args<'a>, _: &dyn Backend) -> Result<Answer<'a>, Fault> {
    Ok(Answer::new(|reply, backend| {
        let view = backend.session();
        reply.member("active_torrent_count", view.active_torrents)?;
        reply.key("cumulative_stats")?;
        write_totals(reply, &view.cumulative)?;
        reply.key("current_stats")?;
        write_totals(reply, &view.current)?;
        reply.member("download_speed", view.rates.0)?;
        reply.member("paused_torrent_count", view.paused_torrents)?;
        reply.member("torrent_count", view.active_torrents.saturating_add(view.paused_torrents))?;
        reply.member("upload_speed", view.rates.1)
    }))
}

fn write_totals(reply: &mut Reply, totals: &Totals) -> io::Result<()> {
    reply.object(|reply| {
        reply.member("downloaded_bytes", totals.downloaded)?;
        reply.member("files_added", totals.files_added)?;
        reply.member("seconds_active", totals.seconds_active)?;
        reply.member("session_count", totals.sessions)?;
        reply.member("uploaded_bytes", totals.uploaded)
    })
}

/// Ends the daemon.
pub fn close<'a>(_: Args<'a>, backend: &mut dyn Backend) -> Result<Answer<'a>, Fault> {
    backend.run(Command::Close)?;
    Ok(Answer::nothing())
}

/// The free space of a directory.
pub fn free_space<'a>(args: Args<'a>, backend: &dyn Backend) -> Result<Answer<'a>, Fault> {
    let Some(path) = args.text("path") else {
        return Err(Fault::params("directory path argument is missing"));
    };
    if !path.starts_with('/') {
        return Err(Fault::new(Code::PathNotAbsolute, "directory path is not absolute"));
    }
    match backend.space(path) {
        Ok(space) => {
            Ok(Answer::new(move |reply, _| write_space(reply, path, Some((space.free, space.total)))))
        }
        Err(failure) => Err(Fault::from(failure).with(Details::Space(path.to_owned()))),
    }
}

/// Whether peers can reach us.
pub fn test_port<'a>(args: Args<'a>, backend: &dyn Backend) -> Result<Answer<'a>, Fault> {
    let protocol = args.text("ip_protocol");
    let family = match protocol {
        None => None,
        Some("ipv4") => Some(AddressFamily::V4),
        Some("ipv6") => Some(AddressFamily::V6),
        Some(_) => return Err(Fault::params("invalid ip protocol string")),
    };
    let is_open = backend.is_port_open(family).map_err(|failure| match failure {
        Failure::Fetch(why) | Failure::System(why) => {
            Fault::new(Code::Http, format!("Couldn't test port: {why}"))
        }
        other => other.into(),
    })?;
    Ok(Answer::new(move |reply, _| {
        if let Some(protocol) = protocol {
            reply.member("ip_protocol", protocol)?;
        }
        reply.member("port_is_open", is_open)
    }))
}

/// Fetches the blocklist anew.
pub fn update_blocklist<'a>(_: Args<'a>, backend: &mut dyn Backend) -> Result<Answer<'a>, Fault> {
    match backend.run(Command::UpdateBlocklist)? {
        Outcome::Blocklist(rules) => Ok(Answer::new(move |reply, _| reply.member("blocklist_size", rules))),
        _ => Err(Failure::Unavailable.into()),
    }
}
