//! Looking for peers where no tracker is asked, which is shut to private torrents (BEP 27): the one
//! place from which a torrent is handed to whoever looks.

use super::Foreman;
use crate::engine::context::ClientShared;
use crate::engine::inbox::ForemanSender;
use crate::id::InfoHash;
use crate::id::TorrentKey;

/// Others are looked for, and told of us, from now on. Not for private torrents: whoever calls this
/// has made sure of it, or cannot know yet, as with a magnet link.
pub(crate) fn discover(client: &ClientShared, key: TorrentKey, info_hash: InfoHash, foreman: &ForemanSender) {
    if let Some(lsd) = &client.lsd {
        lsd.watch(key, info_hash, foreman.clone());
    }
    if let Some(dht) = &client.dht {
        dht.watch(key, info_hash, client.port, foreman.clone());
    }
}

/// And from now on no more.
pub(crate) fn hide(client: &ClientShared, key: TorrentKey) {
    if let Some(lsd) = &client.lsd {
        lsd.forget(key);
    }
    if let Some(dht) = &client.dht {
        dht.forget(key);
    }
}

impl Foreman {
    /// Others are looked for, and told of us; of a private torrent nobody hears.
    pub(super) fn discover(&self) {
        let Foreman { setup, metainfo, sender, .. } = self;
        if !metainfo.is_private() {
            discover(&setup.client, setup.key, metainfo.info_hash(), sender);
        }
    }

    /// And from now on no more.
    pub(super) fn hide(&self) {
        hide(&self.setup.client, self.setup.key);
    }
}
