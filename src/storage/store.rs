//! What an [`Assembly`](super::assembly::Assembly) asks of the place where the bytes of a torrent
//! are kept: the [`Files`] of one directory, or a disk made up by a test, which can fail on demand.

use std::sync::Arc;

use super::files::Files;
use super::names::StoredAs;
use crate::error::Result;
use crate::metainfo::Metainfo;

/// The bytes of one torrent, wherever they are.
pub trait Store {
    /// Whose bytes they are.
    fn metainfo(&self) -> &Arc<Metainfo>;

    /// Fills `buffer` with the bytes of the torrent from `offset` on.
    ///
    /// # Errors
    /// As [`Files::read_at`].
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()>;

    /// Writes `data` to the torrent from `offset` on.
    ///
    /// # Errors
    /// As [`Files::write_at`]: some of the data may then be written.
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()>;

    /// Which files had to be put elsewhere than the torrent says since the last call.
    fn take_renamed(&self) -> Vec<StoredAs> {
        Vec::new()
    }
}

impl Store for Files {
    fn metainfo(&self) -> &Arc<Metainfo> {
        self.layout().metainfo()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        Files::read_at(self, offset, buffer)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<()> {
        Files::write_at(self, offset, data)
    }

    fn take_renamed(&self) -> Vec<StoredAs> {
        Files::take_renamed(self)
    }
}
