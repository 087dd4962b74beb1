//! Writing a small file of our own as a whole: into a temporary file beside it, synced, then renamed.
//!
//! Invariant: a file at either name that is not ours is neither overwritten nor removed.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::io_error::{failed, show};
use super::sandbox::Root;
use crate::error::{Error, ErrorKind, Result};

/// Temporary names that are tried.
const NAMES: u32 = 9;

/// A file that is replaced as a whole.
pub(super) struct Replaced<'a> {
    /// The directory it is in.
    pub(super) root: &'a Root,
    /// Its name.
    pub(super) name: &'a Path,
    /// The beginning of the temporary name, which ends with `.tmp`.
    pub(super) temporary: &'a str,
    /// Whether the first bytes of a file, at most [`START`], show that it is ours. Nothing at all is what
    /// is left where a file was made and not yet written.
    pub(super) is_ours: &'a dyn Fn(&[u8]) -> bool,
}

/// The bytes by which a file is known.
pub(super) const START: u64 = 64;

/// Replaces the file at `path`, which is no file of a torrent; a missing directory is made. The temporary
/// name has the number of this process, since other processes may write it at this moment.
///
/// # Errors
/// As [`Replaced::write`].
pub(crate) fn replace(path: &Path, what: &str, bytes: &[u8], is_ours: &dyn Fn(&[u8]) -> bool) -> Result<()> {
    let root = Root::new(path.parent().unwrap_or(Path::new("")));
    let name = Path::new(path.file_name().unwrap_or_default());
    let temporary = format!(".{}.{}", name.display(), std::process::id());
    Replaced { root: &root, name, temporary: &temporary, is_ours }.write(what, bytes, || Ok(()))
}

impl Replaced<'_> {
    /// Puts `bytes` in its place, and `check` has a say before each step.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`] where something else is at its name; [`ErrorKind::FileCreate`],
    /// [`ErrorKind::FileIo`] or [`ErrorKind::DiskFull`], and the old one stands.
    pub(super) fn write(
        &self,
        what: &str,
        bytes: &[u8],
        check: impl FnOnce() -> io::Result<()>,
    ) -> Result<()> {
        let (mut file, temporary) = self.open_temporary()?;
        let to = self.root.join(self.name);
        let from = self.root.join(&temporary);
        let written = check().and_then(|()| file.write_all(bytes)).and_then(|()| file.sync_all());
        let written =
            written.map_err(|cause| failed(ErrorKind::FileIo, &format!("write {what}"), &to, cause));
        let replaced = written.and_then(|()| self.see_ours(self.name)).and_then(|_| {
            fs::rename(&from, &to)
                .map_err(|cause| failed(ErrorKind::FileIo, &format!("write {what}"), &to, cause))
        });
        if replaced.is_err() {
            let _ = self.root.remove(&temporary); // What failed before it says more.
        }
        replaced
    }

    /// Removes it, if it exists and is ours.
    ///
    /// # Errors
    /// [`ErrorKind::FileIo`] if it cannot be removed.
    pub(super) fn remove(&self) -> Result<()> {
        self.tidy()?;
        match self.see_ours(self.name) {
            Ok(true) => self.root.remove(self.name),
            _ => Ok(()),
        }
    }

    /// Removes what a write left that was cut short.
    ///
    /// # Errors
    /// As [`Replaced::remove`].
    pub(super) fn tidy(&self) -> Result<()> {
        for temporary in self.temporaries() {
            match self.see_ours(&temporary) {
                Ok(true) => self.root.remove(&temporary)?,
                // The next name is used only where something else has this one.
                Ok(false) => return Ok(()),
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// True where what is at a name is ours, false where nothing is.
    fn see_ours(&self, name: &Path) -> Result<bool> {
        match self.root.open(name, false) {
            Ok(file) if self.knows(&file) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            _ => {
                let path = show(&self.root.join(name));
                Err(Error::new(ErrorKind::Exists, format!("{path} is something else; move it away")))
            }
        }
    }

    fn knows(&self, file: &File) -> bool {
        let mut start = Vec::new();
        file.take(START).read_to_end(&mut start).is_ok() && (start.is_empty() || (self.is_ours)(&start))
    }

    fn open_temporary(&self) -> Result<(File, PathBuf)> {
        self.tidy()?;
        for temporary in self.temporaries() {
            let (file, made) = match self.root.open_or_create(&temporary, false) {
                Err(error) if error.kind() == ErrorKind::FileOpen => continue,
                opened => opened?,
            };
            if made {
                return Ok((file, temporary));
            }
        }
        let path = show(&self.root.join(&self.temporaries().next().unwrap_or_default()));
        Err(Error::new(ErrorKind::Exists, format!("{path} is something else; move it away")))
    }

    fn temporaries(&self) -> impl Iterator<Item = PathBuf> + '_ {
        (1..=NAMES).map(|number| {
            let number = if number == 1 { String::new() } else { format!(".{number}") };
            PathBuf::from(format!("{}{number}.tmp", self.temporary))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::sample::Dir;

    fn replaced<'a>(root: &'a Root) -> Replaced<'a> {
        let is_ours = &|start: &[u8]| start.starts_with(b"ours");
        Replaced { root, name: Path::new("file"), temporary: ".file", is_ours }
    }

    fn write(root: &Root, bytes: &[u8]) -> Result<()> {
        replaced(root).write("the file", bytes, || Ok(()))
    }

    #[test]
    fn what_is_ours_is_replaced_and_removed() {
        let dir = Dir::new();
        let root = Root::new(dir.path());
        for bytes in [&b"ours, the first"[..], b"ours"] {
            // As a kill leaves it.
            fs::write(dir.join(".file.tmp"), &bytes[..4]).unwrap();
            write(&root, bytes).unwrap();
            assert_eq!(fs::read(dir.join("file")).unwrap(), bytes);
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        }
        fs::write(dir.join(".file.tmp"), "").unwrap();
        replaced(&root).remove().unwrap();
        replaced(&root).remove().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_not_ours_is_left_alone_at_every_name() {
        let dir = Dir::new();
        let root = Root::new(dir.path());
        fs::write(dir.join(".file.tmp"), "mine").unwrap();
        fs::create_dir(dir.join(".file.2.tmp")).unwrap();
        write(&root, b"ours").unwrap();
        assert_eq!(fs::read(dir.join("file")).unwrap(), b"ours");
        fs::write(dir.join("file"), "mine, too").unwrap();
        let error = write(&root, b"ours").unwrap_err();
        assert!(error.kind() == ErrorKind::Exists && error.to_string().contains("file is something else"));
        replaced(&root).remove().unwrap();
        assert_eq!(fs::read(dir.join("file")).unwrap(), b"mine, too");
        assert_eq!(fs::read(dir.join(".file.tmp")).unwrap(), b"mine");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "nothing else is left");
        for number in 3..=9 {
            fs::write(dir.join(&format!(".file.{number}.tmp")), "mine").unwrap();
        }
        fs::remove_file(dir.join("file")).unwrap();
        assert_eq!(write(&root, b"ours").unwrap_err().kind(), ErrorKind::Exists);
    }

    #[test]
    fn what_fails_leaves_the_old_one() {
        let dir = Dir::new();
        let root = Root::new(dir.path());
        write(&root, b"ours").unwrap();
        let full = || Err(io::Error::from_raw_os_error(28));
        let error = replaced(&root).write("the file", b"ours, newer", full).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DiskFull);
        assert_eq!(fs::read(dir.join("file")).unwrap(), b"ours");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
