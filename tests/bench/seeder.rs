//! Lean seeders: they cost next to nothing, so that it is the leecher who is measured. One thread for a
//! group of them, one `epoll`, blocks straight from the page cache to the socket by `sendfile`.
//!
//! They speak handshake, bitfield, unchoke and piece, and hear request and cancel; they never choke,
//! never ask, never keep a byte. Distance is made here, because kernels without netem are common:
//! whatever arrives is looked at only `delay` later, which is what a round trip of that length does to
//! a conversation. The kernel's own handshake and TCP's windows do not feel it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use crate::torrent::Torrent;

const HANDSHAKE: usize = 68;
/// The longest message a leecher may send: a bitfield of a million pieces.
const LONGEST: usize = 128 << 10;
/// The longest block it may ask for.
const LARGEST_BLOCK: u32 = 128 << 10;
/// What a limited seeder that was not asked for a while may give at once.
const BURST: Duration = Duration::from_millis(50);
/// The longest it sleeps: how soon it notices that it is no longer needed.
const GLANCE: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// Bytes a second of each connection; nothing is no limit.
    pub rate: Option<u64>,
    pub delay: Duration,
}

/// A group of seeders in a thread of their own; they end when this is dropped.
pub struct Seeders {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Seeders {
    pub fn start(torrent: &Torrent, addresses: &[SocketAddr], manner: Manner) -> io::Result<Seeders> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut group = Group {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            listeners: Vec::new(),
            connections: Vec::new(),
            data: File::open(&torrent.path)?,
            torrent: torrent.clone(),
            manner,
            scratch: vec![0; 64 << 10],
        };
        for (index, address) in addresses.iter().enumerate() {
            let listener = TcpListener::bind(address)
                .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
            listener.set_nonblocking(true)?;
            epoll::add(
                &group.epoll,
                &listener,
                epoll::EventData::new_u64(index as u64),
                epoll::EventFlags::IN,
            )?;
            group.listeners.push(listener);
        }
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || group.run(&stopped));
        Ok(Seeders { stop, thread: Some(thread) })
    }
}

impl Drop for Seeders {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Group {
    epoll: OwnedFd,
    listeners: Vec<TcpListener>,
    /// A place is used again when its connection has ended.
    connections: Vec<Option<Connection>>,
    data: File,
    torrent: Torrent,
    manner: Manner,
    scratch: Vec<u8>,
}

/// Ends one connection, never the group.
struct Gone;

impl From<Errno> for Gone {
    fn from(_: Errno) -> Gone {
        Gone
    }
}

impl From<io::Error> for Gone {
    fn from(_: io::Error) -> Gone {
        Gone
    }
}

impl Group {
    fn run(&mut self, stop: &AtomicBool) {
        let mut room = [MaybeUninit::<epoll::Event>::uninit(); 128];
        let mut wait = GLANCE;
        while !stop.load(Ordering::Relaxed) {
            let timeout = Timespec { tv_sec: 0, tv_nsec: wait.as_nanos() as _ };
            let ready: Vec<(u64, epoll::EventFlags)> =
                match epoll::wait(&self.epoll, &mut room[..], Some(&timeout)) {
                    Ok((events, _)) => events.iter().map(|event| (event.data.u64(), event.flags)).collect(),
                    Err(Errno::INTR) => continue,
                    Err(error) => panic!("epoll: {error}"),
                };
            for (index, flags) in ready {
                match (index as usize).checked_sub(self.listeners.len()) {
                    None => self.accept(index as usize),
                    Some(at) => self.with(at, |connection, group| connection.ready(flags, group)),
                }
            }
            // Whatever has become due since; a millisecond is fine enough, and cheap.
            let now = Instant::now();
            wait = GLANCE;
            for at in 0..self.connections.len() {
                self.with(at, |connection, group| connection.pump(now, group));
                if let Some(due) = self.connections[at].as_ref().and_then(Connection::due) {
                    let left = due.saturating_duration_since(now).max(Duration::from_millis(1));
                    wait = wait.min(left);
                }
            }
        }
    }

    fn accept(&mut self, listener: usize) {
        while let Ok((stream, _)) = self.listeners[listener].accept() {
            let free = self.connections.iter().position(Option::is_none);
            let at = free.unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            let data = epoll::EventData::new_u64((self.listeners.len() + at) as u64);
            let flags = epoll::EventFlags::IN
                | epoll::EventFlags::OUT
                | epoll::EventFlags::RDHUP
                | epoll::EventFlags::ET;
            let ready = stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true));
            if ready.is_ok() && epoll::add(&self.epoll, &stream, data, flags).is_ok() {
                self.connections[at] = Some(Connection::new(stream));
            }
        }
    }

    /// Lends a connection the rest of the group, and drops it where it is gone.
    fn with(&mut self, at: usize, work: impl FnOnce(&mut Connection, &mut Group) -> Result<(), Gone>) {
        if let Some(mut connection) = self.connections[at].take() {
            if work(&mut connection, self).is_ok() {
                self.connections[at] = Some(connection);
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Request {
    piece: u32,
    begin: u32,
    length: u32,
}

/// A block on its way out.
struct Sending {
    header: [u8; 13],
    said: usize,
    offset: u64,
    left: usize,
}

struct Connection {
    stream: TcpStream,
    /// What arrived and is not due yet.
    far: VecDeque<(Instant, Vec<u8>)>,
    /// What is due and not a whole message yet.
    heard: Vec<u8>,
    greeted: bool,
    asked: VecDeque<Request>,
    sending: Option<Sending>,
    /// When the next block may leave at a limited rate.
    next: Instant,
    writable: bool,
}

impl Connection {
    fn new(stream: TcpStream) -> Connection {
        Connection {
            stream,
            far: VecDeque::new(),
            heard: Vec::new(),
            greeted: false,
            asked: VecDeque::new(),
            sending: None,
            next: Instant::now(),
            writable: true,
        }
    }

    /// When something is to be done though nothing arrives.
    fn due(&self) -> Option<Instant> {
        let out = (self.writable && !self.asked.is_empty()).then_some(self.next);
        self.far.front().map(|(due, _)| *due).into_iter().chain(out).min()
    }

    fn ready(&mut self, flags: epoll::EventFlags, group: &mut Group) -> Result<(), Gone> {
        self.writable |= flags.contains(epoll::EventFlags::OUT);
        if flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::RDHUP | epoll::EventFlags::HUP) {
            self.read(group)?;
        }
        if group.manner.delay.is_zero() {
            self.pump(Instant::now(), group)?;
        }
        Ok(())
    }

    fn read(&mut self, group: &mut Group) -> Result<(), Gone> {
        loop {
            match self.stream.read(&mut group.scratch) {
                Ok(0) => return Err(Gone),
                Ok(got) if group.manner.delay.is_zero() => {
                    self.heard.extend_from_slice(&group.scratch[..got]);
                    // A short read has emptied the socket: what comes later is told anew.
                    if got < group.scratch.len() {
                        return Ok(());
                    }
                }
                Ok(got) => {
                    let due = Instant::now() + group.manner.delay;
                    self.far.push_back((due, group.scratch[..got].to_vec()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Hears what is due and sends what may leave.
    fn pump(&mut self, now: Instant, group: &mut Group) -> Result<(), Gone> {
        while self.far.front().is_some_and(|(due, _)| *due <= now) {
            let (_, bytes) = self.far.pop_front().unwrap();
            self.heard.extend(bytes);
        }
        if !self.heard.is_empty() {
            self.hear(&group.torrent)?;
        }
        while self.writable {
            if self.sending.is_none() {
                if self.asked.is_empty() || self.next > now {
                    break;
                }
                let request = self.asked.pop_front().unwrap();
                if let Some(rate) = group.manner.rate {
                    let cost = Duration::from_secs_f64(f64::from(request.length) / rate as f64);
                    let earliest = now.checked_sub(BURST).unwrap_or(now);
                    self.next = self.next.max(earliest) + cost;
                }
                self.sending = Some(Sending::new(request, &group.torrent));
            }
            let sending = self.sending.as_mut().unwrap();
            match sending.send(&self.stream, &group.data) {
                Ok(true) => self.sending = None,
                Ok(false) => {}
                Err(Errno::AGAIN) => self.writable = false,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn hear(&mut self, torrent: &Torrent) -> Result<(), Gone> {
        let mut at = 0;
        if !self.greeted {
            if self.heard.len() < HANDSHAKE {
                return Ok(());
            }
            if self.heard[28..48] != torrent.info_hash {
                return Err(Gone);
            }
            self.greet(torrent)?;
            self.greeted = true;
            at = HANDSHAKE;
        }
        while let Some(length) = self.heard.get(at..at + 4) {
            let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
            if length > LONGEST {
                return Err(Gone);
            }
            let Some(message) = self.heard.get(at + 4..at + 4 + length) else { break };
            at += 4 + length;
            let (Some((&id, body)), 13) = (message.split_first(), length) else { continue };
            let field = |index: usize| u32::from_be_bytes(body[index * 4..index * 4 + 4].try_into().unwrap());
            let request = Request { piece: field(0), begin: field(1), length: field(2) };
            match id {
                6 => {
                    torrent.offset(request.piece, request.begin, request.length).ok_or(Gone)?;
                    if request.length > LARGEST_BLOCK {
                        return Err(Gone);
                    }
                    self.asked.push_back(request);
                }
                8 => self.asked.retain(|asked| *asked != request),
                _ => {}
            }
        }
        self.heard.drain(..at);
        Ok(())
    }

    /// Handshake, bitfield and unchoke in one.
    fn greet(&mut self, torrent: &Torrent) -> Result<(), Gone> {
        let mut hello = handshake(&torrent.info_hash, b"-BN0001-");
        let bits = torrent.full_bitfield();
        hello.extend((bits.len() as u32 + 1).to_be_bytes());
        hello.push(5);
        hello.extend(bits);
        hello.extend([0, 0, 0, 1, 1]);
        // The first words fit into an empty socket.
        if send(&self.stream, &hello, SendFlags::NOSIGNAL)? == hello.len() { Ok(()) } else { Err(Gone) }
    }
}

impl Sending {
    fn new(request: Request, torrent: &Torrent) -> Sending {
        let mut header = [0; 13];
        header[..4].copy_from_slice(&(request.length + 9).to_be_bytes());
        header[4] = 7;
        header[5..9].copy_from_slice(&request.piece.to_be_bytes());
        header[9..].copy_from_slice(&request.begin.to_be_bytes());
        let offset = torrent
            .offset(request.piece, request.begin, request.length)
            .expect("checked when it was asked for");
        Sending { header, said: 0, offset, left: request.length as usize }
    }

    /// Sends some of it; whether that was the rest.
    fn send(&mut self, stream: &TcpStream, data: &File) -> Result<bool, Errno> {
        if self.said < self.header.len() {
            let flags = SendFlags::NOSIGNAL | SendFlags::MORE;
            self.said += send(stream, &self.header[self.said..], flags)?;
        }
        if self.said == self.header.len() {
            self.left -= rustix::fs::sendfile(stream, data, Some(&mut self.offset), self.left)?;
        }
        Ok(self.left == 0)
    }
}

/// A handshake without extensions by a peer whose id begins like this.
pub fn handshake(info_hash: &[u8; 20], client: &[u8; 8]) -> Vec<u8> {
    use std::sync::atomic::AtomicU64;
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut hello = b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0".to_vec();
    hello.extend(info_hash);
    hello.extend(client);
    hello.extend(format!("{:012}", NEXT.fetch_add(1, Ordering::Relaxed)).bytes());
    hello
}
