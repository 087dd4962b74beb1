//! Changing a `.torrent` file without making it anew: pure, from bytes to bytes.
//!
//! Only the requested entries are written; every other byte, known or not, stays unchanged and in its place,
//! the info dictionary above all.
//!
//! Invariant: unless `private` or `source` change, which live in it, the raw bytes of the info dictionary and
//! so the info-hash are the same after as before.

mod entries;
mod urls;

use super::torrent::Metainfo;
use crate::bencode::{self, Encoder, Value};
use crate::error::{Error, ErrorKind, Result};
use crate::id::InfoHash;
use crate::setters::setters;
use entries::Entries;

/// What is to be changed. [`Edit::apply`] does it, in the order of the settings here; what is not set changes
/// nothing.
///
/// ```
/// use bitwren::Metainfo;
/// use bitwren::metainfo::build::{Content, Torrent};
/// use bitwren::metainfo::edit::Edit;
///
/// let bytes = Torrent::new("a", Content::File { length: 1 }, 16384, vec![0; 20]).encode()?;
/// let edit = Edit::default().comment("better".to_owned());
/// let edited = edit.apply(&bytes)?;
/// assert_eq!(Metainfo::from_bytes(&edited.bytes)?.comment(), Some("better"));
/// assert_eq!(edited.before, edited.after);
/// # Ok::<(), bitwren::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Edit {
    remove_trackers: Vec<String>,
    replace_trackers: Vec<(String, String)>,
    no_trackers: bool,
    add_tiers: Vec<Vec<String>>,
    no_web_seeds: bool,
    add_web_seeds: Vec<String>,
    comment: Option<Option<String>>,
    private: Option<bool>,
    source: Option<Option<String>>,
    allow_new_hash: bool,
}

setters!(Edit {
    /// Trackers to remove, each wherever its URL stands. It must be there.
    remove_trackers: impl IntoIterator<Item: Into<String>>
        => remove_trackers.into_iter().map(Into::into).collect();
    /// Texts to replace in the URLs of trackers, and what by. Each must be there, and the result must be
    /// the URL of a tracker.
    replace_trackers: impl IntoIterator<Item = (String, String)> => replace_trackers.into_iter().collect();
    /// Whether all trackers are removed.
    no_trackers: bool;
    /// Tiers of trackers to add at the end. A URL that is there already is not added again.
    add_tiers: impl IntoIterator<Item = Vec<String>> => add_tiers.into_iter().collect();
    /// Whether all web seeds are removed.
    no_web_seeds: bool;
    /// Web seeds to add. One that is there already is not added again.
    add_web_seeds: impl IntoIterator<Item: Into<String>>
        => add_web_seeds.into_iter().map(Into::into).collect();
    /// The comment there shall be; `None` removes it.
    comment: impl Into<Option<String>> => Some(comment.into());
    /// Whether it shall be private (BEP 27). Part of the info-hash.
    private: bool => Some(private);
    /// The source there shall be; `None` removes it. Part of the info-hash.
    source: impl Into<Option<String>> => Some(source.into());
    /// Whether the info-hash may change. Default: no.
    allow_new_hash: bool;
});

/// A changed torrent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Edited {
    /// The bytes of the `.torrent` file.
    pub bytes: Vec<u8>,
    /// The info-hash it had.
    pub before: InfoHash,
    /// The info-hash it has.
    pub after: InfoHash,
}

impl Edit {
    /// Changes the `.torrent` in `bytes`.
    ///
    /// # Errors
    /// As [`Metainfo::from_bytes`] if it is not a torrent; [`ErrorKind::NotFound`] if a tracker to be removed
    /// or replaced is missing; [`ErrorKind::Argument`] if a replaced URL would not be one of a tracker, or
    /// the info-hash would change and may not.
    pub fn apply(&self, bytes: &[u8]) -> Result<Edited> {
        let metainfo = Metainfo::from_bytes(bytes)?;
        let before = metainfo.info_hash();
        let (outer, length) = bencode::decode_prefix(bytes)?;
        let mut entries = Entries::of(outer);
        urls::trackers(self, outer, &mut entries)?;
        urls::web_seeds(self, outer, &mut entries);
        if let Some(comment) = self.comment.as_ref().map(|comment| comment.as_deref().unwrap_or_default()) {
            if comment != metainfo.comment().unwrap_or_default() {
                entries.put("comment", (!comment.is_empty()).then(|| string(comment)));
                // Some programs write it twice and read that one.
                entries.put("comment.utf-8", None);
            }
        }
        if let Some(info) = outer.get(b"info") {
            let changed = self.info(info);
            if changed != info.raw() {
                if !self.allow_new_hash {
                    return Err(Error::new(
                        ErrorKind::Argument,
                        "private and source are part of the info-hash: changed, it is another torrent, which \
                         no peer of this one has; allow a new info-hash if that is meant",
                    ));
                }
                entries.put("info", Some(changed));
            }
        }
        let mut edited = entries.write();
        // Bytes behind the torrent, such as a newline, are kept.
        edited.extend_from_slice(bytes.get(length..).unwrap_or_default());
        let after = Metainfo::from_bytes(&edited)?.info_hash();
        Ok(Edited { bytes: edited, before, after })
    }

    /// The info dictionary as it shall be.
    fn info(&self, info: Value<'_>) -> Vec<u8> {
        let mut entries = Entries::of(info);
        let is = |key: &[u8]| info.get(key);
        if let Some(private) = self.private {
            // Absent and 0 mean the same; what means the right thing already is left alone.
            let now = is(b"private").is_some_and(|flag| flag.as_int() != Some(0));
            if private != now {
                entries.put("private", private.then(|| b"i1e".to_vec()));
            }
        }
        if let Some(source) = &self.source {
            if source.as_deref() != is(b"source").and_then(Value::as_str) {
                entries.put("source", source.as_deref().map(string));
            }
        }
        entries.write()
    }
}

fn string(text: &str) -> Vec<u8> {
    let mut encoder = Encoder::new();
    encoder.bytes(text);
    encoder.finish()
}

#[cfg(test)]
mod tests;
