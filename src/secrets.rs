//! Masks what gives access in text for people: the user and password of a URL, what looks like a key in its
//! path, and the values of its query, which for a tracker is where a passkey is.
//!
//! It finds URLs by their `://`, and never makes text longer than it was by more than three bytes a secret.

/// The text in the place of a secret.
const MASK: &str = "***";
/// From this length on a part of a path with digits in it is taken for a key.
const MIN_KEY: usize = 16;

/// The text with the secrets of all URLs in it masked. Errors and events of this library hold URLs of
/// trackers, web seeds and torrents as they were given: text that is logged or shown to others goes through
/// this first.
///
/// ```
/// let line = "cannot announce to http://tracker.example/announce?passkey=0123: refused";
/// let masked = bitwren::mask_secrets(line);
/// assert_eq!(masked, "cannot announce to http://tracker.example/announce?passkey=***: refused");
/// ```
pub fn mask_secrets(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        out.extend([before, "://"]);
        let end = after.find(|c: char| c.is_whitespace() || c.is_control() || "\"'<>\\`".contains(c));
        let (url, more) = after.split_at(end.unwrap_or(after.len()));
        // What ends a sentence is no part of it.
        let bare = url.trim_end_matches([':', ';', ',', '.', ')']);
        url_into(bare, &mut out);
        out.push_str(&url[bare.len()..]);
        rest = more;
    }
    out + rest
}

/// Adds a URL without its scheme.
fn url_into(url: &str, out: &mut String) {
    let (address, query) = match url.split_once('?') {
        Some((address, query)) => (address, Some(query)),
        None => (url, None),
    };
    let (host, path) = address.split_at(address.find('/').unwrap_or(address.len()));
    match host.rsplit_once('@') {
        Some((_, host)) => out.extend([MASK, "@", host]),
        None => out.push_str(host),
    }
    for (number, part) in path.split('/').enumerate() {
        out.push_str(if number > 0 { "/" } else { "" });
        out.push_str(if is_key(part) { MASK } else { part });
    }
    for (number, part) in query.iter().flat_map(|query| query.split('&')).enumerate() {
        out.push(if number > 0 { '&' } else { '?' });
        match part.split_once('=') {
            Some((name, value)) if !value.is_empty() => out.extend([name, "=", MASK]),
            None if is_key(part) => out.push_str(MASK),
            _ => out.push_str(part),
        }
    }
}

/// Whether a part of a path looks like a key and not like a name: long, of letters and digits.
fn is_key(part: &str) -> bool {
    let digits = part.bytes().filter(u8::is_ascii_digit).count();
    part.len() >= MIN_KEY
        && digits >= 2
        && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'~' | b'%'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_keys_and_queries_are_masked() {
        for (text, wanted) in [
            ("http://t.example/announce", "http://t.example/announce"),
            (
                "http://t.example:80/0123456789abcdef0123456789abcdef/announce",
                "http://t.example:80/***/announce",
            ),
            ("cannot fetch https://me:pw@h/x.torrent: 404", "cannot fetch https://***@h/x.torrent: 404"),
            ("http://a@b:c@h/", "http://***@h/"),
            (
                "http://h/dl.php?id=3&passkey=abc; next try in 5s",
                "http://h/dl.php?id=***&passkey=***; next try in 5s",
            ),
            ("udp://t:1: no answer", "udp://t:1: no answer"),
            ("http://h/announce?0123456789abcdefgh", "http://h/announce?***"),
            (
                r#"{"url":"http://h/AbCdEfGh1JkLmN0p/a","why":"b://u:v@w"}"#,
                r#"{"url":"http://h/***/a","why":"b://***@w"}"#,
            ),
            ("two: http://u@a/ and http://u@b/.", "two: http://***@a/ and http://***@b/."),
            ("http://h/debian-12-netinst.torrent", "http://h/debian-12-netinst.torrent"),
            ("http://[::1]:6969/announce", "http://[::1]:6969/announce"),
            ("://", "://"),
            ("a", "a"),
        ] {
            assert_eq!(mask_secrets(text), wanted);
        }
    }
}
