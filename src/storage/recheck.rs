//! Hashing again the files that another program changed while they were seeded.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::files::Files;
use super::state::Stamp;
use super::verify;
use crate::bitfield::Bitfield;
use crate::error::Result;

/// Files that another program changed, to be hashed again.
pub struct Recheck {
    /// The files of the torrent.
    pub files: Arc<Files>,
    /// Which of them changed, and whether all of the file was verified, so that nothing of it is to be written.
    pub changed: Vec<(u32, bool)>,
    /// The pieces that were right before.
    pub pieces: Bitfield,
    /// To hash on; 0 for one a core.
    pub threads: usize,
    /// Ends it early.
    pub stop: Arc<AtomicBool>,
}

/// The outcome.
pub struct Rechecked {
    /// The files, and the stamp of each before it was hashed; none if it did not exist.
    pub files: Vec<(u32, Option<Stamp>)>,
    /// The pieces that were hashed.
    pub pieces: Bitfield,
    /// Those of them that are right.
    pub right: Bitfield,
}

impl Recheck {
    /// Looks at the files, then hashes them.
    ///
    /// # Errors
    /// As [`verify::check`].
    pub fn run(self) -> Result<Rechecked> {
        let Recheck { files, changed, pieces, threads, stop } = self;
        let look = |(index, whole)| files.look_anew(index, whole).map(|stamp| (index, stamp));
        let looked = changed.into_iter().map(look).collect::<Result<Vec<_>>>()?;
        let right = verify::check(&files, &pieces, threads, &|_| {}, &stop)?.right;
        looked.iter().for_each(|(index, stamp)| files.rehashed(*index, stamp.as_ref()));
        Ok(Rechecked { files: looked, pieces, right })
    }
}
