//! The manual page in roff, made from the tables.

use bitwren::internals::version::NAME_AND_VERSION;

use super::commands::COMMANDS;
use super::flags;
use super::flags::flag::{Flag, Group};
use super::help;
use super::help::{ENVIRONMENT, SUMMARY};
use crate::cli::exit;
use crate::cli::output::schema;

/// What signals do; `run::signals` does it.
const SIGNALS: &[(&str, &str)] = &[
    (
        "SIGINT, SIGTERM, SIGHUP, SIGQUIT",
        "End the run within a second: bitwren saves the state and tells the trackers. A second signal ends \
         it at once. SIGHUP and SIGQUIT have no effect if they were ignored at the start, as by nohup.",
    ),
    (
        "SIGHUP with --blocklist",
        "Makes get and seed read the lists again, unless the terminal that they were started from was closed.",
    ),
    (
        "SIGUSR1",
        "Makes get, seed, share, tracker, create and verify print a status line, whatever the verbosity.",
    ),
];

/// The page.
pub fn page() -> String {
    let mut page = format!(".TH BITWREN 1 \"\" \"{NAME_AND_VERSION}\"\n.SH NAME\n");
    page.push_str(&format!("bitwren \\- {}\n.SH SYNOPSIS\n.nf\n", roff(SUMMARY)));
    for entry in COMMANDS {
        line(&mut page, &help::usage(entry));
    }
    page.push_str(".fi\n.SH COMMANDS\n");
    for entry in COMMANDS {
        page.push_str(&format!(".SS \"{}\"\n", roff(&help::usage(entry))));
        entry.about.lines().for_each(|paragraph| {
            page.push_str(".PP\n");
            line(&mut page, paragraph);
        });
        for group in Group::ALL {
            let its_own = |flag: &&Flag| flag.group == group && !is_common(flag);
            for flag in flags::shown(entry.command).filter(its_own) {
                option(&mut page, flag);
            }
        }
    }
    page.push_str(".SH \"OPTIONS OF EVERY COMMAND\"\n");
    flags::all().filter(|flag| is_common(flag)).for_each(|flag| option(&mut page, flag));
    page.push_str(".SH EXAMPLES\n");
    for (command, what) in COMMANDS.iter().flat_map(|entry| entry.examples) {
        page.push_str(&format!(".TP\n.B \"{}\"\n", roff(command).replace('"', "\\(dq")));
        line(&mut page, what);
    }
    page.push_str(".SH \"EXIT STATUS\"\n");
    for (code, meaning) in exit::TABLE {
        page.push_str(&format!(".TP 4\n{}\n", code.0));
        line(&mut page, meaning);
    }
    page.push_str(".SH SIGNALS\n");
    for (names, meaning) in SIGNALS {
        page.push_str(&format!(".TP\n.B \"{names}\"\n"));
        line(&mut page, meaning);
    }
    page.push_str(".SH ENVIRONMENT\n");
    line(&mut page, ENVIRONMENT);
    page.push_str(".SH \"LINES OF --json\"\n".replace('-', "\\-").as_str());
    line(&mut page, schema::RULES);
    for event in schema::LINES {
        page.push_str(&format!(".TP\n.B {}\n", roff(event.event)));
        if !event.fields.is_empty() {
            page.push_str(&format!(".I {}\n.br\n", roff(event.fields)));
        }
        line(&mut page, event.meaning);
    }
    page
}

/// Whether every command has it, so that it is documented once.
fn is_common(flag: &Flag) -> bool {
    flag.on.len() == COMMANDS.len()
}

fn option(page: &mut String, flag: &Flag) {
    page.push_str(&format!(".TP\n.B \"{}\"\n", roff(help::synopsis(flag).trim_start())));
    line(page, &format!("{}.", flag.help));
    for paragraph in flag.more.lines() {
        page.push_str(".br\n");
        line(page, paragraph);
    }
}

fn line(page: &mut String, text: &str) {
    page.push_str(&roff(text));
    page.push('\n');
}

/// Escapes what roff would act on.
fn roff(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-").replace('…', "\\&...");
    // A dot or a quote at the start of a line would make it a request.
    if escaped.starts_with(['.', '\'']) { format!("\\&{escaped}") } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_starts_a_request_by_accident() {
        const REQUESTS: [&str; 11] =
            [".TH", ".SH", ".SS", ".PP", ".TP", ".B", ".I", ".br", ".nf", ".fi", ".\\\""];
        let page = page();
        for line in page.lines() {
            let request = line.split(' ').next().unwrap_or_default();
            assert!(!line.starts_with(['.', '\'']) || REQUESTS.contains(&request), "{line}");
        }
        assert_eq!(roff(".a-b\\"), "\\&.a\\-b\\e");
    }

    #[test]
    fn every_option_is_in_it() {
        let page = page();
        for flag in flags::all().filter(|flag| !flag.is_hidden()) {
            assert!(page.contains(&roff(&format!("--{}", flag.long))), "--{}", flag.long);
        }
    }
}
