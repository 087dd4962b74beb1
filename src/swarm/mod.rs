//! One torrent's decisions: which blocks to request from which peer ([`picker`]), which addresses to connect
//! to ([`peers`]), which peers to unchoke ([`choker`]), which pieces to show them ([`superseed`]), which
//! addresses to tell them ([`pex`]), which connections to accept ([`admission`]), and where to get the info
//! dictionary of a magnet link ([`metadata`]). Torrents also share active slots
//! ([`active_queue`](crate::host::active_queue)) and places ([`quota`](crate::host::quota)).
//!
//! Pure: reports and the time come in, decisions go out. Nothing here reads a clock, opens a socket or waits;
//! the torrent thread owns it all and needs no lock.

pub mod admission;
pub mod choker;
pub mod duplicates;
pub mod metadata;
pub mod peers;
pub mod pex;
pub mod picker;
pub mod superseed;
