//! Local service discovery (BEP 14): the datagram that tells a local network which torrents its sender has.
//!
//! A few HTTP-like lines: the port it listens on, a line for each info-hash, and a cookie by which a sender
//! knows its own. Its address is the datagram's source. Reading is lenient, as other clients' writing is: any
//! case, any order, bare line feeds, unknown lines.
//!
//! Invariant: an announce that was read has a port other than 0 and 1 to [`MAX_HASHES`] info-hashes, each
//! once.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::id::InfoHash;

/// The IPv4 group announced to.
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(239, 192, 152, 143);

/// The IPv6 group announced to: site-local scope.
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0xefc0, 0x988f);

/// The UDP port of both.
pub const PORT: u16 = 6771;

/// Most bytes of a datagram, so that no network has to cut it up.
pub const MAX_BYTES: usize = 1400;

/// Info-hashes that fit one datagram beside everything else, 52 bytes each.
pub const MAX_HASHES: usize = 24;

/// Bytes of a cookie that are looked at.
const MAX_COOKIE_BYTES: usize = 64;

/// One announce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announce {
    /// Where the sender listens for peers.
    pub port: u16,
    /// The torrents it has, at most [`MAX_HASHES`].
    pub info_hashes: Vec<InfoHash>,
    /// The cookie by which the sender knows its own announces, if any.
    pub cookie: Option<String>,
}

impl Announce {
    /// The datagram for the IPv4 group, or for the IPv6 one. Info-hashes past [`MAX_HASHES`] are
    /// left out.
    pub fn encode(&self, ipv6: bool) -> Vec<u8> {
        let host = if ipv6 { format!("[{GROUP_V6}]") } else { GROUP_V4.to_string() };
        let mut text = format!("BT-SEARCH * HTTP/1.1\r\nHost: {host}:{PORT}\r\nPort: {}\r\n", self.port);
        // Writing to a string cannot fail.
        for info_hash in self.info_hashes.iter().take(MAX_HASHES) {
            let _ = write!(text, "Infohash: {info_hash}\r\n");
        }
        if let Some(cookie) = &self.cookie {
            let _ = write!(text, "cookie: {cookie}\r\n");
        }
        text.push_str("\r\n\r\n");
        text.into_bytes()
    }

    /// Reads a datagram. None if it is no announce, or has no port or torrent.
    pub fn decode(datagram: &[u8]) -> Option<Announce> {
        let mut lines = datagram.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
        let mut request = lines.next()?.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
        if !request.next()?.eq_ignore_ascii_case(b"BT-SEARCH") {
            return None;
        }
        let mut announce = Announce { port: 0, info_hashes: Vec::new(), cookie: None };
        for line in lines {
            let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
            let (name, value) = line.split_at(colon);
            let Ok(value) = std::str::from_utf8(value.get(1..).unwrap_or_default().trim_ascii()) else {
                continue;
            };
            match name.trim_ascii().to_ascii_lowercase().as_slice() {
                b"port" => announce.port = value.parse().unwrap_or(0),
                b"infohash" => announce.note(value),
                b"cookie" => {
                    let cookie: String = value.chars().take(MAX_COOKIE_BYTES).collect();
                    announce.cookie = Some(cookie.trim_ascii_end().to_owned());
                }
                _ => {}
            }
        }
        (announce.port != 0 && !announce.info_hashes.is_empty()).then_some(announce)
    }

    /// Takes one info-hash in; one that is none costs only itself.
    fn note(&mut self, hex: &str) {
        let Ok(info_hash) = InfoHash::from_hex(hex) else { return };
        if self.info_hashes.len() < MAX_HASHES && !self.info_hashes.contains(&info_hash) {
            self.info_hashes.push(info_hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(byte: u8) -> InfoHash {
        InfoHash::from_bytes([byte; 20])
    }

    #[test]
    fn what_is_written_is_read_again() {
        for count in [1, 5, MAX_HASHES] {
            for cookie in [None, Some("c00c1e".to_owned())] {
                let info_hashes = (0..count).map(|n| hash(n as u8)).collect();
                let announce = Announce { port: 65_535, info_hashes, cookie };
                for ipv6 in [false, true] {
                    let datagram = announce.encode(ipv6);
                    assert!(datagram.len() <= MAX_BYTES, "{} bytes", datagram.len());
                    assert_eq!(Announce::decode(&datagram).as_ref(), Some(&announce));
                }
            }
        }
    }

    #[test]
    fn it_is_written_as_the_bep_has_it() {
        let announce = Announce { port: 6881, info_hashes: vec![hash(0xab)], cookie: Some("me".into()) };
        let hex = "ab".repeat(20);
        for (ipv6, host) in [(false, "239.192.152.143:6771"), (true, "[ff15::efc0:988f]:6771")] {
            let want = format!(
                "BT-SEARCH * HTTP/1.1\r\nHost: {host}\r\nPort: 6881\r\nInfohash: {hex}\r\ncookie: me\r\n\r\n\r\n"
            );
            assert_eq!(String::from_utf8(announce.encode(ipv6)).unwrap(), want);
        }
    }

    #[test]
    fn sloppy_writing_is_read_and_nonsense_is_not() {
        let hex = "AB".repeat(20);
        let read = |text: &str| Announce::decode(text.as_bytes());
        let sloppy =
            format!("bt-search * http/1.0\nX: y\nINFOHASH:{hex}\ninfohash : {hex}\nport:  7 \nInfohash: 12");
        assert_eq!(read(&sloppy), Some(Announce { port: 7, info_hashes: vec![hash(0xab)], cookie: None }));
        for (sin, text) in [
            ("nothing", String::new()),
            ("another request", format!("M-SEARCH * HTTP/1.1\r\nPort: 7\r\nInfohash: {hex}\r\n\r\n")),
            ("no port", format!("BT-SEARCH * HTTP/1.1\r\nInfohash: {hex}\r\n\r\n")),
            ("port 0", format!("BT-SEARCH * HTTP/1.1\r\nPort: 0\r\nInfohash: {hex}\r\n\r\n")),
            ("port too large", format!("BT-SEARCH * HTTP/1.1\r\nPort: 65536\r\nInfohash: {hex}\r\n\r\n")),
            ("no info-hash", "BT-SEARCH * HTTP/1.1\r\nPort: 7\r\n\r\n".into()),
            (
                "a bad info-hash",
                format!("BT-SEARCH * HTTP/1.1\r\nPort: 7\r\nInfohash: {}g\r\n\r\n", &hex[1..]),
            ),
        ] {
            assert_eq!(read(&text), None, "{sin}");
        }
    }

    #[test]
    fn a_greedy_sender_gets_no_more_than_the_bound() {
        let mut text = String::from("BT-SEARCH * HTTP/1.1\r\nPort: 7\r\n");
        for n in 0..1000 {
            text += &format!("Infohash: {n:040x}\r\n");
        }
        text += &format!("cookie: {}\r\n\r\n", "x".repeat(5000));
        let announce = Announce::decode(text.as_bytes()).unwrap();
        assert_eq!(announce.info_hashes.len(), MAX_HASHES);
        assert_eq!(announce.cookie.unwrap().len(), MAX_COOKIE_BYTES);
    }

    #[test]
    fn any_bytes_are_survived() {
        let whole = Announce { port: 6881, info_hashes: vec![hash(1), hash(2)], cookie: Some("c".into()) };
        let whole = whole.encode(false);
        let mut random = crate::random::Random::seeded(14);
        for _ in 0..20_000 {
            let mut bytes = whole.clone();
            for _ in 0..random.below(6) {
                let at = random.below(bytes.len() as u64) as usize;
                bytes[at] = random.next_u64() as u8;
            }
            bytes.truncate(random.below(bytes.len() as u64 + 1) as usize);
            if let Some(read) = Announce::decode(&bytes) {
                assert!(read.port != 0 && (1..=2).contains(&read.info_hashes.len()));
            }
        }
    }

    /// A reader would lose a space at the end of a cut cookie.
    #[test]
    fn a_long_cookie_is_cut_and_reads_the_same_again() {
        let hash = "ab".repeat(20);
        let long = format!("{} {}", "c".repeat(MAX_COOKIE_BYTES - 1), "d".repeat(9));
        let text = format!("BT-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: {hash}\r\ncookie: {long}\r\n\r\n");
        let announce = Announce::decode(text.as_bytes()).unwrap();
        assert_eq!(announce.cookie.as_deref(), Some(&*"c".repeat(MAX_COOKIE_BYTES - 1)));
        assert_eq!(Announce::decode(&announce.encode(false)), Some(announce));
    }
}
