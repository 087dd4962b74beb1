//! The settings of a run as those of the client and its torrents.

use std::sync::Arc;

use bitwren::{AddressFilter, Config, DHT_ROUTERS, Error, ErrorKind, FileSelector, TorrentConfig};

use super::given_peers::GivenPeers;
use super::load::Loaded;
use super::source::TorrentSource;
use super::{hidden_names, source, state_home};
use crate::cli::args::settings::{Seeding, TransferSettings};

/// The most connections of a client, whatever the options say.
const MAX_CONNECTIONS: u32 = 10_000;

/// The settings of sockets, and what a `.torrent` from the web may take.
pub fn of_network(settings: &TransferSettings) -> Config {
    let TransferSettings { listen, egress, limits, .. } = settings;
    Config::default()
        .bind(listen.bind)
        .device(egress.device.clone())
        .dscp(egress.dscp)
        .congestion(egress.congestion.clone())
        .proxy_peers(egress.proxy_of_peers().cloned())
        .proxy_trackers(egress.proxy_of_trackers().cloned())
        .web_proxies(egress.web_proxies.clone())
        .max_memory(limits.max_memory)
}

/// The settings of the client for a run of this many torrents.
pub fn of_client(
    settings: &TransferSettings,
    filter: Arc<AddressFilter>,
    torrents: usize,
    metadata_only: bool,
) -> Config {
    let TransferSettings { storage, listen, limits, sources, .. } = settings;
    let several = if torrents > 1 { 2 } else { 1 };
    let config = of_network(settings)
        .pex(sources.pex)
        .encryption(settings.encryption)
        .portmap(listen.portmap.unwrap_or(false))
        .max_peers((limits.max_peers * several).min(MAX_CONNECTIONS))
        .max_active(limits.jobs)
        .lsd(sources.lsd)
        .down_limit(limits.down)
        .up_limit(limits.up)
        .dht(sources.dht)
        .dht_nodes(sources.dht_nodes.iter().map(String::as_str).chain(DHT_ROUTERS))
        .dht_state(state_home::dht_nodes(storage))
        .dht_read_only(metadata_only)
        .filter(filter);
    match listen.port {
        Some(port) => config.port(port).port_required(true),
        None => config,
    }
}

/// The settings of one torrent.
pub fn of_torrent(
    settings: &TransferSettings,
    one: &Loaded,
    given: GivenPeers,
    seeding: Seeding,
) -> TorrentConfig {
    let TransferSettings { storage, limits, sources, .. } = settings;
    let config = TorrentConfig::default()
        .dir(storage.dir.clone())
        .state_dir(storage.state_dir.clone())
        .resume(storage.resume)
        .select(one.select.clone())
        .rename(storage.rename.clone())
        .max_peers(limits.max_peers)
        .peers(given.addresses)
        .peer_names(given.names)
        .trackers(sources.trackers.clone())
        .use_trackers(sources.use_trackers)
        .upload_slots(limits.upload_slots)
        .seed(seeding.wanted)
        .file_selector(file_selector(settings, one));
    // Without seeding the run ends a torrent that is complete; that is no seed limit.
    if !seeding.wanted {
        return config;
    }
    let limits = seeding.limits;
    config.seed_ratio(limits.ratio).seed_time(limits.time).seed_idle(limits.idle)
}

/// Selects the files of a magnet link once its metadata is known.
fn file_selector(settings: &TransferSettings, one: &Loaded) -> Option<FileSelector> {
    let TorrentSource::Magnet(magnet) = &one.source else { return None };
    let (storage, allow_hidden) = (settings.storage.clone(), settings.allow_hidden);
    let magnet = magnet.clone();
    Some(FileSelector::new(move |metainfo| {
        if !allow_hidden {
            hidden_names::check(metainfo, &storage)?;
        }
        let chosen = source::chosen(metainfo, &storage.select, &magnet);
        chosen.map_err(|failure| Error::new(ErrorKind::Argument, failure.why.unwrap_or_default()))
    }))
}
