//! aria2: what each of its command lines begins with.

use std::path::Path;
use std::process::Command;

/// Its files are in `dir`; it listens on `port`.
pub fn command(dir: &Path, port: u16, pex: bool, lsd: bool) -> Command {
    let mut command = Command::new("aria2c");
    command.args(["--no-conf", "--file-allocation=none"]);
    // Without it, it looks for no more peers once it has 50 KiB/s.
    command.arg("--bt-request-peer-speed-limit=1000M");
    command.arg(format!("--enable-peer-exchange={pex}"));
    command.arg(format!("--bt-enable-lpd={lsd}"));
    command.arg(format!("--listen-port={port}"));
    command.arg(format!("--dir={}", dir.display()));
    command
}
