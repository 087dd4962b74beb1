//! Borrowed peer ids: they are public, so a peer that shows the id of an honest one must not keep that out, nor
//! have it thrown out.

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use crate::support::child::PATIENCE;
use crate::support::content::Torrent;
use crate::support::extension::{PEX, answer, info, lend, lend_rightly, message};
use crate::support::hostile::{SOON, assert_named, completed, get, row, torrent};
use crate::support::latch::Latch;
use crate::support::peer::*;
use crate::support::scratch::Scratch;

const ID: [u8; 20] = *b"-TT0001-borrowed0000";

/// A thief and the honest peer, which show one id; the thief is connected first and stays.
fn thief_and_honest(
    thief_at: IpAddr,
    torrent: &Arc<Torrent>,
    honest: impl Fn(&mut Talk) -> io::Result<()> + Send + Sync + 'static,
) -> (Peer, Peer) {
    let connected = Latch::new();
    let (opener, gate) = (connected.clone(), connected.clone());
    let thief = Peer::start_at(thief_at, torrent, move |talk| {
        talk.own_id = ID;
        answer(talk)?;
        opener.open();
        talk.listen()
    });
    let honest = Peer::start(torrent, move |talk| {
        assert!(gate.wait(PATIENCE));
        talk.own_id = ID;
        honest(talk)
    });
    (thief, honest)
}

fn borrows(thief_at: IpAddr, what: &str) {
    let (torrent, scratch) = (torrent(), Scratch::new("borrowed"));
    let (thief, honest) = thief_and_honest(thief_at, &torrent, |talk| {
        talk.answer([0; 8])?;
        talk.open_up()?;
        talk.serve()
    });
    let file = scratch.file("precious.torrent", &torrent.metainfo);
    let child = get(&scratch, &file, &["--no-tracker"], &[thief.address, honest.address]);
    let begun = std::time::Instant::now();
    let ended = completed(child, &scratch, &torrent);
    row(what, begun.elapsed(), &ended);
}

#[test]
fn a_thief_of_the_other_address_family_keeps_no_peer_out() {
    borrows("::1".parse().unwrap(), "an id borrowed over IPv6");
}

#[test]
fn a_thief_on_another_host_keeps_no_peer_out() {
    borrows(next_address(), "an id borrowed by another host");
}

/// The same while a magnet link's metadata is asked for: the honest peer is the only one who has it.
#[test]
fn a_thief_keeps_no_peer_from_being_asked_for_metadata() {
    let (torrent, scratch) = (torrent(), Scratch::new("borrowed-link"));
    let (thief, honest) = thief_and_honest(next_address(), &torrent, |talk| {
        let size = info(&talk.torrent).len() as u64;
        lend(talk, size, lend_rightly)
    });
    let link = format!("magnet:?xt=urn:btih:{}", torrent.hex());
    let child = get(&scratch, Path::new(&link), &[], &[thief.address, honest.address]);
    completed(child, &scratch, &torrent);
}

/// One liar had us call any host at hundreds of ports a second, as long as the metadata was asked for.
#[test]
fn peer_exchanges_flood_no_peer_while_metadata_is_asked_for() {
    let (torrent, scratch) = (torrent(), Scratch::new("named"));
    let victim = std::net::TcpListener::bind((next_address(), 0)).unwrap();
    let named = victim.local_addr().unwrap();
    let called = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counted = called.clone();
    std::thread::spawn(move || {
        victim.incoming().for_each(|_| _ = counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    });
    let liar = Peer::start(&torrent, move |talk| {
        answer(talk)?;
        let IpAddr::V4(ip) = named.ip() else { unreachable!() };
        let compact = [&ip.octets()[..], &named.port().to_be_bytes()].concat();
        let exchange = [&b"d5:added6:"[..], &compact, b"7:added.f1:\0e"].concat();
        // Each takes the address back and names it again, which would have it called again.
        let dropped = [&b"d7:dropped6:"[..], &compact, b"e"].concat();
        loop {
            talk.raw(&message(PEX, &exchange))?;
            talk.raw(&message(PEX, &dropped))?;
        }
    });
    let link = format!("magnet:?xt=urn:btih:{}", torrent.hex());
    let child = get(&scratch, Path::new(&link), &["--max-time", "60"], &[liar.address]);
    assert!(liar.wait_over(SOON), "the liar was never dropped\n{}", child.said());
    child.signal("INT");
    let ended = child.wait_end(PATIENCE).expect(7);
    assert_named(&ended, &liar.address.to_string(), "message flood");
    assert!(called.load(std::sync::atomic::Ordering::Relaxed) <= 3);
}
