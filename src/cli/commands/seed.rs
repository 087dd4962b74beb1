//! `seed`: serves data that is there. Without a limit a signal is its only end, and no failure.

use super::get::{check_renaming, check_stdin};
use crate::cli::args::parse::Line;
use crate::cli::exit::{Code, Failure};
use crate::cli::run::job::{Seeding, Verdict};
use crate::cli::run::reporter::Reporter;
use crate::cli::run::signals::Signals;
use crate::cli::run::transfer::{Transfer, load_all};

/// Runs the command.
pub fn run(line: Line, signals: &Signals) -> Result<Code, Failure> {
    let Line { mut settings, words, .. } = line;
    // Nothing is made.
    settings.allow_hidden = true;
    check_stdin(&words)?;
    check_renaming(&settings, words.len())?;
    let reporter = Reporter::of_a_run(&settings, words.len());
    let mut verdict = Verdict::default();
    let loaded = load_all(words, &settings, &reporter, &mut verdict)?;
    if loaded.is_empty() {
        return Ok(verdict.code());
    }
    let seeding = Seeding::new(true, &settings);
    let transfer = Transfer::start(loaded, &settings, seeding, reporter, verdict, signals, |config| {
        config.seed_only(true).partial(settings.partial).super_seed(settings.super_seed)
    })?;
    let limited = settings.max_time.is_some() || seeding != Seeding { wanted: true, ..Seeding::default() };
    if limited { transfer } else { transfer.until_signalled() }.run()
}
