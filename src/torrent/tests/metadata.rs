//! A magnet link, until it is a torrent.

use super::*;

fn asks(action: &Action, peer: PeerKey) -> bool {
    matches!(action, Action::Order(key, Order::AskMetadata(0)) if *key == peer)
}

#[test]
fn a_magnet_link_becomes_a_torrent_and_keeps_its_connections() {
    let mut world = World::of_magnet(TorrentConfig::default());
    world.tell(Input::Start);
    world.did(|action| matches!(action, Action::LoadMetadata));
    world.tell(Input::MetadataLoaded(None));
    world.settle();
    world.did(is_online);
    let peer = world.join(1);
    world.tell(Input::Report(peer, extension_handshake()));
    world.settle();
    world.did(|action| asks(action, peer));
    assert_eq!(world.torrent.phase(), Phase::FetchingMetadata);
    world.tell(Input::Report(peer, dictionary()));
    world.settle();
    let done = world.done();
    assert!(done.iter().any(|action| matches!(action, Action::MetadataKnown { .. })), "{done:#?}");
    assert!(done.iter().any(|action| matches!(action, Action::SaveMetadata)), "{done:#?}");
    assert!(done.iter().any(|action| matches!(action, Action::Check { .. })), "{done:#?}");
    assert!(!done.iter().any(|action| is_closed(action, peer)), "{done:#?}");
    assert_eq!((world.host.entered, world.torrent.phase()), (1, Phase::Checking));
    // What it says meanwhile counts when the torrent opens.
    world.tell(Input::Report(peer, Report::Choking(false)));
    world.tell(Input::Report(peer, Report::Interested(true)));
    world.tell(checked(&[2]));
    let done = world.done();
    let at = |wanted: &dyn Fn(&Action) -> bool| done.iter().position(wanted).unwrap();
    let learns = |action: &Action| matches!(action, Action::Learn { key, ours } if *key == peer && ours.have.count() == 1 && !ours.upload_only);
    assert!(at(&is_online) < at(&learns), "the content is known before a connection learns of it");
    world.tell(Input::Report(peer, Report::Has(set(&[3]))));
    world.tell(Input::Report(peer, Report::WantsBlocks(4)));
    world.settle();
    let done = world.done();
    let ordered = |wanted: &dyn Fn(&Order) -> bool| {
        done.iter().any(|action| matches!(action, Action::Order(key, order) if *key == peer && wanted(order)))
    };
    assert!(ordered(&|order| matches!(order, Order::Take(_))), "{done:#?}");
    assert!(ordered(&|order| matches!(order, Order::Choke(false))), "{done:#?}");
    assert_eq!(world.torrent.peers(&world.host).len(), 1);
}

#[test]
fn a_connection_from_the_magnet_link_ends_once_whatever_the_stage() {
    let mut world = World::of_magnet(TorrentConfig::default().resume(false));
    world.tell(Input::Start);
    let peers = [1, 2, 3].map(|last| world.join(last));
    world.tell(Input::Gone(peers[0], DisconnectReason::Lost));
    peers[1..].iter().for_each(|&peer| world.tell(Input::Report(peer, extension_handshake())));
    world.tell(Input::Report(peers[1], dictionary()));
    world.settle();
    world.tell(Input::Gone(peers[1], DisconnectReason::Lost));
    world.tell(checked(&[]));
    world.settle();
    assert_eq!(world.host.entered, 1);
    let done = world.done();
    let learned = done.iter().filter_map(|action| match action {
        Action::Learn { key, .. } => Some(*key),
        _ => None,
    });
    assert_eq!(learned.collect::<Vec<_>>(), [peers[2]]);
    let forgotten = done.iter().filter(|action| matches!(action, Action::Forget(_))).count();
    assert_eq!(forgotten, 2);
}

#[test]
fn a_liar_is_banned_even_where_it_hangs_up_first() {
    let mut world = World::of_magnet(TorrentConfig::default().resume(false));
    world.tell(Input::Start);
    let liar = world.join(1);
    world.tell(Input::Report(liar, extension_handshake()));
    world.tell(Input::Report(liar, Report::MetadataBlock(0, vec![0; metainfo().info_bytes().len()].into())));
    world.settle();
    world.did(|action| is_closed(action, liar));
    world.tell(Input::Gone(liar, DisconnectReason::Lost));
    world.did(|action| matches!(action, Action::Event(EventKind::PeerBanned { .. })));
}

#[test]
fn a_torrent_that_must_wait_for_its_turn_keeps_no_connection() {
    let mut world = World::of_magnet(TorrentConfig::default().resume(false));
    world.host.has_slot = false;
    world.tell(Input::Start);
    let peer = world.join(1);
    world.tell(Input::Report(peer, extension_handshake()));
    world.tell(Input::Report(peer, dictionary()));
    world.settle();
    assert_eq!(world.torrent.phase(), Phase::Queued);
    world.did(|action| is_closed(action, peer));
}

#[test]
fn a_private_torrent_parts_with_peers_that_the_dht_named() {
    let content = Content::File { length: u64::from(PIECES * PIECE) };
    let build = Build::new("data", content, PIECE, vec![7; PIECES as usize * 20]).private(true);
    let metainfo = Metainfo::from_bytes(&build.encode().unwrap()).unwrap();
    let magnet = Magnet::parse(&format!("magnet:?xt=urn:btih:{}", metainfo.info_hash())).unwrap();
    let config = TorrentConfig::default().resume(false);
    let mut world = World::with(config, |setup, now| Torrent::of_magnet(setup, magnet, now));
    world.tell(Input::Start);
    let addrs = [1, 2].map(|last| SocketAddr::from(([10, 0, 0, last], 5000)));
    world.tell(Input::Found(Source::Dht, vec![addrs[0]]));
    world.tell(Input::Found(Source::Tracker, vec![addrs[1]]));
    world.settle();
    let mut keys = Vec::new();
    for addr in addrs {
        let id = PeerId::from_bytes([addr.port() as u8; 20]);
        world.tell(Input::Joined(Join {
            addr,
            incoming: false,
            extended: true,
            encryption: Encryption::None,
            id,
        }));
        keys.extend(world.done().iter().find_map(|action| match action {
            Action::Accept { key, .. } => Some(*key),
            _ => None,
        }));
    }
    let size = Some(metainfo.info_bytes().len() as u64);
    let m = Extensions { ut_metadata: Some(3), ..Extensions::default() };
    let hello = ExtendedHandshake { m, metadata_size: size, ..ExtendedHandshake::default() };
    world.tell(Input::Report(keys[1], Report::ExtensionHandshake(Box::new(hello))));
    world.tell(Input::Report(keys[1], Report::MetadataBlock(0, metainfo.info_bytes().into())));
    world.settle();
    let done = world.done();
    assert!(done.iter().any(|action| is_closed(action, keys[0])), "{done:#?}");
    assert!(!done.iter().any(|action| is_closed(action, keys[1])), "{done:#?}");
}

#[test]
fn metadata_that_was_kept_needs_no_peer() {
    let mut world = World::of_magnet(TorrentConfig::default());
    world.tell(Input::Start);
    world.tell(Input::MetadataLoaded(Some(metainfo().info_bytes().to_vec())));
    world.settle();
    let done = world.done();
    assert!(!done.iter().any(|action| matches!(action, Action::Online | Action::SaveMetadata)), "{done:#?}");
    assert!(done.iter().any(|action| matches!(action, Action::Check { .. })), "{done:#?}");
}

#[test]
fn where_only_metadata_is_wanted_the_torrent_ends_with_it() {
    let mut world = World::of_magnet(TorrentConfig::default().resume(false).metadata_only(true));
    world.tell(Input::Start);
    let peer = world.join(1);
    world.tell(Input::Report(peer, extension_handshake()));
    world.tell(Input::Report(peer, dictionary()));
    world.settle();
    world.did(|action| is_closed(action, peer));
    world.tell(Input::Gone(peer, DisconnectReason::Shutdown));
    world.settle();
    world.tell(Input::DiskClosed);
    world.tell(Input::TrackersStopped);
    world.settle();
    world.did(|action| matches!(action, Action::Ended));
    assert_eq!(world.host.entered, 0);
}

#[test]
fn a_pause_while_metadata_is_fetched_closes_every_connection_and_holds() {
    let mut world = World::of_magnet(TorrentConfig::default().resume(false));
    world.tell(Input::Start);
    let peer = world.join(1);
    world.tell(Input::Pause);
    world.settle();
    let done = world.done();
    assert!(done.iter().any(|action| is_closed(action, peer)), "{done:#?}");
    assert!(done.iter().any(|action| matches!(action, Action::Offline { .. })), "{done:#?}");
    assert!(world.torrent.peers(&world.host).is_empty());
    world.tell(Input::Gone(peer, DisconnectReason::Shutdown));
    assert_eq!((world.host.entered, world.torrent.phase()), (0, Phase::Paused));
    world.pass(Duration::from_secs(600));
    world.did_not(|action| matches!(action, Action::WantPeers | Action::Dial(..)));
    world.tell(Input::Resume);
    world.settle();
    world.did(is_online);
    assert_eq!(world.torrent.phase(), Phase::FetchingMetadata);
}

#[test]
fn a_selection_that_is_not_in_the_metadata_fails_the_torrent() {
    let mut world = World::of_magnet(TorrentConfig::default().select(Some(vec![1])));
    world.tell(Input::Start);
    world.tell(Input::MetadataLoaded(Some(metainfo().info_bytes().to_vec())));
    world.settle();
    assert_eq!(world.torrent.phase(), Phase::Failed);
    world.tell(Input::Remove);
    world.pass(Duration::from_secs(1));
    world.did(|action| matches!(action, Action::Ended));
}

#[test]
fn a_removal_while_metadata_is_fetched_ends_in_time() {
    let mut world = World::of_magnet(TorrentConfig::default().resume(false));
    world.tell(Input::Start);
    let peer = world.join(1);
    // The last block and the removal come together: no torrent begins.
    world.tell(Input::Report(peer, extension_handshake()));
    world.tell(Input::Report(peer, dictionary()));
    world.tell(Input::Remove);
    world.tell(Input::Gone(peer, DisconnectReason::Shutdown));
    world.pass(Duration::from_millis(650));
    let done = world.done();
    assert!(!done.iter().any(|action| matches!(action, Action::Check { .. })), "{done:#?}");
    assert!(done.iter().any(|action| matches!(action, Action::Ended)), "{done:#?}");
    assert_eq!(world.host.entered, 0);
}
