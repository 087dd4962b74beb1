//! URLs of trackers: which are usable, how binary values are written into them, and the scrape URL that
//! belongs to an announce URL (BEP 48).
//!
//! A URL is kept as it was written, apart from characters that may not stand in one: these are escaped.
//! Binary values are escaped byte by byte, everything but the unreserved characters of RFC 3986.

use crate::error::{Error, ErrorKind, Result};

/// Longest URL taken, in bytes.
pub const MAX_URL: usize = 4096;

/// How a tracker is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP.
    Http,
    /// HTTP over TLS.
    Https,
    /// BEP 15.
    Udp,
}

/// The URL of a tracker, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TrackerUrl {
    scheme: Scheme,
    host: String,
    port: u16,
    /// The whole, escaped if needed, without a fragment.
    text: String,
    /// Where the path begins in `text`.
    path: usize,
}

impl TrackerUrl {
    /// Reads a URL of a tracker.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] for anything but `http`, `https` and `udp` URLs with a host, and
    /// for a `udp` URL without a port, which BEP 15 gives no default for.
    pub fn parse(url: &str) -> Result<TrackerUrl> {
        let bad = |why: &str| Error::new(ErrorKind::Argument, format!("{why} in the tracker's URL"));
        // White space around a URL is common in the wild; inside, it is escaped.
        let url = url.trim_matches(' ');
        if url.len() > MAX_URL {
            return Err(bad("more than 4096 bytes"));
        }
        let (scheme, rest) = url.split_once("://").ok_or_else(|| bad("no scheme"))?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "udp" => Scheme::Udp,
            _ => return Err(bad("a scheme other than http, https and udp")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let place = authority.rsplit('@').next().unwrap_or_default();
        let (host, port) = split_port(place).ok_or_else(|| bad("a malformed host or port"))?;
        if host.is_empty() || authority.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(bad("no usable host"));
        }
        let port = match (port, scheme) {
            (Some(port), _) => port,
            (None, Scheme::Http) => 80,
            (None, Scheme::Https) => 443,
            (None, Scheme::Udp) => return Err(bad("no port")),
        };
        let name = match scheme {
            Scheme::Http => "http://",
            Scheme::Https => "https://",
            Scheme::Udp => "udp://",
        };
        let head = format!("{name}{authority}");
        let text = format!("{head}{}", escape_invalid(path));
        Ok(TrackerUrl { scheme, host: host.to_owned(), port, path: head.len(), text })
    }

    /// How it is spoken to.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host: a name or an address, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, the scheme's own where none is given.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The whole URL.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Path and query as BEP 41 sends them to a UDP tracker; may be empty.
    pub fn path_and_query(&self) -> &str {
        self.text.get(self.path..).unwrap_or_default()
    }

    /// The URL with more parameters, after the query it may have already.
    pub fn with_query(&self, query: &str) -> String {
        let joint = match self.text.find('?') {
            None => "?",
            Some(_) if self.text.ends_with(['?', '&']) => "",
            Some(_) => "&",
        };
        format!("{}{joint}{query}", self.text)
    }

    /// The URL to scrape (BEP 48): the text `announce` right after the last slash becomes `scrape`; without
    /// it, the tracker cannot be scraped. A URL that has `scrape` there is one already. UDP trackers are
    /// scraped at their announce URL.
    pub fn scrape(&self) -> Option<TrackerUrl> {
        if self.scheme == Scheme::Udp {
            return Some(self.clone());
        }
        let path = self.path_and_query();
        let last = self.path + path.rfind('/')? + 1;
        let tail = &self.text[last..];
        if tail.starts_with("scrape") {
            return Some(self.clone());
        }
        let after = tail.strip_prefix("announce")?;
        let text = format!("{}scrape{after}", &self.text[..last]);
        Some(TrackerUrl { text, ..self.clone() })
    }

    /// Whether both lead to the same tracker: as written, but for the case of the host and a port
    /// that is the scheme's own.
    pub fn is_same(&self, other: &TrackerUrl) -> bool {
        self.scheme == other.scheme
            && self.port == other.port
            && self.host.eq_ignore_ascii_case(&other.host)
            && self.path_and_query() == other.path_and_query()
    }
}

/// A host and its port, if it has one: `name:80`, `1.2.3.4`, `[::1]:80`.
fn split_port(place: &str) -> Option<(&str, Option<u16>)> {
    let (host, rest) = match place.strip_prefix('[') {
        Some(inside) => inside.split_once(']')?,
        None => place.split_at(place.find(':').unwrap_or(place.len())),
    };
    match rest.strip_prefix(':') {
        None if rest.is_empty() => Some((host, None)),
        None => None,
        Some("") => Some((host, None)),
        Some(digits) if digits.bytes().all(|c| c.is_ascii_digit()) => {
            digits.parse().ok().filter(|&port| port != 0).map(|port| (host, Some(port)))
        }
        Some(_) => None,
    }
}

/// Appends `bytes`, everything but letters, digits and `-._~` as `%XX`.
pub fn escape(bytes: &[u8], out: &mut String) {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte as char);
        } else {
            push_hex(byte, out);
        }
    }
}

/// Escapes characters that may not stand in a URL at all (controls, spaces, non-ASCII, quotes) and leaves
/// everything else as it is, including existing escapes.
pub fn escape_invalid(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => push_hex(byte, &mut out),
            b'!'..=b'~' => out.push(byte as char),
            _ => push_hex(byte, &mut out),
        }
    }
    out
}

fn push_hex(byte: u8, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(DIGITS[usize::from(byte >> 4)] as char);
    out.push(DIGITS[usize::from(byte & 15)] as char);
}

/// Turns `%XX` back into bytes; all else stays, a `+` too.
pub fn unescape(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| text.get(at).and_then(|&c| (c as char).to_digit(16));
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
