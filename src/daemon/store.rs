//! The state directory: a record and a `.torrent` for each torrent, and the record of the session.
//!
//! | file | what |
//! |---|---|
//! | `HASH.task` | the record of a torrent |
//! | `HASH.torrent` | its `.torrent`, once there is one |
//! | `HASH.bitwren`, `HASH.metadata.bitwren` | its resume state and the metadata of a magnet link, which the client writes |
//! | `session` | the record of the session |
//! | `lock` | locked by the daemon that runs |
//!
//! Each file is written whole: a temporary file, synced, renamed, and then the directory is synced. Invariants:
//! when a call returns, what it wrote survives a power cut; a torrent is there exactly if its record is, so that
//! the `.torrent` is written before the record and removed after it; what cannot be read is set aside under a
//! name ending in `.bad`, never removed.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};

use crate::daemon::record::{self, SessionRecord, TorrentRecord};
use crate::storage::replace::replace;
use crate::{Error, ErrorKind, InfoHash, Metainfo, Result};

/// The longest record or `.torrent` that is read.
const MAX_FILE: u64 = 128 << 20;

/// Names that are tried for what is set aside.
const MAX_BAD: u32 = 100;

/// The state directory of a daemon that runs.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    /// Locked while this is here.
    _lock: File,
}

/// What was found in a state directory.
#[derive(Debug, Default)]
pub struct Found {
    /// The session; the default if there was none.
    pub session: SessionRecord,
    /// Torrents by id, from low to high, each with its metainfo if it is there.
    pub torrents: Vec<(TorrentRecord, Option<Arc<Metainfo>>)>,
    /// What was set aside, and why, in a line each.
    pub warnings: Vec<String>,
}

impl Store {
    /// Opens a state directory, which is made where it is missing, and reads what is there.
    ///
    /// # Errors
    /// [`ErrorKind::MakeDir`], [`ErrorKind::FileOpen`] or [`ErrorKind::FileIo`] where it cannot be used, and
    /// [`ErrorKind::Exists`] if another daemon uses it.
    pub fn open(dir: &Path) -> Result<(Store, Found)> {
        let shown = dir.display();
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|cause| {
            Error::new(ErrorKind::MakeDir, format!("cannot make the state directory {shown}")).because(cause)
        })?;
        let lock = lock(&dir.join("lock"))?;
        let store = Store { dir: dir.to_owned(), _lock: lock };
        let found = store.read()?;
        Ok((store, found))
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the `.torrent` of a torrent is.
    pub fn torrent_path(&self, hash: &str) -> PathBuf {
        self.dir.join(format!("{hash}.torrent"))
    }

    /// Writes the record of a torrent.
    ///
    /// # Errors
    /// It cannot be written, and the old one stands.
    pub fn save_task(&self, record: &TorrentRecord) -> Result<()> {
        let path = self.dir.join(format!("{}.task", record.hash));
        replace(&path, "the record of a torrent", &record.encode(), &|start| {
            start.starts_with(record::TASK)
        })?;
        self.sync()
    }

    /// Writes the `.torrent` of a torrent.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save_torrent(&self, hash: &str, bytes: &[u8]) -> Result<()> {
        replace(&self.torrent_path(hash), "the copy of a .torrent", bytes, &|start| start.starts_with(b"d"))?;
        self.sync()
    }

    /// Writes the record of the session.
    ///
    /// # Errors
    /// It cannot be written, and the old one stands.
    pub fn save_session(&self, session: &SessionRecord) -> Result<()> {
        let is_ours = &|start: &[u8]| start.starts_with(record::SESSION);
        replace(&self.dir.join("session"), "the record of the session", &session.encode(), is_ours)?;
        self.sync()
    }

    /// Removes all that is kept of a torrent. When this returns, it will not come back.
    ///
    /// # Errors
    /// Its record cannot be removed.
    pub fn remove(&self, hash: &str) -> Result<()> {
        let path = self.dir.join(format!("{hash}.task"));
        match fs::remove_file(&path) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed("remove", &path, cause));
            }
            _ => self.sync()?,
        }
        self.remove_remains(hash);
        Ok(())
    }

    /// Removes what belongs to no torrent any more. What stays is removed at the next start.
    pub fn remove_remains(&self, hash: &str) {
        for end in ["torrent", "bitwren", "metadata.bitwren"] {
            let _ = fs::remove_file(self.dir.join(format!("{hash}.{end}")));
        }
    }

    /// Forgets which pieces of a torrent were verified: the next start hashes its data.
    pub fn forget_verified(&self, hash: &str) {
        let _ = fs::remove_file(self.dir.join(format!("{hash}.bitwren")));
    }

    /// Has the names that files have now outlive a power cut.
    fn sync(&self) -> Result<()> {
        let synced = File::open(&self.dir).and_then(|dir| dir.sync_all());
        synced.map_err(|cause| failed("sync", &self.dir, cause))
    }

    /// Reads what is there.
    fn read(&self) -> Result<Found> {
        let mut found = Found::default();
        let session = self.dir.join("session");
        match read_file(&session) {
            Ok(bytes) => match SessionRecord::decode(&bytes) {
                Ok(record) => found.session = record,
                Err(error) => found.warnings.push(self.set_aside(&session, &error)),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let listed = fs::read_dir(&self.dir).map_err(|cause| failed("read", &self.dir, cause))?;
        let mut paths: Vec<PathBuf> = listed.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        let hash_of = |path: &Path, end: &str| {
            let name = path.file_name()?.to_str()?.strip_suffix(end)?;
            name.parse::<InfoHash>().ok().map(|_| name.to_owned())
        };
        for path in &paths {
            let Some(hash) = hash_of(path, ".task") else { continue };
            match self.read_task(path, &hash) {
                Ok(torrent) => found.torrents.push(torrent),
                Err(error) if error.kind() == ErrorKind::FileOpen => return Err(error),
                Err(error) => found.warnings.push(self.set_aside(path, &error)),
            }
        }
        for hash in paths.iter().filter_map(|path| hash_of(path, ".torrent")) {
            let is_kept =
                ["task", "task.bad"].iter().any(|end| self.dir.join(format!("{hash}.{end}")).exists());
            if !is_kept {
                // It was about to be added, and no client was told so yet; or it was removed.
                self.remove_remains(&hash);
            }
        }
        found.torrents.sort_by_key(|(record, _)| record.id);
        let ids: Vec<u32> = found.torrents.iter().map(|(record, _)| record.id).collect();
        found.session.next_id =
            found.session.next_id.max(ids.last().map_or(1, |last| last.saturating_add(1)));
        // Two files that were copied by hand: both are kept, under numbers of their own.
        for at in 1..found.torrents.len() {
            if ids.get(at) == ids.get(at - 1) {
                let next = &mut found.session.next_id;
                found.torrents.get_mut(at).into_iter().for_each(|(record, _)| record.id = *next);
                *next = next.saturating_add(1);
            }
        }
        Ok(found)
    }

    fn read_task(&self, path: &Path, hash: &str) -> Result<(TorrentRecord, Option<Arc<Metainfo>>)> {
        let record = TorrentRecord::decode(&read_file(path)?)?;
        if record.hash != hash {
            return Err(Error::new(ErrorKind::Bencode, "it is of another torrent"));
        }
        let metainfo = match read_file(&self.torrent_path(hash)) {
            Ok(bytes) => {
                Metainfo::from_vec(bytes).and_then(|metainfo| match metainfo.info_hash().to_string() {
                    of if of == hash => Ok(Some(Arc::new(metainfo))),
                    _ => Err(Error::new(ErrorKind::Torrent, "its .torrent is of another torrent")),
                })?
            }
            Err(error) if error.kind() == ErrorKind::NotFound && record.magnet.is_some() => None,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Error::new(ErrorKind::Torrent, "its .torrent is missing"));
            }
            Err(error) => return Err(error),
        };
        Ok((record, metainfo))
    }

    /// Sets a file aside, and says so in a line.
    fn set_aside(&self, path: &Path, why: &Error) -> String {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let names = (0..MAX_BAD).map(|number| match number {
            0 => self.dir.join(format!("{name}.bad")),
            _ => self.dir.join(format!("{name}.bad.{number}")),
        });
        let shown = path.display();
        match names.into_iter().find(|aside| aside.symlink_metadata().is_err()) {
            Some(aside) => match fs::rename(path, &aside) {
                Ok(()) => format!("{shown} cannot be used and is now {}: {why}", aside.display()),
                Err(error) => format!("{shown} cannot be used: {why}; and it cannot be set aside: {error}"),
            },
            None => format!("{shown} cannot be used: {why}"),
        }
    }
}

/// Locks a file that says which process has it.
fn lock(path: &Path) -> Result<File> {
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let mut file = opened.map_err(|cause| failed("open", path, cause))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut process = String::new();
        let _ = (&file).take(20).read_to_string(&mut process);
        let by = if process.is_empty() { "another daemon".to_owned() } else { format!("process {process}") };
        let dir = path.parent().unwrap_or(path).display();
        let what = format!(
            "the state directory {dir} is in use by {by}; stop that, or choose another with --state-dir"
        );
        return Err(Error::new(ErrorKind::Exists, what));
    }
    // The process is named for people only: the lock holds without.
    let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
    Ok(file)
}

fn failed(doing: &str, path: &Path, cause: std::io::Error) -> Error {
    let kind = match cause.kind() {
        std::io::ErrorKind::NotFound => ErrorKind::NotFound,
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::DiskFull,
        _ if doing == "open" => ErrorKind::FileOpen,
        _ => ErrorKind::FileIo,
    };
    Error::new(kind, format!("cannot {doing} {}", path.display())).because(cause)
}

/// The bytes of a file, up to [`MAX_FILE`] of them.
///
/// # Errors
/// It cannot be opened or read.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(|cause| failed("open", path, cause))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(|cause| failed("read", path, cause))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::sample::{Dir, Sample};

    fn sample(name: &str) -> (TorrentRecord, Vec<u8>) {
        let metainfo = Sample::single(name.len() * 10, 1 << 14).metainfo;
        let record = TorrentRecord {
            id: name.len() as u32,
            hash: metainfo.info_hash().to_string(),
            dir: "/d".into(),
            ..TorrentRecord::default()
        };
        (record, metainfo.to_bytes())
    }

    fn ids(found: &Found) -> Vec<u32> {
        found.torrents.iter().map(|(record, _)| record.id).collect()
    }

    #[test]
    fn what_was_saved_is_found_and_numbers_are_not_given_again() {
        let dir = Dir::new();
        let path = dir.join("new/state");
        let (store, found) = Store::open(&path).unwrap();
        assert!(found.torrents.is_empty() && found.warnings.is_empty());
        let ((one, one_bytes), (two, two_bytes)) = (sample("a"), sample("bb"));
        for (record, bytes) in [(&one, one_bytes), (&two, two_bytes)] {
            store.save_torrent(&record.hash, &bytes).unwrap();
            store.save_task(record).unwrap();
        }
        drop(store);
        let (store, found) = Store::open(&path).unwrap();
        assert_eq!((ids(&found), found.session.next_id), (vec![1, 2], 3));
        assert!(found.torrents.iter().all(|(_, metainfo)| metainfo.is_some()));
        store.save_session(&SessionRecord { next_id: 9, ..SessionRecord::default() }).unwrap();
        store.remove(&two.hash).unwrap();
        drop(store);
        let (_store, found) = Store::open(&path).unwrap();
        assert_eq!((ids(&found), found.session.next_id), (vec![1], 9));
        assert_eq!(fs::read_dir(&path).unwrap().count(), 4, "lock, session, and two files of one torrent");
    }

    #[test]
    fn two_daemons_never_use_one_state() {
        let dir = Dir::new();
        let (store, _) = Store::open(dir.path()).unwrap();
        let refused = Store::open(dir.path()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Exists);
        assert!(refused.to_string().contains(&format!("process {}", std::process::id())), "{refused}");
        drop(store);
        Store::open(dir.path()).unwrap();
    }

    /// Whatever a kill leaves of adding and removing: a torrent is there with all that it needs, or not at all.
    #[test]
    fn a_kill_at_any_step_leaves_a_torrent_whole_or_none() {
        let (record, bytes) = sample("a");
        let name = |end: &str| format!("{}.{end}", record.hash);
        let (task, state) = (record.encode(), b"any".to_vec());
        let temporary = format!(".{}.1.tmp", name("task"));
        // Each with the files that are there, and whether the torrent is.
        let steps = [
            (vec![(format!(".{}.1.tmp", name("torrent")), bytes[..9].to_vec())], false),
            (vec![(name("torrent"), bytes.clone())], false),
            (vec![(name("torrent"), bytes.clone()), (temporary.clone(), task[..9].to_vec())], false),
            (vec![(name("torrent"), bytes.clone()), (temporary, task.clone())], false),
            (vec![(name("torrent"), bytes.clone()), (name("task"), task.clone())], true),
            (vec![(name("torrent"), bytes.clone()), (name("bitwren"), state.clone())], false),
            (vec![(name("bitwren"), state)], false),
        ];
        for (number, (files, is_there)) in steps.into_iter().enumerate() {
            let dir = Dir::new();
            files.iter().for_each(|(name, bytes)| fs::write(dir.join(name), bytes).unwrap());
            let (store, found) = Store::open(dir.path()).unwrap();
            assert_eq!(found.torrents.len(), usize::from(is_there), "step {number}");
            assert!(found.warnings.is_empty(), "step {number}: {:?}", found.warnings);
            // It can be added, again or for the first time.
            store.save_torrent(&record.hash, &bytes).unwrap();
            store.save_task(&record).unwrap();
            drop(store);
            let (_store, found) = Store::open(dir.path()).unwrap();
            assert_eq!(ids(&found), [1], "step {number}");
        }
    }

    #[test]
    fn what_is_damaged_is_set_aside_and_told() {
        let dir = Dir::new();
        let ((one, bytes), (two, _)) = (sample("a"), sample("bb"));
        let task = |record: &TorrentRecord| dir.join(&format!("{}.task", record.hash));
        fs::write(dir.join("session"), "nonsense").unwrap();
        fs::write(dir.join(&format!("{}.torrent", one.hash)), &bytes).unwrap();
        fs::write(task(&one), &one.encode()[..30]).unwrap();
        // Its .torrent is missing.
        fs::write(task(&two), two.encode()).unwrap();
        let (store, found) = Store::open(dir.path()).unwrap();
        assert!(found.torrents.is_empty());
        assert_eq!(found.warnings.len(), 3, "{:?}", found.warnings);
        assert!(found.warnings.iter().all(|warning| warning.contains(".bad: ")), "{:?}", found.warnings);
        assert_eq!(fs::read(task(&one).with_extension("task.bad")).unwrap(), one.encode()[..30]);
        assert!(dir.join("session.bad").exists() && dir.join(&format!("{}.torrent", one.hash)).exists());
        drop(store);
        // A second one of the same name does not replace the first.
        fs::write(task(&one), "d4:nonee").unwrap();
        let (_store, found) = Store::open(dir.path()).unwrap();
        assert_eq!(found.warnings.len(), 1);
        assert_eq!(fs::read(task(&one).with_extension("task.bad")).unwrap(), one.encode()[..30]);
        assert_eq!(fs::read(task(&one).with_extension("task.bad.1")).unwrap(), b"d4:nonee");
    }
}
