//! The benchmark: BitTorrent clients side by side, on swarms made here, in a network of its own.
//!
//! `make bench` installs the clients, builds the release binary and runs this. It measures wall time,
//! CPU, peak memory, threads, wake-ups and system calls; clients take turns (A B C A B C …), every byte
//! is compared, and what comes out is medians with their spread in `target/bench/`.
//!
//! Words: `scenario=one,pair`, `clients=bitwren,aria2`, `rounds=3`, `size=64` (MiB of every torrent but
//! the idle ones), `watch=30` (seconds to be watched doing nothing), `syscalls=no`, `into=bench` (where
//! results go, below `target`); or `publish` alone, which puts the last results into the README.
//! `BITWREN`, `BENCH_RQBIT` and `BENCH_PYTHON` name other programs than those installed, `BENCH_DIR`
//! where the data lie meanwhile.

#[path = "../foreign/mod.rs"]
mod foreign;
#[path = "../support/mod.rs"]
// Each target compiles this on its own and uses the part it needs.
#[allow(dead_code)]
mod support;

mod clients;
mod counter;
mod figures;
mod json;
mod leecher;
mod machine;
mod markdown;
mod place;
mod plot;
mod process;
mod publish;
mod run;
mod scenarios;
mod seeder;
mod torrent;
mod tracker;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clients::Client;
use counter::Counter;
use figures::{Figures, Outcome, Row};
use markdown::Circumstances;
use run::Stage;
use scenarios::{Course, SCENARIOS, Scenario, Taker};

/// What was asked for.
struct Plan {
    scenarios: Vec<&'static Scenario>,
    clients: Vec<String>,
    rounds: u32,
    mib: Option<u64>,
    watch: Duration,
    syscalls: bool,
    /// Where results go, below `target`.
    into: String,
}

impl Plan {
    fn from_words(words: impl Iterator<Item = String>) -> Result<Plan, String> {
        let mut plan = Plan {
            scenarios: SCENARIOS.iter().collect(),
            clients: Vec::new(),
            rounds: 3,
            mib: None,
            watch: Duration::from_secs(30),
            syscalls: true,
            into: "bench".to_owned(),
        };
        for word in words.filter(|word| !word.starts_with('-')) {
            let (name, value) = word.split_once('=').ok_or_else(|| format!("no such word: {word}"))?;
            let number = || {
                value.parse::<u32>().ok().filter(|n| *n > 0).ok_or_else(|| format!("not a number: {word}"))
            };
            match (name, value) {
                // As the Makefile hands on what was not given.
                (_, "") => {}
                ("scenario", list) => {
                    let find = |name| SCENARIOS.iter().find(|scenario| scenario.name == name);
                    plan.scenarios = list
                        .split(',')
                        .map(|name| find(name).ok_or_else(|| format!("no such scenario: {name}")))
                        .collect::<Result<_, _>>()?;
                }
                ("clients", list) => plan.clients = list.split(',').map(str::to_owned).collect(),
                ("rounds", _) => plan.rounds = number()?,
                ("size", _) => plan.mib = Some(number()?.into()),
                ("watch", _) => plan.watch = Duration::from_secs(number()?.into()),
                ("syscalls", value) => plan.syscalls = value != "no",
                ("into", name) => plan.into = name.to_owned(),
                _ => return Err(format!("no such word: {word}")),
            }
        }
        Ok(plan)
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if words == ["publish"] {
        return publish::publish(&results("bench")).map_or_else(complain, |()| ExitCode::SUCCESS);
    }
    let plan = match Plan::from_words(words.into_iter()) {
        Ok(plan) => plan,
        Err(why) => return complain(why),
    };
    if let Some(code) = place::enter_namespace() {
        return code;
    }
    bench(&plan).unwrap_or_else(complain)
}

fn complain(why: String) -> ExitCode {
    eprintln!("bench: {why}");
    ExitCode::FAILURE
}

/// Where results go.
fn results(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(name)
}

fn bench(plan: &Plan) -> Result<ExitCode, String> {
    let said = |error: std::io::Error| error.to_string();
    let results = results(&plan.into);
    let scratch = std::env::var_os("BENCH_DIR").map_or_else(|| results.join("scratch"), PathBuf::from);
    for dir in [&results, &scratch] {
        std::fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    }
    let (clients, versions) = choose(plan)?;
    let counter = if plan.syscalls { Counter::find() } else { None };
    let there = Circumstances {
        machine: machine::describe(&scratch),
        clients: versions,
        counter: counter.map(Counter::says),
        namespace: place::is_namespace(),
        load: machine::load(),
        ceiling: run::ceiling(&scratch)?,
    };
    println!("{}\nseeder to leecher, both the harness's own: {:.0} MiB/s", there.machine, there.ceiling);
    for (name, version, _) in &there.clients {
        println!("{name} {version}");
    }
    let begun = Instant::now();
    let mut outcomes = Vec::new();
    for scenario in &plan.scenarios {
        if scenario.course == Course::Seed(Taker::Libtorrent) && clients::libtorrent_version().is_none() {
            println!("\nwithout {}: libtorrent is not installed", scenario.name);
            continue;
        }
        let mib = match (plan.mib, &scenario.course) {
            (Some(mib), Course::Get(_) | Course::Seed(_) | Course::Check) => mib,
            _ => scenario.mib,
        };
        println!("\n{}: {}", scenario.name, scenario.says);
        let stage = Stage::set(scenario, mib, plan.watch, &scratch).map_err(said)?;
        outcomes.push(rounds(&stage, plan.rounds, &clients, counter));
        // After each, so that an interrupted benchmark leaves what it has.
        std::fs::write(results.join("results.md"), markdown::full(&outcomes, &there)).map_err(said)?;
        std::fs::write(results.join("summary.md"), markdown::summary(&outcomes, &there)).map_err(said)?;
        std::fs::write(results.join("results.svg"), plot::svg(&outcomes)).map_err(said)?;
        std::fs::write(results.join("results.json"), json::all(&outcomes, &there)).map_err(said)?;
    }
    let _ = std::fs::remove_dir_all(&scratch);
    println!("\n{}", markdown::full(&outcomes, &there));
    println!("{:.0} s; the results lie in target/{}", begun.elapsed().as_secs_f64(), plan.into);
    let ours = outcomes.iter().flat_map(|outcome| &outcome.rows).filter(|row| row.client == "bitwren");
    let failed = ours.flat_map(|row| &row.failures).count();
    if failed > 0 {
        return Err(format!("bitwren failed {failed} times"));
    }
    Ok(ExitCode::SUCCESS)
}

type Versions = Vec<(&'static str, String, Option<&'static str>)>;

/// Those that were asked for, or all, as far as they are there.
fn choose(plan: &Plan) -> Result<(Vec<Box<dyn Client>>, Versions), String> {
    let mut all = clients::all();
    if let Some(stranger) =
        plan.clients.iter().find(|name| !all.iter().any(|client| client.name() == name.as_str()))
    {
        return Err(format!("no such client: {stranger}"));
    }
    all.retain(|client| plan.clients.is_empty() || plan.clients.iter().any(|name| name == client.name()));
    let mut versions = Vec::new();
    all.retain(|client| {
        let name = client.name();
        let Some(version) = client.version() else {
            println!("without {name}, which is not installed");
            return false;
        };
        if !place::is_namespace() && !client.likes_loopback() {
            println!("without {name}, which calls nobody in 127/8");
            return false;
        }
        versions.push((name, version, client.remark()));
        true
    });
    if all.is_empty() { Err("nobody to measure".into()) } else { Ok((all, versions)) }
}

fn rounds(stage: &Stage, rounds: u32, clients: &[Box<dyn Client>], counter: Option<Counter>) -> Outcome {
    let mut rows: Vec<Row> = clients
        .iter()
        .map(|client| Row { client: client.name(), runs: Vec::new(), failures: Vec::new() })
        .collect();
    for round in 1..=rounds {
        for (client, row) in clients.iter().zip(&mut rows) {
            match stage.run(client.as_ref(), None) {
                Ok(figures) => {
                    println!("  {round} {:<12} {}", row.client, line(&figures));
                    row.runs.push(figures);
                }
                Err(why) => {
                    println!("  {round} {:<12} FAILED: {why}", row.client);
                    row.failures.push(why);
                }
            }
        }
    }
    for (client, row) in clients.iter().zip(&mut rows).filter(|(_, row)| !row.runs.is_empty()) {
        let Some(counter) = counter else { break };
        match stage.run(client.as_ref(), Some(counter)) {
            Ok(counted) => row.runs.iter_mut().for_each(|run| run.syscalls = counted.syscalls),
            Err(why) => println!("  counting the system calls of {} failed: {why}", row.client),
        }
    }
    Outcome { scenario: stage.scenario, gib: stage.gib(), rounds, rows }
}

/// A run in a line, while one waits.
fn line(figures: &Figures) -> String {
    const MIB: f64 = (1 << 20) as f64;
    format!(
        "{:7.2} s  cpu {:6.2} s  rss {:6.1} MiB  anonymous {:6.1} MiB  {:3} threads  {:7} wake-ups",
        figures.wall,
        figures.cpu,
        figures.resident / MIB,
        figures.anonymous / MIB,
        figures.threads,
        figures.wakeups
    )
}
