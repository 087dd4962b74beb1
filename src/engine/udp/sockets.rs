//! The sockets of the DHT: the port of the listener, UDP, IPv4 and IPv6 in one where the system has
//! both, and a reader thread for each that only receives.
//!
//! A reader waits without a time-out, so nothing wakes while nothing comes. What it reads it offers
//! to the DHT's thread; where that is behind, packets are dropped, as networks do. At the end it is
//! woken by a packet of our own.
//!
//! Never does: look into a packet further than its first byte.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

use crate::engine::discovery::dht::Heard;
use crate::engine::runtime::threads;
use crate::error::{Error, ErrorKind, Result};

/// Longest packet looked at; what fills the whole buffer was cut, and is no KRPC message.
const BUFFER: usize = 2048;
/// Pause after a failure to receive, should it go on.
const BREATH: Duration = Duration::from_millis(100);
/// How long a packet of ours may wait for room in the socket.
const SEND: Duration = Duration::from_millis(100);
/// How long each call to wake a reader has.
const WAKING: Duration = Duration::from_millis(100);

/// One socket and the addresses it reaches.
struct Leg {
    socket: Arc<UdpSocket>,
    v4: bool,
    v6: bool,
    /// Hangs up when the reader ends.
    reader: Receiver<()>,
}

/// The sockets, with their readers.
pub(crate) struct Sockets {
    legs: Vec<Leg>,
    ended: Arc<AtomicBool>,
}

impl Sockets {
    /// Opens them at `port`, or at any where that is taken, and starts to read.
    ///
    /// # Errors
    /// [`ErrorKind::Network`] and [`ErrorKind::Resources`].
    pub(crate) fn open(bind: Option<IpAddr>, port: u16, heard: &Sender<Heard>) -> Result<Sockets> {
        let bound = bind_all(bind, port).or_else(|_| bind_all(bind, 0)).map_err(|cause| {
            Error::new(ErrorKind::Network, "no UDP socket for the DHT; turn it off with --no-dht")
                .because(cause)
        })?;
        let mut sockets = Sockets { legs: Vec::new(), ended: Arc::default() };
        for (socket, v4, v6) in bound {
            let socket = Arc::new(socket);
            let (alive, reader) = bounded(0);
            let (own, heard, ended) = (socket.clone(), heard.clone(), sockets.ended.clone());
            let reading = move || {
                read(&own, &heard, &ended);
                drop::<Sender<()>>(alive);
            };
            threads::spawn("udp-read", reading).inspect_err(|_| sockets.stop())?;
            sockets.legs.push(Leg { socket, v4, v6, reader });
        }
        Ok(sockets)
    }

    /// The port that IPv4 is received at, or IPv6 where there is no IPv4.
    pub(crate) fn port(&self) -> u16 {
        let leg = self.legs.iter().find(|leg| leg.v4).or(self.legs.first());
        leg.and_then(|leg| leg.socket.local_addr().ok()).map_or(0, |addr| addr.port())
    }

    /// Whether there is a socket for IPv4, and for IPv6.
    pub(crate) fn families(&self) -> (bool, bool) {
        (self.legs.iter().any(|leg| leg.v4), self.legs.iter().any(|leg| leg.v6))
    }

    /// Sends a packet; what cannot be sent is lost, as any packet may be.
    pub(crate) fn send(&self, to: SocketAddr, packet: &[u8]) {
        let fits = |leg: &&Leg| if to.is_ipv4() { leg.v4 } else { leg.v6 };
        let Some(leg) = self.legs.iter().find(fits) else { return };
        let to = match to {
            SocketAddr::V4(v4) if leg.v6 => {
                SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into()
            }
            to => to,
        };
        let _ = leg.socket.send_to(packet, to);
    }

    /// Ends the readers. Should one not be reached by a packet of our own it is left behind: it owns
    /// nothing that anyone waits for.
    pub(crate) fn stop(&self) {
        self.ended.store(true, Ordering::Release);
        for leg in &self.legs {
            let Ok(mut own) = leg.socket.local_addr() else { continue };
            if own.ip().is_unspecified() {
                own.set_ip(if own.is_ipv4() {
                    Ipv4Addr::LOCALHOST.into()
                } else {
                    Ipv6Addr::LOCALHOST.into()
                });
            }
            let mapped = SocketAddr::new(Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(), own.port());
            for to in [own, if leg.v4 && leg.v6 { mapped } else { own }] {
                let _ = leg.socket.send_to(&[], to);
                if leg.reader.recv_timeout(WAKING) == Err(RecvTimeoutError::Disconnected) {
                    break;
                }
            }
        }
    }
}

/// A socket, and whether it reaches IPv4 and IPv6.
type Bound = (UdpSocket, bool, bool);

fn bind_all(bind: Option<IpAddr>, port: u16) -> io::Result<Vec<Bound>> {
    let open = |ip: IpAddr, port| {
        let socket = UdpSocket::bind((ip, port))?;
        socket.set_write_timeout(Some(SEND))?;
        io::Result::Ok(socket)
    };
    if let Some(ip) = bind {
        return Ok(vec![(open(ip, port)?, ip.is_ipv4(), ip.is_ipv6())]);
    }
    match open(Ipv6Addr::UNSPECIFIED.into(), port) {
        Ok(both) => {
            let port = both.local_addr()?.port();
            // As a rule the socket is for both and the port is taken by now; where the system keeps
            // them apart (bindv6only) it is not.
            Ok(match open(Ipv4Addr::UNSPECIFIED.into(), port) {
                Ok(v4) => vec![(both, false, true), (v4, true, false)],
                Err(_) => vec![(both, true, true)],
            })
        }
        Err(_) => Ok(vec![(open(Ipv4Addr::UNSPECIFIED.into(), port)?, true, false)]),
    }
}

fn read(socket: &UdpSocket, heard: &Sender<Heard>, ended: &AtomicBool) {
    let mut buffer = [0; BUFFER];
    loop {
        let received = socket.recv_from(&mut buffer);
        if ended.load(Ordering::Acquire) {
            return;
        }
        match received {
            // Every KRPC message is a dictionary, and a short one.
            Ok((len, from)) => {
                let packet = buffer.get(..len).unwrap_or_default();
                if len == BUFFER || !packet.starts_with(b"d") {
                    continue;
                }
                // An IPv4 node on a socket for both comes as a mapped address.
                let from = SocketAddr::new(from.ip().to_canonical(), from.port());
                if let Err(TrySendError::Disconnected(_)) = heard.try_send(Heard::Packet(from, packet.into()))
                {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => std::thread::sleep(BREATH),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(heard: &Receiver<Heard>) -> (SocketAddr, Vec<u8>) {
        match heard.recv_timeout(Duration::from_secs(30)) {
            Ok(Heard::Packet(from, packet)) => (from, packet.into()),
            _ => panic!("nothing was heard"),
        }
    }

    #[test]
    fn both_families_arrive_as_what_they_are() {
        let (sender, heard) = bounded(16);
        let sockets = Sockets::open(None, 0, &sender).unwrap();
        let port = sockets.port();
        for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            let Ok(other) = UdpSocket::bind((ip, 0)) else { continue };
            let addr = other.local_addr().unwrap();
            other.send_to(b"d1:qe", (ip, port)).unwrap();
            assert_eq!(packet(&heard), (addr, b"d1:qe".to_vec()));
            sockets.send(addr, b"answer");
            other.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            let mut buffer = [0; 10];
            let (len, from) = other.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..len], from.port()), (&b"answer"[..], port));
        }
        sockets.stop();
    }

    #[test]
    fn what_is_no_message_is_not_passed_on_and_a_full_queue_blocks_nobody() {
        let (sender, heard) = bounded(1);
        let sockets = Sockets::open(Some(Ipv4Addr::LOCALHOST.into()), 0, &sender).unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = ("127.0.0.1", sockets.port());
        other.send_to(&[], to).unwrap();
        other.send_to(b"\x01\x00uTP", to).unwrap();
        other.send_to(&[b'd'; 3000], to).unwrap();
        for n in 0..100u8 {
            other.send_to(&[b'd', n], to).unwrap();
        }
        assert_eq!(packet(&heard).1, [b'd', 0]);
        sockets.stop();
        assert!(
            sockets.legs.iter().all(|leg| leg.reader.try_recv().is_err_and(|error| error.is_disconnected()))
        );
    }

    #[test]
    fn a_port_that_is_taken_is_no_obstacle() {
        let (sender, _heard) = bounded(1);
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let sockets = Sockets::open(Some(Ipv4Addr::LOCALHOST.into()), port, &sender).unwrap();
        assert!(sockets.port() != 0 && sockets.port() != port);
        sockets.stop();
    }
}
