//! The messages to a torrent's thread, and the inbox where it reads them.
//!
//! Blocking sends run downstream only: reader and worker, disk, torrent.

pub(crate) mod active_queue;
pub(crate) mod join;

use crossbeam_channel::Sender;

use self::join::JoinRequest;
use crate::engine::runtime::mailbox;
use crate::error::Error;
use crate::snapshot::{FileSnapshot, PeerSnapshot, PiecesSnapshot, TrackerSnapshot};
use crate::storage::opened::OpenedFiles;
use crate::storage::recheck::Rechecked;
use crate::torrent::Input;

/// The sending end of a torrent's inbox.
pub(crate) type TorrentSender = mailbox::Sender<TorrentMessage>;
/// The reading end.
pub(crate) type TorrentInbox = mailbox::Inbox<TorrentMessage>;

/// Messages that may wait for a torrent; then connections and the disk wait for it. The room is taken from
/// the start, also by a torrent that is never asked for.
const INBOX: usize = 64;

/// A torrent's inbox.
pub(crate) fn inbox() -> (TorrentSender, TorrentInbox) {
    mailbox::bounded(INBOX)
}

/// A message to a torrent's thread. What is large and rare is boxed: every place in the inbox costs as much
/// as the largest message, busy or not, and a box may seed hundreds of quiet torrents.
pub(crate) enum TorrentMessage {
    /// Something that the torrent decides on as it is.
    Input(Input),
    /// A connection has passed the handshake and asks to be let in.
    Join(Box<JoinRequest>),
    /// The check of existing data has ended.
    Checked(Box<Result<OpenedFiles, Error>>),
    /// Another program changed these files: they are not what they were when they were known to be right.
    FilesChanged(Vec<u32>),
    /// Changed files were hashed again.
    Rechecked(Box<Result<Rechecked, Error>>),
    /// Limits in bytes a second; 0 is none.
    SetLimits { down: u64, up: u64 },
    /// Trackers to announce to instead, each list a tier.
    SetTrackers(Vec<Vec<String>>),
    /// Go on, past the queue.
    StartNow,
    /// No connection leads anywhere any more: the device that they went by was taken away.
    CutOff,
    /// A question; answered unless the torrent has ended.
    Query(Query),
}

/// A question to a torrent, and where the answer goes.
pub(crate) enum Query {
    /// Who is connected.
    Peers(Sender<Vec<PeerSnapshot>>),
    /// Its pieces, once they are known.
    Pieces(Sender<Option<PiecesSnapshot>>),
    /// Its files, once they are known.
    Files(Sender<Option<Vec<FileSnapshot>>>),
    /// Its trackers.
    Trackers(Sender<Vec<TrackerSnapshot>>),
}

impl From<Input> for TorrentMessage {
    fn from(input: Input) -> TorrentMessage {
        TorrentMessage::Input(input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_torrents_inbox_is_small() {
        assert!(size_of::<TorrentMessage>() <= 96, "{} bytes", size_of::<TorrentMessage>());
    }
}
