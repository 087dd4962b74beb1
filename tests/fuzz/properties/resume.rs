//! The saved state of a torrent. A checksum that no fuzzer guesses is put behind what it makes up.

use bitwren::InfoHash;
use bitwren::internals::digest::sha1;
use bitwren::internals::storage::state::{State, longest};

/// What the torrent is taken to have at most.
const MOST_PIECES: u32 = 1 << 16;
const MOST_FILES: u32 = 1 << 10;

pub fn resume(data: &[u8]) {
    let number = |at: usize| {
        let bytes = data.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        u32::from_le_bytes(bytes.unwrap_or_default())
    };
    let hash = data.get(8..28).and_then(|hash| hash.try_into().ok()).unwrap_or([7; 20]);
    let hash = InfoHash::from_bytes(hash);
    let (pieces, files) = (number(28) % MOST_PIECES, (number(32) % MOST_FILES).saturating_sub(1) as usize);
    let _ = State::decode(data, hash, pieces, files);
    let sealed = [data, &sha1(data)].concat();
    let Ok(state) = State::decode(&sealed, hash, pieces, files) else { return };
    assert_eq!((state.verified.len(), state.records.len()), (pieces, files + 1));
    assert!(sealed.len() as u64 <= longest(pieces, files));
    // An old version is read and written as the present one; so are sections in another order.
    let written = state.encode(hash);
    assert_eq!(State::decode(&written, hash, pieces, files).as_ref(), Ok(&state), "what is written is read");
    assert_eq!(State::decode(&written, hash, pieces, files).unwrap().encode(hash), written, "in one way");
    for cut in [0, sealed.len() / 2, sealed.len() - 1] {
        assert!(State::decode(&sealed[..cut], hash, pieces, files).is_err());
    }
    let mut other = *hash.as_bytes();
    other[0] ^= 1;
    assert!(State::decode(&sealed, InfoHash::from_bytes(other), pieces, files).is_err());
    assert!(State::decode(&sealed, hash, pieces + 1, files).is_err());
}
