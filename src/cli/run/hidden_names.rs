//! Names that start with a dot and would be created in a home directory: `.profile`,
//! `.ssh/authorized_keys`.
//!
//! A torrent with such a name, downloaded into a home directory, changes how that user's programs work or
//! who may log in. In other directories such a name only causes a warning.

use std::fs;
use std::path::{Path, PathBuf};

use bitwren::internals::storage::names;
use bitwren::{Error, ErrorKind, Metainfo, Result};

use crate::cli::args::settings::StorageSettings;

/// Home directories, as the environment and the system's list of users name them.
fn homes() -> Vec<PathBuf> {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let listed = users.lines().filter_map(|line| line.split(':').nth(5)).map(PathBuf::from);
    let own = std::env::var_os("HOME").map(PathBuf::from);
    let homes = own.into_iter().chain(listed).filter_map(|home| home.canonicalize().ok());
    // The root directory is the home of some system users; no person lives there.
    homes.filter(|home| home.parent().is_some()).collect()
}

/// Refuses a torrent that would create a name that starts with a dot in a home directory.
///
/// # Errors
/// [`ErrorKind::FileCreate`] with the name, [`ErrorKind::Argument`] if the settings rename a file that the
/// torrent does not have.
pub fn check(metainfo: &Metainfo, storage: &StorageSettings) -> Result<()> {
    let given = names::given(metainfo, &storage.rename)?;
    // A directory that does not exist yet is no home.
    let Ok(dir) = storage.dir.canonicalize() else { return Ok(()) };
    for home in homes() {
        // The home may lie below the download directory.
        let Ok(way) = home.strip_prefix(&dir) else { continue };
        let files = (0u32..).zip(metainfo.files()).filter(|(_, file)| file.is_stored());
        let paths = files.map(|(index, file)| given.get(&index).cloned().unwrap_or_else(|| file.path()));
        if let Some(path) = paths
            .filter_map(|path| path.strip_prefix(way).map(Path::to_path_buf).ok())
            .find(|path| is_hidden(path))
        {
            let (path, home) = (home.join(path), home.display());
            return Err(Error::new(
                ErrorKind::FileCreate,
                format!(
                    "{} starts with a dot, and {home} is a home directory: such a file may change how \
                     programs or logins work; choose another --dir, or give --allow-hidden",
                    path.display()
                ),
            ));
        }
    }
    Ok(())
}

/// Whether the first name of a path starts with a dot.
pub fn is_hidden(path: &Path) -> bool {
    path.iter().next().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}
