//! One torrent of a run: what it is, how far it is, and when it is over.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bitwren::{EventKind, Metainfo, Torrent};

use super::hook::Facts;
use super::source::TorrentSource;
use crate::cli::exit::Code;

/// The most peers of a torrent that are counted as different.
const MAX_DISTINCT_PEERS: usize = 10_000;

/// A torrent of a run.
pub struct Job {
    pub torrent: Torrent,
    /// As it was given on the command line.
    pub given: OsString,
    pub source: TorrentSource,
    pub name: String,
    pub dir: PathBuf,
    /// Bytes in the selected files.
    pub size: u64,
    /// How many files are selected.
    pub files: usize,
    /// Their indices, ascending; `None` if all are.
    pub select: Option<Vec<u32>>,
    /// Indices of the stored files, ascending: their positions are the numbers of `--list`.
    stored: Vec<u32>,
    pub stage: Stage,
    /// What its storage waits for, as an exit code.
    pub waiting: Option<Code>,
    /// How long the download took, if it is complete.
    pub finished: Option<Duration>,
    /// Connections that were made.
    pub connections: u64,
    /// The peers of these connections; incoming ones with port 0, as their port means nothing.
    peers: HashSet<SocketAddr>,
    /// Whether a tracker has answered.
    tracked: bool,
    /// Trackers that do not answer, each of which is reported once.
    silent: HashSet<String>,
    /// Whether it has failed.
    pub failed: bool,
    /// Files that are stored under another path than the torrent says: the path below `dir` by index.
    elsewhere: HashMap<u32, PathBuf>,
    /// Whether the command of `--on-complete` was started for it.
    pub hooked: bool,
}

/// The most files stored under other names that are reported without `-v`.
const MAX_RENAMED_REPORTED: usize = 20;

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Downloading or seeding.
    Running,
    /// Told to end.
    Ending,
    /// It has ended.
    Ended,
}

impl Job {
    /// A job that has just been added. Only its name is known.
    pub fn new(torrent: Torrent, given: OsString, source: TorrentSource, dir: PathBuf) -> Self {
        Job {
            torrent,
            given,
            name: source.name(),
            source,
            dir,
            size: 0,
            files: 0,
            select: None,
            stage: Stage::Running,
            waiting: None,
            finished: None,
            connections: 0,
            peers: HashSet::new(),
            tracked: false,
            silent: HashSet::new(),
            failed: false,
            elsewhere: HashMap::new(),
            hooked: false,
            stored: Vec::new(),
        }
    }

    /// The metainfo and the selected files are known.
    pub fn learn(&mut self, metainfo: &Arc<Metainfo>, select: Option<&[u32]>) {
        let stored =
            metainfo.files().iter().zip(0..).filter(|(file, _)| file.is_stored()).map(|(_, index)| index);
        self.stored = stored.collect();
        (self.size, self.files) = selection(metainfo, select);
        self.select = select.map(<[u32]>::to_vec);
        metainfo.name().clone_into(&mut self.name);
    }

    /// A connection was made.
    pub fn met(&mut self, peer: SocketAddr, incoming: bool) {
        self.connections += 1;
        if self.peers.len() < MAX_DISTINCT_PEERS {
            self.peers.insert(if incoming { SocketAddr::new(peer.ip(), 0) } else { peer });
        }
    }

    /// The number of different peers that were connected.
    pub fn peers(&self) -> u64 {
        self.peers.len() as u64
    }

    /// Tells the torrent to end.
    pub fn end(&mut self) {
        if self.stage == Stage::Running {
            self.stage = Stage::Ending;
            self.torrent.remove();
        }
    }

    /// The file, or the directory of the files.
    pub fn path(&self) -> PathBuf {
        let alone = self.torrent.metainfo().is_some_and(|metainfo| !metainfo.is_multi_file());
        match self.elsewhere.get(&0).filter(|_| alone) {
            Some(path) => self.dir.join(path),
            None => self.dir.join(&self.name),
        }
    }

    /// Whether an event is worth reporting: the first answer of a tracker, the first failure of each tracker
    /// in a row, and the first few files that are stored under another path.
    pub fn is_new(&mut self, what: &EventKind) -> bool {
        match what {
            EventKind::TrackerAnswered { url, .. } => {
                self.silent.remove(url);
                !std::mem::replace(&mut self.tracked, true)
            }
            EventKind::TrackerFailed { url, .. } => self.silent.insert(url.clone()),
            EventKind::TrackerSilent { url, .. } => !self.silent.contains(url),
            EventKind::StoredAs { index, path, .. } => {
                self.elsewhere.insert(*index, path.clone());
                self.elsewhere.len() <= MAX_RENAMED_REPORTED
            }
            _ => true,
        }
    }

    /// The path of a file below `dir`; empty if there is no such file.
    pub fn path_of(&self, file: u32) -> PathBuf {
        let given = || {
            let metainfo = self.torrent.metainfo()?;
            metainfo.files().get(file as usize).map(|file| file.path())
        };
        self.elsewhere.get(&file).cloned().or_else(given).unwrap_or_default()
    }

    /// The number of a file as `--list` has it.
    pub fn number(&self, file: u32) -> Option<u64> {
        self.stored.binary_search(&file).ok().map(|at| at as u64 + 1)
    }

    /// The facts for a hook.
    pub fn facts(&self) -> Facts {
        Facts {
            name: self.name.clone(),
            dir: self.dir.clone(),
            path: self.path(),
            info_hash: self.torrent.info_hash().to_string(),
            size: self.size,
            files: self.files,
            torrent: self.given.clone(),
        }
    }
}

/// Bytes and number of the selected files; `select` is ascending.
fn selection(metainfo: &Arc<Metainfo>, select: Option<&[u32]>) -> (u64, usize) {
    let files = metainfo.files().iter().zip(0u32..).filter(|(file, index)| {
        file.is_stored() && select.is_none_or(|select| select.binary_search(index).is_ok())
    });
    files.fold((0, 0), |(size, count), (file, _)| (size + file.length, count + 1))
}
