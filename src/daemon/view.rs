//! What the daemon can tell of its session and its torrents: plain values.
//!
//! The library of torrents fills them, the RPC writes them out. Nothing here decides, and nothing here is in
//! the words of a protocol. Units: bytes, bytes per second, seconds; limits of speed in kB/s, which are 1,000
//! bytes per second. A [`Time`] counts seconds since 1970, and 0 is never.
//!
//! What costs little stands in [`TorrentView`]. What has to be asked of a running torrent (files, peers,
//! pieces, trackers) is a type of its own, and [`Backend`](super::command::Backend) is asked for it only where
//! a field needs it.

use std::net::SocketAddr;
use std::sync::Arc;

use super::settings::{Priority, Settings, TorrentSettings};
use crate::{InfoHash, PeerId};

/// The number of a torrent: at least 1, kept over restarts, never given again.
pub type TorrentId = u32;

/// Seconds since 1970; 0 is never.
pub type Time = u64;

/// The session: what is neither a setting nor a torrent's.
#[derive(Debug, Clone)]
pub struct SessionView {
    /// What clients may change.
    pub settings: Arc<Settings>,
    /// The directory of the daemon's state; absolute.
    pub config_dir: String,
    /// The token of `X-Transmission-Session-Id`.
    pub session_id: String,
    /// Rules of the blocklist that are loaded.
    pub blocklist_rules: u64,
    /// The programs that are run at events; set by the configuration alone.
    pub hooks: Hooks,
    /// Received and sent now by all torrents, in bytes per second.
    pub rates: (u64, u64),
    /// Torrents that are not stopped.
    pub active_torrents: u32,
    /// Torrents that are stopped.
    pub paused_torrents: u32,
    /// Totals of this run.
    pub current: Totals,
    /// Totals of all runs, this one included.
    pub cumulative: Totals,
    /// Groups of bandwidth.
    pub groups: Vec<Group>,
}

/// Programs run at events; `None` if none is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hooks {
    /// When a torrent was added.
    pub added: Option<String>,
    /// When a torrent was downloaded.
    pub done: Option<String>,
    /// When a torrent reached its limit of seeding.
    pub seeded: Option<String>,
}

/// What one run of the daemon did, or all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Bytes sent.
    pub uploaded: u64,
    /// Bytes received.
    pub downloaded: u64,
    /// Files of the torrents that were added.
    pub files_added: u64,
    /// Runs.
    pub sessions: u64,
    /// Seconds.
    pub seconds_active: u64,
}

/// A group of torrents that share limits of speed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Whether the limits of the session hold for it too.
    pub honors_session_limits: bool,
    /// Upper bound of its downloads, in kB/s, if `speed_limit_down_enabled`.
    pub speed_limit_down: u32,
    /// Whether `speed_limit_down` holds.
    pub speed_limit_down_enabled: bool,
    /// Upper bound of its uploads, in kB/s, if `speed_limit_up_enabled`.
    pub speed_limit_up: u32,
    /// Whether `speed_limit_up` holds.
    pub speed_limit_up_enabled: bool,
}

/// What a torrent is: it changes only when the metadata of a magnet link arrives or a path is renamed. It is
/// made once and shared by all views.
#[derive(Debug, Clone)]
pub struct TorrentFacts {
    /// The v1 info-hash.
    pub info_hash: InfoHash,
    /// What clients call it: its name, or what it was renamed to; of a magnet link without metadata the name in
    /// the link, or else the hash.
    pub name: String,
    /// The comment in the `.torrent`; else empty.
    pub comment: String,
    /// The program that made the `.torrent`; else empty.
    pub creator: String,
    /// The `source` in the `.torrent`; else empty.
    pub source: String,
    /// When the `.torrent` was made.
    pub created: Time,
    /// Whether it is private (BEP 27).
    pub is_private: bool,
    /// Bytes of all files; 0 without metadata.
    pub size: u64,
    /// Pieces; 0 without metadata.
    pub piece_count: u32,
    /// Bytes of a piece; 0 without metadata.
    pub piece_length: u32,
    /// Its files; none without metadata.
    pub files: Vec<FileFacts>,
    /// URLs of web seeds.
    pub web_seeds: Vec<String>,
    /// The path of the daemon's own copy of the `.torrent`; empty without metadata.
    pub torrent_file: String,
}

/// What a file of a torrent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts {
    /// Its path below the download directory, `/` between parts, after renaming: `name/dir/file`.
    pub path: String,
    /// Bytes.
    pub length: u64,
    /// The first piece that it has a part in.
    pub first_piece: u32,
    /// One past the last piece that it has a part in.
    pub end_piece: u32,
}

/// A tracker of a torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracker {
    /// Its number within the torrent, by which clients remove and replace it. It stays as long as the tracker
    /// does.
    pub id: u32,
    /// Its tier; trackers of one tier stand together, tiers ascend.
    pub tier: u32,
    /// The announce URL.
    pub announce: String,
}

/// A torrent, as far as it costs little to say.
#[derive(Debug, Clone)]
pub struct TorrentView {
    /// Its number.
    pub id: TorrentId,
    /// What it is.
    pub facts: Arc<TorrentFacts>,
    /// What clients may change.
    pub settings: TorrentSettings,
    /// Its trackers, in order.
    pub trackers: Arc<[Tracker]>,
    /// What it does.
    pub status: Status,
    /// What is wrong with it. An error of a tracker goes when that tracker works again.
    pub trouble: Trouble,
    /// Where its data lie in the end; absolute, without a slash at the end, never empty. While data are moved it
    /// names the new place already.
    pub download_dir: String,
    /// Bytes of the files that are wanted; 0 without metadata.
    pub wanted: u64,
    /// Wanted bytes that are missing; 0 without metadata.
    pub left: u64,
    /// Bytes of verified pieces.
    pub verified: u64,
    /// Bytes received of pieces that are not verified.
    pub unchecked: u64,
    /// Wanted and missing bytes that a connected peer has.
    pub desired_available: u64,
    /// How much of the metadata is there, 0 to 1; 1 for a `.torrent`.
    pub metadata_progress: f64,
    /// How much of the data is checked, 0 to 1, while it verifies; else 0.
    pub verify_progress: f64,
    /// Payload received and sent now, in bytes per second.
    pub rates: (u64, u64),
    /// Bytes received, over all runs.
    pub downloaded: u64,
    /// Bytes sent, over all runs.
    pub uploaded: u64,
    /// Bytes received that failed verification, over all runs.
    pub corrupt: u64,
    /// When it will be done, or stop to seed by its ratio.
    pub eta: Eta,
    /// When it will stop to seed for being idle.
    pub eta_idle: Eta,
    /// When it was added.
    pub added: Time,
    /// When its data were complete, also if they were so when it was added.
    pub done: Time,
    /// When it was started last.
    pub started: Time,
    /// When data were sent or received last.
    pub active: Time,
    /// When its settings were changed last.
    pub edited: Time,
    /// Seconds spent downloading, over all runs.
    pub seconds_downloading: u64,
    /// Seconds spent seeding, over all runs.
    pub seconds_seeding: u64,
    /// Whether it was stopped by a limit of seeding.
    pub is_finished: bool,
    /// Whether it runs and has been idle for `queue_stalled_minutes`.
    pub is_stalled: bool,
    /// Its place in the queue: from 0 up, no two alike, no gaps.
    pub queue_position: u32,
    /// When clients may ask for an announce again; 0 if they may not.
    pub next_manual_announce: Time,
    /// Its peers, counted.
    pub peers: PeerCounts,
}

/// Connected peers, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PeerCounts {
    /// Connected.
    pub connected: u32,
    /// Those that send to us.
    pub sending_to_us: u32,
    /// Those that receive from us.
    pub getting_from_us: u32,
    /// Web seeds that send to us.
    pub web_seeds_sending: u32,
    /// Connected, by where their addresses came from.
    pub from: PeerSources,
}

/// Connected peers by where their addresses came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PeerSources {
    /// The state of an earlier run.
    pub cache: u32,
    /// The DHT.
    pub dht: u32,
    /// They connected to us.
    pub incoming: u32,
    /// Local service discovery.
    pub lpd: u32,
    /// The port in an extended handshake (BEP 10).
    pub ltep: u32,
    /// Peer exchange.
    pub pex: u32,
    /// A tracker.
    pub tracker: u32,
}

/// What a torrent does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// 0: stopped.
    Stopped,
    /// 1: waits to verify its data.
    VerifyQueued,
    /// 2: verifies its data.
    Verifying,
    /// 3: waits to download.
    DownloadQueued,
    /// 4: downloads, metadata included.
    Downloading,
    /// 5: waits to seed.
    SeedQueued,
    /// 6: seeds.
    Seeding,
}

/// What is wrong with a torrent, with a line for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    #[default]
    None,
    /// 1: a tracker warned.
    TrackerWarning(String),
    /// 2: a tracker failed.
    TrackerError(String),
    /// 3: here: the disk is full, data are missing.
    Local(String),
}

/// Seconds until something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Eta {
    /// It does not come.
    #[default]
    NotApplicable,
    /// It comes, and when cannot be said.
    Unknown,
    /// In as many seconds.
    Seconds(u64),
}

/// A file, as it stands. In the order of [`TorrentFacts::files`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileState {
    /// Its bytes that are there.
    pub completed: u64,
    /// Whether it is downloaded.
    pub wanted: bool,
    /// Its priority among the files.
    pub priority: Priority,
}

/// The pieces of a torrent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PiecesState {
    /// Verified pieces, as a bitfield message has them (BEP 3): the first piece is the high bit of the first
    /// byte. Empty without metadata.
    pub have: Vec<u8>,
    /// How many connected peers have each piece. Empty without metadata.
    pub availability: Vec<u32>,
}

/// A connected peer.
#[derive(Debug, Clone)]
pub struct PeerView {
    /// Where it is.
    pub address: SocketAddr,
    /// Its id.
    pub id: PeerId,
    /// Its program, as it says or as its id shows; empty if neither does.
    pub client: String,
    /// Whether we choke it.
    pub choked_by_us: bool,
    /// Whether it chokes us.
    pub chokes_us: bool,
    /// Whether we are interested in it.
    pub interests_us: bool,
    /// Whether it is interested in us.
    pub interested_in_us: bool,
    /// Whether it sends to us.
    pub is_sending: bool,
    /// Whether it receives from us.
    pub is_receiving: bool,
    /// Whether it is the optimistic unchoke.
    pub is_optimistic: bool,
    /// Whether the connection is encrypted.
    pub is_encrypted: bool,
    /// Whether it connected to us.
    pub is_incoming: bool,
    /// Whether the connection is uTP.
    pub is_utp: bool,
    /// Where its address came from.
    pub source: PeerSource,
    /// How much of the torrent it has, 0 to 1.
    pub progress: f64,
    /// Received from it and sent to it now, in bytes per second.
    pub rates: (u64, u64),
    /// Bytes received from it.
    pub received: u64,
    /// Bytes sent to it.
    pub sent: u64,
}

/// Where the address of a peer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerSource {
    /// The state of an earlier run.
    Cache,
    /// The DHT.
    Dht,
    /// It connected to us.
    Incoming,
    /// Local service discovery.
    Lpd,
    /// The port in an extended handshake (BEP 10).
    Ltep,
    /// Peer exchange.
    Pex,
    /// A tracker.
    Tracker,
}

/// A tracker, as it stands. In the order of [`TorrentView::trackers`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrackerState {
    /// What announcing to it does.
    pub announcing: TrackerActivity,
    /// The last announce.
    pub announced: Exchange,
    /// Peers in the answer to the last announce.
    pub peers: u32,
    /// The next announce.
    pub next_announce: Time,
    /// What scraping it does.
    pub scraping: TrackerActivity,
    /// The last scrape.
    pub scraped: Exchange,
    /// The next scrape.
    pub next_scrape: Time,
    /// Seeders, if it said.
    pub seeders: Option<u32>,
    /// Leechers, if it said.
    pub leechers: Option<u32>,
    /// Downloads completed, if it said.
    pub downloads: Option<u32>,
    /// Peers that download now, if it said (BEP 21).
    pub downloaders: Option<u32>,
    /// Whether it is used only when another of its tier fails.
    pub is_backup: bool,
}

/// An exchange with a tracker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exchange {
    /// When it began; 0 if there was none.
    pub started: Time,
    /// When it ended; 0 if none has.
    pub ended: Time,
    /// Whether it succeeded.
    pub succeeded: bool,
    /// Whether the tracker did not answer in time.
    pub timed_out: bool,
    /// Why it failed, in the tracker's own words if it gave any; empty if it did not.
    pub failure: String,
}

/// How far asking a tracker is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TrackerActivity {
    /// 0: it will not be asked.
    #[default]
    Inactive,
    /// 1: it will be asked later.
    Waiting,
    /// 2: it is to be asked now, and others come first.
    Queued,
    /// 3: it is being asked.
    Active,
}

/// A file system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Space {
    /// Bytes that are free for us.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
}
