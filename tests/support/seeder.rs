//! An honest seeder that keeps books: which bytes it served of which piece, and which pieces it was
//! told are there (`have`). It can be held to a rate, and held back until a latch opens.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::content::Torrent;
use super::latch::Latch;
use super::peer::{BITFIELD, Block, HAVE, Peer, REQUEST, Talk, UNCHOKE};

/// How a seeder behaves.
#[derive(Clone, Default)]
pub struct Manner {
    /// Bytes a second over all connections; nothing is no limit.
    pub rate: Option<u64>,
    /// It unchokes no peer before this opens.
    pub gate: Option<Latch>,
}

pub struct Seeder {
    peer: Peer,
    books: Arc<Mutex<Books>>,
}

/// What it served and heard.
#[derive(Default)]
pub struct Books {
    /// Every block served, in order.
    pub served: Vec<Block>,
    /// Where each connection came from.
    pub callers: Vec<SocketAddr>,
    /// Pieces it was told are there.
    pub announced: HashSet<u32>,
    /// When the next block may leave, at a limited rate.
    next: Option<Instant>,
}

impl Seeder {
    pub fn start(torrent: &Arc<Torrent>, manner: Manner) -> Seeder {
        let books = Arc::new(Mutex::new(Books::default()));
        let kept = books.clone();
        let peer = Peer::start(torrent, move |talk| attend(talk, &manner, &kept));
        Seeder { peer, books }
    }

    pub fn address(&self) -> SocketAddr {
        self.peer.address
    }

    #[allow(dead_code)] // The long suites use it.
    pub fn connections(&self) -> u32 {
        self.peer.connections()
    }

    /// Looks into the books.
    pub fn books<T>(&self, look: impl FnOnce(&Books) -> T) -> T {
        look(&self.books.lock().unwrap())
    }

    /// Waits until the books show what is wanted; false where that took longer than `patience`.
    #[allow(dead_code)] // The long suites use it.
    pub fn wait(&self, patience: Duration, ready: impl Fn(&Books) -> bool) -> bool {
        let end = Instant::now() + patience;
        loop {
            if self.books(&ready) {
                return true;
            }
            if Instant::now() > end {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Bytes served so far.
    pub fn served(&self) -> u64 {
        self.books(|books| books.served.iter().map(|block| u64::from(block.length)).sum())
    }
}

fn attend(talk: &mut Talk, manner: &Manner, books: &Mutex<Books>) -> io::Result<()> {
    talk.answer([0; 8])?;
    books.lock().unwrap().callers.push(talk.remote()?);
    let bitfield = talk.torrent.full_bitfield();
    talk.send(BITFIELD, &bitfield)?;
    if let Some(gate) = &manner.gate {
        gate.wait(Duration::from_secs(60));
    }
    talk.send(UNCHOKE, &[])?;
    loop {
        match talk.read()? {
            Some((REQUEST, body)) => {
                let block = Block::parse(&body).ok_or_else(|| io::Error::other("bad request"))?;
                if let Some(rate) = manner.rate {
                    await_turn(books, rate, block.length);
                }
                books.lock().unwrap().served.push(block);
                talk.send_block(block)?;
            }
            Some((HAVE, body)) => {
                let piece = u32::from_be_bytes(body.try_into().map_err(|_| io::ErrorKind::InvalidData)?);
                books.lock().unwrap().announced.insert(piece);
            }
            _ => {}
        }
    }
}

/// Holds a block back until the rate allows it: the one place where waiting is what is asked for.
fn await_turn(books: &Mutex<Books>, rate: u64, length: u32) {
    let turn = {
        let mut books = books.lock().unwrap();
        let turn = books.next.unwrap_or_else(Instant::now).max(Instant::now());
        books.next = Some(turn + Duration::from_secs_f64(f64::from(length) / rate as f64));
        turn
    };
    std::thread::sleep(turn.saturating_duration_since(Instant::now()));
}
