//! Text that came from elsewhere, made fit for a terminal, and lines broken to a width.
//!
//! Names in torrents, answers of trackers and addresses of peers are data: they may hold escape
//! sequences that repaint a terminal, or characters that turn the reading direction. Nothing
//! foreign is printed but through [`printable`].

use std::borrow::Cow;

use bitwren::internals::json::is_unseen;

/// The text on one line with nothing in it that is not seen: such characters become escapes such as
/// `\u{1b}`.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unseen) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unseen(c) { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    Cow::Owned(safe)
}

/// The text without the numbers that std puts behind the words of the operating system:
/// ` (os error 28)`. Programs get them in `--json`; people have the words.
pub fn without_os_numbers(text: &str) -> String {
    const MARK: &str = " (os error ";
    let mut parts = text.split(MARK);
    let mut short = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((number, rest)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => {
                short.push_str(rest)
            }
            _ => short.extend([MARK, part]),
        }
    }
    short
}

/// Breaks a paragraph into lines of at most `width` characters at its spaces; a longer word gets a
/// line of its own.
pub fn wrap(paragraph: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in paragraph.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_unseen_gets_through() {
        assert_eq!(printable("plain – 世界 é"), "plain – 世界 é");
        assert_eq!(printable("a\x1b[2Jb\r\nc\u{9b}1m"), "a\\u{1b}[2Jb\\r\\nc\\u{9b}1m");
        assert_eq!(printable("exe.\u{202e}gpj"), "exe.\\u{202e}gpj");
        assert_eq!(printable("a\u{200b}b\u{ad}c\u{e0041}"), "a\\u{200b}b\\u{ad}c\\u{e0041}");
        let all: String = (0..=0x10ffff).filter_map(char::from_u32).collect();
        assert!(!printable(&all).chars().any(char::is_control));
    }

    #[test]
    fn the_numbers_of_the_operating_system_are_left_out() {
        let error = std::io::Error::from_raw_os_error(28).to_string();
        assert_eq!(without_os_numbers(&format!("a: {error}; b: {error}.")), {
            let words = error.split(" (").next().unwrap();
            format!("a: {words}; b: {words}.")
        });
        for kept in ["", "plain", "a (os error x)", "a (os error 1", "a (os error )"] {
            assert_eq!(without_os_numbers(kept), kept);
        }
    }

    #[test]
    fn lines_are_broken_at_spaces() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("unbreakable a", 3), ["unbreakable", "a"]);
        assert!(wrap(" ", 10).is_empty());
    }
}
