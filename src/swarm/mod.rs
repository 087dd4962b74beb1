//! One torrent's decisions: which blocks to ask of whom ([`picker`]), which addresses to call
//! ([`peers`]), whom to serve ([`choker`]), what to show them ([`superseed`]), whom to tell about whom
//! ([`pex`]), which connections it lets in ([`admission`]), and where to get the info dictionary of a magnet link ([`metadata`]). Also what torrents
//! have to share: turns ([`active_queue`](crate::host::active_queue)) and places ([`quota`](crate::host::quota)).
//!
//! Pure: reports and the time come in, decisions go out. Nothing here reads a clock, opens a socket
//! or waits; the torrent thread owns it all and needs no lock.

pub mod admission;
pub mod choker;
pub mod duplicates;
pub mod metadata;
pub mod peers;
pub mod pex;
pub mod picker;
pub mod superseed;
