//! The pieces verified in this session, and those found to be right no longer, in order: how every
//! conversation learns of them without a message a piece and a peer.
//!
//! The torrent appends; each conversation reads on from where it was, whenever one of its threads is
//! awake anyway or is woken. Invariant: append-only; a piece is in it once, and once more each time
//! another program spoils it and each time it is there again, so four bytes a piece bound it where
//! nothing is spoiled.

use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::lock;

/// The log.
#[derive(Debug, Default)]
pub struct HaveLog {
    entries: RwLock<Entries>,
    /// How many losses are in it.
    losses: AtomicU64,
}

#[derive(Debug, Default)]
struct Entries {
    pieces: Vec<u32>,
    /// Which of them are losses, by their place, in order.
    losses: Vec<usize>,
}

/// What a reader of the log is told.
#[derive(Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// These pieces are there now.
    Verified(&'a [u32]),
    /// This piece is there no longer.
    Lost(u32),
}

impl HaveLog {
    /// Notes that `piece` was verified.
    pub fn append(&self, piece: u32) {
        lock::write(&self.entries).pieces.push(piece);
    }

    /// Notes that `piece` is right no longer.
    pub fn append_lost(&self, piece: u32) {
        let mut entries = lock::write(&self.entries);
        let at = entries.pieces.len();
        entries.losses.push(at);
        entries.pieces.push(piece);
        self.losses.fetch_add(1, Ordering::Release);
    }

    /// How many losses there are: where it is what it was, a reader of all that was there knows of each.
    pub fn losses(&self) -> u64 {
        self.losses.load(Ordering::Acquire)
    }

    /// The end of the log: where a reader who knows all of them goes on.
    pub fn end(&self) -> usize {
        lock::read(&self.entries).pieces.len()
    }

    /// Hands the entries from `cursor` on to `read`, in order, and moves the cursor past them.
    pub fn read_on(&self, cursor: &mut usize, mut read: impl FnMut(Change<'_>)) {
        let entries = lock::read(&self.entries);
        let Entries { pieces, losses } = &*entries;
        while let Some(&first) = pieces.get(*cursor) {
            match losses.get(losses.partition_point(|at| at < cursor)) {
                Some(at) if at == cursor => {
                    read(Change::Lost(first));
                    *cursor += 1;
                }
                next => {
                    let end = next.copied().unwrap_or(pieces.len());
                    read(Change::Verified(pieces.get(*cursor..end).unwrap_or_default()));
                    *cursor = end;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(log: &HaveLog, cursor: &mut usize) -> Vec<(bool, Vec<u32>)> {
        let mut told = Vec::new();
        log.read_on(cursor, |change| {
            told.push(match change {
                Change::Verified(pieces) => (true, pieces.to_vec()),
                Change::Lost(piece) => (false, vec![piece]),
            })
        });
        told
    }

    #[test]
    fn gains_and_losses_are_told_in_their_order_and_once() {
        let (log, mut cursor) = (HaveLog::default(), 0);
        assert_eq!(read(&log, &mut cursor), []);
        [4, 7].into_iter().for_each(|piece| log.append(piece));
        log.append_lost(4);
        log.append_lost(9);
        log.append(4);
        let mut later = 2;
        assert_eq!(
            read(&log, &mut cursor),
            [(true, vec![4, 7]), (false, vec![4]), (false, vec![9]), (true, vec![4])]
        );
        assert_eq!(read(&log, &mut later), [(false, vec![4]), (false, vec![9]), (true, vec![4])]);
        assert_eq!((cursor, log.end(), log.losses()), (5, 5, 2));
        log.append(1);
        assert_eq!(read(&log, &mut cursor), [(true, vec![1])]);
    }
}
