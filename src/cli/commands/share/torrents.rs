//! What is shared: a torrent of each path, the tracker that serves it, and the URLs it has there.

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
use crate::cli::args::settings::Settings;
use crate::cli::exit::{Code, Failure};
use crate::cli::files::hash_torrent;
use crate::cli::files::walk::Found;
use crate::cli::output::screen::Screen;
use crate::cli::output::screen::Verbosity;

/// The port most trackers have, and how many after it are tried.
const PORT: u16 = 6969;
const PORTS: u16 = 10;

/// How often peers announce: often enough that one who was missed at first is found soon. They are
/// forgotten after twice that, and some announce once a minute at most.
const INTERVAL: Duration = Duration::from_secs(45);

/// What a `.torrent` is called over HTTP.
const MEDIA_TYPE: &str = "application/x-bittorrent";

/// Something shared.
pub struct Offer {
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

/// A torrent to be, before anything of it is hashed.
pub struct Draft {
    torrent: Torrent,
    found: Found,
    dir: PathBuf,
}

/// Finds what is to be shared, and whatever is wrong with it but its hashes.
pub fn draft_all(
    operands: Vec<OsString>,
    settings: &Settings,
    screen: &Screen,
) -> Result<Vec<Draft>, Failure> {
    let mut names = HashSet::new();
    let mut drafts = Vec::new();
    let salt = settings.sharing.secret.as_deref().map(secret::salt);
    for word in operands {
        let draft = draft(Path::new(&word), settings, screen, salt.clone())?;
        if !names.insert(draft.torrent.name.clone()) {
            let name = &draft.torrent.name;
            return Err(Failure::usage(format_args!("two of the paths have the same name {name:?}")));
        }
        drafts.push(draft);
    }
    Ok(drafts)
}

fn draft(path: &Path, settings: &Settings, screen: &Screen, salt: Option<String>) -> Result<Draft, Failure> {
    // Data is served from where it is without following links; those on the way to it are followed
    // here.
    let real = path.canonicalize().map_err(|error| Failure::file(Code::FILE_OPEN, "open", path, &error))?;
    let name = hash_torrent::name(&real)?;
    let found = hash_torrent::find(&real, &name, None, settings, screen, is_quiet(settings))?;
    let mut torrent = hash_torrent::draft(name, &found, None)?;
    torrent.private = true;
    torrent.source = salt;
    torrent.created_by = Some(format!("bitwren/{}", env!("CARGO_PKG_VERSION")));
    let dir = real.parent().unwrap_or(Path::new("/")).to_owned();
    Ok(Draft { torrent, found, dir })
}

/// Makes a torrent of each draft: hashes its files.
pub fn make_all(drafts: Vec<Draft>, settings: &Settings, screen: &Screen) -> Result<Vec<Offer>, Failure> {
    let make = |draft| {
        let Draft { mut torrent, found, dir } = draft;
        hash_torrent::hash(&mut torrent, &found, screen, is_quiet(settings))?;
        let metainfo = Arc::new(Metainfo::from_vec(torrent.encode()?)?);
        Ok(Offer { torrent, metainfo, dir, url: String::new(), others: Vec::new() })
    };
    drafts.into_iter().map(make).collect()
}

fn is_quiet(settings: &Settings) -> bool {
    settings.json || settings.verbosity == Verbosity::Quiet
}

/// Starts the tracker of the offers, on a port where both TCP and UDP are free.
pub fn track(
    offers: &[Offer],
    settings: &Settings,
    watch: SyncSender<Announced>,
) -> Result<TrackerServer, Failure> {
    let hashes: Vec<InfoHash> = offers.iter().map(|offer| offer.metainfo.info_hash()).collect();
    let start = |address: IpAddr, port: u16| {
        let mut config = TrackerServerConfig::default();
        config.http = vec![SocketAddr::new(address, port)];
        config.udp = config.http.clone();
        config.interval = INTERVAL;
        config.allowed = Some(hashes.clone());
        config.watch = Some(watch.clone());
        TrackerServer::start(config)
    };
    let at = |port: u16| match settings.bind {
        Some(address) => start(address, port),
        None => {
            start(Ipv6Addr::UNSPECIFIED.into(), port).or_else(|_| start(Ipv4Addr::UNSPECIFIED.into(), port))
        }
    };
    match settings.sharing.port {
        Some(0) => Ok(at(free_port()).or_else(|_| at(free_port()))?),
        Some(port) => Ok(at(port)?),
        None => {
            let others = (1..PORTS).map(|step| at(PORT + step));
            Ok(at(PORT).or_else(|first| others.into_iter().find_map(Result::ok).ok_or(first))?)
        }
    }
}

/// A port that nobody has for TCP; most likely nobody has it for UDP either.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0));
    listener.and_then(|listener| listener.local_addr()).map_or(0, |address| address.port())
}

/// Serves the `.torrent` of each offer: under its name for the main host, and below each further
/// address, with that one as the tracker, for those who know this machine by it.
pub fn publish(
    offers: &mut [Offer],
    tracker: &TrackerServer,
    addresses: &[IpAddr],
    port: u16,
    settings: &Settings,
) -> Result<Lines, Failure> {
    let token = settings.sharing.secret.as_deref().map(secret::token);
    let root = token.map_or_else(String::new, |token| format!("/{token}"));
    let given = settings.sharing.host.as_ref().map(|host| format!("http://{host}:{port}"));
    let skipped = usize::from(given.is_none());
    let main = given.unwrap_or_else(|| addresses.first().map_or_else(String::new, |ip| base(*ip, port)));
    let further: Vec<(String, String)> =
        addresses.iter().skip(skipped).map(|ip| (base(*ip, port), format!("{root}/{ip}"))).collect();
    let mut urls = vec![Vec::new(); 1 + further.len()];
    for offer in offers.iter_mut() {
        let name = format!("{}.torrent", offer.metainfo.name());
        let all = std::iter::once((main.clone(), root.clone())).chain(further.iter().cloned());
        for ((host, dir), urls) in all.zip(&mut urls) {
            offer.torrent.tiers = vec![vec![
                format!("{host}/announce"),
                format!("{}/announce", host.replacen("http", "udp", 1)),
            ]];
            tracker.publish(&format!("{dir}/{name}"), MEDIA_TYPE, offer.torrent.encode()?);
            let mut url = format!("{host}{dir}/");
            // Colons of an IPv6 address may stand in a path as they are.
            escape(name.as_bytes(), &mut url);
            urls.push(url);
        }
        let mut own = urls.iter().filter_map(|urls| urls.last()).cloned();
        offer.url = own.next().unwrap_or_default();
        offer.others = own.collect();
    }
    let mut lines = urls.into_iter().map(|urls| format!("bitwren get {}", urls.join(" ")));
    Ok(Lines { main: lines.next().unwrap_or_default(), others: lines.collect() })
}

/// The root of the URLs by an address.
pub fn base(address: IpAddr, port: u16) -> String {
    format!("http://{}", SocketAddr::new(address, port))
}
