//! The program: hands its arguments to the command line and returns its exit code.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(cli::run(std::env::args_os().skip(1).collect()))
}
