//! Our side of a transfer.

use std::ffi::OsStr;
use std::path::Path;

use crate::support::child::{self, Child};
use crate::world::{PATIENCE, Share, World};

/// Downloads from whoever the tracker knows, and compares.
pub fn get(world: &World, share: &Share, more: &[&str]) -> Result<(), String> {
    get_by(world, share, share.file.as_os_str(), more)
}

/// The same by this word: a file or a magnet link.
pub fn get_by(world: &World, share: &Share, word: &OsStr, more: &[&str]) -> Result<(), String> {
    let dir = world.scratch.dir(&format!("got-{}", share.torrent.name));
    let home = world.scratch.dir("home");
    let mut command = command(&home, "get", more);
    command.arg("-d").arg(&dir).arg(word);
    let child = Child::spawn(&mut command);
    let Some(ended) = child.end_within(PATIENCE) else {
        return Err(format!("bitwren still runs after {PATIENCE:?}\n{}", child.said()));
    };
    if ended.code != Some(0) {
        return Err(format!("bitwren: {ended:#?}"));
    }
    share.torrent.compare(&dir).map_err(|wrong| format!("{wrong}\n{ended:#?}"))
}

/// Seeds the files where they lie; they must all lie under their own directories, so each is linked
/// into one.
pub fn seed(world: &World, shares: &[&Share], more: &[&str]) -> Child {
    let home = world.scratch.dir("home");
    let dir = world.scratch.dir("seeded");
    let mut command = command(&home, "seed", more);
    command.arg("-d").arg(&dir);
    for share in shares {
        share.torrent.write_to(&dir);
        command.arg(&share.file);
    }
    Child::spawn(&mut command)
}

fn command(home: &Path, verb: &str, more: &[&str]) -> std::process::Command {
    let mut command = child::bitwren(home, &[verb, "--verbose", "--no-dht", "--no-lsd", "--no-portmap"]);
    command.args(more);
    command
}
