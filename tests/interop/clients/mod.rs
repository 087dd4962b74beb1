//! The programs, all by the same words: what each is to do, where, and by which ways it finds peers.

mod aria2;
mod libtorrent;
mod transmission;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};

pub use aria2::Aria2;
pub use libtorrent::Libtorrent;
pub use transmission::Transmission;

use crate::network::{Share, TestNetwork};

/// A program that speaks BitTorrent.
pub trait Client: Sync {
    fn name(&self) -> &'static str;
    /// Does one thing with one torrent, at an address of its own.
    fn start(&self, network: &TestNetwork, task: &Task) -> Box<dyn Running>;
}

/// One of the others: it does all that it has to with several torrents at once.
pub trait Stranger: Client {
    /// Seeds all of these; the tracker tells when it is ready.
    fn seed(&self, network: &TestNetwork, shares: &[&Share]) -> Vec<Box<dyn Running>>;
    /// Downloads all of these from the peers the tracker names.
    fn download(&self, network: &TestNetwork, shares: &[&Share]) -> Box<dyn Running>;
}

/// A program at work.
pub trait Running {
    /// Waits until it says that it has all of this; where its files are then.
    fn wait_complete(&mut self, share: &Share) -> Result<PathBuf, String>;
    /// What it said, for a failure's sake: the end of it.
    fn said(&self) -> String;
}

/// One thing to do with one torrent.
pub struct Task<'a> {
    pub share: &'a Share,
    pub role: Role,
    /// Where it listens, and the address it calls from.
    pub at: SocketAddr,
    pub ways: Ways,
}

pub enum Role {
    /// Has everything.
    Seed,
    /// Downloads by this: a `.torrent`, a magnet link, the URL of a `.torrent` where it takes those.
    Leech(String),
}

/// How a program finds peers besides the trackers that the torrent names.
#[derive(Default, Clone, Copy)]
pub struct Ways {
    /// A node of the DHT to begin with.
    pub dht: Option<SocketAddr>,
    pub pex: bool,
    pub lsd: bool,
}

impl<'a> Task<'a> {
    pub fn seed(share: &'a Share, at: SocketAddr) -> Task<'a> {
        Task { share, role: Role::Seed, at, ways: Ways::default() }
    }

    pub fn leech(share: &'a Share, at: SocketAddr, word: impl Into<String>) -> Task<'a> {
        Task { share, role: Role::Leech(word.into()), at, ways: Ways::default() }
    }

    pub fn by(self, ways: Ways) -> Task<'a> {
        Task { ways, ..self }
    }

    /// Where its files lie or are to lie; they lie there already if it is to seed them.
    pub fn dir(&self, network: &TestNetwork) -> PathBuf {
        match self.role {
            Role::Seed => self.share.data.clone(),
            Role::Leech(_) => network.scratch.dir(&format!("got-{}", self.at.port())),
        }
    }

    /// What it is told to do it with.
    pub fn word(&self) -> String {
        match &self.role {
            Role::Seed => self.share.file.to_str().unwrap().to_owned(),
            Role::Leech(word) => word.clone(),
        }
    }
}

/// A port of its own, below those that the kernel gives out.
pub fn next_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The address with a port of its own.
pub fn at(ip: IpAddr) -> SocketAddr {
    SocketAddr::new(ip, next_port())
}

/// The end of what a program said.
pub fn tail(name: &str, said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    format!("--- {name}\n{}\n", lines[lines.len().saturating_sub(25)..].join("\n"))
}
