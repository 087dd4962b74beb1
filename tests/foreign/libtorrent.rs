//! libtorrent, scripted from Python by `peer.py`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// `BENCH_PYTHON`, or that of the virtual environment that `setup.sh` makes.
fn python() -> PathBuf {
    std::env::var_os("BENCH_PYTHON").map(PathBuf::from).unwrap_or_else(|| {
        let venv = std::env::var_os("INTEROP_VENV")
            .map(PathBuf::from)
            .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/interop-venv"));
        venv.join("bin/python")
    })
}

/// The script; its verb and arguments follow.
pub fn command() -> Command {
    let mut command = Command::new(python());
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign/peer.py"));
    command
}
