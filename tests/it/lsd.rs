//! Local service discovery (BEP 14) over real multicast that never leaves this machine: every
//! client here is bound to 127.0.0.1, and so is what it announces. Other tests, and other programs,
//! may share the group; each test goes by info-hashes of its own.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use crate::support::content::{Recipe, Torrent};
use crate::support::scratch::Scratch;
use bitwren::internals::wire::lsd::{Announce, GROUP_V4, PORT};
use bitwren::{Client, Config, EventKind, Events, Metainfo, TorrentConfig};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

const LONG: Duration = Duration::from_secs(60);

fn client() -> Client {
    let config = Config::default().bind(Some([127, 0, 0, 1].into())).port(0).port_required(true);
    Client::start(config.lsd(true)).unwrap()
}

fn add(client: &Client, torrent: &Torrent, dir: &Path) -> bitwren::Torrent {
    let metainfo = Arc::new(Metainfo::from_bytes(&torrent.metainfo).unwrap());
    client.add(metainfo, TorrentConfig::default().dir(dir.to_path_buf()).use_trackers(false)).unwrap()
}

#[track_caller]
fn wait(events: &Events, is_it: impl Fn(&EventKind) -> bool) -> EventKind {
    let mut seen = Vec::new();
    loop {
        match events.recv_timeout(LONG) {
            Ok(event) if is_it(&event.what) => return event.what,
            Ok(event) => seen.push(event.what),
            Err(error) => panic!("{error}; instead: {seen:?}"),
        }
    }
}

/// Someone else in the group: hears everything said on this machine's loopback.
struct Neighbour(UdpSocket);

impl Neighbour {
    fn join() -> Neighbour {
        let socket =
            rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
                .unwrap();
        sockopt::set_socket_reuseaddr(&socket, true).unwrap();
        rustix::net::bind(&socket, &SocketAddr::from((GROUP_V4, PORT))).unwrap();
        sockopt::set_ip_multicast_if(&socket, &Ipv4Addr::LOCALHOST).unwrap();
        let socket = UdpSocket::from(socket);
        socket.join_multicast_v4(&GROUP_V4, &Ipv4Addr::LOCALHOST).unwrap();
        Neighbour(socket)
    }

    /// The announces heard up to the first that is of `torrent`.
    #[track_caller]
    fn hear(&self, torrent: &Torrent) -> Vec<Announce> {
        let (mut heard, mut datagram, end) = (Vec::new(), [0; 2000], Instant::now() + LONG);
        loop {
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.0.set_read_timeout(Some(left)).unwrap();
            let (length, _) = self.0.recv_from(&mut datagram).expect("it was announced");
            let Some(announce) = Announce::decode(&datagram[..length]) else { continue };
            let last = names(&announce, torrent);
            heard.push(announce);
            if last {
                return heard;
            }
        }
    }

    fn say(&self, torrents: &[&Torrent], port: u16, cookie: Option<String>) {
        let info_hashes =
            torrents.iter().map(|torrent| bitwren::InfoHash::from_bytes(torrent.info_hash)).collect();
        let announce = Announce { port, info_hashes, cookie };
        self.0.send_to(&announce.encode(false), (GROUP_V4, PORT)).unwrap();
    }
}

fn names(announce: &Announce, torrent: &Torrent) -> bool {
    announce.info_hashes.iter().any(|info_hash| *info_hash.as_bytes() == torrent.info_hash)
}

#[test]
fn two_without_peers_find_one_another() {
    let scratch = Scratch::new("lsd");
    let torrent = Recipe::single("found nearby", 300_000).make();
    let (has, wants) = (scratch.dir("has"), scratch.dir("wants"));
    torrent.write_to(&has);
    let (seeder, leecher) = (client(), client());
    let (ready, events) = (seeder.events(), leecher.events());
    add(&seeder, &torrent, &has);
    wait(&ready, |what| matches!(what, EventKind::Finished { .. }));
    add(&leecher, &torrent, &wants);
    wait(&events, |what| matches!(what, EventKind::Finished { .. }));
    torrent.assert_complete(&wants);
}

#[test]
fn an_announce_says_where_we_are_and_our_own_is_not_followed() {
    let scratch = Scratch::new("lsd-own");
    let torrent = Recipe::single("said once", 50_000).make();
    let (spy, client) = (Neighbour::join(), client());
    add(&client, &torrent, scratch.path());
    let announce = spy.hear(&torrent).pop().unwrap();
    assert_eq!(announce.port, client.port());
    // What bears our cookie is our own, though it names another port; the stranger's word counts.
    let (ours, theirs) = (trap(), trap());
    spy.say(&[&torrent], port_of(&ours), announce.cookie);
    spy.say(&[&torrent], port_of(&theirs), Some("somebody else".into()));
    call(theirs);
    ours.set_nonblocking(true).unwrap();
    assert_eq!(ours.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_private_torrent_is_neither_announced_nor_found() {
    let scratch = Scratch::new("lsd-private");
    let private = Recipe::single("ours alone", 50_000).private().make();
    let public = Recipe::single("for everyone", 50_000).make();
    let (spy, client) = (Neighbour::join(), client());
    let events = client.events();
    // Both work before the announce of the public one, which would have taken the other along.
    add(&client, &private, scratch.path());
    wait(&events, |what| matches!(what, EventKind::Started));
    add(&client, &public, scratch.path());
    let heard = spy.hear(&public);
    assert!(heard.iter().all(|announce| !names(announce, &private)), "{heard:?}");
    // A peer that announces both is dialled for the public one alone.
    let (secret, open) = (trap(), trap());
    spy.say(&[&private], port_of(&secret), None);
    spy.say(&[&private, &public], port_of(&open), None);
    let mut call = call(open);
    let mut hello = [0; 68];
    std::io::Read::read_exact(&mut call, &mut hello).unwrap();
    assert_eq!(hello[28..48], public.info_hash);
    secret.set_nonblocking(true).unwrap();
    assert_eq!(secret.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

/// Where a peer would listen.
fn trap() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
}

/// The connection that comes in there.
#[track_caller]
fn call(listener: TcpListener) -> TcpStream {
    let (tell, told) = channel();
    std::thread::spawn(move || tell.send(listener.accept().unwrap().0));
    told.recv_timeout(LONG).expect("it was called")
}

fn port_of(listener: &TcpListener) -> u16 {
    listener.local_addr().unwrap().port()
}

#[test]
fn what_libtorrent_sends_is_read() {
    let lines = include_str!("../../testdata/captures/lsd.txt").lines().filter(|line| !line.starts_with('#'));
    let read = |line: &str| {
        let bytes: Vec<u8> =
            (0..line.len()).step_by(2).map(|at| u8::from_str_radix(&line[at..at + 2], 16).unwrap()).collect();
        let announce = Announce::decode(&bytes).unwrap();
        assert_eq!(announce.encode(false), bytes, "we write it as they do");
        (announce.port, announce.info_hashes[0].to_string(), announce.cookie.unwrap())
    };
    let hash = "a27e940ae00484e88934755d4cc6d8bf8c30d8db".to_owned();
    let want = [(7100, hash.clone(), "19669cec".into()), (7200, hash, "44d38dc0".into())];
    assert_eq!(lines.map(read).collect::<Vec<_>>(), want);
}
