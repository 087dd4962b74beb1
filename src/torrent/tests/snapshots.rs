//! What is shown of a torrent agrees with what happened to it.

use super::*;

fn shown(world: &World) -> Progress {
    let mut progress = Progress::default();
    world.torrent.show(&mut progress, world.now);
    progress
}

#[test]
fn peers_are_counted_by_what_they_do_and_where_they_came_from() {
    let mut world = World::open(TorrentConfig::default(), &[0, 1]);
    world.found(Source::Dht, &[1]);
    assert_eq!(world.dialed(), [1]);
    let join = Join {
        addr: SocketAddr::from(([10, 0, 0, 1], 5000)),
        incoming: false,
        extended: true,
        encryption: Encryption::None,
        id: PeerId::from_bytes([1; 20]),
    };
    world.tell(Input::Joined(join));
    let incoming = world.join(2);
    world.tell(Input::Report(incoming, Report::Has(set(&[1, 2, 3]))));
    world.tell(Input::Report(incoming, Report::Choking(false)));
    world.tell(Input::Report(incoming, Report::Interested(true)));
    world.host.bytes = Bytes { received: 3000, sent: 0 };
    world.host.of_peers.insert(incoming, world.host.bytes);
    world.pass(Duration::from_secs(2));

    let progress = shown(&world);
    assert_eq!((progress.peers, progress.unchoked, progress.sending, progress.receiving), (2, 1, 1, 0));
    assert_eq!((progress.sources.dht, progress.sources.incoming, progress.sources.pex), (1, 1, 0));
    assert!(world.torrent.moved().is_some_and(|moved| moved > Moment::from_secs(100) && moved <= world.now));
    let peers = world.torrent.peers(&world.host);
    let [outgoing, incoming] = &peers[..] else { panic!("{peers:?}") };
    assert_eq!((outgoing.source, incoming.source), (PeerSource::Dht, PeerSource::Incoming));
    assert!(outgoing.choking && outgoing.choked && !outgoing.interested && !outgoing.interesting);
    assert!(!incoming.choking && !incoming.choked && incoming.interested && incoming.interesting);
    assert_eq!((incoming.pieces, incoming.downloaded, incoming.uploaded), (3, 3000, 0));
}

#[test]
fn pieces_and_files_are_shown_as_they_are() {
    let mut world = World::open(TorrentConfig::default(), &[0, 2]);
    let (some, seed) = (world.join(1), world.join(2));
    world.tell(Input::Report(some, Report::Has(set(&[0, 1]))));
    let pieces = world.torrent.pieces().unwrap();
    assert_eq!((pieces.count, &pieces.have[..], pieces.has(2)), (PIECES, &[0b1010_0000][..], true));
    assert_eq!(pieces.availability, [1, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(pieces.desired_available, u64::from(PIECE));
    world.tell(Input::Report(seed, Report::Has(Bitfield::full(PIECES))));
    let pieces = world.torrent.pieces().unwrap();
    assert_eq!(pieces.availability, [2, 2, 1, 1, 1, 1, 1, 1]);
    assert_eq!(pieces.desired_available, u64::from(6 * PIECE));
    let files = world.torrent.files().unwrap();
    assert_eq!(files.len(), 1);
    assert_eq!(
        (files[0].completed, files[0].length, files[0].wanted),
        (u64::from(2 * PIECE), u64::from(8 * PIECE), true)
    );
    assert!(World::new(TorrentConfig::default()).torrent.pieces().is_none());
}

#[test]
fn a_bad_piece_counts_as_corrupt() {
    let mut world = World::open(TorrentConfig::default(), &[]);
    world.verdict(1, false);
    world.verdict(1, true);
    assert_eq!(shown(&world).corrupt, u64::from(PIECE));
}

#[test]
fn an_error_is_shown_until_it_is_over() {
    let mut world = World::open(TorrentConfig::default(), &[]);
    assert_eq!(shown(&world).error, None);
    world.tell(Input::Disk(WriteEvent::Failed(disk_full())));
    let error = shown(&world).error.unwrap();
    assert_eq!((error.kind, &*error.why), (ErrorKind::DiskFull, "no space left"));
    world.tell(Input::Disk(WriteEvent::Recovered));
    assert_eq!(shown(&world).error, None);

    let failed = |why: &str| TrackerEvent::Failed { url: "http://t/".into(), why: why.into(), retry: None };
    world.tell(Input::Tracker(failed("unregistered torrent")));
    assert_eq!(shown(&world).tracker_error.as_deref(), Some("unregistered torrent"));
    let interval = Duration::from_secs(60);
    let answered = |warning: Option<&str>| TrackerEvent::Answered {
        url: "http://t/".into(),
        peers: 0,
        interval,
        warning: warning.map(str::to_owned),
    };
    world.tell(Input::Tracker(answered(Some("slow down"))));
    let progress = shown(&world);
    assert_eq!((progress.tracker_error, progress.tracker_warning.as_deref()), (None, Some("slow down")));
    world.tell(Input::Tracker(answered(None)));
    assert_eq!(shown(&world).tracker_warning, None);
}

#[test]
fn an_announce_is_asked_for_only_while_working() {
    let is_asked = |action: &Action| matches!(action, Action::Reannounce);
    let mut world = World::open(TorrentConfig::default(), &[]);
    world.tell(Input::Reannounce);
    world.did(is_asked);
    world.tell(Input::Pause);
    world.done();
    world.tell(Input::Reannounce);
    world.did_not(is_asked);
}
