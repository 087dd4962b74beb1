//! Connecting to peers: dial, shake hands, converse, all on one thread that ends with the
//! connection. Also the handshake of connections that come in.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::engine::conn::join::Handshaken;
use crate::engine::conn::worker;
use crate::engine::door::Door;
use crate::engine::runtime::threads;
use crate::error::Result;
use crate::id::InfoHash;
use crate::transport::tcp;
use crate::violation::{DisconnectReason, Violation};
use crate::wire::frame::FrameReader;
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
    send_handshake(&stream, door)?;
    let handshake = receive_handshake(&stream)?;
    if handshake.info_hash != door.info_hash() {
        return Err(DisconnectReason::WrongTorrent);
    }
    fresh(stream, addr, false, handshake)
}

/// Shakes hands with a connection that came in. `wanted` finds the torrent it asks for.
pub(crate) fn welcome(
    stream: &TcpStream,
    wanted: impl FnOnce(InfoHash) -> Option<Door>,
) -> std::result::Result<(Handshake, Door), DisconnectReason> {
    let handshake = receive_handshake(stream)?;
    let door = wanted(handshake.info_hash).ok_or(DisconnectReason::WrongTorrent)?;
    send_handshake(stream, &door)?;
    Ok((handshake, door))
}

fn send_handshake(stream: &TcpStream, door: &Door) -> std::result::Result<(), DisconnectReason> {
    use std::io::Write;
    let ours = Handshake::ours(door.info_hash(), door.client().peer_id).with_dht(door.has_dht()).encode();
    let sent = stream.set_write_timeout(Some(HANDSHAKE)).and_then(|()| (&*stream).write_all(&ours));
    sent.map_err(|error| worker::broken(&error))
}

fn receive_handshake(stream: &TcpStream) -> std::result::Result<Handshake, DisconnectReason> {
    let source = Until { stream, end: Instant::now() + HANDSHAKE };
    let bytes = FrameReader::new(source, 0).handshake().map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => DisconnectReason::Silent,
        io::ErrorKind::InvalidData => DisconnectReason::Violation(Violation::BadHandshake),
        _ => DisconnectReason::Lost,
    })?;
    Handshake::decode(&bytes).map_err(DisconnectReason::Violation)
}

/// A stream that is read up to a moment and not beyond, however little comes at a time.
struct Until<'a> {
    stream: &'a TcpStream,
    end: Instant,
}

impl Read for Until<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(buf)
    }
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
