//! Under which path each file lies, where that is not the path the torrent gives it: the user or an
//! earlier run chose another, it was found under another, or the file system does not take its name.
//!
//! It never touches the disk; `locate` and [`Files`](super::files::Files) do.
//! Invariant: a path in it is relative, made of plain names, and no other file of the torrent has it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, RwLock};

use super::io_error::show;
use super::normal;
use super::substitute::{self, FORMS, Form};
use crate::error::{Error, ErrorKind, Result};
use crate::lock::{self, lock};
use crate::metainfo::{File, MAX_PATH_BYTES, MAX_PATH_DEPTH, Metainfo};

/// Paths by the index of their file.
pub type Paths = BTreeMap<u32, PathBuf>;

/// A file that lies under another path than the torrent gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAs {
    /// Its index in the torrent.
    pub file: u32,
    /// Its path below the download directory.
    pub path: PathBuf,
    /// Why it is not where the torrent says.
    pub why: Why,
}

/// Why a file lies under another path than the torrent gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The file system does not take the name.
    Refused,
    /// The file system takes the name for that of another file of the torrent.
    Folded,
    /// It was there, as another program or an earlier run put it.
    Found,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Why::Refused => "the file system does not take the name",
            Why::Folded => "the file system takes the name for that of another file",
            Why::Found => "it was found under this name",
        })
    }
}

/// The paths of one torrent that differ from those it gives.
#[derive(Debug)]
pub(super) struct Names {
    other: RwLock<Paths>,
    /// Changes that were not reported yet.
    renamed: Mutex<Vec<StoredAs>>,
    has_renamed: AtomicBool,
    /// For files whose path differs from earlier ones in case only: which those are.
    twins: HashMap<u32, Vec<u32>>,
    /// How many files and directories have a path, by its hash, in each of the forms.
    crowds: [OnceLock<HashMap<u64, u8>>; FORMS.len()],
}

impl Names {
    /// Begins with the paths that are known.
    pub(super) fn new(metainfo: &Metainfo, known: Paths) -> Names {
        Names {
            other: RwLock::new(known),
            renamed: Mutex::default(),
            has_renamed: AtomicBool::new(false),
            twins: twins(metainfo),
            crowds: Default::default(),
        }
    }

    /// The other path of a file, if it has one.
    pub(super) fn get(&self, file: u32) -> Option<PathBuf> {
        lock::read(&self.other).get(&file).cloned()
    }

    /// Where a file lies.
    pub(super) fn path(&self, index: u32, file: &File<'_>) -> PathBuf {
        self.get(index).unwrap_or_else(|| file.path())
    }

    /// All the other paths.
    pub(super) fn all(&self) -> Paths {
        lock::read(&self.other).clone()
    }

    /// Sets the path of the file. One that an earlier version would have chosen is not reported.
    pub(super) fn set(&self, file: u32, path: PathBuf, why: Option<Why>) {
        if let Some(why) = why {
            let renamed = StoredAs { file, path: path.clone(), why };
            lock(&self.renamed).push(renamed);
            self.has_renamed.store(true, Ordering::Release);
        }
        lock::write(&self.other).insert(file, path);
    }

    /// Whether a path is none of those where a file is looked for.
    pub(super) fn has_chosen(&self, metainfo: &Metainfo) -> bool {
        self.all().into_iter().any(|(index, path)| {
            let file = metainfo.files().get(index as usize);
            let is_same =
                |file: File<'_>| file.own().as_deref() == Some(&path) || is_same_text(&file.path(), &path);
            !file.is_some_and(is_same)
                && self.beside(metainfo, index).as_ref() != Some(&path)
                && !self.substitutes(metainfo, index).contains(&path)
        })
    }

    /// The paths that were set since the last call.
    pub(super) fn take_renamed(&self) -> Vec<StoredAs> {
        if !self.has_renamed.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        std::mem::take(&mut *lock(&self.renamed))
    }

    /// Earlier files whose path differs from that of `file` in case only.
    pub(super) fn twins(&self, file: u32) -> &[u32] {
        self.twins.get(&file).map_or(&[], Vec::as_slice)
    }

    /// The paths to try in turn if the file system does not take the one of the torrent. They are the same in
    /// every run, and do not depend on other files.
    pub(super) fn substitutes(&self, metainfo: &Metainfo, index: u32) -> Vec<PathBuf> {
        let Some(file) = metainfo.files().get(index as usize) else { return Vec::new() };
        let forms = substitute::forms(&file.path()).into_iter();
        let own = forms.map(|(form, path)| match self.is_crowded(metainfo, form, &path) {
            true => form.numbered(&path, index as usize + 1),
            false => path,
        });
        own.filter(|path| !self.is_taken(index, path)).collect()
    }

    /// The path for a file whose name the file system takes for another's.
    pub(super) fn beside(&self, metainfo: &Metainfo, index: u32) -> Option<PathBuf> {
        let file = metainfo.files().get(index as usize)?;
        Some(substitute::numbered(&file.path(), index as usize + 1, 255))
            .filter(|path| !self.is_taken(index, path))
    }

    /// Whether more than one file, or a directory, has the path in this form.
    fn is_crowded(&self, metainfo: &Metainfo, form: Form, path: &Path) -> bool {
        let Some(at) = FORMS.iter().position(|known| *known == form) else { return true };
        let crowds = self.crowds[at].get_or_init(|| {
            let mut crowds: HashMap<u64, u8> = HashMap::new();
            let mut directories = HashSet::new();
            for file in metainfo.files().iter().filter(|file| file.is_stored()) {
                let path = form.of(&file.path());
                let count = crowds.entry(hash(&path)).or_default();
                *count = count.saturating_add(1);
                directories.extend(path.ancestors().skip(1).map(hash));
            }
            // A file where a directory must be is one too many, too.
            directories.into_iter().for_each(|directory| _ = crowds.insert(directory, 2));
            crowds
        });
        crowds.get(&hash(path)).is_some_and(|&count| count > 1)
    }

    /// Whether another file was given this path.
    fn is_taken(&self, index: u32, path: &Path) -> bool {
        let other = lock::read(&self.other);
        other.iter().any(|(&file, taken)| file != index && taken == path)
    }
}

/// Checks paths that a user, or a state, gives to files by their index.
///
/// # Errors
/// [`ErrorKind::Argument`] if there is no such file, a path could lead out of the directory, or two files
/// would have one path.
pub fn check(metainfo: &Metainfo, paths: &Paths) -> Result<()> {
    let wrong = |path: &Path, why: &str| {
        Err(Error::new(ErrorKind::Argument, format!("{} cannot be the path of a file: {why}", show(path))))
    };
    let files = metainfo.files();
    for (&index, path) in paths {
        if !files.get(index as usize).is_some_and(|file| file.is_stored()) {
            return wrong(path, "there is no such file in the torrent");
        }
        let text = path.to_str().unwrap_or_default();
        let mut names = text.split('/');
        if !names.all(|name| !matches!(name, "" | "." | "..") && name.len() <= 255) {
            return wrong(path, "it must lead from the directory of the data to a file below it");
        }
        let depth = path.components().filter(|part| matches!(part, Component::Normal(_))).count();
        if text.len() > MAX_PATH_BYTES || depth > MAX_PATH_DEPTH {
            return wrong(path, "it is too long");
        }
        if text.contains('\0') {
            return wrong(path, "it holds a character that no name can have");
        }
    }
    if paths.is_empty() {
        return Ok(());
    }
    let mut taken: HashSet<&Path> = HashSet::new();
    let stored = (0u32..).zip(files).filter(|(_, file)| file.is_stored());
    let all: Vec<PathBuf> =
        stored.map(|(index, file)| paths.get(&index).cloned().unwrap_or_else(|| file.path())).collect();
    for path in &all {
        if !taken.insert(path) {
            return wrong(path, "another file of the torrent has it");
        }
    }
    match all.iter().flat_map(|path| path.ancestors().skip(1)).find(|directory| taken.contains(directory)) {
        Some(directory) => wrong(directory, "other files of the torrent lie below it"),
        None => Ok(()),
    }
}

/// The paths that a user gives to files by their number, counted from 1 over those that are stored. A bare
/// name leaves the file in its directory.
///
/// # Errors
/// [`ErrorKind::Argument`] if there is no file of that number. The paths are not checked.
pub fn given(metainfo: &Metainfo, rename: &[(u32, PathBuf)]) -> Result<Paths> {
    if rename.is_empty() {
        return Ok(Paths::new());
    }
    let files = (0u32..).zip(metainfo.files()).filter(|(_, file)| file.is_stored());
    let stored: Vec<(u32, File<'_>)> = files.collect();
    let paths = rename.iter().map(|(number, path)| {
        let file = (*number as usize).checked_sub(1).and_then(|at| stored.get(at));
        let (index, file) = file.ok_or_else(|| {
            let why = format!("there is no file {number} to rename; the torrent has {} files", stored.len());
            Error::new(ErrorKind::Argument, why)
        })?;
        let bare = !path.as_os_str().as_encoded_bytes().contains(&b'/');
        Ok((*index, if bare { file.path().with_file_name(path) } else { path.clone() }))
    });
    paths.collect()
}

/// The bytes of paths in a state: for each the index of its file, its length and itself.
pub(super) fn encode(paths: &Paths) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, path) in paths {
        let path = path.as_os_str().as_encoded_bytes();
        bytes.extend(index.to_le_bytes());
        bytes.extend((path.len() as u32).to_le_bytes());
        bytes.extend(path);
    }
    bytes
}

/// Decodes paths; none if these are not the bytes of any. They are not checked.
pub(super) fn decode(mut bytes: &[u8]) -> Option<Paths> {
    let mut paths = Paths::new();
    while !bytes.is_empty() {
        let (index, rest) = bytes.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (path, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        paths.insert(u32::from_le_bytes(*index), PathBuf::from(std::str::from_utf8(path).ok()?));
        bytes = rest;
    }
    Some(paths)
}

/// For every stored file the earlier ones whose path differs in case only.
fn twins(metainfo: &Metainfo) -> HashMap<u32, Vec<u32>> {
    let mut seen: HashMap<u64, u32> = HashMap::new();
    let mut twins: HashMap<u32, Vec<u32>> = HashMap::new();
    for (index, file) in (0u32..).zip(metainfo.files()).filter(|(_, file)| file.is_stored()) {
        let folded = file.path().to_str().unwrap_or_default().to_lowercase();
        if let Some(first) = seen.insert(hash(&folded), index) {
            let earlier: Vec<u32> = twins.get(&first).into_iter().flatten().copied().chain([first]).collect();
            twins.insert(index, earlier.into_iter().take(MAX_TWINS).collect());
        }
    }
    twins
}

/// Whether two paths differ in Unicode normalisation at most.
fn is_same_text(one: &Path, other: &Path) -> bool {
    let apart = |path: &Path| normal::apart(path.to_str().unwrap_or_default()).into_owned();
    apart(one) == apart(other)
}

/// The most files that one is compared with: more than the ways in use to write a name.
const MAX_TWINS: usize = 8;

fn hash(value: impl Hash) -> u64 {
    let mut hash = DefaultHasher::new();
    value.hash(&mut hash);
    hash.finish()
}
