//! Connecting to peers: dial, shake hands, converse, all on one thread that ends with the
//! connection. Also the handshake of connections that come in.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::enter;
use crate::engine::context::TorrentContext;
use crate::engine::inbox::join::Handshaken;
use crate::engine::net::handshake;
use crate::engine::runtime::threads;
use crate::error::Result;
use crate::id::InfoHash;
use crate::torrent::Input;
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
pub(crate) fn dial(torrent: Arc<TorrentContext>, addr: SocketAddr) -> Result<()> {
    let (client, key) = (torrent.client.clone(), torrent.key);
    let dialing = move || {
        let fresh = reach(&torrent, addr);
        torrent.client.calling.with(|places| places.leave(key));
        match fresh {
            Ok(fresh) => enter::converse(&torrent, fresh),
            // A torrent that has ended does not mind.
            Err(why) => _ = torrent.inbox.send(Input::DialFailed(addr, why).into()),
        }
    };
    threads::spawn(&threads::of_peer(addr), dialing)
        .map(drop)
        .inspect_err(|_| client.calling.with(|places| places.leave(key)))
}

fn reach(torrent: &TorrentContext, addr: SocketAddr) -> std::result::Result<Handshaken, DisconnectReason> {
    let stream = torrent.client.egress.connect(addr, CONNECT).map_err(|_| DisconnectReason::Unreachable)?;
    let theirs = handshake::initiate(&stream, &ours(torrent), Instant::now() + HANDSHAKE)?;
    fresh(stream, addr, false, theirs)
}

/// Shakes hands with a connection that came in. `wanted` finds the torrent it asks for.
pub(crate) fn welcome(
    stream: &TcpStream,
    wanted: impl FnOnce(InfoHash) -> Option<Arc<TorrentContext>>,
) -> std::result::Result<(Handshake, Arc<TorrentContext>), DisconnectReason> {
    let find = |info_hash| wanted(info_hash).map(|torrent| (ours(&torrent), torrent));
    handshake::respond(stream, find, Instant::now() + HANDSHAKE)
}

/// What we say.
fn ours(torrent: &TorrentContext) -> Handshake {
    Handshake::ours(torrent.info_hash, torrent.client.peer_id).with_dht(torrent.dht().is_some())
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
