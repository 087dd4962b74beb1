//! What the command line and the environment said, once it has been read: plain values with their
//! defaults. Filled by the flag table alone.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use bitwren::InfoHash;

use crate::cli::output::screen::Verbosity;

/// What `--bind` was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    Address(IpAddr),
    /// The name of a network interface.
    Interface(String),
}

/// Every setting of every command; a command looks at those that it has.
#[derive(Debug, Clone)]
pub struct Settings {
    pub dir: PathBuf,
    pub state_dir: Option<PathBuf>,
    pub resume: bool,
    pub select: Vec<String>,
    /// Numbers of files, and the paths below `dir` that they are to have.
    pub rename: Vec<(u32, PathBuf)>,
    /// Whether names with a dot in front are made in a home directory.
    pub allow_hidden: bool,
    pub list: bool,
    pub metadata_only: bool,
    pub sequential: bool,
    pub allocate: bool,
    pub overwrite: bool,
    pub clean: bool,

    pub port: Option<u16>,
    pub udp_port: Option<u16>,
    pub bind_to: Option<Bind>,
    /// The address that `bind_to` stands for, once it has been looked up.
    pub bind: Option<IpAddr>,
    pub max_peers: u32,
    /// Bytes; 0 is no bound but the built-in ones.
    pub max_memory: u64,
    pub pex: bool,
    pub jobs: u32,
    pub down: u64,
    pub up: u64,
    pub peers: Vec<String>,
    pub trackers: Vec<String>,
    pub use_trackers: bool,
    pub lsd: bool,
    pub dht: bool,
    pub dht_nodes: Vec<String>,

    pub max_time: Option<Duration>,
    pub on_complete: Option<OsString>,
    pub seed: bool,
    pub seed_ratio: Option<f64>,
    pub seed_time: Option<Duration>,
    pub seed_idle: Option<Duration>,
    pub super_seed: bool,
    pub partial: bool,
    pub upload_slots: Option<u32>,

    pub show_secrets: bool,
    pub verbosity: Verbosity,
    pub json: bool,
    pub help: Option<HelpLength>,
    pub version: bool,

    pub output: Option<PathBuf>,
    pub name: Option<String>,
    pub piece_length: Option<u32>,
    pub private: bool,
    pub comment: Option<String>,
    pub source: Option<String>,
    pub web_seeds: Vec<String>,
    pub date: bool,
    pub hidden: bool,
    /// Whether nothing is left out for its name.
    pub all: bool,
    pub follow_symlinks: bool,
    pub order: FileOrder,
    pub ignore: Vec<String>,
    /// Trackers in tiers, for what is made.
    pub tiers: Vec<Vec<String>>,
    pub changes: Changes,
    pub sharing: Sharing,

    pub interval: Duration,
    pub allow: Vec<InfoHash>,
    pub request_rate: u32,
    pub timeout: Duration,
}

/// What is to be changed, besides what `create` sets too.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub remove_trackers: Vec<String>,
    /// What is to be replaced, and by what.
    pub replace_trackers: Vec<(String, String)>,
    pub no_trackers: bool,
    pub no_web_seeds: bool,
    pub private: Option<bool>,
    pub allow_new_hash: bool,
}

/// The settings that no other command has.
#[derive(Debug, Clone, Default)]
pub struct Sharing {
    pub port: Option<u16>,
    pub host: Option<String>,
    pub secret: Option<String>,
    /// How many others shall have everything.
    pub copies: Option<u32>,
    pub qr: bool,
}

/// The order of the files in a torrent. It is part of the info-hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileOrder {
    /// Whole paths are compared byte by byte, as mktorrent does: `a-b` comes before `a/c`.
    #[default]
    Path,
    /// Paths are compared name by name, a directory at a time: `a/c` comes before `a-b`.
    Component,
}

/// `-h` or `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelpLength {
    Short,
    Long,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            dir: PathBuf::from("."),
            state_dir: None,
            resume: true,
            select: Vec::new(),
            rename: Vec::new(),
            allow_hidden: false,
            list: false,
            metadata_only: false,
            sequential: false,
            allocate: false,
            overwrite: false,
            clean: false,
            port: None,
            udp_port: None,
            bind_to: None,
            bind: None,
            max_peers: 100,
            max_memory: 0,
            pex: true,
            jobs: 5,
            down: 0,
            up: 0,
            peers: Vec::new(),
            trackers: Vec::new(),
            use_trackers: true,
            lsd: true,
            dht: true,
            dht_nodes: Vec::new(),
            max_time: None,
            on_complete: None,
            seed: false,
            seed_ratio: None,
            seed_time: None,
            seed_idle: None,
            super_seed: false,
            partial: false,
            upload_slots: None,
            show_secrets: false,
            verbosity: Verbosity::Normal,
            json: false,
            help: None,
            version: false,
            output: None,
            name: None,
            piece_length: None,
            private: false,
            comment: None,
            source: None,
            web_seeds: Vec::new(),
            date: true,
            hidden: false,
            all: false,
            follow_symlinks: false,
            order: FileOrder::default(),
            ignore: Vec::new(),
            tiers: Vec::new(),
            changes: Changes::default(),
            sharing: Sharing::default(),
            interval: Duration::from_secs(1800),
            allow: Vec::new(),
            request_rate: 50,
            timeout: Duration::from_secs(15),
        }
    }
}

/// Whether there is seeding at the end, and when that is enough: the options as they were given.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Seeding {
    /// Whether to go on at all.
    pub wanted: bool,
    /// Bytes sent over bytes wanted.
    pub ratio: Option<f64>,
    pub time: Option<Duration>,
    /// Without anyone taking anything.
    pub idle: Option<Duration>,
}

impl Seeding {
    /// What the options mean: a limit of 0 is not to seed, another limit is to seed.
    pub fn new(asked: bool, settings: &Settings) -> Self {
        let Settings { seed_ratio: ratio, seed_time: time, seed_idle: idle, .. } = *settings;
        let zero = ratio == Some(0.0) || [time, idle].contains(&Some(Duration::ZERO));
        let limited = ratio.is_some() || time.is_some() || idle.is_some();
        Seeding { wanted: !zero && (asked || limited), ratio, time, idle }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_zero_is_not_to_seed() {
        let minute = Some(Duration::from_secs(60));
        let wanted = |asked, seed_ratio, seed_time| {
            Seeding::new(asked, &Settings { seed_ratio, seed_time, ..Settings::default() }).wanted
        };
        assert!(!wanted(false, None, None) && wanted(true, None, None) && wanted(false, Some(0.5), None));
        assert!(!wanted(true, Some(0.0), minute) && !wanted(true, None, Some(Duration::ZERO)));
        let idle = Settings { seed_idle: minute, ..Settings::default() };
        assert!(Seeding::new(false, &idle).wanted);
    }
}
