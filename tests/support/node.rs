//! A node of the DHT made by hand (BEP 5): a UDP socket and a closure that says what each question is
//! answered with, right or wrong.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use super::bencode::{Value, bytes, dict, list};
use super::peer::next_address;

/// A question as it came.
#[derive(Debug, Clone)]
pub struct Question {
    pub from: SocketAddr,
    /// The four bytes that its answer has to have.
    pub transaction: Vec<u8>,
    /// Whether peers are asked for, and not nodes.
    pub wants_peers: bool,
}

impl Question {
    fn read(packet: &[u8], from: SocketAddr) -> Option<Question> {
        let after = |key: &[u8]| {
            let at = packet.windows(key.len()).position(|window| window == key)?;
            packet.get(at + key.len()..)
        };
        after(b"1:y1:q")?;
        let transaction = after(b"1:t4:")?.get(..4)?.to_vec();
        Some(Question { from, transaction, wants_peers: after(b"1:q9:get_peers").is_some() })
    }

    /// An answer with this id and these values.
    pub fn answer(&self, id: [u8; 20], more: Vec<(&'static str, Value)>) -> Vec<u8> {
        let values = [("id", bytes(id))].into_iter().chain(more);
        dict([("r", dict(values)), ("t", bytes(&self.transaction)), ("y", bytes("r"))]).encode()
    }

    /// As a node of an empty network that knows these peers would.
    pub fn rightly(&self, id: [u8; 20], peers: &[SocketAddr]) -> Vec<u8> {
        let mut more = vec![("nodes", bytes(""))];
        if self.wants_peers {
            more.push(("token", bytes("token")));
            more.push(("values", list(peers.iter().map(|peer| bytes(compact(*peer))))));
        }
        self.answer(id, more)
    }
}

/// Starts a node. What `answer` gives back is sent to the asker, a packet each; it may send more by
/// the socket itself.
pub fn node(answer: impl Fn(&Question, &UdpSocket) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind((next_address(), 0)).unwrap();
    let address = socket.local_addr().unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    std::thread::spawn(move || {
        let mut packet = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut packet) {
            let Some(question) = Question::read(&packet[..length], from) else { continue };
            for packet in answer(&question, &socket) {
                // The asker may be gone.
                let _ = socket.send_to(&packet, from);
            }
        }
    });
    address
}

/// An address as it travels.
pub fn compact(address: SocketAddr) -> Vec<u8> {
    match address.ip() {
        IpAddr::V4(ip) => [&ip.octets()[..], &address.port().to_be_bytes()].concat(),
        IpAddr::V6(ip) => [&ip.octets()[..], &address.port().to_be_bytes()].concat(),
    }
}
