//! Behind which door a connection ends up: that of a torrent at work, or that of one whose metadata
//! is still being fetched. Dialling and the listener need not know which.

use std::net::SocketAddr;
use std::sync::Arc;

use super::conn::join::Handshaken;
use super::conn::worker;
use super::context::{ClientShared, TorrentShared};
use super::inbox::TorrentMessage;
use super::metadata;
use super::metadata::{MetadataShared, News};
use crate::id::InfoHash;
use crate::id::TorrentKey;
use crate::torrent::Input;
use crate::violation::DisconnectReason;

/// Who takes the connections of an info-hash.
#[derive(Clone)]
pub(crate) enum Door {
    Torrent(Arc<TorrentShared>),
    Metadata(Arc<MetadataShared>),
}

impl Door {
    pub(crate) fn client(&self) -> &Arc<ClientShared> {
        match self {
            Door::Torrent(torrent) => &torrent.client,
            Door::Metadata(fetching) => &fetching.client,
        }
    }

    pub(crate) fn key(&self) -> TorrentKey {
        match self {
            Door::Torrent(torrent) => torrent.key,
            Door::Metadata(fetching) => fetching.key,
        }
    }

    pub(crate) fn info_hash(&self) -> InfoHash {
        match self {
            Door::Torrent(torrent) => torrent.metainfo.info_hash(),
            Door::Metadata(fetching) => fetching.info_hash,
        }
    }

    /// Whether peers are told that we have a node of the DHT, and where (BEP 5).
    pub(crate) fn has_dht(&self) -> bool {
        match self {
            Door::Torrent(torrent) => torrent.dht().is_some(),
            // What it is will show: whether it is private nobody knows yet.
            Door::Metadata(fetching) => fetching.client.dht.is_some(),
        }
    }

    /// Runs a connection that is through the handshake to its end on the present thread.
    pub(crate) fn converse(&self, fresh: Handshaken) {
        match self {
            Door::Torrent(torrent) => worker::converse(torrent, fresh),
            Door::Metadata(fetching) => metadata::converse(fetching, fresh),
        }
    }

    /// Tells that a call came to nothing.
    pub(crate) fn dial_failed(&self, addr: SocketAddr, why: DisconnectReason) {
        // A foreman that is gone does not mind.
        let _ = match self {
            Door::Torrent(torrent) => torrent.torrent.send(Input::DialFailed(addr, why).into()),
            Door::Metadata(fetching) => {
                fetching.torrent.send(TorrentMessage::Metadata(Box::new(News::DialFailed(addr, why))))
            }
        };
    }
}
