//! A small BitTorrent client and library for Linux: blocking sockets, a pair of threads per peer,
//! no async runtime, a handful of dependencies. It runs on routers, NAS boxes and Raspberry Pis,
//! and embeds into installers.
//!
//! # A first program
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use bitwren::{Client, Config, EventKind, Metainfo, RecvTimeoutError, TorrentConfig};
//!
//! fn main() -> bitwren::Result<()> {
//!     let bytes = std::fs::read("debian.torrent").expect("the file exists");
//!     let metainfo = Arc::new(Metainfo::from_bytes(&bytes)?);
//!
//!     let client = Client::start(Config::default())?;
//!     let events = client.events();
//!     let torrent = client.add(metainfo, TorrentConfig::default().dir("downloads").seed(false))?;
//!     loop {
//!         match events.recv_timeout(Duration::from_secs(1)).map(|event| event.what) {
//!             Ok(EventKind::Finished { took }) => break println!("done in {took:?}"),
//!             Ok(EventKind::Failed { why, .. }) => break eprintln!("{why}"),
//!             Ok(_) | Err(RecvTimeoutError::Timeout) => {
//!                 println!("{} bytes/s", torrent.progress().down_rate);
//!             }
//!             Err(_) => break,
//!         }
//!     }
//!     client.shutdown();
//!     Ok(())
//! }
//! ```
//!
//! [`Client`], [`Torrent`] and [`Events`] are all that an embedder needs; [`Config`] and
//! [`TorrentConfig`] hold the settings. The library never prints, never installs a signal handler and
//! never exits. An error has a [kind](ErrorKind) for programs and a line of text for people.
//!
//! # The house
//!
//! Imports go down only. A floor never names a floor above it, and a test holds the house to that.
//!
//! | floor | rooms | do |
//! |---|---|---|
//! | 6 face | `main.rs`, `cli` | the command line: `args`, `commands`, `run`, `files`, `output`; uses what is public |
//! | 5 doors | [`Client`], [`Torrent`], [`Events`]; `tracker_server` | the embedding API; the embedded tracker |
//! | 4 hands | `engine` | one folder for each family of threads: `runtime`, `net`, `conn`, `disk`, `tracker`, `discovery`, `http`, `udp`; and the thread of a torrent |
//! | 3 minds | `torrent` | everything that one torrent decides, with the minds below; pure |
//! | | `peer` | one conversation: session, request pipeline, upload queue; pure |
//! | | `swarm` | the parts of a torrent's decisions: picker, choker, peer list, peer exchange; pure |
//! | | `dht` | one node of the DHT: routing table, lookups, what others announced; pure |
//! | | `host` | what all torrents of a client share: quotas, the active queue, the schedule of local discovery, the external address; pure |
//! | | `storage` | files, assembly, resume, verify: the only mind that touches a disk |
//! | 2 forms | `wire`, `metainfo`, `tracker`, `job`, `orders`, `event`, `config`, `budget` | formats and plain values |
//! | 1 ground | `bencode`, `pieces`, `id`, `bitfield`, `digest`, `limit`, `moment`, `network`, `random`, `sorted`, `error`, `violation`, `transport` | what everything stands on |
//!
//! Floors 1 to 3 know no socket, no thread and no clock (`storage` and `transport` apart): time
//! and randomness come in as arguments, so that every decision can be tested in virtual time, from
//! a seed. `peer`, `swarm` and `storage` never import one another; they meet in `job`.
//!
//! # The life of a block
//!
//! Two threads share each conversation (`peer::session`): the *reader* takes in what the peer says
//! and answers it, the *worker* carries out orders and minds the deadlines. When the conversation
//! could ask for more it tells the torrent's *foreman* that it is hungry for so many blocks. The
//! foreman answers, now or when there is something, with a `job::PieceJob`: a claim on a range of
//! blocks of a piece that this peer has, rarest first. Block after block is taken from the front of
//! the claim and requested, as many at once as the measured rate and round trip of that peer call for
//! (`peer::pipeline`). When others have nothing left to do, the foreman cuts from the back of
//! the claim and gives the rest to them: no message, no lock, no block asked for twice.
//!
//! The block arrives. The reader reads the header and then the payload straight into a buffer of a
//! bounded pool, up to eight consecutive blocks in one (`wire::frame::FrameReader`): one system call
//! a block, at line rate one for eight, and no copy. It strikes it off the list, wins it
//! (`job::OpenPiece::receive`; where two were asked for the same block, the first wins), hands the
//! buffer to the *disk* thread and sends what the conversation asks for next. The worker sleeps through
//! all of this.
//!
//! The disk thread writes it where it belongs at once, runs SHA-1 over it if it continues the
//! piece's hashed front (`storage::assembly`), and the buffer goes back to the pool. When the
//! last block of the piece is there the verdict goes to the foreman. Right: the piece is noted in
//! a journal that every conversation reads on from where it was, and tells its peer `have`. Wrong: who
//! delivered it is known, and a liar is banned.
//!
//! Costs: one buffer's worth of memory while it passes, one read, one write, one pass of SHA-1,
//! and at line rate an eighth of a message a block from thread to thread. When the disk is slow
//! the pool runs dry, readers stop, sockets fill, and TCP tells the peers.
//!
//! # How far it goes
//!
//! A pair of threads a peer is not free, and past some number of peers it is the wrong shape. What it
//! costs, of the release build with glibc on two cores, 384 MiB (24,576 blocks) at 40 MB/s in all, from
//! ever more peers, each 20 ms away:
//!
//! | peers | time | peak RSS | threads | context switches | CPU |
//! |---|---|---|---|---|---|
//! | 10 | 10.1 s | 6.5 MiB | 29 | 34,000 | 0.8 s |
//! | 100 | 10.6 s | 11 MiB | 209 | 49,000 | 1.2 s |
//! | 300 | 10.9 s | 20 MiB | 609 | 56,000 | 1.4 s |
//! | 1,000 | 14.4 s | 48 MiB | 2,009 | 92,000 | 2.3 s |
//!
//! So a peer costs 42 KiB, most of it the touched pages of its stacks (8 KiB each in the median with musl,
//! 12 with glibc), and a block one and a half to four switches of context. A torrent costs a thread and 35
//! KiB. What the picker takes of it `make curve` shows: less than a microsecond a block while there is
//! anything to begin, some microseconds in the endgame of hundreds of unequal peers. From there:
//!
//! - *1,000 peers* are the bound of this shape: the memory is that of one browser tab's picture, and the
//!   processor waits. Some 130 are called a second, so that it takes eight seconds until all are there:
//!   most of what 14 seconds are more than 10.
//! - *10,000 torrents* are not: 10,000 foremen sleep in 350 MiB and as many threads. Torrents nobody
//!   asks for would have to share one foreman, as they share one announcer and one checker already;
//!   the foreman has no state but its own, so that a pool of a few threads can run any number of them.
//! - *10 Gbit/s* are 1.25 GB/s: two thirds of a core for SHA-1 alone at 1.9 GB/s, and receiving and the page
//!   cache cost about one CPU second a GiB on top. A single disk thread is then the bound: one writer a
//!   torrent, or hashing on the readers, comes before any other way of waiting for sockets.
//!
//! # What is promised
//!
//! - Memory is bounded by construction; there is no buffer that grows with the piece length. One number
//!   ([`Config::max_memory`]) sets all the bounds.
//! - A byte once verified is never written again. The resume state claims a piece only after its
//!   bytes were synced.
//! - What a peer does wrong is data with a name (`violation::Violation`), not an error of the torrent.
//! - Every length from the network is checked before anything is allocated for it.
//! - No thread waits for good: every wait has a deadline, or ends when its counterpart hangs up.
//! - A client ends within a second, whatever hangs: peers, trackers, names, the disk.
//!
//! # Features
//!
//! `https` (on by default): HTTPS trackers. `fast-sha1` (on by default): SHA-1 with the
//! processor's own instructions. `sys`: what std cannot ask of Linux (preallocation, binding
//! outgoing connections). `tracker-server`: the embedded tracker. `cli`: the program.
//! With `--no-default-features` only what embedding needs is built.
#![deny(missing_docs)]
// Not `forbid`: that could not be lifted for one file, and a C interface cannot do without. Until there is
// one, `tests/it/floors.rs` finds no unsafe code in any file.
#![deny(unsafe_code)]

// Floor 1, ground.
mod bencode;
mod bitfield;
mod digest;
mod error;
mod id;
mod limit;
mod moment;
mod network;
mod pieces;
mod random;
mod secrets;
mod sorted;
mod transport;
mod violation;

// Floor 2, forms.
mod budget;
mod config;
mod event;
mod job;
pub mod metainfo;
mod orders;
mod tracker;
mod wire;

// Floor 3, minds.
mod dht;
mod host;
mod peer;
mod storage;
mod swarm;
mod torrent;

// Floor 4, hands.
mod engine;

// Floor 5, the door.
mod client;
#[cfg(feature = "tracker-server")]
mod tracker_server;

pub use budget::{Budget, TorrentShare};
pub use client::{
    Client, Events, EventsIntoIter, EventsIter, RecvError, RecvTimeoutError, Torrent, TryRecvError,
};
pub use config::{Allocation, Config, DHT_ROUTERS, Existing, FileSelector, TorrentConfig};
pub use engine::http::fetch::{Fetched, fetch_torrent};
pub use engine::tracker::client::scrape;
pub use error::{Error, ErrorKind, Result};
pub use event::{DhtStatus, Event, EventKind, PeerSnapshot, Phase, Progress, SeedLimit};
pub use id::{InfoHash, PeerId};
#[doc(inline)]
pub use metainfo::{Magnet, Metainfo};
pub use pieces::{BlockRef, Pieces};
pub use secrets::mask_secrets;
pub use tracker::{Event as AnnounceEvent, ScrapeEntry};
#[cfg(feature = "tracker-server")]
pub use tracker_server::{Announced, TrackerServer, TrackerServerConfig, TrackerStats};
pub use violation::{DisconnectReason, Violation};

/// What lies below the API, open to this package's own tests, simulator, fuzz targets and command line.
///
/// It is no part of the API: anything in it changes or goes in any release.
#[doc(hidden)]
pub mod internals {
    macro_rules! open {
        ($($room:ident)*) => { $(pub mod $room { pub use crate::$room::*; })* };
    }
    open! {
        bencode bitfield digest limit moment pieces random transport
        job orders tracker wire
        dht host peer storage swarm torrent
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    /// Every public type can be printed, moved to another thread and shared between threads.
    #[test]
    fn public_types_are_debug_send_and_sync() {
        fn holds<T: Debug + Send + Sync + 'static>() {}
        macro_rules! hold { ($($type:ty)*) => { $(holds::<$type>();)* }; }
        hold! { Client Torrent Events EventsIter<'static> EventsIntoIter RecvError RecvTimeoutError TryRecvError }
        hold! { Config TorrentConfig FileSelector Budget TorrentShare Allocation Existing Error ErrorKind }
        hold! { Event EventKind Phase Progress PeerSnapshot DhtStatus SeedLimit DisconnectReason Violation }
        hold! { InfoHash PeerId Pieces BlockRef Metainfo Magnet Fetched ScrapeEntry AnnounceEvent }
        hold! { metainfo::build::Torrent metainfo::build::Content metainfo::edit::Edit metainfo::edit::Edited }
        #[cfg(feature = "tracker-server")]
        hold! { TrackerServer TrackerServerConfig TrackerStats Announced }
    }
}
