//! The end of a client, whatever hangs: peers, trackers, names that are looked up, a disk, a check.
//!
//! It is to take less than a second. How long it took is printed; what is asserted is a bound for hangs,
//! as machines that test are busy, or where the machine is left to it (`make crash` by hand) that second
//! itself.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::bencode::{bytes, dict, int};
use crate::support::child::{Child, PATIENCE, bitwren};
use crate::support::content::{BLOCK, Recipe, Torrent};
use crate::support::extension;
use crate::support::http::Server;
use crate::support::latch::Latch;
use crate::support::leecher;
use crate::support::peer::{Block, EXTENSIONS, INTERESTED, Peer, REQUEST, Talk, UNCHOKE, handshake};
use crate::support::proc;
use crate::support::scratch::Scratch;
use bitwren::{Client, Config, EventKind, Magnet, Metainfo, TorrentConfig};

/// How long the end may take: `SHUTDOWN_MS`, or what is long enough to be called hanging.
fn bound() -> Duration {
    let asked = std::env::var("SHUTDOWN_MS").ok().and_then(|ms| ms.parse().ok());
    Duration::from_millis(asked.unwrap_or(5_000))
}

fn client(set: impl FnOnce(Config) -> Config) -> Client {
    let config = Config::default().bind(Some([127, 0, 0, 1].into())).port(0).port_required(true);
    Client::start(set(config)).unwrap()
}

fn metainfo(torrent: &Torrent) -> Arc<Metainfo> {
    Arc::new(Metainfo::from_bytes(&torrent.metainfo).unwrap())
}

/// Big enough that no script is ever done with it.
fn large() -> Recipe {
    Recipe::single("large", 400 * BLOCK as usize)
}

/// A download of this from these.
fn settings(scratch: &Scratch, peers: &[SocketAddr]) -> TorrentConfig {
    TorrentConfig::default().dir(scratch.dir("got")).peers(peers.to_vec())
}

/// Ends it and says how long that took.
#[track_caller]
fn end(client: Client) {
    let begun = Instant::now();
    client.shutdown();
    told(begun.elapsed());
}

#[track_caller]
fn told(took: Duration) {
    let thread = std::thread::current();
    println!("| {} | {:.3} s |", thread.name().unwrap_or_default().replace('_', " "), took.as_secs_f64());
    assert!(took < bound(), "the end took {took:?}");
}

/// A download from a peer that does this until it opens the latch, and then hangs.
#[track_caller]
fn with_peer(script: impl Fn(&mut Talk) -> io::Result<()> + Send + Sync + 'static) {
    let scratch = Scratch::new("hung-peer");
    let torrent = Arc::new(large().make());
    let (hung, for_ever) = (Latch::new(), Latch::new());
    let (tells, waits) = (hung.clone(), for_ever.clone());
    let peer = Peer::start(&torrent, move |talk| {
        script(talk)?;
        tells.open();
        waits.wait(PATIENCE);
        Ok(())
    });
    let client = client(|config| config);
    client.add(metainfo(&torrent), settings(&scratch, &[peer.address])).unwrap();
    assert!(hung.wait(PATIENCE), "it never came to it: {:?}", peer.endings());
    end(client);
    for_ever.open();
}

#[test]
fn a_peer_that_accepts_and_says_nothing() {
    with_peer(|_| Ok(()));
}

#[test]
fn a_peer_that_stops_within_the_handshake() {
    with_peer(|talk| {
        let hello = handshake([0; 8], &talk.torrent.info_hash, &talk.own_id);
        talk.raw(&hello[..30])
    });
}

#[test]
fn a_peer_that_is_silent_after_the_handshake() {
    with_peer(|talk| talk.answer([0; 8]));
}

#[test]
fn a_peer_that_stops_within_a_block() {
    with_peer(|talk| {
        talk.answer([0; 8])?;
        talk.open_up()?;
        talk.next_request()?;
        // The length of a block and the beginning of one.
        talk.raw(&[&(9 + BLOCK).to_be_bytes()[..], &[7], &[0; 100]].concat())
    });
}

#[test]
fn a_peer_that_stops_within_a_message() {
    with_peer(|talk| {
        talk.answer(EXTENSIONS)?;
        talk.raw(&[0, 0, 100, 0, 20, 0])
    });
}

/// It requests everything and reads nothing: a write to it blocks.
#[test]
fn a_peer_that_never_reads() {
    let scratch = Scratch::new("deaf");
    let torrent = Arc::new(Recipe::single("large", 64 << 20).make());
    torrent.write_to(&scratch.dir("got"));
    let client = client(|config| config);
    let handle = client.add(metainfo(&torrent), settings(&scratch, &[]).seed_only(true)).unwrap();
    let address = SocketAddr::new([127, 0, 0, 1].into(), client.port());
    let deaf: Vec<Talk> = (0..3)
        .map(|_| {
            let mut talk = leecher::call(&torrent, address, PATIENCE).unwrap();
            loop {
                // No connection is accepted before the data is checked.
                let shaken = talk.send_handshake([0; 8]).and_then(|()| talk.read_handshake());
                if shaken.is_ok() {
                    break;
                }
                talk = leecher::call(&torrent, address, PATIENCE).unwrap();
            }
            talk.send(INTERESTED, &[]).unwrap();
            talk.wait_for(UNCHOKE).unwrap();
            for piece in 0..450 {
                talk.send(REQUEST, &Block { piece, begin: 0, length: BLOCK }.body()).unwrap();
            }
            talk
        })
        .collect();
    // When nothing more is sent the sockets are full.
    let mut sent = 0;
    while sent == 0 || handle.progress().uploaded > sent {
        sent = handle.progress().uploaded;
        std::thread::sleep(Duration::from_millis(100));
    }
    end(client);
    drop(deaf);
}

#[test]
fn callers_that_never_finish_their_handshake() {
    let scratch = Scratch::new("callers");
    let torrent = Arc::new(large().make());
    let client = client(|config| config);
    client.add(metainfo(&torrent), settings(&scratch, &[])).unwrap();
    let address = SocketAddr::new([127, 0, 0, 1].into(), client.port());
    let callers: Vec<Talk> = (0..40)
        .map(|n| {
            let mut talk = leecher::call(&torrent, address, PATIENCE).unwrap();
            let _ = talk.raw(&b"\x13BitTorrent protocol"[..n % 20]);
            talk
        })
        .collect();
    end(client);
    drop(callers);
}

/// Its accept queue is full: no other connection gets through.
struct Busy {
    listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Busy {
    fn new() -> Busy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // Safety: it changes nothing but the length of the queue of a socket that is open.
        assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
        let call = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
        let waiting = std::iter::from_fn(call).take(100).collect();
        Busy { listener, _waiting: waiting }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }
}

#[test]
fn calls_that_are_never_answered() {
    let scratch = Scratch::new("busy");
    let busy: Vec<Busy> = (0..5).map(|_| Busy::new()).collect();
    let peers: Vec<SocketAddr> = busy.iter().map(Busy::address).collect();
    let url = format!("http://{}/announce", busy[0].address());
    let torrent = large().tracker(&url).make();
    let client = client(|config| config);
    let events = client.events();
    client.add(metainfo(&torrent), settings(&scratch, &peers)).unwrap();
    while events.recv_timeout(PATIENCE).expect("it starts").what != EventKind::Started {}
    end(client);
}

/// Trackers that take a question and never answer it, and one that answers a byte at a time.
#[test]
fn trackers_that_hang() {
    let scratch = Scratch::new("hung-trackers");
    let (asked, for_ever) = (Latch::new(), Latch::new());
    let (tells, waits) = (asked.clone(), for_ever.clone());
    let silent = Server::start(move |_, _| {
        tells.open();
        waits.wait(PATIENCE);
        Ok(())
    });
    let slow = Server::start(|_, stream| {
        io::Write::write_all(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")?;
        loop {
            io::Write::write_all(stream, b"d")?;
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let urls =
        [silent.url("/announce"), slow.url("/announce"), format!("udp://{}", udp.local_addr().unwrap())];
    let torrent = urls.iter().fold(large(), |recipe, url| recipe.tracker(url)).make();
    let client = client(|config| config);
    client.add(metainfo(&torrent), settings(&scratch, &[])).unwrap();
    let link = format!("magnet:?xt=urn:btih:{}&tr={}", "5".repeat(40), urls[0]);
    client.add_magnet(Magnet::parse(&link).unwrap(), settings(&scratch, &[])).unwrap();
    assert!(asked.wait(PATIENCE));
    udp.set_read_timeout(Some(PATIENCE)).unwrap();
    udp.recv(&mut [0; 100]).unwrap();
    end(client);
    for_ever.open();
}

/// Trackers that answered once are told that we stop, and hang then.
#[test]
fn trackers_that_hang_at_the_farewell() {
    let scratch = Scratch::new("farewell");
    let waits = Latch::new();
    let for_ever = waits.clone();
    let tracker = Server::start(move |question, stream| {
        if question.contains("event=stopped") {
            waits.wait(PATIENCE);
            return Ok(());
        }
        crate::support::http::ok(stream, b"d8:intervali1800e5:peers0:e")
    });
    let client = client(|config| config);
    let events = client.events();
    for n in 0..10 {
        let torrent = Recipe::single(&format!("number {n}"), 1000).tracker(&tracker.url("/announce")).make();
        client.add(metainfo(&torrent), settings(&scratch, &[])).unwrap();
    }
    let mut answers = 0;
    while answers < 10 {
        let what = events.recv_timeout(PATIENCE).expect("the tracker answers").what;
        answers += u32::from(matches!(what, EventKind::TrackerAnswered { .. }));
    }
    end(client);
    let told = tracker.requests().iter().filter(|line| line.contains("event=stopped")).count();
    assert_eq!(told, 10, "each is told");
    for_ever.open();
}

#[test]
fn a_magnet_link_whose_peers_hang() {
    let scratch = Scratch::new("hung-metadata");
    let torrent = Arc::new(large().make());
    let (asked, for_ever) = (Latch::new(), Latch::new());
    let (tells, waits) = (asked.clone(), for_ever.clone());
    let peer = Peer::start(&torrent, move |talk| {
        talk.answer(EXTENSIONS)?;
        talk.raw(&extension::shake(vec![("metadata_size", int(50_000))]))?;
        talk.wait_for(crate::support::peer::EXTENDED)?;
        tells.open();
        waits.wait(PATIENCE);
        Ok(())
    });
    let busy = Busy::new();
    let client = client(|config| config.dht(true).dht_nodes(Vec::<String>::new()));
    let link = format!("magnet:?xt=urn:btih:{}", torrent.hex());
    let peers = [peer.address, busy.address()];
    client.add_magnet(Magnet::parse(&link).unwrap(), settings(&scratch, &peers)).unwrap();
    assert!(asked.wait(PATIENCE));
    end(client);
    for_ever.open();
}

/// A file of 64 GiB that is all hole: to hash it takes minutes.
#[test]
fn a_check_that_takes_long() {
    let scratch = Scratch::new("hole");
    let (length, piece) = (64u64 << 30, 16u64 << 20);
    let hashes = vec![7; (length / piece) as usize * 20];
    let info = dict([
        ("length", int(length)),
        ("name", bytes("hole")),
        ("piece length", int(piece)),
        ("pieces", bytes(hashes)),
    ]);
    let file = std::fs::File::create(scratch.dir("got").join("hole")).unwrap();
    file.set_len(length).unwrap();
    // What lies there by chance is not hashed, and a hole is no data.
    for at in (0..length).step_by(piece as usize) {
        std::os::unix::fs::FileExt::write_at(&file, b"x", at).unwrap();
    }
    let client = client(|config| config);
    let metainfo = Arc::new(Metainfo::from_bytes(&dict([("info", info)]).encode()).unwrap());
    let handle = client.add(metainfo, settings(&scratch, &[])).unwrap();
    let other = client.add(self::metainfo(&large().make()), settings(&scratch, &[])).unwrap();
    let begun = Instant::now();
    while handle.progress().checked == 0 {
        assert!(begun.elapsed() < PATIENCE, "{:?}", handle.progress());
        std::thread::sleep(Duration::from_millis(1));
    }
    end(client);
    assert_eq!(other.progress().phase, bitwren::Phase::Stopped);
}

#[test]
fn many_torrents_at_a_tracker_that_hangs() {
    let scratch = Scratch::new("many-hung");
    let (asked, for_ever) = (Latch::new(), Latch::new());
    let (tells, waits) = (asked.clone(), for_ever.clone());
    let tracker = Server::start(move |_, _| {
        tells.open();
        waits.wait(PATIENCE);
        Ok(())
    });
    let client = client(|config| config.max_active(200));
    let events = client.events();
    for n in 0..200 {
        let torrent = Recipe::single(&format!("number {n}"), 10).tracker(&tracker.url("/announce")).make();
        client.add(metainfo(&torrent), settings(&scratch, &[])).unwrap();
    }
    for _ in 0..200 {
        while events.recv_timeout(PATIENCE).expect("they start").what != EventKind::Started {}
    }
    assert!(asked.wait(PATIENCE));
    end(client);
    for_ever.open();
}

/// Everything moves when the end comes.
#[test]
fn a_transfer_at_full_speed() {
    let scratch = Scratch::new("speed");
    let torrent = Arc::new(Recipe::single("large", 128 << 20).piece_length(16 * BLOCK).make());
    let seeders: Vec<Peer> = (0..4)
        .map(|_| {
            Peer::start(&torrent, |talk| {
                talk.answer([0; 8])?;
                talk.open_up()?;
                talk.serve()
            })
        })
        .collect();
    let peers: Vec<SocketAddr> = seeders.iter().map(|seeder| seeder.address).collect();
    let client = client(|config| config);
    let handle = client.add(metainfo(&torrent), settings(&scratch, &peers)).unwrap();
    let begun = Instant::now();
    while handle.progress().downloaded < 8 << 20 {
        assert!(begun.elapsed() < PATIENCE, "{:?}", handle.progress());
        std::thread::sleep(Duration::from_millis(1));
    }
    end(client);
}

/// The program in a network of its own, where the server for names takes questions and answers none.
#[test]
fn names_that_are_looked_up_for_ever() {
    let scratch = Scratch::new("hung-names");
    let resolver = scratch.file("resolv.conf", b"nameserver 127.0.0.1\noptions timeout:30 attempts:5\n");
    let can = Command::new("unshare").args(["--mount", "--net", "ip", "link"]).output();
    if !can.is_ok_and(|done| done.status.success()) {
        eprintln!("SKIPPED: a network of its own takes root, unshare and ip");
        return;
    }
    let lookup = scratch.file("nsswitch.conf", b"hosts: dns\n");
    let torrent = large().tracker("http://one.example/announce").tracker("udp://two.example:80").make();
    let file = scratch.file("large.torrent", &torrent.metainfo);
    let link =
        format!("magnet:?xt=urn:btih:{}&x.pe=three.example:80&tr=http://four.example/", "5".repeat(40));
    let mut plain = bitwren(scratch.path(), &["get", "--json", "--port", "0", "-d"]);
    plain.env_remove("BITWREN_NO_DHT").arg(scratch.dir("got")).arg(file).arg(link);
    // Of all that is at hand our own tracker is what takes any packet and is silent about nonsense.
    let script = format!(
        "mount --bind {} /etc/resolv.conf && mount --bind {} /etc/nsswitch.conf && ip link set lo up || exit 99
         setpriv --pdeathsig KILL \"$0\" tracker --bind 127.0.0.1 --port 6969 --udp-port 53 >/dev/null 2>&1 &
         exec \"$0\" \"$@\"",
        resolver.display(),
        lookup.display(),
    );
    let mut alone = Command::new("unshare");
    alone.args(["--mount", "--net", "sh", "-c", &script]);
    alone.arg(plain.get_program()).args(plain.get_args()).env_clear();
    alone.envs(plain.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let child = Child::spawn(&mut alone);
    child.wait_for_line(PATIENCE, |line| line.contains("started"));
    // A name lookup has a thread of its own.
    let lookups = || {
        let names = proc::thread_names(proc::of(child.pid()));
        names
            .iter()
            .filter(|name| ["bw-tracker-ask", "bw-dns", "bw-dht-dns"].contains(&name.as_str()))
            .count()
    };
    while lookups() < 5 {
        assert!(child.age() < PATIENCE && !child.has_ended(), "{} look-ups\n{}", lookups(), child.said());
        std::thread::sleep(Duration::from_millis(5));
    }
    let begun = Instant::now();
    child.signal("INT");
    child.wait_end(PATIENCE).expect(7);
    told(begun.elapsed());
}
