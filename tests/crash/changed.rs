//! Files that another program changes or removes while they are offered: nothing wrong goes out for long,
//! it is told, what is right is served on, and a download fetches what it lost again.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::support::child::{Child, PATIENCE, bitwren};
use crate::support::content::{BLOCK, Recipe, Torrent};
use crate::support::extension;
use crate::support::latch::Latch;
use crate::support::leecher;
use crate::support::peer::{
    BITFIELD, Block, EXTENDED, HAVE_ALL, INTERESTED, PIECE, Peer, REJECT, REQUEST, Talk, UNCHOKE,
    next_address,
};
use crate::support::scratch::Scratch;

/// The id by which the scripted peer wants to be told of lost pieces.
const DONT_HAVE: u8 = 9;

/// The pieces of the first file; those of the other follow.
const KEPT: std::ops::Range<u32> = 0..3;

fn torrent() -> Arc<Torrent> {
    let length = 3 * BLOCK as usize;
    Arc::new(Recipe::multi("changing", &[("kept", length), ("spoiled", length)]).piece_length(BLOCK).make())
}

/// One block, a whole piece.
fn block(piece: u32) -> Block {
    Block { piece, begin: 0, length: BLOCK }
}

/// A running command that listens at an address of its own.
fn listening(scratch: &Scratch, torrent: &Torrent, data: &Path, args: &[&str]) -> (Child, SocketAddr) {
    let ip = next_address();
    let address = TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap();
    let (ip, port) = (ip.to_string(), address.port().to_string());
    let mut command = bitwren(scratch.path(), args);
    command.args(["--json", "--no-tracker", "--bind", &ip, "--port", &port, "-d"]).arg(data);
    command.arg(scratch.file("changing.torrent", &torrent.metainfo));
    (Child::spawn(&mut command), address)
}

fn seed(scratch: &Scratch, torrent: &Arc<Torrent>) -> (Child, SocketAddr) {
    let data = scratch.dir("data");
    torrent.write_to(&data);
    let (child, address) = listening(scratch, torrent, &data, &["seed"]);
    child.wait_for_line(PATIENCE, |line| line.contains(r#""event":"finished""#));
    (child, address)
}

/// A leecher that is let in and unchoked, and which pieces it was offered. A seed says that it has finished
/// a moment before it lets anyone in.
fn join(torrent: &Arc<Torrent>, address: SocketAddr) -> (Talk, Vec<u8>) {
    let end = Instant::now() + PATIENCE;
    loop {
        match try_join(torrent, address) {
            Ok(joined) => return joined,
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
    }
}

fn try_join(torrent: &Arc<Torrent>, address: SocketAddr) -> std::io::Result<(Talk, Vec<u8>)> {
    let mut talk = leecher::call(torrent, address, PATIENCE)?;
    talk.send_handshake([0, 0, 0, 0, 0, 0x10, 0, 4])?;
    talk.read_handshake()?;
    talk.raw(&extension::shake(Vec::new()))?;
    let offered = loop {
        match talk.read()? {
            Some((BITFIELD, body)) => break body,
            Some((HAVE_ALL, _)) => break torrent.full_bitfield(),
            _ => {}
        }
    };
    talk.send(INTERESTED, &[])?;
    talk.wait_for(UNCHOKE)?;
    Ok((talk, offered))
}

/// What becomes of a request.
#[derive(Debug, PartialEq)]
enum Answer {
    Right,
    Wrong,
    /// It is said that the piece is there no longer, or the request is rejected.
    Lost,
}

/// Asks for a block.
fn ask(talk: &mut Talk, piece: u32) -> Answer {
    try_ask(talk, piece).unwrap()
}

fn try_ask(talk: &mut Talk, piece: u32) -> std::io::Result<Answer> {
    talk.send(REQUEST, &block(piece).body())?;
    let lost = [&[DONT_HAVE][..], &piece.to_be_bytes()].concat();
    loop {
        match talk.read()? {
            Some((PIECE, body)) if talk.torrent.block(piece, 0, BLOCK) == body.get(8..) => {
                return Ok(Answer::Right);
            }
            Some((PIECE, _)) => return Ok(Answer::Wrong),
            Some((EXTENDED, body)) if body == lost => return Ok(Answer::Lost),
            Some((REJECT, body)) if body == block(piece).body() => return Ok(Answer::Lost),
            _ => {}
        }
    }
}

/// Another program writes into a file, as an editor of tags does.
fn spoil(path: &Path, at: u64) {
    fs::File::options().write(true).open(path).unwrap().write_all_at(b"other", at).unwrap();
}

/// Another program puts a file of the same length in the place of this one, at once.
fn replace(path: &Path, bytes: &[u8]) {
    let beside = path.with_extension("new");
    fs::write(&beside, bytes).unwrap();
    fs::rename(beside, path).unwrap();
}

#[test]
fn what_is_changed_while_it_is_seeded_is_not_served() {
    let (scratch, torrent) = (Scratch::new("changed"), torrent());
    let (child, address) = seed(&scratch, &torrent);
    let (mut early, offered) = join(&torrent, address);
    assert_eq!(offered, torrent.full_bitfield());
    spoil(&scratch.path().join("data/changing/spoiled"), 20_000);
    // The first block of the file that is asked for shows it: the bad piece, and at first those beside it.
    assert_eq!(ask(&mut early, 4), Answer::Lost);
    let told = child.wait_for_line(PATIENCE, |line| line.contains(r#""event":"file_changed""#));
    for said in
        [r#""path":"changing/spoiled""#, r#""lost":1"#, r#""of":3"#, r#""gone":false"#, r#""again":false"#]
    {
        assert!(told.contains(said), "{said} is not in {told}");
    }
    // What is right is offered again, and served.
    let (mut late, offered) = join(&torrent, address);
    assert_eq!(offered, [0b1111_0100]);
    for piece in KEPT.chain([3, 5]) {
        assert_eq!(ask(&mut late, piece), Answer::Right, "piece {piece}");
    }
    drop((early, late));
    child.signal("INT");
    let ended = child.wait_end(PATIENCE).expect(0);
    assert_eq!(ended.stdout.matches(r#""event":"file_changed""#).count(), 1, "{ended:#?}");
}

#[test]
fn of_a_file_that_is_removed_or_cut_while_it_is_seeded_nothing_is_promised() {
    let remove: fn(&Path) = |path| fs::remove_file(path).unwrap();
    let cut: fn(&Path) = |path| fs::File::options().write(true).open(path).unwrap().set_len(100).unwrap();
    for (name, meddle, gone) in [("removed", remove, "true"), ("cut", cut, "false")] {
        let (scratch, torrent) = (Scratch::new(name), torrent());
        let (child, address) = seed(&scratch, &torrent);
        meddle(&scratch.path().join("data/changing/spoiled"));
        let (mut talk, _) = join(&torrent, address);
        assert_eq!(ask(&mut talk, 5), Answer::Lost, "{name}");
        let told = child.wait_for_line(PATIENCE, |line| line.contains(r#""event":"file_changed""#));
        assert!(told.contains(&format!(r#""gone":{gone}"#)) && told.contains(r#""lost":3"#), "{told}");
        assert_eq!(ask(&mut talk, 0), Answer::Right, "{name}");
        let (_, offered) = join(&torrent, address);
        assert_eq!(offered, [0b1110_0000], "{name}");
        child.signal("INT");
        child.wait_end(PATIENCE).expect(0);
    }
}

#[test]
fn a_seed_of_which_nothing_is_right_any_more_says_so_and_ends() {
    let (scratch, torrent) = (Scratch::new("nothing"), torrent());
    let (child, address) = seed(&scratch, &torrent);
    let data = scratch.path().join("data/changing");
    let (mut talk, _) = join(&torrent, address);
    fs::remove_file(data.join("kept")).unwrap();
    replace(&data.join("spoiled"), &vec![0; 3 * BLOCK as usize]);
    // The save that follows the start may show it first, and the seed end before it answers.
    for piece in [0, 3] {
        let answer = try_ask(&mut talk, piece);
        assert!(answer.is_err() || answer.is_ok_and(|answer| answer == Answer::Lost), "piece {piece}");
    }
    let ended = child.wait_end(PATIENCE);
    assert!(ended.stdout.contains("nothing of changing is right any more"), "{ended:#?}");
    assert!(ended.code.is_some_and(|code| code != 0), "{ended:#?}");
}

#[test]
fn a_file_that_is_only_touched_is_served_on() {
    let (scratch, torrent) = (Scratch::new("touched"), torrent());
    let (child, address) = seed(&scratch, &torrent);
    let path = scratch.path().join("data/changing/spoiled");
    replace(&path, &fs::read(&path).unwrap());
    let (mut talk, _) = join(&torrent, address);
    // The save that follows the start may have shown it before.
    assert_ne!(ask(&mut talk, 4), Answer::Wrong);
    let told = child.wait_for_line(PATIENCE, |line| line.contains(r#""event":"file_changed""#));
    assert!(told.contains(r#""lost":0"#), "{told}");
    let (mut late, offered) = join(&torrent, address);
    assert_eq!(offered, torrent.full_bitfield());
    for piece in 0..torrent.pieces() {
        assert_eq!(ask(&mut late, piece), Answer::Right, "piece {piece}");
    }
}

/// Serves the pieces of a bitfield, once it may.
fn serving(torrent: &Arc<Torrent>, bitfield: u8, from: &Latch) -> Peer {
    let from = from.clone();
    Peer::start(torrent, move |talk| {
        talk.answer([0; 8])?;
        talk.send(BITFIELD, &[bitfield])?;
        from.wait(PATIENCE);
        talk.send(UNCHOKE, &[])?;
        talk.serve()
    })
}

#[test]
fn a_download_fetches_again_what_was_changed_under_it() {
    let (scratch, torrent) = (Scratch::new("again"), torrent());
    let (data, last) = (scratch.dir("data"), Latch::new());
    let most = serving(&torrent, 0b1111_1000, &Latch::opened());
    let rest = serving(&torrent, 0b0000_0100, &last);
    let peers = [most.address.to_string(), rest.address.to_string()];
    let get = ["get", "--peer", &peers[0], "--peer", &peers[1]];
    let (first, _) = listening(&scratch, &torrent, &data, &get);
    first.wait_for_line(PATIENCE, |line| line.contains(r#""pieces":5,"#));
    first.signal("INT");
    first.wait_end(PATIENCE).expect(7);
    // What the state knows is looked at from the start.
    let (child, address) = listening(&scratch, &torrent, &data, &get);
    child.wait_for_line(PATIENCE, |line| line.contains(r#""event":"started""#));
    spoil(&data.join("changing/kept"), 0);
    let (mut talk, offered) = join(&torrent, address);
    assert_eq!(offered, [0b1111_1000]);
    assert_eq!(ask(&mut talk, 0), Answer::Lost);
    let told = child.wait_for_line(PATIENCE, |line| line.contains(r#""event":"file_changed""#));
    assert!(told.contains(r#""lost":1"#) && told.contains(r#""again":true"#), "{told}");
    last.open();
    child.wait_end(PATIENCE).expect(0);
    torrent.assert_complete(&data);
}
