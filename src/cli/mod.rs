//! The face: the command line over the library's door. It uses only what the library makes public.
//!
//! A command line is read against two tables, [`commands`] and [`flags`], from which the help, the man
//! page and the completions are made too. What a command prints for programs goes to standard output,
//! what it tells people while it runs to standard error.

mod commands;
mod completions;
mod create;
mod deposit;
mod edit;
mod exit;
mod flags;
mod get;
mod given;
mod help;
mod hidden;
mod hook;
mod interface;
mod job;
mod json;
mod left;
#[cfg(test)]
mod limits_tests;
mod magnet;
mod making;
mod man;
mod meter;
mod output;
mod pace;
mod parse;
mod precheck;
mod qr;
mod reporter;
mod schema;
mod scrape;
mod screen;
mod secrets;
mod seed;
mod select;
mod settings;
mod share;
mod show;
mod signals;
mod silence;
mod source;
mod state_home;
mod status;
mod suggest;
mod text;
mod told;
mod tracker;
mod transfer;
mod units;
mod verify;
mod version;
mod walk;

use std::ffi::OsString;
use std::io::{self, Write};
use std::time::Duration;

use commands::Command;
use exit::{Code, Failure};
use parse::{Line, Parsed};
use settings::HelpLength;
use signals::Signals;

/// How long a run's last lines may take to be read.
const LAST_LINES: Duration = Duration::from_millis(400);

/// Runs a command line, without the program's name, and returns the exit code.
pub fn run(args: Vec<OsString>) -> u8 {
    let json = args.iter().any(|arg| arg == "--json");
    let code = match attempt(args) {
        Ok(code) => code.0,
        Err(Failure { code, why }) => {
            if let Some(why) = why {
                screen::Screen::new().error(&why);
                if json {
                    // Where standard output is what failed there is nobody to tell.
                    let _ = reporter::say(&reporter::error(code, &why));
                }
            }
            code.0
        }
    };
    let _ = output::drain(LAST_LINES);
    code
}

fn attempt(args: Vec<OsString>) -> Result<Code, Failure> {
    match parse::parse(args, |name| std::env::var_os(name))? {
        Parsed::Nothing => {
            // Where standard error is closed there is nowhere to print it.
            let _ = io::stderr().write_all(help::text(None, HelpLength::Short).as_bytes());
            Err(Failure::told(Code::OPTION))
        }
        Parsed::Help(entry, length) => print(&help::text(entry, length)),
        Parsed::Version => print(&version::text()),
        Parsed::Run(line) => dispatch(*line),
    }
}

fn dispatch(mut line: Line) -> Result<Code, Failure> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for warning in precheck::variables(names) {
        reporter::warn(&line.settings, &warning)?;
    }
    precheck::directories(&line)?;
    interface::settle(&mut line.settings)?;
    if line.settings.show_secrets {
        secrets::show();
    }
    let signals = Signals::take_over()?;
    match line.entry.command {
        Command::Get => get::run(line, &signals),
        Command::Seed => seed::run(line, &signals),
        Command::Show => show::run(line),
        Command::Verify => verify::run(line),
        Command::Scrape => scrape::run(line),
        Command::Share => share::run(line, &signals),
        Command::Create => create::run(line),
        Command::Edit => edit::run(line),
        Command::Magnet => magnet::run(line),
        Command::Tracker => tracker::run(line, &signals),
        Command::Completions => completions(&line),
        Command::Man => print(&man::page()),
        Command::Help => explain(&line),
    }
}

fn completions(line: &Line) -> Result<Code, Failure> {
    let shell = line.words.first().map(|word| word.to_string_lossy()).unwrap_or_default();
    let script = completions::script(&shell).ok_or_else(|| {
        let known = commands::SHELLS.join(", ");
        Failure::usage(format_args!("there are no completions for {shell:?}; there are for {known}"))
    })?;
    print(&script)
}

fn explain(line: &Line) -> Result<Code, Failure> {
    let Some(word) = line.words.first().map(|word| word.to_string_lossy()) else {
        return print(&help::text(None, HelpLength::Long));
    };
    if let Some(entry) = commands::find(&word) {
        return print(&help::text(Some(entry), HelpLength::Long));
    }
    match help::topic(&word) {
        Some(text) => print(&text),
        None => {
            let names = commands::COMMANDS.iter().map(|entry| entry.name);
            let near = suggest::nearest(&word, names.chain(commands::TOPICS.iter().copied()));
            let hint = near.map_or("bitwren help lists what there is".to_owned(), |near| {
                format!("did you mean {near}?")
            });
            Err(Failure::usage(format_args!("there is no help on {word:?}; {hint}")))
        }
    }
}

fn print(text: &str) -> Result<Code, Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(Code::OK)
}
