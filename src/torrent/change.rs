//! What the user changes while the torrent runs.
//!
//! Plain values; `reopening` and `settings` make the changes.

use std::path::PathBuf;

use crate::config::{Priority, SeedLimits};

/// A change for which files may have to be closed and opened anew.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// All data is hashed again.
    Verify,
    /// Other files are wanted, or in another order.
    Files {
        /// The files that are wanted, or all.
        select: Option<Vec<u32>>,
        /// The priorities of those that have another than the usual one.
        priorities: Vec<(u32, Priority)>,
    },
    /// The data is in this directory.
    Locate(PathBuf),
    /// The data is to be moved to this directory.
    Move(PathBuf),
}

/// A setting, and what it is from now on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Setting {
    /// Connections at most.
    MaxPeers(u32),
    /// Peers that are served at a time at most; nothing has their number follow the upload rate.
    UploadSlots(Option<u32>),
    /// When seeding is enough.
    SeedLimits(SeedLimits),
    /// Whether pieces are downloaded in order.
    Sequential(bool),
    /// Whether to super-seed (BEP 16), where everything is there.
    SuperSeed(bool),
}
