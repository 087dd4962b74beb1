//! The parser: bytes to a [`Value`], or where they stop to be JSON.
//!
//! It keeps lists and objects that are still open on a stack of its own, so that depth costs no stack of the
//! thread. It never panics and never allocates more than the bytes and [`MAX_VALUES`] account for.

use std::fmt;

use super::value::Value;

/// How many lists and objects may be open at once.
pub const MAX_DEPTH: usize = 64;

/// How many values a text may hold. A value takes some 32 bytes, however short it is written.
pub const MAX_VALUES: usize = 1 << 18;

/// The largest magnitude below which every whole number has a float of its own.
const EXACT: f64 = (1u64 << 53) as f64;

/// Why bytes are no JSON, or none that is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseError {
    /// The offset of the byte that does not fit.
    pub offset: usize,
    /// What was wrong with it.
    pub reason: &'static str,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no JSON at byte {}: {}", self.offset, self.reason)
    }
}

impl std::error::Error for ParseError {}

/// Reads one value; nothing but white space may stand around it.
pub fn parse(bytes: &[u8]) -> Result<Value, ParseError> {
    Parser { bytes, at: 0, left: MAX_VALUES }.document()
}

/// A list or an object that is not closed yet.
enum Open {
    List(Vec<Value>),
    Object(Vec<(String, Value)>, String),
}

/// A value that is whole, or one that has only begun.
enum Begun {
    Whole(Value),
    Open(Open),
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    left: usize,
}

impl Parser<'_> {
    fn document(mut self) -> Result<Value, ParseError> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            let mut value = match self.begin(open.len())? {
                Begun::Open(inner) => {
                    open.push(inner);
                    continue;
                }
                Begun::Whole(value) => value,
            };
            // A whole value may close what it stands in, and that what it stands in itself.
            loop {
                let Some(outer) = open.pop() else {
                    self.skip_space();
                    return if self.at == self.bytes.len() {
                        Ok(value)
                    } else {
                        self.fail("more behind the value")
                    };
                };
                match self.put(outer, value)? {
                    Begun::Whole(closed) => value = closed,
                    Begun::Open(outer) => {
                        open.push(outer);
                        break;
                    }
                }
            }
        }
    }

    /// Puts a value into what is open, and reads on to the next value or to the end of it.
    fn put(&mut self, outer: Open, value: Value) -> Result<Begun, ParseError> {
        self.skip_space();
        let next = self.next();
        match outer {
            Open::List(mut values) => {
                values.push(value);
                match next {
                    Some(b',') => Ok(Begun::Open(Open::List(values))),
                    Some(b']') => Ok(Begun::Whole(Value::List(values))),
                    _ => self.fail_before("a comma or ] is missing"),
                }
            }
            Open::Object(mut members, key) => {
                members.push((key, value));
                match next {
                    Some(b',') => Ok(Begun::Open(Open::Object(members, self.key()?))),
                    Some(b'}') => Ok(Begun::Whole(Value::Object(members))),
                    _ => self.fail_before("a comma or } is missing"),
                }
            }
        }
    }

    /// Begins a value within as many lists and objects.
    fn begin(&mut self, depth: usize) -> Result<Begun, ParseError> {
        self.skip_space();
        self.left = match self.left.checked_sub(1) {
            Some(left) => left,
            None => return self.fail("too many values"),
        };
        let value = match self.peek() {
            Some(b'[' | b'{') if depth == MAX_DEPTH => return self.fail("nested too deep"),
            Some(b'[') => {
                self.at += 1;
                self.skip_space();
                if self.peek() != Some(b']') {
                    return Ok(Begun::Open(Open::List(Vec::new())));
                }
                self.at += 1;
                Value::List(Vec::new())
            }
            Some(b'{') => {
                self.at += 1;
                self.skip_space();
                if self.peek() != Some(b'}') {
                    return Ok(Begun::Open(Open::Object(Vec::new(), self.key()?)));
                }
                self.at += 1;
                Value::Object(Vec::new())
            }
            Some(b'"') => Value::Text(self.text()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true", Value::Bool(true))?,
            Some(b'f') => self.word("false", Value::Bool(false))?,
            Some(b'n') => self.word("null", Value::Null)?,
            _ => return self.fail("a value is missing"),
        };
        Ok(Begun::Whole(value))
    }

    /// The name of a member and its colon.
    fn key(&mut self) -> Result<String, ParseError> {
        self.skip_space();
        if self.peek() != Some(b'"') {
            return self.fail("a name is missing");
        }
        let key = self.text()?;
        self.skip_space();
        if self.next() != Some(b':') {
            return self.fail_before("a colon is missing");
        }
        Ok(key)
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, ParseError> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return self.fail("a value is missing");
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, ParseError> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        let first = self.peek();
        if self.digits() == 0 {
            return self.fail("a digit is missing");
        }
        if first == Some(b'0') && self.at - start > 1 + usize::from(self.bytes[start] == b'-') {
            return self.fail("a number begins with 0");
        }
        let mut is_whole = true;
        if self.peek() == Some(b'.') {
            is_whole = false;
            self.at += 1;
            if self.digits() == 0 {
                return self.fail("a digit is missing");
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            is_whole = false;
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            if self.digits() == 0 {
                return self.fail("a digit is missing");
            }
        }
        // ASCII, as was just seen.
        let text = std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default();
        if let (true, Ok(number)) = (is_whole, text.parse()) {
            return Ok(Value::Int(number));
        }
        match text.parse::<f64>() {
            Ok(number) if number.fract() == 0.0 && number.abs() < EXACT => Ok(Value::Int(number as i64)),
            Ok(number) if number.is_finite() => Ok(Value::Float(number)),
            _ => self.fail_before("a number is out of range"),
        }
    }

    /// How many digits stood here.
    fn digits(&mut self) -> usize {
        let count = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        count
    }

    fn text(&mut self) -> Result<String, ParseError> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = &self.bytes[self.at..];
            let plain = rest.iter().position(|&byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
            let Some(length) = plain else {
                self.at = self.bytes.len();
                return self.fail("a string does not end");
            };
            match std::str::from_utf8(&rest[..length]) {
                Ok(part) => text.push_str(part),
                Err(error) => {
                    self.at += error.valid_up_to();
                    return self.fail("a string is not UTF-8");
                }
            }
            self.at += length;
            match self.next() {
                Some(b'"') => return Ok(text),
                Some(b'\\') => text.push(self.escaped()?),
                _ => return self.fail_before("a control character stands in a string"),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, ParseError> {
        Ok(match self.next() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return self.fail_before("an escape is not known"),
        })
    }

    /// The character of `\u`, and of a second one if the first is the high half of a pair. A half alone
    /// becomes U+FFFD: names cut in the middle are not worth losing a whole request.
    fn unicode(&mut self) -> Result<char, ParseError> {
        let first = self.hex()?;
        if let 0xd800..=0xdbff = first {
            let before = self.at;
            if self.bytes[self.at..].starts_with(b"\\u") {
                self.at += 2;
                let second = self.hex()?;
                if let 0xdc00..=0xdfff = second {
                    let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                    return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                self.at = before;
            }
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Result<u32, ParseError> {
        let mut code = 0;
        for _ in 0..4 {
            match self.peek().and_then(|byte| char::from(byte).to_digit(16)) {
                Some(digit) => code = code << 4 | digit,
                None => return self.fail("a hexadecimal digit is missing"),
            }
            self.at += 1;
        }
        Ok(code)
    }

    fn skip_space(&mut self) {
        let space = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        self.at += self.bytes[self.at..].iter().take_while(space).count();
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn fail<T>(&self, reason: &'static str) -> Result<T, ParseError> {
        Err(ParseError { offset: self.at, reason })
    }

    /// As [`fail`](Self::fail), if the byte was taken already.
    fn fail_before<T>(&self, reason: &'static str) -> Result<T, ParseError> {
        Err(ParseError { offset: self.at.saturating_sub(1), reason })
    }
}
