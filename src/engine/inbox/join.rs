//! A connection that is through the handshake and asks its torrent to let it in.

use std::net::SocketAddr;

use crate::crypto::Encryption;
use crate::transport::Connection;
use crate::wire::handshake::Handshake;

/// A connection that got through the handshake. Dropped, it ends.
pub(crate) struct JoinRequest {
    pub(crate) known: Known,
    pub(crate) connection: Connection,
}

/// What is known of a connection once hands are shaken.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    pub(crate) addr: SocketAddr,
    pub(crate) incoming: bool,
    pub(crate) handshake: Handshake,
    pub(crate) encryption: Encryption,
}
