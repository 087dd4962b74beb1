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
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let bytes = std::fs::read("debian.torrent")?;
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
//! # The API
//!
//! - Run torrents: [`Client`], [`Torrent`], [`Events`].
//! - Settings: [`Config`], [`TorrentConfig`], [`FileSelector`], [`AddressFilter`], [`Budget`].
//! - What is reported: [`Event`], [`EventKind`], [`Progress`], [`PeerSnapshot`], [`DhtStatus`].
//! - Torrents and links: [`Metainfo`], [`Magnet`], [`InfoHash`]; [`metainfo`] makes and edits them.
//! - Trackers: [`scrape`], `TrackerServer`.
//!
//! The [`manual`] has a guide to embedding and the design: floors of modules, the life of a block with
//! its costs, how far it scales, and what is promised.
//!
//! # Features
//!
//! `https` (on by default): HTTPS trackers. `fast-sha1` (on by default): SHA-1 with the
//! processor's own instructions. `sys`: Linux system calls that std does not offer (preallocation, binding
//! outgoing connections). `portmap`: port mapping. `tracker-server`: the embedded tracker. `daemon`: the
//! session that other programs drive over RPC. `cli`: the program.
//! With `--no-default-features` only what embedding needs is built.
#![deny(missing_docs)]
// Not `forbid`: that could not be lifted for one file, and a C interface cannot do without. Until there is
// one, `tests/floors.rs` finds no unsafe code in any file.
#![deny(unsafe_code)]

// Floor 1, ground.
mod base64;
mod bencode;
mod bitfield;
mod crypto;
mod digest;
mod error;
mod id;
#[cfg(any(feature = "cli", feature = "daemon"))]
mod json;
mod limit;
mod lock;
pub mod manual;
mod moment;
mod network;
mod pieces;
mod random;
mod rate;
mod secrets;
mod setters;
mod sorted;
mod stand_in;
mod transport;
mod version;
mod violation;

// Floor 2, forms.
mod budget;
mod config;
mod event;
mod filter;
mod job;
pub mod metainfo;
mod orders;
mod percent;
mod proxy;
mod snapshot;
mod tracker;
mod web_proxies;
mod wire;

// Floor 3, minds.
mod dht;
mod host;
mod peer;
#[cfg(feature = "portmap")]
mod portmap;
mod storage;
mod swarm;
mod torrent;

// Floor 4, hands.
mod engine;

// Floor 5, the door.
mod client;
#[cfg(feature = "tracker-server")]
mod tracker_server;

// Floor 6, a face; the program is another.
#[cfg(feature = "daemon")]
mod daemon;

pub use budget::{Budget, TorrentShare};
pub use client::events;
pub use client::{Client, Events, RecvError, RecvTimeoutError, Torrent, TryRecvError};
pub use config::{
    Allocation, Config, DHT_ROUTERS, Existing, FileSelector, Priority, SeedLimits, TorrentConfig,
};
pub use crypto::{Encryption, EncryptionPolicy};
pub use engine::http::fetch::{Fetched, fetch_torrent};
pub use engine::tracker::client::scrape;
pub use error::{Error, ErrorKind, Result};
pub use event::{DhtStatus, Event, EventKind, PortMapMethod, PortMapStatus, PortMapping, SeedLimit};
pub use filter::{AddressFilter, Blocklist};
pub use host::active_queue::QueueMove;
pub use id::{InfoHash, PeerId};
#[doc(inline)]
pub use metainfo::{Magnet, Metainfo};
pub use pieces::{BlockRef, Pieces};
pub use proxy::{Proxy, ProxyKind};
pub use secrets::mask_secrets;
pub use snapshot::{
    Failure, FileSnapshot, LastAnnounce, PeerSnapshot, PeerSource, PeersBySource, Phase, PiecesSnapshot,
    Progress, TrackerSnapshot, TrackerState,
};
pub use tracker::{Event as AnnounceEvent, ScrapeEntry};
#[cfg(feature = "tracker-server")]
pub use tracker_server::{Announced, TrackerServer, TrackerServerConfig, TrackerStats};
pub use violation::{DisconnectReason, Violation};
pub use web_proxies::WebProxies;

/// Modules below the API, open to this package's own tests, simulator, fuzz targets and command line.
///
/// It is no part of the API: anything in it changes or goes in any release.
#[doc(hidden)]
pub mod internals {
    pub use crate::engine::net::interfaces;
    pub use crate::engine::runtime::have_log;

    macro_rules! open {
        ($($room:ident)*) => { $(pub mod $room { pub use crate::$room::*; })* };
    }
    open! {
        bencode bitfield crypto digest id limit lock moment pieces random transport version
        job orders tracker wire
        dht host peer storage swarm torrent
    }
    #[cfg(feature = "portmap")]
    pub mod portmap {
        pub use crate::portmap::*;
    }
    #[cfg(any(feature = "cli", feature = "daemon"))]
    pub mod json {
        pub use crate::json::*;
    }
    #[cfg(feature = "daemon")]
    pub mod base64 {
        pub use crate::base64::*;
    }
    #[cfg(feature = "daemon")]
    pub mod daemon {
        pub use crate::daemon::*;
    }
}

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    /// Every public type can be printed, moved to another thread and shared between threads.
    #[test]
    fn public_types_are_debug_send_and_sync() {
        fn holds<T: Debug + Send + Sync + 'static>() {}
        macro_rules! hold { ($($type:ty)*) => { $(holds::<$type>();)* }; }
        hold! { Client Torrent Events events::Iter<'static> events::IntoIter RecvError RecvTimeoutError TryRecvError }
        hold! { Encryption EncryptionPolicy }
        hold! { Proxy ProxyKind WebProxies Config TorrentConfig FileSelector AddressFilter Blocklist Budget TorrentShare Allocation Existing Priority SeedLimits QueueMove Error ErrorKind }
        hold! { Event EventKind DhtStatus SeedLimit DisconnectReason Violation }
        hold! { Phase Progress Failure PeerSnapshot PeerSource PeersBySource PiecesSnapshot FileSnapshot TrackerSnapshot TrackerState LastAnnounce }
        hold! { PortMapStatus PortMapping PortMapMethod }
        hold! { InfoHash PeerId Pieces BlockRef Metainfo Magnet Fetched ScrapeEntry AnnounceEvent }
        hold! { metainfo::build::Torrent metainfo::build::Content metainfo::build::Entry metainfo::edit::Edit metainfo::edit::Edited }
        #[cfg(feature = "tracker-server")]
        hold! { TrackerServer TrackerServerConfig TrackerStats Announced }
    }
}
