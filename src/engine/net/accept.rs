//! Accepting connections: the one loop for everything that listens for TCP, whether one thread waits in it
//! or several.
//!
//! Invariant: once [`close`](Acceptor::close) was called no connection is handed out, and every thread that
//! waits for one returns.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::wake::Waker;

/// Pause where the system has no descriptor or no memory for a connection. It stays in the backlog
/// meanwhile.
const PAUSE_WITHOUT_RESOURCES: Duration = Duration::from_millis(20);

/// A listening socket that can be closed while threads wait in it.
#[derive(Debug)]
pub(crate) struct Acceptor {
    listener: TcpListener,
    waker: Waker,
    is_closed: AtomicBool,
}

impl Acceptor {
    /// Accepts from this socket.
    ///
    /// # Errors
    /// Where there is no descriptor to be had.
    pub(crate) fn new(listener: TcpListener) -> io::Result<Acceptor> {
        let waker = Waker::of(&listener)?;
        Ok(Acceptor { listener, waker, is_closed: AtomicBool::new(false) })
    }

    /// The next connection, and where it comes from; an IPv4 peer on a socket for both families has its
    /// IPv4 address. Nothing once this is closed. `on_shortage` is called, and a little time passes, where
    /// the system has no descriptor or no memory for a connection.
    pub(crate) fn next(&self, mut on_shortage: impl FnMut()) -> Option<(TcpStream, SocketAddr)> {
        loop {
            let accepted = self.listener.accept();
            if self.is_closed() {
                return None;
            }
            match accepted {
                Ok((stream, from)) => {
                    return Some((stream, SocketAddr::new(from.ip().to_canonical(), from.port())));
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                Err(_) => {
                    on_shortage();
                    std::thread::sleep(PAUSE_WITHOUT_RESOURCES);
                }
            }
        }
    }

    /// Whether it was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Accepts no more: connections are refused from now on.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_has_its_own_address_and_after_the_end_there_is_none() {
        let listener = TcpListener::bind("[::]:0").or_else(|_| TcpListener::bind("0.0.0.0:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = Acceptor::new(listener).unwrap();
        let theirs = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (_ours, from) = acceptor.next(|| ()).unwrap();
        assert_eq!(from, theirs.local_addr().unwrap());
        let _waiting = TcpStream::connect(("127.0.0.1", port)).unwrap();
        acceptor.close();
        assert!(acceptor.next(|| ()).is_none() && acceptor.next(|| ()).is_none());
    }
}
