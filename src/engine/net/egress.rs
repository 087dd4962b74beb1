//! How the client reaches the network: the one place where its sockets are made, so that no option that is
//! said of all of them misses one. A test of the house finds every other file that makes a socket.
//!
//! Never decides who is connected to, and waits for nothing but a connection, up to a deadline.
//!
//! Invariant: a socket has all options before it is bound, connected or listens: the first packet has them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;

/// What all sockets of a client have in common.
#[derive(Debug, Clone, Default)]
pub(crate) struct Egress {
    /// The address of this machine that everything comes from.
    bind: Option<IpAddr>,
}

impl Egress {
    /// As the settings of a client say.
    pub(crate) fn of(config: &Config) -> Arc<Egress> {
        Arc::new(Egress { bind: config.bind })
    }

    /// The address of this machine that was chosen.
    pub(crate) fn bind(&self) -> Option<IpAddr> {
        self.bind
    }

    /// Whether addresses of this one's family can be reached from the address that was chosen.
    pub(crate) fn has_family_of(&self, address: &SocketAddr) -> bool {
        self.bind.is_none_or(|bind| bind.is_ipv6() == address.is_ipv6())
    }

    /// Listens at the chosen address, or at every one: IPv6 and IPv4 in one socket where the system has both.
    ///
    /// # Errors
    /// Whatever the system says.
    pub(crate) fn listen(&self, port: u16) -> io::Result<TcpListener> {
        match self.bind {
            Some(ip) => self.listen_at((ip, port).into()),
            None => self
                .listen_at((Ipv6Addr::UNSPECIFIED, port).into())
                .or_else(|_| self.listen_at((Ipv4Addr::UNSPECIFIED, port).into())),
        }
    }

    /// A socket to receive and send datagrams with at this port, at the chosen address or else at `any` of a
    /// family.
    ///
    /// # Errors
    /// Whatever the system says.
    pub(crate) fn udp(&self, any: IpAddr, port: u16) -> io::Result<UdpSocket> {
        self.udp_at((self.bind.unwrap_or(any), port).into())
    }
}

#[cfg(feature = "sys")]
mod sys {
    //! With the options that std does not have.

    use super::*;
    use std::os::fd::OwnedFd;
    use std::time::Instant;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;
    use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};

    /// Connections that may wait to be accepted; as std has it.
    const BACKLOG: i32 = 128;

    impl Egress {
        /// Connects within `timeout`.
        ///
        /// # Errors
        /// Whatever the system says; [`io::ErrorKind::TimedOut`] when the time is over, and
        /// [`io::ErrorKind::AddrNotAvailable`] where the chosen address is of the other family.
        pub(crate) fn connect(&self, to: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
            let socket = self.socket(to, SocketType::STREAM)?;
            if let Some(bind) = self.bind.filter(|bind| !bind.is_unspecified()) {
                if bind.is_ipv4() != to.is_ipv4() {
                    return Err(io::ErrorKind::AddrNotAvailable.into());
                }
                net::bind(&socket, &SocketAddr::new(bind, 0))?;
            }
            let stream = TcpStream::from(socket);
            stream.set_nonblocking(true)?;
            match net::connect(&stream, &to) {
                Err(Errno::INPROGRESS) => connected_within(&stream, timeout)?,
                done => done?,
            }
            stream.set_nonblocking(false)?;
            Ok(stream)
        }

        /// Begins to connect from exactly this address, whatever was chosen. It does not wait: the first bytes
        /// can be written when the connection is there.
        #[cfg(feature = "portmap")]
        pub(crate) fn begin_connect(&self, from: SocketAddr, to: SocketAddr) -> io::Result<TcpStream> {
            let socket = self.socket(to, SocketType::STREAM)?;
            net::bind(&socket, &from)?;
            let stream = TcpStream::from(socket);
            stream.set_nonblocking(true)?;
            match net::connect(&stream, &to) {
                Err(Errno::INPROGRESS) => Ok(stream),
                done => Ok(done.map(|()| stream)?),
            }
        }

        pub(super) fn listen_at(&self, at: SocketAddr) -> io::Result<TcpListener> {
            let socket = self.socket(at, SocketType::STREAM)?;
            // As std does: a port is free again at once when its last user has gone.
            sockopt::set_socket_reuseaddr(&socket, true)?;
            net::bind(&socket, &at)?;
            net::listen(&socket, BACKLOG)?;
            Ok(TcpListener::from(socket))
        }

        /// As [`Egress::udp`], at exactly this address, whatever was chosen.
        pub(crate) fn udp_at(&self, at: SocketAddr) -> io::Result<UdpSocket> {
            let socket = self.socket(at, SocketType::DGRAM)?;
            net::bind(&socket, &at)?;
            Ok(UdpSocket::from(socket))
        }

        /// A socket that receives what is sent to this group, beside other programs that do. It does not wait.
        pub(crate) fn multicast(&self, group: SocketAddr) -> io::Result<UdpSocket> {
            let socket = self.socket(group, SocketType::DGRAM)?;
            sockopt::set_socket_reuseaddr(&socket, true)?;
            if group.is_ipv6() {
                sockopt::set_ipv6_v6only(&socket, true)?;
            }
            net::bind(&socket, &group)?;
            let socket = UdpSocket::from(socket);
            socket.set_nonblocking(true)?;
            Ok(socket)
        }

        /// A socket of the family of this address that has every option.
        fn socket(&self, of: SocketAddr, kind: SocketType) -> io::Result<OwnedFd> {
            let family = if of.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
            Ok(net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?)
        }
    }

    /// Waits until a connection under way is there.
    fn connected_within(stream: &TcpStream, timeout: Duration) -> io::Result<()> {
        let end = Instant::now() + timeout;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let left = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
            let mut fds = [PollFd::new(stream, PollFlags::OUT)];
            match poll(&mut fds, Some(&left)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(sockopt::socket_error(stream)??),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

#[cfg(not(feature = "sys"))]
impl Egress {
    /// Connects within `timeout`, from whichever address the system takes.
    ///
    /// # Errors
    /// Whatever the system says; [`io::ErrorKind::TimedOut`] when the time is over.
    pub(crate) fn connect(&self, to: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        TcpStream::connect_timeout(&to, timeout)
    }

    fn listen_at(&self, at: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind(at)
    }

    fn udp_at(&self, at: SocketAddr) -> io::Result<UdpSocket> {
        UdpSocket::bind(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sockets that leave from this address.
    fn from(bind: &str) -> Arc<Egress> {
        Egress::of(&Config::default().bind(Some(bind.parse().unwrap())))
    }

    #[test]
    fn a_socket_comes_from_the_address_that_was_chosen() {
        let egress = from("127.0.0.3");
        let listener = egress.listen(0).unwrap();
        let at = listener.local_addr().unwrap();
        assert_eq!(at.ip(), egress.bind().unwrap());
        let udp = egress.udp(Ipv4Addr::UNSPECIFIED.into(), 0).unwrap();
        assert_eq!(udp.local_addr().unwrap().ip(), at.ip());
        let stream = egress.connect(at, Duration::from_secs(5)).unwrap();
        if cfg!(feature = "sys") {
            assert_eq!(stream.local_addr().unwrap().ip(), at.ip());
        }
        drop(listener);
        let refused = egress.connect(at, Duration::from_secs(5)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[cfg(feature = "sys")]
    #[test]
    fn a_chosen_address_of_the_other_family_is_an_error() {
        let failed = from("::1").connect("127.0.0.1:1".parse().unwrap(), Duration::from_secs(1)).unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::AddrNotAvailable);
    }

    #[test]
    fn a_connection_that_is_not_accepted_has_an_end() {
        // A listener whose backlog is full does not answer any more.
        let listener = from("127.0.0.1").listen(0).unwrap();
        let at = listener.local_addr().unwrap();
        let brief = Duration::from_millis(50);
        let mut kept = Vec::new();
        let failed = loop {
            assert!(kept.len() < 2000, "the backlog has no end");
            match Egress::default().connect(at, brief) {
                Ok(stream) => kept.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
    }
}
