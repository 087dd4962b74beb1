//! A leecher that dials a seed and downloads everything from it, one block after the other.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::content::{BLOCK, Torrent};
use super::peer::{BITFIELD, Block, INTERESTED, PIECE, REQUEST, Talk, UNCHOKE};

/// Connects, as soon as someone listens there.
pub fn call(torrent: &Arc<Torrent>, seed: SocketAddr, patience: Duration) -> io::Result<Talk> {
    let end = Instant::now() + patience;
    loop {
        match TcpStream::connect_timeout(&seed, Duration::from_secs(5)) {
            Ok(stream) => return Ok(Talk::new(stream, torrent.clone())),
            Err(error) if Instant::now() > end => return Err(error),
            // A listening socket can be seen only by calling it.
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Downloads every byte.
pub fn fetch(torrent: &Arc<Torrent>, seed: SocketAddr, patience: Duration) -> io::Result<Vec<u8>> {
    let mut talk = call(torrent, seed, patience)?;
    talk.send_handshake([0; 8])?;
    talk.read_handshake()?;
    if talk.wait_for(BITFIELD)? != torrent.full_bitfield() {
        return Err(io::Error::other("not a seed"));
    }
    talk.send(INTERESTED, &[])?;
    talk.wait_for(UNCHOKE)?;
    let mut got = Vec::with_capacity(torrent.data.len());
    for piece in 0..torrent.pieces() {
        for begin in (0..torrent.length_of(piece)).step_by(BLOCK as usize) {
            let length = BLOCK.min(torrent.length_of(piece) - begin);
            talk.send(REQUEST, &Block { piece, begin, length }.body())?;
            got.extend_from_slice(talk.wait_for(PIECE)?.get(8..).unwrap_or_default());
        }
    }
    Ok(got)
}
