//! The entries of a dictionary as raw bytes, so that unchanged ones are written as they came.

use std::borrow::Cow;

use crate::bencode::Value;

/// Keys, and values as raw bytes, in the order they came in.
pub(super) struct Entries<'a>(Vec<(&'a [u8], Cow<'a, [u8]>)>);

impl<'a> Entries<'a> {
    /// The entries of a dictionary; none if it is something else.
    pub(super) fn of(dict: Value<'a>) -> Self {
        Entries(dict.dict().into_iter().flatten().map(|(key, value)| (key, value.raw().into())).collect())
    }

    /// Gives `key` this value, or takes it away. An existing entry keeps its place; a new one goes in front
    /// of the first key that sorts after it.
    pub(super) fn put(&mut self, key: &'static str, value: Option<Vec<u8>>) {
        let key = key.as_bytes();
        let Some(value) = value else { return self.0.retain(|(other, _)| *other != key) };
        if let Some(at) = self.0.iter().position(|(other, _)| *other == key) {
            self.0[at].1 = value.into();
            return;
        }
        let at = self.0.iter().position(|(other, _)| *other > key).unwrap_or(self.0.len());
        self.0.insert(at, (key, value.into()));
    }

    /// The dictionary.
    pub(super) fn write(self) -> Vec<u8> {
        let mut out = vec![b'd'];
        for (key, value) in self.0 {
            out.extend_from_slice(format!("{}:", key.len()).as_bytes());
            out.extend_from_slice(key);
            out.extend_from_slice(&value);
        }
        out.push(b'e');
        out
    }
}
