//! What can be done to the session and its torrents, and the [`Backend`] that answers and obeys.
//!
//! Commands are plain values that have been checked as far as the views allow: ids are of torrents that there
//! were, indices of files and pieces are in range, paths are absolute. Whether a path may be used (the roots),
//! whether a torrent is still there and what the disk says is the backend's to find out.
//!
//! The backend is what the library of torrents implements, or a handle to it. Each method may wait for another
//! thread; none may wait without end. An RPC answer calls it from one thread, in the order of the request.

use std::io;

use crate::InfoHash;
use crate::daemon::settings::{Priority, SettingsChange, TorrentSettingsChange};
use crate::daemon::view::{
    FileState, Group, PeerView, PiecesState, SessionView, Space, TorrentId, TorrentView, Tracker,
    TrackerState,
};

/// The session as its users see it: views out, commands in.
///
/// Views take `&self`: asking changes nothing. A torrent that is gone has no view, no files and no peers.
pub trait Backend {
    /// The session.
    fn session(&self) -> SessionView;

    /// All torrents, by id from low to high.
    fn torrents(&self) -> Vec<TorrentId>;

    /// The torrent of this hash.
    fn find(&self, hash: &InfoHash) -> Option<TorrentId>;

    /// Torrents of which something changed within the last 60 seconds.
    fn recently_active(&self) -> Vec<TorrentId>;

    /// Torrents that were removed within the last 60 seconds.
    fn recently_removed(&self) -> Vec<TorrentId>;

    /// A torrent, as far as it costs little.
    fn torrent(&self, id: TorrentId) -> Option<TorrentView>;

    /// The files of a torrent, in the order of its facts; none without metadata.
    fn files(&self, id: TorrentId) -> Vec<FileState>;

    /// The pieces of a torrent.
    fn pieces(&self, id: TorrentId) -> PiecesState;

    /// The connected peers of a torrent.
    fn peers(&self, id: TorrentId) -> Vec<PeerView>;

    /// How each tracker of a torrent stands, in the order of its view.
    fn trackers(&self, id: TorrentId) -> Vec<TrackerState>;

    /// The file system of a directory. The path is absolute.
    fn space(&self, path: &str) -> Result<Space, Failure>;

    /// Whether peers can reach the port, as far as is known without asking a third party.
    fn is_port_open(&self, family: Option<AddressFamily>) -> Result<bool, Failure>;

    /// Does what is asked. It returns when what was done would survive a power cut; what takes long (moving
    /// data, verifying) goes on after it.
    fn run(&mut self, command: Command) -> Result<Outcome, Failure>;
}

/// A family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressFamily {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// What can be done. Lists of torrents have no id twice; they may be empty, and then nothing is done.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Adds a torrent; succeeds with [`Outcome::Added`] or [`Outcome::Duplicate`].
    Add(Box<Add>),
    /// Removes torrents.
    Remove {
        /// Which.
        ids: Vec<TorrentId>,
        /// Whether their data go too.
        data: bool,
    },
    /// Starts torrents, or puts them into the queue.
    Start(Vec<TorrentId>),
    /// Starts torrents past the queue.
    StartNow(Vec<TorrentId>),
    /// Stops torrents.
    Stop(Vec<TorrentId>),
    /// Verifies the data of torrents. A stopped one is stopped again afterwards.
    Verify(Vec<TorrentId>),
    /// Announces torrents to their trackers now.
    Reannounce(Vec<TorrentId>),
    /// Changes one torrent.
    Set(TorrentId, Box<TorrentChange>),
    /// Names another place for the data of torrents; `download_dir` of their views says so from now on.
    Move {
        /// Which.
        ids: Vec<TorrentId>,
        /// The directory; absolute.
        to: String,
        /// Whether the data are moved; else they are looked for there.
        data: bool,
    },
    /// Renames a file or directory of a torrent, or the torrent itself where `path` is its name.
    Rename {
        /// Which.
        id: TorrentId,
        /// What is renamed, as in [`FileFacts::path`](super::view::FileFacts::path).
        path: String,
        /// The new name: not empty, without `/`, neither `.` nor `..`.
        name: String,
    },
    /// Moves torrents in the queue.
    Queue(Vec<TorrentId>, QueueMove),
    /// Changes settings of the session. What cannot be had (uTP in a build without it) is left as it is.
    SetSession(Box<SettingsChange>),
    /// Makes a group of this name, or changes the one there is.
    SetGroup(GroupChange),
    /// Fetches the blocklist; succeeds with [`Outcome::Blocklist`].
    UpdateBlocklist,
    /// Ends the daemon, once the answer to this has been sent.
    Close,
}

/// Where torrents go in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueMove {
    /// To its front.
    Top,
    /// One place to the front.
    Up,
    /// One place to the back.
    Down,
    /// To its back.
    Bottom,
}

/// A torrent to add.
#[derive(Debug, Clone, PartialEq)]
pub struct Add {
    /// What it is.
    pub source: Source,
    /// Where its data go; absolute. The session's directory if `None`.
    pub download_dir: Option<String>,
    /// Whether it is added stopped. As the session has it if `None`.
    pub paused: Option<bool>,
    /// What is set otherwise than the session has it; its labels too.
    pub settings: TorrentSettingsChange,
    /// Which files are wanted, and their priorities. Indices are not checked: there may be no metadata yet. Those
    /// past the end mean nothing.
    pub files: FilesChange,
}

impl Add {
    /// A torrent with the settings of the session.
    pub fn new(source: Source) -> Self {
        Add {
            source,
            download_dir: None,
            paused: None,
            settings: TorrentSettingsChange::default(),
            files: FilesChange::default(),
        }
    }
}

/// Where a torrent comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The bytes of a `.torrent`.
    Metainfo(Vec<u8>),
    /// A magnet link; not looked at yet.
    Magnet(String),
    /// An HTTP or HTTPS URL of a `.torrent`, which the daemon fetches, with the `Cookie` header to send.
    Url {
        /// The URL.
        url: String,
        /// The value of the header; empty for none.
        cookies: String,
    },
    /// A path on the daemon's machine. The backend refuses what lies outside its roots.
    Path(String),
}

/// Changes to which files are wanted and to their priorities: indices, in the order of
/// [`TorrentFacts::files`](super::view::TorrentFacts::files). Unwanted first, then wanted; low, normal, high.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilesChange {
    /// No longer wanted.
    pub unwanted: Vec<u32>,
    /// Wanted.
    pub wanted: Vec<u32>,
    /// New priorities, in the order in which they are set.
    pub priorities: Vec<(u32, Priority)>,
}

/// A change to one torrent: all of it is done, or none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TorrentChange {
    /// Settings.
    pub settings: TorrentSettingsChange,
    /// Files.
    pub files: FilesChange,
    /// All trackers it has from now on, in order. Those that stay have the ids they had.
    pub trackers: Option<Vec<Tracker>>,
    /// Its place in the queue; past the end is the end.
    pub queue_position: Option<u32>,
    /// Where its data are from now on, without moving them; absolute.
    pub location: Option<String>,
}

/// A group of bandwidth to make or to change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupChange {
    /// Its name.
    pub name: String,
    /// See [`Group`].
    pub honors_session_limits: Option<bool>,
    /// See [`Group`].
    pub speed_limit_down: Option<u32>,
    /// See [`Group`].
    pub speed_limit_down_enabled: Option<bool>,
    /// See [`Group`].
    pub speed_limit_up: Option<u32>,
    /// See [`Group`].
    pub speed_limit_up_enabled: Option<bool>,
}

impl GroupChange {
    /// Makes the change. A new group begins as [`Group::default`] with its name and with the limits of the session
    /// honoured.
    pub fn apply(self, group: &mut Group) {
        fn set<T>(field: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *field = value;
            }
        }
        set(&mut group.honors_session_limits, self.honors_session_limits);
        set(&mut group.speed_limit_down, self.speed_limit_down);
        set(&mut group.speed_limit_down_enabled, self.speed_limit_down_enabled);
        set(&mut group.speed_limit_up, self.speed_limit_up);
        set(&mut group.speed_limit_up_enabled, self.speed_limit_up_enabled);
    }
}

/// What came of a command that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// A torrent was added.
    Added(Added),
    /// The torrent was there already, and nothing was changed.
    Duplicate(Added),
    /// The blocklist was fetched and has as many rules.
    Blocklist(u64),
}

/// The torrent that was added, or that was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// Its id.
    pub id: TorrentId,
    /// Its name.
    pub name: String,
    /// Its hash.
    pub info_hash: InfoHash,
}

/// Why a command or a question failed. Each text is one line for people, and tells nothing that the client may
/// not know, such as what is in a file that the daemon can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// What was to be added is no torrent, no magnet link and no file.
    Unrecognized,
    /// What was to be added is a torrent that cannot be used.
    Corrupt,
    /// What had to be fetched could not be: `Couldn't fetch torrent: Not Found (404)`.
    Fetch(String),
    /// The blocklist that was fetched has no rule.
    NoBlocklistRules,
    /// The operating system refused, in its words: `No space left on device`.
    System(String),
    /// The daemon refuses: a path outside its roots, a name that is taken.
    Refused(String),
    /// The daemon is ending, or a part of it does not answer.
    Unavailable,
}

impl Failure {
    /// What the operating system says of a name that cannot be.
    pub fn invalid() -> Failure {
        Failure::System("Invalid argument".to_owned())
    }

    /// An error of the operating system in its words, without its number.
    pub fn of_system(error: &io::Error) -> Failure {
        let text = error.to_string();
        let words = text.split_once(" (os error").map_or(text.as_str(), |(words, _)| words);
        Failure::System(words.to_owned())
    }
}
