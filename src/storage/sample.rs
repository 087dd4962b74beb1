//! Small torrents for the tests of this room, and directories to put them in.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::fd_cache::FdCache;
use super::files::Files;
use super::layout::Layout;
use crate::config::Allocation;
use crate::digest::sha1;
use crate::metainfo::Metainfo;
use crate::metainfo::build::{Content, Entry, Torrent};
use crate::random::Random;

/// A directory of its own that goes when it is dropped.
pub(crate) struct Dir(PathBuf);

impl Dir {
    pub(crate) fn new() -> Dir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("bitwren-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Dir(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A torrent and the bytes it is of.
pub(crate) struct Sample {
    pub(crate) metainfo: Arc<Metainfo>,
    pub(crate) bytes: Vec<u8>,
}

impl Sample {
    /// One file, `data`, of `length` random bytes.
    pub(crate) fn single(length: usize, piece_length: u32) -> Sample {
        let mut random = Random::seeded(length as u64);
        let bytes: Vec<u8> = (0..length).map(|_| random.next_u64() as u8).collect();
        Sample::of("data", Content::File { length: length as u64 }, bytes, piece_length)
    }

    /// A directory, `set`, of files given as name and length; a name that begins with `pad` is
    /// padding, one that begins with `run` executable.
    pub(crate) fn multi(files: &[(&str, usize)], piece_length: u32) -> Sample {
        let mut random = Random::seeded(files.len() as u64);
        let mut bytes = Vec::new();
        let mut entries = Vec::new();
        for (name, length) in files {
            let pad = name.starts_with("pad");
            bytes.extend((0..*length).map(|_| if pad { 0 } else { random.next_u64() as u8 }));
            let entry = Entry::new(name.split('/'), *length as u64);
            entries.push(entry.pad(pad).executable(name.starts_with("run")));
        }
        Sample::of("set", Content::Directory(entries), bytes, piece_length)
    }

    pub(crate) fn of(name: &str, content: Content, bytes: Vec<u8>, piece_length: u32) -> Sample {
        let hashes = bytes.chunks(piece_length as usize).flat_map(sha1).collect();
        let torrent = Torrent::new(name, content, piece_length, hashes).encode().unwrap();
        Sample { metainfo: Arc::new(Metainfo::from_bytes(&torrent).unwrap()), bytes }
    }

    pub(crate) fn files(&self, dir: &Dir) -> Arc<Files> {
        self.select(dir, None)
    }

    pub(crate) fn select(&self, dir: &Dir, select: Option<&[u32]>) -> Arc<Files> {
        let layout = Layout::new(self.metainfo.clone(), select).unwrap();
        let cache = Arc::new(FdCache::new(4));
        Arc::new(Files::open(dir.path(), layout, cache, Allocation::Sparse))
    }

    /// Writes everything to its place.
    pub(crate) fn fill(&self, dir: &Dir) {
        self.files(dir).write_at(0, &self.bytes).unwrap();
    }

    /// The bytes of a piece.
    pub(crate) fn piece(&self, piece: u32) -> &[u8] {
        let pieces = self.metainfo.pieces();
        let at = pieces.offset(piece) as usize;
        &self.bytes[at..at + pieces.length(piece) as usize]
    }
}
