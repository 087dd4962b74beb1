//! The symbolic links of a torrent (BEP 47): which of them are made.
//!
//! Only a link to a file or a directory of the same torrent is, whose own place nothing else needs.
//! Invariant: the target of a link that is made is a path of the torrent, by plain names alone.

use std::collections::{HashMap, HashSet};

use super::files::{File, FileTable};
use super::places::{Places, directories, key};
use super::warnings::{Warnings, quoted};

/// Links to links that are followed until something else has to come.
const MAX_HOPS: usize = 16;

/// Takes the targets away from the links that are not to be made, and tells each. Paths are compared by
/// their keys, which keeps a million links small.
pub(super) fn settle(table: &mut FileTable, info: &[u8], places: &Places, warnings: &mut Warnings) {
    let files = table.list(info);
    let links = || files.iter().filter(|file| file.symlink);
    if links().next().is_none() {
        return;
    }
    // Where a link leads, by the key of its own place.
    let mut leads: HashMap<u64, u64> = HashMap::new();
    let mut twice = HashSet::new();
    for file in links() {
        let Some(target) = file.target_text() else { continue };
        if leads.insert(key(&file.path_text()), key(&target)).is_some() {
            twice.insert(key(&file.path_text()));
        }
    }
    leads.retain(|place, _| !places.has(*place) && !twice.contains(place));
    let leads_to_data = |target: u64| {
        let way = std::iter::successors(Some(target), |target| leads.get(target).copied());
        { way }.take(MAX_HOPS).any(|target| places.has(target))
    };
    let fault = |file: &File<'_>| {
        let (path, target) = (file.path_text(), file.target_text());
        let place = key(&path);
        Some(match target {
            None => "it does not say where in the torrent it leads",
            Some(_) if twice.contains(&place) => "there is another of its path",
            Some(_) if places.has(place) => "something else has its path",
            Some(_)
                if directories(&path).any(|above| leads.contains_key(&above) || places.has_file(above)) =>
            {
                "its directory is none"
            }
            Some(target) if !leads_to_data(key(&target)) => "it leads to nothing in the torrent",
            Some(_) => return None,
        })
    };
    let mut left_out = HashSet::new();
    for (index, file) in (0u32..).zip(files).filter(|(_, file)| file.symlink) {
        if let Some(why) = fault(&file) {
            left_out.insert(index);
            warnings.add(|| {
                let path = file.path_text();
                format!("the symbolic link {} is not made: {why}", quoted(path.as_bytes()))
            });
        }
    }
    table.targets.retain(|(file, _)| !left_out.contains(file));
    table.targets.shrink_to_fit();
}
