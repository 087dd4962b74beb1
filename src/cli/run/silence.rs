//! Warnings about missing peers: no DHT node answers, or a torrent has no source of peers at all. Pure.

use std::time::{Duration, Instant};

use bitwren::DHT_ROUTERS;
use bitwren::DhtStatus;

use super::source::TorrentSource;
use crate::cli::args::settings::PeerSources;
use crate::cli::output::units;

/// How long the DHT may take to answer.
const DHT_TIMEOUT: Duration = Duration::from_secs(15);

/// The warning that no DHT node answers, which is given once.
#[derive(Debug)]
pub struct Silence {
    /// The bootstrap nodes.
    routers: Vec<String>,
    /// Whether they are asked through a proxy.
    is_proxied: bool,
    since: Option<Instant>,
    over: bool,
}

impl Silence {
    /// For the nodes through which a run joins the DHT, and whether they are asked through a proxy.
    pub fn new(sources: &PeerSources, is_proxied: bool) -> Silence {
        let routers = sources.dht_nodes.iter().cloned().chain(DHT_ROUTERS.map(str::to_owned));
        Silence { routers: routers.collect(), is_proxied, since: None, over: false }
    }

    /// The warning, if it is due.
    pub fn warning(&mut self, status: &DhtStatus, now: Instant) -> Option<String> {
        if !status.awake || self.over {
            return None;
        }
        let since = *self.since.get_or_insert(now);
        self.over = status.nodes + status.nodes6 > 0;
        if self.over || now.saturating_duration_since(since) < DHT_TIMEOUT {
            return None;
        }
        self.over = true;
        let seconds = units::duration(DHT_TIMEOUT);
        let why = match (status.routers, status.unresolved) {
            (0, 0) => {
                let routers = self.routers.join(", ");
                format!("the names of the bootstrap nodes ({routers}) are still being resolved")
            }
            (0, _) => format!("none of the bootstrap nodes can be resolved ({})", self.routers.join(", ")),
            (asked, _) if self.is_proxied => format!(
                "{} asked through the proxy without an answer; it may relay no UDP",
                units::count(asked.into(), "bootstrap node")
            ),
            (asked, _) => format!(
                "{} asked from UDP port {} without an answer; a firewall may block UDP",
                units::count(asked.into(), "bootstrap node"),
                status.port
            ),
        };
        Some(format!("no DHT node has answered in {seconds}: {why}"))
    }
}

/// A warning if there is no source of peers for a torrent.
pub fn without_sources(torrent: &TorrentSource, sources: &PeerSources) -> Option<String> {
    let (private, trackers, peers) = match torrent {
        TorrentSource::Torrent(metainfo) => (metainfo.is_private(), !metainfo.tiers().is_empty(), false),
        TorrentSource::Magnet(magnet) => (false, !magnet.trackers.is_empty(), !magnet.peers.is_empty()),
    };
    let trackers = sources.use_trackers && trackers || !sources.trackers.is_empty();
    let elsewhere = !private && (sources.dht || sources.lsd);
    if trackers || peers || !sources.peers.is_empty() || elsewhere {
        return None;
    }
    let off = if private { "DHT and LSD are not used for a private torrent" } else { "DHT and LSD are off" };
    Some(format!(
        "no way to find peers: no tracker, no --peer, and {off}; bitwren only waits for connections"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::with;
    use bitwren::Magnet;

    fn status(nodes: u32, routers: u32, unresolved: u32) -> DhtStatus {
        with(DhtStatus::default(), |it| {
            it.awake = true;
            it.port = 6881;
            it.nodes = nodes;
            it.routers = routers;
            it.unresolved = unresolved;
        })
    }

    /// What is said at the given second after the DHT was first wanted, if nothing was before.
    fn said(status: DhtStatus, second: u64) -> Option<String> {
        let (mut silence, start) = (Silence::new(&PeerSources::default(), false), Instant::now());
        assert_eq!(silence.warning(&DhtStatus::default(), start - Duration::from_secs(1)), None);
        assert_eq!(silence.warning(&status, start), None);
        let said = silence.warning(&status, start + Duration::from_secs(second));
        assert_eq!(
            silence.warning(&status, start + Duration::from_secs(9999)).is_some(),
            second < 15 && status.nodes == 0
        );
        said
    }

    #[test]
    fn a_silent_dht_is_told_once_and_what_it_failed_at() {
        assert_eq!(said(status(0, 0, 4), 14), None);
        let unresolved = said(status(0, 0, 4), 15).unwrap();
        assert!(
            unresolved.contains("none of the bootstrap nodes can be resolved (router.bittorrent.com:6881, "),
            "{unresolved}"
        );
        assert!(said(status(0, 0, 0), 15).unwrap().contains("still being resolved"));
        let blocked = said(status(0, 7, 1), 15).unwrap();
        assert!(
            blocked.contains("7 bootstrap nodes asked from UDP port 6881 without an answer"),
            "{blocked}"
        );
        assert_eq!(said(status(1, 7, 1), 15), None);
    }

    #[test]
    fn a_torrent_without_a_source_of_peers_has_a_warning() {
        let alone = PeerSources { dht: false, lsd: false, ..PeerSources::default() };
        let link = |text: &str| TorrentSource::Magnet(Magnet::parse(text).unwrap());
        let hash = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567";
        assert!(without_sources(&link(hash), &alone).unwrap().contains("DHT and LSD are off"));
        assert_eq!(without_sources(&link(hash), &PeerSources::default()), None);
        let tracked = format!("{hash}&tr=http%3A%2F%2Ft%2Fannounce");
        assert_eq!(without_sources(&link(&tracked), &alone), None);
        assert!(
            without_sources(&link(&tracked), &PeerSources { use_trackers: false, ..alone.clone() }).is_some()
        );
        assert_eq!(without_sources(&link(&format!("{hash}&x.pe=10.0.0.1:1")), &alone), None);
        assert_eq!(without_sources(&link(hash), &PeerSources { peers: vec!["h:1".into()], ..alone }), None);
    }
}
