//! The command line: a face of the library, of which it uses only what is public.
//!
//! A command line is parsed against two tables, the commands and the flags, from which the help, the man
//! page and the completions are made too. Results go to standard output, messages for people to standard
//! error.
//!
//! # Rooms
//!
//! A room imports from those above it in this table, and from no other; a test reads the table.
//!
//! | room | has |
//! |---|---|
//! | [`exit`] | exit codes |
//! | [`output`] | the screen, status lines, JSON, streams |
//! | [`args`] | the command line: flags, commands, help |
//! | [`files`] | files that commands read and write |
//! | [`run`] | what running commands have in common: sources, signals, the reporter |
//! | [`commands`] | the commands |

mod args;
mod commands;
mod exit;
mod files;
mod output;
mod run;

use std::ffi::OsString;
use std::io::{self, Write};

use args::commands::Command;
use args::parse::{Invocation, Parsed};
use args::settings::HelpLength;
use args::{completions, help, interface, man, suggest, version};
use exit::{Code, Failure};
use output::secrets;
use run::signals::Signals;

/// Runs a command line, without the program's name, and returns the exit code.
pub fn run(args: Vec<OsString>) -> u8 {
    let json = args.iter().any(|arg| arg == "--json");
    let code = match attempt(args) {
        Ok(code) => code.0,
        Err(Failure { code, why }) => {
            if let Some(why) = why {
                output::screen::Screen::new().error(&why);
                if json {
                    // If standard output is what failed, there is no place left to report it.
                    let _ = output::streams::say(&run::reporter::error(code, &why));
                }
            }
            code.0
        }
    };
    let _ = output::streams::drain(output::streams::DRAIN_IN_HURRY);
    code
}

fn attempt(args: Vec<OsString>) -> Result<Code, Failure> {
    match args::parse::parse(args, |name| std::env::var_os(name))? {
        Parsed::Nothing => {
            // A closed standard error has no place for it.
            let _ = io::stderr().write_all(help::text(None, HelpLength::Short).as_bytes());
            Err(Failure::reported(Code::OPTION))
        }
        Parsed::Help(entry, length) => print(&help::text(entry, length)),
        Parsed::Version => print(&version::text()),
        Parsed::Run(invocation) => dispatch(*invocation),
    }
}

fn dispatch(mut invocation: Invocation) -> Result<Code, Failure> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for warning in run::precheck::variables(names) {
        run::reporter::warn(&invocation.settings.output, &warning)?;
    }
    run::precheck::directories(&invocation)?;
    let settings = &mut invocation.settings;
    // A device may get its address later.
    let later = settings.transfer.egress.device.is_some();
    interface::settle(&mut settings.transfer.listen, later)?;
    interface::settle(&mut settings.share.listen, false)?;
    interface::settle(&mut settings.tracker.listen, false)?;
    if settings.output.show_secrets {
        secrets::show();
    }
    let signals = Signals::take_over()?;
    match invocation.entry.command {
        Command::Get => commands::get::run(invocation, &signals),
        Command::Seed => commands::seed::run(invocation, &signals),
        Command::Show => commands::show::run(invocation),
        Command::Verify => commands::verify::run(invocation, &signals),
        Command::Scrape => commands::scrape::run(invocation),
        Command::Share => commands::share::run(invocation, &signals),
        Command::Daemon => commands::daemon::run(invocation, &signals),
        Command::Create => commands::create::run(invocation, &signals),
        Command::Edit => commands::edit::run(invocation),
        Command::Magnet => commands::magnet::run(invocation),
        Command::Tracker => commands::tracker::run(invocation, &signals),
        Command::Completions => completions(&invocation),
        Command::Man => print(&man::page()),
        Command::Help => explain(&invocation),
    }
}

fn completions(invocation: &Invocation) -> Result<Code, Failure> {
    let shell = invocation.operands.first().map(|word| word.to_string_lossy()).unwrap_or_default();
    let script = completions::script(&shell).ok_or_else(|| {
        let known = args::commands::SHELLS.join(", ");
        Failure::usage(format_args!("no completions for {shell:?}; the supported shells are {known}"))
    })?;
    print(&script)
}

fn explain(invocation: &Invocation) -> Result<Code, Failure> {
    let Some(word) = invocation.operands.first().map(|word| word.to_string_lossy()) else {
        return print(&help::text(None, HelpLength::Long));
    };
    if let Some(entry) = args::commands::find(&word) {
        return print(&help::text(Some(entry), HelpLength::Long));
    }
    match help::topic(&word) {
        Some(text) => print(&text),
        None => {
            let names = args::commands::COMMANDS.iter().map(|entry| entry.name);
            let near = suggest::nearest(&word, names.chain(args::commands::TOPICS.iter().copied()));
            let hint = near.map_or("bitwren help lists commands and topics".to_owned(), |near| {
                format!("did you mean {near}?")
            });
            Err(Failure::usage(format_args!("no help on {word:?}; {hint}")))
        }
    }
}

fn print(text: &str) -> Result<Code, Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(Code::OK)
}

/// A value with some fields changed, for tests: a literal cannot make what is `non_exhaustive`.
#[cfg(test)]
pub fn with<T, R>(mut value: T, change: impl FnOnce(&mut T) -> R) -> T {
    change(&mut value);
    value
}
