//! The peers of `--peer`, and whether there are other ways to find some.

use std::net::{SocketAddr, ToSocketAddrs};

use super::source::TorrentSource;
use crate::cli::args::settings::Seeding;
use crate::cli::args::settings::Settings;
use crate::cli::exit::{Code, Failure};

/// The peers of `--peer`: those that are addresses, and the names that are to be looked up.
#[derive(Clone, Default)]
pub struct Given {
    pub addresses: Vec<SocketAddr>,
    pub names: Vec<(String, u16)>,
}

impl Given {
    pub fn of(peers: &[String]) -> Given {
        let mut given = Given::default();
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

    /// Looks up the names: for a torrent that has no other way to find a peer it makes no sense to go on
    /// without any of them.
    ///
    /// # Errors
    /// That none of them can be looked up, where there is no address either.
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
pub fn has_others(named: &TorrentSource, settings: &Settings, seeding: Seeding) -> bool {
    let trackers = |none: bool| !settings.trackers.is_empty() || settings.use_trackers && !none;
    let found = settings.dht || settings.lsd;
    // Peers that look for this torrent may connect to us.
    seeding.wanted
        || match named {
            TorrentSource::Torrent(metainfo) => {
                trackers(metainfo.tiers().is_empty()) || found && !metainfo.is_private()
            }
            TorrentSource::Magnet(magnet) => {
                trackers(magnet.trackers.is_empty()) || found || !magnet.peers.is_empty()
            }
        }
}
