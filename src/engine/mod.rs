//! Threads, and every message that crosses between them.
//!
//! | thread | one a | waits for | sends to |
//! |---|---|---|---|
//! | [`listener`] | client | connections | a fresh [`peer`] thread |
//! | [`disk`] | client | blocks | foreman |
//! | [`torrent`] (the foreman) | torrent | reports, verdicts, trackers, commands | workers (tried, never waited for) |
//! | [`announce`] | torrent | its schedule | foreman |
//! | [`dht`] | client | packets, what torrents want, its nodes' deadlines | foreman (tried, never waited for) |
//! | [`dht`]'s readers | UDP socket | packets | [`dht`] (tried) |
//! | [`peer`] (the worker) | connection | orders, deadlines | foreman, the socket |
//! | [`lsd`] | client | the local network, torrents | foreman |
//! | [`reader`] | connection | the socket | disk, foreman, the socket |
//! | [`metadata`] (one reads, one writes) | connection before there is metadata | the socket, the foreman | foreman, the socket |
//! | [`outbox`] (the uploader) | connection being served | the outbox | the socket |
//!
//! The reader and the worker of a connection share its conversation ([`talk`]). Everything that
//! decides is pure and lives a floor below; here are only waits and messages.

pub(crate) mod announce;
pub(crate) mod blocks;
pub(crate) mod calls;
pub(crate) mod check;
pub(crate) mod clock;
pub(crate) mod courier;
pub(crate) mod dht;
pub(crate) mod dial;
pub(crate) mod disk;
pub(crate) mod door;
pub(crate) mod events;
pub(crate) mod external;
mod families;
pub(crate) mod handshakes;
pub(crate) mod http;
mod introduction;
pub(crate) mod journal;
pub(crate) mod ledger;
pub(crate) mod limiter;
pub(crate) mod listener;
#[cfg_attr(not(feature = "sys"), path = "lsd/absent.rs")]
pub(crate) mod lsd;
pub(crate) mod mailbox;
pub(crate) mod messages;
pub(crate) mod metadata;
pub(crate) mod named_peers;
mod names;
pub(crate) mod outbox;
pub(crate) mod parked;
pub(crate) mod patience;
pub(crate) mod peer;
pub(crate) mod reader;
#[cfg(feature = "https")]
mod roots;
mod talk;
pub(crate) mod threads;
pub(crate) mod torrent;
#[cfg(feature = "tracker-server")]
pub(crate) mod tracker_server;
mod udp_tracker;
