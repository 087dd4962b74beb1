//! What clients may change of the session and of a torrent, and how it is stored: plain values.
//!
//! Each structure of settings has a twin with the changes to it. Nothing here decides. Limits of speed are in
//! kB/s, which are 1,000 bytes per second.

use super::stored::Stored;
use crate::bencode::{Dict, Value};

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

/// A limit of speed as the client has it, in bytes per second; 0 is none. No limit of bytes stands for 0, so that
/// the least is one byte.
pub fn rate_limit(enabled: bool, limit: u32) -> u64 {
    if enabled { (u64::from(limit) * 1000).max(1) } else { 0 }
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
