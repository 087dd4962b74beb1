//! Arguments that torrent-add and torrent-set have in common.

use super::args::Args;
use super::fault::Fault;
use crate::daemon::settings::{LimitMode, Priority, TorrentSettingsChange};
use crate::json::Value;

/// The settings that are named, labels apart.
pub fn settings(args: Args) -> TorrentSettingsChange {
    TorrentSettingsChange {
        bandwidth_priority: args.int("bandwidth_priority").and_then(priority),
        download_limit: args.number("download_limit"),
        download_limited: args.flag("download_limited"),
        upload_limit: args.number("upload_limit"),
        upload_limited: args.flag("upload_limited"),
        honors_session_limits: args.flag("honors_session_limits"),
        seed_ratio_limit: args.float("seed_ratio_limit"),
        seed_ratio_mode: args.int("seed_ratio_mode").and_then(limit_mode),
        seed_idle_limit: args.number("seed_idle_limit"),
        seed_idle_mode: args.int("seed_idle_mode").and_then(limit_mode),
        peer_limit: args.number("peer_limit"),
        sequential_download: args.flag("sequential_download"),
        sequential_download_from_piece: args.number("sequential_download_from_piece"),
        labels: None,
        group: args.text("group").map(str::to_owned),
    }
}

fn priority(number: i64) -> Option<Priority> {
    Some(match number {
        -1 => Priority::Low,
        0 => Priority::Normal,
        1 => Priority::High,
        _ => return None,
    })
}

fn limit_mode(number: i64) -> Option<LimitMode> {
    Some(match number {
        0 => LimitMode::Session,
        1 => LimitMode::Own,
        2 => LimitMode::Unlimited,
        _ => return None,
    })
}

/// The labels, each once, without white space around them.
pub fn labels(args: Args) -> Result<Option<Vec<String>>, Fault> {
    let Some(values) = args.list("labels") else { return Ok(None) };
    let mut labels: Vec<String> = Vec::new();
    for label in values.iter().filter_map(Value::as_text) {
        let label = label.trim();
        if label.is_empty() {
            return Err(Fault::params("labels cannot be empty"));
        }
        if label.contains(',') {
            return Err(Fault::params("labels cannot contain comma (,) character"));
        }
        if !labels.iter().any(|other| other == label) {
            labels.push(label.to_owned());
        }
    }
    Ok(Some(labels))
}

/// The whole numbers from 0 up in a list.
pub fn numbers(values: &[Value]) -> impl Iterator<Item = u32> {
    values.iter().filter_map(super::args::number)
}
