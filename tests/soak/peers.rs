//! Who is met: for each torrent one honest peer, one of changing moods, and one liar; and those who
//! call.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::support::bencode::{bytes, dict};
use crate::support::content::{BLOCK, Dice, Torrent};
use crate::support::extension::{self, info, lend_rightly};
use crate::support::leecher;
use crate::support::node::compact;
use crate::support::peer::{CHOKE, HAVE, INTERESTED, Peer, Talk, UNCHOKE};

/// How long those who hang do.
const HANGING: Duration = Duration::from_secs(8);

/// Whether the client is at rest. Then no peer hangs: what is waited for is what the client keeps by
/// itself.
#[derive(Clone, Default)]
pub struct Rest(Arc<(Mutex<bool>, Condvar)>);

impl Rest {
    pub fn set(&self, rests: bool) {
        *self.0.0.lock().unwrap() = rests;
        self.0.1.notify_all();
    }

    pub fn is_set(&self) -> bool {
        *self.0.0.lock().unwrap()
    }

    /// Waits for long, or until the client is at rest.
    pub fn hang(&self) {
        let rests = self.0.0.lock().unwrap();
        drop(self.0.1.wait_timeout_while(rests, HANGING, |rests| !*rests).unwrap());
    }
}

/// Numbers from a seed, for any thread.
pub struct Rolls(Mutex<Dice>);

impl Rolls {
    pub fn new(seed: u64) -> Arc<Rolls> {
        Arc::new(Rolls(Mutex::new(Dice::new(seed))))
    }

    pub fn below(&self, end: u64) -> u64 {
        self.0.lock().unwrap().below(end)
    }
}

/// The peers of one torrent.
pub struct Crowd {
    pub peers: Vec<Peer>,
}

impl Crowd {
    pub fn start(torrent: &Arc<Torrent>, rolls: &Arc<Rolls>, rest: &Rest) -> Crowd {
        let honest = Peer::start(torrent, |talk| {
            let size = info(&talk.torrent).len() as u64;
            extension::lend(talk, size, lend_rightly)
        });
        let (dice, resting, friend) = (rolls.clone(), rest.clone(), honest.address);
        let moody = Peer::start(torrent, move |talk| mood(talk, dice.below(11), &dice, &resting, friend));
        let liar = Peer::start(torrent, |talk| {
            talk.answer([0; 8])?;
            talk.open_up()?;
            loop {
                let block = talk.next_request()?;
                talk.send_payload(block, &vec![0xbd; block.length as usize])?;
            }
        });
        Crowd { peers: vec![honest, moody, liar] }
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.peers.iter().map(|peer| peer.address).collect()
    }

    pub fn met(&self) -> u64 {
        self.peers.iter().map(|peer| u64::from(peer.connections())).sum()
    }
}

/// One conversation in one of the moods that peers have.
fn mood(talk: &mut Talk, mood: u64, rolls: &Rolls, rest: &Rest, friend: SocketAddr) -> io::Result<()> {
    match mood {
        // Before there is a conversation.
        0 => rest.hang(),
        1 => {
            talk.raw(b"\x13BitTorrent prot")?;
            rest.hang();
        }
        2 => talk.raw(b"GET / HTTP/1.0\r\n\r\n")?,
        // It begins, and nothing comes of it.
        3 => {
            talk.answer([0; 8])?;
            rest.hang();
        }
        4 => {
            talk.answer([0; 8])?;
            talk.open_up()?;
            talk.next_request()?;
            talk.raw(&[&(9 + BLOCK).to_be_bytes()[..], &[7], &[0; 5000]].concat())?;
            if rolls.below(2) == 0 {
                rest.hang();
            }
            talk.leave_unread()?;
        }
        5 => {
            talk.answer([0; 8])?;
            talk.raw(&[0, 255, 255, 255, 0])?;
        }
        // Some of it is served.
        6 | 7 => {
            talk.answer([0; 8])?;
            talk.open_up()?;
            for _ in 0..rolls.below(20) {
                let block = talk.next_request()?;
                talk.send_block(block)?;
                if mood == 7 {
                    talk.send(CHOKE, &[])?;
                    talk.send(HAVE, &block.piece.to_be_bytes())?;
                    talk.send(UNCHOKE, &[])?;
                }
            }
        }
        8 => {
            talk.answer([0; 8])?;
            talk.open_up()?;
            while !rest.is_set() {
                let block = talk.next_request()?;
                std::thread::sleep(Duration::from_millis(20));
                talk.send_block(block)?;
            }
        }
        // It names others.
        9 => {
            extension::answer(talk)?;
            let added = [compact(friend), compact(([127, 0, 9, 1], 9).into())].concat();
            talk.raw(&extension::message(extension::PEX, dict([("added", bytes(added))]).encode()))?;
            talk.open_up()?;
            talk.serve()?;
        }
        _ => {
            talk.answer([0; 8])?;
            talk.open_up()?;
            talk.serve()?;
        }
    }
    Ok(())
}

/// A leecher that dials for a seeded torrent and compares what it gets.
pub fn call(torrent: &Arc<Torrent>, client: SocketAddr, mood: u64, rest: &Rest, fetched: &AtomicU64) {
    let patience = Duration::from_secs(5);
    let called = || -> io::Result<()> {
        match mood {
            0 => {
                let mut talk = leecher::call(torrent, client, patience)?;
                talk.raw(b"\x13BitTorrent")?;
                rest.hang();
            }
            1 => {
                let mut talk = leecher::call(torrent, client, patience)?;
                talk.send_handshake([0; 8])?;
                talk.send(INTERESTED, &[])?;
                rest.hang();
            }
            2 => leecher::call(torrent, client, patience)?.raw(&[0xff; 500])?,
            _ => {
                let got = leecher::fetch(torrent, client, patience)?;
                assert!(got == torrent.data, "what was served of {} is wrong", torrent.name);
                fetched.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    };
    // The torrent may be removed at any moment.
    let _ = called();
}
