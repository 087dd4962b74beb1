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

use super::stored::Stored;
use crate::bencode::{Dict, Value};
use crate::{InfoHash, PeerId};

/// The number of a torrent: at least 1, kept over restarts, never given again.
pub type TorrentId = u32;

/// Seconds since 1970; 0 is never.
pub type Time = u64;

/// Generates a structure of settings, and one of changes to it: each field there is or is not.
macro_rules! settings {
    ($(#[$doc:meta])* $settings:ident, $(#[$change_doc:meta])* $change:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $settings { $($(#[$field_doc])* pub $field: $type,)* }

        $(#[$change_doc])*
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct $change { $($(#[$field_doc])* pub $field: Option<$type>,)* }

        impl $change {
            /// Makes the change.
            pub fn apply(self, settings: &mut $settings) {
                $(if let Some(value) = self.$field {
                    settings.$field = value;
                })*
            }

            /// Whether it changes nothing, whatever the settings are.
            pub fn is_empty(&self) -> bool {
                *self == Self::default()
            }

            /// Takes over what another changes.
            pub fn merge(&mut self, other: $change) {
                $(if other.$field.is_some() {
                    self.$field = other.$field;
                })*
            }

            /// Stores what is changed.
            pub fn store(&self, dict: &mut Dict<'_>) {
                $(if let Some(value) = &self.$field {
                    value.store(stringify!($field), dict);
                })*
            }

            /// Reads what was stored; what cannot be read is not changed.
            pub fn read(stored: Value<'_>) -> $change {
                let mut change = $change::default();
                for (key, value) in stored.dict().into_iter().flatten() {
                    $(if key == stringify!($field).as_bytes() {
                        change.$field = Stored::read(value);
                    })*
                }
                change
            }
        }

        impl From<$settings> for $change {
            fn from(settings: $settings) -> $change {
                $change { $($field: Some(settings.$field),)* }
            }
        }
    };
}

settings! {
    /// The settings of a session that clients may read and change.
    Settings,
    /// A change to some settings of the session.
    SettingsChange {
        /// Upper bound of all downloads together, in kB/s, if `speed_limit_down_enabled`.
        speed_limit_down: u32,
        /// Whether `speed_limit_down` holds.
        speed_limit_down_enabled: bool,
        /// Upper bound of all uploads together, in kB/s, if `speed_limit_up_enabled`.
        speed_limit_up: u32,
        /// Whether `speed_limit_up` holds.
        speed_limit_up_enabled: bool,
        /// The other limit of downloads, in kB/s, which holds while `alt_speed_enabled`.
        alt_speed_down: u32,
        /// The other limit of uploads, in kB/s, which holds while `alt_speed_enabled`.
        alt_speed_up: u32,
        /// Whether the other limits hold now.
        alt_speed_enabled: bool,
        /// Whether the other limits are switched by the time of day.
        alt_speed_time_enabled: bool,
        /// When they begin: minutes after midnight, local time.
        alt_speed_time_begin: u32,
        /// When they end: minutes after midnight, local time.
        alt_speed_time_end: u32,
        /// On which days: Sunday is 1, Monday 2, up to Saturday 64, added up.
        alt_speed_time_day: u32,
        /// Where torrents are downloaded to; absolute.
        download_dir: String,
        /// Where unfinished torrents lie, if `incomplete_dir_enabled`; absolute.
        incomplete_dir: String,
        /// Whether unfinished torrents lie in `incomplete_dir`.
        incomplete_dir_enabled: bool,
        /// Whether at most `download_queue_size` torrents download at once.
        download_queue_enabled: bool,
        /// How many torrents download at once.
        download_queue_size: u32,
        /// Whether at most `seed_queue_size` torrents seed at once.
        seed_queue_enabled: bool,
        /// How many torrents seed at once.
        seed_queue_size: u32,
        /// Whether stalled torrents are not counted by the queues.
        queue_stalled_enabled: bool,
        /// After how many idle minutes a torrent is stalled.
        queue_stalled_minutes: u32,
        /// The ratio at which a torrent stops to seed, if `seed_ratio_limited`.
        seed_ratio_limit: f64,
        /// Whether `seed_ratio_limit` holds.
        seed_ratio_limited: bool,
        /// After how many idle minutes a torrent stops to seed, if `idle_seeding_limit_enabled`.
        idle_seeding_limit: u32,
        /// Whether `idle_seeding_limit` holds.
        idle_seeding_limit_enabled: bool,
        /// Connections to peers, all torrents together.
        peer_limit_global: u32,
        /// Connections to peers of a torrent that has no limit of its own.
        peer_limit_per_torrent: u32,
        /// The port on which peers are accepted.
        peer_port: u16,
        /// Whether each start chooses a port.
        peer_port_random_on_start: bool,
        /// Whether the gateway is asked to map the port.
        port_forwarding_enabled: bool,
        /// Whether uTP is used.
        utp_enabled: bool,
        /// Whether TCP is used.
        tcp_enabled: bool,
        /// Whether the DHT is used.
        dht_enabled: bool,
        /// Whether peer exchange is used.
        pex_enabled: bool,
        /// Whether local service discovery is used.
        lpd_enabled: bool,
        /// How connections to peers are encrypted.
        encryption: Encryption,
        /// How many requests a peer may have waiting.
        reqq: u32,
        /// Whether an added torrent starts at once.
        start_added_torrents: bool,
        /// Whether the file that a torrent was added from is removed.
        trash_original_torrent_files: bool,
        /// Whether the names of unfinished files end in `.part`.
        rename_partial_files: bool,
        /// MiB of memory that what is received may wait in.
        cache_size_mib: u32,
        /// Trackers added to each public torrent: URLs, one a line, an empty line between tiers.
        default_trackers: String,
        /// Whether an added torrent is downloaded in the order of its pieces.
        sequential_download: bool,
        /// Whether addresses are blocked by a list.
        blocklist_enabled: bool,
        /// Where the list comes from.
        blocklist_url: String,
        /// Whether addresses that guess passwords are refused.
        anti_brute_force_enabled: bool,
        /// How many wrong passwords are too many.
        anti_brute_force_threshold: u32,
    }
}

settings! {
    /// The settings of one torrent that clients may read and change.
    TorrentSettings,
    /// A change to some settings of a torrent.
    TorrentSettingsChange {
        /// Its share of the bandwidth beside other torrents.
        bandwidth_priority: Priority,
        /// Upper bound of its download, in kB/s, if `download_limited`.
        download_limit: u32,
        /// Whether `download_limit` holds.
        download_limited: bool,
        /// Upper bound of its upload, in kB/s, if `upload_limited`.
        upload_limit: u32,
        /// Whether `upload_limit` holds.
        upload_limited: bool,
        /// Whether the limits of the session hold for it too.
        honors_session_limits: bool,
        /// The ratio at which it stops to seed, if `seed_ratio_mode` is [`LimitMode::Own`].
        seed_ratio_limit: f64,
        /// Which ratio holds.
        seed_ratio_mode: LimitMode,
        /// After how many idle minutes it stops to seed, if `seed_idle_mode` is [`LimitMode::Own`].
        seed_idle_limit: u32,
        /// Which idle time holds.
        seed_idle_mode: LimitMode,
        /// Connections to its peers.
        peer_limit: u32,
        /// Whether it is downloaded in the order of its pieces.
        sequential_download: bool,
        /// The piece at which downloading in order begins.
        sequential_download_from_piece: u32,
        /// Its labels, in the order given.
        labels: Vec<String>,
        /// Its group of bandwidth; empty if it has none.
        group: String,
    }
}

/// How connections to peers are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// Always.
    Required,
    /// Tried first.
    Preferred,
    /// If the peer wants it.
    Allowed,
}

/// A priority, of a file or of a torrent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// -1
    Low,
    /// 0
    #[default]
    Normal,
    /// 1
    High,
}

/// Which limit of seeding holds for a torrent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LimitMode {
    /// That of the session.
    #[default]
    Session,
    /// Its own.
    Own,
    /// None.
    Unlimited,
}

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

impl Stored for Encryption {
    fn store(&self, key: &str, dict: &mut Dict<'_>) {
        dict.int(
            key,
            match self {
                Encryption::Required => 0,
                Encryption::Preferred => 1,
                Encryption::Allowed => 2,
            },
        );
    }

    fn read(value: Value<'_>) -> Option<Self> {
        match value.as_int()? {
            0 => Some(Encryption::Required),
            1 => Some(Encryption::Preferred),
            2 => Some(Encryption::Allowed),
            _ => None,
        }
    }
}

impl Stored for Priority {
    fn store(&self, key: &str, dict: &mut Dict<'_>) {
        dict.int(
            key,
            match self {
                Priority::Low => -1,
                Priority::Normal => 0,
                Priority::High => 1,
            },
        );
    }

    fn read(value: Value<'_>) -> Option<Self> {
        match value.as_int()? {
            -1 => Some(Priority::Low),
            0 => Some(Priority::Normal),
            1 => Some(Priority::High),
            _ => None,
        }
    }
}

impl Stored for LimitMode {
    fn store(&self, key: &str, dict: &mut Dict<'_>) {
        dict.int(
            key,
            match self {
                LimitMode::Session => 0,
                LimitMode::Own => 1,
                LimitMode::Unlimited => 2,
            },
        );
    }

    fn read(value: Value<'_>) -> Option<Self> {
        match value.as_int()? {
            0 => Some(LimitMode::Session),
            1 => Some(LimitMode::Own),
            2 => Some(LimitMode::Unlimited),
            _ => None,
        }
    }
}
