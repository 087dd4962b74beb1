//! One node of the DHT (BEP 5), for one address family (BEP 32): packets and the time go in, packets and
//! peers come out. Pure.
//!
//! The [`Node`] answers queries and runs lookups. Nodes it knows are in its routing table, announces of
//! others in a bounded store. Ids fit addresses (BEP 42), and a node that runs for a short time only can keep
//! out of others' tables (BEP 43).
//!
//! Never does: sockets, names, the clock. Memory is bounded for any input, and an answer goes only to the
//! address that the query came from, at a limited rate.

mod id;
mod lookup;
mod node;
mod peers;
mod query_limiter;
mod table;

pub(crate) mod schedule;
#[cfg(test)]
mod tests;

pub use id::NodeId;
pub use node::{Family, Found, Node, Setup, Stats};
