//! Receiving datagrams: the one loop for every UDP socket that is listened on. A thread for each socket
//! receives, hands over, and receives the next.
//!
//! It waits without a time-out, so that nothing wakes while nothing comes.

use std::io::ErrorKind;
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
        // A socket that was shut down has no datagram, so no sender, which the standard library cannot take:
        // it is asked for a sender only where there is a datagram.
        let waited = socket.peek(&mut [0]);
        if ended.load(Ordering::Acquire) {
            return;
        }
        match waited.and_then(|_| socket.recv_from(&mut buffer)) {
            Ok((len, from)) => take(buffer.get(..len).unwrap_or_default(), from),
            // The second: something sent before was refused where it went.
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionRefused) => {}
            Err(_) => std::thread::sleep(PAUSE_AFTER_FAILURE),
        }
    }
}
