//! A handle on one torrent. It sends commands to the torrent's thread and reads its progress; it never
//! waits for more than one answer, and never longer than a second.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};

use crate::engine::inbox::{Query, TorrentMessage, TorrentSender};
use crate::engine::torrent::status::TorrentStatus;
use crate::id::InfoHash;
use crate::metainfo::Metainfo;
use crate::snapshot::{FileSnapshot, PeerSnapshot, PiecesSnapshot, Progress};
use crate::swarm::peers::Source;
use crate::torrent::Input;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

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
        self.ask(Query::Peers).unwrap_or_default()
    }

    /// Which pieces are verified, and how many of the peers have each. `None` before the data was checked, if
    /// the torrent has ended, or if it does not answer within a second.
    pub fn pieces(&self) -> Option<PiecesSnapshot> {
        self.ask(Query::Pieces).flatten()
    }

    /// How much of each file is verified, in the order of [`Metainfo::files`]. `None` before the data was
    /// checked, if the torrent has ended, or if it does not answer within a second.
    pub fn files(&self) -> Option<Vec<FileSnapshot>> {
        self.ask(Query::Files).flatten()
    }

    /// Announces now rather than at the next regular time: as soon as the trackers that answered permit, and at
    /// once to those that failed; the DHT is asked for peers, too. Nothing happens while the torrent is paused
    /// or waits.
    pub fn reannounce(&self) {
        self.send(Input::Reannounce.into());
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

    /// Asks the torrent's thread; nothing where it has ended or does not answer within a second.
    fn ask<T>(&self, query: impl FnOnce(Sender<T>) -> Query) -> Option<T> {
        let (answer, answered) = bounded(1);
        let until = Instant::now() + PATIENCE;
        self.inbox.send_timeout(TorrentMessage::Query(query(answer)), PATIENCE).ok()?;
        answered.recv_deadline(until).ok()
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
