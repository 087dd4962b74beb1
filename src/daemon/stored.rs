//! Values of settings as they are stored: bencoding has whole numbers and strings alone.
//!
//! A value that cannot be read is as none, so that a state of another version loses that setting and no other.

use crate::bencode::{Dict, Value};

/// A value that can be stored under a key.
pub trait Stored: Sized {
    /// Adds it.
    fn store(&self, key: &str, dict: &mut Dict<'_>);

    /// Reads it.
    fn read(value: Value<'_>) -> Option<Self>;
}

macro_rules! numbers {
    ($($type:ty)*) => {$(
        impl Stored for $type {
            fn store(&self, key: &str, dict: &mut Dict<'_>) {
                // No number of ours is beyond 63 bits: bytes and seconds.
                dict.int(key, i64::try_from(*self).unwrap_or(i64::MAX));
            }

            fn read(value: Value<'_>) -> Option<Self> {
                value.as_int()?.try_into().ok()
            }
        }
    )*};
}

numbers! { u16 u32 u64 }

impl Stored for bool {
    fn store(&self, key: &str, dict: &mut Dict<'_>) {
        dict.int(key, i64::from(*self));
    }

    fn read(value: Value<'_>) -> Option<Self> {
        value.as_int().map(|number| number != 0)
    }
}

impl Stored for f64 {
    fn store(&self, key: &str, dict: &mut Dict<'_>) {
        dict.bytes(key, self.to_string());
    }

    fn read(value: Value<'_>) -> Option<Self> {
        value.as_str()?.parse().ok().filter(|number: &f64| !number.is_nan())
    }
}

impl Stored for String {
    fn store(&self, key: &str, dict: &mut Dict<'_>) {
        dict.bytes(key, self);
    }

    fn read(value: Value<'_>) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl Stored for Vec<String> {
    fn store(&self, key: &str, dict: &mut Dict<'_>) {
        dict.list(key, |list| self.iter().for_each(|one| list.bytes(one)));
    }

    fn read(value: Value<'_>) -> Option<Self> {
        value.list()?.map(String::read).collect()
    }
}

impl Stored for Vec<u32> {
    fn store(&self, key: &str, dict: &mut Dict<'_>) {
        dict.list(key, |list| self.iter().for_each(|one| list.int(i64::from(*one))));
    }

    fn read(value: Value<'_>) -> Option<Self> {
        value.list()?.map(u32::read).collect()
    }
}
