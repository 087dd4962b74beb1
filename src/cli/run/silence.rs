//! What to say where nobody answers: no node of the DHT, or nobody who could be asked at all. Pure.

use std::time::{Duration, Instant};

use bitwren::DHT_ROUTERS;
use bitwren::DhtStatus;

use super::source::TorrentSource;
use crate::cli::args::settings::Settings;
use crate::cli::output::units;

/// How long the DHT may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// That the DHT does not answer, which is told once.
#[derive(Debug)]
pub struct Silence {
    /// Where it is entered.
    routers: Vec<String>,
    since: Option<Instant>,
    over: bool,
}

impl Silence {
    /// For the settings of a run.
    pub fn new(settings: &Settings) -> Silence {
        let routers = settings.dht_nodes.iter().cloned().chain(DHT_ROUTERS.map(str::to_owned));
        Silence { routers: routers.collect(), since: None, over: false }
    }

    /// What to warn of, if anything.
    pub fn warning(&mut self, status: &DhtStatus, now: Instant) -> Option<String> {
        if !status.awake || self.over {
            return None;
        }
        let since = *self.since.get_or_insert(now);
        self.over = status.nodes + status.nodes6 > 0;
        if self.over || now.saturating_duration_since(since) < PATIENCE {
            return None;
        }
        self.over = true;
        let seconds = units::duration(PATIENCE);
        let why = match (status.routers, status.unresolved) {
            (0, 0) => {
                let routers = self.routers.join(", ");
                format!("the names of the bootstrap nodes ({routers}) are still being resolved")
            }
            (0, _) => format!("none of the bootstrap nodes can be resolved ({})", self.routers.join(", ")),
            (asked, _) => format!(
                "{} asked from UDP port {} without an answer; a firewall may block UDP",
                units::count(asked.into(), "bootstrap node"),
                status.port
            ),
        };
        Some(format!("no DHT node has answered in {seconds}: {why}"))
    }
}

/// What to warn of where nobody can be asked for peers of a torrent, if so.
pub fn nobody_to_ask(named: &TorrentSource, settings: &Settings) -> Option<String> {
    let (private, trackers, peers) = match named {
        TorrentSource::Torrent(metainfo) => (metainfo.is_private(), !metainfo.tiers().is_empty(), false),
        TorrentSource::Magnet(magnet) => (false, !magnet.trackers.is_empty(), !magnet.peers.is_empty()),
    };
    let trackers = settings.use_trackers && trackers || !settings.trackers.is_empty();
    let elsewhere = !private && (settings.dht || settings.lsd);
    if trackers || peers || !settings.peers.is_empty() || elsewhere {
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
    use bitwren::Magnet;

    fn status(nodes: u32, routers: u32, unresolved: u32) -> DhtStatus {
        DhtStatus { awake: true, port: 6881, nodes, routers, unresolved, ..DhtStatus::default() }
    }

    /// What is said at the given second after the DHT was first wanted, if nothing was before.
    fn said(status: DhtStatus, second: u64) -> Option<String> {
        let (mut silence, start) = (Silence::new(&Settings::default()), Instant::now());
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
    fn who_can_ask_nobody_is_told_so() {
        let alone = Settings { dht: false, lsd: false, ..Settings::default() };
        let link = |text: &str| TorrentSource::Magnet(Magnet::parse(text).unwrap());
        let hash = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567";
        assert!(nobody_to_ask(&link(hash), &alone).unwrap().contains("DHT and LSD are off"));
        assert_eq!(nobody_to_ask(&link(hash), &Settings::default()), None);
        let tracked = format!("{hash}&tr=http%3A%2F%2Ft%2Fannounce");
        assert_eq!(nobody_to_ask(&link(&tracked), &alone), None);
        assert!(nobody_to_ask(&link(&tracked), &Settings { use_trackers: false, ..alone.clone() }).is_some());
        assert_eq!(nobody_to_ask(&link(&format!("{hash}&x.pe=10.0.0.1:1")), &alone), None);
        assert_eq!(nobody_to_ask(&link(hash), &Settings { peers: vec!["h:1".into()], ..alone }), None);
    }
}
