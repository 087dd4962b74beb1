//! A scripted peer on a real socket: it accepts connections and runs a closure on each, which says
//! whatever the test wants said. The peer wire protocol (BEP 3) here is written from the text alone.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::content::Torrent;

pub const CHOKE: u8 = 0;
pub const UNCHOKE: u8 = 1;
pub const INTERESTED: u8 = 2;
pub const HAVE: u8 = 4;
pub const BITFIELD: u8 = 5;
pub const REQUEST: u8 = 6;
pub const PIECE: u8 = 7;
pub const CANCEL: u8 = 8;
pub const SUGGEST: u8 = 13;
pub const HAVE_ALL: u8 = 14;
pub const HAVE_NONE: u8 = 15;
pub const REJECT: u8 = 16;
pub const ALLOWED_FAST: u8 = 17;
pub const EXTENDED: u8 = 20;

/// The reserved bits of one who speaks the Fast Extension (BEP 6).
pub const FAST: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 4];

/// The reserved bits of one who speaks the Extension Protocol (BEP 10).
pub const EXTENSIONS: [u8; 8] = [0, 0, 0, 0, 0, 0x10, 0, 0];

/// Addresses in 127/8: every peer and every node of the DHT gets one of its own, as those in the world have,
/// so that what one address is banned for never falls on another. Nodes with one address are one to others.
pub fn next_address() -> IpAddr {
    static NEXT: AtomicU32 = AtomicU32::new(2);
    let [.., high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, 9, high, low))
}

/// One conversation, from the scripted peer's side.
pub struct Talk {
    stream: TcpStream,
    pub torrent: Arc<Torrent>,
    /// The peer id this side shows.
    pub own_id: [u8; 20],
    /// What the other side showed in its handshake.
    pub reserved: [u8; 8],
    pub peer_id: [u8; 20],
}

/// A message as it came, its id and body; a keep-alive has neither.
pub type Message = Option<(u8, Vec<u8>)>;

impl Talk {
    pub fn new(stream: TcpStream, torrent: Arc<Torrent>) -> Talk {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mut own_id = *b"-TT0001-000000000000";
        own_id[12..].copy_from_slice(format!("{:08}", NEXT.fetch_add(1, Ordering::Relaxed)).as_bytes());
        stream.set_nodelay(true).unwrap();
        // No script waits for ever, whatever the other side does or leaves undone.
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
        Talk { stream, torrent, own_id, reserved: [0; 8], peer_id: [0; 20] }
    }

    pub fn remote(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }

    /// Reads the other side's handshake and answers it; all that a peer who is called does first.
    pub fn answer(&mut self, reserved: [u8; 8]) -> io::Result<()> {
        self.read_handshake()?;
        self.send_handshake(reserved)
    }

    pub fn read_handshake(&mut self) -> io::Result<()> {
        let mut hello = [0; 68];
        self.stream.read_exact(&mut hello)?;
        if !hello.starts_with(b"\x13BitTorrent protocol") || hello[28..48] != self.torrent.info_hash {
            return Err(io::Error::other("not the handshake of this torrent"));
        }
        self.reserved.copy_from_slice(&hello[20..28]);
        self.peer_id.copy_from_slice(&hello[48..]);
        Ok(())
    }

    pub fn send_handshake(&mut self, reserved: [u8; 8]) -> io::Result<()> {
        let hello = handshake(reserved, &self.torrent.info_hash, &self.own_id);
        self.raw(&hello)
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// A message, framed.
    pub fn send(&mut self, id: u8, body: &[u8]) -> io::Result<()> {
        self.raw(&frame(id, body))
    }

    /// Everything is here, come and get it.
    pub fn open_up(&mut self) -> io::Result<()> {
        let bitfield = self.torrent.full_bitfield();
        self.send(BITFIELD, &bitfield)?;
        self.send(UNCHOKE, &[])
    }

    /// A block as it should be.
    pub fn send_block(&mut self, block: Block) -> io::Result<()> {
        let torrent = self.torrent.clone();
        let bytes = torrent.block(block.piece, block.begin, block.length);
        let bytes = bytes.ok_or_else(|| io::Error::other(format!("asked for {block:?}")))?;
        self.send_payload(block, bytes)
    }

    /// A block with these bytes, right or wrong.
    pub fn send_payload(&mut self, block: Block, bytes: &[u8]) -> io::Result<()> {
        let mut head = [0; 13];
        head[..4].copy_from_slice(&(bytes.len() as u32 + 9).to_be_bytes());
        head[4] = PIECE;
        head[5..9].copy_from_slice(&block.piece.to_be_bytes());
        head[9..].copy_from_slice(&block.begin.to_be_bytes());
        self.raw(&head)?;
        self.raw(bytes)
    }

    /// The next message; an error where the other side hung up.
    pub fn read(&mut self) -> io::Result<Message> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > 1 << 20 {
            return Err(io::Error::other(format!("a frame of {length} bytes")));
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(if length == 0 { None } else { Some((body.remove(0), body)) })
    }

    /// The next request; other messages are passed over.
    pub fn next_request(&mut self) -> io::Result<Block> {
        loop {
            if let Some((REQUEST, body)) = self.read()? {
                return Block::parse(&body).ok_or_else(|| io::Error::other("a request of a wrong length"));
            }
        }
    }

    /// Waits for a message of this kind; others are passed over.
    pub fn wait_for(&mut self, wanted: u8) -> io::Result<Vec<u8>> {
        loop {
            match self.read()? {
                Some((id, body)) if id == wanted => return Ok(body),
                _ => {}
            }
        }
    }

    /// Listens, says nothing, until the other side hangs up.
    pub fn listen(&mut self) -> io::Result<()> {
        let mut sink = [0; 4096];
        while self.stream.read(&mut sink)? > 0 {}
        Ok(())
    }

    /// Serves every request from here on as a good peer does.
    pub fn serve(&mut self) -> io::Result<()> {
        loop {
            let block = self.next_request()?;
            self.send_block(block)?;
        }
    }

    /// Waits until something has come and leaves it unread: closing then sends a reset (RST), not a
    /// FIN.
    pub fn leave_unread(&mut self) -> io::Result<()> {
        self.stream.peek(&mut [0]).map(drop)
    }

    /// Nothing more is said, though it may listen on.
    pub fn end_writing(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    pub fn close(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// The 68 bytes of a handshake.
pub fn handshake(reserved: [u8; 8], info_hash: &[u8; 20], peer_id: &[u8; 20]) -> Vec<u8> {
    [&b"\x13BitTorrent protocol"[..], &reserved, info_hash, peer_id].concat()
}

/// A message with its length before it.
pub fn frame(id: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 + 1).to_be_bytes();
    [&length[..], &[id], body].concat()
}

/// What `request`, `piece` and `cancel` name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Block {
    pub piece: u32,
    pub begin: u32,
    pub length: u32,
}

impl Block {
    pub fn parse(body: &[u8]) -> Option<Block> {
        let field = |at: usize| Some(u32::from_be_bytes(body.get(at..at + 4)?.try_into().ok()?));
        (body.len() == 12).then_some(())?;
        Some(Block { piece: field(0)?, begin: field(4)?, length: field(8)? })
    }

    pub fn body(&self) -> Vec<u8> {
        [self.piece, self.begin, self.length].iter().flat_map(|field| field.to_be_bytes()).collect()
    }
}

/// A peer that listens at an address of its own and runs a script on every connection.
pub struct Peer {
    pub address: SocketAddr,
    log: Arc<(Mutex<Log>, Condvar)>,
}

#[derive(Default)]
struct Log {
    begun: u32,
    ended: Vec<String>,
}

impl Peer {
    /// The script gets every connection as it was accepted, before any handshake. It ends with an
    /// error where the other side hung up on it: that is what a liar is to expect.
    pub fn start(
        torrent: &Arc<Torrent>,
        script: impl Fn(&mut Talk) -> io::Result<()> + Send + Sync + 'static,
    ) -> Peer {
        Peer::start_at(next_address(), torrent, script)
    }

    pub fn start_at(
        ip: IpAddr,
        torrent: &Arc<Torrent>,
        script: impl Fn(&mut Talk) -> io::Result<()> + Send + Sync + 'static,
    ) -> Peer {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new((Mutex::new(Log::default()), Condvar::new()));
        let (script, torrent, noted) = (Arc::new(script), torrent.clone(), log.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, torrent, noted) = (script.clone(), torrent.clone(), noted.clone());
                noted.0.lock().unwrap().begun += 1;
                noted.1.notify_all();
                std::thread::spawn(move || {
                    let mut talk = Talk::new(stream, torrent);
                    let end = match script(&mut talk) {
                        Ok(()) => "the script ended".to_owned(),
                        Err(error) => error.to_string(),
                    };
                    drop(talk);
                    noted.0.lock().unwrap().ended.push(end);
                    noted.1.notify_all();
                });
            }
        });
        Peer { address, log }
    }

    /// How many connections it has had.
    pub fn connections(&self) -> u32 {
        self.log.0.lock().unwrap().begun
    }

    /// Waits until a conversation is over; false where none was within `patience`.
    pub fn wait_over(&self, patience: Duration) -> bool {
        self.wait(patience, |log| !log.ended.is_empty())
    }

    /// Waits until someone has called.
    pub fn wait_called(&self, patience: Duration) -> bool {
        self.wait(patience, |log| log.begun > 0)
    }

    /// How its conversations ended, for a failure's sake.
    pub fn endings(&self) -> Vec<String> {
        self.log.0.lock().unwrap().ended.clone()
    }

    fn wait(&self, patience: Duration, ready: impl Fn(&Log) -> bool) -> bool {
        let end = Instant::now() + patience;
        let mut log = self.log.0.lock().unwrap();
        while !ready(&log) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            log = self.log.1.wait_timeout(log, left).unwrap().0;
        }
        true
    }
}
