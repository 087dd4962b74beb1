//! A torrent made of what is on disk: files found, named and hashed, for `create` and `share`.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use bitwren::metainfo::build::{Content, Entry, Torrent, piece_length_for};
use bitwren::pieces::Pieces;
use bitwren::storage::hash;

use super::exit::{Code, Failure};
use super::meter::Meter;
use super::screen::{Screen, Tone};
use super::settings::{Settings, Verbosity};
use super::units;
use super::walk::{self, Filter, Found};

/// The name that a path gives a torrent.
pub fn name(path: &Path) -> Result<String, Failure> {
    // The name of `.` and `x/..` is that of the directory they stand for.
    let real =
        fs::canonicalize(path).map_err(|error| Failure::file(Code::FILE_OPEN, "open", path, &error))?;
    let last = path.file_name().or_else(|| real.file_name()).map(OsStr::to_os_string);
    let last = last.ok_or_else(|| Failure::usage(format_args!("{} has no name", path.display())))?;
    last.into_string().map_err(|last| walk::not_text(Path::new(&last)))
}

/// Finds the files below `path` and tells what is left out, unless `quiet`.
pub fn find(
    path: &Path,
    name: &str,
    output: Option<&Path>,
    settings: &Settings,
    screen: &Screen,
    quiet: bool,
) -> Result<Found, Failure> {
    let filter = Filter { hidden: settings.hidden, ignore: &settings.ignore, output };
    let found = walk::walk(path, name, &filter)?;
    for skipped in found.skipped.iter().filter(|_| !quiet) {
        let skipped = skipped.display();
        screen.line(Tone::Warning, &format!("{skipped} is neither a file nor a directory: left out"));
    }
    if settings.verbosity == Verbosity::Verbose && !quiet {
        for hidden in &found.hidden {
            screen.line(Tone::Plain, &format!("{} is hidden: left out", hidden.display()));
        }
    }
    if !found.hidden.is_empty() && !quiet {
        let names = units::count(found.hidden.len() as u64, "hidden name");
        screen.line(Tone::Warning, &format!("{names} left out; --hidden includes them"));
    }
    Ok(found)
}

/// A torrent of that name and those files, with nothing in it but what it must have, and nothing hashed.
pub fn draft(name: String, found: &Found, piece_length: Option<u32>) -> Result<Torrent, Failure> {
    let total = found.files.iter().map(|file| file.length).fold(0u64, u64::saturating_add);
    if total == 0 {
        return Err(Failure::usage(format_args!(
            "there is no data in {name:?}, so there is nothing to make a torrent of"
        )));
    }
    let piece_length = piece_length.unwrap_or_else(|| piece_length_for(total));
    let pieces = Pieces::new(total, piece_length.into())?;
    let content = if found.directory {
        let entry =
            |file: &walk::File| Entry { path: file.path.clone(), length: file.length, ..Entry::default() };
        Content::Directory(found.files.iter().map(entry).collect())
    } else {
        Content::File { length: total }
    };
    Ok(Torrent::new(name, content, piece_length, vec![0; pieces.count() as usize * 20]))
}

/// Hashes the files that a draft was made of.
pub fn hash(torrent: &mut Torrent, found: &Found, screen: &Screen, quiet: bool) -> Result<(), Failure> {
    let source = |file: &walk::File| hash::Source { path: file.on_disk.clone(), length: file.length };
    let sources: Vec<hash::Source> = found.files.iter().map(source).collect();
    let count = u32::try_from(torrent.hashes.len() / 20).unwrap_or(u32::MAX);
    let meter = Meter::new(*screen, count, quiet);
    let progress = |done| meter.at(done);
    let hashed = hash::pieces(&sources, torrent.piece_length, 0, &progress, &AtomicBool::new(false));
    screen.clear();
    torrent.hashes = hashed?;
    Ok(())
}
