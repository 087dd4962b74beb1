//! Where is kept what belongs to no torrent: below `--state-dir`, or where the user's programs keep
//! their state (`XDG_STATE_HOME`, or `.local/state` at home).

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::args::settings::Settings;

/// The file with the nodes of the DHT; nothing where no state is to be kept, or there is no home.
pub fn dht_nodes(settings: &Settings) -> Option<PathBuf> {
    let dir = directory(settings, |name| std::env::var_os(name))?;
    Some(dir.join("dht.nodes"))
}

fn directory(settings: &Settings, env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if !settings.resume {
        return None;
    }
    // A relative path in these is none, by the rules of who made them up.
    let named = |name| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = || named("XDG_STATE_HOME").or_else(|| Some(named("HOME")?.join(".local/state")));
    settings.state_dir.clone().or_else(|| Some(state()?.join("bitwren")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_lies_where_it_was_told_to_or_at_home() {
        let at = |settings: &Settings, env: &[(&str, &str)]| {
            let find = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
            directory(settings, find).map(|path| path.to_str().unwrap().to_owned())
        };
        let plain = Settings::default();
        assert_eq!(at(&plain, &[]), None);
        assert_eq!(at(&plain, &[("HOME", "/h")]).unwrap(), "/h/.local/state/bitwren");
        assert_eq!(at(&plain, &[("HOME", "/h"), ("XDG_STATE_HOME", "/x")]).unwrap(), "/x/bitwren");
        assert_eq!(at(&plain, &[("HOME", "h"), ("XDG_STATE_HOME", "x")]), None);
        let named = Settings { state_dir: Some("/s".into()), ..Settings::default() };
        assert_eq!(at(&named, &[("HOME", "/h")]).unwrap(), "/s");
        assert_eq!(at(&Settings { resume: false, ..named }, &[("HOME", "/h")]), None);
    }
}
