//! The files that lie elsewhere than the torrent says before anything is looked at: those that an
//! earlier run remembers in the resume state, and those that the user renames.
//!
//! It never moves a file.

use std::path::{Path, PathBuf};

use super::io_error::show;
use super::names::{self, Paths};
use super::resume;
use super::sandbox::Root;
use crate::config::TorrentConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::metainfo::Metainfo;

/// The paths of those files. What the user says counts more than what is remembered.
///
/// # Errors
/// [`ErrorKind::Argument`] where a path cannot be that of a file; [`ErrorKind::Exists`] where the file to
/// be renamed lies there under its old name.
pub fn known(metainfo: &Metainfo, config: &TorrentConfig) -> Result<Paths> {
    let mut paths = match config.resume {
        true => resume::names(metainfo, &config.dir, config.state_dir.as_deref()),
        false => Paths::new(),
    };
    let given = names::given(metainfo, &config.rename)?;
    let mut moved: Vec<(PathBuf, PathBuf)> = Vec::new();
    for (index, path) in given {
        let torrents = metainfo.files().get(index as usize).map(|file| file.path());
        let old = paths.insert(index, path.clone()).or(torrents).unwrap_or_default();
        moved.push((old, path));
    }
    names::check(metainfo, &paths)?;
    let root = Root::new(&config.dir);
    let is_there = |path: &Path| root.stat(path).is_ok_and(|found| found.is_some());
    match moved.iter().find(|(old, path)| old != path && is_there(old) && !is_there(path)) {
        Some((old, path)) => {
            let (old, path) = (show(&root.join(old)), show(&root.join(path)));
            let why =
                format!("{old} is there already; move it to {path} yourself, or leave out the renaming");
            Err(Error::new(ErrorKind::Exists, why))
        }
        None => Ok(paths),
    }
}
