//! The BitTorrent handshake (BEP 3), of connections that we make and of those that come in, over any stream
//! of bytes: TCP today, and whatever lies above TCP or in its place.
//!
//! Invariant: neither side takes longer than its deadline for all of it, however little comes at a time,
//! since a place is held meanwhile. Not a byte behind the handshake is read.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::id::InfoHash;
use crate::violation::{DisconnectReason, Violation};
use crate::wire::frame::FrameReader;
use crate::wire::handshake::Handshake;

/// A stream of bytes whose waits can be bounded.
pub(crate) trait Stream: Read + Write {
    /// No read or write from here on waits longer than this, which is not zero.
    ///
    /// # Errors
    /// Those of the stream.
    fn bound_waits(&mut self, most: Duration) -> io::Result<()>;
}

impl Stream for &TcpStream {
    fn bound_waits(&mut self, most: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(most))?;
        self.set_write_timeout(Some(most))
    }
}

/// Shakes hands on a connection that we made: says `ours`, and returns what the peer says.
///
/// # Errors
/// Why the connection is over: [`DisconnectReason::WrongTorrent`] where the peer answers for another.
pub(crate) fn initiate(
    stream: impl Stream,
    ours: &Handshake,
    end: Instant,
) -> Result<Handshake, DisconnectReason> {
    let mut stream = Bounded { stream, end };
    stream.send(ours)?;
    let theirs = stream.receive()?;
    if theirs.info_hash != ours.info_hash {
        return Err(DisconnectReason::WrongTorrent);
    }
    Ok(theirs)
}

/// Shakes hands on a connection that came in: reads which torrent it is for, and answers with what `find`
/// has for that torrent.
///
/// # Errors
/// Why the connection is over: [`DisconnectReason::WrongTorrent`] where `find` has nothing.
pub(crate) fn respond<T>(
    stream: impl Stream,
    find: impl FnOnce(InfoHash) -> Option<(Handshake, T)>,
    end: Instant,
) -> Result<(Handshake, T), DisconnectReason> {
    let mut stream = Bounded { stream, end };
    let theirs = stream.receive()?;
    let (ours, found) = find(theirs.info_hash).ok_or(DisconnectReason::WrongTorrent)?;
    stream.send(&ours)?;
    Ok((theirs, found))
}

/// A stream that is read and written up to a point in time and not beyond.
struct Bounded<S> {
    stream: S,
    end: Instant,
}

impl<S: Stream> Bounded<S> {
    fn send(&mut self, handshake: &Handshake) -> Result<(), DisconnectReason> {
        self.write_all(&handshake.encode()).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => DisconnectReason::Silent,
            _ => DisconnectReason::Lost,
        })
    }

    fn receive(&mut self) -> Result<Handshake, DisconnectReason> {
        let bytes = FrameReader::new(self, 0).handshake().map_err(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => DisconnectReason::Silent,
            ErrorKind::InvalidData => DisconnectReason::Violation(Violation::BadHandshake),
            _ => DisconnectReason::Lost,
        })?;
        Handshake::decode(&bytes).map_err(DisconnectReason::Violation)
    }

    fn bound(&mut self) -> io::Result<()> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.stream.bound_waits(left)
    }
}

impl<S: Stream> Read for Bounded<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.bound()?;
        self.stream.read(buf)
    }
}

impl<S: Stream> Write for Bounded<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.bound()?;
        self.stream.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::PeerId;

    /// A peer that says this, a byte at a time, and what it was told.
    #[derive(Default)]
    struct Script {
        says: Vec<u8>,
        read: usize,
        told: Vec<u8>,
        bounds: Vec<Duration>,
    }

    impl Read for Script {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let (Some(byte), Some(place)) = (self.says.get(self.read), buf.first_mut()) else { return Ok(0) };
            *place = *byte;
            self.read += 1;
            Ok(1)
        }
    }

    impl Write for Script {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            let some = &buf[..buf.len().min(50)];
            self.told.extend_from_slice(some);
            Ok(some.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Stream for &mut Script {
        fn bound_waits(&mut self, most: Duration) -> io::Result<()> {
            self.bounds.push(most);
            Ok(())
        }
    }

    fn handshake(torrent: u8, peer: u8) -> Handshake {
        Handshake::ours(InfoHash::from_bytes([torrent; 20]), PeerId::from_bytes([peer; 20]))
    }

    fn peer(says: &[u8]) -> Script {
        Script { says: says.into(), ..Script::default() }
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(3600)
    }

    #[test]
    fn a_connection_that_we_make_says_its_torrent_first_and_reads_no_byte_too_many() {
        let (ours, theirs) = (handshake(1, 2), handshake(1, 3));
        let mut stream = peer(&[&theirs.encode()[..], b"more"].concat());
        assert_eq!(initiate(&mut stream, &ours, later()), Ok(theirs));
        assert_eq!((stream.told, stream.read), (ours.encode().to_vec(), 68));
        assert!(stream.bounds.len() >= 70, "every wait is bounded");
        let mut stream = peer(&handshake(9, 3).encode());
        assert_eq!(initiate(&mut stream, &ours, later()), Err(DisconnectReason::WrongTorrent));
    }

    #[test]
    fn a_connection_that_comes_in_is_answered_for_a_torrent_that_is_here_and_else_told_nothing() {
        let (ours, theirs) = (handshake(1, 2), handshake(1, 3));
        let find = |torrent: InfoHash| (torrent == ours.info_hash).then_some((ours, "found"));
        let mut stream = peer(&theirs.encode());
        assert_eq!(respond(&mut stream, find, later()), Ok((theirs, "found")));
        assert_eq!(stream.told, ours.encode());
        let mut stream = peer(&handshake(9, 3).encode());
        assert_eq!(respond(&mut stream, find, later()), Err(DisconnectReason::WrongTorrent));
        assert_eq!(stream.told, []);
    }

    #[test]
    fn what_is_no_handshake_has_a_reason() {
        let ours = handshake(1, 2);
        let outcome = |says: &[u8], end| initiate(&mut peer(says), &ours, end).unwrap_err();
        let bad = DisconnectReason::Violation(Violation::BadHandshake);
        assert_eq!(outcome(b"GET / HTTP/1.1\r\n\r\n", later()), bad);
        assert_eq!(outcome(&handshake(1, 3).encode()[..67], later()), DisconnectReason::Lost);
        assert_eq!(outcome(&handshake(1, 3).encode(), Instant::now()), DisconnectReason::Silent);
    }
}
