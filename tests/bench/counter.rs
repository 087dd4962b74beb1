//! Counts system calls from outside, in a round that counts for nothing else: by the kernel's tracepoint
//! (`perf stat`), which costs the client little, else by `strace -c`, which slows it down a lot.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    Perf,
    Strace,
}

const EVENT: &str = "raw_syscalls:sys_enter";

impl Counter {
    /// What this machine has; nothing where it has neither.
    pub fn find() -> Option<Counter> {
        let works = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
        if works(Command::new("perf").args(["stat", "-e", EVENT, "true"])) {
            Some(Counter::Perf)
        } else if works(Command::new("strace").args(["-c", "-f", "-o", "/dev/null", "true"])) {
            Some(Counter::Strace)
        } else {
            None
        }
    }

    pub fn says(self) -> &'static str {
        match self {
            Counter::Perf => "counted by perf at raw_syscalls:sys_enter",
            Counter::Strace => "counted by strace -c -f",
        }
    }

    fn command(self, book: &Path) -> Command {
        let mut command;
        match self {
            Counter::Perf => {
                command = Command::new("perf");
                command.args(["stat", "-x,", "-e", EVENT, "-o"]).arg(book);
            }
            Counter::Strace => {
                command = Command::new("strace");
                command.args(["-c", "-f", "-o"]).arg(book);
            }
        }
        command
    }

    /// The same command under the counter, which writes what it counted into `book`.
    pub fn wrap(self, client: &Command, book: &Path) -> Command {
        let mut command = self.command(book);
        command.arg("--").arg(client.get_program()).args(client.get_args());
        for (name, value) in client.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Counts what a process that runs does from now on.
    pub fn attach(self, pid: i32, book: &Path) -> std::io::Result<Counting> {
        let mut command = self.command(book);
        command.arg("-p").arg(pid.to_string());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        // Neither says when it has begun.
        std::thread::sleep(Duration::from_secs(1));
        Ok(Counting { counter: self, child, book: book.to_owned() })
    }

    /// What was counted.
    pub fn read(self, book: &Path) -> Option<f64> {
        let text = std::fs::read_to_string(book).ok()?;
        match self {
            Counter::Perf => {
                let line = text.lines().find(|line| line.contains(EVENT))?;
                // A process that never ran is "<not counted>".
                Some(line.split(',').next()?.trim().parse().unwrap_or(0.0))
            }
            // "100.00  0.012345  3  4711  12 total": seconds, microseconds a call, calls, errors.
            Counter::Strace => {
                // Nothing at all was called.
                if text.trim().is_empty() {
                    return Some(0.0);
                }
                let line = text.lines().rfind(|line| line.trim_end().ends_with("total"))?;
                line.split_whitespace().nth(3)?.parse().ok()
            }
        }
    }
}

/// A counter at work.
pub struct Counting {
    counter: Counter,
    child: Child,
    book: PathBuf,
}

impl Counting {
    pub fn end(mut self) -> Option<f64> {
        // SAFETY: no memory is touched, and the child is not reaped yet.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGINT) };
        self.child.wait().ok()?;
        self.counter.read(&self.book)
    }
}
