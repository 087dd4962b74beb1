//! What the figures were made on: processor, memory, kernel, file system. No host name, no path.

use std::fs;
use std::path::Path;
use std::process::Command;

pub fn describe(scratch: &Path) -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = ["model name", "Model", "Hardware"]
        .iter()
        .find_map(|name| processors.lines().find(|line| line.starts_with(name)))
        .and_then(|line| line.split_once(':'))
        .map_or("unknown processor", |(_, model)| model.trim());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kib = fs::read_to_string("/proc/meminfo")
        .unwrap_or_default()
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let file_system = Command::new("stat").args(["-f", "-c", "%T"]).arg(scratch).output();
    let file_system = file_system.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    format!(
        "{model}, {cores} core{}, {:.0} GiB of memory, Linux {} on {}, {}",
        if cores == 1 { "" } else { "s" },
        kib.unwrap_or_default() / (1024.0 * 1024.0),
        kernel.trim(),
        std::env::consts::ARCH,
        file_system.unwrap_or_default(),
    )
}

/// A warning where the machine has something else to do.
pub fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    match load.split_whitespace().next().and_then(|load| load.parse::<f64>().ok()) {
        Some(load) if load > 0.5 => {
            format!("**The machine was busy (load {load}) when this began: take it as a rough figure.**")
        }
        _ => String::new(),
    }
}
