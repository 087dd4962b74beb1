//! Makes a torrent of files on disk: finds, names and hashes them, for `create` and `share`.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use bitwren::internals::pieces::Pieces;
use bitwren::internals::storage::census::Census;
use bitwren::internals::storage::hash;
use bitwren::internals::version::PRODUCT;
use bitwren::metainfo::build::{Content, Entry, Torrent, piece_length_for};

use super::walk;
use super::walk::{Filter, Found, Why};
use crate::cli::args::settings::{FileFilter, OutputSettings};
use crate::cli::exit::{Code, Failure};
use crate::cli::output::meter::Meter;
use crate::cli::output::screen::{Screen, Tone};
use crate::cli::output::units;

/// The name that a path gives a torrent.
pub fn name(path: &Path) -> Result<String, Failure> {
    // The name of `.` and `x/..` is that of the directory they stand for.
    let real =
        fs::canonicalize(path).map_err(|error| Failure::file(Code::FILE_OPEN, "open", path, &error))?;
    let last = path.file_name().or_else(|| real.file_name()).map(OsStr::to_os_string);
    let last = last.ok_or_else(|| Failure::usage(format_args!("{} has no name", path.display())))?;
    last.into_string().map_err(|last| walk::not_text(Path::new(&last)))
}

/// Finds the files below `path` and reports what is left out. `output` is the file that the torrent is
/// written to.
///
/// # Errors
/// A file that a torrent is still to complete, and what cannot be read.
pub fn find(
    path: &Path,
    name: &str,
    output: Option<&Path>,
    filter: &FileFilter,
    settings: OutputSettings,
    screen: &Screen,
) -> Result<Found, Failure> {
    let filter = Filter {
        hidden: filter.hidden || filter.all,
        leftovers: filter.all,
        follow: filter.follow_symlinks,
        ignore: &filter.ignore,
        output,
        order: filter.order,
    };
    let found = walk::walk(path, name, &filter)?;
    if settings.is_chatty() {
        report(&found, settings.is_verbose(), screen);
    }
    let mut census = Census::default();
    for file in &found.files {
        let claimant = census.claimant(&file.on_disk, None, None);
        if let Some(claimant) = claimant.filter(|claimant| !claimant.complete) {
            return Err(claimant.unfinished(&file.on_disk).into());
        }
    }
    Ok(found)
}

/// Reports what is left out. Names that are left out for themselves are counted, and listed if `verbose`.
fn report(found: &Found, verbose: bool, screen: &Screen) {
    for (path, why) in &found.left_out {
        let (what, counted) = match why {
            Why::Hidden => ("is hidden", true),
            Why::Leftover => ("is a state or system file", true),
            Why::Link => ("is a symbolic link", false),
            Why::Dangling => ("is a broken symbolic link", false),
            Why::Loop => ("is a symbolic link to a directory that contains it", false),
            Why::Special => ("is neither a file nor a directory", false),
            Why::Output => ("is the output file", false),
        };
        if verbose || !counted {
            let tone = if counted { Tone::Plain } else { Tone::Warning };
            screen.line(tone, &format!("{} {what}: left out", path.display()));
        }
    }
    let count = |why: Why| found.left_out.iter().filter(|(_, other)| *other == why).count() as u64;
    for (why, what, option) in [
        (Why::Hidden, "hidden name", "--hidden includes them"),
        (Why::Leftover, "state or system file", "--all includes them"),
    ] {
        if count(why) > 0 {
            let names = units::count(count(why), what);
            screen.line(Tone::Warning, &format!("{names} left out; {option}"));
        }
    }
}

/// A torrent of these files with only the fields that it must have; its hashes are zeros.
pub fn draft(name: String, found: &Found, piece_length: Option<u32>) -> Result<Torrent, Failure> {
    let total = found.files.iter().map(|file| file.length).fold(0u64, u64::saturating_add);
    if total == 0 {
        return Err(Failure::usage(format_args!(
            "{name:?} holds no data; a torrent needs at least one byte"
        )));
    }
    let piece_length = piece_length.unwrap_or_else(|| piece_length_for(total));
    let pieces = Pieces::new(total, piece_length.into())?;
    let content = if found.directory {
        let entry = |file: &walk::File| Entry::new(&file.path, file.length);
        Content::Directory(found.files.iter().map(entry).collect())
    } else {
        Content::File { length: total }
    };
    let torrent = Torrent::new(name, content, piece_length, vec![0; pieces.count() as usize * 20]);
    Ok(torrent.created_by(PRODUCT.to_owned()))
}

/// Hashes the files that a draft was made of, which is given back with its hashes; `begin` gets what counts, before the first is hashed.
pub fn hash(
    torrent: Torrent,
    found: &Found,
    screen: &Screen,
    quiet: bool,
    begin: impl FnOnce(&Meter),
) -> Result<Torrent, Failure> {
    let source = |file: &walk::File| hash::Source { path: file.on_disk.clone(), length: file.length };
    let sources: Vec<hash::Source> = found.files.iter().map(source).collect();
    let pieces = torrent.pieces()?;
    let meter = Meter::new(*screen, pieces.count(), quiet);
    begin(&meter);
    let progress = |done| meter.at(done);
    let hashed = hash::pieces(&sources, pieces.piece_length(), 0, &progress, &AtomicBool::new(false));
    screen.clear();
    Ok(torrent.hashes(hashed?))
}
