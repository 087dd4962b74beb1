//! From the bytes of a `.torrent` file to a [`Metainfo`]: one pass over each dictionary.
//!
//! Where a key comes twice, the first counts outside the info dictionary, with a warning. Inside it,
//! programs would read two different torrents under one info-hash, so a key that matters must not
//! come twice there.

use std::ops::Range;

use super::fields::{take_once, unusable};
use super::foreign::foreign;
use super::torrent::Metainfo;
use super::warnings::{Warnings, quoted};
use super::{addresses, file_reader, path};
use crate::bencode::{Value, inspect};
use crate::digest::sha1;
use crate::error::{Error, ErrorKind, Result};
use crate::id::InfoHash;
use crate::pieces::Pieces;

/// The longest comment and the like that is kept whole, in bytes. No program shows more, and bytes that are
/// no text take three times their number.
const MAX_TEXT: usize = 64 << 10;

/// The values of the outer dictionary.
#[derive(Default)]
struct Outer<'a> {
    announce: Option<Value<'a>>,
    announce_list: Option<Value<'a>>,
    comment: Option<Value<'a>>,
    comment_utf8: Option<Value<'a>>,
    created_by: Option<Value<'a>>,
    created_by_utf8: Option<Value<'a>>,
    creation_date: Option<Value<'a>>,
    encoding: Option<Value<'a>>,
    info: Option<Value<'a>>,
    nodes: Option<Value<'a>>,
    url_list: Option<Value<'a>>,
}

impl<'a> Outer<'a> {
    fn read(value: Value<'a>, warnings: &mut Warnings) -> Result<Self> {
        let mut outer = Outer::default();
        for (key, value) in value.dict().ok_or_else(|| unusable("it is not a dictionary"))? {
            let slot = match key {
                b"announce" => &mut outer.announce,
                b"announce-list" => &mut outer.announce_list,
                b"comment" => &mut outer.comment,
                b"comment.utf-8" => &mut outer.comment_utf8,
                b"created by" => &mut outer.created_by,
                b"created by.utf-8" => &mut outer.created_by_utf8,
                b"creation date" => &mut outer.creation_date,
                b"encoding" => &mut outer.encoding,
                b"info" => &mut outer.info,
                b"nodes" => &mut outer.nodes,
                b"url-list" => &mut outer.url_list,
                _ => continue,
            };
            match slot {
                None => *slot = Some(value),
                Some(_) => warnings.add(|| format!("{} comes twice; the first counts", quoted(key))),
            }
        }
        Ok(outer)
    }
}

/// The values of the info dictionary.
#[derive(Default)]
struct Info<'a> {
    attr: Option<Value<'a>>,
    file_tree: Option<Value<'a>>,
    files: Option<Value<'a>>,
    length: Option<Value<'a>>,
    meta_version: Option<Value<'a>>,
    name: Option<Value<'a>>,
    name_utf8: Option<Value<'a>>,
    piece_length: Option<Value<'a>>,
    pieces: Option<Value<'a>>,
    private: Option<Value<'a>>,
    source: Option<Value<'a>>,
}

impl<'a> Info<'a> {
    fn read(value: Value<'a>) -> Result<Self> {
        let mut info = Info::default();
        for (key, value) in value.dict().ok_or_else(|| unusable("its info is not a dictionary"))? {
            let slot = match key {
                b"attr" => &mut info.attr,
                b"file tree" => &mut info.file_tree,
                b"files" => &mut info.files,
                b"length" => &mut info.length,
                b"meta version" => &mut info.meta_version,
                b"name" => &mut info.name,
                b"name.utf-8" => &mut info.name_utf8,
                b"piece length" => &mut info.piece_length,
                b"pieces" => &mut info.pieces,
                b"private" => &mut info.private,
                b"source" => &mut info.source,
                _ => continue,
            };
            take_once(slot, key, value)?;
        }
        Ok(info)
    }

    /// The piece hashes, if this is a v1 torrent, or a hybrid.
    fn hashes(&self) -> Result<&'a [u8]> {
        if let Some(hashes) = self.pieces.and_then(Value::as_bytes) {
            return Ok(hashes);
        }
        if self.file_tree.is_some() || self.meta_version.and_then(Value::as_int) >= Some(2) {
            return Err(Error::new(
                ErrorKind::V2Only,
                "this torrent is for BitTorrent v2 only (BEP 52), which is not supported; a v1 or hybrid torrent of \
                 the same data is needed",
            ));
        }
        Err(unusable("it has no piece hashes"))
    }

    /// The raw name: the UTF-8 variant if there is one.
    fn raw_name(&self) -> Result<&'a [u8]> {
        let utf8 = self.name_utf8.and_then(Value::as_str).map(str::as_bytes);
        utf8.or_else(|| self.name.and_then(Value::as_bytes)).ok_or_else(|| unusable("it has no name"))
    }

    /// Whether it is private. Anything but a clear no is a yes: what leaks cannot be taken back.
    fn private(&self, warnings: &mut Warnings) -> bool {
        match self.private.map(Value::as_int) {
            None | Some(Some(0)) => false,
            Some(Some(1)) => true,
            Some(_) => {
                warnings.add(|| "the private flag is neither 0 nor 1; it is taken for 1".to_owned());
                true
            }
        }
    }
}

impl Metainfo {
    /// Reads a `.torrent` file. Copies the info dictionary out of it.
    ///
    /// # Errors
    /// [`ErrorKind::Bencode`](crate::ErrorKind::Bencode) with the byte offset if it is malformed,
    /// [`ErrorKind::V2Only`](crate::ErrorKind::V2Only) if it has no v1 part, and
    /// [`ErrorKind::Torrent`](crate::ErrorKind::Torrent) if a required entry is missing or contradicts
    /// another.
    pub fn from_bytes(bytes: &[u8]) -> Result<Metainfo> {
        let (mut metainfo, info) = torrent(bytes)?;
        metainfo.info = bytes.get(info).unwrap_or_default().into();
        Ok(metainfo)
    }

    /// The same where the file is in a buffer that can be given away: the info dictionary stays in
    /// it, so that a torrent of 100 MB is held once.
    ///
    /// # Errors
    /// As for [`Metainfo::from_bytes`].
    pub fn from_vec(mut bytes: Vec<u8>) -> Result<Metainfo> {
        let (mut metainfo, info) = torrent(&bytes)?;
        bytes.truncate(info.end);
        bytes.drain(..info.start);
        metainfo.info = bytes.into_boxed_slice();
        Ok(metainfo)
    }
}

/// Reads a torrent. Gives it without its info bytes, and where those lie in `bytes`.
fn torrent(bytes: &[u8]) -> Result<(Metainfo, Range<usize>)> {
    let mut warnings = Warnings::default();
    let found = inspect(bytes).map_err(|error| foreign(bytes).map_or(error, unusable))?;
    if found.length < bytes.len() {
        let more = bytes.len() - found.length;
        warnings.add(|| format!("{more} bytes after the end of the torrent are ignored"));
    }
    if let Some(offset) = found.unsorted {
        warnings.add(|| format!("dictionary keys are not sorted, the first at byte {offset}"));
    }
    if let Some(offset) = found.repeated {
        warnings.add(|| format!("a dictionary key is repeated at byte {offset}"));
    }
    let outer = Outer::read(found.value, &mut warnings)?;
    let raw_info = outer.info.ok_or_else(|| unusable("it has no info dictionary"))?;
    let info = Info::read(raw_info)?;
    let hashes = info.hashes()?;
    let info_hash = InfoHash::from_bytes(sha1(raw_info.raw()));

    let raw_name = info.raw_name()?;
    let root = path::Root::new(raw_name, name(raw_name, info_hash, &mut warnings));
    if info.files.is_some() && info.length.is_some() {
        warnings.add(|| "there is both a length and a list of files; the list counts".to_owned());
    }
    let files = match (info.files, info.length) {
        (Some(list), _) => file_reader::multiple(root, list, raw_info.raw(), &mut warnings)?,
        (None, Some(length)) => file_reader::single(root, length, info.attr)?,
        (None, None) => return Err(unusable("it has neither a length nor a list of files")),
    };
    let pieces = pieces(info.piece_length, hashes, files.total)?;
    let multi_file = info.files.is_some();
    let several_files = multi_file && files.records.len() > 1;

    let metainfo = Metainfo {
        info_hash,
        info: Box::default(),
        hashes: place_of(hashes, raw_info.raw()),
        pieces,
        files,
        multi_file,
        private: info.private(&mut warnings),
        source: text("source", [info.source], &mut warnings),
        tiers: addresses::tiers(outer.announce_list, outer.announce, &mut warnings),
        web_seeds: addresses::web_seeds(outer.url_list, several_files, &mut warnings),
        nodes: addresses::nodes(outer.nodes, &mut warnings),
        comment: text("comment", [outer.comment_utf8, outer.comment], &mut warnings),
        created_by: text("created by", [outer.created_by_utf8, outer.created_by], &mut warnings),
        creation_date: outer.creation_date.and_then(Value::as_int),
        encoding: text("encoding", [outer.encoding], &mut warnings),
        warnings: warnings.finish(),
    };
    Ok((metainfo, place_of(raw_info.raw(), bytes)))
}

/// The name made safe; the info-hash stands in for an empty one.
fn name(raw: &[u8], info_hash: InfoHash, warnings: &mut Warnings) -> String {
    if raw.is_empty() {
        warnings.add(|| "the name is empty; the info-hash stands in for it".to_owned());
        return info_hash.to_string();
    }
    let name = path::component(raw).into_owned();
    if name.as_bytes() != raw {
        let safe = quoted(name.as_bytes());
        warnings.add(|| format!("the name {} is not safe as it is; it is stored as {safe}", quoted(raw)));
    }
    name
}

/// The pieces of `total` bytes, for each of which there must be a hash.
fn pieces(piece_length: Option<Value<'_>>, hashes: &[u8], total: u64) -> Result<Pieces> {
    let piece_length = piece_length
        .and_then(Value::as_int)
        .and_then(|length| u64::try_from(length).ok())
        .ok_or_else(|| unusable("it has no piece length that is a number of bytes"))?;
    let pieces = Pieces::new(total, piece_length)?;
    if total == 0 {
        return Err(unusable("it holds no data, only empty files"));
    }
    if hashes.len() as u64 != u64::from(pieces.count()) * 20 {
        return Err(unusable(format_args!(
            "it has {} bytes of piece hashes where {} pieces need {}",
            hashes.len(),
            pieces.count(),
            u64::from(pieces.count()) * 20
        )));
    }
    Ok(pieces)
}

/// Text for people, whatever its bytes: of the first value that is not empty. It is cut after
/// [`MAX_TEXT`] bytes.
fn text<'a>(
    what: &str,
    values: impl IntoIterator<Item = Option<Value<'a>>>,
    warnings: &mut Warnings,
) -> Option<String> {
    let values = values.into_iter().flatten().filter_map(Value::as_bytes);
    let whole = { values }.find(|bytes| !bytes.is_empty())?;
    if whole.len() > MAX_TEXT {
        warnings.add(|| format!("the {what} is cut after {MAX_TEXT} of its {} bytes", whole.len()));
    }
    let mut text = String::from_utf8_lossy(whole.get(..MAX_TEXT).unwrap_or(whole)).into_owned();
    text.shrink_to_fit();
    Some(text)
}

/// Where `inner` lies in `outer`, of which it is a slice.
fn place_of(inner: &[u8], outer: &[u8]) -> Range<usize> {
    let start = inner.as_ptr().addr().saturating_sub(outer.as_ptr().addr());
    start..start.saturating_add(inner.len())
}
