//! The help texts, made from the tables: `-h` in short, `--help` in full, and the topics.
//!
//! Pure, and always for 80 columns, so that what is printed does not depend on where.

use super::commands::{COMMANDS, Command, Entry, TOPICS};
use super::flags;
use super::flags::flag::{Flag, Group};
use super::settings::HelpLength;
use crate::cli::exit;
use crate::cli::output::text::wrap;

const WIDTH: usize = 80;
/// Where the explanations of options start in the short help.
const COLUMN: usize = 28;

/// What the program is, in a line.
pub const SUMMARY: &str = "a small BitTorrent client";

/// The help on one command, or on the whole program.
pub fn text(entry: Option<&Entry>, length: HelpLength) -> String {
    match entry {
        Some(entry) => command(entry, length),
        None => program(length),
    }
}

/// A topic that is not a command.
pub fn topic(name: &str) -> Option<String> {
    match name {
        "exit-codes" => Some(exit_codes()),
        "json" => Some(crate::cli::output::schema::text()),
        "environment" => Some(environment()),
        _ => None,
    }
}

fn program(length: HelpLength) -> String {
    let mut out = format!("bitwren: {SUMMARY}\n\nUsage: bitwren COMMAND [OPTIONS] …\n\nCommands:\n");
    for entry in COMMANDS {
        row(&mut out, &format!("  {}", entry.name), entry.summary, 15);
    }
    if length == HelpLength::Long {
        out.push_str("\nExamples:\n");
        for (line, what) in COMMANDS.iter().filter_map(|entry| entry.examples.first()) {
            out.push_str(&format!("  {line}\n      {what}\n"));
        }
        out.push_str(&format!("\n{}\n{}", environment(), exit_codes()));
    }
    out.push_str(&format!(
        "\n'bitwren help COMMAND' explains a command and all its options.\nOther topics of 'bitwren help': {}.\n",
        TOPICS.join(", ")
    ));
    out
}

/// The options in the short help of a command.
enum First {
    All,
    /// Those that people use most, and those about the output.
    These(&'static [&'static str]),
}

impl First {
    fn of(command: Command) -> First {
        match command {
            Command::Get => {
                First::These(&["dir", "select", "list", "metadata-only", "sequential", "down", "up", "seed"])
            }
            Command::Seed => First::These(&[
                "dir",
                "port",
                "tracker",
                "peer",
                "up",
                "seed-ratio",
                "seed-time",
                "max-peers",
            ]),
            Command::Daemon => First::These(&[
                "download-dir",
                "state-dir",
                "roots",
                "port",
                "down",
                "up",
                "rpc-bind",
                "rpc-password-file",
            ]),
            _ => First::All,
        }
    }

    fn has(&self, flag: &Flag) -> bool {
        match self {
            First::All => true,
            First::These(names) => flag.group == Group::Output || names.contains(&flag.long),
        }
    }
}

fn command(entry: &Entry, length: HelpLength) -> String {
    let mut out = format!("{}\n\nUsage: {}\n", entry.summary, usage(entry));
    if length == HelpLength::Long {
        paragraphs(&mut out, entry.about, 0);
    }
    let first = First::of(entry.command);
    for group in Group::ALL {
        let mut titled = false;
        let wanted = |flag: &&Flag| flag.group == group && (length == HelpLength::Long || first.has(flag));
        for flag in flags::shown(entry.command).filter(wanted) {
            if !titled {
                out.push_str(&format!("\n{}:\n", group.title()));
                titled = true;
            }
            match length {
                HelpLength::Short => row(&mut out, &format!("  {}", synopsis(flag)), flag.help, COLUMN),
                HelpLength::Long => in_full(&mut out, flag),
            }
        }
    }
    if length == HelpLength::Short {
        out.push_str(match first {
            First::All => "\n--help explains them in full.\n",
            First::These(_) => "\nThese are the most used options; --help lists and explains all of them.\n",
        });
        return out;
    }
    out.push_str("\nExamples:\n");
    for (line, what) in entry.examples {
        out.push_str(&format!("  {line}\n      {what}\n"));
    }
    out.push_str("\nOptions from the environment: bitwren help environment.\n");
    out.push_str("Exit codes: bitwren help exit-codes.\n");
    out
}

/// How a command is called.
pub fn usage(entry: &Entry) -> String {
    format!("bitwren {} [OPTIONS] {}", entry.name, entry.takes).trim_end().to_owned()
}

/// `-d, --dir DIR`
pub fn synopsis(flag: &Flag) -> String {
    let short = flag.short.map_or_else(|| "    ".to_owned(), |c| format!("-{c}, "));
    let value = flag.value().map_or_else(String::new, |value| format!(" {value}"));
    format!("{short}--{}{value}", flag.long)
}

fn in_full(out: &mut String, flag: &Flag) {
    out.push_str(&format!("  {}\n", synopsis(flag)));
    indented(out, &format!("{}.", flag.help), 10);
    paragraphs_without_gaps(out, flag.more, 10);
    out.push('\n');
    if out.ends_with("\n\n") {
        out.pop();
    }
}

fn paragraphs(out: &mut String, text: &str, indent: usize) {
    for paragraph in text.lines() {
        out.push('\n');
        indented(out, paragraph, indent);
    }
}

fn paragraphs_without_gaps(out: &mut String, text: &str, indent: usize) {
    text.lines().for_each(|paragraph| indented(out, paragraph, indent));
}

fn indented(out: &mut String, paragraph: &str, indent: usize) {
    for line in wrap(paragraph, WIDTH - indent) {
        out.push_str(&format!("{:indent$}{line}\n", ""));
    }
}

/// A term on the left, its explanation from `column` on.
fn row(out: &mut String, left: &str, right: &str, column: usize) {
    let mut lines = wrap(right, WIDTH - column).into_iter();
    let first = lines.next().unwrap_or_default();
    if left.chars().count() + 2 <= column {
        out.push_str(&format!("{left:column$}{first}\n"));
    } else {
        out.push_str(&format!("{left}\n{:column$}{first}\n", ""));
    }
    lines.for_each(|line| out.push_str(&format!("{:column$}{line}\n", "")));
}

fn exit_codes() -> String {
    let mut out = String::from("Exit codes:\n");
    for (code, meaning) in exit::TABLE {
        row(&mut out, &format!("  {:>2}", code.0), meaning, 6);
    }
    out
}

/// What is said about environment variables.
pub const ENVIRONMENT: &str = "Every long option can come from an environment variable: BITWREN_ and \
    its name in capitals, with _ for -, such as BITWREN_DIR or BITWREN_MAX_PEERS. A switch is 1 or 0; \
    values of repeatable options are separated by spaces. The command line takes precedence, and empty \
    variables are ignored. NO_COLOR turns colours off; LC_ALL, LC_CTYPE and LANG determine whether the \
    status line may use characters beyond ASCII.";

fn environment() -> String {
    let mut out = String::from("Environment:\n");
    indented(&mut out, ENVIRONMENT, 2);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_help_of_a_command_with_many_options_is_short() {
        for entry in COMMANDS {
            let lines = text(Some(entry), HelpLength::Short).lines().count();
            assert!(lines <= 36, "{}: {lines}", entry.name);
            if let First::These(names) = First::of(entry.command) {
                for name in names {
                    let known = flags::shown(entry.command).any(|flag| flag.long == *name);
                    assert!(known, "{} --{name}", entry.name);
                }
                assert_eq!(names.len(), 8);
            }
        }
    }
}
