//! Bencoding (BEP 3): the notation of `.torrent` files, tracker answers and extension messages.
//!
//! [`decode`] checks the whole input once and then hands out [`Value`]s, which are slices of it:
//! nothing is copied, nothing is built. [`Encoder`] writes canonical bencoding. Neither recurses on
//! the input's account: nesting is bounded by [`MAX_DEPTH`].
//!
//! What is tolerated, because real files and peers have it: dictionary keys out of order, and keys
//! that come twice (then [`Value::get`] finds the first). What is not: integers with leading zeros,
//! `-0` or outside 64 bits, string lengths with leading zeros, anything cut short.

mod encode;
mod scan;
mod value;

pub use encode::{Dict, Encoder};
pub use scan::MAX_DEPTH;
pub use value::{Strings, Value, strings_at};

use crate::error::{Error, ErrorKind, Result};

/// Decodes the one value that `bytes` hold.
///
/// # Errors
/// [`ErrorKind::Bencode`], with the byte offset, where they are malformed or go on after the value.
pub fn decode(bytes: &[u8]) -> Result<Value<'_>> {
    match decode_prefix(bytes)? {
        (value, used) if used == bytes.len() => Ok(value),
        (_, used) => Err(malformed(used, "there is more after the end of the value")),
    }
}

/// Decodes the value at the start of `bytes`, and tells how many bytes it took. What follows is
/// not looked at.
///
/// # Errors
/// [`ErrorKind::Bencode`], with the byte offset, where the value is malformed or cut short.
pub fn decode_prefix(bytes: &[u8]) -> Result<(Value<'_>, usize)> {
    inspect(bytes).map(|found| (found.value, found.length))
}

/// A value and how it strays from canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inspected<'a> {
    /// The value.
    pub value: Value<'a>,
    /// How many bytes it takes.
    pub length: usize,
    /// Offset of the first dictionary key that sorts before the key ahead of it.
    pub unsorted: Option<usize>,
    /// Offset of the first dictionary key that repeats the key ahead of it.
    pub repeated: Option<usize>,
}

/// The same as [`decode_prefix`], telling also what was tolerated.
///
/// # Errors
/// As for [`decode_prefix`].
pub fn inspect(bytes: &[u8]) -> Result<Inspected<'_>> {
    let found = scan::scan(bytes)?;
    Ok(Inspected {
        value: Value::checked(bytes.get(..found.end).unwrap_or_default()),
        length: found.end,
        unsorted: found.unsorted,
        repeated: found.repeated,
    })
}

/// An error at byte `offset`.
fn malformed(offset: usize, what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Bencode, format!("malformed bencoding at byte {offset}: {what}"))
}
