//! The writer thread: one for the client. It hands blocks to their torrent's [`Receiving`] as they
//! come, which writes and hashes them, and tells the foreman what came of them.
//!
//! It never waits for anyone but the disk and, downstream, the foreman.

use std::collections::HashMap;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::blocks::Block;
use super::messages::{ForemanSender, ToDisk, ToForeman, TorrentKey};
use super::threads;
use crate::error::Result;
use crate::storage::receiving::{News, Receiving};

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
    let mut torrents: HashMap<TorrentKey, (Receiving<Block>, ForemanSender)> = HashMap::new();
    for message in inbox {
        match message {
            ToDisk::Open(key, assembly, foreman) => {
                torrents.insert(key, (Receiving::new(assembly), foreman));
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
