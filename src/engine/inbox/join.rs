//! A connection after its handshake, its request to join a torrent, and the answer.

use std::net::SocketAddr;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use crate::bitfield::Bitfield;
use crate::crypto::Encryption;
use crate::engine::runtime::counters::ByteCounters;
use crate::job::PeerKey;
use crate::orders::Order;
use crate::transport::{Closer, Connection};
use crate::violation::DisconnectReason;
use crate::wire::handshake::Handshake;

/// A connection that got through the handshake.
pub(crate) struct JoinRequest {
    pub(crate) addr: SocketAddr,
    pub(crate) incoming: bool,
    /// It was connected before there was a torrent: metadata was asked for over it.
    pub(crate) parked: bool,
    pub(crate) handshake: Handshake,
    pub(crate) encryption: Encryption,
    pub(crate) orders: Sender<Order>,
    pub(crate) tally: Arc<ByteCounters>,
    pub(crate) closer: Closer,
    /// Where the answer goes. Dropped unanswered where the torrent has ended.
    pub(crate) admit: Sender<Result<Admitted, DisconnectReason>>,
}

/// How a connection is let in.
pub(crate) enum Admitted {
    /// To the torrent.
    Torrent(Accepted),
    /// For metadata to be asked of its peer.
    Metadata(PeerKey),
}

/// What a connection that is let in gets to know.
pub(crate) struct Accepted {
    pub(crate) key: PeerKey,
    pub(crate) have: Bitfield,
    /// Where the have log stood when `have` was true.
    pub(crate) cursor: usize,
    /// Nothing more is wanted, and that is no secret.
    pub(crate) upload_only: bool,
}

/// A connection fresh from the handshake, before anyone let it in.
pub(crate) struct Handshaken {
    pub(crate) addr: SocketAddr,
    pub(crate) incoming: bool,
    pub(crate) handshake: Handshake,
    pub(crate) encryption: Encryption,
    pub(crate) connection: Connection,
}

/// What is known of a connection once hands are shaken.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    pub(crate) addr: SocketAddr,
    pub(crate) incoming: bool,
    pub(crate) handshake: Handshake,
    pub(crate) encryption: Encryption,
    /// It is one of those that were there before the torrent: the peer was told that we have nothing.
    pub(crate) parked: bool,
}

impl Handshaken {
    pub(crate) fn known(&self) -> Known {
        Known {
            addr: self.addr,
            incoming: self.incoming,
            handshake: self.handshake,
            encryption: self.encryption,
            parked: false,
        }
    }
}

/// Both ends of a connection's order queue.
pub(crate) type Orders = (Sender<Order>, Receiver<Order>);

/// A connection that was let in, and what it listens to.
pub(crate) struct Joined {
    pub(crate) admitted: Admitted,
    pub(crate) orders: Orders,
    pub(crate) tally: Arc<ByteCounters>,
}
