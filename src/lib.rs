//! A small BitTorrent client and library for Linux: blocking sockets, a pair of threads per peer,
//! no async runtime, a handful of dependencies.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

// Floor 1, ground.
pub mod bencode;
pub mod bitfield;
pub mod digest;
pub mod error;
pub mod id;
pub mod limit;
pub mod moment;
pub mod pieces;
pub mod random;
pub mod transport;

// Floor 2, forms.
pub mod config;
pub mod event;
pub mod job;
pub mod metainfo;
pub mod tracker;
pub mod wire;

// Floor 3, minds.
pub mod peer;
pub mod storage;
pub mod swarm;

pub use config::{Allocation, Config, Existing, TorrentConfig};
pub use error::{Error, ErrorKind, Result};
pub use event::{Event, Happening, PeerSnapshot, Phase, Progress, SeedLimit};
pub use id::InfoHash;
pub use metainfo::Metainfo;
pub use tracker::ScrapeEntry;
