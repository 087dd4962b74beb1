//! The report for people: every figure with its spread, and a short table for the README.

use std::fmt::Write;

use crate::figures::{Metric, Outcome, Row, Spread};
use crate::scenarios::Course;

/// Who and what was there.
pub struct Circumstances {
    pub machine: String,
    /// Name, version, and what there is to be said about it.
    pub clients: Vec<(&'static str, String, Option<&'static str>)>,
    /// How system calls were counted; nothing where they were not.
    pub counter: Option<&'static str>,
    pub namespace: bool,
    /// MiB a second between the harness's own seeder and leecher.
    pub ceiling: f64,
    /// A warning, or empty.
    pub load: String,
}

/// All of it.
pub fn full(outcomes: &[Outcome], there: &Circumstances) -> String {
    let mut text = String::from("# Benchmark\n\n");
    let _ = writeln!(text, "{}\n", conditions(outcomes, there));
    text.push_str("Medians, with the least and the most in parentheses.\n");
    for outcome in outcomes {
        let _ = writeln!(text, "\n## {}: {}\n", outcome.scenario.name, says(outcome));
        let metrics = crate::figures::metrics(outcome.scenario);
        let shown: Vec<_> = metrics
            .iter()
            .filter(|metric| outcome.rows.iter().any(|row| row.spread(metric, outcome.gib).is_some()))
            .collect();
        let titles: String = shown.iter().map(|metric| format!(" {} |", metric.title)).collect();
        let _ = writeln!(text, "| client |{titles}\n|---|{}", "---:|".repeat(shown.len()));
        for row in &outcome.rows {
            let cells: String = shown
                .iter()
                .map(|metric| {
                    format!(
                        " {} |",
                        row.spread(metric, outcome.gib).map_or("–".into(), |spread| whole(spread, metric))
                    )
                })
                .collect();
            let _ = writeln!(text, "| {}{} |{cells}", bold(row.client), failed(row));
        }
    }
    text
}

/// What the README shows: a line a scenario, a column a client.
pub fn summary(outcomes: &[Outcome], there: &Circumstances) -> String {
    let names: Vec<&str> = there.clients.iter().map(|(name, ..)| *name).collect();
    let mut text = String::new();
    let _ =
        writeln!(text, "| |{}", names.iter().map(|name| format!(" {} |", bold(name))).collect::<String>());
    let _ = writeln!(text, "|---|{}", "---:|".repeat(names.len()));
    for outcome in outcomes {
        let _ = write!(text, "| {} |", outcome.scenario.name);
        for name in &names {
            let row = outcome.rows.iter().find(|row| row.client == *name);
            let _ = write!(text, " {} |", row.map_or("–".into(), |row| cell(row, outcome)));
        }
        text.push('\n');
    }
    let _ = writeln!(
        text,
        "\nSeconds · CPU seconds per GiB · MiB of peak RSS; of `idle`: wake-ups a second · CPU milliseconds a \
         second · MiB.\nMedians.\n"
    );
    for outcome in outcomes {
        let _ = writeln!(text, "- `{}`: {}", outcome.scenario.name, says(outcome));
    }
    let _ = writeln!(text, "\n{}", conditions(outcomes, there));
    text
}

/// The three figures that are plotted, in a few letters.
fn cell(row: &Row, outcome: &Outcome) -> String {
    if row.runs.is_empty() {
        return "failed".into();
    }
    let plotted = crate::figures::metrics(outcome.scenario).iter().filter(|metric| metric.plot.is_some());
    let values = plotted
        .filter_map(|metric| row.spread(metric, outcome.gib).map(|spread| (metric.show)(spread.median)));
    values.collect::<Vec<_>>().join(" · ")
}

fn conditions(outcomes: &[Outcome], there: &Circumstances) -> String {
    let rounds = outcomes.iter().map(|outcome| outcome.rounds).max().unwrap_or_default();
    let mut text = format!(
        "Machine: {}. {}; clients in turn, {rounds} round{}, every byte compared.",
        there.machine,
        if there.namespace {
            "A network namespace of its own"
        } else {
            "Plain loopback, shared with the rest of the machine"
        },
        if rounds == 1 { "" } else { "s" },
    );
    let _ = write!(
        text,
        " The harness's own seeder and leecher do {:.0} MiB/s between themselves, comparing included.",
        there.ceiling
    );
    if let Some(counter) = there.counter {
        let _ = write!(text, " System calls {counter} in a round that counts for nothing else.");
    }
    if !there.load.is_empty() {
        let _ = write!(text, " {}", there.load);
    }
    text.push_str("\n\nVersions: ");
    let versions: Vec<String> =
        there.clients.iter().map(|(name, version, _)| format!("{name} {version}")).collect();
    let _ = write!(text, "{}.", versions.join(", "));
    for (name, _, remark) in &there.clients {
        if let Some(remark) = remark {
            let _ = write!(text, " {name} {remark}.");
        }
    }
    text
}

/// What the scenario is, and how it was made smaller or larger.
pub fn says(outcome: &Outcome) -> String {
    let usual = match outcome.scenario.course {
        Course::Idle { torrents } => outcome.scenario.mib * u64::from(torrents),
        _ => outcome.scenario.mib,
    };
    let here = (outcome.gib * 1024.0).round() as u64;
    if usual == here {
        outcome.scenario.says.to_owned()
    } else {
        format!("{} (here {here} MiB)", outcome.scenario.says)
    }
}

fn failed(row: &Row) -> String {
    match row.failures.len() {
        0 => String::new(),
        failures => format!(" ({failures} of {} failed)", failures + row.runs.len()),
    }
}

fn bold(name: &str) -> String {
    if name == "bitwren" { format!("**{name}**") } else { name.to_owned() }
}

fn whole(spread: Spread, metric: &Metric) -> String {
    let [median, least, most] = [spread.median, spread.least, spread.most].map(metric.show);
    if least == most { median } else { format!("{median} ({least}–{most})") }
}
