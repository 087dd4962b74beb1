//! Arguments in, one [`parse::Parsed`] out: the tables of commands and flags, the settings that they fill,
//! and the help, man page and completions made from them.

pub(crate) mod commands;
pub(crate) mod completions;
pub(crate) mod flags;
pub(crate) mod help;
pub(crate) mod interface;
#[cfg(test)]
pub(crate) mod limits_tests;
pub(crate) mod man;
pub(crate) mod parse;
pub(crate) mod settings;
pub(crate) mod suggest;
pub(crate) mod values;
pub(crate) mod version;
