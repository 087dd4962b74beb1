//! Reads a torrent from a path, a URL or standard input, or a magnet link, which may also be what a file or
//! a URL holds.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bitwren::internals::tracker::url::unescape;
use bitwren::{Config, Error, ErrorKind, Fetched, InfoHash, Magnet, Metainfo};

use crate::cli::exit::{Code, Failure};

/// The largest `.torrent` that is read: 128 MiB.
const MAX_TORRENT_FILE: u64 = 128 << 20;

/// A torrent as an operand names it.
#[derive(Debug, Clone)]
pub enum TorrentSource {
    /// With its metainfo.
    Torrent(Arc<Metainfo>),
    /// By its info-hash: its metadata comes from peers.
    Magnet(Magnet),
}

impl TorrentSource {
    /// What the torrent is called, as far as is known.
    pub fn name(&self) -> String {
        match self {
            TorrentSource::Torrent(metainfo) => metainfo.name().to_owned(),
            TorrentSource::Magnet(magnet) => {
                magnet.name.clone().unwrap_or_else(|| magnet.info_hash.to_string())
            }
        }
    }

    /// Which torrent it is.
    pub fn info_hash(&self) -> InfoHash {
        match self {
            TorrentSource::Torrent(metainfo) => metainfo.info_hash(),
            TorrentSource::Magnet(magnet) => magnet.info_hash,
        }
    }
}

/// What a word of the command line leads to.
enum Found {
    Bytes(Vec<u8>),
    /// The text of a magnet link, or an info-hash.
    Link(String),
    Magnet(Magnet),
}

/// Reads the torrent or the link that a word of the command line names; from the web, as the settings of
/// `network` say. Errors name the word.
pub fn read_source(word: &OsStr, network: &Config) -> Result<TorrentSource, Failure> {
    match find(word, network)? {
        Found::Bytes(bytes) => metainfo(word, bytes).map(TorrentSource::Torrent),
        Found::Magnet(magnet) => Ok(TorrentSource::Magnet(magnet)),
        // Every failure of a link has the exit code of links, also that of a v2-only one.
        Found::Link(text) => {
            let link = Magnet::parse(&text).map_err(|error| Failure::new(Code::MAGNET, error));
            Ok(TorrentSource::Magnet(link?))
        }
    }
}

/// Reads the torrent that a word of the command line names, which has to be a whole one.
pub fn load(word: &OsStr, network: &Config) -> Result<Arc<Metainfo>, Failure> {
    metainfo(word, read(word, network)?)
}

/// The bytes that a word of the command line names.
pub fn read(word: &OsStr, network: &Config) -> Result<Vec<u8>, Failure> {
    match find(word, network)? {
        Found::Bytes(bytes) => Ok(bytes),
        Found::Link(_) | Found::Magnet(_) => {
            let why = "a .torrent file is needed; bitwren get --metadata-only makes one from a magnet link";
            Err(Error::new(ErrorKind::Magnet, why).into())
        }
    }
}

fn metainfo(word: &OsStr, bytes: Vec<u8>) -> Result<Arc<Metainfo>, Failure> {
    let named = |error: Error| {
        Failure::new(Code::of(error.kind()), format_args!("{}: {error}", word.to_string_lossy()))
    };
    Metainfo::from_vec(bytes).map(Arc::new).map_err(named)
}

/// Looks for what a word of the command line names.
fn find(word: &OsStr, network: &Config) -> Result<Found, Failure> {
    let whole = |bytes: Vec<u8>| match Magnet::in_text(&bytes) {
        Some(text) => Found::Link(text.to_owned()),
        None => Found::Bytes(bytes),
    };
    if word == "-" {
        return capped(std::io::stdin().lock(), Path::new("standard input")).map(whole);
    }
    let text = word.to_string_lossy();
    if is_web(&text) {
        return Ok(match bitwren::fetch_torrent(&text, network)? {
            Fetched::Torrent(bytes) => Found::Bytes(bytes),
            Fetched::Magnet(magnet) => Found::Magnet(magnet),
            _ => return Err(Failure::usage("the URL leads to neither a .torrent nor a magnet link")),
        });
    }
    let path = path(word);
    // A file may be called anything, and comes first.
    if !path.exists() {
        let text = text.trim();
        if Magnet::is_meant(text) {
            return Ok(Found::Link(text.to_owned()));
        }
        if let Some(why) = misunderstood(text) {
            return Err(Failure::usage(why));
        }
    }
    if path.is_dir() {
        let why = format_args!(
            "{0} is a directory; give its .torrent (bitwren create {0} makes one), or use bitwren share {0}",
            path.display()
        );
        return Err(Failure::new(Code::FILE_OPEN, why));
    }
    let file = File::open(&path).map_err(|error| Failure::file(Code::FILE_OPEN, "open", &path, &error))?;
    capped(file, &path).map(whole)
}

/// What is wrong with a word that is no file, if the word itself shows it.
fn misunderstood(word: &str) -> Option<String> {
    if let Some(scheme) = scheme(word) {
        return Some(match scheme.as_str() {
            "file" => format!("{word}: a file URL must name a file on this machine: file:///path"),
            _ => format!(
                "{word}: {scheme}:// is not supported; give an http or https URL, or download it first"
            ),
        });
    }
    let digits = word.len();
    let hex = (30..=70).contains(&digits) && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex.then(|| match digits {
        64 => {
            format!("{word}: 64 hexadecimal digits are the info-hash of a v2 torrent, which is not supported")
        }
        _ => format!("{word}: {digits} hexadecimal digits; an info-hash has 40"),
    })
}

/// The file that a word names, as a path or as a file URL.
pub fn path(word: &OsStr) -> PathBuf {
    let text = word.to_string_lossy();
    let url = text.split_once("://").filter(|(scheme, _)| scheme.eq_ignore_ascii_case("file"));
    let local = url.map(|(_, rest)| rest.strip_prefix("localhost").unwrap_or(rest));
    match local.filter(|rest| rest.starts_with('/') && !Path::new(word).exists()) {
        Some(path) => OsString::from_vec(unescape(path.as_bytes())).into(),
        None => word.into(),
    }
}

/// Whether a word is the URL of something on the web.
pub fn is_web(word: &str) -> bool {
    matches!(scheme(word).as_deref(), Some("http" | "https"))
}

/// The scheme of a URL in small letters; `None` if the word is no URL.
fn scheme(word: &str) -> Option<String> {
    let (scheme, _) = word.split_once("://")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(plain);
    named.then(|| scheme.to_ascii_lowercase())
}

fn capped(from: impl Read, path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = from.take(MAX_TORRENT_FILE + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::file(Code::FILE_IO, "read", path, &error))?;
    if bytes.len() as u64 > MAX_TORRENT_FILE {
        let why = format!(
            "{}: too large for a .torrent; the limit is {} MiB",
            path.display(),
            MAX_TORRENT_FILE >> 20
        );
        return Err(Failure::new(Code::TORRENT, why));
    }
    Ok(bytes)
}

/// The files of a torrent that are stored, as lists and selections number them: the index of each
/// in the torrent, and its path for people.
pub fn stored(metainfo: &Metainfo) -> Vec<(u32, String)> {
    let files = metainfo.files().iter().zip(0..);
    let stored = files.filter(|(file, _)| file.is_stored());
    stored.map(|(file, index)| (index, file.path().to_string_lossy().into_owned())).collect()
}

/// The files of a magnet link's torrent that are wanted: by `--select`, or else by the link.
pub fn chosen(
    metainfo: &Metainfo,
    patterns: &[String],
    magnet: &Magnet,
) -> Result<Option<Vec<u32>>, Failure> {
    let meant = || magnet.selected(metainfo.files().len()).filter(|files| !files.is_empty());
    Ok(selected(metainfo, patterns)?.or_else(meant))
}

/// The files that `--select` selects, as indices in the torrent, ascending; `None` if it was not given.
pub fn selected(metainfo: &Metainfo, patterns: &[String]) -> Result<Option<Vec<u32>>, Failure> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let (indices, paths): (Vec<u32>, Vec<String>) = stored(metainfo).into_iter().unzip();
    let chosen = crate::cli::files::select::select(patterns, &paths)
        .map_err(|why| Failure::usage(format_args!("--select, in {}: {why}", metainfo.name())))?;
    Ok(Some(chosen.into_iter().filter_map(|at| indices.get(at).copied()).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_url_names_a_file_of_this_machine() {
        let at = |word: &str| path(OsStr::new(word)).to_str().unwrap().to_owned();
        assert_eq!(at("file:///a/b%20c%2Fd+.torrent"), "/a/b c/d+.torrent");
        assert_eq!(at("FILE://localhost/a"), "/a");
        for other in ["file://host/a", "file:a", "a/file:///b", "http://a/b"] {
            assert_eq!(at(other), other);
        }
    }

    #[test]
    fn a_word_that_is_no_file_is_told_for_what_it_is() {
        let said = |word: &str| misunderstood(word).unwrap_or_default();
        assert!(said("ftp://a/x.torrent").contains("ftp:// is not supported"));
        assert!(said("file://host/x").contains("file:///path"));
        assert!(said(&"a1".repeat(20)[1..]).contains("39 hexadecimal digits; an info-hash has 40"));
        assert!(said(&"0".repeat(64)).contains("v2 torrent"));
        for other in ["debian.torrent", "a:b", "deadbeef", "://x", "dir/a://b"] {
            assert_eq!(said(other), "", "{other}");
        }
    }
}
