//! The sockets between a mapper and its gateway: one for PCP and NAT-PMP, one for the search while there is
//! one, and one request over HTTP at a time. None of them waits.
//!
//! Invariant: nothing is sent to or read from any other host, the group of the search apart, and of an answer
//! over HTTP no more than its reader takes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, SocketAddrV6, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::event::PollFlags;

use super::gateway::Found;
use crate::engine::net::egress::Egress;
use crate::moment::Moment;
use crate::portmap::http::{Answer, AnswerReader, Failure};
use crate::portmap::mapper::{Input, PortMapper};
use crate::portmap::ssdp;

/// Datagrams taken from a socket before anything else is looked at.
pub(super) const MAX_DATAGRAMS_PER_TURN: usize = 32;
/// Longest datagram that is read; answers to a search are well below.
const MAX_DATAGRAM: usize = 2048;
/// Bytes read of an answer at a time.
const READ_SIZE: usize = 4096;

/// The sockets to one gateway.
pub(super) struct GatewaySockets {
    found: Found,
    egress: Arc<Egress>,
    /// Connected to the gateway, so that nothing else is heard and a closed port is.
    control: UdpSocket,
    search: Option<UdpSocket>,
    request: Option<Request>,
}

/// A request under way.
struct Request {
    stream: TcpStream,
    /// What is not yet sent.
    unsent: Vec<u8>,
    reader: AnswerReader,
}

impl GatewaySockets {
    /// Opens what PCP and NAT-PMP need.
    pub(super) fn open(found: Found, egress: Arc<Egress>) -> io::Result<GatewaySockets> {
        let control = egress.udp_at(SocketAddr::new(found.network.local, 0))?;
        control.set_nonblocking(true)?;
        control.connect(scoped(SocketAddr::new(found.network.gateway, found.port), found.scope))?;
        Ok(GatewaySockets { found, egress, control, search: None, request: None })
    }

    /// The gateway's address.
    pub(super) fn gateway(&self) -> IpAddr {
        self.found.network.gateway
    }

    /// What is waited for.
    pub(super) fn waits(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let control = (self.control.as_fd(), PollFlags::IN);
        let search = self.search.iter().map(|socket| (socket.as_fd(), PollFlags::IN));
        let request = self.request.iter().map(|request| {
            let flags = if request.unsent.is_empty() { PollFlags::IN } else { PollFlags::OUT };
            (request.stream.as_fd(), flags)
        });
        [control].into_iter().chain(search).chain(request)
    }

    /// Sends to port 5351 of the gateway.
    ///
    /// # Errors
    /// [`ErrorKind::ConnectionRefused`] where it does not listen there. What else keeps a datagram from being
    /// sent is as if it had been lost.
    pub(super) fn send(&self, packet: &[u8]) -> io::Result<()> {
        match self.control.send(packet) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Err(error),
            _ => Ok(()),
        }
    }

    /// Sends a part of a search.
    pub(super) fn search(&mut self, to: SocketAddr, datagram: &[u8]) {
        let Found { network, scope, search_port, .. } = self.found;
        if self.search.is_none() {
            let opened = self.egress.udp_at(SocketAddr::new(network.local, 0));
            self.search = opened.and_then(|socket| socket.set_nonblocking(true).map(|()| socket)).ok();
        }
        let port = if to.port() == ssdp::PORT { search_port } else { to.port() };
        let to = scoped(SocketAddr::new(to.ip(), port), scope);
        self.search.iter().for_each(|socket| _ = socket.send_to(datagram, to));
    }

    pub(super) fn end_search(&mut self) {
        self.search = None;
    }

    /// Begins a request, instead of one that is under way.
    ///
    /// # Errors
    /// [`Failure::Refused`].
    pub(super) fn request(&mut self, to: SocketAddr, request: Vec<u8>) -> Result<(), Failure> {
        self.request = None;
        // The mapper sees to it; what leaves this machine is worth a second look.
        if to.ip() != self.found.network.gateway {
            return Err(Failure::Refused);
        }
        let from = SocketAddr::new(self.found.network.local, 0);
        let stream = self.egress.begin_connect(from, scoped(to, self.found.scope));
        let stream = stream.map_err(|_| Failure::Refused)?;
        self.request = Some(Request { stream, unsent: request, reader: AnswerReader::default() });
        Ok(())
    }

    pub(super) fn hang_up(&mut self) {
        self.request = None;
    }

    /// Takes in what has come, and hands it to the mapper.
    pub(super) fn receive(&mut self, mapper: &mut PortMapper, now: Moment) {
        let mut datagram = [0; MAX_DATAGRAM];
        for _ in 0..MAX_DATAGRAMS_PER_TURN {
            match self.control.recv(&mut datagram) {
                Ok(length) => mapper.handle(Input::FromGateway(&datagram[..length]), now),
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    mapper.handle(Input::GatewayRefused, now);
                }
                Err(_) => break,
            }
        }
        for _ in 0..MAX_DATAGRAMS_PER_TURN {
            let received = self.search.as_ref().map(|socket| socket.recv_from(&mut datagram));
            let Some(Ok((length, from))) = received else { break };
            let from = from.ip().to_canonical();
            mapper.handle(Input::SearchAnswer(from, &datagram[..length]), now);
        }
        if let Some(answer) = self.request.as_mut().and_then(Request::advance) {
            self.request = None;
            mapper.handle(Input::Answered(answer), now);
        }
    }
}

impl Request {
    /// Sends and reads what can be at once; the answer, or why there is none.
    fn advance(&mut self) -> Option<Result<Answer, Failure>> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(_) => return Some(Err(Failure::Refused)),
            }
        }
        let mut bytes = [0; READ_SIZE];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return Some(std::mem::take(&mut self.reader).close()),
                Ok(length) => match self.reader.push(&bytes[..length]) {
                    Ok(None) => {}
                    Ok(Some(answer)) => return Some(Ok(answer)),
                    Err(failure) => return Some(Err(failure)),
                },
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(_) => return Some(Err(Failure::Refused)),
            }
        }
    }
}

/// An address with the interface that a link-local one and a group mean nothing without.
fn scoped(addr: SocketAddr, scope: u32) -> SocketAddr {
    match addr {
        SocketAddr::V6(addr) if addr.ip().is_unicast_link_local() || addr.ip().is_multicast() => {
            SocketAddrV6::new(*addr.ip(), addr.port(), 0, scope).into()
        }
        other => other,
    }
}
