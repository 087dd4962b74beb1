//! Files that a download leaves beside its data: the state, the part file, the metadata of a magnet link.
//!
//! They stay while the download is not complete, or while a file lies in the part file alone. Invariant:
//! every file named or removed here is ours, and of this torrent: a state that can be read, a part file with
//! our header, a dictionary that has the info-hash.

use std::path::{Path, PathBuf};

use super::files::Files;
use super::{info_file, resume};
use crate::error::Result;

/// The files left of a torrent, the state last.
///
/// # Errors
/// As where a survey looks for the state.
pub fn find(files: &Files, state_dir: Option<&Path>) -> Result<Vec<PathBuf>> {
    let mut left = Vec::new();
    let loaded = resume::load(files, state_dir)?;
    if files.open_part()? {
        left.push(files.path(files.part()));
    }
    let info_hash = files.layout().metainfo().info_hash();
    if info_file::load(files.root(), state_dir, info_hash).is_some() {
        left.push(info_file::path(files.root(), state_dir, info_hash));
    }
    left.extend(loaded.paths());
    Ok(left)
}

/// Removes them, and returns those that were removed.
///
/// # Errors
/// As [`find`]; [`ErrorKind::Exists`](crate::ErrorKind::Exists) if a process downloads the torrent here, and
/// [`ErrorKind::FileIo`](crate::ErrorKind::FileIo) if one cannot be removed. Those removed until then stay
/// removed.
pub fn remove(files: &Files, state_dir: Option<&Path>) -> Result<Vec<PathBuf>> {
    let left = find(files, state_dir)?;
    if left.is_empty() {
        return Ok(left);
    }
    files.keep_others_out()?;
    let loaded = resume::load(files, state_dir)?;
    files.remove_part()?;
    let info_hash = files.layout().metainfo().info_hash();
    if info_file::load(files.root(), state_dir, info_hash).is_some() {
        info_file::remove(files.root(), state_dir, info_hash)?;
    }
    loaded.remove()?;
    files.release();
    Ok(left)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::bitfield::Bitfield;
    use crate::config::TorrentConfig;
    use crate::pieces::BLOCK;
    use crate::storage::sample::{Dir, Sample};
    use crate::storage::survey::survey;

    #[test]
    fn what_is_ours_is_removed_and_nothing_else() {
        let half = BLOCK as usize / 2;
        for state_dir in [None, Some("states")] {
            let (dir, sample) = (Dir::new(), Sample::multi(&[("a", 3 * half), ("b", half)], BLOCK));
            let hash = sample.metainfo.info_hash();
            let state_dir = state_dir.map(|name| dir.join(name));
            let files = sample.select(&dir, Some(&[0]));
            let config = TorrentConfig::default().state_dir(state_dir.clone());
            let find = || find(&files, state_dir.as_deref()).unwrap();
            // By our names, and not ours.
            let dot = if state_dir.is_none() { "." } else { "" };
            let states = state_dir.clone().unwrap_or(dir.path().to_path_buf());
            fs::create_dir_all(&states).unwrap();
            let theirs = [
                dir.join(&format!(".{hash}.parts")),
                states.join(format!("{dot}{hash}.bitwren")),
                states.join(format!("{hash}.metadata.bitwren")),
            ];
            theirs.iter().for_each(|path| fs::write(path, [b'x'; 100]).unwrap());
            assert_eq!(find(), Vec::<PathBuf>::new());
            files.write_at(0, &sample.bytes).unwrap();
            let mut resume = survey(&files, &config).unwrap().resume.unwrap();
            resume.snapshot(&Bitfield::full(2), 0, 0).commit().unwrap();
            let ours = find();
            assert_eq!(ours, [files.path(files.part()), resume.path()]);
            assert_eq!(remove(&files, state_dir.as_deref()).unwrap(), ours);
            assert!(ours.iter().all(|path| !path.exists()) && theirs.iter().all(|path| path.exists()));
            assert!(dir.join("set/a").exists());
            assert_eq!(remove(&files, state_dir.as_deref()).unwrap(), Vec::<PathBuf>::new());
        }
    }

    /// Another process may be at work on other files of the same torrent.
    #[test]
    #[cfg(feature = "sys")]
    fn nothing_is_removed_while_the_torrent_is_downloaded() {
        let (dir, sample) = (Dir::new(), Sample::multi(&[("a", 20), ("b", 20)], BLOCK));
        let files = sample.select(&dir, Some(&[0]));
        files.keep_others_out().unwrap();
        files.write_at(0, &sample.bytes).unwrap();
        let mut resume = survey(&files, &TorrentConfig::default()).unwrap().resume.unwrap();
        resume.snapshot(&Bitfield::full(1), 0, 0).commit().unwrap();
        let others = sample.select(&dir, Some(&[0]));
        let refused = remove(&others, None).unwrap_err();
        assert_eq!(refused.kind(), crate::ErrorKind::Exists);
        assert_eq!(find(&others, None).unwrap().len(), 2);
        drop((resume, files));
        assert_eq!(remove(&others, None).unwrap().len(), 2);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "only the files are left");
    }
}
