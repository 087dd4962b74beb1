//! The state of a torrent that outlives the program: which pieces were proved, written after their bytes.
//!
//! It lies beside the data as `.INFO-HASH.bitwren`, or in a state folder as `INFO-HASH.bitwren`, and is
//! replaced as a whole: temporary file, fsync, rename, fsync of the directory. Earlier versions named it
//! `NAME.bitwren`; such a state is still read, and removed once the new one is written. A [`Snapshot`]
//! commits on any thread while the writer goes on. First it syncs every file written since the last commit,
//! then it notes their sizes and times and [looks for losses](super::hole_check) that another program caused,
//! then it writes. A later write either gives the file a newer time than the one noted, or belongs to pieces
//! that are not claimed: so the worst effect of a crash is that a file is not trusted and its pieces are
//! hashed again.
//!
//! Invariants: no state claims a piece whose bytes were not synced before; a file whose sync failed once is
//! not vouched for again in this session, since the kernel reports lost pages only once; a file that is not
//! ours is never overwritten.

use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::files::Files;
use super::hole_check::Search;
use super::io_error::{failed, show};
use super::names::{self, Paths};
use super::own;
use super::replace::Replaced;
use super::sandbox::Root;
use super::state::{self, Record, Sections, Stamp, State, Tag, Unusable, longest};
use crate::bitfield::Bitfield;
use crate::error::{Error, ErrorKind, Result};
use crate::id::InfoHash;
use crate::lock::lock;
use crate::metainfo::Metainfo;

/// With more files than this to sync, the whole file system is synced instead.
const MAX_FILE_SYNCS: usize = 64;

/// The section with the paths of files that lie elsewhere than the torrent says.
const ELSEWHERE: Tag = *b"path";

/// Names that are tried for the state file before the torrent gives up.
const NAMES: u32 = 9;

/// The state file of one torrent. Each [`Resume::snapshot`] can be committed on another thread.
#[derive(Debug)]
pub struct Resume {
    shared: Arc<Shared>,
    snapshots: u64,
    /// Files that were hashed again since the last snapshot, and what they looked like.
    renewed: Vec<(u32, Option<Stamp>)>,
}

#[derive(Debug)]
struct Shared {
    files: Arc<Files>,
    root: Root,
    /// Name of the state file in `root`.
    name: PathBuf,
    /// It lies in a state folder, away from the data.
    apart: bool,
    /// State of an earlier version, to be removed once there is a new one.
    old: Mutex<Option<PathBuf>>,
    /// Held throughout a commit, so that commits follow one another.
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    records: Vec<Record>,
    /// Files that were hashed from pages that may be in memory only; their records stand.
    unsynced: Vec<u32>,
    /// Files that failed to sync or vanished.
    broken: HashSet<u32>,
    /// The last snapshot that was written.
    written: u64,
}

/// The pieces verified at one moment, to be written down.
#[derive(Debug)]
pub struct Snapshot {
    shared: Arc<Shared>,
    number: u64,
    verified: Bitfield,
    uploaded: u64,
    downloaded: u64,
    renewed: Vec<(u32, Option<Stamp>)>,
}

/// Why a snapshot was not committed.
#[derive(Debug)]
pub enum Uncommitted {
    /// Bytes that were written are lost: a file was removed, replaced or cut, or cannot be synced.
    Data(Error),
    /// The state cannot be written. The data is as good as before; the next start hashes it again.
    State(Error),
}

impl From<Uncommitted> for Error {
    fn from(uncommitted: Uncommitted) -> Error {
        match uncommitted {
            Uncommitted::Data(error) | Uncommitted::State(error) => error,
        }
    }
}

/// What was found at the names of the state.
#[derive(Debug)]
pub(super) struct Loaded {
    root: Root,
    name: PathBuf,
    apart: bool,
    old: Option<PathBuf>,
    /// When the state was put in its place, in seconds and nanoseconds, which no program can set. None if
    /// there is no state under its present name.
    pub(super) since: Option<(i64, i64)>,
    pub(super) state: Option<State>,
    pub(super) warning: Option<String>,
}

impl Loaded {
    /// The states that are there and ours.
    pub(super) fn paths(&self) -> impl Iterator<Item = PathBuf> + '_ {
        let current = self.state.is_some().then_some(&self.name).filter(|_| self.old.is_none());
        current.into_iter().chain(&self.old).map(|name| self.root.join(name))
    }

    /// Removes them.
    pub(super) fn remove(&self) -> Result<()> {
        let current = self.state.is_some().then_some(&self.name);
        current.into_iter().chain(&self.old).try_for_each(|name| self.root.remove(name))
    }
}

/// Looks for the state of a torrent. A file that cannot be used gives a warning, and one that is not ours is
/// left alone: the state then gets another name.
///
/// # Errors
/// [`ErrorKind::Resources`] and [`ErrorKind::FileOpen`] if the system could not open an existing file: it may
/// be ours, and of use once that works again. [`ErrorKind::Exists`] if every name is taken by other files.
pub(super) fn load(files: &Files, state_dir: Option<&Path>) -> Result<Loaded> {
    let root = Root::new(state_dir.unwrap_or(files.root()));
    let apart = state_dir.is_some();
    let mut warning = None;
    for name in candidates(files.layout().metainfo().info_hash(), state_dir) {
        let ignored = |why: &str| Some(format!("{} {why}; it is ignored", show(&root.join(&name))));
        let state = match read(files, &root, &name)? {
            Ok(state) => state,
            Err(Unusable::Foreign) => {
                warning = ignored("is not the state of this torrent");
                continue;
            }
            Err(Unusable::Damaged) => {
                warning = ignored("is damaged");
                return Ok(Loaded { root, name, apart, old: None, since: None, state: None, warning });
            }
        };
        let (old, state) = match state {
            None if !apart => earlier(files, &root)?.unzip(),
            state => (None, state),
        };
        let since = root.stat(&name)?.map(|found| (found.ctime(), found.ctime_nsec()));
        return Ok(Loaded { root, name, apart, old, since, state, warning });
    }
    let why = format!("{}; move it away, or use another state folder", warning.unwrap_or_default());
    Err(Error::new(ErrorKind::Exists, why))
}

/// The name of a state file beside the data, unless something else has it.
pub(super) fn usual_name(info_hash: InfoHash) -> String {
    format!(".{info_hash}.bitwren")
}

/// The names that a state file may have, in the order in which they are tried.
fn candidates(info_hash: InfoHash, state_dir: Option<&Path>) -> impl Iterator<Item = PathBuf> {
    let hidden = if state_dir.is_none() { "." } else { "" };
    (1..=NAMES).map(move |number| {
        let number = if number == 1 { String::new() } else { format!(".{number}") };
        PathBuf::from(format!("{hidden}{info_hash}{number}.bitwren"))
    })
}

/// The files that lie elsewhere than the torrent says, as the state of an earlier run has it. None where
/// there is no state that can be used, which `load` tells.
pub fn names(metainfo: &Metainfo, dir: &Path, state_dir: Option<&Path>) -> Paths {
    let root = Root::new(state_dir.unwrap_or(dir));
    let states = candidates(metainfo.info_hash(), state_dir).map(|name| match root.open(&name, false) {
        Ok(file) => decode(file, metainfo),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(_) => Err(Unusable::Foreign),
    });
    let state =
        { states }.find(|state| *state != Err(Unusable::Foreign)).and_then(|state| state.ok().flatten());
    let section = state.as_ref().and_then(|state| state.sections.get(ELSEWHERE));
    let paths = section.and_then(names::decode).unwrap_or_default();
    // A state is data like any other.
    if names::check(metainfo, &paths).is_ok() { paths } else { Paths::new() }
}

/// The state that an earlier version left, and its name. That was the torrent's name alone, which a file of
/// any origin may have: it counts if it knows the time and length of an existing file, and is no file of the
/// torrent itself.
fn earlier(files: &Files, root: &Root) -> Result<Option<(PathBuf, State)>> {
    let metainfo = files.layout().metainfo();
    let (name, info_hash) = (metainfo.name(), metainfo.info_hash());
    if name.len() > 180 {
        return Ok(None);
    }
    for name in [format!("{name}.bitwren"), format!("{name}.{info_hash}.bitwren")].map(PathBuf::from) {
        if metainfo.files().iter().any(|file| file.path() == name) {
            continue;
        }
        let Ok(Some(state)) = read(files, root, &name)? else { continue };
        let fits = |(index, record): (u32, &Record)| {
            let found = files.stat(index).ok().flatten();
            found.is_some_and(|found| *record == Record::File(Stamp::from(&found)))
        };
        if (0..).zip(&state.records).any(fits) {
            return Ok(Some((name, state)));
        }
    }
    Ok(None)
}

/// The state in a file; none if there is no file.
fn read(files: &Files, root: &Root, name: &Path) -> Result<std::result::Result<Option<State>, Unusable>> {
    let sabotaged = |cause| failed(ErrorKind::FileOpen, "open", &root.join(name), cause);
    let file = match files.sabotaged("load").map_err(sabotaged).and_then(|()| root.open(name, false)) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Ok(None)),
        Err(error) if is_passing(&error) => return Err(error),
        Err(_) => return Ok(Err(Unusable::Foreign)),
    };
    Ok(decode(file, files.layout().metainfo()))
}

/// The state of a torrent that a file holds.
fn decode(file: File, metainfo: &Metainfo) -> std::result::Result<Option<State>, Unusable> {
    let (pieces, count) = (metainfo.pieces().count(), metainfo.files().len());
    let mut bytes = Vec::new();
    // One byte more than any state of this torrent has, to see that there is more.
    let read = file.take(longest(pieces, count) + 1).read_to_end(&mut bytes);
    read.map_err(|_| Unusable::Damaged)?;
    State::decode(&bytes, metainfo.info_hash(), pieces, count).map(Some)
}

/// Whether a file could not be opened for a reason that says nothing about the file: the system had no
/// descriptor or no memory, or the disk failed.
fn is_passing(error: &Error) -> bool {
    let cause = error.cause().and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| {
        !matches!(cause.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory)
    })
}

impl Resume {
    /// Continues from the results of a survey: a record for each file, and the files that were not synced by
    /// us.
    pub(super) fn new(files: Arc<Files>, loaded: Loaded, records: Vec<Record>, unsynced: Vec<u32>) -> Resume {
        let known = Known { records, unsynced, broken: HashSet::new(), written: 0 };
        let Loaded { root, name, apart, old, .. } = loaded;
        let (old, known) = (Mutex::new(old), Mutex::new(known));
        let shared = Arc::new(Shared { files, root, name, apart, old, known });
        Resume { shared, snapshots: 0, renewed: Vec::new() }
    }

    /// Where the state is written.
    pub fn path(&self) -> PathBuf {
        self.shared.root.join(&self.shared.name)
    }

    /// A file was hashed again; `stamp` is from before that, none if it does not exist. The next snapshot
    /// records it.
    pub fn renew(&mut self, index: u32, stamp: Option<Stamp>) {
        self.renewed.push((index, stamp));
    }

    /// What to write down: the verified pieces, and bytes uploaded and downloaded in all sessions. Cheap; to
    /// be called by the thread that writes the pieces, or with a set that is not newer.
    pub fn snapshot(&mut self, verified: &Bitfield, uploaded: u64, downloaded: u64) -> Snapshot {
        self.snapshots += 1;
        Snapshot {
            shared: self.shared.clone(),
            number: self.snapshots,
            verified: verified.clone(),
            uploaded,
            downloaded,
            renewed: std::mem::take(&mut self.renewed),
        }
    }

    /// Removes what an interrupted save left.
    ///
    /// # Errors
    /// [`ErrorKind::FileIo`] if it exists and cannot be removed.
    pub fn tidy(&self) -> Result<()> {
        let _known = self.shared.lock();
        self.shared.as_file(|file| file.tidy())
    }

    /// Removes the state file: the download is complete, and nothing is to be remembered. Waits for a commit
    /// that is under way; a later one makes it anew.
    ///
    /// # Errors
    /// [`ErrorKind::FileIo`] if it exists and cannot be removed.
    pub fn remove(&self) -> Result<()> {
        let _known = self.shared.lock();
        self.shared.as_file(|file| file.remove())?;
        self.shared.remove_old()
    }
}

impl Snapshot {
    /// Syncs the files written so far, then writes the state. Blocks for as long as the disk takes. A
    /// snapshot that is older than one already written is passed over.
    ///
    /// # Errors
    /// [`Uncommitted::Data`] with [`ErrorKind::NotFound`] if a file was removed, replaced or cut by another
    /// program, and with [`ErrorKind::FileIo`] if a written one cannot be synced: the state is written all
    /// the same and does not vouch for that file for the rest of this session; the torrent should be stopped
    /// and surveyed anew. [`Uncommitted::State`] if the state cannot be written, for any reason, or does not
    /// vouch for a file that existed before: the old one stands, and the next commit makes up for it.
    pub fn commit(self) -> std::result::Result<(), Uncommitted> {
        let mut known = self.shared.lock();
        self.renewed.iter().for_each(|&(index, stamp)| known.renew(index, stamp));
        if known.written > self.number {
            return Ok(());
        }
        // Taken here and not with the snapshot: all claimed bytes were written before, and their files are
        // thus marked here or were synced by an earlier commit, in whichever order they run.
        let synced = self.shared.sync(&mut known, &self.verified);
        let sections = self.shared.sections(&self.verified);
        let state = State {
            verified: self.verified,
            uploaded: self.uploaded,
            downloaded: self.downloaded,
            records: std::mem::take(&mut known.records),
            sections,
        };
        let bytes = state.encode(self.shared.files.layout().metainfo().info_hash());
        known.records = state.records;
        let replaced = self.shared.replace(&bytes);
        if replaced.is_ok() {
            known.written = self.number;
        }
        let mut replaced = replaced.and_then(|()| self.shared.remove_old());
        if synced.is_ok() {
            replaced = replaced.and_then(|()| self.shared.files.drop_spent_part());
        }
        synced.and(replaced.map_err(Uncommitted::State))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Known> {
        lock(&self.known)
    }

    /// Syncs what was written and notes what it looks like since. The first failure is told, after
    /// everything was tried.
    fn sync(&self, known: &mut Known, verified: &Bitfield) -> std::result::Result<(), Uncommitted> {
        // One that was written to since is among those.
        self.files.take_made().into_iter().for_each(|(index, stamp)| known.vouch(index, stamp));
        let written = self.files.take_dirty();
        let hashed = std::mem::take(&mut known.unsynced);
        let at_once = match written.len() + hashed.len() > MAX_FILE_SYNCS {
            true => self.files.sync_all(),
            false => Ok(false),
        };
        let (at_once, mut outcome) = match at_once {
            Ok(at_once) => (at_once, Ok(())),
            Err(error) => {
                written.iter().chain(&hashed).for_each(|&index| known.disown(index));
                let nothing_written = written.is_empty();
                return Err(if nothing_written { Uncommitted::State } else { Uncommitted::Data }(error));
            }
        };
        let mut search = Search::new(&self.files, verified);
        let changed = written.into_iter().map(|index| (index, true));
        for (index, changed) in changed.chain(hashed.into_iter().map(|index| (index, false))) {
            let before = self.files.watch.before(index);
            let synced = if at_once { Ok(None) } else { self.files.sync(index).map(Some) };
            // Data from earlier sessions does not depend on a sync of ours; its file system may not offer
            // one.
            let as_lost = if changed { Uncommitted::Data } else { Uncommitted::State };
            let looked = synced
                .map_err(as_lost)
                .and_then(|found| self.look(index, found, &mut search).map_err(Uncommitted::Data));
            match looked {
                Ok(stamp) if changed => {
                    known.vouch(index, stamp);
                    self.files.know_whole(index, &stamp, verified);
                }
                Ok(_) => {}
                Err(error) => {
                    known.disown(index);
                    let (Uncommitted::Data(why) | Uncommitted::State(why)) = &error;
                    if why.kind() == ErrorKind::NotFound {
                        self.files.watch.lacked(index, before);
                        // No write of ours was lost: the file is hashed again, as any that was changed.
                        if !changed {
                            continue;
                        }
                    }
                    outcome = match (outcome, error) {
                        (Err(first @ Uncommitted::Data(_)), _) | (Err(first), Uncommitted::State(_)) => {
                            Err(first)
                        }
                        (_, error) => Err(error),
                    };
                }
            }
        }
        outcome
    }

    /// The stamp of a file. It is taken after the sync, so that a write in between shows as a change, and
    /// before the search for losses: a later loss shows as a change, too.
    fn look(&self, index: u32, found: Option<Metadata>, search: &mut Search<'_>) -> Result<Stamp> {
        let found = match found {
            Some(found) => found,
            None => self.files.stat(index)?.ok_or_else(|| self.files.gone(index))?,
        };
        search.file(index, &found)?;
        Ok(Stamp::from(&found))
    }

    /// Puts `bytes` in the place of the state file as a whole, or leaves it as it was.
    fn replace(&self, bytes: &[u8]) -> Result<()> {
        self.as_file(|file| file.write("the resume state", bytes, || self.files.sabotaged("state")))?;
        let directory = self.root.path();
        match File::open(directory).and_then(|directory| directory.sync_all()) {
            // Some file systems cannot sync a directory and need not.
            Err(cause) if cause.kind() != io::ErrorKind::InvalidInput => {
                Err(failed(ErrorKind::FileIo, "sync the directory", directory, cause))
            }
            _ => Ok(()),
        }
    }

    /// The optional sections.
    fn sections(&self, verified: &Bitfield) -> Sections {
        let own = self.files.describe(Some(verified), self.apart).encode();
        let (pieces, count) = (verified.len(), self.files.layout().files().len());
        let mut sections = Sections::default();
        // There is always room for it: it takes less than a file may.
        let _ = sections.set(own::SECTION, own, pieces, count);
        let elsewhere = self.files.names();
        if !elsewhere.is_empty() {
            // If there are too many, paths that the user did not choose are left out: they are found again
            // without.
            let _ = sections.set(ELSEWHERE, names::encode(&elsewhere), pieces, count);
        }
        sections
    }

    /// Removes the state that an earlier version left.
    fn remove_old(&self) -> Result<()> {
        let old = lock(&self.old).take();
        old.map_or(Ok(()), |old| self.root.remove(&old))
    }

    /// Does something with the file that the state is in.
    fn as_file<T>(&self, act: impl FnOnce(Replaced<'_>) -> T) -> T {
        let info_hash = self.files.layout().metainfo().info_hash();
        let temporary = format!(".{info_hash}.bitwren");
        act(Replaced { root: &self.root, name: &self.name, temporary: &temporary, is_ours: &state::begins })
    }
}

impl Known {
    fn vouch(&mut self, index: u32, stamp: Stamp) {
        if !self.broken.contains(&index) {
            if let Some(record) = self.records.get_mut(index as usize) {
                *record = Record::File(stamp);
            }
        }
    }

    /// Accepts the changes of another program to a file: its pieces were hashed since.
    fn renew(&mut self, index: u32, stamp: Option<Stamp>) {
        match stamp {
            Some(stamp) => {
                self.vouch(index, stamp);
                self.unsynced.push(index);
            }
            None => {
                self.records.get_mut(index as usize).into_iter().for_each(|record| *record = Record::Absent)
            }
        }
    }

    fn disown(&mut self, index: u32) {
        self.broken.insert(index);
        if let Some(record) = self.records.get_mut(index as usize) {
            *record = Record::Absent;
        }
    }
}

#[cfg(test)]
mod tests;
