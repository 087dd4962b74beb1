//! A torrent's bytes on disk: where they lie, how they are read, written, proved and remembered.
//!
//! The life of a torrent here: a [`Layout`](layout::Layout) says which file a byte belongs to,
//! [`Files`](files::Files) reads and writes them through an [`FdCache`](fd_cache::FdCache) that all torrents
//! share, [`survey`](survey::survey) finds existing data, [`verify`] hashes the pieces that the survey could
//! not trust, [`WriteQueue`](write_queue::WriteQueue) takes new blocks one after the other,
//! [`Assembly`](assembly::Assembly) writes and hashes them and gives the verdict on each piece, and
//! [`Resume`](resume::Resume) writes down which pieces were proved, after the bytes themselves have reached
//! the disk. Before the first write the torrent [takes](files::Files::take) its files, so that no two
//! torrents write to one; a [`Census`](census::Census) lists the files that others say are theirs.
//! [`hole_check`] finds losses that another program caused meanwhile. [`hash`] goes the other way and makes
//! the piece hashes of files that are to become a torrent.
//!
//! The only room below the engine that touches the file system. It never touches the network, and never a
//! file outside the directory it was given. Its invariants: a byte once verified is never written again, and
//! no state claims a piece whose bytes were not synced before.

pub mod assembly;
pub mod census;
mod claims;
mod evidence;
pub mod fd_cache;
pub mod files;
pub mod hash;
pub mod layout;
pub mod leftovers;
pub mod links;
mod locate;
mod lock;
pub mod moving;
pub mod names;
mod normal;
pub mod opened;
mod own;
mod parts;
pub mod recheck;
pub mod renaming;
pub(crate) mod replace;
pub mod resume;
pub mod state;
pub mod store;
mod substitute;
pub mod survey;
mod taking;
pub mod verify;
pub mod watch;

pub mod hole_check;
pub mod info_file;
mod io_error;
mod linux;
mod parallel;
#[cfg(test)]
pub(crate) mod sample;
mod sandbox;
pub mod write_queue;
