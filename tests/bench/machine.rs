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

/// Watches the processors for a second; a warning where someone else keeps them busy.
pub fn load() -> String {
    let (idle, all) = ticks();
    std::thread::sleep(std::time::Duration::from_secs(1));
    let (idle_then, all_then) = ticks();
    let busy = 1.0 - (idle_then - idle) / (all_then - all).max(1.0);
    if busy < 0.05 {
        return String::new();
    }
    format!(
        "**The machine was {:.0} % busy with something else when this began: these are rough figures.**",
        busy * 100.0
    )
}

/// Time the processors have done nothing, and all time, in ticks.
fn ticks() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let ticks: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
    // Of user, nice, system, idle, waiting for the disk, … the fourth and the fifth.
    (ticks.iter().skip(3).take(2).sum(), ticks.iter().sum())
}
