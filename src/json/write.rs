//! The writer: values, one after the other, into any sink.
//!
//! It puts the commas; that lists and objects are closed and that members have names is up to the caller. It keeps
//! nothing of what was written.

use std::io::{self, Write};

use super::value::Value;

/// From here on the digits of a whole float would not read as a float of this value.
const EXACT: f64 = (1u64 << 53) as f64;

/// Writes JSON into a sink.
pub struct Writer<W> {
    out: W,
    /// Whether what comes next stands behind another value.
    needs_comma: bool,
}

impl<W: Write> Writer<W> {
    /// A writer into this sink.
    pub fn new(out: W) -> Self {
        Writer { out, needs_comma: false }
    }

    /// The sink.
    pub fn into_inner(self) -> W {
        self.out
    }

    /// Opens an object.
    pub fn begin_object(&mut self) -> io::Result<()> {
        self.begin(b"{")
    }

    /// Closes an object.
    pub fn end_object(&mut self) -> io::Result<()> {
        self.end(b"}")
    }

    /// Opens a list.
    pub fn begin_list(&mut self) -> io::Result<()> {
        self.begin(b"[")
    }

    /// Closes a list.
    pub fn end_list(&mut self) -> io::Result<()> {
        self.end(b"]")
    }

    /// The name of a member; its value comes next.
    pub fn key(&mut self, name: &str) -> io::Result<()> {
        self.separate()?;
        escape(&mut self.out, name)?;
        self.needs_comma = false;
        self.out.write_all(b":")
    }

    /// A string, escaped.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        self.separate()?;
        escape(&mut self.out, text)
    }

    /// A string that is made while it is written: `write` gives parts that need no escape, such as base64.
    pub fn plain_text(&mut self, write: impl FnOnce(&mut W) -> io::Result<()>) -> io::Result<()> {
        self.separate()?;
        self.out.write_all(b"\"")?;
        write(&mut self.out)?;
        self.out.write_all(b"\"")
    }

    /// A whole number.
    pub fn number(&mut self, number: u64) -> io::Result<()> {
        self.separate()?;
        write!(self.out, "{number}")
    }

    /// A whole number that may be negative.
    pub fn signed(&mut self, number: i64) -> io::Result<()> {
        self.separate()?;
        write!(self.out, "{number}")
    }

    /// Any number. A whole one is written without a point, and what is no number as `null`.
    pub fn float(&mut self, number: f64) -> io::Result<()> {
        self.separate()?;
        let size = number.abs();
        if !number.is_finite() {
            self.out.write_all(b"null")
        } else if size >= EXACT || size < 1e-5 && size > 0.0 {
            write!(self.out, "{number:e}")
        } else {
            // 0 for -0 too.
            write!(self.out, "{}", number + 0.0)
        }
    }

    /// Seconds, to the millisecond.
    pub fn seconds(&mut self, time: std::time::Duration) -> io::Result<()> {
        self.separate()?;
        write!(self.out, "{}.{:03}", time.as_secs(), time.subsec_millis())
    }

    /// `true` or `false`.
    pub fn flag(&mut self, flag: bool) -> io::Result<()> {
        self.separate()?;
        self.out.write_all(if flag { b"true" } else { b"false" })
    }

    /// `null`.
    pub fn null(&mut self) -> io::Result<()> {
        self.separate()?;
        self.out.write_all(b"null")
    }

    /// JSON that was written before.
    pub fn raw(&mut self, json: &str) -> io::Result<()> {
        self.separate()?;
        self.out.write_all(json.as_bytes())
    }

    /// A value with all that is in it. It recurses, as deep as the value goes: those that were parsed go no deeper
    /// than [`MAX_DEPTH`](super::MAX_DEPTH).
    pub fn value(&mut self, value: &Value) -> io::Result<()> {
        match value {
            Value::Null => self.null(),
            Value::Bool(flag) => self.flag(*flag),
            Value::Int(number) => self.signed(*number),
            Value::Float(number) => self.float(*number),
            Value::Text(text) => self.text(text),
            Value::List(values) => {
                self.begin_list()?;
                values.iter().try_for_each(|value| self.value(value))?;
                self.end_list()
            }
            Value::Object(members) => {
                self.begin_object()?;
                for (name, value) in members {
                    self.key(name)?;
                    self.value(value)?;
                }
                self.end_object()
            }
        }
    }

    fn begin(&mut self, bracket: &[u8]) -> io::Result<()> {
        self.separate()?;
        self.needs_comma = false;
        self.out.write_all(bracket)
    }

    fn end(&mut self, bracket: &[u8]) -> io::Result<()> {
        self.needs_comma = true;
        self.out.write_all(bracket)
    }

    fn separate(&mut self) -> io::Result<()> {
        if self.needs_comma {
            self.out.write_all(b",")?;
        }
        self.needs_comma = true;
        Ok(())
    }
}

/// Writes a string as RFC 8259 has it. What a terminal might act on is escaped too, so that a line
/// can be looked at.
fn escape(out: &mut impl Write, text: &str) -> io::Result<()> {
    out.write_all(b"\"")?;
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        if !matches!(c, '"' | '\\') && !is_unseen(c) {
            continue;
        }
        out.write_all(&text.as_bytes()[plain..at])?;
        plain = at + c.len_utf8();
        match c {
            '"' => out.write_all(b"\\\"")?,
            '\\' => out.write_all(b"\\\\")?,
            '\n' => out.write_all(b"\\n")?,
            '\r' => out.write_all(b"\\r")?,
            '\t' => out.write_all(b"\\t")?,
            c => c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}"))?,
        }
    }
    out.write_all(&text.as_bytes()[plain..])?;
    out.write_all(b"\"")
}

/// Whether a character is not seen for itself: control characters, those that change the reading
/// direction, and all that Unicode calls format characters or has ignored where it cannot be shown. With
/// them one name could pass for another.
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
            | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}
