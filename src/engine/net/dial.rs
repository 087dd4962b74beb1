//! Connecting to peers: dial, shake hands, converse, all on one thread that ends with the
//! connection. Also the handshake of connections that come in.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::handshake;
use crate::engine::conn::join::Handshaken;
use crate::engine::conn::worker;
use crate::engine::door::Door;
use crate::engine::runtime::threads;
use crate::error::Result;
use crate::id::InfoHash;
use crate::transport::tcp;
use crate::violation::DisconnectReason;
use crate::wire::handshake::Handshake;

/// How long a peer may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// How long it may take for the handshake: for all of it, since a place is held meanwhile.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a peer may read nothing while we write.
const WRITE: Duration = Duration::from_secs(60);

/// Dials a peer on a thread of its own. The caller has taken a place for the call; it is given back.
///
/// # Errors
/// As [`threads::spawn`]; the place is given back then, too.
pub(crate) fn dial(door: Door, addr: SocketAddr) -> Result<()> {
    let (client, key) = (door.client().clone(), door.key());
    let dialling = move || {
        let fresh = reach(&door, addr);
        door.client().calling.with(|places| places.leave(key));
        match fresh {
            Ok(fresh) => door.converse(fresh),
            Err(why) => door.dial_failed(addr, why),
        }
    };
    threads::spawn(&worker::thread_name(addr), dialling)
        .map(drop)
        .inspect_err(|_| client.calling.with(|places| places.leave(key)))
}

fn reach(door: &Door, addr: SocketAddr) -> std::result::Result<Handshaken, DisconnectReason> {
    let stream = tcp::dial(addr, door.client().bind, CONNECT).map_err(|_| DisconnectReason::Unreachable)?;
    let theirs = handshake::initiate(&stream, &ours(door), Instant::now() + HANDSHAKE)?;
    fresh(stream, addr, false, theirs)
}

/// Shakes hands with a connection that came in. `wanted` finds the torrent it asks for.
pub(crate) fn welcome(
    stream: &TcpStream,
    wanted: impl FnOnce(InfoHash) -> Option<Door>,
) -> std::result::Result<(Handshake, Door), DisconnectReason> {
    let find = |info_hash| wanted(info_hash).map(|door| (ours(&door), door));
    handshake::respond(stream, find, Instant::now() + HANDSHAKE)
}

/// What we say.
fn ours(door: &Door) -> Handshake {
    Handshake::ours(door.info_hash(), door.client().peer_id).with_dht(door.has_dht())
}

/// A connection that is through the handshake.
pub(crate) fn fresh(
    stream: TcpStream,
    addr: SocketAddr,
    incoming: bool,
    handshake: Handshake,
) -> std::result::Result<Handshaken, DisconnectReason> {
    let connection = tcp::split(stream, WRITE).map_err(|_| DisconnectReason::Lost)?;
    Ok(Handshaken { addr, incoming, handshake, connection })
}
