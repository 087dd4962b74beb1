//! The one pass that checks bencoding: a loop over tokens with an explicit, bounded stack.
//!
//! Never recurses, never allocates more than the stack of open containers. After it, every walk
//! over the same bytes can trust the grammar.

use super::malformed;
use crate::error::Result;

/// How deep lists and dictionaries may nest. Real torrents stay under 20 (v2 file trees go one
/// deeper for each directory).
pub const MAX_DEPTH: usize = 100;

/// What a scan found: where the value ends, and how it strays from canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scan {
    /// Bytes the value takes.
    pub end: usize,
    /// Offset of the first dictionary key that sorts before the key ahead of it.
    pub unsorted: Option<usize>,
    /// Offset of the first dictionary key that repeats the key ahead of it.
    pub repeated: Option<usize>,
}

/// A list or dictionary that has not ended yet.
struct Open<'a> {
    start: usize,
    next: Next<'a>,
}

/// What may come next in an open container; a dictionary remembers its last key.
enum Next<'a> {
    Item,
    Key(Option<&'a [u8]>),
    ValueOf(&'a [u8]),
}

/// Checks the value at the start of `bytes`.
pub(super) fn scan(bytes: &[u8]) -> Result<Scan> {
    let mut scan = Scan { end: 0, unsorted: None, repeated: None };
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut at = 0;
    loop {
        let Some(&byte) = bytes.get(at) else {
            return Err(malformed(at, cut_short(open.last())));
        };
        match (byte, open.last_mut().map(|open| &mut open.next)) {
            (b'e', Some(Next::Item | Next::Key(_))) => {
                at += 1;
                open.pop();
            }
            (b'e', Some(Next::ValueOf(_))) => return Err(malformed(at, "a dictionary key without a value")),
            (b'0'..=b'9', Some(next @ Next::Key(_))) => {
                let (key, end) = string(bytes, at)?;
                if let Next::Key(Some(last)) = *next {
                    match key.cmp(last) {
                        std::cmp::Ordering::Less => scan.unsorted = scan.unsorted.or(Some(at)),
                        std::cmp::Ordering::Equal => scan.repeated = scan.repeated.or(Some(at)),
                        std::cmp::Ordering::Greater => {}
                    }
                }
                *next = Next::ValueOf(key);
                at = end;
                continue;
            }
            (_, Some(Next::Key(_))) => return Err(malformed(at, "a dictionary key must be a string")),
            (b'0'..=b'9', _) => at = string(bytes, at)?.1,
            (b'i', _) => at = integer(bytes, at)?.1,
            (b'l' | b'd', _) => {
                if open.len() == MAX_DEPTH {
                    return Err(malformed(at, format_args!("nested deeper than {MAX_DEPTH}")));
                }
                let next = if byte == b'l' { Next::Item } else { Next::Key(None) };
                open.push(Open { start: at, next });
                at += 1;
                continue;
            }
            _ => {
                let shown = byte.escape_ascii();
                return Err(malformed(at, format_args!("a value cannot begin with '{shown}'")));
            }
        }
        // A value ends here.
        match open.last_mut().map(|open| &mut open.next) {
            None => {
                scan.end = at;
                return Ok(scan);
            }
            Some(next) => {
                if let Next::ValueOf(key) = *next {
                    *next = Next::Key(Some(key));
                }
            }
        }
    }
}

/// What to say where the bytes end although a value does not.
fn cut_short(open: Option<&Open<'_>>) -> String {
    match open {
        None => "there is nothing".to_owned(),
        Some(Open { start, next: Next::Item }) => format!("the list from byte {start} is cut short"),
        Some(Open { start, .. }) => format!("the dictionary from byte {start} is cut short"),
    }
}

/// The string at `at`, and the offset after it.
fn string(bytes: &[u8], at: usize) -> Result<(&[u8], usize)> {
    let mut length = 0usize;
    let mut cursor = at;
    loop {
        match bytes.get(cursor) {
            Some(&digit @ b'0'..=b'9') => {
                if cursor > at && length == 0 {
                    return Err(malformed(at, "a string length with a leading zero"));
                }
                length = length
                    .checked_mul(10)
                    .and_then(|length| length.checked_add(usize::from(digit - b'0')))
                    .ok_or_else(|| malformed(at, "a string length that is too large"))?;
                cursor += 1;
            }
            Some(b':') => break,
            Some(_) => return Err(malformed(cursor, "a string length must end in ':'")),
            None => return Err(malformed(at, "a string length that is cut short")),
        }
    }
    let start = cursor + 1;
    start
        .checked_add(length)
        .and_then(|end| Some((bytes.get(start..end)?, end)))
        .ok_or_else(|| malformed(at, format_args!("a string of {length} bytes that is cut short")))
}

/// The integer at `at`, and the offset after it.
pub(super) fn integer(bytes: &[u8], at: usize) -> Result<(i64, usize)> {
    let negative = bytes.get(at + 1) == Some(&b'-');
    let first = at + 1 + usize::from(negative);
    let (mut value, mut cursor) = (0i64, first);
    loop {
        match bytes.get(cursor) {
            Some(&digit @ b'0'..=b'9') => {
                if cursor > first && value == 0 {
                    return Err(malformed(at, "an integer with a leading zero"));
                }
                let digit = i64::from(digit - b'0');
                value = value
                    .checked_mul(10)
                    .and_then(|v| if negative { v.checked_sub(digit) } else { v.checked_add(digit) })
                    .ok_or_else(|| malformed(at, "an integer outside 64 bits"))?;
                cursor += 1;
            }
            Some(b'e') if cursor == first => return Err(malformed(at, "an integer without digits")),
            Some(b'e') if negative && value == 0 => return Err(malformed(at, "an integer that is -0")),
            Some(b'e') => return Ok((value, cursor + 1)),
            Some(_) => return Err(malformed(cursor, "an integer holds digits only, and ends in 'e'")),
            None => return Err(malformed(at, "an integer that is cut short")),
        }
    }
}

/// Length of the value at the start of `bytes`, which a scan has passed; all of them should they
/// not be well-formed after all.
pub(super) fn skip(bytes: &[u8]) -> usize {
    let (mut at, mut depth) = (0usize, 0usize);
    loop {
        match bytes.get(at) {
            Some(b'i') => match bytes[at..].iter().position(|&byte| byte == b'e') {
                Some(length) => at += length + 1,
                None => return bytes.len(),
            },
            Some(b'0'..=b'9') => match checked_string(&bytes[at..]) {
                Some((_, length)) => at += length,
                None => return bytes.len(),
            },
            Some(b'l' | b'd') => {
                depth += 1;
                at += 1;
            }
            Some(b'e') if depth > 0 => {
                depth -= 1;
                at += 1;
            }
            _ => return bytes.len(),
        }
        if depth == 0 {
            return at;
        }
    }
}

/// The string at the start of `bytes`, and how many bytes it takes with its length.
pub(super) fn checked_string(bytes: &[u8]) -> Option<(&[u8], usize)> {
    string(bytes, 0).ok()
}
