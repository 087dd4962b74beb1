//! The info dictionary of a magnet link, kept beside the resume state so that a restart needs no peer.
//!
//! It lies beside the data, or in the state folder, as `INFO-HASH.metadata.bitwren`: the dictionary and
//! nothing else. Invariant: bytes that are returned have the hash in the file's name; the file is written as
//! a whole or not at all.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::replace::Replaced;
use super::sandbox::Root;
use crate::digest::sha1;
use crate::error::Result;
use crate::id::InfoHash;

/// The longest that is read: no peer would have sent us a longer one, so it is not ours.
const MAX_BYTES: u64 = 128 << 20;

/// The directory and the name of the file.
fn place(dir: &Path, state_dir: Option<&Path>, info_hash: InfoHash) -> (Root, PathBuf) {
    (Root::new(state_dir.unwrap_or(dir)), PathBuf::from(format!("{info_hash}.metadata.bitwren")))
}

/// The path it is kept at.
pub(super) fn path(dir: &Path, state_dir: Option<&Path>, info_hash: InfoHash) -> PathBuf {
    let (root, name) = place(dir, state_dir, info_hash);
    root.join(&name)
}

/// The dictionary with this hash, if it was kept and is still right.
pub fn load(dir: &Path, state_dir: Option<&Path>, info_hash: InfoHash) -> Option<Vec<u8>> {
    let (root, name) = place(dir, state_dir, info_hash);
    let mut bytes = Vec::new();
    root.open(&name, false).ok()?.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
    (sha1(&bytes) == *info_hash.as_bytes()).then_some(bytes)
}

/// Keeps a dictionary.
///
/// # Errors
/// As where the resume state cannot be written; nothing of the old is lost then.
/// [`ErrorKind::Exists`](crate::ErrorKind::Exists) where something else has its name.
pub fn save(dir: &Path, state_dir: Option<&Path>, info_hash: InfoHash, bytes: &[u8]) -> Result<()> {
    let (root, name) = place(dir, state_dir, info_hash);
    let known = |start: &[u8]| bytes.starts_with(start);
    let temporary = format!(".{info_hash}.metadata");
    let file = Replaced { root: &root, name: &name, temporary: &temporary, is_ours: &known };
    // That the rename outlives a crash is not promised: it can be fetched again.
    file.write("the metadata", bytes, || Ok(()))
}

/// Forgets it: the download is complete. It is no error if there is none.
///
/// # Errors
/// [`ErrorKind::FileIo`](crate::ErrorKind::FileIo) if it exists and cannot be removed.
pub fn remove(dir: &Path, state_dir: Option<&Path>, info_hash: InfoHash) -> Result<()> {
    let (root, name) = place(dir, state_dir, info_hash);
    if load(dir, state_dir, info_hash).is_some() { root.remove(&name) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn what_was_kept_is_verified_when_it_is_read() {
        let dir = std::env::temp_dir().join(format!("bitwren-kept-{}", std::process::id()));
        let (state, info_hash) = (dir.join("state"), InfoHash::from_bytes(sha1(b"de")));
        assert_eq!(load(&dir, None, info_hash), None);
        for place in [None, Some(&*state)] {
            save(&dir, place, info_hash, b"de").unwrap();
            save(&dir, place, info_hash, b"de").unwrap();
            assert_eq!(load(&dir, place, info_hash).as_deref(), Some(&b"de"[..]));
            assert_eq!(load(&dir, place, InfoHash::from_bytes([0; 20])), None);
            remove(&dir, place, info_hash).unwrap();
            remove(&dir, place, info_hash).unwrap();
            // Something else by that name is neither used nor overwritten nor removed.
            let path = path(&dir, place, info_hash);
            fs::write(&path, "le").unwrap();
            assert_eq!(load(&dir, place, info_hash), None, "it is not the one");
            assert_eq!(save(&dir, place, info_hash, b"de").unwrap_err().kind(), ErrorKind::Exists);
            remove(&dir, place, info_hash).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"le");
            fs::remove_file(&path).unwrap();
        }
        assert_eq!(fs::read_dir(&state).unwrap().count(), 0);
        fs::remove_dir_all(dir).unwrap();
    }
}
