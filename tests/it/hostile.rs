//! Liars, against the real binary on real sockets: those a download meets, those who call a seed, DHT
//! nodes, trackers, web servers and `.torrent` files. Whatever they do, the good peers' download is right,
//! the liar is dropped or starved within a stated time and by its name, and memory and descriptors keep
//! within their bounds.
//!
//! `make hostile` prints what each did, what came of it and how long that took.

mod crowds;
mod encryption;
mod extensions;
mod ids;
mod nodes;
mod peers;
mod sloths;
mod strangers;
mod torrents;
mod trackers;
mod web;
