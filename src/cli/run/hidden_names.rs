//! Names with a dot in front that would be made in a home directory: `.profile`, `.ssh/authorized_keys`.
//!
//! A torrent that is called so, downloaded where someone lives, changes how that user's programs work
//! or who may log in. Elsewhere such names are only told.

use std::fs;
use std::path::{Path, PathBuf};

use bitwren::internals::storage::names;
use bitwren::{Error, ErrorKind, Metainfo, Result};

use crate::cli::args::settings::Settings;

/// Home directories, as the environment and the system's list of users name them.
fn homes() -> Vec<PathBuf> {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let listed = users.lines().filter_map(|line| line.split(':').nth(5)).map(PathBuf::from);
    let own = std::env::var_os("HOME").map(PathBuf::from);
    let homes = own.into_iter().chain(listed).filter_map(|home| home.canonicalize().ok());
    // The root of everything is the home of some system users, and nobody's.
    homes.filter(|home| home.parent().is_some()).collect()
}

/// Refuses a torrent of which a name with a dot in front would be made in a home directory, unless the
/// settings allow it.
///
/// # Errors
/// [`ErrorKind::FileCreate`] with the name, [`ErrorKind::Argument`] where the settings rename what is not
/// there.
pub fn check(metainfo: &Metainfo, settings: &Settings) -> Result<()> {
    if settings.allow_hidden {
        return Ok(());
    }
    let given = names::given(metainfo, &settings.rename)?;
    // A directory that is not there yet is nobody's home.
    let Ok(dir) = settings.dir.canonicalize() else { return Ok(()) };
    for home in homes() {
        // The directory may be one above it.
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

/// Whether the first name of a path has a dot in front.
pub fn is_hidden(path: &Path) -> bool {
    path.iter().next().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}
