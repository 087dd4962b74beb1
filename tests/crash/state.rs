//! The state file, read by hand: what it claims, held against what is on disk.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::support::content::{Torrent, sha1};

/// Where it lies.
pub fn path(torrent: &Torrent, got: &Path) -> PathBuf {
    let info_hash: String = torrent.info_hash.iter().map(|byte| format!("{byte:02x}")).collect();
    got.join(format!(".{info_hash}.bitwren"))
}

/// Where the part file lies.
pub fn part_path(torrent: &Torrent, got: &Path) -> PathBuf {
    got.join(format!(".{}.parts", torrent.hex()))
}

/// The bytes in a part file, by where in the torrent they are: as far as its headers are good.
fn slots(bytes: &[u8], torrent: &Torrent) -> HashMap<usize, u8> {
    let mut there = HashMap::new();
    if !bytes.starts_with(&[&b"bitwren parts 2\n"[..], &torrent.info_hash].concat()) {
        return there;
    }
    let mut at = 36;
    while let Some(header) = bytes.get(at..at + 20) {
        let offset = u64::from_le_bytes(header[..8].try_into().unwrap());
        let length = u32::from_le_bytes(header[8..12].try_into().unwrap()) as usize;
        let checked = [&torrent.info_hash[..], &(at as u64).to_le_bytes(), &header[..12]].concat();
        if sha1(&checked)[..8] != header[12..] {
            break;
        }
        at += 20;
        let held = bytes.get(at..).unwrap_or_default().iter().take(length);
        there.extend(held.enumerate().map(|(index, byte)| (offset as usize + index, *byte)));
        at += length;
    }
    there
}

/// What a state file says of one file: its length and time, where it vouches for it.
pub type Record = Option<(u64, SystemTime)>;

pub struct State {
    pub pieces: Vec<bool>,
    /// Of each file, and of the part file.
    pub records: Vec<Record>,
    /// Which files' bytes are in the part file.
    pub in_part: Vec<bool>,
}

impl State {
    /// Nothing where it is damaged: then it claims nothing.
    pub fn read(bytes: &[u8], torrent: &Torrent) -> Option<State> {
        let (body, sum) = bytes.split_last_chunk::<20>()?;
        if sha1(body) != *sum || !body.starts_with(b"bitwren\x02") || body.get(8..28)? != torrent.info_hash {
            return None;
        }
        let number = |at: usize| Some(u32::from_le_bytes(body.get(at..at + 4)?.try_into().ok()?));
        let (pieces, files) = (number(28)?, number(32)?);
        assert_eq!(pieces, torrent.pieces());
        let bits = body.get(52..52 + pieces.div_ceil(8) as usize)?;
        let pieces = (0..pieces as usize).map(|piece| bits[piece / 8] & (0x80 >> (piece % 8)) != 0).collect();
        let mut rest = &body[52 + bits.len()..];
        let (mut records, mut in_part) = (Vec::new(), Vec::new());
        for _ in 0..files {
            let (kind, after) = rest.split_first()?;
            rest = after;
            records.push(None);
            in_part.push(*kind == 1);
            if *kind == 2 {
                let (stamp, after) = rest.split_at_checked(20)?;
                rest = after;
                let length = u64::from_le_bytes(stamp[..8].try_into().ok()?);
                let seconds = i64::from_le_bytes(stamp[8..16].try_into().ok()?);
                let nanos = u32::from_le_bytes(stamp[16..].try_into().ok()?);
                let since = Duration::new(seconds.try_into().ok()?, nanos);
                *records.last_mut()? = Some((length, SystemTime::UNIX_EPOCH + since));
            }
        }
        Some(State { pieces, records, in_part })
    }
}

/// The state with the numbers that the files have in the file system now, as a disk keeps them that lost its
/// power. What is damaged is left as it is.
pub fn renumber(mut bytes: Vec<u8>, torrent: &Torrent, got: &Path) -> Vec<u8> {
    let Some(state) = State::read(&bytes, torrent) else { return bytes };
    let known = state.records.iter().filter(|record| record.is_some()).count();
    let sections = 52 + state.pieces.len().div_ceil(8) + state.records.len() + 20 * known;
    let end = bytes.len() - 20;
    let mut at = sections;
    while let Some(head) = bytes.get(at..(at + 8).min(end)).filter(|head| head.len() == 8) {
        let length = u32::from_le_bytes(head[4..].try_into().unwrap()) as usize;
        let own = head.starts_with(b"own\0");
        at += 8;
        if own {
            let name = u16::from_le_bytes([bytes[at], bytes[at + 1]]) as usize;
            let entries = bytes[at + 2 + name..at + length].chunks_exact_mut(17);
            for (entry, (path, _)) in entries.zip(torrent.files(got)) {
                let number = fs::metadata(path).map_or(0, |found| found.ino());
                if entry[8..16] != [0; 8] {
                    entry[8..16].copy_from_slice(&number.to_le_bytes());
                }
            }
        }
        at += length;
    }
    let sum = sha1(&bytes[..end]);
    bytes[end..].copy_from_slice(&sum);
    bytes
}

/// Whether every piece that the state claims is on disk, byte for byte: as far as its files are those
/// that it vouches for, which is when it is believed.
pub fn claims_are_true(torrent: &Torrent, got: &Path) -> Result<u32, String> {
    let Some(state) = fs::read(path(torrent, got)).ok().and_then(|bytes| State::read(&bytes, torrent)) else {
        return Ok(0);
    };
    let mut offset = 0;
    let mut there = vec![true; state.pieces.len()];
    let mut wrong = vec![false; state.pieces.len()];
    let parts = part_path(torrent, got);
    let slots = slots(&fs::read(&parts).unwrap_or_default(), torrent);
    let files = torrent.files(got);
    for (((path, want), record), in_part) in files.iter().zip(&state.records).zip(&state.in_part) {
        let (path, record) = if *in_part { (&parts, state.records.last().unwrap()) } else { (path, record) };
        let found = fs::metadata(path).ok().and_then(|found| Some((found.len(), found.modified().ok()?)));
        let bytes = if *in_part { Vec::new() } else { fs::read(path).unwrap_or_default() };
        for at in 0..want.len() {
            let piece = (offset + at) / torrent.piece_length as usize;
            let byte = if *in_part { slots.get(&(offset + at)) } else { bytes.get(at) };
            there[piece] &= found.is_some() && found == *record;
            wrong[piece] |= byte != Some(&want[at]);
        }
        offset += want.len();
    }
    let claimed = (0..state.pieces.len()).filter(|&piece| state.pieces[piece] && there[piece]);
    let lies: Vec<usize> = claimed.clone().filter(|&piece| wrong[piece]).collect();
    if lies.is_empty() { Ok(claimed.count() as u32) } else { Err(format!("claimed and not there: {lies:?}")) }
}
