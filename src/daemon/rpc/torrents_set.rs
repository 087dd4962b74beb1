//! torrent-set: a change to torrents, checked for all of them before it is made for the first.

use super::answer::Answer;
use super::args::Args;
use super::change::{labels, numbers, settings};
use super::fault::{Code, Fault};
use super::tracker_list;
use crate::daemon::command::{Backend, Command, FilesChange, TorrentChange};
use crate::daemon::settings::Priority;
use crate::daemon::view::{TorrentId, TorrentView};

/// Changes torrents.
pub fn set<'a>(args: Args<'a>, backend: &mut dyn Backend) -> Result<Answer<'a>, Fault> {
    let mut settings = settings(args);
    settings.labels = labels(args)?;
    let location = args.text("location");
    if location.is_some_and(|location| !location.starts_with('/')) {
        return Err(Fault::new(Code::PathNotAbsolute, "new location path is not absolute"));
    }
    let mut changes: Vec<(TorrentId, TorrentChange)> = Vec::new();
    for id in args.torrents(backend) {
        let Some(view) = backend.torrent(id) else { continue };
        if settings.sequential_download_from_piece.is_some_and(|piece| piece >= view.facts.piece_count) {
            let why = "piece to sequentially download from is outside pieces range";
            return Err(Fault::new(Code::PieceIndex, why));
        }
        let change = TorrentChange {
            settings: settings.clone(),
            files: files(args, &view)?,
            trackers: tracker_list::changed(args, &view.trackers)?,
            queue_position: args.number("queue_position"),
            location: location.map(str::to_owned),
        };
        if change != TorrentChange::default() {
            changes.push((id, change));
        }
    }
    for (id, change) in changes {
        backend.run(Command::Set(id, Box::new(change)))?;
    }
    Ok(Answer::nothing())
}

/// The files that are changed. An empty list means all of them.
fn files(args: Args, view: &TorrentView) -> Result<FilesChange, Fault> {
    let count = view.facts.files.len() as u32;
    let indices = |name| -> Result<Vec<u32>, Fault> {
        match args.list(name) {
            None => Ok(Vec::new()),
            Some([]) => Ok((0..count).collect()),
            Some(values) => {
                // A negative index is one past the end, too.
                let is_outside = values.iter().filter_map(|value| value.as_int());
                if is_outside.into_iter().any(|index| !(0..i64::from(count)).contains(&index)) {
                    return Err(Fault::bare(Code::FileIndex));
                }
                Ok(numbers(values).collect())
            }
        }
    };
    let mut change = FilesChange {
        unwanted: indices("files_unwanted")?,
        wanted: indices("files_wanted")?,
        priorities: Vec::new(),
    };
    let priorities = [
        ("priority_high", Priority::High),
        ("priority_low", Priority::Low),
        ("priority_normal", Priority::Normal),
    ];
    for (name, priority) in priorities {
        change.priorities.extend(indices(name)?.into_iter().map(|index| (index, priority)));
    }
    Ok(change)
}
