//! How a run ends: the exit codes, and which kind of error has which. The numbers are aria2's
//! where one fits. The table of every help text and of the man page is [`TABLE`].

use std::fmt;

use bitwren::ErrorKind;

/// An exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(pub u8);

impl Code {
    pub const OK: Code = Code(0);
    pub const UNKNOWN: Code = Code(1);
    pub const TIME_OUT: Code = Code(2);
    pub const NOT_FOUND: Code = Code(3);
    pub const NETWORK: Code = Code(6);
    pub const INTERRUPTED: Code = Code(7);
    pub const DISK_FULL: Code = Code(9);
    pub const EXISTS: Code = Code(13);
    pub const FILE_OPEN: Code = Code(15);
    pub const FILE_CREATE: Code = Code(16);
    pub const FILE_IO: Code = Code(17);
    pub const MAKE_DIR: Code = Code(18);
    pub const DNS: Code = Code(19);
    pub const BENCODE: Code = Code(25);
    pub const TORRENT: Code = Code(26);
    pub const MAGNET: Code = Code(27);
    pub const OPTION: Code = Code(28);
    pub const CHECKSUM: Code = Code(32);
    pub const BLOCKLIST: Code = Code(33);

    /// The exit code of a kind of error.
    pub fn of(kind: ErrorKind) -> Code {
        match kind {
            ErrorKind::Bencode => Code::BENCODE,
            ErrorKind::Torrent | ErrorKind::V2Only => Code::TORRENT,
            ErrorKind::Magnet => Code::MAGNET,
            ErrorKind::Argument => Code::OPTION,
            ErrorKind::Tracker | ErrorKind::Network => Code::NETWORK,
            ErrorKind::Dns => Code::DNS,
            ErrorKind::Timeout => Code::TIME_OUT,
            ErrorKind::NotFound => Code::NOT_FOUND,
            ErrorKind::Exists => Code::EXISTS,
            ErrorKind::DiskFull => Code::DISK_FULL,
            ErrorKind::FileOpen => Code::FILE_OPEN,
            ErrorKind::FileCreate => Code::FILE_CREATE,
            ErrorKind::FileIo => Code::FILE_IO,
            ErrorKind::MakeDir => Code::MAKE_DIR,
            ErrorKind::Checksum => Code::CHECKSUM,
            ErrorKind::Blocklist => Code::BLOCKLIST,
            ErrorKind::Interrupted => Code::INTERRUPTED,
            _ => Code::UNKNOWN,
        }
    }
}

/// Every exit code and what it means.
pub const TABLE: &[(Code, &str)] = &[
    (Code::OK, "success: everything that was asked for is done"),
    (Code::UNKNOWN, "an error without a code of its own"),
    (Code::TIME_OUT, "timeout: --max-time has passed, or a tracker did not answer in time"),
    (Code::NOT_FOUND, "a file, directory or URL was not found"),
    (Code::NETWORK, "a network error, or a tracker refused the request"),
    (
        Code::INTERRUPTED,
        "interrupted by a signal before everything was done, or by a second one before the state was saved",
    ),
    (Code::DISK_FULL, "no space left on the disk, or a quota or a file size limit is reached"),
    (Code::EXISTS, "a file already exists and does not belong to this torrent"),
    (Code::FILE_OPEN, "a file could not be opened"),
    (Code::FILE_CREATE, "a file could not be created or truncated"),
    (Code::FILE_IO, "a file could not be read or written"),
    (Code::MAKE_DIR, "a directory could not be created"),
    (Code::DNS, "a host name could not be resolved"),
    (Code::BENCODE, "malformed bencoding"),
    (Code::TORRENT, "not a usable torrent"),
    (Code::MAGNET, "not a usable magnet link"),
    (Code::OPTION, "an invalid command, option or argument"),
    (Code::CHECKSUM, "data does not match its hash"),
    (Code::BLOCKLIST, "not a usable blocklist"),
];

/// The exit code of a run: that of the first failure.
#[derive(Debug, Default)]
pub struct ExitStatus(Option<Code>);

impl ExitStatus {
    /// Something failed.
    pub fn failed(&mut self, code: Code) {
        self.0.get_or_insert(code);
    }

    /// The exit code.
    pub fn code(&self) -> Code {
        self.0.unwrap_or(Code::OK)
    }
}

/// Why a run fails: a line for people (`None` if it has been printed already) and the exit code.
#[derive(Debug)]
pub struct Failure {
    pub code: Code,
    pub why: Option<String>,
}

impl Failure {
    /// A failure with its line.
    pub fn new(code: Code, why: impl fmt::Display) -> Self {
        Failure { code, why: Some(why.to_string()) }
    }

    /// A failure that has been reported already.
    pub fn reported(code: Code) -> Self {
        Failure { code, why: None }
    }

    /// A bad command line.
    pub fn usage(why: impl fmt::Display) -> Self {
        Failure::new(Code::OPTION, why)
    }

    /// A thread could not be started.
    pub fn no_thread(error: std::io::Error) -> Self {
        Failure::new(Code::UNKNOWN, format_args!("cannot start a thread: {error}"))
    }

    /// A file could not be read, written or made; `code` if the error has none of its own.
    pub fn file(code: Code, doing: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let code = match error.kind() {
            Io::NotFound => Code::NOT_FOUND,
            Io::AlreadyExists => Code::EXISTS,
            Io::StorageFull | Io::QuotaExceeded => Code::DISK_FULL,
            _ => code,
        };
        Failure::new(code, format_args!("cannot {doing} {}: {error}", path.display()))
    }
}

impl From<bitwren::Error> for Failure {
    fn from(error: bitwren::Error) -> Self {
        Failure::new(Code::of(error.kind()), error)
    }
}

/// Standard output failed. If only its reader has gone, the run ends without a message.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Failure::reported(Code::OK),
            std::io::ErrorKind::StorageFull => {
                Failure::new(Code::DISK_FULL, format_args!("cannot write to standard output: {error}"))
            }
            _ => Failure::new(Code::FILE_IO, format_args!("cannot write to standard output: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_complete() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0.0 < pair[1].0.0));
        for kind in [
            ErrorKind::Bencode,
            ErrorKind::V2Only,
            ErrorKind::Tracker,
            ErrorKind::Resources,
            ErrorKind::Checksum,
        ] {
            assert!(TABLE.iter().any(|(code, _)| *code == Code::of(kind)), "{kind:?}");
        }
    }

    #[test]
    fn a_reader_that_has_gone_is_no_failure() {
        let gone = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert_eq!(Failure::from(gone).code, Code::OK);
    }

    #[test]
    fn the_first_failure_decides() {
        let mut status = ExitStatus::default();
        assert_eq!(status.code(), Code::OK);
        status.failed(Code::CHECKSUM);
        status.failed(Code::NETWORK);
        assert_eq!(status.code(), Code::CHECKSUM);
    }
}
