//! The writer thread: one for the client. It hands blocks to their torrent's [`WriteQueue`] as they
//! come, which writes and hashes them, and tells the foreman what came of them.
//!
//! It never waits for anyone but the disk and, downstream, the foreman.

use std::collections::HashMap;

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::engine::inbox::{ForemanSender, ToForeman};
use crate::engine::runtime::block_pool::Block;
use crate::engine::runtime::threads;
use crate::error::Result;
use crate::id::TorrentKey;
use crate::storage::assembly::Assembly;
use crate::storage::write_queue::{News, Write, WriteQueue};

/// What the disk thread is told.
pub(crate) enum ToDisk {
    /// A torrent begins to receive.
    Open(TorrentKey, Box<Assembly>, ForemanSender),
    /// Blocks that were won and are to be written.
    Write { torrent: TorrentKey, write: Write<Block> },
    /// Try again what failed. Sent when no worker is left whose blocks could still be under way.
    Retry(TorrentKey),
    /// The torrent receives nothing more. Answered, by dropping the sender, when all before is done.
    Close(TorrentKey, Sender<()>),
}

/// Starts the writer. It ends when every sender is gone.
///
/// # Errors
/// As [`threads::spawn`].
pub(crate) fn start() -> Result<Sender<ToDisk>> {
    let (sender, receiver) = unbounded();
    threads::spawn("disk", move || run(&receiver))?;
    Ok(sender)
}

fn run(inbox: &Receiver<ToDisk>) {
    let mut torrents: HashMap<TorrentKey, (WriteQueue<Block>, ForemanSender)> = HashMap::new();
    for message in inbox {
        match message {
            ToDisk::Open(key, assembly, foreman) => {
                torrents.insert(key, (WriteQueue::new(assembly), foreman));
            }
            ToDisk::Write { torrent, write } => {
                if let Some((receiving, foreman)) = torrents.get_mut(&torrent) {
                    receiving.accept(write, &mut |news| tell(foreman, news));
                }
            }
            ToDisk::Retry(key) => {
                if let Some((receiving, foreman)) = torrents.get_mut(&key) {
                    receiving.retry(&mut |news| tell(foreman, news));
                }
            }
            // Dropping the assembly closes what it has open; dropping the sender answers.
            ToDisk::Close(key, _done) => drop(torrents.remove(&key)),
        }
    }
}

fn tell(foreman: &ForemanSender, news: News) {
    // A foreman that is gone wants no news.
    let _ = foreman.send(match news {
        News::Verdict(verdict) => ToForeman::Verdict(verdict),
        News::Failed(error) => ToForeman::WriteFailed(error),
        News::Dropped(piece) => ToForeman::Dropped(piece),
        News::Recovered => ToForeman::WriteRecovered,
        News::StoredAs(renamed) => ToForeman::StoredAs(renamed),
    });
}
