//! Magnet links (BEP 9, BEP 53), the writing side.

use std::fmt::Write;

use super::Metainfo;

impl Metainfo {
    /// The torrent as a magnet link: info-hash, name, trackers and web seeds, all that is not plain
    /// ASCII percent-encoded (RFC 3986).
    pub fn magnet_link(&self) -> String {
        let mut link = self.bare_magnet_link();
        self.tiers().iter().flatten().for_each(|url| parameter(&mut link, "tr", url));
        self.web_seeds().iter().for_each(|url| parameter(&mut link, "ws", url));
        link
    }

    /// The same with info-hash and name alone.
    pub fn bare_magnet_link(&self) -> String {
        let mut link = format!("magnet:?xt=urn:btih:{}", self.info_hash());
        parameter(&mut link, "dn", self.name());
        link
    }
}

/// Adds `&key=value`.
fn parameter(link: &mut String, key: &str, value: &str) {
    link.push('&');
    link.push_str(key);
    link.push('=');
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                link.push(char::from(byte))
            }
            // Writing to a string cannot fail.
            _ => _ = write!(link, "%{byte:02X}"),
        }
    }
}
