//! What the outer tests share: torrents made by hand, the binary as a child process, and peers that
//! say whatever a test wants.
//!
//! Nothing here uses the library under test: torrents are bencoded and hashed, and messages framed,
//! by code of its own, so that a mistake on one side cannot hide the same mistake on the other.

pub mod alone;
pub mod bencode;
pub mod cage;
pub mod child;
pub mod content;
pub mod extension;
pub mod hostile;
pub mod http;
pub mod latch;
pub mod leecher;
pub mod network;
pub mod node;
pub mod peer;
pub mod proc;
pub mod proxy;
pub mod scratch;
pub mod seeder;
pub mod until;
