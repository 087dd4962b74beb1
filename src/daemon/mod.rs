//! The daemon: a session of many torrents that other programs drive over the Transmission RPC.
//!
//! A face of the library: it uses the client and what is below, and nothing uses it but the program.
//!
//! # Rooms
//!
//! A room imports from those above it in this table, and from no other; a test reads the table.
//!
//! | room | has |
//! |---|---|
//! | [`view`] | what can be asked of the session and its torrents, as plain values |
//! | [`command`] | what can be done to them, as plain values; the [`Backend`](command::Backend) that carries it out |
//! | [`base64`] | base64, as JSON and headers have it |
//! | [`rpc`] | the Transmission RPC: the bytes of a request in, the bytes of the reply out; pure |

pub mod base64;
pub mod command;
pub mod rpc;
pub mod view;
