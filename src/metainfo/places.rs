//! Gives files that would meet others their own names, so that none overwrites another and none stands where
//! a directory must be. Directories keep theirs; then files whose path is unchanged from the torrent; of
//! equals the first.
//!
//! Taken paths are remembered by a hash of 64 bits, in sorted lists, which keeps a million files small.
//! Should two hashes ever be equal by chance, a file gets a number that it did not need.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::files::{File, FileTable, OWN, Renamed};
use super::path::{MAX_NAME, cut, split};
use super::warnings::{Warnings, quoted};

/// The most bytes a number in a name takes, with its dot.
const MAX_NUMBER: usize = 11;

/// A path that a file would have. The first of its key in the order of `turn` has it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    key: u64,
    turn: Turn,
}

/// Files whose path is as the torrent has it come first; each has its path in the torrent before the one
/// that was made of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn(u32);

impl Turn {
    fn new(file: u32, is_altered: bool, is_own: bool) -> Turn {
        Turn(u32::from(is_altered) << 31 | file << 1 | u32::from(!is_own))
    }

    fn file(self) -> u32 {
        self.0 << 1 >> 2
    }

    fn is_own(self) -> bool {
        self.0 & 1 == 0
    }
}

/// What paths of the torrent there are, by their keys.
pub(super) struct Places {
    /// Sorted.
    directories: Vec<u64>,
    /// Sorted.
    claims: Vec<Claim>,
    /// For files that got a number.
    numbered: HashSet<u64>,
}

impl Places {
    /// Gives each stored file its path.
    pub(super) fn give(table: &mut FileTable, info: &[u8], warnings: &mut Warnings) -> Places {
        let stored = || table.list(info).into_iter().zip(0u32..).filter(|(file, _)| file.is_stored());
        let owns = table.records.iter().filter(|record| record.flags & OWN != 0).count();
        let mut places = Places {
            directories: Vec::with_capacity(count_directories(stored().map(|(file, _)| file))),
            claims: Vec::with_capacity(stored().count() + owns),
            numbered: HashSet::new(),
        };
        let mut before = String::new();
        for (file, index) in stored() {
            let (path, own) = (file.path_text(), file.own_text());
            places.directories.extend(directories(&path).skip(shared(&before, &path)));
            places.claims.push(Claim { key: key(&path), turn: Turn::new(index, own.is_some(), false) });
            let own = own.map(|own| Claim { key: key(&own), turn: Turn::new(index, true, true) });
            places.claims.extend(own);
            before = path;
        }
        places.directories.sort_unstable();
        places.claims.sort_unstable();
        let mut late = Vec::new();
        let mut before = None;
        for claim in &places.claims {
            let is_first = before.replace(claim.key) != Some(claim.key);
            if is_first && places.directories.binary_search(&claim.key).is_err() {
                continue;
            }
            match table.records.get_mut(claim.turn.file() as usize) {
                // If two have the same path in the torrent, one can lie there.
                Some(record) if claim.turn.is_own() => record.flags &= !OWN,
                _ => late.push(claim.turn),
            }
        }
        late.sort_unstable();
        places.number(table, info, &late, warnings);
        places
    }

    /// Gives the files of `late` names with numbers, in their order.
    fn number(&mut self, table: &mut FileTable, info: &[u8], late: &[Turn], warnings: &mut Warnings) {
        // The last number given, by the text in front of it and behind it: none is tried twice, so that a
        // million files of one name take no longer than a million.
        let mut numbers: HashMap<u64, u32> = HashMap::new();
        let mut renamed = Vec::with_capacity(late.len());
        let mut names = String::new();
        for turn in late {
            let Some(file) = table.list(info).get(turn.file() as usize) else { continue };
            let path = file.path_text();
            let parent = directories(&path).last().unwrap_or_default();
            let name = path.rsplit('/').next().unwrap_or_default();
            // Cut the same whatever the number, so that names cut to the same count together.
            let (stem, extension) = split(name);
            let stem = cut(stem, MAX_NAME - MAX_NUMBER - extension.len());
            let number = numbers.entry(below(below(parent, stem), extension)).or_default();
            let free = loop {
                *number += 1;
                let name = format!("{stem}.{number}{extension}");
                let key = below(parent, &name);
                if !self.has(key) {
                    self.numbered.insert(key);
                    break name;
                }
            };
            warnings.add(|| {
                format!(
                    "the path {} is taken; that file is stored as {free:?} beside it",
                    quoted(path.as_bytes())
                )
            });
            let (start, length) = (names.len() as u32, free.len() as u8);
            renamed.push(Renamed { file: turn.file(), start, length });
            names.push_str(&free);
        }
        renamed.sort_unstable_by_key(|renamed| renamed.file);
        names.shrink_to_fit();
        (table.renamed, table.names) = (renamed, names);
    }

    /// Whether a stored file or a directory has the path.
    pub(super) fn has(&self, key: u64) -> bool {
        self.directories.binary_search(&key).is_ok() || self.is_claimed(key)
    }

    fn is_claimed(&self, key: u64) -> bool {
        self.claims.binary_search_by_key(&key, |claim| claim.key).is_ok() || self.numbered.contains(&key)
    }

    /// Whether a stored file has the path.
    pub(super) fn has_file(&self, key: u64) -> bool {
        self.is_claimed(key) && self.directories.binary_search(&key).is_err()
    }
}

/// How many directories there are besides those that a file shares with the one before it, where most lie.
fn count_directories<'a>(files: impl Iterator<Item = File<'a>>) -> usize {
    let mut before = String::new();
    let count = |file: File<'a>| {
        let path = file.path_text();
        let fresh = path.matches('/').count() - shared(&before, &path);
        before = path;
        fresh
    };
    files.map(count).sum()
}

/// How many directories two paths lead through both, from the top.
fn shared(one: &str, other: &str) -> usize {
    let same = one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other);
    same.filter(|(byte, _)| *byte == b'/').count()
}

/// The keys of the directories that a path leads through.
pub(super) fn directories(path: &str) -> impl Iterator<Item = u64> {
    let names = path.rsplit_once('/').map(|(parent, _)| parent.split('/'));
    names.into_iter().flatten().scan(0, |parent, name| {
        *parent = below(*parent, name);
        Some(*parent)
    })
}

/// What tells a path apart.
pub(super) fn key(path: &str) -> u64 {
    path.split('/').fold(0, below)
}

/// What tells a name in a directory apart.
fn below(parent: u64, name: &str) -> u64 {
    let mut hash = DefaultHasher::new();
    (parent, name).hash(&mut hash);
    hash.finish()
}
