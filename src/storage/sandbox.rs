//! Opening files inside one directory and nowhere else.
//!
//! The directory itself may be, or lie behind, a symbolic link: the user chose it. Nothing inside it may be:
//! a link there could lead anywhere, so it is refused and never followed. Only regular files are handed out,
//! and none is waited for, so that a pipe or a device in the way cannot hang or harm anything. One call opens
//! a file if the system has one that follows no link; if it does not, or refuses, the directories are looked
//! at one by one, which shows why.
//!
//! Invariant: every file handed out was found, at the moment of opening, under the directory through real
//! directories only.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock};

use super::io_error::{failed, is_refused_name, show};
use super::linux;
use crate::error::{Error, ErrorKind, Result};
use crate::lock::lock;

/// A directory that files are opened in.
#[derive(Debug)]
pub(super) struct Root {
    path: PathBuf,
    /// The same without links, once it is there.
    real: OnceLock<PathBuf>,
    /// The directory inside that was walked last to look at a file: its neighbours need no walk.
    walked: Mutex<PathBuf>,
    /// Stands for a file system that does not take every name.
    #[cfg(test)]
    pub(super) narrow: std::sync::Mutex<Option<Narrow>>,
}

/// The error that a file system gives for a name; none if it takes it.
#[cfg(test)]
pub(super) type Narrow = fn(&std::ffi::OsStr) -> Option<i32>;

impl Root {
    pub(super) fn new(path: &Path) -> Self {
        // An empty path means the current directory, as `.` does.
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        Root {
            path: path.to_path_buf(),
            real: OnceLock::new(),
            walked: Mutex::default(),
            #[cfg(test)]
            narrow: std::sync::Mutex::default(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn join(&self, relative: &Path) -> PathBuf {
        self.path.join(relative)
    }

    /// The metadata at `relative`: a regular file, or none, also if there can be no such name. If a directory
    /// above it was replaced by a link since the last look, the link may have been followed: that shows
    /// metadata, and opens nothing.
    pub(super) fn stat(&self, relative: &Path) -> Result<Option<Metadata>> {
        let parent = relative.parent().unwrap_or(Path::new(""));
        let walked = *self.walked() == parent && relative.file_name().is_some();
        if !walked {
            if !self.walk(relative, None)? {
                return Ok(None);
            }
            parent.clone_into(&mut self.walked());
        }
        let path = self.join(relative);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() => Ok(Some(found)),
            Ok(found) => Err(in_the_way(&path, &found)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound || is_refused_name(&cause) => Ok(None),
            Err(cause) => Err(failed(ErrorKind::FileOpen, "look at", &path, cause)),
        }
    }

    /// Whether there is nothing at all by this name.
    pub(super) fn lacks(&self, relative: &Path) -> bool {
        let found = fs::symlink_metadata(self.join(relative));
        found.is_err_and(|cause| cause.kind() == io::ErrorKind::NotFound)
    }

    /// Opens what is there: to read, or to read and write.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where nothing is.
    pub(super) fn open(&self, relative: &Path, write: bool) -> Result<File> {
        self.open_found(relative, write).map(|(file, _)| file)
    }

    /// The same, and what was found.
    pub(super) fn open_found(&self, relative: &Path, write: bool) -> Result<(File, Metadata)> {
        if let Some(file) = self.open_at_once(relative, linux::Way::file(write)) {
            if let Some(found) = file.metadata().ok().filter(Metadata::is_file) {
                return Ok((file, found));
            }
        }
        let path = self.join(relative);
        self.walked().clear();
        let Some(expected) = self.stat(relative)? else {
            return Err(Error::new(ErrorKind::NotFound, format!("{} is not there", show(&path))));
        };
        let opened = OpenOptions::new().read(true).write(write).open(&path);
        let file = opened.map_err(|cause| failed(ErrorKind::FileOpen, "open", &path, cause))?;
        // If the file was swapped for a link after the look, this is another file.
        let found = file.metadata().map_err(|cause| failed(ErrorKind::FileOpen, "look at", &path, cause))?;
        if (found.dev(), found.ino()) != (expected.dev(), expected.ino()) {
            return Err(Error::new(
                ErrorKind::FileOpen,
                format!("{} was replaced while it was opened; leave it alone", show(&path)),
            ));
        }
        Ok((file, found))
    }

    /// Opens to read and write what is there, or makes it and its directories. True where made.
    pub(super) fn open_or_create(&self, relative: &Path, executable: bool) -> Result<(File, bool)> {
        match self.create(relative, executable) {
            Ok(Some(file)) => Ok((file, true)),
            // It exists, or another process made it just now.
            Ok(None) => self.open(relative, true).map(|file| (file, false)),
            Err(error) => self.open(relative, true).map(|file| (file, false)).map_err(|_| error),
        }
    }

    /// Makes a file and its directories, to read and write. Nothing where something is there
    /// already. What cannot be made leaves no directory behind.
    pub(super) fn create(&self, relative: &Path, executable: bool) -> Result<Option<File>> {
        let path = self.join(relative);
        self.making(relative, || {
            let mode = if executable { 0o777 } else { 0o666 };
            // `create_new` never follows a link.
            let made = self.takes(relative).and_then(|()| {
                OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(&path)
            });
            match made {
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Ok(None),
                made => made.map(Some).map_err(|cause| failed(ErrorKind::FileCreate, "create", &path, cause)),
            }
        })
    }

    /// Makes the directories above `relative`, then does `make`; where either fails, the directories
    /// made for it go again.
    pub(super) fn making<T>(&self, relative: &Path, make: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut made = Vec::new();
        // Most files come into a directory that is there.
        let below = relative.parent().is_some_and(|parent| !parent.as_os_str().is_empty());
        let walked = match below && self.walk(relative, None)? {
            true => Ok(true),
            false => self.walk(relative, Some(&mut made)),
        };
        let done = walked.and_then(|_| make());
        if done.is_err() {
            // One that is not empty by now stays.
            made.iter().rev().for_each(|directory| drop(fs::remove_dir(directory)));
        }
        done
    }

    /// Removes a file; it is no error if it is not there.
    pub(super) fn remove(&self, relative: &Path) -> Result<()> {
        let path = self.join(relative);
        let Err(cause) = fs::remove_file(&path) else { return Ok(()) };
        // A file system that is mounted read-only refuses before it looks.
        let absent = fs::symlink_metadata(&path).is_err_and(|cause| cause.kind() == io::ErrorKind::NotFound);
        if absent { Ok(()) } else { Err(failed(ErrorKind::FileIo, "remove", &path, cause)) }
    }

    fn walked(&self) -> MutexGuard<'_, PathBuf> {
        lock(&self.walked)
    }

    /// Opens an existing file with a call that follows no link. None if that cannot be done, for any reason.
    fn open_at_once(&self, relative: &Path, way: linux::Way) -> Option<File> {
        if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
            return None;
        }
        let real = match self.real.get() {
            Some(real) => real,
            None => {
                let real = fs::canonicalize(&self.path).ok()?;
                self.real.get_or_init(|| real)
            }
        };
        linux::open_without_links(&real.join(relative), way)
    }

    /// Walks the directories above `relative`. Those that are missing are made and noted in `made`;
    /// without it, false where one is missing.
    fn walk(&self, relative: &Path, mut made: Option<&mut Vec<PathBuf>>) -> Result<bool> {
        if made.is_some() {
            let made = fs::create_dir_all(&self.path);
            made.map_err(|cause| failed(ErrorKind::MakeDir, "make the directory", &self.path, cause))?;
        }
        // One call for several.
        let parent = relative.parent().filter(|parent| parent.components().nth(1).is_some());
        if parent.is_some_and(|parent| self.open_at_once(parent, linux::Way::Directory).is_some()) {
            return Ok(true);
        }
        let mut path = self.path.clone();
        let mut parts = relative.components().peekable();
        while let Some(part) = parts.next() {
            let Component::Normal(name) = part else {
                return Err(Error::new(
                    ErrorKind::Argument,
                    format!("the path {} leads out of its directory", show(relative)),
                ));
            };
            if parts.peek().is_none() {
                break;
            }
            path.push(name);
            match fs::symlink_metadata(&path) {
                Ok(found) if found.is_dir() => continue,
                Ok(found) => return Err(in_the_way(&path, &found)),
                Err(cause) if cause.kind() == io::ErrorKind::NotFound || is_refused_name(&cause) => {}
                Err(cause) => return Err(failed(ErrorKind::FileOpen, "look at", &path, cause)),
            }
            let Some(made) = &mut made else { return Ok(false) };
            match self.takes(Path::new(name)).and_then(|()| fs::create_dir(&path)) {
                Ok(()) => made.push(path.clone()),
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
                Err(cause) => return Err(failed(ErrorKind::MakeDir, "make the directory", &path, cause)),
            }
        }
        Ok(true)
    }

    /// Whether the file system takes a name, as far as a test says.
    #[cfg(test)]
    fn takes(&self, relative: &Path) -> io::Result<()> {
        let narrow = *lock(&self.narrow);
        let refused = narrow.and_then(|narrow| narrow(relative.file_name().unwrap_or_default()));
        refused.map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(errno)))
    }

    #[cfg(not(test))]
    #[inline(always)]
    fn takes(&self, _relative: &Path) -> io::Result<()> {
        Ok(())
    }
}

fn in_the_way(path: &Path, found: &Metadata) -> Error {
    let what = match found.file_type() {
        kind if kind.is_symlink() => "a symbolic link, which is not followed",
        kind if kind.is_dir() => "a directory",
        kind if kind.is_file() => "a file, not a directory",
        _ => "not a regular file",
    };
    Error::new(ErrorKind::FileOpen, format!("{} is {what}; move it out of the way", show(path)))
}
