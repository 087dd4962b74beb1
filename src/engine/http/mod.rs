//! HTTP: the client of trackers and `.torrent` files, and what the tracker server needs of a server.

pub(crate) mod client;
pub(crate) mod connect;
#[cfg(feature = "tracker-server")]
pub(crate) mod connections;
pub(crate) mod cookies;
pub(crate) mod encoding;
pub(crate) mod fetch;
pub(crate) mod location;
#[cfg(feature = "https")]
pub(crate) mod roots;
