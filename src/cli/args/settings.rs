//! What the command line and the environment said, once it has been parsed: plain values with their
//! defaults. Filled by the flag table alone.
//!
//! Each command has a struct of its own options. Options that several commands share are small structs,
//! so that a function takes the part that it uses.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use bitwren::{AddressFilter, Config, EncryptionPolicy, InfoHash, Proxy, WebProxies};

use crate::cli::output::screen::Verbosity;

/// Everything that the flag table can set. A command takes its own part and the shared ones.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub output: OutputSettings,
    pub transfer: TransferSettings,
    pub files: FileFilter,
    pub write: WriteSettings,
    pub fields: TorrentFields,

    pub get: GetSettings,
    pub seed: SeedSettings,
    pub share: ShareSettings,
    pub daemon: DaemonSettings,
    pub verify: VerifySettings,
    pub scrape: ScrapeSettings,
    pub create: CreateSettings,
    pub edit: EditSettings,
    pub magnet: MagnetSettings,
    pub tracker: TrackerSettings,

    pub help: Option<HelpLength>,
    pub version: bool,
}

/// `-h` or `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelpLength {
    Short,
    Long,
}

/// What is printed, and how much of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct OutputSettings {
    pub verbosity: Verbosity,
    pub json: bool,
    pub show_secrets: bool,
}

impl OutputSettings {
    /// Whether people read what is printed and want to hear of more than errors.
    pub fn is_chatty(&self) -> bool {
        !self.json && self.verbosity > Verbosity::Quiet
    }

    /// Whether every detail was asked for.
    pub fn is_verbose(&self) -> bool {
        self.verbosity == Verbosity::Verbose
    }
}

/// Where a torrent's files and its resume state lie, and which files are meant.
#[derive(Debug, Clone)]
pub struct StorageSettings {
    pub dir: PathBuf,
    pub state_dir: Option<PathBuf>,
    pub resume: bool,
    pub select: Vec<String>,
    /// Numbers of files, and their paths below `dir`.
    pub rename: Vec<(u32, PathBuf)>,
}

/// Where connections are accepted.
#[derive(Debug, Clone, Default)]
pub struct ListenSettings {
    pub port: Option<u16>,
    pub bind_to: Option<Bind>,
    /// The address that `bind_to` stands for. It is looked up before a command runs.
    pub bind: Option<IpAddr>,
    /// Whether the router is asked to map the port; `None` is as the command has it.
    pub portmap: Option<bool>,
}

/// The value of `--bind`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    Address(IpAddr),
    /// The name of a network interface.
    Interface(String),
}

/// How everything goes out.
#[derive(Debug, Clone)]
pub struct EgressSettings {
    /// The network device that everything goes by.
    pub device: Option<String>,
    /// Differentiated services code point.
    pub dscp: u8,
    /// TCP congestion control.
    pub congestion: Option<String>,
    /// What carries everything, unless one of the next two says otherwise.
    pub proxy: ProxyChoice,
    pub proxy_peers: ProxyChoice,
    pub proxy_trackers: ProxyChoice,
    /// What the environment says of requests over HTTP.
    pub web_proxies: WebProxies,
}

/// Which proxy an option chooses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ProxyChoice {
    /// It was not given.
    #[default]
    Open,
    /// None.
    Direct,
    Through(Proxy),
}

impl EgressSettings {
    /// The proxy of peers.
    pub fn proxy_of_peers(&self) -> Option<&Proxy> {
        self.proxy_peers.or(&self.proxy)
    }

    /// The proxy of trackers and `.torrent` files.
    pub fn proxy_of_trackers(&self) -> Option<&Proxy> {
        self.proxy_trackers.or(&self.proxy)
    }

    /// Whether the options leave it to the environment how trackers are reached.
    pub fn asks_environment(&self) -> bool {
        self.proxy_trackers == ProxyChoice::Open && self.proxy == ProxyChoice::Open
    }
}

impl ProxyChoice {
    /// The proxy that this chooses, or else `general`.
    fn or<'a>(&'a self, general: &'a ProxyChoice) -> Option<&'a Proxy> {
        match (self, general) {
            (ProxyChoice::Through(proxy), _) | (ProxyChoice::Open, ProxyChoice::Through(proxy)) => {
                Some(proxy)
            }
            _ => None,
        }
    }
}

/// Limits on connections, memory and rates.
#[derive(Debug, Clone)]
pub struct LimitSettings {
    pub max_peers: u32,
    /// Bytes; 0 leaves the built-in bounds only.
    pub max_memory: u64,
    /// Torrents that download at a time; 0 is all.
    pub jobs: u32,
    /// Bytes per second; 0 is no limit.
    pub down: u64,
    /// Bytes per second; 0 is no limit.
    pub up: u64,
    pub upload_slots: Option<u32>,
}

/// Where peers come from.
#[derive(Debug, Clone)]
pub struct PeerSources {
    pub peers: Vec<String>,
    /// Trackers besides those that the torrent names.
    pub trackers: Vec<String>,
    /// Whether the trackers that the torrent names are used.
    pub use_trackers: bool,
    pub pex: bool,
    pub lsd: bool,
    pub dht: bool,
    pub dht_nodes: Vec<String>,
}

/// Which addresses peers may have.
#[derive(Debug, Clone, Default)]
pub struct FilterSettings {
    /// Files that list what is blocked.
    pub blocklists: Vec<PathBuf>,
    /// What is permitted all the same, or else alone; `None` if the option was not given.
    pub allow: Option<AddressFilter>,
}

/// When a torrent has been seeded enough, as the options say.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SeedLimits {
    /// Bytes uploaded over bytes wanted.
    pub ratio: Option<f64>,
    pub time: Option<Duration>,
    /// Time without an upload.
    pub idle: Option<Duration>,
}

/// What `get` and `seed` have in common. `verify` has its `storage`.
#[derive(Debug, Clone, Default)]
pub struct TransferSettings {
    pub storage: StorageSettings,
    pub listen: ListenSettings,
    pub egress: EgressSettings,
    pub limits: LimitSettings,
    pub sources: PeerSources,
    pub filter: FilterSettings,
    pub encryption: EncryptionPolicy,
    pub seed_limits: SeedLimits,
    /// Whether names that start with a dot are created in a home directory.
    pub allow_hidden: bool,
    pub max_time: Option<Duration>,
    pub on_complete: Option<OsString>,
}

/// The options of `get` alone.
#[derive(Debug, Clone, Default)]
pub struct GetSettings {
    pub seed: bool,
    pub list: bool,
    pub metadata_only: bool,
    pub sequential: bool,
    pub allocate: bool,
}

/// The options of `seed` alone.
#[derive(Debug, Clone, Default)]
pub struct SeedSettings {
    pub partial: bool,
    pub super_seed: bool,
}

/// The options of `verify` alone.
#[derive(Debug, Clone, Default)]
pub struct VerifySettings {
    pub clean: bool,
}

/// The options of `scrape` alone.
#[derive(Debug, Clone)]
pub struct ScrapeSettings {
    pub timeout: Duration,
}

/// The options of `magnet` alone.
#[derive(Debug, Clone, Default)]
pub struct MagnetSettings {
    pub no_trackers: bool,
}

/// Which files below a path become part of a torrent, and their order: for `create` and `share`.
#[derive(Debug, Clone, Default)]
pub struct FileFilter {
    pub hidden: bool,
    /// Whether no file is left out for its name.
    pub all: bool,
    pub follow_symlinks: bool,
    pub ignore: Vec<String>,
    pub order: FileOrder,
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

/// The file that a command writes.
#[derive(Debug, Clone, Default)]
pub struct WriteSettings {
    pub output: Option<PathBuf>,
    pub overwrite: bool,
}

/// The fields of a torrent that `create` and `edit` set.
#[derive(Debug, Clone, Default)]
pub struct TorrentFields {
    pub tiers: Vec<Vec<String>>,
    pub web_seeds: Vec<String>,
    pub comment: Option<String>,
    pub source: Option<String>,
}

/// The options of `create` alone.
#[derive(Debug, Clone)]
pub struct CreateSettings {
    pub name: Option<String>,
    pub piece_length: Option<u32>,
    pub private: bool,
    pub date: bool,
}

/// The options of `edit` alone.
#[derive(Debug, Clone, Default)]
pub struct EditSettings {
    pub remove_trackers: Vec<String>,
    /// What is replaced in announce URLs, and by what.
    pub replace_trackers: Vec<(String, String)>,
    pub no_trackers: bool,
    pub no_web_seeds: bool,
    pub private: Option<bool>,
    pub allow_new_hash: bool,
}

/// The options of `share` alone.
#[derive(Debug, Clone, Default)]
pub struct ShareSettings {
    /// Where data is served.
    pub listen: ListenSettings,
    /// Where the `.torrent` and the tracker are served.
    pub port: Option<u16>,
    pub host: Option<String>,
    /// Bytes per second; 0 is no limit.
    pub up: u64,
    pub secret: Option<String>,
    /// The number of recipients after which the run ends.
    pub copies: Option<u32>,
    pub qr: bool,
}

/// The options of `daemon` alone.
#[derive(Debug, Clone, Default)]
pub struct DaemonSettings {
    /// Where torrents are downloaded to; `None` is the user's directory for that.
    pub download_dir: Option<PathBuf>,
    /// What requests may name besides.
    pub roots: Vec<PathBuf>,
    /// Where the RPC is served; none is the default place.
    pub rpc_bind: Vec<SocketAddr>,
    pub rpc_socket: Option<PathBuf>,
    pub rpc_password_file: Option<PathBuf>,
    /// Whether the RPC may be served to other machines without a password.
    pub rpc_open: bool,
    /// Names by which a browser may call the daemon.
    pub rpc_hosts: Vec<String>,
    /// Patterns of addresses that may ask.
    pub rpc_allow: Vec<String>,
    pub pid_file: Option<PathBuf>,
    pub umask: Option<u32>,
}

/// The options of `tracker` alone.
#[derive(Debug, Clone)]
pub struct TrackerSettings {
    pub listen: ListenSettings,
    pub udp_port: Option<u16>,
    pub interval: Duration,
    pub allow: Vec<InfoHash>,
    /// Requests per second from one address; 0 is no limit.
    pub request_rate: u32,
}

impl Default for StorageSettings {
    fn default() -> Self {
        StorageSettings {
            dir: PathBuf::from("."),
            state_dir: None,
            resume: true,
            select: Vec::new(),
            rename: Vec::new(),
        }
    }
}

impl Default for EgressSettings {
    fn default() -> Self {
        EgressSettings {
            device: None,
            dscp: Config::DSCP_LOWER_EFFORT,
            congestion: None,
            proxy: ProxyChoice::Open,
            proxy_peers: ProxyChoice::Open,
            proxy_trackers: ProxyChoice::Open,
            web_proxies: WebProxies::default(),
        }
    }
}

impl Default for LimitSettings {
    fn default() -> Self {
        LimitSettings { max_peers: 100, max_memory: 0, jobs: 5, down: 0, up: 0, upload_slots: None }
    }
}

impl Default for PeerSources {
    fn default() -> Self {
        PeerSources {
            peers: Vec::new(),
            trackers: Vec::new(),
            use_trackers: true,
            pex: true,
            lsd: true,
            dht: true,
            dht_nodes: Vec::new(),
        }
    }
}

impl Default for ScrapeSettings {
    fn default() -> Self {
        ScrapeSettings { timeout: Duration::from_secs(15) }
    }
}

impl Default for CreateSettings {
    fn default() -> Self {
        CreateSettings { name: None, piece_length: None, private: false, date: true }
    }
}

impl Default for TrackerSettings {
    fn default() -> Self {
        TrackerSettings {
            listen: ListenSettings::default(),
            udp_port: None,
            interval: Duration::from_secs(1800),
            allow: Vec::new(),
            request_rate: 50,
        }
    }
}

/// Whether a run seeds at its end, and for how long.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Seeding {
    /// Whether the run goes on when everything is complete.
    pub wanted: bool,
    pub limits: SeedLimits,
}

impl Seeding {
    /// What the options mean: a limit of 0 turns seeding off, another limit turns it on.
    pub fn new(asked: bool, limits: SeedLimits) -> Self {
        let SeedLimits { ratio, time, idle } = limits;
        let zero = ratio == Some(0.0) || [time, idle].contains(&Some(Duration::ZERO));
        let limited = limits != SeedLimits::default();
        Seeding { wanted: !zero && (asked || limited), limits }
    }

    /// Whether there is a limit after which seeding ends by itself.
    pub fn is_limited(&self) -> bool {
        self.limits != SeedLimits::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_zero_is_not_to_seed() {
        let minute = Some(Duration::from_secs(60));
        let wanted = |asked, ratio, time| Seeding::new(asked, SeedLimits { ratio, time, idle: None }).wanted;
        assert!(!wanted(false, None, None) && wanted(true, None, None) && wanted(false, Some(0.5), None));
        assert!(!wanted(true, Some(0.0), minute) && !wanted(true, None, Some(Duration::ZERO)));
        assert!(Seeding::new(false, SeedLimits { idle: minute, ..SeedLimits::default() }).wanted);
    }
}
