//! The report for programs: every run of every client, one object a line in one array. Schema 1.

use std::fmt::Write;

use crate::figures::Outcome;
use crate::markdown::Circumstances;

pub fn all(outcomes: &[Outcome], there: &Circumstances) -> String {
    let clients: Vec<String> = there
        .clients
        .iter()
        .map(|(name, version, _)| format!("{}: {}", quoted(name), quoted(version)))
        .collect();
    let mut runs = Vec::new();
    for outcome in outcomes {
        for row in &outcome.rows {
            let head = format!(
                "\"scenario\": {}, \"client\": {}, \"gib\": {}",
                quoted(outcome.scenario.name),
                quoted(row.client),
                outcome.gib
            );
            runs.extend(row.runs.iter().map(|run| {
                format!(
                    "{{{head}, \"wall_s\": {:.4}, \"cpu_s\": {:.4}, \"peak_rss\": {}, \"peak_anonymous\": {}, \
                     \"threads\": {}, \"wakeups\": {}, \"syscalls\": {}}}",
                    run.wall,
                    run.cpu,
                    run.resident,
                    run.anonymous,
                    run.threads,
                    run.wakeups,
                    run.syscalls.map_or("null".into(), |calls| calls.to_string()),
                )
            }));
            runs.extend(row.failures.iter().map(|why| format!("{{{head}, \"failed\": {}}}", quoted(why))));
        }
    }
    format!(
        "{{\"schema\": 1, \"machine\": {}, \"clients\": {{{}}}, \"runs\": [\n{}\n]}}\n",
        quoted(&there.machine),
        clients.join(", "),
        runs.join(",\n")
    )
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            control if control < ' ' => {
                let _ = write!(out, "\\u{:04x}", control as u32);
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
