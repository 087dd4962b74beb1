//! The state file, read by hand: what it claims, held against what is on disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::support::content::{Torrent, sha1};

/// Where it lies.
pub fn path(torrent: &Torrent, got: &Path) -> PathBuf {
    let info_hash: String = torrent.info_hash.iter().map(|byte| format!("{byte:02x}")).collect();
    got.join(format!(".{info_hash}.bitwren"))
}

/// What a state file says of one file: its length and time, where it vouches for it.
pub type Record = Option<(u64, SystemTime)>;

pub struct State {
    pub pieces: Vec<bool>,
    pub records: Vec<Record>,
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
        let mut records = Vec::new();
        for _ in 0..files {
            let (kind, after) = rest.split_first()?;
            rest = after;
            records.push(None);
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
        Some(State { pieces, records })
    }
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
    for ((path, want), record) in torrent.files(got).iter().zip(&state.records) {
        let found = fs::metadata(path).ok().and_then(|found| Some((found.len(), found.modified().ok()?)));
        let bytes = fs::read(path).unwrap_or_default();
        for at in 0..want.len() {
            let piece = (offset + at) / torrent.piece_length as usize;
            there[piece] &= found.is_some() && found == *record;
            wrong[piece] |= bytes.get(at) != Some(&want[at]);
        }
        offset += want.len();
    }
    let claimed = (0..state.pieces.len()).filter(|&piece| state.pieces[piece] && there[piece]);
    let lies: Vec<usize> = claimed.clone().filter(|&piece| wrong[piece]).collect();
    if lies.is_empty() { Ok(claimed.count() as u32) } else { Err(format!("claimed and not there: {lies:?}")) }
}
