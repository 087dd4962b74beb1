//! Checks of a command line before anything is started: directories that are none, unknown environment
//! variables, operands that do not fit. It changes nothing.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use super::hook;
use crate::cli::args::commands::Command;
use crate::cli::args::flags;
use crate::cli::args::parse::Invocation;
use crate::cli::args::settings::StorageSettings;
use crate::cli::args::suggest;
use crate::cli::exit::Failure;
use crate::cli::output::text::printable;

/// The variable with the name and the password for the RPC.
pub const RPC_PASSWORD: &str = "BITWREN_RPC_PASSWORD";

/// The prefix of this program's variables.
const PREFIX: &str = "BITWREN_";

/// Refuses a directory that is a file, or lies below one.
pub fn directories(invocation: &Invocation) -> Result<(), Failure> {
    let storage = &invocation.settings.transfer.storage;
    if !matches!(invocation.entry.command, Command::Get | Command::Seed | Command::Verify) {
        return Ok(());
    }
    // Only a download needs its state directory.
    let needs_state = invocation.entry.command == Command::Get;
    let state_dir = storage.state_dir.as_deref().filter(|_| needs_state).map(|dir| ("--state-dir", dir));
    for (option, dir) in [("--dir", storage.dir.as_path())].into_iter().chain(state_dir) {
        // A missing directory can be created unless a file is in the way.
        let there = dir.ancestors().find(|path| path.symlink_metadata().is_ok());
        if let Some(there) = there.filter(|path| path.metadata().is_ok_and(|about| !about.is_dir())) {
            return Err(Failure::usage(format_args!("{option}: {} is not a directory", shown(there))));
        }
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy()).into_owned()
}

/// A line about each variable with this program's prefix that names no option.
pub fn variables(names: impl Iterator<Item = String>) -> Vec<String> {
    let opposite = |name: String| format!("{PREFIX}{}", name.replace('-', "_").to_uppercase());
    let known: BTreeSet<String> = flags::all()
        .flat_map(|flag| flag.env().into_iter().chain(flags::opposite(flag).map(opposite)))
        .chain(hook::VARIABLES.map(str::to_owned))
        .chain([RPC_PASSWORD.to_owned()])
        .collect();
    let unknown = names.filter(|name| name.starts_with(PREFIX) && !known.contains(name));
    let lines = unknown.map(|name| {
        let near = suggest::nearest(&name, known.iter().map(String::as_str));
        let hint = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
        format!("unknown environment variable {}{hint}", printable(&name))
    });
    lines.collect()
}

/// `--rename` refers to numbers of files, which are unique in one torrent only.
pub fn check_renaming(storage: &StorageSettings, operands: usize) -> Result<(), Failure> {
    match storage.rename.is_empty() || operands == 1 {
        true => Ok(()),
        false => Err(Failure::usage("--rename is for the files of one torrent")),
    }
}

/// Standard input can be read only once.
pub fn check_stdin(operands: &[OsString]) -> Result<(), Failure> {
    match operands.iter().filter(|word| *word == "-").count() {
        0 | 1 => Ok(()),
        _ => Err(Failure::usage("- is given twice, but standard input can be read only once")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_variable_is_reported_with_what_was_meant() {
        let told = |name: &str| variables([name.to_owned()].into_iter());
        assert_eq!(
            told("BITWREN_MAX_PEER"),
            ["unknown environment variable BITWREN_MAX_PEER; did you mean BITWREN_MAX_PEERS?"]
        );
        for known in ["BITWREN_MAX_PEERS", "BITWREN_NO_SEED", "BITWREN_RESUME", "BITWREN_INFO_HASH", "PATH"] {
            assert!(told(known).is_empty(), "{known}");
        }
        assert!(told("BITWREN_").len() == 1 && told("BITWREN_\u{1b}[2J")[0].contains("\\u{1b}"));
    }
}
