//! What a torrent is, as clients are told: from its metainfo or its link, and from what was renamed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::daemon::record::TorrentRecord;
use crate::daemon::view::{FileFacts, TorrentFacts, Tracker};
use crate::{InfoHash, Magnet, Metainfo};

/// The facts of a torrent; `torrent_file` is where its `.torrent` is kept.
pub fn facts(
    hash: InfoHash,
    record: &TorrentRecord,
    metainfo: Option<&Metainfo>,
    torrent_file: &Path,
) -> Arc<TorrentFacts> {
    Arc::new(match metainfo {
        Some(metainfo) => {
            let pieces = metainfo.pieces();
            let files = metainfo.files().iter().zip(0u32..).map(|(file, index)| {
                let covered = match file.length {
                    0 => {
                        let piece = (file.offset / u64::from(pieces.piece_length())) as u32;
                        piece..piece
                    }
                    length => pieces.covering(file.offset..file.offset + length),
                };
                FileFacts {
                    path: path_of(metainfo, &record.paths, index),
                    length: file.length,
                    first_piece: covered.start,
                    end_piece: covered.end,
                }
            });
            TorrentFacts {
                info_hash: hash,
                name: record.name.clone().unwrap_or_else(|| metainfo.name().to_owned()),
                comment: metainfo.comment().unwrap_or_default().to_owned(),
                creator: metainfo.created_by().unwrap_or_default().to_owned(),
                source: metainfo.source().unwrap_or_default().to_owned(),
                created: metainfo.creation_date().and_then(|date| date.try_into().ok()).unwrap_or(0),
                is_private: metainfo.is_private(),
                size: pieces.total(),
                piece_count: pieces.count(),
                piece_length: pieces.piece_length(),
                files: files.collect(),
                web_seeds: metainfo.web_seeds().to_vec(),
                torrent_file: torrent_file.to_string_lossy().into_owned(),
            }
        }
        None => {
            let link = record.magnet.as_deref().and_then(|link| Magnet::parse(link).ok());
            let named = link.as_ref().and_then(|link| link.name.clone());
            TorrentFacts {
                info_hash: hash,
                name: record.name.clone().or(named).unwrap_or_else(|| hash.to_string()),
                comment: String::new(),
                creator: String::new(),
                source: String::new(),
                created: 0,
                is_private: false,
                size: 0,
                piece_count: 0,
                piece_length: 0,
                files: Vec::new(),
                web_seeds: link.map(|link| link.web_seeds).unwrap_or_default(),
                torrent_file: String::new(),
            }
        }
    })
}

/// The path of a file below the download directory, after renaming.
pub fn path_of(metainfo: &Metainfo, renamed: &BTreeMap<u32, String>, index: u32) -> String {
    renamed.get(&index).cloned().unwrap_or_else(|| {
        let given = metainfo.files().get(index as usize).map(|file| file.path());
        given.unwrap_or_default().to_string_lossy().into_owned()
    })
}

/// The paths of the files that are stored, below the download directory.
pub fn stored_paths(metainfo: &Metainfo, renamed: &BTreeMap<u32, String>) -> Vec<PathBuf> {
    let stored = metainfo.files().iter().zip(0u32..).filter(|(file, _)| file.is_stored());
    stored.map(|(_, index)| PathBuf::from(path_of(metainfo, renamed, index))).collect()
}

/// The trackers of a torrent, numbered from 0.
pub fn trackers(metainfo: &Metainfo) -> Vec<Tracker> {
    let tiers = metainfo.tiers().iter().zip(0u32..);
    number(tiers.flat_map(|(urls, tier)| urls.iter().map(move |url| (url.clone(), tier))))
}

/// The trackers of a link, each a tier.
pub fn trackers_of_link(link: &Magnet) -> Vec<Tracker> {
    number(link.trackers.iter().cloned().zip(0u32..))
}

fn number(trackers: impl Iterator<Item = (String, u32)>) -> Vec<Tracker> {
    trackers.zip(0u32..).map(|((announce, tier), id)| Tracker { id, tier, announce }).collect()
}

/// Bytes in the pieces of the files that are wanted.
pub fn wanted_bytes(metainfo: &Metainfo, unwanted: &[u32]) -> u64 {
    let pieces = metainfo.pieces();
    if unwanted.is_empty() {
        return pieces.total();
    }
    let (mut bytes, mut next) = (0, 0);
    for (file, index) in metainfo.files().iter().zip(0u32..) {
        if file.length == 0 || file.pad || unwanted.binary_search(&index).is_ok() {
            continue;
        }
        let covered = pieces.covering(file.offset..file.offset + file.length);
        bytes +=
            (covered.start.max(next)..covered.end).map(|piece| u64::from(pieces.length(piece))).sum::<u64>();
        next = next.max(covered.end);
    }
    bytes
}

/// What a path of a torrent is called with another last name; nothing if it is no path of its files, the name is none,
/// or another has it.
pub fn renamed(facts: &TorrentFacts, path: &str, name: &str) -> Option<String> {
    let is_name = !matches!(name, "" | "." | "..") && !name.contains(['/', '\0']);
    let has =
        |path: &str| path == facts.name || facts.files.iter().any(|file| below(&file.path, path).is_some());
    let renamed = match path.rsplit_once('/') {
        Some((parent, _)) => format!("{parent}/{name}"),
        None => name.to_owned(),
    };
    let may = is_name && !path.is_empty() && has(path) && (renamed == path || !has(&renamed));
    may.then_some(renamed)
}

/// The rest of a path that is another one or lies below it, with the slash in between.
pub fn below<'a>(path: &'a str, above: &str) -> Option<&'a str> {
    path.strip_prefix(above).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}
