//! A handle on one torrent. It sends commands to the torrent's thread and reads its progress; it never
//! waits for more than one answer, and never longer than a second.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crossbeam_channel::bounded;

use crate::engine::inbox::{TorrentMessage, TorrentSender};
use crate::engine::torrent::status::TorrentStatus;
use crate::event::{PeerSnapshot, Progress};
use crate::id::InfoHash;
use crate::metainfo::Metainfo;
use crate::swarm::peers::Source;
use crate::torrent::Input;

/// A handle on one torrent of a client; clones refer to the same torrent. Commands to a torrent that
/// has ended have no effect.
///
/// ```no_run
/// # use bitwren::{Client, Config, Magnet, TorrentConfig};
/// let client = Client::start(Config::default())?;
/// let magnet: Magnet = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567".parse()?;
/// let torrent = client.add_magnet(magnet, TorrentConfig::default())?;
/// torrent.set_limits(500 << 10, 0);
/// println!("{:?}, {} peers", torrent.progress().phase, torrent.peers().len());
/// # Ok::<(), bitwren::Error>(())
/// ```
#[derive(Clone)]
pub struct Torrent {
    pub(super) info_hash: InfoHash,
    pub(super) metainfo: Arc<OnceLock<Arc<Metainfo>>>,
    pub(super) inbox: TorrentSender,
    pub(super) status: Arc<TorrentStatus>,
}

impl Torrent {
    /// The info-hash.
    pub fn info_hash(&self) -> InfoHash {
        self.info_hash
    }

    /// The metainfo; `None` until a magnet link's metadata has been fetched.
    pub fn metainfo(&self) -> Option<Arc<Metainfo>> {
        self.metainfo.get().cloned()
    }

    /// A snapshot of the transfer's progress.
    pub fn progress(&self) -> Progress {
        self.status.progress()
    }

    /// The connected peers, as the torrent's thread knows them. Empty if the torrent has ended or does
    /// not answer within a second.
    pub fn peers(&self) -> Vec<PeerSnapshot> {
        let (answer, answered) = bounded(1);
        self.send(TorrentMessage::Peers(answer));
        answered.recv_timeout(Duration::from_secs(1)).unwrap_or_default()
    }

    /// Pauses the torrent: closes its connections and saves its state.
    pub fn pause(&self) {
        self.send(Input::Pause.into());
    }

    /// Resumes a paused torrent.
    pub fn resume(&self) {
        self.send(Input::Resume.into());
    }

    /// Ends the torrent: saves its state and announces `stopped`. The files stay.
    /// [`EventKind::Stopped`](crate::EventKind::Stopped) reports that it is done.
    pub fn remove(&self) {
        self.send(Input::Remove.into());
    }

    /// Adds a peer to connect to.
    pub fn add_peer(&self, peer: SocketAddr) {
        self.send(Input::Found(Source::Given, vec![peer]).into());
    }

    /// Changes the rate limits of this torrent, in bytes per second; 0 is no limit.
    pub fn set_limits(&self, down: u64, up: u64) {
        self.send(TorrentMessage::SetLimits { down, up });
    }

    fn send(&self, message: TorrentMessage) {
        // Fails only if the torrent has ended.
        let _ = self.inbox.send(message);
    }
}

impl fmt::Debug for Torrent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Torrent").field("info_hash", &self.info_hash).finish_non_exhaustive()
    }
}
