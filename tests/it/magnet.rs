//! Magnet links from end to end: the metadata asked of peers on real sockets, honest ones and every
//! kind of other, and what the command line makes of it.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::support::bencode::{bytes, dict, int};
use crate::support::child::{Child, PATIENCE, bitwren, run};
use crate::support::content::{BLOCK, Recipe, Torrent};
use crate::support::http::Server;
use crate::support::peer::{BITFIELD, INTERESTED, Peer, REQUEST, Talk, UNCHOKE};
use crate::support::scratch::{Scratch, files_below};
use crate::support::seeder::{Manner, Seeder};
use bitwren::{Client, Config, EventKind, Magnet, Metainfo, Phase, TorrentConfig};

/// The reserved bits of one who speaks the Extension Protocol (BEP 10).
const EXTENSIONS: [u8; 8] = [0, 0, 0, 0, 0, 0x10, 0, 0];
const EXTENDED: u8 = 20;
/// By which id this side wants metadata messages.
const WANTED: u8 = 3;

/// How a peer treats those who ask for its metadata.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Answers {
    Rightly,
    /// With a byte changed in this block.
    Falsely(u32),
    /// That it is so many bytes longer, with noise.
    Longer(u64),
    /// Not at all.
    Never,
    /// No.
    No,
    /// With blocks that nobody asked for, one after the other.
    WithoutEnd,
    /// That it has none to give.
    Empty,
}

/// The info dictionary, which is the last thing in these torrents.
fn info(torrent: &Torrent) -> &[u8] {
    let at = torrent.metainfo.windows(6).position(|six| six == b"4:info").unwrap();
    &torrent.metainfo[at + 6..torrent.metainfo.len() - 1]
}

fn block_of(torrent: &Torrent, block: u32, answers: Answers) -> Vec<u8> {
    let mut whole = info(torrent).to_vec();
    match answers {
        Answers::Longer(more) => whole = vec![b'x'; whole.len() + more as usize],
        Answers::Falsely(at) => {
            let at = (at * BLOCK) as usize % whole.len();
            whole[at] ^= 1;
        }
        _ => {}
    }
    let begin = (block * BLOCK) as usize;
    whole[begin.min(whole.len())..(begin + BLOCK as usize).min(whole.len())].to_vec()
}

/// The number after `key` in a bencoded dictionary.
fn number(text: &[u8], key: &str) -> Option<u64> {
    let at = text.windows(key.len()).position(|window| window == key.as_bytes())? + key.len();
    let digits: String =
        text.get(at + 1..)?.iter().take_while(|c| c.is_ascii_digit()).map(|&c| c as char).collect();
    digits.parse().ok()
}

/// Runs a conversation from the handshake on: metadata as `answers` says, data as a seed does.
fn attend(talk: &mut Talk, answers: Answers) -> io::Result<()> {
    talk.answer(EXTENSIONS)?;
    introduce(talk, answers)
}

fn introduce(talk: &mut Talk, answers: Answers) -> io::Result<()> {
    let length = info(&talk.torrent).len() as u64;
    let size = match answers {
        Answers::Empty => None,
        Answers::Longer(more) => Some(length + more),
        _ => Some(length),
    };
    let m = dict([("ut_metadata", int(WANTED.into()))]);
    let shake = [Some(("m", m)), size.map(|size| ("metadata_size", int(size)))];
    talk.send(EXTENDED, &[&[0][..], &dict(shake.into_iter().flatten()).encode()].concat())?;
    let bitfield = talk.torrent.full_bitfield();
    talk.send(BITFIELD, &bitfield)?;
    let mut theirs = 0;
    loop {
        match talk.read()? {
            Some((EXTENDED, body)) if body.first() == Some(&0) => {
                theirs = number(&body, "11:ut_metadata").unwrap_or(0) as u8;
            }
            Some((EXTENDED, body)) if body.first() == Some(&WANTED) => {
                let block = number(&body, "5:piece").unwrap() as u32;
                assert_eq!(number(&body, "8:msg_type"), Some(0));
                answer(talk, answers, theirs, block)?;
            }
            Some((INTERESTED, _)) => talk.send(UNCHOKE, &[])?,
            Some((REQUEST, body)) => {
                let block = crate::support::peer::Block::parse(&body).unwrap();
                talk.send_block(block)?;
            }
            _ => {}
        }
    }
}

fn answer(talk: &mut Talk, answers: Answers, id: u8, block: u32) -> io::Result<()> {
    let head = |kind| dict([("msg_type", int(kind)), ("piece", int(block.into()))]).encode();
    let send = |talk: &mut Talk, body: &[u8]| talk.send(EXTENDED, &[&[id][..], body].concat());
    match answers {
        Answers::Never => Ok(()),
        Answers::No => send(talk, &head(2)),
        Answers::WithoutEnd => loop {
            let body = [head(1), block_of(&talk.torrent, block, answers)].concat();
            send(talk, &body)?;
        },
        _ => {
            let body = [head(1), block_of(&talk.torrent, block, answers)].concat();
            send(talk, &body)
        }
    }
}

fn peer(torrent: &Arc<Torrent>, answers: Answers) -> Peer {
    Peer::start(torrent, move |talk| attend(talk, answers))
}

/// Three blocks of metadata, several files.
fn torrent() -> Arc<Torrent> {
    let files = [("one", 1_000_000), ("two/three", 700_000), ("two/four", 1)];
    Arc::new(Recipe::multi("a magnet", &files).piece_length(1024).make())
}

fn link(torrent: &Torrent, peers: &[&Peer]) -> String {
    let peers: String = peers.iter().map(|peer| format!("&x.pe={}", peer.address)).collect();
    format!("magnet:?xt=urn:btih:{}&dn=called+so{peers}", torrent.hex())
}

fn get(scratch: &Scratch, args: &[&str]) -> Command {
    let mut command = bitwren(scratch.path(), &["get", "--port", "0", "--dir", "got"]);
    command.args(args).current_dir(scratch.path());
    command
}

#[test]
fn a_link_and_a_peer_are_enough() {
    let (scratch, torrent) = (Scratch::new("magnet"), torrent());
    let good = peer(&torrent, Answers::Rightly);
    let ended = run(&mut get(&scratch, &["--json", &link(&torrent, &[&good])])).expect(0);
    torrent.assert_complete(&scratch.path().join("got"));
    // Nothing of what was kept is left where everything is there.
    assert_eq!(files_below(&scratch.path().join("got")).len(), 3);
    let at = |event: &str| {
        let wanted = format!(r#""event":"{event}""#);
        ended
            .stdout
            .lines()
            .position(|line| line.contains(&wanted))
            .unwrap_or_else(|| panic!("{event}: {ended:?}"))
    };
    assert!(at("asking") < at("metadata") && at("metadata") < at("added") && at("added") < at("finished"));
    assert!(ended.stdout.contains(r#""name":"called so""#) && ended.stdout.contains(r#""name":"a magnet""#));
}

#[test]
fn an_info_hash_and_a_peer_are_enough() {
    let (scratch, torrent) = (Scratch::new("hash"), torrent());
    let good = peer(&torrent, Answers::Rightly);
    run(&mut get(&scratch, &["--peer", &good.address.to_string(), &torrent.hex().to_uppercase()])).expect(0);
    torrent.assert_complete(&scratch.path().join("got"));
}

#[test]
fn a_tracker_in_the_link_finds_peers_and_hears_that_we_go() {
    let (scratch, torrent) = (Scratch::new("tracker"), torrent());
    let good = peer(&torrent, Answers::Rightly);
    let compact = match good.address {
        SocketAddr::V4(v4) => [&v4.ip().octets()[..], &v4.port().to_be_bytes()].concat(),
        SocketAddr::V6(_) => unreachable!(),
    };
    let tracker = Server::start(move |_, stream| {
        let body = dict([("interval", int(1800)), ("peers", bytes(&compact))]).encode();
        io::Write::write_all(stream, &[b"HTTP/1.0 200 OK\r\n\r\n", &body[..]].concat())
    });
    let link = format!("{}&tr=http%3A%2F%2F{}%2Fannounce", link(&torrent, &[]), tracker.address);
    run(&mut get(&scratch, &[&link])).expect(0);
    torrent.assert_complete(&scratch.path().join("got"));
    let asked = tracker.requests();
    assert!(asked[0].contains("event=started") && !asked[0].contains("left=0&"), "{asked:?}");
    assert_eq!(asked.iter().filter(|line| line.contains("event=started")).count(), 1, "{asked:?}");
    assert!(asked.iter().any(|line| line.contains("event=stopped")), "{asked:?}");
}

#[test]
fn liars_of_every_kind_are_survived() {
    let (scratch, torrent) = (Scratch::new("liars"), torrent());
    let kinds = [
        Answers::Falsely(0),
        Answers::Falsely(1),
        Answers::Falsely(2),
        Answers::Longer(1),
        Answers::Longer(5_000_000),
        Answers::Longer(1 << 40),
        Answers::Never,
        Answers::No,
        Answers::WithoutEnd,
        Answers::Empty,
    ];
    let mut peers: Vec<Peer> = kinds
        .iter()
        .filter(|kind| **kind != Answers::Longer(1 << 40))
        .map(|&kind| peer(&torrent, kind))
        .collect();
    // Plain peers have nothing to say about metadata.
    peers.push(Peer::start(&torrent, |talk| talk.answer([0; 8]).and_then(|()| talk.listen())));
    peers.push(peer(&torrent, Answers::Rightly));
    let all: Vec<&Peer> = peers.iter().collect();
    let ended = run(&mut get(&scratch, &["--json", "--metadata-only", &link(&torrent, &all)])).expect(0);
    let saved = std::fs::read(scratch.path().join("got/a magnet.torrent")).unwrap();
    assert_eq!(Metainfo::from_bytes(&saved).unwrap().info_bytes(), info(&torrent));
    assert!(ended.stdout.contains(r#""event":"saved""#), "{ended:?}");
}

#[test]
fn lies_alone_give_nothing_and_end_in_time() {
    let (scratch, torrent) = (Scratch::new("lies"), torrent());
    let liar = peer(&torrent, Answers::Falsely(1));
    let ended = run(&mut get(&scratch, &["--json", "--max-time", "2", &link(&torrent, &[&liar])])).expect(2);
    assert!(ended.stdout.contains(r#""why":"false metadata""#), "{ended:?}");
    assert!(ended.stdout.contains(r#""phase":"metadata""#), "{ended:?}");
    assert!(!scratch.path().join("got").exists());
}

#[test]
fn a_magnet_link_without_peers_can_be_interrupted() {
    let (scratch, torrent) = (Scratch::new("nobody"), torrent());
    let silent = peer(&torrent, Answers::Never);
    let child = Child::spawn(&mut get(&scratch, &["--json", &link(&torrent, &[&silent])]));
    assert!(silent.wait_called(PATIENCE));
    child.signal("INT");
    child.wait_end(PATIENCE).expect(7);
}

#[test]
fn files_are_chosen_once_they_are_known() {
    let (scratch, torrent) = (Scratch::new("chosen"), torrent());
    let good = peer(&torrent, Answers::Rightly);
    let link = link(&torrent, &[&good]);
    let listed = run(&mut get(&scratch, &["--list", &format!("{link}&so=1-7")])).expect(0);
    assert!(!listed.stdout.contains("one") && listed.stdout.contains("two/four"), "{listed:?}");
    let listed = run(&mut get(&scratch, &["--list", "--select", "one", &format!("{link}&so=1")])).expect(0);
    assert!(listed.stdout.contains("one") && !listed.stdout.contains("two"), "{listed:?}");
    run(&mut get(&scratch, &["--select", "*.mkv", &link])).expect(28);
    run(&mut get(&scratch, &[&format!("{link}&so=2")])).expect(0);
    let got = files_below(&scratch.path().join("got/a magnet"));
    assert_eq!(got, [std::path::Path::new("two/four")]);
}

#[test]
fn the_torrent_file_goes_where_it_is_told() {
    let (scratch, torrent) = (Scratch::new("saved"), torrent());
    let good = peer(&torrent, Answers::Rightly);
    let link = format!("{}&tr=udp://127.0.0.1:9&ws=http://w/", link(&torrent, &[&good]));
    let mut to_stdout = get(&scratch, &["--metadata-only", "-o", "-", &link]);
    let out = to_stdout.output().unwrap();
    let metainfo = Metainfo::from_bytes(&out.stdout).unwrap();
    assert_eq!(
        (metainfo.info_bytes(), metainfo.web_seeds()),
        (info(&torrent), &["http://w/".to_owned()][..])
    );
    assert_eq!(metainfo.tiers(), [["udp://127.0.0.1:9"]]);
    run(&mut get(&scratch, &["--metadata-only", "-o", "x.torrent", &link])).expect(0);
    assert_eq!(std::fs::read(scratch.path().join("x.torrent")).unwrap(), out.stdout);
    run(&mut get(&scratch, &["--metadata-only", "-o", "x.torrent", &link])).expect(13);
    run(&mut get(&scratch, &["-o", "x.torrent", &link])).expect(28);
}

#[test]
fn a_second_start_needs_no_peer_for_the_metadata() {
    let (scratch, torrent) = (Scratch::new("again"), torrent());
    let talker = peer(&torrent, Answers::Rightly);
    for state in [&[][..], &["--state-dir", "state"]] {
        let link = link(&torrent, &[&talker]);
        let args = [&["--json", "--down", "1"], state, &[&link]].concat();
        let child = Child::spawn(&mut get(&scratch, &args));
        child.wait_for_line(PATIENCE, |line| line.contains(r#""event":"added""#));
        child.signal("INT");
        child.wait_end(PATIENCE).expect(7);
        // And this one has never heard of metadata.
        let plain = Seeder::start(&torrent, Manner::default());
        let (address, hash) = (plain.address().to_string(), torrent.hex());
        let args = [&["--json", "--peer", &address], state, &[&hash]].concat();
        let ended = run(&mut get(&scratch, &args)).expect(0);
        assert!(ended.stdout.contains(r#""kept":true"#), "{ended:?}");
        torrent.assert_complete(&scratch.path().join("got"));
        std::fs::remove_dir_all(scratch.path().join("got")).unwrap();
    }
    assert!(files_below(&scratch.path().join("state")).is_empty(), "nothing is left behind");
}

/// A client of our own, and a link to this torrent.
fn embedded(torrent: &Torrent, peers: &[&Peer]) -> (Client, Magnet) {
    (Client::start(Config::default().port(0)).unwrap(), link(torrent, peers).parse().unwrap())
}

/// Waits for an event.
#[track_caller]
fn wait(client: &Client, wanted: impl Fn(&EventKind) -> bool) -> EventKind {
    let (end, mut seen) = (std::time::Instant::now() + PATIENCE, Vec::new());
    while std::time::Instant::now() < end {
        match client.events().recv_timeout(Duration::from_secs(1)) {
            Ok(event) if wanted(&event.what) => return event.what,
            Ok(event) => seen.push(event.what),
            Err(_) => {}
        }
    }
    panic!("it never happened, but {seen:?}")
}

#[test]
fn who_calls_us_is_asked_too() {
    let (scratch, torrent) = (Scratch::new("incoming"), torrent());
    let (client, magnet) = embedded(&torrent, &[]);
    let handle = client.add_magnet(magnet, TorrentConfig::default().dir(scratch.dir("got"))).unwrap();
    assert_eq!((handle.progress().phase, handle.metainfo().is_none()), (Phase::FetchingMetadata, true));
    let (port, caller) = (client.port(), torrent.clone());
    let calling = std::thread::spawn(move || {
        // It is called back no sooner than it hangs up: once for the metadata, once for the data, and as often
        // as it comes too early for those. There is nobody to call when the client has ended.
        while let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
            let mut talk = Talk::new(stream, caller.clone());
            let _ = talk
                .send_handshake(EXTENSIONS)
                .and_then(|()| talk.read_handshake())
                .and_then(|()| introduce(&mut talk, Answers::Rightly));
        }
    });
    wait(&client, |what| matches!(what, EventKind::Metadata { kept: false, .. }));
    assert_eq!(handle.metainfo().unwrap().name(), "a magnet");
    wait(&client, |what| matches!(what, EventKind::Finished { .. }));
    torrent.assert_complete(&scratch.path().join("got"));
    client.shutdown();
    calling.join().unwrap();
}

/// Behind a translator of addresses a peer can only call. It calls once: over that connection come the
/// metadata and then the data, whether it had been called or has called.
#[test]
fn the_torrent_goes_on_with_the_connections_that_the_metadata_came_over() {
    for (fast, unchokes) in [(false, false), (true, false), (false, true)] {
        let (scratch, torrent) = (Scratch::new("once"), torrent());
        let (client, magnet) = embedded(&torrent, &[]);
        let handle = client.add_magnet(magnet, TorrentConfig::default().dir(scratch.dir("got"))).unwrap();
        let (port, caller) = (client.port(), torrent.clone());
        let calling = std::thread::spawn(move || {
            let mut reserved = EXTENSIONS;
            reserved[7] |= if fast { 4 } else { 0 };
            // It may come before anyone listens for this torrent.
            let mut talk = loop {
                let mut talk = Talk::new(TcpStream::connect(("127.0.0.1", port)).unwrap(), caller.clone());
                if talk.send_handshake(reserved).and_then(|()| talk.read_handshake()).is_ok() {
                    break talk;
                }
            };
            if unchokes {
                // As some do before anyone is interested, and then not again.
                talk.send(UNCHOKE, &[]).unwrap();
            }
            introduce(&mut talk, Answers::Rightly)
        });
        wait(&client, |what| matches!(what, EventKind::Finished { .. }));
        torrent.assert_complete(&scratch.path().join("got"));
        drop(handle);
        client.shutdown();
        assert!(calling.join().unwrap().is_err(), "it was hung up on at the end");
    }
    let (scratch, torrent) = (Scratch::new("called"), torrent());
    let good = peer(&torrent, Answers::Rightly);
    run(&mut get(&scratch, &[&link(&torrent, &[&good])])).expect(0);
    assert_eq!(good.connections(), 1, "nobody has to be called twice");
}

#[test]
fn the_stage_can_be_paused_resumed_and_ended() {
    let (scratch, torrent) = (Scratch::new("paused"), torrent());
    let silent = peer(&torrent, Answers::Never);
    let (client, magnet) = embedded(&torrent, &[&silent]);
    let config = TorrentConfig::default().dir(scratch.dir("got"));
    let handle = client.add_magnet(magnet.clone(), config.clone()).unwrap();
    assert!(client.add_magnet(magnet.clone(), config.clone()).is_err(), "it runs already");
    wait(&client, |what| matches!(what, EventKind::PeerConnected { .. }));
    handle.pause();
    wait(&client, |what| *what == EventKind::Paused);
    assert!(silent.wait_over(PATIENCE), "everyone is left");
    assert!(handle.peers().is_empty());
    handle.resume();
    wait(&client, |what| *what == EventKind::Resumed);
    // While paused it is found by nobody, and now again.
    let good = peer(&torrent, Answers::Rightly);
    handle.add_peer(good.address);
    wait(&client, |what| matches!(what, EventKind::Finished { .. }));
    handle.remove();
    wait(&client, |what| *what == EventKind::Stopped);

    let handle = client.add_magnet(link(&torrent, &[&silent]).parse().unwrap(), config.clone().resume(false));
    wait(&client, |what| matches!(what, EventKind::PeerConnected { .. }));
    handle.unwrap().remove();
    wait(&client, |what| *what == EventKind::Stopped);
    client.add_magnet(magnet, config.resume(false)).unwrap();
    client.shutdown();
}

#[test]
fn metadata_that_makes_no_torrent_fails_it() {
    let scratch = Scratch::new("nonsense");
    // A dictionary with a hash and without sense.
    let info = b"d4:name1:xe";
    let mut torrent = Recipe::single("nonsense", 1).make();
    torrent.info_hash = crate::support::content::sha1(info);
    torrent.metainfo = [&b"d4:info"[..], info, b"e"].concat();
    let torrent = Arc::new(torrent);
    let nonsense = peer(&torrent, Answers::Rightly);
    let ended = run(&mut get(&scratch, &["--json", &link(&torrent, &[&nonsense])])).expect(26);
    assert!(ended.stdout.contains("not a usable torrent"), "{ended:?}");
}
