//! Blocked addresses: whichever source names one, it is not dialled; a connection from there gets no byte;
//! lists are read again while peers are connected.

use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bitwren::internals::wire::lsd::{Announce, GROUP_V4, PORT};
use bitwren::{AddressFilter, Client, Config, InfoHash, Metainfo, TorrentConfig};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use crate::support::bencode::{bytes, dict, int};
use crate::support::child::{Child, PATIENCE, bitwren, run};
use crate::support::content::{BLOCK, Recipe, Torrent};
use crate::support::extension::{self, PEX, message};
use crate::support::leecher;
use crate::support::node::{compact, node};
use crate::support::peer::*;
use crate::support::scratch::Scratch;
use crate::support::seeder::{Manner, Seeder};
use crate::support::{http, until::until};

fn torrent() -> Arc<Torrent> {
    Arc::new(Recipe::single("filtered.bin", 3 * BLOCK as usize).make())
}

fn filter(addresses: &[SocketAddr]) -> AddressFilter {
    let mut filter = AddressFilter::default();
    addresses.iter().for_each(|address| filter.add(&address.ip().to_string().parse().unwrap()));
    filter
}

/// Has `source` name a blocked peer, and then another, to a client that takes its settings from it. The
/// other is dialled, and the blocked one is not.
#[track_caller]
fn assert_not_dialled(
    name: &str,
    blocked: TcpListener,
    other: &Peer,
    source: impl FnOnce(Config, TorrentConfig) -> (Config, TorrentConfig),
    then: impl FnOnce(),
) {
    let scratch = Scratch::new(name);
    let metainfo = Arc::new(Metainfo::from_bytes(&torrent().metainfo).unwrap());
    let config = Config::default().port(0).filter(filter(&[blocked.local_addr().unwrap()]));
    let torrent = TorrentConfig::default().dir(scratch.path()).use_trackers(false);
    let (config, torrent) = source(config, torrent);
    let client = Client::start(config).unwrap();
    let torrent = client.add(metainfo, torrent).unwrap();
    then();
    assert!(other.wait_called(PATIENCE), "{name}: nobody was dialled");
    let counted = until(PATIENCE, || Some(torrent.progress().blocked).filter(|blocked| *blocked > 0));
    assert!(counted.is_some(), "{name}: nothing was blocked");
    // No dial is under way afterwards.
    client.shutdown();
    blocked.set_nonblocking(true).unwrap();
    assert_eq!(blocked.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock, "{name}");
}

/// Where a blocked peer would listen.
fn trap() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((next_address(), 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn listening() -> Peer {
    Peer::start(&torrent(), Talk::listen)
}

#[test]
fn a_blocked_peer_of_a_tracker_is_not_dialled() {
    let ((blocked, trap), other) = (trap(), listening());
    let peers = [compact(trap), compact(other.address)].concat();
    let answer = dict([("interval", int(1800)), ("peers", bytes(peers))]).encode();
    let tracker = http::Server::start(move |_, stream| http::ok(stream, &answer));
    let url = tracker.url("/announce");
    assert_not_dialled(
        "tracker",
        blocked,
        &other,
        |config, torrent| (config, torrent.trackers([url])),
        || (),
    );
}

#[test]
fn a_blocked_peer_that_the_user_names_is_not_dialled() {
    let ((blocked, trap), other) = (trap(), listening());
    let peers = [trap, other.address];
    assert_not_dialled("given", blocked, &other, |config, torrent| (config, torrent.peers(peers)), || ());
}

#[test]
fn a_blocked_peer_of_the_dht_is_not_dialled() {
    let ((blocked, trap), other) = (trap(), listening());
    let peers = [trap, other.address];
    let router = node(move |question, _| vec![question.rightly([7; 20], &peers)]).to_string();
    let dht = |config: Config, torrent| (config.bind(next_address()).dht(true).dht_nodes([router]), torrent);
    assert_not_dialled("dht", blocked, &other, dht, || ());
}

#[test]
fn a_blocked_peer_that_another_peer_names_is_not_dialled() {
    let ((blocked, trap), other) = (trap(), listening());
    let named = [compact(trap), compact(other.address)].concat();
    let told = dict([("added", bytes(named)), ("added.f", bytes([0, 0]))]).encode();
    let gossip = Peer::start(&torrent(), move |talk| {
        extension::answer(talk)?;
        talk.raw(&message(PEX, &told))?;
        talk.listen()
    });
    let peers = [gossip.address];
    assert_not_dialled("pex", blocked, &other, |config, torrent| (config, torrent.peers(peers)), || ());
}

#[test]
fn a_blocked_peer_on_the_local_network_is_not_dialled() {
    // An announce is of the address that it comes from.
    let (blocked, other) = (TcpListener::bind((next_address(), 0)).unwrap(), listening());
    let (trap, open) = (blocked.local_addr().unwrap(), other.address);
    let info_hash = InfoHash::from_bytes(torrent().info_hash);
    let say = move || {
        for from in [trap, open] {
            let announce = Announce { port: from.port(), info_hashes: vec![info_hash], cookie: None };
            neighbour(from).send_to(&announce.encode(false), (GROUP_V4, PORT)).unwrap();
        }
    };
    let here =
        |config: Config, torrent| (config.bind(std::net::IpAddr::from([127, 0, 0, 1])).lsd(true), torrent);
    // It hears the group once it has announced itself.
    let ears = neighbour((Ipv4Addr::LOCALHOST, PORT).into());
    ears.join_multicast_v4(&GROUP_V4, &Ipv4Addr::LOCALHOST).unwrap();
    ears.set_read_timeout(Some(PATIENCE)).unwrap();
    let announced = move || {
        let mut datagram = [0; 2000];
        while let Ok((length, _)) = ears.recv_from(&mut datagram) {
            let heard = Announce::decode(&datagram[..length]);
            if heard.is_some_and(|announce| announce.info_hashes.contains(&info_hash)) {
                return say();
            }
        }
        panic!("it was not announced");
    };
    assert_not_dialled("lsd", blocked, &other, here, announced);
}

/// A socket on the local network of this machine, where `from` is.
fn neighbour(from: SocketAddr) -> UdpSocket {
    let socket =
        rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None).unwrap();
    sockopt::set_socket_reuseaddr(&socket, true).unwrap();
    sockopt::set_ip_multicast_if(&socket, &Ipv4Addr::LOCALHOST).unwrap();
    let at = if from.port() == PORT { SocketAddr::from((GROUP_V4, PORT)) } else { (from.ip(), 0).into() };
    rustix::net::bind(&socket, &at).unwrap();
    UdpSocket::from(socket)
}

/// A seed with a list of blocked addresses, which the tests dial from 127.0.0.1.
struct Seed {
    child: Child,
    address: SocketAddr,
    torrent: Arc<Torrent>,
    list: PathBuf,
    _scratch: Scratch,
}

impl Seed {
    fn start(name: &str, list: &[u8]) -> Seed {
        let (torrent, scratch) = (torrent(), Scratch::new(name));
        let file = scratch.file("filtered.torrent", &torrent.metainfo);
        torrent.write_to(&scratch.dir("data"));
        let list = scratch.file("list", list);
        let address = TcpListener::bind((next_address(), 0)).unwrap().local_addr().unwrap();
        let mut command =
            bitwren(scratch.path(), &["seed", "--json", "--verbose", "--no-tracker", "--no-dht", "--no-lsd"]);
        command.args(["--bind", &address.ip().to_string(), "--port", &address.port().to_string()]);
        command.arg("-d").arg(scratch.dir("data")).arg("--blocklist").arg(&list).arg(&file);
        let child = Child::spawn(&mut command);
        child.wait_for_line(PATIENCE, |line| line.contains("finished"));
        Seed { child, address, torrent, list, _scratch: scratch }
    }

    /// Writes another list, and has it read.
    fn reload(&self, list: &[u8]) {
        std::fs::write(&self.list, list).unwrap();
        self.child.signal("HUP");
    }

    fn wait_for(&self, said: &str) -> String {
        self.child.wait_for_line(PATIENCE, |line| line.contains(said))
    }

    /// A conversation in which handshakes were exchanged.
    fn call(&self) -> Talk {
        let mut talk = leecher::call(&self.torrent, self.address, PATIENCE).unwrap();
        talk.send_handshake([0; 8]).unwrap();
        talk.read_handshake().unwrap();
        talk
    }

    #[track_caller]
    fn assert_refuses(&self) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let hello = handshake([0; 8], &self.torrent.info_hash, b"-TT0001-aaaaaaaaaaaa");
        // It may have been closed before that.
        let _ = io::Write::write_all(&mut stream, &hello);
        let mut got = Vec::new();
        match stream.read_to_end(&mut got) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("{error}"),
        }
        assert!(got.is_empty(), "{}", got.escape_ascii());
    }
}

#[test]
fn a_connection_from_a_blocked_address_gets_no_byte() {
    let seed = Seed::start("blocked-in", b"this machine:127.0.0.1-127.0.0.1\n");
    for _ in 0..3 {
        seed.assert_refuses();
    }
    seed.child.signal("INT");
    let ended = seed.child.wait_end(PATIENCE).expect(0);
    let told = ended.stdout.lines().find(|line| line.contains(r#""event":"refused""#)).unwrap_or_default();
    assert!(told.ends_with(r#""connections":3}"#), "{}", ended.stdout);
    assert!(!ended.stdout.contains("peer_"), "{}", ended.stdout);
}

#[test]
fn a_list_is_read_again_at_sighup_and_connected_peers_stay() {
    let seed = Seed::start("reload", b"10.0.0.0/8\nnonsense\n");
    let told = seed.wait_for(r#""event":"blocklist""#);
    assert!(told.contains(r#""ranges":1,"lines":2,"not_understood":1,"first_not_understood":2"#), "{told}");
    let mut connected = seed.call();
    seed.reload(b"127.0.0.0/24\n10.0.0.0/8\n");
    seed.wait_for(r#""ranges":2"#);
    seed.assert_refuses();
    // What cannot be used changes nothing.
    for (bad, said) in [
        (&b"<html>\n"[..], "not one of 1 lines is an address range"),
        (b"\x1f\x8b\x08 cut off", "packed with gzip and damaged"),
    ] {
        seed.reload(bad);
        assert!(seed.wait_for(said).contains("what was blocked before stays blocked"));
        seed.assert_refuses();
    }
    std::fs::remove_file(&seed.list).unwrap();
    seed.child.signal("HUP");
    assert!(seed.wait_for("cannot open").contains("stays blocked"));
    seed.assert_refuses();
    connected.wait_for(BITFIELD).unwrap();
    connected.send(INTERESTED, &[]).unwrap();
    connected.wait_for(UNCHOKE).unwrap();
    let block = Block { piece: 0, begin: 0, length: BLOCK };
    connected.send(REQUEST, &block.body()).unwrap();
    assert_eq!(&connected.wait_for(PIECE).unwrap()[8..], seed.torrent.block(0, 0, BLOCK).unwrap());
    // An empty list blocks nothing.
    seed.reload(b"");
    seed.wait_for(r#""ranges":0"#);
    drop(connected);
    assert_eq!(leecher::fetch(&seed.torrent, seed.address, PATIENCE).unwrap(), seed.torrent.data);
    seed.child.signal("INT");
    seed.child.wait_end(PATIENCE).expect(0);
}

/// Nothing but signals for a while: each asks for what it is for, however close they come.
#[test]
fn requests_in_a_row_never_end_the_run() {
    let seed = Seed::start("signals", b"10.0.0.0/8\n");
    let many =
        format!("for i in 1 2 3 4 5 6 7 8 9; do kill -HUP {0}; kill -USR1 {0}; done", seed.child.pid());
    assert!(std::process::Command::new("sh").args(["-c", &many]).status().unwrap().success());
    seed.wait_for(r#""event":"progress""#);
    seed.reload(b"10.0.0.0/8\n12.0.0.0/8\n14.0.0.0/8\n");
    seed.wait_for(r#""ranges":3"#);
    seed.child.signal("INT");
    seed.child.wait_end(PATIENCE).expect(0);
}

fn get(scratch: &Scratch, torrent: &Torrent, list: &Path, more: &[&str]) -> Child {
    let file = scratch.file("filtered.torrent", &torrent.metainfo);
    let mut command =
        bitwren(scratch.path(), &["get", "--port", "0", "--no-tracker", "--no-dht", "--no-lsd", "--no-pex"]);
    command.arg("-d").arg(scratch.dir("got")).arg("--blocklist").arg(list).args(more).arg(file);
    Child::spawn(&mut command)
}

#[test]
fn a_named_peer_that_is_blocked_is_told_of_and_allow_permits_it() {
    let (torrent, scratch) = (torrent(), Scratch::new("allow"));
    let blocked = Seeder::start(&torrent, Manner::default());
    let other = Seeder::start(&torrent, Manner::default());
    let list = scratch.file("list", format!("{}/32 , 000 , all\n", blocked.address().ip()).as_bytes());
    let (one, two) = (blocked.address().to_string(), other.address().to_string());
    let ended =
        get(&scratch, &torrent, &list, &["--peer", &one, "--peer", &two]).wait_end(PATIENCE).expect(0);
    let warning = format!("--peer {one} is blocked by --blocklist or --allow and not connected to");
    assert!(ended.stderr.contains(&warning) && !ended.stderr.contains(&two), "{}", ended.stderr);
    assert_eq!(blocked.connections(), 0);
    torrent.assert_complete(&scratch.path().join("got"));
    let scratch = Scratch::new("allowed");
    let ip = blocked.address().ip().to_string();
    get(&scratch, &torrent, &list, &["--peer", &one, "--allow", &ip]).wait_end(PATIENCE).expect(0);
    torrent.assert_complete(&scratch.path().join("got"));
}

#[test]
fn a_list_that_cannot_be_used_ends_the_run_before_it_begins() {
    let (torrent, scratch) = (torrent(), Scratch::new("bad-list"));
    let absent = scratch.path().join("absent");
    for (list, code, said) in [
        (absent, 3, "cannot open"),
        (scratch.dir("folder"), 15, "is a directory"),
        (scratch.file("page", b"<html>\n</html>\n"), 33, "not one of 2 lines is an address range"),
        (scratch.file("packed", b"\x1f\x8b\x08\0\0"), 33, "packed with gzip and damaged"),
    ] {
        let ended = get(&scratch, &torrent, &list, &[]).wait_end(PATIENCE).expect(code);
        assert!(ended.stderr.contains(said) && ended.stderr.lines().count() == 1, "{}", ended.stderr);
        assert!(ended.stderr.contains(&*list.to_string_lossy()), "{}", ended.stderr);
    }
    let range = run(&mut bitwren(scratch.path(), &["get", "--allow", "10.0.0.0/33", "x.torrent"])).expect(28);
    assert!(
        range.stderr.contains("\"10.0.0.0/33\" is not an address, a range or a network"),
        "{}",
        range.stderr
    );
}

#[test]
fn lines_that_are_not_understood_are_told_once() {
    let (torrent, scratch) = (torrent(), Scratch::new("bad-lines"));
    let other = Seeder::start(&torrent, Manner::default());
    let list = scratch.file("list", [&b"10.0.0.1\n".repeat(20)[..], &b"10.0.0\n".repeat(3)].concat());
    let peer = other.address().to_string();
    let ended = get(&scratch, &torrent, &list, &["--peer", &peer]).wait_end(PATIENCE).expect(0);
    let said = "list: 3 of 23 lines not understood and skipped, the first is line 21";
    assert_eq!(ended.stderr.matches("not understood").count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
}
