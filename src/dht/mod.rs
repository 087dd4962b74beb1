//! One node of the DHT (BEP 5), for one address family (BEP 32): packets and the time go in, packets
//! and peers come out. Pure.
//!
//! The [`Node`] answers what others ask, and looks up what it is asked to; whom it knows stands in its
//! routing table, what others announced in a bounded store. Ids fit addresses (BEP 42), and a node
//! that runs for a short time only can keep out of others' tables (BEP 43).
//!
//! Never does: sockets, names, the clock. Whatever comes, memory is bounded, and an answer goes only
//! where the question came from, so many a second.

mod guard;
mod id;
mod lookup;
mod node;
mod peers;
mod table;

pub(crate) mod schedule;
#[cfg(test)]
mod tests;

pub use id::NodeId;
pub use node::{Family, Found, Node, Setup, Stats};
