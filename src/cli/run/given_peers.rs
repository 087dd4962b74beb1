//! The peers of `--peer`, and whether there are other ways to find some.

use std::net::{SocketAddr, ToSocketAddrs};

use super::source::TorrentSource;
use crate::cli::args::settings::PeerSources;
use crate::cli::args::settings::Seeding;
use crate::cli::exit::{Code, Failure};

/// The peers of `--peer`: addresses, and host names that are not resolved yet.
#[derive(Clone, Default)]
pub struct GivenPeers {
    pub addresses: Vec<SocketAddr>,
    pub names: Vec<(String, u16)>,
}

impl GivenPeers {
    pub fn of(peers: &[String]) -> GivenPeers {
        let mut given = GivenPeers::default();
        for peer in peers {
            match peer.parse() {
                Ok(address) => given.addresses.push(address),
                Err(_) => given.names.extend(
                    peer.rsplit_once(':')
                        .and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?))),
                ),
            }
        }
        given
    }

    /// Resolves the names, for a torrent that has no other source of peers.
    ///
    /// # Errors
    /// No name can be resolved, and there is no address either.
    pub fn look_up(&mut self) -> Result<(), Failure> {
        let mut failed = None;
        self.names.retain(|(host, port)| match (host.as_str(), *port).to_socket_addrs() {
            Ok(found) => {
                self.addresses.extend(found);
                false
            }
            Err(error) => {
                let why = format_args!("--peer: cannot resolve {host}:{port}: {error}").to_string();
                failed.get_or_insert_with(|| Failure::new(Code::DNS, why));
                true
            }
        });
        match failed {
            Some(failure) if self.addresses.is_empty() => Err(failure),
            _ => Ok(()),
        }
    }
}

/// Whether peers of a torrent may come from elsewhere than `--peer`.
pub fn has_others(torrent: &TorrentSource, sources: &PeerSources, seeding: Seeding) -> bool {
    let trackers = |none: bool| !sources.trackers.is_empty() || sources.use_trackers && !none;
    let found = sources.dht || sources.lsd;
    // A seed waits for peers that look for the torrent and connect to it.
    seeding.wanted
        || match torrent {
            TorrentSource::Torrent(metainfo) => {
                trackers(metainfo.tiers().is_empty()) || found && !metainfo.is_private()
            }
            TorrentSource::Magnet(magnet) => {
                trackers(magnet.trackers.is_empty()) || found || !magnet.peers.is_empty()
            }
        }
}
