//! Looking for peers beyond trackers, which is shut to private torrents (BEP 27): the one place from which
//! a torrent is handed to the DHT and to local service discovery.

use crate::engine::context::ClientShared;
use crate::engine::inbox::TorrentSender;
use crate::id::InfoHash;
use crate::id::TorrentKey;

/// Peers are looked for, and told of us, from now on. Not for private torrents: the caller has made sure of
/// it, or cannot know yet, as with a magnet link.
pub(crate) fn discover(client: &ClientShared, key: TorrentKey, info_hash: InfoHash, torrent: &TorrentSender) {
    if let Some(lsd) = &client.lsd {
        lsd.watch(key, info_hash, torrent.clone());
    }
    if let Some(dht) = &client.dht {
        dht.watch(key, info_hash, torrent.clone());
    }
}

/// Stops looking for its peers.
pub(crate) fn hide(client: &ClientShared, key: TorrentKey) {
    if let Some(lsd) = &client.lsd {
        lsd.forget(key);
    }
    if let Some(dht) = &client.dht {
        dht.forget(key);
    }
}
