//! Waking a thread that waits in one of our sockets, for a connection or for a datagram, so that it sees
//! that its time is over. Such a wait has no time-out: nothing wakes while nothing comes.
//!
//! Linux wakes every thread that waits in a socket when the socket is shut down, a listening one and one
//! for datagrams alike. Nothing is sent for that, so that it works whatever address the socket has. The
//! descriptor it takes is held from the start: at the end there may be none to be had.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;

/// Wakes the threads that wait in one socket.
#[derive(Debug)]
pub(crate) struct Waker(TcpStream);

impl Waker {
    /// A waker for this socket.
    ///
    /// # Errors
    /// Where there is no descriptor to be had.
    pub(crate) fn of(socket: &impl AsFd) -> io::Result<Waker> {
        // The standard library shuts down streams only; for the kernel all sockets are alike.
        Ok(Waker(TcpStream::from(socket.as_fd().try_clone_to_owned()?)))
    }

    /// Wakes all that wait. A socket is of no use for receiving any more; one for datagrams must not be asked
    /// for a sender then ([`UdpSocket::recv_from`](std::net::UdpSocket::recv_from)), as there is none.
    pub(crate) fn wake(&self) {
        // A socket for datagrams is not connected, which is told as an error once it has been woken.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    #[test]
    fn all_that_wait_in_a_socket_are_woken() {
        for address in ["0.0.0.0:0", "127.0.0.1:0", "[::]:0"] {
            let (Ok(listener), Ok(socket)) = (TcpListener::bind(address), UdpSocket::bind(address)) else {
                continue;
            };
            let wakers = [Waker::of(&listener).unwrap(), Waker::of(&socket).unwrap()];
            std::thread::scope(|scope| {
                scope.spawn(|| listener.accept().unwrap_err());
                scope.spawn(|| listener.accept().unwrap_err());
                scope.spawn(|| assert_eq!(socket.peek(&mut [0]).unwrap(), 0));
                // Whether they wait already or are about to: either way they return.
                wakers.iter().for_each(Waker::wake);
            });
        }
    }
}
