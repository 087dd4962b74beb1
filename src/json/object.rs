//! An object that is built in memory, member by member: a line of output, or a part of one.
//!
//! Invariant: what [`Object::end`] returns is one line of valid JSON, whatever text was put in.

use super::write::Writer;

/// An object being written.
pub struct Object(Writer<Vec<u8>>);

/// Memory does not fail.
const MEMORY: &str = "writing to memory does not fail";

impl Object {
    /// An empty object.
    pub fn new() -> Self {
        Object(Writer::new(Vec::new())).with(|out| out.begin_object())
    }

    /// A string, escaped.
    pub fn text(self, key: &str, value: &str) -> Self {
        self.member(key, |out| out.text(value))
    }

    /// A string, or no field at all if there is none.
    pub fn text_if(self, key: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(key, value),
            None => self,
        }
    }

    /// A whole number.
    pub fn number(self, key: &str, value: u64) -> Self {
        self.member(key, |out| out.number(value))
    }

    /// A whole number that may be negative.
    pub fn signed(self, key: &str, value: i64) -> Self {
        self.member(key, |out| out.signed(value))
    }

    /// Seconds, to the millisecond.
    pub fn seconds(self, key: &str, value: std::time::Duration) -> Self {
        self.member(key, |out| out.seconds(value))
    }

    /// `true` or `false`.
    pub fn flag(self, key: &str, value: bool) -> Self {
        self.member(key, |out| out.flag(value))
    }

    /// A list of strings.
    pub fn texts<'a>(self, key: &str, values: impl IntoIterator<Item = &'a str>) -> Self {
        self.member(key, |out| {
            out.begin_list()?;
            values.into_iter().try_for_each(|value| out.text(value))?;
            out.end_list()
        })
    }

    /// A list of objects.
    pub fn objects(self, key: &str, values: impl IntoIterator<Item = Object>) -> Self {
        self.member(key, |out| {
            out.begin_list()?;
            values.into_iter().try_for_each(|value| out.raw(&value.end()))?;
            out.end_list()
        })
    }

    /// The finished object, without a newline.
    pub fn end(self) -> String {
        let bytes = self.with(|out| out.end_object()).0.into_inner();
        String::from_utf8(bytes).expect("JSON is UTF-8")
    }

    fn member(self, key: &str, write: impl FnOnce(&mut Writer<Vec<u8>>) -> std::io::Result<()>) -> Self {
        self.with(|out| {
            out.key(key)?;
            write(out)
        })
    }

    fn with(mut self, write: impl FnOnce(&mut Writer<Vec<u8>>) -> std::io::Result<()>) -> Self {
        write(&mut self.0).expect(MEMORY);
        self
    }
}

impl Default for Object {
    fn default() -> Self {
        Object::new()
    }
}
