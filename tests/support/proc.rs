//! What the kernel tells of a process in `/proc`.

use std::fs;
use std::path::Path;

/// A field of a `status` file, of a process or of a thread, by its name without the colon; nothing where there is
/// none, or no process any more.
pub fn field(root: impl AsRef<Path>, name: &str) -> Option<String> {
    let status = fs::read_to_string(root.as_ref().join("status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(value.trim().to_owned())
}

/// The same as a number: of kibibytes where it is memory.
pub fn number(root: impl AsRef<Path>, name: &str) -> Option<u64> {
    field(root, name)?.split_whitespace().next()?.parse().ok()
}

/// The same of a set of signals: whether this one is in it.
pub fn has_signal(root: impl AsRef<Path>, name: &str, signal: u32) -> bool {
    let set = field(root, name).and_then(|set| u64::from_str_radix(&set, 16).ok());
    set.is_some_and(|set| set >> (signal - 1) & 1 == 1)
}

/// The directory of a process.
pub fn of(pid: u32) -> String {
    format!("/proc/{pid}")
}

/// The names of its threads.
pub fn thread_names(root: impl AsRef<Path>) -> Vec<String> {
    let tasks = fs::read_dir(root.as_ref().join("task")).into_iter().flatten().flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

/// How many descriptors it has open.
pub fn descriptors(root: impl AsRef<Path>) -> usize {
    fs::read_dir(root.as_ref().join("fd")).map_or(0, Iterator::count)
}
