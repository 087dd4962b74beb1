//! Trackers that fail in every way, and are well again: one over HTTP, one over UDP.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::peers::{Rest, Rolls};
use crate::support::bencode::{bytes, dict, int};
use crate::support::content::noise;
use crate::support::http::{Server, ok};
use crate::support::node::compact;

/// Whose peers a tracker names, by the path of its URL.
pub type Names = Arc<Mutex<HashMap<String, Vec<SocketAddr>>>>;

pub struct Trackers {
    http: Server,
    pub udp: SocketAddr,
    pub names: Names,
    pub announces: Arc<AtomicU64>,
}

impl Trackers {
    pub fn start(rolls: &Arc<Rolls>, rest: &Rest) -> Trackers {
        let (names, announces) = (Names::default(), Arc::new(AtomicU64::new(0)));
        let (dice, resting, named, counted) = (rolls.clone(), rest.clone(), names.clone(), announces.clone());
        let http = Server::start(move |question, stream| {
            counted.fetch_add(1, Ordering::Relaxed);
            answer(question, stream, &dice, &resting, &named)
        });
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let udp = socket.local_addr().unwrap();
        let (dice, resting, counted) = (rolls.clone(), rest.clone(), announces.clone());
        std::thread::spawn(move || {
            let mut packet = [0; 2048];
            while let Ok((length, from)) = socket.recv_from(&mut packet) {
                counted.fetch_add(1, Ordering::Relaxed);
                let roll = if resting.is_set() { 9 } else { dice.below(30) };
                for reply in reply(&packet[..length], roll) {
                    let _ = socket.send_to(&reply, from);
                }
            }
        });
        Trackers { http, udp, names, announces }
    }

    /// Those of a torrent that goes by this name.
    pub fn urls(&self, name: &str) -> Vec<String> {
        let dead = "http://127.0.0.1:1/announce".to_owned();
        vec![self.http.url(&format!("/{name}/announce")), format!("udp://{}/{name}", self.udp), dead]
    }
}

fn answer(
    question: &str,
    stream: &mut TcpStream,
    rolls: &Rolls,
    rest: &Rest,
    names: &Names,
) -> io::Result<()> {
    let roll = if rest.is_set() { 9 } else { rolls.below(16) };
    match roll {
        0 => write!(stream, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"),
        1 => ok(stream, b"d14:failure reason4:busye"),
        2 => ok(stream, &noise(roll + rolls.below(100), 3000)),
        3 => Ok(()),
        4 => {
            rest.hang();
            Ok(())
        }
        5 => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")?;
            while !rest.is_set() {
                write!(stream, "x")?;
                std::thread::sleep(Duration::from_millis(100));
            }
            Ok(())
        }
        _ => {
            let name = question.split('/').nth(1).unwrap_or_default();
            let peers: Vec<u8> = names
                .lock()
                .unwrap()
                .get(name)
                .into_iter()
                .flatten()
                .flat_map(|peer| compact(*peer))
                .collect();
            ok(stream, &dict([("interval", int(5)), ("peers", bytes(peers))]).encode())
        }
    }
}

/// The answers to a packet (BEP 15), right as a rule.
fn reply(asked: &[u8], roll: u64) -> Vec<Vec<u8>> {
    let (Some(action), Some(transaction)) = (asked.get(8..12), asked.get(12..16)) else { return Vec::new() };
    let right = match action {
        [0, 0, 0, 0] => [&[0, 0, 0, 0], transaction, &[7; 8]].concat(),
        _ => [&[0, 0, 0, 1], transaction, &[0, 0, 0, 5], &[0; 8]].concat(),
    };
    match roll {
        // Lost; asked again a quarter of a minute later.
        0 => Vec::new(),
        1 => vec![[&[0, 0, 0, 3], transaction, b"busy"].concat()],
        2 => vec![noise(u64::from(transaction[0]), 40), right],
        3 => vec![right.clone(), right],
        _ => vec![right],
    }
}
