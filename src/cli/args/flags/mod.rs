//! The flag table: every option of every command, once. Parsing, both helps, the man page, the
//! completions, the environment variables and the suggestions for misspelt options are all made
//! from it; nothing else knows an option's name.

mod create;
mod general;
mod naming;
mod sharing;
mod transfer;

use std::ffi::OsStr;

use super::commands::Command;
use super::settings::Settings;

/// An option.
pub struct Flag {
    /// Its name without the dashes.
    pub long: &'static str,
    /// Its one letter.
    pub short: Option<char>,
    /// What it does to the settings.
    pub kind: Kind,
    /// The heading it stands under.
    pub group: Group,
    /// The commands that have it.
    pub on: &'static [Command],
    /// One line: what it does. Empty where the option is accepted but not shown.
    pub help: &'static str,
    /// Paragraphs, each on a line, for the long help and the man page.
    pub more: &'static str,
}

/// What an option takes and does.
pub enum Kind {
    /// On or off.
    Switch(fn(&mut Settings, bool)),
    /// Takes a value.
    Value {
        /// What the value is called in the help.
        name: &'static str,
        /// What it is completed with.
        hint: Hint,
        /// Reads the value. An error says what is expected, to follow "is not".
        set: fn(&mut Settings, &OsStr) -> Result<(), String>,
    },
    /// Takes two values, and may be given several times.
    Pair {
        /// What the two are called in the help.
        names: &'static str,
        /// Reads both. An error says what is expected, to follow "is not".
        add: fn(&mut Settings, &OsStr, &OsStr) -> Result<(), String>,
    },
    /// As `Value`, and may be given several times; the environment variable holds them separated
    /// by spaces.
    List {
        /// What the value is called in the help.
        name: &'static str,
        /// Reads a value. An error says what is expected, to follow "is not".
        add: fn(&mut Settings, &OsStr) -> Result<(), String>,
    },
}

/// What a value is completed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    None,
    File,
    Dir,
}

/// The headings of the help, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Data,
    Network,
    Ending,
    Torrent,
    Output,
}

impl Group {
    /// All of them, as the help orders them.
    pub const ALL: [Group; 5] = [Group::Data, Group::Torrent, Group::Network, Group::Ending, Group::Output];

    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Group::Data => "Data",
            Group::Network => "Network",
            Group::Ending => "When it ends",
            Group::Torrent => "The torrent",
            Group::Output => "Output",
        }
    }
}

impl Flag {
    /// The name of its value, where it takes one.
    pub fn value(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Switch(_) => None,
            Kind::Value { name, .. } | Kind::List { name, .. } | Kind::Pair { names: name, .. } => Some(name),
        }
    }

    /// What its value is completed with.
    pub fn hint(&self) -> Hint {
        match self.kind {
            Kind::Value { hint, .. } => hint,
            _ => Hint::None,
        }
    }

    /// The environment variable it can come from. Those that make the program print something
    /// else instead of running have none.
    pub fn env(&self) -> Option<String> {
        (!self.prints()).then(|| format!("BITWREN_{}", self.long.replace('-', "_").to_uppercase()))
    }

    /// The switch said the other way round: `no-seed` of `seed`, `resume` of `no-resume`. There is
    /// none where that is another option's name, as `tracker` is beside `no-tracker`.
    pub fn opposite(&self) -> Option<String> {
        if self.prints() || !matches!(self.kind, Kind::Switch(_)) {
            return None;
        }
        let name = self.long.strip_prefix("no-").map_or_else(|| format!("no-{}", self.long), str::to_owned);
        all().all(|other| other.long != name).then_some(name)
    }

    /// The opposite, where the help of the option names it: it says something that the default does not.
    pub fn told_opposite(&self) -> Option<String> {
        self.opposite().filter(|name| self.more.contains(&format!("--{name}")))
    }

    /// Whether it is accepted but not shown, as what does nothing yet.
    pub fn is_hidden(&self) -> bool {
        self.help.is_empty()
    }

    fn prints(&self) -> bool {
        matches!(self.long, "help" | "version")
    }
}

/// Every option there is.
pub fn all() -> impl Iterator<Item = &'static Flag> {
    transfer::FLAGS
        .iter()
        .chain(naming::FLAGS)
        .chain(create::FLAGS)
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
                    flag.opposite().is_none_or(|name| names.insert(name)),
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
            assert!(
                !flag.on.is_empty() && (!flag.is_hidden() || flag.long == "no-portmap"),
                "--{}",
                flag.long
            );
            assert!(flag.help.chars().count() <= 60 && !flag.help.ends_with('.'), "--{}", flag.long);
            let name = flag.long.replace('-', "");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase()), "--{}", flag.long);
        }
    }
}
