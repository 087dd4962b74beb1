//! `seed`: serves data that is there. Without a limit a signal is its only end, and no failure.

use crate::cli::args::parse::Invocation;
use crate::cli::args::settings::Seeding;
use crate::cli::exit::ExitStatus;
use crate::cli::exit::{Code, Failure};
use crate::cli::run::precheck::{check_renaming, check_stdin};
use crate::cli::run::reporter::Reporter;
use crate::cli::run::signals::Signals;
use crate::cli::run::transfer::{Transfer, load_all};

/// Runs the command.
pub fn run(invocation: Invocation, signals: &Signals) -> Result<Code, Failure> {
    let Invocation { mut settings, operands, .. } = invocation;
    // Nothing is made.
    settings.allow_hidden = true;
    check_stdin(&operands)?;
    check_renaming(&settings, operands.len())?;
    let reporter = Reporter::of_a_run(&settings, operands.len());
    let mut exit_status = ExitStatus::default();
    let loaded = load_all(operands, &settings, &reporter, &mut exit_status)?;
    if loaded.is_empty() {
        return Ok(exit_status.code());
    }
    let seeding = Seeding::new(true, &settings);
    let transfer = Transfer::start(loaded, &settings, seeding, reporter, exit_status, signals, |config| {
        config.seed_only(true).partial(settings.partial).super_seed(settings.super_seed)
    })?;
    let limited = settings.max_time.is_some() || seeding != Seeding { wanted: true, ..Seeding::default() };
    if limited { transfer } else { transfer.until_signalled() }.run()
}
