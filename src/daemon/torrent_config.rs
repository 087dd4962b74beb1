//! The settings of a task as those of a torrent of the client.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::daemon::settings::{Priority, Settings, rate_limit};
use crate::daemon::task::Task;
use crate::{FileSelector, Metainfo, Priority as FilePriority, Torrent, TorrentConfig};

/// Sets the limits of its rates.
pub fn set_limits(task: &Task, torrent: &Torrent) {
    let settings = &task.settings;
    torrent.set_limits(
        rate_limit(settings.download_limited, settings.download_limit),
        rate_limit(settings.upload_limited, settings.upload_limit),
    );
}

/// The settings of a torrent for the client.
pub fn config_of(task: &Task, session: &Settings, state_dir: &Path) -> TorrentConfig {
    let record = &task.record;
    let mut config = TorrentConfig::default()
        .dir(&record.dir)
        .state_dir(state_dir.to_path_buf())
        .sequential(task.settings.sequential_download)
        .max_peers(task.settings.peer_limit.clamp(1, 10_000))
        .seed_ratio(task.ratio_limit(session).unwrap_or(f64::INFINITY).max(0.0))
        .seed_idle(
            task.idle_limit(session)
                .map_or(Duration::MAX, |minutes| Duration::from_secs(60 * u64::from(minutes))),
        );
    let priorities = record.priorities.iter().map(|(file, priority)| {
        let priority = match priority {
            Priority::Low => FilePriority::Low,
            Priority::Normal => FilePriority::Normal,
            Priority::High => FilePriority::High,
        };
        (*file, priority)
    });
    config = config.file_priorities(priorities.collect::<Vec<_>>());
    if record.trackers.is_some() {
        config =
            config.use_trackers(false).trackers(task.trackers.iter().map(|tracker| tracker.announce.clone()));
    }
    if let Some(metainfo) = &task.metainfo {
        let stored = metainfo.files().iter().zip(0u32..).filter(|(file, _)| file.is_stored());
        let numbered = (1u32..).zip(stored.map(|(_, index)| index));
        let renamed =
            numbered.filter_map(|(number, index)| Some((number, PathBuf::from(record.paths.get(&index)?))));
        config = config.rename(renamed.collect::<Vec<_>>());
    }
    if record.unwanted.is_empty() {
        return config;
    }
    let unwanted = record.unwanted.clone();
    let selected = move |metainfo: &Metainfo| -> Vec<u32> {
        let files = 0..metainfo.files().len() as u32;
        files.filter(|file| unwanted.binary_search(file).is_err()).collect()
    };
    match &task.metainfo {
        Some(metainfo) => config.select(selected(metainfo)),
        None => config.file_selector(FileSelector::new(move |metainfo| Ok(Some(selected(metainfo))))),
    }
}
