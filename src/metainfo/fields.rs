//! What every reader of a dictionary of the `.torrent` needs: its error, and a slot for each key.

use super::warnings::quoted;
use crate::bencode::Value;
use crate::error::{Error, ErrorKind, Result};

/// The error for a torrent that cannot be used.
pub(super) fn unusable(why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Torrent, format!("not a usable torrent: {why}"))
}

/// Puts the value of `key` into its slot, which must be empty.
pub(super) fn take_once<'a>(slot: &mut Option<Value<'a>>, key: &[u8], value: Value<'a>) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(unusable(format_args!("the info dictionary has {} twice", quoted(key)))),
    }
}
