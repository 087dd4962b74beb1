//! The bytes of a state file: what was proved of a torrent, and what its files looked like then.
//!
//! Pure: bytes in, a state or the reason why not out. The format is binary, little-endian: the
//! magic with the version, the info-hash, the counts of pieces and files, bytes uploaded and
//! downloaded, the bitfield, a record for each file and one for the part file, and SHA-1 over all
//! of that. Invariant: whatever bytes are given, decoding ends in a state that fits the torrent or
//! in a reason, and allocates no more than the torrent's own sizes ask for.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use crate::bitfield::Bitfield;
use crate::digest::sha1;
use crate::id::InfoHash;

/// `bitwren` and the version of the format.
const MAGIC: &[u8; 8] = b"bitwren\x01";

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

/// What is known of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// It was not there, or nothing is known that could be trusted.
    Absent,
    /// Its bytes, as far as there are any, are in the part file.
    Part,
    /// It looked like this.
    File(Stamp),
}

/// What a state file says.
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
}

/// Why bytes are no usable state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// One of ours, but torn, damaged or of another version.
    Damaged,
    /// Something else, or of another torrent: not ours to overwrite.
    Foreign,
}

/// The most bytes a state of so many pieces and files takes.
pub fn longest(pieces: u32, files: usize) -> u64 {
    8 + 20 + 4 + 4 + 8 + 8 + u64::from(pieces.div_ceil(8)) + (files as u64 + 1) * 21 + 20
}

impl State {
    /// The bytes of the state of the torrent `info_hash`.
    pub fn encode(&self, info_hash: InfoHash) -> Vec<u8> {
        let most = longest(self.verified.len(), self.records.len());
        let mut bytes = Vec::with_capacity(most as usize);
        bytes.extend(MAGIC);
        bytes.extend(info_hash.0);
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
        bytes.extend(sha1(&bytes));
        bytes
    }

    /// Reads the state of the torrent `info_hash` of so many pieces and files.
    ///
    /// # Errors
    /// Why it is none.
    pub fn decode(bytes: &[u8], info_hash: InfoHash, pieces: u32, files: usize) -> Result<State, Unusable> {
        let ours = MAGIC.len().min(bytes.len()).min(7);
        if bytes[..ours] != MAGIC[..ours] {
            return Err(Unusable::Foreign);
        }
        let (body, checksum) = bytes.split_last_chunk::<20>().ok_or(Unusable::Damaged)?;
        if sha1(body) != *checksum {
            return Err(Unusable::Damaged);
        }
        let mut rest = body;
        let magic: [u8; 8] = take(&mut rest)?;
        if magic != *MAGIC {
            return Err(Unusable::Damaged);
        }
        if take(&mut rest)? != info_hash.0 {
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
        if !rest.is_empty() {
            return Err(Unusable::Damaged);
        }
        Ok(State { verified, uploaded, downloaded, records })
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

    const HASH: InfoHash = InfoHash([7; 20]);

    fn state() -> State {
        let mut verified = Bitfield::empty(21);
        [0, 7, 8, 20].iter().for_each(|&piece| assert!(verified.insert(piece)));
        let stamp = Stamp { length: 1 << 40, seconds: -5, nanos: 999_999_999 };
        let records = vec![Record::File(stamp), Record::Absent, Record::Part, Record::File(stamp)];
        State { verified, uploaded: 5, downloaded: u64::MAX, records }
    }

    #[test]
    fn a_state_survives_the_round_trip() {
        let bytes = state().encode(HASH);
        assert_eq!(State::decode(&bytes, HASH, 21, 3), Ok(state()));
        assert!(bytes.len() as u64 <= longest(21, 3));
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
        assert_eq!(State::decode(&bytes, InfoHash([8; 20]), 21, 3), Err(Unusable::Foreign));
        assert_eq!(State::decode(&bytes, HASH, 22, 3), Err(Unusable::Damaged));
        assert_eq!(State::decode(&bytes, HASH, 21, 4), Err(Unusable::Damaged));
        assert_eq!(State::decode(b"the user's own file", HASH, 21, 3), Err(Unusable::Foreign));
    }
}
