//! Connects to peers: dials and shakes hands on a thread that ends with a join request to the torrent. Also does
//! the handshake of incoming connections.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::crypto::EncryptionPolicy;
use crate::engine::context::TorrentContext;
use crate::engine::inbox::TorrentMessage;
use crate::engine::inbox::join::{JoinRequest, Known};
use crate::engine::net::handshake::{self, Asked, Shaken};
use crate::engine::runtime::threads;
use crate::error::Result;
use crate::peer::attempts;
use crate::torrent::Input;
use crate::transport::{encrypted, tcp};
use crate::violation::DisconnectReason;
use crate::wire::handshake::Handshake;

/// How long a peer may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the whole handshake may take; it holds one of the bounded number of places.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a peer may read nothing while we write.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// Dials a peer on a thread of its own. `wants_encryption` is what is known of the peer. The caller has taken a
/// place for the attempt; it is freed at the end.
///
/// # Errors
/// As [`threads::spawn`]; the place is freed then, too.
pub(crate) fn dial(
    torrent: Arc<TorrentContext>,
    addr: SocketAddr,
    wants_encryption: Option<bool>,
) -> Result<()> {
    let (client, key) = (torrent.client.clone(), torrent.key);
    let dialing = move || {
        let fresh = reach(&torrent, addr, wants_encryption);
        torrent.client.calling.with(|places| places.leave(key));
        let outcome = match fresh {
            Ok(fresh) => TorrentMessage::Join(Box::new(fresh)),
            Err(why) => Input::DialFailed(addr, why).into(),
        };
        // The torrent may have ended meanwhile.
        let _ = torrent.inbox.send(outcome);
    };
    threads::spawn("dial", dialing).map(drop).inspect_err(|_| client.calling.with(|places| places.leave(key)))
}

fn reach(
    torrent: &TorrentContext,
    addr: SocketAddr,
    wants_encryption: Option<bool>,
) -> std::result::Result<JoinRequest, DisconnectReason> {
    let goes_on = || !torrent.client.shutdown.has_begun();
    // Each attempt has a connection and a handshake of its own: nothing of the first is used again.
    attempts::reach(torrent.client.encryption, wants_encryption, goes_on, |encrypted| {
        attempt(torrent, addr, encrypted)
    })
}

fn attempt(
    torrent: &TorrentContext,
    addr: SocketAddr,
    encrypted: bool,
) -> std::result::Result<JoinRequest, DisconnectReason> {
    let stream =
        torrent.client.egress.connect(addr, CONNECT_TIMEOUT).map_err(|_| DisconnectReason::Unreachable)?;
    let (ours, end) = (ours(torrent), Instant::now() + HANDSHAKE_TIMEOUT);
    let shaken = if encrypted {
        handshake::initiate_encrypted(&stream, &ours, torrent.client.encryption, end)?
    } else {
        handshake::initiate(&stream, &ours, end)?
    };
    fresh(stream, addr, false, shaken)
}

/// Shakes hands with a connection that came in. `wanted` finds the torrent it asks for.
pub(crate) fn welcome(
    stream: &TcpStream,
    policy: EncryptionPolicy,
    wanted: impl FnOnce(Asked) -> Option<Arc<TorrentContext>>,
) -> std::result::Result<(Shaken, Arc<TorrentContext>), DisconnectReason> {
    let find = |asked| wanted(asked).map(|torrent| (ours(&torrent), torrent));
    handshake::respond(stream, policy, find, Instant::now() + HANDSHAKE_TIMEOUT)
}

/// Our handshake.
fn ours(torrent: &TorrentContext) -> Handshake {
    Handshake::ours(torrent.info_hash, torrent.client.peer_id).with_dht(torrent.dht().is_some())
}

/// A connection whose handshake is complete.
pub(crate) fn fresh(
    stream: TcpStream,
    addr: SocketAddr,
    incoming: bool,
    shaken: Shaken,
) -> std::result::Result<JoinRequest, DisconnectReason> {
    let mut connection = tcp::split(stream, WRITE_TIMEOUT).map_err(|_| DisconnectReason::Lost)?;
    let Shaken { theirs, encryption, ciphers } = shaken;
    if let Some(ciphers) = ciphers {
        connection = encrypted::encrypt(connection, ciphers);
    }
    Ok(JoinRequest { known: Known { addr, incoming, handshake: theirs, encryption }, connection })
}
