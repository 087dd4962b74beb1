//! The writer thread: one for the client. It hands blocks to their torrent's [`WriteQueue`] as they come,
//! which writes and hashes them, and sends the results to the torrent.
//!
//! It never waits for anything but the disk and, downstream, the torrent.

use std::collections::HashMap;

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::engine::inbox::TorrentSender;
use crate::engine::runtime::block_pool::Block;
use crate::engine::runtime::threads;
use crate::error::Result;
use crate::id::TorrentKey;
use crate::storage::assembly::Assembly;
use crate::storage::write_queue::{Write, WriteEvent, WriteQueue};
use crate::torrent::Input;

/// Messages to the disk thread.
pub(crate) enum ToDisk {
    /// A torrent begins to receive.
    Open(TorrentKey, Box<Assembly>, TorrentSender),
    /// Blocks that were won and are to be written.
    Write { torrent: TorrentKey, write: Write<Block> },
    /// Another program changed pieces that were verified: they are fetched again.
    Lost(TorrentKey, Vec<u32>),
    /// Try the failed write again. Sent when no connection is left whose blocks could still be under way.
    Retry(TorrentKey),
    /// The torrent receives nothing more. Answered by [`Input::DiskClosed`] when all before is done.
    Close(TorrentKey, TorrentSender),
}

/// Starts the writer. It ends when every sender is dropped.
///
/// # Errors
/// As [`threads::spawn`].
pub(crate) fn start() -> Result<Sender<ToDisk>> {
    let (sender, receiver) = unbounded();
    threads::spawn("disk", move || run(&receiver))?;
    Ok(sender)
}

fn run(inbox: &Receiver<ToDisk>) {
    let mut torrents: HashMap<TorrentKey, (WriteQueue<Block>, TorrentSender)> = HashMap::new();
    for message in inbox {
        match message {
            ToDisk::Open(key, assembly, torrent) => {
                torrents.insert(key, (WriteQueue::new(assembly), torrent));
            }
            ToDisk::Write { torrent: key, write } => {
                if let Some((receiving, torrent)) = torrents.get_mut(&key) {
                    receiving.accept(write, &mut |news| tell(torrent, news));
                }
            }
            ToDisk::Lost(key, pieces) => {
                if let Some((receiving, _)) = torrents.get_mut(&key) {
                    receiving.lose(&pieces);
                }
            }
            ToDisk::Retry(key) => {
                if let Some((receiving, torrent)) = torrents.get_mut(&key) {
                    receiving.retry(&mut |news| tell(torrent, news));
                }
            }
            // Dropping the assembly closes its open files.
            ToDisk::Close(key, torrent) => {
                drop(torrents.remove(&key));
                let _ = torrent.send(Input::DiskClosed.into());
            }
        }
    }
}

fn tell(torrent: &TorrentSender, news: WriteEvent) {
    // A torrent that has ended wants no news.
    let _ = torrent.send(Input::Disk(news).into());
}
