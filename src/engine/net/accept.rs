//! Accepting connections: the one loop for everything that listens for TCP, whether one thread waits in it
//! or several.
//!
//! Invariant: once [`close`](Acceptor::close) was called no connection is handed out, and every thread that
//! waits for one returns.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::wake::Waker;

/// Pause where the system has no descriptor or no memory for a connection. It stays in the backlog
/// meanwhile.
const PAUSE_WITHOUT_RESOURCES: Duration = Duration::from_millis(20);

/// A socket that listens.
#[derive(Debug)]
pub(crate) enum ListeningSocket {
    /// On a TCP port.
    Tcp(TcpListener),
    /// At a path of this machine.
    Unix(UnixListener),
}

impl From<TcpListener> for ListeningSocket {
    fn from(listener: TcpListener) -> Self {
        ListeningSocket::Tcp(listener)
    }
}

impl From<UnixListener> for ListeningSocket {
    fn from(listener: UnixListener) -> Self {
        ListeningSocket::Unix(listener)
    }
}

/// A listening socket that can be closed while threads wait in it.
#[derive(Debug)]
pub(crate) struct Acceptor {
    socket: ListeningSocket,
    waker: Waker,
    is_closed: AtomicBool,
}

impl Acceptor {
    /// Accepts from this socket.
    ///
    /// # Errors
    /// Where there is no descriptor to be had.
    pub(crate) fn new(socket: impl Into<ListeningSocket>) -> io::Result<Acceptor> {
        let socket = socket.into();
        let waker = match &socket {
            ListeningSocket::Tcp(listener) => Waker::of(listener),
            ListeningSocket::Unix(listener) => Waker::of(listener),
        }?;
        Ok(Acceptor { socket, waker, is_closed: AtomicBool::new(false) })
    }

    /// The next connection, and where it comes from, which is nowhere on a Unix socket; an IPv4 peer on a
    /// socket for both families has its IPv4 address. Nothing once this is closed. `on_shortage` is called, and a little time passes, where
    /// the system has no descriptor or no memory for a connection.
    pub(crate) fn next(&self, mut on_shortage: impl FnMut()) -> Option<(TcpStream, Option<SocketAddr>)> {
        loop {
            let accepted = match &self.socket {
                ListeningSocket::Tcp(listener) => {
                    listener.accept().map(|(stream, from)| (stream, Some(from)))
                }
                // The standard library keeps the kinds of streams apart; for the kernel all are alike.
                ListeningSocket::Unix(listener) => {
                    listener.accept().map(|(stream, _)| (TcpStream::from(OwnedFd::from(stream)), None))
                }
            };
            if self.is_closed() {
                return None;
            }
            match accepted {
                Ok((stream, from)) => {
                    let canonical = |from: SocketAddr| SocketAddr::new(from.ip().to_canonical(), from.port());
                    return Some((stream, from.map(canonical)));
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
        assert_eq!(from, theirs.local_addr().ok());
        let _waiting = TcpStream::connect(("127.0.0.1", port)).unwrap();
        acceptor.close();
        assert!(acceptor.next(|| ()).is_none() && acceptor.next(|| ()).is_none());
    }
}
