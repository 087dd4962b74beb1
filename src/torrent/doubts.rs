//! Doubted pieces: those of files that another program changed, until they were hashed again.

use std::collections::BTreeMap;

use crate::bitfield::Bitfield;
use crate::moment::Moment;

/// The pieces and files that are being hashed again.
#[derive(Debug)]
pub(super) struct Doubts {
    /// The pieces.
    pub(super) doubted: Bitfield,
    /// How often each file was, and the pieces of it that are doubted now.
    pub(super) files: BTreeMap<u32, (u32, Bitfield)>,
    /// When files were looked at last because a peer left.
    pub(super) looked: Option<Moment>,
}

impl Doubts {
    /// No doubts, in a torrent of `pieces` pieces.
    pub(super) fn new(pieces: u32) -> Doubts {
        Doubts { doubted: Bitfield::empty(pieces), files: BTreeMap::new(), looked: None }
    }

    /// Whether no piece is doubted.
    pub(super) fn is_idle(&self) -> bool {
        self.doubted.count() == 0
    }
}
