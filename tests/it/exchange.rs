//! What the real binary tells other programs by the Extension Protocol: who it is, its metadata,
//! whom it knows; and what a private torrent keeps to itself.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::child::{Child, PATIENCE, bitwren};
use crate::support::content::{BLOCK, Recipe, Torrent};
use crate::support::leecher;
use crate::support::peer::*;
use crate::support::scratch::Scratch;

/// The reserved bits of one who speaks the Extension Protocol (BEP 10).
const LTEP: [u8; 8] = [0, 0, 0, 0, 0, 0x10, 0, 4];
const EXTENDED: u8 = 20;

/// A peer that speaks the Extension Protocol, as it is written in the BEPs.
trait Extended {
    fn say(&mut self, id: u8, payload: &[u8]) -> io::Result<()>;
    fn hear(&mut self, id: u8) -> io::Result<Vec<u8>>;
}

impl Extended for Talk {
    fn say(&mut self, id: u8, payload: &[u8]) -> io::Result<()> {
        self.send(EXTENDED, &[&[id], payload].concat())
    }

    /// The next extension message by this id; everything else is passed over.
    fn hear(&mut self, id: u8) -> io::Result<Vec<u8>> {
        loop {
            let body = self.wait_for(EXTENDED)?;
            if body.first() == Some(&id) {
                return Ok(body[1..].to_vec());
            }
        }
    }
}

fn has(haystack: &[u8], needle: impl AsRef<[u8]>) -> bool {
    haystack.windows(needle.as_ref().len()).any(|window| window == needle.as_ref())
}

fn torrent(private: bool) -> Arc<Torrent> {
    // Many small pieces: an info dictionary of more than one block.
    let recipe = Recipe::single("known.bin", 2048 * BLOCK as usize / 2).piece_length(BLOCK / 2);
    let recipe = if private { recipe.private() } else { recipe };
    Arc::new(recipe.make())
}

/// The info dictionary as it stands in the `.torrent`.
fn info(torrent: &Torrent) -> &[u8] {
    let at = torrent.metainfo.windows(6).position(|window| window == b"4:info").unwrap() + 6;
    &torrent.metainfo[at..torrent.metainfo.len() - 1]
}

/// The binary seeds the torrent and listens at an address of its own.
fn seed(scratch: &Scratch, torrent: &Torrent) -> (Child, SocketAddr) {
    seed_with(scratch, torrent, &[])
}

fn seed_with(scratch: &Scratch, torrent: &Torrent, more: &[&str]) -> (Child, SocketAddr) {
    torrent.write_to(scratch.path());
    let file = scratch.file("known.torrent", &torrent.metainfo);
    let address = TcpListener::bind((next_address(), 0)).unwrap().local_addr().unwrap();
    let mut command = bitwren(
        scratch.path(),
        &["seed", "--json", "--verbose", "--no-dht", "--no-lsd", "--no-portmap", "--no-tracker"],
    );
    command.args(["--bind", &address.ip().to_string(), "--port", &address.port().to_string()]);
    command.arg("-d").arg(scratch.path()).args(more);
    (Child::spawn(command.arg(file)), address)
}

/// Calls the seed until it has looked at its data and answers.
fn call(torrent: &Arc<Torrent>, seed: SocketAddr) -> Talk {
    let end = Instant::now() + PATIENCE;
    loop {
        let mut talk = leecher::call(torrent, seed, PATIENCE).unwrap();
        match talk.send_handshake(LTEP).and_then(|()| talk.read_handshake()) {
            Ok(()) => return talk,
            Err(error) if Instant::now() > end => panic!("{error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

const THEIRS: &[u8] = b"d1:md11:ut_metadatai7e6:ut_pexi8ee1:pi40001e1:v9:tester 1.e";

#[test]
fn a_seed_introduces_itself_and_lends_its_metadata() {
    let (torrent, scratch) = (torrent(false), Scratch::new("lends"));
    let (child, address) = seed(&scratch, &torrent);
    let mut talk = call(&torrent, address);
    assert_eq!(talk.reserved[5] & 0x10, 0x10);
    let hello = talk.hear(0).unwrap();
    let info = info(&torrent);
    let version = format!("bitwren {}", env!("CARGO_PKG_VERSION"));
    for wanted in [
        format!("13:metadata_sizei{}e", info.len()),
        format!("1:pi{}e", address.port()),
        format!("1:v{}:{version}", version.len()),
        "4:reqqi500e".to_owned(),
        "11:upload_onlyi1e".to_owned(),
        "6:ut_pexi2e".to_owned(),
    ] {
        assert!(has(&hello, &wanted), "{wanted}: {}", hello.escape_ascii());
    }
    assert!(has(&hello, b"6:yourip4:\x7f\x00\x00\x01"));
    talk.say(0, THEIRS).unwrap();
    let blocks = info.len().div_ceil(BLOCK as usize);
    assert!(blocks > 1);
    let mut got = Vec::new();
    for block in 0..=blocks {
        talk.say(1, format!("d8:msg_typei0e5:piecei{block}ee").as_bytes()).unwrap();
        let answer = talk.hear(7).unwrap();
        let head = if block < blocks {
            format!("d8:msg_typei1e5:piecei{block}e10:total_sizei{}ee", info.len())
        } else {
            format!("d8:msg_typei2e5:piecei{block}ee")
        };
        got.extend_from_slice(answer.strip_prefix(head.as_bytes()).unwrap_or_else(|| panic!("{head}")));
    }
    assert!(got == info);
    child.finish_off();
}

/// More than goes out at once, asked for in one breath: the rest follows at its pace, although nothing
/// more is said.
#[test]
fn metadata_follows_at_its_pace() {
    let torrent = Arc::new(Recipe::single("many.bin", 16 << 20).piece_length(1024).make());
    let scratch = Scratch::new("paces");
    let (child, address) = seed(&scratch, &torrent);
    let mut talk = call(&torrent, address);
    talk.say(0, THEIRS).unwrap();
    let info = info(&torrent);
    let blocks: Vec<&[u8]> = info.chunks(BLOCK as usize).collect();
    assert!(blocks.len() > 20);
    let asks: Vec<u8> = (0..blocks.len())
        .flat_map(|block| frame(EXTENDED, format!("\x01d8:msg_typei0e5:piecei{block}ee").as_bytes()))
        .collect();
    talk.raw(&asks).unwrap();
    for block in blocks {
        assert!(talk.hear(7).unwrap().ends_with(block));
    }
    child.finish_off();
}

/// Two peers that know no others: each learns of the other from the seed between them.
#[test]
fn peers_are_told_of_one_another() {
    let (torrent, scratch) = (torrent(false), Scratch::new("tells"));
    let listens = Peer::start(&torrent, |talk| {
        talk.answer(LTEP)?;
        talk.say(0, b"d1:md6:ut_pexi0eee")?;
        talk.listen()
    });
    let (child, address) = seed_with(&scratch, &torrent, &["--peer", &listens.address.to_string()]);
    assert!(listens.wait_called(PATIENCE));
    let mut one = call(&torrent, address);
    one.say(0, THEIRS).unwrap();
    let mut other = call(&torrent, address);
    other.say(0, b"d1:md6:ut_pexi3ee1:pi40002ee").unwrap();
    let told = |talk: &mut Talk, id| {
        let mut told = Vec::new();
        // It may take more than one look of the seed's until both are there; each is 5 s at most.
        while !has(&told, compact(&listens.address.to_string())) {
            told = talk.hear(id).unwrap();
        }
        told
    };
    let (to_one, to_other) = (told(&mut one, 8), told(&mut other, 3));
    assert!(has(&to_one, compact("127.0.0.1:40002")) || has(&to_other, compact("127.0.0.1:40001")));
    assert!(!has(&to_one, compact("127.0.0.1:40001")), "told of itself");
    child.finish_off();
}

fn compact(addr: &str) -> Vec<u8> {
    let addr: std::net::SocketAddrV4 = addr.parse().unwrap();
    [&addr.ip().octets()[..], &addr.port().to_be_bytes()].concat()
}

/// A download that knows one peer, which has nothing but knows who has.
#[test]
fn peers_heard_of_are_called() {
    let (torrent, scratch) = (torrent(false), Scratch::new("hears"));
    let source = crate::support::seeder::Seeder::start(&torrent, crate::support::seeder::Manner::default());
    let address = compact(&source.address().to_string());
    let knows = Peer::start(&torrent, move |talk| {
        talk.answer(LTEP)?;
        talk.say(0, b"d1:md6:ut_pexi9eee")?;
        // Some nonsense besides; 127.0.9.250 refuses.
        let nonsense = [compact("0.0.0.0:1"), compact("127.0.9.250:9"), compact("224.0.0.1:5")].concat();
        let added = [nonsense, address.clone()].concat();
        let message = [format!("d5:added{}:", added.len()).into_bytes(), added, b"e".to_vec()].concat();
        talk.say(2, &message)?;
        talk.listen()
    });
    let file = scratch.file("known.torrent", &torrent.metainfo);
    let mut command = bitwren(
        scratch.path(),
        &["get", "--json", "--no-dht", "--no-lsd", "--no-portmap", "--no-tracker", "--port", "0"],
    );
    command.arg("-d").arg(scratch.dir("got")).args(["--peer", &knows.address.to_string()]);
    Child::spawn(command.arg(file)).wait_end(PATIENCE).expect(0);
    torrent.assert_complete(&scratch.path().join("got"));
}

#[test]
fn a_private_torrent_names_no_peers() {
    let (torrent, scratch) = (torrent(true), Scratch::new("private"));
    let (child, address) = seed(&scratch, &torrent);
    let mut talk = call(&torrent, address);
    let hello = talk.hear(0).unwrap();
    assert!(!has(&hello, b"ut_pex") && has(&hello, b"ut_metadata"), "{}", hello.escape_ascii());
    talk.say(0, THEIRS).unwrap();
    let named = Peer::start(&torrent, |_| Ok(()));
    let added = compact(&named.address.to_string());
    talk.say(2, &[b"d5:added6:".to_vec(), added, b"e".to_vec()].concat()).unwrap();
    // Whoever can be called is called within a second; and what was said is understood by the time
    // the metadata comes.
    talk.say(1, b"d8:msg_typei0e5:piecei0ee").unwrap();
    talk.hear(7).unwrap();
    assert!(!named.wait_called(Duration::from_secs(2)));
    child.finish_off();
}

#[test]
fn no_pex_means_none() {
    let (torrent, scratch) = (torrent(false), Scratch::new("mute"));
    let (child, address) = seed_with(&scratch, &torrent, &["--no-pex"]);
    let hello = call(&torrent, address).hear(0).unwrap();
    assert!(!has(&hello, b"ut_pex") && has(&hello, b"ut_metadata"), "{}", hello.escape_ascii());
    child.finish_off();
}

/// A seed has no use for one that wants nothing, however little it has (BEP 21).
#[test]
fn a_seed_parts_with_those_that_want_nothing() {
    let (torrent, scratch) = (torrent(false), Scratch::new("parts"));
    let (child, address) = seed(&scratch, &torrent);
    let mut talk = call(&torrent, address);
    talk.say(0, b"d1:mde11:upload_onlyi0ee").unwrap();
    talk.say(0, THEIRS).unwrap();
    talk.say(1, b"d8:msg_typei0e5:piecei0ee").unwrap();
    talk.hear(7).unwrap();
    // It says so by the message that the seed asked for.
    talk.say(4, &[1]).unwrap();
    talk.listen().unwrap();
    child.wait_for_line(PATIENCE, |line| line.contains("both have everything"));
    child.finish_off();
}

/// Bytes that are no extension message, and floods of those that are, cost the sender its
/// connection and nobody else theirs.
#[test]
fn a_peer_that_abuses_it_is_disconnected() {
    let (torrent, scratch) = (torrent(false), Scratch::new("abuse"));
    let (child, address) = seed(&scratch, &torrent);
    let mut patient = call(&torrent, address);
    patient.say(0, THEIRS).unwrap();
    type Abuse = fn(&mut Talk) -> io::Result<()>;
    let again = |talk: &mut Talk, id, payload: &[u8]| (0..30_000).try_for_each(|_| talk.say(id, payload));
    let abuses: [Abuse; 4] = [
        |talk| talk.say(0, b"d1:m"),
        |talk| talk.say(1, &[vec![b'l'; 60_000], vec![b'e'; 5000]].concat()),
        |talk| talk.raw(&[&70_000u32.to_be_bytes()[..], &[EXTENDED, 0], &[b'x'; 69_998]].concat()),
        |talk| talk.say(2, b"i5e"),
    ];
    for abuse in abuses {
        let mut talk = call(&torrent, address);
        talk.say(0, THEIRS).unwrap();
        // It may be hung up on before all is said.
        let _ = abuse(&mut talk);
        let _ = talk.listen();
    }
    for (id, payload) in [(0, THEIRS), (1, b"d8:msg_typei0e5:piecei0ee"), (2, b"d5:added0:e"), (77, b"")] {
        let mut talk = call(&torrent, address);
        let _ = talk.say(0, THEIRS).and_then(|()| again(&mut talk, id, payload));
        let _ = talk.listen();
    }
    patient.say(1, b"d8:msg_typei0e5:piecei1ee").unwrap();
    assert!(has(&patient.hear(7).unwrap(), b"8:msg_typei1e"));
    let peak = child.peak();
    assert!(peak < 48 << 20, "{} KiB resident", peak / 1024);
    child.finish_off();
}
