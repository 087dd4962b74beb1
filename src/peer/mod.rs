//! One conversation with a peer, as a machine without I/O: messages and the time go in, messages,
//! reports and decisions come out.
//!
//! [`session`] holds the protocol, and [`conversation`] says how the threads of a connection share
//! one. What we requested (`requests`) and how much of it at once ([`pipeline`]), what the peer may
//! request (`request_gate`, [`upload`]), which pieces are free for all ([`allowed_fast`]), when it is
//! too many messages (`message_limits`) and the metadata that peers without any are sent
//! (`metadata_server`) have a file each; so has the handshake of an encrypted connection ([`encryption`]), and in
//! which order a dial tries it and the plain one ([`attempts`]). Nothing here knows threads, sockets, clocks, or
//! other peers.

pub mod allowed_fast;
pub mod attempts;
pub mod conversation;
mod early_claims;
pub mod encryption;
pub(crate) mod message_limits;
mod metadata_server;
pub mod pipeline;
mod request_gate;
mod requests;
pub mod session;
pub mod upload;
