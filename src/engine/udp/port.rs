//! The client's UDP port: that of the TCP listener if it is free, IPv4 and IPv6 in one socket if the system has
//! both. Protocols share it: each datagram goes, by its first byte, to the queue of its protocol. Today that is
//! the DHT; datagrams of no known protocol are counted and dropped.
//!
//! Datagrams from and to addresses that are blocked are dropped.
//!
//! Behind a proxy it has no socket but the proxy's relay, which its protocols need not know.
//!
//! If a queue is full datagrams are dropped, so that a slow protocol does not delay another.
//!
//! Never does: look into a datagram further than its first byte.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use crossbeam_channel::Sender;

use super::reader::{MAX_DATAGRAM, UdpReader};
use crate::engine::net::egress::{Egress, Purpose};
use crate::engine::net::relay::Hearing;
use crate::engine::runtime::shared_filter::SharedFilter;
use crate::error::{Error, ErrorKind, Result};
use crate::lock::{lock, read, write};

/// Longest wait of a datagram for room in the send buffer.
const MAX_SEND_WAIT: Duration = Duration::from_millis(100);
/// Longest wait for each reader to end.
const MAX_END: Duration = Duration::from_millis(100);

/// A datagram that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Datagram {
    /// The source address, which may be forged.
    pub(crate) from: SocketAddr,
    /// The payload.
    pub(crate) bytes: Box<[u8]>,
}

/// The protocol of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    /// A message of the DHT: a bencoded dictionary, and a short one (BEP 5).
    Dht,
    /// None that is supported.
    Unknown,
}

impl Protocol {
    fn of(datagram: &[u8]) -> Protocol {
        match datagram.first() {
            Some(b'd') => Protocol::Dht,
            _ => Protocol::Unknown,
        }
    }
}

/// One socket and the address families it reaches.
#[derive(Debug)]
struct Endpoint {
    socket: Arc<UdpSocket>,
    v4: bool,
    v6: bool,
}

/// The port.
#[derive(Debug)]
pub(crate) struct UdpPort {
    egress: Arc<Egress>,
    number: u16,
    /// Empty while the device that they are bound to does not exist.
    endpoints: RwLock<Vec<Endpoint>>,
    readers: Mutex<Vec<UdpReader>>,
    /// Behind a proxy, what hears its relay.
    relay: RwLock<Option<Hearing>>,
    /// The queue for datagrams of the DHT, until the port is stopped.
    dht: Mutex<Option<Sender<Datagram>>>,
    unknown: Arc<AtomicU64>,
    filter: Arc<SharedFilter>,
}

impl UdpPort {
    /// Opens `port`, or any where that is taken, and starts to receive. What belongs to the DHT is offered to
    /// `dht`. Where the device that was chosen is not there it has no socket yet: see
    /// [`reopen`](UdpPort::reopen).
    ///
    /// # Errors
    /// [`ErrorKind::Network`] and [`ErrorKind::Resources`].
    pub(crate) fn open(
        egress: Arc<Egress>,
        port: u16,
        dht: &Sender<Datagram>,
        filter: Arc<SharedFilter>,
    ) -> Result<UdpPort> {
        let is_relayed = egress.proxy(Purpose::Peers).is_some();
        let endpoints = match bind_all(&egress, port).or_else(|_| bind_all(&egress, 0)) {
            Ok(endpoints) => endpoints,
            Err(_) if is_relayed => Vec::new(),
            Err(_) if egress.is_device_absent() => Vec::new(),
            Err(cause) => {
                let what = "no UDP socket for the DHT; turn it off with --no-dht";
                return Err(Error::new(ErrorKind::Network, what).because(cause));
            }
        };
        let opened = UdpPort {
            egress,
            number: number(&endpoints).unwrap_or(port),
            endpoints: RwLock::default(),
            readers: Mutex::default(),
            relay: RwLock::default(),
            dht: Mutex::new(Some(dht.clone())),
            unknown: Arc::default(),
            filter,
        };
        opened.read_from(endpoints)?;
        Ok(opened)
    }

    /// Makes new sockets at the same port, for a device that is there again.
    ///
    /// # Errors
    /// As [`open`](UdpPort::open).
    pub(crate) fn reopen(&self) -> Result<()> {
        if read(&self.relay).is_some() {
            // Its relay is asked for again by itself.
            return Ok(());
        }
        self.close();
        let endpoints = bind_all(&self.egress, self.number).map_err(|cause| {
            Error::new(ErrorKind::Network, format!("no UDP socket at port {}", self.number)).because(cause)
        })?;
        self.read_from(endpoints)
    }

    fn read_from(&self, endpoints: Vec<Endpoint>) -> Result<()> {
        let Some(dht) = lock(&self.dht).clone() else { return Ok(()) };
        let taker = || {
            let (dht, unknown, filter) = (dht.clone(), self.unknown.clone(), self.filter.clone());
            move |bytes: &[u8], from: SocketAddr| {
                let from = SocketAddr::new(from.ip().to_canonical(), from.port());
                if filter.blocks(from.ip()) {
                    return;
                }
                let is_whole = bytes.len() < MAX_DATAGRAM;
                match Protocol::of(bytes) {
                    Protocol::Dht if is_whole => _ = dht.try_send(Datagram { from, bytes: bytes.into() }),
                    _ => _ = unknown.fetch_add(1, Ordering::Relaxed),
                }
            }
        };
        if let Some(relay) = self.egress.proxy(Purpose::Peers).and_then(|route| route.relay()) {
            let take = taker();
            // Where the relay names no address there is no one to answer.
            let hearing = relay.hear(move |bytes, from| from.into_iter().for_each(|from| take(bytes, from)));
            *write(&self.relay) = Some(hearing);
        }
        let reader = |endpoint: &Endpoint| UdpReader::start("udp-read", endpoint.socket.clone(), taker());
        *lock(&self.readers) = endpoints.iter().map(reader).collect::<Result<_>>()?;
        *write(&self.endpoints) = endpoints;
        Ok(())
    }

    /// The options of its sockets.
    pub(crate) fn egress(&self) -> Arc<Egress> {
        self.egress.clone()
    }

    /// The port that IPv4 is received at, or IPv6 where there is no IPv4.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// Whether there is a socket for IPv4, and for IPv6, or will be once the device exists.
    pub(crate) fn families(&self) -> (bool, bool) {
        if read(&self.relay).is_some() {
            // Hardly any proxy relays IPv6, and none says whether it does.
            return (true, false);
        }
        let endpoints = read(&self.endpoints);
        if endpoints.is_empty() {
            return self.egress.bind().map_or((true, true), |ip| (ip.is_ipv4(), ip.is_ipv6()));
        }
        (endpoints.iter().any(|endpoint| endpoint.v4), endpoints.iter().any(|endpoint| endpoint.v6))
    }

    /// Datagrams that belonged to no protocol, or were too long for it.
    pub(crate) fn unknown(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }

    /// Sends a datagram. Errors are ignored, as any datagram may be lost.
    pub(crate) fn send(&self, to: SocketAddr, datagram: &[u8]) {
        if let Some(hearing) = &*read(&self.relay) {
            if !self.filter.blocks(to.ip()) {
                hearing.relay().send(&self.egress.name_of(to.ip()), to.port(), datagram);
            }
            return;
        }
        let fits = |endpoint: &&Endpoint| if to.is_ipv4() { endpoint.v4 } else { endpoint.v6 };
        let endpoints = read(&self.endpoints);
        let Some(endpoint) = endpoints.iter().find(fits) else { return };
        if self.filter.blocks(to.ip()) {
            return;
        }
        let to = match to {
            SocketAddr::V4(v4) if endpoint.v6 => {
                SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into()
            }
            to => to,
        };
        let _ = endpoint.socket.send_to(datagram, to);
    }

    /// Receives no more.
    pub(crate) fn stop(&self) {
        lock(&self.dht).take();
        self.close();
    }

    fn close(&self) {
        write(&self.endpoints).clear();
        write(&self.relay).take();
        let readers = std::mem::take(&mut *lock(&self.readers));
        readers.into_iter().for_each(|mut reader| reader.stop(MAX_END));
    }
}

/// The port that IPv4 is received at, or IPv6 where there is no IPv4.
fn number(endpoints: &[Endpoint]) -> Option<u16> {
    let endpoint = endpoints.iter().find(|endpoint| endpoint.v4).or(endpoints.first());
    endpoint.and_then(|endpoint| endpoint.socket.local_addr().ok()).map(|addr| addr.port())
}

fn bind_all(egress: &Egress, port: u16) -> io::Result<Vec<Endpoint>> {
    let open = |ip: IpAddr, port| {
        let socket = egress.udp(Purpose::Peers, ip, port)?;
        socket.set_write_timeout(Some(MAX_SEND_WAIT))?;
        io::Result::Ok(Arc::new(socket))
    };
    if let Some(ip) = egress.bind() {
        return Ok(vec![Endpoint { socket: open(ip, port)?, v4: ip.is_ipv4(), v6: ip.is_ipv6() }]);
    }
    let Ok(both) = open(Ipv6Addr::UNSPECIFIED.into(), port) else {
        return Ok(vec![Endpoint { socket: open(Ipv4Addr::UNSPECIFIED.into(), port)?, v4: true, v6: false }]);
    };
    // As a rule the socket is for both families and the port is taken by now; where the system keeps them
    // apart (bindv6only) it is not.
    let port = both.local_addr()?.port();
    Ok(match open(Ipv4Addr::UNSPECIFIED.into(), port) {
        Ok(socket) => {
            vec![Endpoint { socket: both, v4: false, v6: true }, Endpoint { socket, v4: true, v6: false }]
        }
        Err(_) => vec![Endpoint { socket: both, v4: true, v6: true }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::{Receiver, bounded};

    /// A filter that blocks nothing.
    fn open() -> Arc<SharedFilter> {
        Arc::new(SharedFilter::new(Arc::default()))
    }

    fn loopback() -> Arc<Egress> {
        Egress::of(&crate::config::Config::default().bind(IpAddr::from(Ipv4Addr::LOCALHOST)))
    }

    fn next(datagrams: &Receiver<Datagram>) -> Datagram {
        datagrams.recv_timeout(Duration::from_secs(30)).unwrap()
    }

    #[test]
    fn both_families_arrive_as_what_they_are() {
        let (sender, datagrams) = bounded(16);
        let port = UdpPort::open(Arc::default(), 0, &sender, open()).unwrap();
        for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            let Ok(other) = UdpSocket::bind((ip, 0)) else { continue };
            let from = other.local_addr().unwrap();
            other.send_to(b"d1:qe", (ip, port.number())).unwrap();
            assert_eq!(next(&datagrams), Datagram { from, bytes: b"d1:qe"[..].into() });
            port.send(from, b"answer");
            other.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            let mut buffer = [0; 10];
            let (len, from) = other.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..len], from.port()), (&b"answer"[..], port.number()));
        }
        port.stop();
    }

    #[test]
    fn what_belongs_to_no_protocol_is_counted_and_a_full_queue_blocks_no_reader() {
        let (sender, datagrams) = bounded(1);
        let port = UdpPort::open(loopback(), 0, &sender, open()).unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = ("127.0.0.1", port.number());
        other.send_to(&[], to).unwrap();
        other.send_to(b"\x01\x00uTP", to).unwrap();
        other.send_to(&[b'd'; 3000], to).unwrap();
        for n in 0..100u8 {
            other.send_to(&[b'd', n], to).unwrap();
        }
        assert_eq!(*next(&datagrams).bytes, [b'd', 0]);
        // Sent before that one, and received in order.
        assert_eq!(port.unknown(), 3);
        port.stop();
        drop(sender);
        // Its readers have ended: none holds the other end.
        while datagrams.recv().is_ok() {}
    }

    #[test]
    fn a_port_that_is_taken_is_no_obstacle() {
        let (sender, _datagrams) = bounded(1);
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let number = taken.local_addr().unwrap().port();
        let port = UdpPort::open(loopback(), number, &sender, open()).unwrap();
        assert!(port.number() != 0 && port.number() != number);
    }

    #[test]
    fn datagrams_are_sorted_by_their_first_byte() {
        assert_eq!(Protocol::of(b"d1:ad2:id20:"), Protocol::Dht);
        for other in [&b""[..], b"\x41\x00\x12\x34", b"e", b"i1e"] {
            assert_eq!(Protocol::of(other), Protocol::Unknown);
        }
    }

    #[test]
    fn what_is_blocked_is_neither_heard_nor_spoken_to() {
        let (sender, datagrams) = bounded(4);
        let filter = Arc::new(SharedFilter::new(Arc::new("127.0.0.2".parse().unwrap())));
        let port = UdpPort::open(loopback(), 0, &sender, filter).unwrap();
        let bound = |ip: &str| UdpSocket::bind((ip, 0)).unwrap();
        let (blocked, other) = (bound("127.0.0.2"), bound("127.0.0.3"));
        for socket in [&blocked, &other] {
            socket.send_to(b"d1:qe", ("127.0.0.1", port.number())).unwrap();
            port.send(socket.local_addr().unwrap(), b"answer");
        }
        let mut buffer = [0; 10];
        assert_eq!(other.recv_from(&mut buffer).unwrap().0, 6);
        assert_eq!(next(&datagrams).from, other.local_addr().unwrap());
        // Both were sent before what has arrived.
        blocked.set_nonblocking(true).unwrap();
        assert!(datagrams.is_empty() && blocked.recv_from(&mut buffer).is_err());
        port.stop();
    }
}
