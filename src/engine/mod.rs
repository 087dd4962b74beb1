//! Threads, and every message that crosses between them.
//!
//! | thread | one a | waits for | sends to |
//! |---|---|---|---|
//! | [`net::listener`] | client | connections | a [`conn::worker`] thread |
//! | [`disk::writer`] | client | blocks | foreman |
//! | [`torrent`] (the foreman) | torrent | reports, verdicts, trackers, commands | workers (tried, never waited for) |
//! | [`tracker::thread`] | client | its schedule | foreman |
//! | [`discovery::dht`] | client | packets, what torrents want, its nodes' deadlines | foreman (tried, never waited for) |
//! | [`udp::sockets`] | UDP socket | packets | [`discovery::dht`] (tried) |
//! | [`conn::worker`] | connection | orders, deadlines | foreman, the socket |
//! | [`discovery::lsd`] | client | the local network, torrents | foreman |
//! | [`conn::reader`] | connection | the socket | disk, foreman, the socket |
//! | [`conn::metadata`] (one reads, one writes) | connection before there is metadata | the socket, the foreman | foreman, the socket |
//! | [`conn::uploader`] | connection being served | the send queue | the socket |
//!
//! The reader and the worker of a connection share its conversation ([`conn::conversation`]). Everything that
//! decides is pure and lives a floor below; here are only waits and messages.

pub(crate) mod calls;
pub(crate) mod conn;
pub(crate) mod context;
pub(crate) mod discovery;
pub(crate) mod disk;
pub(crate) mod door;
pub(crate) mod http;
pub(crate) mod inbox;
pub(crate) mod metadata;
pub(crate) mod net;
pub(crate) mod runtime;
pub(crate) mod torrent;
pub(crate) mod torrent_status;
pub(crate) mod tracker;
pub(crate) mod udp;
