//! Every door of the API, each used once as another program would: what compiles here may not cease to compile
//! in a later release without a word in the changelog. It does nothing that leaves this machine.

use std::error::Error as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use bitwren::metainfo::build::{self, Content, Entry};
use bitwren::metainfo::edit::{Edit, Edited};
use bitwren::metainfo::{File, FileIter, FileList};
use bitwren::{
    AddressFilter, Allocation, AnnounceEvent, Announced, BlockRef, Blocklist, Budget, Client, Config,
    DHT_ROUTERS, DhtStatus, DisconnectReason, Encryption, EncryptionPolicy, Error, ErrorKind, Event,
    EventKind, Events, Existing, Failure, Fetched, FileSelector, FileSnapshot, InfoHash, LastAnnounce,
    Magnet, Metainfo, PeerId, PeerSnapshot, PeerSource, PeersBySource, Phase, Pieces, PiecesSnapshot,
    PortMapMethod, PortMapStatus, PortMapping, Priority, Progress, Proxy, ProxyKind, QueueMove, RecvError,
    RecvTimeoutError, Result, ScrapeEntry, SeedLimit, SeedLimits, Torrent, TorrentConfig, TorrentShare,
    TrackerServer, TrackerServerConfig, TrackerSnapshot, TrackerState, TrackerStats, TryRecvError, Violation,
    WebProxies, events, fetch_torrent, mask_secrets, metainfo, scrape,
};

const LENGTH: u64 = 40_000;
const SHORT: Duration = Duration::from_secs(2);

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::temp_dir().join(format!("bitwren-surface-{}", std::process::id()));
    std::fs::create_dir_all(dir.join("album"))?;
    std::fs::write(dir.join("album/zeros"), vec![0; LENGTH as usize])?;
    let done = metainfo_doors().and_then(|metainfo| {
        link_doors(&metainfo)?;
        client_doors(&dir, metainfo)
    });
    std::fs::remove_dir_all(dir)?;
    error_doors();
    Ok(done?)
}

/// Makes a torrent, changes it and reads it.
fn metainfo_doors() -> Result<Arc<Metainfo>> {
    let piece_length = build::piece_length_for(LENGTH);
    let data = vec![0; LENGTH as usize];
    let hashes: Vec<u8> = data.chunks(piece_length as usize).flat_map(build::piece_hash).collect();
    let entry: Entry = Entry::new(["zeros"], LENGTH).pad(false).executable(true);
    let content = Content::Directory(vec![entry]);
    let torrent: build::Torrent =
        build::Torrent::new("x", Content::File { length: LENGTH }, 1 << 15, Vec::new())
            .name("album")
            .content(content)
            .piece_length(piece_length)
            .hashes(hashes)
            .tiers([vec!["http://127.0.0.1:1/announce".to_owned()]])
            .web_seeds(["http://127.0.0.1:1/"])
            .private(false)
            .source("surface".to_owned())
            .comment("a".to_owned())
            .created_by("surface".to_owned())
            .creation_date(0);
    assert_eq!(torrent.pieces()?.count(), 3);
    let edit: Edit = Edit::default()
        .remove_trackers(["http://127.0.0.1:1/announce"])
        .replace_trackers([("http:".to_owned(), "http:".to_owned())])
        .no_trackers(false)
        .add_tiers([vec!["http://127.0.0.1:2/announce".to_owned()]])
        .no_web_seeds(true)
        .add_web_seeds(["http://127.0.0.1:2/"])
        .comment(None)
        .private(true)
        .source(None)
        .allow_new_hash(true);
    let edited: Edited = edit.apply(&torrent.encode()?)?;
    assert_ne!(edited.before, edited.after);
    let metainfo = Metainfo::from_vec(edited.bytes.clone())?;
    assert_eq!(metainfo, Metainfo::from_bytes(&edited.bytes)?);
    assert_eq!((metainfo.info_hash(), metainfo.name()), (edited.after, "album"));
    assert_eq!(
        (metainfo.is_private(), metainfo.is_multi_file(), metainfo.creation_date()),
        (true, true, Some(0))
    );
    assert_eq!((metainfo.comment(), metainfo.source()), (None, None));
    assert_eq!((metainfo.created_by(), metainfo.encoding()), (Some("surface"), None));
    assert_eq!((metainfo.tiers().len(), metainfo.web_seeds().len(), metainfo.nodes().len()), (1, 1, 0));
    assert!(metainfo.warnings().len() <= metainfo::MAX_WARNINGS);
    assert!(metainfo.info_bytes().len() < metainfo.to_bytes().len());

    let files: FileList<'_> = metainfo.files();
    let mut each: FileIter<'_> = files.iter();
    let file: File<'_> = each.next().unwrap();
    assert_eq!((files.len(), files.is_empty(), files.first_past(0)), (1, false, 0));
    assert_eq!(files.get(0), Some(file));
    assert_eq!((file.path(), file.offset, file.length), (PathBuf::from("album/zeros"), 0, LENGTH));
    assert!(file.is_stored() && file.executable && !file.pad && !file.hidden && !file.symlink);
    assert_eq!((file.target(), file.own()), (None, None));

    let pieces: Pieces = metainfo.pieces();
    assert_eq!((pieces.total(), pieces.count(), pieces.piece_length()), (LENGTH, 3, piece_length));
    let block: BlockRef = pieces.block(2, 0);
    assert_eq!((block.piece, block.begin, block.length), (2, 0, pieces.length(2)));
    assert_eq!((pieces.block_index(block), pieces.blocks(2), pieces.contains(3)), (Some(0), 1, false));
    assert!(pieces.is_valid_request(block, 1 << 14));
    assert_eq!(pieces.covering(pieces.offset(1)..LENGTH), 1..3);
    assert_eq!(*metainfo.piece_hash(0), build::piece_hash(&data[..piece_length as usize]));
    Ok(Arc::new(metainfo))
}

/// Reads and writes magnet links and names.
fn link_doors(metainfo: &Metainfo) -> Result<()> {
    let magnet: Magnet = metainfo.magnet();
    assert_eq!(Magnet::parse(&metainfo.magnet_link())?, magnet);
    assert_eq!(Magnet::from(magnet.info_hash), Magnet::new(magnet.info_hash));
    assert!(Magnet::is_meant(&magnet.to_string()) && magnet.to_string().len() < metainfo::MAX_MAGNET);
    assert_eq!(Magnet::in_text(magnet.to_string().as_bytes()), Some(&*magnet.to_string()));
    assert_eq!((magnet.selected(1), magnet.name.as_deref()), (None, Some("album")));
    assert_eq!((magnet.trackers.len(), magnet.web_seeds.len()), (1, 1));
    assert!(magnet.peers.is_empty() && magnet.nodes.is_empty() && magnet.select.is_empty());
    assert_eq!(magnet.with_info(metainfo.info_bytes())?.info_hash(), magnet.info_hash);

    let hash: InfoHash = magnet.info_hash.to_string().parse()?;
    assert_eq!(hash, InfoHash::from_bytes(*hash.as_bytes()));
    assert_eq!((hash, hash.as_ref().len()), (InfoHash::from(*hash.as_bytes()), 20));
    assert_eq!(InfoHash::from_hex(&hash.to_string())?, hash);
    let id: PeerId = PeerId::from(*b"-XX0000-............");
    assert_eq!((id, id.as_ref()), (PeerId::from_bytes(*id.as_bytes()), &id.as_bytes()[..]));
    assert_eq!(mask_secrets("http://t/?passkey=1"), "http://t/?passkey=***");
    Ok(())
}

/// Runs a tracker and a client that seeds.
fn client_doors(dir: &std::path::Path, metainfo: Arc<Metainfo>) -> Result<()> {
    let (watch, announces) = sync_channel::<Announced>(16);
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = TrackerServerConfig::default()
        .http([loopback])
        .udp([loopback])
        .interval(Duration::from_secs(60))
        .allowed(vec![metainfo.info_hash()])
        .max_torrents(1)
        .max_peers_per_torrent(10)
        .max_peers(10)
        .rate(0)
        .watch(watch);
    config.validate()?;
    let tracker = TrackerServer::start(config)?;
    tracker.publish("/album.torrent", "application/x-bittorrent", metainfo.to_bytes());
    let (http, udp) = (tracker.http_addresses()[0], tracker.udp_addresses()[0]);

    let budget: Budget = Budget::of(Budget::TINY);
    let share: TorrentShare = budget.torrent(metainfo.pieces().count(), 10, 0);
    assert!(Budget::LEAST < Budget::TINY && share.connections > 0 && share.bytes > 0 && budget.metadata > 0);
    let proxy = Proxy::parse("socks5://me:secret@proxy.example:1080")?;
    assert_eq!(
        (proxy.kind(), proxy.to_string().as_str()),
        (ProxyKind::Socks5, "socks5://proxy.example:1080")
    );
    let web = WebProxies::from_variables(|name| (name == "http_proxy").then(|| "h:3128".to_owned()))?;
    assert!(web.http().is_some() && web.https().is_none() && !web.is_empty());
    assert!(!web.has_exceptions() && !web.excepts("tracker.example"));
    Config::default()
        .proxy(proxy.clone())
        .proxy_peers(proxy)
        .proxy_trackers(None)
        .web_proxies(web)
        .device("lo".to_owned())
        .dscp(0)
        .congestion("cubic".to_owned())
        .validate()?;
    let config = Config::default()
        .port(0)
        .port_required(true)
        .bind(IpAddr::from(Ipv4Addr::LOCALHOST))
        .max_active(0)
        .max_peers(budget.connections.min(50))
        .max_half_open(4)
        .down_limit(0)
        .up_limit(0)
        .lsd(false)
        .pex(true)
        .max_memory(Budget::TINY)
        .max_open_files(16)
        .hash_threads(1)
        .save_every(Duration::from_secs(60))
        .seed_ratio(2.0)
        .seed_time(Duration::MAX)
        .seed_idle(Duration::MAX)
        .dht(false)
        .dht_nodes(DHT_ROUTERS)
        .dht_state(dir.join("dht"))
        .dht_read_only(true);
    let list: Blocklist = Blocklist::read(&b"# private\n10.0.0.0/8\nnonsense\n"[..])?;
    assert_eq!((list.lines, list.not_understood, list.first_not_understood), (2, 1, Some(3)));
    let mut filter: AddressFilter = AddressFilter::default();
    filter.add(&list.filter);
    assert!(filter.blocks([10, 0, 0, 1].into()) && filter.ranges() == 1 && !filter.is_empty());
    assert!(filter.except(&filter).is_empty() && AddressFilter::all_but(&filter).blocks([9, 0, 0, 1].into()));
    let config = config.filter(filter).encryption(EncryptionPolicy::Allow);
    config.validate()?;
    assert_eq!(Config::DEFAULT_PORT, 6881);
    match fetch_torrent(&format!("http://{http}/album.torrent"), &config)? {
        Fetched::Torrent(bytes) => assert_eq!(bytes, metainfo.to_bytes()),
        Fetched::Magnet(magnet) => panic!("{magnet}"),
        _ => panic!("another kind"),
    }

    let client: Client = Client::start(config.clone())?;
    let stream: Events = client.events();
    assert!(client.port() > 0 && client.peer_id().to_string().starts_with("-BW"));
    assert_eq!(client.dht().map(|status: DhtStatus| status.port), None);
    let nothing = Blocklist::read(&b"10.0.0.0/8\n"[..])?.filter;
    client.set_filter(nothing);
    assert_eq!(mapped(&PortMapStatus::default()), None);
    client.set_limits(0, 0);
    let settings = TorrentConfig::default()
        .dir(dir)
        .state_dir(dir.to_owned())
        .resume(false)
        .allocation(Allocation::Sparse)
        .existing(Existing::Check)
        .select(vec![0])
        .rename([])
        .file_priorities([(0, Priority::Low)])
        .sequential(false)
        .max_peers(10)
        .down_limit(0)
        .up_limit(0)
        .upload_slots(4)
        .peers([])
        .peer_names([])
        .trackers([format!("http://{http}/announce"), format!("udp://{udp}/announce")])
        .use_trackers(false)
        .seed(true)
        .seed_ratio(f64::INFINITY)
        .seed_time(Duration::MAX)
        .seed_idle(Duration::MAX)
        .pause_when_seeded(false)
        .tiers(None)
        .super_seed(false)
        .fast_first_copy(false)
        .seed_only(true)
        .partial(false)
        .file_selector(FileSelector::new(|_| Ok(None)))
        .metadata_only(false);
    settings.validate()?;
    let torrent: Torrent = client.add(metainfo.clone(), settings)?;
    assert_eq!((torrent.info_hash(), torrent.metainfo()), (metainfo.info_hash(), Some(metainfo.clone())));
    torrent.add_peer(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
    torrent.set_limits(0, 0);
    let announced: Announced = announces.recv_timeout(SHORT * 10).expect("it announces");
    assert_eq!((announced.info_hash, announced.peer_id), (metainfo.info_hash(), client.peer_id()));
    assert!(announced.seed && announced.address.port() == client.port());
    assert_eq!((announced.event, announced.event.name()), (AnnounceEvent::Started, Some("started")));
    let entry: ScrapeEntry =
        scrape(&format!("http://{http}/announce"), &[metainfo.info_hash()], SHORT * 10, &config)?[0];
    assert_eq!((entry.info_hash, entry.leechers, entry.downloaded), (metainfo.info_hash(), 0, 0));
    let stats: TrackerStats = tracker.stats();
    assert_eq!((stats.torrents, stats.seeders, stats.leechers, stats.limited), (1, 1, 0, 0));
    assert!(stats.announces > 0 && stats.scrapes > 0 && stats.connections < 10 && stats.hung_up == 0);

    let peers: Vec<PeerSnapshot> = torrent.peers();
    assert_eq!((peers.len(), stream.dropped()), (0, 0));
    let pieces: PiecesSnapshot = torrent.pieces().expect("it was checked");
    assert_eq!(
        (pieces.count, pieces.has(2), pieces.availability.len(), pieces.desired_available),
        (3, true, 3, 0)
    );
    let files: Vec<FileSnapshot> = torrent.files().expect("it was checked");
    assert_eq!((files[0].length, files[0].completed, files[0].wanted), (LENGTH, LENGTH, true));
    let trackers: Vec<TrackerSnapshot> = torrent.trackers().expect("it runs");
    let last: Option<LastAnnounce> = trackers[0].last.clone();
    assert!(last.is_none_or(|last| !last.timed_out) && trackers[0].state != TrackerState::Inactive);
    torrent.set_trackers(trackers.into_iter().map(|tracker| vec![tracker.url]).collect())?;
    torrent.set_max_peers(20);
    torrent.set_upload_slots(None);
    torrent.set_seed_limits(SeedLimits::default());
    torrent.set_sequential(true);
    torrent.set_super_seed(false);
    client.set_max_peers(50);
    client.set_max_active(0, 0);
    client.move_in_queue(&client.queue(), QueueMove::Top);
    client.set_queue_position(torrent.info_hash(), 0);
    torrent.reannounce();
    torrent.set_files(&[Some(Priority::High)])?;
    assert_eq!(files[0].priority, Priority::Low);
    torrent.locate(dir);
    torrent.verify();
    torrent.pause();
    torrent.resume();
    torrent.start_now();
    let progress: Progress = torrent.progress();
    assert!(progress.is_finished() && progress.eta().is_none() && progress.ratio() == 0.0);
    let (sources, error): (PeersBySource, Option<Failure>) = (progress.sources, progress.error.clone());
    assert!(sources == PeersBySource::default() && error.is_none_or(|Failure { why, .. }| why.is_empty()));
    assert!(progress.has_metadata() && progress.left() == 0 && progress.idle.is_none());
    assert!(PeerSource::Given < PeerSource::Pex);
    torrent.remove();
    follow(&stream);
    let magnet = Magnet::new(InfoHash::from_bytes([7; 20]));
    let waiting = client.add_magnet(magnet, TorrentConfig::default().dir(dir).resume(false))?;
    assert_eq!((waiting.progress().phase, waiting.metainfo()), (Phase::FetchingMetadata, None));
    client.shutdown();
    let mut rest: events::Iter<'_> = stream.iter();
    assert!(
        rest.any(|event: Event| event.torrent == waiting.info_hash() && event.what == EventKind::Stopped)
    );
    assert_eq!(stream.try_recv(), Err(TryRecvError::Ended));
    let _: RecvError = stream.recv().unwrap_err();
    assert_eq!(stream.recv_timeout(SHORT), Err(RecvTimeoutError::Ended));
    let mut none: events::IntoIter = stream.into_iter();
    assert!(none.next().is_none());
    tracker.stop();
    Ok(())
}

/// How ports are mapped, if they are.
fn mapped(status: &PortMapStatus) -> Option<(PortMapMethod, u16)> {
    let mapping: &PortMapping = status.mapping.as_ref().or(status.pinhole.as_ref())?;
    Some((mapping.method, mapping.tcp))
}

/// Reads events up to the end of a torrent; every kind that a program may tell apart.
fn follow(events: &Events) {
    while let Ok(Event { what, .. }) = events.recv_timeout(SHORT * 10) {
        match what {
            EventKind::Stopped => return,
            EventKind::SeedingDone { why: SeedLimit::Ratio | SeedLimit::Time | SeedLimit::Idle } => {}
            EventKind::PeerGone { why: DisconnectReason::Violation(Violation::Flood), .. } => {}
            EventKind::PeerConnected { encryption: Encryption::None, .. } => {}
            EventKind::Failed { why, .. } => panic!("{why}"),
            _ => {}
        }
    }
    panic!("it did not stop");
}

/// Errors are one line for people, and have a kind and a cause for programs.
fn error_doors() {
    let error: Error = Metainfo::from_bytes(b"le").unwrap_err();
    assert_eq!(
        (error.kind(), error.source().is_none(), error.cause().is_none()),
        (ErrorKind::Torrent, true, true)
    );
    let error = Error::new(ErrorKind::FileOpen, "cannot open a").because(std::io::Error::other("b"));
    assert_eq!((error.context(), &*error.to_string()), ("cannot open a", "cannot open a: b"));
}

/// `tests/it` runs it too.
#[test]
fn every_door_of_the_api_opens() {
    main().unwrap();
}
