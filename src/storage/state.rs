//! The bytes of a state file: which pieces of a torrent were proved, and the stamps of its files then.
//!
//! Pure: bytes in, a state or the reason why not out. The format is binary, little-endian: the magic with the
//! version, the info-hash, the counts of pieces and files, bytes uploaded and downloaded, the bitfield, a
//! record for each file and one for the part file, optional [`Sections`], and SHA-1 over all of that. Version
//! 1 has no sections and is still read.
//!
//! Invariant: for any input, decoding ends in a state that fits the torrent or in a reason, and allocates no
//! more than the torrent's own sizes ask for.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use crate::bitfield::Bitfield;
use crate::digest::sha1;
use crate::id::InfoHash;

/// How every version of the format begins; the version follows.
const MAGIC: &[u8; 7] = b"bitwren";

/// The version that is written.
const VERSION: u8 = 2;

/// The version before sections.
const WITHOUT_SECTIONS: u8 = 1;

/// Length and time of last modification of a file, as they were once its data was synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// In bytes.
    pub length: u64,
    /// When it was last modified: seconds since 1970.
    pub seconds: i64,
    /// And nanoseconds.
    pub nanos: u32,
}

impl From<&Metadata> for Stamp {
    fn from(found: &Metadata) -> Self {
        Stamp { length: found.len(), seconds: found.mtime(), nanos: found.mtime_nsec() as u32 }
    }
}

/// The record of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// It was not there, or nothing is known that could be trusted.
    Absent,
    /// Its bytes, as far as there are any, are in the part file.
    Part,
    /// It looked like this.
    File(Stamp),
}

/// The contents of a state file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The pieces that were proved.
    pub verified: Bitfield,
    /// Bytes uploaded over all sessions.
    pub uploaded: u64,
    /// Bytes downloaded over all sessions.
    pub downloaded: u64,
    /// One for each file, and one for the part file.
    pub records: Vec<Record>,
    /// What else is remembered.
    pub sections: Sections,
}

/// Names a section.
pub type Tag = [u8; 4];

/// Optional parts of a state, each a tag and its bytes, at most one of each tag. On disk a section is
/// its tag, its length in four bytes, and its bytes. A reader passes over sections it does not know,
/// and a writer leaves them out, so that a section may be added without a new version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sections(Vec<(Tag, Vec<u8>)>);

impl Sections {
    /// The bytes of the section, if there is one.
    pub fn get(&self, tag: Tag) -> Option<&[u8]> {
        self.0.iter().find(|(name, _)| *name == tag).map(|(_, bytes)| &bytes[..])
    }

    /// Sets a section. False where all sections together would be longer than
    /// [`longest_sections`] allows; nothing is changed then.
    #[must_use]
    pub fn set(&mut self, tag: Tag, bytes: Vec<u8>, pieces: u32, files: usize) -> bool {
        let others = self.0.iter().filter(|(name, _)| *name != tag);
        let length: u64 = others.map(|(_, bytes)| 8 + bytes.len() as u64).sum();
        if length + 8 + bytes.len() as u64 > longest_sections(pieces, files) {
            return false;
        }
        self.0.retain(|(name, _)| *name != tag);
        self.0.push((tag, bytes));
        true
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        for (tag, section) in &self.0 {
            bytes.extend(tag);
            bytes.extend((section.len() as u32).to_le_bytes());
            bytes.extend(section);
        }
    }

    fn decode(mut rest: &[u8]) -> Result<Sections, Unusable> {
        let mut sections = Sections::default();
        while !rest.is_empty() {
            let tag: Tag = take(&mut rest)?;
            let length = u32::from_le_bytes(take(&mut rest)?);
            let (bytes, after) = rest.split_at_checked(length as usize).ok_or(Unusable::Damaged)?;
            if sections.get(tag).is_some() || sections.0.len() == MAX_SECTIONS {
                return Err(Unusable::Damaged);
            }
            sections.0.push((tag, bytes.to_vec()));
            rest = after;
        }
        Ok(sections)
    }
}

/// More sections than this are a damaged state.
const MAX_SECTIONS: usize = 64;

/// The most bytes that all sections of a state may take together.
pub fn longest_sections(pieces: u32, files: usize) -> u64 {
    4096 + u64::from(pieces) * 32 + files as u64 * 1024
}

/// Why bytes are no usable state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// One of ours, but torn, damaged or of another version.
    Damaged,
    /// Something else, or of another torrent: not ours to overwrite.
    Foreign,
}

/// Whether a file that begins with these bytes is a state, or what there is of one that was damaged.
pub(super) fn begins(start: &[u8]) -> bool {
    start.starts_with(MAGIC) || MAGIC.starts_with(start)
}

/// The most bytes that a state for `pieces` pieces and `files` files takes.
pub fn longest(pieces: u32, files: usize) -> u64 {
    plain(pieces, files) + longest_sections(pieces, files)
}

/// The most bytes a state without sections takes.
fn plain(pieces: u32, files: usize) -> u64 {
    8 + 20 + 4 + 4 + 8 + 8 + u64::from(pieces.div_ceil(8)) + (files as u64 + 1) * 21 + 20
}

impl State {
    /// The bytes of the state of the torrent `info_hash`.
    pub fn encode(&self, info_hash: InfoHash) -> Vec<u8> {
        let most = plain(self.verified.len(), self.records.len());
        let mut bytes = Vec::with_capacity(most as usize);
        bytes.extend(MAGIC);
        bytes.push(VERSION);
        bytes.extend(*info_hash.as_bytes());
        bytes.extend(self.verified.len().to_le_bytes());
        bytes.extend((self.records.len() as u32).to_le_bytes());
        bytes.extend(self.uploaded.to_le_bytes());
        bytes.extend(self.downloaded.to_le_bytes());
        bytes.extend(self.verified.as_bytes());
        for record in &self.records {
            match record {
                Record::Absent => bytes.push(0),
                Record::Part => bytes.push(1),
                Record::File(stamp) => {
                    bytes.push(2);
                    bytes.extend(stamp.length.to_le_bytes());
                    bytes.extend(stamp.seconds.to_le_bytes());
                    bytes.extend(stamp.nanos.to_le_bytes());
                }
            }
        }
        self.sections.encode(&mut bytes);
        bytes.extend(sha1(&bytes));
        bytes
    }

    /// Reads the state of whichever torrent it is of.
    pub fn decode_any(bytes: &[u8]) -> Option<(InfoHash, State)> {
        let mut rest = bytes.get(MAGIC.len() + 1..)?;
        let info_hash = InfoHash::from_bytes(take(&mut rest).ok()?);
        let pieces = u32::from_le_bytes(take(&mut rest).ok()?);
        let records = u32::from_le_bytes(take(&mut rest).ok()?) as usize;
        // Each piece takes a bit, and each record a byte.
        if (pieces / 8) as usize > bytes.len() || records > bytes.len() {
            return None;
        }
        let state = State::decode(bytes, info_hash, pieces, records.checked_sub(1)?).ok()?;
        Some((info_hash, state))
    }

    /// Reads the state of the torrent `info_hash`, which has `pieces` pieces and `files` files.
    ///
    /// # Errors
    /// Why it is none.
    pub fn decode(bytes: &[u8], info_hash: InfoHash, pieces: u32, files: usize) -> Result<State, Unusable> {
        let ours = MAGIC.len().min(bytes.len());
        if bytes[..ours] != MAGIC[..ours] {
            return Err(Unusable::Foreign);
        }
        let (body, checksum) = bytes.split_last_chunk::<20>().ok_or(Unusable::Damaged)?;
        if sha1(body) != *checksum {
            return Err(Unusable::Damaged);
        }
        let mut rest = body;
        let _magic: [u8; 7] = take(&mut rest)?;
        let [version] = take(&mut rest)?;
        if !matches!(version, WITHOUT_SECTIONS | VERSION) {
            return Err(Unusable::Damaged);
        }
        if take(&mut rest)? != *info_hash.as_bytes() {
            return Err(Unusable::Foreign);
        }
        let counts = (u32::from_le_bytes(take(&mut rest)?), u32::from_le_bytes(take(&mut rest)?));
        if (counts.0, counts.1 as usize) != (pieces, files + 1) {
            return Err(Unusable::Damaged);
        }
        let uploaded = u64::from_le_bytes(take(&mut rest)?);
        let downloaded = u64::from_le_bytes(take(&mut rest)?);
        let (bits, mut rest) = rest.split_at_checked(pieces.div_ceil(8) as usize).ok_or(Unusable::Damaged)?;
        let verified = Bitfield::from_bytes(bits.to_vec(), pieces).map_err(|_| Unusable::Damaged)?;
        let mut records = Vec::with_capacity(files + 1);
        for _ in 0..=files {
            records.push(match take(&mut rest)? {
                [0] => Record::Absent,
                [1] => Record::Part,
                [2] => Record::File(Stamp {
                    length: u64::from_le_bytes(take(&mut rest)?),
                    seconds: i64::from_le_bytes(take(&mut rest)?),
                    nanos: u32::from_le_bytes(take(&mut rest)?),
                }),
                _ => return Err(Unusable::Damaged),
            });
        }
        let sections = match version {
            WITHOUT_SECTIONS if rest.is_empty() => Sections::default(),
            WITHOUT_SECTIONS => return Err(Unusable::Damaged),
            _ => Sections::decode(rest)?,
        };
        Ok(State { verified, uploaded, downloaded, records, sections })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Unusable> {
    let (first, after) = rest.split_first_chunk::<N>().ok_or(Unusable::Damaged)?;
    *rest = after;
    Ok(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: InfoHash = InfoHash::from_bytes([7; 20]);

    fn state() -> State {
        let mut verified = Bitfield::empty(21);
        [0, 7, 8, 20].iter().for_each(|&piece| assert!(verified.insert(piece)));
        let stamp = Stamp { length: 1 << 40, seconds: -5, nanos: 999_999_999 };
        let records = vec![Record::File(stamp), Record::Absent, Record::Part, Record::File(stamp)];
        let mut sections = Sections::default();
        assert!(sections.set(*b"some", b"more that is known".to_vec(), 21, 3));
        assert!(sections.set(*b"none", Vec::new(), 21, 3));
        State { verified, uploaded: 5, downloaded: u64::MAX, records, sections }
    }

    /// The bytes with the checksum that they should have.
    fn sealed(body: &[u8]) -> Vec<u8> {
        [body, &sha1(body)].concat()
    }

    #[test]
    fn a_state_survives_the_round_trip() {
        let bytes = state().encode(HASH);
        assert_eq!(State::decode(&bytes, HASH, 21, 3), Ok(state()));
        assert!(bytes.len() as u64 <= longest(21, 3));
    }

    #[test]
    fn a_state_of_version_1_is_still_read() {
        let mut bytes = State { sections: Sections::default(), ..state() }.encode(HASH);
        bytes.truncate(bytes.len() - 20);
        bytes[7] = 1;
        let read = State::decode(&sealed(&bytes), HASH, 21, 3).unwrap();
        assert_eq!(read, State { sections: Sections::default(), ..state() });
        // It has nothing after its records.
        bytes.extend(b"tag \0\0\0\0");
        assert_eq!(State::decode(&sealed(&bytes), HASH, 21, 3), Err(Unusable::Damaged));
        bytes[7] = 2;
        assert!(State::decode(&sealed(&bytes), HASH, 21, 3).is_ok());
        bytes[7] = 3;
        assert_eq!(State::decode(&sealed(&bytes), HASH, 21, 3), Err(Unusable::Damaged));
    }

    #[test]
    fn sections_are_read_whole_and_once_or_not_at_all() {
        let read = State::decode(&state().encode(HASH), HASH, 21, 3).unwrap();
        assert_eq!(read.sections.get(*b"some"), Some(&b"more that is known"[..]));
        assert_eq!(read.sections.get(*b"none"), Some(&[][..]));
        assert_eq!(read.sections.get(*b"else"), None);
        let plain = State { sections: Sections::default(), ..state() }.encode(HASH);
        let body = &plain[..plain.len() - 20];
        let with = |sections: &[u8]| State::decode(&sealed(&[body, sections].concat()), HASH, 21, 3);
        assert!(with(b"abcd\x02\0\0\0xyefgh\0\0\0\0").is_ok());
        for wrong in [
            &b"abcd\x03\0\0\0xy"[..],
            b"abcd\xFF\xFF\xFF\xFF",
            b"ab",
            b"abcd\x02\0\0",
            b"a\0\0\0\0\0\0\0a\0\0\0\0\0\0\0",
        ] {
            assert_eq!(with(wrong), Err(Unusable::Damaged), "{wrong:?}");
        }
        let many: Vec<u8> = (0..65u32).flat_map(|n| [n.to_le_bytes(), [0; 4]].concat()).collect();
        assert_eq!(with(&many), Err(Unusable::Damaged));
    }

    #[test]
    fn a_section_that_would_be_too_long_is_not_set() {
        let mut sections = Sections::default();
        let most = longest_sections(1, 1) as usize - 8;
        assert!(!sections.set(*b"long", vec![0; most + 1], 1, 1));
        assert_eq!(sections, Sections::default());
        assert!(sections.set(*b"long", vec![0; most], 1, 1));
        assert!(sections.set(*b"long", vec![1; most], 1, 1), "it replaces the old one");
        assert!(!sections.set(*b"more", Vec::new(), 1, 1));
        assert_eq!(sections.get(*b"long"), Some(&vec![1; most][..]));
    }

    #[test]
    fn a_state_of_any_torrent_says_whose_it_is() {
        let bytes = state().encode(HASH);
        assert_eq!(State::decode_any(&bytes), Some((HASH, state())));
        for length in 0..bytes.len() {
            assert_eq!(State::decode_any(&bytes[..length]), None);
        }
        // Counts that nothing stands behind.
        for at in [28, 32] {
            let mut huge = bytes[..bytes.len() - 20].to_vec();
            huge[at..at + 4].fill(0xFF);
            assert_eq!(State::decode_any(&sealed(&huge)), None);
        }
        assert_eq!(State::decode_any(b"the user's own file"), None);
    }

    #[test]
    fn torn_at_any_length_it_is_damaged() {
        let bytes = state().encode(HASH);
        for length in 0..bytes.len() {
            assert_eq!(State::decode(&bytes[..length], HASH, 21, 3), Err(Unusable::Damaged));
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(State::decode(&longer, HASH, 21, 3), Err(Unusable::Damaged));
    }

    #[test]
    fn no_flipped_bit_goes_unnoticed() {
        let bytes = state().encode(HASH);
        for at in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            let want = if at / 8 < 7 { Unusable::Foreign } else { Unusable::Damaged };
            assert_eq!(State::decode(&flipped, HASH, 21, 3), Err(want), "bit {at}");
        }
    }

    #[test]
    fn another_torrent_is_foreign_and_other_sizes_do_not_fit() {
        let bytes = state().encode(HASH);
        assert_eq!(State::decode(&bytes, InfoHash::from_bytes([8; 20]), 21, 3), Err(Unusable::Foreign));
        assert_eq!(State::decode(&bytes, HASH, 22, 3), Err(Unusable::Damaged));
        assert_eq!(State::decode(&bytes, HASH, 21, 4), Err(Unusable::Damaged));
        assert_eq!(State::decode(b"the user's own file", HASH, 21, 3), Err(Unusable::Foreign));
    }
}
