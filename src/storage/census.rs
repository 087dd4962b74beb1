//! Which torrents say that a file is theirs: their states and locks, in the directories above it.
//!
//! It never writes. Invariant: the cost of one search is bounded, for any contents of those directories.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::io_error::show;
use super::lock;
use super::own::{self, Own, path_key};
use super::sandbox::Root;
use super::state::{Record, State};
use crate::error::{Error, ErrorKind};
use crate::id::InfoHash;

/// Directories above a file that are looked at.
const MAX_DIRECTORIES: usize = 32;
/// Names in a directory that are looked at.
const MAX_NAMES: usize = 100_000;
/// States and locks that are read in one directory.
const MAX_READ: usize = 1_000;
/// The longest state that is read.
const MAX_STATE_BYTES: u64 = 16 << 20;

/// The directories that were searched, and what they hold.
#[derive(Debug, Default)]
pub struct Census {
    /// By the directory: whose files lie in it and below.
    directories: HashMap<PathBuf, Vec<Tenant>>,
}

/// A torrent with files below a directory.
#[derive(Debug)]
struct Tenant {
    info_hash: InfoHash,
    name: String,
    /// The process that downloads it.
    process: Option<u32>,
    /// Its files that are there and complete, and those that are there and not.
    complete: HashSet<u64>,
    incomplete: HashSet<u64>,
}

/// The torrent that has a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant {
    /// Its info-hash.
    pub info_hash: InfoHash,
    /// Its name.
    pub name: String,
    /// The process that downloads it at the moment.
    pub process: Option<u32>,
    /// Whether the file is complete.
    pub complete: bool,
}

impl Claimant {
    /// The error for a file that is this torrent's, where another is to be downloaded there.
    pub fn refusal(&self, path: &Path) -> Error {
        self.error(path, "choose another directory")
    }

    /// The error for a file of this torrent that is to be read and is not complete.
    pub fn unfinished(&self, path: &Path) -> Error {
        self.error(path, "it is not complete: finish that download first")
    }

    fn error(&self, path: &Path, advice: &str) -> Error {
        let name = self.name.replace(char::is_control, "?");
        let process =
            self.process.map_or(String::new(), |process| format!(", downloaded by process {process}"));
        let (path, info_hash) = (show(path), self.info_hash);
        let context = format!("{path} belongs to the torrent {name} ({info_hash}{process}); {advice}");
        Error::new(ErrorKind::Exists, context)
    }
}

impl Census {
    /// The torrent other than `except` that says in a state or in a lock that the file is its own, of
    /// several that for which it is not complete. `state_dir` is a folder of states to ask besides.
    pub fn claimant(
        &mut self,
        path: &Path,
        state_dir: Option<&Path>,
        except: Option<InfoHash>,
    ) -> Option<Claimant> {
        let real = fs::canonicalize(path.parent()?).ok()?.join(path.file_name()?);
        let above = real.ancestors().skip(1).take(MAX_DIRECTORIES).map(|above| (above, false));
        let mut found: Option<Claimant> = None;
        for (directory, apart) in above.chain(state_dir.map(|state_dir| (state_dir, true))) {
            let tenants = match self.directories.get(directory) {
                Some(tenants) => tenants,
                None => self.directories.entry(directory.to_path_buf()).or_insert(tenants(directory)),
            };
            if tenants.is_empty() {
                continue;
            }
            let below = real.strip_prefix(directory).ok().filter(|_| !apart);
            let key = path_key(below.unwrap_or(&real));
            for tenant in tenants.iter().filter(|tenant| Some(tenant.info_hash) != except) {
                let complete = tenant.complete.contains(&key);
                if !complete && !tenant.incomplete.contains(&key) {
                    continue;
                }
                let (info_hash, name) = (tenant.info_hash, tenant.name.clone());
                let claimant = Claimant { info_hash, name, process: tenant.process, complete };
                if !complete {
                    return Some(claimant);
                }
                found = found.or(Some(claimant));
            }
        }
        found
    }
}

/// The torrents whose states or locks lie in a directory.
fn tenants(directory: &Path) -> Vec<Tenant> {
    let root = Root::new(directory);
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().take(MAX_NAMES);
    let names = entries.map(|entry| entry.file_name()).filter(|name| hash_in(name).is_some());
    let mut tenants: Vec<Tenant> = Vec::new();
    for name in names.take(MAX_READ) {
        let name = Path::new(&name);
        let is_lock = name.extension().is_some_and(|extension| extension == "lock");
        let found = if is_lock { of_lock(&root, name) } else { of_state(&root, name) };
        let Some(found) = found else { continue };
        match tenants.iter_mut().find(|tenant| tenant.info_hash == found.info_hash) {
            Some(tenant) => tenant.join(found),
            None => tenants.push(found),
        }
    }
    tenants
}

/// The info-hash in the name of a state or a lock.
fn hash_in(name: &OsStr) -> Option<InfoHash> {
    let name = name.to_str()?;
    let name = name.strip_prefix('.').unwrap_or(name);
    let (hash, rest) = name.split_at_checked(40)?;
    let ours = rest.starts_with('.') && (rest.ends_with(".bitwren") || rest == ".bitwren.lock");
    ours.then(|| InfoHash::from_hex(hash).ok()).flatten()
}

fn of_state(root: &Root, name: &Path) -> Option<Tenant> {
    let mut bytes = Vec::new();
    root.open(name, false).ok()?.take(MAX_STATE_BYTES).read_to_end(&mut bytes).ok()?;
    let (info_hash, state) = State::decode_any(&bytes)?;
    let own = Own::decode(state.sections.get(own::SECTION)?)?;
    let mut tenant = Tenant::new(info_hash, own.name, None);
    for (file, record) in own.files.iter().zip(&state.records) {
        if file.inode != 0 || matches!(record, Record::File(_)) {
            let place = if file.complete { &mut tenant.complete } else { &mut tenant.incomplete };
            place.insert(file.path);
        }
    }
    Some(tenant)
}

fn of_lock(root: &Root, name: &Path) -> Option<Tenant> {
    let said = lock::look(root, name)?;
    let mut tenant = Tenant::new(hash_in(name.as_os_str())?, said.own.name, Some(said.process));
    tenant.incomplete = said.own.files.iter().map(|file| file.path).collect();
    Some(tenant)
}

impl Tenant {
    fn new(info_hash: InfoHash, name: String, process: Option<u32>) -> Tenant {
        Tenant { info_hash, name, process, complete: HashSet::new(), incomplete: HashSet::new() }
    }

    /// Takes in what the torrent says elsewhere: its state knows which files are complete, and its lock
    /// which process is at work.
    fn join(&mut self, other: Tenant) {
        self.process = self.process.or(other.process);
        self.complete.extend(other.complete);
        self.incomplete.extend(other.incomplete);
        self.incomplete.retain(|file| !self.complete.contains(file));
    }
}

#[cfg(test)]
mod tests;
