//! The reply that is being written: JSON into the sink, in the spelling of a dialect.
//!
//! Handlers name keys as JSON-RPC does and never ask which dialect it is; the two differences beyond spelling
//! (`wanted`, and a word of encryption) are here.

use std::io::{self, Write};

use super::keys;
use crate::json::Writer;

/// How keys are spelled, and some values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Kebab and camel case.
    Legacy,
    /// Snake case: JSON-RPC 2.0.
    JsonRpc,
}

/// A reply to one request, or to a batch.
pub struct Reply<'a> {
    json: Writer<&'a mut dyn Write>,
    dialect: Dialect,
}

impl<'a> Reply<'a> {
    /// A reply into this sink.
    pub fn new(out: &'a mut dyn Write, dialect: Dialect) -> Self {
        Reply { json: Writer::new(out), dialect }
    }

    /// The JSON below it.
    pub fn json(&mut self) -> &mut Writer<&'a mut dyn Write> {
        &mut self.json
    }

    /// The key of what comes next.
    pub fn key(&mut self, key: &str) -> io::Result<()> {
        self.json.key(self.spelled(key))
    }

    /// The key of what comes next, spelled alike in both dialects.
    pub fn plain_key(&mut self, key: &str) -> io::Result<()> {
        self.json.key(key)
    }

    /// A key as this dialect spells it.
    pub fn spelled<'k>(&self, key: &'k str) -> &'k str {
        match self.dialect {
            Dialect::Legacy => keys::legacy(key),
            Dialect::JsonRpc => key,
        }
    }

    /// A field of torrents as this dialect spells it.
    pub fn spelled_field<'k>(&self, key: &'k str) -> &'k str {
        match self.dialect {
            Dialect::Legacy => keys::legacy_field(key),
            Dialect::JsonRpc => key,
        }
    }

    /// A value.
    pub fn put(&mut self, value: impl Put) -> io::Result<()> {
        value.put(&mut self.json)
    }

    /// A key and its value.
    pub fn member(&mut self, key: &str, value: impl Put) -> io::Result<()> {
        self.key(key)?;
        self.put(value)
    }

    /// An object.
    pub fn object(&mut self, write: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        self.json.begin_object()?;
        write(self)?;
        self.json.end_object()
    }

    /// A list.
    pub fn list<T>(
        &mut self,
        values: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T) -> io::Result<()>,
    ) -> io::Result<()> {
        self.json.begin_list()?;
        values.into_iter().try_for_each(|value| write(self, value))?;
        self.json.end_list()
    }

    /// A list of plain values.
    pub fn values(&mut self, values: impl IntoIterator<Item = impl Put>) -> io::Result<()> {
        self.list(values, |reply, value| reply.put(value))
    }

    /// Whether each file is wanted: 0 or 1 in the legacy dialect, whose clients fail on anything else.
    pub fn wanted(&mut self, wanted: impl Iterator<Item = bool>) -> io::Result<()> {
        let dialect = self.dialect;
        self.list(wanted, |reply, wanted| match dialect {
            Dialect::Legacy => reply.put(u32::from(wanted)),
            Dialect::JsonRpc => reply.put(wanted),
        })
    }

    /// The word for encryption if the peer wants it.
    pub fn encryption_allowed(&self) -> &'static str {
        match self.dialect {
            Dialect::Legacy => "tolerated",
            Dialect::JsonRpc => "allowed",
        }
    }
}

/// What can be written as one value.
pub trait Put {
    /// Writes it.
    fn put(self, json: &mut Writer<&mut dyn Write>) -> io::Result<()>;
}

macro_rules! put {
    ($($type:ty: $value:ident, $json:ident => $write:expr;)*) => {
        $(impl Put for $type {
            fn put(self, $json: &mut Writer<&mut dyn Write>) -> io::Result<()> {
                let $value = self;
                $write
            }
        })*
    };
}

put! {
    u64: value, json => json.number(value);
    u32: value, json => json.number(value.into());
    u16: value, json => json.number(value.into());
    i64: value, json => json.signed(value);
    f64: value, json => json.float(value);
    bool: value, json => json.flag(value);
    &str: value, json => json.text(value);
    &String: value, json => json.text(value);
}
