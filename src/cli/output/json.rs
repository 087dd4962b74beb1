//! JSON, written only: one object a line, every string escaped.
//!
//! Invariant: what [`Object::end`] returns is one line of valid JSON, whatever text was put in.

use std::fmt::Write;

use super::text::is_unseen;

/// The version of the schema, which is `v` of every line. It changes when a field changes its meaning or
/// is removed; new fields and events do not change it.
pub const SCHEMA: u64 = 1;

/// An object being written.
pub struct Object(String);

impl Object {
    /// An object that is a part of a line.
    pub fn part() -> Self {
        Object(String::from("{"))
    }

    /// A line: the schema's version and what the line is about.
    pub fn line(event: &str) -> Self {
        Object::part().number("v", SCHEMA).text("event", event)
    }

    /// A string, escaped.
    pub fn text(mut self, key: &str, value: &str) -> Self {
        self.key(key);
        escape(&mut self.0, value);
        self
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
        self.raw(key, &value.to_string())
    }

    /// A whole number that may be negative.
    pub fn signed(self, key: &str, value: i64) -> Self {
        self.raw(key, &value.to_string())
    }

    /// Seconds, to the millisecond.
    pub fn seconds(self, key: &str, value: std::time::Duration) -> Self {
        self.raw(key, &format!("{}.{:03}", value.as_secs(), value.subsec_millis()))
    }

    /// `true` or `false`.
    pub fn flag(self, key: &str, value: bool) -> Self {
        self.raw(key, if value { "true" } else { "false" })
    }

    /// A list of strings.
    pub fn texts<'a>(mut self, key: &str, values: impl IntoIterator<Item = &'a str>) -> Self {
        self.key(key);
        self.list(values, escape);
        self
    }

    /// A list of objects.
    pub fn objects(mut self, key: &str, values: impl IntoIterator<Item = Object>) -> Self {
        self.key(key);
        self.list(values, |out, value| out.push_str(&value.end()));
        self
    }

    /// The finished object, without a newline.
    pub fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn raw(mut self, key: &str, value: &str) -> Self {
        self.key(key);
        self.0.push_str(value);
        self
    }

    fn key(&mut self, key: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        escape(&mut self.0, key);
        self.0.push(':');
    }

    fn list<T>(&mut self, values: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut String, T)) {
        self.0.push('[');
        for (at, value) in values.into_iter().enumerate() {
            if at > 0 {
                self.0.push(',');
            }
            write(&mut self.0, value);
        }
        self.0.push(']');
    }
}

/// Writes a string as RFC 8259 has it. What a terminal might act on is escaped too, so that a line
/// can be looked at.
fn escape(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_unseen(c) => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                let _ = write!(out, "\\u{unit:04x}");
            }),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_line_holds_every_kind_of_value() {
        let line = Object::line("test")
            .text("name", "x")
            .text_if("none", None)
            .number("n", u64::MAX)
            .signed("s", -1)
            .seconds("t", Duration::from_millis(1_005))
            .flag("yes", true)
            .texts("list", ["a", "b"])
            .objects("objects", [Object::part(), Object::part().flag("no", false)])
            .end();
        assert_eq!(
            line,
            r#"{"v":1,"event":"test","name":"x","n":18446744073709551615,"s":-1,"t":1.005,"yes":true,"list":["a","b"],"objects":[{},{"no":false}]}"#
        );
    }

    #[test]
    fn strings_are_escaped() {
        let mut out = String::new();
        escape(&mut out, "q\" b\\ \n\r\t\0\x1b\u{7f}\u{9b}\u{202e}\u{200b}\u{e0041} é 世 😀");
        let unseen = r"\u0000\u001b\u007f\u009b\u202e\u200b\udb40\udc41";
        assert_eq!(out, format!(r#""q\" b\\ \n\r\t{unseen} é 世 😀""#));
    }
}
