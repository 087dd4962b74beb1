//! Makes the torrents that are shared, the tracker that serves them, and their URLs.

use std::collections::HashSet;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use bitwren::internals::tracker::url::escape;
use bitwren::metainfo::build::Torrent;
use bitwren::{Announced, InfoHash, Metainfo, TrackerServer, TrackerServerConfig};

use super::secret;
use crate::cli::args::settings::{FileFilter, OutputSettings, ShareSettings};
use crate::cli::exit::{Code, Failure};
use crate::cli::files::hash_torrent;
use crate::cli::files::walk::Found;
use crate::cli::output::screen::Screen;

/// The port that most trackers use, and the number of ports from it on that are tried.
const PORT: u16 = 6969;
const PORTS: u16 = 10;

/// The announce interval: short, so that a peer that was missed at first is found soon. Peers are forgotten
/// after twice that time, and some clients announce at most once a minute.
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(45);

/// What a `.torrent` is called over HTTP.
const MEDIA_TYPE: &str = "application/x-bittorrent";

/// A torrent that is shared.
pub struct SharedTorrent {
    torrent: Torrent,
    pub metainfo: Arc<Metainfo>,
    /// Where the data is.
    pub dir: PathBuf,
    /// Where the `.torrent` is served, and where else.
    pub url: String,
    pub others: Vec<String>,
}

/// Command lines for other machines.
pub struct Lines {
    pub main: String,
    pub others: Vec<String>,
}

/// A torrent whose data is not hashed yet.
pub struct Draft {
    name: String,
    torrent: Torrent,
    found: Found,
    dir: PathBuf,
}

/// Finds the files of each path, and every problem except those of hashing.
///
/// # Errors
/// Paths that cannot be read, have the same name or hold no data.
pub fn draft_all(
    operands: Vec<OsString>,
    filter: &FileFilter,
    secret: Option<&str>,
    settings: OutputSettings,
    screen: &Screen,
) -> Result<Vec<Draft>, Failure> {
    let mut names = HashSet::new();
    let mut drafts = Vec::new();
    let salt = secret.map(secret::salt);
    for word in operands {
        let draft = draft(Path::new(&word), filter, salt.clone(), settings, screen)?;
        if !names.insert(draft.name.clone()) {
            let name = &draft.name;
            return Err(Failure::usage(format_args!("two of the paths have the same name {name:?}")));
        }
        drafts.push(draft);
    }
    Ok(drafts)
}

fn draft(
    path: &Path,
    filter: &FileFilter,
    salt: Option<String>,
    settings: OutputSettings,
    screen: &Screen,
) -> Result<Draft, Failure> {
    // Data is served from where it is without following links; those on the way to it are followed
    // here.
    let real = path.canonicalize().map_err(|error| Failure::file(Code::FILE_OPEN, "open", path, &error))?;
    let name = hash_torrent::name(&real)?;
    let found = hash_torrent::find(&real, &name, None, filter, settings, screen)?;
    let torrent = hash_torrent::draft(name.clone(), &found, None)?.private(true).source(salt);
    let dir = real.parent().unwrap_or(Path::new("/")).to_owned();
    Ok(Draft { name, torrent, found, dir })
}

/// Makes a torrent of each draft: hashes its files.
pub fn make_all(
    drafts: Vec<Draft>,
    settings: OutputSettings,
    screen: &Screen,
) -> Result<Vec<SharedTorrent>, Failure> {
    let make = |draft| {
        let Draft { torrent, found, dir, .. } = draft;
        let torrent = hash_torrent::hash(torrent, &found, screen, !settings.is_chatty(), |_| {})?;
        let metainfo = Arc::new(Metainfo::from_vec(torrent.encode()?)?);
        Ok(SharedTorrent { torrent, metainfo, dir, url: String::new(), others: Vec::new() })
    };
    drafts.into_iter().map(make).collect()
}

/// Starts the tracker of the shared, on a port where both TCP and UDP are free.
pub fn track(
    shared: &[SharedTorrent],
    share: &ShareSettings,
    watch: SyncSender<Announced>,
) -> Result<TrackerServer, Failure> {
    let hashes: Vec<InfoHash> = shared.iter().map(|one| one.metainfo.info_hash()).collect();
    let start = |address: IpAddr, port: u16| {
        let at = [SocketAddr::new(address, port)];
        let config = TrackerServerConfig::default()
            .http(at)
            .udp(at)
            .interval(ANNOUNCE_INTERVAL)
            .allowed(hashes.clone())
            .watch(watch.clone());
        TrackerServer::start(config)
    };
    let at = |port: u16| match share.listen.bind {
        Some(address) => start(address, port),
        None => {
            start(Ipv6Addr::UNSPECIFIED.into(), port).or_else(|_| start(Ipv4Addr::UNSPECIFIED.into(), port))
        }
    };
    match share.port {
        Some(0) => Ok(at(free_port()).or_else(|_| at(free_port()))?),
        Some(port) => Ok(at(port)?),
        None => {
            let others = (1..PORTS).map(|step| at(PORT + step));
            Ok(at(PORT).or_else(|first| others.into_iter().find_map(Result::ok).ok_or(first))?)
        }
    }
}

/// A port that is free for TCP, and most likely for UDP too.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0));
    listener.and_then(|listener| listener.local_addr()).map_or(0, |address| address.port())
}

/// Serves the `.torrent` of each one: under its name for the main host, and below each further
/// address, with that one as the tracker, for machines that reach this one by it.
pub fn publish(
    shared: &mut [SharedTorrent],
    tracker: &TrackerServer,
    addresses: &[IpAddr],
    port: u16,
    share: &ShareSettings,
) -> Result<Lines, Failure> {
    let token = share.secret.as_deref().map(secret::token);
    let root = token.map_or_else(String::new, |token| format!("/{token}"));
    let given = share.host.as_ref().map(|host| format!("http://{host}:{port}"));
    let skipped = usize::from(given.is_none());
    let main = given.unwrap_or_else(|| addresses.first().map_or_else(String::new, |ip| base(*ip, port)));
    let further: Vec<(String, String)> =
        addresses.iter().skip(skipped).map(|ip| (base(*ip, port), format!("{root}/{ip}"))).collect();
    let mut urls = vec![Vec::new(); 1 + further.len()];
    for one in shared.iter_mut() {
        let name = format!("{}.torrent", one.metainfo.name());
        let all = std::iter::once((main.clone(), root.clone())).chain(further.iter().cloned());
        for ((host, dir), urls) in all.zip(&mut urls) {
            let tier = [format!("{host}/announce"), format!("{}/announce", host.replacen("http", "udp", 1))];
            let torrent = one.torrent.clone().tiers([tier.to_vec()]);
            tracker.publish(&format!("{dir}/{name}"), MEDIA_TYPE, torrent.encode()?);
            let mut url = format!("{host}{dir}/");
            // Colons of an IPv6 address may stand in a path as they are.
            escape(name.as_bytes(), &mut url);
            urls.push(url);
        }
        let mut own = urls.iter().filter_map(|urls| urls.last()).cloned();
        one.url = own.next().unwrap_or_default();
        one.others = own.collect();
    }
    let mut lines = urls.into_iter().map(|urls| format!("bitwren get {}", urls.join(" ")));
    Ok(Lines { main: lines.next().unwrap_or_default(), others: lines.collect() })
}

/// The root of the URLs by an address.
pub fn base(address: IpAddr, port: u16) -> String {
    format!("http://{}", SocketAddr::new(address, port))
}
