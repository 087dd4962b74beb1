//! Where state that belongs to no torrent is kept: below `--state-dir`, or where the user's programs keep
//! their state (`XDG_STATE_HOME`, or `.local/state` at home).

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::args::settings::StorageSettings;

/// The file with the known DHT nodes; `None` if no state is kept, or there is no home directory.
pub fn dht_nodes(storage: &StorageSettings) -> Option<PathBuf> {
    let dir = directory(storage, |name| std::env::var_os(name))?;
    Some(dir.join("dht.nodes"))
}

/// The state of the daemon: the directory that was named, or one of its own among the user's state.
pub fn daemon(storage: &StorageSettings) -> Option<PathBuf> {
    match &storage.state_dir {
        Some(dir) => Some(dir.clone()),
        None => directory(storage, |name| std::env::var_os(name)).map(|dir| dir.join("daemon")),
    }
}

fn directory(storage: &StorageSettings, env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if !storage.resume {
        return None;
    }
    // The XDG specification says to ignore relative paths.
    let named = |name| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = || named("XDG_STATE_HOME").or_else(|| Some(named("HOME")?.join(".local/state")));
    storage.state_dir.clone().or_else(|| Some(state()?.join("bitwren")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_lies_where_it_was_told_to_or_at_home() {
        let at = |storage: &StorageSettings, env: &[(&str, &str)]| {
            let find = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
            directory(storage, find).map(|path| path.to_str().unwrap().to_owned())
        };
        let plain = StorageSettings::default();
        assert_eq!(at(&plain, &[]), None);
        assert_eq!(at(&plain, &[("HOME", "/h")]).unwrap(), "/h/.local/state/bitwren");
        assert_eq!(at(&plain, &[("HOME", "/h"), ("XDG_STATE_HOME", "/x")]).unwrap(), "/x/bitwren");
        assert_eq!(at(&plain, &[("HOME", "h"), ("XDG_STATE_HOME", "x")]), None);
        let named = StorageSettings { state_dir: Some("/s".into()), ..StorageSettings::default() };
        assert_eq!(at(&named, &[("HOME", "/h")]).unwrap(), "/s");
        assert_eq!(at(&StorageSettings { resume: false, ..named }, &[("HOME", "/h")]), None);
    }
}
