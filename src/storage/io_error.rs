//! What went wrong with a file, as one line for people and a kind for programs.

use std::io;
use std::path::Path;

use crate::error::{Error, ErrorKind};

/// The error for a failed operation on a file: `doing` is its verb ("write", "open"), `kind` what
/// it is where the system's reason does not say more.
pub(super) fn failed(kind: ErrorKind, doing: &str, path: &Path, cause: io::Error) -> Error {
    let (kind, hint) = match cause.kind() {
        io::ErrorKind::StorageFull => (ErrorKind::DiskFull, " (free some space)"),
        io::ErrorKind::QuotaExceeded => (ErrorKind::DiskFull, " (free some of your quota)"),
        io::ErrorKind::ReadOnlyFilesystem => (kind, " (choose a directory that can be written to)"),
        io::ErrorKind::PermissionDenied => (kind, " (check the permissions)"),
        io::ErrorKind::FileTooLarge => {
            (ErrorKind::DiskFull, " (the file system or `ulimit -f` forbids files this long)")
        }
        io::ErrorKind::NotFound if kind == ErrorKind::FileOpen => (ErrorKind::NotFound, ""),
        _ if out_of_fds(&cause) => {
            (ErrorKind::Resources, " (raise `ulimit -n`, or lower the number of open files)")
        }
        _ if matches!(kind, ErrorKind::FileCreate | ErrorKind::MakeDir) && is_refused_name(&cause) => {
            (kind, " (the file system does not take this name; --rename gives it another)")
        }
        // EIO has no kind of its own.
        _ if cause.raw_os_error() == Some(5) => (kind, " (check the disk and the system's log)"),
        _ => (kind, ""),
    };
    Error::new(kind, format!("cannot {doing} {}{hint}", show(path))).because(cause)
}

/// Whether a file system refuses a name: EINVAL for characters it does not have, ENAMETOOLONG, EILSEQ for
/// bytes that are no text in its encoding.
pub(super) fn is_refused_name(cause: &io::Error) -> bool {
    // EILSEQ has no kind of its own, and another number on MIPS.
    const EILSEQ: i32 = if cfg!(any(target_arch = "mips", target_arch = "mips64")) { 88 } else { 84 };
    matches!(cause.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename)
        || cause.raw_os_error() == Some(EILSEQ)
}

/// The same of an error made of it. Servers of network file systems say of a name with characters they
/// do not have that it is not there, even when it is to be made.
pub(super) fn refuses_name(error: &Error) -> bool {
    let making = matches!(error.kind(), ErrorKind::FileCreate | ErrorKind::MakeDir);
    let cause = error.cause().and_then(|cause| cause.downcast_ref::<io::Error>());
    making && cause.is_some_and(|cause| is_refused_name(cause) || cause.kind() == io::ErrorKind::NotFound)
}

/// Whether the process (EMFILE) or the system (ENFILE) has no file descriptor left.
fn out_of_fds(cause: &io::Error) -> bool {
    matches!(cause.raw_os_error(), Some(23 | 24))
}

/// A path on one line: control characters become `?`.
pub(super) fn show(path: &Path) -> String {
    path.display().to_string().replace(char::is_control, "?")
}
