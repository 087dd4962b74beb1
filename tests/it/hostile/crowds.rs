//! One address that takes every place there is, against the real binary on real sockets: an honest peer
//! at another address is served, and a download still dials the peers it knows.

use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use super::strangers::Seed;
use crate::support::child::{Child, PATIENCE, bitwren};
use crate::support::content::Torrent;
use crate::support::hostile::{completed, get, row, torrent};
use crate::support::leecher;
use crate::support::peer::*;
use crate::support::scratch::Scratch;

/// More connections than a torrent has places.
const MORE_THAN_PLACES: u32 = 110;
/// More than there are places for handshakes.
const MORE_THAN_HANDSHAKES: u32 = 40;

/// Connections of peers with different ids, all from one address, each through the handshake unless it was
/// refused; held open until dropped.
fn hold(torrent: &Arc<Torrent>, victim: SocketAddr) -> Vec<Talk> {
    let shaken = |n: u32| -> io::Result<Talk> {
        let mut talk = leecher::call(torrent, victim, PATIENCE)?;
        let id = format!("-TT0001-{n:012}");
        talk.raw(&handshake([0; 8], &torrent.info_hash, id.as_bytes().try_into().unwrap()))?;
        talk.read_handshake()?;
        Ok(talk)
    };
    (0..MORE_THAN_PLACES).filter_map(|n| shaken(n).ok()).collect()
}

/// A download at an address of its own, which knows the seed.
fn honest(scratch: &Scratch, torrent: &Torrent, seed: SocketAddr) -> Command {
    let file = scratch.file("precious.torrent", &torrent.metainfo);
    let mut command = bitwren(scratch.path(), &["get", "--json", "--port", "0", "--no-tracker"]);
    command.args(["--bind", &next_address().to_string(), "--peer", &seed.to_string()]);
    command.arg("-d").arg(scratch.dir("got")).arg(file);
    command
}

#[track_caller]
fn is_served_beside(crowd: impl FnOnce(&Seed) -> Vec<Talk>) {
    let (seed, scratch) = (Seed::start(), Scratch::new("honest"));
    let held = crowd(&seed);
    let begun = Instant::now();
    completed(Child::spawn(&mut honest(&scratch, &seed.torrent, seed.address)), &scratch, &seed.torrent);
    let took = begun.elapsed();
    drop(held);
    row("others served", took, &seed.end());
}

#[test]
fn one_address_with_silent_connections_in_every_place_for_handshakes() {
    is_served_beside(|seed| (0..MORE_THAN_HANDSHAKES).map(|_| seed.call()).collect());
}

#[test]
fn one_address_with_a_connection_in_every_place_of_a_seed() {
    is_served_beside(|seed| hold(&seed.torrent, seed.address));
}

#[test]
fn one_address_with_a_connection_in_every_place_of_a_download() {
    let (torrent, scratch) = (torrent(), Scratch::new("crowded"));
    let file = scratch.file("precious.torrent", &torrent.metainfo);
    let open = Arc::new(crate::support::latch::Latch::new());
    let opened = open.clone();
    // The seeder takes no connection until every place is held.
    let seeder = Peer::start(&torrent, move |talk| {
        if !opened.is_open() {
            return Ok(());
        }
        talk.answer([0; 8])?;
        talk.open_up()?;
        talk.serve()
    });
    let own = std::net::TcpListener::bind((next_address(), 0)).unwrap().local_addr().unwrap();
    let (ip, port) = (own.ip().to_string(), own.port().to_string());
    let child = get(&scratch, &file, &["--bind", &ip, "--port", &port, "--no-tracker"], &[seeder.address]);
    // It listens before its data is checked, and refuses connections until then.
    let held = (0..100).map(|_| hold(&torrent, own)).find(|held| held.len() > 50).expect("places are held");
    let begun = Instant::now();
    open.open();
    let ended = child.wait_end(PATIENCE).expect(0);
    torrent.assert_complete(&scratch.path().join("got"));
    row("completed", begun.elapsed(), &ended);
    drop(held);
}
