//! What the thread of a torrent is made from.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::config::TorrentConfig;
use crate::engine::conn::listener::Registry;
use crate::engine::context::ClientShared;
use crate::engine::runtime::events::EventSender;
use crate::id::TorrentKey;
use crate::metainfo::{Magnet, Metainfo};
use crate::random::Random;
use crate::storage::fd_cache::FdCache;
use crate::torrent;

/// The settings of a torrent, besides its metainfo, which may not be known yet.
pub(crate) struct Setup {
    pub(crate) key: TorrentKey,
    pub(crate) config: TorrentConfig,
    pub(crate) client: Arc<ClientShared>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) events: EventSender,
    pub(crate) fds: Arc<FdCache>,
    pub(crate) hash_threads: usize,
    pub(crate) save_every: Duration,
    pub(crate) random: Random,
}

impl Setup {
    /// What the torrent's decisions are made from.
    pub(super) fn of_machine(&self) -> torrent::Setup {
        let client = &self.client;
        let (has_queue, has_seed_queue) = client.active.are_limited();
        torrent::Setup {
            config: self.config.clone(),
            peer_id: client.peer_id,
            port: client.port,
            pex: client.pex,
            filter: client.filter.get(),
            has_queue,
            has_seed_queue,
            max_metadata: client.budget.metadata,
            max_connections: client.budget.connections,
            save_every: self.save_every,
            random: self.random.clone(),
        }
    }
}

/// The form in which a torrent is added.
pub(super) enum Origin {
    Metainfo(Arc<Metainfo>),
    /// The metainfo is put into the second, for the holders of the torrent's handle, when it is known.
    Magnet(Magnet, Arc<OnceLock<Arc<Metainfo>>>),
}
