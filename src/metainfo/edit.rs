//! Changing a `.torrent` file without making it anew: pure, from bytes to bytes.
//!
//! Only the entries that are asked for are written; every other byte, known or not, stays as it came
//! and where it came, the info dictionary above all. Invariant: unless `private` or `source` change,
//! which live in it, the raw bytes of the info dictionary and so the info-hash are the same after as
//! before.

use std::borrow::Cow;

use super::{Metainfo, build};
use crate::bencode::{self, Encoder, Value};
use crate::error::{Error, ErrorKind, Result};
use crate::id::InfoHash;

/// What is to be changed. [`Edit::apply`] does it; what is nothing stays as it is.
///
/// ```
/// use bitwren::Metainfo;
/// use bitwren::metainfo::build::{Content, Torrent};
/// use bitwren::metainfo::edit::Edit;
///
/// let bytes = Torrent::new("a", Content::File { length: 1 }, 16384, vec![0; 20]).encode()?;
/// let edit = Edit { comment: Some(Some("better".to_owned())), ..Edit::default() };
/// let edited = edit.apply(&bytes)?;
/// assert_eq!(Metainfo::from_bytes(&edited.bytes)?.comment(), Some("better"));
/// assert_eq!(edited.before, edited.after);
/// # Ok::<(), bitwren::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Edit {
    /// The trackers there shall be, in tiers; none at all where it is empty.
    pub tiers: Option<Vec<Vec<String>>>,
    /// The web seeds there shall be.
    pub web_seeds: Option<Vec<String>>,
    /// The comment there shall be, or that there shall be none.
    pub comment: Option<Option<String>>,
    /// Whether it shall be private (BEP 27). Part of the info-hash.
    pub private: Option<bool>,
    /// The source there shall be, or that there shall be none. Part of the info-hash.
    pub source: Option<Option<String>>,
    /// Whether the info-hash may change.
    pub allow_new_hash: bool,
}

/// A changed torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The bytes of the `.torrent` file.
    pub bytes: Vec<u8>,
    /// The info-hash it had.
    pub before: InfoHash,
    /// The info-hash it has.
    pub after: InfoHash,
}

impl Edit {
    /// Changes the `.torrent` that `bytes` are.
    ///
    /// # Errors
    /// As [`Metainfo::from_bytes`] for what is no torrent; [`ErrorKind::Argument`] where the
    /// info-hash would change and may not.
    pub fn apply(&self, bytes: &[u8]) -> Result<Edited> {
        let before = Metainfo::from_bytes(bytes)?.info_hash();
        let (outer, length) = bencode::decode_prefix(bytes)?;
        let mut entries = Entries::of(outer);
        if let Some(tiers) = &self.tiers {
            let (announce, list) = build::announce(tiers);
            entries.put("announce", announce);
            entries.put("announce-list", list);
        }
        if let Some(urls) = &self.web_seeds {
            entries.put("url-list", build::url_list(urls));
        }
        if let Some(comment) = &self.comment {
            entries.put("comment", comment.as_deref().map(string));
            // Some programs write it twice and read that one.
            entries.put("comment.utf-8", None);
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
        // What may follow, such as a newline, is nobody's business here.
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

/// The entries of a dictionary: keys, and values as raw bytes.
struct Entries<'a>(Vec<(&'a [u8], Cow<'a, [u8]>)>);

impl<'a> Entries<'a> {
    fn of(dict: Value<'a>) -> Self {
        Entries(dict.dict().into_iter().flatten().map(|(key, value)| (key, value.raw().into())).collect())
    }

    /// Gives `key` this value, or takes it away. An entry that is there stays where it stands; a new
    /// one goes in front of the first key that sorts after it.
    fn put(&mut self, key: &'static str, value: Option<Vec<u8>>) {
        let key = key.as_bytes();
        let Some(value) = value else { return self.0.retain(|(other, _)| *other != key) };
        if let Some(at) = self.0.iter().position(|(other, _)| *other == key) {
            self.0[at].1 = value.into();
            return;
        }
        let at = self.0.iter().position(|(other, _)| *other > key).unwrap_or(self.0.len());
        self.0.insert(at, (key, value.into()));
    }

    fn write(self) -> Vec<u8> {
        let mut out = vec![b'd'];
        for (key, value) in self.0 {
            out.extend_from_slice(format!("{}:", key.len()).as_bytes());
            out.extend_from_slice(key);
            out.extend_from_slice(&value);
        }
        out.push(b'e');
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys out of order, unknown ones inside and outside of info, and a newline at the end.
    const ODD: &[u8] = b"d4:zeta1:z8:announce8:http://a7:comment3:old13:comment.utf-84:old24:infod\
        6:lengthi1e4:name1:x12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaa7:privatei0e5:x-odyi7ee\
        5:extrale8:url-list8:http://we\n";

    fn texts(urls: &[&str]) -> Vec<String> {
        urls.iter().map(|url| (*url).to_owned()).collect()
    }

    #[track_caller]
    fn becomes(edit: Edit, wanted: &[(&str, &str)]) -> Edited {
        let edited = edit.apply(ODD).unwrap();
        let mut text = String::from_utf8(ODD.to_vec()).unwrap();
        for (from, to) in wanted {
            assert!(text.contains(from), "{from}");
            text = text.replacen(from, to, 1);
        }
        assert_eq!(String::from_utf8(edited.bytes.clone()).unwrap(), text);
        edited
    }

    #[test]
    fn nothing_asked_changes_no_byte() {
        let edited = becomes(Edit::default(), &[]);
        assert_eq!(edited.before, edited.after);
        // What it is already is no change either.
        becomes(Edit { private: Some(false), source: Some(None), ..Edit::default() }, &[]);
    }

    #[test]
    fn only_what_is_asked_changes_and_the_rest_stays_byte_for_byte() {
        let tiers = vec![texts(&["http://a"]), texts(&["http://b", "udp://c"])];
        let edited = becomes(
            Edit { tiers: Some(tiers.clone()), ..Edit::default() },
            &[("4:zeta1:z", "13:announce-listll8:http://ael8:http://b7:udp://cee4:zeta1:z")],
        );
        assert_eq!(edited.before, edited.after);
        assert_eq!(Metainfo::from_bytes(&edited.bytes).unwrap().tiers(), tiers);
        becomes(Edit { tiers: Some(Vec::new()), ..Edit::default() }, &[("8:announce8:http://a", "")]);
        becomes(
            Edit { web_seeds: Some(texts(&["http://v", "http://w"])), ..Edit::default() },
            &[("8:http://w", "l8:http://v8:http://we")],
        );
        becomes(
            Edit { comment: Some(Some("new".into())), ..Edit::default() },
            &[("3:old", "3:new"), ("13:comment.utf-84:old2", "")],
        );
        becomes(
            Edit { comment: Some(None), ..Edit::default() },
            &[("7:comment3:old13:comment.utf-84:old2", "")],
        );
    }

    #[test]
    fn another_info_hash_only_where_it_is_allowed() {
        let private = Edit { private: Some(true), ..Edit::default() };
        assert_eq!(private.apply(ODD).unwrap_err().kind(), ErrorKind::Argument);
        let edited = becomes(Edit { allow_new_hash: true, ..private }, &[("7:privatei0e", "7:privatei1e")]);
        assert_ne!(edited.before, edited.after);
        let source = Edit { source: Some(Some("S".into())), ..Edit::default() };
        assert!(source.apply(ODD).is_err());
        becomes(Edit { allow_new_hash: true, ..source }, &[("5:x-ody", "6:source1:S5:x-ody")]);
    }

    #[test]
    fn what_is_no_torrent_is_refused() {
        assert_eq!(Edit::default().apply(b"le").unwrap_err().kind(), ErrorKind::Torrent);
        assert_eq!(Edit::default().apply(b"d").unwrap_err().kind(), ErrorKind::Bencode);
    }
}
