//! The calls of Linux that std does not reach: taking space, finding holes, opening without following
//! links, syncing a whole file system, and locking a file. Each has a fall-back for builds without the
//! feature `sys` and for file systems that lack the call; none of them ever writes zeros.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

/// Takes the space of the first `length` bytes of `file` and makes it at least that long. False
/// where this file system cannot; the file is then as it was.
pub(super) fn allocate(file: &File, length: u64) -> io::Result<bool> {
    #[cfg(feature = "sys")]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        if length == 0 {
            return Ok(true);
        }
        loop {
            match fallocate(file, FallocateFlags::empty(), 0, length) {
                Ok(()) => return Ok(true),
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(false),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
    #[cfg(not(feature = "sys"))]
    {
        let _ = (file, length);
        Ok(false)
    }
}

/// The first run of data at or after `from`: everything before it is a hole and reads as zeros.
/// Where holes cannot be told, all of the file is data.
pub(super) fn next_data(file: &File, from: u64, length: u64) -> Option<Range<u64>> {
    if from >= length {
        return None;
    }
    #[cfg(feature = "sys")]
    {
        use rustix::fs::{SeekFrom, seek};
        use rustix::io::Errno;
        match seek(file, SeekFrom::Data(from)) {
            Ok(start) => {
                let end = seek(file, SeekFrom::Hole(start)).unwrap_or(length).min(length);
                (start < end).then_some(start..end)
            }
            Err(Errno::NXIO) => None,
            Err(_) => Some(from..length),
        }
    }
    #[cfg(not(feature = "sys"))]
    {
        let _ = file;
        Some(from..length)
    }
}

/// Whether [`next_data`] can find holes in this build.
pub(super) const FINDS_HOLES: bool = cfg!(feature = "sys");

/// Syncs everything on the file system that `file` is on. False where that is not to be had.
pub(super) fn sync_file_system(file: &File) -> io::Result<bool> {
    #[cfg(feature = "sys")]
    return rustix::fs::syncfs(file).map(|()| true).map_err(io::Error::from);
    #[cfg(not(feature = "sys"))]
    {
        let _ = file;
        Ok(false)
    }
}

/// Locks a file until this handle is closed, without waiting. False if another one holds a lock; an error if
/// there are no locks.
pub(super) fn lock(file: &File) -> io::Result<bool> {
    #[cfg(feature = "sys")]
    {
        use rustix::fs::{FlockOperation, flock};
        use rustix::io::Errno;
        loop {
            match flock(file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(true),
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => return Ok(false),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
    #[cfg(not(feature = "sys"))]
    {
        let _ = file;
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// What kind of file is opened, and for which use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// To read.
    Read,
    /// To read and write.
    Write,
    /// A directory, to know that it is there.
    Directory,
}

impl Way {
    /// A file, to write or only to read.
    pub(super) fn file(write: bool) -> Way {
        if write { Way::Write } else { Way::Read }
    }
}

/// Opens what is at a path. No symbolic link is followed, wherever in it, and no pipe is waited for. Nothing
/// where that fails.
pub(super) fn open_without_links(path: &Path, way: Way) -> Option<File> {
    #[cfg(feature = "sys")]
    {
        use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
        let flags = match way {
            Way::Read => OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
            Way::Write => OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY,
            Way::Directory => OFlags::PATH | OFlags::DIRECTORY,
        };
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS).ok().map(File::from)
    }
    #[cfg(not(feature = "sys"))]
    {
        let _ = (path, way);
        None
    }
}
