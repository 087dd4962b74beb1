//! The DHT on real sockets, all on loopback: clients that find one another without a tracker, what
//! they tell and hear by BEP 5's handshake bit and `port`, what they keep, and what they never do.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use crate::support::bencode::{bytes, dict, list};
use crate::support::content::{Dice, Recipe, Torrent};
use crate::support::peer::{FAST, Peer};
use crate::support::scratch::Scratch;
use crate::support::until::until;
use bitwren::internals::bencode::{self, Value};
use bitwren::{Client, Config, EventKind, Events, Metainfo, TorrentConfig};

/// The longest any test waits.
const LONG: Duration = Duration::from_secs(60);
/// The message `port` of BEP 5.
const PORT: u8 = 9;

/// An address in 127/8 that was not used before: nodes with one address are one node to others.
fn next_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    Ipv4Addr::new(127, 0, 77, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A client that is a node, and where.
fn node(routers: &[SocketAddr], set: impl FnOnce(Config) -> Config) -> (Client, SocketAddr) {
    node_at(next_address().into(), routers, set)
}

fn node_at(ip: IpAddr, routers: &[SocketAddr], set: impl FnOnce(Config) -> Config) -> (Client, SocketAddr) {
    let config = Config::default()
        .bind(Some(ip))
        .port(0)
        .dht(true)
        .dht_nodes(routers.iter().map(SocketAddr::to_string));
    let client = Client::start(set(config)).unwrap();
    let port = client.dht().unwrap().port;
    (client, (ip, port).into())
}

fn metainfo(torrent: &Torrent) -> Arc<Metainfo> {
    Arc::new(Metainfo::from_bytes(&torrent.metainfo).unwrap())
}

fn settings(dir: &Path) -> TorrentConfig {
    TorrentConfig::default().dir(dir.to_path_buf()).resume(false)
}

#[track_caller]
fn wait(events: &Events, wanted: impl Fn(&EventKind) -> bool) -> EventKind {
    let end = Instant::now() + LONG;
    loop {
        match events.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(event) if wanted(&event.what) => return event.what,
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Waits until a client knows so many nodes.
#[track_caller]
fn wait_nodes(client: &Client, many: u32) {
    let end = Instant::now() + LONG;
    while client.dht().unwrap().nodes < many {
        assert!(Instant::now() < end, "{:?}", client.dht());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A node made by hand: it writes down every question, and answers what it is told to.
struct Scripted {
    socket: UdpSocket,
    id: [u8; 20],
}

/// A question as it came.
#[derive(Debug)]
struct Question {
    from: SocketAddr,
    what: String,
    transaction: Vec<u8>,
    info_hash: Option<Vec<u8>>,
    port: Option<i64>,
    read_only: bool,
}

impl Scripted {
    fn new() -> Scripted {
        let socket = UdpSocket::bind((next_address(), 0)).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        Scripted { socket, id: std::array::from_fn(|at| at as u8 * 7) }
    }

    fn addr(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// The next question; nothing where none comes for as long as the socket waits.
    fn question(&self) -> Option<Question> {
        let mut buffer = [0; 2048];
        loop {
            let (len, from) = match self.socket.recv_from(&mut buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) => panic!("{error}"),
            };
            let packet = bencode::decode(&buffer[..len]).unwrap();
            let text = |value: Value, key: &str| Some(value.get(key.as_bytes())?.as_bytes()?.to_vec());
            if text(packet, "y").as_deref() != Some(b"q") {
                continue;
            }
            let args = packet.get(b"a").unwrap();
            return Some(Question {
                from,
                what: String::from_utf8(text(packet, "q").unwrap()).unwrap(),
                transaction: text(packet, "t").unwrap(),
                info_hash: text(args, "info_hash"),
                port: args.get(b"port").and_then(Value::as_int),
                read_only: packet.get(b"ro").and_then(Value::as_int) == Some(1),
            });
        }
    }

    /// Answers with these values besides the id.
    fn answer(&self, question: &Question, more: Vec<(&'static str, crate::support::bencode::Value)>) {
        let values = [("id", bytes(self.id))].into_iter().chain(more);
        let packet = dict([("r", dict(values)), ("t", bytes(&question.transaction)), ("y", bytes("r"))]);
        self.socket.send_to(&packet.encode(), question.from).unwrap();
    }

    /// Answers as a node of an empty network that knows these peers would, until a question of this
    /// kind came, which is returned.
    #[track_caller]
    fn serve_until(&self, peers: &[SocketAddr], wanted: impl Fn(&Question) -> bool) -> Question {
        loop {
            let question = self.question().expect("a question of another kind");
            match &*question.what {
                "get_peers" => {
                    let mut more = vec![("nodes", bytes("")), ("token", bytes("token"))];
                    if !peers.is_empty() {
                        more.push(("values", list(peers.iter().map(|peer| bytes(compact(*peer))))));
                    }
                    self.answer(&question, more);
                }
                "find_node" => self.answer(&question, vec![("nodes", bytes(""))]),
                _ => self.answer(&question, Vec::new()),
            }
            if wanted(&question) {
                return question;
            }
        }
    }

    /// Asks `to` whether it is there, and returns whether it is.
    fn ping(&self, to: SocketAddr) -> bool {
        let packet = dict([
            ("a", dict([("id", bytes(self.id))])),
            ("q", bytes("ping")),
            ("t", bytes("pg")),
            ("y", bytes("q")),
        ]);
        let mut buffer = [0; 2048];
        for _ in 0..20 {
            self.socket.send_to(&packet.encode(), to).unwrap();
            self.socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            while let Ok((len, from)) = self.socket.recv_from(&mut buffer) {
                let Ok(answer) = bencode::decode(&buffer[..len]) else { continue };
                let is = |key: &[u8], text: &[u8]| answer.get(key).and_then(Value::as_bytes) == Some(text);
                if from == to && is(b"t", b"pg") {
                    self.socket.set_read_timeout(Some(LONG)).unwrap();
                    return is(b"y", b"r");
                }
            }
        }
        false
    }
}

fn compact(addr: SocketAddr) -> Vec<u8> {
    let SocketAddr::V4(addr) = addr else { panic!("{addr}") };
    [&addr.ip().octets()[..], &addr.port().to_be_bytes()].concat()
}

/// A torrent of its own name, so that no other test has it.
fn torrent(name: &str) -> Torrent {
    Recipe::single(name, 200_000).make()
}

/// Has a client join: a client is no node before it has a torrent to look for.
fn join(client: &Client, scratch: &Scratch, name: &str) {
    client.add(metainfo(&torrent(name)), settings(&scratch.dir(name))).unwrap();
}

#[test]
fn fifty_nodes_of_our_own_find_a_seeder_without_a_tracker() {
    let scratch = Scratch::new("dht-fifty");
    let wanted = torrent("wanted");
    let (first, router) = node(&[], |config| config);
    join(&first, &scratch, "first");
    wait(&first.events(), |what| *what == EventKind::Started);
    let others: Vec<Client> = (1..48)
        .map(|n| {
            let (client, _) = node(&[router], |config| config);
            join(&client, &scratch, &format!("bystander {n}"));
            client
        })
        .collect();
    others.iter().for_each(|client| wait_nodes(client, 8));
    let (seeder, _) = node(&[router], |config| config);
    wanted.write_to(&scratch.dir("seeded"));
    seeder.add(metainfo(&wanted), settings(&scratch.dir("seeded")).seed_only(true)).unwrap();
    let (leecher, _) = node(&[router], |config| config);
    let events = leecher.events();
    leecher.add(metainfo(&wanted), settings(&scratch.dir("got"))).unwrap();
    wait(&events, |what| matches!(what, EventKind::Finished { .. }));
    wanted.assert_complete(&scratch.dir("got"));
}

#[test]
fn the_same_over_ipv6() {
    let here = IpAddr::from(Ipv6Addr::LOCALHOST);
    if UdpSocket::bind((here, 0)).is_err() {
        eprintln!("SKIPPED: there is no IPv6 here");
        return;
    }
    let scratch = Scratch::new("dht-ipv6");
    let wanted = torrent("wanted over ipv6");
    let (first, router) = node_at(here, &[], |config| config);
    join(&first, &scratch, "first over ipv6");
    wait(&first.events(), |what| *what == EventKind::Started);
    let (seeder, _) = node_at(here, &[router], |config| config);
    wanted.write_to(&scratch.dir("seeded"));
    seeder.add(metainfo(&wanted), settings(&scratch.dir("seeded")).seed_only(true)).unwrap();
    let (leecher, _) = node_at(here, &[router], |config| config);
    let events = leecher.events();
    leecher.add(metainfo(&wanted), settings(&scratch.dir("got"))).unwrap();
    wait(&events, |what| matches!(what, EventKind::Finished { .. }));
    wanted.assert_complete(&scratch.dir("got"));
    assert!(leecher.dht().is_some_and(|status| status.nodes6 > 0 && status.nodes == 0));
}

#[test]
fn a_torrent_is_looked_up_and_announced_with_the_port_it_is_served_at() {
    let scratch = Scratch::new("dht-announce");
    let wanted = Arc::new(torrent("announced"));
    let router = Scripted::new();
    let peer = Peer::start(&wanted, |talk| {
        talk.answer(FAST)?;
        talk.open_up()?;
        talk.serve()
    });
    let (client, addr) = node(&[router.addr()], |config| config);
    let events = client.events();
    client.add(metainfo(&wanted), settings(&scratch.dir("got"))).unwrap();
    let announce = router.serve_until(&[peer.address], |question| question.what == "announce_peer");
    assert_eq!((announce.from, announce.read_only), (addr, false));
    assert_eq!(announce.info_hash.as_deref(), Some(&wanted.info_hash[..]));
    assert_eq!(announce.port, Some(client.port().into()));
    wait(&events, |what| matches!(what, EventKind::Finished { .. }));
    wanted.assert_complete(&scratch.dir("got"));
}

#[test]
fn a_read_only_node_says_so_and_answers_no_query() {
    let scratch = Scratch::new("dht-read-only");
    let router = Scripted::new();
    let (client, addr) = node(&[router.addr()], |config| config.dht_read_only(true));
    join(&client, &scratch, "read only");
    let question = router.serve_until(&[], |question| question.what == "get_peers");
    assert!(question.read_only);
    let packet = dict([
        ("a", dict([("id", bytes([9; 20]))])),
        ("q", bytes("ping")),
        ("t", bytes("never")),
        ("y", bytes("q")),
    ]);
    let stranger = Scripted::new();
    stranger.socket.send_to(&packet.encode(), addr).unwrap();
    // What it has to say to us next comes after it has read that.
    client.add(metainfo(&torrent("one more")), settings(&scratch.dir("one more"))).unwrap();
    let more = torrent("one more").info_hash;
    router.serve_until(&[], |question| question.info_hash.as_deref() == Some(&more[..]));
    stranger.socket.set_nonblocking(true).unwrap();
    assert_eq!(stranger.socket.recv(&mut [0; 100]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_private_torrent_is_neither_looked_up_nor_announced() {
    let scratch = Scratch::new("dht-private");
    let (private, public) =
        (Arc::new(Recipe::single("private", 200_000).private().make()), torrent("public"));
    let router = Scripted::new();
    let (told, shaken) = std::sync::mpsc::sync_channel(4);
    let peer = Peer::start(&private, move |talk| {
        talk.answer([0, 0, 0, 0, 0, 0, 0, FAST[7] | 1])?;
        let _ = told.send(talk.reserved);
        // It has a node and says so; we do not.
        talk.open_up()?;
        talk.send(PORT, &[0x1a, 0xe1])?;
        talk.serve()
    });
    let (client, _) = node(&[router.addr()], |config| config);
    let events = client.events();
    let config = settings(&scratch.dir("got")).peers(vec![peer.address]);
    client.add(metainfo(&private), config).unwrap();
    wait(&events, |what| matches!(what, EventKind::Finished { .. }));
    private.assert_complete(&scratch.dir("got"));
    assert_eq!(shaken.recv_timeout(LONG).unwrap()[7] & 1, 0, "the handshake offers the DHT");
    // Not one packet so far, and none about it once there are others.
    router.socket.set_nonblocking(true).unwrap();
    assert!(router.question().is_none());
    router.socket.set_nonblocking(false).unwrap();
    client.add(metainfo(&public), settings(&scratch.dir("public"))).unwrap();
    let not_it = |question: &Question| assert!(question.info_hash.as_deref() != Some(&private.info_hash[..]));
    router.serve_until(&[], |question| {
        not_it(question);
        question.what == "announce_peer"
    });
}

#[test]
fn peers_tell_one_another_where_their_nodes_are() {
    let scratch = Scratch::new("dht-port");
    let wanted = Arc::new(torrent("with nodes"));
    let theirs = Scripted::new();
    let (ip, port) = (theirs.addr().ip(), theirs.addr().port());
    let (told, heard) = std::sync::mpsc::sync_channel(4);
    let peer = Peer::start_at(ip, &wanted, move |talk| {
        talk.answer([0, 0, 0, 0, 0, 0, 0, FAST[7] | 1])?;
        talk.send(PORT, &port.to_be_bytes())?;
        let ours = talk.wait_for(PORT)?;
        let _ = told.send((talk.reserved, ours));
        talk.listen()
    });
    let (client, addr) = node(&[], |config| config);
    client.add(metainfo(&wanted), settings(&scratch.dir("got")).peers(vec![peer.address])).unwrap();
    let (reserved, ours) = heard.recv_timeout(LONG).unwrap();
    assert_eq!((reserved[7] & 1, &ours[..]), (1, &addr.port().to_be_bytes()[..]));
    // It knew no node; now it asks that one, and then for the torrent's peers.
    let wanted = wanted.info_hash;
    let question = theirs.serve_until(&[], |question| question.info_hash.as_deref() == Some(&wanted[..]));
    assert_eq!(question.from, addr);
}

#[test]
fn nodes_are_remembered_from_one_run_to_the_next() {
    let scratch = Scratch::new("dht-state");
    let state = scratch.dir("home").join("deep/er/nodes");
    let router = Scripted::new();
    let (client, _) = node(&[router.addr()], |config| config.dht_state(Some(state.clone())));
    join(&client, &scratch, "before");
    router.serve_until(&[], |question| question.what == "announce_peer");
    wait_nodes(&client, 1);
    client.shutdown();
    // A client ends within a second; on a slow disk it leaves the saving behind.
    let saved = until(LONG, || std::fs::read(&state).ok()).expect("the table is saved");
    assert!(saved.len() < 1000, "{} bytes", saved.len());
    // Nobody is given to this one, and still it finds the other.
    let (client, addr) = node(&[], |config| config.dht_state(Some(state.clone())));
    join(&client, &scratch, "after");
    let wanted = torrent("after").info_hash;
    let question = router.serve_until(&[], |question| question.info_hash.as_deref() == Some(&wanted[..]));
    assert_eq!(question.from, addr);
    drop(client);
    // A file that is damaged, or something else, is none.
    let mut dice = Dice::new(5);
    for _ in 0..20 {
        let mut bytes = saved.clone();
        let at = dice.below(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << dice.below(8);
        bytes.truncate(dice.below(bytes.len() as u64 + 1) as usize);
        std::fs::write(&state, bytes).unwrap();
        let (client, _) = node(&[], |config| config.dht_state(Some(state.clone())));
        client.shutdown();
    }
}

#[test]
fn nonsense_and_floods_leave_a_node_as_it_was() {
    let scratch = Scratch::new("dht-hostile");
    let router = Scripted::new();
    let (client, addr) = node(&[router.addr()], |config| config);
    join(&client, &scratch, "flooded");
    router.serve_until(&[], |question| question.what == "announce_peer");
    let hostile = Scripted::new();
    let mut dice = Dice::new(99);
    let good = dict([
        ("a", dict([("id", bytes([1; 20])), ("info_hash", bytes([2; 20])), ("token", bytes("x"))])),
        ("q", bytes("get_peers")),
        ("t", bytes("zz")),
        ("y", bytes("q")),
    ])
    .encode();
    let nested = [&b"d1:ad"[..], &[b'l'; 1400]].concat();
    for packet in [&b""[..], b"d", b"de", b"d1:", b"d999999999999:", &nested, &[b'd'; 65_000], b"i0e"] {
        hostile.socket.send_to(packet, addr).unwrap();
    }
    for _ in 0..5_000 {
        let mut packet = good.clone();
        for _ in 0..=dice.below(4) {
            let at = dice.below(packet.len() as u64) as usize;
            packet[at] = dice.roll() as u8;
        }
        packet.truncate(dice.below(packet.len() as u64) as usize + 1);
        hostile.socket.send_to(&packet, addr).unwrap();
    }
    assert!(Scripted::new().ping(addr), "it no longer answers");
    client.shutdown();
}

#[test]
fn the_end_waits_for_no_answer() {
    let scratch = Scratch::new("dht-end");
    // No query is answered.
    let silent = UdpSocket::bind((next_address(), 0)).unwrap();
    let state = scratch.dir("home").join("nodes");
    let (client, _) = node(&[silent.local_addr().unwrap()], |config| config.dht_state(Some(state.clone())));
    let events = client.events();
    join(&client, &scratch, "cut short");
    wait(&events, |what| *what == EventKind::Started);
    silent.set_read_timeout(Some(LONG)).unwrap();
    silent.recv(&mut [0; 100]).unwrap();
    client.shutdown();
    wait(&events, |what| *what == EventKind::Stopped);
    assert!(!state.exists(), "there was nothing to remember");
}
