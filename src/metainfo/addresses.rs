//! Addresses in a torrent: trackers in tiers (BEP 12), web seeds (BEP 19), DHT nodes (BEP 5).
//!
//! A malformed address is dropped with a warning, and never fails the torrent.
//!
//! Invariant: each list holds at most [`MAX_ADDRESSES`], each address once.

use std::collections::HashSet;

use super::warnings::{Warnings, quoted};
use crate::bencode::Value;

/// The most trackers, web seeds and nodes of one torrent that are kept, each.
pub const MAX_ADDRESSES: usize = 1000;

/// The longest URL that is kept, in bytes.
const MAX_URL: usize = 4096;

/// The tiers of trackers: those of `announce-list`, or `announce` if that is absent or has none.
pub(super) fn tiers(
    announce_list: Option<Value<'_>>,
    announce: Option<Value<'_>>,
    warnings: &mut Warnings,
) -> Vec<Vec<String>> {
    let mut urls = Urls::new("tracker");
    let mut tiers = Vec::new();
    match announce_list.map(Value::list) {
        Some(Some(list)) => {
            for tier in list {
                let urls: Vec<String> = match tier.list() {
                    Some(tier) => tier.filter_map(|url| urls.take(url, warnings)).collect(),
                    // A list of addresses instead of a list of lists: each is a tier.
                    None => urls.take(tier, warnings).into_iter().collect(),
                };
                tiers.push(urls);
            }
        }
        Some(None) => warnings.add(|| "the announce-list is not a list; it is ignored".to_owned()),
        None => {}
    }
    tiers.retain(|tier| !tier.is_empty());
    if tiers.is_empty() {
        tiers.extend(announce.and_then(|url| urls.take(url, warnings)).map(|url| vec![url]));
    }
    urls.finish(warnings);
    tiers
}

/// The web seeds of `url-list`, which is a string or a list of strings. In a torrent of several files they
/// name a directory, and get the `/` that some leave out; with one file, listed or not, the file itself.
pub(super) fn web_seeds(
    url_list: Option<Value<'_>>,
    several_files: bool,
    warnings: &mut Warnings,
) -> Vec<String> {
    let mut urls = Urls::new("web seed");
    let mut seeds: Vec<String> = match url_list {
        None => Vec::new(),
        Some(value) => match value.list() {
            Some(list) => list.filter_map(|url| urls.take(url, warnings)).collect(),
            None => urls.take(value, warnings).into_iter().collect(),
        },
    };
    seeds.retain(|url| {
        let fetchable = is_fetchable(url);
        if !fetchable {
            warnings.add(|| {
                format!("the web seed {} is neither HTTP nor FTP; it is left out", quoted(url.as_bytes()))
            });
        }
        fetchable
    });
    if several_files {
        seeds.iter_mut().filter(|url| !url.ends_with('/')).for_each(|url| url.push('/'));
        // Two that differed in that alone are one now, and the longest may have become too long.
        let mut seen = HashSet::new();
        seeds.retain(|url| url.len() <= MAX_URL && seen.insert(url.clone()));
    }
    urls.finish(warnings);
    seeds
}

/// The DHT nodes of `nodes`: a list of lists of a host and a port.
pub(super) fn nodes(nodes: Option<Value<'_>>, warnings: &mut Warnings) -> Vec<(String, u16)> {
    let Some(nodes) = nodes else { return Vec::new() };
    let Some(list) = nodes.list() else {
        warnings.add(|| "the nodes are not a list; they are ignored".to_owned());
        return Vec::new();
    };
    let mut seen = HashSet::new();
    let mut kept = Vec::new();
    let mut dropped = 0;
    for entry in list {
        match node(entry) {
            Some(node) if kept.len() < MAX_ADDRESSES => {
                if seen.insert(node) {
                    kept.push((node.0.to_owned(), node.1));
                }
            }
            _ => dropped += 1,
        }
    }
    if dropped > 0 {
        warnings.add(|| {
            format!(
                "{dropped} nodes have not the form of a host and a port, or are too many; they are left out"
            )
        });
    }
    kept
}

fn node(entry: Value<'_>) -> Option<(&str, u16)> {
    let mut parts = entry.list()?;
    let host = parts.next()?.as_str()?;
    let port = u16::try_from(parts.next()?.as_int()?).ok()?;
    (is_host(host) && port > 0).then_some((host, port))
}

/// Whether a text has the form of a host: a name or an address.
pub(super) fn is_host(host: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%' | '[' | ']');
    !host.is_empty() && host.len() <= 255 && host.chars().all(plain)
}

/// Whether data could be fetched from a URL as from a web seed.
pub(super) fn is_fetchable(url: &str) -> bool {
    let is = |scheme: &&str| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    ["http://", "https://", "ftp://"].iter().any(is)
}

/// Takes URLs out of a torrent: each once, up to a bound.
struct Urls {
    what: &'static str,
    seen: HashSet<String>,
    too_many: usize,
}

impl Urls {
    fn new(what: &'static str) -> Self {
        Urls { what, seen: HashSet::new(), too_many: 0 }
    }

    /// The URL that `value` is. White space around it is dropped; an empty string is nothing.
    fn take(&mut self, value: Value<'_>, warnings: &mut Warnings) -> Option<String> {
        let what = self.what;
        let Some(bytes) = value.as_bytes() else {
            warnings.add(|| format!("a {what} is not a string; it is left out"));
            return None;
        };
        let trimmed = bytes.trim_ascii();
        if trimmed.is_empty() {
            return None;
        }
        let Some(url) = std::str::from_utf8(trimmed).ok().and_then(read_url) else {
            warnings.add(|| format!("the {what} {} is not a URL; it is left out", quoted(bytes)));
            return None;
        };
        if trimmed.len() < bytes.len() {
            warnings.add(|| format!("the {what} {} has white space around it", quoted(bytes)));
        }
        if self.seen.len() >= MAX_ADDRESSES {
            self.too_many += 1;
            return None;
        }
        self.seen.insert(url.clone()).then_some(url)
    }

    fn finish(self, warnings: &mut Warnings) {
        let Urls { what, too_many, .. } = self;
        if too_many > 0 {
            warnings.add(|| format!("{too_many} {what}s past the first {MAX_ADDRESSES} are left out"));
        }
    }
}

/// A URL as it stands in a torrent or a link: white space around it is dropped, and spaces after the host,
/// which some programs leave as they are, are escaped. None if it is no URL.
pub(super) fn read_url(text: &str) -> Option<String> {
    let text = text.trim();
    let host = text.find("://")? + 3;
    let path = text.get(host..)?.find(['/', '?']).map_or(text.len(), |at| host + at);
    let (head, path) = text.split_at(path);
    let url = format!("{head}{}", path.replace(' ', "%20"));
    is_url(&url).then_some(url)
}

/// Whether a string has the form of a URL with a host: a scheme, `://`, and then something, with
/// neither white space nor control characters.
pub(super) fn is_url(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    url.len() <= MAX_URL
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
        && !rest.starts_with(['/', '?', '#'])
        && !rest.is_empty()
        && !url.contains(|c: char| c.is_whitespace() || c.is_control())
}
