//! Writing `.torrent` files: pure, from values to bytes. Nothing here reads a file or a clock.
//!
//! The info dictionary is canonical and holds no key that was not asked for, so that the same
//! choices give the same info-hash as other programs give.

use super::torrent::Metainfo;
use crate::bencode::{Dict, Encoder};
use crate::digest::sha1;
use crate::error::{Error, ErrorKind, Result};
use crate::pieces::Pieces;
use crate::setters::setters;

/// What a `.torrent` file shall say. [`Torrent::encode`] writes it.
///
/// ```
/// use bitwren::metainfo::build::{Content, Torrent};
/// use bitwren::{Metainfo, metainfo};
///
/// let data = vec![0; 40_000];
/// let piece_length = metainfo::build::piece_length_for(40_000);
/// let hashes = data.chunks(piece_length as usize).flat_map(metainfo::build::piece_hash).collect();
/// let torrent = Torrent::new("zeros.bin", Content::File { length: 40_000 }, piece_length, hashes)
///     .tiers([vec!["http://tracker.example/announce".to_owned()]]);
///
/// let metainfo = Metainfo::from_bytes(&torrent.encode()?)?;
/// assert_eq!((metainfo.name(), metainfo.pieces().count()), ("zeros.bin", 3));
/// # Ok::<(), bitwren::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Torrent {
    name: String,
    content: Content,
    piece_length: u32,
    hashes: Vec<u8>,
    tiers: Vec<Vec<String>>,
    web_seeds: Vec<String>,
    private: bool,
    source: Option<String>,
    comment: Option<String>,
    created_by: Option<String>,
    creation_date: Option<i64>,
}

setters!(Torrent {
    /// Name of the file, or of the directory that holds the files.
    name: impl Into<String> => name.into();
    /// One file, or several.
    content: Content;
    /// Bytes in every piece but the last: 1 to 2 GiB; see [`piece_length_for`].
    piece_length: u32;
    /// The SHA-1 of each piece ([`piece_hash`]), one after the other, 20 bytes each.
    hashes: Vec<u8>;
    /// Trackers in tiers (BEP 12). The very first is also written as `announce`. Default: none.
    tiers: impl IntoIterator<Item = Vec<String>> => tiers.into_iter().collect();
    /// Web seeds (BEP 19). Default: none.
    web_seeds: impl IntoIterator<Item: Into<String>> => web_seeds.into_iter().map(Into::into).collect();
    /// Whether peers may come from the trackers only (BEP 27). Default: no.
    private: bool;
    /// What sets the info-hash apart from that of the same files elsewhere. Default: none.
    source: impl Into<Option<String>> => source.into();
    /// A comment. Default: none.
    comment: impl Into<Option<String>> => comment.into();
    /// The program that made it. Default: not said.
    created_by: impl Into<Option<String>> => created_by.into();
    /// When it was made, in seconds since 1970. Default: not said.
    creation_date: impl Into<Option<i64>> => creation_date.into();
});

/// What a torrent holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Content {
    /// One file, which has the torrent's name.
    File {
        /// Its length in bytes.
        length: u64,
    },
    /// Files in a directory that has the torrent's name, in this order.
    Directory(Vec<Entry>),
}

/// A file in a directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    path: Vec<String>,
    length: u64,
    pad: bool,
    executable: bool,
}

impl Entry {
    /// A file of `length` bytes; `path` has the names on the way to it below the torrent's directory, its own
    /// last.
    pub fn new(path: impl IntoIterator<Item: Into<String>>, length: u64) -> Self {
        let path = path.into_iter().map(Into::into).collect();
        Entry { path, length, pad: false, executable: false }
    }
}

setters!(Entry {
    /// Whether it is padding: zeros that are never stored (BEP 47). Default: no.
    pad: bool;
    /// Whether it is executable (BEP 47). Default: no.
    executable: bool;
});

impl Metainfo {
    /// A `.torrent` file of it: the info dictionary byte for byte as it came, trackers, web seeds and
    /// DHT nodes. For one that came by a magnet link, this is how to keep it.
    pub fn to_bytes(&self) -> Vec<u8> {
        outer(self.info_bytes(), self.tiers(), self.web_seeds(), self.nodes())
    }
}

impl Torrent {
    /// A torrent with the required entries, and nothing else.
    pub fn new(name: impl Into<String>, content: Content, piece_length: u32, hashes: Vec<u8>) -> Self {
        Torrent {
            name: name.into(),
            content,
            piece_length,
            hashes,
            tiers: Vec::new(),
            web_seeds: Vec::new(),
            private: false,
            source: None,
            comment: None,
            created_by: None,
            creation_date: None,
        }
    }

    /// How its bytes fall into pieces, each of which needs a hash.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] if it is empty, or too large, or the piece length is out of its range.
    pub fn pieces(&self) -> Result<Pieces> {
        let total = match &self.content {
            Content::File { length } => Some(*length),
            Content::Directory(files) => {
                files.iter().try_fold(0u64, |total, file| total.checked_add(file.length))
            }
        };
        match total.filter(|&total| i64::try_from(total).is_ok()) {
            None => Err(bad("its files are longer than 2^63 bytes together")),
            Some(0) => Err(bad("there is no data in it, only empty files")),
            Some(total) => Pieces::new(total, u64::from(self.piece_length))
                .map_err(|error| Error::new(ErrorKind::Argument, error.context().to_owned())),
        }
    }

    /// The bytes of the `.torrent` file.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] where a name is empty, there is nothing in it, or the hashes are not
    /// one for each piece.
    pub fn encode(&self) -> Result<Vec<u8>> {
        self.check()?;
        let (announce, announce_list) = announce(&self.tiers);
        let mut encoder = Encoder::new();
        encoder.dict(|dict| {
            raw(dict, "announce", announce);
            raw(dict, "announce-list", announce_list);
            optional(dict, "comment", self.comment.as_deref());
            optional(dict, "created by", self.created_by.as_deref());
            if let Some(date) = self.creation_date {
                dict.int("creation date", date);
            }
            dict.dict("info", |info| self.encode_info(info));
            raw(dict, "url-list", url_list(&self.web_seeds));
        });
        Ok(encoder.finish())
    }

    fn encode_info(&self, info: &mut Dict<'_>) {
        match &self.content {
            Content::File { length } => info.int("length", *length as i64),
            Content::Directory(files) => info.list("files", |list| {
                for file in files {
                    list.dict(|entry| {
                        let attr = [(file.pad, 'p'), (file.executable, 'x')];
                        let attr: String =
                            attr.into_iter().filter_map(|(has, letter)| has.then_some(letter)).collect();
                        optional(entry, "attr", (!attr.is_empty()).then_some(&*attr));
                        entry.int("length", file.length as i64);
                        entry.list("path", |path| file.path.iter().for_each(|part| path.bytes(part)));
                    });
                }
            }),
        }
        info.bytes("name", &self.name);
        info.int("piece length", i64::from(self.piece_length));
        info.bytes("pieces", &self.hashes);
        if self.private {
            info.int("private", 1);
        }
        optional(info, "source", self.source.as_deref());
    }

    /// Whether what would be written is a torrent.
    fn check(&self) -> Result<()> {
        let pieces = self.pieces()?;
        let mut names: Box<dyn Iterator<Item = &String>> = Box::new(std::iter::once(&self.name));
        if let Content::Directory(files) = &self.content {
            if files.iter().any(|file| file.path.is_empty()) {
                return Err(bad("a file has no name"));
            }
            names = Box::new(names.chain(files.iter().flat_map(|file| &file.path)));
        }
        for name in names {
            if name.is_empty() || name == "." || name == ".." || name.contains('/') {
                return Err(bad(&format!("{name:?} cannot be the name of a file or directory")));
            }
        }
        if self.hashes.len() as u64 != u64::from(pieces.count()) * 20 {
            let why = format!("{} pieces have {} bytes of hashes", pieces.count(), self.hashes.len());
            return Err(bad(&why));
        }
        Ok(())
    }
}

fn bad(why: &str) -> Error {
    Error::new(ErrorKind::Argument, format!("cannot make a torrent: {why}"))
}

/// A `.torrent` around an info dictionary that is taken as it is.
pub(super) fn outer(
    info: &[u8],
    tiers: &[Vec<String>],
    web_seeds: &[String],
    nodes: &[(String, u16)],
) -> Vec<u8> {
    let (announce, announce_list) = announce(tiers);
    let mut encoder = Encoder::new();
    encoder.dict(|dict| {
        raw(dict, "announce", announce);
        raw(dict, "announce-list", announce_list);
        dict.raw("info", info);
        if !nodes.is_empty() {
            dict.list("nodes", |list| {
                for (host, port) in nodes {
                    list.list(|node| {
                        node.bytes(host);
                        node.int(i64::from(*port));
                    });
                }
            });
        }
        raw(dict, "url-list", url_list(web_seeds));
    });
    encoder.finish()
}

/// The values of `announce` and of `announce-list` (BEP 12) for trackers in tiers, bencoded. The list exists
/// only if there is more than one.
pub(super) fn announce(tiers: &[Vec<String>]) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let trackers = || tiers.iter().flatten();
    let announce = trackers().next().map(|first| encoded(|value| value.bytes(first)));
    let several = trackers().nth(1).is_some();
    let list = several.then(|| {
        encoded(|value| {
            value.list(|list| {
                for tier in tiers.iter().filter(|tier| !tier.is_empty()) {
                    list.list(|urls| tier.iter().for_each(|url| urls.bytes(url)));
                }
            });
        })
    });
    (announce, list)
}

/// The value of `url-list`, bencoded.
pub(super) fn url_list(urls: &[String]) -> Option<Vec<u8>> {
    match urls {
        [] => None,
        // Some programs know only the simple form for a single URL (BEP 19 has both).
        [one] => Some(encoded(|value| value.bytes(one))),
        several => Some(encoded(|value| value.list(|list| several.iter().for_each(|url| list.bytes(url))))),
    }
}

fn encoded(write: impl FnOnce(&mut Encoder)) -> Vec<u8> {
    let mut encoder = Encoder::new();
    write(&mut encoder);
    encoder.finish()
}

fn raw(dict: &mut Dict<'_>, key: &str, value: Option<Vec<u8>>) {
    if let Some(value) = value {
        dict.raw(key, &value);
    }
}

fn optional(dict: &mut Dict<'_>, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        dict.bytes(key, value);
    }
}

/// The hash of a piece: the SHA-1 of its bytes. [`Torrent::hashes`] wants that of each.
pub fn piece_hash(piece: &[u8]) -> [u8; 20] {
    sha1(piece)
}

/// The piece length to choose for `total` bytes: the power of two that makes 1000 to 2000 pieces,
/// but 16 KiB at least and 16 MiB at most.
pub fn piece_length_for(total: u64) -> u32 {
    const MAX_PIECES: u64 = 2000;
    let length = total.div_ceil(MAX_PIECES).clamp(16 << 10, 16 << 20);
    length.next_power_of_two() as u32
}
