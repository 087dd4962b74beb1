//! What can be set, for the whole client and for one torrent: plain values with builders.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::metainfo::Metainfo;

/// Nodes by which the DHT is found where no other is known: run by the makers of well-known clients.
/// Where one has gone the others do.
pub const DHT_ROUTERS: [&str; 6] = [
    "router.bittorrent.com:6881",
    "dht.transmissionbt.com:6881",
    "router.utorrent.com:6881",
    "dht.libtorrent.org:25401",
    "dht.aelitis.com:6881",
    "router.silotis.us:6881",
];

/// Settings of a whole client.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// TCP port to listen on; 0 lets the system choose. Where the port is taken and
    /// `port_required` is false, the next nine are tried.
    pub port: u16,
    /// Whether another port than `port` is an error.
    pub port_required: bool,
    /// Address to listen on and to connect from; nothing means every address, IPv4 and IPv6.
    pub bind: Option<IpAddr>,
    /// Torrents that download at once, in the order they were added; the others wait in
    /// [`Phase::Queued`](crate::Phase::Queued). 0 is all of them. One that receives nothing for a
    /// minute goes on but no longer counts. Seeding is not limited.
    pub max_active: u32,
    /// Connections of all torrents together, 1 to 10,000. Each torrent has its fair share of them:
    /// what others do not use, but no more than they have.
    pub max_peers: u32,
    /// Connections being opened at once, 1 to 1,000, and as many that come in.
    pub max_half_open: u32,
    /// Bytes a second to receive, all torrents together; 0 is no limit.
    pub down_limit: u64,
    /// Bytes a second to send, all torrents together; 0 is no limit.
    pub up_limit: u64,
    /// Whether peers are looked for on the local network, and told of us (BEP 14). Needs the feature
    /// `sys`. Private torrents are never announced there.
    pub lsd: bool,
    /// Whether connected peers are told of one another, and what they tell is used (BEP 11); never for
    /// private torrents.
    pub pex: bool,
    /// Memory in bytes for everything but the torrents' own piece hashes and file lists:
    /// [`Budget::of`](crate::budget::Budget::of) says what it is spent on, and lowers `max_peers`
    /// where need be. 4 MiB or more; 0 is the built-in bounds.
    pub max_memory: u64,
    /// Open files, 4 to 100,000.
    pub max_open_files: usize,
    /// Threads that hash existing data; 0 is one a core.
    pub hash_threads: usize,
    /// How often the resume state is saved while something changes.
    pub save_every: Duration,
    /// When to stop seeding: this many times the bytes wanted were sent, in all sessions that the
    /// resume state remembers; nothing is no limit. For each torrent that does not say
    /// otherwise.
    pub seed_ratio: Option<f64>,
    /// When to stop seeding: so long after everything was there, in this session and without
    /// pauses; nothing is no limit. For each torrent that does not say otherwise.
    pub seed_time: Option<Duration>,
    /// When to stop seeding: nobody took a byte for so long; nothing is no limit. For each torrent that
    /// does not say otherwise.
    pub seed_idle: Option<Duration>,
    /// Whether to be a node of the DHT (BEP 5, over IPv4 and IPv6), and to look there for the peers
    /// of torrents that are not private. Its UDP port is the TCP port where that is free.
    pub dht: bool,
    /// Nodes `HOST:PORT` by which the DHT is found while hardly any other is known.
    pub dht_nodes: Vec<String>,
    /// File in which the nodes that are known are kept from one run to the next; nothing keeps none.
    /// Its directory is made if need be.
    pub dht_state: Option<PathBuf>,
    /// Whether to ask the DHT without being part of it (BEP 43): for runs so short that others would
    /// only remember a node that is gone.
    pub dht_read_only: bool,
    /// Seed of every random decision; nothing takes one from the system.
    pub random_seed: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            port: 6881,
            port_required: false,
            bind: None,
            max_active: 0,
            max_peers: 200,
            max_half_open: 32,
            down_limit: 0,
            up_limit: 0,
            lsd: false,
            pex: true,
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
            random_seed: None,
        }
    }
}

macro_rules! setters {
    ($type:ty { $($(#[$doc:meta])* $field:ident: $value:ty),* $(,)? }) => {
        impl $type {
            $($(#[$doc])*
            #[must_use]
            pub fn $field(mut self, $field: $value) -> Self {
                self.$field = $field;
                self
            })*
        }
    };
}

setters!(Config {
    /// Sets [`Config::port`](struct.Config.html#structfield.port).
    port: u16,
    /// Sets [`Config::port_required`](struct.Config.html#structfield.port_required).
    port_required: bool,
    /// Sets [`Config::bind`](struct.Config.html#structfield.bind).
    bind: Option<IpAddr>,
    /// Sets [`Config::max_active`](struct.Config.html#structfield.max_active).
    max_active: u32,
    /// Sets [`Config::max_peers`](struct.Config.html#structfield.max_peers).
    max_peers: u32,
    /// Sets [`Config::max_half_open`](struct.Config.html#structfield.max_half_open).
    max_half_open: u32,
    /// Sets [`Config::down_limit`](struct.Config.html#structfield.down_limit).
    down_limit: u64,
    /// Sets [`Config::up_limit`](struct.Config.html#structfield.up_limit).
    up_limit: u64,
    /// Sets [`Config::lsd`](struct.Config.html#structfield.lsd).
    lsd: bool,
    /// Sets [`Config::pex`](struct.Config.html#structfield.pex).
    pex: bool,
    /// Sets [`Config::max_memory`](struct.Config.html#structfield.max_memory).
    max_memory: u64,
    /// Sets [`Config::max_open_files`](struct.Config.html#structfield.max_open_files).
    max_open_files: usize,
    /// Sets [`Config::hash_threads`](struct.Config.html#structfield.hash_threads).
    hash_threads: usize,
    /// Sets [`Config::save_every`](struct.Config.html#structfield.save_every).
    save_every: Duration,
    /// Sets [`Config::seed_ratio`](struct.Config.html#structfield.seed_ratio).
    seed_ratio: Option<f64>,
    /// Sets [`Config::seed_time`](struct.Config.html#structfield.seed_time).
    seed_time: Option<Duration>,
    /// Sets [`Config::seed_idle`](struct.Config.html#structfield.seed_idle).
    seed_idle: Option<Duration>,
    /// Sets [`Config::dht`](struct.Config.html#structfield.dht).
    dht: bool,
    /// Sets [`Config::dht_nodes`](struct.Config.html#structfield.dht_nodes).
    dht_nodes: Vec<String>,
    /// Sets [`Config::dht_state`](struct.Config.html#structfield.dht_state).
    dht_state: Option<PathBuf>,
    /// Sets [`Config::dht_read_only`](struct.Config.html#structfield.dht_read_only).
    dht_read_only: bool,
    /// Sets [`Config::random_seed`](struct.Config.html#structfield.random_seed).
    random_seed: Option<u64>,
});

/// How the space of a file is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Allocation {
    /// As it is written; holes cost nothing.
    #[default]
    Sparse,
    /// All at once before the first byte, where the file system can.
    Full,
}

/// What to do with the files of a torrent that are there already and that no resume state explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Existing {
    /// Hash them and keep what is right; refuse where not one piece is.
    #[default]
    Check,
    /// Hash them and overwrite what is wrong.
    Overwrite,
    /// Take what is there at its full length for right: whoever adds the torrent has just made it
    /// of these files.
    Trust,
}

/// Settings of one torrent.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TorrentConfig {
    /// Directory the data goes into; the torrent's name is made inside it.
    pub dir: PathBuf,
    /// Directory for the resume state; nothing puts it beside the data.
    pub state_dir: Option<PathBuf>,
    /// Whether resume state is read and written at all.
    pub resume: bool,
    /// How space is taken.
    pub allocation: Allocation,
    /// What to do with files that are there already.
    pub existing: Existing,
    /// Indices of the files to download; nothing means all.
    pub select: Option<Vec<u32>>,
    /// Files to be stored elsewhere than the torrent says: the number of each, counted from 1 over the
    /// files that are stored, and its path below `dir`; a bare name leaves it in its directory. The
    /// resume state remembers it.
    pub rename: Vec<(u32, PathBuf)>,
    /// Whether pieces are fetched in order.
    pub sequential: bool,
    /// Connections of this torrent, 1 to 10,000.
    pub max_peers: u32,
    /// Bytes a second to receive; 0 is no limit.
    pub down_limit: u64,
    /// Bytes a second to send; 0 is no limit.
    pub up_limit: u64,
    /// Peers served at once, 1 to 1,000; nothing has their number follow the upload rate.
    pub upload_slots: Option<u32>,
    /// Peers to begin with.
    pub peers: Vec<SocketAddr>,
    /// Peers by host name and port. They are looked up while the torrent runs, again and again where that
    /// fails; the first failure is told as a [`EventKind::Note`](crate::EventKind::Note).
    pub peer_names: Vec<(String, u16)>,
    /// Trackers besides the torrent's own, each a tier of its own.
    pub trackers: Vec<String>,
    /// Whether the torrent's own trackers are announced to.
    pub use_trackers: bool,
    /// Whether to go on and serve others once everything is there.
    pub seed: bool,
    /// When to stop seeding: this many times the bytes wanted were sent, in all sessions that the
    /// resume state remembers. A number from 0; nothing takes [`Config::seed_ratio`],
    /// infinity is no limit. The torrent ends with [`EventKind::SeedingDone`](crate::EventKind::SeedingDone).
    pub seed_ratio: Option<f64>,
    /// When to stop seeding: so long after everything was there, in this session and without
    /// pauses; nothing takes [`Config::seed_time`], [`Duration::MAX`] is no limit.
    pub seed_time: Option<Duration>,
    /// When to stop seeding: nobody took a byte for so long; nothing takes [`Config::seed_idle`], [`Duration::MAX`] is no limit.
    pub seed_idle: Option<Duration>,
    /// Whether to super-seed (BEP 16): for the first seed of a torrent, to send hardly more than one
    /// copy before others can do without. Only where everything is there from the start; ends by
    /// itself when another seed is seen.
    pub super_seed: bool,
    /// Whether to super-seed until each piece is out there once, and to serve like any seed from then
    /// on: the quickest way for many on a fast network to get the same at the same time. Only where
    /// everything is there from the start.
    pub fast_first_copy: bool,
    /// Whether nothing may be downloaded: data that is not there is a failure.
    pub seed_only: bool,
    /// With `seed_only`: whether it is none as long as there is some, which is served.
    pub partial: bool,
    /// For a magnet link: settles which files to download once it is known what there is. Nothing
    /// leaves it to `select`, and then to the link.
    pub choose: Option<FileSelector>,
    /// For a magnet link: whether to end when the metadata is there.
    pub metadata_only: bool,
}

/// What a [`FileSelector`] does: the indices of the files to download, or nothing for no choice. An error
/// fails the torrent.
type Choose = dyn Fn(&Metainfo) -> Result<Option<Vec<u32>>> + Send + Sync;

/// Settles which files of a magnet link's torrent to download.
#[derive(Clone)]
pub struct FileSelector(Arc<Choose>);

impl FileSelector {
    /// One that does what `choose` does; it is called once, on a thread of the engine.
    pub fn new(choose: impl Fn(&Metainfo) -> Result<Option<Vec<u32>>> + Send + Sync + 'static) -> Self {
        FileSelector(Arc::new(choose))
    }

    pub(crate) fn choose(&self, metainfo: &Metainfo) -> Result<Option<Vec<u32>>> {
        (self.0)(metainfo)
    }
}

impl std::fmt::Debug for FileSelector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FileSelector")
    }
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
            seed: true,
            seed_ratio: None,
            seed_time: None,
            seed_idle: None,
            super_seed: false,
            fast_first_copy: false,
            seed_only: false,
            partial: false,
            choose: None,
            metadata_only: false,
        }
    }
}

setters!(TorrentConfig {
    /// Sets [`TorrentConfig::dir`](struct.TorrentConfig.html#structfield.dir).
    dir: PathBuf,
    /// Sets [`TorrentConfig::state_dir`](struct.TorrentConfig.html#structfield.state_dir).
    state_dir: Option<PathBuf>,
    /// Sets [`TorrentConfig::resume`](struct.TorrentConfig.html#structfield.resume).
    resume: bool,
    /// Sets [`TorrentConfig::allocation`](struct.TorrentConfig.html#structfield.allocation).
    allocation: Allocation,
    /// Sets [`TorrentConfig::existing`](struct.TorrentConfig.html#structfield.existing).
    existing: Existing,
    /// Sets [`TorrentConfig::select`](struct.TorrentConfig.html#structfield.select).
    select: Option<Vec<u32>>,
    /// Sets [`TorrentConfig::rename`](struct.TorrentConfig.html#structfield.rename).
    rename: Vec<(u32, PathBuf)>,
    /// Sets [`TorrentConfig::sequential`](struct.TorrentConfig.html#structfield.sequential).
    sequential: bool,
    /// Sets [`TorrentConfig::max_peers`](struct.TorrentConfig.html#structfield.max_peers).
    max_peers: u32,
    /// Sets [`TorrentConfig::down_limit`](struct.TorrentConfig.html#structfield.down_limit).
    down_limit: u64,
    /// Sets [`TorrentConfig::up_limit`](struct.TorrentConfig.html#structfield.up_limit).
    up_limit: u64,
    /// Sets [`TorrentConfig::upload_slots`](struct.TorrentConfig.html#structfield.upload_slots).
    upload_slots: Option<u32>,
    /// Sets [`TorrentConfig::peers`](struct.TorrentConfig.html#structfield.peers).
    peers: Vec<SocketAddr>,
    /// Sets [`TorrentConfig::peer_names`](struct.TorrentConfig.html#structfield.peer_names).
    peer_names: Vec<(String, u16)>,
    /// Sets [`TorrentConfig::trackers`](struct.TorrentConfig.html#structfield.trackers).
    trackers: Vec<String>,
    /// Sets [`TorrentConfig::use_trackers`](struct.TorrentConfig.html#structfield.use_trackers).
    use_trackers: bool,
    /// Sets [`TorrentConfig::seed`](struct.TorrentConfig.html#structfield.seed).
    seed: bool,
    /// Sets [`TorrentConfig::seed_ratio`](struct.TorrentConfig.html#structfield.seed_ratio).
    seed_ratio: Option<f64>,
    /// Sets [`TorrentConfig::seed_time`](struct.TorrentConfig.html#structfield.seed_time).
    seed_time: Option<Duration>,
    /// Sets [`TorrentConfig::seed_idle`](struct.TorrentConfig.html#structfield.seed_idle).
    seed_idle: Option<Duration>,
    /// Sets [`TorrentConfig::super_seed`](struct.TorrentConfig.html#structfield.super_seed).
    super_seed: bool,
    /// Sets [`TorrentConfig::fast_first_copy`](struct.TorrentConfig.html#structfield.fast_first_copy).
    fast_first_copy: bool,
    /// Sets [`TorrentConfig::seed_only`](struct.TorrentConfig.html#structfield.seed_only).
    seed_only: bool,
    /// Sets [`TorrentConfig::partial`](struct.TorrentConfig.html#structfield.partial).
    partial: bool,
    /// Sets [`TorrentConfig::choose`](struct.TorrentConfig.html#structfield.choose).
    choose: Option<FileSelector>,
    /// Sets [`TorrentConfig::metadata_only`](struct.TorrentConfig.html#structfield.metadata_only).
    metadata_only: bool,
});
