//! What the keeper is asked to do: plain values, parsed and permitted already.

use std::sync::Arc;

use crossbeam_channel::Sender;

use crate::daemon::command::{Failure, FilesChange, GroupChange, Outcome, QueueMove, TorrentChange};
use crate::daemon::settings::{SettingsChange, TorrentSettingsChange};
use crate::daemon::view::TorrentId;
use crate::{AddressFilter, Error, Magnet, Metainfo};

/// A torrent that was read and is to be added.
#[derive(Debug)]
pub struct NewTorrent {
    /// What it is.
    pub source: NewSource,
    /// Where its data go.
    pub dir: String,
    /// Whether it is added stopped.
    pub is_stopped: bool,
    /// What is set otherwise than the session has it.
    pub settings: TorrentSettingsChange,
    /// Its files.
    pub files: FilesChange,
}

/// What a torrent that is to be added was read from.
#[derive(Debug)]
pub enum NewSource {
    /// A `.torrent`, and its bytes.
    Torrent(Box<Metainfo>, Vec<u8>),
    /// A link, and its text.
    Magnet(Box<Magnet>, String),
}

/// What the keeper is asked to do.
#[derive(Debug)]
pub enum Order {
    /// Adds a torrent.
    Add(Box<NewTorrent>),
    /// Removes torrents, with their data.
    Remove(Vec<TorrentId>, bool),
    /// Starts torrents.
    Start(Vec<TorrentId>),
    /// Stops torrents.
    Stop(Vec<TorrentId>),
    /// Verifies data.
    Verify(Vec<TorrentId>),
    /// Announces now.
    Reannounce(Vec<TorrentId>),
    /// Changes a torrent.
    Set(TorrentId, Box<TorrentChange>),
    /// Names another place for data, which are moved there or are there.
    Move(Vec<TorrentId>, String, bool),
    /// Renames a path of a torrent.
    Rename(TorrentId, String, String),
    /// Moves torrents in the queue.
    Queue(Vec<TorrentId>, QueueMove),
    /// Changes settings of the session.
    SetSession(Box<SettingsChange>),
    /// Makes or changes a group.
    SetGroup(GroupChange),
}

/// A message to the keeper.
pub enum Message {
    /// Something to do, and where the outcome goes.
    Do(Order, Sender<Result<Outcome, Failure>>),
    /// Another filter holds, with as many rules.
    Filter(Arc<AddressFilter>, u64),
    /// The data of a torrent were moved to a place, or not.
    Moved(TorrentId, String, Result<(), Error>),
    /// A question whether it lives; answered by hanging up.
    Ping(Sender<()>),
    /// The session ends.
    End,
}
