//! The files below a path, for `create` and `share`: in the order of their paths, byte by byte, as
//! mktorrent has them too; no file left out in silence, but those that were asked to be.
//! It never writes, and never follows a symbolic link below the path: data is stored and served
//! without following any, so what a link leads to could not be served from here.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::exit::{Code, Failure};
use super::select::Glob;

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
    /// In the order of their paths, bytes compared.
    pub files: Vec<File>,
    /// Symbolic links, sockets, devices and the like.
    pub skipped: Vec<PathBuf>,
    /// Files and directories that were left out because their names begin with a dot.
    pub hidden: Vec<PathBuf>,
}

/// What is to be left out.
pub struct Filter<'a> {
    /// Whether names that begin with a dot are taken.
    pub hidden: bool,
    /// What these globs mean is left out, directories with everything below.
    pub ignore: &'a [String],
    /// This file is left out.
    pub output: Option<&'a Path>,
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
    let own = filter.output.and_then(|output| fs::metadata(output).ok()).map(|own| (own.dev(), own.ino()));
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
    // A directory to look into, and the names on the way to it.
    let mut ahead = vec![(root.to_owned(), Vec::<String>::new())];
    while let Some((directory, way)) = ahead.pop() {
        let failed = |error| Failure::file(Code::FILE_OPEN, "read the directory", &directory, &error);
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let on_disk = entry.path();
            let name = entry.file_name();
            if !filter.hidden && name.as_bytes().starts_with(b".") {
                found.hidden.push(entry.path());
                continue;
            }
            let name = name.into_string().map_err(|_| not_text(&on_disk))?;
            let about = entry.metadata().map_err(|error| cannot_look(&on_disk, &error))?;
            let path: Vec<String> = way.iter().cloned().chain([name]).collect();
            if is_ignored(&path, about.is_dir()) {
                continue;
            }
            if about.is_dir() {
                ahead.push((on_disk, path));
            } else if !about.is_file() {
                found.skipped.push(on_disk);
            } else if Some((about.dev(), about.ino())) != own {
                found.files.push(File { path, on_disk, length: about.len() });
            }
        }
    }
    found.files.sort_by_cached_key(|file| file.path.join("/"));
    found.skipped.sort();
    found.hidden.sort();
    Ok(found)
}

fn cannot_look(path: &Path, error: &io::Error) -> Failure {
    Failure::file(Code::FILE_OPEN, "look at", path, error)
}

/// Names in torrents are UTF-8.
pub fn not_text(path: &Path) -> Failure {
    Failure::usage(format_args!(
        "the name of {} is not UTF-8, which a torrent needs; rename it",
        path.display()
    ))
}
