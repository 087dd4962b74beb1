//! Settings: [`Config`] of a client, [`TorrentConfig`] of one torrent.
//!
//! Plain values with one setter for each setting. Nothing here reads a file, the environment or a
//! clock. The fields are private, so that a setting can be added or stored differently without
//! breaking a caller. Invariant: `validate` accepts a value exactly if [`Client`](crate::Client) does.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::bitfield::Bitfield;
use crate::budget::Budget;
use crate::crypto::EncryptionPolicy;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::AddressFilter;
use crate::metainfo::Metainfo;
use crate::proxy::Proxy;
use crate::setters::setters;
use crate::web_proxies::WebProxies;

/// Bootstrap nodes of the DHT, run by the makers of well-known clients. Several, in case one is
/// unreachable.
pub const DHT_ROUTERS: [&str; 6] = [
    "router.bittorrent.com:6881",
    "dht.transmissionbt.com:6881",
    "router.utorrent.com:6881",
    "dht.libtorrent.org:25401",
    "dht.aelitis.com:6881",
    "router.silotis.us:6881",
];

/// Settings of a whole client.
///
/// ```
/// use std::net::IpAddr;
///
/// let config = bitwren::Config::default().port(0).bind(IpAddr::from([127, 0, 0, 1])).max_peers(50);
/// assert!(config.validate().is_ok());
/// assert!(config.max_peers(0).validate().is_err());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub(crate) port: u16,
    pub(crate) port_required: bool,
    pub(crate) bind: Option<IpAddr>,
    pub(crate) device: Option<String>,
    pub(crate) dscp: u8,
    pub(crate) proxy_peers: Option<Proxy>,
    pub(crate) proxy_trackers: Option<Proxy>,
    pub(crate) web_proxies: WebProxies,
    pub(crate) congestion: Option<String>,
    pub(crate) max_active: u32,
    pub(crate) max_peers: u32,
    pub(crate) max_half_open: u32,
    pub(crate) down_limit: u64,
    pub(crate) up_limit: u64,
    pub(crate) lsd: bool,
    pub(crate) pex: bool,
    pub(crate) encryption: EncryptionPolicy,
    pub(crate) portmap: bool,
    pub(crate) max_memory: u64,
    pub(crate) max_open_files: usize,
    pub(crate) hash_threads: usize,
    pub(crate) save_every: Duration,
    pub(crate) seed_ratio: Option<f64>,
    pub(crate) seed_time: Option<Duration>,
    pub(crate) seed_idle: Option<Duration>,
    pub(crate) dht: bool,
    pub(crate) dht_nodes: Vec<String>,
    pub(crate) dht_state: Option<PathBuf>,
    pub(crate) dht_read_only: bool,
    pub(crate) filter: Arc<AddressFilter>,
    pub(crate) random_seed: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            port: Config::DEFAULT_PORT,
            port_required: false,
            bind: None,
            device: None,
            dscp: Config::DSCP_LOWER_EFFORT,
            congestion: None,
            proxy_peers: None,
            proxy_trackers: None,
            web_proxies: WebProxies::default(),
            max_active: 0,
            max_peers: 200,
            max_half_open: 32,
            down_limit: 0,
            up_limit: 0,
            lsd: false,
            pex: true,
            encryption: EncryptionPolicy::Allow,
            portmap: false,
            max_memory: 0,
            max_open_files: 128,
            hash_threads: 0,
            save_every: Duration::from_secs(15),
            seed_ratio: None,
            seed_time: None,
            seed_idle: None,
            dht: false,
            dht_nodes: DHT_ROUTERS.map(str::to_owned).into(),
            dht_state: None,
            dht_read_only: false,
            filter: Arc::default(),
            random_seed: None,
        }
    }
}

setters!(Config {
    /// TCP port to listen on; 0 lets the system choose. If the port is taken, the next nine are tried
    /// unless [`Config::port_required`] is set. Default: [`Config::DEFAULT_PORT`].
    port: u16;
    /// Whether it is an error that [`Config::port`] is taken. Default: no.
    port_required: bool;
    /// Address to listen on and to connect from. Default: every address, IPv4 and IPv6.
    bind: impl Into<Option<IpAddr>> => bind.into();
    /// Network device, such as `wg0`, that everything goes by and nothing leaves or enters without
    /// (`SO_BINDTODEVICE`): connections in both directions, UDP, HTTP, local discovery. While the device is
    /// down, or not there yet, nothing is sent ([`EventKind::DeviceLost`](crate::EventKind::DeviceLost)).
    /// The exception is the system's resolver, which goes its own way while the device is up. With it,
    /// [`Config::bind`] may be an address that the device gets later. Needs the feature `sys`, and before
    /// Linux 5.7 the capability `CAP_NET_RAW`. Default: none.
    device: impl Into<Option<String>> => device.into();
    /// The differentiated services code point of everything that is sent, 0 to 63, from the first packet of a
    /// connection on, over IPv4 and IPv6, TCP and UDP: by which routers that look at it decide what goes first.
    /// Needs the feature `sys`; without it there is none. Default: [`Config::DSCP_LOWER_EFFORT`].
    dscp: u8;
    /// The TCP congestion control, by the name that the kernel has for it, such as `bbr`. Needs the feature
    /// `sys`. Default: the kernel's own.
    congestion: impl Into<Option<String>> => congestion.into();
    /// Proxy that carries the connections to peers, and the DHT where it is SOCKS5. Host names of peers are looked
    /// up by the proxy. What it cannot carry is off, and never goes another way: incoming connections, local
    /// discovery and port mapping, and the DHT where it relays no UDP. Default: none.
    proxy_peers: impl Into<Option<Proxy>> => proxy_peers.into();
    /// Proxy that carries what is asked of trackers and for `.torrent` files, with host names looked up by the
    /// proxy: over HTTP and HTTPS, and over UDP where it is SOCKS5. Where it relays no UDP such trackers are not
    /// asked. Default: none.
    proxy_trackers: impl Into<Option<Proxy>> => proxy_trackers.into();
    /// Proxies of HTTP and HTTPS alone, by the scheme, as the environment names them; of no effect where
    /// [`Config::proxy_trackers`] is set. Peers, UDP trackers and the DHT go directly. Default: none.
    web_proxies: WebProxies;
    /// Most torrents that download at once, in the order they were added; the others wait in
    /// [`Phase::Queued`](crate::Phase::Queued). A torrent that has received nothing for a minute
    /// continues but no longer counts. Seeding torrents do not count. Default: 0, no limit.
    max_active: u32;
    /// Most connections of all torrents together, 1 to 10,000. They are shared fairly: a torrent can
    /// use what the others leave. Default: 200.
    max_peers: u32;
    /// Most connections being opened at once, 1 to 1,000, and as many incoming handshakes.
    /// Default: 32.
    max_half_open: u32;
    /// Bytes per second received by all torrents together. Default: 0, no limit.
    down_limit: u64;
    /// Bytes per second sent by all torrents together. Default: 0, no limit.
    up_limit: u64;
    /// Whether to find peers on the local network and be found there (BEP 14). Private torrents are
    /// never announced there. Needs the feature `sys`. Default: no.
    lsd: bool;
    /// Whether to exchange peer addresses with connected peers (BEP 11); never for private torrents.
    /// Default: yes.
    pex: bool;
    /// Whether connections to peers are encrypted. Default: [`EncryptionPolicy::Allow`].
    encryption: EncryptionPolicy;
    /// Whether the gateway is asked, by PCP, NAT-PMP or UPnP, to let connections from the Internet in: a
    /// mapping of [`Config::port`] and of the port of the DHT, over IPv6 a pinhole. What it maps them to is
    /// what trackers, the DHT and peers are told; [`Client::port_map`](crate::Client::port_map) shows it. The
    /// mappings are renewed while the client runs, and removed when it ends. Never where [`Config::bind`] is
    /// a loopback address. Needs the feature `portmap`. Default: no.
    portmap: bool;
    /// Memory limit in bytes, 4 MiB or more, for everything except the piece hashes and file lists of
    /// the torrents. [`Budget::of`] says how it is split; it may lower `max_peers`. Default: 0, the
    /// built-in bounds.
    max_memory: u64;
    /// Most open files, 4 to 100,000. Default: 128.
    max_open_files: usize;
    /// Threads that hash existing data. Default: 0, one per core.
    hash_threads: usize;
    /// How often the resume state is saved while it changes. Default: 15 seconds.
    save_every: Duration;
    /// Stops seeding when the bytes sent, over all sessions that the resume state remembers, reach
    /// this many times the bytes wanted. Applies to torrents without a limit of their own.
    /// Default: no limit.
    seed_ratio: impl Into<Option<f64>> => seed_ratio.into();
    /// Stops seeding this long after the download is complete, counted in this session and without
    /// pauses. Applies to torrents without a limit of their own. Default: no limit.
    seed_time: impl Into<Option<Duration>> => seed_time.into();
    /// Stops seeding when no peer has downloaded anything for this long. Applies to torrents without
    /// a limit of their own. Default: no limit.
    seed_idle: impl Into<Option<Duration>> => seed_idle.into();
    /// Whether to run a DHT node (BEP 5, over IPv4 and IPv6) and to find peers of torrents that are
    /// not private with it. Its UDP port is the TCP port if that is free. Default: no.
    dht: bool;
    /// Bootstrap nodes `HOST:PORT`, used while hardly any other node is known. Default:
    /// [`DHT_ROUTERS`].
    dht_nodes: impl IntoIterator<Item: Into<String>> => dht_nodes.into_iter().map(Into::into).collect();
    /// File that keeps the known DHT nodes from one run to the next. Its directory is created if
    /// needed. Default: none.
    dht_state: impl Into<Option<PathBuf>> => dht_state.into();
    /// Whether to query the DHT without serving it (BEP 43), for runs so short that other nodes would
    /// only remember one that is gone. Default: no.
    dht_read_only: bool;
    /// Addresses that are blocked. No peer there is dialled, whichever source names it,
    /// [`TorrentConfig::peers`] included; a connection from there is closed before a byte is read; no
    /// datagram of the DHT goes there or is taken from there. Trackers are not filtered.
    /// [`Blocklist::read`](crate::Blocklist::read) reads one from a list,
    /// [`Client::set_filter`](crate::Client::set_filter) changes it. Default: none.
    filter: impl Into<Arc<AddressFilter>> => filter.into();
    /// Seed of the random generator behind decisions that may be predicted, such as the order of
    /// pieces, for runs that can be repeated. Default: one from the system.
    random_seed: impl Into<Option<u64>> => random_seed.into();
});

impl Config {
    /// The TCP port that is tried first by default.
    pub const DEFAULT_PORT: u16 = 6881;

    /// Lower effort (RFC 8622): what anything else may overtake.
    pub const DSCP_LOWER_EFFORT: u8 = 1;

    /// Proxy that carries everything: sets [`Config::proxy_peers`] and [`Config::proxy_trackers`], each of which
    /// may be set to another afterwards. The proxy's own host name, if it has one, is looked up by the system.
    /// Default: none.
    #[must_use]
    pub fn proxy(self, proxy: impl Into<Option<Proxy>>) -> Self {
        let proxy = proxy.into();
        self.proxy_peers(proxy.clone()).proxy_trackers(proxy)
    }

    /// Checks that every setting is in its range; [`Client::start`](crate::Client::start) does so
    /// first.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] names the setting, its value and its range.
    pub fn validate(&self) -> Result<()> {
        check_range("max_peers", self.max_peers.into(), 1, 10_000)?;
        check_range("max_half_open", self.max_half_open.into(), 1, 1_000)?;
        check_range("max_open_files", self.max_open_files as u64, 4, 100_000)?;
        if self.max_memory != 0 {
            check_range("max_memory", self.max_memory, Budget::LEAST, u64::MAX)?;
        }
        if let Some(device) = &self.device {
            check_device(device)?;
        }
        check_range("dscp", self.dscp.into(), 0, 63)?;
        if self.congestion.is_some() && !cfg!(feature = "sys") {
            let why = "congestion is set; it needs bitwren built with the feature sys";
            return Err(Error::new(ErrorKind::Argument, why));
        }
        if self.lsd && !cfg!(feature = "sys") {
            return Err(Error::new(
                ErrorKind::Argument,
                "lsd is on; it needs bitwren built with the feature sys",
            ));
        }
        if self.portmap && !cfg!(feature = "portmap") {
            return Err(Error::new(
                ErrorKind::Argument,
                "portmap is on; it needs bitwren built with the feature portmap",
            ));
        }
        check_ratio(self.seed_ratio)
    }
}

/// Whether this can be the name of a network device.
fn check_device(name: &str) -> Result<()> {
    let why = |why: &str| Err(Error::new(ErrorKind::Argument, format!("the device {name:?} {why}")));
    // Linux takes no longer name, and none with these characters.
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':');
    match name {
        _ if !cfg!(feature = "sys") => why("needs bitwren built with the feature sys"),
        "" | "." | ".." => why("is no name of a network device"),
        _ if name.len() > 15 || name.contains(odd) => why("is no name of a network device"),
        _ => Ok(()),
    }
}

/// How the space of a file is allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Allocation {
    /// As it is written; holes cost nothing.
    #[default]
    Sparse,
    /// All at once before the first byte, where the file system supports it.
    Full,
}

/// What to do with files of a torrent that exist already and that no resume state covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Existing {
    /// Hash them and keep the correct pieces; refuse a file without a single one.
    #[default]
    Check,
    /// Hash them and overwrite what is wrong.
    Overwrite,
    /// Assume that files of the full length are correct: the caller has just made the torrent from
    /// them.
    Trust,
}

/// When a torrent has seeded enough; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SeedLimits {
    /// As [`TorrentConfig::seed_ratio`].
    pub ratio: Option<f64>,
    /// As [`TorrentConfig::seed_time`].
    pub time: Option<Duration>,
    /// As [`TorrentConfig::seed_idle`].
    pub idle: Option<Duration>,
}

/// Which files of a torrent come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Priority {
    /// After all others.
    Low,
    /// The usual.
    #[default]
    Normal,
    /// Before all others.
    High,
}

/// Settings of one torrent.
///
/// ```
/// use bitwren::TorrentConfig;
///
/// let config = TorrentConfig::default().dir("downloads").peers([([192, 0, 2, 7], 6881).into()]).seed(false);
/// assert!(config.validate().is_ok());
/// ```
#[derive(Debug, Clone)]
pub struct TorrentConfig {
    pub(crate) dir: PathBuf,
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) resume: bool,
    pub(crate) allocation: Allocation,
    pub(crate) existing: Existing,
    pub(crate) select: Option<Vec<u32>>,
    pub(crate) file_priorities: Vec<(u32, Priority)>,
    pub(crate) rename: Vec<(u32, PathBuf)>,
    pub(crate) sequential: bool,
    pub(crate) max_peers: u32,
    pub(crate) down_limit: u64,
    pub(crate) up_limit: u64,
    pub(crate) upload_slots: Option<u32>,
    pub(crate) peers: Vec<SocketAddr>,
    pub(crate) peer_names: Vec<(String, u16)>,
    pub(crate) trackers: Vec<String>,
    pub(crate) use_trackers: bool,
    pub(crate) tiers: Option<Vec<Vec<String>>>,
    pub(crate) seed: bool,
    pub(crate) seed_ratio: Option<f64>,
    pub(crate) seed_time: Option<Duration>,
    pub(crate) seed_idle: Option<Duration>,
    pub(crate) pause_when_seeded: bool,
    pub(crate) super_seed: bool,
    pub(crate) fast_first_copy: bool,
    pub(crate) seed_only: bool,
    pub(crate) partial: bool,
    pub(crate) file_selector: Option<FileSelector>,
    pub(crate) metadata_only: bool,
}

impl Default for TorrentConfig {
    fn default() -> Self {
        TorrentConfig {
            dir: PathBuf::from("."),
            state_dir: None,
            resume: true,
            allocation: Allocation::Sparse,
            existing: Existing::Check,
            select: None,
            file_priorities: Vec::new(),
            rename: Vec::new(),
            sequential: false,
            max_peers: 100,
            down_limit: 0,
            up_limit: 0,
            upload_slots: None,
            peers: Vec::new(),
            peer_names: Vec::new(),
            trackers: Vec::new(),
            use_trackers: true,
            tiers: None,
            seed: true,
            seed_ratio: None,
            seed_time: None,
            seed_idle: None,
            pause_when_seeded: false,
            super_seed: false,
            fast_first_copy: false,
            seed_only: false,
            partial: false,
            file_selector: None,
            metadata_only: false,
        }
    }
}

setters!(TorrentConfig {
    /// Directory for the data; the torrent's name is created inside it. Default: the current
    /// directory.
    dir: impl Into<PathBuf> => dir.into();
    /// Directory for the resume state. Default: beside the data.
    state_dir: impl Into<Option<PathBuf>> => state_dir.into();
    /// Whether resume state is read and written. Default: yes.
    resume: bool;
    /// How space is allocated. Default: [`Allocation::Sparse`].
    allocation: Allocation;
    /// What to do with files that exist already. Default: [`Existing::Check`].
    existing: Existing;
    /// Indices of the files to download. Default: all.
    select: impl Into<Option<Vec<u32>>> => select.into();
    /// Files, by their indices, with another priority than [`Priority::Normal`]. Default: none.
    file_priorities: impl IntoIterator<Item = (u32, Priority)> => file_priorities.into_iter().collect();
    /// Stores files under another path: the number of each, counted from 1 over the files that are
    /// stored, and its path below [`TorrentConfig::dir`]; a bare name keeps it in its directory. The
    /// resume state remembers it. Default: none.
    rename: impl IntoIterator<Item = (u32, PathBuf)> => rename.into_iter().collect();
    /// Whether pieces are downloaded in order. Default: no, the rarest first.
    sequential: bool;
    /// Most connections of this torrent, 1 to 10,000. Default: 100.
    max_peers: u32;
    /// Bytes per second to receive. Default: 0, no limit.
    down_limit: u64;
    /// Bytes per second to send. Default: 0, no limit.
    up_limit: u64;
    /// Most peers unchoked at once, 1 to 1,000. Default: follows the upload rate.
    upload_slots: impl Into<Option<u32>> => upload_slots.into();
    /// Peers to connect to from the start. Default: none.
    peers: impl IntoIterator<Item = SocketAddr> => peers.into_iter().collect();
    /// Peers by host name and port. Names are resolved while the torrent runs, with retries; the
    /// first failure is an [`EventKind::Note`](crate::EventKind::Note). Default: none.
    peer_names: impl IntoIterator<Item = (String, u16)> => peer_names.into_iter().collect();
    /// Trackers in addition to the torrent's own, each in a tier of its own. Default: none.
    trackers: impl IntoIterator<Item: Into<String>> => trackers.into_iter().map(Into::into).collect();
    /// Whether to announce to the torrent's own trackers. Default: yes.
    use_trackers: bool;
    /// The trackers to announce to in place of the torrent's own and of [`TorrentConfig::trackers`], each list a
    /// tier. Default: none.
    tiers: impl Into<Option<Vec<Vec<String>>>> => tiers.into();
    /// Whether to seed once the download is complete. Default: yes.
    seed: bool;
    /// Stops seeding when the bytes sent, over all sessions that the resume state remembers, reach
    /// this many times the bytes wanted; infinity is no limit. The torrent ends with
    /// [`EventKind::SeedingDone`](crate::EventKind::SeedingDone). Default: [`Config::seed_ratio`].
    seed_ratio: impl Into<Option<f64>> => seed_ratio.into();
    /// Stops seeding this long after the download is complete, counted in this session and without
    /// pauses; [`Duration::MAX`] is no limit. Default: [`Config::seed_time`].
    seed_time: impl Into<Option<Duration>> => seed_time.into();
    /// Stops seeding when no peer has downloaded anything for this long; [`Duration::MAX`] is no
    /// limit. Default: [`Config::seed_idle`].
    seed_idle: impl Into<Option<Duration>> => seed_idle.into();
    /// Whether the torrent is paused rather than ended when a seed limit is reached. Default: no.
    pause_when_seeded: bool;
    /// Whether to super-seed (BEP 16): as the first seed of a torrent, to send hardly more than one
    /// copy until others can continue without it. Only with complete data at the start; ends when
    /// another seed is seen. Default: no.
    super_seed: bool;
    /// Whether to super-seed until one copy of each piece is out and then to seed normally: the
    /// fastest way to give many peers on a fast network the same data at the same time. Only with
    /// complete data at the start. Default: no.
    fast_first_copy: bool;
    /// Whether to download nothing: missing data is a failure. Default: no.
    seed_only: bool;
    /// With [`TorrentConfig::seed_only`]: whether incomplete data is seeded as far as it goes.
    /// Default: no.
    partial: bool;
    /// For a magnet link: decides which files to download once the metadata is known. Default:
    /// [`TorrentConfig::select`], and without it the link.
    file_selector: impl Into<Option<FileSelector>> => file_selector.into();
    /// For a magnet link: whether to end once the metadata is known. Default: no.
    metadata_only: bool;
});

impl TorrentConfig {
    /// Checks that every setting is in its range; [`Client::add`](crate::Client::add) does so first.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] names the setting, its value and its range.
    pub fn validate(&self) -> Result<()> {
        check_range("max_peers", self.max_peers.into(), 1, 10_000)?;
        check_range("upload_slots", self.upload_slots.unwrap_or(1).into(), 1, 1_000)?;
        check_ratio(self.seed_ratio)
    }

    /// The trackers that are announced to, given the torrent's own.
    pub(crate) fn announces_to(&self, own: &[Vec<String>]) -> Vec<Vec<String>> {
        if let Some(tiers) = &self.tiers {
            return tiers.clone();
        }
        let own = if self.use_trackers { own } else { &[] };
        own.iter().cloned().chain(self.trackers.iter().map(|url| vec![url.clone()])).collect()
    }

    /// The files that are selected, out of this number; nothing means all.
    pub(crate) fn selected(&self, files: usize) -> Option<Bitfield> {
        self.select.as_deref().map(|select| {
            let mut selected = Bitfield::empty(files as u32);
            select.iter().for_each(|&file| _ = selected.insert(file));
            selected
        })
    }

    /// Takes the seed limits that are not set here from those of the client.
    pub(crate) fn with_limits_of(mut self, client: &Config) -> Self {
        self.seed_ratio = self.seed_ratio.or(client.seed_ratio);
        self.seed_time = self.seed_time.or(client.seed_time);
        self.seed_idle = self.seed_idle.or(client.seed_idle);
        self
    }
}

fn check_range(name: &str, value: u64, least: u64, most: u64) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Argument, format!("{name} is {value}; it must be {least} to {most}")))
}

fn check_ratio(seed_ratio: Option<f64>) -> Result<()> {
    match seed_ratio.filter(|ratio| ratio.is_nan() || *ratio < 0.0) {
        None => Ok(()),
        Some(ratio) => {
            let what = if ratio.is_nan() { "not a number" } else { "negative" };
            Err(Error::new(ErrorKind::Argument, format!("seed_ratio is {what}; it must be 0 or more")))
        }
    }
}

/// The code of a [`FileSelector`]: returns the indices of the files to download, or `None` for no choice. An
/// error fails the torrent.
type Select = dyn Fn(&Metainfo) -> Result<Option<Vec<u32>>> + Send + Sync;

/// Decides which files of a magnet link's torrent to download.
///
/// ```
/// use bitwren::{FileSelector, TorrentConfig};
///
/// let subtitles = FileSelector::new(|metainfo| {
///     let files = (0u32..).zip(metainfo.files());
///     let wanted = files.filter(|(_, file)| file.path().extension().is_some_and(|end| end == "srt"));
///     Ok(Some(wanted.map(|(index, _)| index).collect()))
/// });
/// let config = TorrentConfig::default().file_selector(subtitles);
/// ```
#[derive(Clone)]
pub struct FileSelector(Arc<Select>);

impl FileSelector {
    /// A selector that calls `select` once, on a thread of the client: `Ok(None)` is no choice, an
    /// error fails the torrent.
    pub fn new(select: impl Fn(&Metainfo) -> Result<Option<Vec<u32>>> + Send + Sync + 'static) -> Self {
        FileSelector(Arc::new(select))
    }

    pub(crate) fn choose(&self, metainfo: &Metainfo) -> Result<Option<Vec<u32>>> {
        (self.0)(metainfo)
    }
}

impl fmt::Debug for FileSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileSelector")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert!(Config::default().validate().is_ok() && TorrentConfig::default().validate().is_ok());
    }

    #[test]
    fn a_setting_out_of_its_range_is_named() {
        let config = Config::default;
        let torrent = TorrentConfig::default;
        for (refused, name) in [
            (config().max_peers(0).validate(), "max_peers"),
            (config().max_peers(10_001).validate(), "max_peers"),
            (config().max_half_open(0).validate(), "max_half_open"),
            (config().max_open_files(3).validate(), "max_open_files"),
            (config().max_memory(Budget::LEAST - 1).validate(), "max_memory"),
            (config().seed_ratio(f64::NAN).validate(), "seed_ratio"),
            (torrent().max_peers(0).validate(), "max_peers"),
            (torrent().upload_slots(1_001).validate(), "upload_slots"),
            (torrent().seed_ratio(-0.1).validate(), "seed_ratio"),
        ] {
            let error = refused.expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Argument);
            assert!(error.context().starts_with(name), "{error}");
        }
        assert_eq!(config().lsd(true).validate().is_ok(), cfg!(feature = "sys"));
        assert_eq!(config().portmap(true).validate().is_ok(), cfg!(feature = "portmap"));
    }

    #[test]
    fn a_limit_of_the_torrent_goes_before_that_of_the_client() {
        let client = Config::default().seed_ratio(2.0).seed_time(Duration::from_secs(1));
        let torrent = TorrentConfig::default().seed_ratio(f64::INFINITY).with_limits_of(&client);
        assert_eq!(
            (torrent.seed_ratio, torrent.seed_time),
            (Some(f64::INFINITY), Some(Duration::from_secs(1)))
        );
    }
}
