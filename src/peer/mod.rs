//! One conversation with a peer, as a machine without I/O: messages and the time go in, messages,
//! reports and decisions come out.
//!
//! [`session`] is the conversation. What we asked for (`requests`) and how much of it at once
//! ([`pipeline`]), what the peer may ask for (`serving`, [`upload`]), which pieces are free for all
//! ([`allowed_fast`]), how fast it goes (`meter`) and when it is too much talk (`flood`) have a file
//! each, as has the metadata that peers without any are lent (`lending`). Nothing here knows of threads, sockets or clocks, or of any other peer.

pub mod allowed_fast;
pub(crate) mod flood;
mod metadata_server;
mod meter;
pub mod pipeline;
mod requests;
mod serving;
pub mod session;
pub mod upload;
