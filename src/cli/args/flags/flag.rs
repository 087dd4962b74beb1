//! What the flag table says of one option: its names, its value, what it sets and its help.

use std::ffi::OsStr;

use crate::cli::args::commands::Command;
use crate::cli::args::settings::Settings;

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
        /// What it is completed with.
        hint: Hint,
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
    /// One of these words.
    OneOf(&'static [&'static str]),
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
    /// The name of its value, if it takes one.
    pub fn value(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Switch(_) => None,
            Kind::Value { name, .. } | Kind::List { name, .. } | Kind::Pair { names: name, .. } => Some(name),
        }
    }

    /// What its value is completed with.
    pub fn hint(&self) -> Hint {
        match self.kind {
            Kind::Value { hint, .. } | Kind::List { hint, .. } => hint,
            _ => Hint::None,
        }
    }

    /// The environment variable that sets it. Options that print something instead of running the command
    /// have none.
    pub fn env(&self) -> Option<String> {
        (!self.prints()).then(|| format!("BITWREN_{}", self.long.replace('-', "_").to_uppercase()))
    }

    /// Whether it is accepted but not shown, as what does nothing yet.
    pub fn is_hidden(&self) -> bool {
        self.help.is_empty()
    }

    /// Whether it makes the program print something else instead of running.
    pub fn prints(&self) -> bool {
        matches!(self.long, "help" | "version")
    }
}
