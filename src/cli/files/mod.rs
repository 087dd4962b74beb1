//! The user's files: walking directories, choosing files of a torrent, hashing, writing a result safely.

pub(crate) mod atomic_write;
pub(crate) mod hash_torrent;
pub(crate) mod select;
pub(crate) mod walk;
