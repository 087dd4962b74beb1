//! A lean HTTP tracker: one list of peers for everyone who asks, and a note of who said to have
//! everything. It never calls anyone.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Ends when it is dropped.
pub struct Tracker {
    address: SocketAddr,
    seeding: Arc<Mutex<HashSet<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Tracker {
    pub fn start(address: SocketAddr, peers: &[SocketAddr]) -> std::io::Result<Tracker> {
        let listener = TcpListener::bind(address)
            .map_err(|error| std::io::Error::new(error.kind(), format!("{address}: {error}")))?;
        let seeding = Arc::new(Mutex::new(HashSet::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let mut compact = Vec::new();
        for peer in peers {
            let IpAddr::V4(ip) = peer.ip() else { continue };
            compact.extend(ip.octets());
            compact.extend(peer.port().to_be_bytes());
        }
        let mut body = format!(
            "d8:completei{}e10:incompletei0e8:intervali1800e12:min intervali1800e5:peers{}:",
            peers.len(),
            compact.len()
        )
        .into_bytes();
        body.extend(compact);
        body.push(b'e');
        let (noted, stopped) = (seeding.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                if let Ok(stream) = stream {
                    // One at a time: announces are small, and a client that dawdles is let go.
                    let _ = answer(stream, &body, &noted);
                }
            }
        });
        Ok(Tracker { address, seeding, stop, thread: Some(thread) })
    }

    /// How many torrents someone announced to have whole.
    pub fn seeding(&self) -> usize {
        self.seeding.lock().unwrap().len()
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn answer(mut stream: TcpStream, body: &[u8], seeding: &Mutex<HashSet<String>>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.set_write_timeout(Some(Duration::from_secs(2)))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let query = request.split_whitespace().nth(1).and_then(|path| path.split_once("announce?"));
    let Some((_, query)) = query else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    };
    let field = |name: &str| {
        query.split('&').find_map(|pair| pair.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')))
    };
    if let (Some("0"), Some(hash)) = (field("left"), field("info_hash")) {
        // Clients escape as they please, each of them always the same way.
        seeding.lock().unwrap().insert(hash.to_owned());
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat())
}
