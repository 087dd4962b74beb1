//! `seed`: serves existing data. Without a seed limit only a signal ends it, which is then no failure.

use crate::cli::args::parse::Invocation;
use crate::cli::args::settings::{Seeding, Settings};
use crate::cli::exit::{Code, ExitStatus, Failure};
use crate::cli::run::client_config;
use crate::cli::run::load::load_all;
use crate::cli::run::precheck::{check_renaming, check_stdin};
use crate::cli::run::reporter::Reporter;
use crate::cli::run::signals::Signals;
use crate::cli::run::transfer::{Goal, Transfer};

/// Runs the command.
pub fn run(invocation: Invocation, signals: &Signals) -> Result<Code, Failure> {
    let Invocation { settings, operands, .. } = invocation;
    let Settings { output, mut transfer, seed, .. } = settings;
    // No file is created.
    transfer.allow_hidden = true;
    // Peers are served for long, and from everywhere.
    transfer.listen.portmap.get_or_insert(true);
    check_stdin(&operands)?;
    check_renaming(&transfer.storage, operands.len())?;
    let reporter = Reporter::of_a_run(output, &transfer, operands.len());
    let mut exit_status = ExitStatus::default();
    reporter.proxied(&transfer.egress)?;
    let loaded = load_all(operands, &[], &client_config::of_network(&transfer), &reporter, &mut exit_status)?;
    if loaded.is_empty() {
        return Ok(exit_status.code());
    }
    let seeding = Seeding::new(true, transfer.seed_limits);
    let goal = Goal::Data(seeding);
    let run = Transfer::start(loaded, &transfer, goal, reporter, exit_status, signals, |config| {
        config.seed_only(true).partial(seed.partial).super_seed(seed.super_seed)
    })?;
    if seeding.is_limited() { run } else { run.until_signalled() }.run()
}
