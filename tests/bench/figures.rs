//! The figures of one run, and what is made of those of several: medians and spread. No figure here
//! knows how it was measured.

use crate::scenarios::{Course, Scenario};

/// One client once through a scenario. Times in seconds, sizes in bytes, counts over the measured time.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    pub wall: f64,
    pub cpu: f64,
    pub resident: f64,
    pub anonymous: f64,
    pub threads: f64,
    pub wakeups: f64,
    /// Counted in a round of its own, where someone can count.
    pub syscalls: Option<f64>,
}

/// A column of a table.
pub struct Metric {
    pub title: &'static str,
    /// For the plot; columns that are not plotted have none.
    pub plot: Option<&'static str>,
    pub of: fn(&Figures, f64) -> Option<f64>,
    pub show: fn(f64) -> String,
}

const MIB: f64 = (1 << 20) as f64;

const WALL: Metric = Metric { title: "time, s", plot: Some("time, s"), of: |f, _| Some(f.wall), show: short };
const SPEED: Metric =
    Metric { title: "MiB/s", plot: None, of: |f, gib| Some(gib * 1024.0 / f.wall), show: short };
const CPU: Metric =
    Metric { title: "CPU, s/GiB", plot: Some("CPU, s/GiB"), of: |f, gib| Some(f.cpu / gib), show: short };
const RESIDENT: Metric = Metric {
    title: "peak RSS, MiB",
    plot: Some("peak RSS, MiB"),
    of: |f, _| Some(f.resident / MIB),
    show: short,
};
const ANONYMOUS: Metric =
    Metric { title: "anonymous, MiB", plot: None, of: |f, _| Some(f.anonymous / MIB), show: short };
const THREADS: Metric =
    Metric { title: "threads", plot: None, of: |f, _| Some(f.threads), show: |value| format!("{value:.0}") };
const WAKEUPS: Metric =
    Metric { title: "wake-ups, k/GiB", plot: None, of: |f, gib| Some(f.wakeups / gib / 1000.0), show: short };
const SYSCALLS: Metric = Metric {
    title: "system calls, k/GiB",
    plot: None,
    of: |f, gib| f.syscalls.map(|calls| calls / gib / 1000.0),
    show: short,
};
const IDLE_WAKEUPS: Metric = Metric {
    title: "wake-ups/s",
    plot: Some("wake-ups/s"),
    of: |f, _| Some(f.wakeups / f.wall),
    show: short,
};
const IDLE_SYSCALLS: Metric = Metric {
    title: "system calls/s",
    plot: None,
    of: |f, _| f.syscalls.map(|calls| calls / f.wall),
    show: short,
};
const IDLE_CPU: Metric = Metric {
    title: "CPU, ms/s",
    plot: Some("CPU, ms/s"),
    of: |f, _| Some(f.cpu / f.wall * 1000.0),
    show: short,
};

/// The columns that say something about a scenario.
pub fn metrics(scenario: &Scenario) -> &'static [Metric] {
    match scenario.course {
        Course::Idle { .. } => &[IDLE_WAKEUPS, IDLE_CPU, RESIDENT, ANONYMOUS, THREADS, IDLE_SYSCALLS],
        _ => &[WALL, CPU, RESIDENT, SPEED, ANONYMOUS, THREADS, WAKEUPS, SYSCALLS],
    }
}

/// What a client showed in all rounds of a scenario.
#[derive(Debug)]
pub struct Row {
    pub client: &'static str,
    pub runs: Vec<Figures>,
    /// Why the others do not count.
    pub failures: Vec<String>,
}

/// The middle and both ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Row {
    /// Of one metric over all runs; nothing where it was never measured.
    pub fn spread(&self, metric: &Metric, gib: f64) -> Option<Spread> {
        let mut values: Vec<f64> = self.runs.iter().filter_map(|run| (metric.of)(run, gib)).collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = match values.len() {
            0 => return None,
            odd if odd % 2 == 1 => values[middle],
            _ => (values[middle - 1] + values[middle]) / 2.0,
        };
        Some(Spread { median, least: values[0], most: values[values.len() - 1] })
    }
}

/// A scenario with everyone's figures.
pub struct Outcome {
    pub scenario: &'static Scenario,
    /// What was moved in one run.
    pub gib: f64,
    pub rounds: u32,
    pub rows: Vec<Row>,
}

/// Three digits that count, and no more than there are.
pub fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 99.95 => format!("{value:.0}"),
        v if v >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
