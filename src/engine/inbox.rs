//! What a torrent's thread is told, and the inbox where it reads that.
//!
//! Blocking sends run downstream only: reader and worker, disk, torrent.

use std::net::SocketAddr;

use crossbeam_channel::Sender;

use super::conn::join::JoinRequest;
use super::runtime::mailbox;
use crate::error::Error;
use crate::event::PeerSnapshot;
use crate::job::{PeerKey, Verdict};
use crate::orders::Report;
use crate::storage::names::StoredAs;
use crate::storage::resume::Uncommitted;
use crate::swarm::peers::Source;
use crate::tracker::report::TrackerEvent;
use crate::violation::DisconnectReason;

/// How a foreman is told something.
pub(crate) type ForemanSender = mailbox::Sender<ToForeman>;
/// Where it reads that.
pub(crate) type ForemanInbox = mailbox::Inbox<ToForeman>;

/// Messages that may wait for a foreman; then workers and the disk wait for it. The room is taken from
/// the start, also by a torrent that nobody asks for.
const INBOX: usize = 64;

/// A foreman's inbox.
pub(crate) fn inbox() -> (ForemanSender, ForemanInbox) {
    mailbox::bounded(INBOX)
}

/// What the foreman is told. What is large and rare is boxed: every place in its inbox costs as much
/// as the largest message, busy or not, and a box may seed hundreds of quiet torrents.
pub(crate) enum ToForeman {
    /// A conversation reports.
    Report(PeerKey, Report),
    /// A dial or an incoming connection got through the handshake and asks to be let in.
    Arrived(Box<JoinRequest>),
    /// A dial came to nothing.
    DialFailed(SocketAddr, DisconnectReason),
    /// A connection that was let in has ended.
    Gone(PeerKey, DisconnectReason),
    /// The check of existing data has ended.
    Checked(Box<Result<super::disk::checker::Outcome, Error>>),
    /// A piece is complete, for better or worse.
    Verdict(Verdict),
    /// A write failed; the disk holds that block and waits for [`ToDisk::Retry`].
    WriteFailed(Error),
    /// A block of this piece came after one that could not be written; the piece was forgotten.
    Dropped(u32),
    /// The block that could not be written has been.
    WriteRecovered,
    /// A file had to be put elsewhere than the torrent says.
    StoredAs(StoredAs),
    /// What a peer asked for could not be read.
    ReadFailed(Error),
    /// The resume state was saved, or not.
    Saved(Result<(), Uncommitted>),
    /// What came of an announce.
    Tracker(TrackerEvent),
    /// Somebody names peers: who holds the handle, or who looks for them, as the DHT does.
    Found(Source, Vec<SocketAddr>),
    /// While the metadata of a magnet link is fetched: what comes of it.
    Metadata(Box<super::metadata::News>),
    /// The torrent may download from now on: another has finished.
    YourTurn,
    /// Someone holding the torrent's handle wants something.
    Command(Command),
}

/// What a torrent's handle can want.
pub(crate) enum Command {
    Pause,
    Resume,
    Remove,
    SetLimits {
        down: u64,
        up: u64,
    },
    /// Who is connected; answered unless the foreman ends.
    Peers(Sender<Vec<PeerSnapshot>>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_foremans_inbox_is_small() {
        assert!(size_of::<ToForeman>() <= 96, "{} bytes", size_of::<ToForeman>());
    }
}
