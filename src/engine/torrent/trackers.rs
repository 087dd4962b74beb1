//! The trackers of a torrent, and of a magnet link before it is one: what they are told, and what
//! comes of what they say.

use std::net::SocketAddr;
use std::sync::Arc;

use crossbeam_channel::TrySendError;

use super::{Foreman, TorrentStatus};
use crate::config::TorrentConfig;
use crate::engine::context::ClientShared;
use crate::engine::inbox::{ForemanSender, ToForeman};
use crate::engine::runtime::counters::Counters;
use crate::engine::tracker::{AnnounceSetup, Announcer, Totals};
use crate::id::InfoHash;
use crate::random::{Random, entropy};
use crate::swarm::peers::Source;
use crate::tracker::report::TrackerEvent;

/// Starts to announce to a torrent's own trackers, unless they are not wanted, and to the user's, each
/// a tier; nothing where there is none of either.
pub(crate) fn announce(
    client: &ClientShared,
    config: &TorrentConfig,
    (info_hash, own): (InfoHash, &[Vec<String>]),
    (counters, standing): (&Arc<Counters>, &Arc<TorrentStatus>),
    random: Random,
    torrent: &ForemanSender,
) -> Option<Announcer> {
    let own = if config.use_trackers { own } else { &[] };
    let tiers: Vec<Vec<String>> =
        own.iter().cloned().chain(config.trackers.iter().map(|url| vec![url.clone()])).collect();
    if tiers.is_empty() {
        return None;
    }
    let (counters, standing) = (counters.clone(), standing.clone());
    let totals = move || Totals {
        uploaded: Counters::read(&counters.uploaded),
        downloaded: Counters::read(&counters.downloaded),
        left: standing.left(),
    };
    let setup = AnnounceSetup {
        tiers,
        info_hash,
        peer_id: client.peer_id,
        port: client.port,
        key: u32::from_ne_bytes(entropy()),
        totals: Box::new(totals),
        random,
        tell: {
            let torrent = torrent.clone();
            Box::new(move |event| match torrent.try_send(ToForeman::Tracker(event)) {
                Err(TrySendError::Full(ToForeman::Tracker(event))) => Err(event),
                _ => Ok(()),
            })
        },
    };
    Some(Announcer::start(&client.office, setup))
}

impl Foreman {
    /// Announces where that is not done yet.
    pub(super) fn announce(&mut self) {
        let random = Random::seeded(self.random.next_u64());
        let Some(active) = &mut self.active else { return };
        if active.announcer.is_some() {
            return;
        }
        let own = (self.metainfo.info_hash(), self.metainfo.tiers());
        let shown = (&self.counters, &self.standing);
        let start = || announce(&self.setup.client, &self.setup.config, own, shown, random, &self.sender);
        active.announcer = self.announcer.take().or_else(start);
    }

    pub(super) fn on_tracker(&mut self, event: TrackerEvent) {
        match event {
            TrackerEvent::Peers(addrs) => self.on_found(Source::Tracker, addrs),
            TrackerEvent::ExternalIp(ip) => {
                self.setup.client.dht.iter().for_each(|dht| dht.external_ip(ip));
                if let Some(active) = &mut self.active {
                    active.peers.located(SocketAddr::new(ip, self.setup.client.port));
                }
            }
            event => event.news().into_iter().for_each(|what| self.tell(what)),
        }
    }
}
