//! Moving, renaming and removing the data of a torrent that does not run.
//!
//! Each can be done again from the start when it was cut short at any point: what was done already is passed over.
//! Invariants: nothing that is not the torrent's is overwritten or removed; between file systems the original
//! goes only when the copy is synced and has its name.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use crate::{Error, ErrorKind, Result};

/// What a copy is called until it is whole.
const COPYING: &str = ".bitwren-copy";

/// Bytes copied at a time.
const COPY_BUFFER: usize = 256 << 10;

/// Moves files from one directory into another. Files that are not there are passed over.
///
/// # Errors
/// [`ErrorKind::Exists`] if another file has the name of one; [`ErrorKind::DiskFull`] or [`ErrorKind::FileIo`].
/// Files that were moved stay moved.
pub fn move_files(paths: &[PathBuf], from: &Path, to: &Path) -> Result<()> {
    for path in paths.iter().filter(|path| is_plain(path)) {
        let (old, new) = (from.join(path), to.join(path));
        let Ok(found) = old.symlink_metadata() else { continue };
        if !found.is_file() && !found.is_symlink() {
            continue;
        }
        if new.symlink_metadata().is_ok() {
            // A copy whose original was still to go, or another file.
            if !is_same_content(&old, &new) {
                let what = format!("{} is there already; move it away", new.display());
                return Err(Error::new(ErrorKind::Exists, what));
            }
            fs::remove_file(&old).map_err(|cause| failed("remove", &old, cause))?;
            continue;
        }
        let parent = new.parent().unwrap_or(to);
        fs::create_dir_all(parent).map_err(|cause| failed("make", parent, cause))?;
        match fs::rename(&old, &new) {
            Ok(()) => {}
            Err(cause) if cause.kind() == io::ErrorKind::CrossesDevices => copy(&old, &new)?,
            Err(cause) => return Err(failed("move", &old, cause)),
        }
    }
    for path in paths.iter().filter(|path| is_plain(path)) {
        sync_dir(to.join(path).parent().unwrap_or(to))?;
    }
    sync_dir(to)?;
    remove_empty(paths, from);
    Ok(())
}

/// Renames files or directories below a directory, each from one path to another; those that are not there are
/// passed over.
///
/// # Errors
/// As [`move_files`].
pub fn rename(dir: &Path, renames: &[(PathBuf, PathBuf)]) -> Result<()> {
    for (from, to) in renames.iter().filter(|(from, to)| is_plain(from) && is_plain(to)) {
        let (old, new) = (dir.join(from), dir.join(to));
        if old.symlink_metadata().is_err() {
            continue;
        }
        if new.symlink_metadata().is_ok() {
            let what = format!("{} is there already; move it away", new.display());
            return Err(Error::new(ErrorKind::Exists, what));
        }
        fs::rename(&old, &new).map_err(|cause| failed("rename", &old, cause))?;
        sync_dir(new.parent().unwrap_or(dir))?;
    }
    Ok(())
}

/// Removes files, and the directories that are empty then. The directory itself stays.
///
/// # Errors
/// One cannot be removed; the others are.
pub fn remove(paths: &[PathBuf], dir: &Path) -> Result<()> {
    let mut failure = Ok(());
    for path in paths.iter().filter(|path| is_plain(path)) {
        let full = dir.join(path);
        // Behind a link lies what is not the torrent's.
        let is_inside = full
            .parent()
            .and_then(|parent| parent.canonicalize().ok())
            .is_some_and(|parent| dir.canonicalize().is_ok_and(|dir| parent.starts_with(dir)));
        if !is_inside || full.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            continue;
        }
        match fs::remove_file(&full) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                failure = Err(failed("remove", &full, cause))
            }
            _ => {}
        }
    }
    remove_empty(paths, dir);
    failure
}

/// Removes the directories above files that are empty, the deepest first, and never `dir` itself.
fn remove_empty(paths: &[PathBuf], dir: &Path) {
    let above = |path: &PathBuf| path.ancestors().skip(1).map(Path::to_owned).collect::<Vec<_>>();
    let mut parents: Vec<PathBuf> = paths.iter().filter(|path| is_plain(path)).flat_map(above).collect();
    parents.retain(|parent| !parent.as_os_str().is_empty());
    parents.sort_by_key(|parent| std::cmp::Reverse(parent.components().count()));
    parents.dedup();
    for parent in parents {
        // One that is not empty stays.
        let _ = fs::remove_dir(dir.join(parent));
    }
}

/// Copies a file to another file system, and removes the original.
fn copy(old: &Path, new: &Path) -> Result<()> {
    let mut name = new.file_name().unwrap_or_default().to_owned();
    name.push(COPYING);
    let temporary = new.with_file_name(name);
    let copied = (|| {
        let mut from = File::open(old)?;
        let mut to = File::create(&temporary)?;
        let mut buffer = vec![0; COPY_BUFFER];
        loop {
            match from.read(&mut buffer)? {
                0 => break,
                len => to.write_all(buffer.get(..len).unwrap_or_default())?,
            }
        }
        let about = from.metadata()?;
        to.set_permissions(about.permissions())?;
        to.set_modified(about.modified()?)?;
        to.sync_all()?;
        if to.metadata()?.len() != about.len() {
            return Err(io::Error::other("it changed while it was copied"));
        }
        fs::rename(&temporary, new)
    })();
    if let Err(cause) = copied {
        let _ = fs::remove_file(&temporary);
        return Err(failed("copy", old, cause));
    }
    sync_dir(new.parent().unwrap_or(new))?;
    fs::remove_file(old).map_err(|cause| failed("remove", old, cause))
}

/// Whether two files have the same bytes.
fn is_same_content(a: &Path, b: &Path) -> bool {
    let compare = || -> io::Result<bool> {
        let (a, b) = (File::open(a)?, File::open(b)?);
        if a.metadata()?.len() != b.metadata()?.len() || !b.metadata()?.is_file() {
            return Ok(false);
        }
        let (mut a, mut b) =
            (io::BufReader::with_capacity(COPY_BUFFER, a), io::BufReader::with_capacity(COPY_BUFFER, b));
        loop {
            use std::io::BufRead;
            let (left, right) = (a.fill_buf()?, b.fill_buf()?);
            let len = left.len().min(right.len());
            if len == 0 {
                return Ok(left.len() == right.len());
            }
            if left.get(..len) != right.get(..len) {
                return Ok(false);
            }
            a.consume(len);
            b.consume(len);
        }
    };
    compare().unwrap_or(false)
}

/// Whether a path leads down and nowhere else.
fn is_plain(path: &Path) -> bool {
    !path.as_os_str().is_empty() && path.components().all(|part| matches!(part, Component::Normal(_)))
}

fn sync_dir(dir: &Path) -> Result<()> {
    match File::open(dir) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        opened => opened.and_then(|dir| dir.sync_all()).map_err(|cause| failed("sync", dir, cause)),
    }
}

fn failed(doing: &str, path: &Path, cause: io::Error) -> Error {
    let kind = match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::DiskFull,
        _ => ErrorKind::FileIo,
    };
    Error::new(kind, format!("cannot {doing} {}", path.display())).because(cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::sample::Dir;
    use std::os::unix::fs::symlink;

    fn paths(paths: &[&str]) -> Vec<PathBuf> {
        paths.iter().map(PathBuf::from).collect()
    }

    fn write(dir: &Dir, path: &str, bytes: &str) {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    #[test]
    fn a_move_takes_the_files_and_goes_on_where_it_was_cut_short() {
        let dir = Dir::new();
        for path in ["from/t/a", "from/t/sub/b", "from/t/other"] {
            write(&dir, path, path);
        }
        // One that was copied, and its original not yet removed.
        write(&dir, "to/t/a", "from/t/a");
        let files = paths(&["t/a", "t/sub/b", "t/absent", "../escape"]);
        move_files(&files, &dir.join("from"), &dir.join("to")).unwrap();
        assert_eq!(fs::read_to_string(dir.join("to/t/a")).unwrap(), "from/t/a");
        assert_eq!(fs::read_to_string(dir.join("to/t/sub/b")).unwrap(), "from/t/sub/b");
        assert!(!dir.join("from/t/a").exists() && !dir.join("from/t/sub").exists());
        assert!(dir.join("from/t/other").exists(), "it is not the torrent's");
        move_files(&files, &dir.join("from"), &dir.join("to")).unwrap();
    }

    #[test]
    fn another_file_in_the_way_is_not_overwritten() {
        let dir = Dir::new();
        write(&dir, "from/a", "mine");
        write(&dir, "to/a", "them");
        let error = move_files(&paths(&["a"]), &dir.join("from"), &dir.join("to")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exists);
        assert_eq!(fs::read_to_string(dir.join("to/a")).unwrap(), "them");
        assert_eq!(fs::read_to_string(dir.join("from/a")).unwrap(), "mine");
    }

    #[test]
    fn a_copy_is_whole_and_then_the_original_goes() {
        let dir = Dir::new();
        write(&dir, "a", &"x".repeat(COPY_BUFFER + 5));
        let modified = fs::metadata(dir.join("a")).unwrap().modified().unwrap();
        write(&dir, &format!("b{COPYING}"), "what a kill left");
        copy(&dir.join("a"), &dir.join("b")).unwrap();
        assert_eq!(fs::read(dir.join("b")).unwrap().len(), COPY_BUFFER + 5);
        assert_eq!(fs::metadata(dir.join("b")).unwrap().modified().unwrap(), modified);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_the_files_of_the_torrent_are_removed_and_no_link_is_followed() {
        let dir = Dir::new();
        for path in ["d/t/a", "d/t/sub/b", "d/t/mine", "outside/c"] {
            write(&dir, path, path);
        }
        symlink(dir.join("outside"), dir.join("d/t/link")).unwrap();
        remove(&paths(&["t/a", "t/sub/b", "t/link/c", "t/gone", "../outside/c"]), &dir.join("d")).unwrap();
        assert!(!dir.join("d/t/a").exists() && !dir.join("d/t/sub").exists());
        assert!(dir.join("d/t/mine").exists() && dir.join("outside/c").exists());
        remove(&paths(&["t/mine"]), &dir.join("d")).unwrap();
        assert!(dir.join("d/t").exists(), "a link is in it");
        fs::remove_file(dir.join("d/t/link")).unwrap();
        remove(&paths(&["t/mine"]), &dir.join("d")).unwrap();
        assert!(!dir.join("d/t").exists() && dir.join("d").exists());
    }

    #[test]
    fn what_was_renamed_already_is_passed_over() {
        let dir = Dir::new();
        write(&dir, "t/a", "a");
        let renames = [(PathBuf::from("t/a"), PathBuf::from("t/b"))];
        rename(dir.path(), &renames).unwrap();
        rename(dir.path(), &renames).unwrap();
        assert_eq!(fs::read_to_string(dir.join("t/b")).unwrap(), "a");
        write(&dir, "t/a", "another");
        assert_eq!(rename(dir.path(), &renames).unwrap_err().kind(), ErrorKind::Exists);
        let out = [(PathBuf::from("t/a"), PathBuf::from("../a"))];
        rename(dir.path(), &out).unwrap();
        assert!(dir.join("t/a").exists());
    }
}
