//! Names among the files: how one is opened or made whose name the file system does not take, and what
//! is told of it.

use std::fs::{File, Metadata};
use std::path::Path;

use super::Files;
use crate::error::{Error, ErrorKind, Result};
use crate::storage::io_error::{failed, refuses_name, show};
use crate::storage::locate::is_one_of;
use crate::storage::names::{Paths, StoredAs, Why};

impl Files {
    /// Opens a file to write, or makes it: under another name where the file system does not take
    /// the torrent's, or takes it for that of another file.
    pub(in crate::storage) fn open_or_create(&self, index: u32, executable: bool) -> Result<(File, bool)> {
        let path = self.relative(index);
        let (refusal, why) = match self.root.open_or_create(&path, executable) {
            Ok((opened, created)) if !self.is_a_twin(index, &opened)? => return Ok((opened, created)),
            Ok((_, created)) => {
                if created {
                    self.root.remove(&path)?;
                }
                (folded(&self.path(index)), Why::Folded)
            }
            Err(error) if refuses_name(&error) => (error, Why::Refused),
            Err(error) => return Err(error),
        };
        let metainfo = self.layout.metainfo();
        let others = match why {
            Why::Folded => self.names.beside(metainfo, index).into_iter().collect(),
            _ => self.names.substitutes(metainfo, index),
        };
        for other in others {
            match self.root.create(&other, executable) {
                Ok(Some(file)) => {
                    self.names.set(index, other, Some(why));
                    return Ok((file, true));
                }
                // The existing file was not taken for ours when it was looked at.
                Ok(None) => {}
                Err(error) if refuses_name(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Err(refusal)
    }

    /// Whether what was opened is an earlier file: its name differs in case only, and the file system
    /// does not tell them apart.
    fn is_a_twin(&self, index: u32, opened: &File) -> Result<bool> {
        if self.names.twins(index).is_empty() {
            return Ok(false);
        }
        let found = opened.metadata();
        let found =
            found.map_err(|cause| failed(ErrorKind::FileOpen, "look at", &self.path(index), cause))?;
        Ok(self.is_twin(index, &found))
    }

    /// As above, for a file that was found.
    pub(in crate::storage) fn is_twin(&self, index: u32, found: &Metadata) -> bool {
        is_one_of(self.names.twins(index), &self.root, &self.layout, &self.names, found)
    }

    /// The files that lie elsewhere than the torrent says.
    pub fn names(&self) -> Paths {
        self.names.all()
    }

    /// Whether a file lies under a name that is not found again without being remembered.
    pub fn has_chosen_names(&self) -> bool {
        self.names.has_chosen(self.layout.metainfo())
    }

    /// Which files were found, or had to be put, elsewhere than the torrent says since the last call.
    pub fn take_renamed(&self) -> Vec<StoredAs> {
        self.names.take_renamed()
    }

    /// From now on the file system refuses some names.
    #[cfg(test)]
    pub(in crate::storage) fn narrow(&self, narrow: crate::storage::sandbox::Narrow) {
        *self.root.narrow.lock().unwrap() = Some(narrow);
    }
}

fn folded(path: &Path) -> Error {
    let what = "has a name that this file system takes for that of another file; --rename gives it another";
    Error::new(ErrorKind::FileCreate, format!("{} {what}", show(path)))
}
