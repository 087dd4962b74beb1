//! Base64 (RFC 4648, section 4): bytes as JSON and heads of HTTP have them.
//!
//! Decoding passes over white space and takes text with and without padding; anything else is refused.

#[cfg(any(feature = "daemon", test))]
use std::io::{self, Write};

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The text for bytes, with padding.
pub fn encode(bytes: &[u8]) -> String {
    bytes.chunks(3).flat_map(digits).map(char::from).collect()
}

/// Writes it.
#[cfg(any(feature = "daemon", test))]
pub fn write(bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
    bytes.chunks(3).try_for_each(|chunk| out.write_all(&digits(chunk)))
}

/// The digits for one to three bytes.
fn digits(chunk: &[u8]) -> [u8; 4] {
    let bits = chunk.iter().fold(0, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
    let mut digits = [b'='; 4];
    for (at, digit) in digits.iter_mut().enumerate().take(chunk.len() + 1) {
        *digit = DIGITS[(bits >> (18 - 6 * at)) as usize & 63];
    }
    digits
}

/// The bytes that a text stands for.
#[cfg(any(feature = "daemon", test))]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut count, mut padding) = (0u32, 0, 0);
    for c in text.bytes().filter(|c| !c.is_ascii_whitespace()) {
        let digit = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padding += 1;
                continue;
            }
            _ => return None,
        };
        if padding > 0 {
            return None;
        }
        bits = bits << 6 | u32::from(digit);
        count += 1;
        if count == 4 {
            bytes.extend_from_slice(&bits.to_be_bytes()[1..]);
            (bits, count) = (0, 0);
        }
    }
    match (count, padding) {
        (0, 0) => {}
        (2, 0 | 2) => bytes.push((bits >> 4) as u8),
        (3, 0 | 1) => bytes.extend_from_slice(&((bits >> 2) as u16).to_be_bytes()),
        _ => return None,
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        write(bytes, &mut out).unwrap();
        let written = String::from_utf8(out).unwrap();
        assert_eq!(encode(bytes), written);
        written
    }

    #[test]
    fn the_vectors_of_rfc_4648_hold_both_ways() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, digits) in vectors {
            assert_eq!(encoded(plain.as_bytes()), digits);
            assert_eq!(decode(digits).as_deref(), Some(plain.as_bytes()));
            assert_eq!(decode(digits.trim_end_matches('=')).as_deref(), Some(plain.as_bytes()));
        }
        assert_eq!(encoded(&[0xfb, 0xff]), "+/8=");
    }

    #[test]
    fn line_breaks_are_passed_over_and_the_rest_is_refused() {
        assert_eq!(decode("Zm9v\r\nYmFy\n").as_deref(), Some(&b"foobar"[..]));
        for bad in ["Z", "Zm9vY", "Zg=", "Zg===", "=", "Zg==Zg==", "Zm9v=", "Zm 9-", "\u{e9}"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
