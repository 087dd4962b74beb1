//! Atomic writes: a file is written beside its place, synced, and then moved there, so that it is never
//! half there, whatever happens. What is not a regular file (a pipe, a device, a descriptor of this
//! process) is written through and never replaced.
//!
//! Storage replaces files of our own. The file here is the user's: its owner and permissions stay, a link
//! to it is followed, and one that came meanwhile is not replaced unless that was allowed.
//!
//! [`OutputFile::prepare`] checks that a place can be written before its data is hashed or fetched.
//! Invariant: nothing is at the place before the data is complete.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use crate::cli::exit::{Code, Failure};

/// The most symbolic links that are followed to an output.
const MAX_LINKS: usize = 40;

/// The longest name that file systems take, in bytes.
const MAX_NAME: usize = 255;

/// A place that can be written.
#[derive(Debug)]
pub struct OutputFile {
    /// The path as it is printed.
    output: PathBuf,
    mode: Mode,
}

/// How it is written.
#[derive(Debug)]
enum Mode {
    Stdout,
    /// Into the existing file.
    Through(File),
    /// As a new file.
    New,
    /// In place of the file at this path, with links followed.
    Instead(PathBuf),
}

impl OutputFile {
    /// Checks that `output` can be written. If it is a directory, or ends with a slash, the file is `name`
    /// in it. An existing regular file is replaced only with `overwrite`.
    pub fn prepare(output: &Path, name: &str, overwrite: bool) -> Result<OutputFile, Failure> {
        if is_stdout(output) {
            return Ok(OutputFile { output: output.to_owned(), mode: Mode::Stdout });
        }
        let output = if is_directory(output) { output.join(name) } else { output.to_owned() };
        let cannot = |error| Failure::file(Code::FILE_CREATE, "write", &output, &error);
        // A descriptor of this process was opened for writing by the program that started it.
        if descriptor(&output).is_some() {
            let file = OpenOptions::new().append(true).open(&output).map_err(cannot)?;
            return Ok(OutputFile { output, mode: Mode::Through(file) });
        }
        let mode = match fs::metadata(&output) {
            Ok(about) if about.is_dir() => return Err(cannot(io::ErrorKind::IsADirectory.into())),
            Ok(about) if !about.is_file() => {
                Mode::Through(OpenOptions::new().write(true).open(&output).map_err(cannot)?)
            }
            Ok(_) if !overwrite => return Err(exists(&output)),
            // What is behind a link is replaced, not the link.
            Ok(_) => Mode::Instead(fs::canonicalize(&output).map_err(cannot)?),
            // A link that leads nowhere is in the way too.
            Err(_) if !overwrite && output.is_symlink() => return Err(exists(&output)),
            Err(_) if overwrite => Mode::Instead(output.clone()),
            Err(_) => Mode::New,
        };
        if let Mode::New | Mode::Instead(_) = mode {
            let place = if let Mode::Instead(place) = &mode { place } else { &output };
            TempFile::new(place).map_err(cannot)?;
        }
        Ok(OutputFile { output, mode })
    }

    /// Where it is, or `-`.
    pub fn shown(&self) -> &Path {
        if self.is_stdout() { Path::new("-") } else { &self.output }
    }

    /// Whether it is standard output.
    pub fn is_stdout(&self) -> bool {
        matches!(self.mode, Mode::Stdout)
    }

    /// The file that it replaces, or makes.
    pub fn file(&self) -> Option<&Path> {
        match &self.mode {
            Mode::Stdout | Mode::Through(_) => None,
            Mode::New => Some(&self.output),
            Mode::Instead(place) => Some(place),
        }
    }

    /// Writes it. Owner and permissions of a file that is replaced stay.
    pub fn write(self, bytes: &[u8]) -> Result<(), Failure> {
        let OutputFile { output, mode } = self;
        let written = match mode {
            Mode::Stdout => {
                let mut stdout = io::stdout().lock();
                return Ok(stdout.write_all(bytes).and_then(|()| stdout.flush())?);
            }
            Mode::Through(mut file) => file.write_all(bytes),
            Mode::New => TempFile::new(&output).and_then(|temp| {
                temp.fill(bytes)?;
                temp.put(&output)
            }),
            Mode::Instead(place) => TempFile::new(&place).and_then(|temp| temp.replace(&place, bytes)),
        };
        written.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(&output),
            _ => Failure::file(Code::FILE_IO, "write", &output, &error),
        })
    }
}

/// Checks that files can be created in a directory.
pub fn check_directory(directory: &Path) -> Result<(), Failure> {
    let made = TempFile::new(&directory.join("file"));
    made.map(drop).map_err(|error| Failure::file(Code::FILE_CREATE, "write to", directory, &error))
}

/// Checks that a directory exists or can be created. It is not created yet: a run that is killed here
/// leaves nothing behind.
pub fn check_can_make(directory: &Path) -> Result<(), Failure> {
    let there = directory.ancestors().find(|path| path.as_os_str().is_empty() || fs::metadata(path).is_ok());
    let there = there.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !there.is_dir() {
        return Err(Failure::new(Code::MAKE_DIR, format_args!("{} is not a directory", there.display())));
    }
    if there == directory {
        return Ok(());
    }
    rustix::fs::access(there, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| Failure::file(Code::MAKE_DIR, "make", directory, &error.into()))
}

/// Whether an output is standard output: `-`, or a path that leads to it.
pub fn is_stdout(output: &Path) -> bool {
    output == Path::new("-") || descriptor(output).as_deref() == Some("1")
}

/// The name of a torrent's file, shortened if it would be too long with its ending.
pub fn torrent_name(name: &str) -> String {
    const ENDING: &str = ".torrent";
    let mut end = name.len().min(MAX_NAME - ENDING.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{ENDING}", name.get(..end).unwrap_or_default())
}

/// The output file exists already.
fn exists(output: &Path) -> Failure {
    let output = output.display();
    Failure::new(Code::EXISTS, format_args!("{output} already exists; give --overwrite or another --output"))
}

/// Whether an output is the directory that the file is to lie in.
pub fn is_directory(output: &Path) -> bool {
    output.is_dir() || output.as_os_str().as_encoded_bytes().ends_with(b"/")
}

/// The number of the file descriptor of this process that a path leads to, as `/dev/fd/3` does.
fn descriptor(path: &Path) -> Option<String> {
    let own = PathBuf::from(format!("/proc/{}", std::process::id()));
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = fs::canonicalize(parent.unwrap_or(Path::new("."))).ok()?;
        let name = path.file_name()?.to_owned();
        // This includes the descriptors of a thread: /proc/thread-self/fd.
        if parent.starts_with(&own) && parent.ends_with("fd") {
            return name.into_string().ok();
        }
        path = parent.join(fs::read_link(parent.join(name)).ok()?);
    }
    None
}

/// A new file beside another one; dropping this removes it.
struct TempFile {
    path: PathBuf,
    file: File,
    /// Whether the file stays, because it holds what the place has lost.
    keep: bool,
}

impl TempFile {
    fn new(place: &Path) -> io::Result<TempFile> {
        let mut number = 0;
        loop {
            let path = place.with_file_name(format!(".bitwren-{}-{number}.tmp", std::process::id()));
            match File::create_new(&path) {
                Ok(file) => return Ok(TempFile { path, file, keep: false }),
                // A file of this name is left from a run that was killed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 1000 => number += 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn fill(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.file).write_all(bytes)?;
        self.file.sync_all()
    }

    /// Moves it to a place where no file is.
    fn put(&self, place: &Path) -> io::Result<()> {
        match fs::hard_link(&self.path, place) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                // A file system without links: claim the name first, so that no other's file is replaced.
                File::create_new(place)?;
                fs::rename(&self.path, place).inspect_err(|_| _ = fs::remove_file(place))
            }
            linked => linked,
        }
    }

    /// Replaces a file, and keeps that one's owner and permissions.
    fn replace(mut self, place: &Path, bytes: &[u8]) -> io::Result<()> {
        let old = match fs::metadata(place) {
            Ok(old) => Some(old),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let taken = old.as_ref().map_or(Ok(()), |old| self.take_after(old));
        self.fill(bytes)?;
        let moved = taken.and_then(|()| fs::rename(&self.path, place));
        match (moved, old) {
            // A file may be writable although it cannot be replaced: owner, mount point. Write into it, and
            // keep the complete copy beside it until that is done.
            (Err(_), Some(_)) => {
                let mut file = OpenOptions::new().write(true).open(place)?;
                self.keep = true;
                let done = file.write_all(bytes);
                done.and_then(|()| file.set_len(bytes.len() as u64)).and_then(|()| file.sync_all())?;
                self.keep = false;
                Ok(())
            }
            (moved, _) => moved,
        }
    }

    /// Takes owner and permissions of another file.
    fn take_after(&self, old: &Metadata) -> io::Result<()> {
        self.file.set_permissions(old.permissions())?;
        let own = self.file.metadata()?;
        if (own.uid(), own.gid()) == (old.uid(), old.gid()) {
            return Ok(());
        }
        fchown(&self.file, Some(old.uid()), Some(old.gid()))
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_file(&self.path);
        }
    }
}
