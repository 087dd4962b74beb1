//! Encrypted connections from end to end: two clients on real sockets under every pair of policies, over IPv4 and
//! IPv6, from a magnet link, with a wire-tap between them that sees what anyone on the way sees.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::support::content::{BLOCK, Recipe, Torrent};
use crate::support::scratch::Scratch;
use bitwren::{Client, Config, Encryption, EncryptionPolicy, EventKind, Magnet, Metainfo, TorrentConfig};

const LONG: Duration = Duration::from_secs(60);
const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const OFF: EncryptionPolicy = EncryptionPolicy::Off;
const ALLOW: EncryptionPolicy = EncryptionPolicy::Allow;
const PREFER: EncryptionPolicy = EncryptionPolicy::Prefer;
const REQUIRE: EncryptionPolicy = EncryptionPolicy::Require;

/// What stands between two clients: passes on what they say, and keeps a copy.
struct Tap {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    fn before(target: SocketAddr) -> Tap {
        let listener = TcpListener::bind((target.ip(), 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let copy = heard.clone();
        thread::spawn(move || {
            for near in listener.incoming() {
                let (Ok(near), Ok(far)) = (near, TcpStream::connect(target)) else { return };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let heard = copy.clone();
                    thread::spawn(move || pass(from, to, &heard));
                }
            }
        });
        Tap { address, heard }
    }

    fn heard(&self, what: &[u8]) -> bool {
        self.heard.lock().unwrap().windows(what.len()).any(|window| window == what)
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, heard: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 8192];
    while let Ok(got @ 1..) = from.read(&mut buffer) {
        heard.lock().unwrap().extend_from_slice(&buffer[..got]);
        if to.write_all(&buffer[..got]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

fn client(ip: IpAddr, policy: EncryptionPolicy) -> Client {
    Client::start(Config::default().bind(Some(ip)).port(0).port_required(true).encryption(policy)).unwrap()
}

fn settings(dir: &std::path::Path) -> TorrentConfig {
    TorrentConfig::default().dir(dir.to_path_buf()).use_trackers(false)
}

/// One that has the torrent, one that gets it, and what is between them.
struct TappedTransfer {
    torrent: Torrent,
    seed: Client,
    leech: Client,
    tap: Tap,
    scratch: Scratch,
}

impl TappedTransfer {
    fn new(name: &str, ip: IpAddr, [seeds, leeches]: [EncryptionPolicy; 2]) -> TappedTransfer {
        let (torrent, scratch) = (Recipe::single("some.bin", 700_001).make(), Scratch::new(name));
        let seed = client(ip, seeds);
        let events = seed.events();
        torrent.write_to(&scratch.dir("seed"));
        let metainfo = Arc::new(Metainfo::from_bytes(&torrent.metainfo).unwrap());
        seed.add(metainfo, settings(&scratch.dir("seed")).seed_only(true)).unwrap();
        // Before, it hangs up on everyone: that looks as if it wanted another handshake.
        while !matches!(events.recv_timeout(LONG).unwrap().what, EventKind::Finished { .. }) {}
        let tap = Tap::before(SocketAddr::new(ip, seed.port()));
        TappedTransfer { torrent, seed, leech: client(ip, leeches), tap, scratch }
    }

    fn metainfo(&self) -> Arc<Metainfo> {
        Arc::new(Metainfo::from_bytes(&self.torrent.metainfo).unwrap())
    }

    /// Gets it, and returns how the connection it came over was encrypted.
    #[track_caller]
    fn get(&self) -> Encryption {
        let events = self.leech.events();
        let config = settings(&self.scratch.dir("got")).peers([self.tap.address]);
        let torrent = self.leech.add(self.metainfo(), config).unwrap();
        let mut encryption = None;
        loop {
            match events.recv_timeout(LONG).map(|event| event.what) {
                Ok(EventKind::PeerConnected { encryption: kind, incoming: false, .. }) => {
                    assert!(torrent.peers().iter().all(|peer| peer.encryption == kind));
                    encryption = Some(kind);
                }
                Ok(EventKind::Finished { .. }) => break,
                Ok(_) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        self.torrent.assert_complete(&self.scratch.dir("got"));
        encryption.unwrap()
    }

    fn end(self) {
        self.leech.shutdown();
        self.seed.shutdown();
    }
}

const PLAIN: &[u8] = b"BitTorrent protocol";

#[test]
fn every_pair_of_policies_that_can_meet_does_and_encrypts_what_it_has_to() {
    for (seeds, leeches, encryption) in [
        (OFF, OFF, Encryption::None),
        (OFF, ALLOW, Encryption::None),
        (OFF, PREFER, Encryption::None),
        (ALLOW, OFF, Encryption::None),
        (ALLOW, ALLOW, Encryption::None),
        (ALLOW, PREFER, Encryption::Handshake),
        (ALLOW, REQUIRE, Encryption::Rc4),
        (PREFER, OFF, Encryption::None),
        (PREFER, PREFER, Encryption::Handshake),
        (REQUIRE, ALLOW, Encryption::Rc4),
        (REQUIRE, PREFER, Encryption::Rc4),
        (REQUIRE, REQUIRE, Encryption::Rc4),
    ] {
        let world = TappedTransfer::new("policies", V4, [seeds, leeches]);
        assert_eq!(world.get(), encryption, "{seeds:?} {leeches:?}");
        let data = &world.torrent.data[300_000..300_032];
        let hidden = (!world.tap.heard(PLAIN), !world.tap.heard(data));
        // Where no more than the handshake is, the answer of the end that was dialed is plain.
        let tried_plain = leeches == ALLOW && seeds == REQUIRE;
        assert_eq!(hidden.0, encryption == Encryption::Rc4 && !tried_plain, "{seeds:?} {leeches:?}");
        assert_eq!(hidden.1, encryption == Encryption::Rc4, "{seeds:?} {leeches:?}");
        world.end();
    }
}

#[test]
fn over_ipv6_every_byte_is_encrypted_as_well() {
    let ip = IpAddr::V6(Ipv6Addr::LOCALHOST);
    if TcpListener::bind((ip, 0)).is_err() {
        return;
    }
    let world = TappedTransfer::new("ipv6", ip, [REQUIRE, REQUIRE]);
    assert_eq!(world.get(), Encryption::Rc4);
    assert!(!world.tap.heard(PLAIN));
    world.end();
}

#[test]
fn metadata_is_fetched_over_an_encrypted_connection_that_the_torrent_takes_over() {
    let world = TappedTransfer::new("magnet", V4, [REQUIRE, ALLOW]);
    let events = world.leech.events();
    let magnet: Magnet = format!("magnet:?xt=urn:btih:{}", world.metainfo().info_hash()).parse().unwrap();
    let config = settings(&world.scratch.dir("got")).peers([world.tap.address]);
    world.leech.add_magnet(magnet, config).unwrap();
    let (mut connections, mut has_metadata) = (Vec::new(), false);
    loop {
        match events.recv_timeout(LONG).unwrap().what {
            EventKind::PeerConnected { encryption, .. } => connections.push(encryption),
            EventKind::Metadata { .. } => has_metadata = true,
            EventKind::Finished { .. } => break,
            _ => {}
        }
    }
    assert!(has_metadata);
    assert!(connections.iter().all(|kind| *kind == Encryption::Rc4), "{connections:?}");
    world.torrent.assert_complete(&world.scratch.dir("got"));
    assert!(!world.tap.heard(b"ut_metadata"));
    world.end();
}

#[test]
fn policies_that_cannot_meet_are_told_of() {
    for (seeds, leeches, reason) in [
        (REQUIRE, OFF, "hung up on a handshake in plain"),
        (OFF, REQUIRE, "hung up on an encrypted handshake"),
    ] {
        let world = TappedTransfer::new("mismatch", V4, [seeds, leeches]);
        let (events, told) = (world.leech.events(), world.seed.events());
        let config = settings(&world.scratch.dir("got")).peers([world.tap.address]);
        world.leech.add(world.metainfo(), config).unwrap();
        let is_note = |what: &EventKind| matches!(what, EventKind::Note { what } if what.contains(reason));
        while !is_note(&events.recv_timeout(LONG).unwrap().what) {}
        if seeds == REQUIRE {
            let is_told = |what: &EventKind| {
                matches!(what, EventKind::PeerGone { why: bitwren::DisconnectReason::EncryptionMismatch, .. })
            };
            while !is_told(&told.recv_timeout(LONG).unwrap().what) {}
        }
        assert!(!world.tap.heard(&world.torrent.data[..64]));
        world.end();
    }
}

#[test]
fn each_of_many_torrents_is_found_by_an_encrypted_handshake() {
    let scratch = Scratch::new("marks");
    let torrents: Vec<Torrent> =
        (0..20).map(|n| Recipe::single(&format!("number {n}"), 30_000 + n).make()).collect();
    let (seed, leech) = (client(V4, REQUIRE), client(V4, REQUIRE));
    let (from, to) = (scratch.dir("seed"), scratch.dir("got"));
    let events = leech.events();
    let address = SocketAddr::new(V4, seed.port());
    for torrent in &torrents {
        torrent.write_to(&from);
        let metainfo = Arc::new(Metainfo::from_bytes(&torrent.metainfo).unwrap());
        seed.add(metainfo.clone(), settings(&from).seed_only(true)).unwrap();
        leech.add(metainfo, settings(&to).peers([address])).unwrap();
    }
    let mut finished = 0;
    while finished < torrents.len() {
        let what = events.recv_timeout(LONG).unwrap().what;
        finished += usize::from(matches!(what, EventKind::Finished { .. }));
    }
    torrents.iter().for_each(|torrent| torrent.assert_complete(&to));
    leech.shutdown();
    seed.shutdown();
}

/// Over an encrypted connection several blocks go out at once; one that may not be sent is left out and refused.
#[test]
fn blocks_of_a_changed_file_are_left_out_of_what_is_encrypted_together() {
    const LENGTH: usize = 8 * 4 * BLOCK as usize;
    let (scratch, (seed, leech)) = (Scratch::new("left-out"), (client(V4, REQUIRE), client(V4, REQUIRE)));
    let torrent = Recipe::multi("three", &[("a", LENGTH), ("b", LENGTH), ("c", LENGTH)]).make();
    let (from, to) = (scratch.dir("seed"), scratch.dir("got"));
    let metainfo = Arc::new(Metainfo::from_bytes(&torrent.metainfo).unwrap());
    torrent.write_to(&from);
    let (told, events) = (seed.events(), leech.events());
    seed.add(metainfo.clone(), settings(&from).seed_only(true)).unwrap();
    while !matches!(told.recv_timeout(LONG).unwrap().what, EventKind::Finished { .. }) {}
    let changed = std::fs::File::options().write(true).open(from.join("three/b")).unwrap();
    changed.set_len(u64::from(BLOCK)).unwrap();
    let address = SocketAddr::new(V4, seed.port());
    leech.add(metainfo, settings(&to).peers([address])).unwrap();
    let mut got = Vec::new();
    while got.len() < 16 {
        match events.recv_timeout(LONG).unwrap().what {
            EventKind::Piece { index } => got.push(index),
            EventKind::PieceFailed { index, .. } => panic!("piece {index} came wrong"),
            _ => {}
        }
    }
    assert!(got.iter().all(|index| !(8..16).contains(index)), "{got:?}");
    while !matches!(told.recv_timeout(LONG).unwrap().what, EventKind::FileChanged { index: 1, lost: 8, .. }) {
    }
    leech.shutdown();
    seed.shutdown();
}
