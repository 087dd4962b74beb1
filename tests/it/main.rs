//! Every fast test through the library's public surface or the built binary, as one program: it is compiled
//! and linked once, and its tests share the cores.
//!
//! A module is a subject: `cargo test --test it cli::` runs those of one. What a test counts or changes of its
//! own process (threads, memory, environment) is everybody's here: such a test runs itself once more in a
//! process of its own (`support::alone`). What takes long or needs root or other programs is a target of its
//! own (`Cargo.toml`).

#[path = "../support/mod.rs"]
// Without these features some of the modules that use it are not there.
#[cfg_attr(not(all(feature = "cli", feature = "sys", feature = "tracker-server")), allow(dead_code))]
mod support;

mod bencode;
mod choker;
mod choreography;
#[cfg(feature = "cli")]
mod cli;
#[cfg(feature = "cli")]
mod completions;
#[cfg(feature = "cli")]
mod create;
#[cfg(feature = "cli")]
mod daemon;
#[cfg(feature = "cli")]
mod device;
mod dht;
#[cfg(feature = "tracker-server")]
mod door;
mod download;
#[cfg(feature = "cli")]
mod edit;
mod encryption;
mod exchange;
#[cfg(feature = "cli")]
mod filter;
#[cfg(feature = "cli")]
mod hostile;
#[cfg(feature = "sys")]
mod lsd;
#[cfg(feature = "cli")]
mod magnet;
mod many;
#[cfg(feature = "cli")]
mod memory;
mod metainfo;
#[cfg(feature = "cli")]
mod outputs;
mod owners;
mod picker;
#[cfg(feature = "cli")]
mod proxy;
#[cfg(all(feature = "daemon", feature = "tracker-server"))]
mod replay;
#[cfg(all(feature = "daemon", feature = "tracker-server"))]
mod rpc;
mod seed_limits;
mod session;
#[cfg(feature = "cli")]
mod share;
mod shutdown;
#[cfg(feature = "cli")]
mod sources;
mod storage;
mod superseed;
#[cfg(feature = "tracker-server")]
#[path = "../examples/surface.rs"]
mod surface;
mod swarm;
mod tracker;
#[cfg(feature = "tracker-server")]
mod tracker_server;
mod wire;
