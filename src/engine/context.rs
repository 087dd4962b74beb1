//! What the threads of the client share, and what those of one torrent share.

use super::discovery::dht::handle::DhtHandle;
use super::discovery::lsd::Lsd;
use super::disk::checker::Checker;
use super::disk::writer::ToDisk;
use super::inbox::TorrentSender;
use super::inbox::active_queue::ActiveQueue;
use super::net::egress::Egress;
use super::net::handshakes::Handshakes;
use super::net::told_ports::ToldPorts;
use super::runtime::block_pool::BlockPool;
use super::runtime::clock::Clock;
use super::runtime::counters::Counters;
use super::runtime::have_log::HaveLog;
use super::runtime::ledger::Ledger;
use super::runtime::quotas::ConnectionQuota;
use super::runtime::rate_limit::Limits;
use super::runtime::shared_filter::SharedFilter;
use super::runtime::shutdown::Shutdown;
use super::tracker::AnnounceThread;
use crate::budget::Budget;
use crate::crypto::EncryptionPolicy;
use crate::host::external_ip::ExternalIpVotes;
use crate::id::TorrentKey;
use crate::id::{InfoHash, PeerId};
use crate::metainfo::Metainfo;
use crate::pieces::Pieces;
use crate::storage::files::Files;
use crossbeam_channel::Sender;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, OnceLock};

/// What all threads of the client share.
pub(crate) struct ClientShared {
    pub(crate) clock: Clock,
    pub(crate) shutdown: Shutdown,
    pub(crate) budget: Budget,
    /// What the torrents take of it.
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) pool: Arc<BlockPool>,
    pub(crate) disk: Sender<ToDisk>,
    pub(crate) peer_id: PeerId,
    /// The port that peers are taken at, and what others are told of it.
    pub(crate) port: u16,
    pub(crate) told_ports: Arc<ToldPorts>,
    /// How sockets are made.
    pub(crate) egress: Arc<Egress>,
    /// Whether peers are exchanged (BEP 11).
    pub(crate) pex: bool,
    /// Addresses that nothing is sent to, and that no connection is accepted from.
    pub(crate) filter: Arc<SharedFilter>,
    /// Whether connections to peers are encrypted.
    pub(crate) encryption: EncryptionPolicy,
    /// What the world sees us as.
    pub(crate) external: ExternalIpVotes,
    /// Connections let in, and calls under way, of all torrents: each has its share.
    pub(crate) connected: Arc<ConnectionQuota>,
    pub(crate) calling: ConnectionQuota,
    /// Connections that came in and still shake hands.
    pub(crate) handshakes: Arc<Handshakes>,
    pub(crate) active: ActiveQueue,
    /// Announces to the trackers of all torrents.
    pub(crate) announces: AnnounceThread,
    /// Checks the data of all torrents, one after the other.
    pub(crate) checker: Checker,
    /// Where the DHT is on.
    pub(crate) dht: Option<DhtHandle>,
    pub(crate) next_peer: AtomicU32,
    /// Who looks on the local network, if anyone is to.
    pub(crate) lsd: Option<Lsd>,
    pub(crate) down: Arc<super::runtime::rate_limit::Limiter>,
    pub(crate) up: Arc<super::runtime::rate_limit::Limiter>,
}

/// What all threads of one torrent share.
pub(crate) struct TorrentContext {
    pub(crate) client: Arc<ClientShared>,
    pub(crate) key: TorrentKey,
    pub(crate) info_hash: InfoHash,
    pub(crate) inbox: TorrentSender,
    pub(crate) counters: Arc<Counters>,
    pub(crate) have_log: HaveLog,
    pub(crate) down: Limits,
    pub(crate) up: Limits,
    /// What it is made of, once its data was checked.
    pub(crate) content: OnceLock<Arc<Content>>,
}

impl TorrentContext {
    /// The same torrent, of which nothing is open yet.
    pub(crate) fn anew(&self) -> TorrentContext {
        TorrentContext {
            client: self.client.clone(),
            key: self.key,
            info_hash: self.info_hash,
            inbox: self.inbox.clone(),
            counters: self.counters.clone(),
            have_log: HaveLog::default(),
            down: self.down.clone(),
            up: self.up.clone(),
            content: OnceLock::new(),
        }
    }

    /// The DHT, where there is one and the torrent is not known to be private (BEP 27).
    pub(crate) fn dht(&self) -> Option<&DhtHandle> {
        let private = self.content.get().is_some_and(|content| content.metainfo.is_private());
        self.client.dht.as_ref().filter(|_| !private)
    }
}

/// What a torrent is made of, and where it lies.
pub(crate) struct Content {
    pub(crate) metainfo: Arc<Metainfo>,
    pub(crate) pieces: Pieces,
    pub(crate) files: Arc<Files>,
}
