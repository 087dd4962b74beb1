//! A lean leecher: asks one seeder for everything, in order, many blocks at once, and compares every
//! byte. It keeps nothing and is faster than any seeder it measures.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use crate::seeder::handshake;
use crate::torrent::Torrent;

const BLOCK: u32 = 16 << 10;
/// Blocks asked for at once, as many as libtorrent asks for. Fewer would measure not the seeder but how often it
/// looks: transmission answers in pulses of half a second.
const DEPTH: usize = 500;
/// How long a seeder may say nothing.
const SILENCE: Duration = Duration::from_secs(30);

/// A connection to a seeder that has everything and has unchoked us.
pub struct Leecher {
    stream: TcpStream,
    heard: Vec<u8>,
    filled: usize,
    at: usize,
}

impl Leecher {
    /// Calls until someone is there who has everything and unchokes; nothing where that takes too long.
    pub fn connect(torrent: &Torrent, seeder: SocketAddr, patience: Duration) -> Option<Leecher> {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if let Ok(leecher) = Leecher::try_connect(torrent, seeder, end) {
                return Some(leecher);
            }
            std::thread::sleep(Duration::from_millis(250));
        }
        None
    }

    fn try_connect(torrent: &Torrent, seeder: SocketAddr, end: Instant) -> io::Result<Leecher> {
        let mut stream = TcpStream::connect(seeder)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.write_all(&handshake(&torrent.info_hash, b"-BN0002-"))?;
        let mut hello = [0; 68];
        stream.read_exact(&mut hello)?;
        // Interested.
        stream.write_all(&[0, 0, 0, 1, 2])?;
        let mut leecher = Leecher { stream, heard: vec![0; 512 << 10], filled: 0, at: 0 };
        let mut has = 0;
        let mut unchoked = false;
        while has < torrent.pieces() || !unchoked {
            if Instant::now() > end {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let message = leecher.message()?;
            match leecher.heard[message.clone()] {
                [0] => unchoked = false,
                [1] => unchoked = true,
                [4, ..] => has += 1,
                // "Have all" of someone who was not asked for the Fast Extension is taken, too.
                [14] => has = torrent.pieces(),
                [5, ref bits @ ..] => {
                    has = bits.iter().map(|byte| byte.count_ones()).sum();
                    // Still checking: come again later.
                    if has == 0 {
                        return Err(io::ErrorKind::NotFound.into());
                    }
                }
                _ => {}
            }
        }
        Ok(leecher)
    }

    /// Takes everything; the connection stays.
    pub fn take(&mut self, torrent: &Torrent) -> Result<(), String> {
        let data = File::open(&torrent.path).map_err(|error| error.to_string())?;
        let blocks = (0..torrent.length).step_by(BLOCK as usize);
        let mut next = blocks.clone();
        let mut left = blocks.count();
        let mut want = vec![0; BLOCK as usize];
        let mut asked = 0;
        let mut requests = Vec::new();
        while left > 0 {
            // A quarter of what is asked for at once, so that it is few writes.
            if asked <= DEPTH * 3 / 4 {
                requests.clear();
                for offset in next.by_ref().take(DEPTH - asked) {
                    asked += 1;
                    requests.extend([0, 0, 0, 13, 6]);
                    requests.extend(((offset / u64::from(torrent.piece_length)) as u32).to_be_bytes());
                    requests.extend(((offset % u64::from(torrent.piece_length)) as u32).to_be_bytes());
                    requests.extend(BLOCK.to_be_bytes());
                }
                self.stream.write_all(&requests).map_err(|error| format!("asking: {error}"))?;
            }
            let message = self.message().map_err(|error| format!("{left} blocks to go: {error}"))?;
            match self.heard[message] {
                [7, ref body @ ..] if body.len() == 8 + BLOCK as usize => {
                    let field = |at: usize| u32::from_be_bytes(body[at..at + 4].try_into().unwrap());
                    let offset = torrent.offset(field(0), field(4), BLOCK).ok_or("a block of nowhere")?;
                    data.read_exact_at(&mut want, offset).map_err(|error| error.to_string())?;
                    if body[8..] != want {
                        return Err(format!("wrong bytes at {offset}"));
                    }
                    left -= 1;
                    asked -= 1;
                }
                [0] => return Err(format!("choked with {left} blocks to go")),
                _ => {}
            }
        }
        Ok(())
    }

    /// The next message, where it lies in `heard`.
    fn message(&mut self) -> io::Result<std::ops::Range<usize>> {
        loop {
            if self.filled - self.at >= 4 {
                let length =
                    u32::from_be_bytes(self.heard[self.at..self.at + 4].try_into().unwrap()) as usize;
                if length + 4 > self.heard.len() {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                if self.filled - self.at >= 4 + length {
                    let start = self.at + 4;
                    self.at = start + length;
                    return Ok(start..start + length);
                }
            }
            self.heard.copy_within(self.at..self.filled, 0);
            self.filled -= self.at;
            self.at = 0;
            match self.stream.read(&mut self.heard[self.filled..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                got => self.filled += got,
            }
        }
    }
}
