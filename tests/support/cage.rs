//! A limit on the memory of a process and of what the kernel keeps for it: a control group of its
//! own, version 1 or 2, where one can be made; otherwise a limit on its address space.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Address space that a program takes without using it, in KiB: stacks, the C library's arena.
const UNUSED: u64 = 80 << 10;

/// A limit on memory, for as long as it lives.
pub struct Cage {
    group: Option<PathBuf>,
    limit: u64,
}

impl Cage {
    /// A limit of so many bytes.
    pub fn new(limit: u64) -> Cage {
        let name = format!("bitwren-{}", std::process::id());
        let of = |root: &str, file: &str| {
            let group = Path::new(root).join(&name);
            fs::create_dir(&group).ok()?;
            // The file is there already where this is a memory controller, and nowhere else.
            let limit = |_| fs::write(group.join(file), limit.to_string());
            if fs::metadata(group.join(file)).and_then(limit).is_err() {
                let _ = fs::remove_dir(&group);
                return None;
            }
            Some(group)
        };
        let group = of("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            .or_else(|| of("/sys/fs/cgroup", "memory.max"));
        if group.is_none() {
            eprintln!("no control group can be made here: the address space is limited instead");
        }
        Cage { group, limit }
    }

    /// The command, inside.
    pub fn around(&self, plain: &Command) -> Command {
        let mut caged = Command::new("sh");
        let script = match &self.group {
            Some(group) => format!("echo $$ >{}/cgroup.procs && exec \"$0\" \"$@\"", group.display()),
            None => {
                format!("ulimit -v {} && MALLOC_ARENA_MAX=1 exec \"$0\" \"$@\"", self.limit / 1024 + UNUSED)
            }
        };
        caged.args(["-c", &script]).arg(plain.get_program()).args(plain.get_args());
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => caged.env(name, value),
                None => caged.env_remove(name),
            };
        }
        caged
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        if let Some(group) = &self.group {
            let _ = fs::remove_dir(group);
        }
    }
}
