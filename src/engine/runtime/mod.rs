//! What every thread of the engine is built on: clock, threads, mailboxes, buffers, limits, shutdown.
//!
//! Nothing here knows a torrent, a peer or a tracker.

pub(crate) mod block_pool;
pub(crate) mod clock;
pub(crate) mod counters;
pub(crate) mod events;
pub mod have_log;
pub(crate) mod ledger;
pub(crate) mod mailbox;
pub(crate) mod quotas;
pub(crate) mod rate_limit;
pub(crate) mod shared_filter;
pub(crate) mod shutdown;
pub(crate) mod threads;
