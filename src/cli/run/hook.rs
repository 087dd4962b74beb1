//! The command of `--on-complete`: run once for each torrent, on a thread that waits for it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

/// The variables that the command finds in its environment.
pub const VARIABLES: [&str; 7] = [
    "BITWREN_NAME",
    "BITWREN_DIR",
    "BITWREN_PATH",
    "BITWREN_INFO_HASH",
    "BITWREN_SIZE",
    "BITWREN_FILES",
    "BITWREN_TORRENT",
];

/// The values of [`VARIABLES`].
#[derive(Debug, Clone)]
pub struct Facts {
    pub name: String,
    pub dir: PathBuf,
    pub path: PathBuf,
    pub info_hash: String,
    pub size: u64,
    pub files: usize,
    pub torrent: OsString,
}

/// A command that runs.
pub struct Hook(JoinHandle<std::io::Result<ExitStatus>>);

impl Hook {
    /// Starts `command`; `None` if there is no thread for it.
    pub fn start(command: OsString, facts: Facts) -> Option<Hook> {
        let run = move || {
            let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
            let stdout = std::os::fd::AsFd::as_fd(&std::io::stderr()).try_clone_to_owned();
            Command::new("sh")
                .arg("-c")
                .arg(command)
                .env("BITWREN_NAME", facts.name)
                .env("BITWREN_DIR", absolute(facts.dir))
                .env("BITWREN_PATH", absolute(facts.path))
                .env("BITWREN_INFO_HASH", facts.info_hash)
                .env("BITWREN_SIZE", facts.size.to_string())
                .env("BITWREN_FILES", facts.files.to_string())
                .env("BITWREN_TORRENT", facts.torrent)
                .stdin(Stdio::null())
                .stdout(stdout.map_or_else(|_| Stdio::null(), Stdio::from))
                .status()
        };
        std::thread::Builder::new().name("hook".into()).spawn(run).ok().map(Hook)
    }

    /// Waits for its end: the exit code if it has one, and a warning if it failed.
    pub fn wait(self) -> (Option<i32>, Option<String>) {
        match self.0.join() {
            Ok(Ok(status)) if status.success() => (Some(0), None),
            Ok(Ok(status)) => {
                (status.code(), Some(format!("--on-complete: the command ended with {status}")))
            }
            Ok(Err(error)) => (None, Some(format!("--on-complete: cannot run the command: {error}"))),
            Err(_) => (None, Some("--on-complete: cannot wait for the command".to_owned())),
        }
    }
}
