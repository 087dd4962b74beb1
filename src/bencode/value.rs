//! A decoded value: a slice of the input whose grammar has been checked.
//!
//! Invariant: the slice is exactly one well-formed value. Walking it cannot fail; each step over a
//! nested value costs one look at each token inside it, so one pass with [`Value::dict`] beats many
//! calls of [`Value::get`] where a dictionary is large.

use std::fmt;

use super::scan::{checked_string, integer, skip};

/// A bencoded value. Copying it copies a reference.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    raw: &'a [u8],
}

impl<'a> Value<'a> {
    /// The value that `raw` is; the caller has scanned it.
    pub(super) fn checked(raw: &'a [u8]) -> Self {
        Value { raw }
    }

    /// The bytes of the value as they came, for hashing and for passing on.
    pub fn raw(self) -> &'a [u8] {
        self.raw
    }

    /// The integer, if it is one.
    pub fn as_int(self) -> Option<i64> {
        (self.raw.first() == Some(&b'i')).then(|| integer(self.raw, 0).ok())?.map(|(value, _)| value)
    }

    /// The bytes of the string, if it is one.
    pub fn as_bytes(self) -> Option<&'a [u8]> {
        checked_string(self.raw).map(|(string, _)| string)
    }

    /// The string, if it is one and is UTF-8.
    pub fn as_str(self) -> Option<&'a str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// The items of the list, if it is one.
    pub fn list(self) -> Option<impl Iterator<Item = Value<'a>> + Clone> {
        let mut rest = self.inside(b'l')?;
        Some(std::iter::from_fn(move || take_value(&mut rest)))
    }

    /// The entries of the dictionary in their order, if it is one. Keys may be unsorted and repeated.
    pub fn dict(self) -> Option<impl Iterator<Item = (&'a [u8], Value<'a>)> + Clone> {
        let mut rest = self.inside(b'd')?;
        Some(std::iter::from_fn(move || {
            let (key, length) = checked_string(rest)?;
            rest = rest.get(length..)?;
            Some((key, take_value(&mut rest)?))
        }))
    }

    /// The first value under `key`, where this is a dictionary that has it. Looks at each entry
    /// before it.
    pub fn get(self, key: &[u8]) -> Option<Value<'a>> {
        self.dict()?.find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// What stands between the first byte, which must be `kind`, and the last.
    fn inside(self, kind: u8) -> Option<&'a [u8]> {
        match self.raw {
            [first, inside @ .., b'e'] if *first == kind => Some(inside),
            _ => None,
        }
    }
}

/// The strings of the list that begins at byte `at` of bencoding that has been checked; they end before
/// the first item that is none, and there are none where no list begins there.
pub fn strings_at(checked: &[u8], at: usize) -> Strings<'_> {
    let list = checked.get(at..).unwrap_or_default();
    Strings { rest: list.strip_prefix(b"l").unwrap_or_default() }
}

/// Strings of a list; see [`strings_at`].
#[derive(Debug, Clone)]
pub struct Strings<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Strings<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        // Looked at first, since an error costs a message.
        self.rest.first().filter(|byte| byte.is_ascii_digit())?;
        let (string, length) = checked_string(self.rest)?;
        self.rest = self.rest.get(length..)?;
        Some(string)
    }
}

/// Takes the value off the front of `rest`; nothing at its end.
fn take_value<'a>(rest: &mut &'a [u8]) -> Option<Value<'a>> {
    if rest.is_empty() {
        return None;
    }
    let (raw, after) = rest.split_at_checked(skip(rest))?;
    *rest = after;
    Some(Value::checked(raw))
}

impl fmt::Debug for Value<'_> {
    /// The bytes with everything unprintable escaped, cut off after 200.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.raw.get(..200).unwrap_or(self.raw);
        let dots = if shown.len() < self.raw.len() { "…" } else { "" };
        write!(f, "Value({}{dots})", shown.escape_ascii())
    }
}
