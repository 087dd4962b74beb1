//! What a state or a lock says about the files that a torrent has made its own: their names, their inodes,
//! and which of them are complete.
//!
//! Pure: bytes in and out. The names themselves are not in it, only hashes, so that the list of another
//! torrent can be asked for a name and takes 17 bytes a file. Invariant: for any input, decoding ends in a
//! list no longer than the input.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::state::Tag;
use crate::digest::sha1;

/// The section of a state.
pub(super) const SECTION: Tag = *b"own\0";

/// The longest name that is kept.
const MAX_NAME_BYTES: usize = 255;

/// Bytes a file takes.
const ENTRY: usize = 17;

/// The files of a torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Own {
    /// The name of the torrent.
    pub(super) name: String,
    /// One for each file of the torrent.
    pub(super) files: Vec<OwnFile>,
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OwnFile {
    /// Its path, hashed.
    pub(super) path: u64,
    /// Its inode; 0 if it is not known.
    pub(super) inode: u64,
    /// Every byte of it is verified.
    pub(super) complete: bool,
}

/// The hash of a path.
pub(super) fn path_key(path: &Path) -> u64 {
    let digest = sha1(path.as_os_str().as_bytes());
    let mut key = [0; 8];
    key.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(key)
}

impl Own {
    pub(super) fn encode(&self) -> Vec<u8> {
        let name = crop(&self.name);
        let mut bytes = Vec::with_capacity(2 + name.len() + self.files.len() * ENTRY);
        bytes.extend((name.len() as u16).to_le_bytes());
        bytes.extend(name.as_bytes());
        for file in &self.files {
            bytes.extend(file.path.to_le_bytes());
            bytes.extend(file.inode.to_le_bytes());
            bytes.push(file.complete.into());
        }
        bytes
    }

    /// Nothing where the bytes are something else.
    pub(super) fn decode(bytes: &[u8]) -> Option<Own> {
        let (length, rest) = bytes.split_first_chunk()?;
        let (name, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
        if name.len() > MAX_NAME_BYTES || rest.len() % ENTRY != 0 {
            return None;
        }
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
        let files = rest.chunks_exact(ENTRY).map(|entry| OwnFile {
            path: number(&entry[..8]),
            inode: number(&entry[8..16]),
            complete: entry[16] == 1,
        });
        Some(Own { name: OsStr::from_bytes(name).to_string_lossy().into_owned(), files: files.collect() })
    }
}

/// The beginning of a name that is not longer than may be kept.
fn crop(name: &str) -> &str {
    let mut end = name.len().min(MAX_NAME_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Own {
        let file = |path, inode, complete| OwnFile { path, inode, complete };
        Own { name: "a name".into(), files: vec![file(1, u64::MAX, true), file(u64::MAX, 0, false)] }
    }

    #[test]
    fn it_survives_the_round_trip() {
        assert_eq!(Own::decode(&own().encode()), Some(own()));
        let none = Own { name: String::new(), files: Vec::new() };
        assert_eq!(Own::decode(&none.encode()), Some(none));
        let long = Own { name: "é".repeat(200), files: Vec::new() };
        assert_eq!(Own::decode(&long.encode()).unwrap().name, "é".repeat(127));
    }

    #[test]
    fn torn_bytes_are_something_else() {
        let bytes = own().encode();
        let whole = bytes.len() - 2 * ENTRY;
        for length in 0..bytes.len() {
            let read = Own::decode(&bytes[..length]);
            assert_eq!(read.is_some(), length >= whole && (length - whole) % ENTRY == 0, "{length}");
        }
        assert_eq!(Own::decode(&[0xFF; 100]), None);
    }
}
