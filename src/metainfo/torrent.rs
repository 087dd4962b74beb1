//! A torrent as it was read: its accessors, and nothing that reads or writes it. [`parse`](super::parse)
//! makes it, and upholds the invariant of [`Metainfo`].

use std::fmt;
use std::ops::Range;

#[cfg(test)]
use super::build;
use super::files::{FileList, FileTable};
use crate::digest::Digest;
use crate::id::InfoHash;
use crate::pieces::Pieces;

/// A torrent, as its `.torrent` file describes it.
///
/// Invariants: there is at least one file; the files lie end to end in the order of
/// [`Metainfo::files`] and fill the pieces exactly; there is one hash for each piece.
#[derive(Clone, PartialEq, Eq)]
pub struct Metainfo {
    pub(super) info_hash: InfoHash,
    /// The raw info dictionary.
    pub(super) info: Box<[u8]>,
    /// Where the piece hashes lie in it.
    pub(super) hashes: Range<usize>,
    pub(super) pieces: Pieces,
    pub(super) files: FileTable,
    pub(super) multi_file: bool,
    pub(super) private: bool,
    pub(super) source: Option<String>,
    pub(super) tiers: Vec<Vec<String>>,
    pub(super) web_seeds: Vec<String>,
    pub(super) nodes: Vec<(String, u16)>,
    pub(super) comment: Option<String>,
    pub(super) created_by: Option<String>,
    pub(super) creation_date: Option<i64>,
    pub(super) encoding: Option<String>,
    pub(super) warnings: Vec<String>,
}

/// Its name and size; the info dictionary may have millions of bytes.
impl fmt::Debug for Metainfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metainfo")
            .field("info_hash", &self.info_hash)
            .field("name", &self.name())
            .field("pieces", &self.pieces)
            .field("files", &self.files().len())
            .finish_non_exhaustive()
    }
}

impl Metainfo {
    /// The name of the torrent on the network: SHA-1 of [`Metainfo::info_bytes`].
    pub fn info_hash(&self) -> InfoHash {
        self.info_hash
    }

    /// The raw info dictionary, as peers exchange it (BEP 9).
    pub fn info_bytes(&self) -> &[u8] {
        &self.info
    }

    /// The name, safe as one component of a path and for printing: the name of the file, or of the
    /// directory that holds the files.
    pub fn name(&self) -> &str {
        &self.files.root.path
    }

    /// How its bytes fall into pieces. There is at least one.
    pub fn pieces(&self) -> Pieces {
        self.pieces
    }

    /// The SHA-1 that a checked piece must have. (Unchecked, it is a hash that no data has.)
    pub fn piece_hash(&self, piece: u32) -> &Digest {
        debug_assert!(self.pieces.contains(piece));
        let hashes = self.info.get(self.hashes.clone()).unwrap_or_default();
        let hash = hashes.chunks_exact(20).nth(piece as usize);
        hash.and_then(|hash| hash.try_into().ok()).unwrap_or(&[0; 20])
    }

    /// The files in the torrent's order, pads and symbolic links among them.
    pub fn files(&self) -> FileList<'_> {
        self.files.list(&self.info)
    }

    /// Whether the files lie in a directory of the torrent's name, even a single one.
    pub fn is_multi_file(&self) -> bool {
        self.multi_file
    }

    /// Whether peers may come from the torrent's own trackers only (BEP 27).
    pub fn is_private(&self) -> bool {
        self.private
    }

    /// The `source` of the info dictionary, by which private trackers set info-hashes apart.
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// Tracker addresses in tiers, the first tier to be tried first (BEP 12). Each address has a
    /// scheme and a host, comes once, and no tier is empty; whether the scheme is supported is
    /// decided when announcing.
    pub fn tiers(&self) -> &[Vec<String>] {
        &self.tiers
    }

    /// HTTP, HTTPS and FTP addresses of the same data (BEP 19). Those of a multi-file torrent end
    /// in `/`.
    pub fn web_seeds(&self) -> &[String] {
        &self.web_seeds
    }

    /// DHT nodes to start from (BEP 5): host and port.
    pub fn nodes(&self) -> &[(String, u16)] {
        &self.nodes
    }

    /// The comment. May hold anything that is text, newlines and control characters included.
    pub fn comment(&self) -> Option<&str> {
        self.comment.as_deref()
    }

    /// The program that made the torrent. May hold anything that is text.
    pub fn created_by(&self) -> Option<&str> {
        self.created_by.as_deref()
    }

    /// When it was made: seconds since 1970, though some programs write milliseconds.
    pub fn creation_date(&self) -> Option<i64> {
        self.creation_date
    }

    /// The encoding the torrent says its strings have. They are read as UTF-8 whatever it says.
    pub fn encoding(&self) -> Option<&str> {
        self.encoding.as_deref()
    }

    /// The same with symbolic links at its end, each a path and a target below the torrent's directory.
    #[cfg(test)]
    pub(crate) fn with_links(&self, links: &[(&str, &str)]) -> Metainfo {
        let list =
            |path: &str| path.split('/').map(|name| format!("{}:{name}", name.len())).collect::<String>();
        let entry = |(path, target): &(&str, &str)| {
            format!("d4:attr1:l6:lengthi0e4:pathl{}e12:symlink pathl{}ee", list(path), list(target))
        };
        let entries: String = links.iter().map(entry).collect();
        let info = crate::bencode::decode(&self.info).unwrap();
        let files = info.get(b"files").unwrap().raw();
        let end = files.as_ptr().addr() - self.info.as_ptr().addr() + files.len() - 1;
        let info = [&self.info[..end], entries.as_bytes(), &self.info[end..]].concat();
        Metainfo::from_bytes(&build::outer(&info, &[], &[], &[])).unwrap()
    }

    /// Deviations that were tolerated or changed, a line each; at most [`MAX_WARNINGS`](super::MAX_WARNINGS)
    /// and one that gives the number of the others.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}
