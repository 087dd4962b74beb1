//! A handle on one torrent. It sends commands to the torrent's thread and reads its progress; it never
//! waits for more than one answer, and never longer than a second.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};

use crate::config::{Priority, SeedLimits};
use crate::engine::inbox::{Query, TorrentMessage, TorrentSender};
use crate::engine::torrent::status::TorrentStatus;
use crate::error::{Error, ErrorKind, Result};
use crate::id::InfoHash;
use crate::metainfo::Metainfo;
use crate::snapshot::{FileSnapshot, PeerSnapshot, PiecesSnapshot, Progress, TrackerSnapshot};
use crate::swarm::peers::Source;
use crate::torrent::{Change, Input, Setting};
use crate::tracker::url::TrackerUrl;

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

    /// Its trackers, tier by tier, each with what came of the last announce and when the next is. `None` if the
    /// torrent has ended or does not answer within a second.
    pub fn trackers(&self) -> Option<Vec<TrackerSnapshot>> {
        self.ask(Query::Trackers)
    }

    /// Announces to these trackers from now on in place of the torrent's own and those of its settings, each list
    /// a tier. One that stays keeps its schedule; one that goes is told that we stopped. With no tiers none is
    /// announced to.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] if one is no URL of a tracker; nothing is changed then.
    pub fn set_trackers(&self, tiers: Vec<Vec<String>>) -> Result<()> {
        tiers.iter().flatten().try_for_each(|url| TrackerUrl::parse(url).map(drop))?;
        self.send(TorrentMessage::SetTrackers(tiers));
        Ok(())
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

    /// Hashes all data again, whatever the resume state says: what is not right is downloaded again. Connections
    /// end for the time; a paused torrent is checked, too, and stays paused. One that failed begins anew, so that
    /// it continues once what made it fail was put right.
    pub fn verify(&self) {
        self.change(Change::Verify);
    }

    /// Chooses which files are downloaded, and in which order of priority: one entry for each file of the torrent,
    /// `None` for one that is not wanted. Entries of padding and symbolic links do not matter.
    ///
    /// A running torrent goes on where it can. Where files have to be opened anew for it, its connections end for
    /// a moment: a file that was not wanted before may have bytes in the part file, and a complete torrent that
    /// is to download more takes its files again. Files that exist already stay.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] if the torrent has another number of files, if no file is wanted, and while a magnet
    /// link's metadata is not known.
    pub fn set_files(&self, files: &[Option<Priority>]) -> Result<()> {
        let wrong = |why: String| Err(Error::new(ErrorKind::Argument, why));
        let Some(metainfo) = self.metainfo() else {
            return wrong("the files of the torrent are not known yet".to_owned());
        };
        let (given, count) = (files.len(), metainfo.files().len());
        if given != count {
            return wrong(format!("{given} files are given; the torrent has {count}"));
        }
        let stored = (0u32..).zip(files).zip(metainfo.files()).filter(|(_, file)| file.is_stored());
        let (mut wanted, mut priorities, mut all) = (Vec::new(), Vec::new(), true);
        for ((index, priority), _) in stored {
            match priority {
                Some(priority) => {
                    wanted.push(index);
                    priorities.extend((*priority != Priority::Normal).then_some((index, *priority)));
                }
                None => all = false,
            }
        }
        if wanted.is_empty() {
            return wrong("no file is wanted".to_owned());
        }
        self.change(Change::Files { select: (!all).then_some(wanted), priorities });
        Ok(())
    }

    /// Says that the data is in another directory, where another program put it: it is looked for and hashed
    /// there. Nothing is moved.
    pub fn locate(&self, dir: impl Into<PathBuf>) {
        self.change(Change::Locate(dir.into()));
    }

    /// Resumes a paused torrent, and has one that waits for an active slot go on at once, past the queue.
    pub fn start_now(&self) {
        self.send(TorrentMessage::StartNow);
    }

    /// Changes how many connections the torrent may have ([`TorrentConfig::max_peers`](crate::TorrentConfig::max_peers)), 1 to 10,000. Those beyond
    /// it end.
    pub fn set_max_peers(&self, max_peers: u32) {
        self.set(Setting::MaxPeers(max_peers.clamp(1, 10_000)));
    }

    /// Changes how many peers are unchoked at once ([`TorrentConfig::upload_slots`](crate::TorrentConfig::upload_slots)), 1 to 1,000; `None` follows the
    /// upload rate.
    pub fn set_upload_slots(&self, slots: Option<u32>) {
        self.set(Setting::UploadSlots(slots.map(|slots| slots.clamp(1, 1_000))));
    }

    /// Changes when seeding is enough. A limit that is reached already ends the torrent at once, or pauses it
    /// ([`TorrentConfig::pause_when_seeded`](crate::TorrentConfig::pause_when_seeded)).
    pub fn set_seed_limits(&self, limits: SeedLimits) {
        self.set(Setting::SeedLimits(limits));
    }

    /// Changes whether pieces are downloaded in order ([`TorrentConfig::sequential`](crate::TorrentConfig::sequential)).
    pub fn set_sequential(&self, sequential: bool) {
        self.set(Setting::Sequential(sequential));
    }

    /// Changes whether to super-seed ([`TorrentConfig::super_seed`](crate::TorrentConfig::super_seed)). Peers that are connected know which pieces are
    /// here: their connections end when it begins. Nothing happens without complete data.
    pub fn set_super_seed(&self, super_seed: bool) {
        self.set(Setting::SuperSeed(super_seed));
    }

    /// Moves the files to another directory, which is made if needed: by their names where it is on the same file
    /// system, and by a copy that is synced before the old files go where it is not. Connections end for the time.
    /// No file that is there already is overwritten. [`EventKind::Moved`](crate::EventKind::Moved) and
    /// [`EventKind::NotMoved`](crate::EventKind::NotMoved) report the outcome, [`Progress::moved`] how far it is.
    ///
    /// Until everything is in the new directory it is in the old one as well. A program that is killed meanwhile
    /// adds the torrent with the old directory and asks again; what was moved is known.
    pub fn move_to(&self, dir: impl Into<PathBuf>) {
        self.change(Change::Move(dir.into()));
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

    fn set(&self, setting: Setting) {
        self.send(Input::Set(setting).into());
    }

    fn change(&self, change: Change) {
        self.send(Input::Change(Box::new(change)).into());
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
