//! Finds the files below a path, for `create` and `share`, in one of two orders. It never writes.
//!
//! Symbolic links below the path are followed only on request: data is stored and served without
//! following any, so a link's target cannot be served. Invariant: every file that is left out is
//! reported, except those that a glob of the user matches.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bitwren::metainfo::{MAX_FILES, MAX_PATH_DEPTH};

use super::select::Glob;
use crate::cli::args::settings::FileOrder;
use crate::cli::exit::{Code, Failure};

/// The most paths through symbolic links by which one directory is reached.
const MAX_WAYS: u32 = 100;

/// A file that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The names on the way to it, its own last; empty where it is the path itself.
    pub path: Vec<String>,
    pub on_disk: PathBuf,
    pub length: u64,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Whether the path is a directory.
    pub directory: bool,
    /// In order.
    pub files: Vec<File>,
    /// What was left out without being named by a glob, and why.
    pub left_out: Vec<(PathBuf, Why)>,
}

/// Why something is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Its name begins with a dot.
    Hidden,
    /// It is a state file of this program, or one that systems leave everywhere.
    Leftover,
    /// It is a symbolic link, and none are followed.
    Link,
    /// It is a symbolic link that leads nowhere.
    Dangling,
    /// It is a symbolic link to a directory that it lies in.
    Loop,
    /// It is a socket, a device or the like.
    Special,
    /// It is what the torrent is written to.
    Output,
}

/// What is left out, and the order of the rest.
pub struct Filter<'a> {
    /// Whether names that begin with a dot are taken.
    pub hidden: bool,
    /// Whether state files and what systems leave are taken.
    pub leftovers: bool,
    /// Whether what symbolic links lead to is taken.
    pub follow: bool,
    /// Files and directories that match these globs are left out.
    pub ignore: &'a [String],
    /// This file is left out.
    pub output: Option<&'a Path>,
    pub order: FileOrder,
}

/// A directory to look into.
struct Ahead {
    on_disk: PathBuf,
    /// The names on the way to it.
    way: Vec<String>,
    /// Device and inode of each directory on the way, its own last.
    within: Vec<(u64, u64)>,
}

/// Finds the files below `root`; the path itself is taken whatever its name. `name` is the
/// torrent's, for the globs that hold it.
pub fn walk(root: &Path, name: &str, filter: &Filter<'_>) -> Result<Found, Failure> {
    let ignored: Vec<Glob> = filter.ignore.iter().map(|glob| Glob::new(glob)).collect();
    let is_ignored = |path: &[String], directory: bool| {
        let path = format!("{name}/{}", path.join("/"));
        ignored.iter().any(|glob| glob.selects(&path) || (directory && glob.selects(&format!("{path}/"))))
    };
    let mut found = Found::default();
    let own = filter.output.and_then(|output| fs::metadata(output).ok()).map(|own| identity(&own));
    let about = fs::metadata(root).map_err(|error| cannot_look(root, &error))?;
    if about.is_file() {
        found.files.push(File { path: Vec::new(), on_disk: root.to_owned(), length: about.len() });
        return Ok(found);
    }
    if !about.is_dir() {
        return Err(Failure::new(
            Code::FILE_OPEN,
            format_args!("{} is neither a file nor a directory", root.display()),
        ));
    }
    found.directory = true;
    let mut ahead = vec![Ahead { on_disk: root.to_owned(), way: Vec::new(), within: vec![identity(&about)] }];
    let mut directories = 1;
    // How often each directory was reached: links can repeat one without end.
    let mut ways = HashMap::new();
    while let Some(directory) = ahead.pop() {
        let failed = |error| Failure::file(Code::FILE_OPEN, "read the directory", &directory.on_disk, &error);
        for entry in fs::read_dir(&directory.on_disk).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let on_disk = entry.path();
            let file_name = entry.file_name();
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if let Some(why) = by_name(file_name.as_encoded_bytes(), is_directory, filter) {
                found.left_out.push((on_disk, why));
                continue;
            }
            let mut about = entry.metadata().map_err(|error| cannot_look(&on_disk, &error))?;
            let why = match about.is_symlink() {
                true if filter.follow => follow(&on_disk, &directory, &mut about)?,
                true => Some(Why::Link),
                false => None,
            };
            let file_name = file_name.into_string().map_err(|_| not_text(&on_disk))?;
            let path: Vec<String> = directory.way.iter().cloned().chain([file_name]).collect();
            if is_ignored(&path, about.is_dir()) {
                continue;
            }
            match why {
                Some(why) => found.left_out.push((on_disk, why)),
                None if about.is_dir() => {
                    directories += 1;
                    let ways = ways.entry(identity(&about)).or_insert(0);
                    *ways += 1;
                    if *ways > MAX_WAYS {
                        let why = "is reached in too many ways through symbolic links; leave out some with \
                                   --ignore";
                        return Err(Failure::usage(format_args!("{} {why}", on_disk.display())));
                    }
                    let within = directory.within.iter().copied().chain([identity(&about)]).collect();
                    ahead.push(Ahead { on_disk, way: path, within });
                }
                None if !about.is_file() => found.left_out.push((on_disk, Why::Special)),
                None if Some(identity(&about)) == own => found.left_out.push((on_disk, Why::Output)),
                None => found.files.push(File { path, on_disk, length: about.len() }),
            }
            check_bounds(root, found.files.len().max(directories), directory.way.len() + 1)?;
        }
    }
    match filter.order {
        FileOrder::Path => found.files.sort_by_cached_key(|file| file.path.join("/")),
        FileOrder::Component => found.files.sort_by(|one, other| one.path.cmp(&other.path)),
    }
    found.left_out.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(found)
}

/// Why something of this name is left out.
fn by_name(name: &[u8], is_directory: bool, filter: &Filter<'_>) -> Option<Why> {
    // A hidden leftover counts as a leftover, which --hidden does not include.
    match () {
        () if !filter.leftovers && !is_directory && is_leftover(name) => Some(Why::Leftover),
        () if !filter.hidden && name.starts_with(b".") => Some(Why::Hidden),
        () => None,
    }
}

/// Whether a name is that of a state file of this program, or one that systems leave everywhere.
fn is_leftover(name: &[u8]) -> bool {
    const SYSTEM: [&[u8]; 4] = [b"Thumbs.db", b"ehthumbs.db", b"desktop.ini", b".DS_Store"];
    const HIDDEN: [&[u8]; 3] = [b".parts", b".bitwren.lock", b".bitwren.tmp"];
    SYSTEM.iter().any(|known| name.eq_ignore_ascii_case(known))
        || name.ends_with(b".bitwren")
        || (name.starts_with(b".") && HIDDEN.iter().any(|ending| name.ends_with(ending)))
}

/// Looks at what a link leads to. Gives why it is left out, if it is.
fn follow(link: &Path, directory: &Ahead, about: &mut Metadata) -> Result<Option<Why>, Failure> {
    match fs::metadata(link) {
        Ok(target) if target.is_dir() && directory.within.contains(&identity(&target)) => Ok(Some(Why::Loop)),
        Ok(target) => {
            *about = target;
            Ok(None)
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(cannot_look(link, &error)),
        // Links in a circle are broken as well.
        Err(_) => Ok(Some(Why::Dangling)),
    }
}

/// Refuses what exceeds a torrent's limits as soon as that is known.
fn check_bounds(root: &Path, names: usize, depth: usize) -> Result<(), Failure> {
    let root = root.display();
    if names > MAX_FILES {
        let why = format_args!(
            "{root} holds more than {MAX_FILES} files or directories, the limit of a \
                                torrent"
        );
        return Err(Failure::usage(why));
    }
    if depth > MAX_PATH_DEPTH {
        let why = format_args!(
            "{root} has directories more than {MAX_PATH_DEPTH} deep, the limit of a \
                                torrent"
        );
        return Err(Failure::usage(why));
    }
    Ok(())
}

/// Two names of one file have the same.
fn identity(about: &Metadata) -> (u64, u64) {
    (about.dev(), about.ino())
}

fn cannot_look(path: &Path, error: &io::Error) -> Failure {
    Failure::file(Code::FILE_OPEN, "look at", path, error)
}

/// Names in torrents are UTF-8.
pub fn not_text(path: &Path) -> Failure {
    Failure::usage(format_args!(
        "the name of {} is not UTF-8, as a torrent requires; rename it",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_files_and_what_systems_leave_are_known_by_name() {
        for name in [
            "disk.img.bitwren",
            ".0123.bitwren",
            ".0123.bitwren.lock",
            ".0123.bitwren.tmp",
            ".0123.parts",
            "0123.metadata.bitwren",
            "thumbs.db",
            "Desktop.ini",
            ".DS_Store",
        ] {
            assert!(is_leftover(name.as_bytes()), "{name}");
        }
        for name in ["bitwren", "spare.parts", "x.bitwren.lock", "my thumbs.db", ".hidden", "notes.bitwrens"]
        {
            assert!(!is_leftover(name.as_bytes()), "{name}");
        }
    }
}
