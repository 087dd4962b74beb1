//! The flag table: every option of every command, once. Parsing, both helps, the man page, the
//! completions, the environment variables and the suggestions for misspelt options are all made
//! from it; nothing else knows an option's name.

mod create;
mod daemon;
mod egress;
pub(crate) mod flag;
mod general;
mod naming;
mod sharing;
mod transfer;

use super::commands::Command;
use flag::{Flag, Kind};

/// Every option there is.
pub fn all() -> impl Iterator<Item = &'static Flag> {
    transfer::FLAGS
        .iter()
        .chain(egress::FLAGS)
        .chain(naming::FLAGS)
        .chain(create::FLAGS)
        .chain(daemon::FLAGS)
        .chain(sharing::FLAGS)
        .chain(general::FLAGS)
}

/// The options of a command.
pub fn of(command: Command) -> impl Iterator<Item = &'static Flag> {
    all().filter(move |flag| flag.on.contains(&command))
}

/// The options of a command that are shown.
pub fn shown(command: Command) -> impl Iterator<Item = &'static Flag> {
    of(command).filter(|flag| !flag.is_hidden())
}

/// The name of the switch's opposite: `no-seed` of `seed`, `resume` of `no-resume`. A switch has none
/// where that is another option's name, as `tracker` is beside `no-tracker`.
pub fn opposite(flag: &Flag) -> Option<String> {
    if flag.prints() || !matches!(flag.kind, Kind::Switch(_)) {
        return None;
    }
    let name = flag.long.strip_prefix("no-").map_or_else(|| format!("no-{}", flag.long), str::to_owned);
    all().all(|other| other.long != name).then_some(name)
}

/// The opposite, where the help of the option names it because it differs from the default.
pub fn shown_opposite(flag: &Flag) -> Option<String> {
    opposite(flag).filter(|name| flag.more.contains(&format!("--{name}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::commands::COMMANDS;
    use std::collections::HashSet;

    #[test]
    fn no_command_has_two_options_of_one_name() {
        for entry in COMMANDS {
            let mut names = HashSet::new();
            for flag in of(entry.command) {
                assert!(names.insert(flag.long.to_owned()), "{} --{}", entry.name, flag.long);
                assert!(
                    opposite(flag).is_none_or(|name| names.insert(name)),
                    "{} --{}",
                    entry.name,
                    flag.long
                );
                assert!(
                    flag.short.is_none_or(|c| names.insert(c.to_string())),
                    "{} --{}",
                    entry.name,
                    flag.long
                );
            }
        }
    }

    #[test]
    fn every_option_belongs_to_a_command_and_says_what_it_does_in_a_line() {
        for flag in all() {
            assert!(!flag.on.is_empty() && !flag.is_hidden(), "--{}", flag.long);
            assert!(flag.help.chars().count() <= 60 && !flag.help.ends_with('.'), "--{}", flag.long);
            let name = flag.long.replace('-', "");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase()), "--{}", flag.long);
        }
    }
}
