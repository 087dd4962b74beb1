//! What was transferred, and what was not: a line for each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

/// What was transferred, and what was not.
#[derive(Default)]
pub struct Report {
    only: Vec<String>,
    results: Mutex<(u32, Vec<String>)>,
}

impl Report {
    /// Of the transfers whose line holds one of these words; of all where there are none.
    pub fn of(only: Vec<String>) -> Report {
        Report { only, ..Report::default() }
    }

    pub fn wants(&self, line: &str) -> bool {
        let plain = line.split_whitespace().collect::<Vec<_>>().join(" ");
        self.only.is_empty() || self.only.iter().any(|word| plain.contains(word))
    }

    /// One transfer: its line and how long it took.
    pub fn transfer(&self, line: &str, work: impl FnOnce() -> Result<Duration, String>) {
        // A wait that runs out panics and says for what.
        let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            Err(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "panicked".to_owned()))
        });
        let mut results = self.results.lock().unwrap();
        match result {
            Ok(took) => {
                println!("ok    {line:<45} {:>7.2} s", took.as_secs_f64());
                results.0 += 1;
            }
            Err(why) => {
                println!("FAIL  {line}\n{why}");
                results.1.push(line.to_owned());
            }
        }
    }

    pub fn end(self, took: Duration) -> ExitCode {
        let (good, bad) = self.results.into_inner().unwrap();
        println!("{good} transfers right, {} wrong, {:.0} s", bad.len(), took.as_secs_f64());
        bad.iter().for_each(|line| println!("wrong: {line}"));
        if bad.is_empty() && good > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
