//! The contents of a `.torrent` file (BEP 3, 5, 12, 19, 27, 47, 52): read by [`Metainfo::from_bytes`],
//! written by [`build`], changed by [`edit`]; and those of a [`Magnet`] link.
//!
//! The info dictionary is kept unchanged, once: the info-hash is taken over those bytes, and piece hashes and
//! paths stay where they are in it. A torrent takes at most three times the bytes of its `.torrent`, most of
//! them take little more than one. Only entries that the program uses are kept besides, made safe on the way
//! in: names and paths can be joined to a directory and printed, addresses have the form of an address.
//! [`Metainfo::warnings`] lists all that had to be tolerated or changed.
//!
//! A hybrid torrent (BEP 52) is used as the v1 torrent it also is; a v2-only one is refused.

mod addresses;
pub mod build;
pub mod edit;
mod fields;
mod file_reader;
mod files;
mod foreign;
mod links;
mod magnet;
mod parse;
mod path;
mod places;
#[cfg(test)]
mod tests;
mod torrent;
mod warnings;

pub use addresses::MAX_ADDRESSES;
pub use files::{File, FileIter, FileList, MAX_FILES};
pub use magnet::{MAX_MAGNET, Magnet};
pub use path::{MAX_PATH_BYTES, MAX_PATH_DEPTH};
pub(crate) use path::{cut, shortened, split};
pub use torrent::Metainfo;
pub use warnings::MAX_WARNINGS;
