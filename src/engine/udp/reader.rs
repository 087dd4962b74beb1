//! Receiving datagrams: the one loop for every UDP socket that is listened on. A thread for each socket
//! receives, hands over, and receives the next.
//!
//! It waits without a time-out, so that nothing wakes while nothing comes.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::engine::net::wake::Waker;
use crate::engine::runtime::threads::{self, Waited};
use crate::error::{Error, Result};

/// Longest datagram that is received whole. What fills it all was cut off.
pub(crate) const MAX_DATAGRAM: usize = 2048;
/// Pause after a failure to receive, should it go on.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(50);

/// A thread that receives from one socket. Dropped without [`stop`](UdpReader::stop) it ends as well, a
/// little later.
#[derive(Debug)]
pub(crate) struct UdpReader {
    ended: Arc<AtomicBool>,
    waker: Waker,
    thread: Option<Waited>,
}

impl UdpReader {
    /// Hands every datagram to `take`, on a thread of this name, with the address that the socket answers
    /// to: an IPv4 sender has a mapped one on a socket for both families.
    ///
    /// # Errors
    /// [`ErrorKind::Resources`](crate::error::ErrorKind::Resources).
    pub(crate) fn start(
        name: &str,
        socket: Arc<UdpSocket>,
        take: impl FnMut(&[u8], SocketAddr) + Send + 'static,
    ) -> Result<UdpReader> {
        let waker = Waker::of(&socket).map_err(|cause| {
            Error::new(crate::error::ErrorKind::Resources, "no descriptor for a UDP socket").because(cause)
        })?;
        let ended = Arc::new(AtomicBool::new(false));
        let flag = ended.clone();
        let thread = threads::spawn_waited(name, move || receive(&socket, take, &flag))?;
        Ok(UdpReader { ended, waker, thread: Some(thread) })
    }

    fn close(&self) {
        self.ended.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Ends the thread; one that takes longer than `most` is left behind.
    pub(crate) fn stop(&mut self, most: Duration) {
        self.close();
        if let Some(thread) = self.thread.take() {
            thread.join_within(most);
        }
    }
}

impl Drop for UdpReader {
    fn drop(&mut self) {
        self.close();
    }
}

fn receive(socket: &UdpSocket, mut take: impl FnMut(&[u8], SocketAddr), ended: &AtomicBool) {
    let mut buffer = [0; MAX_DATAGRAM];
    loop {
        let received = next(socket, &mut buffer, ended);
        if ended.load(Ordering::Acquire) {
            return;
        }
        match received {
            Ok(Some((len, from))) => take(buffer.get(..len).unwrap_or_default(), from),
            Ok(None) => std::thread::sleep(PAUSE_AFTER_FAILURE),
            // The second: something sent before was refused where it went.
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionRefused) => {}
            Err(_) => std::thread::sleep(PAUSE_AFTER_FAILURE),
        }
    }
}

/// Waits for the next datagram, and says how long it is and who sent it. A socket that was shut down has none,
/// and so no sender.
#[cfg(feature = "sys")]
fn next(
    socket: &UdpSocket,
    buffer: &mut [u8],
    _ended: &AtomicBool,
) -> io::Result<Option<(usize, SocketAddr)>> {
    let (len, _, from) = rustix::net::recvfrom(socket, buffer, rustix::net::RecvFlags::empty())?;
    Ok(from.and_then(|from| from.try_into().ok()).map(|from| (len, from)))
}

/// The same with the standard library alone. That reads a sender whether or not there is one, and may panic where
/// there is none: it is asked for one only once it is known that there is a datagram, by a call of its own.
#[cfg(not(feature = "sys"))]
fn next(
    socket: &UdpSocket,
    buffer: &mut [u8],
    ended: &AtomicBool,
) -> io::Result<Option<(usize, SocketAddr)>> {
    socket.peek(&mut [0])?;
    if ended.load(Ordering::Acquire) { Ok(None) } else { socket.recv_from(buffer).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_was_shut_down_has_no_datagram() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = UdpSocket::bind(address) else { continue };
            let (mut buffer, ended) = ([0; 16], AtomicBool::new(false));
            let own = socket.local_addr().unwrap();
            socket.send_to(b"one", own).unwrap();
            assert_eq!(next(&socket, &mut buffer, &ended).unwrap(), Some((3, own)));
            socket.send_to(b"", own).unwrap();
            assert_eq!(next(&socket, &mut buffer, &ended).unwrap(), Some((0, own)));
            ended.store(true, Ordering::Release);
            Waker::of(&socket).unwrap().wake();
            assert_eq!(next(&socket, &mut buffer, &ended).unwrap(), None);
        }
    }
}
