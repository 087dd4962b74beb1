//! Nodes of the DHT that lie, flood, lead astray or say nothing (BEP 5), against a client on real
//! sockets. An honest node knows the one seeder there is, and tells of it once the other has done its
//! worst: the download completes all the same, and no more nodes are remembered than may be.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::support::bencode::{Value, bytes, dict, int, list};
use crate::support::content::{Dice, Recipe, noise};
use crate::support::hostile::attack;
use crate::support::latch::Latch;
use crate::support::node::{Question, compact, node};
use crate::support::peer::next_address;
use crate::support::scratch::Scratch;
use crate::support::seeder::{Manner, Seeder};
use bitwren::{Client, Config, EventKind, Metainfo, TorrentConfig};

/// A bound for hangs.
const LONG: Duration = Duration::from_secs(60);
/// An id that is near nobody's.
const ID: [u8; 20] = [0x5a; 20];
/// Nodes that a client may know: eight for each of 160 distances.
const MOST_NODES: u32 = 8 * 160;

/// The download completes although this node is asked as well, and first. The honest one answers once
/// the other was asked for peers, or `done` says that it has done its worst.
#[track_caller]
fn survived(done: &Latch, answer: impl Fn(&Question, &UdpSocket) -> Vec<Vec<u8>> + Send + 'static) {
    let (scratch, waits) = (Scratch::new("node"), done.clone());
    let torrent = Arc::new(Recipe::single("found.bin", 300_000).make());
    let seeder = Seeder::start(&torrent, Manner::default());
    let peers = [seeder.address()];
    let liar = node(answer);
    let honest = node(move |question, _| {
        // Its own search for neighbours goes before.
        if question.wants_peers {
            waits.wait(LONG);
        }
        vec![question.rightly([7; 20], &peers)]
    });
    let begun = Instant::now();
    let client = client(&[liar, honest]);
    let events = client.events();
    let settings = |dir: &Path| TorrentConfig::default().dir(dir.to_path_buf()).resume(false);
    let metainfo = Arc::new(Metainfo::from_bytes(&torrent.metainfo).unwrap());
    client.add(metainfo, settings(&scratch.dir("got"))).unwrap();
    loop {
        let left = LONG.saturating_sub(begun.elapsed());
        let event = events.recv_timeout(left).unwrap_or_else(|_| panic!("never found: {:?}", client.dht()));
        if matches!(event.what, EventKind::Finished { .. }) {
            break;
        }
    }
    torrent.assert_complete(&scratch.dir("got"));
    assert!(client.dht().unwrap().nodes <= MOST_NODES);
    row(begun.elapsed());
    client.shutdown();
}

fn row(took: Duration) {
    println!("| {} | ignored, found all the same | {:.2} s | | |", attack(), took.as_secs_f64());
}

fn client(routers: &[SocketAddr]) -> Client {
    let routers = routers.iter().map(SocketAddr::to_string);
    let config = Config::default().bind(Some(next_address())).port(0).dht(true).dht_nodes(routers);
    Client::start(config).unwrap()
}

/// It answers every question for peers with this, and other questions rightly.
#[track_caller]
fn answers(wrong: impl Fn(&Question) -> Vec<Vec<u8>> + Send + 'static) {
    let done = Latch::new();
    let opener = done.clone();
    survived(&done, move |question, _| {
        if !question.wants_peers {
            return vec![question.rightly(ID, &[])];
        }
        opener.open();
        wrong(question)
    });
}

/// The same, as values of an answer.
#[track_caller]
fn values(more: impl Fn() -> Vec<(&'static str, Value)> + Send + 'static) {
    answers(move |question| vec![question.answer(ID, more())]);
}

#[test]
fn a_node_that_says_nothing() {
    survived(&Latch::opened(), |_, _| Vec::new());
}

#[test]
fn a_node_of_garbage() {
    answers(|question| {
        vec![noise(1, 500), b"d".to_vec(), Vec::new(), [&question.transaction[..], b"e"].concat()]
    });
}

#[test]
fn a_node_of_the_largest_packets() {
    answers(|question| vec![noise(1, 65_000), question.answer(ID, vec![("nodes", bytes(noise(2, 60_000)))])]);
}

#[test]
fn a_node_that_nests_without_end() {
    answers(|_| vec![[&b"d1:rd2:id"[..], &[b'l'; 1_400]].concat(), [b'd'; 1_400].to_vec()]);
}

#[test]
fn a_node_that_answers_other_questions() {
    answers(|question| {
        let other = |flip: u8| {
            let mut other = question.clone();
            other.transaction[3] ^= flip;
            other.rightly(ID, &[])
        };
        (1..=255).map(other).collect()
    });
}

#[test]
fn a_node_that_answers_a_thousand_times() {
    answers(|question| vec![question.rightly(ID, &[]); 1_000]);
}

#[test]
fn answers_from_an_address_that_was_not_asked() {
    let stranger = UdpSocket::bind((next_address(), 0)).unwrap();
    answers(move |question| {
        let _ = stranger.send_to(&question.rightly(ID, &[]), question.from);
        Vec::new()
    });
}

#[test]
fn a_node_of_errors() {
    answers(|question| {
        let error = list([int(201), bytes("\x1b[2Jno".repeat(50))]);
        vec![dict([("e", error), ("t", bytes(&question.transaction)), ("y", bytes("e"))]).encode()]
    });
}

#[test]
fn ids_that_are_none() {
    answers(|question| {
        let with = |id: Value| {
            dict([("r", dict([("id", id)])), ("t", bytes(&question.transaction)), ("y", bytes("r"))]).encode()
        };
        vec![with(bytes("short")), with(int(5)), with(bytes([1; 300]))]
    });
}

#[test]
fn nodes_in_lists_that_do_not_fit() {
    values(|| vec![("nodes", bytes([1; 25])), ("nodes6", bytes([1; 39])), ("token", bytes("x"))]);
}

#[test]
fn nodes_at_addresses_that_are_none() {
    values(|| {
        let nowhere = [[0; 6], [255; 6], [224, 0, 0, 1, 0, 80], [127, 0, 0, 1, 0, 0], [240, 1, 2, 3, 4, 5]];
        let nodes = nowhere.iter().enumerate().flat_map(|(nth, at)| [&[nth as u8; 20][..], at].concat());
        vec![("nodes", bytes(nodes.collect::<Vec<u8>>()))]
    });
}

#[test]
fn nodes_that_are_not_there() {
    let dice = std::sync::Mutex::new(Dice::new(4));
    values(move || {
        let mut dice = dice.lock().unwrap();
        let mut one = || [&noise(dice.roll(), 20)[..], &[127, 4, dice.below(250) as u8, 1, 0, 9]].concat();
        vec![("nodes", bytes((0..40).flat_map(|_| one()).collect::<Vec<u8>>()))]
    });
}

#[test]
fn peers_that_are_none() {
    values(|| {
        let odd = [&b""[..], b"x", &[0; 6], &[255; 6], &[1; 7], &[9; 19], &[0xff; 18]];
        vec![("token", bytes("x")), ("values", list(odd.iter().map(bytes).chain([int(5), list([])])))]
    });
}

#[test]
fn hundreds_of_peers_that_are_not_there() {
    values(|| {
        let dead = (0..200u32).map(|n| bytes([127, 5, 0, n as u8, 0, 9]));
        vec![("token", bytes("x")), ("values", list(dead))]
    });
}

#[test]
fn a_token_longer_than_any() {
    values(|| vec![("nodes", bytes("")), ("token", bytes([b't'; 1_300]))]);
}

/// Each names the next, which is always nearer, and all of them answer: the search has to end.
#[test]
fn a_path_that_always_leads_on() {
    let done = Latch::new();
    let sockets: Vec<UdpSocket> = (0..100).map(|_| UdpSocket::bind((next_address(), 0)).unwrap()).collect();
    let places: Vec<SocketAddr> = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
    let asked = Arc::new(AtomicU32::new(0));
    // All bits as in the info-hash would be nearest; what is near is not known here, so they go on in
    // turns over the whole of the space.
    let lead = move |step: usize| -> Vec<u8> {
        let named = (0..8).map(|n| (step * 8 + n) % 100);
        named.flat_map(|at| [&noise((step * 8 + at) as u64, 20)[..], &compact(places[at])].concat()).collect()
    };
    for socket in sockets {
        let (lead, asked) = (lead.clone(), asked.clone());
        std::thread::spawn(move || {
            let mut packet = [0; 2048];
            socket.set_read_timeout(Some(LONG)).unwrap();
            while let Ok((_, from)) = socket.recv_from(&mut packet) {
                let step = asked.fetch_add(1, Ordering::Relaxed) as usize;
                let at = packet.windows(5).position(|five| five == b"1:t4:");
                let Some(transaction) = at.and_then(|at| packet.get(at + 5..at + 9)) else { continue };
                let question = Question { from, transaction: transaction.to_vec(), wants_peers: true };
                let id = noise(step as u64, 20).try_into().unwrap();
                let _ = socket.send_to(&question.answer(id, vec![("nodes", bytes(lead(step)))]), from);
            }
        });
    }
    let opener = done.clone();
    survived(&done, move |question, _| {
        if question.wants_peers {
            opener.open();
        }
        vec![question.answer(ID, vec![("nodes", bytes(lead(0)))])]
    });
}

#[test]
fn a_node_that_says_we_are_elsewhere() {
    answers(|question| {
        let r = dict([("id", bytes(ID)), ("nodes", bytes(""))]);
        let ip = bytes([203, 0, 113, 7, 1, 1]);
        vec![dict([("ip", ip), ("r", r), ("t", bytes(&question.transaction)), ("y", bytes("r"))]).encode()]
    });
}

/// Questions without end, and peers announced without a token.
#[test]
fn a_flood_of_questions_and_of_false_announces() {
    let done = Latch::new();
    let opener = done.clone();
    survived(&done, move |question, socket| {
        if question.wants_peers && !opener.is_open() {
            for n in 0..20_000u32 {
                let a = match n % 2 {
                    0 => dict([("id", bytes(ID)), ("info_hash", bytes([3; 20]))]),
                    _ => dict([
                        ("id", bytes(ID)),
                        ("info_hash", bytes([3; 20])),
                        ("port", int(9)),
                        ("token", bytes("forged")),
                    ]),
                };
                let q = bytes(if n % 2 == 0 { "get_peers" } else { "announce_peer" });
                let packet = dict([("a", a), ("q", q), ("t", bytes("qq")), ("y", bytes("q"))]).encode();
                let _ = socket.send_to(&packet, question.from);
            }
            opener.open();
        }
        vec![question.rightly(ID, &[])]
    });
}
