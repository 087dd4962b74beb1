//! The files that a download of selected files leaves beside its data.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bitwren::Allocation;
use bitwren::internals::storage::fd_cache::FdCache;
use bitwren::internals::storage::files::Files;
use bitwren::internals::storage::layout::Layout;
use bitwren::internals::storage::leftovers;

use super::job::Job;

/// The most files that are open.
const MAX_OPEN_FILES: usize = 4;

/// The leftovers of a complete download of selected files; none of any other, or if they cannot be read.
pub fn of(job: &Job, state_dir: Option<&Path>) -> Vec<PathBuf> {
    let (Some(metainfo), Some(select), Some(_)) = (job.torrent.metainfo(), &job.select, job.finished) else {
        return Vec::new();
    };
    let Ok(layout) = Layout::new(metainfo, Some(select)) else { return Vec::new() };
    let files = Files::open(&job.dir, layout, Arc::new(FdCache::new(MAX_OPEN_FILES)), Allocation::Sparse);
    leftovers::find(&files, state_dir).unwrap_or_default()
}

/// A line about it.
pub fn line(left: &[PathBuf]) -> String {
    let names: Vec<_> = left.iter().map(|path| path.to_string_lossy()).collect();
    format!("kept for unselected files: {}; bitwren verify --clean removes it", names.join(", "))
}
