//! What a torrent is made of: known from the start, or once a magnet link's metadata has come, which is kept
//! for the next start.

use std::sync::{Arc, OnceLock};

use crate::config::TorrentConfig;
use crate::engine::torrent::setup::Origin;
use crate::error::Result;
use crate::id::InfoHash;
use crate::metainfo::Metainfo;
use crate::storage::info_file;

/// The metainfo, as far as it is known.
pub(super) struct Metadata {
    info_hash: InfoHash,
    metainfo: Option<Arc<Metainfo>>,
    /// Where a magnet link's metainfo is put for the holders of the torrent's handle.
    found: Option<Arc<OnceLock<Arc<Metainfo>>>>,
    /// The trackers of a magnet link, until the metainfo has them.
    magnet_tiers: Vec<Vec<String>>,
}

impl Metadata {
    pub(super) fn new(origin: Origin) -> Metadata {
        match origin {
            Origin::Metainfo(metainfo) => Metadata {
                info_hash: metainfo.info_hash(),
                metainfo: Some(metainfo),
                found: None,
                magnet_tiers: Vec::new(),
            },
            Origin::Magnet(magnet, found) => Metadata {
                info_hash: magnet.info_hash,
                metainfo: None,
                found: Some(found),
                magnet_tiers: magnet.trackers.into_iter().map(|url| vec![url]).collect(),
            },
        }
    }

    pub(super) fn info_hash(&self) -> InfoHash {
        self.info_hash
    }

    /// What the torrent is made of, once that is known.
    pub(super) fn metainfo(&self) -> Option<&Arc<Metainfo>> {
        self.metainfo.as_ref()
    }

    /// The torrent's own trackers.
    pub(super) fn tiers(&self) -> &[Vec<String>] {
        self.metainfo.as_ref().map_or(&self.magnet_tiers, |metainfo| metainfo.tiers())
    }

    /// Whether the torrent is known to be private (BEP 27). While the metadata of a magnet link is not there it is
    /// not known.
    pub(super) fn is_private(&self) -> bool {
        self.metainfo.as_ref().is_some_and(|metainfo| metainfo.is_private())
    }

    /// It is known now.
    pub(super) fn learn(&mut self, metainfo: Arc<Metainfo>) {
        self.found.iter().for_each(|found| _ = found.set(metainfo.clone()));
        self.magnet_tiers.clear();
        self.metainfo = Some(metainfo);
    }

    /// The info dictionary that was kept, if it is still right.
    pub(super) fn load(&self, config: &TorrentConfig) -> Option<Vec<u8>> {
        info_file::load(&config.dir, config.state_dir.as_deref(), self.info_hash)
    }

    /// Keeps the info dictionary for the next start.
    ///
    /// # Errors
    /// As [`info_file::save`].
    pub(super) fn save(&self, config: &TorrentConfig) -> Result<()> {
        let Some(metainfo) = &self.metainfo else { return Ok(()) };
        info_file::save(&config.dir, config.state_dir.as_deref(), self.info_hash, metainfo.info_bytes())
    }
}
