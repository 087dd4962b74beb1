//! The pieces verified in this session, in order: how `have` reaches every peer without a message
//! a piece and a peer.
//!
//! The foreman appends; each conversation reads on from where it was, whenever one of its threads is
//! awake anyway or is nudged. Invariant: append-only, each piece once, so four bytes a piece bound it.

use std::sync::{PoisonError, RwLock};

/// The journal.
#[derive(Debug, Default)]
pub(crate) struct HaveLog {
    pieces: RwLock<Vec<u32>>,
}

impl HaveLog {
    /// Notes that `piece` was verified.
    pub(crate) fn append(&self, piece: u32) {
        self.pieces.write().unwrap_or_else(PoisonError::into_inner).push(piece);
    }

    /// How many entries there are: where a reader who knows all of them goes on.
    pub(crate) fn len(&self) -> usize {
        self.pieces.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Hands the entries from `cursor` on to `read` and moves the cursor past them.
    pub(crate) fn read_on(&self, cursor: &mut usize, read: impl FnOnce(&[u32])) {
        let pieces = self.pieces.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(news @ [_, ..]) = pieces.get(*cursor..) {
            *cursor = pieces.len();
            read(news);
        }
    }
}
