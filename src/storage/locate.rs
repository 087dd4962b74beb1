//! Finds files that are stored under another name than the torrent's: the original name of one that had to be
//! made safe, a substitute from an earlier run or another program, or the same name in another Unicode
//! normalisation.
//!
//! It never writes and never fails: a path that cannot be looked at is not found. A substitute is taken for
//! the file only if it has its length, since a shorter name may belong to any file. A file under its plain
//! name is never looked for elsewhere.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::layout::Layout;
use super::names::{Names, Why};
use super::sandbox::Root;
use super::{normal, substitute};
use crate::metainfo::File;

/// The most names of one directory that are compared.
const MAX_NAMES: usize = 100_000;

/// Looks for every file of a torrent whose name is not an ordinary one, and notes in `names` where it is.
pub(super) fn locate(root: &Root, layout: &Layout, names: &Names) {
    let mut search = Search { root, layout, names, directories: HashMap::new() };
    for (index, file) in (0u32..).zip(layout.files()) {
        let ordinary = file.own().is_none()
            && names.twins(index).is_empty()
            && file.path().to_str().is_some_and(substitute::is_ordinary);
        if file.is_stored() && !ordinary && names.get(index).is_none() {
            search.file(index, &file);
        }
    }
}

struct Search<'a> {
    root: &'a Root,
    layout: &'a Layout,
    names: &'a Names,
    /// The names in a directory, by their decomposed form.
    directories: HashMap<PathBuf, HashMap<String, Vec<OsString>>>,
}

impl Search<'_> {
    fn file(&mut self, index: u32, file: &File<'_>) {
        let path = file.path();
        if let Some(found) = self.stat(&path) {
            return self.among_twins(index, file, &found);
        }
        if let Some(own) = file.own().filter(|own| self.stat(own).is_some()) {
            return self.names.set(index, own, None);
        }
        let substitutes = self.names.substitutes(self.layout.metainfo(), index).into_iter();
        let found = substitutes.chain(self.normalised(&path)).find(|path| self.is_it(path, file));
        if let Some(path) = found {
            self.names.set(index, path, Some(Why::Found));
        }
    }

    /// An existing file may be an earlier one of the torrent, if the file system does not tell their names
    /// apart.
    fn among_twins(&self, index: u32, file: &File<'_>, found: &Metadata) {
        if !is_one_of(self.names.twins(index), self.root, self.layout, self.names, found) {
            return;
        }
        let beside = self.names.beside(self.layout.metainfo(), index);
        if let Some(path) = beside.filter(|path| self.is_it(path, file)) {
            self.names.set(index, path, Some(Why::Found));
        }
    }

    fn stat(&self, path: &Path) -> Option<Metadata> {
        self.root.stat(path).ok().flatten()
    }

    fn is_it(&self, path: &Path, file: &File<'_>) -> bool {
        self.stat(path).is_some_and(|found| found.len() == file.length)
    }

    /// The path that leads to an entry of the same name in another normalisation, if there is one.
    fn normalised(&mut self, path: &Path) -> Option<PathBuf> {
        let mut found = PathBuf::new();
        let mut differs = false;
        for name in path {
            let exact = found.join(name);
            if fs::symlink_metadata(self.root.join(&exact)).is_ok() {
                found = exact;
                continue;
            }
            let apart = normal::apart(name.to_str()?);
            if name.to_str()?.is_ascii() {
                return None;
            }
            match self.directory(&found).get(&*apart).map(Vec::as_slice) {
                Some([one]) => found.push(one),
                _ => return None,
            }
            differs = true;
        }
        differs.then_some(found)
    }

    fn directory(&mut self, path: &Path) -> &HashMap<String, Vec<OsString>> {
        let root = self.root;
        self.directories.entry(path.to_path_buf()).or_insert_with(|| {
            let mut names: HashMap<String, Vec<OsString>> = HashMap::new();
            let entries = fs::read_dir(root.join(path)).into_iter().flatten().flatten();
            for name in entries.take(MAX_NAMES).map(|entry| entry.file_name()) {
                let apart = name.to_str().filter(|name| !name.is_ascii()).map(normal::apart);
                if let Some(apart) = apart.map(Cow::into_owned) {
                    names.entry(apart).or_default().push(name);
                }
            }
            names
        })
    }
}

/// Whether a file that was found is one of those.
pub(super) fn is_one_of(
    twins: &[u32],
    root: &Root,
    layout: &Layout,
    names: &Names,
    found: &Metadata,
) -> bool {
    twins.iter().any(|&twin| {
        let Some(file) = layout.files().get(twin as usize) else { return false };
        let theirs = root.stat(&names.path(twin, &file)).ok().flatten();
        theirs.is_some_and(|theirs| (theirs.dev(), theirs.ino()) == (found.dev(), found.ino()))
    })
}

#[cfg(test)]
mod tests;
