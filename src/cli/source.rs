//! Where a torrent comes from: a path, a URL, standard input, or a magnet link.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bitwren::{Error, ErrorKind, InfoHash, Magnet, Metainfo};

use super::exit::{Code, Failure};

/// The longest `.torrent` that is read: 128 MiB.
const LONGEST: u64 = 128 << 20;

/// A torrent, as a word of the command line names it.
#[derive(Debug, Clone)]
pub enum Named {
    /// With everything there is to know.
    Torrent(Arc<Metainfo>),
    /// By its info-hash: the rest is for peers to tell.
    Magnet(Magnet),
}

impl Named {
    /// What the torrent is called, as far as is known.
    pub fn name(&self) -> String {
        match self {
            Named::Torrent(metainfo) => metainfo.name().to_owned(),
            Named::Magnet(magnet) => magnet.name.clone().unwrap_or_else(|| magnet.info_hash.to_string()),
        }
    }

    /// Which torrent it is.
    pub fn info_hash(&self) -> InfoHash {
        match self {
            Named::Torrent(metainfo) => metainfo.info_hash(),
            Named::Magnet(magnet) => magnet.info_hash,
        }
    }
}

/// Reads what a word of the command line names, what is on the web from the address `bind`. Errors name the
/// word.
pub fn name(word: &OsStr, bind: Option<IpAddr>) -> Result<Named, Failure> {
    let text = word.to_string_lossy();
    let text = text.trim();
    // A file may be called anything, and comes first.
    if Magnet::is_meant(text) && !Path::new(word).exists() {
        // Whatever is wrong with a link is wrong with the link: a v2-only one has its code too.
        let link = Magnet::parse(text).map_err(|error| Failure::new(Code::MAGNET, error));
        return Ok(Named::Magnet(link?));
    }
    load(word, bind).map(Named::Torrent)
}

/// Reads the torrent that a word of the command line names, which has to be a whole one.
pub fn load(word: &OsStr, bind: Option<IpAddr>) -> Result<Arc<Metainfo>, Failure> {
    let named = |error: Error| {
        Failure::new(Code::of(error.kind()), format_args!("{}: {error}", word.to_string_lossy()))
    };
    let bytes = read(word, bind)?;
    Metainfo::from_vec(bytes).map(Arc::new).map_err(named)
}

/// The bytes that a word of the command line names.
pub fn read(word: &OsStr, bind: Option<IpAddr>) -> Result<Vec<u8>, Failure> {
    if word == "-" {
        return capped(std::io::stdin().lock(), Path::new("standard input"));
    }
    let text = word.to_string_lossy();
    if is_web(&text) {
        return Ok(bitwren::fetch_torrent(&text, bind)?);
    }
    let path = PathBuf::from(word);
    if Magnet::is_meant(text.trim()) && !path.exists() {
        let why = "a .torrent file is needed here; bitwren get --metadata-only makes one of a magnet link";
        return Err(Error::new(ErrorKind::Magnet, why).into());
    }
    let file = File::open(&path).map_err(|error| Failure::file(Code::FILE_OPEN, "open", &path, &error))?;
    capped(file, &path)
}

/// Whether a word is the URL of something on the web.
pub fn is_web(word: &str) -> bool {
    let scheme = word.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https"))
}

fn capped(from: impl Read, path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = from.take(LONGEST + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::file(Code::FILE_IO, "read", path, &error))?;
    if bytes.len() as u64 > LONGEST {
        let why = format!("{}: longer than any .torrent, {} MiB", path.display(), LONGEST >> 20);
        return Err(Failure::new(Code::TORRENT, why));
    }
    Ok(bytes)
}

/// The files of a torrent that are stored, as lists and selections number them: the index of each
/// in the torrent, and its path for people.
pub fn stored(metainfo: &Metainfo) -> Vec<(u32, String)> {
    let files = metainfo.files().iter().zip(0..);
    let stored = files.filter(|(file, _)| file.is_stored());
    stored.map(|(file, index)| (index, file.path.to_string_lossy().into_owned())).collect()
}

/// The files of a link's torrent that are wanted: those that `--select` means, or else the link.
pub fn chosen(
    metainfo: &Metainfo,
    patterns: &[String],
    magnet: &Magnet,
) -> Result<Option<Vec<u32>>, Failure> {
    let meant = || magnet.selected(metainfo.files().len()).filter(|files| !files.is_empty());
    Ok(selected(metainfo, patterns)?.or_else(meant))
}

/// The files that `--select` means, as indices in the torrent, ascending; nothing where it was not given.
pub fn selected(metainfo: &Metainfo, patterns: &[String]) -> Result<Option<Vec<u32>>, Failure> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let (indices, paths): (Vec<u32>, Vec<String>) = stored(metainfo).into_iter().unzip();
    let chosen = super::select::select(patterns, &paths)
        .map_err(|why| Failure::usage(format_args!("--select, in {}: {why}", metainfo.name())))?;
    Ok(Some(chosen.into_iter().filter_map(|at| indices.get(at).copied()).collect()))
}
