//! HTTP: the client of trackers and `.torrent` files, and the server below the embedded tracker.

mod agent;
pub(crate) mod client;
pub(crate) mod connect;
#[cfg(any(feature = "daemon", feature = "tracker-server"))]
pub(crate) mod connections;
pub(crate) mod cookies;
pub(crate) mod encoding;
pub(crate) mod fetch;
pub(crate) mod location;
#[cfg(any(feature = "daemon", feature = "tracker-server"))]
pub(crate) mod requests;
#[cfg(any(feature = "daemon", feature = "tracker-server"))]
pub(crate) mod response;
#[cfg(feature = "https")]
pub(crate) mod roots;
#[cfg(any(feature = "daemon", feature = "tracker-server"))]
pub(crate) mod server;
