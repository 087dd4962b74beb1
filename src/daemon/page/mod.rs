//! The daemon's own page: one HTML file with its styles and its script, for a browser at `…/web/`.
//!
//! `index.html` is the source. What is served is made of it and lies beside it: `index.html.gz`, and `index.csp`, the
//! policy that names the style and the script by their SHA-256, so that a browser runs nothing else. A test holds
//! both to the source and makes them anew with `BLESS=1 cargo test --lib page::`; no tool is needed to build.
//!
//! It never asks who reads it (the gate has), and it holds no secret: all that it shows it asks of the RPC beside
//! it, by the relative address `../rpc`.

use std::borrow::Cow;
use std::io::{self, Read};

use flate2::read::GzDecoder;

const PACKED: &[u8] = include_bytes!("index.html.gz");
const POLICY: &str = include_str!("index.csp");

/// Bytes of the page at most, so that a damaged archive does not grow without end.
const MAX_PAGE: u64 = 1 << 20;

/// What a page is.
pub const MEDIA_TYPE: &str = "text/html; charset=utf-8";

/// The bytes of the page: packed by gzip for who takes `Content-Encoding: gzip`, else plain.
pub fn bytes(takes_gzip: bool) -> io::Result<Cow<'static, [u8]>> {
    if takes_gzip {
        return Ok(Cow::Borrowed(PACKED));
    }
    let mut plain = Vec::new();
    GzDecoder::new(PACKED).take(MAX_PAGE).read_to_end(&mut plain)?;
    Ok(Cow::Owned(plain))
}

/// The fields of its head besides its type, its length and its encoding: a browser runs what is in the page and
/// nothing else, asks this server alone, shows it in no frame, and tells no other site where it was.
pub fn fields() -> [(&'static str, &'static str); 5] {
    [
        ("Content-Security-Policy", POLICY.trim_ascii()),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-cache"),
        ("Vary", "Accept-Encoding"),
    ]
}

#[cfg(test)]
mod tests;
