//! What all that connects or listens is built on: accepting, waking a thread out of its socket, host names,
//! and the BitTorrent handshake.
//!
//! Nothing here knows a torrent.

pub(crate) mod accept;
mod bounded;
#[cfg_attr(not(feature = "sys"), path = "device/absent.rs")]
pub(crate) mod device;
pub(crate) mod egress;
pub(crate) mod handshake;
pub(crate) mod handshakes;
pub mod interfaces;
pub(crate) mod names;
pub(crate) mod proxy_route;
pub(crate) mod relay;
mod stand_ins;
pub(crate) mod told_ports;
pub(crate) mod wake;
