//! The writer thread: one for the client. It writes blocks as they come, hashes along each piece's
//! frontier (both in the torrent's [`Assembly`]), and tells the foreman the verdict.
//!
//! It never waits for anyone but the disk and, downstream, the foreman. A block that cannot be
//! written is held and tried again when the foreman says so; what comes after it meanwhile is
//! dropped, its piece forgotten, and the foreman told, so that a full disk never fills the pool.

use std::collections::HashMap;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::blocks::Block;
use super::messages::{ToDisk, ToForeman, TorrentKey};
use super::threads;
use crate::error::Result;
use crate::job::PeerKey;
use crate::pieces::BLOCK;
use crate::storage::assembly::Assembly;
use crate::wire::frame::Blocks;

/// Starts the writer. It ends when every sender is gone.
pub(crate) fn start() -> Result<(Sender<ToDisk>, JoinHandle<()>)> {
    let (sender, receiver) = unbounded();
    let thread = threads::spawn("disk", move || run(&receiver))?;
    Ok((sender, thread))
}

/// One torrent on the disk thread.
struct Receiving {
    assembly: Box<Assembly>,
    foreman: Sender<ToForeman>,
    /// The block that could not be written.
    held: Option<Write>,
}

struct Write {
    from: PeerKey,
    blocks: Blocks<Block>,
    /// Which blocks of the run to write, the first in the lowest bit.
    won: u8,
}

fn run(inbox: &Receiver<ToDisk>) {
    let mut torrents: HashMap<TorrentKey, Receiving> = HashMap::new();
    for message in inbox {
        match message {
            ToDisk::Open(key, assembly, foreman) => {
                torrents.insert(key, Receiving { assembly, foreman, held: None });
            }
            ToDisk::Write { torrent, from, blocks, won } => {
                if let Some(receiving) = torrents.get_mut(&torrent) {
                    receiving.accept(Write { from, blocks, won });
                }
            }
            ToDisk::Retry(key) => {
                if let Some(receiving) = torrents.get_mut(&key) {
                    receiving.retry();
                }
            }
            // Dropping the assembly closes what it has open; dropping the sender answers.
            ToDisk::Close(key, _done) => drop(torrents.remove(&key)),
        }
    }
}

impl Receiving {
    fn accept(&mut self, write: Write) {
        if self.held.is_some() {
            self.assembly.abandon(write.blocks.piece);
            self.tell(ToForeman::Dropped(write.blocks.piece));
        } else {
            self.write_or_hold(write);
        }
    }

    fn retry(&mut self) {
        if self.held.take().is_some_and(|write| self.write_or_hold(write)) {
            self.tell(ToForeman::WriteRecovered);
        }
    }

    fn write_or_hold(&mut self, mut write: Write) -> bool {
        let done = self.write(&mut write);
        if let Err(error) = done {
            self.held = Some(write);
            self.tell(ToForeman::WriteFailed(error));
            return false;
        }
        true
    }

    /// Writes each stretch of blocks that were won, and strikes it off.
    fn write(&mut self, write: &mut Write) -> Result<()> {
        let Blocks { piece, begin, length, ref data, .. } = write.blocks;
        let mut at = 0;
        while at < length {
            let mut end = at;
            while end < length && write.won >> (end / BLOCK) & 1 == 1 {
                end = (end + BLOCK).min(length);
            }
            if at < end {
                let bytes = data.as_ref().get(at as usize..end as usize).unwrap_or_default();
                if let Some(verdict) = self.assembly.accept(piece, begin + at, bytes, write.from)? {
                    self.tell(ToForeman::Verdict(verdict));
                }
                (at / BLOCK..end.div_ceil(BLOCK)).for_each(|block| write.won &= !(1 << block));
            }
            at = end.max(at + BLOCK);
        }
        Ok(())
    }

    fn tell(&self, news: ToForeman) {
        // A foreman that is gone wants no news.
        let _ = self.foreman.send(news);
    }
}
