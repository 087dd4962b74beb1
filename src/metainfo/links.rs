//! The symbolic links of a torrent (BEP 47): which of them are made.
//!
//! Only a link to a file or a directory of the same torrent is, whose own place nothing else needs.
//! Invariant: the target of a link that is made is a path of the torrent, by plain names alone.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::file::File;
use super::warnings::{Warnings, quoted};

/// Links to links that are followed until something else has to come.
const MOST_HOPS: usize = 16;

/// Takes the targets away from the links that are not to be made, and tells each.
pub(super) fn settle(files: &mut [File], warnings: &mut Warnings) {
    if !files.iter().any(|file| file.symlink) {
        return;
    }
    let (mut places, mut directories) = (HashSet::new(), HashSet::new());
    for file in files.iter().filter(|file| file.is_stored()) {
        places.insert(file.path.clone());
        directories.extend(file.path.ancestors().skip(1).map(Path::to_path_buf));
    }
    let mut links: HashMap<PathBuf, PathBuf> = HashMap::new();
    let mut twice = HashSet::new();
    for file in files.iter().filter(|file| file.symlink) {
        let Some(target) = &file.target else { continue };
        if links.insert(file.path.clone(), target.to_path_buf()).is_some() {
            twice.insert(file.path.clone());
        }
    }
    let is_data = |path: &Path| places.contains(path) || directories.contains(path);
    links.retain(|path, _| !is_data(path) && !twice.contains(path));
    let leads_to_data = |target: &Path| {
        let next = |target: &PathBuf| links.get(target).cloned();
        let way = std::iter::successors(Some(target.to_path_buf()), next);
        way.take(MOST_HOPS).any(|target| is_data(&target))
    };
    for file in files.iter_mut().filter(|file| file.symlink) {
        let place = &file.path;
        let below = |path: &Path| links.contains_key(path) || places.contains(path);
        let why = match &file.target {
            None => "it does not say where in the torrent it leads",
            Some(_) if twice.contains(place) => "there is another of its path",
            Some(_) if is_data(place) => "something else has its path",
            Some(_) if place.ancestors().skip(1).any(below) => "its directory is none",
            Some(target) if !leads_to_data(target) => "it leads to nothing in the torrent",
            Some(_) => continue,
        };
        warnings.add(|| {
            format!("the symbolic link {} is not made: {why}", quoted(place.as_os_str().as_encoded_bytes()))
        });
        file.target = None;
    }
}
