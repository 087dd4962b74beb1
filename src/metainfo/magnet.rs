//! Magnet links (BEP 9, BEP 53): [`Magnet`] read from a link, written as one, made of a torrent, and made
//! into a torrent once the info dictionary is fetched.
//!
//! A link may come from any source, so it is read leniently and within bounds: unusable parts are left out,
//! and only a link that names no torrent is refused.
//!
//! Invariant: the parts that were kept can be written and read again, and a name can be joined to a directory
//! and printed.

use std::fmt::{self, Write};
use std::ops::RangeInclusive;

use super::addresses::{MAX_ADDRESSES, is_fetchable, is_host, read_url};
use super::files::MAX_FILES;
use super::torrent::Metainfo;
use super::{build, path};
use crate::digest::sha1;
use crate::error::{Error, ErrorKind, Result};
use crate::id::InfoHash;
use crate::percent;

/// The longest link that is read, in bytes.
pub const MAX_MAGNET: usize = 64 << 10;

/// What a magnet link says. A plain value: make one with [`Magnet::new`] or [`Magnet::parse`], change
/// what is to be changed, and print it.
///
/// ```
/// use bitwren::Magnet;
///
/// let mut magnet: Magnet = "magnet:?xt=urn:btih:AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQT&dn=a+b".parse()?;
/// magnet.peers.push(("192.0.2.7".to_owned(), 6881));
/// let hash = "000102030405060708090a0b0c0d0e0f10111213";
/// assert_eq!(magnet.to_string(), format!("magnet:?xt=urn:btih:{hash}&dn=a%20b&x.pe=192.0.2.7:6881"));
/// # Ok::<(), bitwren::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Magnet {
    /// Which torrent (`xt`).
    pub info_hash: InfoHash,
    /// What to call it until its own name is known (`dn`); safe as one component of a path.
    pub name: Option<String>,
    /// Trackers (`tr`), each a tier.
    pub trackers: Vec<String>,
    /// Web seeds (`ws`, BEP 19).
    pub web_seeds: Vec<String>,
    /// Peers to try (`x.pe`): a host name or an address without brackets, and a port.
    pub peers: Vec<(String, u16)>,
    /// DHT nodes to ask (`dht`), in the same form.
    pub nodes: Vec<(String, u16)>,
    /// The files that are meant (`so`, BEP 53), as ranges of their indices: ascending, neither
    /// touching nor overlapping. None at all means every file.
    pub select: Vec<RangeInclusive<u32>>,
}

impl Magnet {
    /// A link that says nothing but which torrent.
    pub fn new(info_hash: InfoHash) -> Self {
        Magnet {
            info_hash,
            name: None,
            trackers: Vec::new(),
            web_seeds: Vec::new(),
            peers: Vec::new(),
            nodes: Vec::new(),
            select: Vec::new(),
        }
    }

    /// Reads a magnet link, or a bare info-hash in 40 hexadecimal or 32 base32 digits.
    ///
    /// # Errors
    /// [`ErrorKind::Magnet`] for what names no torrent, [`ErrorKind::V2Only`] for a link that names
    /// one by its v2 info-hash alone (`btmh`, BEP 52).
    pub fn parse(text: &str) -> Result<Magnet> {
        if let Some(info_hash) = btih(text) {
            return Ok(Magnet::new(info_hash));
        }
        let parameters = query(text).ok_or_else(|| bad("it does not begin with magnet:?"))?;
        if text.len() > MAX_MAGNET {
            return Err(bad(&format!("it is longer than {} KiB", MAX_MAGNET >> 10)));
        }
        let mut read = Reading::default();
        for parameter in parameters.split('&') {
            // As it is copied out of the source of a web page.
            let parameter = parameter.strip_prefix("amp;").unwrap_or(parameter);
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let key = key.to_ascii_lowercase();
            // Names come from forms, where a plus is a space; in an address it is itself.
            if let Some(value) = percent::decode(value, key == "dn") {
                read.take(&key, &value);
            }
        }
        read.finish()
    }

    /// Whether a text is meant as a magnet link or as a bare info-hash, right or wrong.
    pub fn is_meant(text: &str) -> bool {
        text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("magnet:")) || btih(text).is_some()
    }

    /// The magnet link that is all the text of a file, or of an answer to a request for a `.torrent`; none if
    /// it is something else. Not parsed yet.
    pub fn in_text(bytes: &[u8]) -> Option<&str> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii();
        let is_link = bytes.len() <= MAX_MAGNET
            && bytes.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"magnet:"));
        std::str::from_utf8(bytes).ok().filter(|_| is_link)
    }

    /// The indices of the files that are meant, of `files` files; none if that is all of them.
    pub fn selected(&self, files: usize) -> Option<Vec<u32>> {
        let files = u32::try_from(files).unwrap_or(u32::MAX);
        let indices = self.select.iter().cloned().flatten().take_while(|&index| index < files);
        (!self.select.is_empty()).then(|| indices.collect())
    }

    /// The torrent that the link becomes with `info`, an info dictionary as peers hand it out.
    ///
    /// # Errors
    /// [`ErrorKind::Checksum`] if it is not the one the link names; otherwise as [`Metainfo::from_bytes`].
    pub fn with_info(&self, info: &[u8]) -> Result<Metainfo> {
        let not_it = || Error::new(ErrorKind::Checksum, "the metadata is not that of the magnet link");
        if sha1(info) != *self.info_hash.as_bytes() {
            return Err(not_it());
        }
        let tiers: Vec<Vec<String>> = self.trackers.iter().map(|url| vec![url.clone()]).collect();
        let metainfo = Metainfo::from_vec(build::outer(info, &tiers, &self.web_seeds, &self.nodes))?;
        // Bytes after the dictionary would have had their part in the hash.
        if metainfo.info_hash() == self.info_hash { Ok(metainfo) } else { Err(not_it()) }
    }
}

impl From<InfoHash> for Magnet {
    fn from(info_hash: InfoHash) -> Self {
        Magnet::new(info_hash)
    }
}

impl std::str::FromStr for Magnet {
    type Err = Error;

    fn from_str(text: &str) -> Result<Magnet> {
        Magnet::parse(text)
    }
}

impl fmt::Display for Magnet {
    /// The link, all that is not plain ASCII percent-encoded (RFC 3986).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "magnet:?xt=urn:btih:{}", self.info_hash)?;
        let texts = |key: &'static str, values: &'_ [String]| -> Vec<(&str, String)> {
            values.iter().map(|value| (key, value.clone())).collect()
        };
        let name = self.name.iter().map(|name| ("dn", name.clone()));
        for (key, value) in name.chain(texts("tr", &self.trackers)).chain(texts("ws", &self.web_seeds)) {
            write!(f, "&{key}=")?;
            escape(f, &value, b"")?;
        }
        for (key, places) in [("x.pe", &self.peers), ("dht", &self.nodes)] {
            for (host, port) in places {
                // An IPv6 address stands in brackets, and so do other clients write it.
                let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
                write!(f, "&{key}={open}")?;
                escape(f, host, b":")?;
                write!(f, "{close}:{port}")?;
            }
        }
        for (at, range) in self.select.iter().enumerate() {
            f.write_str(if at == 0 { "&so=" } else { "," })?;
            match range.end() {
                end if end == range.start() => write!(f, "{end}")?,
                end => write!(f, "{}-{end}", range.start())?,
            }
        }
        Ok(())
    }
}

impl Metainfo {
    /// The torrent as a magnet link: info-hash, name, trackers and web seeds.
    pub fn magnet(&self) -> Magnet {
        Magnet {
            name: Some(self.name().to_owned()),
            trackers: self.tiers().iter().flatten().cloned().collect(),
            web_seeds: self.web_seeds().to_vec(),
            ..Magnet::new(self.info_hash())
        }
    }

    /// The same as text.
    pub fn magnet_link(&self) -> String {
        self.magnet().to_string()
    }
}

/// The parts of a link read so far.
#[derive(Default)]
struct Reading {
    info_hash: Option<InfoHash>,
    /// An `xt` for BitTorrent that cannot be read; one for v2.
    malformed: bool,
    v2: bool,
    name: Option<String>,
    trackers: Vec<String>,
    web_seeds: Vec<String>,
    peers: Vec<(String, u16)>,
    nodes: Vec<(String, u16)>,
    select: Vec<RangeInclusive<u32>>,
}

impl Reading {
    /// Takes a parameter: a useless one is passed over.
    fn take(&mut self, key: &str, value: &[u8]) {
        // Several of a kind may be numbered: tr.1, tr.2.
        let numbered = |(kind, number): (&str, &str)| {
            (matches!(kind, "xt" | "tr" | "ws") && number.bytes().all(|c| c.is_ascii_digit()))
                .then(|| kind.to_owned())
        };
        let kind = key.split_once('.').and_then(numbered);
        match (kind.as_deref().unwrap_or(key), std::str::from_utf8(value)) {
            ("xt", Ok(topic)) => self.topic(topic),
            ("dn", _) if self.name.is_none() && !value.is_empty() => {
                self.name = Some(path::component(value).into_owned());
            }
            ("tr", Ok(url)) => read_url(url).into_iter().for_each(|url| keep(&mut self.trackers, url)),
            ("ws", Ok(url)) => {
                let url = read_url(url).filter(|url| is_fetchable(url));
                url.into_iter().for_each(|url| keep(&mut self.web_seeds, url));
            }
            ("x.pe", Ok(place)) => place_of(place).into_iter().for_each(|it| keep(&mut self.peers, it)),
            ("dht", Ok(place)) => place_of(place).into_iter().for_each(|it| keep(&mut self.nodes, it)),
            ("so", Ok(files)) => self.select.extend(files.split(',').filter_map(range)),
            _ => {}
        }
    }

    /// Takes an exact topic. The first of several torrents counts.
    fn topic(&mut self, topic: &str) {
        let of = |urn: &str| {
            let (start, rest) = topic.split_at_checked(urn.len())?;
            start.eq_ignore_ascii_case(urn).then_some(rest)
        };
        if let Some(hash) = of("urn:btih:") {
            match btih(hash) {
                Some(info_hash) => _ = self.info_hash.get_or_insert(info_hash),
                None => self.malformed = true,
            }
        } else if let Some(hash) = of("urn:btmh:") {
            // SHA-256 in its multihash form.
            let digits = hash.strip_prefix("1220").unwrap_or_default();
            self.v2 |= digits.len() == 64 && digits.bytes().all(|c| c.is_ascii_hexdigit());
            self.malformed |= !self.v2;
        }
    }

    fn finish(mut self) -> Result<Magnet> {
        let Some(info_hash) = self.info_hash else {
            return Err(match (self.malformed, self.v2) {
                (false, true) => Error::new(
                    ErrorKind::V2Only,
                    "this magnet link is for BitTorrent v2 only (btmh, BEP 52), which is not supported; a v1 or \
                     hybrid link (btih) of the same data is needed",
                ),
                (true, _) => bad("its info-hash is neither 40 hexadecimal nor 32 base32 digits"),
                (false, false) => bad("it has no BitTorrent info-hash (xt=urn:btih:…)"),
            });
        };
        self.select.sort_unstable_by_key(|range| *range.start());
        let mut select: Vec<RangeInclusive<u32>> = Vec::new();
        for range in self.select {
            match select.last_mut() {
                Some(last) if *range.start() <= last.end() + 1 => {
                    *last = *last.start()..=*last.end().max(range.end());
                }
                _ => select.push(range),
            }
        }
        let Reading { name, trackers, web_seeds, peers, nodes, .. } = self;
        Ok(Magnet { info_hash, name, trackers, web_seeds, peers, nodes, select })
    }
}

fn bad(why: &str) -> Error {
    Error::new(ErrorKind::Magnet, format!("not a usable magnet link: {why}"))
}

/// What follows `magnet:?`; some write `magnet:///?`.
fn query(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_at_checked(7)?;
    let query = rest.strip_prefix("///").unwrap_or(rest).strip_prefix('?')?;
    scheme.eq_ignore_ascii_case("magnet:").then_some(query)
}

/// An info-hash in hexadecimal or base32 (RFC 4648), in either case.
fn btih(digits: &str) -> Option<InfoHash> {
    match digits.len() {
        40 => InfoHash::from_hex(digits).ok(),
        32 => {
            let mut hash = [0; 20];
            for (five, eight) in hash.chunks_exact_mut(5).zip(digits.as_bytes().chunks_exact(8)) {
                let bits = eight.iter().try_fold(0u64, |bits, digit| {
                    let value = match digit.to_ascii_uppercase() {
                        letter @ b'A'..=b'Z' => letter - b'A',
                        digit @ b'2'..=b'7' => digit - b'2' + 26,
                        _ => return None,
                    };
                    Some(bits << 5 | u64::from(value))
                })?;
                five.copy_from_slice(bits.to_be_bytes().last_chunk::<5>()?);
            }
            Some(InfoHash::from_bytes(hash))
        }
        _ => None,
    }
}

/// Percent-encodes everything that is not unreserved (RFC 3986), nor `spared`.
fn escape(out: &mut impl Write, text: &str, spared: &[u8]) -> fmt::Result {
    text.bytes().try_for_each(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.write_char(byte.into()),
        byte if spared.contains(&byte) => out.write_char(byte.into()),
        _ => write!(out, "%{byte:02X}"),
    })
}

/// Keeps each address once, up to a bound.
fn keep<T: PartialEq>(kept: &mut Vec<T>, address: T) {
    if kept.len() < MAX_ADDRESSES && !kept.contains(&address) {
        kept.push(address);
    }
}

/// A host and a port: `name:port`, `address:port`, or an IPv6 address in brackets and a port.
fn place_of(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|&port| port > 0)?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = match bare {
        Some(address) if address.contains(':') => address,
        None if !host.contains(['[', ']', ':']) => host,
        _ => return None,
    };
    is_host(host).then(|| (host.to_owned(), port))
}

/// `8` or `6-8`; nothing for what no torrent can have.
fn range(text: &str) -> Option<RangeInclusive<u32>> {
    let index = |text: &str| {
        let digits = text.bytes().all(|c| c.is_ascii_digit());
        text.parse().ok().filter(|&index: &u32| digits && (index as usize) < MAX_FILES)
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (index(first)?, index(last)?);
    (first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests;
